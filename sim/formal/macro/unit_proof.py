# SPDX-License-Identifier: Apache-2.0
"""One unit through its steps: its codes, its c and its h meet in the cell update, whatever the array answers."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.capture import SEGMENT
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.proof import implies
from .macro_proof import MacroProof


class UnitProof(MacroProof):
    """What the cell update is given, and where its results go, for a unit that stands for all of them.

    Environment: that of :class:`MacroProof`. Comparators have any value on every clock; a comparator is seen alike by
    all flip-flops behind it (:mod:`.capture_proof` is about those that are not). The results of the cell update are
    free, so that this holds for any arithmetic; :mod:`crossramp.sim.formal.update.update_proof` says what they are.

    Claims:

    - When the unit's group enters the update of c, the operands i, f and g in its lane are golden's codes of its three
      comparators' traces in the first conversion (:func:`crossramp.golden.network.ramps.latch`), and c is what the
      monitor showed for this unit in the step before, or 0 in the first step of an utterance.
    - When it enters the update of h, o is the code of the first conversion, and t that of the second one.
    - The monitor shows these codes with the group, and c and its pulse code as they are computed. Without a projection
      h leaves as it is computed, in the order of the units, and lanes beyond the last unit are 0; with one, the
      projection gets it so.
    - Every group enters once in each half of a step, and its results leave before the next group's operands replace
      them. The store of c is read and written as :mod:`.state_store_proof` assumes.

    With ``compact``, that c comes back from the memory is the claim of :mod:`.state_store_proof`.
    """

    def properties(self, m: Module) -> None:
        spec = self.spec
        self.group, self.lane, self.unit = self.line(m, spec.units, "unit")
        self._conversions(m)
        self._halves(m)
        self._operands(m)
        self._results(m)
        for gate in spec.gate_names:
            self._bank(m, gate)

    def _pulses(self, m: Module) -> None:
        """Not needed here."""

    def _in_lane(self, lanes) -> Signal:
        """The number of the unit's lane, of a field with one for each."""
        value = lanes.as_value() if hasattr(lanes, "as_value") else lanes
        return value.word_select(self.lane, len(value) // self.spec.lanes)

    # ---- golden's codes  --------------------------------------------------------------------------------------------

    def _conversions(self, m: Module) -> None:
        """The codes of the unit's comparators, from the pins."""
        spec, array = self.spec, self.dut.array
        ticks = Signal(range(spec.ticks + 1), name="ticks_latched")
        tick = Signal(range(spec.ticks + 2), name="tick_number")
        ready, state, registered = (
            Signal(name="tick_latched"),
            Signal(name="of_second"),
            bool(spec.comparator_registers),
        )
        m.d.comb += [ready.eq(array.hold & ~array.ramp_reset & array.ready), tick.eq(ticks + 1), state.eq(array.state)]
        with m.If(array.ramp_reset):
            m.d.sync += ticks.eq(0)
        with m.Elif(ready):
            m.d.sync += ticks.eq(tick)
        ramp = self.in_phase(Phase.RAMP)
        self.invariant(m, implies(ramp, tick == self.number), "unit: number of the tick")
        high = {}
        for k, gate in enumerate(spec.gate_names):
            high[gate] = Signal(name=f"high_{gate}")
            m.d.comb += high[gate].eq(array.comparators.bit_select(self.unit + k * spec.units, 1))
        if registered:  # what the latches see on the next clock
            now = [ready, tick, state, *high.values()]
            later = [Signal.like(signal, name=f"{signal.name}_later") for signal in now]
            m.d.sync += [after.eq(before) for after, before in zip(later, now, strict=True)]
            ready, tick, state, *seen = later
            high = dict(zip(high, seen, strict=True))
            landing = self.in_phase(Phase.UPDATE) & (self.beat == 0)
            self.invariant(m, implies(ready, ramp | landing), "unit: a tick lands before the update")
            self.invariant(m, implies(ready, state == self.second), "unit: a tick lands in its half")
            count, latch = (self.inside(f"comparator_register.{name}") for name in ("count_sampled", "latch_sampled"))
            self.invariant(m, latch == ready, "unit: a tick lands")
            self.invariant(m, implies(ready, count == (tick ^ (tick >> 1))[: len(count)]), "unit: count that lands")
            bit = self.inside("comparator_register.sampled").bit_select
            for k, gate in enumerate(spec.gate_names):
                self.invariant(m, bit(self.unit + k * spec.units, 1) == high[gate], "unit: comparators that land")
        self.latching = ready
        self.codes, self.tripped = {}, {}
        for second, codes in enumerate(spec.conversions):
            for gate, code in codes.items():
                value, tripped = Signal(spec.adc_bits, name=f"code_{code}"), Signal(name=f"tripped_{code}")
                self.codes[code], self.tripped[code] = value, tripped
                with m.If(array.ramp_reset & (array.state == second)):
                    m.d.sync += [value.eq(0), tripped.eq(0)]
                with m.Elif(ready & (state == second)):
                    m.d.sync += tripped.eq(tripped | ~high[gate])
                    counts = ~tripped if spec.latch == "first_trip" else Const(1)
                    with m.If(high[gate] & counts):
                        m.d.sync += value.eq(tick)

    # ---- groups in and out of the update  ---------------------------------------------------------------------------

    def _halves(self, m: Module) -> None:
        """Groups that entered each half of a step, and whose results left; from the first window of the step on."""
        spec, array, monitor, beats = self.spec, self.dut.array, self.dut.monitor, self.spec.beats
        self.step, self.of_h = self.update["step"], Signal(name="of_h")
        first, other = Signal(name="first_window"), Signal(name="second_window")
        m.d.comb += [first.eq(array.integrate & ~array.state), other.eq(array.integrate & array.state)]
        with m.If(first | other):
            m.d.sync += self.of_h.eq(other)
        left = self.inside("projection.write") if spec.projection else self.dut.h.valid & self.dut.h.ready
        counted = {"c": self.step & ~self.of_h, "c_left": monitor.state, "h": self.step & self.of_h, "h_left": left}
        self.groups = {}
        for name, strobe in counted.items():
            groups = self.groups[name] = Signal(range(beats + 1), name=f"groups_{name}")
            with m.If(first):
                m.d.sync += groups.eq(0)
            with m.Elif(strobe):
                m.d.sync += groups.eq(groups + 1)
            self.claim(m, implies(strobe, groups != beats), "no group enters or leaves twice")
        c, c_left, h, h_left = self.groups.values()
        self.claim(m, implies(monitor.state, c == c_left + 1), "c of a group leaves before the next one's operands")
        self.claim(m, implies(counted["c"], (c == c_left) | monitor.state), "a group waits until c of another has left")
        self.claim(m, implies(left, h == h_left + 1), "h of a group leaves before the next one's operands")
        self.claim(m, implies(counted["h"], (h == h_left) | left), "a group waits until h of another has left")
        with m.If(other):
            self.claim(m, (c == beats) & (c_left == beats) & (h == 0), "every group enters the update of c once")
        last = self.dut.h.payload.end & self.dut.h.valid & self.dut.h.ready
        self.claim(m, implies(last, h == beats), "every group enters the update of h once")
        self.claim(m, monitor.gates == counted["c"], "the monitor shows codes as they enter the update of c")
        self.claim(m, monitor.output == counted["h"], "the monitor shows codes as they enter the update of h")
        second = self.update["second"]
        self.claim(m, implies(self.step | monitor.state | left, second == self.of_h), "the update knows its half")
        read, write = self.inside("state.read"), self.inside("state.write")
        self.claim(m, read == counted["c"], "the store of c is read as groups enter the update of c")
        self.claim(m, write == monitor.state, "the store of c is written as c leaves")

        update, window = self.in_phase(Phase.UPDATE), self.in_phase(Phase.INTEGRATE)
        converts = self.in_phase(Phase.HOLD, Phase.RAMP)
        inside = self.beat - self.occupied
        with m.If(converts | update):
            self.invariant(m, self.of_h == self.second, "unit: half of the step")
        with m.If(self.second | update | converts):
            expected_c = Mux(self.second, beats, Mux(update, self.beat, 0))
            expected_left = Mux(self.second, beats, Mux(update, inside, 0))
            self.invariant(m, (c == expected_c) & (c_left == expected_left), "unit: groups of c")
            project = self.in_phase(Phase.PROJECT)
            expected = Mux(project, beats, Mux(self.second & update, self.beat, 0))
            gone = Mux(project, 0 if not spec.projection else beats, Mux(self.second & update, inside, 0))
            self.invariant(m, h == expected, "unit: groups of h")
            if spec.projection:
                self.invariant(m, h_left == gone, "unit: groups of h that left")
            else:
                self.invariant(m, h_left == Mux(self.second & update, inside, 0), "unit: groups of h that left")
        self.invariant(m, implies(window & self.second & (self.count != 1), self.of_h), "unit: the second window")

    def _operands(self, m: Module) -> None:
        """What the update is given when the unit's group enters it."""
        spec, monitor = self.spec, self.dut.monitor
        kept, made = Signal(signed(spec.state_bits), name="c_kept"), Signal(name="c_made")
        utterance = Signal(name="utterance")
        with m.If(monitor.state & (self.groups["c_left"] == self.group)):
            m.d.sync += [kept.eq(self._in_lane(monitor.c)), made.eq(1)]
        with m.If(self.dut.h.valid & self.dut.h.ready & self.dut.h.payload.end):
            m.d.sync += utterance.eq(~self.dut.h.payload.last)
        self.invariant(m, utterance == ~self.first_step, "unit: the first step of an utterance")
        shown = self.in_phase(Phase.UPDATE) & (self.groups["c_left"] > self.group)
        self.invariant(m, implies(utterance | self.second | shown, made), "unit: c was shown")

        with m.If(self.step & ~self.of_h & (self.groups["c"] == self.group)):
            for code in "ifg":
                self.claim(
                    m,
                    self._in_lane(self.update[f"code_{code}"]) == self.codes[code],
                    f"operand {code} is the unit's code",
                )
                self.claim(m, self._in_lane(getattr(monitor, code)) == self.codes[code], f"monitor_{code} is its code")
            operand = self._in_lane(self.update["register"])
            if self._has_ring:
                self.claim(m, operand == Mux(utterance, kept, 0)[: len(kept)], "operand c is the unit's c")
                self.cover(m, utterance & (kept == 1), "c of the step before")
            else:
                shown = Mux(utterance, self._in_lane(self.inside("state.bottom")), 0)
                self.claim(m, operand == shown[: len(kept)], "operand c is what the memory shows")
            self.cover(m, (self.codes["i"] == 1) & (self.codes["g"] == 2), "codes of the first conversion")
        with m.If(self.step & self.of_h & (self.groups["h"] == self.group)):
            for operand, code in (("o", "o"), ("g", "t")):
                self.claim(
                    m, self._in_lane(self.update[f"code_{operand}"]) == self.codes[code], f"operand {code} is its code"
                )
                self.claim(m, self._in_lane(getattr(monitor, code)) == self.codes[code], f"monitor_{code} is its code")
            self.cover(m, (self.codes["o"] == 1) & (self.codes["t"] == 2), "codes of both conversions")

        if self._has_ring:
            ring = self.inside("state.ring")
            width, beats = spec.lanes * spec.state_bits, spec.beats
            turned = Mux(self.in_phase(Phase.UPDATE) & ~self.second, self.beat, 0)
            place = Signal(range(2 * beats + 1), name="ring_place")
            m.d.comb += place.eq(Mux(turned > self.group, self.group + beats - turned, self.group - turned))
            away = ~self.second & self.occupied & (self.beat == self.group + 1)
            for k in range(beats):
                with m.If((place == k) & made & ~away):
                    held = self._in_lane(ring[k * width : (k + 1) * width])
                    self.invariant(m, held == kept.as_unsigned(), "unit: the ring holds c")

    @property
    def _has_ring(self) -> bool:
        return not self.compact or self.spec.beats == 1

    def _results(self, m: Module) -> None:
        """Where the results of the update go."""
        spec, monitor, h = self.spec, self.dut.monitor, self.dut.h
        next_c, pulses, made = (self.update[name] for name in ("new_c", "new_q", "new_h"))
        with m.If(monitor.state):
            self.claim(m, self._in_lane(monitor.c) == self._in_lane(next_c), "the monitor shows c as it is computed")
            self.claim(m, self._in_lane(monitor.q) == self._in_lane(pulses), "the monitor shows c's pulse code")
            self.claim(m, self._in_lane(self.inside("state.top")) == self._in_lane(next_c), "c is stored as computed")
        if spec.projection:
            with m.If(self.inside("projection.write")):
                kept = self._in_lane(self.inside("projection.codes"))
                self.claim(m, kept == self._in_lane(made), "the projection gets h as it is computed")
            return
        with m.If(h.valid & (self.groups["h_left"] == self.group)):
            self.claim(m, self._in_lane(h.payload.codes) == self._in_lane(made), "h leaves as it is computed")
            self.cover(m, h.ready & (self._in_lane(made) == 1), "h leaves")
        with m.If(h.valid & (self.groups["h_left"] == spec.beats - 1)):
            for lane in range(spec.units - (spec.beats - 1) * spec.lanes, spec.lanes):
                self.claim(m, h.payload.codes[lane] == 0, "lanes beyond the last unit are zero")

    # ---- capture  ---------------------------------------------------------------------------------------------------

    def _bank(self, m: Module, gate: str) -> None:
        """Invariants: a bank holds the unit's code from its ramp until its group has left, and is empty otherwise."""
        spec, bits = self.spec, self.spec.adc_bits
        codes = [conversion.get(gate) for conversion in spec.conversions]  # of the first conversion, of the second
        in_c, in_h = spec.layout.reads(gate)
        held = Cat(self.inside(f"capture_{gate}.codes_{k}") for k in range(0, spec.units, SEGMENT))
        update = self.in_phase(Phase.UPDATE)
        shifts = Signal(range(spec.beats + 1), name=f"shifts_{gate}")  # since the bank was full
        shifted = update & Mux(self.second, in_h, in_c)
        m.d.comb += shifts.eq(Mux(self.in_phase(Phase.FLUSH), self.waited, Mux(shifted, self.beat, 0)))
        busy = self.in_phase(Phase.RAMP, Phase.UPDATE) & (~self.second if codes[1] is None else 1)
        if in_h and codes[1] is None:  # kept from the first conversion to the second half
            busy = busy | self.second & ~self.in_phase(Phase.PROJECT)
        for k in range(1, spec.beats):
            with m.If((self.in_phase(Phase.FLUSH) | shifted) & (shifts == k)):
                self.invariant(m, held[(spec.units - k * spec.lanes) * bits :] == 0, f"bank {gate}: zeros follow")
        with m.If(shifted & (shifts == spec.beats)):
            self.invariant(m, held == 0, f"bank {gate}: empty after its shifts")
        with m.If(~busy & ~self.in_phase(Phase.FLUSH)):
            self.invariant(m, held == 0, f"bank {gate}: empty")
        place, code = Signal(range(spec.units), name=f"place_{gate}"), Signal(bits, name=f"held_{gate}")
        second = self.codes[codes[1]] if codes[1] else self.codes[codes[0]]
        m.d.comb += [
            place.eq(self.unit - shifts * spec.lanes),
            code.eq(Mux(self.second, second, self.codes[codes[0]])),
        ]
        with m.If(busy & (~shifted | (shifts <= self.group))):
            word = held.word_select(place, bits)
            self.invariant(m, word == (code ^ (code >> 1)), f"bank {gate}: the unit's code")
        if spec.latch == "first_trip":
            armed = self.inside(f"capture_{gate}.armed").bit_select(self.unit, 1)
            for number, name in enumerate(codes):
                ramp = (self.in_phase(Phase.RAMP) | self.latching) & (self.second == number)
                if name is not None:
                    self.invariant(m, implies(ramp, armed == ~self.tripped[name]), f"bank {gate}: armed")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of a unit at the sizes of ``spec``, in the two kinds of hardware."""
    claim = "for every trace of the comparators, the cell update of every unit gets golden's codes and its own c"
    return [
        Entry("units", claim, lambda: UnitProof(spec), depth=2),
        Entry("units", f"{claim}; compact hardware", lambda: UnitProof(spec, compact=True), depth=2),
    ]
