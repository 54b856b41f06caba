# SPDX-License-Identifier: Apache-2.0
"""Which chips a study measures: so many of a technology, each named by its seed, under some calibrations."""

from dataclasses import dataclass

from ...common.errors import InvalidValue
from ..conversion.calibration_setting import FOUND, NOMINAL, CalibrationSetting
from ..technologies.technology import Technology
from .given_cells import Conductances
from .sampling import ALL

_CHIPS_MOST = 1_000_000


@dataclass(frozen=True, eq=False)
class ChipSample:
    """Chips that share everything but their seeds.

    Parameters
    ----------
    technology : Technology
    count : int
        Number of chips.
    first_seed : int
        The chips have the seeds from this one on.
    switches : frozenset of str
        The effects that are on.
    calibrations : sequence of CalibrationSetting
        The same chips are measured under each of them.
    conductances : Conductances or None
        Cells that replace sampled ones in every chip.

    Raises
    ------
    InvalidValue
        For a number out of range.
    """

    technology: Technology
    count: int = 20
    first_seed: int = 1
    switches: frozenset = ALL
    calibrations: tuple[CalibrationSetting, ...] = (NOMINAL, FOUND)
    conductances: Conductances | None = None

    def __post_init__(self):
        if not 1 <= self.count <= _CHIPS_MOST:
            raise InvalidValue(f"count is {self.count} chips; allowed: 1 to {_CHIPS_MOST}")
        if not 0 <= self.first_seed < (1 << 63) - self.count:
            raise InvalidValue(f"first_seed is {self.first_seed}; allowed: 0 to 2**63 - 1 - count")

    @property
    def seeds(self) -> range:
        """The seed of each chip."""
        return range(self.first_seed, self.first_seed + self.count)
