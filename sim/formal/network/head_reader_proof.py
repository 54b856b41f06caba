# SPDX-License-Identifier: Apache-2.0
"""The second half of a head whose matrix is in an array: a sum a class, in order, each once."""

from amaranth import Array, Cat, Fragment, Module, Mux, Signal
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.rtl.network.head_reader import HeadReader

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import Proof, signal_inside

#: Where a class is on its way from its turn to its logit.
_STAGES = ("asking", "there", "shown")


class HeadReaderProof(Proof):
    """The reader from ``start`` to its last logit, beside a reference that counts classes.

    Environment: ``start`` comes while the reader is not busy. Sums and the logit's ``ready`` are free.

    Claims, for any trace; a clock flows unless a logit waits:

    - The sums of each class in turn are asked for, one on each clock that flows, beginning on the clock after
      ``start``.
    - Two clocks that flow later the logit is valid, with its class, and ``last`` with the last class only. Its value is
      what the sums showed for its unit on the clock after they were asked for, and it waits unchanged.
    - ``busy`` lasts from ``start`` to the last logit's transfer.

    Parameters
    ----------
    spec : NetworkSpecification
        Whose head is in an array.
    """

    def __init__(self, spec: NetworkSpecification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec, classes, lanes = self.spec, self.spec.classes, self.spec.lanes
        dut = HeadReader(spec)
        m.submodules.dut = fragment = Fragment.get(dut, None)
        sums, logit = dut.sums, dut.logit
        start, busy = self.free(m, 1, "start"), Signal(name="reference_busy")
        m.d.comb += [
            dut.start.eq(start),
            sums.data.eq(self.free(m, len(sums.data.as_value()), "sums")),
            logit.ready.eq(self.free(m, 1, "ready")),
        ]
        self.assume(m, ~(start & busy))

        # ---- reference: asked for, there, shown, each with its class
        flows = named(m, "reference_flows", ~logit.valid | logit.ready)
        stages = [(Signal(name=what), Signal(range(max(classes, 2)), name=f"{what}_class")) for what in _STAGES]
        (asking, at), (there, there_class), (shown, shown_class) = stages
        group, lane = Signal(range(spec.h_beats + 1), name="at_group"), Signal(range(lanes), name="at_lane")
        there_lane = Signal.like(lane, name="there_lane")
        wraps = lane == lanes - 1
        with m.If(start):
            m.d.sync += [busy.eq(1), asking.eq(1), at.eq(0), group.eq(0), lane.eq(0)]
        with m.Elif(asking & flows):
            m.d.sync += [at.eq(at + 1), lane.eq(Mux(wraps, 0, lane + 1)), group.eq(group + wraps)]
            with m.If(at == classes - 1):
                m.d.sync += asking.eq(0)
        value = Signal.like(logit.payload.value, name="expected_value")
        with m.If(flows):
            m.d.sync += [there.eq(asking), there_class.eq(at), there_lane.eq(lane)]
            m.d.sync += [shown.eq(there), shown_class.eq(there_class)]
            m.d.sync += value.eq(Array(sums.data[k] for k in range(lanes))[there_lane])
        leaves = named(m, "last_logit_leaves", shown & logit.ready & (shown_class == classes - 1))
        with m.If(leaves):
            m.d.sync += busy.eq(0)

        # ---- claims
        self.claim(m, sums.enable == flows, "sums are read on clocks that flow")
        with m.If(asking):
            self.claim(m, sums.group == group, "the group of each class in turn")
        self.claim(m, logit.valid == shown, "a logit three clocks that flow after its class's turn")
        with m.If(shown):
            self.claim(m, logit.payload.index == shown_class, "the logit's class")
            self.claim(m, logit.payload.last == (shown_class == classes - 1), "last with the last class")
            self.claim(m, logit.payload.value == value, "the logit is the sum of its unit")
        self.claim(m, dut.busy == busy, "busy from the start to the last logit's transfer")
        waited, before = Signal(name="logit_waited"), Signal(len(logit.payload.as_value()), name="logit_before")
        m.d.sync += [waited.eq(logit.valid & ~logit.ready), before.eq(logit.payload)]
        with m.If(waited):
            self.claim(m, logit.valid & (logit.payload.as_value() == before), "a logit that waits does not change")
        again = Signal(name="again")
        m.d.sync += again.eq(again | leaves)
        self.cover(m, again & shown & waited & (shown_class == classes - 1), "a second run")

        # ---- invariants
        names = ("reading", "asked", "lane", "there", "index", "operand_lane")
        reading, asked, own_lane, own_there, index, operand_lane = (signal_inside(fragment, name) for name in names)
        self.invariant(m, (reading == asking) & (own_there == there), "what is on its way")
        with m.If(asking):
            self.invariant(m, (asked == at) & (own_lane == lane), "the class asked for")
            self.invariant(m, (group * lanes + lane == at) & (lane < lanes) & (at < classes), "its group and lane")
        with m.If(there):
            self.invariant(m, (index == there_class) & (operand_lane == there_lane), "the class that is there")
        for name, (present, of_class) in zip(_STAGES, stages, strict=True):
            self.invariant(m, ~present | (busy & (of_class < classes)), f"{name}: while busy")
        for number, name in enumerate(_STAGES[1:], 1):
            (ahead, ahead_class), (present, of_class) = stages[number - 1 : number + 1]
            with m.If(present & (of_class == classes - 1)):
                self.invariant(m, ~Cat(one for one, _ in stages[:number]).any(), f"{name}: nothing behind the last")
            with m.If(present & (of_class != classes - 1)):
                self.invariant(m, ahead & (ahead_class == of_class + 1), f"{name}: one class after the other")
        with m.If(busy):
            self.invariant(m, asking | there | shown, "the last logit is on its way")


def proofs(spec: NetworkSpecification) -> list[Entry]:
    """The proof of the head's reader at the sizes of ``spec``."""
    claim = "the sum of every class is shown once, in order; none changes while it waits"
    return [Entry("head", claim, lambda: HeadReaderProof(spec))]
