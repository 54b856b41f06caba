# SPDX-License-Identifier: Apache-2.0
"""Commands: each is judged as docs/hostlink.md says, done as a whole or not at all, answered, and ends."""

from amaranth import Cat, Const, Module, Mux, Signal
from crossramp.golden.link.link_protocol import Space
from crossramp.golden.spec.specification import Specification

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import implies
from .command_bench import ARGUMENTS, ECHO, OK, PAYLOAD, READ, RESET, STATUS, STATUS_BYTES, STEP, WRITE, CommandBench
from .command_invariants import command_invariants
from .link_build import link_build


class CommandProof(CommandBench):
    """One request after another, right and wrong ones in any order.

    Environment: see :class:`.command_bench.CommandBench`.

    Claims:

    - Every request gets the first status of docs/hostlink.md that is right (:meth:`.CommandBench._verdict` has them in
      order), judged on the clock on which the commands decide; a frame with bit 7 set is ignored, and no other.
    - A request whose status is not OK has changed nothing: no word is written, no code offered, no step handed over, no
      reset. Nothing is done before the decision either, and nothing outside a request.
    - WRITE that is answered OK: each of its words is written once, in order, to the addresses from the first one on,
      with the bytes of the request.
    - STEP that is answered OK: the codes of the request go out once, in order, with ``last``; then one step is handed
      over. A STEP that repeats the last one is answered OK and does nothing: a step acts once, however often it
      is asked for. No step is handed over whose number is not that of the steps before it, or beyond ``max_steps``.
    - RESET: one pulse, and its tag is the utterance's from then on.
    - Streams: an offered code, and an offered byte of an answer, stay until they are taken.
    - The answer: sequence number, command with bit 7, length, status, data, ``last`` with the last byte alone. Data: of
      ECHO the payload; of READ the words at its addresses, in order; of STATUS every field as it was on the
      clock on which its byte was offered or the one before.
    - Time: of the clocks on which nothing waits for the line or for the network, at most 2, and payload + words + 1 for
      each time through, pass before the answer begins, and at most one between two of its bytes. The commands wait for
      the next frame on the clock behind the one on which a frame is gone.
    """

    def describe(self, m: Module) -> None:
        self.bench(m)
        self._claim_effects(m)
        self._claim_answer(m)
        self._claim_time(m)
        self._cover_answers(m)
        if self.invariants:
            command_invariants(self, m)

    def _claim_effects(self, m: Module) -> None:
        dut, memory, x, progress = self.dut, self.dut.memory, self.dut.x, self.dut.progress
        kept, does = self.kept, self.does
        self.claim(
            m, ~self.decides | (self.commits <= (self.expected == OK)), "only what is right is gone through again"
        )
        acts = named(m, "acts", memory.write | x.valid | progress.accepted | dut.reset)
        acted = Signal()
        m.d.sync += acted.eq(kept & (acted | acts))
        self.acted = acted
        self.claim(m, implies(acts, kept & does), "nothing is done before the whole request was found right")
        refused = self.begun | self.answers
        self.claim(m, ~(refused & (self.status != OK)) | ~(acted | acts), "a refused request has changed nothing")
        self.claim(m, implies(dut.reset, self.is_reset & self.decides), "a reset behind a RESET, for a clock")
        self.claim(m, implies(self.decides & self.is_reset & (self.expected == OK), dut.reset), "a RESET resets")

        # ---- words
        self.claim(
            m, ~(kept & (self.is_read | self.is_write)) | (memory.space == self.command[:3]), "the command's space"
        )
        stores, word_at = self.stores, self.word_at
        stored = self.states.within("store")
        with m.If(~kept | self.commits):
            m.d.sync += [stores.eq(0), word_at.eq(PAYLOAD + 4)]
        with m.Elif(stored):
            m.d.sync += [stores.eq(stores + 1), word_at.eq(word_at + self.word_bytes)]
        self.claim(m, implies(memory.write, self.is_write & stored & dut.commit), "WRITE alone writes, word by word")
        self.claim(m, ~(kept & stored & dut.commit) | memory.write, "every word is written")
        address = (self.first + stores)[: len(memory.address)]
        with m.If(kept & stored):
            self.claim(m, memory.address == address, "a word at its address")
            self.claim(m, word_at + self.word_bytes <= self.length + PAYLOAD, "a word inside the request")
        # The byte at the chosen place is in one of the words.
        self.inside = named(m, "byte_of_word", (self.place - word_at)[:8])
        self.looks = named(m, "looks", (self.place >= word_at) & (self.place < word_at + self.word_bytes))
        held = self.byte_of(m, memory.word, self.word_bytes, "byte_of_memory_word")
        with m.If(kept & stored & self.looks):
            self.claim(m, held == self.held, "a word has the request's bytes")
        with m.If(self.is_write & self.decides & (self.length > 4)):
            self.claim(m, self.rest < self.word_bytes, "as many words as the request has are looked at")
        with m.If(self.is_write & does & (self.begun | self.answers)):
            self.claim(m, self.rest == 0, "as many words as the request has are written")

        # ---- codes and steps
        codes = self.build.spec.inputs
        self.handed = handed = Signal(range(codes + 2), name="codes_so_far")
        self.stepped = stepped = Signal()
        takes = named(m, "takes_code", x.valid & x.ready)
        with m.If(~kept):
            m.d.sync += [handed.eq(0), stepped.eq(0)]
        with m.Else():
            m.d.sync += [handed.eq(handed + takes), stepped.eq(stepped | progress.accepted)]
        new_step = self.is_step & dut.commit
        self.claim(m, implies(x.valid | progress.accepted, kept & new_step), "codes are a STEP's")
        code = self.byte[: len(x.payload.code)].as_signed()
        with m.If(x.valid):
            self.claim(m, self.at == PAYLOAD + ARGUMENTS + handed, "codes in their order")
            self.claim(m, (x.payload.code == code) & (handed < codes) & ~stepped, "a code is the request's byte")
            self.claim(m, x.payload.last == self.arguments[5][0], "last is the request's")
            self.claim(m, (self.at != self.place) | ~self.bad_code, "no code that is out of its range")
        waiting, waiting_code, waiting_last = Signal(), Signal.like(x.payload.code), Signal()
        m.d.sync += [waiting.eq(x.valid & ~x.ready), waiting_code.eq(x.payload.code), waiting_last.eq(x.payload.last)]
        stays = x.valid & (x.payload.code == waiting_code) & (x.payload.last == waiting_last)
        self.claim(m, ~waiting | stays, "an offered code stays")
        step = Cat(*self.arguments[1:5])
        with m.If(progress.accepted):
            self.claim(m, (handed == codes) & ~stepped, "a step behind its codes, once")
            self.claim(m, progress.last == self.arguments[5][0], "the step's last is the request's")
            self.claim(m, self.started & (self.arguments[0] == self.tag), "a step of the utterance that was begun")
            self.claim(m, (step == self.accepted_steps) & ~self.complete, "the step that is next")
            self.claim(m, self.accepted_steps < self.build.spec.max_steps, "no step beyond max_steps")
        begins = named(m, "answer_is_there", self.begun | self.answers)
        with m.If(begins & self.is_step & (self.status == OK)):
            self.claim(m, dut.commit == stepped, "a step that is new is handed over")
        with m.If(self.decides & self.is_step & self.again):
            self.claim(m, ~dut.commit, "a step that is repeated is not handed over")

    def _claim_answer(self, m: Module) -> None:
        dut, request, answer = self.dut, self.dut.request, self.dut.request.answer
        number = self.number = Signal(range(self.build.payload + PAYLOAD + 1), name="byte_of_answer")
        with m.If(~self.kept):
            m.d.sync += number.eq(0)
        with m.Elif(self.taken):
            m.d.sync += number.eq(number + 1)
        self.claim(m, implies(request.ignore, self.kept & self.command[7] & ~self.begun), "only answers are ignored")
        self.claim(m, ~answer.valid | (self.kept & ~self.answered & ~self.command[7]), "one answer to a request")
        self.claim(m, ~(self.answers & dut.commit) | self.decided, "an answer behind its decision")
        ok = self.status == OK
        length = self.answer_length = Signal(range(self.build.payload + 1), name="answer_bytes")
        m.d.comb += length.eq(1)
        with m.If(ok & self.is_echo):
            m.d.comb += length.eq(self.length + 1)
        with m.If(ok & self.is_status):
            m.d.comb += length.eq(1 + STATUS_BYTES)
        with m.If(ok & self.is_read):
            m.d.comb += length.eq(self.read_bytes)
        data, last = answer.payload.data, answer.payload.last
        fields = self._status_fields()
        recent = []
        for k, field in enumerate(fields):
            before = Signal(8, name=f"status_{k}_before")
            m.d.sync += before.eq(field)
            recent.append((field, before))
        waiting, waiting_byte = Signal(), Signal(9)
        m.d.sync += [waiting.eq(answer.valid & ~answer.ready), waiting_byte.eq(answer.payload.as_value())]
        self.claim(m, ~waiting | (answer.valid & (answer.payload.as_value() == waiting_byte)), "an offered byte stays")
        # Words of a READ, counted as the answer goes.
        self.read_word, self.read_byte = (
            Signal(range(256), name="word_of_answer"),
            Signal(range(256), name="byte_of_it"),
        )
        with m.If(~self.kept):
            m.d.sync += [self.read_word.eq(0), self.read_byte.eq(0)]
        with m.Elif(self.taken & (number > PAYLOAD)):
            m.d.sync += self.read_byte.eq(self.read_byte + 1)
            with m.If(self.read_byte == self.word_bytes - 1):
                m.d.sync += [self.read_byte.eq(0), self.read_word.eq(self.read_word + 1)]
        with m.If(answer.valid):
            self.claim(m, last == (number == length + PAYLOAD - 1), "last with the last byte alone")
            with m.Switch(number):
                for k, (value, name) in enumerate(
                    (
                        (self.sequence, "sequence number"),
                        (self.command | 0x80, "command"),
                        (length[:8], "length"),
                        (length[8:], "length's high byte"),
                        (self.status, "status"),
                    )
                ):
                    with m.Case(k):
                        self.claim(m, data == value, f"the answer's {name}")
                        if k < PAYLOAD:
                            self.claim(m, ~last, "no answer ends in its header")
            data_at = named(m, "data_of_answer", number > PAYLOAD)
            with m.If(data_at & self.is_echo):
                self.claim(m, (self.at == number - 1) & (data == self.byte), "ECHO answers its payload")
            with m.If(data_at & self.is_status & ~waiting):
                for k, (now, before) in enumerate(recent):
                    with m.If(number == PAYLOAD + 1 + k):
                        self.claim(m, (data == now) | (data == before), f"byte {k} of the status is its field's")
            with m.If(data_at & self.is_read & (self.read_word == self.word)):
                held = named(m, "byte_stored", self.stored.word_select(self.read_byte, 8))
                self.claim(m, data == held, "READ answers the words")

    def _cover_answers(self, m: Module) -> None:
        ends = named(m, "answer_ends", self.taken & self.dut.request.answer.payload.last)
        done, field = ends & (self.status == OK), self.taken & (self.number == PAYLOAD + 2)
        self.cover(m, ends & (self.status != OK), "a request is refused")
        for group, reached, message in (
            (ECHO, done & self.is_echo & (self.length != 0), "an ECHO of some bytes is answered"),
            (STATUS, field & self.is_status, "a STATUS answers a field"),
            (RESET, done & self.is_reset, "a RESET is done"),
            (STEP, done & self.is_step & self.stepped & (self.handed != 0), "a STEP is handed over"),
            (READ, done & self.is_read, "words are read"),
            (WRITE, done & self.is_write & (self.stores != 0), "words are written"),
        ):
            if not self.asked or any(group in (command, command & ~0x0F) for command, _ in self.asked):
                self.cover(m, reached, message)

    def _status_fields(self) -> list:
        """Bytes of the status block, from the table of docs/hostlink.md."""
        progress, request = self.dut.progress, self.dut.request
        flags = Cat(progress.computing, progress.answered, progress.too_long, ~self.dut.x.ready)
        fields = (
            *((flags, 1), (self.tag, 1), (progress.accepted_steps, 4), (progress.done_steps, 4), (progress.index, 2)),
            *((progress.clocks, 4), (progress.waiting, 4), (request.faults, 1), (request.dropped, 1)),
        )
        found = []
        for value, size in fields:
            wide = Cat(value, Const(0, 8 * size - len(value))) if len(value) < 8 * size else value
            found += [wide[8 * k : 8 * k + 8] for k in range(size)]
        assert len(found) == STATUS_BYTES
        return found

    def _claim_time(self, m: Module) -> None:
        dut, answer = self.dut, self.dut.request.answer
        waits = named(m, "waits", (answer.valid & ~answer.ready) | (dut.x.valid & ~dut.x.ready))
        self.first_time = Signal.like(self.stores, name="words_the_first_time")
        with m.If(self.commits):
            m.d.sync += self.first_time.eq(self.stores)
        again = dut.commit & ~self.commits
        words = named(m, "words_of_time", Mux(self.is_read, self.arguments[4], self.stores))
        most = named(m, "most_clocks", Mux(again, 0, 2) + self.length + words + 1)
        self.clocks = clocks = Signal(len(most) + 1, name="clocks_used")
        with m.If(~self.kept):
            m.d.sync += clocks.eq(0)
        with m.Elif(~waits & ~self.begun & ~answer.valid):
            m.d.sync += clocks.eq(Mux(self.commits, 0, clocks) + 1)
        with m.If(self.kept & ~self.begun & ~answer.valid):
            self.claim(m, clocks <= most, "the answer begins in time")
        gap = Signal()
        m.d.sync += gap.eq(self.begun & ~answer.valid & ~self.answered)
        self.claim(m, ~(gap & self.begun & ~self.answered) | answer.valid, "one clock between two bytes at most")
        gone = Signal()
        m.d.sync += gone.eq(~self.kept)
        self.claim(m, ~gone | self.states.within("idle"), "the next frame is looked at")

    def byte_of(self, m: Module, word, filled, name: str) -> Signal:
        """Byte ``inside`` of a word of which ``filled`` bytes have been shifted in from above."""
        chosen = Signal(8, name=name)
        longest = len(word) // 8
        place = named(m, f"{name}_place", (longest - filled + self.inside)[:8])
        with m.Switch(place):
            for k in range(longest):
                with m.Case(k):
                    m.d.comb += chosen.eq(word.word_select(k, 8))
        return chosen


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of the commands of a board for ``spec``, one for each size of words."""
    build = link_build(spec)
    sizes = sorted({build.word_bytes(space) for space in Space if build.words(space)})
    return [
        Entry(
            "commands",
            f"every request is judged, done as a whole or not at all, answered, and ends ({8 * size}-bit words)",
            lambda size=size: CommandProof(build, size),
            depth=1,
            long=True,
            search=20,
        )
        for size in sizes
    ]
