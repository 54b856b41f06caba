# SPDX-License-Identifier: Apache-2.0
"""What stands behind the boundary, one conversion at a time: the protocol, and the array of exact integers.

An array takes the pulses of one conversion and gives what its comparators saw and the codes that they latched.
:class:`~.lstm.Lstm` runs on any of them: :class:`IdealArray` with ideal or written ramps, a device instance
(:class:`crossramp.golden.analog.conversion.device_array.DeviceArray`), recorded comparators
(:class:`crossramp.sim.checking.recorded_array.RecordedArray`), or an array model that is driven clock by clock
(:class:`crossramp.sim.array.boundary_sequence.DrivenArray`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ..cell.description import BIAS, INPUT
from ..spec.specification import Specification
from .integers import exact_matmul
from .ramps import ramps as ideal_ramps
from .weights import Weights, checked_array


class Window(NamedTuple):
    """The pulses of one integrate window: clocks that each line of the boundary is driven, signed.

    Parameters
    ----------
    rows : int64 array, shape (batch, rows), or None
        Pulse codes of the rows; None if the conversion drives none.
    lines : int64 array, shape (batch, state_lines), or None
        Pulse codes of the wires of the lines; None if the conversion drives none.
    """

    rows: np.ndarray | None
    lines: np.ndarray | None = None


class Array(Protocol):
    """An array with its ramps and comparators. At the pins, clock by clock, it is ``crossramp.sim.Array``.

    Attributes
    ----------
    spec : Specification
    """

    spec: Specification

    def convert(self, windows: Sequence[Window], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One conversion of a step: the first after one window, the second after two.

        Parameters
        ----------
        windows : sequence of Window
            Those of the step so far, since a bank may hold what an earlier one has brought.
        numbers : int64 array, shape (batch,)
            How many conversions each array did before; what does not depend on it may ignore it.

        Returns
        -------
        macs : array, shape (batch, columns that the conversion latches)
            What the comparators saw: int64 MACs, or float64 where the array is a device instance.
        codes : int64 array of the same shape
            What the capture banks latched.
        """


class IdealArray:
    """Exact integers: z = Σ w·x, and ramps that are compared with it.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (rows, columns)
        Levels, within ±weight_max, zero where the cell has no memristors (``spec.placed``). Rows and columns: the
        groups and banks in their order.
    ramps : sequence of converters, or None
        What converts, in the order of ``spec.ramps``; None: the ideal ramps. :class:`~.ramps.WrittenRamp`, or anything
        with its ``convert``.
    lines : integer array, shape (trained line cells, units), or None
        Levels of the trained cells on lines, within ±weight_max; None where the cell has none.

    Raises
    ------
    InvalidValue
        For a wrong shape, a type that is not an integer, or a level out of range or where no memristor is.
    """

    def __init__(
        self,
        spec: Specification,
        weights: np.ndarray,
        ramps: Sequence | None = None,
        lines: np.ndarray | None = None,
    ):
        self.spec = spec
        self.weights = checked_array(spec, "macro", weights)
        self.lines = checked_array(spec, "lines", lines)
        self.line_levels = line_levels(spec, self.lines)
        self.ramps = ideal_ramps(spec) if ramps is None else list(ramps)
        #: Whether the ramps are those of the specification, which the fast path needs.
        self.has_ideal_ramps = ramps is None

    def convert(self, windows: Sequence[Window], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Array.convert`; ``macs`` are int64, and ``numbers`` are ignored."""
        number = len(windows) - 1
        macs = self.macs(windows)
        return macs, self.codes(macs, number)

    def macs(self, windows: Sequence[Window]) -> np.ndarray:
        """What the columns that the last conversion latches hold: int64, shape (batch, columns that it latches)."""
        spec, number = self.spec, len(windows) - 1
        latched = spec.converted(number)
        batch = len(next(values for values in windows[number] if values is not None))
        macs = np.zeros((batch, latched.stop - latched.start), np.int64)
        for columns, held in held_windows(spec, number):
            place = slice(columns.start - latched.start, columns.stop - latched.start)
            for index in held:
                if windows[index].rows is not None:
                    macs[:, place] += exact_matmul(windows[index].rows, self.weights[:, columns], spec.mac_max)
        for index, window in enumerate(windows):
            if window.lines is None:
                continue
            for cell in spec.line_cells:
                if cell.bank in spec.conversions[number] and index in spec.layout.windows(cell.bank, number):
                    start = spec.bank(cell.bank).start - latched.start
                    levels = self.line_levels[spec.line_cell(cell)]
                    macs[:, start : start + spec.units] += levels * window.lines[:, spec.wires_of(cell.line)]
        return macs

    def codes(self, macs: np.ndarray, number: int = 0) -> np.ndarray:
        """Codes of a conversion, each bank by its own ramp: int64, (..., columns that it latches)."""
        codes = np.empty_like(macs)
        for gate, place in latched_banks(self.spec, number).items():
            codes[..., place] = self.ramps[self.spec.ramp_of(gate)].convert(macs[..., place])
        return codes


def latched_banks(spec: Specification, number: int) -> dict[str, slice]:
    """The banks that a conversion latches, and where each stands among the columns that it latches."""
    start = spec.converted(number).start
    return {
        gate: slice(spec.bank(gate).start - start, spec.bank(gate).stop - start) for gate in spec.conversions[number]
    }


def held_windows(spec: Specification, number: int) -> list[tuple[slice, tuple[int, ...]]]:
    """Columns that a conversion latches, with the windows whose charge they hold; neighbors that agree in one slice."""
    found: list[tuple[slice, tuple[int, ...]]] = []
    for gate in spec.conversions[number]:
        bank, held = spec.bank(gate), spec.layout.windows(gate, number)
        if found and found[-1][1] == held:
            found[-1] = (slice(found[-1][0].start, bank.stop), held)
        else:
            found.append((bank, held))
    return found


def line_levels(spec: Specification, trained: np.ndarray | None) -> np.ndarray:
    """Weight levels of all cells on lines, int64, shape (line_cell_count,): constant ones, and those that are trained.

    Parameters
    ----------
    trained : int64 array, shape (trained line cells, units), or None
    """
    levels = np.empty(spec.line_cell_count, np.int64)
    rows = iter(()) if trained is None else iter(trained)
    for cell in spec.line_cells:
        levels[spec.line_cell(cell)] = next(rows) if cell.trained else spec.line_level(cell.line, False)
    return levels


def array_levels(spec: Specification, weights: Weights | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels of everything that an array holds: those that cross the banks, and those of all cells on lines.

    int64, shapes (rows, columns) and (line_cell_count,); raises what :class:`IdealArray` does.

    Parameters
    ----------
    weights : Weights, or integer array of shape (rows, columns)
        The array is enough where no line has trained cells.
    """
    macro, lines = (weights.macro, weights.lines) if isinstance(weights, Weights) else (weights, None)
    return checked_array(spec, "macro", macro), line_levels(spec, checked_array(spec, "lines", lines))


def step_window(spec: Specification, number: int, values: Mapping[str, np.ndarray]) -> Window:
    """The window of a conversion.

    Parameters
    ----------
    values : mapping
        Pulse codes by the names of what drives: integer arrays (..., inputs) of ``x``, (..., hidden) of h, (..., units)
        of other values.
    """
    cell = spec.layout
    shape = np.shape(values[INPUT])[:-1]
    rows = lines = None
    if cell.drives_rows(number):
        rows = np.zeros((*shape, spec.rows), np.int64)
        for group in cell.row_groups:
            if (driver := cell.driven_value(group, number)) is not None:
                part = spec.row_parts[group]
                codes = spec.input_max if group == BIAS else values[driver][..., part.start : part.stop]
                rows[..., spec.rows_of(group)] = codes
    if cell.drives_lines(number):
        lines = np.zeros((*shape, spec.state_lines), np.int64)
        for line in cell.lines:
            if (driver := cell.driven_value(line, number)) is not None:
                lines[..., spec.wires_of(line)] = values[driver]
    return Window(rows, lines)


def undriven(spec: Specification, number: int, batch: int) -> Window:
    """The window of a conversion in which nothing is driven, ``batch`` times."""
    drives, lines = spec.layout.drives_rows(number), spec.layout.drives_lines(number)
    return Window(
        np.zeros((batch, spec.rows), np.int64) if drives else None,
        np.zeros((batch, spec.state_lines), np.int64) if lines else None,
    )


def row_pulses(spec: Specification, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Pulse codes of all rows in the first conversion, int64, (..., rows), of x (..., inputs) and h (..., hidden)."""
    return step_window(spec, 0, {INPUT: x, spec.layout.output: h}).rows


def first_conversions(spec: Specification, batch: int, steps: int) -> np.ndarray:
    """Numbers of the first conversions of utterances that are played one after the other; int64, shape (batch,)."""
    return len(spec.conversions) * steps * np.arange(batch, dtype=np.int64)
