# SPDX-License-Identifier: Apache-2.0
"""Capture: every comparator trace, each flip-flop sampling on its own, gives golden's code or its neighbor."""

from collections.abc import Iterator
from functools import partial

from amaranth import Array, Cat, Const, Fragment, Module, Mux, Signal
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.capture import CaptureBank
from crossramp.rtl.macro.ramp_counter import RampCounter

from ..engine.entry import Entry
from ..engine.marginal_pins import sampled_apart
from ..engine.proof import Proof, implies


class CaptureProof(Proof):
    """A ramp counter and the capture bank of one gate, conversion after conversion.

    Environment: ramps begin at any time in an empty bank; ticks and shifts pause at will. On every tick each column's
    comparator is clearly low, clearly high, or marginal: then it is low for some flip-flops of its column and high for
    others, independently (docs/boundary.md, "falls at the clock edge").

    Claims, for a column that stands for all of them:

    - Without a marginal tick, its code is :func:`crossramp.golden.array.ramps.latch` of its trace.
    - With one marginal tick between a high and a low one, its code is the one before or after.
      ``first_trip``: whatever follows the trip makes no difference.
      ``last_high``: a comparator may rise again, but is clearly high before every tick on which it is marginal.
    - After k shifts lane l shows column k * lanes + l; after ceil(columns / lanes) shifts the bank is empty.
    - The ramp's ``last`` is high on its last tick alone, and its tap is zero outside a ramp.

    Parameters
    ----------
    columns, bits, lanes, latch
        As those of :class:`CaptureBank`.
    marginal : bool
        Whether there are marginal ticks.
    twice : bool
        Drop the assumption that a column is marginal on one tick only: the claim is then wrong.
    codes : sequence of int or None
        What the ramp counts, from no tick (0) to the last (:class:`~.ramp_walk.RampWalk`), if its count turns.
    """

    def __init__(self, columns, bits, lanes, latch, *, marginal=True, twice=False, codes=None, **options):
        super().__init__(**options)
        self.turns = codes is not None
        self.codes = tuple(codes) if self.turns else tuple(range(1 << bits))
        self.columns, self.bits, self.lanes, self.latch = columns, bits, lanes, latch
        self.marginal, self.twice = marginal, twice

    def describe(self, m: Module) -> None:
        columns, bits, lanes = self.columns, self.bits, self.lanes
        groups, ticks = -(-columns // lanes), len(self.codes) - 1
        bank = CaptureBank(columns, bits, lanes=lanes, latch=self.latch)
        m.submodules.ramp = ramp = self._ramp()
        count = ramp.turning_0 if self.turns else ramp.count
        fragment = Fragment.get(bank, None)
        # One view of the comparators for each bit of the codes, and one for `armed`.
        seen = [Signal(columns, name=f"seen_{view}") for view in range(bits + 1)]
        dut, state = sampled_apart(
            fragment, bank.comparators, seen, lambda one, bit: bits if one.name == "armed" else bit % bits
        )
        m.submodules.dut = dut
        held = Cat(*sorted((one for one in state if one.name != "armed"), key=lambda one: int(one.name.split("_")[1])))

        # ---- environment: a ramp, the readout, and again
        idle, ramping, reading = (Const(k, 2) for k in range(3))
        phase, goes = Signal(2), self.free(m, 1, "goes")
        start, enable, shift = Signal(), Signal(), Signal()
        shifts, tick = Signal(range(groups + 1)), Signal(range(ticks + 1))
        m.d.comb += [
            start.eq((phase == idle) & goes),
            enable.eq((phase == ramping) & goes),
            shift.eq((phase == reading) & goes),
            *(ramp.start.eq(start), ramp.step.eq(enable)),
            *(bank.count.eq(count), bank.arm.eq(start), bank.enable.eq(enable), bank.shift.eq(shift)),
        ]
        with m.If(start):
            m.d.sync += [phase.eq(ramping), tick.eq(1)]
        with m.If(enable):
            m.d.sync += tick.eq(tick + 1)
            with m.If(tick == ticks):
                m.d.sync += [phase.eq(reading), shifts.eq(0)]
        with m.If(shift):
            m.d.sync += shifts.eq(shifts + 1)
            with m.If(shifts == groups - 1):
                m.d.sync += phase.eq(idle)

        high, edge = self.free(m, columns, "high"), Signal(columns)
        if self.marginal:
            m.d.comb += edge.eq(self.free(m, columns, "edge"))
        for view in (bank.comparators, *seen):
            m.d.comb += view.eq((high & ~edge) | (self.free(m, columns, f"{view.name}_at_edge") & edge))

        column = self.choice(m, columns, "column")
        is_high, is_edge = Signal(), Signal()
        m.d.comb += [
            is_edge.eq(edge.bit_select(column, 1)),
            is_high.eq(high.bit_select(column, 1) & ~is_edge),
        ]

        # ---- golden: the code if marginal ticks count as low, and whether the next one is as good
        low, either = Signal(range(ticks + 1)), Signal()
        was_high, was_edge, tripped = Signal(), Signal(), Signal()
        first_trip = self.latch == "first_trip"
        with m.If(start):
            m.d.sync += [low.eq(0), either.eq(0), was_high.eq(1), was_edge.eq(0), tripped.eq(0)]
        with m.If(enable):
            if not self.twice:
                self.assume(m, ~is_edge | was_high | (tripped if first_trip else Const(0)))
                if first_trip:
                    self.assume(m, ~was_edge | tripped | ~(is_high | is_edge))
            m.d.sync += [was_high.eq(is_high), was_edge.eq(is_edge)]
            counts = ~tripped if first_trip else Const(1)
            if first_trip:
                m.d.sync += tripped.eq(tripped | ~(is_high | is_edge))
            with m.If(counts & is_high):
                m.d.sync += [low.eq(tick), either.eq(0)]
            with m.If(counts & is_edge):
                m.d.sync += either.eq(1)

        # ---- claims
        group, lane, code = Signal(range(max(groups, 2))), Signal(range(max(lanes, 2))), Signal(bits)
        m.d.comb += [group.eq(column // lanes), lane.eq(column % lanes)]
        m.d.comb += code.eq(Array(bank.codes[k] for k in range(lanes))[lane])
        golden, neighbor = self._code(m, low, "golden"), self._code(m, (low + 1)[: len(low)], "neighbor")
        with m.If((phase == reading) & (shifts == group)):
            self.claim(
                m, (code == golden) | (either & (code == neighbor)), "a column's code is golden's, or its neighbor"
            )
            self.cover(m, low == ticks, "full scale")
            self.cover(m, (low == 0) & ~either, "a comparator that is never high")
            if self.marginal:
                self.cover(m, either & (code == golden), "a marginal tick counted as low")
                self.cover(m, either & (code == neighbor), "a marginal tick counted as high")
        with m.If(phase == idle):
            self.claim(m, held == 0, "the bank is empty after its readout")
        with m.If(phase == ramping):
            self.claim(m, ramp.last == (tick == ticks), "last is high on the last tick alone")
        with m.Else():
            self.claim(m, ramp.tap == 0, "no tap outside a ramp")
        again = Signal()
        with m.If(shift & (shifts == groups - 1)):
            m.d.sync += again.eq(1)
        self.cover(m, again & (phase == reading) & (low == 2), "a second conversion")

        # ---- invariants
        self.invariant(m, phase != 3, "phase")
        self.invariant(m, (low <= ticks) & ((phase != ramping) | (tick <= ticks)), "no tick behind the last")
        self.invariant(m, ~either | (low != ticks), "no code above full scale")
        if not self.marginal:
            self.invariant(m, ~was_edge & ~either, "no marginal tick")
        place, present = Signal(range(columns + 1)), Signal()
        m.d.comb += place.eq(Mux(phase == reading, column - shifts * lanes, column))
        m.d.comb += present.eq((phase == ramping) | ((phase == reading) & (shifts <= group)))
        gray, following = _gray(m, golden, "gray"), _gray(m, neighbor, "gray_after")
        word = held.word_select(place, bits)
        with m.If(present):
            self.invariant(m, ((word ^ gray) & ~Mux(either, gray ^ following, 0)) == 0, "what the column holds")
        with m.If(phase == reading):
            self.invariant(m, shifts < groups, "shifts")
            for k in range(1, groups):
                with m.If(shifts == k):
                    self.invariant(m, held[(columns - k * lanes) * bits :] == 0, "zeros follow")
        with m.If(phase == ramping):
            self.invariant(m, tick != 0, "ticks count from 1")
            self.invariant(m, count == _gray(m, self._code(m, tick, "of_tick"), "gray_tick"), "the ramp's count")
            if self.turns:
                self._direction(m, ramp, tick)
            self.invariant(m, Cat(Const(0, 1), ramp.tap) == (1 << tick), "the ramp's tap")
            self.invariant(m, (low < tick) & (~either | (low + 1 < tick)), "the code is behind the tick")
            if first_trip:
                armed = next(one for one in state if one.name == "armed").bit_select(column, 1)
                self.invariant(m, ~(tripped & armed), "a column that tripped is not armed")
                self.invariant(m, tripped | was_edge | armed, "a column that did not trip is armed")
                self.invariant(m, implies(was_high & ~tripped, low + 1 == tick), "the last tick's count is held")
                self.invariant(m, tripped | was_edge | (was_high & ~either), "high so far")
                self.invariant(
                    m, tripped | ~was_edge | (either & (low + 2 == tick) & ~was_high), "marginal on the tick before"
                )
            else:
                self.invariant(m, ~was_high | ((low + 1 == tick) & ~either), "the last tick's count is held")

    def _ramp(self) -> RampCounter:
        if not self.turns:
            return RampCounter(self.bits)
        return RampCounter(2, ticks=(len(self.codes) - 1,), turning=[(self.bits, self.codes)])

    def _code(self, m: Module, tick, name: str) -> Signal:
        """The code that a column has when tick ``tick`` was its last."""
        code = Signal(self.bits, name=name)
        m.d.comb += code.eq(Array(self.codes)[tick] if self.turns else tick)
        return code

    def _direction(self, m: Module, ramp: RampCounter, tick: Signal) -> None:
        """The counter knows whether the next tick counts down."""
        for k in range(1, len(self.codes) - 1):
            down = (self.codes[k + 1] - self.codes[k]) % (1 << self.bits) != 1
            with m.If(tick == k):
                self.invariant(m, ramp.falling[0] == down, f"the direction behind tick {k}")


def _gray(m: Module, value, name: str) -> Signal:
    signal = Signal(len(value), name=name)
    m.d.comb += signal.eq(value ^ (value >> 1))
    return signal


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of capture at the sizes of ``spec``."""
    found = []
    for bits, codes in dict.fromkeys(_counts(spec)):
        options = {} if codes is None else {"codes": codes}
        sizes = (spec.units, bits, spec.lanes, spec.latch)
        where = "" if codes is None else f" of a ramp that counts {_shown(codes, bits)}"
        found += [
            Entry(
                "capture",
                f"without a marginal tick, the code of every comparator trace is golden's{where}",
                partial(CaptureProof, *sizes, marginal=False, **options),
            ),
            Entry(
                "capture",
                f"one marginal tick gives golden's code or its neighbor; order of readout; empty afterwards{where}",
                partial(CaptureProof, *sizes, **options),
            ),
        ]
    return found


def _counts(spec: Specification) -> Iterator[tuple[int, tuple[int, ...] | None]]:
    """Bits of each gate's codes, and what its ramp counts if it turns."""
    for gate in spec.gate_names:
        yield spec.gate_bits(gate), spec.ramp_walks[spec.ramp_of(gate)].codes if spec.turns(gate) else None


def _shown(codes: tuple[int, ...], bits: int) -> str:
    """Where a count turns: "0 to -4 to 15"."""
    levels = [code - (1 << bits) * (code >> (bits - 1)) for code in codes] if codes[1] != 1 else codes
    ends = [levels[k] for k in range(1, len(levels) - 1) if (levels[k + 1] > levels[k]) != (levels[k] > levels[k - 1])]
    return " to ".join(map(str, [0, *ends, levels[-1]]))
