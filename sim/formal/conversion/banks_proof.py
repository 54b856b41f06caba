# SPDX-License-Identifier: Apache-2.0
"""The capture banks: empty after a reset, and in front of every ramp that latches into them."""

from amaranth import Cat, Module, Value
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.capture import SEGMENT
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.proof import Reset, implies
from ..macro.macro_proof import MacroProof


class BanksProof(MacroProof):
    """Every ramp finds the banks that it latches into empty, so that a comparator that is never high gives code 0.

    Environment: that of :class:`MacroProof`. The flip-flops of the banks have no reset; the phase FLUSH shifts them
    empty. With ``Reset.ANY_TIME`` or ``Reset.FIRST`` they hold anything when a reset begins it.

    Claims:

    - Between steps all banks are empty, and so they are when FLUSH ends.
    - From the start of a conversion to its ramp, every bank is empty that no earlier conversion of the step latched, or
      that the update in between has read.
    """

    def properties(self, m: Module) -> None:
        spec = self.spec
        flush, ramp, update = (self.in_phase(phase) for phase in (Phase.FLUSH, Phase.RAMP, Phase.UPDATE))
        before_ramp = self.in_phase(Phase.START, Phase.INTEGRATE, Phase.HOLD)
        halves = [self.during(number) for number in range(len(spec.conversions))]
        for gate in spec.gate_names:
            held = self._held(gate)
            name, empty = f"bank {gate}", held == 0
            self.claim(m, implies(self.in_phase(Phase.IDLE, Phase.PROJECT), empty), f"{name} is empty between steps")
            self._shifts(m, held, flush, self.waited, f"{name} is flushed")
            full = False
            for half, conversion, reads in zip(halves, spec.conversions, spec.layout.reads(gate), strict=True):
                if not full:
                    self.claim(m, implies(before_ramp & half, empty), f"{name} is empty before its ramp")
                full = full or gate in conversion
                if not full:
                    self.invariant(m, implies((ramp | update) & half, empty), f"{name} is not latched")
                elif reads:
                    self._shifts(m, held, update & half, self.beat, f"{name} is read")
                    full = False
        self.cover(m, self.final & self.in_phase(Phase.HOLD), "the last conversion of a step")
        self.cover(m, self.in_phase(Phase.IDLE) & ~self.first_step, "a second step")

    def _shifts(self, m: Module, held: Value, shifting: Value, groups: Value, message: str) -> None:
        """After some groups of lanes are shifted out, as many are empty."""
        spec, columns = self.spec, self.spec.units
        bits = len(held) // columns
        for done in range(1, spec.beats + 1):
            rest = max(columns - done * spec.lanes, 0) * bits
            self.invariant(m, implies(shifting & (groups == done), held[rest:] == 0), f"{message}: {done} groups")

    def _held(self, gate: str) -> Value:
        """The codes in the bank of a gate, column 0 lowest."""
        return Cat(self.inside(f"capture_{gate}.codes_{k}") for k in range(0, self.spec.units, SEGMENT))


def proofs(spec: Specification, x_lanes: int = 1) -> list[Entry]:
    """The proofs of the capture banks at the sizes of ``spec``."""
    return [
        Entry(
            "banks",
            "banks are empty before their ramps, with a reset at any time",
            lambda: BanksProof(spec, reset=Reset.ANY_TIME, x_lanes=x_lanes),
        ),
        Entry(
            "banks",
            "from flip-flops with any value, one clock of reset empties the banks",
            lambda: BanksProof(spec, reset=Reset.FIRST, x_lanes=x_lanes),
        ),
    ]
