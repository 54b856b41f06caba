# SPDX-License-Identifier: Apache-2.0
"""The resistor network of a current-mode array: its lines, the part of it in a deck, and its exact solution.

A *line* is one physical column wire: two for each logical column (positive, negative),
or one for each and reference lines after the last: one for each set of row groups that banks cross.
Rows run across all lines, from the driver's side; lines end below the last row.
"""

from dataclasses import dataclass

import numpy as np
from crossramp.golden.analog.chip.physical import PhysicalArray
from crossramp.golden.analog.chip.wire_resistance import ladder
from crossramp.golden.spec.specification import Specification

#: Name of the first reference line of single-ended arrays; the others have a number behind it.
REFERENCE = "ref"


def reference_name(crossing: int) -> str:
    """Name of the reference line of the banks with this crossing (``spec.crossing_of_gate``)."""
    return f"{REFERENCE}{crossing}" if crossing else REFERENCE


@dataclass(frozen=True, eq=False)
class Lines:
    """All lines of an array, in the order in which the rows meet them.

    Attributes
    ----------
    names : tuple of str
        ``"g3p"``, ``"g3n"``; :func:`reference_name` for reference lines.
    cells : float64 array, shape (rows, lines)
        S; 0: no cell.
    """

    names: tuple[str, ...]
    cells: np.ndarray

    @classmethod
    def of(cls, array: PhysicalArray) -> "Lines":
        """The lines of ``array``: pairs side by side, or single lines and the references behind them."""
        names = [array.spec.column_name(column) for column in range(array.spec.columns)]
        if array.technology.pair == "single-ended":
            cells = np.concatenate([array.positive, array.negative], axis=1)
            references = map(reference_name, range(array.negative.shape[1]))
            return cls((*(f"{name}p" for name in names), *references), cells)
        cells = np.stack([array.positive, array.negative], axis=2).reshape(len(array.positive), -1)
        return cls(tuple(f"{name}{sign}" for name in names for sign in "pn"), cells)

    def ends(self, spec: Specification, column: int) -> tuple[str, str]:
        """Names of the positive and the negative line of a column."""
        name = spec.column_name(column)
        if REFERENCE not in self.names:
            return f"{name}p", f"{name}n"
        crossing = spec.crossing_of_gate[spec.gate_names.index(spec.bank_of_column(column))]
        return f"{name}p", reference_name(crossing)


@dataclass(frozen=True, eq=False)
class Lumped:
    """What the lines that a deck leaves out do to the row wires between those it keeps.

    Between two kept lines lies a ladder of wire segments and cells, which any simulator sees as three resistors (its
    two-port): exact but for the voltage on the lines left out, which are taken to end at 0 V right at each cell but for
    their own wire's share.

    Attributes
    ----------
    kept : tuple of int
        Lines, rising.
    series : float64 array, shape (rows, kept)
        Ohm on the row wire before each kept line, from the driver or the kept line before.
    load : float64 array, shape (rows, kept)
        S from the row wire at each kept line to ground; the ends of both ladders beside it.
    """

    kept: tuple[int, ...]
    series: np.ndarray
    load: np.ndarray


def lump(cells: np.ndarray, kept, row_resistance: float, column_resistance: float, parts=(slice(None),)) -> Lumped:
    """Reduce the row wires of ``cells`` to the lines ``kept``.

    Parameters
    ----------
    cells : float64 array, shape (rows, lines)
        S.
    kept : sequence of int
        Lines that stay, rising.
    row_resistance, column_resistance : float
        Ohm between two cells; the former above 0.
    parts : sequence of slice
        Rows of each crossbar that shares the lines (``spec.row_tiles``): each has wires of its own to their ends.
    """
    kept = tuple(kept)
    rows, lines = cells.shape
    shunt = np.concatenate([seen_cells(cells[part], column_resistance) for part in parts])
    series, load = np.empty((rows, len(kept))), np.zeros((rows, len(kept)))
    before = -1
    for place, line in enumerate(kept):
        # The chain of two-ports (volts, amperes) from the kept line before, one segment and one cell at a time.
        a, b = np.ones(rows), np.full(rows, row_resistance)
        c, d = np.zeros(rows), np.ones(rows)
        for other in range(before + 1, line):
            a, c = a + b * shunt[:, other], c + d * shunt[:, other]
            b, d = b + a * row_resistance, d + c * row_resistance
        series[:, place] = b
        load[:, place] += (a - 1) / b
        if place:
            load[:, place - 1] += (d - 1) / b
        before = line
    rest = np.zeros(rows)
    for other in reversed(range(before + 1, lines)):
        rest = shunt[:, other] + rest
        rest = rest / (1 + row_resistance * rest)
    load[:, -1] += rest
    return Lumped(kept, series, load)


def transfer(cells: np.ndarray, row_resistance: float, column_resistance: float, left_out=()) -> np.ndarray:
    """The matrix T of the whole network, exactly: a line's current is V·T[:, line], rows at V or 0.

    Rows only connect neighboring lines, so the lines are eliminated one by one, from the far end: rows³ operations a
    line.

    Parameters
    ----------
    cells : float64 array, shape (rows, lines)
        S.
    row_resistance, column_resistance : float
        Ohm between two cells, and to driver and virtual ground; above 0.
    left_out : collection of int
        Lines that load the rows only as :func:`lump` has it.

    Returns
    -------
    float64 array, shape (rows, lines)
    """
    rows, lines = cells.shape
    wire = np.diag(np.full(rows, 2 / column_resistance)) - np.diag(np.full(rows - 1, 1 / column_resistance), 1)
    wire = wire - np.diag(np.full(rows - 1, 1 / column_resistance), -1)
    wire[0, 0] = 1 / column_resistance
    simple = seen_cells(cells, column_resistance)
    shares = np.empty((lines, rows, rows))  # of each line's nodes: volts there for volts on the row wires
    drops = np.empty((lines, rows, rows))
    seen, identity = np.zeros((rows, rows)), np.eye(rows)
    for line in reversed(range(lines)):
        shares[line] = np.linalg.solve(wire + np.diag(cells[:, line]), np.diag(cells[:, line]))
        own = cells[:, line, None] * (identity - shares[line])
        if line in left_out:
            own = np.diag(simple[:, line])
        seen = own + np.linalg.solve(identity + row_resistance * seen.T, seen.T).T
        drops[line] = np.linalg.inv(identity + row_resistance * seen)
    volts, result = identity, np.empty((rows, lines))
    for line in range(lines):
        volts = drops[line] @ volts
        result[:, line] = (shares[line] @ volts)[-1] / column_resistance
    return result


def seen_cells(cells: np.ndarray, column_resistance: float) -> np.ndarray:
    """Conductance between a row and its line's end through each cell, what the line's wire takes included; S."""
    if not column_resistance:
        return cells
    along = cells.T[:, ::-1]
    return cells * ladder(along, column_resistance)[:, ::-1].T
