# SPDX-License-Identifier: Apache-2.0
"""The chips of a macro whose columns are in several arrays, as one; and the array that any chip is for golden."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from crossramp.golden.array.array_protocol import Array
from crossramp.golden.array.tiled_array import TiledArray
from crossramp.golden.layers.tile import tiles_of
from crossramp.golden.spec.specification import Specification

from .device import DeviceError, DeviceInstance
from .device_array import DeviceArray


@dataclass(frozen=True, eq=False)
class TiledDevice:
    """One device instance for each tile of a macro: they share a technology, and nothing that is drawn.

    Parameters
    ----------
    spec : Specification
        Of the macro.
    tiles : tuple of DeviceInstance
        One for each of :func:`.tile.tiles_of`, in their order.
    seed : int
        Of the chip, from which those of the tiles were made.

    Raises
    ------
    DeviceError
        For instances that are not those of the macro's tiles.
    """

    spec: Specification
    tiles: tuple[DeviceInstance, ...]
    seed: int = 0

    def __post_init__(self):
        if tuple(tile.spec for tile in self.tiles) != tiles_of(self.spec):
            raise DeviceError(
                f"{len(self.tiles)} instances are not those of the macro's {len(tiles_of(self.spec))} tiles"
            )

    @property
    def noisy(self) -> bool:
        """Whether two conversions of the same pulses may differ."""
        return any(tile.noisy for tile in self.tiles)

    @cached_property
    def nominal(self) -> np.ndarray:
        """The nominal calibration cells, tile by tile: bool, shape (tiles x ramps, calibration_cells)."""
        return np.concatenate([tile.nominal for tile in self.tiles])

    def same(self, other: "TiledDevice") -> bool:
        """Whether every number is the same."""
        return all(one.same(two) for one, two in zip(self.tiles, other.tiles, strict=True))


#: What stands behind the boundaries of one macro.
Device = DeviceInstance | TiledDevice


def joined(spec: Specification, instances: Sequence[DeviceInstance], seed: int) -> Device:
    """The instances of a macro's arrays as one chip: the only one itself, or a :class:`TiledDevice`."""
    return instances[0] if len(instances) == 1 else TiledDevice(spec, tuple(instances), seed)


def tiles_of_device(device: Device) -> tuple[DeviceInstance, ...]:
    """The instance of each array."""
    return device.tiles if isinstance(device, TiledDevice) else (device,)


def device_array(device: Device, calibration: np.ndarray | None = None) -> Array:
    """The array that converts as ``device`` does.

    Parameters
    ----------
    device : DeviceInstance or TiledDevice
    calibration : bool array, shape (arrays x ramps, calibration_cells), or None
        Cells selected, those of the first array first; None: the nominal ones.
    """
    tiles = tiles_of_device(device)
    parts = [None] * len(tiles) if calibration is None else np.split(np.asarray(calibration, bool), len(tiles))
    arrays = [DeviceArray(tile, part) for tile, part in zip(tiles, parts, strict=True)]
    return TiledArray(device.spec, arrays) if isinstance(device, TiledDevice) else arrays[0]
