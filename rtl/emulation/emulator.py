# SPDX-License-Identifier: Apache-2.0
"""A crossbar that synthesizes: the ideal array behind the analog boundary, slower than real time."""

from functools import partial

import numpy as np
from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.link.board_memory import line_weight_words, threshold_words, weight_words
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED, AccessSignature
from ..common.boundary import ArraySignature
from .accumulation import Accumulation
from .emulated_conversion import emulated_conversions


class CrossbarEmulator(wiring.Component):
    """The ideal crossbar, with its ramps and comparators, in digital logic; weights and thresholds can be written.

    It records the pulses in real time; while the periphery holds, it measures them and multiplies
    ``columns_per_clock`` columns per clock (:class:`.accumulation.Accumulation`); it compares as many columns per clock
    on every tick. Meanwhile ``ready`` is low. Banks that hold charge keep their sums until their reset wire is high.
    Calibration cells have no effect.

    Its golden model is :meth:`~.array_protocol.IdealArray.macs`; the order of its memories' words,
    :func:`.board_memory.weight_words`, :func:`.board_memory.line_weight_words` and
    :func:`.board_memory.threshold_words`.

    Clocks beyond those of an array that is always ready, of an LSTM with B banks of G = ceil(units / columns_per_clock)
    groups and a hold of one clock: rows x input_max + B x G x (rows + 2) + 2 in the first hold, units x state_pulse_max
    + 3 in the second, and on each tick B x G + 2 or G + 2. Of any cell:
    :attr:`.emulated_conversion.EmulatedConversion.hold_clocks` and ``tick_clocks``.
    Cost: ``columns_per_clock`` multipliers and accumulators, a flip-flop per column; memories for pulses, weights (B x
    G x rows words), MACs (B x G words) and thresholds. In a cell whose lines have trained cells, or meet rows or held
    charge: as many multipliers more, and memories for the pulses of the lines and their weights.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (rows, columns), or None
        Levels at power-up; see :class:`~.array_protocol.IdealArray`. None: zeros. The thresholds at power-up are the
        ideal ones.
    columns_per_clock : int
        1 to ``units``.
    lines : integer array, shape (trained line cells, units), or None
        Levels of trained line cells at power-up. None: zeros.
    weight_ram_style : str or None
        The ``ram_style`` attribute of the weights' memory, for yosys: ``"huge"`` is the UP5K's single-port memory,
        which has no contents at power-up.

    Members beside ``array``
    ------------------------
    weights, thresholds : AccessSignature
        Only while the array is in reset between steps.
    line_weights : AccessSignature
        The same; absent in cells without trained line cells.

    Raises
    ------
    InvalidValue
        For ``columns_per_clock`` out of range, or weights of another shape.
    """

    def __init__(
        self, spec: Specification, weights=None, columns_per_clock: int = 1, *, lines=None, weight_ram_style=None
    ):
        columns_per_clock = integer("columns_per_clock", columns_per_clock)
        weights = np.zeros((spec.rows, spec.columns), int) if weights is None else np.asarray(weights)
        if not 1 <= columns_per_clock <= spec.units:
            raise InvalidValue(f"columns_per_clock is {columns_per_clock}: expected 1 to {spec.units}")
        if weights.shape != (spec.rows, spec.columns):
            raise InvalidValue(f"weights have the shape {weights.shape}: expected {(spec.rows, spec.columns)}")
        self.spec = spec
        self.lanes = columns_per_clock
        self.groups = -(-spec.units // columns_per_clock)  # of a bank; a group never spans two banks
        self.conversions = emulated_conversions(spec, self.groups)
        self.weight_ram_style = weight_ram_style
        self.weight_words = weight_words(spec, weights, columns_per_clock).tolist()
        self.threshold_words = threshold_words(spec)
        weight = data.ArrayLayout(signed(spec.weight_bits), self.lanes)
        members = {
            "array": In(ArraySignature(spec)),
            "weights": In(AccessSignature(len(self.weight_words), weight)),
            "thresholds": In(AccessSignature(len(self.threshold_words), signed(spec.mac_bits))),
        }
        if spec.trained_lines:
            shape = (spec.trained_lines, spec.units)
            lines = np.zeros(shape, int) if lines is None else np.asarray(lines)
            if lines.shape != shape:
                raise InvalidValue(f"lines have the shape {lines.shape}: expected {shape}")
            self.line_words = line_weight_words(spec, lines, columns_per_clock).tolist()
            members["line_weights"] = In(AccessSignature(len(self.line_words), weight))
        super().__init__(members)

    def extra_clocks_per_step(self) -> int:
        """Clocks a step takes beyond ``spec.clocks_per_step``, since the emulator lets the periphery wait."""
        spec = self.spec
        holds = sum(max(conversion.hold_clocks, spec.settle_clocks) for conversion in self.conversions)
        ticks = sum(
            count * conversion.tick_clocks
            for count, conversion in zip(spec.conversion_ticks, self.conversions, strict=True)
        )
        return holds - len(self.conversions) * spec.settle_clocks + ticks

    def elaborate(self, platform):
        m = Module()
        spec, array = self.spec, self.array

        mac = data.ArrayLayout(signed(spec.mac_bits), self.lanes)
        m.submodules.macs = macs = Memory(shape=mac, depth=len(spec.gate_names) * self.groups, init=[], attrs=UNCHECKED)
        done = Signal()  # the MACs of this hold are in their memory
        comparing = Signal()
        sums = Accumulation(m, spec, array, self.conversions, lanes=self.lanes, groups=self.groups, done=done)
        with m.If(sums.reset):
            m.d.sync += done.eq(0)
        m.d.comb += array.ready.eq(Mux(array.ramp_reset, done, ~(array.tick | comparing)))

        mac_write = macs.write_port()
        mac_read = macs.read_port()
        group = sums.build(mac_write, mac_read, partial(self._weights, m), partial(self._line_weights, m))
        self._compare(m, mac_read, comparing, sums, group)
        return m

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
            address.eq(Mux(self.array.reset[0], access.address, word)),
            write.addr.eq(address),
            write.data.eq(access.value),
            write.en.eq(access.write),
            read.addr.eq(address),
            read.en.eq(~access.write),
            access.data.eq(read.data),
        ]
        return read.data

    def _line_weights(self, m: Module, word: Signal):
        """The levels of trained line cells, behind one address as the weights are; returns word ``word``."""
        access = self.line_weights
        m.submodules.line_weights = memory = Memory(
            shape=access.data.shape(), depth=len(self.line_words), init=self.line_words, attrs=UNCHECKED
        )
        write = memory.write_port()
        read = memory.read_port()
        m.d.comb += [
            write.addr.eq(access.address),
            write.data.eq(access.value),
            write.en.eq(access.write),
            read.addr.eq(Mux(self.array.reset[0], access.address, word)),
            access.data.eq(read.data),
        ]
        return read.data

    def _compare(self, m: Module, read, comparing: Signal, sums: Accumulation, summed: Signal):
        """On every tick, the stored MACs against the thresholds of their banks' ramps."""
        spec, array, access = self.spec, self.array, self.thresholds
        m.submodules.thresholds = thresholds = Memory(
            shape=signed(spec.mac_bits), depth=len(self.threshold_words), init=self.threshold_words, attrs=UNCHECKED
        )
        threshold = thresholds.read_port()
        write = thresholds.write_port()

        tick = Signal(spec.tick_bits)  # ticks gone before this one
        bank = Signal(range(len(spec.gate_names)))
        group = Signal(range(self.groups))
        compare_bank = Signal(range(len(spec.gate_names)))
        compare_valid = Signal()
        ramp = Signal(range(len(spec.ramps)))
        place = bank * self.groups + group
        with m.Switch(bank):
            for k, number in enumerate(spec.ramp_of_gate):
                with m.Case(k):
                    m.d.comb += ramp.eq(number)
        m.d.comb += [
            read.addr.eq(Mux(array.ramp_reset, summed, place) if sums.loads else place),
            threshold.addr.eq(Mux(sums.reset, access.address, (ramp << spec.tick_bits) + tick)),
            write.addr.eq(access.address),
            write.data.eq(access.value),
            write.en.eq(access.write),
            access.data.eq(threshold.data),
        ]
        m.d.sync += [compare_bank.eq(bank), compare_valid.eq(0)]

        first, second = self.conversions[0].latched, self.conversions[-1].latched
        over = bank == sums.by_conversion(first[-1], second[-1])
        if sums.twice and len(second) == 1:
            over = (bank == first[-1]) | array.state
        issuing = Signal()
        with m.If(array.ramp_reset):
            m.d.sync += tick.eq(0)
        with m.Elif(array.tick):
            m.d.sync += [issuing.eq(1), bank.eq(sums.by_conversion(first[0], second[0])), group.eq(0)]
        with m.If(issuing):
            m.d.sync += [compare_valid.eq(1), group.eq(group + 1)]
            with m.If(group == self.groups - 1):
                m.d.sync += [group.eq(0), bank.eq(bank + 1)]
                with m.If(over):
                    m.d.sync += [issuing.eq(0), tick.eq(tick + 1)]
        m.d.comb += comparing.eq(issuing | compare_valid)

        above = Cat(read.data[lane] > threshold.data for lane in range(self.lanes))
        for k, gate in enumerate(spec.gate_names):
            comparators = Signal(self.groups * self.lanes, name=f"comparators_{gate}")
            with m.If(compare_valid & (compare_bank == k)):
                m.d.sync += comparators.eq(Cat(comparators[self.lanes :], above))
            m.d.comb += array.comparators[spec.bank(gate)].eq(comparators)
