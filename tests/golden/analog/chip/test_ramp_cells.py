# SPDX-License-Identifier: Apache-2.0
"""Programming schemes of ramp cells: what each leaves at the thresholds."""

import numpy as np
import pytest
from crossramp.golden.analog.chip.ramp_cells import program_ramp

SIGMA = 2e-6
TICKS = 31
INSTANCES = 4000


def gaussian(targets, rng):
    return targets + SIGMA * rng.standard_normal(np.shape(targets))


@pytest.fixture
def targets():
    return np.broadcast_to(np.linspace(60e-6, 100e-6, TICKS), (INSTANCES, TICKS))


def threshold_errors(targets, reached, start=0.0):
    """By how much each threshold lies too high."""
    return np.asarray(start, float)[..., None] + np.cumsum(reached - targets, axis=-1)


def spread(targets, reached, start=0.0):
    return threshold_errors(targets, reached, start).std(axis=0)


def test_one_shot_errors_walk(targets, rng):
    found = spread(targets, program_ramp(targets, gaussian, rng)) / SIGMA
    # Standard deviations of 4,000 draws are within 5 % (4.5 of their own).
    assert np.allclose(found, np.sqrt(np.arange(1, TICKS + 1)), rtol=0.05)


def test_cumulative_leaves_one_cells_error(targets, rng):
    found = spread(targets, program_ramp(targets, gaussian, rng, 1)) / SIGMA
    assert np.allclose(found, 1, rtol=0.05)


def test_cumulative_makes_up_for_the_start(targets, rng):
    start = 20e-6 * rng.standard_normal(INSTANCES)
    assert np.allclose(spread(targets, program_ramp(targets, gaussian, rng, 1, start), start), SIGMA, rtol=0.05)
    walked = program_ramp(targets, gaussian, rng, 0, start)
    assert (spread(targets, walked, start) > 8 * SIGMA).all()


def test_read_back_error_adds_once(targets, rng):
    reached = program_ramp(targets, gaussian, rng, 1, read_back=gaussian)
    assert np.allclose(spread(targets, reached)[1:], np.sqrt(2) * SIGMA, rtol=0.05)


def test_stuck_cells_are_made_up_for_within_the_window(rng):
    targets = np.full(8, 50e-6)

    def stuck(at, value):
        count = iter(range(8))
        return lambda target, rng: value if next(count) == at else target

    errors = threshold_errors(targets, program_ramp(targets, stuck(2, 0.0), rng, 1, window=(0, 80e-6)))
    assert np.allclose(errors, [0, 0, -50e-6, -20e-6, 0, 0, 0, 0], atol=1e-18)
    errors = threshold_errors(targets, program_ramp(targets, stuck(2, 150e-6), rng, 1, window=(10e-6, 80e-6)))
    assert np.allclose(errors, [0, 0, 100e-6, 60e-6, 20e-6, 0, 0, 0], atol=1e-18)


def test_exact_programming_is_exact(targets, rng):
    for scheme in (0, 1):
        reached = program_ramp(targets[:2], lambda target, rng: target, rng, scheme)
        assert np.allclose(reached, targets[:2], rtol=1e-12, atol=0)


@pytest.mark.parametrize("targets", [[-1e-9, 1e-6], [np.nan, 1e-6]])
def test_bad_targets(targets, rng):
    with pytest.raises(ValueError, match="negative or not finite"):
        program_ramp(np.array(targets), gaussian, rng)


def test_unknown_scheme(rng):
    with pytest.raises(ValueError, match=r"ramp scheme is 3; allowed: 0 \(one-shot\), 1 \(cumulative\), 2"):
        program_ramp(np.ones(3), gaussian, rng, 3)
