# SPDX-License-Identifier: Apache-2.0
"""Clocks and liveness of the macro: how many clocks a step takes, and that it ends."""

from amaranth import Const, Module, Mux, Signal, Value
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.proof import Reset, implies
from .macro_proof import MacroProof

#: The phases in which no step is under way.
BETWEEN = (Phase.FLUSH, Phase.IDLE)


class ClocksProof(MacroProof):
    """A step takes ``spec.macro_clocks`` clocks and those that it waits, so it ends wherever waiting does.

    ``left``, the clocks that are left of a step, is a function of the macro's state: a measure.

    Environment: that of :class:`MacroProof`.

    Claims:

    - ``left`` is ``spec.macro_clocks`` on the first clock of a step. It falls by one on every clock on which nothing
      waits, does not change on any other, and a step is over exactly after the clock on which it is 1 and nothing
      waits. So a step takes ``spec.macro_clocks`` clocks plus those on which it waits.
    - It waits for two things alone: for ``array.ready``, before a window, at the end of hold, or on a tick; and for
      ``h.ready`` while ``h.valid`` is high.
    - ``monitor.stalled`` is high exactly on the clocks on which ``array.ready`` is missing.
    - h leaves whole: the beat with ``end`` is taken on the last clock of a step, and on no other.
    - A step whose x is complete begins on the clock after the last one of the step before, or after an idle one.
      Between steps the macro waits for x alone.
    - After a reset the first step may begin after ``spec.beats`` clocks.

    Where an array projects h, the clocks of that macro count as waited; the step's last clock is that on which the last
    of its codes comes.
    """

    @property
    def clocks(self) -> int:
        """Clocks of a step, without those of other macros that project h, or make partial sums."""
        return (
            self.spec.macro_clocks - sum(self.spec.sum_waits) - (0 if self.dense is None else self.dense.macro_clocks)
        )

    def properties(self, m: Module) -> None:
        spec, dut = self.spec, self.dut
        left, active = Signal(range(self.clocks + 1), name="left"), Signal(name="active")
        lacks_ready, waits, ends = (Signal(name=name) for name in ("lacks_ready", "waits", "ends"))
        settled = self.in_phase(Phase.HOLD) & (self.waited == spec.settle_clocks - 1)
        m.d.comb += [
            left.eq(self.clocks_left()),
            active.eq(~self.in_phase(*BETWEEN)),
            lacks_ready.eq(~dut.array.ready & ~self.unfed & (self.in_phase(Phase.START, Phase.RAMP) | settled)),
            waits.eq(lacks_ready | self.unfed | (dut.h.valid & ~dut.h.ready) | self._unprojected),
            ends.eq(active & ~waits & (left == 1)),
        ]
        idle = Signal(name="idle")
        m.d.comb += idle.eq(self.in_phase(Phase.IDLE))
        now = (left, active, waits, ends, idle, self.full)
        was = was_left, was_active, was_waits, was_ends, was_idle, was_full = [
            Signal.like(signal, name=f"was_{signal.name}") for signal in now
        ]
        m.d.sync += [before.eq(signal) for before, signal in zip(was, now, strict=True)]
        self.begins = begins = Signal(name="begins")
        self.left, self.active = left, active
        m.d.comb += begins.eq(active & (~was_active | was_ends))

        self.claim(m, implies(active, (left != 0) & (left <= self.clocks)), "clocks are left of every step")
        self.claim(m, implies(begins, left == self.clocks), "a step begins with macro_clocks left")
        self.claim(
            m, implies(was_active & was_waits, active & (left == was_left)), "while it waits, a step does not go on"
        )
        goes_on = was_active & ~was_waits & ~was_ends
        self.claim(
            m, implies(goes_on, active & (left == was_left - 1)), "a clock on which nothing waits brings a step one on"
        )
        self.claim(m, implies(~was_full & was_ends, ~active), "a step ends after macro_clocks and those waited")
        self.claim(m, implies((was_ends | was_idle) & was_full, begins), "a step whose x is complete begins at once")
        self.claim(m, implies(begins, was_full), "a step begins with its whole x")
        self.claim(m, dut.monitor.stalled == lacks_ready, "stalled exactly while only ready is missing")
        self.claim(m, self.step_ends == ends, "the last beat of h leaves on the last clock of a step")
        self.claim(m, implies(dut.h.valid, active), "h leaves within a step")

        flushed = Signal(range(spec.beats + 1), name="flushed")
        with m.If(self.in_phase(Phase.FLUSH)):
            m.d.sync += flushed.eq(flushed + 1)
        self.invariant(m, implies(self.in_phase(Phase.FLUSH), flushed == self.waited), "clocks since reset")
        self.claim(
            m, implies(~self.in_phase(Phase.FLUSH), flushed == spec.beats), "a reset takes ceil(units / lanes) clocks"
        )

        self.covers(m, was_ends, was_waits)

    @property
    def _unprojected(self) -> Value:
        """Whether a step waits for what projects it in an array; one bit."""
        return Const(0) if self.dense is None else self.in_phase(Phase.PROJECT) & ~self.step_ends

    def covers(self, m: Module, was_ends: Value, was_waits: Value) -> None:
        """What is reached, given whether the clock before ended a step, or waited."""
        self.cover(m, was_ends & self.active, "a step follows at once")
        self.cover(m, was_ends & ~self.active, "the macro waits for x")
        self.cover(m, self.in_phase(Phase.RAMP) & was_waits, "a tick waits")

    def clocks_left(self) -> Value:
        """Clocks of the step that are left while nothing waits, this one included; 0 between steps."""
        spec = self.spec
        ramp, update = self.ticks, spec.update_clocks
        # With registered comparators, the first clock of an update sees the last code land.
        hold = spec.settle_clocks + ramp + update
        in_conversion = {
            Phase.START: 1 + self.window + hold,
            Phase.INTEGRATE: self.window + 1 - self.count + hold,
            Phase.HOLD: hold - self.waited,
            Phase.RAMP: 1 + ramp - self.number + update,
            Phase.UPDATE: spec.beats
            + 1
            + (self.inside("comparator_register.latch_sampled") if spec.comparator_registers else 0)
            - self.beat,
        }
        # After the first conversion the second follows, if there is one, and after the last the projection.
        second = 1 + spec.windows[-1] + spec.settle_clocks + spec.conversion_ticks[-1] + update
        after = Mux(self.final, 0, second) + (spec.projection_clocks if self.dense is None else 1)
        left = Const(0)
        for phase, clocks in in_conversion.items():
            left = Mux(self.in_phase(phase), clocks + after, left)
        if not spec.projection:
            return left
        return Mux(self.in_phase(Phase.PROJECT), self.projected if self.dense is None else 1, left)


class PeriodProof(ClocksProof):
    """A running utterance takes ``spec.clocks_per_step`` clocks a step, as far as that is the macro's.

    Environment: that of :class:`ClocksProof`, but ``array.ready``, ``h.ready`` and ``x.valid`` are always high.

    Claim: from the first clock of a step to that of the next it is exactly ``max(spec.macro_clocks, spec.inputs)``
    clocks; of a macro that takes several codes of x in a clock, ``ceil(spec.inputs / x_lanes)`` in their place.
    With ``compact``, whose x loads from the second clock of the first hold on, it is
    ``max(spec.macro_clocks, spec.windows[0] + 3 + spec.inputs)``.
    """

    def covers(self, m: Module, was_ends: Value, was_waits: Value) -> None:
        self.cover(m, was_ends, "a step that never waits")
        self.cover(m, self.begins & self.started, "a second step")

    def properties(self, m: Module) -> None:
        self.started = started = Signal(name="started")
        super().properties(m)
        spec, dut = self.spec, self.dut
        self.assume(m, dut.array.ready & dut.h.ready & dut.x.valid)
        loads_from = spec.windows[0] + 2 if self.compact else -1  # clock of the step on which no code is loaded yet
        period = max(spec.macro_clocks, loads_from + 1 + self.x_groups)
        clock = Signal(range(period + 1), name="clock")
        since = Signal.like(clock, name="since")  # the first clock of the present step
        m.d.comb += clock.eq(Mux(self.begins, 0, since))
        m.d.sync += [since.eq(clock + 1), started.eq(started | self.begins)]

        with m.If(started):
            self.claim(m, self.begins == (since == period), "the period of steps is that of the specification")
        with m.If(started | self.begins):
            self.invariant(m, clock < period, "period: clock of the step")
            self.invariant(m, implies(self.active, self.left == spec.macro_clocks - clock), "period: clocks left")
            waits = self.in_phase(Phase.IDLE) & (clock >= spec.macro_clocks)
            self.invariant(m, self.active | waits, "period: waits for x")
            codes = Mux(clock > loads_from, clock - loads_from, 0) if self.compact else clock + 1
            self.invariant(m, self.full == (codes >= self.x_groups), "period: x is complete")
            self.invariant(m, implies(~self.full, self.loaded == codes), "period: codes of x")
            if self.compact:
                self.invariant(m, self.inside("loader.needed") == (clock < loads_from), "period: x is needed")
        with m.Else():
            self.invariant(m, ~self.active, "period: before the first step")


def proofs(spec: Specification, x_lanes: int = 1) -> list[Entry]:
    """The proofs of clocks at the sizes of ``spec``; where other macros give something, it waits in every step."""
    whole = Entry(
        "clocks",
        "a step takes macro_clocks and the clocks that it waits; the next one begins at once",
        lambda: ClocksProof(spec, reset=Reset.ANY_TIME, x_lanes=x_lanes),
    )
    period = Entry(
        "clocks",
        "while nothing waits, a step begins every max(macro_clocks, inputs) clocks",
        lambda: PeriodProof(spec, x_lanes=x_lanes),
    )
    return [whole] if spec.array_projects or spec.layout.given else [whole, period]
