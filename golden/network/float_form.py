# SPDX-License-Identifier: Apache-2.0
"""The real numbers that a specification's macro stands for: a cell without codes, pulses and rounding.

Units: x, h and other row values are 1 at full scale; a weight of the rectangle is what a full-scale row adds to the
pre-activation of a column. A constant cell of a line adds the value of the line itself.
"""

from collections.abc import Mapping

import numpy as np

from ..array.weights import Weights
from ..cell.description import BIAS, FIXED, INPUT, ROW
from ..cell.real_cell import RealCell, codes_and_banks
from ..common.errors import InvalidValue
from ..spec.specification import Specification


class FloatForm:
    """A step of a cell in float64, vectorized over a batch.

    Parameters
    ----------
    spec : Specification
        Of which the sizes, the cell and its activations count; limits of values where they saturate.
    macro : float array, shape (rows, columns)
        Zero where the cell has no memristors (``spec.placed``). :func:`rectangle` makes one.
    lines : float array, shape (trained line cells, units), or None
        Weights of the trained cells on lines, in the order of ``spec.layout.trained_line_cells``.
    projection : float array, shape (hidden, units), or None
    saturates : bool
        Whether values end where the hardware's do: activations at the ends of their ranges, rows and a projected h at
        ±1, a line at ``state_full_scale``, the register at ``state_limit``. Otherwise nothing ends.

    Raises
    ------
    InvalidValue
        For a wrong shape, or a weight where the cell has no memristor.
    """

    def __init__(self, spec: Specification, macro, lines=None, projection=None, *, saturates: bool = True):
        self.spec, self.saturates = spec, saturates
        self.macro = _shaped("weights", macro, (spec.rows, spec.columns))
        if (self.macro[~spec.placed] != 0).any():
            row, column = np.argwhere((self.macro != 0) & ~spec.placed)[0]
            raise InvalidValue(
                f"weights[{row}, {column}] is {self.macro[row, column]:.4g}, but the cell {spec.cell} has no memristor "
                "there; write 0"
            )
        self.lines = _shaped("line_weights", lines, (spec.trained_lines, spec.units) if spec.trained_lines else None)
        shape = (spec.hidden, spec.units) if spec.projection else None
        self.projection = _shaped("projection_weights", projection, shape)
        self._cell = RealCell(spec.layout, self._weights(), self._functions(), self._limited)

    @classmethod
    def of(cls, spec: Specification, weights: Weights) -> "FloatForm":
        """What the integers of a network stand for, with values that saturate."""
        macro = np.empty((spec.rows, spec.columns))
        for gate in spec.gate_names:
            macro[:, spec.bank(gate)] = weights.macro[:, spec.bank(gate)] * (spec.scale(gate) * spec.input_max)
        lines = None
        if spec.trained_lines:
            # A level against the levels of the constant cell, each in the scale of its bank.
            unit = spec.state_cell * spec.scale(spec.state_gate)
            cells = spec.layout.trained_line_cells
            scales = [spec.scale(cell.bank) / unit for cell in cells]
            lines = weights.lines * np.array(scales)[:, None]
        projection = None if weights.projection is None else weights.projection / 2.0**spec.projection_shift
        return cls(spec, macro, lines, projection)

    def start(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """(c, h) of a state reset: zeros, float64, shapes (batch, units) and (batch, hidden)."""
        return np.zeros((batch, self.spec.units)), np.zeros((batch, self.spec.hidden))

    def step(self, x: np.ndarray, c: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(c, h) after a time step.

        Parameters
        ----------
        x, c, h : float arrays, shapes (batch, inputs), (batch, units) and (batch, hidden)
            c is the register of the cell; it comes back as it is where the cell has none.
        """
        cell = self.spec.layout
        values = {INPUT: x, cell.output: h}
        if cell.register:
            values[cell.register] = c
        values, _ = self._cell.step(values)
        h = values[cell.output]
        if self.projection is not None:
            h = self._limited(ROW, h @ self.projection.T)
        return values.get(cell.register, c), h

    def run(self, x) -> np.ndarray:
        """h of every step of utterances of equal length, each from a state reset; float64, (batch, steps, hidden).

        Parameters
        ----------
        x : array, shape (batch, steps, inputs)
            Real inputs, 1 at full scale.
        """
        x = np.asarray(x, float)
        c, h = self.start(len(x))
        found = []
        for t in range(x.shape[1]):
            c, h = self.step(x[:, t], c, h)
            found.append(h)
        return np.stack(found, axis=1)

    def _weights(self) -> dict[tuple[str, str], np.ndarray]:
        """By bank and group or line, with the bias rows of a bank added up."""
        spec, cell = self.spec, self.spec.layout
        found = {}
        for gate, bank in cell.banks.items():
            for group in bank.rows:
                matrix = self.macro[spec.rows_of(group), spec.bank(gate)]
                found[gate, group] = matrix.sum(0) if group == BIAS else matrix.T
        for number, place in enumerate(cell.trained_line_cells):
            found[place.bank, place.line] = self.lines[number]
        return found

    def _functions(self) -> dict:
        activations = {code: self.spec.activation(bank) for code, bank in codes_and_banks(self.spec.layout).items()}
        return {code: one if self.saturates else one.function for code, one in activations.items()}

    def _limited(self, form: str, value: np.ndarray) -> np.ndarray:
        if not self.saturates:
            return value
        limit = 1.0
        if form != ROW:
            limit = self.spec.state_limit if form == FIXED else self.spec.state_full_scale
        return np.clip(value, -limit, limit)


def rectangle(spec: Specification, parts: Mapping[tuple[str, str], np.ndarray]) -> np.ndarray:
    """The real weights of the macro, float64, shape (rows, columns), from a matrix for each group of rows and bank.

    Parameters
    ----------
    parts : mapping
        By (bank, group): a matrix of shape (units, rows of the group), as torch has them, so that z = W·x; for the
        bias rows a vector of shape (units,), of which each row takes the same part. Those that are missing are zero.

    Raises
    ------
    InvalidValue
        For a pair that the cell lacks, a wrong shape, or a bias without bias rows.
    """
    macro = np.zeros((spec.rows, spec.columns))
    for (gate, group), values in parts.items():
        bank = spec.layout.banks.get(gate)
        if bank is None or group not in bank.rows:
            raise InvalidValue(f"the cell {spec.cell} has no weights of {group!r} on bank {gate!r}; leave them out")
        name = f"the part {group!r} of bank {gate}"
        rows = spec.rows_of(group)
        if group == BIAS:
            if spec.bias_rows == 0 and np.any(values):
                raise InvalidValue(f"{name} is given, but bias_rows is 0; give 1 or more")
            values = _shaped(name, values, (spec.units,))
            macro[rows, spec.bank(gate)] = values / max(spec.bias_rows, 1)
        else:
            macro[rows, spec.bank(gate)] = _shaped(name, values, (spec.units, rows.stop - rows.start)).T
    return macro


def _shaped(name: str, values, shape: tuple[int, ...] | None) -> np.ndarray | None:
    """``values`` as float64; InvalidValue for another shape, or for values that the cell lacks."""
    if (values is None) != (shape is None):
        raise InvalidValue(f"{name} are missing" if values is None else f"{name} are given, but the cell has none")
    if values is None:
        return None
    values = np.asarray(values, float)
    if values.shape != shape:
        raise InvalidValue(f"{name} has the shape {values.shape}; expected {shape}")
    return values
