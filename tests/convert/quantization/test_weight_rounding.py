# SPDX-License-Identifier: Apache-2.0
"""Weights as levels: against a slow form of the method, and against what rounding to the nearest loses."""

import numpy as np
import pytest
from crossramp.convert.quantization.full_scales import (
    coded,
    input_full_scales,
    output_full_scale,
    weight_full_scale,
)
from crossramp.convert.quantization.weight_rounding import error_fed, nearest, rounded, spread_over_rows

LIMIT = 15


def test_halves_go_away_from_zero():
    assert rounded([0.5, -0.5, 1.5, -2.5, 0.4999, 0]).tolist() == [1, -1, 2, -3, 0, 0]
    assert nearest(np.array([0.24, 9.0, -9.0]), 0.5, LIMIT).tolist() == [0, 15, -15]


def correlated(rng, samples: int = 400, rows: int = 12) -> np.ndarray:
    return rng.normal(size=(samples, 3)) @ rng.normal(size=(3, rows)) + 0.2 * rng.normal(size=(samples, rows))


def one_at_a_time(weights: np.ndarray, inputs: np.ndarray, step: float) -> np.ndarray:
    """Optimal brain quantization, row by row, with the inverse of what is left computed anew for each row."""
    hessian = inputs.T @ inputs / len(inputs)
    hessian = hessian + 0.01 * np.trace(hessian) / len(hessian) * np.eye(len(hessian))
    order = np.argsort(-np.diag(hessian), kind="stable")
    levels, left = np.zeros(weights.shape, np.int64), weights / step
    for place, row in enumerate(order):
        rest = order[place:]
        inverse = np.linalg.inv(hessian[np.ix_(rest, rest)])
        levels[row] = np.clip(rounded(left[row]), -LIMIT, LIMIT)
        error = (left[row] - levels[row]) / inverse[0, 0]
        left[rest] -= inverse[:, :1] * error
    return levels


def test_error_fed_levels_are_those_of_the_slow_form(rng):
    for _ in range(5):
        inputs, weights = correlated(rng), rng.normal(size=(12, 7))
        step = 3 / LIMIT
        assert (error_fed(weights, inputs, step, LIMIT) == one_at_a_time(weights, inputs, step)).all()


def test_error_fed_levels_keep_what_columns_add_up_to(rng):
    better = 0
    for _ in range(10):
        inputs, weights = correlated(rng), rng.normal(size=(12, 7))
        step = 2 / 3  # three levels to each side
        lost = [
            inputs @ (levels * step - weights)
            for levels in (error_fed(weights, inputs, step, 7), nearest(weights, step, 7))
        ]
        better += np.mean(lost[0] ** 2) < 0.5 * np.mean(lost[1] ** 2)
    assert better == 10


def test_uncorrelated_rows_are_rounded_to_the_nearest():
    inputs = np.eye(6)
    weights = np.linspace(-1, 1, 18).reshape(6, 3)
    assert (error_fed(weights, inputs, 0.1, LIMIT) == nearest(weights, 0.1, LIMIT)).all()
    assert (error_fed(weights, np.zeros((4, 6)), 0.1, LIMIT) == nearest(weights, 0.1, LIMIT)).all()


def test_bias_rows_add_up(rng):
    for rows in (1, 2, 3, 5):
        levels = rng.integers(-rows * LIMIT, rows * LIMIT, 40, endpoint=True)
        spread = spread_over_rows(levels, rows, LIMIT)
        assert spread.shape == (rows, 40)
        assert (spread.sum(axis=0) == levels).all()
        assert np.abs(spread).max() <= LIMIT
    assert spread_over_rows(np.array([99, -99]), 2, LIMIT).sum(axis=0).tolist() == [30, -30]
    assert spread_over_rows(np.zeros(3, int), 0, LIMIT).shape == (0, 3)


def squared_error(values, full_scale, limit) -> float:
    """By a search over all codes."""
    levels = np.arange(-limit, limit + 1) / limit * full_scale
    return float(np.mean(np.min((values[:, None] - levels) ** 2, axis=1)))


def test_input_scales_lose_least_of_those_that_are_tried(rng):
    values = rng.normal(size=(500, 3)) * np.array([1, 5, 0.2])
    values[0] = [9, -40, 1.8]  # one far off
    found = input_full_scales(values, 7, "least-squares")
    for column, scale in enumerate(found):
        own = values[:, column]
        largest = np.abs(own).max()
        tried = [squared_error(own, share * largest, 7) for share in np.linspace(0.3, 1, 15)]
        assert squared_error(own, scale, 7) == pytest.approx(min(tried), rel=1e-9)
        assert scale < 0.7 * largest
    assert input_full_scales(values, 7, "max").tolist() == np.abs(values).max(axis=0).tolist()
    assert input_full_scales(values, 7, "shared").tolist() == [40, 40, 40]
    assert input_full_scales(np.zeros((3, 2)), 7, "least-squares").tolist() == [0.3, 0.3]
    assert output_full_scale(np.zeros((3, 2)), 7) == 1
    assert output_full_scale(values[:, :1], 7) == pytest.approx(found[0])


def test_codes_are_multiples_within_full_scale():
    assert coded(np.array([0.5, 3.0, -9.0, 0.01]), 2.0, 7).tolist() == [2 / 7, 1, -1, 0]


def test_the_weight_range_has_the_least_error_of_the_sums(rng):
    inputs, weights = correlated(rng), rng.normal(size=(12, 7))
    weights[3, 2] = 12.0  # one far off
    found = weight_full_scale([(inputs, weights)], 3, "output-error")

    def lost(share):
        step = share * 12 / 3
        return np.mean((inputs @ (weights - np.clip(rounded(weights / step), -3, 3) * step)) ** 2)

    shares = np.linspace(0.25, 1, 26)
    assert found == pytest.approx(12 * shares[np.argmin([lost(share) for share in shares])])
    assert weight_full_scale([(inputs, weights)], 3, "max") == 12
    assert weight_full_scale([(inputs, weights)], 3, "max", lambda wanted: max(wanted, 20.0)) == 20
    assert weight_full_scale([(inputs, 0 * weights)], 3, "output-error") == 0.25
