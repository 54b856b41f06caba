# SPDX-License-Identifier: Apache-2.0
"""The content of an array: weights, state, ramp and calibration cells in integers, or a device instance."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.noise import SIZE, key, table
from crossramp.golden.array.array_protocol import line_levels
from crossramp.golden.array.ramps import padded_floors
from crossramp.golden.array.weights import checked_array
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.integer_arrays import checked_integers
from crossramp.golden.spec.boundary_wires import calibration_bits
from crossramp.golden.spec.specification import Specification

#: Files that :meth:`Programming.write` makes, by the array they hold.
FILES = ("weights", "state_cells", "ramp_start", "ramp_steps", "calibration_cells")

#: Arrays of a device instance in the order in which ``device_crossbar.sv`` reads them.
DEVICE_ARRAYS = (
    "weights",
    "state_cells",
    "ramp_start",
    "ramp_steps",
    "calibration_cells",
    "window",
    "state_window",
    "limit",
    "state_limit",
    "variance",
    "state_variance",
    "common_variance",
    "noise_variance",
    "offsets",
    "ramp_noise",
    "rise",
    "delays",
    "hold_gain",
)


class ProgrammingError(InvalidValue):
    """An array of the programming has a wrong shape or type; the message quotes both."""


@dataclass(frozen=True, eq=False)
class Programming:
    """The content of one array of whole numbers: what :class:`.python_array.ArrayModel` and ``crossbar.sv`` work with.

    All arrays are int64 in MAC units (one weight level for one clock).

    Parameters
    ----------
    spec : Specification
    weights : shape (rows, columns)
        What one clock of a positive pulse on a row adds to each column's integrator.
    state_cells : shape (line_cell_count,)
        What one clock of a positive pulse on a line adds, for each cell of ``spec.line_cells`` and unit; of an LSTM to
        the unit's column of bank g.
    ramp_start : shape (ramps,)
        The level of each ramp after ``ramp_reset``, before the first tick.
    ramp_steps : shape (ramps, ticks)
        What each tap adds to its ramp; 0 behind the last tick of a shorter ramp. A comparator is high while its
        column's value exceeds the ramp's level.
    calibration_cells : shape (ramps, calibration_cells)
        What each selected bias cell adds to the ramp's start while ``ramp_reset`` is high.

    Raises
    ------
    ProgrammingError
        For a wrong shape or a type that is not an integer.
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
            "state_cells": (spec.line_cell_count,),
            "ramp_start": (count,),
            "ramp_steps": (count, spec.ticks),
            "calibration_cells": (count, spec.calibration_cells),
        }
        for name, shape in shapes.items():
            values = np.asarray(getattr(self, name))
            if values.shape != shape:
                raise ProgrammingError(f"{name} has the shape {values.shape}; expected {shape}")
            if values.dtype.kind not in "iu":
                raise ProgrammingError(f"{name} holds {values.dtype}; expected integers")
            object.__setattr__(self, name, values.astype(np.int64))

    @classmethod
    def ideal(cls, spec: Specification, weights: np.ndarray, calibration_cells=None, lines=None) -> "Programming":
        """The integer-ideal array: converts exactly as the golden model.

        Parameters
        ----------
        weights : integer array, shape (rows, columns)
            Within ±weight_max.
        calibration_cells : integer array, shape (ramps, calibration_cells), or None
            In MAC units; None: cells that add nothing.
        lines : integer array, shape (trained line cells, units), or None
            Levels of the trained cells on lines; None where the cell has none.
        """
        weights = checked_integers("weights", weights, (spec.rows, spec.columns), spec.weight_max)
        # One below every MAC: before the first tick each comparator is high.
        start = -(spec.mac_max + 1)
        floors = padded_floors(spec)
        if calibration_cells is None:
            calibration_cells = np.zeros((len(floors), spec.calibration_cells), np.int64)
        return cls(
            spec,
            weights,
            line_levels(spec, checked_array(spec, "lines", lines)),
            np.full(len(floors), start, np.int64),
            np.diff(floors, axis=1, prepend=start),
            np.asarray(calibration_cells),
        )

    def replace(self, **changes) -> "Programming":
        """A copy with some arrays changed, checked again: one other device instance, or a planted fault."""
        return replace(self, **changes)

    def write(self, folder: Path | str) -> Path:
        """Write one text file an array into ``folder`` (made if missing), as ``crossbar.sv`` reads them.

        32-bit hexadecimal words in two's complement, for ``$readmemh`` too. Arrays of two dimensions go row by row.

        Raises
        ------
        ProgrammingError
            For an integer beyond 32 bits.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / f"{name}.hex").write_text(self._text(name))
        return folder

    def _text(self, name: str) -> str:
        values = getattr(self, name).ravel()
        beyond = values[(values < -(2**31)) | (values >= 2**31)]
        if beyond.size:
            raise ProgrammingError(f"{name} holds {beyond[0]}; a word of the file has 32 bits")
        # $readmemh warns about an empty file: an array of no cells is one zero that nothing reads.
        return "".join(f"{value & 0xFFFFFFFF:08x}\n" for value in values.tolist() or [0])


def write_device(device: DeviceInstance, folder: Path | str) -> Path:
    """Write ``device.bin`` into ``folder`` (made if missing), as ``device_crossbar.sv`` reads it.

    Words of 64 bits, most significant byte first: the number of words, the origin of the noise, then doubles:
    compression, comparator noise, :data:`DEVICE_ARRAYS` row by row, and the upper half of the normal distribution's
    quantiles (the lower half is its negative, backwards).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    doubles = [[device.compression, device.comparator_noise]]
    doubles += [getattr(device, name).ravel() for name in DEVICE_ARRAYS]
    doubles = np.concatenate([*doubles, table()[SIZE // 2 :]]).astype(">f8")
    header = np.array([len(doubles) + 2, key(device.seed)], ">u8")
    (folder / "device.bin").write_bytes(header.tobytes() + doubles.tobytes())
    return folder


def calibration_port(spec: Specification, calibration: int | None, programming) -> int:
    """What to drive on the calibration port: ``calibration``, bit k * calibration_cells + n for cell n of ramp k.

    None selects the ``nominal`` cells of a device instance, and no cells of any other ``programming``.

    Raises
    ------
    InvalidValue
        For a calibration of more cells than there are.
    """
    if calibration is None:
        chosen = programming.nominal.ravel() if isinstance(programming, DeviceInstance) else ()
        return sum(1 << cell for cell in np.flatnonzero(chosen).tolist())
    cells = calibration_bits(spec)
    calibration = integer("calibration", calibration)
    if not 0 <= calibration < 1 << cells:
        raise InvalidValue(f"calibration is {calibration}; allowed: 0 to {(1 << cells) - 1}, for {cells} cells")
    return calibration
