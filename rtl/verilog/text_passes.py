# SPDX-License-Identifier: Apache-2.0
"""The same Verilog in fewer statements and nets: shorter to read, and several times faster in event-driven simulators.

An event-driven simulator pays for every net and every process that an event reaches.
A register's next value is therefore computed where the clock takes it.
A wire that is assigned slice by slice is assigned once,
because Icarus Verilog would resolve its slices against each other bit by bit.
A wire that nothing reads is left out.

A module is a list of items, each a list of lines:
a statement or a block at the module's own indentation, with the attributes before it.
Items that a function does not recognize stay as they are.
"""

import re
from collections import Counter
from itertools import groupby

Item = list[str]

#: A name as yosys writes it: with a space behind it if it is escaped.
_NAME = r"\\\S+ |[A-Za-z_]\w*"
_DECLARED = re.compile(rf"  (?:input |output |wire |reg )(?:signed )?(?:\[(\d+):0\] )?({_NAME});")
_ASSIGN = re.compile(rf"  assign ({_NAME})(?:\[(\d+)(?::(\d+))?\])? = (.*);")
_SET = re.compile(rf" +({_NAME})(\[.*?\])? = .*;")
_CLOCKED = re.compile(rf"(    (?:else )?)({_NAME}) <= ({_NAME});")
# Numbers and the names of an instance's ports have letters, too.
_WORD = re.compile(rf"'[a-z][0-9a-fxz?]+|\.(?:\\\S+ |\w+) *(?=\()|({_NAME})")
_PART = re.compile(rf"(?:(\d+)'[a-z][0-9a-fxz?]+|({_NAME})(?:\[(\d+)(?::(\d+))?\])?)")
_TAKEN = re.compile(rf"( +(?:else )?)({_NAME}) <= ({_NAME});")
_GATHERED = re.compile(rf"(    (?:else )?)({_NAME}) <= (\{{ [^;]* \}});")
_ASSIGNED = re.compile(rf"    ({_NAME}) <= .*;")
_BLOCK = "  always @(posedge clk) begin"
_RESET = "    if (rst) begin"
_UNNAMED = re.compile(r"\\\$\d+ ")
_CONCATENATION = re.compile(r"\{ ([^{}]*) \}")

#: Characters of a line of generated Verilog, unless a single name has more.
LONGEST = 8000


def shortened(module: str) -> str:
    """All that this module does, done to the text of one module of a design."""
    items = registers_in_place(expressions_once(items_of(module)))
    items = without_unread_wires(values_in_place(items))
    items = [[repetitions(line) for line in item] for item in whole_assignments(items)]
    return "\n".join(broken(line) for item in registers_together(gathered_outside(items)) for line in item)


def items_of(module: str) -> list[Item]:
    """The items of a module's text."""
    items, attributes = [], []
    for line in module.split("\n"):
        if line.startswith("  (*") and line.endswith("*)"):
            attributes.append(line)
        elif items and (line.startswith("   ") or line in ("  end", "  );", "  endfunction")):
            items[-1].append(line)
        else:
            items.append([*attributes, line])
            attributes = []
    return [*items, *([attributes] if attributes else [])]


def names_in(item: Item) -> list[str]:
    """The names in an item, as often as they occur; keywords are among them."""
    return [name for line in item for name in _WORD.findall(line) if name]


def expressions_once(items: list[Item]) -> list[Item]:
    """Wires without a name of their own whose widths and expressions are equal become one, and so on."""
    declared = {match[2]: item[-1] for item in items if (match := _DECLARED.fullmatch(item[-1]))}
    assigned = [match for item in items if len(item) == 1 and (match := _ASSIGN.fullmatch(item[0]))]
    values = {match[1]: match[4] for match in assigned if match[2] is None and _UNNAMED.fullmatch(match[1])}
    same: dict[str, str] = {}

    def renamed(text: str) -> str:
        return _UNNAMED.sub(lambda match: same.get(match[0], match[0]), text)

    more = True
    while more:
        more, found = False, {}
        for name, value in values.items():
            if name not in same:
                first = found.setdefault((declared[name].replace(name, ""), renamed(value)), name)
                if first != name:
                    # Names that were replaced by this one follow it.
                    same |= {other: first for other, kept in same.items() if kept == name}
                    same[name], more = first, True
    gone = {declared[name] for name in same} | {f"  assign {name} = {values[name]};" for name in same}
    return [[renamed(line) for line in item] for item in items if item[-1] not in gone]


def registers_in_place(items: list[Item]) -> list[Item]:
    """A block that computes the next value of one register, and nothing else, becomes part of the clocked block.

    ``next = r; if (en) next = d;`` and ``r <= next;`` become ``if (en) r <= d;``.
    """
    uses = Counter(name for item in items for name in names_in(item))
    blocks = {name: item for item in items if (name := _only_target(item)) is not None}
    changed, gone = {}, set()
    for at, item in enumerate(items):
        match = _CLOCKED.fullmatch(item[-1]) if item[0].startswith("  always @(posedge ") else None
        block = blocks.get(match[3]) if match else None
        # Nothing else may read the next value: it is also in its declaration and in this item.
        if block is None or uses[match[3]] != names_in(block).count(match[3]) + 2:
            continue
        indent, register, value = match.groups()
        body = [line.replace(f"{value} = ", f"{register} <= ", 1) for line in _body(block)]
        body = [line for line in body if line.strip() != f"{register} <= {register};"]
        if indent.strip():  # of an asynchronous reset
            changed[at] = [*item[:-1], f"{indent}begin", *(f"  {line}" for line in body), "    end"]
        else:
            changed[at] = [*item[:-2], f"{item[-2]} begin", *body, "  end"]
        gone.add(value)
    kept = []
    for at, item in enumerate(items):
        match = _DECLARED.fullmatch(item[-1])
        if _only_target(item) not in gone and not (match and match[2] in gone):
            kept.append(changed.get(at, item))
    return kept


def values_in_place(items: list[Item]) -> list[Item]:
    """What only one register takes, and no more bits than it has, is computed where it is taken."""
    uses = Counter(name for item in items for name in names_in(item))
    widths = {match[2]: match[1] for item in items if (match := _DECLARED.fullmatch(item[-1]))}
    values = {match[1]: match[4] for item in items if (match := _ASSIGN.fullmatch(item[-1])) and match[2] is None}
    gone = set()

    def taken(match: re.Match) -> str:
        indent, register, value = match.groups()
        # In its declaration, in its assignment, and here.
        if uses[value] != 3 or value not in values or widths.get(register) != widths.get(value):
            return match[0]
        gone.add(value)
        return f"{indent}{register} <= {values[value]};"

    items = [
        [_TAKEN.sub(taken, line) for line in item] if item[0].startswith("  always @(") else item for item in items
    ]
    return [
        item
        for item in items
        if not any((match := p.fullmatch(item[-1])) and match[n] in gone for p, n in ((_DECLARED, 2), (_ASSIGN, 1)))
    ]


def _only_target(item: Item) -> str | None:
    """What an ``always @*`` block assigns, first of all and never reads, if that is one whole variable."""
    body = _body(item) if item[0].startswith("  always @* begin") else []
    found = [match for line in body if (match := _SET.fullmatch(line))]
    if not found or found[0][0] != body[0] or len({(match[1], match[2]) for match in found}) > 1 or found[0][2]:
        return None
    return found[0][1] if names_in(body).count(found[0][1]) == len(found) else None


def _body(block: Item) -> Item:
    """The lines of an ``always @*`` block without the event that starts it at time 0."""
    return [line for line in block[1:-1] if "begin end" not in line]


def without_unread_wires(items: list[Item]) -> list[Item]:
    """Wires that are assigned and never read are left out, and then those that only these read."""
    uses = Counter(name for item in items for name in names_in(item))
    ports = {match[2] for item in items if (match := _DECLARED.fullmatch(item[-1])) and "put " in item[-1]}
    assigned = {
        match[1]: at for at, item in enumerate(items) if (match := _ASSIGN.fullmatch(item[-1])) and match[2] is None
    }
    declared = {
        match[2]: at
        for at, item in enumerate(items)
        if item[-1].startswith("  wire ") and (match := _DECLARED.fullmatch(item[-1])) and match[2] not in ports
        if not any("keep" in attribute for attribute in item[:-1])
    }
    gone = set()
    waiting = list(declared)
    while waiting:
        name = waiting.pop()
        places = {declared[name], *([assigned[name]] if name in assigned else [])}
        if places & gone or uses[name] != len(places):
            continue
        gone |= places
        read = [other for at in places for other in names_in(items[at])]
        uses.subtract(read)
        waiting += [other for other in read if other in declared and declared[other] not in gone]
    return [item for at, item in enumerate(items) if at not in gone]


def whole_assignments(items: list[Item]) -> list[Item]:
    """A wire whose slices are assigned one by one, all of them and each to signals as wide, is assigned once."""
    widths = {match[2]: int(match[1] or 0) + 1 for item in items if (match := _DECLARED.fullmatch(item[-1]))}
    slices: dict[str, list[tuple[int, int, str, int]]] = {}
    for at, item in enumerate(items):
        match = _ASSIGN.fullmatch(item[-1])
        if match and match[2] is not None:
            high, low = int(match[2]), int(match[3] or match[2])
            slices.setdefault(match[1], []).append((high, low, match[4], at))
    changed: dict[int, Item] = {}
    for name, parts in slices.items():
        parts.sort(reverse=True)
        ends = [widths.get(name, 0), *(low for _, low, _, _ in parts)]
        whole = all(high == end - 1 for (high, *_), end in zip(parts, ends, strict=False)) and ends[-1] == 0
        if whole and all(_width(value, widths) == high - low + 1 for high, low, value, _ in parts):
            values = ", ".join(value.removeprefix("{ ").removesuffix(" }") for _, _, value, _ in parts)
            changed |= {at: [] for *_, at in parts} | {parts[0][3]: [f"  assign {name} = {{ {values} }};"]}
    return [changed.get(at, item) for at, item in enumerate(items) if changed.get(at, item)]


def _width(value: str, widths: dict[str, int]) -> int | None:
    """Bits of a signal, a number, or a concatenation of such; None for anything else."""
    bits = 0
    for part in value.removeprefix("{ ").removesuffix(" }").split(", "):
        match = _PART.fullmatch(part) or _PART.fullmatch(f"{part} ")
        if match is None:
            return None
        number, name, high, low = match.groups()
        if name is not None and name not in widths:
            return None
        bits += int(number) if number else int(high) - int(low or high) + 1 if high else widths[name]
    return bits


def registers_together(items: list[Item]) -> list[Item]:
    """Registers that one clock edge changes share a block, and conditions: each takes what was there before the edge.

    What comes last for a register is its reset, so the resets of all come last in the shared block.
    """
    plain, reset = [], []
    conditional: dict[str, Item] = {}
    kept, place = [], 0
    for item in items:
        statements = _statements(item)
        if statements is None:
            kept.append(item)
            continue
        place = len(kept)  # behind all that it reads has been declared
        if len(statements) > 1 and statements[-1][0] == _RESET and _is_simple(statements[-1]):
            reset += statements.pop()[1:-1]
        if len(statements) == 1 and _is_simple(statements[0]):
            conditional.setdefault(statements[0][0], []).extend(statements[0][1:-1])
        else:
            plain += [line for statement in statements for line in statement]
    body = plain + [line for head, lines in conditional.items() for line in (head, *lines, "    end")]
    body += [_RESET, *reset, "    end"] if reset else []
    if body:
        kept.insert(place, [_BLOCK, *body, "  end"])
    return kept


def _is_simple(statement: Item) -> bool:
    """Whether that is an ``if`` without ``else``."""
    inside = all(line.startswith("      ") for line in statement[1:-1])
    return statement[0].startswith("    if (") and statement[-1] == "    end" and inside


def _statements(item: Item) -> list[Item] | None:
    """The statements of a block that assigns registers on the clock's edge; None for anything else."""
    if len(item) == 2 and item[0] == _BLOCK.removesuffix(" begin") and _ASSIGNED.fullmatch(item[1]):
        return [[item[1]]]
    if item[0] != _BLOCK or item[-1] != "  end":
        return None
    statements: list[Item] = []
    for line in item[1:-1]:
        if not statements or (line.startswith("    ") and line[4] != " " and not line.startswith("    end")):
            statements.append([])
        statements[-1].append(line)
    complete = all(len(one) == 1 or one[-1] in ("    end", "    endcase") for one in statements)
    return statements if complete else None


def gathered_outside(items: list[Item]) -> list[Item]:
    """What a register takes on every clock, if it is gathered from many signals, is gathered where one changes."""
    widths = {match[2]: match[1] for item in items if (match := _DECLARED.fullmatch(item[-1]))}
    written = []
    for item in items:
        match = _GATHERED.fullmatch(item[-1]) if item[0].startswith("  always @(posedge ") else None
        if match and match[3].count(", ") > 3 and match[2] in widths:
            indent, register, value = match.groups()
            name = f"{register.strip()}$next" + " " * register.startswith("\\")
            width = f"[{widths[register]}:0] " if widths[register] else ""
            written += [[f"  wire {width}{name};"], [f"  assign {name} = {value};"]]
            item = [*item[:-1], f"{indent}{register} <= {name};"]
        written.append(item)
    return written


def repetitions(line: str) -> str:
    """``{ a, a, a, b }`` becomes ``{ {3{a}}, b }``."""
    return _CONCATENATION.sub(_repeated, line)


def broken(line: str) -> str:
    """A statement beyond :data:`LONGEST` characters on several lines, between the parts of its concatenations.

    Verilator takes 40,000 tokens a line, and a concatenation of the codes of some thousand columns has more.
    """
    if len(line) <= LONGEST or '"' in line or "//" in line:
        return line
    found, parts = [], line.split(", ")
    for part in parts:
        if found and len(found[-1]) + len(part) < LONGEST:
            found[-1] += f", {part}"
        else:
            found.append(part)
    return ",\n    ".join(found)


def _repeated(match: re.Match) -> str:
    runs = [(part, len(list(run))) for part, run in groupby(match[1].split(", "))]
    if all(count < 3 for _, count in runs):
        return match[0]
    written = [f"{{{count}{{{part}}}}}" if count > 2 else ", ".join([part] * count) for part, count in runs]
    return written[0] if len(written) == 1 else f"{{ {', '.join(written)} }}"
