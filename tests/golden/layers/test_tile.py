# SPDX-License-Identifier: Apache-2.0
"""Tiles of a macro: sizes, places and names worked out by hand, and what they share with the whole."""

import numpy as np
import pytest
from crossramp.golden.array.array_protocol import IdealArray
from crossramp.golden.array.tiled_array import TiledArray, tile_weights
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.tile import Tile, arrays_of, tiles_of
from crossramp.golden.link.board_memory import Build
from crossramp.golden.spec.bank_columns import parse_columns
from crossramp.golden.spec.boundary_wires import calibration_bits
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.row_sums import even_parts
from crossramp.golden.spec.specification import Specification
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import ALL_CELLS, network_of, specifications

SPEC = Specification(inputs=2, units=7, classes=3, lanes=2, projection=4, tile_columns=14, tile_rows=4)


def test_tiles_by_hand():
    tiles = tiles_of(SPEC)
    assert [tile.unit_range for tile in tiles] == [range(0, 2), range(2, 4), range(4, 7)]
    assert [tile.columns for tile in tiles] == [8, 8, 12]
    assert [tile.state_lines for tile in tiles] == [2, 2, 3]
    assert {tile.rows for tile in tiles} == {2 + 4 + 1} == {SPEC.rows}
    assert SPEC.columns_of_units(tiles[2].unit_range).tolist() == [4, 5, 6, 11, 12, 13, 18, 19, 20, 25, 26, 27]
    assert SPEC.wires_of_units(tiles[1].unit_range).tolist() == [2, 3]
    assert calibration_bits(SPEC) == 3 * calibration_bits(tiles[0]) == 3 * 2 * 5
    assert [tile.row_tiles for tile in tiles] == [(slice(0, 3), slice(3, 7))] * 3


def test_columns_have_the_networks_names():
    tile = tiles_of(SPEC)[2]
    assert [tile.column_name(column) for column in (0, 5, 11)] == ["i4", "f6", "o6"]
    assert parse_columns(tile, ["f6", "i4"]) == [5, 0]
    with pytest.raises(InvalidValue, match="there is no column 'i3'; columns are i4 to i6, f4 to f6, g4 to g6"):
        parse_columns(tile, ["i3"])


def test_one_array_is_the_macros_own():
    assert arrays_of(SPEC.replace(tile_columns=28)) == {"array": SPEC.replace(tile_columns=28)}
    assert list(arrays_of(SPEC)) == ["array0", "array1", "array2"]


@given(st.integers(1, 200), st.integers(1, 250))
def test_parts_are_even_and_as_few_as_can_be(count, most):
    parts = even_parts(count, most)
    sizes = [part.stop - part.start for part in parts]
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(count))
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == -(-count // most)


@given(specifications(max_units=9, cells=ALL_CELLS), st.integers(1, 9))
def test_tiles_share_what_is_converted(spec, most):
    spec = spec.replace(tile_columns=most * len(spec.gate_names))
    tiles = tiles_of(spec)
    for tile in tiles:
        assert (tile.ramps, tile.windows, tile.ticks, tile.mac_max) == (
            spec.ramps,
            spec.windows,
            spec.ticks,
            spec.mac_max,
        )
        assert np.array_equal(tile.placed, spec.placed[:, spec.columns_of_units(tile.unit_range)])
    assert len({tile.hardware_hash for tile in tiles}) == len(tiles)
    assert sum(tile.columns for tile in tiles) == spec.columns


def test_only_tiles_of_the_macro():
    parts = tiles_of(SPEC)
    with pytest.raises(SpecificationError, match="units 1 to 2 are no tile of the macro"):
        parts[0].replace(first=1)
    assert isinstance(parts[0], Tile)
    assert parts[0] != parts[1]


def test_arrays_must_be_those_of_the_tiles(seed):
    weights = network_of(SPEC, seed).weights
    arrays = [IdealArray(tile, tile_weights(SPEC, tile, weights).macro) for tile in tiles_of(SPEC)]
    with pytest.raises(InvalidValue, match="there are 2 arrays; the macro has 3"):
        TiledArray(SPEC, arrays[:2])
    with pytest.raises(InvalidValue, match="array 0 is for specification"):
        TiledArray(SPEC, arrays[::-1])


def test_what_has_one_array_says_so():
    with pytest.raises(SpecificationError) as caught:
        Build("a", SPEC, 1, 1)
    assert str(caught.value) == "tile_columns is 14, which makes 3 arrays; a board has one; set it to 0"
