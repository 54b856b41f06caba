# SPDX-License-Identifier: Apache-2.0
"""Partial sums that return through a linear ramp, against counts of thresholds one by one."""

import numpy as np
import pytest
from crossramp.golden.array.partial_sums import LinearRamp, PartialSums, ahead_clocks, partial_sum_clocks
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications

ramps = st.builds(LinearRamp, st.integers(2, 9), st.integers(1, 127))


@given(ramps, st.integers(-100_000, 100_000))
def test_a_sum_returns_by_the_count_of_thresholds(ramp, z):
    code = sum(z > ramp.levels * (2 * k - 2**ramp.bits) for k in range(1, 2**ramp.bits))
    returned = ramp.levels * (2 * code + 1 - 2**ramp.bits)
    assert ramp.returned(np.array(z)) == returned
    assert abs(ramp.pulses(np.array(z))) <= ramp.pulse_max
    if abs(z) <= ramp.reach:
        assert abs(returned - z) <= ramp.levels


@settings(max_examples=30)
@given(
    specifications(max_units=4, max_inputs=4, max_bits=4, projection=0, cells=ALL_CELLS),
    st.integers(1, 6),
    st.integers(2, 6),
    seeds,
)
def test_every_array_but_the_last_returns_its_sum(spec, most, bits, seed):
    spec = spec.replace(tile_rows=most)
    if len(spec.row_tiles) == 1:
        return
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=2, steps=2)
    ramp = LinearRamp(bits, spec.weight_max)

    class Watched(PartialSums):
        def macs(self, windows):
            found = super().macs(windows)
            for utterance, row in enumerate(found):
                for place, got in enumerate(row):
                    assert got == by_hand(self, windows, utterance, place)
            return found

    network.behind(Watched(spec, network.weights, ramp)).lstm.run(x)


def by_hand(array: PartialSums, windows, utterance: int, place: int) -> int:
    """What one column of the last array holds: own cells, and of each other array a pulse for each window."""
    spec, cell, ramp, number = array.spec, array.spec.layout, array.ramp, len(windows) - 1
    column = spec.converted(number).start + place
    gate, unit = spec.bank_of_column(column), spec.unit_of_column(column)
    total = 0
    for index in cell.windows(gate, number):
        window = windows[index]
        driven = [g for g in cell.row_groups if cell.driven_value(g, index) and g in cell.banks[gate].rows]
        places = {row for group in driven for row in range(*spec.rows_of(group).indices(spec.rows))}
        for part in spec.row_tiles:
            mine = [row for row in range(part.start, part.stop) if row in places]
            z = sum(int(window.rows[utterance, row]) * int(array.weights[row, column]) for row in mine)
            if part.stop != spec.rows and mine:
                code = sum(z > ramp.levels * (2 * k - 2**ramp.bits) for k in range(1, 2**ramp.bits))
                z = ramp.levels * (2 * code + 1 - 2**ramp.bits)
            total += z
        for one in spec.line_cells:
            if one.bank == gate and window.lines is not None:
                wire = spec.wires_of(one.line).start + unit
                level = array.line_levels[spec.line_cell(one).start + unit]
                total += int(window.lines[utterance, wire]) * int(level)
    return total


def test_a_fine_ramp_loses_nothing_that_a_code_shows(seed):
    """Levels of 1 and a reach beyond every sum: each partial sum is off by one MAC unit at most."""
    spec = Specification(inputs=4, units=5, classes=2, input_bits=3, weight_bits=4, tile_rows=6)
    network, x = network_of(spec, seed), inputs_of(spec, seed)
    array = PartialSums(spec, network.weights, LinearRamp(9, 1))
    joined = Network(spec, network.weights)
    one, other = network.behind(array).lstm.run(x[:, :1]), joined.lstm.run(x[:, :1])
    assert 0 < np.abs(one.macs - other.macs).max() <= 1


def test_clocks():
    """Of an LSTM at 5 bits: 108 with joined columns, and what a ramp and a window more, or longer pulses, add."""
    spec = Specification(inputs=40, units=32, classes=2, state_pulse_bits=6, tile_rows=40)
    assert spec.analog_clocks_per_step == 108
    assert [partial_sum_clocks(spec, LinearRamp(bits, 1)) for bits in (5, 6)] == [108 + 62, 108 + 126]
    assert [ahead_clocks(spec, LinearRamp(bits, 1)) for bits in (4, 5, 6)] == [108, 108 + 16, 108 + 48]


def test_the_ramp_that_reaches():
    spec = Specification(inputs=4, units=5, classes=2, tile_rows=6)
    assert LinearRamp.reaching(5, 400, spec) == LinearRamp(5, 13)
    assert LinearRamp.reaching(5, 4000, spec) == LinearRamp(5, 15)
    assert LinearRamp.reaching(9, 0, spec) == LinearRamp(9, 1)


def test_what_is_refused(seed):
    spec = Specification(inputs=4, units=5, classes=2, tile_rows=6)
    weights = network_of(spec, seed).weights
    with pytest.raises(InvalidValue, match="tile_rows is 0, so all 10 rows are in one array; set it below"):
        PartialSums(spec.replace(tile_rows=0), weights, LinearRamp(5, 3))
    with pytest.raises(InvalidValue, match="levels is 16; a cell has 1 to 15"):
        PartialSums(spec, weights, LinearRamp(5, 16))
    with pytest.raises(InvalidValue, match="bits is 1"):
        LinearRamp(1, 1)
