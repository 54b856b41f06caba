# SPDX-License-Identifier: Apache-2.0
"""A recorder of pulses: a memory records all lines, and its readback measures how long each was driven."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer

from ..common.access import UNCHECKED


class PulseRecorder(wiring.Component):
    """Measures the signed lengths of pulses on ``lines`` lines: clocks driven positively less clocks driven negatively.

    After ``clear``, ``record`` is high for the window's ``2**(bits - 1) - 1`` clocks. Then, with ``count`` high,
    ``valid`` marks ``value`` of line 0, of line 1, and so on, ``last`` with the last one.

    Throughput: a line every ``2**(bits - 1) - 1`` clocks, the first one clock later.
    Cost: a memory of 2 x ``lines`` bits per word, one word for each clock of the window (so on an FPGA no flip-flops,
    where counting every line at once would take ``bits`` of them each), and two multiplexers of ``lines`` bits.

    Parameters
    ----------
    lines, bits : int
        Input lines, and the width of a length with its sign.
    stops : bool
        ``record`` may stay high for longer, and what lies beyond those clocks is not recorded. Without it, no hardware.
    """

    def __init__(self, lines: int, bits: int, *, stops: bool = False):
        lines, bits = integer("lines", lines), integer("bits", bits)
        self.lines = lines
        self.stops = stops
        self.window = (1 << (bits - 1)) - 1
        super().__init__(
            {
                "clear": In(1),
                "record": In(1),
                "pos": In(lines),
                "neg": In(lines),
                "count": In(1),
                "valid": Out(1),
                "value": Out(signed(bits)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=2 * self.lines, depth=self.window, init=[], attrs=UNCHECKED)
        write = memory.write_port()
        read = memory.read_port()

        clock = Signal(range(self.window))  # of the window
        line = Signal(range(self.lines))
        finished = Signal()
        counting = Signal()
        record = self.record
        if self.stops:
            recorded = Signal()
            record = self.record & ~recorded
            with m.If(self.clear):
                m.d.sync += recorded.eq(0)
            with m.Elif(record & (clock == self.window - 1)):
                m.d.sync += recorded.eq(1)
        m.d.comb += [
            write.addr.eq(clock),
            write.data[: self.lines].eq(self.pos),
            write.data[self.lines :].eq(self.neg),
            write.en.eq(record & ~finished),
            read.addr.eq(clock),
            counting.eq(self.count & ~finished),
        ]
        # The same counter goes through the window once to record it, then once for each line.
        with m.If(self.clear):
            m.d.sync += [clock.eq(0), line.eq(0), finished.eq(0)]
        with m.Elif(record | counting):
            m.d.sync += clock.eq(clock + 1)
            with m.If(clock == self.window - 1):
                m.d.sync += clock.eq(0)
                with m.If(counting):
                    m.d.sync += line.eq(line + 1)
                    with m.If(line == self.lines - 1):
                        m.d.sync += [line.eq(0), finished.eq(1)]

        # One clock later: the word is there.
        selected = Signal.like(line)
        seen = Signal()
        first = Signal()
        final = Signal()
        last = Signal()
        m.d.sync += [
            seen.eq(counting),
            first.eq(clock == 0),
            final.eq(clock == self.window - 1),
            last.eq(line == self.lines - 1),
            selected.eq(line),
        ]
        total = Signal.like(self.value)
        driven = read.data.bit_select(selected, 1) - read.data[self.lines :].bit_select(selected, 1)
        m.d.comb += [
            self.value.eq(Mux(first, 0, total) + driven),
            self.valid.eq(seen & final),
            self.last.eq(last),
        ]
        with m.If(seen):
            m.d.sync += total.eq(self.value)
        return m
