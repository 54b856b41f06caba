# SPDX-License-Identifier: Apache-2.0
"""Pulses: every line is driven as long as its code says, from the first clock of its window on."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.proof import implies
from .macro_proof import MacroProof


class PulseProof(MacroProof):
    """Lengths and signs of the pulses, against the codes as they were seen at the ports of the macro.

    Environment: that of :class:`MacroProof`.

    Claims, for a row of x, a row of h and a state cell that stand for all of them. Elapsed clocks of a window are
    counted from ``integrate``.

    - On every clock of its window, the line of the code's sign is driven exactly if ``|code|`` exceeds the clocks that
      have elapsed, and the other line never. Hence a pulse begins with the window and has no gap.
    - When the window closes, the line was driven for ``|code|`` clocks; the code without a positive counterpart
      counts as the largest magnitude.
    - A row of x has the code that the x stream carried for it: step n's window drives the n-th step's codes, whatever
      loads meanwhile. A row of h has the code that left on the h stream in the step before, and is not driven in the
      first step of an utterance. A state cell has the pulse code that the monitor showed in this step.
    - A bias row is driven positively for the whole first window, and never with ``quiet``.
    - No row is driven in the second conversion, no state cell in the first, and nothing outside a window.
    """

    def properties(self, m: Module) -> None:
        spec, array = self.spec, self.dut.array
        self._clocks(m)
        inputs, hidden = spec.inputs, spec.hidden
        row, code, driven = self._code_of_x(m)
        self._line(m, "x", self.first, array.row_pos, array.row_neg, row, code, driven)
        row, code, driven = self._code_of_h(m)
        self._line(m, "h", self.first, array.row_pos[inputs:], array.row_neg[inputs:], row, code, driven)
        row, code, driven = self._code_of_c(m)
        self._line(m, "state", self.other, array.state_pos, array.state_neg, row, code, driven)
        quiet = self.was_quiet if self.quiet else Const(0)
        bias = array.row_pos[inputs + hidden :]
        self.claim(m, bias == (self.first & ~quiet).replicate(len(bias)), "a bias row is driven for the whole window")
        self.claim(m, array.row_neg[inputs + hidden :] == 0, "a bias row is never driven negatively")
        if self.quiet:
            self.cover(m, self.first & (bias == 0), "a quiet window")

    def _pulses(self, m: Module) -> None:
        """Not needed here: the claims of one line imply themselves on the next clock."""

    def _clocks(self, m: Module) -> None:
        """Windows, and the clocks of one, from the pins alone."""
        array = self.dut.array
        self.first, self.other = Signal(name="first_window"), Signal(name="second_window")
        self.elapsed = Signal(range(max(self.windows) + 2), name="elapsed")
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
        self.closed = Signal(2, name="closed")  # which window has just closed
        m.d.comb += self.closed.eq(Mux(self.closing, Mux(was_state, 2, 1), 0))
        window = Mux(was_state, self.windows[1], self.windows[0])
        self.claim(m, implies(self.closing, self.elapsed == window), "a window has its length")
        open_, hold = self.in_phase(Phase.INTEGRATE), self.in_phase(Phase.HOLD)
        self.invariant(
            m, self.elapsed == Mux(open_, self.count - 1, Mux(self.closing, self.window, 0)), "elapsed clocks"
        )
        self.invariant(m, implies(was_integrate, open_ | (hold & (self.waited == 0))), "a window closes")
        self.invariant(m, implies(was_integrate, was_state == self.second), "which window")
        self.invariant(m, implies(open_, was_integrate == (self.count != 1)), "a window is open")

    def _line(self, m: Module, name: str, window, pos, neg, line, code, driven) -> None:
        """What a line shows in its window, and how long it was driven when the window closes."""
        number = 1 if window is self.first else 2
        most = self.windows[number - 1]
        size, positive, negative = Signal(range(most + 1)), Signal(), Signal()
        m.d.comb += [
            size.eq(Mux(driven, Mux(code < -most, most, Mux(code < 0, -code, code)), 0)),
            positive.eq(pos.bit_select(line, 1)),
            negative.eq(neg.bit_select(line, 1)),
        ]
        on, minus = size > self.elapsed, code < 0
        self.claim(m, positive == (window & on & ~minus), f"{name}: the positive line follows its code")
        self.claim(m, negative == (window & on & minus), f"{name}: the negative line follows its code")
        for side, pin, sign in (("positive", positive, ~minus), ("negative", negative, minus)):
            clocks = Signal(range(max(self.windows) + 2), name=f"{name}_{side}_clocks")
            with m.If(pin):
                m.d.sync += clocks.eq(clocks + 1)
            with m.If(~window):
                m.d.sync += clocks.eq(0)
            self.claim(
                m,
                implies(self.closed == number, clocks == Mux(sign, size, 0)),
                f"{name}: a line is driven as many clocks as its code says",
            )
            sofar = Mux(on, self.elapsed, size)
            during = window | (self.closed == number)
            self.invariant(m, clocks == Mux(during & sign, sofar, 0), f"{name}: clocks driven so far")
        self.cover(m, (self.closed == number) & driven & (code == most), f"{name}: the longest positive pulse")
        self.cover(m, (self.closed == number) & driven & (code == -1), f"{name}: the shortest negative pulse")
        if name != "state":
            self.cover(m, (self.closed == number) & driven & (code == 0), f"{name}: no pulse")

    # ---- codes as the ports showed them  ----------------------------------------------------------------------------

    def _code_of_x(self, m: Module):
        """A row of x; the code of the step that is driven; it is always driven.

        Codes of two steps are kept: one loads while the other one is driven.
        """
        spec, x = self.spec, self.dut.x
        row = self.choice(m, spec.inputs, "x_row")
        codes = [Signal(signed(spec.input_bits), name=f"x_code_{k}") for k in range(2)]
        place, into, out = Signal(range(spec.inputs)), Signal(name="loads_into"), Signal(name="driven_from")
        with m.If(x.valid & x.ready):
            m.d.sync += place.eq(Mux(place == spec.inputs - 1, 0, place + 1))
            with m.If(place == spec.inputs - 1):
                m.d.sync += into.eq(~into)
            with m.If(place == row):
                m.d.sync += Array(codes)[into].eq(x.payload.code)
        with m.If(self.closed == 1):
            m.d.sync += out.eq(~out)
        code = Signal(signed(spec.input_bits), name="x_code")
        m.d.comb += code.eq(Array(codes)[out])

        taken = Signal(name="x_taken")  # a step was taken whose window has not closed yet
        m.d.comb += taken.eq((self.in_phase(Phase.START, Phase.INTEGRATE) | self.closing) & ~self.second)
        self.invariant(m, place == self.loaded, "x: codes of the step that loads")
        self.invariant(m, (into ^ out) == (taken ^ self.full), "x: steps between stream and pins")
        present, where = Signal(), Signal(range(2 * spec.inputs))
        m.d.comb += [
            present.eq(self.full | (row < self.loaded)),
            where.eq(Mux(self.full, row, row + spec.inputs - self.loaded)),
        ]
        bank = self._planes("loader.bank", spec.input_bits)
        newest = Signal(signed(spec.input_bits), name="x_newest")
        m.d.comb += newest.eq(Array(codes)[into ^ self.full])
        self.invariant(m, implies(present, self._holds(bank, where, newest)), "x: the row's code is on its way")
        if self.compact:
            kept = bank
        else:
            negative, magnitude = self.inside("x_driver.negative"), self.inside("x_driver.magnitude")
            kept = [magnitude[k : k + spec.inputs] for k in range(0, len(magnitude), spec.inputs)] + [negative]
        self.invariant(m, implies(taken, self._holds(kept, row, code)), "x: the row's code is driven")
        return row, code, Const(1)

    def _code_of_h(self, m: Module):
        """A row of h; the code that left for it last; whether it is driven."""
        spec, h = self.spec, self.dut.h
        group, lane, row = self.line(m, spec.hidden, "h")
        beat, code = Signal(range(spec.h_beats), name="h_beat"), Signal(signed(spec.input_bits), name="h_code")
        utterance, made = Signal(name="utterance"), Signal(name="h_made")  # under way; h has left once
        with m.If(h.valid & h.ready):
            m.d.sync += beat.eq(Mux(beat == spec.h_beats - 1, 0, beat + 1))
            with m.If(beat == group):
                m.d.sync += code.eq(Array(h.payload.codes[k] for k in range(spec.lanes))[lane])
            with m.If(beat == spec.h_beats - 1):
                m.d.sync += [utterance.eq(~h.payload.last), made.eq(1)]
        self.invariant(m, utterance == ~self.first_step, "h: the first step of an utterance")
        self.invariant(m, implies(utterance, made), "h: a step before this one")
        self.beats_of_h(m, beat)
        self._shifted(m, "h", "h_codes", spec.input_bits, spec.h_beats, group, lane, beat, made, code)
        return row, code, utterance

    def _code_of_c(self, m: Module):
        """A state cell; the pulse code that the monitor showed last; it is always driven."""
        spec, monitor = self.spec, self.dut.monitor
        group, lane, unit = self.line(m, spec.units, "state")
        beat, code = Signal(range(spec.beats), name="state_beat"), Signal(signed(spec.state_pulse_bits), name="q_code")
        made = Signal(name="q_made")
        with m.If(monitor.state):
            m.d.sync += beat.eq(Mux(beat == spec.beats - 1, 0, beat + 1))
            with m.If(beat == group):
                m.d.sync += code.eq(Array(monitor.q[k] for k in range(spec.lanes))[lane])
            with m.If(beat == spec.beats - 1):
                m.d.sync += made.eq(1)
        updating = self.in_phase(Phase.UPDATE) & ~self.second
        self.invariant(m, beat == Mux(updating, self.beat - self.occupied, 0), "state: beats that were shown")
        self.invariant(m, implies(self.second, made), "state: a pulse code before the second conversion")
        self._shifted(m, "state", "state_codes", spec.state_pulse_bits, spec.beats, group, lane, beat, made, code)
        return unit, code, Const(1)

    # ---- registers of pulse codes  ----------------------------------------------------------------------------------

    def _planes(self, bank: str, bits: int) -> list[Value]:
        """The bit-planes of a register of pulse codes: those of the magnitude, then the sign."""
        return [self.inside(f"{bank}.plane_{bit}") for bit in range(bits)]

    def _holds(self, planes: list[Value], line: Value, code: Value) -> Value:
        """Whether a line's sign and magnitude, at the place ``line`` of ``planes``, are those of ``code``."""
        most = (1 << (len(planes) - 1)) - 1
        size = Mux(code < -most, most, Mux(code < 0, -code, code))[: len(planes) - 1]
        return Cat(plane.bit_select(line, 1) for plane in planes) == Cat(size, code < 0)

    def _shifted(self, m, name, bank, bits, groups, group, lane, beat, made, code) -> None:
        """A register that is shifted by a group with every beat holds the code that the port showed."""
        present, where = Signal(name=f"{name}_present"), Signal(range(groups * self.spec.lanes), name=f"{name}_where")
        m.d.comb += [
            present.eq(Mux(beat == 0, made, group < beat)),
            where.eq(Mux(beat == 0, group, group + groups - beat) * self.spec.lanes + lane),
        ]
        held = self._holds(self._planes(bank, bits), where, code)
        self.invariant(m, implies(present, held), f"{name}: the code is in its register")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of pulses at the sizes of ``spec``, in the two kinds of hardware."""
    claim = "every line is driven as long as its code says, from the window's first clock on"
    return [
        Entry("pulses", claim, lambda: PulseProof(spec), depth=3),
        Entry("pulses", f"{claim}; compact hardware", lambda: PulseProof(spec, compact=True), depth=3),
    ]
