# SPDX-License-Identifier: Apache-2.0
"""The cell update and its ring against golden.lstm, at the extremes of every format."""

import numpy as np
import pytest
from crossramp.golden.network.cell_update import state_pulses, update_c, update_h
from crossramp.golden.spec.cells import Gate
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.update import CellUpdate, StateMemory, StateRing
from hypothesis import given, settings

from tests.support.amaranth_benches import simulate
from tests.support.strategies import seeds, specifications

TRIALS = 24


def extremes(rng, low, high, shape):
    """Integers over low..high, each end drawn as often as all between."""
    values = rng.integers(low, high + 1, shape)
    pick = rng.random(shape)
    return np.where(pick < 0.25, low, np.where(pick > 0.75, high, values))


def run(spec, codes, c):
    """(c, q, h) that the pipeline gives for codes (trials, gates, lanes) and c (trials, lanes); t is bank g's code."""
    dut, results = CellUpdate(spec), []

    async def bench(ctx):
        for trial in range(len(codes)):
            row = []
            for second in (0, 1):
                ctx.set(dut.second, second)
                for lane in range(spec.lanes):
                    for k, gate in enumerate("ifgo"):
                        ctx.set(getattr(dut, gate)[lane], int(codes[trial, k, lane]))
                    ctx.set(dut.c[lane], int(c[trial, lane]))
                ctx.set(dut.step, 1)
                await ctx.tick()
                ctx.set(dut.step, 0)
                for gate in "ifgo":  # the product register holds its operands' products while nothing steps
                    ctx.set(getattr(dut, gate)[0], 0)
                await ctx.tick()
                row += [[ctx.get(port[lane]) for lane in range(spec.lanes)] for port in (dut.next_c, dut.pulses, dut.h)]
            results.append([row[0], row[1], row[5]])

    simulate(dut, bench)
    return np.array(results).transpose(1, 0, 2)


def check(spec, seed):
    rng = np.random.default_rng(seed)
    codes = extremes(rng, 0, spec.ticks, (TRIALS, 4, spec.lanes))
    c = extremes(rng, -spec.state_max, spec.state_max, (TRIALS, spec.lanes))
    got = run(spec, codes, c)
    golden_spec = spec.replace(units=spec.lanes, projection=0)
    expected_c = update_c(golden_spec, codes.reshape(TRIALS, -1), c)
    np.testing.assert_array_equal(got[0], expected_c)
    np.testing.assert_array_equal(got[1], state_pulses(spec, expected_c))
    np.testing.assert_array_equal(got[2], update_h(golden_spec, codes.reshape(TRIALS, -1), codes[:, 2]))
    return got


@given(spec=specifications(max_units=3), seed=seeds)
@settings(max_examples=60)
def test_every_specification(spec, seed):
    check(spec, seed)


def test_c_saturates_and_never_wraps():
    spec = Specification(inputs=1, units=1, classes=1, state_bits=4, state_frac_bits=3, gates=(Gate("tanh", 1.0),) * 4)
    c = check(spec, 3)[0]
    assert {-7, 7} <= set(c.ravel().tolist())


def test_gain_beyond_eight_bits():
    # A coarse c and a fine pulse code: one unit of c is more than the whole pulse range.
    spec = Specification(
        inputs=1,
        units=2,
        classes=1,
        input_bits=8,
        weight_bits=8,
        state_bits=8,
        state_frac_bits=0,
        state_pulse_bits=10,
        state_cell=1,
        # 127**2 levels of weight and input in a full scale of 127**2 / 400, so that a unit of c is 400 pulse clocks.
        gates=(Gate("sigmoid", 1.0), Gate("sigmoid", 1.0), Gate("tanh", 127**2 / 400), Gate("sigmoid", 1.0)),
    )
    assert spec.state_gain == (400, 0)
    check(spec, 4)


_RINGS = [(1, 1), (3, 1), (4, 2), (5, 2), (7, 3), (6, 6)]


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize(
    ("kind", "units", "lanes"),
    [(StateRing, *sizes) for sizes in _RINGS] + [(StateMemory, *sizes) for sizes in _RINGS if sizes[0] > sizes[1]],
)
def test_ring(kind, units, lanes, gap, rng):
    dut = kind(units, 8, lanes)
    groups = -(-units // lanes)
    held = np.zeros((groups, lanes), int)

    async def turn(ctx, new):
        """Read every group, write ``new`` one clock later, or with clocks between; returns what was read."""
        found, pending = [], None
        for k in range(groups + 1):
            if k < groups:
                found.append([ctx.get(dut.bottom[lane]) for lane in range(lanes)])
            if pending is not None:
                for lane in range(lanes):
                    ctx.set(dut.top[lane], int(pending[lane]))
            ctx.set(dut.write, pending is not None)
            if gap and pending is not None and k < groups:  # write first, read a clock later
                await ctx.tick()
                ctx.set(dut.write, 0)
            ctx.set(dut.read, k < groups)
            await ctx.tick()
            ctx.set(dut.read, 0)
            ctx.set(dut.write, 0)
            pending = new[k] if k < groups else None
        return np.array(found)

    async def bench(ctx):
        await turn(ctx, held)
        for _ in range(3):
            new = rng.integers(-127, 128, held.shape)
            found = await turn(ctx, new)
            np.testing.assert_array_equal(found, held)
            held[:] = new

    simulate(dut, bench)
