# SPDX-License-Identifier: Apache-2.0
"""The macro uses its capture banks as :mod:`.capture_proof` assumes, with registered comparators as well."""

from amaranth import Module, Mux, Signal
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.ramp_counter import count_name, early_end
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.proof import implies
from ..macro.macro_proof import MacroProof


class LatchUseProof(MacroProof):
    """What the proof of capture relies on, for every bank of the macro.

    Environment: that of :class:`MacroProof`.

    Claims, for every bank:

    - It never latches and shifts on the same clock, and is not armed while it latches.
    - It latches exactly one tick for each tick of the ramp that concerns it, with the count of that tick.
    - With ``comparator_registers``, each comparator is sampled in one flip-flop, on every clock; the latches see that
      flip-flop alone, on the clock after, with the count of the tick that it was sampled on. Whatever a marginal tick
      is sampled as, all latches of a column agree, so that the first claim of :class:`.capture_proof.CaptureProof`
      holds for any number of marginal ticks.
    """

    def properties(self, m: Module) -> None:
        spec, array = self.spec, self.dut.array
        registered = bool(spec.comparator_registers)
        tick_latched = Signal()  # the array's comparators are taken on this clock
        m.d.comb += tick_latched.eq(self.in_phase(Phase.RAMP) & array.ready)
        names = [count_name(spec, gate) for gate in spec.gate_names]
        counts = {name: self.inside(f"ramp.{name}") for name in dict.fromkeys(names)}
        second, sampled, number = self.second, array.comparators, self.number
        taken, of_count, of_second, of_tick = tick_latched, counts, second, number
        if registered:
            taken, of_second, of_tick = Signal(), Signal(), Signal.like(number, name="was_number")
            of_count = {name: Signal.like(count, name=f"was_{name}") for name, count in counts.items()}
            was = Signal(spec.columns, name="was_comparators")
            m.d.sync += [was.eq(array.comparators), taken.eq(tick_latched), of_second.eq(second), of_tick.eq(number)]
            m.d.sync += [of_count[name].eq(count) for name, count in counts.items()]
            sampled = was
        for gate in spec.gate_names:
            bank = f"capture_{gate}"
            enable, shift, bank_count, comparators = (
                self.inside(f"{bank}.{name}") for name in ("enable", "shift", "count", "comparators")
            )
            latched = [gate in codes for codes in spec.conversions]  # by each conversion
            concerned = Mux(of_second, latched[-1], latched[0])
            if end := early_end(spec, gate):
                concerned = concerned & (of_tick <= end)
            self.claim(m, ~(enable & shift), f"bank {gate} never latches and shifts at once")
            if spec.latch == "first_trip":
                self.claim(m, ~(enable & self.inside(f"{bank}.arm")), f"bank {gate} is never armed while it latches")
            self.claim(
                m, enable == (taken & concerned), f"bank {gate} latches the ticks that concern it, and no others"
            )
            with m.If(enable):
                counted = of_count[count_name(spec, gate)][: len(bank_count)]
                self.claim(m, bank_count == counted, f"bank {gate} latches the count of its tick")
                self.claim(m, comparators == sampled[spec.bank(gate)], f"bank {gate} sees one value of each comparator")
            self.cover(m, enable, f"bank {gate} latches")
        if registered:
            self.invariant(m, implies(taken, self.in_phase(Phase.RAMP, Phase.UPDATE)), "what lands was taken in a ramp")
            self.invariant(
                m, implies(taken & self.in_phase(Phase.UPDATE), self.beat == 0), "codes land before the update"
            )
            self.invariant(m, implies(taken, of_second == second), "it lands in its own half of the step")


def proofs(spec: Specification, x_lanes: int = 1) -> list[Entry]:
    """The proof at the sizes of ``spec``."""
    return [
        Entry(
            "latches",
            "the macro latches each tick once, with its count, and never while it shifts",
            lambda: LatchUseProof(spec, x_lanes=x_lanes),
            depth=3,
        )
    ]
