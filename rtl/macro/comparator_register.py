# SPDX-License-Identifier: Apache-2.0
"""A flip-flop between each comparator and the latches of its column, so that all of them see the same value."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer


class ComparatorRegister(wiring.Component):
    """Samples comparators, and delays what their latches need with them.

    A comparator that changes at the clock edge is high for some of the flip-flops behind it and low for others. Behind
    one flip-flop it is either: the code of a column is that of a trace in which every marginal tick counted as high or
    as low, however many there are (:class:`.capture.CaptureBank` alone guarantees that for one of them).

    Latency: one clock, of everything.
    Cost: a flip-flop a column, and ``bits`` + 1 more.

    Parameters
    ----------
    columns, bits : int
        Columns of all banks, and bits of the ramps' counts.
    """

    def __init__(self, columns: int, bits: int):
        columns, bits = integer("columns", columns, 1), integer("bits", bits, 2)
        super().__init__(
            {
                "comparators": In(columns),  # asynchronous
                "latch": In(1),  # the latches are to take them on this clock
                "count": In(bits),  # number of the tick, Gray-coded; of each ramp that counts differently
                "sampled": Out(columns),
                "latch_sampled": Out(1),
                "count_sampled": Out(bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [
            self.sampled.eq(self.comparators),
            self.latch_sampled.eq(self.latch),
            self.count_sampled.eq(self.count),
        ]
        return m
