# SPDX-License-Identifier: Apache-2.0
"""The calibrator: what passes it, how many steps it asks for and how long it takes, whatever codes it is given."""

from amaranth import Const, Fragment, Module, Mux, Signal, Value
from crossramp.golden.analog.conversion.calibration import REPEATS_LOG2, CalibrationPlan
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.calibrator import Calibrator, _Phase

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import Proof, implies, signal_inside


class CalibratorProof(Proof):
    """The calibrator between a host and a macro that takes and gives steps whenever it likes.

    Environment: the macro ends a step only after its last code was taken, and takes no last code while two steps are
    outstanding. Everything else is free, first of all the codes on the monitor ports.

    Claims, for any trace:

    - Idle, x, h and both streams' ``ready`` pass. While ``busy``, x is taken only to end an utterance that has begun.
    - ``quiet`` is high only with no step of the host's outstanding. Then h is not shown, and all codes are zero, each
      step the last of its utterance. An utterance whose state is kept is not over.
    - A calibration runs exactly ``plan.steps`` steps and leaves none behind, then ``busy`` falls within two clocks.
      Until then it offers a code, or a step is under way: it ends with any macro that takes codes and ends steps.
    - Registers change only while ``busy``, or to ``value`` with ``load``; ``failed`` only while ``busy``. The array
      sees the registers except while ``quiet``.

    Parameters
    ----------
    plan : CalibrationPlan
    """

    def __init__(self, plan: CalibrationPlan, **options):
        super().__init__(**options)
        self.plan = plan

    def describe(self, m: Module) -> None:
        self.dut = dut = Calibrator(self.plan)
        m.submodules.dut = self.fragment = Fragment.get(dut, None)
        for member in dut.monitor.signature.members:
            port = Value.cast(getattr(dut.monitor, member))
            m.d.comb += port.eq(self.free(m, len(port), member))
        self.phase = phase = self.inside("phase")
        idle, run, decide, finish = (
            phase == getattr(_Phase, name).value for name in ("IDLE", "RUN", "DECIDE", "FINISH")
        )
        self._counters(m)
        self.environment(m)
        x, h, macro_x, macro_h, calibrate = dut.x, dut.h, dut.macro_x, dut.macro_h, dut.calibrate
        busy, start = calibrate.busy, calibrate.start
        loaded, ended = self.loaded, self.ended

        # ---- reference: the host's utterance, and steps of a calibration
        under_way, host_steps, steps = Signal(), Signal(2), Signal(range(self.plan.steps + 1))
        with m.If(x.valid & x.ready):
            over_with = self.whole & x.payload.last
            if self.plan.spec.keeps_state:  # an utterance whose state is kept is not over
                over_with = over_with & ~x.payload.keep
            m.d.sync += under_way.eq(~over_with)
        m.d.sync += host_steps.eq(host_steps + (loaded & ~dut.quiet & ~run) - (ended & (host_steps != 0)))
        with m.If(~busy & start):
            m.d.sync += steps.eq(self.plan.steps)
        with m.Elif(dut.quiet & ended):
            m.d.sync += steps.eq(steps - 1)
        was_busy, over = Signal(), Signal(2)
        m.d.sync += was_busy.eq(busy)
        m.d.sync += over.eq(Mux(busy & (steps == 0), over + (over != 3), 0))

        # ---- claims
        with m.If(~busy):
            self.claim(m, macro_x.valid == x.valid, "idle, x passes")
            self.claim(m, macro_x.payload.as_value() == x.payload.as_value(), "idle, codes of x pass")
            self.claim(m, x.ready == macro_x.ready, "idle, x is taken as the macro takes it")
            self.claim(m, ~dut.quiet, "idle, not quiet")
        with m.Else():
            self.claim(m, under_way | ~x.ready, "while busy, x is taken only to end an utterance")
        with m.If(dut.quiet):
            self.claim(m, host_steps == 0, "quiet with no step of the host's outstanding")
            self.claim(m, ~under_way, "quiet with no utterance of the host's under way")
            self.claim(m, ~h.valid & macro_h.ready, "quiet, h is taken and not shown")
            self.claim(m, implies(macro_x.valid, macro_x.payload.code == 0), "quiet, codes are zero")
            self.claim(m, implies(macro_x.valid, macro_x.payload.last), "quiet, each step is an utterance")
            if self.plan.spec.keeps_state:
                self.claim(m, implies(macro_x.valid, ~macro_x.payload.keep), "quiet, no state is kept")
        with m.Else():
            self.claim(m, (h.valid == macro_h.valid) & (macro_h.ready == h.ready), "h passes unless quiet")
            self.claim(m, dut.calibration == calibrate.registers, "the array sees the registers unless quiet")
        self.claim(m, h.payload.as_value() == macro_h.payload.as_value(), "the codes of h pass")
        with m.If(run):
            self.claim(m, macro_x.valid | (self.outstanding != 0), "a code is offered, or a step is under way")
            self.claim(m, steps != 0, "no more steps than the plan has")
        with m.If(was_busy & ~busy):
            self.claim(m, steps == 0, "as many steps as the plan has")
            self.claim(m, (self.outstanding == 0) & (self.index == 0), "no step is left behind")
        self.claim(m, ~busy | (over < 2), "over two clocks after the last step")
        self._registers(m, busy)
        again = Signal()
        m.d.sync += again.eq(again | (was_busy & ~busy))
        self.cover(m, again & ~busy & calibrate.failed.any(), "a calibration fails")
        self.cover(m, again & busy & under_way & x.ready & x.valid, "a calibration waits for an utterance")

        # ---- invariants
        repeat, bit = (self.inside(name) for name in ("repeat", "bit"))
        self.invariant(m, phase <= _Phase.FINISH.value, "phase")
        self.invariant(m, self.inside("outstanding") == self.outstanding, "steps outstanding")
        self.invariant(m, (self.inside("index") == self.index) & (self.index < self.plan.spec.inputs), "place in x")
        self.invariant(m, host_steps <= self.outstanding, "the host's steps are outstanding")
        self.invariant(m, self.inside("under_way") == (under_way & ~dut.quiet & ~finish), "the host's utterance")
        with m.If(under_way):
            self.invariant(m, idle | (phase == _Phase.WAIT.value), "an utterance is not under way in a calibration")
        with m.If((self.index != 0) & (idle | (phase == _Phase.WAIT.value))):
            self.invariant(m, under_way, "part of a step is of an utterance")
        with m.If(run | decide):
            self.invariant(m, (host_steps == 0) & (self.outstanding <= 1), "one step at a time")
        with m.Elif(finish):
            self.invariant(m, (self.outstanding == 0) & (self.index == 0) & (host_steps == 0), "nothing is left")
        with m.Else():
            self.invariant(m, host_steps == self.outstanding, "steps are the host's")
        self._progress(m, steps, repeat, bit, run, decide, finish, idle)
        with m.If(finish):
            self.invariant(m, over == 1, "the second clock after the last step")
        with m.Elif(idle):
            self.invariant(m, (over == 0) | (over == 2), "over")
        with m.Else():
            self.invariant(m, over == 0, "the last step is not over, or has just ended")

    def _counters(self, m: Module) -> None:
        """Codes that the macro has of its next step, and steps that it has and has not ended."""
        dut, inputs = self.dut, self.plan.spec.inputs
        self.index, self.outstanding = Signal(range(max(inputs, 2)), name="codes_taken"), Signal(2, name="steps_begun")
        took = named(m, "code_taken", dut.macro_x.valid & dut.macro_x.ready)
        self.whole = self.index == inputs - 1
        self.loaded = named(m, "step_loaded", took & self.whole)
        self.ended = named(m, "step_ended", dut.macro_h.valid & dut.macro_h.ready & dut.macro_h.payload.end)
        with m.If(took):
            m.d.sync += self.index.eq(Mux(self.whole, 0, self.index + 1))
        m.d.sync += self.outstanding.eq(self.outstanding + self.loaded - self.ended)

    def environment(self, m: Module) -> None:
        dut = self.dut
        free = ("h.ready", "x.valid", "macro_x.ready", "macro_h.valid", "calibrate.start", "calibrate.load")
        for path in free:
            stream, name = path.split(".")
            m.d.comb += getattr(getattr(dut, stream), name).eq(self.free(m, 1, path.replace(".", "_")))
        m.d.comb += dut.calibrate.value.eq(self.free(m, len(dut.calibrate.value), "value"))
        for stream in (dut.x, dut.macro_h):
            payload = stream.payload.as_value()
            m.d.comb += payload.eq(self.free(m, len(payload), "x" if stream is dut.x else "h"))
        self.assume(m, ~dut.macro_h.valid | (self.outstanding != 0))
        self.assume(m, ~(self.whole & dut.macro_x.ready) | (self.outstanding != 2))

    def _registers(self, m: Module, busy) -> None:
        calibrate = self.dut.calibrate
        before = {
            name: Signal(len(getattr(calibrate, name)), name=f"{name}_before") for name in ("registers", "failed")
        }
        value, loads, stays, known = Signal(len(calibrate.value), name="value_before"), Signal(), Signal(), Signal()
        m.d.sync += [
            *(kept.eq(getattr(calibrate, name)) for name, kept in before.items()),
            *(value.eq(calibrate.value), loads.eq(calibrate.load & ~busy), stays.eq(~busy), known.eq(1)),
        ]
        with m.If(known & stays):
            self.claim(m, calibrate.failed == before["failed"], "failed changes only while busy")
            expected = Mux(loads, value, before["registers"])
            self.claim(m, calibrate.registers == expected, "registers change only while busy, or with load")

    def _progress(self, m: Module, steps, repeat, bit, run, decide, finish, idle) -> None:
        """Steps that are left, from the repetition and the cell that is tried."""
        plan = self.plan
        self.settings = settings = Signal(range(plan.settings + 1))  # left to be tried, with the present one
        cells = plan.spec.calibration_cells
        with m.If(~self.dut.calibrate.busy & self.dut.calibrate.start):
            m.d.sync += settings.eq(plan.settings)
        with m.Elif(decide):
            m.d.sync += settings.eq(settings - 1)
        with m.If(run):
            self.invariant(m, steps == settings * plan.repeats - repeat, "steps left")
        with m.Elif(decide):
            self.invariant(m, (steps == (settings - 1) * plan.repeats) & (repeat == 0), "steps left after a setting")
        with m.Elif(finish):
            self.invariant(m, (steps == 0) & (settings == 0), "no step is left")
        with m.Elif(idle):
            self.invariant(m, steps == 0, "no step")
        with m.Else():
            self.invariant(m, (steps == plan.steps) & (settings == plan.settings), "all steps")
        with m.If(run | decide):
            self.invariant(m, (settings != 0) & (settings <= plan.settings), "settings left")
            cell = Mux(settings == plan.settings, 0, (Const(1, cells + 1) << settings) >> 1)
            self.invariant(m, bit == cell, "the cell that is tried")
        last = run & (steps == 1) & (self.outstanding == 1)
        self.invariant(m, ~(last | (decide & (steps == 0))) | (self.index == 0), "no code behind the last step")

    def inside(self, name: str) -> Signal:
        return signal_inside(self.fragment, name)


class CalibratorClocksProof(CalibratorProof):
    """The calibrator takes exactly the clocks that its plan says, for any codes.

    Environment: that of :class:`CalibratorProof`, and a macro whose array is always ready: it takes a code on every
    clock, and a step ends ``spec.macro_clocks`` + 1 clocks after its last code, as the clocks of the macro are proven
    to be. No utterance is under way. Not ``compact``.

    Claims, for any trace: ``busy`` is high for ``plan.clocks()`` clocks after ``start``. Beside it those of
    :class:`CalibratorProof`.
    """

    def environment(self, m: Module) -> None:
        super().environment(m)
        dut, last = self.dut, self.plan.spec.macro_clocks + 1
        self.timer = Signal(range(last + 1))  # clocks of the step under way that are left, with the present one
        with m.If(self.loaded):
            m.d.sync += self.timer.eq(last)
        with m.Elif(self.timer != 0):
            m.d.sync += self.timer.eq(self.timer - 1)
        self.assume(m, ~dut.x.valid & dut.macro_x.ready)
        self.assume(m, (dut.macro_h.valid & dut.macro_h.payload.end) == (self.timer == 1))

    def _progress(self, m: Module, steps, repeat, bit, run, decide, finish, idle) -> None:
        super()._progress(m, steps, repeat, bit, run, decide, finish, idle)
        plan, inputs, calibrate = self.plan, self.plan.spec.inputs, self.dut.calibrate
        last, clocks = plan.spec.macro_clocks + 1, plan.clocks()
        left = Signal(range(clocks + 1))
        with m.If(~calibrate.busy & calibrate.start):
            m.d.sync += left.eq(clocks)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        self.claim(m, calibrate.busy == (left != 0), "busy for as many clocks as the plan says")
        self.cover(m, (left == clocks - 1) & run, "a calibration begins")

        # Clocks that are left, from where the calibration is.
        loading = named(m, "loading", (inputs - 1) - self.index)  # clocks until the last code of the next step
        pace = max(last + 1, inputs)

        def after(steps, settings):
            """Clocks after a last code, with so many steps to end and settings to decide."""
            return (steps - 1) * pace + (settings - 1) + last + 2

        self.invariant(m, (self.timer != 0) == (self.outstanding != 0), "the step under way ends")
        self.invariant(m, self.timer <= last, "timer")
        waiting = Mux(self.timer > loading, self.timer, loading)
        decides = repeat.all() if len(repeat) else Const(1, 1)
        with m.If(run & (self.timer == 0)):
            self.invariant(m, left == loading + 1 + after(steps, self.settings), "clocks left while loading")
        with m.Elif(run & (steps == 1)):
            self.invariant(m, left == self.timer + 2, "clocks left in the last step")
        with m.Elif(run):
            self.invariant(
                m,
                left == waiting + decides + 1 + after(steps - 1, self.settings - decides),
                "clocks left in a step",
            )
        with m.Elif(decide & (steps != 0)):
            self.invariant(m, left == loading + 2 + after(steps, self.settings - 1), "clocks left in a decision")
        with m.Elif(decide):
            self.invariant(m, left == 2, "clocks left in the last decision")
        with m.Elif(finish):
            self.invariant(m, left == 1, "the last clock")
        with m.Elif(~idle):
            self.invariant(m, left == clocks, "the first clock")
        with m.If(idle | (self.phase == _Phase.WAIT.value)):
            nothing = (self.index == 0) & (self.timer == 0) & ~self.inside("under_way")
            self.invariant(m, nothing, "nothing under way")
        with m.If(run | decide):
            loads = Mux(self.timer == 0, inputs, last + 1 - self.timer)
            with m.If((self.timer != 0) & (steps != 1)):
                self.invariant(m, self.index == Mux(loads - 1 < inputs - 1, loads - 1, inputs - 1), "codes taken")


def plan_of(spec: Specification, repeats_log2: int = REPEATS_LOG2) -> CalibrationPlan:
    """A plan for any activations that codes can calibrate: a smallest cell moves a ramp by one MAC unit."""
    return CalibrationPlan(spec, repeats_log2, lsb=(1.0,) * len(spec.ramps))


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the calibrator at the sizes of ``spec``, if there is anything to calibrate."""
    if spec.calibration_cells == 0:
        return []
    claim = "ends after its steps for any codes; registers and failed stay otherwise; x waits, h is passed or taken"
    clocks = "busy for exactly the clocks of its plan, for any codes, beside a macro that is always ready"
    return [
        Entry("calibrator", claim, lambda: CalibratorProof(plan_of(spec))),
        Entry("calibrator", clocks, lambda: CalibratorClocksProof(plan_of(spec))),
    ]
