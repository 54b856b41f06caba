# SPDX-License-Identifier: Apache-2.0
"""Pulse-width modulation: registers of pulse codes, and the pulses they make."""

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer


def sign_magnitude(code: Value) -> data.View:
    """A two's complement pulse code as sign and magnitude; the code without a positive counterpart loses one unit.

    Negating costs an adder once a lane here instead of once a row in the driver.
    """
    bits = len(code) - 1
    lowest = ~code[:-1].any() & code[-1]
    magnitude = Mux(lowest, (1 << bits) - 1, Mux(code[-1], -code, code)[:bits])
    return Cat(magnitude, code[-1])


class PulseBank(wiring.Component):
    """Pulse codes of ``lines`` input lines in a shift register, ``lanes`` a clock, stored as sign and magnitude.

    Written lowest line first: after ceil(lines / lanes) clocks with ``shift``, the code that came first in lane 0
    stands at line 0. Lanes beyond the last line are dropped.

    Latency: ``magnitude`` and ``negative`` follow ``shift`` by one clock.
    Cost: ``bits`` flip-flops a line (up to lanes - 1 lines more where lanes do not divide lines). No reset: read only
    after it was written.

    Parameters
    ----------
    lines, bits, lanes : int
        Input lines, width of a pulse code with its sign, codes per clock.
    """

    def __init__(self, lines: int, bits: int, lanes: int = 1):
        lines, bits, lanes = integer("lines", lines), integer("bits", bits), integer("lanes", lanes)
        self.lines = lines
        self.bits = bits
        self.lanes = lanes
        super().__init__(
            {
                "shift": In(1),
                "codes": In(data.ArrayLayout(signed(bits), lanes)),  # two's complement
                "negative": Out(lines),
                "magnitude": Out(data.ArrayLayout(lines, bits - 1)),  # bit-planes, lowest bit first
            }
        )

    def elaborate(self, platform):
        m = Module()

        width = -(-self.lines // self.lanes) * self.lanes
        planes = [Signal(width, name=f"plane_{bit}", reset_less=True) for bit in range(self.bits)]
        entering = [Signal(self.bits, name=f"entering_{lane}") for lane in range(self.lanes)]
        m.d.comb += [code.eq(sign_magnitude(self.codes[lane])) for lane, code in enumerate(entering)]
        with m.If(self.shift):
            for bit, plane in enumerate(planes):
                m.d.sync += plane.eq(Cat(plane[self.lanes :], *(code[bit] for code in entering)))

        m.d.comb += self.negative.eq(planes[-1])
        m.d.comb += [self.magnitude[bit].eq(plane) for bit, plane in enumerate(planes[:-1])]
        return m


class PulseDriver(wiring.Component):
    """Turns pulse codes into pulses: line k is driven for as many clocks as its magnitude.

    ``count`` runs 0, 1, 2, ... while ``drive`` is high, and the pulse outputs follow by one clock: all rise with the
    clock after count 0 and fall by themselves, the longest after ``2**(bits - 1) - 1`` clocks.

    Latency: one clock.
    Cost a line: two flip-flops (a positive and a negative pulse, free of glitches) and the comparison of its magnitude
    with the count.

    Parameters
    ----------
    lines, bits : int
        Input lines, width of a pulse code with its sign.
    """

    def __init__(self, lines: int, bits: int):
        lines, bits = integer("lines", lines), integer("bits", bits)
        self.lines = lines
        self.bits = bits
        super().__init__(
            {
                "drive": In(1),
                "count": In(bits - 1),
                "negative": In(lines),
                "magnitude": In(data.ArrayLayout(lines, bits - 1)),
                "pos": Out(lines),
                "neg": Out(lines),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # magnitude > count for all lines at once, from the lowest bit up: a higher bit decides where it differs.
        above = Signal(self.lines)
        expression = Signal(self.lines, name="above_none")
        for bit in range(self.bits - 1):
            so_far = Signal(self.lines, name=f"above_{bit}")
            plane = self.magnitude[bit]
            m.d.comb += so_far.eq(Mux(self.count[bit], plane & expression, plane | expression))
            expression = so_far
        m.d.comb += above.eq(Mux(self.drive, expression, 0))

        m.d.sync += [self.pos.eq(above & ~self.negative), self.neg.eq(above & self.negative)]
        return m
