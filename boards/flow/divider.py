# SPDX-License-Identifier: Apache-2.0
"""A slower clock for an array that needs longer windows than an FPGA."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue


class ClockDivider(wiring.Component):
    """Divides the clock of its domain; ``clock`` comes from a flip-flop, so it has no glitches.

    Of every ``divide`` clocks, ``clock`` is low for the first half, high for the second; of an odd number the first is
    longer.

    Parameters
    ----------
    divide : int
        2 or more.

    Raises
    ------
    InvalidValue
        For less than 2.
    """

    def __init__(self, divide: int):
        divide = integer("divide", divide)
        if divide < 2:
            raise InvalidValue(f"divide is {divide}: a divided clock is at least half as fast; allowed: 2 and up")
        self.divide = divide
        super().__init__({"clock": Out(1)})

    def elaborate(self, platform):
        m = Module()
        left = Signal(range(self.divide), init=self.divide - 1)
        m.d.sync += [left.eq(left - 1), self.clock.eq(left < self.divide // 2)]
        with m.If(left == 0):
            m.d.sync += left.eq(self.divide - 1)
        return m
