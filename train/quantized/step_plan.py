# SPDX-License-Identifier: Apache-2.0
"""Where the charges of a step come from and where their gradients go, computed once from a cell's description.

What a bank's ramp converts is the charge of one window or of several. Each column converts the charge of the first
window exactly once, so the gradients of all first windows are one tensor of all columns: such conversions are *home*
there. Others (of bank g of an LSTM, which converts c) have a place of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from crossramp.golden.cell.description import BIAS, INPUT, LINE
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification

from .update_program import StoreProgram, store_programs

__all__ = ["Line", "Piece", "Run", "StepPlan", "Window", "step_plan"]


@dataclass(frozen=True)
class Line:
    """Cells of a line on a bank.

    Attributes
    ----------
    number : int
        Among ``spec.line_cells``.
    trained : int or None
        Among the trained ones; None for cells of constant weight.
    value : str
        What drives the line.
    is_start : bool
        Whether that is the pulse code of the register before the step, not one that the step has stored.
    window : int
    piece : Piece
        The bank.
    within : slice
        The bank's columns in the run that converts it.
    """

    number: int
    trained: int | None
    value: str
    is_start: bool
    window: int
    piece: Piece
    within: slice


@dataclass(frozen=True)
class Piece:
    """Columns whose gradients are side by side.

    Attributes
    ----------
    conversion : int or None
        Whose gradients have a place of their own; None: at home.
    columns : slice
        Among all columns.
    place : slice
        Among the gradients: those of all columns, or of the columns that the conversion latches.
    """

    conversion: int | None
    columns: slice
    place: slice


@dataclass(frozen=True)
class Run:
    """Adjacent banks that a conversion latches, with the same windows.

    Attributes
    ----------
    columns, place : slice
        Among all columns, and among those that the conversion latches.
    home : bool
        Whether the charge of the first window is in it.
    rows : tuple of (str, str)
        Groups of rows of later windows, with the values that drive them.
    bias : bool
        Whether bias rows are driven in a later window.
    lines : tuple of Line
    """

    columns: slice
    place: slice
    home: bool
    rows: tuple[tuple[str, str], ...]
    bias: bool
    lines: tuple[Line, ...]

    @property
    def has_only_constant_lines(self) -> bool:
        """Whether nothing but lines through constant cells brings its charge."""
        return not (self.home or self.rows or self.bias) and all(line.trained is None for line in self.lines)


@dataclass(frozen=True)
class Window:
    """What a conversion drives, beside inputs and, in the first one, bias rows: those are summed for all steps before.

    Attributes
    ----------
    rows : dict
        Group of rows to the value that drives it.
    pieces : dict
        Group of rows to the columns that it crosses.
    bias : tuple of Piece
        What bias rows cross, if they are driven in a later window.
    lines : tuple of Line
    """

    rows: dict[str, str]
    pieces: dict[str, tuple[Piece, ...]]
    bias: tuple[Piece, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class StepPlan:
    """See the module.

    Attributes
    ----------
    runs : tuple of tuples of Run
        For each conversion, what it latches, in order.
    windows : tuple of Window
    programs : list of lists of StoreProgram
        For each update.
    codes : tuple of dicts
        For each conversion: the name of a code to its columns among those that are latched.
    homes : dict
        The name of a code that is home to its columns.
    follows : bool
        Whether the lines are driven by the register as it was just stored: their gradient is the register's then.
    """

    runs: tuple[tuple[Run, ...], ...]
    windows: tuple[Window, ...]
    programs: list[list[StoreProgram]]
    codes: tuple[dict[str, slice], ...]
    homes: dict[str, slice]
    follows: bool

    @property
    def line_program(self) -> StoreProgram | None:
        """The store of the lines' value; None for a cell without lines."""
        return next((store for stores in self.programs for store in stores if store.form == LINE), None)

    @property
    def has_start_lines(self) -> bool:
        """Whether a line is driven by the register before the step."""
        return any(line.is_start for window in self.windows for line in window.lines)

    def keeps(self, conversion: int) -> bool:
        """Whether the gradients of a conversion that are not home are needed when the step is over."""
        return any(
            piece.conversion == conversion
            for window in self.windows
            for pieces in (
                *window.pieces.values(),
                window.bias,
                [p.piece for p in window.lines if p.trained is not None],
            )
            for piece in pieces
        )


@lru_cache(maxsize=64)
def step_plan(spec: Specification) -> StepPlan:
    """The plan of a specification's cell.

    Raises
    ------
    InvalidValue
        For a cell whose lines are driven by the register, but not as it was last stored.
    """
    cell = spec.layout
    count = len(spec.conversions)
    windows = tuple(_window(spec, number) for number in range(count))
    codes, homes = [], {}
    for k, latched in enumerate(spec.conversions):
        start = spec.converted(k).start
        banks = {name: spec.bank(gate) for gate, name in latched.items()}
        codes.append({name: _moved(bank, start) for name, bank in banks.items()})
        homes |= {name: banks[name] for gate, name in latched.items() if 0 in cell.windows(gate, k)}
    follows = False
    if cell.line_value_is_state:
        order = [store.name for stores in cell.stores for store in stores]
        follows = order.index(cell.register) < order.index(cell.line_value)
        if not follows or any(line.is_start for window in windows[1:] for line in window.lines):
            raise InvalidValue(
                f"cell {cell.name} drives {cell.line_value} before it stores {cell.register}, so it cannot be trained; "
                f"store {cell.register}, then {cell.line_value}, then drive it"
            )
    runs = tuple(_runs(spec, number, windows) for number in range(count))
    return StepPlan(runs, windows, store_programs(spec), tuple(codes), homes, follows)


def _moved(columns: slice, start: int) -> slice:
    return slice(columns.start - start, columns.stop - start)


def _piece(spec: Specification, gate: str, window: int) -> Piece:
    """Where the gradient of a window's charge in a bank is."""
    cell, bank = spec.layout, spec.bank(gate)
    number = next(
        k for k in range(len(spec.conversions)) if gate in cell.conversions[k] and window in cell.windows(gate, k)
    )
    if 0 in cell.windows(gate, number):
        return Piece(None, bank, bank)
    return Piece(number, bank, _moved(bank, spec.converted(number).start))


def _crossed(spec: Specification, group: str, window: int) -> tuple[Piece, ...]:
    """The columns that a group of rows crosses, adjacent ones as one."""
    found: list[Piece] = []
    for gate, bank in spec.layout.banks.items():
        if group not in bank.rows:
            continue
        piece = _piece(spec, gate, window)
        if found and found[-1].conversion == piece.conversion and found[-1].columns.stop == piece.columns.start:
            last = found.pop()
            columns, place = slice(last.columns.start, piece.columns.stop), slice(last.place.start, piece.place.stop)
            piece = Piece(piece.conversion, columns, place)
        found.append(piece)
    return tuple(found)


def _window(spec: Specification, number: int) -> Window:
    cell, driven = spec.layout, spec.layout.steps[number][0].driven
    rows = {group: value for group, value in driven.items() if group in cell.row_groups and group not in (INPUT, BIAS)}
    bias = _crossed(spec, BIAS, number) if number and BIAS in driven else ()
    lines = []
    for place, part in enumerate(spec.line_cells):
        if part.line in driven:
            value, trained = driven[part.line], None
            if part.trained:
                trained = cell.trained_line_cells.index(part)
            piece = _piece(spec, part.bank, number)
            lines.append(Line(place, trained, value, cell.update_of(value) >= number, number, piece, piece.place))
    return Window(rows, {group: _crossed(spec, group, number) for group in rows}, bias, tuple(lines))


def _runs(spec: Specification, number: int, windows: tuple[Window, ...]) -> tuple[Run, ...]:
    cell, start = spec.layout, spec.converted(number).start
    grouped: list[tuple[slice, tuple[int, ...]]] = []
    for gate in spec.conversions[number]:
        bank, held = spec.bank(gate), cell.windows(gate, number)
        if grouped and grouped[-1][1] == held:
            bank = slice(grouped.pop()[0].start, bank.stop)
        grouped.append((bank, held))
    runs = []
    for columns, held in grouped:

        def inside(piece: Piece, columns: slice = columns) -> bool:
            return columns.start <= piece.columns.start < columns.stop

        later = [windows[window] for window in held if window]
        rows = [
            (group, window.rows[group])
            for window in later
            for group, pieces in window.pieces.items()
            if any(columns.start < p.columns.stop and p.columns.start < columns.stop for p in pieces)
        ]
        lines = [
            replace(line, within=_moved(line.piece.columns, columns.start))
            for window in held
            for line in windows[window].lines
            if inside(line.piece)
        ]
        bias = any(inside(piece) for window in later for piece in window.bias)
        place = _moved(columns, start)
        runs.append(Run(columns, place, 0 in held, tuple(rows), bias, tuple(lines)))
    return tuple(runs)
