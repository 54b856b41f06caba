# SPDX-License-Identifier: Apache-2.0
"""The three integer operations that golden model and gateware share: rounding, saturation, exact products."""

import numpy as np


def round_shift(value: np.ndarray, shift: int) -> np.ndarray:
    """``value`` / 2**``shift``, rounded to nearest, halves away from zero.

    Parameters
    ----------
    value : integer array, any shape
    shift : int
        0 or more; 0 gives ``value`` back.
    """
    value = np.asarray(value)
    if shift == 0:
        return value
    magnitude = (np.abs(value) + (1 << (shift - 1))) >> shift
    return np.where(value < 0, -magnitude, magnitude)


def saturate(value: np.ndarray, limit: int) -> np.ndarray:
    """``value`` held within ±``limit``; never wraps."""
    return np.clip(value, -limit, limit)


def exact_matmul(a: np.ndarray, b: np.ndarray, bound: int) -> np.ndarray:
    """The integer product ``a @ b``, int64, through floating-point BLAS where that is exact.

    Every partial sum of integers below 2**24 is exact in float32, and below 2**53 in float64, in whatever order BLAS
    adds; beyond that numpy's (slow, exact) integer product is used.

    Parameters
    ----------
    a, b : integer arrays, shapes (..., k) and (k, m)
    bound : int
        The largest possible sum of magnitudes, ``Σ|a|·|b|``, of any entry.

    Returns
    -------
    int64 array, shape (..., m)
    """
    for dtype, limit in ((np.float32, 2**24), (np.float64, 2**53)):
        if bound < limit:
            return (a.astype(dtype) @ b.astype(dtype)).astype(np.int64)
    return a.astype(np.int64) @ b.astype(np.int64)
