# SPDX-License-Identifier: Apache-2.0
"""A step of a cell in real numbers: its description evaluated without codes, pulses and rounding."""

from collections.abc import Callable, Mapping

import numpy as np

from .description import BIAS, LINE, Cell
from .expression import Expression, Name, Number, Product

#: A weight of a cell: the bank, and the group of rows or the line that it is on.
Place = tuple[str, str]

_ONE = np.float64(1)  # what drives the bias rows

#: Real values by their names; float64, shape (batch, units), of inputs (batch, inputs).
Values = dict[str, np.ndarray]


def trained_places(cell: Cell) -> tuple[Place, ...]:
    """Where a cell has trained weights: by bank, first its groups of rows, then its lines."""
    return tuple(
        (name, place)
        for name, bank in cell.banks.items()
        for place in (*bank.rows, *(line for line, trained in bank.lines.items() if trained))
    )


def codes_and_banks(cell: Cell) -> dict[str, str]:
    """Each code, and the bank whose columns give it."""
    return {code: bank for codes in cell.conversions for bank, code in codes.items()}


class RealCell:
    """A step of a cell in float64, vectorized over a batch.

    Units: a weight is what a row value of 1 adds to the pre-activation of a column; a constant cell of a line adds the
    value of the line itself.

    Parameters
    ----------
    cell : Cell
    weights : mapping
        For each of :func:`trained_places`: a matrix of shape (units, rows of the group), so that z = W·x; of the bias
        rows and of lines a vector of shape (units,). Those that are missing are zero.
    functions : mapping of callable
        By code: the activation, from pre-activations of any shape.
    limited : callable or None
        From the format of a value (``"fixed"``, ``"line"``, ``"row"``) and the value to what is kept of it; None: all.
    """

    def __init__(
        self,
        cell: Cell,
        weights: Mapping[Place, np.ndarray],
        functions: Mapping[str, Callable[[np.ndarray], np.ndarray]],
        limited: Callable[[str, np.ndarray], np.ndarray] | None = None,
    ):
        self.cell, self.weights, self.functions = cell, weights, functions
        self._limited = limited or (lambda form, value: value)

    def step(self, values: Values) -> tuple[Values, Values]:
        """One time step.

        Parameters
        ----------
        values : dict
            The inputs ``x``, and of the step before the output and, where the cell has one, the register.

        Returns
        -------
        values : dict
            The same with every code and every stored value of the step.
        charges : dict
            The pre-activation of each code.
        """
        cell, values, charges = self.cell, dict(values), {}
        if cell.line_value_is_state:
            values[cell.line_value] = self._limited(LINE, values[cell.register])
        driven: list[Values] = []
        for number, (conversion, stores) in enumerate(cell.steps):
            driven.append({p: _ONE if name == BIAS else values[name] for p, name in conversion.driven.items()})
            for bank, code in conversion.codes.items():
                charges[code] = self._charge(bank, [driven[k] for k in cell.windows(bank, number)])
                values[code] = self.functions[code](charges[code])
            for store in stores:
                values[store.name] = self._limited(cell.values[store.name], _value(store.expression, values))
        return values, charges

    def _charge(self, name: str, windows: list[Values]) -> np.ndarray:
        """The pre-activations of a bank: what rows and lines bring in the windows whose charge it holds."""
        bank, z = self.cell.banks[name], np.float64(0)
        for place, value in ((place, value) for driven in windows for place, value in driven.items()):
            weight = self.weights.get((name, place))
            if bank.lines.get(place) is False:
                z = z + value
            elif weight is not None:
                z = z + (value @ weight.T if weight.ndim == 2 else value * weight)
        return z


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
