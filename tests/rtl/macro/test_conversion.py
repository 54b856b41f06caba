# SPDX-License-Identifier: Apache-2.0
"""Ramp counter and capture bank against golden.ramp: any comparator trace, and what metastability can do."""

import itertools

import numpy as np
import pytest
from crossramp.golden.array.ramps import latch
from crossramp.golden.spec.activations import activation
from crossramp.golden.spec.ramp_walk import ramp_walk
from crossramp.rtl.macro.capture import SEGMENT, CaptureBank
from crossramp.rtl.macro.ramp_counter import RampCounter
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.amaranth_benches import simulate
from tests.support.strategies import gate_activations


def gray(count):
    return count ^ (count >> 1)


def as_int(bits) -> int:
    return sum(int(bit) << k for k, bit in enumerate(bits))


def convert(comparators, *, bits, lanes=1, mode="last_high", stalls=None) -> np.ndarray:
    """Codes a bank reads out after a ramp with ``comparators``, shape (ticks, columns); it starts full of ones."""
    ticks, columns = comparators.shape
    dut = CaptureBank(columns, bits, lanes=lanes, latch=mode)
    beats = -(-columns // lanes)
    codes = []

    async def read(ctx):
        ctx.set(dut.shift, 1)
        found = []
        for _ in range(beats):
            found += [ctx.get(dut.codes[lane]) for lane in range(lanes)]
            await ctx.tick()
        ctx.set(dut.shift, 0)
        return np.array(found)[:columns]

    async def bench(ctx):
        # What power-up leaves behind: anything. One readout clears it.
        ctx.set(dut.enable, 1)
        ctx.set(dut.count, -1)
        ctx.set(dut.comparators, -1)
        await ctx.tick().repeat(2)
        ctx.set(dut.enable, 0)
        await read(ctx)
        for _ in range(2):  # twice, so that the first readout must leave the bank cleared
            ctx.set(dut.arm, 1)
            await ctx.tick()
            ctx.set(dut.arm, 0)
            for tick in range(ticks):
                ctx.set(dut.count, gray(tick + 1))
                if stalls is not None and stalls[tick]:  # not enabled: whatever the comparators show is ignored
                    ctx.set(dut.comparators, as_int(~comparators[tick]))
                    await ctx.tick()
                ctx.set(dut.comparators, as_int(comparators[tick]))
                ctx.set(dut.enable, 1)
                await ctx.tick()
                ctx.set(dut.enable, 0)
            codes.append(await read(ctx))

    simulate(dut, bench)
    np.testing.assert_array_equal(codes[0], codes[1])
    return codes[0]


def staircase(codes, ticks):
    """The trace of well-behaved comparators: high on as many ticks as the code."""
    return np.arange(ticks)[:, None] < np.asarray(codes)[None, :]


CASES = {
    "one column": {"bits": 5, "codes": [17]},
    "no column trips": {"bits": 3, "codes": [7] * 5},
    "no column ever high": {"bits": 3, "codes": [0] * 5},
    "all trip in one tick": {"bits": 4, "codes": [9] * 6, "lanes": 4},
    "every code once": {"bits": 4, "codes": range(16), "lanes": 5},
    "eight bits": {"bits": 8, "codes": [0, 1, 127, 128, 254, 255], "lanes": 6},
    "two segments": {"bits": 2, "codes": [k % 4 for k in range(SEGMENT + 3)], "lanes": 8},
}


@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_codes_of_a_ramp(case, mode):
    codes = np.array(list(case["codes"]))
    bits = case["bits"]
    got = convert(staircase(codes, (1 << bits) - 1), bits=bits, lanes=case.get("lanes", 1), mode=mode)
    np.testing.assert_array_equal(got, codes)


@pytest.mark.parametrize("bits", range(2, 7))
@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
def test_any_comparator_trace(mode, bits, rng):
    ticks, columns, lanes = (1 << bits) - 1, 23, 4
    comparators = rng.random((ticks, columns)) < rng.random(columns)
    got = convert(comparators, bits=bits, lanes=lanes, mode=mode, stalls=rng.random(ticks) < 0.3)
    np.testing.assert_array_equal(got, latch(comparators, mode))
    assert (latch(comparators, "last_high") != latch(comparators, "first_trip")).any()


def test_the_comparison_can_fail(rng):
    comparators = rng.random((15, 23)) < 0.7
    assert (convert(comparators, bits=4, mode="first_trip") != latch(comparators, "last_high")).any()


@pytest.mark.parametrize("bits", range(2, 9))
def test_ramp_counter(bits):
    dut, ticks = RampCounter(bits), (1 << bits) - 1
    shown = []

    async def bench(ctx):
        for _ in range(2):
            assert ctx.get(dut.tap) == 0
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for _ in range(ticks):
                shown.append((ctx.get(dut.count), ctx.get(dut.tap), ctx.get(dut.last)))
                await ctx.tick().repeat(2)  # without step nothing moves
                ctx.set(dut.step, 1)
                await ctx.tick()
                ctx.set(dut.step, 0)
        assert ctx.get(dut.tap) == 0

    simulate(dut, bench)
    assert shown == [(gray(k), 1 << (k - 1), k == ticks) for k in range(1, ticks + 1)] * 2
    counts = [count for count, _, _ in shown[:ticks]]
    # Whichever of a column's flip-flops see the comparator and which do not, they hold one of two neighboring counts.
    assert all((a ^ b).bit_count() == 1 for a, b in itertools.pairwise(counts))


#: Of the counter: bits of the upward count, ticks of the conversions, other counts, ramps that end early.
SEVERAL = {
    "down and up": (2, (9,), [(4, (0, 15, 14, 13, 14, 15, 0, 1, 2, 3))], [3]),
    "up and down, and two lengths": (3, (7, 4), [(2, (0, 1, 2, 3, 2, 1, 0)), (3, (0, 1, 0, 7, 6))], [4, 6]),
    "one level": (2, (3,), [(2, (0, 1))], [1]),
    "turns at once": (2, (3,), [(3, (0, 1, 0, 1))], []),
}


@pytest.mark.parametrize("case", SEVERAL.values(), ids=SEVERAL.keys())
def test_counts_of_several_ramps(case):
    bits, ticks, turning, early = case
    dut = RampCounter(bits, ticks=ticks, turning=turning, early=early)
    lengths = [ticks[0], ticks[-1], ticks[0]]

    async def bench(ctx):
        for number, length in enumerate(lengths):
            if len(ticks) > 1:
                ctx.set(dut.of_second, number == 1)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for k in range(1, length + 1):
                assert ctx.get(dut.tap) == 1 << (k - 1)
                assert ctx.get(dut.last) == (k == length)
                if k < 1 << bits:
                    assert ctx.get(dut.count) == gray(k)
                for place, (_, codes) in enumerate(turning):
                    if k < len(codes):
                        assert ctx.get(getattr(dut, f"turning_{place}")) == gray(codes[k]), (number, k, place)
                for end in early:
                    assert ctx.get(getattr(dut, f"over_{end}")) == (k > end)
                await ctx.tick().repeat(k % 3 + 1)
                ctx.set(dut.step, 1)
                await ctx.tick()
                ctx.set(dut.step, 0)
            assert ctx.get(dut.tap) == 0

    simulate(dut, bench)


@given(st.sampled_from(gate_activations(turning=True)), st.integers(2, 9))
def test_neighboring_counts_differ_in_one_bit(text, bits):
    assume(not activation(text).turns or bits > 2)
    codes = ramp_walk(activation(text), bits).codes
    assert codes[0] == 0
    assert all((gray(a) ^ gray(b)).bit_count() == 1 for a, b in itertools.pairwise(codes))
    assert max(codes) < 1 << bits


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"columns": 0, "bits": 5}, "columns is 0: a bank has at least 1"),
        ({"columns": 8, "bits": 1}, "bits is 1: a ramp has 2 to 9"),
        ({"columns": 8, "bits": 10}, "bits is 10: a ramp has 2 to 9"),
        ({"columns": 8, "bits": 5, "lanes": 9}, "lanes is 9: expected 1 to 8"),
        ({"columns": 8, "bits": 5, "latch": "median"}, "latch is 'median': expected 'last_high' or 'first_trip'"),
    ],
)
def test_capture_refuses(parameters, message):
    with pytest.raises(ValueError, match=message):
        CaptureBank(**parameters)


def test_ramp_refuses():
    with pytest.raises(ValueError, match="bits is 10: a ramp has 2 to 9"):
        RampCounter(10)


@pytest.mark.parametrize("bits", range(2, 9))
def test_whichever_flip_flops_see_a_falling_comparator(bits):
    """A comparator that falls at the edge of tick k held count k - 1; each of its flip-flops may or may not take k."""
    masks = np.arange(1 << bits)
    for k in range(1, 1 << bits):
        mixed = (gray(k - 1) & ~masks) | (gray(k) & masks)
        assert {int(code) for code in mixed} == {gray(k - 1), gray(k)}


def test_a_comparator_that_rises_again_at_an_edge_may_leave_a_mixture():
    """The limit of the guarantee above, as docs/boundary.md states it: held 3, low on ticks 4 to 6, seen on tick 7."""
    masks = np.arange(16)
    mixed = {int(code) for code in (gray(3) & ~masks) | (gray(7) & masks)}
    assert mixed == {gray(0), gray(3), gray(4), gray(7)}
