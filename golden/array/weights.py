# SPDX-License-Identifier: Apache-2.0
"""What training finds, as one object: the integer arrays of macro, projection and head, and the initial state.

Their names in files, shapes, ranges and types stand in :data:`ARRAYS`; networks, model files, board images, sweeps and
training's export iterate over it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..common.errors import InvalidValue
from ..common.integer_arrays import checked_integers
from ..spec.specification import Specification


@dataclass(frozen=True)
class WeightArray:
    """One of the arrays.

    Attributes
    ----------
    field : str
        Of :class:`Weights`.
    name : str
        In files and in messages.
    dtype : numpy.dtype
        In files: the narrowest that holds every legal value.
    shape, limit : callable
        From a Specification to the array's shape, and to the largest magnitude.
    needs : str
        What networks with this array have, an attribute of the specification; empty: every network has it.
    needed : str
        That in words, after "the specification has".
    """

    field: str
    name: str
    dtype: np.dtype
    shape: Callable[[Specification], tuple[int, ...]]
    limit: Callable[[Specification], int]
    needs: str = ""
    needed: str = ""

    def present(self, spec: Specification) -> bool:
        """Whether networks of ``spec`` have it."""
        return not self.needs or bool(getattr(spec, self.needs))


ARRAYS = (
    WeightArray("macro", "weights", np.dtype("<i1"), lambda s: (s.rows, s.columns), lambda s: s.weight_max),
    WeightArray(
        "head",
        "head_weights",
        np.dtype("<i2"),
        lambda s: (s.classes, s.hidden),
        lambda s: s.head_weight_max,
        "classes",
        "a head of {} classes",
    ),
    WeightArray(
        "head_biases",
        "head_biases",
        np.dtype("<i4"),
        lambda s: (s.classes,),
        lambda s: s.head_bias_max,
        "classes",
        "a head of {} classes",
    ),
    WeightArray(
        "projection",
        "projection_weights",
        np.dtype("<i2"),
        lambda s: (s.projection, s.units),
        lambda s: s.head_weight_max,
        "digital_projection",
        "a digital projection to {}",
    ),
    WeightArray(
        "lines",
        "line_weights",
        np.dtype("<i1"),
        lambda s: (s.trained_lines, s.units),
        lambda s: s.weight_max,
        "trained_lines",
        "{} lines of trained cells",
    ),
    WeightArray(
        "initial_register",
        "initial_register",
        np.dtype("<i4"),
        lambda s: (s.units,),
        lambda s: s.state_max,
        "constant_register",
        "a constant initial state",
    ),
    WeightArray(
        "initial_h",
        "initial_h",
        np.dtype("<i1"),
        lambda s: (s.hidden,),
        lambda s: s.input_max,
        "constant_h",
        "a constant initial state",
    ),
)
"""Every array of a network, in the order of model files."""

_BY_FIELD = {array.field: array for array in ARRAYS}


@dataclass(frozen=True, eq=False)
class Weights:
    """The trained integers of one network.

    Attributes
    ----------
    macro : integer array, shape (rows, columns)
        Levels, within ±weight_max, zero where the cell has no memristors. Rows and columns: the groups and banks of the
        cell in their order; of an LSTM x, h and bias, and i, f, g and o.
    head : integer array, shape (classes, hidden), or None
        Within ±head_weight_max; None, as the biases, where the specification has no head.
    head_biases : integer array, shape (classes,), or None
        Within ±head_bias_max, in units of (head weight step) x (h step).
    projection : integer array, shape (hidden, units), or None
        Within ±head_weight_max; None where the specification has no digital projection.
    lines : integer array, shape (trained line cells, units), or None
        Levels of trained cells on lines (peepholes), within ±weight_max, in the order of ``spec.line_cells``; None
        where the cell has none.
    initial_register : integer array, shape (units,), or None
        The cell state that utterances start from, within ±state_max; None where the specification has no constant one.
    initial_h : integer array, shape (hidden,), or None
        The h that they start from, pulse codes within ±input_max; None likewise.
    """

    macro: np.ndarray
    head: np.ndarray | None = None
    head_biases: np.ndarray | None = None
    projection: np.ndarray | None = None
    lines: np.ndarray | None = None
    initial_register: np.ndarray | None = None
    initial_h: np.ndarray | None = None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Weights":
        """From arrays by their names in files; others are left out."""
        return cls(**{array.field: arrays[array.name] for array in ARRAYS if array.name in arrays})

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by their names in files, in the order of :data:`ARRAYS`; what the network lacks is left out."""
        found = {array.name: getattr(self, array.field) for array in ARRAYS}
        return {name: values for name, values in found.items() if values is not None}

    def replace(self, **changes) -> "Weights":
        """A copy with some arrays changed."""
        return replace(self, **changes)

    def checked(self, spec: Specification) -> "Weights":
        """The same as read-only int64 arrays.

        Raises
        ------
        InvalidValue
            For an array that is missing, or not of ``spec``; a wrong shape, a type that is not an integer, or a value
            out of range.
        """
        return Weights(
            **{array.field: checked_array(spec, array.field, getattr(self, array.field)) for array in ARRAYS}
        )


def checked_array(spec: Specification, field: str, values) -> np.ndarray | None:
    """One array as read-only int64, None where ``spec`` has no such array; raises what :meth:`Weights.checked` does.

    Parameters
    ----------
    field : str
        Of :class:`Weights`.
    """
    array = _BY_FIELD[field]
    if not array.present(spec):
        if values is not None:
            without = array.needs.replace("_", " ")
            raise InvalidValue(f"{array.name} are given, but the specification has no {without}; leave them out")
        return None
    if values is None:
        needed = array.needed.format(getattr(spec, array.needs)) if array.needs else "them"
        raise InvalidValue(f"{array.name} are missing: the specification has {needed}")
    values = checked_integers(array.name, values, array.shape(spec), array.limit(spec))
    if field == "macro" and values[~spec.placed].any():
        row, column = np.argwhere((values != 0) & ~spec.placed)[0]
        raise InvalidValue(
            f"weights[{row}, {column}] is {values[row, column]}, but the cell {spec.cell} has no memristor there: row "
            f"{row} does not cross column {spec.column_name(column)}; write 0"
        )
    values.setflags(write=False)
    return values
