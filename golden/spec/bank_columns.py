# SPDX-License-Identifier: Apache-2.0
"""Columns by bank, rows and lines by group: where each stands, and which gate, unit and ramp a column belongs to."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ..cell.description import BIAS, INPUT, Cell, LineCell
from ..cell.library import CELLS
from ..common.errors import InvalidValue
from .row_sums import RowSum, even_parts, row_sums, summing_cell


class BankColumns:
    """The part of a :class:`.specification.Specification` that places banks, rows and lines.

    A bank is the ``units`` adjacent columns of one gate. Every other module asks here by the gate's name, so that the
    order and the number of banks stand in the cell's description alone. It needs ``cell``, the sizes, and the ramps.
    """

    @property
    def base_cell(self) -> Cell:
        """The description of the cell in the library."""
        return CELLS[self.cell]

    @cached_property
    def layout(self) -> Cell:
        """The description of the cell, as this array has it: with lines for sums of rows in other arrays."""
        return summing_cell(self.base_cell, self.row_sums, self.row_parts) if self.row_sums else self.base_cell

    @property
    def gate_names(self) -> tuple[str, ...]:
        """The gates of the cell, in the order of their banks."""
        return self.layout.gates

    @property
    def conversions(self) -> tuple[dict[str, str], ...]:
        """For each conversion of a step: the gates whose columns it latches, and what their codes are called."""
        return self.layout.conversions

    @property
    def state_gate(self) -> str | None:
        """The gate whose columns carry the constant cells of the line value; None for a cell without lines."""
        return self.layout.state_gate

    @property
    def first_unit(self) -> int:
        """The number of the first unit in the network: 0, unless this is a tile of a larger macro."""
        return 0

    @property
    def unit_range(self) -> range:
        """The numbers of the units in the network."""
        return range(self.first_unit, self.first_unit + self.units)

    @cached_property
    def unit_tiles(self) -> tuple[range, ...]:
        """The units of each array: all, or as few parts as ``tile_columns`` allows, of sizes that differ by one."""
        most = self.tile_columns // len(self.gate_names) or self.units
        return tuple(range(part.start, part.stop) for part in even_parts(self.units, most))

    @cached_property
    def row_tiles(self) -> tuple[slice, ...]:
        """The rows of the crossbars that share an array's columns: all, or as few parts as ``tile_rows`` allows.

        The lines of a column run through all of them to one integrator, so only their wires differ.
        """
        return even_parts(self.rows, self.tile_rows or self.rows)

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

    @property
    def reset_groups(self) -> int:
        """Reset wires of the integrators: one, and one more for banks that keep their charge between the windows."""
        return 2 if self.layout.held else 1

    @cached_property
    def reset_columns(self) -> tuple[np.ndarray, ...]:
        """For each reset wire: which columns it empties; bool, shape (columns,), read-only."""
        held = np.zeros(self.columns, bool)
        for gate in self.layout.held:
            held[self.bank(gate)] = True
        groups = (~held, held)[: self.reset_groups]
        for group in groups:
            group.setflags(write=False)
        return groups

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
        """A column as it is shown to people: gate and number of the unit in the network, such as ``"g3"``."""
        return f"{self.bank_of_column(column)}{self.first_unit + self.unit_of_column(column)}"

    def columns_of_units(self, units: range) -> np.ndarray:
        """The columns of some units, in the order of the columns: int64, shape (banks x units,)."""
        return (np.arange(len(self.gate_names))[:, None] * self.units + np.asarray(units)).ravel()

    # ---- rows and lines ---------------------------------------------------------------------------------------------

    @cached_property
    def _split_rows(self) -> tuple[tuple[RowSum, ...], dict[str, range]]:
        """The sums that come from other arrays, and which codes of each group of the cell have rows in this one."""
        sizes = {INPUT: self.inputs, self.base_cell.output: self.hidden, BIAS: self.bias_rows}
        sizes = {group: sizes.get(group, self.units) for group in self.base_cell.row_groups}
        if 0 < self.partial_rows < sum(sizes.values()):
            return row_sums(self.base_cell, sizes, self.partial_rows)
        return (), {group: range(size) for group, size in sizes.items()}

    @property
    def row_sums(self) -> tuple[RowSum, ...]:
        """What other arrays add up of the macro's rows, see :mod:`.row_sums`; empty where columns are joined."""
        return self._split_rows[0]

    @property
    def row_parts(self) -> dict[str, range]:
        """For each group of rows: which of the codes that drive it have rows in this array."""
        return self._split_rows[1]

    def value_part(self, value: str) -> range:
        """Where the codes of a value stand in its stream, which brings several if another macro gives them."""
        source = self.layout.source_of(value)
        first = 0 if source is None else self.layout.given[source].values.index(value) * self.units
        return range(first, first + self.units)

    def driven_part(self, group: str) -> range:
        """Which of the codes that drive a group of rows or a line, as they come in one stream, have a wire."""
        rows = group in self.layout.row_groups
        return self.row_parts[group] if rows else self.value_part(self.layout.line_driver(group))

    @property
    def row_sizes(self) -> dict[str, int]:
        """Rows of each group that the cell has, in the order of the rows: x, h, other row values, bias rows."""
        return {group: len(self.row_parts[group]) for group in self.layout.row_groups}

    @property
    def rows(self) -> int:
        """Input lines of the array that cross the banks."""
        return sum(self.row_sizes.values())

    def rows_of(self, group: str) -> slice:
        """The rows of a group."""
        first = 0
        for name, size in self.row_sizes.items():
            if name == group:
                return slice(first, first + size)
            first += size
        raise KeyError(group)

    @cached_property
    def placed(self) -> np.ndarray:
        """Which rows have cells on which columns: bool, shape (rows, columns), read-only."""
        placed = np.zeros((self.rows, self.columns), bool)
        for gate, bank in self.layout.banks.items():
            for group in bank.rows:
                placed[self.rows_of(group), self.bank(gate)] = True
        placed.setflags(write=False)
        return placed

    @cached_property
    def crossings(self) -> tuple[tuple[str, ...], ...]:
        """The distinct sets of row groups that banks cross: each has a reference column in a single-ended array."""
        return tuple(dict.fromkeys(map(self._crossed, self.gate_names)))

    @property
    def crossing_of_gate(self) -> tuple[int, ...]:
        """For each gate, in the order of the banks: the index of its set of row groups in :attr:`crossings`."""
        return tuple(self.crossings.index(self._crossed(gate)) for gate in self.gate_names)

    @cached_property
    def crossing_of_column(self) -> np.ndarray:
        """For every column the index of its bank's crossing: int64, shape (columns,), read-only."""
        crossings = np.repeat(np.array(self.crossing_of_gate, np.int64), self.units)
        crossings.setflags(write=False)
        return crossings

    @cached_property
    def crossed(self) -> np.ndarray:
        """Which rows belong to each of :attr:`crossings`: bool, shape (rows, crossings), read-only."""
        crossed = np.zeros((self.rows, len(self.crossings)), bool)
        for place, groups in enumerate(self.crossings):
            for group in groups:
                crossed[self.rows_of(group), place] = True
        crossed.setflags(write=False)
        return crossed

    def _crossed(self, gate: str) -> tuple[str, ...]:
        return tuple(group for group in self.layout.row_groups if group in self.layout.banks[gate].rows)

    @property
    def state_lines(self) -> int:
        """Wires of the lines: ``units`` for each line of the cell."""
        return len(self.layout.lines) * self.units

    def wires_of(self, line: str) -> slice:
        """The wires of a line among all lines'."""
        first = self.layout.lines.index(line) * self.units
        return slice(first, first + self.units)

    def wires_of_units(self, units: range) -> np.ndarray:
        """The wires that lines have for some units, in the order of the wires: int64, shape (lines x units,)."""
        return (np.arange(len(self.layout.lines))[:, None] * self.units + np.asarray(units)).ravel()

    @property
    def line_cells(self) -> tuple[LineCell, ...]:
        """The cells that lines have on banks, ``units`` each, in the order in which arrays hold them."""
        return self.layout.line_cells

    @property
    def line_cell_count(self) -> int:
        """Cells of all lines: ``units`` for each of :attr:`line_cells`."""
        return len(self.line_cells) * self.units

    @property
    def trained_lines(self) -> int:
        """How many of :attr:`line_cells` are trained."""
        return len(self.layout.trained_line_cells)

    def line_cell(self, cell: LineCell) -> slice:
        """Where the cells of one line on one bank stand among all lines' cells."""
        first = self.line_cells.index(cell) * self.units
        return slice(first, first + self.units)

    @cached_property
    def line_columns(self) -> np.ndarray:
        """For each cell of the lines the column that it is on: int64, shape (line_cell_count,), read-only."""
        columns = np.empty(self.line_cell_count, np.int64)
        for cell in self.line_cells:
            columns[self.line_cell(cell)] = self.column(cell.bank, np.arange(self.units))
        columns.setflags(write=False)
        return columns

    # ---- ramps ------------------------------------------------------------------------------------------------------

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
        if bank not in spec.gate_names or not unit.isdecimal() or int(unit) not in spec.unit_range:
            first, last = spec.unit_range[0], spec.unit_range[-1]
            raise InvalidValue(
                f"there is no column {name!r}; columns are "
                f"{', '.join(f'{gate}{first} to {gate}{last}' for gate in spec.gate_names)}"
            )
        column = spec.column(bank, int(unit) - spec.first_unit)
        if column in found:
            raise InvalidValue(f"column {name} is given twice; leave one out")
        found.append(column)
    if not found:
        raise InvalidValue("no column is given; name some, as in i0,f3,g7")
    return found
