# SPDX-License-Identifier: Apache-2.0
"""A state that comes through a stream: what stands in the registers when the first step of an utterance begins."""

from amaranth import Array, Module, Mux, Signal, Value, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.proof import implies
from .macro_proof import MacroProof


class LoadProof(MacroProof):
    """The stream of initial states, and the registers that it fills, for a unit and a row of h that stand for all.

    Environment: that of :class:`MacroProof`; the stream of initial states has any value on every clock.

    Claims:

    - A beat is taken only while the first step of an utterance waits for its state, with its whole x there; such a step
      begins only after as many beats as a state has. A step that goes on from another one waits for none.
    - The store of the register is read and written as :mod:`.state_store_proof` assumes of an update, with the values
      of the stream, of which the lowest counts as the one above it; a ring then holds them.
    - The register of pulse codes of h then holds the codes of the stream.
    - Where lines start from the register, theirs holds round(c·M / 2**R), saturated.
    """

    def _pulses(self, m: Module) -> None:
        """Not needed here."""

    def environment(self, m: Module) -> None:
        super().environment(m)
        stream = self.dut.initial
        m.d.comb += [
            stream.valid.eq(self.free(m, 1, "initial_valid")),
            stream.payload.as_value().eq(self.free(m, len(stream.payload.as_value()), "initial")),
        ]

    def properties(self, m: Module) -> None:
        spec, cell, stream = self.spec, self.spec.layout, self.dut.initial
        self.beats = beats = spec.initial_beats
        self.load, number = self.inside("sequencer.load"), self.inside("state_loader.number")
        taken, self.count = Signal(name="state_taken"), Signal(range(beats + 2), name="state_beats")
        m.d.comb += taken.eq(stream.valid & stream.ready)
        with m.If(~self.load):
            m.d.sync += self.count.eq(0)
        with m.Elif(taken):
            m.d.sync += self.count.eq(self.count + 1)
        self.begins = begins = Signal(name="first_step_begins")
        idle = self.in_phase(Phase.IDLE)
        m.d.comb += begins.eq(self.take & self.first_step & idle)

        self.claim(m, implies(stream.ready, idle & self.first_step & self.full), "beats in time")
        self.claim(m, implies(begins, self.count == beats), "a step begins with its whole state")
        self.claim(m, implies(self.take & ~begins, self.count == 0), "a step that goes on loads nothing")
        self.claim(m, implies(self.take & ~idle, ~self.ends_state), "an utterance that begins is waited for")
        self.cover(m, begins, "a state was loaded")

        whole = number == beats + 1
        self.invariant(m, number <= beats + 1, "load: clocks")
        begun = self.in_phase(Phase.START) & whole
        self.invariant(m, implies(number != 0, self.load | begun), "load: only while a step waits")
        self.invariant(m, implies(self.load, self.count + 1 == Mux(number == 0, 1, number)), "load: beats")
        self.invariant(m, implies(~self.load, (self.count == 0) | begun), "load: no beat elsewhere")
        if cell.register:
            self._register(m, taken, number)
        if spec.output_is_state:
            self._codes(m, taken)

    def _lane(self, values, lane: Signal) -> Value:
        """A number of a beat, by its lane."""
        return Array(values[k] for k in range(self.spec.lanes))[lane]

    def _register(self, m: Module, taken: Signal, number: Signal) -> None:
        spec, cell, load, beats = self.spec, self.spec.layout, self.load, self.beats
        group, lane, unit = self.line(m, spec.units, "unit")
        came = Signal(signed(spec.state_bits), name="came")
        given = self._lane(getattr(self.dut.initial.payload, cell.register), lane)
        value = Signal(signed(spec.state_bits), name="value")
        m.d.comb += value.eq(Mux(given < -spec.state_max, -spec.state_max, given))
        with m.If(taken & (self.count == group)):
            m.d.sync += came.eq(value)
        read, write = self.inside("state.read"), self.inside("state.write")
        reads = Signal(range(beats + 2), name="state_reads")
        with m.If(~load):
            m.d.sync += reads.eq(0)
        with m.Elif(read):
            m.d.sync += reads.eq(reads + 1)
        with m.If(load):
            self.claim(m, write == taken, "the store is written as beats are taken")
            self.claim(m, implies(read, (reads == self.count) | write), "at most one group is on its way")
            self.claim(m, implies(write, reads == self.count + 1), "a group is read before it is written")
            top = self.inside("state.top").word_select(lane, spec.state_bits).as_signed()
            self.claim(m, implies(write & (self.count == group), top == value), "the store gets what came")
            self.cover(m, write & (self.count == group) & (value == 1), "a unit is written")
        self.claim(m, implies(self.begins, reads == beats), "every group is read once")
        expected = Mux(number == 0, 0, Mux(self.count == beats, beats, self.count + 1))
        self.invariant(m, implies(load, reads == expected), "load: reads")
        self.invariant(m, implies(~load, (reads == 0) | (number != 0)), "load: no reads elsewhere")
        if not self.compact or spec.beats == 1:
            ring, width, place = self.inside("state.ring"), spec.lanes * spec.state_bits, Signal(range(2 * beats))
            m.d.comb += place.eq(Mux(reads > group, group + beats - reads, group - reads))
            for k in range(beats):
                held = ring[k * width : (k + 1) * width].word_select(lane, spec.state_bits)
                with m.If(load & (place == k) & (self.count > group)):
                    self.invariant(m, held == came.as_unsigned(), "load: the ring holds the register")
                here = self.begins & (group == k)
                self.claim(m, implies(here, held == came.as_unsigned()), "the ring holds the state")
        if cell.line_value in cell.driven_before:
            (multiplier, shift), most = spec.state_gain, spec.state_pulse_max
            size = Signal(range((spec.state_max * multiplier << 1) + (1 << shift) + 1), name="pulse_size")
            pulse = Signal(range(-most, most + 1), name="pulse")
            m.d.comb += [
                size.eq((Mux(came < 0, -came, came) * (2 * multiplier) + (1 << shift)) >> (shift + 1)),
                pulse.eq(Mux(size > most, Mux(came < 0, -most, most), Mux(came < 0, -size, size))),
            ]
            self._bank(m, "state_codes", (group, lane, unit), spec.beats, pulse)

    def _codes(self, m: Module, taken: Signal) -> None:
        spec, cell = self.spec, self.spec.layout
        group, lane, row = self.line(m, spec.hidden, "h")
        came = Signal(signed(spec.input_bits), name="h_came")
        with m.If(taken & (self.count == group)):
            m.d.sync += came.eq(self._lane(getattr(self.dut.initial.payload, cell.output), lane))
        self._bank(m, f"{cell.output}_codes", (group, lane, row), spec.h_beats, came)
        self.cover(m, self.begins & (came == 1), "a code of h was loaded")

    def _bank(self, m: Module, bank: str, line: tuple, groups: int, code: Value) -> None:
        """A register of pulse codes holds ``code`` in its line, once the line's group has come."""
        group, lane, number = line
        planes = self.planes(bank, self.spec.state_pulse_bits if bank == "state_codes" else self.spec.input_bits)
        shifts, where = Signal(range(groups + 1)), Signal(range(2 * groups * self.spec.lanes))
        m.d.comb += [
            shifts.eq(Mux(self.count > groups, groups, self.count)),
            where.eq((group + groups - shifts) * self.spec.lanes + lane),
        ]
        self.invariant(
            m, implies(self.load & (shifts > group), self.holds(planes, where, code)), f"load: {bank} holds what came"
        )
        self.claim(m, implies(self.begins, self.holds(planes, number, code)), f"{bank} holds what came")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of a state that is loaded, at the sizes of ``spec``, in the two kinds of hardware."""
    if spec.initial != "stream":
        return []
    claim = "an utterance starts from the state that came through the stream"
    return [
        Entry("load", claim, lambda: LoadProof(spec)),
        Entry("load", f"{claim}; compact hardware", lambda: LoadProof(spec, compact=True)),
    ]
