# SPDX-License-Identifier: Apache-2.0
"""A crossbar that synthesizes: the ideal array behind the analog boundary, slower than real time."""

import numpy as np
from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.ramp import ramps
from crossramp.golden.specification import GATES, Specification

from .boundary import ArraySignature


class PulseMeter(wiring.Component):
    """Counts how long each of ``lines`` lines is driven, and gives the counts back one line a clock.

    A positive pulse counts up to ``2**(bits - 1) - 1``; a negative one likewise, and marks the line negative.

    Latency: ``values`` shows lines 0 to lanes - 1; the clock after ``rotate``, the next ``lanes``. After
    ceil(lines / lanes) rotations line 0 is back.
    Cost: ``bits`` flip-flops a line, and as many LUTs.

    Parameters
    ----------
    lines, bits, lanes : int
        Input lines, width of a pulse code with its sign, lines shown at a time.
    """

    def __init__(self, lines: int, bits: int, lanes: int = 1):
        self.lines = lines
        self.bits = bits
        self.lanes = lanes
        super().__init__(
            {
                "clear": In(1),
                "measure": In(1),
                "pos": In(lines),
                "neg": In(lines),
                "rotate": In(1),
                "values": Out(data.ArrayLayout(signed(bits), lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        width = -(-self.lines // self.lanes) * self.lanes
        planes = [Signal(width, name=f"plane_{bit}", reset_less=True) for bit in range(self.bits - 1)]
        negative = Signal(width, reset_less=True)
        with m.If(self.clear):
            m.d.sync += [plane.eq(0) for plane in (*planes, negative)]
        with m.Elif(self.rotate):
            m.d.sync += [plane.eq(plane.rotate_right(self.lanes)) for plane in (*planes, negative)]
        with m.Elif(self.measure):
            carry = self.pos | self.neg
            for bit, plane in enumerate(planes):
                m.d.sync += plane.eq(plane ^ carry)
                following = Signal(width, name=f"carry_{bit}")
                m.d.comb += following.eq(plane & carry)
                carry = following
            m.d.sync += negative.eq(negative | self.neg)

        for lane in range(self.lanes):
            magnitude = Cat(*(plane[lane] for plane in planes))
            m.d.comb += self.values[lane].eq(Mux(negative[lane], -magnitude, magnitude))
        return m


class CrossbarEmulator(wiring.Component):
    """The ideal crossbar of one set of weights, with its ramps and comparators, in digital logic.

    It measures the pulses in real time, multiplies while the periphery holds, ``columns_per_clock`` columns a clock,
    and compares as many columns a clock on every tick; ``ready`` is low meanwhile. Calibration cells have no effect.

    Clocks beyond those of an array that is always ready, with G = 4 x ceil(units / columns_per_clock) and a hold of one
    clock: G x (rows + 2) + 1 in the first hold, G / 4 + 1 in the second, and on each tick G + 2 or G / 4 + 2; see
    :meth:`extra_clocks_per_step`.
    Cost: ``columns_per_clock`` multipliers; memories for weights (G x rows words), MACs (G words) and thresholds; a
    counter a row.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (rows, columns)
        Levels; see :class:`golden.lstm.Lstm`.
    columns_per_clock : int
        1 to ``units``.

    Raises
    ------
    ValueError
        For ``columns_per_clock`` out of range, or weights of another shape.
    """

    def __init__(self, spec: Specification, weights, columns_per_clock: int = 1):
        weights = np.asarray(weights)
        if not 1 <= columns_per_clock <= spec.units:
            raise ValueError(f"columns_per_clock is {columns_per_clock}: expected 1 to {spec.units}")
        if weights.shape != (spec.rows, spec.columns):
            raise ValueError(f"weights have the shape {weights.shape}: expected {(spec.rows, spec.columns)}")
        self.spec = spec
        self.lanes = columns_per_clock
        self.groups = -(-spec.units // columns_per_clock)  # of a bank; a group never spans two banks
        padded = np.zeros((spec.rows, 4, self.groups * columns_per_clock), int)
        padded[:, :, : spec.units] = weights.reshape(spec.rows, 4, spec.units)
        words = padded.reshape(spec.rows, 4 * self.groups, columns_per_clock).transpose(1, 0, 2)
        self.weight_words = [[int(w) for w in word] for word in words.reshape(-1, columns_per_clock)]
        self.threshold_words = [
            int(t) for ramp in ramps(spec) for t in [*ramp.clipped_floors(spec.mac_max), 0]
        ]  # tick k of ramp r at r * 2**adc_bits + k - 1
        super().__init__({"array": In(ArraySignature(spec))})

    def extra_clocks_per_step(self) -> int:
        """Clocks a step takes beyond ``spec.clocks_per_step``, since the emulator lets the periphery wait."""
        spec, bank = self.spec, self.groups
        holds = max(4 * bank * (spec.rows + 2) + 2, spec.settle_clocks) + max(bank + 2, spec.settle_clocks)
        return holds - 2 * spec.settle_clocks + spec.ticks * (5 * bank + 4)

    def elaborate(self, platform):
        m = Module()
        spec, array = self.spec, self.array

        mac = data.ArrayLayout(signed(spec.mac_bits), self.lanes)
        m.submodules.macs = macs = Memory(shape=mac, depth=4 * self.groups, init=[])
        done = Signal()  # the MACs of this hold are in their memory
        comparing = Signal()
        with m.If(array.reset):
            m.d.sync += done.eq(0)
        m.d.comb += array.ready.eq(Mux(array.ramp_reset, done, ~(array.tick | comparing)))

        self._multiply(m, macs.write_port(), done)
        self._compare(m, macs.read_port(), comparing)
        return m

    def _multiply(self, m: Module, write, done: Signal):
        """Measured pulses times weights, group of columns after group of columns."""
        spec, array = self.spec, self.array
        lanes = self.lanes
        weight_layout = data.ArrayLayout(signed(spec.weight_bits), lanes)
        m.submodules.weights = weights = Memory(
            shape=weight_layout, depth=len(self.weight_words), init=self.weight_words
        )
        m.submodules.rows = rows = PulseMeter(spec.rows, spec.input_bits)
        m.submodules.states = states = PulseMeter(spec.units, spec.state_pulse_bits, lanes)
        for meter, pos, neg in ((rows, "row_pos", "row_neg"), (states, "state_pos", "state_neg")):
            m.d.comb += [
                meter.clear.eq(array.reset),
                meter.measure.eq(array.integrate),
                meter.pos.eq(getattr(array, pos)),
                meter.neg.eq(getattr(array, neg)),
            ]

        read = weights.read_port()
        word = Signal(range(len(self.weight_words) + 1))
        row = Signal(range(spec.rows))
        group = Signal(range(4 * self.groups))
        operand = Signal(signed(spec.input_bits))
        operand_valid = Signal()
        total = Signal(data.ArrayLayout(signed(spec.mac_bits), lanes))
        m.d.comb += [read.addr.eq(word), write.addr.eq(group)]
        m.d.sync += [operand.eq(rows.values[0]), operand_valid.eq(0)]
        with m.If(operand_valid):
            m.d.sync += [total[lane].eq(total[lane] + read.data[lane] * operand) for lane in range(lanes)]

        g_bank = GATES.index("g") * self.groups
        with m.FSM():
            with m.State("wait"):
                m.d.sync += [word.eq(0), group.eq(Mux(array.state, g_bank, 0)), total.eq(0)]
                with m.If(array.ramp_reset & ~done):
                    m.next = "multiply"
                    with m.If(array.state):
                        m.next = "state"
            with m.State("multiply"):
                m.d.comb += rows.rotate.eq(1)
                m.d.sync += [word.eq(word + 1), row.eq(row + 1), operand_valid.eq(1)]
                with m.If(row == spec.rows - 1):
                    m.d.sync += row.eq(0)
                    m.next = "drain"
            with m.State("drain"):
                m.next = "store"
            with m.State("store"):
                m.d.comb += [write.en.eq(1), write.data.eq(total)]
                m.d.sync += [group.eq(group + 1), total.eq(0)]
                m.next = "multiply"
                with m.If(group == 4 * self.groups - 1):
                    m.d.sync += done.eq(1)
                    m.next = "finished"
            with m.State("state"):
                m.d.comb += [states.rotate.eq(1), write.en.eq(1)]
                m.d.comb += [write.data[k].eq(states.values[k] * spec.state_cell) for k in range(lanes)]
                m.d.sync += group.eq(group + 1)
                with m.If(group == g_bank + self.groups - 1):
                    m.d.sync += done.eq(1)
                    m.next = "finished"
            with m.State("finished"):
                with m.If(array.reset):
                    m.next = "wait"

    def _compare(self, m: Module, read, comparing: Signal):
        """On every tick, the stored MACs against the thresholds of their banks' ramps."""
        spec, array = self.spec, self.array
        m.submodules.thresholds = thresholds = Memory(
            shape=signed(spec.mac_bits), depth=len(self.threshold_words), init=self.threshold_words
        )
        threshold = thresholds.read_port()

        tick = Signal(spec.adc_bits)  # ticks gone before this one
        bank = Signal(2)
        group = Signal(range(self.groups))
        compare_bank = Signal(2)
        compare_valid = Signal()
        ramp = Signal(range(len(spec.ramps)))
        with m.Switch(bank):
            for k, number in enumerate(spec.ramp_of_gate):
                with m.Case(k):
                    m.d.comb += ramp.eq(number)
        m.d.comb += [
            read.addr.eq(bank * self.groups + group),
            threshold.addr.eq((ramp << spec.adc_bits) + tick),
        ]
        m.d.sync += [compare_bank.eq(bank), compare_valid.eq(0)]

        g_bank = GATES.index("g")
        issuing = Signal()
        with m.If(array.ramp_reset):
            m.d.sync += tick.eq(0)
        with m.Elif(array.tick):
            m.d.sync += [issuing.eq(1), bank.eq(Mux(array.state, g_bank, 0)), group.eq(0)]
        with m.If(issuing):
            m.d.sync += [compare_valid.eq(1), group.eq(group + 1)]
            with m.If(group == self.groups - 1):
                m.d.sync += [group.eq(0), bank.eq(bank + 1)]
                with m.If((bank == 3) | array.state):
                    m.d.sync += [issuing.eq(0), tick.eq(tick + 1)]
        m.d.comb += comparing.eq(issuing | compare_valid)

        above = Cat(read.data[lane] > threshold.data for lane in range(self.lanes))
        for k in range(4):
            comparators = Signal(self.groups * self.lanes, name=f"comparators_{GATES[k]}")
            with m.If(compare_valid & (compare_bank == k)):
                m.d.sync += comparators.eq(Cat(comparators[self.lanes :], above))
            m.d.comb += array.comparators[k * spec.units : (k + 1) * spec.units].eq(comparators)
