# SPDX-License-Identifier: Apache-2.0
"""What an array is programmed with: weights, state, ramp and calibration cells; in integers or conductances."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from crossramp.golden.lstm import checked_integers
from crossramp.golden.ramp import ramps
from crossramp.golden.specification import Specification

#: Files that :meth:`Programming.write` makes, by the array they hold.
FILES = ("weights", "state_cells", "ramp_start", "ramp_steps", "calibration_cells")

#: Conductance of one weight level in the real-valued programming, in siemens.
LEVEL_SIEMENS = 10e-6


class ProgrammingError(ValueError):
    """An array of the programming has a wrong shape or type; the message quotes both."""


@dataclass(frozen=True, eq=False)
class Programming:
    """The content of one array: what :class:`.array.ArrayModel` and ``crossbar.sv`` are programmed with.

    All arrays are int64 in MAC units (one weight level for one clock), or all are float64 in siemens x clocks.

    Parameters
    ----------
    spec : Specification
    weights : shape (rows, columns)
        What one clock of a positive pulse on a row adds to each column's integrator.
    state_cells : shape (units,)
        What one clock of a positive state pulse adds to the unit's column of bank g.
    ramp_start : shape (ramps,)
        The level of each ramp after ``ramp_reset``, before the first tick.
    ramp_steps : shape (ramps, ticks)
        What each tap adds to its ramp. A comparator is high while its column's value exceeds the ramp's level.
    calibration_cells : shape (ramps, calibration_cells)
        What each selected bias cell adds to the ramp's start while ``ramp_reset`` is high.

    Raises
    ------
    ProgrammingError
        For a wrong shape or a mixture of types.
    """

    spec: Specification
    weights: np.ndarray
    state_cells: np.ndarray
    ramp_start: np.ndarray
    ramp_steps: np.ndarray
    calibration_cells: np.ndarray

    def __post_init__(self):
        spec, count = self.spec, len(self.spec.ramps)
        shapes = {
            "weights": (spec.rows, spec.columns),
            "state_cells": (spec.units,),
            "ramp_start": (count,),
            "ramp_steps": (count, spec.ticks),
            "calibration_cells": (count, spec.calibration_cells),
        }
        real = np.asarray(self.weights).dtype.kind == "f"
        for name, shape in shapes.items():
            values = np.asarray(getattr(self, name))
            if values.shape != shape:
                raise ProgrammingError(f"{name} has the shape {values.shape}; expected {shape}")
            if values.dtype.kind not in ("f" if real else "iu"):
                expected = "floats, as weights does" if real else "integers, as weights does"
                raise ProgrammingError(f"{name} holds {values.dtype}; expected {expected}")
            object.__setattr__(self, name, values.astype(np.float64 if real else np.int64))

    @property
    def real(self) -> bool:
        """Whether the values are conductances (float64), not levels (int64)."""
        return self.weights.dtype.kind == "f"

    @classmethod
    def ideal(cls, spec: Specification, weights: np.ndarray, calibration_cells=None) -> "Programming":
        """The integer-ideal array: converts exactly as the golden model.

        Parameters
        ----------
        weights : integer array, shape (rows, columns)
            Within ±weight_max.
        calibration_cells : integer array, shape (ramps, calibration_cells), or None
            In MAC units; None: cells that add nothing.
        """
        weights = checked_integers("weights", weights, (spec.rows, spec.columns), spec.weight_max)
        # One below every MAC: before the first tick each comparator is high.
        start = -(spec.mac_max + 1)
        floors = np.stack([ramp.clipped_floors(spec.mac_max) for ramp in ramps(spec)])
        if calibration_cells is None:
            calibration_cells = np.zeros((len(floors), spec.calibration_cells), np.int64)
        return cls(
            spec,
            weights,
            np.full(spec.units, spec.state_cell, np.int64),
            np.full(len(floors), start, np.int64),
            np.diff(floors, axis=1, prepend=start),
            np.asarray(calibration_cells),
        )

    def as_conductances(self, level: float = LEVEL_SIEMENS) -> "Programming":
        """The same array in siemens, ``level`` for one weight level; ideal values give the codes of the integers.

        The ramps gain half a level, the ½ of the contract's thresholds, so that no rounding of a sum can reach one.
        """
        scaled = {name: getattr(self, name) * level for name in FILES}
        scaled["ramp_start"] = (self.ramp_start + 0.5) * level
        return Programming(self.spec, **scaled)

    def replace(self, **changes) -> "Programming":
        """A copy with some arrays changed, checked anew: one other device instance, or a planted fault."""
        return replace(self, **changes)

    def write(self, folder: Path | str) -> Path:
        """Write one text file an array into ``folder`` (made if missing), as ``crossbar.sv`` reads them.

        Integers as 32-bit hexadecimal words in two's complement, for ``$readmemh``; floats in their shortest exact
        decimal form, one a line, for ``$fscanf``. Arrays of two dimensions go row by row.

        Raises
        ------
        ProgrammingError
            For an integer beyond 32 bits.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / f"{name}.{'txt' if self.real else 'hex'}").write_text(self._text(name))
        return folder

    def _text(self, name: str) -> str:
        values = getattr(self, name).ravel()
        if self.real:
            return "".join(f"{value!r}\n" for value in values.tolist())
        beyond = values[(values < -(2**31)) | (values >= 2**31)]
        if beyond.size:
            raise ProgrammingError(f"{name} holds {beyond[0]}; a word of the file has 32 bits")
        # $readmemh warns about an empty file: an array of no cells is one zero that nothing reads.
        return "".join(f"{value & 0xFFFFFFFF:08x}\n" for value in values.tolist() or [0])
