# SPDX-License-Identifier: Apache-2.0
"""Ramps as the columns see them: thresholds in MACs of ideal weights."""

import numpy as np

from .device import DeviceInstance


def seen_thresholds(device: DeviceInstance, weights: np.ndarray, calibration: np.ndarray | None = None) -> np.ndarray:
    """Levels of an instance, undone of what its columns do to MACs on the way.

    A ramp whose step is 10 % low is right where the columns' charges are 10 % low too. The columns' gain is the
    least-squares fit of all cells to the weights they were programmed to; their compression is undone.

    Parameters
    ----------
    device : DeviceInstance
    weights : integer array, shape (rows, columns)
        Not all 0.
    calibration : bool array, shape (ramps, calibration_cells), or None
        Cells selected; None: the instance's nominal ones.

    Returns
    -------
    float64 array, shape (ramps, ticks)
    """
    weights = np.asarray(weights, float)
    gain = (weights * device.weights).sum() / np.square(weights).sum() * device.window.mean()
    return expanded(device.levels(calibration), device.compression) / gain


def expanded(values: np.ndarray, compression: float) -> np.ndarray:
    """Charges that compress to ``values``: the inverse of point 3 of :mod:`.device`; infinite beyond its end."""
    values = np.asarray(values, float)
    if not compression:
        return values
    # v·c = y / (1 + y/2 + y²/12) with y = |q|·c: the smaller root of v·c·y²/12 + (v·c/2 - 1)·y + v·c = 0.
    v = np.abs(values) * compression
    b, square = 1 - v / 2, (1 - v / 2) ** 2 - v**2 / 3
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where((square >= 0) & (b > 0), 2 * v / (b + np.sqrt(np.maximum(square, 0))), np.inf)
    return np.sign(values) * y / compression


def inverse(x: np.ndarray, y: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where the line through (x, y), both non-decreasing, reaches ``wanted``; straight on beyond its finite ends."""
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    if not y.size:
        return wanted
    found = np.interp(wanted, y, x)
    for end, beyond in ((0, wanted < y[0]), (-1, wanted > y[-1])):
        found = np.where(beyond, x[end] + (wanted - y[end]) * (x[-1] - x[0]) / max(y[-1] - y[0], 1e-9), found)
    return found
