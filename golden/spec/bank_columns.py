# SPDX-License-Identifier: Apache-2.0
"""Columns by bank: where the columns of a gate stand, and which gate, unit and ramp a column belongs to."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ..common.errors import InvalidValue
from .cells import Cell
from .network_parameters import CELLS


class BankColumns:
    """The part of a :class:`.specification.Specification` that places banks; it needs ``cell``, ``units``, and ramps.

    A bank is the ``units`` adjacent columns of one gate. Every other module asks here by the gate's name, so that the
    order and the number of banks stand in the cell's description alone.
    """

    @property
    def layout(self) -> Cell:
        """The description of the cell."""
        return CELLS[self.cell]

    @property
    def gate_names(self) -> tuple[str, ...]:
        """The gates of the cell, in the order of their banks."""
        return self.layout.gates

    @property
    def conversions(self) -> tuple[dict[str, str], ...]:
        """For each conversion of a step: the gates whose columns it latches, and what their codes are called."""
        return self.layout.conversions

    @property
    def state_gate(self) -> str:
        """The gate whose columns carry the state cells."""
        return self.layout.state_gate

    @property
    def columns(self) -> int:
        """Output lines of the array: ``units`` for each gate of the cell."""
        return len(self.gate_names) * self.units

    @property
    def codes_per_step(self) -> int:
        """Codes that the columns give in one step, over all conversions."""
        return sum(map(len, self.conversions)) * self.units

    def bank(self, gate: str) -> slice:
        """The columns of a gate."""
        first = self.gate_names.index(gate) * self.units
        return slice(first, first + self.units)

    def converted(self, second: bool) -> slice:
        """The columns that a conversion latches, which are adjacent: those of the first or the second one of a step."""
        gates = tuple(self.conversions[second])
        return slice(self.bank(gates[0]).start, self.bank(gates[-1]).stop)

    def of_bank(self, values: np.ndarray, gate: str) -> np.ndarray:
        """The part of ``values``, shape (..., columns), that belongs to a gate: a view of shape (..., units)."""
        return values[..., self.bank(gate)]

    def by_bank(self, values: np.ndarray) -> np.ndarray:
        """``values``, shape (..., columns), with an axis for the banks: shape (..., banks, units)."""
        return values.reshape(*values.shape[:-1], len(self.gate_names), self.units)

    def column(self, gate: str, unit: int | np.ndarray) -> int | np.ndarray:
        """The column of a unit in a gate's bank."""
        return self.bank(gate).start + unit

    def in_bank(self, column: int | np.ndarray, gate: str) -> bool | np.ndarray:
        """Whether a column belongs to a gate's bank."""
        bank = self.bank(gate)
        return (bank.start <= column) & (column < bank.stop)

    def bank_of_column(self, column: int) -> str:
        """The gate whose bank a column belongs to."""
        return self.gate_names[column // self.units]

    def unit_of_column(self, column: int | np.ndarray) -> int | np.ndarray:
        """The unit that a column belongs to."""
        return column % self.units

    def column_name(self, column: int) -> str:
        """A column as it is shown to people: gate and unit, such as ``"g3"``."""
        return f"{self.bank_of_column(column)}{self.unit_of_column(column)}"

    def ramp_of(self, gate: str) -> int:
        """The index in ``ramps`` of the ramp that converts a gate's columns."""
        return self.ramp_of_gate[self.gate_names.index(gate)]

    @cached_property
    def ramp_of_column(self) -> np.ndarray:
        """For every column the index of its ramp in ``ramps``: int64, shape (columns,), read-only."""
        ramps = np.repeat(np.array(self.ramp_of_gate, np.int64), self.units)
        ramps.setflags(write=False)
        return ramps


def parse_columns(spec: "BankColumns", names: Sequence[str]) -> list[int]:
    """Columns called ``i0``, ``f3``, ...; InvalidValue for an unknown or a repeated column."""
    found = []
    for name in names:
        bank, unit = name[:1], name[1:]
        if bank not in spec.gate_names or not unit.isdecimal() or int(unit) >= spec.units:
            raise InvalidValue(
                f"there is no column {name!r}; columns are "
                f"{', '.join(f'{gate}0 to {gate}{spec.units - 1}' for gate in spec.gate_names)}"
            )
        column = spec.column(bank, int(unit))
        if column in found:
            raise InvalidValue(f"column {name} is given twice; leave one out")
        found.append(column)
    if not found:
        raise InvalidValue("no column is given; name some, as in i0,f3,g7")
    return found
