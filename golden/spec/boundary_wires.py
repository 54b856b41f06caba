# SPDX-License-Identifier: Apache-2.0
"""The wires of the analog boundary: one table of names, directions, widths and meanings.

The Amaranth signature, the ports of generated Verilog and of the SystemVerilog models, the pins of array models and
benches, the checker and the groups of wave files all iterate over it. ``docs/boundary.md`` has the timing diagram and
the rules.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .specification import Specification


def calibration_bits(spec: Specification) -> int:
    """Bias cells of all ramps, ramp 0's lowest; 0 where the ramps have no bias cells.

    Of a macro with several arrays those of all of them, the first array's lowest.
    """
    return len(spec.unit_tiles) * len(spec.ramps) * spec.calibration_cells


SIZES: dict[str, Callable[[Specification], int]] = {
    "rows": lambda spec: spec.rows,
    "units": lambda spec: spec.units,
    "state_lines": lambda spec: spec.state_lines,
    "resets": lambda spec: spec.reset_groups,
    "ticks": lambda spec: spec.ticks,
    "calibration": calibration_bits,
    "columns": lambda spec: spec.columns,
}
"""What buses are as wide as: the parameters of the SystemVerilog models are these names in capitals."""


@dataclass(frozen=True)
class BoundaryWire:
    """One wire or bus between the periphery and the array.

    Attributes
    ----------
    name : str
        Without the prefix ``array_`` that ports of generated Verilog have.
    meaning : str
        One line for port tables.
    size : str or None
        Of a bus: which of :data:`SIZES` it is as wide as. None: one bit.
    to_array : bool
        Whether the periphery drives it.
    phase : bool
        Whether it says what the array does on a clock.
    group : str
        Where wave viewers show it.
    init : int
        The value of each of its bits in reset.
    """

    name: str
    meaning: str
    size: str | None = None
    to_array: bool = True
    phase: bool = False
    group: str = "phase"
    init: int = 0

    @property
    def port(self) -> str:
        """Its name as a port of generated Verilog that has one array."""
        return self.port_of("array")

    def port_of(self, array: str) -> str:
        """Its name as a port of generated Verilog, for an array of :func:`.tile.arrays_of`."""
        return f"{array}_{self.name}"

    def reset_value(self, spec: Specification) -> int:
        """Its value in reset."""
        return (1 << self.width(spec)) - 1 if self.init else 0

    def width(self, spec: Specification) -> int:
        """Bits; 0 for a bus that ``spec`` leaves empty."""
        return SIZES[self.size](spec) if self.size else 1


def _phase(name: str, meaning: str, group: str = "phase", init: int = 0) -> BoundaryWire:
    return BoundaryWire(name, meaning, phase=True, group=group, init=init)


BOUNDARY = (
    BoundaryWire("row_pos", "drive row r with the positive read voltage", "rows", group="pulses"),
    BoundaryWire("row_neg", "drive row r with the negative read voltage", "rows", group="pulses"),
    BoundaryWire("state_pos", "drive the state cell of unit u positively", "state_lines", group="pulses"),
    BoundaryWire("state_neg", "drive the state cell of unit u negatively", "state_lines", group="pulses"),
    _phase("state", "second conversion: only the columns that it latches matter"),
    _phase("integrate", "the integrators accumulate"),
    BoundaryWire(
        "reset", "the integrators are emptied; a second wire: those of banks that hold", "resets", phase=True, init=1
    ),
    _phase("hold", "nothing is driven, the integrators keep their value"),
    _phase("ramp_reset", "the ramps go to their start", group="ramp"),
    _phase("tick", "all ramps go one step on", group="ramp"),
    BoundaryWire("tap", "one-hot: the ramp cell that makes this step", "ticks", group="ramp"),
    BoundaryWire("calibration", "bias cells applied while array_ramp_reset is high", "calibration", group="ramp"),
    BoundaryWire(
        "comparators",
        "column c's value exceeds its ramp; asynchronous",
        "columns",
        to_array=False,
        group="comparators",
    ),
    BoundaryWire("ready", "low makes the periphery wait before a window, in hold and on a tick", to_array=False),
)
"""Every wire, in the order of the ports of generated Verilog."""

PIN_NAMES = tuple(wire.name for wire in BOUNDARY if wire.to_array)
"""Names of what the periphery drives."""

PHASES = tuple(wire.name for wire in BOUNDARY if wire.phase)
"""Names of the outputs that say what the array does on a clock."""
