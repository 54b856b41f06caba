# SPDX-License-Identifier: Apache-2.0
"""Wire resistance: ladders against the full network, solved densely."""

import numpy as np
import pytest
from crossramp.golden.analog.chip import wire_resistance


@pytest.fixture
def cells(rng):
    return rng.uniform(0, 1e-4, (9, 14))


def test_ideal_wires_change_nothing(cells):
    assert np.array_equal(wire_resistance.effective(cells, 0, 0), cells)


def test_one_ideal_wire_is_exact(cells):
    """The full network's other wire can only come near to nothing: a millionth of an ohm."""
    for row, column in ((50.0, 0.0), (0.0, 50.0)):
        full = wire_resistance.exact(cells, row or 1e-6, column or 1e-6)
        assert np.allclose(wire_resistance.effective(cells, row, column), full, rtol=1e-6, atol=0)
        assert (full < cells).all()


def test_both_wires_miss_second_order_terms(cells):
    """Ten times the resistance is ten times the effect and a hundred times the error."""
    errors, effects = [], []
    for resistance in (0.1, 1.0, 10.0):
        full = wire_resistance.exact(cells, resistance, resistance)
        errors.append(np.abs(wire_resistance.effective(cells, resistance, resistance) - full).max() / cells.mean())
        effects.append(np.abs(cells - full).max() / cells.mean())
    assert 50 < errors[1] / errors[0] < 150
    assert 50 < errors[2] / errors[1] < 150
    assert 5 < effects[2] / effects[1] < 15
    assert errors[1] < effects[1] / 30


def test_instances_stack(cells, rng):
    others = rng.uniform(0, 1e-4, (3, *cells.shape))
    stacked = wire_resistance.effective(others, 2.0, 3.0)
    assert all(np.array_equal(stacked[k], wire_resistance.effective(others[k], 2.0, 3.0)) for k in range(3))


def test_far_cells_lose_most():
    even = wire_resistance.effective(np.full((20, 30), 1e-5), 5.0, 5.0)
    assert (np.diff(even[-1]) < 0).all()  # along a row, away from its driver
    assert (np.diff(even[:, 0]) > 0).all()  # down a column, towards its virtual ground
