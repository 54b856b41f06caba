# SPDX-License-Identifier: Apache-2.0
"""Commands with any request, any memory and any network: the environment, and what docs/hostlink.md demands of them."""

from collections.abc import Sequence

from amaranth import Cat, Fragment, Module, Mux, Signal, Value
from crossramp.golden.link.board_memory import Build
from crossramp.rtl.link.link_commands import Commands

from ..engine.inspection import States, named
from ..engine.proof import Proof

# Written anew from docs/hostlink.md, not imported.
ECHO, STATUS, RESET, STEP, READ, WRITE = 0x01, 0x02, 0x03, 0x04, 0x10, 0x20
OK, UNKNOWN, LENGTH, ADDRESS, VALUE, BUSY, ORDER = range(7)
IDENTITY = 0
SPACES, READ_ONLY = range(7), (IDENTITY, 5, 6)
STATUS_BYTES = 22
ARGUMENTS = 6  # bytes of a payload that a command may have before its words or codes
PAYLOAD = 4  # where a payload begins in a body


class CommandBench(Proof):
    """Commands between a frame port, the spaces and the results, all of which do anything that they may.

    Environment:

    - A frame is kept from any clock on, with any header whose length fits the buffer, until it is ignored, or until any
      clock behind the answer's last byte. A byte of its body is any, but the same as long as its address is; those of
      the arguments, and one at a chosen place, are the same whenever they are looked at
      (:class:`.frame_proof.FrameProof`).
    - ``word_bytes`` and ``beyond`` are those of the space and the address; a word at a chosen address is the same
      whenever it is read, one clock behind its address; ``wrong`` is free.
    - ``accepted_steps`` and ``complete`` count what the commands hand over; everything else of the network's progress,
      and ``x.ready``, is free on every clock.

    Parameters
    ----------
    build : Build
    word_bytes : int
        READ and WRITE are of spaces with words of so many bytes. Proofs for each size of the build cover all requests;
        one for all of them at once has multiplications by a size that is not known, which takes a solver very long.
    asked : sequence of (int, int)
        Commands, each with bytes of payload: no others are asked. For bounded checks, which are quicker then; none: all
        requests.
    """

    def __init__(self, build: Build, word_bytes: int, asked: Sequence[tuple[int, int]] = (), **options):
        super().__init__(**options)
        self.build, self.word_bytes, self.asked = build, word_bytes, asked

    def bench(self, m: Module) -> None:
        self.dut = dut = Commands(self.build)
        m.submodules.dut = self.fragment = Fragment.get(dut, None)
        self.states = States(self.fragment)
        self._request(m)
        self._memory(m)
        self._network(m)
        self._decode(m)
        self._verdict(m)

    # ---- environment  -----------------------------------------------------------------------------------------------

    def _request(self, m: Module) -> None:
        request, build = self.dut.request, self.build
        self.kept, self.answered, self.ignored = (Signal(name=name) for name in ("kept", "answered", "ignored"))
        self.sequence, self.command = Signal(8, name="sequence"), Signal(8, name="command")
        self.length = Signal.like(request.length, name="payload_bytes")
        self.arguments = [Signal(8, name=f"argument_{k}") for k in range(ARGUMENTS)]
        held = Signal(8, name="held")
        frame = [self.sequence, self.command, self.length, *self.arguments, held]
        arrives, leaves = self.free(m, 1, "arrives"), self.free(m, 1, "leaves")
        with m.If(~self.kept & arrives):
            m.d.sync += self.kept.eq(1)
            m.d.sync += [one.eq(self.free(m, len(one), f"next_{one.name}")) for one in frame]
        with m.If(self.kept & (request.ignore | (self.answered & leaves))):
            m.d.sync += self.kept.eq(0)
        answer = request.answer
        self.taken = named(m, "taken", answer.valid & answer.ready)
        with m.If(~self.kept | request.ignore):
            m.d.sync += self.answered.eq(0)
        with m.Elif(self.taken & answer.payload.last):
            m.d.sync += self.answered.eq(1)
        self.assume(m, self.length <= build.payload)
        if self.asked:
            those = [(self.command == command) & (self.length == length) for command, length in self.asked]
            self.assume(m, ~self.kept | (Cat(*those) != 0))

        self.place = self.choice(m, build.payload + PAYLOAD, "place")
        self.byte = self.free(m, 8, "byte")
        self.at, was_at = (Signal.like(request.address, name=name) for name in ("at", "was_at"))
        last_byte, was_kept = Signal(8), Signal()
        m.d.sync += [self.at.eq(request.address), was_at.eq(self.at), last_byte.eq(self.byte), was_kept.eq(self.kept)]
        for k, argument in enumerate(self.arguments):
            self.assume(m, (self.at != PAYLOAD + k) | (self.byte == argument))
        self.held = Signal(8, name="held_at_place")
        with m.Switch(self.place):
            for k, argument in enumerate(self.arguments):
                with m.Case(PAYLOAD + k):
                    m.d.comb += self.held.eq(argument)
            with m.Default():
                m.d.comb += self.held.eq(held)
        self.assume(m, (self.at != self.place) | (self.byte == self.held))
        self.assume(m, ~(self.kept & was_kept & (self.at == was_at)) | (self.byte == last_byte))
        m.d.comb += [
            request.frame.eq(self.kept),
            request.sequence.eq(self.sequence),
            request.command.eq(self.command),
            request.length.eq(self.length),
            request.byte.eq(self.byte),
            request.answer.ready.eq(self.free(m, 1, "line_ready")),
            request.faults.eq(self.free(m, len(request.faults), "faults")),
            request.dropped.eq(self.free(m, len(request.dropped), "dropped")),
        ]

    def _memory(self, m: Module) -> None:
        memory, build = self.dut.memory, self.build
        self.space = memory.space
        self.space_words = Signal(32, name="space_words")
        with m.Switch(self.command[:4]):
            for space in SPACES:
                with m.Case(space):
                    m.d.comb += self.space_words.eq(build.words(space))
                    if build.word_bytes(space) != self.word_bytes:
                        self.assume(m, ~self.command[4:].matches(READ >> 4, WRITE >> 4))
        self.word = self.choice(m, build.payload, "word_looked_at")  # counted from the command's first
        self.stored = self.constant(m, len(memory.data), "stored")
        self.was_word = Signal.like(memory.address, name="was_word")
        m.d.sync += self.was_word.eq(memory.address)
        data = self.free(m, len(memory.data), "data")
        first = Cat(*self.arguments[:4])
        self.first = named(m, "first_word", first)
        self.looked_at = named(m, "address_looked_at", (first + self.word)[: len(memory.address)])
        self.assume(m, (self.was_word != self.looked_at) | (data == self.stored))
        m.d.comb += [
            memory.word_bytes.eq(self.word_bytes),
            memory.beyond.eq(memory.address >= self.space_words),
            memory.data.eq(data),
            memory.wrong.eq(self.free(m, 1, "wrong")),
        ]

    def _network(self, m: Module) -> None:
        dut, progress, spec = self.dut, self.dut.progress, self.build.spec
        steps = range(spec.max_steps + 1)
        self.accepted_steps, self.complete = Signal(steps, name="accepted_steps"), Signal(name="complete")
        with m.If(progress.accepted):
            m.d.sync += [self.accepted_steps.eq(self.accepted_steps + 1), self.complete.eq(progress.last)]
        with m.If(dut.reset):
            m.d.sync += [self.accepted_steps.eq(0), self.complete.eq(0)]
        m.d.comb += [
            progress.accepted_steps.eq(self.accepted_steps),
            progress.complete.eq(self.complete),
            dut.x.ready.eq(self.free(m, 1, "x_ready")),
        ]
        for name in ("done_steps", "computing", "answered", "index", "too_long", "clocks", "waiting"):
            member = getattr(progress, name)
            m.d.comb += member.eq(self.free(m, len(Value.cast(member)), f"network_{name}"))

    # ---- what the request is  ---------------------------------------------------------------------------------------

    def _decode(self, m: Module) -> None:
        build, command = self.build, self.command
        present = [space for space in SPACES if build.words(space)]
        writable = [space for space in present if space not in READ_ONLY]
        self.is_echo, self.is_status, self.is_reset, self.is_step = (
            named(m, f"is_{name}", command == number)
            for name, number in (("echo", ECHO), ("status", STATUS), ("reset", RESET), ("step", STEP))
        )
        self.is_read = named(m, "is_read", command.matches(*(READ + space for space in present)))
        self.is_write = named(m, "is_write", command.matches(*(WRITE + space for space in writable)))
        self.passes = named(m, "goes_through", self.is_reset | self.is_step | self.is_read | self.is_write)
        self.argument_bytes = named(
            m, "argument_bytes", Mux(self.is_reset, 1, Mux(self.is_step, 6, Mux(self.is_read, 5, 4)))
        )
        # Words that were gone through, and where the next one begins; a WRITE ends behind its last whole word.
        payload = range(build.payload + PAYLOAD + 1)
        self.stores, self.word_at = (
            Signal(payload, name="words_so_far"),
            Signal(payload, init=PAYLOAD + 4, name="word_at"),
        )
        self.rest = named(m, "rest", self.length + PAYLOAD - self.word_at)
        self.count = named(
            m, "words_of_command", Mux(self.is_read, self.arguments[4], Mux(self.is_write, self.stores, 0))
        )
        self.read_bytes = named(m, "read_bytes", 1 + self.arguments[4] * self.word_bytes)
        self.tag, self.started = Signal(8, name="tag_of_utterance"), Signal(name="had_reset")

    # ---- what has to be answered  -----------------------------------------------------------------------------------

    def _verdict(self, m: Module) -> None:
        """The first status of docs/hostlink.md that is right, judged on the clock before ``decides`` is high."""
        dut, build, spec = self.dut, self.build, self.build.spec
        answer, memory, progress = dut.request.answer, dut.memory, dut.progress
        before = {}
        for name, value in {
            "computing": progress.computing,
            "x_ready": dut.x.ready,
            "accepted_steps": self.accepted_steps,
            "complete": self.complete,
        }.items():
            before[name] = Signal.like(value, name=f"{name}_before")
            m.d.sync += before[name].eq(value)
        # What the first time through has seen: codes, and words of a WRITE when they are whole.
        self.bad_seen = Signal()
        code = self.byte
        high = code[spec.input_bits - 1 :]
        out = ((high != 0) & (~high != 0)) | (code == (1 << 8) - (1 << (spec.input_bits - 1)))
        shown = self.is_step & (self.at >= PAYLOAD + ARGUMENTS) & (self.at < self.length + PAYLOAD)
        whole = self.states.within("store") & memory.wrong
        self.bad_code = named(m, "bad_code", out)
        with m.If(~self.kept):
            m.d.sync += self.bad_seen.eq(0)
        with m.Elif(~dut.commit & ~self.states.within("idle") & ((shown & out) | whole)):
            m.d.sync += self.bad_seen.eq(1)

        expected, length, count = Signal(3, name="status_expected"), self.length, self.arguments[4]
        accepted, space = before["accepted_steps"], self.command[:4]
        ours = self.started & (self.arguments[0] == self.tag)
        step = named(m, "step_number", Cat(*self.arguments[1:5]))
        self.again = named(m, "step_again", ours & (accepted != 0) & (step == accepted - 1))
        order = ~ours | before["complete"] | (step != accepted)
        busy = before["computing"] & (space != IDENTITY)
        past = named(m, "past_the_end", self.first + self.count > self.space_words)
        rules = [
            (~(self.is_echo | self.is_status | self.passes), UNKNOWN),
            (self.is_echo & (length + 1 > build.payload), LENGTH),
            (self.is_status & (length != 0), LENGTH),
            (self.is_reset & (length != 1), LENGTH),
            (self.is_step & (length != 6 + spec.inputs), LENGTH),
            (self.is_read & ((length != 5) | (count == 0) | (self.read_bytes > build.payload)), LENGTH),
            (self.is_write & ((length <= 4) | (self.rest != 0)), LENGTH),
            (self.is_step & self.again, OK),
            (self.is_step & order, ORDER),
            (self.is_step & (accepted == spec.max_steps), ADDRESS),
            (self.is_step & ~before["x_ready"], BUSY),
            ((self.is_read | self.is_write) & busy, BUSY),
            ((self.is_read | self.is_write) & past, ADDRESS),
            (self.is_step & (self.bad_seen | (self.arguments[5] > 1)), VALUE),
            (self.is_write & self.bad_seen, VALUE),
        ]
        m.d.comb += expected.eq(OK)
        for k, (condition, status) in enumerate(rules):
            with m.If(condition) if k == 0 else m.Elif(condition):
                m.d.comb += expected.eq(status)
        # It decides when it goes through the request again, to do it, or when its answer begins without that.
        committed, begun = Signal(name="committed"), Signal(name="answer_begun")
        commit = named(m, "commit_now", dut.commit & self.kept & ~self.states.within("idle"))  # which clears it
        m.d.sync += [committed.eq(commit), begun.eq(self.kept & (begun | answer.valid))]
        self.commits = named(m, "commits", commit & ~committed)
        self.answers = named(m, "answers", answer.valid & ~begun)
        self.begun = begun
        self.decides = named(m, "decides", self.commits | (self.answers & ~dut.commit))
        self.decided, self.judged = Signal(), Signal(3)
        self.expected = expected
        self.status = named(m, "status_now", Mux(self.decides, expected, self.judged))
        with m.If(self.decides):
            m.d.sync += [self.judged.eq(expected), self.decided.eq(1)]
            with m.If(self.is_reset & (expected == OK)):
                m.d.sync += [self.tag.eq(self.arguments[0]), self.started.eq(1)]
        with m.If(~self.kept):
            m.d.sync += self.decided.eq(0)
        self.does = named(m, "does", (self.decides | self.decided) & (self.status == OK))
