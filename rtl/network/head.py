# SPDX-License-Identifier: Apache-2.0
"""The dense head: sums of h, logits, argmax."""

import numpy as np
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification

from ..common.record_layout import answer_layout, h_layout, logit_layout
from .argmax import Argmax
from .head_multiplier import HeadMultiplier, program_signature
from .head_reader import HeadReader
from .head_sums import HeadSums


class Head(wiring.Component):
    """Adds up h, and after the last step of an utterance multiplies the sums with the head's weights.

    Its golden model is :meth:`~.network.Network.with_head`. Logits leave in the order of the classes, then the answer:
    the class of the largest, the first of equals. With the readout ``"step"`` every step counts as an utterance: its h
    is kept, not added to anything, and multiplied while the next step runs; nothing is ever too long.

    Latency: ``spec.head_clocks`` - 1 clocks from the last beat of h to the answer, if every logit is taken at once.
    Throughput: one beat of h a clock. The next utterance is added up meanwhile, in the other half of the sums.
    Back-pressure: the last beat of an utterance (with ``"step"``, of a step) waits (``h.ready`` low) until the head is
    through with the one before. A logit that is not taken holds the head.
    Cost: that of :class:`.head_sums.HeadSums`, :class:`.head_multiplier.HeadMultiplier` and :class:`.argmax.Argmax`.
    Where the head is in an array (``spec.head_in_array``), the sums are the logits: a :class:`.head_reader.HeadReader`
    takes the multiplier's place, and there are no weights.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (classes, hidden), or None
    biases : integer array, shape (classes,), or None
        Given, they are in a ROM. None for both: the member ``program`` writes them, while the head is not busy; the
        order of the words is that of :func:`.board_memory.head_image`.

    Raises
    ------
    InvalidValue
        For weights of another shape.
    """

    def __init__(self, spec: Specification, weights=None, biases=None):
        self.spec = spec
        self.programmable = weights is None and biases is None and not spec.head_in_array
        shapes = (np.shape(weights), np.shape(biases))
        if not (self.programmable or spec.head_in_array) and shapes != ((spec.classes, spec.hidden), (spec.classes,)):
            raise InvalidValue(
                f"the head's weights must have the shape {(spec.classes, spec.hidden)}, and a bias a class"
            )
        self.multiplier = HeadReader(spec) if spec.head_in_array else HeadMultiplier(spec, weights, biases)
        members = {
            "h": In(stream.Signature(h_layout(spec))),
            "logit": Out(stream.Signature(logit_layout(spec))),
            "answer": Out(stream.Signature(answer_layout(spec))),
            "busy": Out(1),
        }
        if self.programmable:
            members["program"] = In(program_signature(spec))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.sums = sums = HeadSums(self.spec)
        m.submodules.multiplier = multiplier = self.multiplier
        m.submodules.argmax = argmax = Argmax(self.spec)
        wiring.connect(m, wiring.flipped(self.h), sums.h)
        wiring.connect(m, multiplier.sums, sums.sums)
        if self.programmable:
            wiring.connect(m, wiring.flipped(self.program), multiplier.program)
        if not self.spec.head_in_array:
            m.d.comb += multiplier.count.eq(sums.count)
        logit = multiplier.logit
        m.d.comb += [
            self.busy.eq(multiplier.busy | argmax.answer.valid),
            sums.hold.eq(self.busy),
            multiplier.start.eq(sums.finished),
            self.logit.valid.eq(logit.valid),
            self.logit.payload.value.eq(logit.payload.value),
            self.logit.payload.last.eq(logit.payload.last),
            logit.ready.eq(self.logit.ready),
            argmax.logit.valid.eq(logit.valid & logit.ready),
            argmax.logit.payload.eq(logit.payload),
            self.answer.valid.eq(argmax.answer.valid),
            self.answer.payload.index.eq(argmax.answer.payload.index),
            self.answer.payload.too_long.eq(sums.too_long),
            argmax.answer.ready.eq(self.answer.ready),
        ]
        return m
