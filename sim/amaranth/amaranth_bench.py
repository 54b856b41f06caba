# SPDX-License-Identifier: Apache-2.0
"""A network in Amaranth's own simulator with the Python array behind it, clock by clock."""

import numpy as np
from amaranth.hdl import Cat, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator
from crossramp.golden.network.network import Network
from crossramp.golden.network.step_groups import step_groups
from crossramp.golden.network.step_record import step_records
from crossramp.golden.spec.boundary_wires import PHASES, PIN_NAMES
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.network_top import NetworkTop

from ..array.array_interface import Array, CheckedArray
from ..array.array_setup import ArraySetup
from ..array.python_array import ArrayModel
from ..tools.simulators import HardwareError

#: Steps (load, conversion, and the sum of one logit) without any event after which a simulation is given up.
_PATIENCE = 4


class _Probe(wiring.Component):
    """The network with what a bench looks at on every clock in one word: one read of the simulator, not twenty."""

    def __init__(self, network: Network):
        groups = step_groups(network.spec)
        self.events = tuple(group.name for group in groups)
        self.top = NetworkTop.of(network)
        top, monitor = self.top, self.top.monitor
        strobes, self.beats = [], {}  # what a beat carries is read when it is there, which is rarely
        for group in groups:
            source = monitor if group.monitored else getattr(top, group.port)
            strobes.append(getattr(monitor, group.name) if group.monitored else source.valid)
            fields = monitor if group.monitored else source.payload
            self.beats[group.name] = Cat(*(Value.cast(getattr(fields, field.name)) for field in group.fields))
        # Lowest first: what says what the array does, what announces a beat of each group, x.ready.
        phases = [getattr(top.array, name) for name in PHASES]
        self.controls = dict(zip(PHASES, map(len, phases), strict=True))
        self._word = Cat(*phases, *strobes, top.x.ready)
        super().__init__({"word": Out(len(self._word))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.top = self.top
        m.d.comb += self.word.eq(self._word)
        return m


class _Pins:
    """The boundary for :class:`.python_array.ArrayModel`: controls from the word, buses read when they matter."""

    def __init__(self, ctx, array, controls: dict[str, int]):
        self._ctx, self._array = ctx, array
        offsets = np.cumsum([0, *controls.values()]).tolist()
        self._fields = [
            (name, offset, (1 << bits) - 1) for (name, bits), offset in zip(controls.items(), offsets, strict=False)
        ]

    def load(self, word: int):
        for name, offset, mask in self._fields:
            setattr(self, name, word >> offset & mask)

    def __getattr__(self, name: str) -> int:
        if name not in PIN_NAMES:
            raise AttributeError(name)
        return self._ctx.get(getattr(self._array, name))


class Bench:
    """The network, the array behind it, and all that goes in and comes out, clock by clock.

    Parameters
    ----------
    network : Network
    array : ArraySetup
        What stands behind the boundary.
    first : int
        The number of the first conversion.

    Attributes
    ----------
    payloads : list of int
        {keep, last, code} of every x code, those to come included: to be appended to.
    initial : list of int
        Every beat of the stream of initial states, where there is one.
    beats : dict of lists of int
        What has come out, by event.
    ends : list of int
        The clock of each step's last beat of h.
    clock : int
    """

    def __init__(self, network: Network, array: ArraySetup, first: int = 0):
        self.spec = network.spec
        self._probe = _Probe(network)
        self._calibration = array.port(network.spec)
        model = array.content
        if not isinstance(model, Array):
            model = ArrayModel(network.spec, array.loaded(network), record=False, first=first)
        self._array = CheckedArray(model, network.spec.columns)
        self.payloads: list[int] = []
        self.initial: list[int] = []
        self.beats: dict[str, list[int]] = {name: [] for name in self._probe.events}
        self.ends: list[int] = []
        self.clock = 0
        self._simulator = None

    def run_to(self, answers: int):
        """Simulate until there are so many answers; HardwareError if nothing happens for too long."""
        if self._simulator is None:
            self._simulator = Simulator(self._probe)
            self._simulator.add_clock(1e-6)
            self._simulator.add_testbench(self._run)
            if self.spec.initial == "stream":
                self._simulator.add_testbench(self._load, background=True)
        found = self.beats["answers"]
        while len(found) < answers:
            self._simulator.advance()

    # One loop for array, x and outputs: each further one would cost as much as the gateware. It looks just after each
    # edge, when all that the clock will bring is decided, since nothing it drives is known later.
    async def _run(self, ctx):
        probe, array, spec, payloads, beats = self._probe, self._array, self.spec, self.payloads, self.beats
        top, controls = probe.top, sum(probe.controls.values())
        outputs = [(name, beats[name], probe.beats[name]) for name in probe.events]
        x_payload = top.x.payload.as_value()
        patience = _PATIENCE * (spec.clocks_per_step + spec.load_clocks + spec.inputs + spec.hidden)
        pins, shown, was_ready, sent, quiet = _Pins(ctx, top.array, probe.controls), 0, 1, 0, 0
        for signal in (top.array.ready, top.h.ready, top.logit.ready, top.answer.ready, top.x.valid):
            ctx.set(signal, 1)
        ctx.set(top.calibration, self._calibration)
        ctx.set(x_payload, payloads[0])
        taken, valid = ctx.get(top.x.ready), True
        async for _ in ctx.tick():
            self.clock += 1
            if taken:
                sent += 1
                valid = sent < len(payloads)
                if valid:
                    ctx.set(x_payload, payloads[sent])
                else:
                    ctx.set(top.x.valid, 0)
            elif not valid and sent < len(payloads):
                valid = True
                ctx.set(x_payload, payloads[sent])
                ctx.set(top.x.valid, 1)
            word = ctx.get(probe.word)
            taken = word >> (controls + len(outputs)) & 1 and valid
            pins.load(word)
            comparators, ready = array.clock(pins)
            if comparators != shown:
                ctx.set(top.array.comparators, comparators)
                shown = comparators
            if ready != was_ready:
                ctx.set(top.array.ready, ready)
                was_ready = ready
            events = word >> controls & (1 << len(outputs)) - 1
            quiet = 0 if events else quiet + 1
            if quiet > patience:
                raise HardwareError(f"the gateware showed nothing for {quiet} clocks, up to clock {self.clock}")
            if not events:
                continue
            for bit, (name, found, signal) in enumerate(outputs):
                if events >> bit & 1:
                    found.append(ctx.get(signal))
                    if name == "h" and len(found) % spec.h_beats == 0:
                        self.ends.append(self.clock)

    async def _load(self, ctx):
        """Sends the initial states."""
        stream, sent = self._probe.top.initial, 0
        while True:
            if sent < len(self.initial):
                ctx.set(stream.payload.as_value(), self.initial[sent])
            ctx.set(stream.valid, sent < len(self.initial))
            _, _, taken = await ctx.tick().sample(stream.valid & stream.ready)
            sent += taken


def unpacked(spec: Specification, beats: dict[str, list[int]]) -> dict[str, dict[str, np.ndarray]]:
    """Beats as :class:`Bench` collects them, by group and field: int64 arrays, shape (beats, count)."""
    return {name: record.unpack_integers(beats[name]) for name, record in step_records(spec).items()}
