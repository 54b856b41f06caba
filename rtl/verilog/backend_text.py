# SPDX-License-Identifier: Apache-2.0
"""Corrections of the text that Amaranth's back end writes, for every simulator: pure functions from text to text.

The text comes from yosys, whose habits may change with its version.
Each function therefore checks its result, and raises :class:`UnexpectedText` if the back end wrote something
that it does not recognize.
"""

import re

from crossramp.golden.common.errors import CrossrampError, ExitStatus

from .text_passes import shortened

# The name, in the output, of the register whose event starts the combinational blocks; yosys has others for it.
_EVENT = "wake_at_time_zero"

#: Messages of Verilator about what is the back end's style, each with the reason. All are known to old versions, too:
#: those refuse a file that names a message which they do not know, so WIDTH stands for its kinds.
LINT_OFF = {
    "CASEINCOMPLETE": "a value is assigned before the case statement",
    "DECLFILENAME": "one file has all modules",
    "TIMESCALEMOD": "nothing here depends on a time scale, which a bench may have",
    "UNUSEDSIGNAL": "a member of a bundle has a wire of its own, and a carry a bit",
    "WIDTH": "constants have the width of their value, sums that of the larger operand",
}


class UnexpectedText(CrossrampError, RuntimeError):
    """The back end wrote Verilog in a form that :mod:`crossramp.rtl.verilog.backend_text` does not know."""

    exit_status = ExitStatus.INTERNAL


def cured(text: str, top: str, ports: list[str]) -> str:
    """The back end's text of module ``top`` with plain module names, ``ports`` in order, and events at time 0.

    Raises
    ------
    UnexpectedText
        If a passage that has to be changed is missing, or is left after the change.
    """
    text = _without_banner(text)
    text = _initial_statements(_without_contents(_without_leftovers(text)))
    text = "\nendmodule".join(map(shortened, _wake(text).split("\nendmodule")))
    return _linted(_ordered_top(_plain_module_names(text), top, ports))


def _absent(pattern: str, text: str, what: str):
    """Raise UnexpectedText if ``pattern`` is still in ``text``."""
    left = re.search(pattern, text, flags=re.MULTILINE)
    if left is not None:
        line = text[text.rfind("\n", 0, left.start()) + 1 :].partition("\n")[0]
        raise UnexpectedText(f"unexpected {what} in the Verilog of Amaranth's yosys: {line.strip()[:200]!r}")


def _without_banner(text: str) -> str:
    banner, found, text = text.partition("*/\n")
    if not found or not banner.startswith("/*"):
        raise UnexpectedText(f"no comment begins the Verilog of Amaranth's yosys: {banner[:100]!r}")
    return text.lstrip("\n")


def _without_leftovers(text: str) -> str:
    """Drop what says nothing: initial values repeated on aliases, and wires of no bits, which nothing can read."""
    text = re.sub(r"^ *(\(\* init = [^*]*\*\)|wire \[-1:0\] \S+ ?;)\n", "", text, flags=re.MULTILINE)
    _absent(r"\(\*\s*init\b|\[-1:0\]", text, "attribute or wire of no bits")
    return text


def _without_contents(text: str) -> str:
    """Memories of the ``ram_style`` "huge" without their contents: what yosys maps them to cannot be initialized."""
    text = re.sub(
        r"(\(\* ram_style = \"huge\" \*\)\n *reg [^;]*;\n) *initial begin\n(?:[^\n]* = [^\n]*;\n)* *end\n", r"\1", text
    )
    _absent(r"ram_style = \"huge\"(?! \*\)\n *reg [^;\n]*;\n(?! *initial\b))", text, "memory of the ram_style huge")
    return text


def _initial_statements(text: str) -> str:
    """Initial values by ``initial`` statements: in a declaration, Verilator doubts that a process may assign more."""
    text = re.sub(
        r"^( *)((?:output )?reg (?:signed )?(?:\[[^]]*\] )?)(\\\S+ |\w+) = ([^;,=]*);$",
        r"\1\2\3;\n\1initial \3 = \4;",
        text,
        flags=re.MULTILINE,
    )
    _absent(r"^\s*(?:output )?(?:reg|wire)\b[^;]*=(?!=)", text, "initial value in a declaration")
    return text


def _wake(text: str) -> str:
    """Make every combinational block run at time 0: one event a module, by an initial process."""
    text = "\nendmodule".join(_wake_module(module) for module in text.split("\nendmodule"))
    _absent(r"verilog_backend", text, "register of the back end")
    known = rf"@\(posedge \S+(?:, posedge rst)?\)|@\* begin\n *if \({_EVENT}\)"
    _absent(rf"\b(?:always\w* +(?!{known})|always\w*$)", text, "block without an event")
    return text


def _wake_module(module: str) -> str:
    declaration = re.search(
        r"^ *reg (\\\$auto\$verilog_backend\S+) ;\n *initial \1 += [^;]*;\n", module, flags=re.MULTILINE
    )
    if declaration is not None:
        module = module.replace(declaration[0], "", 1).replace(declaration[1] + " ", _EVENT)
    # A block of constants has no input, hence no event: it would never run.
    module = re.sub(
        r"^( *)always @\*\n( +)(?!begin\b)(\S.*;)$",
        rf"\1always @* begin\n\2if ({_EVENT}) begin end\n\2\3\n\1end",
        module,
        flags=re.MULTILINE,
    )
    if _EVENT not in module:
        return module
    head = re.search(r"^module [^;]*;\n", module, flags=re.MULTILINE)
    if head is None:
        raise UnexpectedText(f"no module statement in the Verilog of Amaranth's yosys: {module[:200]!r}")
    event = f"  // Its change from X starts the combinational blocks below in every simulator.\n  reg {_EVENT};\n"
    return module[: head.end()] + event + f"  initial {_EVENT} = 1'h0;\n" + module[head.end() :]


def _plain_module_names(text: str) -> str:
    """``\\top.macro.bank `` becomes ``top_macro_bank``."""
    escaped = re.findall(r"^module (\\\S+) ", text, flags=re.MULTILINE)
    taken = set(re.findall(r"^module ([A-Za-z_]\w*)", text, flags=re.MULTILINE))
    plain = {}
    for name in escaped:
        wanted = re.sub(r"\W", "_", name[1:])
        while wanted in taken:
            wanted += "_"
        taken.add(wanted)
        plain[name] = wanted
    # At the start of a declaration or of an instance only: elsewhere the same text would be a signal.
    text = re.sub(
        r"^(module |  )(\\\S+) +(?=\S+ *\(|\()",
        lambda m: m[1] + plain[m[2]] + (" " if m[1] == "  " else "") if m[2] in plain else m[0],
        text,
        flags=re.MULTILINE,
    )
    _absent(r"^module\s+\\", text, "module name")
    return text


def _ordered_top(text: str, name: str, names: list[str]) -> str:
    """The top module's header lists its ports in the port table's order, some a line."""
    lines, line = [], ""
    for port in names:
        if len(line) + len(port) > 100:
            lines.append(line)
            line = ""
        line += f"{port}, "
    listing = "\n  ".join(part.rstrip() for part in [*lines, line.rstrip(", ")])
    header = re.search(rf"^module {name}\(([^)]*)\);", text, flags=re.MULTILINE)
    if header is None or {port.strip() for port in header[1].split(",")} != set(names):
        raise UnexpectedText(f"the ports of module {name} in the Verilog of Amaranth's yosys are not {names}")
    return f"{text[: header.start()]}module {name}(\n  {listing}\n);{text[header.end() :]}"


def _linted(text: str) -> str:
    """Comments around the modules that tell Verilator what to expect; what comes from other files is not affected."""
    width = max(map(len, LINT_OFF))
    lines = [f"/* verilator lint_off {code:{width}} */  // {reason}\n" for code, reason in LINT_OFF.items()]
    return f"/* verilator lint_save */\n{''.join(lines)}\n{text.rstrip()}\n\n/* verilator lint_restore */\n"
