# SPDX-License-Identifier: Apache-2.0
"""Noise that the golden model and the Verilog simulators draw alike: a function of seed, conversion and place.

A 64-bit counter goes through splitmix64's finalizer (Steele et al., OOPSLA 2014, doi:10.1145/2660193.2660195).
Each of the four 16-bit parts of the result chooses one of 65,536 equally probable values of the normal distribution.
Any value can therefore be computed without those before it, in any order,
and ``device_crossbar.sv`` computes the same in 64-bit integers and one table.
The distribution ends at ±:data:`BOUND`.
"""

from functools import cache
from statistics import NormalDist

import numpy as np
from crossramp.golden.common.checks import told, whole

from ...common.errors import InvalidValue

#: Of the counter, and the finalizer's rounds: ``z ^= z >> shift``, then ``z *= factor``.
STEP = np.uint64(0x9E3779B97F4A7C15)
ROUNDS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
    (np.uint64(31), np.uint64(1)),
)

#: Values of the table.
SIZE = 1 << 16


@cache
def table() -> np.ndarray:
    """Quantiles of the standard normal at (k + 1/2) / 65536; float64, shape (65536,), exactly antisymmetric."""
    upper = [NormalDist().inv_cdf((k + 0.5) / SIZE) for k in range(SIZE // 2, SIZE)]
    values = np.concatenate([-np.array(upper[::-1]), upper])
    values.setflags(write=False)
    return values


#: No value is larger in magnitude; standard deviations.
BOUND = -NormalDist().inv_cdf(0.5 / SIZE)


def key(seed: int) -> np.uint64:
    """The counter's origin for ``seed`` (0 to 2**63 - 1), as a 64-bit word: one round of splitmix64."""
    number = whole(seed)
    if number is None or not 0 <= number < 1 << 63:
        raise InvalidValue(f"seed is {told(seed)}; allowed: integers from 0 to 2**63 - 1")
    return _mix(np.array([number], np.uint64) * STEP + STEP)[0]


def words(origin: np.uint64, conversion: np.ndarray, group: np.ndarray) -> np.ndarray:
    """64-bit words of counters ``conversion`` * 2**32 + ``group``; uint64, the shape both broadcast to.

    Parameters
    ----------
    origin : uint64
        From :func:`key`.
    conversion, group : integer arrays
        The conversion's number since the array was switched on, and which word of it; below 2**31 each.
    """
    counter = (np.asarray(conversion, np.uint64) << np.uint64(32)) + np.asarray(group, np.uint64)
    return _mix((counter + np.uint64(1)) * STEP + origin)


def normals(origin: np.uint64, conversion: np.ndarray, first: int, count: int) -> np.ndarray:
    """Standard normal values number ``first`` to ``first + count - 1`` of each conversion.

    Value k of a conversion is chosen by bits 16·(k mod 4) and up of word k // 4.

    Parameters
    ----------
    conversion : integer array, any shape
    first : int
        A multiple of 4.

    Returns
    -------
    float64 array, shape (*conversion.shape, count)
    """
    if first % 4:
        raise ValueError(f"first is {first}; values come in groups of 4")
    groups = np.arange(first // 4, first // 4 + -(-count // 4), dtype=np.uint64)
    drawn = words(origin, np.asarray(conversion)[..., None], groups)
    parts = drawn.astype("<u8", copy=False).view("<u2")  # the last axis becomes 4 times as long, lowest bits first
    return table().take(parts[..., :count])


def at(origin: np.uint64, conversion: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Single values: number ``index`` of ``conversion``, arrays of one shape; float64."""
    index = np.asarray(index, np.uint64)
    drawn = words(origin, conversion, index >> np.uint64(2))
    return table().take(((drawn >> ((index & np.uint64(3)) << np.uint64(4))) & np.uint64(0xFFFF)).astype(np.intp))


def _mix(z: np.ndarray) -> np.ndarray:
    for shift, factor in ROUNDS:
        z = (z ^ (z >> shift)) * factor
    return z
