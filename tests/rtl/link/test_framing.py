# SPDX-License-Identifier: Apache-2.0
"""UART and frames on it against golden.hostlink, with anything on the line."""

import numpy as np
import pytest
from amaranth import Module
from crossramp.golden.link.link_protocol import ANSWER, END, ESC, Decoder, Fault, Frame, encode
from crossramp.rtl.link.framing import FramePort
from crossramp.rtl.link.uart import UartReceiver, UartTransmitter, divisor
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import CLOCK_S, pauses, send, simulate
from tests.support.strategies import seeds

DEPTH = 256  # the least


async def drive_byte(ctx, line, byte: int, clocks: int, stop: int = 1):
    """One byte on ``line``: start bit, data, stop bit."""
    for bit in (0, *(byte >> k & 1 for k in range(8)), stop):
        ctx.set(line, bit)
        await ctx.delay(clocks * CLOCK_S)
    ctx.set(line, 1)


def line_monitor(line, clocks: int, received: list):
    """A testbench that appends each byte on ``line``, and checks its stop bit."""

    async def monitor(ctx):
        while True:
            await ctx.negedge(line)
            await ctx.delay(clocks // 2 * CLOCK_S)
            byte = 0
            for bit in range(8):
                await ctx.delay(clocks * CLOCK_S)
                byte |= ctx.get(line) << bit
            await ctx.delay(clocks * CLOCK_S)
            assert ctx.get(line), "a byte without its stop bit"
            received.append(byte)

    return monitor


@pytest.mark.parametrize(
    ("clock", "baud", "clocks"), [(12_000_000, 1_000_000, 12), (12_000_000, 1_019_000, 12), (27_000_000, 115_200, 234)]
)
def test_divisor(clock, baud, clocks):
    assert divisor(clock, baud) == clocks


@pytest.mark.parametrize(("clock", "baud"), [(12_000_000, 4_000_000), (12_000_000, 2_600_000), (12_000_000, 1_033_000)])
def test_divisor_refuses(clock, baud):
    with pytest.raises(ValueError, match=f"{baud} baud cannot be made from a clock of {clock} Hz"):
        divisor(clock, baud)


@pytest.mark.parametrize("clocks", [4, 5, 12])
def test_uart_both_ways(clocks, rng):
    m = Module()
    m.submodules.transmitter = transmitter = UartTransmitter(clocks)
    m.submodules.receiver = receiver = UartReceiver(clocks)
    m.d.comb += receiver.rx.eq(transmitter.tx)
    data = [0, 255, *map(int, rng.integers(0, 256, 40))]
    seen, heard = [], []

    async def give(ctx):
        await send(ctx, transmitter.bytes, data, pauses(rng, 0.1))
        await ctx.tick().repeat(12 * clocks)

    async def take(ctx):
        async for _, _, valid, byte, fault in ctx.tick().sample(receiver.valid, receiver.data, receiver.fault):
            assert not fault
            if valid:
                seen.append(byte)

    simulate(m, give, background=[take, line_monitor(transmitter.tx, clocks, heard)])
    assert seen == data
    assert heard == data


def test_a_byte_without_its_stop_bit_is_a_fault_and_no_byte():
    dut, seen = UartReceiver(6), []

    async def give(ctx):
        for byte, stop in ((0x55, 1), (0x12, 0), (0x34, 1), (0xFF, 0)):
            await drive_byte(ctx, dut.rx, byte, 6, stop)
            await ctx.tick().repeat(12)

    async def take(ctx):
        async for _, _, valid, byte, fault in ctx.tick().sample(dut.valid, dut.data, dut.fault):
            if valid or fault:
                seen.append((byte, valid, fault))

    simulate(dut, give, background=[take])
    assert seen == [(0x55, 1, 0), (0x12, 0, 1), (0x34, 1, 0), (0xFF, 0, 1)]


@pytest.mark.parametrize(("clocks", "off"), [(8, 0), (12, 0), (12, 0.02), (12, -0.02), (27, 0.04), (27, -0.04)])
def test_receiver_takes_a_line_that_is_a_little_off(clocks, off, rng):
    """A sender whose bits are longer or shorter, and glitches shorter than half a bit between its bytes."""
    dut = UartReceiver(clocks)
    data = [int(byte) for byte in rng.integers(0, 256, 30)]
    seen = []

    async def give(ctx):
        now = 0.0
        for byte in data:
            ctx.set(dut.rx, 0)
            await ctx.tick().repeat(max(clocks // 2 - 2, 1))
            ctx.set(dut.rx, 1)
            await ctx.tick().repeat(clocks)
            now = 0.0
            for bit in (0, *(byte >> k & 1 for k in range(8)), 1):
                ctx.set(dut.rx, bit)
                until = now + clocks * (1 + off)
                await ctx.tick().repeat(round(until) - round(now))
                now = until
        await ctx.tick().repeat(2 * clocks)

    async def take(ctx):
        async for _, _, valid, byte in ctx.tick().sample(dut.valid, dut.data):
            if valid:
                seen.append(byte)

    simulate(dut, give, background=[take])
    assert seen == data


def line_bytes(rng: np.random.Generator, frames: int) -> bytes:
    """What is on a line with ``frames`` frames, most of them whole."""
    line = b""
    for _ in range(frames):
        payload = rng.choice(np.array([END, ESC, *range(256)], np.uint8), int(rng.integers(0, 10))).tobytes()
        data = bytearray(encode(Frame(int(rng.integers(256)), int(rng.integers(256)), payload)))
        kind, at = rng.integers(6), int(rng.integers(len(data)))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = bytes(rng.integers(0, 256, 3, np.uint8))
        line += data
    return line + bytes([END])


@given(seed=seeds)
@settings(max_examples=4)
def test_frames_are_the_decoders(seed):
    """Each frame is kept until it is answered; the answer arrives; whatever is dropped is counted alike."""
    rng = np.random.default_rng(seed)
    clocks = int(rng.integers(4, 6))
    data = line_bytes(rng, 6)
    decoder, expected = Decoder(DEPTH - 8), []
    dut = FramePort(clocks, DEPTH)
    kept, heard, answers = [], [], []

    async def give(ctx):
        for byte in data:
            await drive_byte(ctx, dut.rx, byte, clocks)
            await ctx.tick().repeat(3)
            frames = decoder.feed(bytes([byte]))
            assert ctx.get(dut.request.frame) == bool(frames)
            for frame in frames:
                expected.append(frame)
                await take(ctx)
        assert ctx.get(dut.request.faults) == decoder.faults
        assert ctx.get(dut.request.dropped) == decoder.dropped
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        await ctx.tick()
        assert (ctx.get(dut.request.faults), ctx.get(dut.request.dropped)) == (0, 0)

    async def take(ctx):
        payload = []
        for k in range(ctx.get(dut.request.length)):
            ctx.set(dut.request.address, 4 + k)
            await ctx.tick()
            payload.append(ctx.get(dut.request.byte))
        kept.append(Frame(ctx.get(dut.request.sequence), ctx.get(dut.request.command), bytes(payload)))
        if rng.random() < 0.2:
            ctx.set(dut.request.ignore, 1)
            await ctx.tick()
            ctx.set(dut.request.ignore, 0)
            await ctx.tick()
            return
        body = [kept[-1].sequence, kept[-1].command ^ ANSWER, len(payload) & 0xFF, len(payload) >> 8, *payload]
        answers.append(Frame(body[0], body[1], bytes(payload)))
        await send(
            ctx,
            dut.request.answer,
            [{"data": byte, "last": k == len(body) - 1} for k, byte in enumerate(body)],
            pauses(rng, 0.2),
        )
        while ctx.get(dut.request.frame):
            await ctx.tick()

    simulate(dut, give, background=[line_monitor(dut.tx, clocks, heard)], clocks=60_000)
    assert kept == expected
    sent = b"".join(map(encode, answers))
    assert bytes(heard) == sent[: len(heard)]
    assert len(heard) >= len(sent) - 1  # the last END may still be on its way


def test_each_fault_is_told_alone():
    """One wrong frame at a time, with everything forgotten before it: no other kind is told with it."""
    dut, clocks = FramePort(4, DEPTH), 4
    good = encode(Frame(1, 2, b"abc"))
    lines = {
        Fault.ESCAPE: bytes([END, 1, ESC, 7, 5, 6, END]),
        Fault.CHECK: good[:-3] + bytes([good[-3] ^ 1]) + good[-2:],
        Fault.SIZE: bytes([END, *[1] * (DEPTH + 1), END]),
    }
    found = {}

    async def give(ctx):
        for kind, line in [*lines.items(), (Fault.LINE, bytes([END, 1, 2, 3, END]))]:
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            for place, byte in enumerate(line):
                await drive_byte(ctx, dut.rx, byte, clocks, int(kind != Fault.LINE or place != 2))
                await ctx.tick().repeat(4 * clocks)
            found[kind] = Fault(ctx.get(dut.request.faults)), ctx.get(dut.request.dropped), ctx.get(dut.request.frame)

    simulate(dut, give, clocks=60_000)
    assert found == {kind: (kind, 1, 0) for kind in found}
    for kind, line in lines.items():
        decoder = Decoder(DEPTH - 8)
        assert decoder.feed(line) == []
        assert (decoder.faults, decoder.dropped) == (kind, 1)


def test_the_longest_frame_and_one_byte_more():
    dut = FramePort(4, DEPTH)
    decoder = Decoder(DEPTH - 8)

    async def bench(ctx):
        for count in (DEPTH - 7, DEPTH - 8):
            for byte in encode(Frame(3, 4, bytes(count))):
                await drive_byte(ctx, dut.rx, byte, 4)
            await ctx.tick().repeat(3)
            frames = decoder.feed(encode(Frame(3, 4, bytes(count))))
            assert ctx.get(dut.request.frame) == len(frames) == (count == DEPTH - 8)
            assert ctx.get(dut.request.faults) == decoder.faults == Fault.SIZE
        assert ctx.get(dut.request.length) == DEPTH - 8

    simulate(dut, bench)


def test_what_comes_while_a_frame_is_kept_is_dropped():
    """Also when its end comes after the release; and a stop bit that is missing spoils its frame alone."""
    dut = FramePort(4, DEPTH)
    request = encode(Frame(1, 2, b"\x05"))

    async def bench(ctx):
        async def put(data, broken=None):
            for k, byte in enumerate(data):
                await drive_byte(ctx, dut.rx, byte, 4, stop=int(k != broken))
                if k == broken:
                    await ctx.tick().repeat(8)
            await ctx.tick().repeat(4)

        async def release():
            ctx.set(dut.request.ignore, 1)
            await ctx.tick()
            ctx.set(dut.request.ignore, 0)
            await ctx.tick()

        await put(request)
        assert ctx.get(dut.request.frame)
        await put(encode(Frame(9, 9, b"other"))[:8])
        assert (ctx.get(dut.request.frame), ctx.get(dut.request.sequence), ctx.get(dut.request.command)) == (1, 1, 2)
        assert ctx.get(dut.request.faults) == Fault.OVERRUN
        await release()
        await put(encode(Frame(9, 9, b"other"))[8:])
        assert not ctx.get(dut.request.frame)
        assert ctx.get(dut.request.dropped) == 1
        await put(request, broken=4)
        assert not ctx.get(dut.request.frame)
        assert ctx.get(dut.request.faults) == Fault.OVERRUN | Fault.LINE
        assert ctx.get(dut.request.dropped) == 2
        await put(request)
        assert ctx.get(dut.request.frame)

    simulate(dut, bench)


def test_what_comes_while_an_answer_is_under_way_leaves_it_alone():
    dut = FramePort(4, DEPTH)
    heard = []
    body = [1, 0x82, 5, 0, 10, END, ESC, ESC, 30]  # which SLIP escapes

    async def bench(ctx):
        for byte in encode(Frame(1, 2, b"\x05")):
            await drive_byte(ctx, dut.rx, byte, 4)
        await ctx.tick().repeat(4)
        await send(ctx, dut.request.answer, [{"data": byte, "last": k == len(body) - 1} for k, byte in enumerate(body)])
        while ctx.get(dut.request.frame):
            await ctx.tick()
        await ctx.tick().repeat(60)

    async def noise(ctx):
        while not ctx.get(dut.request.frame):
            await ctx.tick()
        await ctx.tick().repeat(20)
        for byte in (END, 1, END, END, ESC, END, 7):
            await drive_byte(ctx, dut.rx, byte, 4)

    simulate(dut, bench, background=[noise, line_monitor(dut.tx, 4, heard)])
    assert bytes(heard) == encode(Frame(1, 0x82, bytes(body[4:])))


@settings(max_examples=5)
@given(st.binary(min_size=1, max_size=12))
def test_a_wrong_check_is_noticed(payload):
    """The comparison can fail: with one bit of the line changed, no frame is kept."""
    dut = FramePort(4, DEPTH)
    data = bytearray(encode(Frame(1, 2, payload)))
    data[3] ^= 0x10  # of the length

    async def bench(ctx):
        for byte in data:
            await drive_byte(ctx, dut.rx, byte, 4)
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.request.frame)
        assert ctx.get(dut.request.dropped) > 0

    simulate(dut, bench)
