# SPDX-License-Identifier: Apache-2.0
"""The registers that a calibration chooses are those of the golden model's search, for the codes that were shown."""

from functools import partial

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from crossramp.golden.macro.step_groups import read_strobe
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.calibrator import _Phase

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import implies
from .calibrator_proof import CalibratorProof, plan_of


class CalibrationChoiceProof(CalibratorProof):
    """What the calibrator counts, tries and chooses, for one ramp of one array.

    Environment: that of :class:`CalibratorProof`. While a step is under way, the monitor shows the codes of each of its
    updates once, group by group, those of the first update first, and before the step ends, as *units* and *streams*
    claim of the macro. The codes are any.

    Claims, for any trace, beside those of :class:`CalibratorProof`:

    - While a step of a calibration is under way, the array sees the setting that
      :func:`crossramp.golden.analog.conversion.calibration.search` tries after what was counted so far.
    - Once ``busy`` has fallen, the register and ``failed`` are those of that search for the counts of all settings. A
      count is that of the ramp's own columns whose codes reach tick K: of each bank in the conversion that latches it
      first.

    Parameters
    ----------
    plan : CalibrationPlan
    array, ramp : int
        Which one.
    """

    def __init__(self, plan, array: int = 0, ramp: int = 0, **options):
        super().__init__(plan, **options)
        self.array, self.ramp = array, ramp
        self.own = plan.tiles[array]  # the plan of the array

    def environment(self, m: Module) -> None:
        super().environment(m)
        spec, monitor = self.plan.spec, self.dut.monitor
        self.strobes = [getattr(monitor, read_strobe(k)) for k in range(len(spec.conversions))]
        self.shown = [Signal(range(spec.beats + 1), name=f"shown_{k}") for k in range(len(self.strobes))]
        before = self.outstanding != 0
        for strobe, shown in zip(self.strobes, self.shown, strict=True):
            self.assume(m, implies(strobe, before & (shown != spec.beats)))
            before = before & (shown == spec.beats)
            with m.If(self.ended):
                m.d.sync += shown.eq(0)
            with m.Elif(strobe):
                m.d.sync += shown.eq(shown + 1)
        self.assume(m, implies(self.ended, before))

    def _progress(self, m: Module, steps, repeat, bit, run, decide, finish, idle) -> None:
        super()._progress(m, steps, repeat, bit, run, decide, finish, idle)
        plan, own, name = self.plan, self.own, self._name
        whole, cells = own.columns[self.ramp] * plan.repeats, plan.spec.calibration_cells

        # ---- counts of the settings, from the outside
        hits, offered = self._hits(m)
        found, most = Signal(range(whole + 1), name="found"), Signal(range(whole + 1), name="offered")
        tried = Signal(range(plan.settings + 1), name="tried")
        records = [Signal(range(whole + 1), name=f"record_{k}") for k in range(plan.settings)]
        over = named(m, "setting_over", self.dut.quiet & self.ended & (steps[: plan.repeats_log2] == 1 % plan.repeats))
        with m.If(~self.dut.calibrate.busy):
            m.d.sync += [found.eq(0), most.eq(0), tried.eq(0)]
        with m.Elif(over):
            m.d.sync += [found.eq(0), most.eq(0), tried.eq(tried + 1)]
            for k, record in enumerate(records):
                with m.If(tried == k):
                    m.d.sync += record.eq(found)
        with m.Elif(self.dut.quiet):
            m.d.sync += [found.eq(found + hits), most.eq(most + offered)]

        # ---- golden's search, setting by setting
        states = [{"kept": Signal(cells), "level": Signal(), "best": Signal(cells), "failed": Signal()}]
        states[0] |= {"nearest": Signal(range(whole + 1))}
        for k, record in enumerate(records):
            states.append(self._searched(m, states[-1], record, k, whole))
        settings = [Value.cast(state["kept"]) | (1 << cells >> k) * (k > 0) for k, state in enumerate(states[:-1])]
        register, failed = self._result(m, states[-1])

        # ---- claims
        place = self.array * len(plan.spec.ramps) + self.ramp
        of_array = self.dut.calibration.word_select(place, cells)
        was_busy, whole_run = Signal(name="was_busy_here"), tried == plan.settings
        m.d.sync += was_busy.eq(self.dut.calibrate.busy)
        for k, setting in enumerate(settings):
            with m.If(self.dut.quiet & (self.outstanding != 0) & (tried == k)):
                self.claim(m, of_array == setting[:cells], "the array sees the setting that the search tries")
        ended = Signal(name="calibration_ended")
        m.d.comb += ended.eq(was_busy & ~self.dut.calibrate.busy)
        with m.If(ended):
            self.claim(m, whole_run, "every setting was tried")
            chosen = self.dut.calibrate.registers.word_select(place, cells)
            self.claim(m, chosen == register, "the register is the search's")
            self.claim(m, self.dut.calibrate.failed.bit_select(place, 1) == failed, "failed is the search's")
        self.cover(m, ended & ~failed & (register != 0), "a setting is chosen")
        self.cover(m, ended & failed, "a ramp that is beyond its cells")

        # ---- invariants
        self._shown_so_far(m, repeat, run, most)
        held = {one: self.inside(f"{name}_{one}") for one in ("kept", "best", "nearest", "level", "failed", "balance")}
        with m.If(run | decide | finish):
            left = plan.settings - self.settings + decide
            self.invariant(m, tried == left, "choice: settings tried")
        with m.If(run | decide):
            last = Signal(range(whole + 1), name="counted")
            m.d.comb += last.eq(found)
            for k, record in enumerate(records):
                with m.If(decide & (tried == k + 1)):
                    m.d.comb += last.eq(record)
            self.invariant(m, held["balance"] == 2 * last - whole, "choice: balance")
        with m.If(~run):
            self.invariant(m, (found == 0) & (most == 0), "choice: nothing is counted yet")
        self.invariant(m, found <= most, "choice: no more codes than were shown")
        waits, nothing = self.phase == _Phase.WAIT.value, (held["balance"] == -whole) & (held["kept"] == 0)
        self.invariant(m, implies(waits, nothing & (tried == 0)), "choice: it begins")
        for k, state in enumerate(states):
            here = ((run | finish) & (tried == k)) | (decide & (tried == k + 1))
            names = ("kept", *(("best", "nearest", "failed") if k else ()), *(("level",) if k > 1 else ()))
            with m.If(here):
                for one in names:
                    self.invariant(m, held[one] == state[one], f"choice: {one} of setting {k}")
        self.invariant(m, implies(was_busy & idle, whole_run), "choice: it has ended")
        for one, expected in (("best", register), ("failed", failed)):
            self.invariant(m, implies(was_busy & idle, held[one] == expected), f"choice: {one} in the end")

    @property
    def _name(self) -> str:
        """What the calibrator's signals of this ramp begin with."""
        return f"ramp{self.ramp}" if len(self.plan.tiles) == 1 else f"array{self.array}_ramp{self.ramp}"

    def _hits(self, m: Module) -> tuple[Signal, Signal]:
        """Columns of the ramp that are shown on this clock and reach tick K, and all that are shown."""
        spec, own, monitor = self.plan.spec, self.own, self.dut.monitor
        cell, units = spec.layout, spec.unit_tiles[self.array]
        lanes = []  # in each what it shows, and what reaches: solvers see the sums of the gateware's tree in it
        for lane in range(spec.lanes):
            mine = [k for k in range(spec.beats) if k * spec.lanes + lane in units]
            present = reached = Const(0, 1)
            for gate in own.gates[self.ramp]:
                code = spec.conversions[own.conversion_of(gate)][gate]
                (update,) = (k for k, codes in enumerate(cell.updates) if code in codes)
                negative = spec.turns(gate) and spec.bipolar(gate)
                there = self.strobes[update] & Cat(self.shown[update] == k for k in mine).any()
                value = getattr(monitor, code)[lane]
                present = present + there
                reached = reached + (there & ((value.as_signed() if negative else value) >= own.levels[self.ramp]))
            lanes.append((present, reached))
        hits, all_shown = (Signal(range(own.columns[self.ramp] + 1), name=name) for name in ("reach", "are_shown"))
        m.d.comb += [all_shown.eq(_sum([one for one, _ in lanes])), hits.eq(_sum([one for _, one in lanes]))]
        return hits, all_shown

    def _shown_so_far(self, m: Module, repeat: Signal, run: Value, most: Signal) -> None:
        """Invariants: as many columns of the ramp were shown as the groups of the steps so far have."""
        spec, own = self.plan.spec, self.own
        units, columns = spec.unit_tiles[self.array], own.columns[self.ramp]
        step = 0
        for gate in own.gates[self.ramp]:
            code = spec.conversions[own.conversion_of(gate)][gate]
            (update,) = (k for k, codes in enumerate(spec.layout.updates) if code in codes)
            seen = Signal(range(len(units) + 1), name=f"units_shown_{gate}")
            for k in range(spec.beats + 1):
                with m.If(self.shown[update] == k):
                    m.d.comb += seen.eq(min(max(k * spec.lanes, units.start), units.stop) - units.start)
            step = step + seen
        with m.If(run):
            self.invariant(m, most == repeat * columns + step, "choice: columns shown")
        self.invariant(m, self.outstanding <= 2, "choice: steps outstanding")
        for k, shown in enumerate(self.shown):
            self.invariant(m, shown <= spec.beats, "choice: groups shown")
            self.invariant(m, implies(self.outstanding == 0, shown == 0), "choice: a step's groups")
            if k:
                self.invariant(m, implies(shown != 0, self.shown[k - 1] == spec.beats), "choice: one after the other")
        if spec.units % spec.lanes or len(spec.unit_tiles) > 1:
            beat = Signal(range(spec.beats + 1), name="group")
            m.d.comb += beat.eq(self.shown[0])
            for shown in self.shown[1:]:
                with m.If(self.shown[0] == spec.beats):
                    m.d.comb += beat.eq(shown)
            expected = Mux(beat == spec.beats, 0, beat)
            self.invariant(m, self.inside("beat") == expected, "choice: the calibrator's group")

    def _searched(self, m: Module, state: dict, found: Signal, number: int, whole: int) -> dict:
        """The state of golden's search behind the setting of this number, whose count is ``found``."""
        cells = self.plan.spec.calibration_cells
        bit = (1 << cells >> number) if number else 0
        balance = Signal(signed((2 * whole).bit_length() + 2), name=f"balance_{number}")
        distance = Signal(range(whole + 1), name=f"distance_{number}")
        keep = named(m, f"keep_{number}", balance > 0)
        m.d.comb += [balance.eq(2 * found - whole), distance.eq(Mux(balance < 0, -balance, balance))]
        after = {one: Signal.like(value, name=f"{one}_{number}") for one, value in state.items()}
        if number == 0:
            m.d.comb += [after["failed"].eq(~keep), after["nearest"].eq(distance)]
            return after
        nearer, setting = distance < state["nearest"], state["kept"] | bit
        level = ~keep & (distance <= state["nearest"]) if number == 1 else state["level"] & ~nearer
        better = named(m, f"better_{number}", nearer | (keep & (distance == state["nearest"])))
        m.d.comb += [
            after["level"].eq(level),
            after["best"].eq(Mux(better, setting, state["best"])),
            after["nearest"].eq(Mux(better, distance, state["nearest"])),
            after["kept"].eq(Mux(keep, setting, state["kept"])),
            after["failed"].eq(state["failed"]),
        ]
        return after

    def _result(self, m: Module, state: dict) -> tuple[Signal, Signal]:
        """The register and ``failed`` of golden's search."""
        cells, shift = self.plan.spec.calibration_cells, self.own.shifts[self.ramp]
        middle, full = 1 << (cells - 1), (1 << cells) - 1
        wide, register = Signal(signed(max(cells, abs(shift).bit_length()) + 3), name="wide"), Signal(cells)
        between = state["level"] & ~state["failed"] & (state["kept"] == middle - 1)
        outside = (wide < 0) | (wide > full)
        m.d.comb += [
            wide.eq(Mux(between, middle, state["best"]) + shift),
            register.eq(Mux(wide < 0, 0, Mux(wide > full, full, wide))),
        ]
        return register, named(m, "has_failed", state["failed"] | (state["kept"] == full) | outside)


def _sum(values: list[Value]) -> Value:
    """Their sum; as a balanced tree."""
    half = len(values) // 2
    return values[0] if len(values) == 1 else _sum(values[:half]) + _sum(values[half:])


def proofs(spec: Specification) -> list[Entry]:
    """The proof for each ramp of each array of ``spec``, if there is anything to calibrate."""
    if spec.calibration_cells == 0:
        return []
    found = []
    for array in range(len(spec.unit_tiles)):
        for number, ramp in enumerate(spec.ramps):
            where = f" of array {array}" if len(spec.unit_tiles) > 1 else ""
            claim = f"registers and failed are those of golden's search for the codes shown: ramp {ramp.text}{where}"
            found.append(Entry("calibrator", claim, partial(CalibrationChoiceProof, plan_of(spec), array, number)))
    return found
