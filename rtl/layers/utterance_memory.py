# SPDX-License-Identifier: Apache-2.0
"""The memory of an utterance: written step by step, then read in the order of the steps, or from the last one back."""

from collections.abc import Sequence

from amaranth import Array, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.errors import InvalidValue

from ..common.access import UNCHECKED
from ..macro.loader import x_layout


class UtteranceMemory(wiring.Component):
    """Takes the codes of a whole utterance, then gives them to one or two readers, each in its own order of steps.

    Before a layer of two directions it holds x, or h of the layer below; behind one, h of both directions, of which the
    backward one's were made in the reverse order. While the readers are under way no further utterance is taken.

    An utterance of more than ``max_steps`` steps loses those beyond, and is read with one step too many (its last one
    twice), so that the head finds it too long.

    Latency: two clocks from the last code written to the first code read.
    Throughput: one code a clock at every port.
    Back-pressure: a writer waits from its last step's last code until all readers are through; a code that is not taken
    stays.
    Cost: max_steps x (codes of a step) x ``bits`` bits of memory with a read port for each reader; address counters.

    Parameters
    ----------
    parts : sequence of (int, bool)
        For each writer: codes of a step, and whether its steps come in the reverse order.
    readers : sequence of bool
        For each reader: whether it begins with the last step. Each gives the parts of a step one after the other.
    bits : int
        Of a code.
    max_steps : int

    Members
    -------
    write_0, write_1, ... : stream of x_layout
        Read of ``last``: with the last code of a step, that the step is the last one.
    read_0, read_1, ... : stream of x_layout
        ``last`` comes with every code of the last step.

    Raises
    ------
    InvalidValue
        Without a writer or a reader.
    """

    def __init__(self, parts: Sequence[tuple[int, bool]], readers: Sequence[bool], bits: int, max_steps: int):
        self.parts, self.readers, self.bits, self.max_steps = tuple(parts), tuple(readers), bits, max_steps
        if not self.parts or not self.readers:
            raise InvalidValue("a memory has at least one writer and one reader")
        codes = stream.Signature(x_layout(bits))
        super().__init__(
            {f"write_{k}": In(codes) for k in range(len(self.parts))}
            | {f"read_{k}": Out(codes) for k in range(len(self.readers))}
        )

    def elaborate(self, platform):
        m = Module()
        self.reading = reading = Signal()  # the utterance is complete
        self._over = Signal(len(self.readers))  # readers that are through
        written = Signal(len(self.parts))  # writers that are through
        steps = Signal(range(self.max_steps + 1))  # that are kept, of the first writer
        too_many = Signal()
        memories = []
        for number, (codes, _) in enumerate(self.parts):
            memory = Memory(shape=signed(self.bits), depth=self.max_steps * codes, init=[], attrs=UNCHECKED)
            m.submodules[f"memory_{number}"] = memory
            memories.append(memory)
            self._write(m, number, memory, reading | written[number], (written, steps, too_many))
        through = Signal()
        m.d.comb += through.eq(self._over.all())
        with m.If(~reading & written.all()):
            m.d.sync += reading.eq(1)
        with m.If(reading & through):
            m.d.sync += [reading.eq(0), written.eq(0), steps.eq(0), too_many.eq(0)]
        for number in range(len(self.readers)):
            self._read(m, number, memories, (reading & ~through, steps, too_many))
        return m

    def _write(self, m: Module, number: int, memory: Memory, closed, shared):
        """One writer: its codes follow each other in its memory."""
        written, steps, too_many = shared
        codes, _ = self.parts[number]
        source = getattr(self, f"write_{number}")
        port = memory.write_port()
        place = Signal(range(self.max_steps * codes + 1), name=f"place_{number}")
        full = Signal(name=f"full_{number}")
        code = Signal(range(codes), name=f"code_{number}")
        taken, end = Signal(name=f"taken_{number}"), Signal(name=f"end_{number}")
        m.d.comb += [
            source.ready.eq(~closed),
            taken.eq(source.valid & source.ready),
            end.eq(taken & (code == codes - 1)),
            full.eq(place == self.max_steps * codes),
            port.addr.eq(place),
            port.data.eq(source.payload.code),
            port.en.eq(taken & ~full),
        ]
        with m.If(taken):
            m.d.sync += code.eq(Mux(end, 0, code + 1))
        with m.If(taken & ~full):
            m.d.sync += place.eq(place + 1)
        with m.If(end & source.payload.last):
            m.d.sync += [written[number].eq(1), place.eq(0)]
        if number == 0:
            with m.If(end):
                m.d.sync += [steps.eq(Mux(full, steps, steps + 1)), too_many.eq(too_many | full)]

    def _read(self, m: Module, number: int, memories, shared):
        """One reader: for each step a place in every part, then its codes; the memory's register is its output's."""
        reading, steps, too_many = shared
        out, backward = getattr(self, f"read_{number}"), self.readers[number]
        active = Signal(name=f"active_{number}")
        left = Signal(range(self.max_steps + 2), name=f"left_{number}")  # steps after this one
        part = Signal(range(len(self.parts)), name=f"part_{number}")
        code = Signal(range(max(codes for codes, _ in self.parts)), name=f"read_code_{number}")
        valid, last = Signal(name=f"valid_{number}"), Signal(name=f"last_{number}")
        moves, issues = Signal(name=f"moves_{number}"), Signal(name=f"issues_{number}")
        shown = Signal.like(part, name=f"shown_{number}")
        final_code, final_part = Signal(name=f"final_code_{number}"), Signal(name=f"final_part_{number}")
        m.d.comb += [
            moves.eq(~valid | out.ready),
            issues.eq(active & moves),
            final_code.eq(code == Array(codes - 1 for codes, _ in self.parts)[part]),
            final_part.eq(final_code & (part == len(self.parts) - 1)),
            out.valid.eq(valid),
            out.payload.last.eq(last),
        ]
        begins = Signal(name=f"begins_{number}")
        m.d.comb += begins.eq(reading & ~active & ~self._over[number])
        datas = []
        for k, ((codes, reversed_order), memory) in enumerate(zip(self.parts, memories, strict=True)):
            port = memory.read_port()
            down = backward != reversed_order
            base = Signal(range(self.max_steps * codes), name=f"base_{number}_{k}")
            m.d.comb += [port.addr.eq(base + code), port.en.eq(moves)]
            datas.append(port.data)
            with m.If(begins):
                m.d.sync += base.eq((steps - 1) * codes if down else 0)
            with m.Elif(issues & final_part & (left > too_many)):
                m.d.sync += base.eq(base - codes if down else base + codes)
        m.d.comb += out.payload.code.eq(Array(datas)[shown])
        with m.If(begins):
            m.d.sync += [active.eq(1), left.eq(steps - 1 + too_many)]
        with m.If(issues):
            m.d.sync += [
                shown.eq(part),
                last.eq(left == 0),
                code.eq(Mux(final_code, 0, code + 1)),
                part.eq(Mux(final_part, 0, part + final_code)),
            ]
            with m.If(final_part):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    m.d.sync += [active.eq(0), self._over[number].eq(1)]
        with m.If(moves):
            m.d.sync += valid.eq(issues)
        with m.If(self._over.all()):
            m.d.sync += self._over[number].eq(0)
