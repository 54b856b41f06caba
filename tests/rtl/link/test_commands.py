# SPDX-License-Identifier: Apache-2.0
"""The commands of the host link alone, against golden's board: answers, and what becomes of the parts around them."""

import dataclasses

import numpy as np
from crossramp.golden.link.board_memory import Build, unpacked
from crossramp.golden.link.link_model import WRITABLE, LinkModel
from crossramp.golden.link.link_protocol import (
    ANSWER,
    Command,
    Fault,
    Frame,
    Space,
    Status,
    StatusBlock,
    read_payload,
    step_payload,
    write_payload,
)
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.link.link_commands import Commands
from hypothesis import given, settings

from tests.support.amaranth_benches import receive, simulate
from tests.support.link_fuzz import Requests
from tests.support.strategies import seeds

SPEC = Specification(inputs=3, units=5, classes=3, lanes=2, adc_bits=3, input_bits=3, state_pulse_bits=4)
BUILD = Build("test", SPEC, 2, 4_000_000)


class Parts:
    """The parts around the commands: a frame that is kept, the words of one space, a network, and what becomes of them.

    Attributes
    ----------
    done : list
        What a request did, in order: ``(Space, word, bytes)`` written, codes taken from the x stream, ``"last"`` or
        ``"step"`` for a step handed over, ``"reset"``.
    words : bytes
        Content of the space that is read.
    ready : bool
        Whether the network takes a step.
    """

    def __init__(self, rng: np.random.Generator):
        self.rng, self.dut = rng, Commands(BUILD)
        self.done, self.body, self.words, self.ready = [], b"", b"", True

    async def run(self, ctx):
        """Clock by clock; what is asked for is there one clock later."""
        dut, request, memory = self.dut, self.dut.request, self.dut.memory
        async for _, _, at, address, written, accepted, taken, reset in ctx.tick().sample(
            *(request.address, memory.address, memory.write, dut.progress.accepted),
            *(dut.x.valid & dut.x.ready, dut.reset),
        ):
            # What was on the outputs before the edge; the word that was written is still there behind it.
            space, word = ctx.get(memory.space), ctx.get(memory.word)
            size = BUILD.word_bytes(Space(space)) if space in tuple(Space) else 1
            data = word.to_bytes(len(memory.word) // 8, "little")[-size:]  # bytes are shifted in from above
            if written:
                self.done.append((Space(space), address, data))
            if taken:
                self.done.append(self.code)
            if accepted:
                self.done.append("last" if ctx.get(dut.progress.last) else "step")
            if reset:
                self.done.append("reset")
            ctx.set(request.byte, self.body[at] if at < len(self.body) else 0)
            ctx.set(memory.data, int.from_bytes(self.words[address * size : (address + 1) * size], "little"))
            ctx.set(memory.word_bytes, size)
            ctx.set(memory.beyond, space not in tuple(Space) or ctx.get(memory.address) >= BUILD.words(Space(space)))
            ctx.set(memory.wrong, wrong(space, data))
            # The network is ready or not before a step is offered; then it takes codes when it likes.
            offered = ctx.get(dut.x.valid)
            ctx.set(dut.x.ready, self.rng.random() < 0.5 if offered else self.ready)
            self.code = ctx.get(dut.x.payload.code)

    def show(self, ctx, status: StatusBlock):
        """A network that is as far as ``status`` says."""
        progress, request = self.dut.progress, self.dut.request
        for member, value in (
            (progress.computing, status.computing),
            (progress.answered, status.answered),
            (progress.complete, status.answered),
            (progress.too_long, status.too_long),
            (progress.index, status.answer),
            (progress.accepted_steps, status.accepted),
            (progress.done_steps, status.done),
            (progress.clocks, status.clocks),
            (progress.waiting, status.waiting),
            (request.faults, int(status.faults)),
            (request.dropped, status.dropped),
        ):
            ctx.set(member, value)

    async def ask(self, ctx, frame: Frame) -> Frame | None:
        """The answer to ``frame``; None if it is ignored."""
        request = self.dut.request
        self.done, self.body = [], bytes(4) + frame.payload
        for member, value in (
            (request.sequence, frame.sequence),
            (request.command, frame.command),
            (request.length, len(frame.payload)),
            (request.frame, 1),
        ):
            ctx.set(member, value)
        answer, ended = b"", False
        while not ended:
            ctx.set(request.answer.ready, self.rng.random() < 0.7)
            _, _, taken, byte, last, ignored = await ctx.tick().sample(
                *(request.answer.valid & request.answer.ready, request.answer.payload.data),
                *(request.answer.payload.last, request.ignore),
            )
            answer += bytes([byte]) if taken else b""
            ended = ignored or (taken and last)
        ctx.set(request.answer.ready, 0)
        ctx.set(request.frame, 0)
        await ctx.tick().repeat(2)
        if ignored:
            assert answer == b""
            return None
        assert int.from_bytes(answer[2:4], "little") == len(answer) - 4
        return Frame(answer[0], answer[1], answer[4:])


def wrong(space: int, data: bytes) -> bool:
    """Whether a word holds a number that is out of its range."""
    if space == Space.WEIGHTS:
        return bool((np.abs(unpacked(data, 1)) > SPEC.weight_max).any())
    bits = {Space.THRESHOLDS: SPEC.mac_bits, Space.HEAD: SPEC.head_bias_bits}.get(space, 8 * len(data))
    return not -(1 << bits - 1) <= int.from_bytes(data, "little", signed=True) < 1 << bits - 1


def content(model: LinkModel, space: Space) -> bytes:
    """All words of a space, as golden's board answers them."""
    each = min((BUILD.payload - 1) // BUILD.word_bytes(space), 255)
    words = BUILD.words(space)
    requests = [read_payload(word, min(each, words - word)) for word in range(0, words, each)]
    return b"".join(model.respond(Frame(0, Command.READ + space, payload)).payload[1:] for payload in requests)


def effects(frame: Frame, stepped: bool) -> list:
    """What a request that is answered OK does to the parts."""
    kind, space, payload = frame.command & 0xF0, frame.command & 0x0F, frame.payload
    if frame.command == Command.RESET:
        return ["reset"]
    if stepped:
        return [*unpacked(payload[6:], 1).tolist(), "last" if payload[5] else "step"]
    if kind == Command.WRITE and space in WRITABLE:
        size, word = BUILD.word_bytes(Space(space)), int.from_bytes(payload[:4], "little")
        words = [payload[k : k + size] for k in range(4, len(payload), size)]
        return [(Space(space), word + k, data) for k, data in enumerate(words)]
    return []


def test_answers_and_effects_are_the_models():
    """Right and wrong requests in any order; a refused one does nothing."""
    statuses = set()

    @given(seed=seeds)
    @settings(max_examples=5)
    def requests_of(seed):
        model, parts = LinkModel(BUILD), Parts(np.random.default_rng(seed))
        requests = Requests(model, np.random.default_rng((seed, 1)))  # the same whenever a part draws a pause

        async def bench(ctx):
            for _ in range(80):
                frame = requests.frame()
                if len(frame.payload) > BUILD.payload:  # no frame that the board keeps
                    continue
                parts.show(ctx, model.status())
                before = model.accepted
                expected = model.respond(frame)
                if frame.command - Command.READ in tuple(Space) and BUILD.words(Space(frame.command - Command.READ)):
                    parts.words = content(model, Space(frame.command - Command.READ))
                assert await parts.ask(ctx, frame) == expected, frame
                ok = expected is not None and expected.payload[0] == Status.OK
                stepped = frame.command == Command.STEP and model.accepted > before
                assert parts.done == (effects(frame, stepped) if ok else []), frame
                statuses.add(None if expected is None else Status(expected.payload[0]))

        simulate(parts.dut, bench, background=[parts.run], clocks=500_000)

    requests_of()
    assert statuses >= {Status.OK, Status.UNKNOWN, Status.LENGTH}


def test_every_field_of_the_status_has_its_place():
    parts = Parts(np.random.default_rng(1))
    status = StatusBlock(
        *(True, False, True, True, 0x5A, 17, 16, 2, 0x01020304, 0x00ABCDEF, Fault.CHECK | Fault.OVERRUN, 255),
    )

    async def bench(ctx):
        await parts.ask(ctx, Frame(1, Command.RESET, b"\x5a"))
        parts.show(ctx, status)
        parts.ready = False
        answer = await parts.ask(ctx, Frame(2, Command.STATUS))
        assert answer == Frame(2, Command.STATUS | ANSWER, bytes([Status.OK]) + status.pack())

    simulate(parts.dut, bench, background=[parts.run])


def test_a_byte_of_the_status_stays_while_it_waits():
    """Counters go on while the line is busy with a byte; an escape that is sent for one value must not meet another."""
    parts = Parts(np.random.default_rng(3))
    request, progress, answer = parts.dut.request, parts.dut.progress, parts.dut.request.answer

    async def count(ctx):
        async for _ in ctx.tick():
            for counter in (progress.clocks, progress.waiting):
                ctx.set(counter, (ctx.get(counter) + 0x01010101) & 0xFFFFFFFF)

    async def bench(ctx):
        for member, value in ((request.command, Command.STATUS), (request.length, 0), (request.frame, 1)):
            ctx.set(member, value)
        offered = await receive(ctx, answer, 4 + 1 + StatusBlock.SIZE, lambda: 3)
        assert [byte.last for byte in offered] == [False] * (4 + StatusBlock.SIZE) + [True]

    simulate(parts.dut, bench, background=[parts.run, count])


def test_what_cannot_be_done_now_is_answered_busy_and_not_done():
    """A network that computes, or that takes no step: golden's board is always through with both."""
    parts = Parts(np.random.default_rng(2))
    idle = LinkModel(BUILD).status()
    codes = [1, -2, 3]

    async def bench(ctx):
        async def status_of(command, payload=b""):
            answer = await parts.ask(ctx, Frame(7, command, payload))
            return Status(answer.payload[0])

        assert await status_of(Command.RESET, b"\x09") == Status.OK
        parts.show(ctx, dataclasses.replace(idle, computing=True, accepted=1))
        word = bytes(BUILD.word_bytes(Space.HEAD))
        for space, status in ((Space.HEAD, Status.BUSY), (Space.IDENTITY, Status.OK)):
            parts.words = bytes(100)
            assert await status_of(Command.READ + space, read_payload(0, 1)) == status
        assert await status_of(Command.WRITE + Space.HEAD, write_payload(0, word)) == Status.BUSY
        assert parts.done == []
        # A wrong length, and a step that is not the next one, are told first.
        assert await status_of(Command.READ + Space.HEAD, read_payload(0, 0)) == Status.LENGTH
        parts.ready = False
        assert await status_of(Command.STEP, step_payload(9, 1, False, codes)) == Status.BUSY
        assert parts.done == []
        assert await status_of(Command.STEP, step_payload(9, 2, False, codes)) == Status.ORDER
        parts.ready = True
        assert await status_of(Command.STEP, step_payload(9, 1, True, codes)) == Status.OK
        assert parts.done == [*codes, "last"]

    simulate(parts.dut, bench, background=[parts.run])
