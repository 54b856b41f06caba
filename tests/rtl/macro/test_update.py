# SPDX-License-Identifier: Apache-2.0
"""The cell update of every cell and its ring against golden, at the extremes of every format."""

import numpy as np
import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.macro.cell_update import run_update
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.update import CellUpdate, StateMemory, StateRing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import simulate
from tests.support.strategies import ALL_CELLS, seeds, specifications

TRIALS = 24


def extremes(rng, low, high, shape):
    """Integers over low..high, each end drawn as often as all between."""
    values = rng.integers(low, high + 1, shape)
    pick = rng.random(shape)
    return np.where(pick < 0.25, low, np.where(pick > 0.75, high, values))


def check(spec, seed) -> dict[str, np.ndarray]:
    """Every value that the pipeline stores, by name: equal to golden's, for codes and registers at their extremes."""
    rng = np.random.default_rng(seed)
    cell, dut = spec.layout, CellUpdate(spec)
    shape, got, expected = (TRIALS, spec.lanes), {}, {}

    async def bench(ctx):
        for update, stores in enumerate(cell.stores):
            values = {}
            for code in cell.updates[update]:
                codes = np.array(spec.ramp_walks[spec.ramp_of(cell.gate_of(code))].codes)
                values[code] = codes[extremes(rng, 0, len(codes) - 1, shape)]
            if cell.register:
                values[cell.register] = extremes(rng, -spec.state_max, spec.state_max, shape)
            expected.update(run_update(spec, update, values))
            ports = {code: f"code_{cell.gate_of(code)}" for code in cell.updates[update]} | {cell.register: "register"}
            ctx.set(dut.second, update)
            for store in stores:
                got[store.name] = []
            for trial in range(TRIALS):
                for name, numbers in values.items():
                    for lane in range(spec.lanes):
                        ctx.set(getattr(dut, ports[name])[lane], int(numbers[trial, lane]))
                ctx.set(dut.step, 1)
                await ctx.tick()
                ctx.set(dut.step, 0)
                for name in values:  # the registers hold their operands while nothing steps
                    ctx.set(getattr(dut, ports[name])[0], 0)
                await ctx.tick()
                for store in stores:
                    port = getattr(dut, f"new_{store.name}")
                    got[store.name].append([ctx.get(port[lane]) for lane in range(spec.lanes)])

    simulate(dut, bench)
    assert set(got) == set(expected) == set(cell.values)
    for name, numbers in expected.items():
        np.testing.assert_array_equal(np.array(got[name]), numbers, err_msg=name)
    return {name: np.array(numbers) for name, numbers in got.items()}


@pytest.mark.parametrize("cell", ALL_CELLS)
@given(data=st.data(), seed=seeds)
@settings(max_examples=20)
def test_every_specification(cell, data, seed):
    check(data.draw(specifications(max_units=3, cell=cell, any_ramps=True)), seed)


def test_c_saturates_and_never_wraps():
    spec = Specification(inputs=1, units=1, classes=1, state_bits=4, state_frac_bits=3, gates=(Gate("tanh", 1.0),) * 4)
    c = check(spec, 3)["c"]
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
