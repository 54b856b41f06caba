# SPDX-License-Identifier: Apache-2.0
"""Which bias cells of the ramps are selected while an array converts: one type, with one grammar.

Command lines and plans of sweeps write ``nominal``, ``found``, or the cells as a hexadecimal number.
"""

import re
from dataclasses import dataclass

import numpy as np

from ...common.checks import told
from ...common.errors import InvalidValue
from ...spec.boundary_wires import calibration_bits
from ...spec.specification import Specification
from ..technologies.technology import Technology
from .calibration import CalibrationPlan, calibrate
from .tiled_device import Device, tiles_of_device

#: The grammar, for messages and help texts.
GRAMMAR = "nominal, found, or cells as a hexadecimal number such as 1f"


@dataclass(frozen=True)
class CalibrationSetting:
    """How the bias cells of all ramps are chosen; by default the nominal ones, as on a chip that was never calibrated.

    Attributes
    ----------
    found : bool
        One-point calibration chooses them, as the gateware's calibrator does (docs/calibration.md).
    port : int or None
        These cells, as the calibration port takes them: bit k * calibration_cells + n is cell n of ramp k.
    """

    found: bool = False
    port: int | None = None

    @classmethod
    def parse(cls, value: object) -> "CalibrationSetting":
        """From a text of :data:`GRAMMAR`; None is ``nominal``.

        Raises
        ------
        InvalidValue
            For anything else.
        """
        if value is None or value == "nominal":
            return NOMINAL
        if value == "found":
            return FOUND
        if isinstance(value, str) and re.fullmatch(r"(0[xX])?[0-9a-fA-F]+", value, re.ASCII):
            return cls(port=int(value, 16))
        raise InvalidValue(f"calibration is {told(value)}; give {GRAMMAR}")

    def __str__(self) -> str:
        """The text that :meth:`parse` reads back."""
        return "found" if self.found else "nominal" if self.port is None else f"{self.port:x}"

    def check(self, spec: Specification) -> "CalibrationSetting":
        """This setting; InvalidValue if the ramps of ``spec`` lack the cells that it needs."""
        cells = calibration_bits(spec)
        if self.found and not cells:
            raise InvalidValue("calibration is 'found', but the ramps have no calibration cells; take 'nominal'")
        if self.port is not None and self.port >> cells:
            most = f"0 to {(1 << cells) - 1:x}, for {cells} cells" if cells else "nominal, for ramps without such cells"
            raise InvalidValue(f"calibration is {self.port:x}; allowed: {most}")
        return self

    def settle(self, chip: Device, technology: Technology) -> "SettledCalibration":
        """The cells that this setting selects on ``chip``, an instance of ``technology``; array by array.

        Raises
        ------
        InvalidValue
            As :meth:`check` does.
        """
        spec = chip.spec
        self.check(spec)
        if self.found:
            tiles, span = tiles_of_device(chip), technology["ramp.calibration_range"]
            results = [calibrate(tile, CalibrationPlan.of(tile.spec, span)) for tile in tiles]
            failed = tuple(
                act.text if len(tiles) == 1 else f"{act.text} of array {number}"
                for number, result in enumerate(results)
                for act, bad in zip(spec.ramps, result.failed, strict=True)
                if bad
            )
            return SettledCalibration(np.concatenate([result.cells for result in results]), failed)
        if self.port is None:
            return SettledCalibration(chip.nominal)
        bits = [self.port >> place & 1 for place in range(calibration_bits(spec))]
        return SettledCalibration(np.array(bits, bool).reshape(chip.nominal.shape))


@dataclass(frozen=True, eq=False)
class SettledCalibration:
    """The bias cells that are selected on one chip.

    Attributes
    ----------
    cells : bool array, shape (arrays x ramps, calibration_cells)
        Those of the first array first.
    failed : tuple of str
        Activations of the ramps that the calibration found beyond the reach of their cells; with the array's number
        where there are several.
    """

    cells: np.ndarray
    failed: tuple[str, ...] = ()

    @property
    def port(self) -> int:
        """The same as the calibration port takes them: bit k * calibration_cells + n is cell n of ramp k."""
        return sum(1 << place for place in np.flatnonzero(self.cells).tolist())


def nominal_port(spec: Specification) -> int:
    """The nominal cells, as the calibration port takes them: of each ramp the largest, the middle of its range."""
    cells = spec.calibration_cells
    return sum(1 << place for place in range(cells - 1, calibration_bits(spec), cells)) if cells else 0


NOMINAL = CalibrationSetting()
FOUND = CalibrationSetting(found=True)
