# SPDX-License-Identifier: Apache-2.0
"""Chips of macros whose columns are in several arrays."""

import numpy as np
import pytest
from crossramp.golden.analog.chip.sampling import device, sample, sample_tiles, tile_seed
from crossramp.golden.analog.conversion.calibration_setting import FOUND, NOMINAL, CalibrationSetting, nominal_port
from crossramp.golden.analog.conversion.device import DeviceError
from crossramp.golden.analog.conversion.tiled_device import TiledDevice, device_array, tiles_of_device
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.array.array_protocol import Window, first_conversions
from crossramp.golden.array.tiled_array import tile_weights
from crossramp.golden.layers.tile import tiles_of
from crossramp.golden.spec.specification import Specification

from tests.support.strategies import ALL_CELLS, inputs_of, network_of

TECHNOLOGIES = ("rram", "charge")
SPEC = Specification(inputs=9, units=12, classes=2, lanes=4, tile_columns=20)


@pytest.mark.parametrize("name", TECHNOLOGIES)
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_with_everything_off_tiles_are_ideal(cell, name, seed):
    spec = Specification(inputs=3, units=5, classes=2, cell=cell, tile_columns=8, tile_rows=3)
    network, x = network_of(spec, seed), inputs_of(spec, seed)
    chip = device(load(name), spec, network.weights, seed, switches=frozenset())
    assert isinstance(chip, TiledDevice) == (len(tiles_of(spec)) > 1)
    found, expected = network.behind(device_array(chip)).run(x), network.run(x)
    np.testing.assert_array_equal(found.h, expected.h)
    np.testing.assert_array_equal(found.codes, expected.codes)


def test_each_array_is_the_chip_of_its_seed(seed):
    network, technology = network_of(SPEC, seed), load("rram")
    chip = device(technology, SPEC, network.weights, 7)
    assert len(chip.tiles) == 3
    assert chip.noisy
    assert len({tile.seed for tile in chip.tiles} | {7}) == 4
    for number, tile in enumerate(tiles_of(SPEC)):
        own = tile_weights(SPEC, tile, network.weights)
        alone = device(technology, tile, own, tile_seed(7, number))
        assert alone.same(chip.tiles[number])
    assert not np.array_equal(chip.tiles[0].ramp_steps, chip.tiles[1].ramp_steps)  # ramps of their own
    assert chip.same(device(technology, SPEC, network.weights, 7))
    assert not chip.same(device(technology, SPEC, network.weights, 8))


def test_joined_codes_are_those_of_each_array(seed):
    network, x = network_of(SPEC, seed), inputs_of(SPEC, seed)
    chip = device(load("rram"), SPEC, network.weights, 3)
    whole = network.behind(device_array(chip)).run(x)
    rows = np.concatenate([x[:, 0], np.zeros((len(x), SPEC.hidden), np.int64), np.full((len(x), 1), SPEC.input_max)], 1)
    numbers = first_conversions(SPEC, *x.shape[:2])
    for tile, instance in zip(tiles_of(SPEC), chip.tiles, strict=True):
        _, codes = device_array(instance).convert([Window(rows)], numbers)
        np.testing.assert_array_equal(whole.codes[:, 0][:, SPEC.columns_of_units(tile.unit_range)], codes)


@pytest.mark.parametrize(("limit", "wire"), [("tile_columns", "row"), ("tile_rows", "column")])
def test_smaller_arrays_lose_less_to_their_wires(limit, wire, seed):
    """The longest way of a current is that of one array, whatever is beside it: half the wire, less than half lost."""
    whole = Specification(inputs=31, units=16, classes=2)
    weights = network_of(whole, seed).weights
    ohms = {"wires.row_resistance": 0.0, "wires.column_resistance": 0.0, f"wires.{wire}_resistance": 1.0}
    technology = load("rram").replace(ohms)

    def lost(spec):
        chip = device(technology, spec, weights, 1, switches=frozenset({"wires"}))
        tiles = tiles_of_device(chip)
        levels = [tile_weights(spec, tile.spec, weights).macro for tile in tiles]
        return max(np.abs(tile.weights - level).max() for tile, level in zip(tiles, levels, strict=True))

    halves = {"tile_columns": whole.columns // 2, "tile_rows": whole.rows // 2}
    assert 0 < lost(whole.replace(**{limit: halves[limit]})) < 0.5 * lost(whole)


def test_calibrations_of_all_arrays(seed):
    technology = load("rram")
    network = network_of(SPEC, seed)
    chip = device(technology, SPEC, network.weights, 5)
    nominal = NOMINAL.settle(chip, technology)
    assert nominal.cells.shape == (3 * len(SPEC.ramps), SPEC.calibration_cells)
    assert nominal.port == nominal_port(SPEC)
    found = FOUND.settle(chip, technology)
    for number, tile in enumerate(chip.tiles):
        own = FOUND.settle(tile, technology)
        ramps = len(SPEC.ramps)
        np.testing.assert_array_equal(found.cells[number * ramps : (number + 1) * ramps], own.cells)
    port = CalibrationSetting(port=found.port).settle(chip, technology)
    np.testing.assert_array_equal(port.cells, found.cells)
    x = inputs_of(SPEC, seed)
    codes = [network.behind(device_array(chip, cells)).run(x).codes for cells in (nominal.cells, found.cells)]
    assert (codes[0] != codes[1]).any()


def test_what_is_no_chip_of_the_macro_is_refused(seed):
    network, technology = network_of(SPEC, seed), load("rram")
    chip = device(technology, SPEC, network.weights, 5)
    with pytest.raises(DeviceError, match="2 instances are not those of the macro's 3 tiles"):
        TiledDevice(SPEC, chip.tiles[:2])
    with pytest.raises(ValueError, match="tile_columns is 20, which makes 3 arrays; a PhysicalArray has one"):
        sample(technology, SPEC, network.weights, 5)
    assert [array.spec for array in sample_tiles(technology, SPEC, network.weights, 5)] == list(tiles_of(SPEC))
