# SPDX-License-Identifier: Apache-2.0
"""The pacer: holds and ticks last exactly as long as the settings and the array ask for; all other wires pass."""

from amaranth import Fragment, Module, Mux, Signal
from amaranth.lib.wiring import In
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.common.boundary import ArraySignature
from crossramp.rtl.emulation.pacing import Pacer

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import Proof, signal_inside
from ..engine.solver import Mode


class PacerProof(Proof):
    """The pacer between a periphery and an array.

    Environment: ``hold`` is low on the first clock, and a tick comes only within a hold (the boundary's rules say
    both). The settings are constant. The array's ``ready``, and everything else, is free.

    Claims, for any trace:

    - The periphery sees ``ready`` exactly if the array is ready and the hold, or the tick that began last, has lasted
      as many clocks as its setting says, the present one included. Outside a hold it sees the array's ``ready``.
    - All other wires pass within the clock.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        dut = Pacer(self.spec)
        m.submodules.dut = fragment = Fragment.get(dut, None)
        periphery, array = dut.periphery, dut.array
        for name, member in ArraySignature(self.spec).members.items():
            here, there = getattr(periphery, name), getattr(array, name)
            if len(here) == 0:
                continue
            inward = member.flow == In
            m.d.comb += (there if inward else here).eq(self.free(m, len(here), name))
            if name != "ready":
                self.claim(m, here == there, f"{name} passes")
        hold, tick = periphery.hold, periphery.tick
        m.d.comb += [
            dut.hold_clocks.eq(self.constant(m, 16, "hold_clocks")),
            dut.tick_clocks.eq(self.constant(m, 16, "tick_clocks")),
        ]
        began, was_hold, ticking = Signal(), Signal(), Signal()
        m.d.sync += [began.eq(1), was_hold.eq(hold), ticking.eq(hold & (ticking | tick))]
        self.assume(m, began | ~hold)
        self.assume(m, ~tick | hold)

        limit = named(m, "limit", Mux(ticking | tick, dut.tick_clocks, dut.hold_clocks))
        before, present = Signal(17), Signal(17)  # clocks of this hold or tick
        m.d.comb += present.eq(Mux(tick | ~was_hold, 1, before + ~before[-1]))
        m.d.sync += before.eq(present)
        with m.If(hold):
            self.claim(m, periphery.ready == (array.ready & (present >= limit)), "ready as the settings ask for")
        with m.Else():
            self.claim(m, periphery.ready == array.ready, "ready passes outside a hold")

        left = signal_inside(fragment, "left")
        with m.If(was_hold):
            setting = Mux(ticking, dut.tick_clocks, dut.hold_clocks)
            self.invariant(m, left == Mux(before < setting, setting - before, 0)[:16], "clocks left")
            self.invariant(m, before != 0, "a hold that has begun")
        with m.Elif(began):
            self.invariant(m, (left == dut.hold_clocks) & ~ticking, "before a hold")
        self.cover(m, hold & ticking & periphery.ready & (present == 4) & (limit == 4), "a tick of four clocks")
        self.cover(m, hold & ~ticking & ~tick & periphery.ready & (present == 3) & (limit == 3), "a hold of three")


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the pacer at the sizes of ``spec``."""
    return [
        Entry(
            "pacer",
            "holds and ticks last as long as the settings and the array ask for; all other wires pass",
            lambda: PacerProof(spec),
            Mode.PROVE,
            1,
        )
    ]
