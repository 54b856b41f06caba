# SPDX-License-Identifier: Apache-2.0
"""What stands behind the boundary, one conversion at a time: the protocol, and the array of exact integers.

An array takes the pulses of one conversion and gives what its comparators saw and the codes that they latched.
:class:`~.lstm.Lstm` runs on any of them: :class:`IdealArray` with ideal or written ramps, a device instance
(:class:`crossramp.golden.analog.conversion.device_array.DeviceArray`), recorded comparators
(:class:`crossramp.sim.checking.recorded_array.RecordedArray`), or an array model that is driven clock by clock
(:class:`crossramp.sim.array.boundary_sequence.DrivenArray`).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..spec.specification import Specification
from .integers import exact_matmul
from .ramps import ramps as ideal_ramps
from .weights import checked_array


class Array(Protocol):
    """An array with its ramps and comparators. At the pins, clock by clock, it is ``crossramp.sim.Array``.

    Attributes
    ----------
    spec : Specification
    """

    spec: Specification

    def convert(self, pulses: np.ndarray, numbers: np.ndarray, second: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """One conversion of a step.

        Parameters
        ----------
        pulses : integer array, shape (batch, rows), or (batch, units) in the second conversion
            Clocks that each line is driven, signed: pulse codes.
        numbers : int64 array, shape (batch,)
            How many conversions each array did before; what does not depend on it may ignore it.
        second : bool
            Whether it is the second conversion of a step, of c through the state cells.

        Returns
        -------
        macs : array
            What the comparators saw, shape (batch, columns), or (batch, units) in the second conversion: int64 MACs, or
            float64 where the array is a device instance.
        codes : int64 array of the same shape
            What the capture banks latched.
        """


class IdealArray:
    """Exact integers: z = Σ w·x, and ramps that are compared with it.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (rows, columns)
        Levels, within ±weight_max. Rows: x, then h, then bias. Columns: the banks in their order.
    ramps : sequence of converters, or None
        What converts, in the order of ``spec.ramps``; None: the ideal ramps. :class:`~.ramps.WrittenRamp`, or anything
        with its ``convert``.

    Raises
    ------
    InvalidValue
        For a wrong shape, a type that is not an integer, or a level out of range.
    """

    def __init__(self, spec: Specification, weights: np.ndarray, ramps: Sequence | None = None):
        self.spec = spec
        self.weights = checked_array(spec, "macro", weights)
        self.ramps = ideal_ramps(spec) if ramps is None else list(ramps)
        #: Whether the ramps are those of the specification, which the fast path needs.
        self.has_ideal_ramps = ramps is None

    def convert(self, pulses: np.ndarray, numbers: np.ndarray, second: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Array.convert`; ``macs`` are int64, and ``numbers`` are ignored."""
        spec = self.spec
        if second:
            macs = spec.state_cell * pulses
            return macs, self.ramps[spec.ramp_of(spec.state_gate)].convert(macs)
        macs = exact_matmul(pulses, self.weights, spec.rows * spec.weight_max * spec.input_max)
        return macs, self.codes(macs)

    def codes(self, macs: np.ndarray) -> np.ndarray:
        """Codes of the first conversion, each bank by its own ramp: int64, shape of ``macs``, (..., columns)."""
        codes = np.empty_like(macs)
        for gate in self.spec.conversions[0]:
            bank = self.spec.bank(gate)
            codes[..., bank] = self.ramps[self.spec.ramp_of(gate)].convert(macs[..., bank])
        return codes


def row_pulses(spec: Specification, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Pulse codes of all rows, int64, shape (..., rows), of x (..., inputs) and of h (..., hidden)."""
    pulses = np.full((*np.shape(x)[:-1], spec.rows), spec.input_max, np.int64)
    pulses[..., : spec.inputs] = x
    pulses[..., spec.inputs : spec.inputs + spec.hidden] = h
    return pulses


def first_conversions(spec: Specification, batch: int, steps: int) -> np.ndarray:
    """Numbers of the first conversions of utterances that are played one after the other; int64, shape (batch,)."""
    return len(spec.conversions) * steps * np.arange(batch, dtype=np.int64)
