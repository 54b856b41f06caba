# SPDX-License-Identifier: Apache-2.0
"""The second half of a head whose matrix is an array: it reads the sums of the last layer as logits."""

from amaranth import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.layers.network_specification import NetworkSpecification

from .head_multiplier import class_logit_layout
from .head_sums import SumsSignature


class HeadReader(wiring.Component):
    """Shows the sums one after the other: the k-th is the logit of class k.

    Its golden model is :class:`~.head_arithmetic.HeadArithmetic` without weights.

    Latency: three clocks from ``start`` to the first logit.
    Throughput: a logit a clock, if each is taken at once.
    Back-pressure: a logit that is not taken holds the whole pipeline.
    Cost: counters, a register for a logit, and a multiplexer of ``lanes`` sums; no multiplier and no memory.

    Parameters
    ----------
    spec : NetworkSpecification
        Whose ``head`` is ``"array"``.

    Members
    -------
    start, sums, logit, busy
        As those of a :class:`.head_multiplier.HeadMultiplier`.
    """

    def __init__(self, spec: NetworkSpecification):
        self.spec = spec
        super().__init__(
            {
                "start": In(1),
                "sums": Out(SumsSignature(spec)),
                "logit": Out(stream.Signature(class_logit_layout(spec))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, sums, logit = self.spec, self.sums, self.logit
        flows = Signal()
        lane = Signal(range(spec.lanes))
        operand_lane = Signal(range(spec.lanes))
        asked = Signal(range(spec.classes))  # the class whose sum is read
        reading = Signal()
        there = Signal()  # its data, a clock later
        index = Signal(range(spec.classes))
        group = Signal.like(sums.group)
        m.d.comb += [flows.eq(~logit.valid | logit.ready), sums.enable.eq(flows), sums.group.eq(group)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), reading.eq(1), asked.eq(0), lane.eq(0), group.eq(0)]
        with m.Elif(reading & flows):
            m.d.sync += [asked.eq(asked + 1), lane.eq(lane + 1)]
            with m.If(lane == spec.lanes - 1):
                m.d.sync += [lane.eq(0), group.eq(group + 1)]
            with m.If(asked == spec.classes - 1):
                m.d.sync += reading.eq(0)
        with m.If(flows):
            m.d.sync += [
                there.eq(reading),
                index.eq(asked),
                operand_lane.eq(lane),
                logit.valid.eq(there),
                logit.payload.index.eq(index),
                logit.payload.last.eq(index == spec.classes - 1),
                logit.payload.value.eq(Array(sums.data[k] for k in range(spec.lanes))[operand_lane]),
            ]
        with m.If(logit.valid & logit.ready & logit.payload.last):
            m.d.sync += self.busy.eq(0)
        return m
