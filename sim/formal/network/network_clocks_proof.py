# SPDX-License-Identifier: Apache-2.0
"""``spec.clocks_per_step`` with an answer in every step: the macro and the head together."""

from amaranth import Module, Mux, Signal, Value
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import implies
from ..macro.clocks_proof import ClocksProof
from .head_clocks_proof import head_clocks, head_of


class NetworkClocksProof(ClocksProof):
    """A running utterance takes ``spec.clocks_per_step`` clocks a step, with the head behind the macro.

    It is about specifications with the readout ``"step"``. :class:`.fork_proof.ForkProof` says that the network top
    connects the two like this while the tap of h is ready.

    Environment: that of :class:`.clocks_proof.ClocksProof`, but ``array.ready``, ``x.valid``, and ``ready`` of the h
    tap, of logits and of answers are always high.

    Claims, beside those of :class:`.clocks_proof.ClocksProof` and :class:`.head_clocks_proof.HeadClocksProof`:

    - From the last beat of h of one step to that of the next it is exactly ``spec.clocks_per_step`` clocks.
    - From one answer to the next as well.
    """

    def covers(self, m: Module, was_ends: Value, was_waits: Value) -> None:
        self.cover(m, self.again, "a third step")

    def properties(self, m: Module) -> None:
        spec, dut, period = self.spec, self.dut, self.spec.clocks_per_step
        self.head, fragment = head_of(spec)
        head, m.submodules.head = self.head, fragment
        m.d.comb += [
            head.h.valid.eq(dut.h.valid),
            head.h.payload.eq(dut.h.payload),
            head.logit.ready.eq(1),
            head.answer.ready.eq(1),
        ]
        self.assume(m, dut.array.ready & dut.x.valid)
        self.assume(m, dut.h.ready == head.h.ready)
        head_clock = head_clocks(self, m, head, fragment)

        # ---- claims
        ended, again = Signal(name="ended"), Signal(name="ended_again")
        self.again = again
        since = Signal(range(period + 1), name="since")  # the last beat of h of the step before
        answered, between = Signal(name="answered"), Signal.like(since, name="since_answer")
        ends = named(m, "last_beat", dut.h.valid & dut.h.ready & dut.h.payload.end)
        m.d.sync += since.eq(Mux(ends, 1, since + (since != period)))
        m.d.sync += between.eq(Mux(head.answer.valid, 1, between + (between != period)))
        m.d.sync += [
            ended.eq(ended | ends),
            again.eq(again | (ended & ends)),
            answered.eq(answered | head.answer.valid),
        ]
        with m.If(ended):
            self.claim(m, ends == (since == period), "the last beats of two steps are clocks_per_step apart")
        with m.If(answered):
            self.claim(m, head.answer.valid == (between == period), "two answers are clocks_per_step apart")

        super().properties(m)

        # ---- invariants
        started = Signal(name="started")
        clock, present = (Signal(range(period + 1), name=name) for name in ("clock_of_step", "present_clock"))
        m.d.comb += present.eq(Mux(self.begins, 0, clock))
        m.d.sync += [started.eq(started | self.begins), clock.eq(present + (present != period))]
        clock, started = present, named(m, "has_started", started | self.begins)
        left = Mux(clock < spec.macro_clocks, spec.macro_clocks - clock, 1)
        self.invariant(m, implies(started & self.active, self.left == left), "clocks left of a step")
        self.invariant(m, implies(~started, ~self.active & ~ended), "before the first step")
        with m.If(started):
            codes = clock + 1
            self.invariant(m, self.full == (codes >= spec.inputs), "x is complete")
            self.invariant(m, implies(~self.full, self.loaded == codes), "codes of x")
            idle = self.in_phase(Phase.IDLE) & (clock >= spec.macro_clocks)
            self.invariant(m, self.active | idle, "a step runs without a gap")
        with m.If(ended):
            self.invariant(m, (since != 0) & (since <= period), "clocks since a last beat")
            # What loading takes beyond the macro's clocks, a step may begin later than on the clock after a last beat.
            late = max(spec.inputs - spec.macro_clocks, 0)
            with m.If(self.active):
                first = clock + 1 + (late if period == spec.inputs else 0)
                self.invariant(m, (since >= first) & (since <= clock + 1 + late), "a step begins in time")
            with m.Else():
                latest = clock + 1 - spec.macro_clocks
                self.invariant(m, since <= latest, "a step waits for x")
                if period == spec.inputs:
                    self.invariant(m, since == latest, "a step waits for x alone")
            self.invariant(
                m, head_clock == Mux(since < spec.head_clocks, since, spec.head_clocks), "clocks of the head"
            )
            self.invariant(
                m, implies(self.active, ~dut.h.valid | ~dut.h.payload.end | (self.left == 1)), "h ends a step"
            )
        with m.Else():
            self.invariant(m, head_clock == spec.head_clocks, "the head is free before the first step's h")
        due = spec.head_clocks - 1
        after = Mux(since > due, since - due, since + period - due)
        self.invariant(m, answered == (again | (ended & (since > due))), "answers so far")
        with m.If(answered):
            self.invariant(m, between == after, "clocks since an answer")
        self.invariant(m, implies(again, ended), "steps so far")


def proofs(spec: Specification) -> list[Entry]:
    """The proof for ``spec``, if its readout is ``"step"``: with others, a step's clocks are the macro's alone."""
    if spec.readout != "step":
        return []
    claim = "with the readout step, the last beats of h, and the answers, are clocks_per_step apart"
    return [Entry("clocks", claim, lambda: NetworkClocksProof(spec))]
