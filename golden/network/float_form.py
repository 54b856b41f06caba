# SPDX-License-Identifier: Apache-2.0
"""A cell in real numbers: its description evaluated without codes, pulses and rounding; and where torch's weights go.

Units: x, h and other row values are 1 at full scale; a weight of the rectangle is what a full-scale row adds to the
pre-activation of a column. A constant cell of a line adds the value of the line itself.
"""

from collections.abc import Mapping

import numpy as np

from ..array.weights import Weights
from ..cell.description import BIAS, FIXED, INPUT, LINE, ROW
from ..cell.expression import Expression, Name, Number, Product
from ..common.errors import InvalidValue
from ..spec.specification import Specification

#: Of the layers of torch.nn: for each of their gates, in torch's order, the bank of its weight_ih and bias_ih, and that
#: of its weight_hh and bias_hh.
TORCH_GATES = {
    "lstm": (("i", "i"), ("f", "f"), ("g", "g"), ("o", "o")),
    "gru_reset_after": (("r", "r"), ("z", "z"), ("n", "m")),
    "rnn_tanh": (("a", "a"),),
    "rnn_relu": (("a", "a"),),
}


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
        spec, cell = self.spec, self.spec.layout
        values = {INPUT: x, cell.output: h, BIAS: np.ones((len(x), spec.bias_rows))}
        if cell.register:
            values[cell.register] = c
        if cell.line_value_is_state:
            values[cell.line_value] = self._limited(LINE, c)
        driven = []
        for number, (conversion, stores) in enumerate(cell.steps):
            driven.append({group: values[driver] for group, driver in conversion.driven.items()})
            for gate, code in conversion.codes.items():
                z = self._charge(gate, [driven[k] for k in cell.windows(gate, number)], len(x))
                activation = spec.activation(gate)
                values[code] = activation(z) if self.saturates else activation.function(z)
            for store in stores:
                values[store.name] = self._limited(cell.values[store.name], _value(store.expression, values))
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

    def _charge(self, gate: str, windows: list[Mapping[str, np.ndarray]], batch: int) -> np.ndarray:
        """The pre-activations of a bank: what rows and lines bring in the windows whose charge it holds."""
        spec, cell = self.spec, self.spec.layout
        z = np.zeros((batch, spec.units))
        for driven in windows:
            for group in cell.banks[gate].rows:
                if group in driven:
                    z += driven[group] @ self.macro[spec.rows_of(group), spec.bank(gate)]
            for place in cell.line_cells:
                if place.bank == gate and place.line in driven:
                    weight = self.lines[cell.trained_line_cells.index(place)] if place.trained else 1.0
                    z += weight * driven[place.line]
        return z

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
        By (group, bank): a matrix of shape (units, rows of the group), as torch has them, so that z = W·x; for the
        bias rows a vector of shape (units,), of which each row takes the same part. Those that are missing are zero.

    Raises
    ------
    InvalidValue
        For a pair that the cell lacks, a wrong shape, or a bias without bias rows.
    """
    macro = np.zeros((spec.rows, spec.columns))
    for (group, gate), values in parts.items():
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


def torch_rectangle(spec: Specification, weight_ih, weight_hh, bias_ih=None, bias_hh=None) -> np.ndarray:
    """:func:`rectangle` of a layer of torch.nn.LSTM, GRU or RNN, from its arrays.

    Torch's gates are i, f, g, o of an LSTM and r, z, n of a GRU, whose b_hn and W_hn go to bank m: that GRU is the
    cell ``gru_reset_after``. Both biases of a bank add up.

    Parameters
    ----------
    weight_ih, weight_hh : arrays, shapes (gates · units, inputs) and (gates · units, hidden)
    bias_ih, bias_hh : arrays, shape (gates · units,), or None
        None: zero.

    Raises
    ------
    InvalidValue
        For a cell that torch.nn lacks, or what :func:`rectangle` refuses.
    """
    gates = TORCH_GATES.get(spec.cell)
    if gates is None:
        raise InvalidValue(f"torch.nn has no layer for the cell {spec.cell}; it has: {', '.join(TORCH_GATES)}")
    parts: dict[tuple[str, str], np.ndarray] = {}
    for group, weight, bias, side in ((INPUT, weight_ih, bias_ih, 0), (spec.layout.output, weight_hh, bias_hh, 1)):
        weights = np.split(np.asarray(weight, float), len(gates))
        biases = [0.0] * len(gates) if bias is None else np.split(np.asarray(bias, float), len(gates))
        for banks, own, own_bias in zip(gates, weights, biases, strict=True):
            parts[group, banks[side]] = own
            if bias is not None:
                place = (BIAS, banks[side])
                parts[place] = parts.get(place, 0) + own_bias
    return rectangle(spec, parts)


def _value(expression: Expression, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """An expression in real numbers."""
    if isinstance(expression, Name):
        return values[expression.name]
    if isinstance(expression, Number):
        return np.float64(expression.value)
    left, right = _value(expression.left, values), _value(expression.right, values)
    if isinstance(expression, Product):
        return left * right
    return left - right if expression.negative else left + right


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
