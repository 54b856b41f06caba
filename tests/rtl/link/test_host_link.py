# SPDX-License-Identifier: Apache-2.0
"""The board core behind its host link, clock by clock: what the golden link model, which has no clock, cannot know.

Its answers, byte for byte under any traffic, are compared in tests/boards/virtual/test_virtual_board.py.
"""

import numpy as np
import pytest
from crossramp.boards.definitions.board import probed_columns
from crossramp.boards.flow.board_core import BoardCore
from crossramp.golden.link.board_memory import Build, head_image, thresholds_image, weights_image
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import (
    END,
    Command,
    Decoder,
    Frame,
    Space,
    Status,
    StatusBlock,
    encode,
    read_payload,
    step_payload,
    write_payload,
)
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.emulation.pacing import Pacer
from crossramp.rtl.link.host_link import HostLink
from crossramp.rtl.verilog.verilog_writer import port_table
from crossramp.sim.array.python_array import ArrayModel, drive_array
from crossramp.sim.checking.protocol import ProtocolChecker

from tests.rtl.link.test_framing import drive_byte, line_monitor
from tests.support.amaranth_benches import CLOCK_S, simulate
from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=3, units=5, classes=3, lanes=2, adc_bits=3, input_bits=3, state_pulse_bits=4)
CLOCKS = 4  # of a bit


def build(spec=SPEC, columns_per_clock=2) -> Build:
    return Build("test", spec, columns_per_clock, CLOCKS * 1_000_000)


class Host:
    """Asks a simulated core, one command after another."""

    def __init__(self, core: BoardCore):
        self.core, self.heard, self.sequence = core, [], 0
        self.listen = line_monitor(core.tx, CLOCKS, self.heard)

    async def ask(self, ctx, command: int, payload: bytes = b"") -> bytes:
        """The payload of the answer."""
        self.sequence = (self.sequence + 1) % 256
        self.heard.clear()
        for byte in encode(Frame(self.sequence, command, payload)):
            await drive_byte(ctx, self.core.rx, byte, CLOCKS)
        while len(self.heard) < 2 or self.heard[-1] != END:
            await ctx.delay(CLOCKS * CLOCK_S)
        (frame,) = Decoder().feed(bytes(self.heard))
        assert frame.sequence == self.sequence
        return frame.payload

    async def status(self, ctx) -> StatusBlock:
        return StatusBlock.unpack((await self.ask(ctx, Command.STATUS))[1:])

    async def write(self, ctx, space: Space, image: bytes, at: int = 0):
        size = self.core.build.word_bytes(space)
        words = 240 // size
        for k in range(0, len(image) // size, words):
            payload = write_payload(at + k, image[k * size : (k + words) * size])
            assert await self.ask(ctx, Command.WRITE + space, payload) == bytes([Status.OK])

    async def settings(self, ctx, *values: int):
        await self.write(ctx, Space.SETTINGS, np.array(values, "<u2").tobytes())

    async def step(self, ctx, tag: int, step: int, last: bool, codes) -> Status:
        return Status((await self.ask(ctx, Command.STEP, step_payload(tag, step, last, codes)))[0])


def test_busy_until_it_is_done(seed):
    """While a step takes long, what needs the network is refused, unharmed; then all is as the golden model says."""
    network, x = network_of(SPEC, seed), inputs_of(SPEC, seed, batch=1, steps=3)
    core = BoardCore(build())
    host = Host(core)
    image = weights_image(build(), network.weights.macro)

    async def bench(ctx):
        await host.write(ctx, Space.WEIGHTS, image)
        await host.write(ctx, Space.THRESHOLDS, thresholds_image(build()))
        await host.write(ctx, Space.HEAD, head_image(build(), network.weights))
        await host.settings(ctx, 4500)
        assert await host.ask(ctx, Command.RESET, b"\x05") == bytes([Status.OK])
        assert await host.step(ctx, 5, 0, False, x[0, 0]) == Status.OK
        # The next one is taken while the first is computed, as soon as its pulses are over; one more is not.
        assert await host.step(ctx, 5, 1, False, x[0, 1]) == Status.OK
        assert await host.step(ctx, 5, 2, True, x[0, 2]) == Status.BUSY
        assert await host.step(ctx, 5, 1, False, x[0, 1]) == Status.OK  # repeated, not taken again
        assert (ctx.get(core.busy), ctx.get(core.ready)) == (1, 0)
        status = await host.status(ctx)
        assert (status.computing, status.full, status.accepted, status.done) == (True, True, 2, 0)
        wrong = bytes(len(image))
        for space in (Space.WEIGHTS, Space.SETTINGS):
            size = build().word_bytes(space)
            answer = await host.ask(ctx, Command.WRITE + space, write_payload(0, wrong[:size]))
            assert answer == bytes([Status.BUSY])
        for space in (Space.IDENTITY, Space.H):
            answer = await host.ask(ctx, Command.READ + space, read_payload(0, 1))
            assert answer[0] == (Status.OK if space == Space.IDENTITY else Status.BUSY)
        while await host.step(ctx, 5, 2, True, x[0, 2]) == Status.BUSY:
            pass
        while (await host.status(ctx)).computing:
            pass
        await host.settings(ctx, 0)
        logits = await host.ask(ctx, Command.READ + Space.LOGITS, read_payload(0, SPEC.classes))
        status = await host.status(ctx)
        size = build().word_bytes(Space.LOGITS)
        words = [logits[1 + size * k : 1 + size * (k + 1)] for k in range(SPEC.classes)]
        trace = network.run(x)
        assert [int.from_bytes(word, "little", signed=True) for word in words] == trace.logits[0].tolist()
        assert (status.answered, status.answer, status.done) == (True, trace.answers[0], 3)
        assert (ctx.get(core.busy), ctx.get(core.ready), ctx.get(core.error)) == (0, 1, 0)

    simulate(core, bench, background=[host.listen], clocks=300_000)


def test_which_step_is_taken_is_the_golden_model_s(seed):
    """Numbers around the next one and far from it: before the first step there is none that was asked again."""
    core, model = BoardCore(build()), LinkModel(build())
    host = Host(core)
    codes = inputs_of(SPEC, seed, batch=1, steps=1)[0, 0]
    found = []
    # What one below 0 is in numbers of 8, 16 and 32 bits, and of those that the gateware counts steps with.
    width = SPEC.max_steps.bit_length() + 1
    before = [(9, (1 << bits) - 1) for bits in (8, width - 1, width, 16, 32)]

    async def bench(ctx):
        for tag, number in (
            *[(0, 0), (9, None), *before, (9, 1), (9, 1 << 31), (8, 0), (9, 0)],
            *[(9, 2**32 - 1), (9, 0), (9, 1 << 8), (9, 257), (9, 1)],
        ):
            command = Command.STEP if number is not None else Command.RESET
            payload = bytes([tag]) if number is None else step_payload(tag, number, False, codes)
            expected = model.respond(Frame(0, command, payload)).payload
            answer = await host.ask(ctx, command, payload)
            while answer == bytes([Status.BUSY]):
                answer = await host.ask(ctx, command, payload)
            found.append(Status(answer[0]).name)
            assert answer == expected, (tag, number)

    simulate(core, bench, background=[host.listen], clocks=300_000)
    assert found == ["ORDER", "OK", *["ORDER"] * (len(before) + 3), "OK", "ORDER", "OK", "ORDER", "ORDER", "OK"]


@pytest.mark.parametrize(("hold", "tick"), [(1, 0), (40, 7)])
def test_pins_and_pacing(hold, tick, seed):
    """A core with its array on pins; holds and ticks last as long as the settings say, by the core's own counters."""
    spec = SPEC.replace(units=2, lanes=1, settle_clocks=2, calibration_cells=9)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=1, steps=2)
    core = BoardCore(build(spec, 0))
    host, model = Host(core), ArrayModel(spec, network.weights.macro)
    # Beyond the pacer the array sees ramps that pause although it was ready.
    checker = ProtocolChecker(spec) if hold <= 1 and tick <= 1 else None
    cells = 9 * len(spec.ramps)
    found = {}

    async def array(ctx):
        await drive_array(ctx, core.array, model, checker=checker)

    async def bench(ctx):
        await host.write(ctx, Space.HEAD, head_image(build(spec, 0), network.weights))
        words = [hold, tick] + [0x8001] * -(-cells // 16)
        await host.settings(ctx, *words)
        assert await host.ask(ctx, Command.READ + Space.WEIGHTS, read_payload(0, 1)) == bytes([Status.UNKNOWN])
        shown = await host.ask(ctx, Command.READ + Space.SETTINGS, read_payload(0, len(words)))
        kept = [hold, tick, *(0x8001 & ((1 << min(cells - k, 16)) - 1) for k in range(0, cells, 16))]
        assert np.frombuffer(shown[1:], "<u2").tolist() == kept
        found["calibration"] = ctx.get(core.array.calibration)
        await host.ask(ctx, Command.RESET, b"\x01")
        for t in range(2):
            assert await host.step(ctx, 1, t, t == 1, x[0, t]) == Status.OK
            while (await host.status(ctx)).done != t + 1:
                pass
            if t == 0:
                found["first"] = await host.status(ctx)
        found["last"] = await host.status(ctx)

    simulate(core, bench, background=[host.listen, array], clocks=200_000)
    model.finish()
    assert found["calibration"] == sum(1 << k for k in range(cells) if k % 16 in (0, 15))
    waiting = 2 * max(hold - spec.settle_clocks, 0) + 2 * spec.ticks * max(tick - 1, 0)
    first, last = found["first"], found["last"]
    assert (first.waiting, last.waiting) == (waiting, 2 * waiting)
    assert first.clocks == spec.clocks_per_step + waiting
    assert last.answer == network.run(x).answers[0]


def test_probes_show_the_first_units_of_each_bank():
    assert probed_columns(build().spec) == [0, 1, 5, 6, 10, 11, 15, 16]
    one = build(SPEC.replace(units=1, lanes=1), 1)
    assert probed_columns(one.spec) == [0, 1, 2, 3]
    assert {port.name: port.width for port in port_table(BoardCore(one))}["probes"] == 4


def test_pacer_changes_nothing_but_ready():
    ports = {port.name: port for port in port_table(Pacer(SPEC))}
    assert ports["periphery_ready"].direction == "output"
    assert ports["array_ready"].direction == "input"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": 65536}, "inputs is 65536: a step has to fit a frame; allowed: up to 32754"),
    ],
)
def test_link_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        HostLink(build(SPEC.replace(**changes)))
