# SPDX-License-Identifier: Apache-2.0
"""Full scales by least squared error: of inputs, of weights, and of activations whose range is open."""

from collections.abc import Callable, Sequence

import numpy as np

from .weight_rounding import nearest, rounded

#: Shares of the largest magnitude that are tried.
_SHARES = np.linspace(0.3, 1.0, 15)
_WEIGHT_SHARES = np.linspace(0.25, 1.0, 26)


def input_full_scales(values: np.ndarray, limit: int, method: str) -> np.ndarray:
    """The real value of the largest pulse code of each input; float64, shape (inputs,), above 0.

    Parameters
    ----------
    values : array, shape (samples, inputs)
    limit : int
        The largest pulse code.
    method : str
        See :class:`.quantizer_settings.QuantizerSettings`.
    """
    largest = np.abs(values).max(axis=0)
    largest = np.where(largest > 0, largest, 1.0)  # an input that is always 0 has any scale
    if method == "shared":
        return np.full_like(largest, largest.max())
    if method == "max":
        return largest
    errors = np.stack([_error(values, share * largest, limit) for share in _SHARES])
    return largest * _SHARES[errors.argmin(axis=0)]


def output_full_scale(values: np.ndarray, limit: int) -> float:
    """The one real value of the largest code that loses least of ``values``, of any shape."""
    largest = float(np.abs(values).max())
    if largest == 0:
        return 1.0
    flat = values.reshape(-1, 1)
    return largest * float(_SHARES[np.argmin([_error(flat, share * largest, limit)[0] for share in _SHARES])])


def coded(values: np.ndarray, full_scale: np.ndarray | float, limit: int) -> np.ndarray:
    """``values`` as pulse codes stand for them, over their full scale: multiples of 1 / limit within ±1; float64."""
    return np.clip(rounded(values / full_scale * limit), -limit, limit) / limit


def weight_full_scale(
    banks: Sequence[tuple[np.ndarray, np.ndarray]],
    limit: int,
    method: str,
    allowed: Callable[[float], float] = lambda value: value,
) -> float:
    """The real value of a full-scale weight on the banks of one ramp.

    Parameters
    ----------
    banks : sequence of (inputs, weights)
        Of each bank what drives its rows, shape (samples, rows), and its weights, shape (rows, columns).
    limit : int
        Levels of a full-scale weight.
    method : str
        ``"max"``: the largest weight. ``"output-error"``: of 26 shares of it the one with the least squared error of
        the pre-activations when weights are rounded to the nearest level.
    allowed : callable
        From a wanted range to the nearest that the hardware can have.
    """
    largest = max(float(np.abs(weights).max(initial=0)) for _, weights in banks) or 1.0
    if method == "max":
        return allowed(largest)
    found = []
    # In Gram matrices: the mean of ‖v·D‖² over the data is the trace of Dᵀ·E[vᵀv]·D.
    grams = [inputs.T @ inputs / len(inputs) for inputs, _ in banks]
    for wanted in dict.fromkeys(allowed(share * largest) for share in _WEIGHT_SHARES):
        error = 0.0
        for gram, (_, weights) in zip(grams, banks, strict=True):
            lost = weights - nearest(weights, wanted / limit, limit) * (wanted / limit)
            error += float(np.sum(lost * (gram @ lost)))
        found.append((error, wanted))
    return min(found)[1]


def _error(values: np.ndarray, full_scale: np.ndarray | float, limit: int) -> np.ndarray:
    """The mean squared error of each column of ``values`` as pulse codes."""
    return np.mean((coded(values, full_scale, limit) * full_scale - values) ** 2, axis=0)
