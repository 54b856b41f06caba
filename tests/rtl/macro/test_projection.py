# SPDX-License-Identifier: Apache-2.0
"""The projection against golden.cell.project: any sizes, groups that wait, and the clocks it states."""

import numpy as np
import pytest
from crossramp.golden.macro.cell_update import project
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.macro.projection import Projection
from hypothesis import given, settings

from tests.support.amaranth_benches import simulate
from tests.support.strategies import network_of, seeds, specifications


def run(spec, weights, codes, *, rng=None, probability=0.0):
    """(r, clocks of each projection) of a simulated unit, for ``codes`` of shape (steps, units)."""
    dut = Projection(spec, weights)
    padded = np.zeros((len(codes), spec.beats * spec.lanes), int)
    padded[:, : spec.units] = codes
    found, clocks = [], []

    async def bench(ctx):
        for step in padded.reshape(len(codes), spec.beats, spec.lanes).tolist():
            for group in step:
                ctx.set(dut.write, 1)
                ctx.set(dut.codes, group)
                await ctx.tick()
            ctx.set(dut.write, 0)
            ctx.set(dut.codes, [-1] * spec.lanes)  # nothing that is not written may be seen
            ctx.set(dut.run, 1)
            clock, done = 0, False
            while not done:
                ready = rng is None or rng.random() >= probability
                ctx.set(dut.ready, ready)
                clock += 1
                done = ctx.get(dut.done)
                if ready and ctx.get(dut.valid):
                    found.append([ctx.get(dut.r[lane]) for lane in range(spec.lanes)])
                    assert ctx.get(dut.end) == (len(found) % spec.h_beats == 0)
                    assert done == ctx.get(dut.end)
                await ctx.tick()
            ctx.set(dut.run, 0)
            clocks.append(clock)
            assert not ctx.get(dut.valid)
            if rng is not None:
                await ctx.tick().repeat(int(rng.integers(1, 4)))

    simulate(dut, bench, clocks=100_000)
    lanes = np.array(found).reshape(len(codes), -1)
    assert not lanes[:, spec.hidden :].any()
    return lanes[:, : spec.hidden], clocks


def codes_of(spec, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-spec.input_max, spec.input_max + 1, (4, spec.units))
    codes[1] = spec.input_max  # far beyond full scale, where weights have one sign
    return codes, rng


projected = specifications(max_units=9).map(lambda spec: spec.replace(projection=max(spec.projection, 1)))


@given(spec=projected, seed=seeds)
@settings(max_examples=30)
def test_every_specification(spec, seed):
    weights = network_of(spec, seed).weights.projection
    codes, rng = codes_of(spec, seed)
    expected = project(spec, weights, codes)
    r, clocks = run(spec, weights, codes)
    np.testing.assert_array_equal(r, expected)
    assert clocks == [spec.projection_clocks] * len(codes)
    r, _ = run(spec, weights, codes, rng=rng, probability=0.6)
    np.testing.assert_array_equal(r, expected)


SPEC = Specification(inputs=1, units=5, classes=1, lanes=2, projection=3, head_weight_bits=4)


def test_halves_and_saturation():
    """Sums of an odd number of halves, of both signs, and those beyond full scale."""
    weights = np.array([[4, 4, 0, 0, 0], [7, 7, 7, 7, 7], [0, 0, 0, 0, -4]])
    codes = np.array([[1, 0, 0, 0, 1], [-1, 0, 0, 0, -1], [15] * 5, [-15] * 5])
    r, _ = run(SPEC, weights, codes)
    assert r.tolist() == [[1, 2, -1], [-1, -2, 1], [15, 15, -8], [-15, -15, 8]]


def test_the_comparison_can_fail(seed):
    weights = network_of(SPEC, seed).weights.projection
    wrong = weights.copy()
    wrong[2, 4] = -wrong[2, 4] or 7
    codes = np.full((1, 5), 15)
    codes[0, :4] = 0
    r, _ = run(SPEC, wrong, codes)
    assert (r != project(SPEC, weights, codes)).tolist() == [[False, False, True]]


def test_refusals():
    with pytest.raises(ValueError, match="projection is 0: there is nothing to project"):
        Projection(SPEC.replace(projection=0), None)
    with pytest.raises(ValueError, match="projection_weights are missing"):
        Macro(SPEC)
    with pytest.raises(ValueError, match=r"projection_weights has the shape \(5, 3\); expected \(3, 5\)"):
        Projection(SPEC, np.zeros((5, 3), int))
