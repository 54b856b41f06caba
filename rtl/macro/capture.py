# SPDX-License-Identifier: Apache-2.0
"""Comparator latching and readout: from trip times to codes, with n flip-flops per column."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue

from ..common.arith import gray_to_binary

SEGMENT = 64
"""Columns whose flip-flops share a signal."""


class CaptureBank(wiring.Component):
    """Latches the codes of one bank of columns, and shifts them out ``lanes`` columns at a time.

    **Conversion.** On every clock with ``enable`` high, each column whose comparator is high stores the Gray-coded tick
    count. With the ramp above a column's MAC its comparator is low, and the count it holds is its code
    (:meth:`~.ramps.Ramp.convert`; for any comparator trace at all, :func:`~.ramps.latch`).

    **Readout.** ``codes`` shows columns 0 to lanes - 1, in binary. Each clock with ``shift`` high moves the bank down
    by ``lanes`` columns. Zeros follow from behind, so ceil(columns / lanes) shifts also clear the bank for its next
    ramp: that is its reset.

    Latency: ``codes`` is valid from the clock after the last tick.
    Cost per column: ``bits`` flip-flops and ``bits`` + 1 LUTs, of which ``bits`` share the flip-flops' cells: bits + 1
    cells. ``first_trip`` adds one of each. The Gray decoder costs bits - 1 XORs per lane.

    What goes wrong, and what then happens: a comparator that falls close to the clock edge may be seen by some of the
    column's flip-flops and not by others; consecutive counts differ in one bit, so the code is the one before or after.
    One that is marginal on two ticks in a row may leave a mixture of three counts: the macro registers comparators
    first where the specification says so (``comparator_registers``).
    One that rises again close to an edge may leave a mixture of its old count and the present one (``last_high``).
    A comparator stuck low reads 0, one stuck high reads full scale. One that rises again within a ramp overwrites its
    code with the later count (``last_high``) or is ignored (``first_trip``).

    Parameters
    ----------
    columns : int
        Columns in the bank, 1 or more.
    bits : int
        Resolution of the ramp, 2 to 9.
    lanes : int
        Columns read at a time, 1 to ``columns``.
    latch : str
        ``"last_high"`` or ``"first_trip"``.

    Raises
    ------
    InvalidValue
        For a parameter out of range.
    """

    def __init__(self, columns: int, bits: int, *, lanes: int = 1, latch: str = "last_high"):
        columns, bits, lanes = integer("columns", columns), integer("bits", bits), integer("lanes", lanes)
        if columns < 1:
            raise InvalidValue(f"columns is {columns}: a bank has at least 1")
        if not 2 <= bits <= 9:
            raise InvalidValue(f"bits is {bits}: a ramp has 2 to 9")
        if not 1 <= lanes <= columns:
            raise InvalidValue(f"lanes is {lanes}: expected 1 to {columns}")
        if latch not in ("last_high", "first_trip"):
            raise InvalidValue(f"latch is {latch!r}: expected 'last_high' or 'first_trip'")
        self.columns = columns
        self.bits = bits
        self.lanes = lanes
        self.latch = latch
        super().__init__(
            {
                "comparators": In(columns),  # one per column, high while its MAC is above the ramp; asynchronous
                "arm": In(1),  # a ramp follows; before its first tick, not together with ``enable``
                "enable": In(1),  # latch on this clock; never together with ``shift``
                "count": In(bits),  # what the tick counts, Gray-coded, such as 1 on the first
                "shift": In(1),  # move down by ``lanes`` columns
                "codes": Out(data.ArrayLayout(bits, lanes)),  # the lowest columns that the bank holds now, binary
            }
        )

    def elaborate(self, platform):
        m = Module()

        every = self.columns
        high = self.comparators
        if self.latch == "first_trip":
            armed = Signal(self.columns, reset_less=True)
            # One function of four bits a column, so that it fits the flip-flop's own cell.
            m.d.sync += armed.eq(self.arm.replicate(every) | (armed & (high | ~self.enable.replicate(every))))
            high = high & armed
        store = Signal(self.columns)
        m.d.comb += store.eq((high & self.enable.replicate(every)) | self.shift.replicate(every))

        held = self._codes(m, store)
        for lane in range(self.lanes):
            segment, place = divmod(lane, SEGMENT)
            gray = held[segment][place * self.bits : (place + 1) * self.bits]
            m.d.comb += self.codes[lane].eq(Cat(*gray_to_binary(gray)))

        return m

    def _codes(self, m: Module, store: Signal) -> list[Signal]:
        """Every column's count, column 0 lowest. In segments: taking bits of a wide concatenation costs its width.

        A mux per column, so that synthesis finds clock enables.
        """
        bits, starts = self.bits, range(0, self.columns, SEGMENT)
        codes = [Signal(min(SEGMENT, self.columns - k) * bits, name=f"codes_{k}", reset_less=True) for k in starts]
        after = Cat(Cat(codes)[self.lanes * bits :], Const(0, self.lanes * bits))
        for k, held in zip(starts, codes, strict=True):
            columns = len(held) // bits
            entering = Signal(len(held), name=f"entering_{k}")
            latching = Signal(columns, name=f"store_{k}")
            m.d.comb += [
                entering.eq(Mux(self.shift, after[k * bits : k * bits + len(held)], self.count.replicate(columns))),
                latching.eq(store[k : k + columns]),
            ]
            words = [slice(j * bits, (j + 1) * bits) for j in range(columns)]
            m.d.sync += held.eq(Cat(Mux(latching[j], entering[word], held[word]) for j, word in enumerate(words)))
        return codes
