# SPDX-License-Identifier: Apache-2.0
"""A network in Amaranth's own simulator with the Python array behind it, clock by clock."""

from functools import partial

import numpy as np
from amaranth.hdl import Cat, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import arrays_of, need_one_array, prefixed
from crossramp.golden.macro.initial_state import streaming_macros
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import step_records
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import PHASES, PIN_NAMES
from crossramp.rtl.layers.layered_top import top_of

from ..array.array_interface import Array, CheckedArray
from ..array.array_setup import ArraySetup
from ..array.python_array import ArrayModel
from ..tools.simulators import HardwareError

#: Steps (load, conversion, and the sum of one logit) without any event after which a simulation is given up.
_PATIENCE = 4


class _Probe(wiring.Component):
    """The network with what a bench looks at on every clock in one word: one read of the simulator, not twenty."""

    def __init__(self, network: Network | LayeredNetwork):
        groups = step_groups(network.spec)
        self.events = tuple(group.name for group in groups)
        self.top = top_of(network)
        strobes, self.beats = [], {}  # what a beat carries is read when it is there, which is rarely
        for group in groups:
            source = getattr(self.top, group.port)
            strobes.append(getattr(source, group.member) if group.monitored else source.valid)
            fields = source if group.monitored else source.payload
            self.beats[group.name] = Cat(*(Value.cast(getattr(fields, field.name)) for field in group.fields))
        # Lowest first: what announces a beat of each group, x.ready, what says what each array does.
        self.arrays = {name: getattr(self.top, name) for name in arrays_of(network.spec)}
        phases = [getattr(array, name) for array in self.arrays.values() for name in PHASES]
        self._word = Cat(*strobes, self.top.x.ready, *phases)
        super().__init__({"word": Out(len(self._word))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.top = self.top
        m.d.comb += self.word.eq(self._word)
        return m


class _Boundary:
    """One array: what it is shown, and what it answers."""

    def __init__(self, ctx, wires, array: CheckedArray, offset: int):
        self._ctx, self._wires, self._array = ctx, wires, array
        self.pins = _Pins(ctx, wires, offset)
        self._shown, self._was_ready = 0, 1
        ctx.set(wires.ready, 1)

    def clock(self, word: int):
        """What the array makes of a clock."""
        self.pins.load(word)
        comparators, ready = self._array.clock(self.pins)
        if comparators != self._shown:
            self._ctx.set(self._wires.comparators, comparators)
            self._shown = comparators
        if ready != self._was_ready:
            self._ctx.set(self._wires.ready, ready)
            self._was_ready = ready


class _Pins:
    """The boundary for :class:`.python_array.ArrayModel`: controls from the word, buses read when they matter."""

    def __init__(self, ctx, array, offset: int):
        self._ctx, self._array = ctx, array
        self._fields = []
        for name in PHASES:
            bits = len(getattr(array, name))
            self._fields.append((name, offset, (1 << bits) - 1))
            offset += bits
        #: Where the controls of the next array begin.
        self.end = offset

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
    network : Network or LayeredNetwork
    array : ArraySetup
        What stands behind the boundary, or behind each.
    steps_before : int
        How many steps the arrays did before.

    Attributes
    ----------
    payloads : list of int
        {keep, last, code} of every x code, those to come included: to be appended to.
    initial : dict of lists of int
        Every beat of the streams of initial states, by the names of their macros.
    beats : dict of lists of int
        What has come out, by event.
    ends : list of int
        The clock of each step's last beat of h.
    clock : int
    """

    def __init__(self, network: Network | LayeredNetwork, array: ArraySetup, steps_before: int = 0):
        self.spec = network.spec
        self._probe = _Probe(network)
        self._calibrations = array.ports(network.spec)
        self._arrays = []
        if isinstance(array.content, Array):
            need_one_array(network.spec, "an array of your own")
            self._arrays = [CheckedArray(array.content, network.spec.columns)]
        else:
            self._arrays = []
            for name, content in array.loaded(network).items():
                spec = arrays_of(network.spec)[name]
                model = ArrayModel(spec, content, record=False, first=len(spec.conversions) * steps_before)
                self._arrays.append(CheckedArray(model, spec.columns))
        self.payloads: list[int] = []
        self.initial: dict[str, list[int]] = {name: [] for name in streaming_macros(network.spec)}
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
            for name, words in self.initial.items():
                stream = getattr(self._probe.top, prefixed(name, "initial"))
                self._simulator.add_testbench(partial(_load, stream=stream, words=words), background=True)
        found = self.beats["answers"]
        while len(found) < answers:
            self._simulator.advance()

    # One loop for array, x and outputs: each further one would cost as much as the gateware. It looks just after each
    # edge, when all that the clock will bring is decided, since nothing it drives is known later.
    async def _run(self, ctx):
        probe, spec, payloads, beats = self._probe, self.spec, self.payloads, self.beats
        top = probe.top
        outputs = [(name, beats[name], probe.beats[name]) for name in probe.events]
        x_payload = top.x.payload.as_value()
        patience = _PATIENCE * (spec.clocks_per_step + spec.load_clocks + spec.inputs + spec.hidden)
        sent, quiet = 0, 0
        for signal in (top.h.ready, top.logit.ready, top.answer.ready, top.x.valid):
            ctx.set(signal, 1)
        boundaries, offset = [], len(outputs) + 1
        for wires, array in zip(probe.arrays.values(), self._arrays, strict=True):
            boundaries.append(_Boundary(ctx, wires, array, offset))
            offset = boundaries[-1].pins.end
        for macro, word in self._calibrations.items():
            ctx.set(getattr(top, prefixed(macro, "calibration")), word)
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
            taken = word >> len(outputs) & 1 and valid
            for boundary in boundaries:
                boundary.clock(word)
            events = word & (1 << len(outputs)) - 1
            quiet = 0 if events or taken else quiet + 1
            if quiet > patience:
                raise HardwareError(f"the gateware showed nothing for {quiet} clocks, up to clock {self.clock}")
            if not events:
                continue
            for bit, (name, found, signal) in enumerate(outputs):
                if events >> bit & 1:
                    found.append(ctx.get(signal))
                    if name == "h" and len(found) % spec.h_beats == 0:
                        self.ends.append(self.clock)


async def _load(ctx, stream, words: list[int]):
    """Sends the initial states of a macro."""
    sent = 0
    while True:
        if sent < len(words):
            ctx.set(stream.payload.as_value(), words[sent])
        ctx.set(stream.valid, sent < len(words))
        _, _, taken = await ctx.tick().sample(stream.valid & stream.ready)
        sent += taken


def unpacked(spec: AnySpecification, beats: dict[str, list[int]]) -> dict[str, dict[str, np.ndarray]]:
    """Beats as :class:`Bench` collects them, by group and field: int64 arrays, shape (beats, count)."""
    return {name: record.unpack_integers(beats[name]) for name, record in step_records(spec).items()}
