# SPDX-License-Identifier: Apache-2.0
"""The wires of the analog boundary: one table of names, directions, widths and meanings.

The Amaranth signature, the ports of generated Verilog, the pins of array models and benches, the checker and the groups
of wave files all iterate over it. ``docs/boundary.md`` has the timing diagram and the rules.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .specification import Specification


@dataclass(frozen=True)
class BoundaryWire:
    """One wire or bus between the periphery and the array.

    Attributes
    ----------
    name : str
        Without the prefix ``array_`` that ports of generated Verilog have.
    width : callable
        From a Specification to bits.
    meaning : str
        One line for port tables.
    to_array : bool
        Whether the periphery drives it.
    phase : bool
        Whether it is one bit that says what the array does on a clock.
    group : str
        Where wave viewers show it.
    init : int
        Its value in reset.
    """

    name: str
    width: Callable[[Specification], int]
    meaning: str
    to_array: bool = True
    phase: bool = False
    group: str = "phase"
    init: int = 0

    @property
    def port(self) -> str:
        """Its name as a port of generated Verilog."""
        return f"array_{self.name}"


def _one(spec: Specification) -> int:
    return 1


def _phase(name: str, meaning: str, group: str = "phase", init: int = 0) -> BoundaryWire:
    return BoundaryWire(name, _one, meaning, phase=True, group=group, init=init)


def calibration_bits(spec: Specification) -> int:
    """Bias cells of all ramps, ramp 0's lowest; 0 where the ramps have no bias cells."""
    return len(spec.ramps) * spec.calibration_cells


BOUNDARY = (
    BoundaryWire("row_pos", lambda s: s.rows, "drive row r with the positive read voltage", group="pulses"),
    BoundaryWire("row_neg", lambda s: s.rows, "drive row r with the negative read voltage", group="pulses"),
    BoundaryWire("state_pos", lambda s: s.units, "drive the state cell of unit u positively", group="pulses"),
    BoundaryWire("state_neg", lambda s: s.units, "drive the state cell of unit u negatively", group="pulses"),
    _phase("state", "second conversion: only bank g's columns matter"),
    _phase("integrate", "the integrators accumulate"),
    _phase("reset", "the integrators are emptied", init=1),
    _phase("hold", "nothing is driven, the integrators keep their value"),
    _phase("ramp_reset", "the ramps go to their start", group="ramp"),
    _phase("tick", "all ramps go one step on", group="ramp"),
    BoundaryWire("tap", lambda s: s.ticks, "one-hot: the ramp cell that makes this step", group="ramp"),
    BoundaryWire("calibration", calibration_bits, "bias cells applied while array_ramp_reset is high", group="ramp"),
    BoundaryWire(
        "comparators",
        lambda s: s.columns,
        "column c's value exceeds its ramp; asynchronous; banks i, f, g, o",
        to_array=False,
        group="comparators",
    ),
    BoundaryWire("ready", _one, "low makes the periphery wait before a window, in hold and on a tick", to_array=False),
)
"""Every wire, in the order of the ports of generated Verilog."""

PIN_NAMES = tuple(wire.name for wire in BOUNDARY if wire.to_array)
"""Names of what the periphery drives."""

PHASES = tuple(wire.name for wire in BOUNDARY if wire.phase)
"""Names of the one-bit outputs that say what the array does on a clock."""
