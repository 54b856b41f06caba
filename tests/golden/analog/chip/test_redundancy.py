# SPDX-License-Identifier: Apache-2.0
"""The choice among spare ramp columns, against plain sampling of what each would convert."""

import numpy as np
import pytest
from crossramp.golden.analog.chip.redundancy import activation_error, after_calibration, choose
from crossramp.golden.analog.conversion.calibration import reference_tick
from crossramp.golden.array.ramps import Ramp, latch
from crossramp.golden.spec.activations import activation

SIGMOID = Ramp(activation("sigmoid"), 5, 2 / 225)


def sampled_error(thresholds, ramp, mode, points=200_001):
    """The definition, point by point, by the comparators' own trace."""
    span = ramp.arguments[-1] - ramp.arguments[0]
    grid = np.linspace(ramp.arguments[0] - span / 4, ramp.arguments[-1] + span / 4, points)
    codes = latch(grid > (thresholds * ramp.scale)[:, None], mode)
    return np.mean((ramp.decode(codes) - ramp.activation(grid)) ** 2)


@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
@pytest.mark.parametrize("text", ["sigmoid", "tanh", "softsign", "clipped_relu", "softplus", "elu"])
def test_error_is_the_mean_square_of_what_is_converted(text, mode, rng):
    ramp = Ramp(activation(text), 4, 2 / 225)
    wide = np.ptp(ramp.thresholds)
    # Far enough off that some thresholds fall below earlier ones, and some leave the span.
    columns = ramp.thresholds + rng.normal(0, wide / 30, (3, 15)).cumsum(axis=1)
    assert (np.diff(columns) < 0).any()
    expected = [sampled_error(column, ramp, mode) for column in columns]
    np.testing.assert_allclose(activation_error(columns, ramp, mode), expected, rtol=1e-3)


def test_calibration_mends_one_point_and_an_offset_altogether():
    shifted = after_calibration(SIGMOID.thresholds + 37.25, SIGMOID)
    np.testing.assert_array_equal(shifted, SIGMOID.thresholds)
    bent = after_calibration(SIGMOID.thresholds * 1.25 + 3, SIGMOID)
    assert bent[reference_tick(SIGMOID) - 1] == 0.5


@pytest.mark.parametrize(
    ("text", "tick"), [("sigmoid", 16), ("tanh", 16), ("elu", 16), ("clipped_relu", 1), ("softplus", 6)]
)
def test_reference_tick(text, tick):
    """ln 2 = 0.69 of softplus[0,4] lies between 5/8 and 6/8, and nearer to the latter."""
    assert reference_tick(Ramp(activation(text), 5, 2 / 225)) == tick


def test_the_best_column_is_chosen_whatever_its_offset(rng):
    columns = SIGMOID.thresholds + rng.normal(0, 6, (8, 31)).cumsum(axis=1)
    mended = after_calibration(columns, SIGMOID)
    best = int(np.argmin([sampled_error(column, SIGMOID, "last_high") for column in mended]))
    assert choose(columns, SIGMOID) == best
    assert choose(columns + rng.normal(0, 100, (8, 1)), SIGMOID) == best
    assert choose(columns[::-1], SIGMOID) == 7 - best
    assert choose(np.stack([SIGMOID.thresholds] * 2), SIGMOID) == 0


def test_the_latch_decides_which_column_is_best(rng):
    """Columns that fall somewhere: what one latch makes of them is not what the other does."""
    differ = 0
    for _ in range(20):
        columns = SIGMOID.thresholds + rng.normal(0, 12, (6, 31))
        mended = after_calibration(columns, SIGMOID)
        found = []
        for mode in ("last_high", "first_trip"):
            best = int(np.argmin([sampled_error(column, SIGMOID, mode, 20_001) for column in mended]))
            assert choose(columns, SIGMOID, mode) == best
            found.append(best)
        differ += found[0] != found[1]
    assert differ > 3


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        (np.zeros((0, 31)), r"shape \(0, 31\); expected \(candidates, 31\)"),
        (np.zeros(31), r"shape \(31,\)"),
        (np.zeros((2, 30)), r"shape \(2, 30\); expected \(..., 31\)"),
        (np.full((2, 31), np.nan), "not finite"),
    ],
)
def test_what_is_no_ramp_column_is_refused(thresholds, message):
    with pytest.raises(ValueError, match=message):
        choose(thresholds, SIGMOID)
