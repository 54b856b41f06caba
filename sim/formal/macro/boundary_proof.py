# SPDX-License-Identifier: Apache-2.0
"""The analog boundary: the macro keeps every rule of the checker ``protocol.sv``, which is itself the property."""

from amaranth import ClockSignal, Const, Instance, Module, Mux, ResetSignal, Signal, Value
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.sequencer import Phase
from crossramp.sim.checking.protocol import RULES
from crossramp.sim.checking.protocol_verilog import CHECKER, STATE, checker_parameters, checker_source

from ..engine.entry import Entry
from ..engine.proof import Reset, implies
from .macro_proof import MacroProof

#: No value of a proof is X or Z.
VOID = "unknown_value"


class BoundaryProof(MacroProof):
    """The whole macro keeps the rules of the boundary.

    The property is the checker of the simulations itself, ``sim/checking/protocol.sv``.

    Environment: that of :class:`MacroProof`.

    Claims: every rule of :data:`crossramp.sim.checking.protocol.RULES`, each by its name, on every clock; but
    ``unknown_value``, which says nothing of two-valued logic.
    """

    def properties(self, m: Module) -> None:
        broken, conversions = Signal(32, name="broken"), Signal(32, name="conversions")
        checker = {name: Signal(bits, name=f"checker_{name}") for name, bits in STATE.items()}
        array = self.dut.array
        m.submodules.rules = Instance(
            "crossramp_protocol",
            **{f"p_{name}": value for name, value in checker_parameters(self.spec).items()},
            i_clk=ClockSignal(),
            i_rst=ResetSignal(allow_reset_less=True),
            o_broken=broken,
            o_conversions=conversions,
            **{f"o_state_{name}": signal for name, signal in checker.items()},
            **{f"i_{wire.name}": getattr(array, wire.name) if wire.width(self.spec) else Const(0) for wire in BOUNDARY},
        )
        self.sources[CHECKER] = checker_source()
        for bit, (rule, text) in enumerate(RULES.items()):
            if rule != VOID:
                self.claim(m, ~broken[bit], f"{rule}: {text}")
        for number in (1, 2, 4):
            self.cover(m, conversions == number, f"{number} complete conversions")
        self._checker(m, **checker)

    def _checker(
        self,
        m: Module,
        *,
        resets,
        window,
        holds,
        ticks,
        pending,
        keeping,
        second,
        was_reset,
        was_integrate,
        was_hold,
        was_ready,
        was_state,
    ) -> None:
        """The state of the checker follows from the sequencer's."""
        spec, is_in, tick = self.spec, self.in_phase, self.dut.array.tick
        integrate, hold, ramp, update = (is_in(p) for p in (Phase.INTEGRATE, Phase.HOLD, Phase.RAMP, Phase.UPDATE))
        opening, resting = integrate & (self.count == 1), is_in(Phase.FLUSH, Phase.IDLE, Phase.START)
        least = Mux(self.beat < 3, self.beat, 3)
        for condition, message in (
            (resets <= 3, "resets"),
            (window <= max(spec.windows) + 1, "window"),
            (holds <= spec.settle_clocks, "holds"),
            (ticks <= spec.ticks, "ticks"),
            (implies(update, resets >= least), "resets in an update"),
            (implies(is_in(Phase.START, Phase.PROJECT), resets >= 2), "resets before a start"),
            (implies(is_in(Phase.IDLE), resets >= 1), "resets between steps"),
            (implies(opening, (resets >= 3) & was_ready & ~was_integrate), "a window opens"),
            (implies(integrate & (self.count != 1), was_integrate & (window == self.count - 1)), "a window is open"),
            (implies(was_integrate, integrate | hold), "a window closes"),
            (implies((hold | update) & was_integrate, window == self.window), "length of a window"),
            (implies(was_integrate | was_hold, was_state == self.second), "state"),
            (implies(hold & ~was_hold, was_integrate & (self.waited == 0)), "hold begins"),
            (implies(hold & was_hold, (ticks == 0) & (holds >= self.waited)), "hold"),
            (implies(ramp, was_hold & (pending == ~tick)), "a tick that is not latched"),
            (implies(ramp, ticks == self.number - tick), "ticks"),
            (implies(ramp & tick, was_ready), "a tick follows ready"),
            (implies(ramp & tick & (self.number == 1), holds == spec.settle_clocks), "the ramp begins"),
            (implies(~ramp, ~pending), "nothing is pending outside a ramp"),
            (implies(was_hold, hold | ramp | (update & (ticks == self.ticks))), "hold ends"),
            (implies(resting, ~was_hold & ~was_integrate), "at rest"),
            (second == Mux(update, ~self.final, self.second & ~is_in(Phase.PROJECT)), "which conversion follows"),
            *([(keeping == self._keeps(opening, was_hold), "banks that hold")] if spec.layout.held else []),
        ):
            self.invariant(m, condition, f"of the checker: {message}")

    def _keeps(self, opening: Value, was_hold: Value) -> Value:
        """Whether banks hold what the first window of the step has brought, as the checker has seen it so far."""
        is_in = self.in_phase
        first = is_in(Phase.HOLD, Phase.RAMP, Phase.UPDATE) | (is_in(Phase.INTEGRATE) & ~opening)
        second = is_in(Phase.START, Phase.INTEGRATE, Phase.HOLD, Phase.RAMP) | (is_in(Phase.UPDATE) & was_hold)
        return Mux(self.second, second, first)


def proofs(spec: Specification, x_lanes: int = 1) -> list[Entry]:
    """The proofs of the boundary's rules at the sizes of ``spec``."""
    return [
        Entry(
            "boundary",
            "every rule of the boundary on every clock, with a reset at any time",
            lambda: BoundaryProof(spec, reset=Reset.ANY_TIME, x_lanes=x_lanes),
        ),
        Entry(
            "boundary",
            "every rule of the boundary on every clock, with a reset at any time; compact hardware",
            lambda: BoundaryProof(spec, compact=True, reset=Reset.ANY_TIME, x_lanes=x_lanes),
        ),
        Entry(
            "boundary",
            "every rule of the boundary from flip-flops with any value, after one clock of reset",
            lambda: BoundaryProof(spec, reset=Reset.FIRST, x_lanes=x_lanes),
        ),
    ]
