# SPDX-License-Identifier: Apache-2.0
"""Weights as one object: the table says which arrays there are, and each is refused where it does not fit."""

from dataclasses import fields

import numpy as np
import pytest
from crossramp.golden.array.weights import ARRAYS, Weights
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings

from tests.support.strategies import network_of, seeds, specifications

SPEC = Specification(inputs=3, units=2, classes=3, projection=1)
PEEPHOLE = SPEC.replace(cell="lstm_peephole", initial="constant")


def test_the_table_names_every_field():
    assert [array.field for array in ARRAYS] == [field.name for field in fields(Weights)]
    assert len({array.name for array in ARRAYS}) == len(ARRAYS)


@settings(max_examples=30)
@given(specifications(initials=("zero", "constant")), seeds)
def test_arrays_by_name_there_and_back(spec, seed):
    """Every legal value fits the type that files have, and what comes back is the same, read-only."""
    weights = network_of(spec, seed).weights
    arrays = weights.arrays()
    assert list(arrays) == [array.name for array in ARRAYS if array.present(spec)]
    narrow = {array.name: arrays[array.name].astype(array.dtype) for array in ARRAYS if array.present(spec)}
    again = Weights.from_arrays(narrow).checked(spec)
    for name, values in again.arrays().items():
        assert values.dtype == np.int64
        assert not values.flags.writeable
        np.testing.assert_array_equal(values, arrays[name])


#: Shape and largest magnitude of each array of SPEC: 3 rows of x, 1 of h, and of bias; 2 units; 5, 8 and 12 bits.
BY_HAND = {
    "macro": ((4 + SPEC.bias_rows, 8), 15),
    "head": ((3, 1), 127),
    "head_biases": ((3,), 2047),
    "projection": ((1, 2), 127),
    "lines": ((3, 2), 15),
    "initial_register": ((2,), 2047),
    "initial_h": ((1,), 15),
}


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: array.field)
def test_each_array_is_refused_where_it_does_not_fit(array):
    weights = network_of(PEEPHOLE, 1).weights
    good, (shape, limit) = getattr(weights, array.field), BY_HAND[array.field]
    assert good.shape == shape
    high, low = np.array(good), np.array(good)
    high.flat[0], low.flat[-1] = limit + 1, -limit - 1
    first, last = [0] * good.ndim, [size - 1 for size in good.shape]
    for wrong, message in (
        (good.astype(float), f"^{array.name} holds float64; expected integers$"),
        (good[:-1], rf"^{array.name} has the shape \(.*; expected \({shape[0]},"),
        (high, rf"^{array.name}\[{', '.join(map(str, first))}\] is {limit + 1}; allowed: -{limit} to {limit}$"),
        (low, rf"^{array.name}\[{', '.join(map(str, last))}\] is -{limit + 1}; allowed: -{limit} to {limit}$"),
    ):
        with pytest.raises(ValueError, match=message):
            weights.replace(**{array.field: wrong}).checked(PEEPHOLE)


def test_an_array_that_the_network_lacks_is_refused():
    weights = network_of(SPEC, 1).weights
    with pytest.raises(
        ValueError, match="projection_weights are missing: the specification has a digital projection to 1"
    ):
        weights.replace(projection=None).checked(SPEC)
    plain = SPEC.replace(projection=0)
    with pytest.raises(
        ValueError, match="projection_weights are given, but the specification has no digital projection"
    ):
        network_of(plain, 1).weights.replace(projection=weights.projection).checked(plain)
    constant = SPEC.replace(initial="constant")
    with pytest.raises(ValueError, match="initial_h are missing: the specification has a constant initial state"):
        network_of(constant, 1).weights.replace(initial_h=None).checked(constant)
    with pytest.raises(ValueError, match="initial_register are given, but the specification has no constant register"):
        network_of(constant, 1).weights.checked(SPEC)
    peepholes = network_of(PEEPHOLE, 1).weights
    with pytest.raises(ValueError, match="line_weights are missing: the specification has 3 lines of trained cells"):
        peepholes.replace(lines=None).checked(PEEPHOLE)
    with pytest.raises(ValueError, match="line_weights are given, but the specification has no trained lines"):
        peepholes.checked(SPEC)


def test_a_weight_without_a_memristor_is_refused():
    spec = Specification(inputs=3, units=2, classes=3, cell="gru")
    weights = network_of(spec, 1).weights
    wrong = np.array(weights.macro)
    wrong[spec.rows_of("h").start, spec.column("n", 1)] = 2
    message = r"weights\[3, 5\] is 2, but the cell gru has no memristor there: row 3 does not cross column n1; write 0"
    with pytest.raises(ValueError, match=message):
        weights.replace(macro=wrong).checked(spec)
