# SPDX-License-Identifier: Apache-2.0
"""Memories as registers: rows that a proof can name, and reads that mean nothing if their row is written."""

from amaranth import Array, Const, Module, Mux, Shape, Signal, Value
from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import ShapeCastable
from amaranth.lib.memory import Memory

from .proof import ProofError


class RegisterMemories:
    """A platform on which every memory is made of registers, for ``Fragment.get(component, RegisterMemories())``.

    A memory of a solver has no rows that an invariant could name; these have, and are found as ``"memory.row_3"``
    (:func:`~.proof.signal_inside`). They are also as unhelpful as a memory may be:

    - Before its first read, a port shows any value.
    - A port that reads a row on the clock on which it is written shows any value afterwards, unless the port is
      transparent for that write.

    Rows begin with the memory's initial values.
    """

    def get_memory(self, memory: Memory) -> Module:
        """The registers, and the logic of the ports of ``memory``; Amaranth calls it.

        Raises
        ------
        ProofError
            For a port without a clock, of another clock than ``sync``, or one that writes parts of a row.
        """
        m = Module()
        shape, width = memory.shape, Shape.cast(memory.shape).width
        initial = (shape.const(value) if isinstance(shape, ShapeCastable) else value for value in memory.init)
        rows = [
            Signal(width, name=f"row_{k}", init=Const.cast(value).value & ((1 << width) - 1), reset_less=True)
            for k, value in enumerate(initial)
        ]
        for port in (*memory.write_ports, *memory.read_ports):
            if port.domain != "sync" or (port in memory.write_ports and len(port.en) != 1):
                raise ProofError(f"a port of the memory of {len(rows)} rows of {width} bits is of a kind not handled")
        for number, port in enumerate(memory.read_ports):
            held = Signal(width, name=f"read_{number}", reset_less=True)
            was_read = Signal(name=f"was_read_{number}", reset_less=True)
            word = Signal(width, name=f"word_{number}")
            m.d.comb += word.eq(Array(rows)[port.addr])
            for write in memory.write_ports:
                with m.If(write.en & (write.addr == port.addr)):
                    m.d.comb += word.eq(Value.cast(write.data) if write in port.transparent_for else AnySeq(width))
            with m.If(port.en):
                m.d.sync += [held.eq(word), was_read.eq(1)]
            m.d.comb += Value.cast(port.data).eq(Mux(was_read, held, AnyConst(width)))
        for write in memory.write_ports:
            for k, row in enumerate(rows):
                with m.If(write.en & (write.addr == k)):
                    m.d.sync += row.eq(Value.cast(write.data))
        return m
