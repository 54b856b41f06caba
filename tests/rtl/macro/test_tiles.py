# SPDX-License-Identifier: Apache-2.0
"""Macros whose columns are in several arrays: each tile with its own boundary, model, checker and cells."""

import numpy as np
import pytest
from crossramp.golden.array.tiled_array import TiledArray
from crossramp.golden.layers.tile import arrays_of, tiles_of
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.rtl.verilog.verilog_writer import port_table, to_verilog
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import MacroRun
from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications


def tiled(spec: Specification, most: int) -> Specification:
    """``spec`` with at most ``most`` units in each array."""
    return spec.replace(tile_columns=most * len(spec.gate_names))


def run(network, seed: int, rng, probability=0.0, dut=None):
    spec = network.spec
    x = list(inputs_of(spec, seed))
    dut = dut or Macro(spec, projection_weights=network.weights.projection)
    macro = MacroRun(spec, network.weights, x, rng=rng, probability=probability, dut=dut)
    macro.assert_equals(network.lstm.run(np.stack(x)))
    for checker in macro.checkers:
        checker.check_finished()
    return macro


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_a_tiled_macro_is_the_whole_one(cell, seed, rng):
    spec = Specification(inputs=3, units=7, classes=2, lanes=2, adc_bits=3, input_bits=3, cell=cell, tile_rows=4)
    spec = tiled(spec, 3)
    assert [len(tile.unit_range) for tile in tiles_of(spec)] == [2, 2, 3]
    run(network_of(spec, seed), seed, rng)


@given(specifications(max_units=5, max_inputs=4, max_bits=3, cells=ALL_CELLS), st.integers(1, 5), seeds)
@settings(max_examples=8)
def test_drawn_macros_in_tiles(spec, most, seed):
    spec = tiled(spec, most)
    run(network_of(spec, seed), seed, np.random.default_rng(seed))


def test_a_tile_that_is_not_ready_holds_all(seed, rng):
    spec = tiled(Specification(inputs=3, units=6, classes=2, lanes=3, adc_bits=3, input_bits=3, cell="gru"), 2)
    macro = run(network_of(spec, seed), seed, rng, probability=0.3)
    assert max(macro.step_clocks) > spec.clocks_per_step  # something was waited for


def test_exchanged_tiles_are_noticed(seed, rng):
    spec = tiled(Specification(inputs=3, units=4, classes=2, lanes=2, adc_bits=3, input_bits=3), 2)
    network = network_of(spec, seed)

    class Exchanged(Macro):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.tiles = self.tiles[::-1]

    with pytest.raises(AssertionError):
        run(network, seed, rng, dut=Exchanged(spec, projection_weights=network.weights.projection))


def test_ports_of_each_array(seed):
    spec = tiled(Specification(inputs=3, units=5, classes=2, cell="lstm_peephole", calibration_cells=2), 2)
    assert list(arrays_of(spec)) == ["array0", "array1", "array2"]
    ports = {port.name: port for port in port_table(NetworkTop.of(network_of(spec, seed)))}
    assert ports["array2_comparators"].width == 4 * 2
    assert ports["array0_state_pos"].width == 2 * 1
    assert ports["array0_row_pos"].width == ports["array1_row_pos"].width == spec.rows
    assert ports["calibration"].width == 3 * 2 * 2
    assert ports["array1_calibration"].width == 2 * 2
    assert all(port.meaning for port in ports.values())
    assert "array_row_pos" not in ports


def test_limits_that_are_met_change_no_hardware(seed):
    network = network_of(Specification(inputs=3, units=5, classes=2), seed)
    wide = network_of(network.spec.replace(tile_columns=20, tile_rows=9), seed)
    assert to_verilog(NetworkTop.of(network), "top") == to_verilog(NetworkTop.of(wide), "top")


def test_rows_in_parts_change_no_hardware(seed):
    """Joined columns: the array model alone sees them."""
    network = network_of(Specification(inputs=3, units=5, classes=2), seed)
    parts = network_of(network.spec.replace(tile_rows=4), seed)
    assert len(parts.spec.row_tiles) == 3
    assert to_verilog(NetworkTop.of(network), "top") == to_verilog(NetworkTop.of(parts), "top")


@given(specifications(max_units=9, cells=ALL_CELLS), st.integers(1, 9), seeds)
@settings(max_examples=30)
def test_golden_in_tiles_is_golden(spec, most, seed):
    spec = tiled(spec, most)
    network, x = network_of(spec, seed), inputs_of(spec, seed)
    split = network.behind(TiledArray.ideal(spec, network.weights)).lstm.run(x)
    whole = network.lstm.run(x)
    np.testing.assert_array_equal(split.h, whole.h)
    np.testing.assert_array_equal(split.codes, whole.codes)
