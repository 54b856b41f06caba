# SPDX-License-Identifier: Apache-2.0
"""One layer of a trained network in one direction, in real numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from crossramp.golden.cell.description import BIAS, INPUT, ROW, Cell
from crossramp.golden.cell.expression import Name
from crossramp.golden.cell.library import CELLS
from crossramp.golden.cell.real_cell import Place, RealCell, Values, codes_and_banks, trained_places
from crossramp.golden.common.checks import real
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.activations import activation


class LayerTrace(NamedTuple):
    """What a layer computed; float64, all in the order of the steps of x, and 0 beyond the end of an utterance.

    Parameters
    ----------
    h : array, shape (batch, steps, hidden)
        What leaves the layer: with a projection, the projected h.
    values : dict of array, shape (batch, steps, units)
        By its name every code and every stored value of the cell.
    charges : dict of array, shape (batch, steps, units)
        By the name of its code every pre-activation, before clipping.
    """

    h: np.ndarray
    values: Values
    charges: Values


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One direction of a layer.

    Units: those of the trained network; a weight is what an input of 1 adds to a pre-activation.

    Parameters
    ----------
    cell : str
        A name of :data:`crossramp.golden.cell.library.CELLS`.
    weights : mapping
        By (bank, group of rows or line), with the names of the cell: of ``"x"``, of the output ``"h"`` and of other
        row values a matrix, shape (units, width of the group), so that z = W·x; of ``"1"``, the bias, and of lines a
        vector, shape (units,). A bias may be missing and is then zero. Kept as read-only float64 arrays.
    activations : mapping of str
        By bank: the name of an activation, as in specifications. Its range counts in hardware alone: here nothing
        saturates. Banks that are missing have the cell's own.
    projection : array, shape (hidden, units), or None
        h = projection · (output of the cell).
    reverse : bool
        Whether the layer goes through an utterance from its end. Its outputs are in the order of the inputs.
    initial_register, initial_h : array, shapes (units,) and (hidden,), or None
        What every utterance starts from; None: zero. The register is c of an LSTM and s of a GRU. Of a cell whose
        output is its register, as a GRU's, one of both suffices.
    clip : mapping of float
        By code: pre-activations are clipped to ± this before the activation. Codes that are missing are not.
    name : str
        What errors and reports call the layer: the name of its node or module.

    Raises
    ------
    InvalidValue
        For an unknown cell or activation, weights that the cell lacks or has besides, a wrong shape, no units or
        inputs, and values that are not finite; the message begins with the name.
    """

    cell: str
    weights: Mapping[Place, np.ndarray]
    activations: Mapping[str, str] = field(default_factory=dict)
    projection: np.ndarray | None = None
    reverse: bool = False
    initial_register: np.ndarray | None = None
    initial_h: np.ndarray | None = None
    clip: Mapping[str, float] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self):
        if self.cell not in CELLS:
            raise InvalidValue(f"{self.title}: unknown cell {self.cell!r}; known: {', '.join(CELLS)}")
        object.__setattr__(self, "weights", self._checked_weights())
        object.__setattr__(self, "activations", self._checked_activations())
        if self.projection is not None:
            object.__setattr__(self, "projection", self._array("projection", self.projection, (None, self.units)))
        self._check_start()
        for code, limit in self.clip.items():
            if code not in self.description.code_names:
                known = ", ".join(self.description.code_names)
                raise InvalidValue(f"{self.title}: clip has the code {code!r}; those of the cell {self.cell}: {known}")
            if not (real(limit) or 0) > 0 or not np.isfinite(limit):
                raise InvalidValue(f"{self.title}: clip of {code} is {limit!r}; expected a number above 0")

    # ---- sizes ------------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """What errors call the layer."""
        return f"layer {self.name!r}" if self.name else f"a layer of the cell {self.cell}"

    @property
    def description(self) -> Cell:
        """The cell."""
        return CELLS[self.cell]

    @property
    def inputs(self) -> int:
        """Width of x."""
        return next(array.shape[1] for (_, place), array in self.weights.items() if place == INPUT)

    @property
    def units(self) -> int:
        """Units of the cell."""
        return len(next(iter(self.weights.values())))

    @property
    def hidden(self) -> int:
        """Width of h, as it leaves the layer."""
        return self.units if self.projection is None else len(self.projection)

    # ---- running ----------------------------------------------------------------------------------------------------

    def run(self, x, lengths=None) -> np.ndarray:
        """h of every step: :attr:`LayerTrace.h` of :meth:`trace`."""
        return self.trace(x, lengths).h

    def trace(self, x, lengths=None) -> LayerTrace:
        """All values of every step, each utterance from the initial state.

        Parameters
        ----------
        x : array, shape (batch, steps, inputs)
        lengths : array of int, shape (batch,), or None
            Steps of each utterance, 1 to ``steps``; None: all.

        Raises
        ------
        InvalidValue
            From :func:`checked_batch`.
        """
        x, lengths = checked_batch(x, lengths, self.inputs)
        order = _order(lengths, x.shape[1], self.reverse)
        x = np.take_along_axis(x, order[..., None], axis=1)
        cell, output = self._cell, self.description.output
        values = self._start(len(x))
        steps = []
        for t in range(x.shape[1]):
            values, charges = cell.step({**values, INPUT: x[:, t]})
            h = values[output] if self.projection is None else values[output] @ self.projection.T
            steps.append((h, values, charges))
            values = {**values, output: h}
        valid = (np.arange(x.shape[1]) < lengths[:, None])[..., None]

        def arranged(of: Callable) -> np.ndarray:
            # The order is its own inverse.
            return np.take_along_axis(np.stack([of(step) for step in steps], 1) * valid, order[..., None], axis=1)

        named = [name for name in steps[0][1] if name != INPUT]
        return LayerTrace(
            arranged(lambda step: step[0]),
            {name: arranged(lambda step, name=name: step[1][name]) for name in named},
            {code: arranged(lambda step, code=code: step[2][code]) for code in steps[0][2]},
        )

    def last(self, array: np.ndarray, lengths=None) -> np.ndarray:
        """What the last step that the layer took has in ``array``, shape (batch, steps, any): (batch, any)."""
        batch, steps = array.shape[:2]
        lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths)
        return array[:, 0] if self.reverse else array[np.arange(batch), lengths - 1]

    @cached_property
    def _cell(self) -> RealCell:
        functions = {}
        for code, bank in codes_and_banks(self.description).items():
            functions[code] = partial(_clipped, activation(self.activations[bank]).function, self.clip.get(code))
        return RealCell(self.description, self.weights, functions)

    def _start(self, batch: int) -> Values:
        """Register and h of a state reset."""
        values = {self.description.output: _rows(self.initial_h, self.hidden, batch)}
        if register := self.description.register:
            values[register] = _rows(self.initial_register, self.units, batch)
        return values

    # ---- checks -----------------------------------------------------------------------------------------------------

    def _checked_weights(self) -> dict[Place, np.ndarray]:
        places = trained_places(self.description)
        for place in self.weights:
            if place not in places:
                raise InvalidValue(
                    f"{self.title}: weights of {place!r}, which the cell {self.cell} lacks; it has: "
                    f"{', '.join(f'{bank} {group}' for bank, group in places)}"
                )
        found = {}
        units = inputs = None
        for bank, group in places:
            what = f"weights of {group} on bank {bank}"
            array = self.weights.get((bank, group))
            if array is None and group != BIAS:
                raise InvalidValue(f"{self.title}: {what} are missing")
            if array is None:
                array = np.zeros(units)  # rows stand before it
            matrix = group == INPUT or self.description.values.get(group) == ROW
            array = self._array(what, array, (units, inputs if group == INPUT else None) if matrix else (units,))
            units, inputs = len(array), array.shape[1] if group == INPUT else inputs
            found[bank, group] = array
        self._check_rows(found, units)
        return found

    def _check_rows(self, weights: Mapping[Place, np.ndarray], units: int):
        """Matrices of the output have the width of h, those of inner row values that of the units."""
        hidden = units if self.projection is None else len(np.asarray(self.projection))
        for (bank, group), array in weights.items():
            width = {INPUT: None, self.description.output: hidden}.get(group, units)
            if array.ndim == 2 and width is not None and array.shape[1] != width:
                raise InvalidValue(
                    f"{self.title}: weights of {group} on bank {bank} have the shape {array.shape}; "
                    f"expected {(units, width)}"
                )

    def _checked_activations(self) -> dict[str, str]:
        banks = self.description.banks
        for bank in self.activations:
            if bank not in banks:
                raise InvalidValue(f"{self.title}: activation of bank {bank!r}; the banks: {', '.join(banks)}")
        found = {bank: banks[bank].gate.activation for bank in banks} | dict(self.activations)
        for bank, text in found.items():
            try:
                activation(text)
            except InvalidValue as error:
                raise InvalidValue(f"{self.title}: bank {bank}: {error}") from None
        return found

    def _check_start(self):
        for name, width in (("initial_register", self.units), ("initial_h", self.hidden)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, self._array(name, value, (width,)))
        cell = self.description
        if cell.register is None and self.initial_register is not None:
            raise InvalidValue(f"{self.title}: initial_register is given, but the cell {self.cell} has no register")
        if self.initial_h is not None and not cell.has_state:
            raise InvalidValue(f"{self.title}: initial_h is given, but the cell {self.cell} keeps nothing")
        stores = [store for store in cell.stores[-1] if store.name == cell.output]
        if cell.register and stores[0].expression == Name(cell.register) and self.projection is None:
            h, register = self.initial_h, self.initial_register
            if h is not None and register is not None and not np.array_equal(h, register):
                raise InvalidValue(f"{self.title}: initial_register and initial_h differ, but h is the register")
            object.__setattr__(self, "initial_h", register if h is None else h)
            object.__setattr__(self, "initial_register", register if h is None else h)

    def _array(self, what: str, values, shape: tuple[int | None, ...]) -> np.ndarray:
        """``values`` as a read-only float64 array; None in the shape is any length but 0."""
        try:
            array = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise InvalidValue(f"{self.title}: {what} are not an array of numbers") from None
        wrong = array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if wrong or array.size == 0:
            expected = ", ".join("any" if n is None else str(n) for n in shape)
            raise InvalidValue(f"{self.title}: {what} have the shape {array.shape}; expected ({expected}), not empty")
        if not np.isfinite(array).all():
            at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
            raise InvalidValue(f"{self.title}: {what} hold {array[at]} at {at}; export finite weights")
        array.setflags(write=False)
        return array


def checked_batch(x, lengths, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """x as float64, shape (batch, steps, inputs), and the steps of each utterance as int64, shape (batch,).

    Raises
    ------
    InvalidValue
        For another shape, values that are not finite, and lengths beyond 1 to steps.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 3 or x.shape[2] != inputs or 0 in x.shape:
        raise InvalidValue(f"x has the shape {x.shape}; expected (batch, steps, {inputs}), not empty")
    if not np.isfinite(x).all():
        raise InvalidValue(f"x holds {x[~np.isfinite(x)][0]}; expected finite numbers")
    batch, steps = x.shape[:2]
    if lengths is None:
        return x, np.full(batch, steps)
    lengths = np.asarray(lengths)
    if lengths.shape != (batch,) or lengths.dtype.kind not in "iu":
        raise InvalidValue(f"lengths are {lengths.dtype} of the shape {lengths.shape}; expected integers, ({batch},)")
    if lengths.min() < 1 or lengths.max() > steps:
        raise InvalidValue(f"lengths are {lengths.min()} to {lengths.max()}; allowed: 1 to {steps}, the steps of x")
    return x, lengths.astype(np.int64)


def _order(lengths: np.ndarray, steps: int, reverse: bool) -> np.ndarray:
    """The step of x that a layer takes at each of its steps; shape (batch, steps). Padding stays where it is."""
    t = np.broadcast_to(np.arange(steps), (len(lengths), steps))
    return np.where(t < lengths[:, None], lengths[:, None] - 1 - t, t) if reverse else t


def _rows(vector: np.ndarray | None, width: int, batch: int) -> np.ndarray:
    return np.zeros((batch, width)) if vector is None else np.broadcast_to(vector, (batch, width))


def _clipped(function: Callable, limit: float | None, z: np.ndarray) -> np.ndarray:
    return function(z if limit is None else np.clip(z, -limit, limit))
