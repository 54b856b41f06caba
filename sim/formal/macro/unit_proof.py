# SPDX-License-Identifier: Apache-2.0
"""One unit through its steps: its codes, its c and its h meet in the cell update, whatever the array answers."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value, signed
from crossramp.golden.macro.step_groups import read_strobe, stored_strobe
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.capture import SEGMENT
from crossramp.rtl.macro.ramp_counter import count_name, early_end
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

    - When the unit's group enters an update, every operand in its lane that the update reads is golden's code of its
      comparator's trace in the conversion that latches the bank
      (:func:`crossramp.golden.array.ramps.latched_codes`): ramps may have bits and ticks of their own, and turn.
      The register, such as c of an LSTM, is what the monitor showed for this unit when it was stored last, or 0 in the
      first step of an utterance.
    - The monitor shows these codes with the group, and stored values as they are computed. Without a projection h
      leaves as it is computed, in the order of the units, and lanes beyond the last unit are 0; with one, the
      projection gets it so.
    - Every group enters every update of a step once, and its results leave before the next group's operands replace
      them. The store of the register is read and written as :mod:`.state_store_proof` assumes.

    With ``compact``, that the register comes back from the memory is the claim of :mod:`.state_store_proof`.
    """

    def properties(self, m: Module) -> None:
        spec = self.spec
        self.group, self.lane, self.unit = self.line(m, spec.units, "unit")
        self._counts(m)
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

    def _walk(self, gate: str) -> tuple[int, ...]:
        """The code of each tick of a gate's ramp."""
        return self.spec.ramp_walks[self.spec.ramp_of(gate)].codes

    def _counted(self, tick: Value) -> dict[str, tuple[Value, Value]]:
        """What the ramp counter shows on a tick, Gray-coded, and whether a ramp goes by it then; as they are latched.

        A count that turns is that of no ramp behind its last tick.
        """
        spec, found = self.spec, {}
        for gate in spec.gate_names:
            turns, width = spec.turns(gate), len(self.inside(f"ramp.{count_name(spec, gate)}"))
            code = Cat(Array(self._walk(gate))[tick] if turns else tick, Const(0, width))[:width]
            counts = tick <= spec.gate_ticks(gate) if turns else Const(1)
            found.setdefault(count_name(spec, gate), (code ^ (code >> 1)[:width], counts))
        return found

    def _counts(self, m: Module) -> None:
        """Invariants: what the ramp counter shows on its tick, and which way a count that turns goes on."""
        spec, ramp = self.spec, self.in_phase(Phase.RAMP)
        if spec.has_plain_ramps:
            return  # the number of the tick is then that of the count
        for name, (gray, counts) in self._counted(self.number).items():
            shown = self.inside(f"ramp.{name}")
            self.invariant(m, implies(ramp & counts, shown == gray), f"unit: {name} of the tick")
        walks = {count_name(spec, gate): self._walk(gate) for gate in spec.gate_names if spec.turns(gate)}
        bits = {count_name(spec, gate): spec.gate_bits(gate) for gate in spec.gate_names}
        for name, codes in walks.items():
            falling = self.inside(f"ramp.{name.replace('turning', 'falling')}")
            for k in range(1, len(codes) - 1):
                down = (codes[k + 1] - codes[k]) % (1 << bits[name]) != 1
                with m.If(ramp & (self.number == k)):
                    self.invariant(m, falling == down, f"unit: where {name} goes behind tick {k}")

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
            start = 0
            for name, (gray, counts) in self._counted(tick).items():
                landing = count[start : start + len(gray)]
                self.invariant(m, implies(ready & counts, landing == gray), f"unit: {name} that lands")
                start += len(gray)
            for end in sorted({early_end(spec, gate) for gate in spec.gate_names} - {0}):
                over = self.inside(f"over_{end}_sampled")
                self.invariant(m, implies(ready, over == (tick > end)), f"unit: ramps of {end} ticks end before it")
            bit = self.inside("comparator_register.sampled").bit_select
            for k, gate in enumerate(spec.gate_names):
                self.invariant(m, bit(self.unit + k * spec.units, 1) == high[gate], "unit: comparators that land")
        self.latching = ready
        self.codes, self.tripped = {}, {}
        for second, codes in enumerate(spec.conversions):
            for gate, code in codes.items():
                value, tripped = Signal(spec.gate_bits(gate), name=f"code_{code}"), Signal(name=f"tripped_{code}")
                self.codes[code], self.tripped[code] = value, tripped
                with m.If(array.ramp_reset & (array.state == second)):
                    m.d.sync += [value.eq(0), tripped.eq(0)]
                with m.Elif(ready & (state == second) & (tick <= spec.gate_ticks(gate))):
                    m.d.sync += tripped.eq(tripped | ~high[gate])
                    counts = ~tripped if spec.latch == "first_trip" else Const(1)
                    with m.If(high[gate] & counts):
                        m.d.sync += value.eq(Array(self._walk(gate))[tick] if spec.turns(gate) else tick)

    # ---- groups in and out of the update  ---------------------------------------------------------------------------

    def _halves(self, m: Module) -> None:
        """Groups that entered each update of a step, and whose results left; from the first window of the step on."""
        spec, cell, array, beats = self.spec, self.spec.layout, self.dut.array, self.spec.beats
        step, self.of_second, last = self.update["step"], Signal(name="of_second_update"), len(spec.conversions) - 1
        first, other = Signal(name="first_window"), Signal(name="second_window")
        m.d.comb += [first.eq(array.integrate & ~array.state), other.eq(array.integrate & array.state)]
        with m.If(first | other):
            m.d.sync += self.of_second.eq(other)
        h_left = self.inside("projection.write") if spec.digital_projection else self.dut.h.valid & self.dut.h.ready
        self.enters, self.leaves, self.entered, self.left = [], [], [], []
        for number, stores in enumerate(cell.stores):
            named, monitor = f"update {number + 1}", self.dut.monitor
            enters, leaves = Signal(name=f"enters_{number}"), Signal(name=f"leaves_{number}")
            stored = [store.name for store in stores if store.name != cell.output]
            shown = getattr(monitor, stored_strobe(number)) if stored else None
            m.d.comb += enters.eq(step & (self.of_second == number))
            m.d.comb += leaves.eq(h_left if number == last else shown)
            entered, left = (Signal(range(beats + 1), name=f"{what}_{number}") for what in ("entered", "left"))
            for groups, strobe in ((entered, enters), (left, leaves)):
                with m.If(first):
                    m.d.sync += groups.eq(0)
                with m.Elif(strobe):
                    m.d.sync += groups.eq(groups + 1)
                self.claim(m, implies(strobe, groups != beats), f"{named}: no group enters or leaves twice")
            self.claim(
                m, implies(leaves, entered == left + 1), f"{named}: results leave before the next group's operands"
            )
            self.claim(m, implies(enters, (entered == left) | leaves), f"{named}: a group waits until another has left")
            if number == last:
                ends = self.dut.h.payload.end & self.dut.h.valid & self.dut.h.ready
                self.claim(m, implies(ends, entered == beats), f"{named}: every group enters once")
            else:
                whole = (entered == beats) & (left == beats)
                self.claim(m, implies(other, whole), f"{named}: every group enters once")
            if cell.updates[number]:
                strobe = getattr(monitor, read_strobe(number))
                self.claim(m, strobe == enters, f"{named}: the monitor shows codes as they enter")
            if shown is not None:
                self.claim(m, shown == leaves, f"{named}: the monitor shows values as they leave")
            if self.twice:
                knows = self.update["second"] == number
                self.claim(m, implies(enters | leaves, knows), "the update knows its half")
            self.enters, self.leaves = [*self.enters, enters], [*self.leaves, leaves]
            self.entered, self.left = [*self.entered, entered], [*self.left, left]
            self._groups(m, number, entered, left)
        if cell.register:
            reads = Cat(self.enters[number] for number in self._turns).any()
            self.claim(m, self.inside("state.read") == reads, "the store is read as groups enter that need it")
            stored = self.leaves[cell.update_of(cell.register)]
            self.claim(m, self.inside("state.write") == stored, "the store is written as its values leave")
        if self.twice:
            window = self.in_phase(Phase.INTEGRATE)
            with m.If(self.in_phase(Phase.HOLD, Phase.RAMP, Phase.UPDATE)):
                self.invariant(m, self.of_second == self.second, "unit: half of the step")
            self.invariant(m, implies(window & self.second & (self.count != 1), self.of_second), "unit: second window")
        else:
            self.invariant(m, ~self.of_second, "unit: there is one half")

    def _groups(self, m: Module, number: int, entered: Signal, left: Signal) -> None:
        """Invariants: the groups of an update follow from the counters of the macro."""
        spec, beats = self.spec, self.spec.beats
        update, project = self.in_phase(Phase.UPDATE), self.in_phase(Phase.PROJECT)
        over = project if number == len(spec.conversions) - 1 else self.during(1)
        now = update & self.during(number)
        with m.If(self.in_phase(Phase.HOLD, Phase.RAMP, Phase.UPDATE) | self.second | project):
            expected = Mux(over, beats, Mux(now, self.beat, 0))
            gone = Mux(over, beats, Mux(now, self.beat - self.occupied, 0))
            self.invariant(m, (entered == expected) & (left == gone), f"unit: groups of update {number + 1}")

    def _operands(self, m: Module) -> None:
        """What each update is given when the unit's group enters it."""
        cell, monitor = self.spec.layout, self.dut.monitor
        if cell.register:
            self._register(m)
        for number, codes in enumerate(cell.updates):
            with m.If(self.enters[number] & (self.entered[number] == self.group)):
                for code in codes:
                    operand = self._in_lane(self.update[f"code_{cell.gate_of(code)}"])
                    self.claim(m, operand == self.codes[code], f"operand {code} is the unit's code")
                    shown = self._in_lane(getattr(monitor, code))
                    self.claim(m, shown == self.codes[code], f"monitor_{code} is its code")
                if cell.register_reads[number]:
                    self._register_operand(m, number)
                reached = [self.codes[code] == 1 + k for k, code in enumerate(codes[:2])]
                self.cover(m, Cat(self.enters[number], *reached).all(), f"codes of update {number + 1}")

    def _register(self, m: Module) -> None:
        """The register as the monitor showed it, and the ring that holds it."""
        spec, cell, monitor = self.spec, self.spec.layout, self.dut.monitor
        name, number = cell.register, cell.update_of(cell.register)
        self.kept = kept = Signal(signed(spec.state_bits), name="kept")
        made, self.utterance = Signal(name="kept_made"), Signal(name="utterance")
        left = self.left[number]
        with m.If(getattr(monitor, stored_strobe(number)) & (left == self.group)):
            m.d.sync += [kept.eq(self._in_lane(getattr(monitor, name))), made.eq(1)]
        with m.If(self.step_ends):
            m.d.sync += self.utterance.eq(~self.ends_state)
        self.invariant(m, self.utterance == ~self.first_step, "unit: the first step of an utterance")
        update = self.in_phase(Phase.UPDATE)
        shown = update & self.during(number) & (left > self.group)
        for later in range(number + 1, len(spec.conversions)):
            shown = shown | self.during(later)
        shown = shown | self.in_phase(Phase.PROJECT)
        self.invariant(m, implies(self.utterance | shown, made), "unit: the register was shown")
        if not self._has_ring:
            return
        ring, width, beats = self.inside("state.ring"), spec.lanes * spec.state_bits, spec.beats
        turned = Mux(update & self.during(*self._turns), self.beat, 0)
        place = Signal(range(2 * beats + 1), name="ring_place")
        m.d.comb += place.eq(Mux(turned > self.group, self.group + beats - turned, self.group - turned))
        away = self.during(number) & self.occupied & (self.beat == self.group + 1)
        for k in range(beats):
            with m.If((place == k) & made & ~away):
                held = self._in_lane(ring[k * width : (k + 1) * width])
                self.invariant(m, held == kept.as_unsigned(), "unit: the ring holds the register")

    @property
    def _turns(self) -> list[int]:
        """The updates in which every group of the register is read: also where it is stored, if nothing reads it."""
        cell = self.spec.layout
        stored = cell.update_of(cell.register)
        return [number for number, read in enumerate(cell.register_reads) if read or number == stored]

    def _register_operand(self, m: Module, number: int) -> None:
        name, kept = self.spec.layout.register, self.kept
        there = self.utterance if number <= self.spec.layout.update_of(name) else Const(1, 1)
        operand = self._in_lane(self.update["register"])
        if self._has_ring:
            self.claim(m, operand == Mux(there, kept, 0)[: len(kept)], f"operand {name} is the unit's {name}")
            self.cover(m, self.utterance & (kept == 1), f"{name} of the step before")
        else:
            shown = Mux(there, self._in_lane(self.inside("state.bottom")), 0)
            self.claim(m, operand == shown[: len(kept)], f"operand {name} is what the memory shows")

    @property
    def _has_ring(self) -> bool:
        return not self.compact or self.spec.beats == 1

    def _results(self, m: Module) -> None:
        """Where the results of each update go."""
        spec, cell, monitor, h = self.spec, self.spec.layout, self.dut.monitor, self.dut.h
        for number, stores in enumerate(cell.stores):
            with m.If(self.leaves[number]):
                for name in (store.name for store in stores if store.name != cell.output):
                    made = self._in_lane(self.update[f"new_{name}"])
                    shown = self._in_lane(getattr(monitor, name))
                    self.claim(m, shown == made, f"the monitor shows {name} as it is computed")
                    if name == cell.register:
                        self.claim(m, self._in_lane(self.inside("state.top")) == made, f"{name} is stored as computed")
        made, left = self.update[f"new_{cell.output}"], self.left[-1]
        if spec.digital_projection:
            with m.If(self.inside("projection.write")):
                kept = self._in_lane(self.inside("projection.codes"))
                self.claim(m, kept == self._in_lane(made), "the projection gets h as it is computed")
            return
        with m.If(h.valid & (left == self.group)):
            self.claim(m, self._in_lane(h.payload.codes) == self._in_lane(made), "h leaves as it is computed")
            self.cover(m, h.ready & (self._in_lane(made) == 1), "h leaves")
        with m.If(h.valid & (left == spec.beats - 1)):
            for lane in range(spec.units - (spec.beats - 1) * spec.lanes, spec.lanes):
                self.claim(m, h.payload.codes[lane] == 0, "lanes beyond the last unit are zero")

    # ---- capture  ---------------------------------------------------------------------------------------------------

    def _bank(self, m: Module, gate: str) -> None:
        """Invariants: a bank holds the unit's code from its ramp until its group has left, and is empty otherwise."""
        spec, bits = self.spec, self.spec.gate_bits(gate)
        codes = [conversion.get(gate) for conversion in spec.conversions]  # of the first conversion, of the second
        latched = [number for number, code in enumerate(codes) if code]
        reading = [number for number, reads in enumerate(spec.layout.reads(gate)) if reads]
        held = Cat(self.inside(f"capture_{gate}.codes_{k}") for k in range(0, spec.units, SEGMENT))
        update = self.in_phase(Phase.UPDATE)
        shifts = Signal(range(spec.beats + 1), name=f"shifts_{gate}")  # since the bank was full
        shifted = update & self.during(*reading)
        m.d.comb += shifts.eq(Mux(self.in_phase(Phase.FLUSH), self.waited, Mux(shifted, self.beat, 0)))
        busy = self.in_phase(Phase.RAMP, Phase.UPDATE) & self.during(*latched)
        if reading == [1] and latched == [0]:  # kept from the first conversion to the second update
            busy = busy | self.second & ~self.in_phase(Phase.PROJECT)
        for k in range(1, spec.beats):
            with m.If((self.in_phase(Phase.FLUSH) | shifted) & (shifts == k)):
                self.invariant(m, held[(spec.units - k * spec.lanes) * bits :] == 0, f"bank {gate}: zeros follow")
        with m.If(shifted & (shifts == spec.beats)):
            self.invariant(m, held == 0, f"bank {gate}: empty after its shifts")
        with m.If(~busy & ~self.in_phase(Phase.FLUSH)):
            self.invariant(m, held == 0, f"bank {gate}: empty")
        place, code = Signal(range(spec.units), name=f"place_{gate}"), Signal(bits, name=f"held_{gate}")
        first, second = self.codes[codes[latched[0]]], self.codes[codes[latched[-1]]]
        m.d.comb += [
            place.eq(self.unit - shifts * spec.lanes),
            code.eq(Mux(self.second, second, first)),
        ]
        with m.If(busy & (~shifted | (shifts <= self.group))):
            word = held.word_select(place, bits)
            self.invariant(m, word == (code ^ (code >> 1)), f"bank {gate}: the unit's code")
        if spec.latch == "first_trip":
            armed = self.inside(f"capture_{gate}.armed").bit_select(self.unit, 1)
            for number, name in enumerate(codes):
                ramp = (self.in_phase(Phase.RAMP) | self.latching) & self.during(number)
                if name is not None:
                    self.invariant(m, implies(ramp, armed == ~self.tripped[name]), f"bank {gate}: armed")


def proofs(spec: Specification, x_lanes: int = 1) -> list[Entry]:
    """The proofs of a unit at the sizes of ``spec``, in the two kinds of hardware."""
    claim = "for every trace of the comparators, the cell update of every unit gets golden's codes and its own c"
    return [
        Entry("units", claim, lambda: UnitProof(spec, x_lanes=x_lanes), depth=2),
        Entry("units", f"{claim}; compact hardware", lambda: UnitProof(spec, compact=True, x_lanes=x_lanes), depth=2),
    ]
