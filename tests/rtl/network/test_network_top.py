# SPDX-License-Identifier: Apache-2.0
"""The network top before the synthesizable emulator, from x codes to answers, against golden.network."""

import numpy as np
import pytest
from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from crossramp.golden.cell.library import CELLS
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.emulation.accumulation import Accumulation
from crossramp.rtl.emulation.emulator import CrossbarEmulator
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.sim.checking.protocol import ProtocolChecker
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import Boundary, pauses, receive, send, simulate, x_payloads
from tests.support.strategies import inputs_of, network_of, seeds, specifications


def run(
    spec,
    network,
    x,
    *,
    rng,
    columns_per_clock=1,
    probability=0.0,
    weights=None,
    lines=None,
    reset_after=None,
    spoil=None,
):
    """(h, logits, answers) of network top and emulator; ``reset_after`` clocks of another utterance come first.

    ``weights`` and ``lines`` are the emulator's where they are not the network's. ``spoil(m, top, emulator)`` may wire
    their boundary otherwise than it should be.
    """
    m = Module()
    top = NetworkTop.of(network)
    emulator = CrossbarEmulator(
        spec,
        network.weights.macro if weights is None else weights,
        columns_per_clock,
        lines=network.weights.lines if lines is None else lines,
    )
    both = Module()
    reset = Signal()
    both.submodules.top, both.submodules.emulator = top, emulator
    wiring.connect(both, top.array, emulator.array)
    if spoil is not None:
        spoil(both, top, emulator)
    m.submodules.both = ResetInserter(reset)(both)
    checker = ProtocolChecker(spec)
    found = {}
    steps = sum(map(len, x))
    answers = steps if spec.readout == "step" else len(x)

    boundary, others = Boundary(m, top.array), Signal(2)
    m.d.comb += others.eq(Cat(top.array.ready, reset))

    async def check(ctx):
        def look():
            seen = ctx.get(others)
            if seen >> 1:
                checker.reset()
            else:
                checker.clock(boundary.read(ctx), seen & 1)

        look()
        async for _ in ctx.tick():
            look()

    async def feed(ctx):
        if reset_after is not None:
            ctx.set(top.x.valid, 1)
            ctx.set(top.x.payload.code, 1)
            await ctx.tick().repeat(reset_after)
            ctx.set(top.x.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
        await send(ctx, top.x, x_payloads(x), pauses(rng, probability))

    def taker(name, stream, count):
        async def take(ctx):
            if reset_after is not None:
                await ctx.tick().repeat(reset_after + 1)
            found[name] = await receive(ctx, stream, count, pauses(rng, probability))

        return take

    groups = len(spec.gate_names) * emulator.groups
    slow = groups * (spec.rows + 3) + 2 * spec.ticks * (groups + 2) + spec.clocks_per_step + spec.inputs
    simulate(
        m,
        taker("h", top.h, steps * spec.h_beats),
        taker("logits", top.logit, answers * spec.classes),
        taker("answers", top.answer, answers),
        background=[feed, check],
        clocks=int((steps * slow + spec.classes * (spec.units + 9) * answers) * (2 + 20 * probability)) + 2000,
    )
    lanes = [[beat.codes[lane] for lane in range(spec.lanes)] for beat in found["h"]]
    h = np.array(lanes).reshape(steps, -1)
    assert (h[:, spec.hidden :] == 0).all()  # lanes beyond the last unit
    ends = [beat.end for beat in found["h"]]
    assert ends == [b == spec.h_beats - 1 for b in range(spec.h_beats)] * steps
    logits = np.array([logit.value for logit in found["logits"]]).reshape(answers, spec.classes)
    return h[:, : spec.hidden], logits, np.array([answer.index for answer in found["answers"]])


def check_equal(result, trace):
    h, logits, answers = result
    np.testing.assert_array_equal(h, np.concatenate(list(trace.h)))
    np.testing.assert_array_equal(logits, trace.logits.reshape(logits.shape))
    np.testing.assert_array_equal(answers, trace.answers.ravel())


@given(spec=specifications(max_units=5, max_inputs=4, max_bits=4, any_ramps=True), seed=seeds, data=st.data())
@settings(max_examples=8)
def test_every_specification(spec, seed, data):
    columns_per_clock = data.draw(st.integers(1, spec.units))
    network = network_of(spec, seed)
    x = inputs_of(spec, seed)
    rng = np.random.default_rng(seed)
    result = run(spec, network, list(x), rng=rng, columns_per_clock=columns_per_clock, probability=0.1)
    check_equal(result, network.run(x))


def cell_specification(cell: str, seed: int) -> Specification:
    """A small network of a cell, its sizes drawn."""
    rng = np.random.default_rng([seed, 5])
    bits = dict(zip(("adc_bits", "input_bits", "weight_bits"), rng.integers(2, 5, 3).tolist(), strict=True))
    units, readout = int(rng.integers(1, 6)), rng.choice(["mean", "last", "step"])
    drawn = {
        "inputs": int(rng.integers(1, 5)),
        "units": units,
        "bias_rows": int(rng.integers(0, 3)),
        "lanes": int(rng.integers(1, units + 1)),
        "settle_clocks": int(rng.integers(1, 4)),
        "latch": str(rng.choice(["last_high", "first_trip"])),
        "projection": int(rng.integers(0, units + 1)),
    }
    return Specification(cell=cell, classes=2, readout=str(readout), **bits, **drawn)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell, seed, rng):
    for k in range(2):
        spec = cell_specification(cell, seed + k)
        network, x = network_of(spec, seed), inputs_of(spec, seed)
        columns_per_clock = int(rng.integers(1, spec.units + 1))
        result = run(spec, network, list(x), rng=rng, columns_per_clock=columns_per_clock, probability=0.1)
        check_equal(result, network.run(x))


SMALL = Specification(inputs=3, units=5, classes=3, lanes=2, adc_bits=3, input_bits=3, state_pulse_bits=4)


@pytest.mark.parametrize("readout", ["mean", "step"])
@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_a_beat_moves_when_tap_and_head_both_take_it(probability, readout, seed, rng):
    # Steps shorter than the head needs for an utterance of one: now the head refuses, now the tap.
    short = {"adc_bits": 2, "input_bits": 2, "state_pulse_bits": 2, "state_cell": 15}
    spec = SMALL.replace(readout=readout, classes=16, inputs=1, units=12, **short)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=6, steps=1)
    result = run(spec, network, list(x), rng=rng, columns_per_clock=12, probability=probability)
    check_equal(result, network.run(x))


@pytest.mark.parametrize("reset_after", [1, 10, 60, 200, 333])
def test_reset_in_the_middle_of_anything(reset_after, seed, rng):
    network, x = network_of(SMALL, seed), inputs_of(SMALL, seed)
    check_equal(run(SMALL, network, list(x), rng=rng, reset_after=reset_after), network.run(x))


@pytest.mark.parametrize("settle_clocks", [1, 5, 200])
@pytest.mark.parametrize(("units", "columns_per_clock", "inputs"), [(5, 2, 3), (4, 4, 3), (3, 1, 9)])
def test_clocks_of_an_emulated_step(units, columns_per_clock, inputs, settle_clocks, seed):
    check_clocks(SMALL.replace(units=units, inputs=inputs, settle_clocks=settle_clocks), columns_per_clock, seed)


@pytest.mark.parametrize("cell", CELLS)
def test_clocks_of_an_emulated_step_of_every_cell(cell, seed, rng):
    spec = cell_specification(cell, seed).replace(projection=0)
    check_clocks(spec, int(rng.integers(1, spec.units + 1)), seed)


def check_clocks(spec, columns_per_clock, seed):
    m = Module()
    m.submodules.macro = macro = Macro(spec)
    m.submodules.emulator = emulator = CrossbarEmulator(spec, network_of(spec, seed).weights.macro, columns_per_clock)
    wiring.connect(m, macro.array, emulator.array)
    ends = []

    async def feed(ctx):
        await send(ctx, macro.x, x_payloads(list(inputs_of(spec, seed, batch=1, steps=3))))

    async def watch(ctx):
        ctx.set(macro.h.ready, 1)
        clock = 0
        async for _, _, end in ctx.tick().sample(macro.h.valid & macro.h.payload.end):
            clock += 1
            if end:
                ends.append(clock)
            if len(ends) == 3:
                return

    simulate(m, watch, background=[feed])
    assert np.diff(ends).tolist() == [spec.clocks_per_step + emulator.extra_clocks_per_step()] * 2


def test_the_comparison_can_fail(seed, rng):
    network, x = network_of(SMALL, seed), inputs_of(SMALL, seed)
    wrong = network.weights.macro.copy()
    wrong[0] = -wrong[0]
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_equal(run(SMALL, network, list(x), rng=rng, weights=wrong), network.run(x))


def cell_of(name: str) -> Specification:
    return Specification(cell=name, inputs=3, units=5, classes=3, lanes=2, adc_bits=3, input_bits=4, weight_bits=4)


def empties_all(m, top, emulator):
    """Banks that hold are emptied with the others."""
    m.d.comb += emulator.array.reset.eq(Mux(top.array.reset[0], 3, 0))


def empties_none(m, top, emulator):
    """Banks that hold are never emptied."""
    m.d.comb += emulator.array.reset.eq(top.array.reset[0])


@pytest.mark.parametrize("cell", [name for name in CELLS if CELLS[name].held])
@pytest.mark.parametrize("spoil", [empties_all, empties_none])
def test_held_sums_follow_their_reset_wire(cell, spoil, seed, rng):
    spec = cell_of(cell)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_equal(run(spec, network, list(x), rng=rng, columns_per_clock=2, spoil=spoil), network.run(x))


@pytest.mark.parametrize("trained", range(3))
def test_each_trained_line_cell_counts(trained, seed, rng):
    spec = cell_of("lstm_peephole")
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3)
    wrong = network.weights.lines.copy()
    wrong[trained] = np.where(wrong[trained] > 0, -1, 1) * spec.weight_max
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_equal(run(spec, network, list(x), rng=rng, lines=wrong), network.run(x))


def test_pulses_shorter_than_their_window_are_recorded_once(seed, rng, monkeypatch):
    """The rows of a peephole cell: their window is as long as a pulse of the lines."""
    spec = cell_of("lstm_peephole")
    assert spec.windows[0] > spec.input_max
    network, x = network_of(spec, seed), inputs_of(spec, seed)
    monkeypatch.setattr(Accumulation, "_stops", lambda self, driven, longest: {})
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_equal(run(spec, network, list(x), rng=rng), network.run(x))


@pytest.mark.parametrize(
    ("columns_per_clock", "rows", "message"),
    [
        (0, 9, "columns_per_clock is 0: expected 1 to 5"),
        (6, 9, "columns_per_clock is 6: expected 1 to 5"),
        (1, 8, r"weights have the shape \(8, 20\): expected \(9, 20\)"),
    ],
)
def test_emulator_refuses(columns_per_clock, rows, message):
    with pytest.raises(ValueError, match=message):
        CrossbarEmulator(SMALL, np.zeros((rows, 20), int), columns_per_clock)


def test_emulator_refuses_lines_of_another_shape():
    with pytest.raises(ValueError, match=r"lines have the shape \(5, 3\): expected \(3, 5\)"):
        CrossbarEmulator(cell_of("lstm_peephole"), lines=np.zeros((5, 3), int))
