# SPDX-License-Identifier: Apache-2.0
"""What every bench expects of the array behind the boundary: ``clock``, and optionally ``finish``."""

import operator
from collections.abc import Callable
from reprlib import repr as shortened
from typing import Protocol, runtime_checkable

import numpy as np
from crossramp.golden.common.errors import InvalidValue


class ArrayError(InvalidValue):
    """An object that stands behind the boundary lacks ``clock``, or gave an answer that does not fit."""


@runtime_checkable
class Array(Protocol):
    """An array behind the boundary. :class:`.python_array.ArrayModel` is one; any class with :meth:`clock` is another.

    One further method is optional. An array that has ``finish() -> list of Conversion`` records what it converted: each
    entry has the attributes ``state`` and ``macs`` of :class:`.python_array.Conversion`. ``finish`` ends the
    conversion under
    way and returns all of them, oldest first. :class:`.cocotb_bench.MacroBench` then compares the number of
    conversions with
    that of the steps, and its ``traces()`` have the MACs; its ``restart`` empties the list. Without ``finish``, or
    if it returns None, their ``macs`` are None.
    """

    def clock(self, pins) -> tuple[int, int]:
        """One clock: takes the periphery's outputs after the edge, gives (comparators, ready) until the next edge.

        Parameters
        ----------
        pins
            An object with the integer attributes of :class:`.python_array.Pins`.

        Returns
        -------
        comparators : int
            Bit c is column c; see :func:`.python_array.from_bits`. Any integer type serves.
        ready : int or bool
            0 makes the periphery wait.
        """


class CheckedArray:
    """An :class:`Array` whose answers are checked on every clock.

    Parameters
    ----------
    array : Array
    columns : int
        Comparators at the boundary.

    Raises
    ------
    ArrayError
        If the object has no method ``clock``.
    """

    def __init__(self, array: Array, columns: int):
        if isinstance(array, type):
            raise ArrayError(f"the array is the class {array.__name__}; give an instance of it")
        if not callable(getattr(array, "clock", None)):
            raise ArrayError(
                f"the array is a {type(array).__name__} without a method clock(pins) -> (comparators, ready); "
                "for weights give ArrayModel(spec, weights)"
            )
        self._array, self._columns = array, columns
        self._clock: Callable = array.clock
        self._name = type(array).__name__
        self._forgotten = 0

    def clock(self, pins) -> tuple[int, int]:
        """The array's answer, as two plain integers.

        Raises
        ------
        ArrayError
            If it is not a pair, the comparators are not an integer of ``columns`` bits, or ready is not 0 or 1.
        """
        answer = self._clock(pins)
        try:
            comparators, ready = answer
        except (TypeError, ValueError):
            raise self._wrong(f"returned {shortened(answer)}; expected the pair (comparators, ready)") from None
        try:
            bits = operator.index(comparators)
        except TypeError:
            raise self._wrong(
                f"gave {shortened(comparators)} ({type(comparators).__name__}) as comparators; expected an integer "
                "whose bit c is column c: crossramp.sim.from_bits(values) makes it of booleans"
            ) from None
        if bits < 0 or bits >> self._columns:
            raise self._wrong(
                f"gave comparators {bits:#x}, {bits.bit_length()} bits; expected 0 to 2**{self._columns} - 1 for "
                f"{self._columns} columns"
            )
        if not isinstance(ready, int | np.integer | np.bool_) or ready not in (0, 1):
            raise self._wrong(f"gave {shortened(ready)} as ready; expected 0 or 1")
        return bits, int(ready)

    def _wrong(self, what: str) -> ArrayError:
        return ArrayError(f"{self._name}.clock {what}")

    def conversions(self) -> list | None:
        """Conversions since the last :meth:`forget`; None where the array does not record them."""
        found = self._finished()
        try:
            return None if found is None else list(found)[self._forgotten :]
        except TypeError:
            raise ArrayError(
                f"{self._name}.finish returned {shortened(found)}; expected a list of Conversion"
            ) from None

    def _finished(self):
        finish = getattr(self._array, "finish", None)
        return finish() if callable(finish) else None

    def forget(self) -> None:
        """End the conversion under way, and leave it and all before it out of :meth:`conversions`."""
        found = self._finished()
        if isinstance(found, list):
            found.clear()
        self._forgotten = len(self.conversions() or ())

    def macs(self) -> np.ndarray | None:
        """What was held in the first conversion of each step, shape (steps, columns); None where it is not recorded.

        Raises
        ------
        ArrayError
            If a conversion lacks ``state`` or ``macs``, or has another number of MACs than there are columns.
        """
        found = self.conversions()
        if found is None:
            return None
        try:
            macs = [np.asarray(conversion.macs) for conversion in found if not conversion.state]
        except AttributeError as error:
            raise ArrayError(f"{self._name}.finish gave a conversion without an attribute: {error}") from None
        for one in macs:
            if one.shape != (self._columns,):
                raise ArrayError(f"{self._name}.finish gave MACs of shape {one.shape}; expected ({self._columns},)")
        return np.array(macs).reshape(-1, self._columns)
