# SPDX-License-Identifier: Apache-2.0
"""The base of all proofs about the whole macro: its environment, its inner signals, and what they have in common."""

from amaranth import Cat, Const, Fragment, Module, Mux, Signal, Value
from crossramp.golden.cell.description import BIAS
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.given_codes import given_name
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.macro.ramp_counter import early_end
from crossramp.rtl.macro.sequencer import Phase

from ..engine.proof import Proof, implies, signal_inside
from .projection_places import free_projection_weights, projection_clocks_left


class MacroProof(Proof):
    """The whole macro, and everything outside it free.

    A subclass states its properties in :meth:`properties`, with the signals below.

    Environment:

    - ``array.ready``, the comparators, the x stream and ``h.ready`` have any value on every clock. x need not even
      keep to the rule of streams.
    - The weights of a digital projection are free: every word that is read has any value.
    - What an array projects comes as the other macro's h does, once this one's has left: whole steps, in the phase
      PROJECT alone. Its codes, and when they come, are free.
    - With ``values=False`` the results of the cell update are free as well: c, its pulse code and h have any value on
      every clock. What then holds, holds for every arithmetic; and the proof is much shorter.
    - ``calibration`` changes only while ``busy`` is low (docs/boundary.md: between utterances).
    - ``quiet``, where there is one, does not fall while ``integrate`` is high.
    - What other macros give, partial sums for instance, comes on any clocks, with any codes.
    - The comparators of all banks are free, of those too that a conversion does not latch.

    Invariants, asserted for every subclass (:meth:`structure`): the control lines, counters, pulses and the update
    pipeline as functions of the sequencer's phase.

    Parameters
    ----------
    spec, compact, quiet
        As those of :class:`Macro`. Any cell will do, with one conversion a step or two.
    values : bool
        Whether the cell update computes what it does.
    x_lanes : int
        Codes of x in a clock, as a :class:`Macro` behind another one takes them.

    Attributes
    ----------
    dut : Macro
    fragment : Fragment
        The elaborated macro, for :meth:`inside`.
    phase, second, count, waited, first_step : Signal
        Of the sequencer; ``second`` is 0 in a cell with one conversion.
    twice : bool
        Whether a step has two conversions.
    number : Signal
        Of the tick, from 1 on in the phase RAMP.
    beat, occupied : Signal
        Groups that entered the update pipeline, and whether its register holds one.
    update : dict of Signal
        The ports of the cell update, by their names.
    loaded, full : Signal
        Of the loader: codes of the step that loads, and whether a whole step waits.
    projected : Signal
        With a digital projection, the clocks that are left of the phase PROJECT while nothing waits.
    dense : Specification or None
        Of the macro that projects h, where an array does.
    projected_beat : Signal
        Then: the beats of a step that have come from there.
    x_groups : int
        Transfers of x in a step.
    """

    def __init__(
        self,
        spec: Specification,
        *,
        compact: bool = False,
        quiet: bool = False,
        values: bool = False,
        x_lanes: int = 1,
        **options,
    ):
        super().__init__(**options)
        self.spec, self.compact, self.quiet, self.values = spec, compact, quiet, values
        self.x_lanes, self.x_groups, self.dense = x_lanes, -(-spec.inputs // x_lanes), spec.projection_macro
        self.twice = len(spec.conversions) == 2

    def properties(self, m: Module) -> None:
        """Claims and covers, and the invariants that these need."""
        raise NotImplementedError

    def describe(self, m: Module) -> None:
        digital = self.spec.digital_projection
        self.dut = Macro(
            self.spec,
            compact=self.compact,
            quiet=self.quiet,
            projection_weights=[[0] * self.spec.units] * digital if digital else None,
            x_lanes=self.x_lanes,
        )
        self.fragment = Fragment.get(self.dut, None)
        if digital:
            free_projection_weights(self, m, self.fragment)
        cell = self.spec.layout
        ports = ["step", *(f"code_{gate}" for gate in cell.gates), *(["register"] if cell.register else [])]
        made = [f"new_{name}" for name in cell.values]
        self.update = {name: self.inside(f"update.{name}") for name in (*ports, *made)}
        self.update["second"] = self.inside("second")  # a lane without two uses of a multiplier does not read it
        if not self.values:
            results = [self.update[name] for name in made]
            self.fragment.subfragments.remove(next(one for one in self.fragment.subfragments if one[1] == "update"))
            m.d.comb += [signal.eq(self.free(m, len(signal), f"any_{signal.name}")) for signal in results]
        m.submodules.dut = self.fragment
        self.environment(m)
        self._find(m)
        self.structure(m)
        self.properties(m)

    def environment(self, m: Module) -> None:
        """Everything outside the macro: free, or as the class says."""
        dut, array = self.dut, self.dut.array
        for signal, name in (
            (array.ready, "ready"),
            (array.comparators, "comparators"),
            (dut.x.valid, "x_valid"),
            (dut.x.payload.as_value(), "x"),
            (dut.h.ready, "h_ready"),
            *((getattr(dut, given_name(source)).valid, f"{source}_valid") for source in self.spec.layout.given),
            *((getattr(dut, given_name(source)).payload.as_value(), source) for source in self.spec.layout.given),
        ):
            m.d.comb += signal.eq(self.free(m, len(signal), name))
        self.was_calibration = Signal(len(dut.calibration))  # with no cells there is nothing to constrain
        if len(dut.calibration):
            m.d.comb += dut.calibration.eq(self.free(m, len(dut.calibration), "calibration"))
            m.d.sync += self.was_calibration.eq(dut.calibration)
            self.assume(m, ~dut.busy | (dut.calibration == self.was_calibration))
        if self.quiet:
            self.was_quiet = Signal()
            m.d.comb += dut.quiet.eq(self.free(m, 1, "quiet"))
            m.d.sync += self.was_quiet.eq(dut.quiet)
            self.assume(m, ~array.integrate | ~self.was_quiet | dut.quiet)

        if self.dense is not None:
            self._projected(m)

    def _projected(self, m: Module) -> None:
        """What comes from the macro that projects h."""
        stream, beats = self.dut.projected, self.dense.h_beats
        payload = stream.payload.as_value()
        valid, project = self.free(m, 1, "projected_valid"), self.inside("sequencer.project")
        self.projected_beat = beat = Signal(range(beats), name="projected_beat")
        m.d.comb += [stream.valid.eq(valid), payload.eq(self.free(m, len(payload), "projected"))]
        self.assume(m, implies(valid, project & (stream.payload.end == (beat == beats - 1))))
        with m.If(valid):
            m.d.sync += beat.eq(Mux(stream.payload.end, 0, beat + 1))
        self.invariant(m, (beat < beats) & (project | (beat == 0)), "projected: whole steps")

    # ---- inner signals  ---------------------------------------------------------------------------------------------

    @property
    def step_ends(self) -> Value:
        """Whether a step's last code leaves: of h, or of what projects it in an array; one bit."""
        stream = self.dut.h if self.dense is None else self.dut.projected
        return stream.valid & stream.ready & stream.payload.end

    def inside(self, path: str, domain: str | None = None) -> Signal:
        """A signal inside the macro, such as ``"sequencer.phase"``."""
        return signal_inside(self.fragment, path, domain)

    def in_phase(self, *phases: Phase) -> Value:
        """Whether the sequencer is in one of these phases; one bit."""
        return Cat(self.phase == phase.value for phase in phases).any()

    @property
    def window(self) -> Value:
        """Clocks of the window of the present conversion."""
        return Mux(self.second, self.spec.windows[-1], self.spec.windows[0])

    def during(self, *numbers: int) -> Value:
        """Whether the conversion under way, or the update behind it, has one of these numbers; one bit."""
        halves = (~self.second, self.second) if self.twice else (Const(1, 1),)
        return Cat(halves[number] for number in numbers).any()

    @property
    def final(self) -> Value:
        """Whether the conversion under way, or the update behind it, is the step's last; one bit."""
        return self.during(len(self.spec.conversions) - 1)

    def conversions_of(self, group: str) -> list[int]:
        """The conversions that drive a group of rows or a line."""
        cell = self.spec.layout
        return [number for number in range(len(cell.steps)) if cell.driven_value(group, number)]

    def before_it_is_stored(self, group: str) -> list[int]:
        """The conversions that drive a group of rows or a line with a value of the step before."""
        cell, numbers = self.spec.layout, self.conversions_of(group)
        value = cell.driven_value(group, numbers[0])
        return [number for number in numbers if cell.is_before(value, number)]

    def driver_of(self, group: str) -> str:
        """The submodule that drives a group of rows or a line."""
        return "state_driver" if self.spec.layout.lines == (group,) else f"{group}_driver"

    def _find(self, m: Module) -> None:
        sequencer = ("phase", "count", "waited", "take")
        self.phase, self.count, self.waited, self.take = (self.inside(f"sequencer.{name}") for name in sequencer)
        self.second = self.inside("sequencer.second") if self.twice else Const(0, 1)
        self.first_step = self.inside("sequencer.first_step", "sync")
        self.beat, self.occupied, self.leaving = (self.inside(name) for name in ("beat", "occupied", "leaving"))
        self.loaded, self.full = self.inside("loader.loaded"), self.inside("loader.full")
        gray, tap = self.inside("ramp.count"), self.dut.array.tap
        self.number = Signal(range(self.spec.ticks + 1), name="number")
        counted = Cat(gray[bit:].xor() for bit in range(len(gray)))
        if not self.spec.has_plain_ramps:  # that of the tap: "tap of the tick" then says that one is high
            counted = Cat(
                Cat(tap[k - 1] for k in range(1, len(tap) + 1) if k >> bit & 1).any() for bit in range(len(self.number))
            )
        m.d.comb += self.number.eq(counted)
        ticks = self.spec.conversion_ticks
        self.ticks = Mux(self.second, ticks[-1], ticks[0]) if ticks[-1] != ticks[0] else Const(ticks[0])

    def planes(self, bank: str, bits: int) -> list[Value]:
        """The bit-planes of a register of pulse codes: those of the magnitude, then the sign."""
        return [self.inside(f"{bank}.plane_{bit}") for bit in range(bits)]

    def holds(self, planes: list[Value], line: Value, code: Value) -> Value:
        """Whether a line's sign and magnitude, at the place ``line`` of ``planes``, are those of ``code``."""
        most = (1 << (len(planes) - 1)) - 1
        size = Mux(code < -most, most, Mux(code < 0, -code, code))[: len(planes) - 1]
        return Cat(plane.bit_select(line, 1) for plane in planes) == Cat(size, code < 0)

    @property
    def ends_state(self) -> Value:
        """Whether the step under way is the last one, and its state is not kept; one bit."""
        last = self.dut.h.payload.last
        return last & ~self.inside("loader.keep") if self.spec.keeps_state else last

    def line(self, m: Module, lines: int, name: str, lanes: int | None = None) -> tuple[Signal, Signal, Signal]:
        """A line, or a unit, that stands for all of them: its group, its lane, and its number."""
        lanes = self.spec.lanes if lanes is None else lanes
        group, lane = self.choice(m, -(-lines // lanes), f"{name}_group"), self.choice(m, lanes, f"{name}_lane")
        number = Signal(range(max(lines, 2)), name=f"{name}_line")
        m.d.comb += number.eq(group * lanes + lane)
        self.assume(m, group * lanes + lane < lines)
        return group, lane, number

    # ---- invariants  ------------------------------------------------------------------------------------------------

    def structure(self, m: Module) -> None:
        """The invariants of the macro, which every subclass asserts."""
        self._control_lines(m)
        self._counters(m)
        self._pulses(m)
        self._loader(m)
        self._given_codes(m)
        if self.spec.digital_projection:
            self.projected, _ = projection_clocks_left(self, m)

    def _given_codes(self, m: Module) -> None:
        """What other macros give is there, and so does not move, while it is driven."""
        converting = self.in_phase(Phase.INTEGRATE, Phase.HOLD)
        for source, driven in self._driven_sources():
            full = self.inside(f"{given_name(source)}.full", "sync")
            self.invariant(m, implies(converting & driven, full), f"{source}: it is kept while it is driven")

    def _driven_sources(self):
        """The streams of given values, each with whether the conversion under way drives it; one bit."""
        cell = self.spec.layout
        for source, given in cell.given.items():
            numbers = [number for number in range(len(cell.steps)) if source in cell.sources(number)]
            driven = self.during(*numbers)
            yield source, driven & ~self.first_step if given.before else driven

    @property
    def unfed(self) -> Value:
        """Whether a conversion waits for what another macro gives; one bit."""
        lacks = (driven & ~self.inside(f"{given_name(one)}.full", "sync") for one, driven in self._driven_sources())
        return self.in_phase(Phase.START) & Cat(*lacks).any()

    def _control_lines(self, m: Module) -> None:
        """What the sequencer shows the array follows from its phase."""
        array, is_in = self.dut.array, self.in_phase
        converting, held = Signal(), self.spec.layout.held
        m.d.comb += converting.eq(is_in(Phase.INTEGRATE, Phase.HOLD, Phase.RAMP))
        between = Mux(self.second, is_in(Phase.START), is_in(Phase.UPDATE))  # from the first window to the second
        last = Phase.PROJECT if self.spec.projection else Phase.UPDATE
        for condition, message in (
            (self.phase <= last.value, "phase"),
            (array.integrate == is_in(Phase.INTEGRATE), "integrate"),
            (array.hold == is_in(Phase.HOLD, Phase.RAMP), "hold"),
            (array.reset[0] == ~converting, "reset"),
            *([(array.reset[1] == ~(converting | between), "reset of banks that hold")] if held else []),
            (array.ramp_reset == is_in(Phase.HOLD), "ramp_reset"),
            (array.state == (self.second & converting), "state"),
            (implies(array.tick, is_in(Phase.RAMP)), "tick"),
            (implies(is_in(Phase.FLUSH, Phase.IDLE), ~self.second), "no second conversion between steps"),
            (implies(is_in(Phase.PROJECT), self.final), "the projection is in the last conversion's half"),
            (implies(is_in(Phase.FLUSH), self.first_step), "a reset begins an utterance"),
        ):
            self.invariant(m, condition, f"of the sequencer: {message}")
        if len(self.dut.calibration):
            self.invariant(m, array.calibration == self.was_calibration, "calibration is registered")

    def _counters(self, m: Module) -> None:
        """The counters of the sequencer, of the ramp and of the update pipeline in each phase."""
        spec, is_in, tap = self.spec, self.in_phase, self.dut.array.tap
        flush, hold, ramp, update = (is_in(one) for one in (Phase.FLUSH, Phase.HOLD, Phase.RAMP, Phase.UPDATE))
        integrate = is_in(Phase.INTEGRATE)
        for condition, message in (
            (implies(~integrate, self.count == 0), "no count outside the window"),
            (implies(integrate, (self.count != 0) & (self.count <= self.window)), "count of the window"),
            (implies(flush, self.waited < spec.beats), "clocks of FLUSH"),
            (implies(hold, self.waited < spec.settle_clocks), "clocks of HOLD"),
            (implies(~flush & ~hold, self.waited == 0), "nothing is waited for"),
            (implies(~ramp, tap == 0), "no tap outside a ramp"),
            (implies(ramp, (self.number != 0) & (Cat(Const(0, 1), tap) == (1 << self.number))), "tap of the tick"),
            (implies(ramp, self.number <= self.ticks), "no tick behind the last"),
            *(
                (
                    implies(ramp, self.inside(f"ramp.over_{end}") == (self.number > end)),
                    f"ramps of {end} ticks end",
                )
                for end in sorted({early_end(spec, gate) for gate in spec.gate_names} - {0})
            ),
            (implies(~update, (self.beat == 0) & ~self.occupied), "the pipeline is empty outside an update"),
            (implies(update, self.occupied == (self.beat != 0)), "the pipeline is occupied"),
            (self.beat <= spec.beats, "groups of an update"),
        ):
            self.invariant(m, condition, f"counters: {message}")
        if spec.comparator_registers:
            landing = self.inside("comparator_register.latch_sampled")
            first = update & (self.beat == 0)
            self.invariant(
                m, implies(landing, ramp | first), "counters: the last code lands on an update's first clock"
            )

    def _pulses(self, m: Module) -> None:
        """The pulses of a clock are what the drivers' comparisons said one clock earlier, and only fall in a window.

        Stated so, solvers compare no magnitude more often than the drivers do: a fifth of the time for 320 lines.
        """
        cell, integrate = self.spec.layout, self.in_phase(Phase.INTEGRATE)
        for group in (*cell.row_groups, *cell.lines):
            if group == BIAS:
                continue
            driver = self.driver_of(group)
            gate = self.during(*self.conversions_of(group))
            if before := self.before_it_is_stored(group):
                gate = gate & ~(self.first_step & self.during(*before))
            negative, pos, neg, above = (
                self.inside(f"{driver}.{name}") for name in ("negative", "pos", "neg", "above")
            )
            driven = Signal.like(above, name=f"{group}_driven")
            minus = Signal.like(negative, name=f"{group}_minus")
            m.d.sync += [driven.eq(above), minus.eq(negative)]
            for condition, message in (
                (pos == (driven & ~minus), "positive pulses"),
                (neg == (driven & minus), "negative pulses"),
                (implies(integrate & gate, minus == negative), "signs stay"),
                (implies(~(integrate & gate), driven == 0), "no pulse outside its window"),
                (implies(integrate & gate, (above & ~driven) == 0), "no pulse rises"),
            ):
                self.invariant(m, condition, f"{driver}: {message}")
            longest = self.longest_pulse(group)
            if longest < max(self.spec.windows):
                self.invariant(m, implies(self.count > longest, driven == 0), f"{driver}: the longest pulse")
        self.invariant(m, self.inside("bias") == self.bias_driven(integrate, self.count - 1), "the bias rows' pulse")

    def longest_pulse(self, group: str) -> int:
        """Clocks of the longest pulse of a group of rows or a line."""
        return self.spec.pulse_max(self.spec.layout.driven_value(group, self.conversions_of(group)[0]))

    def bias_driven(self, integrate: Value, elapsed: Value) -> Value:
        """Whether the bias rows are driven, so many clocks after the first one of a window; one bit."""
        driven = integrate & self.during(*self.conversions_of(BIAS)) & (elapsed < self.spec.input_max)
        return driven & ~self.was_quiet if self.quiet else driven

    def _loader(self, m: Module) -> None:
        self.invariant(m, self.loaded < self.x_groups, "loader: codes loaded")
        self.invariant(m, implies(self.full, self.loaded == 0), "loader: a whole step waits")
        if self.compact:
            needed = self.inside("loader.needed")
            first = self.in_phase(Phase.START, Phase.INTEGRATE) & ~self.second
            self.invariant(m, implies(first, needed), "loader: codes are kept until the window closes")
            self.invariant(m, implies(needed, (self.loaded == 0) & ~self.full), "loader: nothing loads meanwhile")
            released = self.in_phase(Phase.HOLD) & ~self.second
            self.invariant(m, implies(needed, first | released), "loader: codes are released")

    def beats_of_h(self, m: Module, beat: Signal) -> None:
        """Invariants: the beats of h of a step that have left, which a proof counted, follow from the counters."""
        spec = self.spec
        if not spec.digital_projection:
            leaving = self.in_phase(Phase.UPDATE) & self.final
            self.invariant(m, beat == Mux(leaving, self.beat - self.occupied, 0), "h: beats that have left")
            return
        valid, end, code, lane = (self.inside(f"projection.{name}") for name in ("valid", "end", "code", "lane"))
        running, over = self.in_phase(Phase.PROJECT), valid & end
        self.invariant(m, implies(~running, beat == 0), "h: no beat outside the projection")
        self.invariant(m, implies(running & over, beat == spec.h_beats - 1), "h: the last beat of the projection")
        made = (beat + valid) * spec.lanes + lane
        self.invariant(m, implies(running & ~over, code == made), "h: beats of the projection")
