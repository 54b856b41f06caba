# SPDX-License-Identifier: Apache-2.0
"""What the host link does, state by state: each command is checked as a whole, then done."""

import enum

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_protocol import ANSWER, OVERHEAD, Command, Space, Status, StatusBlock

from ..macro.loader import x_layout
from .framing import RequestSignature
from .results import ProgressSignature
from .spaces import WordSignature, out_of_range, spaces_of

_BODY = 4  # where a body's payload begins
_HEADER = 5  # bytes of an answer before its data: sequence, command, length, status
_ARGUMENTS = {Command.RESET: 1, Command.STEP: 6, Command.READ: 5, Command.WRITE: 4}


class Kind(enum.Enum):
    """What a command does."""

    OTHER = 0
    ECHO = 1
    STATUS = 2
    RESET = 3
    STEP = 4
    READ = 5
    WRITE = 6


class Commands(wiring.Component):
    """Carries out the request that is kept, and answers it.

    Its golden model is :meth:`~.link_model.LinkModel.respond`. A request that reads, writes or steps is gone
    through twice: first for its checks, then to do it, so that a refused one has changed nothing.

    Latency: one clock per byte of the request and one per word, each time; the answer begins 2 clocks later, and its
    words, and the bytes of a status, take a clock each beside those of their bytes.
    Throughput: one request at a time; the next one is looked at once ``request.frame`` has been low.
    Back-pressure: a byte of the answer waits for ``request.answer.ready``, a code for ``x.ready``. A STEP that comes
    while ``x.ready`` is low is answered with BUSY.
    Cost: a word of the longest space, an address, the counters of a request, and a multiplexer of the answer's bytes.

    Parameters
    ----------
    build : Build

    Members
    -------
    request : RequestSignature
        The frame that is kept, and the stream of its answer.
    memory : WordSignature
        All that is read and written.
    progress : ProgressSignature
        How far the network is.
    x : stream
        A step's codes, offered only when the whole STEP has been found right.
    reset : 1 bit
        High for one clock behind a RESET: an utterance begins, and what was counted before it is forgotten.
    """

    def __init__(self, build: Build):
        self.build = build
        spec = build.spec
        super().__init__(
            {
                "request": In(RequestSignature(build.payload + OVERHEAD)),
                "memory": Out(WordSignature(build)),
                "progress": In(ProgressSignature(spec)),
                "x": Out(stream.Signature(x_layout(spec.input_bits))),
                "reset": Out(1),
            }
        )
        self.kind = Signal(Kind)
        self.arguments = Signal(3)  # bytes of the payload before its words or codes
        self.in_arguments = Signal()  # `byte` is one of them
        self.length_wrong = Signal()
        self.at = Signal(range(build.payload + OVERHEAD + 1))  # byte of the body that request.byte shows
        self.following = Signal.like(self.at)
        self.end = Signal()  # `at` is behind the payload
        self.index = Signal(5)  # of an argument, a header byte, a status byte
        self.address = Signal.like(self.memory.address)
        self.macro = Signal(8)  # the highest byte of an address, on a board with several macros
        self.word = Signal.like(self.memory.word)
        self.within = Signal.like(self.memory.word_bytes)  # bytes of the word that are through
        self.count = Signal(8)  # words of a READ that are left
        self.commit = Signal()  # the second time through
        self.bad_address = Signal()
        self.bad_value = Signal()
        self.too_long = Signal()  # the answer would be
        self.status = Signal(Status)
        self.length = Signal(range(build.payload + 1))  # of the answer's payload: what is left of it
        self.tag = Signal(8)
        self.started = Signal()
        self.step_last = Signal()
        self.ours = Signal()  # STEP is about the utterance that runs,
        self.repeated = Signal()  # and about the step taken last,
        self.not_next = Signal()  # or not about the next one

    def elaborate(self, platform):
        m = Module()
        request, memory = self.request, self.memory
        m.d.comb += [
            self.following.eq(self.at),
            request.address.eq(self.following),
            self.end.eq(self.at == request.length + _BODY),
            memory.space.eq(request.command[: len(memory.space)]),
            memory.address.eq(self.address),
            memory.word.eq(self.word),
        ]
        if self.build.several:
            m.d.comb += memory.macro.eq(self.macro)
        m.d.sync += [self.at.eq(self.following), self.reset.eq(0)]
        self._decode(m)
        self._compare_step(m)
        with m.FSM():
            self._begin(m)
            self._arguments(m)
            self._step(m)
            self._write(m)
            self._read(m)
            self._answer(m)
        return m

    def _decode(self, m: Module):
        """From the header: what to do, with how many bytes of arguments, and whether the length fits."""
        request, build = self.request, self.build
        with m.Switch(request.command):
            for command in (Command.ECHO, Command.STATUS, Command.RESET, Command.STEP):
                with m.Case(command):
                    m.d.comb += [self.kind.eq(Kind[command.name]), self.arguments.eq(_ARGUMENTS.get(command, 0))]
            for command in (Command.READ, Command.WRITE):
                for space in spaces_of(build, writable=command == Command.WRITE):
                    with m.Case(command + space):
                        m.d.comb += [self.kind.eq(Kind[command.name]), self.arguments.eq(_ARGUMENTS[command])]
        wrong = self.length_wrong
        with m.Switch(self.kind):
            with m.Case(Kind.ECHO):
                m.d.comb += wrong.eq(request.length >= build.payload)
            with m.Case(Kind.STEP):
                m.d.comb += wrong.eq(request.length != _ARGUMENTS[Command.STEP] + build.spec.inputs)
            with m.Case(Kind.WRITE):  # whether its words are whole is seen while they are gone through
                m.d.comb += wrong.eq(request.length <= _ARGUMENTS[Command.WRITE])
            with m.Default():
                m.d.comb += wrong.eq(request.length != self.arguments)

    # ---- what leads from one state to another -------------------------------------------------------------------

    def _refuse(self, m: Module, status: Status):
        m.d.sync += [self.status.eq(status), self.length.eq(1), self.index.eq(0)]
        m.next = "header"

    def _succeed(self, m: Module, data_bytes=0):
        m.d.sync += [self.status.eq(Status.OK), self.length.eq(1 + data_bytes), self.index.eq(0)]
        m.next = "header"

    def _checked(self, m: Module, *checks):
        """The first status whose condition holds refuses the command; else it is gone through again, to do it."""
        for k, (condition, status) in enumerate(checks):
            with m.If(condition) if k == 0 else m.Elif(condition):
                self._refuse(m, status)
        with m.Else():
            m.d.comb += self.following.eq(_BODY)
            m.d.sync += [self.commit.eq(1), self.index.eq(0), self.within.eq(0)]
            m.next = "arguments"

    def _compare_step(self, m: Module):
        """Which step STEP is about: its tag and number are compared byte by byte as they go by."""
        byte, accepted, x = self.request.byte, self.progress.accepted_steps, self.x
        other_tag = Signal()
        not_previous = Signal()
        with m.If(self.in_arguments):
            with m.Switch(self.index):
                with m.Case(0):
                    m.d.sync += [other_tag.eq(byte != self.tag), self.not_next.eq(0), not_previous.eq(0)]
                for k in range(4):
                    with m.Case(1 + k):
                        for other, number in ((self.not_next, accepted), (not_previous, accepted - 1)):
                            with m.If(byte != number[8 * k : 8 * k + 8]):
                                m.d.sync += other.eq(1)
        m.d.comb += [
            self.ours.eq(self.started & ~other_tag),
            self.repeated.eq(self.ours & ~not_previous & (accepted != 0)),
            x.payload.code.eq(byte),
            x.payload.last.eq(self.step_last),
            self.progress.last.eq(self.step_last),
        ]

    def _busy(self):
        return self.progress.computing & (self.memory.space != Space.IDENTITY)

    # ---- states -------------------------------------------------------------------------------------------------

    def _begin(self, m: Module):
        request = self.request
        with m.State("idle"):
            m.d.comb += self.following.eq(_BODY)
            m.d.sync += [
                register.eq(0)
                for register in (self.index, self.within, self.commit, self.too_long, self.bad_address, self.bad_value)
            ]
            m.d.sync += self.length.eq(1)
            with m.If(request.frame):
                m.next = "begin"
        with m.State("begin"):
            with m.If(request.command & ANSWER):
                m.d.comb += request.ignore.eq(1)
                m.next = "sent"
            with m.Elif(self.kind == Kind.OTHER):
                self._refuse(m, Status.UNKNOWN)
            with m.Elif(self.length_wrong):
                self._refuse(m, Status.LENGTH)
            with m.Elif(self.kind == Kind.ECHO):
                self._succeed(m, request.length)
            with m.Elif(self.kind == Kind.STATUS):
                self._succeed(m, StatusBlock.SIZE)
            with m.Else():
                m.next = "arguments"

    def _arguments(self, m: Module):
        byte, index = self.request.byte, self.index
        with m.State("arguments"):
            m.d.comb += [self.in_arguments.eq(1), self.following.eq(self.at + 1)]
            m.d.sync += index.eq(index + 1)
            with m.If((self.kind == Kind.READ) | (self.kind == Kind.WRITE)):
                with m.Switch(index):
                    for k in range(4):
                        with m.Case(k):
                            if k == 3 and self.build.several:
                                m.d.sync += self.macro.eq(byte)
                                continue
                            part = self.address[8 * k : 8 * k + 8]
                            m.d.sync += part.eq(byte)
                            with m.If(byte[len(part) :] != 0):
                                m.d.sync += self.bad_address.eq(1)
                    with m.Case(4):
                        m.d.sync += self.count.eq(byte)
            with m.If(index == self.arguments - 1):
                m.d.sync += index.eq(0)
                with m.Switch(self.kind):
                    with m.Case(Kind.RESET):
                        m.d.sync += [self.tag.eq(byte), self.started.eq(1), self.reset.eq(1)]
                        self._succeed(m)
                    with m.Case(Kind.STEP):
                        m.d.sync += [self.step_last.eq(byte[0]), self.bad_value.eq(byte[1:] != 0)]
                        m.next = "codes"
                    with m.Case(Kind.WRITE):
                        m.next = "gather"
                    with m.Case(Kind.READ):
                        m.next = "sweep"
                        with m.If(self.commit):
                            m.d.sync += self.status.eq(Status.OK)
                            m.next = "header"

    def _step(self, m: Module):
        byte, progress, x = self.request.byte, self.progress, self.x
        spec = self.build.spec
        with m.State("codes"):
            with m.If(~self.end):
                m.d.comb += x.valid.eq(self.commit)
                with m.If(~self.commit | x.ready):
                    m.d.comb += self.following.eq(self.at + 1)
                with m.If(out_of_range(byte, spec.input_bits, spec.input_max)):
                    m.d.sync += self.bad_value.eq(1)
            with m.Elif(self.commit):
                m.d.comb += progress.accepted.eq(1)
                self._succeed(m)
            with m.Elif(self.repeated):
                self._succeed(m)
            with m.Else():
                self._checked(
                    m,
                    (~self.ours | progress.complete | self.not_next, Status.ORDER),
                    (progress.accepted_steps == spec.max_steps, Status.ADDRESS),
                    (~x.ready, Status.BUSY),
                    (self.bad_value, Status.VALUE),
                )

    def _write(self, m: Module):
        memory = self.memory
        with m.State("gather"):
            with m.If(~self.end):
                m.d.comb += self.following.eq(self.at + 1)
                m.d.sync += [self.word.eq(Cat(self.word[8:], self.request.byte)), self.within.eq(self.within + 1)]
                with m.If(self.within == memory.word_bytes - 1):
                    m.d.sync += self.within.eq(0)
                    m.next = "store"
            with m.Elif(self.commit):
                self._succeed(m)
            with m.Else():
                self._checked(
                    m,
                    (self.within != 0, Status.LENGTH),
                    (self._busy(), Status.BUSY),
                    (self.bad_address, Status.ADDRESS),
                    (self.bad_value, Status.VALUE),
                )
        with m.State("store"):
            m.d.comb += memory.write.eq(self.commit)
            m.d.sync += [
                self.address.eq(self.address + 1),
                self.bad_address.eq(self.bad_address | memory.beyond),
                self.bad_value.eq(self.bad_value | memory.wrong),
            ]
            m.next = "gather"

    def _read(self, m: Module):
        memory = self.memory
        longer = self.length + memory.word_bytes
        with m.State("sweep"):
            with m.If(self.count != 0):
                m.d.sync += [
                    self.count.eq(self.count - 1),
                    self.address.eq(self.address + 1),
                    self.bad_address.eq(self.bad_address | memory.beyond),
                ]
                with m.If(longer > self.build.payload):
                    m.d.sync += self.too_long.eq(1)
                with m.Else():
                    m.d.sync += self.length.eq(longer)
            with m.Else():
                self._checked(
                    m,
                    (self.too_long | (self.length == 1), Status.LENGTH),
                    (self._busy(), Status.BUSY),
                    (self.bad_address, Status.ADDRESS),
                )
        with m.State("fetch"):  # the address has been there for as long as the byte before takes
            m.d.sync += [self.word.eq(memory.data), self.within.eq(0), self.address.eq(self.address + 1)]
            with m.If(self.kind == Kind.STATUS):  # whose counters go on while the byte waits for the line
                m.d.sync += self.word.eq(self._chosen(m, self._status_bytes()))
            m.next = "data"

    def _answer(self, m: Module):
        request, answer, index = self.request, self.request.answer, self.index
        final = self.length == 1
        with m.State("header"):
            m.d.comb += [answer.valid.eq(1), answer.payload.last.eq((index == _HEADER - 1) & final)]
            header = (request.sequence, request.command | ANSWER, self.length[:8], self.length[8:], self.status)
            m.d.comb += answer.payload.data.eq(self._chosen(m, header))
            with m.If(answer.ready):
                m.d.sync += index.eq(index + 1)
                with m.If(index == _HEADER - 1):
                    m.d.comb += self.following.eq(_BODY)
                    m.d.sync += [index.eq(0), self.length.eq(self.length - 1)]
                    m.next = "fetch"
                    with m.If(self.kind == Kind.ECHO):
                        m.next = "data"
                    with m.If(final):
                        m.next = "sent"
        with m.State("data"):
            m.d.comb += [answer.valid.eq(1), answer.payload.last.eq(final)]
            m.d.comb += answer.payload.data.eq(Mux(self.kind == Kind.ECHO, request.byte, self.word[:8]))
            whole = self.within == self.memory.word_bytes - 1
            with m.If(answer.ready):
                m.d.comb += self.following.eq(self.at + 1)
                m.d.sync += [
                    index.eq(index + 1),
                    self.length.eq(self.length - 1),
                    self.within.eq(self.within + 1),
                    self.word.eq(self.word >> 8),
                ]
                with m.If(final):
                    m.next = "sent"
                with m.Elif((self.kind == Kind.STATUS) | ((self.kind == Kind.READ) & whole)):
                    m.next = "fetch"
        with m.State("sent"):  # until the frame is released
            with m.If(~request.frame):
                m.next = "idle"

    def _status_bytes(self) -> list:
        """The bytes of a :class:`~.link_protocol.StatusBlock`, as they are now."""
        progress, request = self.progress, self.request
        flags = Cat(progress.computing, progress.answered, progress.too_long, ~self.x.ready)
        fields = [
            (flags, 1),
            (self.tag, 1),
            (progress.accepted_steps, 4),
            (progress.done_steps, 4),
            (progress.index, 2),
            (progress.clocks, 4),
            (progress.waiting, 4),
            (request.faults, 1),
            (request.dropped, 1),
        ]
        return [value[8 * k : 8 * k + 8] for value, size in fields for k in range(size)]

    def _chosen(self, m: Module, values):
        """The one at ``index``."""
        byte = Signal(8)
        with m.Switch(self.index):
            for k, value in enumerate(values):
                if len(value):
                    with m.Case(k):
                        m.d.comb += byte.eq(value)
        return byte
