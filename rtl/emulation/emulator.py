# SPDX-License-Identifier: Apache-2.0
"""A crossbar that synthesizes: the ideal array behind the analog boundary, slower than real time."""

import numpy as np
from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.link.board_memory import threshold_words, weight_words
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED, AccessSignature
from ..common.boundary import ArraySignature
from .recorder import PulseRecorder


class CrossbarEmulator(wiring.Component):
    """The ideal crossbar, with its ramps and comparators, in digital logic; weights and thresholds can be written.

    It records the pulses in real time; while the periphery holds, it measures them and multiplies
    ``columns_per_clock`` columns per clock; it compares as many columns per clock on every tick. Meanwhile ``ready`` is
    low. Calibration cells have no effect.

    Its golden model is the exact product of :class:`~.lstm.Lstm`; the order of its memories' words,
    :func:`.board_memory.weight_words` and :func:`.board_memory.threshold_words`.

    Clocks beyond those of an array that is always ready, with B banks of G = ceil(units / columns_per_clock) groups and
    a hold of one clock: rows x input_max + B x G x (rows + 2) + 2 in the first hold, units x state_pulse_max + 3 in the
    second, and on each tick B x G + 2 or G + 2; see :meth:`extra_clocks_per_step`.
    Cost: ``columns_per_clock`` multipliers and accumulators, a flip-flop per column; memories for pulses, weights (B x
    G x rows words), MACs (B x G words) and thresholds.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (rows, columns), or None
        Levels at power-up; see :class:`~.lstm.Lstm`. None: zeros. The thresholds at power-up are the ideal ones.
    columns_per_clock : int
        1 to ``units``.
    weight_ram_style : str or None
        The ``ram_style`` attribute of the weights' memory, for yosys: ``"huge"`` is the UP5K's single-port memory,
        which has no contents at power-up.

    Members beside ``array``
    ------------------------
    weights, thresholds : AccessSignature
        Only while the array is in reset between steps.

    Raises
    ------
    InvalidValue
        For ``columns_per_clock`` out of range, or weights of another shape.
    """

    def __init__(self, spec: Specification, weights=None, columns_per_clock: int = 1, *, weight_ram_style=None):
        columns_per_clock = integer("columns_per_clock", columns_per_clock)
        weights = np.zeros((spec.rows, spec.columns), int) if weights is None else np.asarray(weights)
        if not 1 <= columns_per_clock <= spec.units:
            raise InvalidValue(f"columns_per_clock is {columns_per_clock}: expected 1 to {spec.units}")
        if weights.shape != (spec.rows, spec.columns):
            raise InvalidValue(f"weights have the shape {weights.shape}: expected {(spec.rows, spec.columns)}")
        self.spec = spec
        self.lanes = columns_per_clock
        self.groups = -(-spec.units // columns_per_clock)  # of a bank; a group never spans two banks
        self.weight_ram_style = weight_ram_style
        self.weight_words = weight_words(spec, weights, columns_per_clock).tolist()
        self.threshold_words = threshold_words(spec)
        weight = data.ArrayLayout(signed(spec.weight_bits), self.lanes)
        super().__init__(
            {
                "array": In(ArraySignature(spec)),
                "weights": In(AccessSignature(len(self.weight_words), weight)),
                "thresholds": In(AccessSignature(len(self.threshold_words), signed(spec.mac_bits))),
            }
        )

    def extra_clocks_per_step(self) -> int:
        """Clocks a step takes beyond ``spec.clocks_per_step``, since the emulator lets the periphery wait."""
        spec, bank = self.spec, self.groups
        first = spec.rows * spec.input_max + len(spec.gate_names) * bank * (spec.rows + 2) + 3
        second = spec.units * spec.state_pulse_max + 4
        holds = max(first, spec.settle_clocks) + max(second, spec.settle_clocks)
        return holds - 2 * spec.settle_clocks + spec.ticks * (sum(map(len, spec.conversions)) * bank + 4)

    def elaborate(self, platform):
        m = Module()
        spec, array = self.spec, self.array

        mac = data.ArrayLayout(signed(spec.mac_bits), self.lanes)
        m.submodules.macs = macs = Memory(shape=mac, depth=len(spec.gate_names) * self.groups, init=[], attrs=UNCHECKED)
        done = Signal()  # the MACs of this hold are in their memory
        comparing = Signal()
        with m.If(array.reset):
            m.d.sync += done.eq(0)
        m.d.comb += array.ready.eq(Mux(array.ramp_reset, done, ~(array.tick | comparing)))

        mac_write = macs.write_port()
        mac_read = macs.read_port()
        self._multiply(m, mac_write, done)
        self._compare(m, mac_read, comparing)
        return m

    def _multiply(self, m: Module, write, done: Signal):
        """Measured pulses times weights, group of columns after group of columns."""
        spec, array = self.spec, self.array
        lanes = self.lanes
        m.submodules.rows = rows = PulseRecorder(spec.rows, spec.input_bits)
        m.submodules.states = states = PulseRecorder(spec.units, spec.state_pulse_bits)
        for recorder, window, pos, neg in (
            (rows, ~array.state, array.row_pos, array.row_neg),
            (states, array.state, array.state_pos, array.state_neg),
        ):
            m.d.comb += [
                recorder.clear.eq(array.reset),
                recorder.record.eq(array.integrate & window),
                recorder.pos.eq(pos),
                recorder.neg.eq(neg),
            ]
        m.submodules.codes = codes = Memory(shape=signed(spec.input_bits), depth=spec.rows, init=[], attrs=UNCHECKED)
        code_write = codes.write_port()
        code_read = codes.read_port()

        word = Signal(range(len(self.weight_words) + 1))
        row = Signal(range(spec.rows))
        group = Signal(range(len(spec.gate_names) * self.groups))
        lane = Signal(range(lanes))
        operands = Signal()  # a weight and a code are there
        total = Signal(data.ArrayLayout(signed(spec.mac_bits), lanes))
        weight = self._weights(m, word)
        m.d.comb += [
            code_write.addr.eq(row),
            code_write.data.eq(rows.value),
            code_read.addr.eq(row),
            write.addr.eq(group),
            write.data.eq(total),
        ]
        m.d.sync += operands.eq(0)
        with m.If(operands):
            m.d.sync += [total[k].eq(total[k] + weight[k] * code_read.data) for k in range(lanes)]

        g_bank = spec.gate_names.index(spec.state_gate) * self.groups
        stored = Signal()  # the states of a group are in `total`
        with m.FSM():
            with m.State("wait"):
                m.d.sync += [word.eq(0), row.eq(0), group.eq(Mux(array.state, g_bank, 0)), lane.eq(0), total.eq(0)]
                with m.If(array.ramp_reset & ~done):
                    m.next = "measure"
                    with m.If(array.state):
                        m.next = "state"
            with m.State("measure"):
                m.d.comb += [rows.count.eq(1), code_write.en.eq(rows.valid)]
                with m.If(rows.valid):
                    m.d.sync += row.eq(row + 1)
                    with m.If(rows.last):
                        m.d.sync += row.eq(0)
                        m.next = "multiply"
            with m.State("multiply"):
                m.d.sync += [word.eq(word + 1), row.eq(row + 1), operands.eq(1)]
                with m.If(row == spec.rows - 1):
                    m.d.sync += row.eq(0)
                    m.next = "drain"
            with m.State("drain"):
                m.next = "store"
            with m.State("store"):
                m.d.comb += write.en.eq(1)
                m.d.sync += [group.eq(group + 1), total.eq(0)]
                m.next = "multiply"
                with m.If(group == len(spec.gate_names) * self.groups - 1):
                    m.d.sync += done.eq(1)
                    m.next = "finished"
            with m.State("state"):
                m.d.comb += [states.count.eq(1), write.en.eq(stored)]
                m.d.sync += stored.eq(0)
                with m.If(stored):
                    m.d.sync += group.eq(group + 1)
                    with m.If(group == g_bank + self.groups - 1):
                        m.d.sync += done.eq(1)
                        m.next = "finished"
                with m.If(states.valid):
                    m.d.sync += [total[lane].eq(states.value * spec.state_cell), lane.eq(lane + 1)]
                    with m.If((lane == lanes - 1) | states.last):
                        m.d.sync += [lane.eq(0), stored.eq(1)]
            with m.State("finished"):
                with m.If(array.reset):
                    m.next = "wait"

    def _weights(self, m: Module, word: Signal):
        """The weights' memory behind one address, so that a single-port memory can be it; returns word ``word``."""
        access = self.weights
        shape = data.ArrayLayout(signed(self.spec.weight_bits), self.lanes)
        attributes = UNCHECKED | ({} if self.weight_ram_style is None else {"ram_style": self.weight_ram_style})
        init = [] if self.weight_ram_style == "huge" else self.weight_words
        m.submodules.weights = memory = Memory(shape=shape, depth=len(self.weight_words), init=init, attrs=attributes)
        write = memory.write_port()
        read = memory.read_port()
        address = Signal.like(access.address)
        m.d.comb += [
            address.eq(Mux(self.array.reset, access.address, word)),
            write.addr.eq(address),
            write.data.eq(access.value),
            write.en.eq(access.write),
            read.addr.eq(address),
            read.en.eq(~access.write),
            access.data.eq(read.data),
        ]
        return read.data

    def _compare(self, m: Module, read, comparing: Signal):
        """On every tick, the stored MACs against the thresholds of their banks' ramps."""
        spec, array, access = self.spec, self.array, self.thresholds
        m.submodules.thresholds = thresholds = Memory(
            shape=signed(spec.mac_bits), depth=len(self.threshold_words), init=self.threshold_words, attrs=UNCHECKED
        )
        threshold = thresholds.read_port()
        write = thresholds.write_port()

        tick = Signal(spec.adc_bits)  # ticks gone before this one
        bank = Signal(range(len(spec.gate_names)))
        group = Signal(range(self.groups))
        compare_bank = Signal(range(len(spec.gate_names)))
        compare_valid = Signal()
        ramp = Signal(range(len(spec.ramps)))
        with m.Switch(bank):
            for k, number in enumerate(spec.ramp_of_gate):
                with m.Case(k):
                    m.d.comb += ramp.eq(number)
        m.d.comb += [
            read.addr.eq(bank * self.groups + group),
            threshold.addr.eq(Mux(array.reset, access.address, (ramp << spec.adc_bits) + tick)),
            write.addr.eq(access.address),
            write.data.eq(access.value),
            write.en.eq(access.write),
            access.data.eq(threshold.data),
        ]
        m.d.sync += [compare_bank.eq(bank), compare_valid.eq(0)]

        g_bank = spec.gate_names.index(spec.state_gate)
        issuing = Signal()
        with m.If(array.ramp_reset):
            m.d.sync += tick.eq(0)
        with m.Elif(array.tick):
            m.d.sync += [issuing.eq(1), bank.eq(Mux(array.state, g_bank, 0)), group.eq(0)]
        with m.If(issuing):
            m.d.sync += [compare_valid.eq(1), group.eq(group + 1)]
            with m.If(group == self.groups - 1):
                m.d.sync += [group.eq(0), bank.eq(bank + 1)]
                with m.If((bank == len(spec.gate_names) - 1) | array.state):
                    m.d.sync += [issuing.eq(0), tick.eq(tick + 1)]
        m.d.comb += comparing.eq(issuing | compare_valid)

        above = Cat(read.data[lane] > threshold.data for lane in range(self.lanes))
        for k, gate in enumerate(spec.gate_names):
            comparators = Signal(self.groups * self.lanes, name=f"comparators_{gate}")
            with m.If(compare_valid & (compare_bank == k)):
                m.d.sync += comparators.eq(Cat(comparators[self.lanes :], above))
            m.d.comb += array.comparators[spec.bank(gate)].eq(comparators)
