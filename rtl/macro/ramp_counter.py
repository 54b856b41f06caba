# SPDX-License-Identifier: Apache-2.0
"""The ramp counter: the number of the tick, in Gray code for the columns and one-hot for the ramp."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue

from ..common.arith import gray_to_binary


class RampCounter(wiring.Component):
    """Counts the ticks of a ramp, 1 to 2**bits - 1.

    Latency: the clock after ``start``, ``count`` and ``tap`` show tick 1; the clock after each ``step``, the next one.
    After the step that follows the last tick, ``tap`` is all zeros again.
    Cost: ``bits`` + 2**bits - 1 flip-flops.

    Consecutive counts differ in one bit, so a column that samples it while it changes stores one of both
    (docs/boundary.md).

    Parameters
    ----------
    bits : int
        Resolution of the ramp, 2 to 8.

    Raises
    ------
    InvalidValue
        For bits out of range.
    """

    def __init__(self, bits: int):
        bits = integer("bits", bits)
        if not 2 <= bits <= 8:
            raise InvalidValue(f"bits is {bits}: a ramp has 2 to 8")
        self.bits = bits
        super().__init__(
            {
                "start": In(1),  # tick 1 comes next
                "step": In(1),  # the next tick comes next
                "count": Out(bits),  # number of the tick, Gray-coded
                "tap": Out((1 << bits) - 1),  # one-hot: bit k - 1 on tick k
                "last": Out(1),  # this is tick 2**bits - 1
            }
        )

    def elaborate(self, platform):
        m = Module()

        binary = Signal(self.bits)
        following = Signal(self.bits)
        m.d.comb += [
            binary.eq(Cat(*gray_to_binary(self.count))),
            following.eq(Mux(self.start, 1, binary + 1)),
            self.last.eq(self.tap[-1]),
        ]
        with m.If(self.start | self.step):
            m.d.sync += [
                self.count.eq(following ^ (following >> 1)),
                self.tap.eq(Cat(self.start, self.tap[:-1])),
            ]

        return m
