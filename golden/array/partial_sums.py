# SPDX-License-Identifier: Apache-2.0
"""Rows in several arrays with integrators of their own: partial sums that return as pulses on lines.

Where columns of several crossbars cannot be joined (``spec.row_tiles``), each array but the last converts what its own
rows bring to a column by a linear ramp of ``bits`` bits. The code drives a line with a cell of ``levels`` weight levels
on the same column of the last array, which adds it to its own sum and converts with the gate's ramp::

    code = #{k : z > levels * (2k - 2**bits)},  k = 1 .. 2**bits - 1      (mid-rise)
    pulse = 2 * code + 1 - 2**bits                                        ("append a one": clocks, with its sign)
    z of the column = its own sum + levels * pulse of each other array

The pulse is the decoded code itself, so nothing is rounded but in the ramp: within ±levels * 2**bits a partial sum
returns within ±levels MAC units, and beyond it saturates. This is the arithmetic alone: no gateware drives such lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..common.checks import integer
from ..common.errors import InvalidValue
from ..spec.specification import Specification
from .array_protocol import IdealArray, Window, held_windows
from .integers import exact_matmul
from .weights import Weights


@dataclass(frozen=True)
class LinearRamp:
    """The conversion of a partial sum and its way back.

    Parameters
    ----------
    bits : int
        Of the ramp, 2 to 9.
    levels : int
        Weight levels of a line's cell, 1 or more: half of a code in MAC units.
    """

    bits: int
    levels: int

    def __post_init__(self):
        object.__setattr__(self, "bits", integer("bits", self.bits, 2, 9))
        object.__setattr__(self, "levels", integer("levels", self.levels, 1, 127))

    @property
    def pulse_max(self) -> int:
        """Clocks of the longest pulse, and ticks of the ramp: 2**bits - 1."""
        return (1 << self.bits) - 1

    @property
    def reach(self) -> int:
        """The largest partial sum that returns within ±levels, in MAC units."""
        return self.levels << self.bits

    def pulses(self, sums: np.ndarray) -> np.ndarray:
        """Signed clocks that drive the lines for partial ``sums``, int64."""
        step = 2 * self.levels
        codes = np.clip(-(-(np.asarray(sums, np.int64) + self.reach) // step) - 1, 0, self.pulse_max)
        return 2 * codes - self.pulse_max

    def returned(self, sums: np.ndarray) -> np.ndarray:
        """What the lines bring to the columns for partial ``sums``; MAC units, int64."""
        return self.levels * self.pulses(sums)

    @classmethod
    def reaching(cls, bits: int, largest: int, spec: Specification) -> "LinearRamp":
        """The finest ramp of ``bits`` that reaches ``largest`` MAC units, as far as a cell's levels do."""
        return cls(bits, min(max(-(-largest // (1 << bits)), 1), spec.weight_max))


class PartialSums(IdealArray):
    """The ideal arrays of row tiles whose columns are not joined, as one array.

    Parameters
    ----------
    spec : Specification
        With ``tile_rows``; the last of ``spec.row_tiles`` is the array with the gates' ramps.
    weights : Weights
    ramp : LinearRamp
        Of all other arrays.

    Raises
    ------
    InvalidValue
        For rows that are in one array, or a cell of more levels than a weight has.
    """

    def __init__(self, spec: Specification, weights: Weights, ramp: LinearRamp):
        super().__init__(spec, weights.macro, lines=weights.lines)
        if len(spec.row_tiles) == 1:
            raise InvalidValue(f"tile_rows is {spec.tile_rows}, so all {spec.rows} rows are in one array; set it below")
        if ramp.levels > spec.weight_max:
            raise InvalidValue(f"levels is {ramp.levels}; a cell has 1 to {spec.weight_max}")
        self.ramp = ramp
        self.has_ideal_ramps = False  # the fast path knows no partial sums

    def partial_sums(self, windows: Sequence[Window]) -> list[np.ndarray]:
        """What the rows of each array but the last bring in the last window; int64, (batch, columns) each."""
        rows = windows[-1].rows
        if rows is None:
            return []
        return [exact_matmul(rows[:, part], self.weights[part], self.spec.mac_max) for part in self.spec.row_tiles[:-1]]

    def macs(self, windows: Sequence[Window]) -> np.ndarray:
        """What the last array's columns hold: :meth:`.IdealArray.macs` with the partial sums as they return."""
        macs, number = super().macs(windows), len(windows) - 1
        start = self.spec.converted(number).start
        for columns, held in held_windows(self.spec, number):
            place = slice(columns.start - start, columns.stop - start)
            for index in held:
                for sums, crossed in zip(self.partial_sums(windows[: index + 1]), self._crossed[index], strict=False):
                    own = sums[:, columns]
                    macs[:, place] += np.where(crossed[columns], self.ramp.returned(own) - own, 0)
        return macs

    @cached_property
    def _crossed(self) -> list[list[np.ndarray]]:
        """For each window and array the columns with memristors on driven rows there, which have a line; bool."""
        spec, cell = self.spec, self.spec.layout
        found = []
        for number in range(len(cell.conversions)):
            driven = np.zeros((spec.rows, 1), bool)
            for group in cell.row_groups:
                driven[spec.rows_of(group)] = cell.driven_value(group, number) is not None
            found.append([(spec.placed & driven)[part].any(axis=0) for part in spec.row_tiles[:-1]])
        return found


def partial_sum_clocks(spec: Specification, ramp: LinearRamp) -> int:
    """Analog-bound clocks of a step whose partial sums return within it: one more ramp and window for windows of rows.

    Where all rows outside the last array are inputs, their sums may be made one step ahead instead; then a window with
    such lines is as long as its longest pulse (:func:`ahead_clocks`).
    """
    driven = sum(spec.layout.drives_rows(k) for k in range(len(spec.conversions)))
    return spec.analog_clocks_per_step + 2 * ramp.pulse_max * driven


def ahead_clocks(spec: Specification, ramp: LinearRamp) -> int:
    """Analog-bound clocks of a step that takes the partial sums of its inputs from arrays that are one step ahead."""
    first = spec.windows[0]
    return spec.analog_clocks_per_step - first + max(first, ramp.pulse_max)
