# SPDX-License-Identifier: Apache-2.0
"""The cell update: c and h of ``lanes`` units per clock, from the codes alone."""

from amaranth import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.lstm_cell import output_shift, state_shifts
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED
from ..common.arith import decode, round_shift, saturate


class CellUpdate(wiring.Component):
    """One product register, then the sum: c ← sat(round(f·c + i·g)) and its pulse code, or h ← round(o·t·P).

    The two updates never run at once and t comes from bank g, so i·g and o·t share a multiplier. The arithmetic is that
    of :func:`~.cell_update.update_c`, :func:`~.cell_update.state_pulses` and :func:`~.cell_update.update_h`.

    Latency: one clock; the results belong to the operands of the last clock with ``step`` high, and stay until the
    next.
    Throughput: ``lanes`` units per clock; all units take ``spec.update_clocks``. Back-pressure is the caller's: it
    withholds ``step``.
    Cost per lane: two multipliers, (n+1)x(n+1) and (n+1) x state_bits bits; adder, rounding and saturation.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        n, lanes = spec.adc_bits, spec.lanes
        super().__init__(
            {
                "step": In(1),
                "second": In(1),  # h, not c; constant from the first operands to the last result
                "i": In(data.ArrayLayout(n, lanes)),
                "f": In(data.ArrayLayout(n, lanes)),
                "g": In(data.ArrayLayout(n, lanes)),  # codes of g, then those of t
                "o": In(data.ArrayLayout(n, lanes)),
                "c": In(data.ArrayLayout(signed(spec.state_bits), lanes)),
                "next_c": Out(data.ArrayLayout(signed(spec.state_bits), lanes)),
                "pulses": Out(data.ArrayLayout(signed(spec.state_pulse_bits), lanes)),
                "h": Out(data.ArrayLayout(signed(spec.input_bits), lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for lane in range(self.spec.lanes):
            self._lane(m, lane)
        return m

    def _lane(self, m: Module, lane: int):
        spec = self.spec
        i, f, g, o = (decode(getattr(self, gate)[lane], spec.bipolar(gate)) for gate in "ifgo")

        # Stage 1: products.
        fc_product = f * self.c[lane]
        gate_product = Mux(self.second, o, i) * g
        fc = Signal(fc_product.shape(), name=f"fc_{lane}", reset_less=True)
        gated = Signal(gate_product.shape(), name=f"gated_{lane}", reset_less=True)
        with m.If(self.step):
            m.d.sync += [fc.eq(fc_product), gated.eq(gate_product)]

        # Stage 2, c: both products in the finer of their units, rounded once.
        shifts = state_shifts(spec)
        exact = _signal(m, f"exact_{lane}", (fc << shifts.fc) + (gated << shifts.ig))
        next_c = saturate(_signal(m, f"rounded_{lane}", round_shift(exact, shifts.sum)), spec.state_max)
        multiplier, right = spec.state_gain
        scaled_c = _signal(m, f"scaled_c_{lane}", self.next_c[lane] * Const(multiplier))
        pulse = _signal(m, f"pulse_{lane}", round_shift(scaled_c, right))

        # Stage 2, h: |o·t| < 1, so the product with the full scale (a shift and a subtraction) needs no saturation.
        scaled = _signal(m, f"scaled_{lane}", (gated << (spec.input_bits - 1)) - gated)
        h = round_shift(scaled, output_shift(spec))

        m.d.comb += [
            self.next_c[lane].eq(next_c),
            self.pulses[lane].eq(saturate(pulse, spec.state_pulse_max)),
            self.h[lane].eq(h),
        ]


def _signal(m: Module, name: str, value: Value) -> Signal:
    """A signal that is ``value``: an expression used more than once would be written, and computed, as often."""
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal


class StateRing(wiring.Component):
    """The cell states c of a bank, ``lanes`` at a time at its bottom, new ones written back at its top.

    In an update of b = ceil(units / lanes) groups, ``read`` is high b times and ``write`` b times, each write one read
    later, or with nothing read between. Afterwards every unit stands where it was. One group is always on its way
    through the product register, so the ring is one group short while it turns.

    Latency: ``bottom`` shows the next group the clock after ``read``.
    Cost: ``bits`` flip-flops per unit (up to lanes - 1 units more where lanes do not divide units). No reset: the first
    step of an utterance takes c as zero.

    Parameters
    ----------
    units, bits, lanes : int
        Cell states, their width, and how many move at a time.
    """

    def __init__(self, units: int, bits: int, lanes: int):
        units, bits, lanes = integer("units", units), integer("bits", bits), integer("lanes", lanes)
        self.bits = bits
        self.lanes = lanes
        self.groups = -(-units // lanes)
        group = data.ArrayLayout(signed(bits), lanes)
        super().__init__({"read": In(1), "write": In(1), "top": In(group), "bottom": Out(group)})

    def elaborate(self, platform):
        m = Module()

        width = self.lanes * self.bits
        ring = Signal(self.groups * width, reset_less=True)
        written = Signal.like(ring, name="written")
        m.d.comb += [self.bottom.as_value().eq(ring[:width]), written.eq(ring)]
        with m.If(self.write):
            m.d.comb += written[-width:].eq(self.top)
        with m.If(self.read):
            m.d.sync += ring.eq(written.rotate_right(width))
        with m.Elif(self.write):
            m.d.sync += ring.eq(written)

        return m


class StateMemory(wiring.Component):
    """The same as :class:`StateRing` in a memory, for FPGAs: no flip-flop per unit, but one block of memory.

    A word read is not the one written last, so there must be two groups or more.

    Cost: a memory of ceil(units / lanes) words, one write and one read port, and two counters.

    Parameters
    ----------
    units, bits, lanes : int
        Cell states, their width, and how many move at a time; ``lanes`` less than ``units``.
    """

    def __init__(self, units: int, bits: int, lanes: int):
        units, bits, lanes = integer("units", units), integer("bits", bits), integer("lanes", lanes)
        self.groups = -(-units // lanes)
        if self.groups < 2:
            raise InvalidValue(f"lanes is {lanes} of {units} units: a state memory has at least two groups")
        self.group = data.ArrayLayout(signed(bits), lanes)
        super().__init__({"read": In(1), "write": In(1), "top": In(self.group), "bottom": Out(self.group)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.group, depth=self.groups, init=[], attrs=UNCHECKED)
        write = memory.write_port()
        read = memory.read_port()

        read_group = Signal(range(self.groups))
        write_group = Signal(range(self.groups))
        following = Signal.like(read_group, name="following")
        m.d.comb += [
            following.eq(read_group),
            read.addr.eq(following),
            write.addr.eq(write_group),
            write.data.eq(self.top),
            write.en.eq(self.write),
            self.bottom.eq(read.data),
        ]
        m.d.sync += read_group.eq(following)
        with m.If(self.read):
            m.d.comb += following.eq(Mux(read_group == self.groups - 1, 0, read_group + 1))
        with m.If(self.write):
            m.d.sync += write_group.eq(Mux(write_group == self.groups - 1, 0, write_group + 1))
        return m
