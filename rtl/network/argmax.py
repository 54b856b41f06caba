# SPDX-License-Identifier: Apache-2.0
"""The class with the largest logit."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.spec.specification import Specification

from ..common.record_layout import answer_layout
from .head_multiplier import class_logit_layout


class Argmax(wiring.Component):
    """Keeps the class of the largest logit, of equal ones the first, and answers behind the last class.

    Its golden model is numpy's ``argmax``.

    Latency: the answer is there one clock after the last logit.
    Throughput: one logit a clock.
    Back-pressure: none on logits; those of the next utterance may come only when the answer has been taken.
    Cost: a logit, a class index and a comparator.

    Parameters
    ----------
    spec : Specification

    Members
    -------
    logit : stream
        Of a :class:`.head_multiplier.HeadMultiplier`.
    answer : stream
        The class; ``too_long`` stays 0, since logits do not tell.
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        super().__init__(
            {
                "logit": In(stream.Signature(class_logit_layout(spec), always_ready=True)),
                "answer": Out(stream.Signature(answer_layout(spec))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        logit, answer = self.logit.payload, self.answer
        best = Signal(logit.value.shape(), reset_less=True)
        index = Signal(logit.index.shape(), reset_less=True)
        m.d.comb += answer.payload.index.eq(index)
        with m.If(answer.ready):
            m.d.sync += answer.valid.eq(0)
        with m.If(self.logit.valid):
            m.d.sync += answer.valid.eq(logit.last)
            with m.If((logit.index == 0) | (logit.value > best)):
                m.d.sync += [best.eq(logit.value), index.eq(logit.index)]
        return m
