# SPDX-License-Identifier: Apache-2.0
"""Rounding, saturation and exact products, against fractions and plain Python."""

from fractions import Fraction

import numpy as np
import pytest
from crossramp.golden.array.integers import exact_matmul, round_shift, saturate
from hypothesis import given
from hypothesis import strategies as st

from tests.support.references.exact_numbers import rounded


@given(st.integers(-(2**50), 2**50), st.integers(0, 60))
def test_round_shift(value, shift):
    shift = min(shift, 61)
    assert round_shift(np.array([value]), shift)[0] == rounded(Fraction(value, 2**shift))


@pytest.mark.parametrize("shift", range(7))
def test_round_shift_everywhere_near_zero(shift):
    values = np.arange(-300, 301)
    assert round_shift(values, shift).tolist() == [rounded(Fraction(int(v), 2**shift)) for v in values]


@pytest.mark.parametrize(("value", "expected"), [(3, 2), (-3, -2), (1, 1), (-1, -1), (0, 0), (5, 3), (-5, -3)])
def test_halves_go_away_from_zero(value, expected):
    assert round_shift(np.array(value), 1) == expected


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**30))
def test_saturate(value, limit):
    assert saturate(np.array(value), limit) == max(-limit, min(limit, value))


@pytest.mark.parametrize("limit", [2**10, 2**21, 2**28, 2**29])
def test_products_are_exact_by_every_route(rng, limit):
    """float32, float64 and integer product: 2 * limit**2 lies below 2**24, below 2**53 (twice), above."""
    a = rng.integers(limit - 3, limit, (5, 2)) * rng.choice([-1, 1], (5, 2))
    b = rng.integers(limit - 3, limit, (2, 7)) * rng.choice([-1, 1], (2, 7))
    expected = [[sum(x * y for x, y in zip(row, column, strict=True)) for column in b.T.tolist()] for row in a.tolist()]
    result = exact_matmul(a, b, 2 * limit**2)
    assert result.dtype == np.int64
    assert result.tolist() == expected


def test_a_bound_that_lies_gives_wrong_products():
    """The bound matters: with one that is too small, float32 loses bits, which the test above would notice."""
    a = np.array([[2**24 + 1]])
    assert exact_matmul(a, np.array([[1]]), 10)[0, 0] != 2**24 + 1
