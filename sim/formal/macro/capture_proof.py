# SPDX-License-Identifier: Apache-2.0
"""Capture: every comparator trace, each flip-flop sampling on its own, gives golden's code or its neighbor."""

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

    - Without a marginal tick, its code is :func:`crossramp.golden.network.ramps.latch` of its trace.
    - With one marginal tick between a high and a low one, its code is the one before or after.
      ``first_trip``: whatever follows the trip makes no difference.
      ``last_high``: a comparator may rise again, but is clearly high before every tick on which it is marginal.
    - After k shifts lane l shows column k * lanes + l; after ceil(columns / lanes) shifts the bank is empty.
    - The ramp's ``last`` is high on tick 2**bits - 1 alone, and its tap is zero outside a ramp.

    Parameters
    ----------
    columns, bits, lanes, latch
        As those of :class:`CaptureBank`.
    marginal : bool
        Whether there are marginal ticks.
    twice : bool
        Drop the assumption that a column is marginal on one tick only: the claim is then wrong.
    """

    def __init__(self, columns, bits, lanes, latch, *, marginal: bool = True, twice: bool = False, **options):
        super().__init__(**options)
        self.columns, self.bits, self.lanes, self.latch = columns, bits, lanes, latch
        self.marginal, self.twice = marginal, twice

    def describe(self, m: Module) -> None:
        columns, bits, lanes = self.columns, self.bits, self.lanes
        groups, ticks = -(-columns // lanes), (1 << bits) - 1
        bank = CaptureBank(columns, bits, lanes=lanes, latch=self.latch)
        m.submodules.ramp = ramp = RampCounter(bits)
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
        shifts, tick = Signal(range(groups + 1)), Signal(bits)
        m.d.comb += [
            start.eq((phase == idle) & goes),
            enable.eq((phase == ramping) & goes),
            shift.eq((phase == reading) & goes),
            *(ramp.start.eq(start), ramp.step.eq(enable)),
            *(bank.count.eq(ramp.count), bank.arm.eq(start), bank.enable.eq(enable), bank.shift.eq(shift)),
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
        low, either = Signal(bits), Signal()
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
        with m.If((phase == reading) & (shifts == group)):
            self.claim(m, (code == low) | (either & (code == low + 1)), "a column's code is golden's, or its neighbor")
            self.cover(m, low == ticks, "full scale")
            self.cover(m, (low == 0) & ~either, "a comparator that is never high")
            if self.marginal:
                self.cover(m, either & (code == low), "a marginal tick counted as low")
                self.cover(m, either & (code == low + 1), "a marginal tick counted as high")
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
        self.invariant(m, ~either | (low != ticks), "no code above full scale")
        if not self.marginal:
            self.invariant(m, ~was_edge & ~either, "no marginal tick")
        place, present = Signal(range(columns + 1)), Signal()
        m.d.comb += place.eq(Mux(phase == reading, column - shifts * lanes, column))
        m.d.comb += present.eq((phase == ramping) | ((phase == reading) & (shifts <= group)))
        gray, following = _gray(m, low, "gray"), _gray(m, (low + 1)[:bits], "gray_after")
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
            self.invariant(m, ramp.count == _gray(m, tick, "gray_tick"), "the ramp's count")
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


def _gray(m: Module, value, name: str) -> Signal:
    signal = Signal(len(value), name=name)
    m.d.comb += signal.eq(value ^ (value >> 1))
    return signal


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of capture at the sizes of ``spec``."""
    sizes = (spec.units, spec.adc_bits, spec.lanes, spec.latch)
    return [
        Entry(
            "capture",
            "without a marginal tick, the code of every comparator trace is golden's",
            lambda: CaptureProof(*sizes, marginal=False),
        ),
        Entry(
            "capture",
            "one marginal tick gives golden's code or its neighbor; order of readout; empty afterwards",
            lambda: CaptureProof(*sizes),
        ),
    ]
