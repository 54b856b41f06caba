# SPDX-License-Identifier: Apache-2.0
"""The results of a network: every word of h and every logit is kept, and progress is counted."""

from amaranth import Const, Fragment, Module, Mux, Signal, Value
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.link.results import Results

from ..engine.entry import Entry
from ..engine.inspection import memory_word, named
from ..engine.proof import Proof, signal_inside


class ResultsProof(Proof):
    """What a host may ask about a network, beside counters of the proof.

    Environment: ``end`` comes with the last beat of h of every step, and ``last`` with the last logit, as *streams* and
    *head* claim of them; after ``clear`` the network begins with a first beat and a first logit. Everything else is
    free on every clock: beats, their gaps, ``clear``, ``accepted``, ``stalled``, and which words are read.

    Claims, for any trace:

    - Nothing that leaves the network waits.
    - A word of h, and a logit, that is read is the last one that came for this place: none is lost, and none is
      overwritten by another place's. The word that is written on the same clock is not looked at. ``clear``
      and writes from the reader do not change them.
    - ``accepted_steps`` and ``done_steps`` count steps since ``clear``; ``complete``, ``answered``, ``index`` and
      ``too_long`` are those of what came last since then. With the readout "step", where each step has an answer,
      ``answered`` is high once that of the last step was the last to come.
    - ``computing`` is high while a step, or after the last one the answer, is missing; ``clocks`` counts these clocks,
      and ``waiting`` those of them on which the network was stalled.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        self.dut = dut = Results(self.spec)
        m.submodules.dut = self.fragment = Fragment.get(dut, None)
        self.clear = self.free(m, 1, "clear")
        m.d.comb += dut.clear.eq(self.clear)
        beats, classes = self.spec.h_beats, self.spec.classes
        h, logit = dut.h.payload, dut.logit.payload
        of_h = self._kept(m, "hidden", dut.h, h.codes.as_value(), beats, h.end)
        of_logits = self._kept(m, "logits", dut.logit, logit.value, classes, logit.last)
        self._progress(m)
        self.cover(m, of_h & of_logits, "a word of h and a logit are read")

    def _kept(self, m: Module, name: str, source, value, words: int, end) -> Signal:
        """Claim that one place of a memory has what came for it; returns whether it is being read."""
        access, clear = getattr(self.dut, name), self.clear
        place, held, came = self.choice(m, words, f"{name}_place"), Signal(len(value), name=f"{name}_held"), Signal()
        number = Signal(range(max(words, 2)), name=f"{name}_number")  # of the beat that comes next
        m.d.comb += [
            source.valid.eq(self.free(m, 1, f"{name}_valid")),
            value.eq(self.free(m, len(value), f"{name}_came")),
            end.eq(number == words - 1),
            access.address.eq(self.free(m, len(access.address), f"{name}_address")),
            access.write.eq(self.free(m, 1, f"{name}_write")),
        ]
        self.claim(m, source.ready, f"{name}: nothing waits")
        with m.If(clear):
            m.d.sync += number.eq(0)
        with m.Elif(source.valid):
            m.d.sync += number.eq(Mux(end, 0, number + 1))
        writes = named(m, f"{name}_writes", source.valid & (number == place))
        with m.If(writes):
            m.d.sync += [held.eq(value), came.eq(1)]
        looked = Signal(name=f"{name}_looked_at")
        m.d.sync += looked.eq(came & ~writes & (access.address == place))
        expected = Signal.like(held, name=f"{name}_expected")
        m.d.sync += expected.eq(held)
        read = Value.cast(access.data).as_unsigned()
        with m.If(looked):
            self.claim(m, read == expected, f"{name}: a word that is read is the last one that came for its place")
        word = self._place_in_memory(name)
        self.invariant(m, (word == number) & (number < words), f"{name}: the place of the next beat")
        stored = memory_word(self.fragment, name, place[: len(access.address)], f"{name}_stored")
        with m.If(came):
            self.invariant(m, stored.as_unsigned() == held, f"{name}: what the memory holds")
        return looked

    def _place_in_memory(self, name: str) -> Signal:
        (memory,) = (part for part, own, *_ in self.fragment.subfragments if own == name)
        return memory._write_ports[0]._addr

    def _progress(self, m: Module) -> None:
        dut, progress, clear = self.dut, self.dut.progress, self.clear
        accepted, last = self.free(m, 1, "accepted"), self.free(m, 1, "last")
        answer, stalled = self.free(m, 1, "answer_valid"), self.free(m, 1, "stalled")
        index, too_long = self.free(m, len(progress.index), "index"), self.free(m, 1, "too_long")
        m.d.comb += [
            *(progress.accepted.eq(accepted), progress.last.eq(last), dut.stalled.eq(stalled)),
            *(
                dut.answer.valid.eq(answer),
                dut.answer.payload.index.eq(index),
                dut.answer.payload.too_long.eq(too_long),
            ),
        ]
        self.claim(m, dut.answer.ready, "an answer does not wait")
        names = ("accepted_steps", "done_steps", "complete", "answered", "index", "too_long", "clocks", "waiting")
        kept = {name: Signal.like(getattr(progress, name), name=f"kept_{name}") for name in names}
        whole, answered = kept["done_steps"], Const(1)
        if self.spec.readout == "step":
            whole = Signal.like(kept["done_steps"], name="answers_so_far")
            m.d.sync += whole.eq(Mux(clear, 0, whole + answer))
            answered = kept["complete"] & (kept["accepted_steps"] == whole + 1)
            self.invariant(m, signal_inside(self.fragment, "answered_steps") == whole, "answers since the last clear")
        computing = named(
            m,
            "something_is_missing",
            (kept["accepted_steps"] != whole) | (kept["complete"] & ~kept["answered"]),
        )
        done = dut.h.valid & dut.h.payload.end
        after = {
            "accepted_steps": kept["accepted_steps"] + accepted,
            "done_steps": kept["done_steps"] + done,
            "complete": Mux(accepted, last, kept["complete"]),
            "answered": Mux(answer, answered, kept["answered"]),
            "index": Mux(answer, index, kept["index"]),
            "too_long": Mux(answer, too_long, kept["too_long"]),
            "clocks": kept["clocks"] + computing,
            "waiting": kept["waiting"] + (computing & stalled),
        }
        m.d.sync += [register.eq(Mux(clear, 0, after[name])) for name, register in kept.items()]
        for name, register in kept.items():
            self.claim(m, getattr(progress, name) == register, f"{name} since the last clear")
        self.claim(m, progress.computing == computing, "computing while a step or the answer is missing")
        self.cover(m, kept["answered"] & ~computing & (kept["done_steps"] == 1), "an utterance of a step is answered")
        self.cover(m, computing & (kept["waiting"] == 1) & (kept["clocks"] == 3), "a clock on which it waits")


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the results of a board for ``spec``."""
    claim = "every word of h, logit and answer is kept until the next for its place; progress is counted"
    return [Entry("results", claim, lambda: ResultsProof(spec))]
