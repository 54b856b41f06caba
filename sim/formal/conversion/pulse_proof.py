# SPDX-License-Identifier: Apache-2.0
"""Pulses: every line is driven as long as its code says, from the first clock of its window on."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value, signed
from crossramp.golden.cell.description import BIAS, FIXED, INPUT
from crossramp.golden.macro.step_groups import stored_strobe
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.proof import implies
from ..macro.macro_proof import MacroProof


class PulseProof(MacroProof):
    """Lengths and signs of the pulses, against the codes as they were seen at the ports of the macro.

    Environment: that of :class:`MacroProof`.

    Claims, for a line of each group of rows, and for a wire of each line of the cell, that stand for all of them.
    Elapsed clocks of a window are counted from ``integrate``.

    - On every clock of its window, the line of the code's sign is driven exactly if ``|code|`` exceeds the clocks that
      have elapsed, and the other line never. Hence a pulse begins with the window and has no gap, and a window that is
      longer than the longest pulse is silent at its end.
    - When the window closes, the line was driven for ``|code|`` clocks; the code without a positive counterpart
      counts as the largest magnitude.
    - A row of x has the code that the x stream carried for it: step n's window drives the n-th step's codes, whatever
      loads meanwhile. A row of h has the code that left on the h stream in the step before. Every other group, and
      every wire of a line, has the pulse code that the monitor showed last for its unit: in this step, or in the step
      before if the conversion comes before the update that stores it. Nothing that belongs to the step before is driven
      in the first step of an utterance.
    - A bias row is driven positively, as long as the longest pulse of a row, and never with ``quiet``.
    - No group is driven in a conversion that does not concern it, and nothing outside a window. With ``quiet``, what
      the second conversion drives is not driven, if a bank is latched in that one alone.
    """

    def properties(self, m: Module) -> None:
        spec, cell, array = self.spec, self.spec.layout, self.dut.array
        self._clocks(m)
        self._utterance(m)
        codes = {INPUT: self._code_of_x(m)}
        for name, form in cell.values.items():
            if name == cell.output and name in cell.row_groups:
                codes[name] = self._code_of_h(m)
            elif name != cell.output and form != FIXED:
                codes[name] = self._code_of_value(m, name)
        wires = {group: (array.row_pos, array.row_neg, spec.rows_of(group)) for group in cell.row_groups}
        wires |= {line: (array.state_pos, array.state_neg, spec.wires_of(line)) for line in cell.lines}
        for group, (pos, neg, place) in wires.items():
            if group == BIAS:
                self._bias(m, pos[place], neg[place])
            else:
                line, code = codes[cell.driven_value(group, self.conversions_of(group)[0])]
                self._line(m, group, pos[place], neg[place], line, code)

    def _bias(self, m: Module, pos: Value, neg: Value) -> None:
        driven = self.window_of(BIAS) & (self.elapsed < self.spec.input_max) & ~self._quiet
        self.claim(m, pos == driven.replicate(len(pos)), "a bias row is driven as long as the longest pulse")
        self.claim(m, neg == 0, "a bias row is never driven negatively")
        if self.quiet:
            self.cover(m, self.window_of(BIAS) & (pos == 0) & (self.elapsed == 0), "a quiet window")

    @property
    def _quiet(self) -> Value:
        return self.was_quiet if self.quiet else Const(0, 1)

    def window_of(self, group: str) -> Value:
        """Whether a window is open in which a group of rows or a line may be driven, by the pins; one bit."""
        return Cat((self.first, self.other)[number] for number in self.conversions_of(group)).any()

    def _pulses(self, m: Module) -> None:
        """Not needed here: the claims of one line imply themselves on the next clock."""

    def _clocks(self, m: Module) -> None:
        """Windows, and the clocks of one, from the pins alone."""
        array = self.dut.array
        self.first, self.other = Signal(name="first_window"), Signal(name="second_window")
        self.elapsed = Signal(range(max(self.spec.windows) + 2), name="elapsed")
        self.closing = Signal(name="closing")  # the clock after a window
        was_integrate, was_state = Signal(name="pulses_was_integrate"), Signal(name="pulses_was_state")
        m.d.sync += [was_integrate.eq(array.integrate), was_state.eq(array.state), self.elapsed.eq(0)]
        with m.If(array.integrate):
            m.d.sync += self.elapsed.eq(self.elapsed + 1)
        m.d.comb += [
            self.first.eq(array.integrate & ~array.state),
            self.other.eq(array.integrate & array.state),
            self.closing.eq(was_integrate & ~array.integrate),
        ]
        self.closed = Signal(2, name="closed")  # by each window, whether it has just closed
        m.d.comb += self.closed.eq(Mux(self.closing, Mux(was_state, 2, 1), 0))
        window = Mux(was_state, self.spec.windows[-1], self.spec.windows[0])
        self.claim(m, implies(self.closing, self.elapsed == window), "a window has its length")
        open_, hold = self.in_phase(Phase.INTEGRATE), self.in_phase(Phase.HOLD)
        self.invariant(
            m, self.elapsed == Mux(open_, self.count - 1, Mux(self.closing, self.window, 0)), "elapsed clocks"
        )
        self.invariant(m, implies(was_integrate, open_ | (hold & (self.waited == 0))), "a window closes")
        self.invariant(m, implies(was_integrate, was_state == self.second), "which window")
        self.invariant(m, implies(open_, was_integrate == (self.count != 1)), "a window is open")

    def _utterance(self, m: Module) -> None:
        """Whether a step of the utterance has gone before, from the h stream."""
        self.utterance = Signal(name="utterance")
        with m.If(self.step_ends):
            m.d.sync += self.utterance.eq(~self.ends_state)
        self.invariant(m, self.utterance == ~self.first_step, "the first step of an utterance")

    def _line(self, m: Module, name: str, pos: Value, neg: Value, line: Value, code: Value) -> None:
        """What a line of a group shows in its window, and how long it was driven when the window closes."""
        cell, numbers = self.spec.layout, self.conversions_of(name)
        windows = (self.first | self.closed[0], self.other | self.closed[1])
        driven = self.utterance | ~Cat(windows[number] for number in self.before_it_is_stored(name)).any()
        late = any(gate not in cell.conversions[0] for gate in cell.gates) and 1 in numbers
        quiet = self._quiet if late else Const(0, 1)
        most, window = self.longest_pulse(name), self.window_of(name)
        closed = Cat(self.closed[number] for number in numbers).any()
        size = Signal(range(most + 1), name=f"{name}_size")
        positive, negative = Signal(name=f"{name}_positive"), Signal(name=f"{name}_negative")
        m.d.comb += [
            size.eq(Mux(driven, Mux(code < -most, most, Mux(code < 0, -code, code)), 0)),
            positive.eq(pos.bit_select(line, 1)),
            negative.eq(neg.bit_select(line, 1)),
        ]
        on, minus = size > self.elapsed, code < 0
        self.claim(m, positive == (window & on & ~minus & ~quiet), f"{name}: the positive line follows its code")
        self.claim(m, negative == (window & on & minus & ~quiet), f"{name}: the negative line follows its code")
        for side, pin, sign in (("positive", positive, ~minus), ("negative", negative, minus)):
            clocks = Signal(range(max(self.spec.windows) + 2), name=f"{name}_{side}_clocks")
            with m.If(pin):
                m.d.sync += clocks.eq(clocks + 1)
            with m.If(~window):
                m.d.sync += clocks.eq(0)
            self.claim(
                m,
                implies(closed & ~quiet, clocks == Mux(sign, size, 0)),
                f"{name}: a line is driven as many clocks as its code says",
            )
            during, sofar = window | closed, Mux(on, self.elapsed, size)
            counted = clocks == Mux(during & sign, sofar, 0)
            self.invariant(m, counted | (during & quiet), f"{name}: clocks driven so far")
        for reached, message in (
            (code == most, "the longest positive pulse"),
            (code == -1, "the shortest negative pulse"),
            (code == 0, "no pulse"),
        ):
            self.cover(m, closed & driven & ~quiet & reached, f"{name}: {message}")

    # ---- codes as the ports showed them  ----------------------------------------------------------------------------

    def _code_of_x(self, m: Module):
        """A row of x, and the code of the step that is driven.

        Codes of two steps are kept: one loads while the other one is driven.
        """
        spec, x = self.spec, self.dut.x
        groups, lanes = self.x_groups, self.x_lanes
        group, lane, row = self.line(m, spec.inputs, "x", lanes)
        codes = [Signal(signed(spec.input_bits), name=f"x_code_{k}") for k in range(2)]
        place, into, out = Signal(range(groups)), Signal(name="loads_into"), Signal(name="driven_from")
        came = x.payload.code if lanes == 1 else Array(x.payload.codes[k] for k in range(lanes))[lane]
        with m.If(x.valid & x.ready):
            m.d.sync += place.eq(Mux(place == groups - 1, 0, place + 1))
            with m.If(place == groups - 1):
                m.d.sync += into.eq(~into)
            with m.If(place == group):
                m.d.sync += Array(codes)[into].eq(came)
        with m.If(self.closed[0]):
            m.d.sync += out.eq(~out)
        code = Signal(signed(spec.input_bits), name="x_code")
        m.d.comb += code.eq(Array(codes)[out])

        taken = Signal(name="x_taken")  # a step was taken whose window has not closed yet
        m.d.comb += taken.eq((self.in_phase(Phase.START, Phase.INTEGRATE) | self.closing) & ~self.second)
        self.invariant(m, place == self.loaded, "x: codes of the step that loads")
        self.invariant(m, (into ^ out) == (taken ^ self.full), "x: steps between stream and pins")
        present, where = Signal(), Signal(range(2 * groups * lanes))
        m.d.comb += [
            present.eq(self.full | (group < self.loaded)),
            where.eq(Mux(self.full, row, row + (groups - self.loaded) * lanes)),
        ]
        bank = self.planes("loader.bank", spec.input_bits)
        newest = Signal(signed(spec.input_bits), name="x_newest")
        m.d.comb += newest.eq(Array(codes)[into ^ self.full])
        self.invariant(m, implies(present, self.holds(bank, where, newest)), "x: the row's code is on its way")
        if self.compact:
            kept = bank
        else:
            negative, magnitude = self.inside("x_driver.negative"), self.inside("x_driver.magnitude")
            kept = [magnitude[k : k + spec.inputs] for k in range(0, len(magnitude), spec.inputs)] + [negative]
        self.invariant(m, implies(taken, self.holds(kept, row, code)), "x: the row's code is driven")
        return row, code

    def _code_of_h(self, m: Module):
        """A row of h, and the code that left for it last, or that came from what projects it in an array."""
        spec, of = self.spec, self.dense or self.spec
        h = self.dut.h if self.dense is None else self.dut.projected
        group, lane, row = self.line(m, spec.hidden, "h", of.lanes)
        beat, code = Signal(range(of.h_beats), name="h_beat"), Signal(signed(spec.input_bits), name="h_code")
        made = Signal(name="h_made")  # h has left once
        with m.If(h.valid & h.ready):
            m.d.sync += beat.eq(Mux(beat == of.h_beats - 1, 0, beat + 1))
            with m.If(beat == group):
                m.d.sync += code.eq(Array(h.payload.codes[k] for k in range(of.lanes))[lane])
            with m.If(beat == of.h_beats - 1):
                m.d.sync += made.eq(1)
        self.invariant(m, implies(self.utterance, made), "h: a step before this one")
        if self.dense is None:
            self.beats_of_h(m, beat)
            ends = (beat == spec.h_beats - 1) == h.payload.end
            self.invariant(m, implies(h.valid, ends), "h: the last beat of a step")
        else:
            self.invariant(m, beat == self.projected_beat, "h: beats that have come")
        self._shifted(m, "h", "h_codes", spec.input_bits, (of.h_beats, of.lanes), group, lane, beat, made, code)
        return row, code

    def _code_of_value(self, m: Module, name: str):
        """A unit, and the pulse code of it that the monitor showed last, of a value that drives rows or lines."""
        spec, cell, monitor = self.spec, self.spec.layout, self.dut.monitor
        update, codes = cell.update_of(name), getattr(monitor, name)
        strobe = getattr(monitor, stored_strobe(update))
        bits = len(codes.as_value()) // spec.lanes
        group, lane, unit = self.line(m, spec.units, name)
        beat, code = Signal(range(spec.beats), name=f"{name}_beat"), Signal(signed(bits), name=f"{name}_code")
        made = Signal(name=f"{name}_made")
        with m.If(strobe):
            m.d.sync += beat.eq(Mux(beat == spec.beats - 1, 0, beat + 1))
            with m.If(beat == group):
                m.d.sync += code.eq(Array(codes[k] for k in range(spec.lanes))[lane])
            with m.If(beat == spec.beats - 1):
                m.d.sync += made.eq(1)
        updating = self.in_phase(Phase.UPDATE) & self.during(update)
        self.invariant(m, beat == Mux(updating, self.beat - self.occupied, 0), f"{name}: beats that were shown")
        later = self.during(1) if self.twice and update == 0 else Const(0, 1)
        self.invariant(m, implies(later | self.utterance, made), f"{name}: a pulse code before it is driven")
        bank = "state_codes" if name == cell.line_value else f"{name}_codes"
        self._shifted(m, name, bank, bits, (spec.beats, spec.lanes), group, lane, beat, made, code)
        return unit, code

    # ---- registers of pulse codes  ----------------------------------------------------------------------------------

    def _shifted(self, m, name, bank, bits, sizes, group, lane, beat, made, code) -> None:
        """A register that is shifted by a group with every beat holds the code that the port showed."""
        groups, lanes = sizes
        present, where = Signal(name=f"{name}_present"), Signal(range(groups * lanes), name=f"{name}_where")
        m.d.comb += [
            present.eq(Mux(beat == 0, made, group < beat)),
            where.eq(Mux(beat == 0, group, group + groups - beat) * lanes + lane),
        ]
        held = self.holds(self.planes(bank, bits), where, code)
        self.invariant(m, implies(present, held), f"{name}: the code is in its register")


def proofs(spec: Specification, x_lanes: int = 1) -> list[Entry]:
    """The proofs of pulses at the sizes of ``spec``, in the two kinds of hardware."""
    claim = "every line is driven as long as its code says, from the window's first clock on"
    return [
        Entry("pulses", claim, lambda: PulseProof(spec, x_lanes=x_lanes), depth=3),
        Entry(
            "pulses",
            f"{claim}; compact hardware",
            lambda: PulseProof(spec, compact=True, x_lanes=x_lanes),
            depth=3,
        ),
    ]
