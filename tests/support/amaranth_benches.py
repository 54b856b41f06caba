# SPDX-License-Identifier: Apache-2.0
"""What every gateware test needs: a simulation with a watchdog, streams with pauses, a macro with its array."""

from contextlib import aclosing

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.sim import Simulator
from crossramp.golden.array.tiled_array import tile_weights
from crossramp.golden.layers.tile import arrays_of
from crossramp.golden.macro.initial_state import FROM_THE_START, Starts, initial_beats
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import expected_records
from crossramp.golden.spec.boundary_wires import PIN_NAMES
from crossramp.rtl.macro.macro import Macro
from crossramp.sim.array.python_array import ArrayModel, random_stalls
from crossramp.sim.checking.protocol import ProtocolChecker

CLOCK_S = 1e-6


def simulate(dut, *testbenches, background=(), clocks: int = 100_000):
    """Run ``testbenches`` to their ends beside ``background`` ones; fails if that takes more than ``clocks``."""

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_S)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    for bench in testbenches:
        simulator.add_testbench(bench)
    # A clock is two advances; a watchdog of its own would take more time than some of the designs.
    left = 2 * clocks
    while simulator.advance():
        left -= 1
        assert left > 0, f"the testbenches are not through after {clocks} clocks"


def pauses(rng: np.random.Generator, probability: float):
    """A number of clocks to pause, drawn anew at each call; 0 with probability 1 - ``probability``."""
    return lambda: int(rng.geometric(1 - probability)) - 1 if probability else 0


async def send(ctx, stream, payloads, pause=lambda: 0):
    """Offer ``payloads`` one after another, each until it is taken, with a pause before it."""
    for payload in payloads:
        idle = pause()
        if idle:
            await ctx.tick().repeat(idle)
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)


async def receive(ctx, stream, count: int, pause=lambda: 0) -> list:
    """``count`` payloads, refusing each for a pause first; fails if one changes or vanishes while it is refused."""
    received = []
    async with aclosing(aiter(ctx.tick())) as ticks:  # one trigger for all clocks, not one for each
        for _ in range(count):
            ctx.set(stream.ready, 0)
            waiting, offered = pause(), None
            while waiting > 0 or not ctx.get(stream.valid):
                if ctx.get(stream.valid):
                    now = ctx.get(stream.payload)
                    assert offered is None or now == offered, f"an offered payload changed from {offered} to {now}"
                    offered = now
                    waiting -= 1
                else:
                    assert offered is None, f"the offered payload {offered} vanished before it was taken"
                await anext(ticks)
            ctx.set(stream.ready, 1)
            received.append(ctx.get(stream.payload))
            await anext(ticks)
        ctx.set(stream.ready, 0)
    return received


class Boundary:
    """The pins of a periphery that a simulation reads at once: each read costs as much as a small circuit.

    Its attributes are the pins (:data:`.boundary_wires.PIN_NAMES`) as they were at the last :meth:`read`.

    Parameters
    ----------
    m : Module
        Of the simulation: gets the word that is read.
    array : ArraySignature interface
    """

    def __init__(self, m: Module, array):
        self.array, self._fields, self._shown, offset = array, [], None, 0
        pins = [Value.cast(getattr(array, name)) for name in PIN_NAMES]
        for name, pin in zip(PIN_NAMES, pins, strict=True):
            self._fields.append((name, offset, (1 << len(pin)) - 1))
            offset += len(pin)
        self._word = Signal(offset)
        m.d.comb += self._word.eq(Cat(*pins))

    def read(self, ctx) -> "Boundary":
        """Itself, with the pins as they are now."""
        word = ctx.get(self._word)
        for name, offset, mask in self._fields:
            setattr(self, name, word >> offset & mask)
        return self

    def answer(self, ctx, comparators: int, ready: int):
        """Show them until the next call."""
        if (comparators, ready) != self._shown:
            self._shown = comparators, ready
            ctx.set(self.array.comparators, comparators)
            ctx.set(self.array.ready, ready)


async def stand_behind(ctx, *arrays: tuple):
    """Stand behind boundaries for ever, as :func:`.python_array.drive_arrays` does: (Boundary, model, checker) each."""

    def answer():
        answers = [model.clock(boundary.read(ctx)) for boundary, model, _ in arrays]
        all_ready = all(ready for _, ready in answers)
        for (boundary, _, checker), (comparators, ready) in zip(arrays, answers, strict=True):
            checker.clock(boundary, all_ready)
            boundary.answer(ctx, comparators, ready)

    answer()
    async for _ in ctx.tick():
        answer()


def x_payloads(x: np.ndarray, keep: np.ndarray | None = None) -> list[dict]:
    """Payloads of the x stream for utterances ``x`` (a list of arrays of shape (steps, inputs)).

    ``keep``: which of them keep their state, where the stream says so.
    """
    payloads = []
    for number, utterance in enumerate(x):
        kept = {} if keep is None else {"keep": bool(keep[number])}
        for t, step in enumerate(utterance):
            payloads += [{"code": int(code), "last": t == len(utterance) - 1} | kept for code in step]
    return payloads


class MacroRun:
    """A macro, its arrays in Python (one model for each tile), and everything its monitor ports showed.

    Parameters
    ----------
    x : list of integer arrays, shape (steps, inputs)
        Utterances, run one after another.
    probability : float
        That a pause begins, on x, on h, and of the array's ready.
    starts : Starts
        What the utterances start from.
    """

    def __init__(self, spec, weights, x, *, rng, probability=0.0, fault=None, dut=None, starts=FROM_THE_START):
        self.spec = spec
        self.dut = dut or Macro(spec)
        arrays = arrays_of(spec)
        self.models, self.checkers = [], [ProtocolChecker(array) for array in arrays.values()]
        for array in arrays.values():
            ready = random_stalls(int(rng.integers(1 << 32)), probability) if probability else None
            # A tile that waits for another must keep its comparators.
            garbage = int(rng.integers(1 << 32)) if len(arrays) == 1 or not probability else None
            levels = weights if len(arrays) == 1 else tile_weights(spec, array, weights)
            self.models.append(ArrayModel(array, levels, ready=ready, fault=fault, garbage_seed=garbage))
        self.model, self.checker = self.models[0], self.checkers[0]
        self._monitored = [group for group in step_groups(spec) if group.monitored]
        self.beats = {field.name: [] for group in self._monitored for field in group.fields}
        self.step_clocks = []
        self.beat_clocks = {group.name: [] for group in self._monitored}
        self._clock = 0
        steps = sum(len(utterance) for utterance in x)
        starts = Starts(np.zeros(len(x), bool) if starts.keep is None else starts.keep, starts.given)
        keep = starts.keep if spec.keeps_state else None

        async def feed(ctx):
            await send(ctx, self.dut.x, x_payloads(x, keep), pauses(rng, probability))

        async def load(ctx):
            if spec.initial == "stream":
                await send(ctx, self.dut.initial, initial_beats(spec, starts), pauses(rng, probability))

        async def take(ctx):
            self.h = await receive(ctx, self.dut.h, steps * spec.h_beats, pauses(rng, probability))

        m = Module()
        m.submodules.dut = self.dut
        boundaries = [Boundary(m, getattr(self.dut, name)) for name in arrays]

        async def array(ctx):
            await stand_behind(ctx, *zip(boundaries, self.models, self.checkers, strict=True))

        slowest = spec.clocks_per_step + spec.inputs + spec.load_clocks + 100
        simulate(
            m,
            take,
            background=(array, feed, load, self._watch),
            clocks=int(slowest * steps * (1 + 40 * probability)) + 1000,
        )
        for model in self.models:
            model.finish()

    async def _watch(self, ctx):
        monitor, h = self.dut.monitor, self.dut.h
        # Words are sampled; what they mean is looked at when a strobe is high, which is rare.
        strobes = Cat(*(getattr(monitor, group.name) for group in self._monitored))
        shapes = {name: getattr(monitor, name).shape() for name in self.beats}
        values = [Value.cast(getattr(monitor, name)) for name in self.beats]
        ends = 0
        async for _, _, end, strobed, *sampled in ctx.tick().sample(
            h.valid & h.ready & h.payload.end, strobes, *values
        ):
            self._clock += 1
            if strobed:
                self._record(strobed, dict(zip(self.beats, sampled, strict=True)), shapes)
            if end:
                self.step_clocks.append(self._clock - ends)
                ends = self._clock

    def _record(self, strobed: int, words: dict, shapes: dict):
        for index, group in enumerate(self._monitored):
            if strobed >> index & 1:
                self.beat_clocks[group.name].append(self._clock)
                for field in group.fields:
                    shown = shapes[field.name].from_bits(words[field.name])
                    self.beats[field.name].append([shown[lane] for lane in range(self.spec.lanes)])

    def units(self, name: str) -> np.ndarray:
        """What a monitor port showed: shape (steps, units); or ``"h"``: shape (steps, hidden)."""
        if name == "h":
            beats = [[beat.codes[lane] for lane in range(self.spec.lanes)] for beat in self.h]
        else:
            beats = self.beats[name]
        if name == "h":
            lanes = np.array(beats).reshape(-1, self.spec.h_beats * self.spec.lanes)
            assert (lanes[:, self.spec.hidden :] == 0).all(), "a lane beyond the last unit shows an h"
            return lanes[:, : self.spec.hidden]
        return np.array(beats).reshape(-1, self.spec.beats * self.spec.lanes)[:, : self.spec.units]

    def assert_equals(self, trace):
        """Every code, stored value and h equal to the golden ``trace`` (batch of one utterance after another)."""
        records = expected_records(self.spec, trace)
        expected = {"h": np.concatenate(list(trace.h))}
        for group in self._monitored:
            for name, beats in records[group.name].items():
                expected[name] = beats.reshape(-1, self.spec.beats * self.spec.lanes)[:, : self.spec.units]
        for name, value in expected.items():
            got = self.units(name)
            assert got.shape == value.shape
            assert got.size > 0
            np.testing.assert_array_equal(got, value, err_msg=name)
