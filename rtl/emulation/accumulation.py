# SPDX-License-Identifier: Apache-2.0
"""The sums of the emulated columns: in each hold, measured pulses times weights, group of columns after group."""

from amaranth import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory, ReadPort
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED
from .emulated_conversion import EmulatedConversion
from .recorder import PulseRecorder


class Accumulation:
    """Builds, inside the module of :class:`.emulator.CrossbarEmulator`, what fills its memory of sums.

    Each hold measures the pulses of the rows, then those of the lines, one after the other. Then the weights of each
    group of columns pass by, a row and a line cell a clock. Columns that hold charge go on from the sum that an earlier
    window has left, unless their reset wire has been high since.

    Parameters
    ----------
    m : Module
    spec : Specification
    array : ArraySignature interface
    conversions : tuple of EmulatedConversion
    lanes, groups : int
        Columns of a group, groups of a bank.
    done : Signal
        Set once the sums are complete; its owner clears it.
    """

    def __init__(self, m: Module, spec: Specification, array, conversions, *, lanes: int, groups: int, done: Signal):
        self.m, self.spec, self.array, self.done = m, spec, array, done
        self.conversions: tuple[EmulatedConversion, ...] = conversions
        self.lanes, self.groups = lanes, groups
        self.twice = len(conversions) == 2
        self.loads = any(conversion.loads for conversion in conversions)
        self.in_general = [c for c in conversions if not c.is_direct]
        self.lines_in_general = any(c.has_lines for c in self.in_general)
        self.reset = array.reset[0]

    # ---- which conversion it is -------------------------------------------------------------------------------------

    def during(self, numbers: list[int]) -> Value:
        """High in the windows, holds and ramps of the conversions with these numbers."""
        if len(numbers) == len(self.conversions):
            return Const(1)
        return self.array.state if numbers == [1] else ~self.array.state

    def by_conversion(self, first, second):
        """One of two values; the same value for both takes no multiplexer."""
        return Mux(self.array.state, second, first) if self.twice and first != second else first

    def _go(self, state_of):
        """The next state, by conversion; ``state_of(conversion)`` is its name, or None where it cannot come."""
        m, names = self.m, [state_of(conversion) for conversion in self.conversions]
        known = [name for name in names if name is not None]
        m.next = known[0]
        if len(set(known)) > 1:
            with m.If(self.array.state):
                m.next = known[1]

    @staticmethod
    def _measures(conversion: EmulatedConversion) -> str:
        if conversion.has_rows:
            return "measure"
        return "state" if conversion.is_direct else "lines"

    def _begins(self, conversion: EmulatedConversion) -> str | None:
        """The first state of a group."""
        if conversion.is_direct:
            return None
        if conversion.loads:
            return "fetch"
        return "multiply" if conversion.has_rows else "line"

    # ---- hardware ---------------------------------------------------------------------------------------------------

    def build(self, write, sums: ReadPort, weights, levels) -> Signal:
        """Everything; returns the group whose earlier sum ``sums`` has to show one clock later.

        Parameters
        ----------
        write, sums : ports of the memory of sums
        weights : callable
            From the Signal of a word's number to that word, one clock later.
        levels : callable
            The same for words of trained line cells.
        """
        m, spec, lanes = self.m, self.spec, self.lanes
        rows, states = self._recorders()
        m.submodules.codes = codes = Memory(shape=signed(spec.input_bits), depth=spec.rows, init=[], attrs=UNCHECKED)
        code_write = codes.write_port()
        code_read = codes.read_port()

        word = Signal(range(len(spec.gate_names) * self.groups * spec.rows + 1))
        row = Signal(range(spec.rows))
        group = Signal(range(len(spec.gate_names) * self.groups))
        lane = Signal(range(lanes))
        operands = Signal()  # a weight and a code are there
        total = Signal(data.ArrayLayout(signed(spec.mac_bits), lanes))
        self.group, self.total, self.lane = group, total, lane
        weight = weights(word)
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
        line = _LineProducts(self, levels) if self.lines_in_general else None
        goes_on = self._goes_on() if self.loads else None

        stored = Signal()  # the states of a group are in `total`
        starts = [conversion.banks.start * self.groups for conversion in self.conversions]
        first_word = starts[-1] * spec.rows if self.conversions[-1].has_rows else 0
        with m.FSM():
            with m.State("wait"):
                m.d.sync += [
                    word.eq(self.by_conversion(0, first_word)),
                    row.eq(0),
                    group.eq(self.by_conversion(0, starts[-1])),
                    lane.eq(0),
                    total.eq(0),
                ]
                with m.If(self.array.ramp_reset & ~self.done):
                    self._go(self._measures)
            with m.State("measure"):
                m.d.comb += [rows.count.eq(1), code_write.en.eq(rows.valid)]
                with m.If(rows.valid):
                    m.d.sync += row.eq(row + 1)
                    with m.If(rows.last):
                        m.d.sync += row.eq(0)
                        self._go(lambda c: ("lines" if c.has_lines else self._begins(c)) if c.has_rows else None)
            if line:
                with m.State("lines"):
                    with m.If(line.measure(states, stored)):
                        self._go(lambda c: self._begins(c) if c.has_lines else None)
            if self.loads:
                with m.State("fetch"):
                    m.next = "load"
                with m.State("load"):
                    m.d.sync += [total[k].eq(Mux(goes_on, sums.data[k], 0)) for k in range(lanes)]
                    self._go(lambda c: None if c.is_direct else "multiply" if c.has_rows else "line")
            with m.State("multiply"):
                m.d.sync += [word.eq(word + 1), row.eq(row + 1), operands.eq(1)]
                with m.If(row == spec.rows - 1):
                    m.d.sync += row.eq(0)
                    m.next = "drain"
            with m.State("drain"):
                self._go(lambda c: ("line" if c.has_lines else "store") if c.has_rows else None)
            if line:
                with m.State("line"):
                    with m.If(line.multiply()):
                        m.next = "line_drain"
                with m.State("line_drain"):
                    m.next = "store"
            with m.State("store"):
                m.d.comb += write.en.eq(1)
                m.d.sync += [group.eq(group + 1), total.eq(0)]
                if line:
                    line.following_group()
                self._go(self._begins)
                last = [c.banks.stop * self.groups - 1 for c in self.in_general]
                with m.If(group == self.by_conversion(last[0], last[-1])):
                    m.d.sync += self.done.eq(1)
                    m.next = "finished"
            if any(conversion.is_direct for conversion in self.conversions):
                with m.State("state"):
                    self._measure_directly(states, write, stored, starts[-1] + self.groups - 1)
            with m.State("finished"):
                with m.If(self.reset):
                    m.next = "wait"
        return group

    def _recorders(self) -> tuple[PulseRecorder, PulseRecorder | None]:
        """The recorders of rows and of lines; the latter None in a cell without lines."""
        m, spec, array = self.m, self.spec, self.array
        m.submodules.rows = rows = PulseRecorder(spec.rows, spec.input_bits, **self._stops("has_rows", spec.input_max))
        recorders = [(rows, "has_rows", array.row_pos, array.row_neg)]
        states = None
        if spec.state_lines:
            stops = self._stops("has_lines", spec.state_pulse_max)
            m.submodules.states = states = PulseRecorder(spec.state_lines, spec.state_pulse_bits, **stops)
            recorders.append((states, "has_lines", array.state_pos, array.state_neg))
        for recorder, driven, pos, neg in recorders:
            window = self.during([c.number for c in self.conversions if getattr(c, driven)])
            m.d.comb += [
                recorder.clear.eq(self.reset),
                recorder.record.eq(array.integrate & window),
                recorder.pos.eq(pos),
                recorder.neg.eq(neg),
            ]
        return rows, states

    def _stops(self, driven: str, longest: int) -> dict[str, bool]:
        """Whether a window lasts longer than the longest pulse of what it drives."""
        windows = [self.spec.windows[c.number] for c in self.conversions if getattr(c, driven)]
        return {"stops": max(windows) > longest}

    def _goes_on(self) -> Value:
        """Whether the columns of the group still hold what an earlier window has brought."""
        m, held = self.m, self.array.reset[1]
        emptied = Signal(init=1)
        with m.If(held):
            m.d.sync += emptied.eq(1)
        with m.Elif(self.done):
            m.d.sync += emptied.eq(0)
        of_group = [self.is_bank(gate) for gate in self.spec.layout.held]
        return ~emptied & any_of(of_group)

    def is_bank(self, gate: str) -> Value:
        """Whether the group is one of a bank."""
        number = self.spec.gate_names.index(gate)
        first, end = number * self.groups, (number + 1) * self.groups
        found = Const(1)  # a comparison that is always true is left out: lint finds it
        if number > 0:
            found = found & (self.group >= first)
        if number < len(self.spec.gate_names) - 1:
            found = found & (self.group < end)
        return found

    def _measure_directly(self, states: PulseRecorder, write, stored: Signal, last: int):
        """A measured pulse, times the constant cell, is what its column holds."""
        m, group, lane, total = self.m, self.group, self.lane, self.total
        m.d.comb += [states.count.eq(1), write.en.eq(stored)]
        m.d.sync += stored.eq(0)
        with m.If(stored):
            m.d.sync += group.eq(group + 1)
            with m.If(group == last):
                m.d.sync += self.done.eq(1)
                m.next = "finished"
        with m.If(states.valid):
            m.d.sync += [total[lane].eq(states.value * self.spec.state_cell), lane.eq(lane + 1)]
            with m.If((lane == self.lanes - 1) | states.last):
                m.d.sync += [lane.eq(0), stored.eq(1)]


class _LineProducts:
    """Measured pulses of all lines, in a memory of a word for each line and group, and their products."""

    def __init__(self, owner: Accumulation, levels):
        self.owner = owner
        m, spec, lanes, groups = owner.m, owner.spec, owner.lanes, owner.groups
        pulses = data.ArrayLayout(signed(spec.state_pulse_bits), lanes)
        self.words = len(spec.layout.lines) * groups
        m.submodules.line_codes = memory = Memory(shape=pulses, depth=self.words, init=[], attrs=UNCHECKED)
        self.write = memory.write_port()
        self.read = memory.read_port()
        self.line_word = Signal(range(self.words))  # that is measured
        self.unit = Signal(range(spec.units))
        self.inner = Signal(range(groups))  # the group's number in its bank
        self.cell = Signal(range(len(spec.line_cells)))  # whose operands are fetched
        fetched = Signal.like(self.cell)
        operands = Signal()
        self.operands = operands
        m.d.comb += [self.write.addr.eq(self.line_word)]
        m.d.comb += [self.write.data[k].eq(owner.total[k]) for k in range(lanes)]
        m.d.sync += [operands.eq(0), fetched.eq(self.cell)]

        word = Signal(range(spec.trained_lines * groups + 1), name="level_word")
        trained = levels(word) if spec.trained_lines else None
        with m.Switch(self.cell):
            for number, cell in enumerate(spec.line_cells):
                with m.Case(number):
                    line = spec.layout.lines.index(cell.line)
                    m.d.comb += self.read.addr.eq(line * groups + self.inner)
                    if cell.trained:
                        place = spec.layout.trained_line_cells.index(cell)
                        m.d.comb += word.eq(place * groups + self.inner)
        level = Signal(data.ArrayLayout(signed(spec.weight_bits), lanes), name="level")
        with m.Switch(fetched):
            for number, cell in enumerate(spec.line_cells):
                with m.Case(number), m.If(owner.is_bank(cell.bank)):
                    m.d.comb += [
                        level[k].eq(trained[k] if cell.trained else Const(spec.state_cell, signed(spec.weight_bits)))
                        for k in range(lanes)
                    ]
        with m.If(operands):
            total = owner.total
            m.d.sync += [total[k].eq(total[k] + level[k] * self.read.data[k]) for k in range(lanes)]

    def measure(self, states: PulseRecorder, stored: Signal) -> Value:
        """The pulses of all lines; returns whether the last ones are being stored."""
        owner, m, unit, lane = self.owner, self.owner.m, self.unit, self.owner.lane
        m.d.comb += [states.count.eq(1), self.write.en.eq(stored)]
        m.d.sync += stored.eq(0)
        over = stored & (self.line_word == self.words - 1)
        with m.If(stored):
            m.d.sync += self.line_word.eq(Mux(over, 0, self.line_word + 1))
        with m.If(states.valid):
            m.d.sync += [owner.total[lane].eq(states.value), lane.eq(lane + 1), unit.eq(unit + 1)]
            with m.If(unit == owner.spec.units - 1):
                m.d.sync += unit.eq(0)
            with m.If((lane == owner.lanes - 1) | (unit == owner.spec.units - 1)):
                m.d.sync += [lane.eq(0), stored.eq(1)]
        with m.If(over):
            m.d.sync += owner.total.eq(0)
        return over

    def multiply(self) -> Value:
        """A line cell a clock; returns whether it is the last one."""
        m, last = self.owner.m, self.cell == len(self.owner.spec.line_cells) - 1
        m.d.sync += [self.operands.eq(1), self.cell.eq(Mux(last, 0, self.cell + 1))]
        return last

    def following_group(self):
        """Counts groups within their bank."""
        self.owner.m.d.sync += self.inner.eq(Mux(self.inner == self.owner.groups - 1, 0, self.inner + 1))


def any_of(conditions: list[Value]) -> Value:
    """Whether one of them is high."""
    found = conditions[0]
    for condition in conditions[1:]:
        found = found | condition
    return found
