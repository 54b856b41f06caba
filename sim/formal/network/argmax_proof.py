# SPDX-License-Identifier: Apache-2.0
"""The argmax: the first of the largest logits, answered once behind the last class."""

from amaranth import Fragment, Module, Mux, Signal
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.argmax import Argmax

from ..engine.entry import Entry
from ..engine.proof import Proof, implies, signal_inside
from ..engine.solver import Mode


class ArgmaxProof(Proof):
    """Logits of utterance after utterance, and their answers.

    Environment: logits come class by class, with gaps, and none while an answer waits (:class:`HeadProof` claims that
    of the head); their values and the answer's ``ready`` are free.

    Claims, for any trace, for a class that stands for all of them and one more that stands for the answer:

    - No logit is larger than that of the answer, and none of a class before it is as large.
    - An answer is there exactly from the clock after the last logit until it is taken, and does not change.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        classes = self.spec.classes
        dut = Argmax(self.spec)
        m.submodules.dut = fragment = Fragment.get(dut, None)
        logit, answer = dut.logit.payload, dut.answer
        valid, value = self.free(m, 1, "logit_valid"), self.free(m, logit.value.shape(), "value")
        index = Signal(range(max(classes, 2)))
        m.d.comb += [
            *(dut.logit.valid.eq(valid), logit.value.eq(value), logit.index.eq(index)),
            *(logit.last.eq(index == classes - 1), answer.ready.eq(self.free(m, 1, "answer_ready"))),
        ]
        waits = Signal()  # an answer
        self.assume(m, ~(valid & waits))
        with m.If(valid):
            m.d.sync += index.eq(Mux(logit.last, 0, index + 1))
        with m.If(valid & logit.last):
            m.d.sync += waits.eq(1)
        with m.Elif(answer.ready):
            m.d.sync += waits.eq(0)

        any_class, answered = self.choice(m, classes, "any_class"), self.choice(m, classes, "answered")
        of_any, of_answered = Signal(value.shape()), Signal(value.shape())
        for which, kept in ((any_class, of_any), (answered, of_answered)):
            with m.If(valid & (index == which)):
                m.d.sync += kept.eq(value)
        self.claim(m, answer.valid == waits, "an answer from the last logit until it is taken")
        self.claim(m, ~answer.payload.too_long, "logits do not tell whether an utterance was too long")
        with m.If(waits):
            self.claim(m, answer.payload.index < classes, "the answer is a class")
        with m.If(waits & (answer.payload.index == answered)):
            self.claim(m, of_any <= of_answered, "no logit is larger than that of the answer")
            self.claim(m, implies(any_class < answered, of_any < of_answered), "the first of equal logits is answered")
        held = Signal()
        last = Signal.like(answer.payload.index)
        m.d.sync += [held.eq(waits & ~answer.ready), last.eq(answer.payload.index)]
        with m.If(held):
            self.claim(m, answer.valid & (answer.payload.index == last), "an answer that waits does not change")
        self.cover(m, waits & (answer.payload.index == classes - 1), "the last class")
        self.cover(m, held & answer.ready & (answer.payload.index == 0), "the first class, after a wait")

        best, chosen = (signal_inside(fragment, name) for name in ("best", "index"))
        with m.If(waits):
            self.invariant(m, index == 0, "all classes were seen")
        self.invariant(m, index < classes, "class")
        seen = Mux(waits, classes, index)
        with m.If(seen != 0):
            self.invariant(m, chosen < seen, "a class that was seen")
            self.invariant(m, implies(chosen == answered, best == of_answered), "the logit of the best class is kept")
            with m.If(any_class < seen):
                self.invariant(m, of_any <= best, "no logit was larger")
                self.invariant(m, implies(any_class < chosen, of_any < best), "the first of equal logits")
                self.invariant(m, implies(chosen == any_class, best == of_any), "the logit of the best class")


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the argmax at the sizes of ``spec``."""
    claim = "the answer is the first of the largest logits, there until it is taken"
    return [Entry("head", claim, lambda: ArgmaxProof(spec), Mode.PROVE, 2)]
