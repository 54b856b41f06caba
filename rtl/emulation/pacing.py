# SPDX-License-Identifier: Apache-2.0
"""Slower holds and ticks, set at run time, for an array that needs more time than one clock."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.spec.specification import Specification

from ..common.boundary import ArraySignature


class Pacer(wiring.Component):
    """Stands between the periphery and its array, and holds ``ready`` low until enough clocks have gone by.

    A hold lasts at least ``hold_clocks``, a tick at least ``tick_clocks``; 0 and 1 change nothing. All other wires pass
    straight through, in the same clock.

    Cost: a counter of 16 bits.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        super().__init__(
            {
                "periphery": In(ArraySignature(spec)),
                "array": Out(ArraySignature(spec)),
                "hold_clocks": In(16),
                "tick_clocks": In(16),
            }
        )

    def elaborate(self, platform):
        m = Module()
        periphery, array = self.periphery, self.array
        wiring.connect(m, wiring.flipped(periphery), wiring.flipped(array))

        left = Signal(16)  # clocks of this hold or tick, with the present one
        now = Signal(16)
        m.d.comb += now.eq(left)
        with m.If(periphery.tick):
            m.d.comb += now.eq(self.tick_clocks)
        with m.If(periphery.hold):
            m.d.sync += left.eq(now - 1)
            with m.If(now[1:] == 0):
                m.d.sync += left.eq(0)
            with m.Else():
                m.d.comb += periphery.ready.eq(0)
        with m.Else():
            m.d.sync += left.eq(self.hold_clocks)
        return m
