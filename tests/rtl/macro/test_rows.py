# SPDX-License-Identifier: Apache-2.0
"""Pulse banks, pulse drivers and the loader: every code as long as its magnitude, no code lost."""

import numpy as np
import pytest
from crossramp.rtl.emulation.recorder import PulseRecorder
from crossramp.rtl.macro.loader import Loader
from crossramp.rtl.macro.pulses import PulseBank, PulseDriver

from tests.support.amaranth_benches import pauses, send, simulate


@pytest.mark.parametrize("bits", range(2, 9))
def test_pulse_widths(bits):
    full = (1 << (bits - 1)) - 1
    codes = np.arange(-full, full + 1)
    dut = PulseDriver(len(codes), bits)
    trace = []

    async def bench(ctx):
        ctx.set(dut.negative, sum(1 << k for k, code in enumerate(codes) if code < 0))
        for bit in range(bits - 1):
            ctx.set(dut.magnitude[bit], sum(int(abs(code) >> bit & 1) << k for k, code in enumerate(codes)))
        ctx.set(dut.drive, 1)
        for clock in range(full + 1):
            ctx.set(dut.count, min(clock, full))
            await ctx.tick()
            trace.append((ctx.get(dut.pos), ctx.get(dut.neg)))
        ctx.set(dut.drive, 0)
        await ctx.tick()
        assert (ctx.get(dut.pos), ctx.get(dut.neg)) == (0, 0)

    simulate(dut, bench)
    pos, neg = (
        np.array([[word >> k & 1 for k in range(len(codes))] for word in words]) for words in zip(*trace, strict=True)
    )
    np.testing.assert_array_equal(pos.sum(axis=0), np.maximum(codes, 0))
    np.testing.assert_array_equal(neg.sum(axis=0), np.maximum(-codes, 0))
    # Contiguous, from the first clock on.
    assert (np.diff(pos + neg, axis=0) <= 0).all()


@pytest.mark.parametrize(("lines", "lanes"), [(1, 1), (5, 1), (7, 3), (8, 4), (6, 6)])
def test_pulse_bank(lines, lanes, rng):
    bits = 5
    codes = rng.integers(-15, 16, -(-lines // lanes) * lanes)
    bank = PulseBank(lines, bits, lanes)

    async def write(ctx):
        ctx.set(bank.shift, 1)
        for group in codes.reshape(-1, lanes):
            for lane, code in enumerate(group):
                ctx.set(bank.codes[lane], int(code))
            await ctx.tick()
        ctx.set(bank.shift, 0)
        negative = ctx.get(bank.negative)
        planes = [ctx.get(bank.magnitude[bit]) for bit in range(bits - 1)]
        held = [sum((plane >> k & 1) << b for b, plane in enumerate(planes)) for k in range(lines)]
        np.testing.assert_array_equal(held, np.abs(codes[:lines]))
        np.testing.assert_array_equal([negative >> k & 1 for k in range(lines)], codes[:lines] < 0)

    simulate(bank, write)


@pytest.mark.parametrize(("lines", "bits"), [(1, 2), (3, 2), (1, 5), (7, 3), (20, 6)])
def test_pulse_recorder(lines, bits, rng):
    window = (1 << (bits - 1)) - 1
    dut = PulseRecorder(lines, bits)
    expected, shown, lasts, clocks = [], [], [], []

    async def bench(ctx):
        for pulses in ("thermometer", "any", "full"):
            pos, neg = np.zeros((2, window, lines), int)
            if pulses == "any":  # it measures, whatever the periphery does
                choice = rng.integers(0, 3, (window, lines))
                pos, neg = (choice == 1).astype(int), (choice == 2).astype(int)
            else:
                codes = rng.integers(-window, window + 1, lines) if pulses == "thermometer" else np.full(lines, -window)
                clock = np.arange(window)[:, None]
                pos, neg = (codes > clock).astype(int), (-codes > clock).astype(int)
            expected.extend(pos.sum(axis=0) - neg.sum(axis=0))
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            ctx.set(dut.record, 1)
            for now in range(window):
                for port, wave in ((dut.pos, pos), (dut.neg, neg)):
                    ctx.set(port, sum(int(bit) << k for k, bit in enumerate(wave[now])))
                await ctx.tick()
            ctx.set(dut.record, 0)
            ctx.set(dut.count, 1)
            for clock in range(lines * window + 5):
                if ctx.get(dut.valid):
                    shown.append(ctx.get(dut.value))
                    lasts.append(ctx.get(dut.last))
                    clocks.append(clock)
                await ctx.tick()
            ctx.set(dut.count, 0)

    simulate(dut, bench)
    assert shown == expected
    assert lasts == ([0] * (lines - 1) + [1]) * 3
    assert clocks == [window * (k + 1) for k in range(lines)] * 3  # as the docstring says


@pytest.mark.parametrize("inputs", [1, 2, 5])
@pytest.mark.parametrize("probability", [0.0, 0.4])
@pytest.mark.parametrize("shadow", [True, False])
def test_loader(inputs, shadow, probability, rng):
    steps = rng.integers(-15, 16, (12, inputs))
    lasts = rng.integers(0, 2, (12, inputs))
    dut = Loader(inputs, 5, shadow=shadow)
    taken, clocks = [], []

    async def feed(ctx):
        payloads = [
            {"code": int(code), "last": int(last)} for code, last in zip(steps.ravel(), lasts.ravel(), strict=True)
        ]
        await send(ctx, dut.x, payloads, pauses(rng, probability))

    async def take(ctx):
        pause, clock = pauses(rng, probability), 0
        while len(taken) < len(steps):
            idle = pause()
            ctx.set(dut.take, 0)
            if idle:
                await ctx.tick().repeat(idle)
                clock += idle
            taking = ctx.get(dut.full)
            ctx.set(dut.take, taking)
            await ctx.tick()
            clock += 1
            if taking:
                magnitude = [ctx.get(dut.magnitude[bit]) for bit in range(4)]
                held = [sum((plane >> k & 1) << b for b, plane in enumerate(magnitude)) for k in range(inputs)]
                sign = ctx.get(dut.negative)
                taken.append([-held[k] if sign >> k & 1 else held[k] for k in range(inputs)] + [ctx.get(dut.last)])
                clocks.append(clock)
                if not shadow:  # the codes stay until they are released, whatever the stream offers
                    ctx.set(dut.take, 0)
                    await ctx.tick().repeat(inputs + 2)
                    assert [ctx.get(dut.magnitude[bit]) for bit in range(4)] == magnitude
                    assert not ctx.get(dut.x.ready)
                    ctx.set(dut.release, 1)
                    await ctx.tick()
                    ctx.set(dut.release, 0)

    simulate(dut, take, background=[feed])
    np.testing.assert_array_equal(np.array(taken)[:, :-1], steps)
    np.testing.assert_array_equal(np.array(taken)[:, -1], lasts[:, -1])  # only the last code's flag counts
    if shadow and not probability:
        assert np.diff(clocks).tolist() == [max(inputs, 1)] * 11  # one code a clock, with no clock between steps
