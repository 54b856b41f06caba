# SPDX-License-Identifier: Apache-2.0
"""Integer expressions of the gateware against golden.integers and golden.ramp, over all their operands."""

import numpy as np
import pytest
from amaranth import Cat, Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from crossramp.golden.array import integers, ramps
from crossramp.rtl.common import arith
from crossramp.rtl.macro.pulses import sign_magnitude


def evaluate(expression, shape_in, values, width_out=24):
    """What a combinational ``expression(signal)`` gives for each of ``values``, as int64."""

    class Block(wiring.Component):
        def __init__(self):
            super().__init__({"a": In(shape_in), "y": Out(signed(width_out))})

        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.y.eq(expression(self.a))
            return m

    dut, results = Block(), []

    async def bench(ctx):
        for value in values:
            ctx.set(dut.a, int(value))
            await ctx.delay(1e-9)
            results.append(ctx.get(dut.y))

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    return np.array(results)


SIGNED = np.arange(-(1 << 9), 1 << 9)


@pytest.mark.parametrize("shift", [0, 1, 2, 5, 9, 12])
def test_round_shift(shift):
    got = evaluate(lambda a: arith.round_shift(a, shift), signed(10), SIGNED)
    np.testing.assert_array_equal(got, integers.round_shift(SIGNED, shift))


@pytest.mark.parametrize("limit", [1, 2, 15, 100, 511, 512, 5000])
def test_saturate(limit):
    got = evaluate(lambda a: arith.saturate(a, limit), signed(10), SIGNED)
    np.testing.assert_array_equal(got, integers.saturate(SIGNED, limit))


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("bipolar", [False, True])
def test_decode(bits, bipolar):
    codes = np.arange(1 << bits)
    got = evaluate(lambda a: arith.decode(a, bipolar), bits, codes)
    np.testing.assert_array_equal(got, ramps.decode_integer(codes, bipolar, bits))


@pytest.mark.parametrize("bits", range(2, 9))
def test_gray_to_binary(bits):
    binary = np.arange(1 << bits)
    got = evaluate(lambda a: Cat(*arith.gray_to_binary(a)), bits, binary ^ (binary >> 1))
    np.testing.assert_array_equal(got, binary)


@pytest.mark.parametrize("bits", range(2, 9))
def test_sign_magnitude(bits):
    full = (1 << (bits - 1)) - 1
    codes = np.arange(-full - 1, full + 1)
    got = evaluate(sign_magnitude, signed(bits), codes)
    np.testing.assert_array_equal(got & full, np.minimum(np.abs(codes), full))
    np.testing.assert_array_equal(got >> (bits - 1), codes < 0)


def test_the_comparison_can_fail():
    got = evaluate(lambda a: (a + 1) >> 1, signed(10), SIGNED)  # rounds negative halves up, not away
    assert (got != integers.round_shift(SIGNED, 1)).any()
