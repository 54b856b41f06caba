# SPDX-License-Identifier: Apache-2.0
"""A UART: 8 data bits, no parity, one stop bit, least significant bit first."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue


def divisor(clock: int, baud: int) -> int:
    """Clocks of one bit, rounded.

    Parameters
    ----------
    clock : int
        Hz.
    baud : int
        Bits per second.

    Raises
    ------
    InvalidValue
        If a bit would have fewer than 4 clocks, or be more than 2 % off: ten bits in a row must not lose one.
    """
    clocks = round(clock / baud)
    if clocks < 4 or abs(clock / clocks / baud - 1) > 0.02:
        raise InvalidValue(
            f"{baud} baud cannot be made from a clock of {clock} Hz: a bit has {clock / baud:.2f} clocks, and needs a "
            "whole number of them, 4 or more, within 2 %"
        )
    return clocks


class UartReceiver(wiring.Component):
    """Bytes from a line, each sampled in the middle of its bits.

    ``data`` is a byte on the one clock ``valid`` is high, half a bit after the beginning of its stop bit. A stop bit
    that is low makes ``fault`` high instead. A start bit shorter than half a bit is ignored.

    Cost: about 20 flip-flops.

    Parameters
    ----------
    clocks : int
        Of a bit, 4 or more.
    """

    def __init__(self, clocks: int):
        self.clocks = integer("clocks", clocks)
        super().__init__({"rx": In(1, init=1), "data": Out(8), "valid": Out(1), "fault": Out(1)})

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)

        active = Signal()
        timer = Signal(range(self.clocks))
        bit = Signal(range(10))
        m.d.sync += [self.valid.eq(0), self.fault.eq(0), timer.eq(timer - 1)]
        with m.If(~active):
            m.d.sync += [timer.eq((self.clocks - 1) // 2), bit.eq(0), active.eq(~rx)]
        with m.Elif(timer == 0):
            m.d.sync += [timer.eq(self.clocks - 1), bit.eq(bit + 1)]
            with m.If(bit == 9):
                m.d.sync += [active.eq(0), self.valid.eq(rx), self.fault.eq(~rx)]
            with m.Else():
                m.d.sync += self.data.eq(Cat(self.data[1:], rx))
            with m.If((bit == 0) & rx):
                m.d.sync += active.eq(0)
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a line. A byte takes 10 bits, and one clock more to be taken.

    Cost: about 20 flip-flops.

    Parameters
    ----------
    clocks : int
        Of a bit, 1 or more.
    """

    def __init__(self, clocks: int):
        self.clocks = integer("clocks", clocks)
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        shift = Signal(10, init=(1 << 10) - 1)
        left = Signal(range(11))  # bits
        timer = Signal(range(self.clocks))
        m.d.comb += [self.tx.eq(shift[0]), self.bytes.ready.eq(left == 0)]
        with m.If(left == 0):
            with m.If(self.bytes.valid):
                m.d.sync += [
                    shift.eq(Cat(Const(0, 1), self.bytes.payload, Const(1, 1))),
                    left.eq(10),
                    timer.eq(self.clocks - 1),
                ]
        with m.Elif(timer == 0):
            m.d.sync += [shift.eq(Cat(shift[1:], Const(1, 1))), left.eq(left - 1), timer.eq(self.clocks - 1)]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        return m
