# SPDX-License-Identifier: Apache-2.0
"""The network top before the synthesizable emulator, from x codes to answers, against golden.network."""

import numpy as np
import pytest
from amaranth import Module, ResetInserter, Signal
from amaranth.lib import wiring
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.emulation.emulator import CrossbarEmulator
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.sim.checking.protocol import ProtocolChecker
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import pauses, receive, send, simulate, x_payloads
from tests.support.strategies import inputs_of, network_of, seeds, specifications


def run(spec, network, x, *, rng, columns_per_clock=1, probability=0.0, weights=None, reset_after=None):
    """(h, logits, answers) of network top and emulator; ``reset_after`` clocks of another utterance come first."""
    m = Module()
    top = NetworkTop.of(network)
    emulator = CrossbarEmulator(spec, network.weights.macro if weights is None else weights, columns_per_clock)
    both = Module()
    reset = Signal()
    both.submodules.top, both.submodules.emulator = top, emulator
    wiring.connect(both, top.array, emulator.array)
    m.submodules.both = ResetInserter(reset)(both)
    checker = ProtocolChecker(spec)
    found = {}
    steps = sum(map(len, x))
    answers = steps if spec.readout == "step" else len(x)

    async def check(ctx):
        while True:
            if ctx.get(reset):
                checker.reset()
            else:
                checker.clock(Pins(ctx, top.array), ctx.get(top.array.ready))
            await ctx.tick()

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


class Pins:
    """The boundary as the checker reads it."""

    def __init__(self, ctx, array):
        self._ctx, self._array = ctx, array

    def __getattr__(self, name):
        return self._ctx.get(getattr(self._array, name))


def check_equal(result, trace):
    h, logits, answers = result
    np.testing.assert_array_equal(h, np.concatenate(list(trace.h)))
    np.testing.assert_array_equal(logits, trace.logits.reshape(logits.shape))
    np.testing.assert_array_equal(answers, trace.answers.ravel())


@given(spec=specifications(max_units=5, max_inputs=4, max_bits=4), seed=seeds, data=st.data())
@settings(max_examples=15)
def test_every_specification(spec, seed, data):
    columns_per_clock = data.draw(st.integers(1, spec.units))
    network = network_of(spec, seed)
    x = inputs_of(spec, seed)
    rng = np.random.default_rng(seed)
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
    spec = SMALL.replace(units=units, inputs=inputs, settle_clocks=settle_clocks)
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
