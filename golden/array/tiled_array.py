# SPDX-License-Identifier: Apache-2.0
"""A macro whose columns are in several arrays: windows are split among them, and their codes joined."""

from collections.abc import Sequence

import numpy as np

from ..common.errors import InvalidValue
from ..layers.tile import arrays_by_macro, tiles_of
from ..spec.specification import Specification
from .array_protocol import Array, IdealArray, Window
from .weights import Weights


class TiledArray:
    """The arrays of all tiles as one :class:`~.array_protocol.Array`.

    Parameters
    ----------
    spec : Specification
        Of the macro.
    arrays : sequence of Array
        One for each of :func:`.tile.tiles_of`, in their order.

    Raises
    ------
    InvalidValue
        For another number of arrays, or an array of another specification.
    """

    def __init__(self, spec: Specification, arrays: Sequence[Array]):
        self.spec, self.arrays = spec, tuple(arrays)
        tiles = tiles_of(spec)
        if len(self.arrays) != len(tiles):
            raise InvalidValue(f"there are {len(self.arrays)} arrays; the macro has {len(tiles)}")
        for number, (array, tile) in enumerate(zip(self.arrays, tiles, strict=True)):
            if array.spec != tile:
                raise InvalidValue(
                    f"array {number} is for specification {array.spec.hardware_hash}, tile {number} has "
                    f"{tile.hardware_hash}; make it for the tile's"
                )
        self._wires = [spec.wires_of_units(tile.unit_range) for tile in tiles]

    @classmethod
    def ideal(cls, spec: Specification, weights: Weights) -> "TiledArray":
        """Arrays of exact integers, which hold the weights of a macro."""
        parts = [(tile, tile_weights(spec, tile, weights)) for tile in tiles_of(spec)]
        return cls(spec, [IdealArray(tile, part.macro, lines=part.lines) for tile, part in parts])

    def convert(self, windows: Sequence[Window], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`.array_protocol.Array.convert`."""
        found = []
        for array, wires in zip(self.arrays, self._wires, strict=True):
            own = [Window(w.rows, None if w.lines is None else w.lines[:, wires]) for w in windows]
            found.append(array.convert(own, numbers))
        banks = len(self.spec.conversions[len(windows) - 1])
        macs, codes = (joined_columns(parts, banks) for parts in zip(*found, strict=True))
        return macs, codes


def joined_columns(parts: Sequence[np.ndarray], banks: int) -> np.ndarray:
    """What tiles gave of adjacent banks, each (batch, banks x own units), in the order of the macro's columns."""
    return np.concatenate([part.reshape(len(part), banks, -1) for part in parts], axis=2).reshape(len(parts[0]), -1)


def tile_weights(spec: Specification, tile: Specification, weights: Weights | np.ndarray) -> Weights | np.ndarray:
    """``weights`` of a macro, or its array of levels, with only what the array of a tile holds."""
    units = tile.unit_range
    columns = spec.columns_of_units(units)
    if not isinstance(weights, Weights):
        return np.asarray(weights)[:, columns]
    lines = None if weights.lines is None else weights.lines[:, units.start : units.stop]
    return weights.replace(macro=weights.macro[:, columns], lines=lines)


def weights_of_arrays(network) -> dict[str, Weights]:
    """What each array of a network is to hold, by its name; ``network`` is a Network or a LayeredNetwork."""
    found = {}
    for macro, arrays in arrays_by_macro(network.spec).items():
        weights = network.weights.macros[macro] if macro else network.weights
        spec = network.spec.macros[macro]
        for name, tile in arrays.items():
            found[name] = weights if tile is spec else tile_weights(spec, tile, weights)
    return found
