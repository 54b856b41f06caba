# SPDX-License-Identifier: Apache-2.0
"""The noise: a function of its counters, normal enough, and the published finalizer."""

import numpy as np
import pytest
from crossramp.golden.analog.conversion import noise


def splitmix64(state: int) -> int:
    """One output of splitmix64 from ``state``, in Python's integers."""
    mask = (1 << 64) - 1
    z = (state + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_words_are_splitmix64():
    """The published sequence of seed 0 begins so; a word is the generator's output number counter + 1."""
    assert splitmix64(0) == 0xE220A8397B1DCDAF
    step, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    for seed, conversion, group in ((0, 0, 0), (7, 3, 9), (2**63 - 1, 2**31 - 1, 2**31 - 1)):
        origin = splitmix64(seed * step & mask)
        assert int(noise.key(seed)) == origin
        counter = (conversion << 32) + group
        assert int(noise.words(noise.key(seed), np.array([conversion]), group)[0]) == splitmix64(
            counter * step + origin & mask
        )


def test_single_values_are_those_of_the_whole(rng):
    origin, conversion = noise.key(5), rng.integers(0, 2**31, 20)
    whole = noise.normals(origin, conversion, 8, 50)
    which = np.arange(8, 58)
    assert np.array_equal(
        noise.at(origin, np.broadcast_to(conversion[:, None], (20, 50)), which + 0 * conversion[:, None]), whole
    )


def test_the_distribution_is_normal_up_to_its_bound():
    table = noise.table()
    assert np.array_equal(table, -table[::-1])
    assert table.max() == noise.BOUND
    assert abs(table.std() - 1) < 2e-5
    values = noise.normals(noise.key(1), np.arange(4000), 0, 128)
    # Means of 512,000 values: five standard deviations of each estimate.
    assert abs(values.mean()) < 5 / np.sqrt(values.size)
    assert abs(values.std() - 1) < 5 / np.sqrt(2 * values.size)
    assert abs((values**4).mean() - 3) < 5 * np.sqrt(96 / values.size)


@pytest.mark.parametrize("shift", [(0, 1), (0, 3), (0, 4), (1, 0), (2, 5)])
def test_neighbors_are_not_correlated(shift):
    values = noise.normals(noise.key(2), np.arange(2000), 0, 128)
    a = values[: 2000 - shift[0], : 128 - shift[1]]
    b = values[shift[0] :, shift[1] :]
    assert abs((a * b).mean()) < 5 / np.sqrt(a.size)


def test_seeds_differ():
    a, b = (noise.normals(noise.key(seed), np.arange(500), 0, 128) for seed in (3, 4))
    assert abs((a * b).mean()) < 5 / np.sqrt(a.size)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match=str(seed)):
        noise.key(seed)
