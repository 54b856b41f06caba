# SPDX-License-Identifier: Apache-2.0
"""Redundancy: the best of several ramp columns that were programmed alike.

This is ours, in the spirit of Yang et al., who calibrate one point of a ramp.
What remains after that is the random walk of the cells' errors along the ramp, and it differs from column to column.
The column with the least error is therefore chosen once, after programming, and kept like a fuse.
The macro alone cannot measure a whole ramp, since it knows no MAC but 0,
so the choice belongs to the equipment that reads the cells back or drives known currents.
Aging and temperature do not change the choice.
"""

from functools import lru_cache

import numpy as np
from crossramp.golden.array.ramps import Ramp
from crossramp.golden.spec.activations import activation

from ..conversion.calibration import reference_tick

_POINTS = (1 << 16) + 1  # of the grid on which the activation is integrated


def after_calibration(thresholds: np.ndarray, ramp: Ramp) -> np.ndarray:
    """``thresholds`` shifted as one-point calibration would at best: tick K's on its ideal place; the same shape.

    K is :func:`~.calibration.reference_tick`'s.
    """
    at = reference_tick(ramp) - 1
    thresholds = np.asarray(thresholds, float)
    return thresholds - thresholds[..., at : at + 1] + ramp.thresholds[at]


def activation_error(thresholds: np.ndarray, ramp: Ramp, latch: str = "last_high") -> np.ndarray:
    """Mean squared error of the decoded value against the activation, in units of its output squared.

    Over pre-activations spread evenly between the outermost ideal thresholds and a quarter of their distance beyond,
    where :func:`~.ramp_report.ramp_report` measures too; integrated, not sampled, so that columns that differ little
    differ here.

    Parameters
    ----------
    thresholds : float array, shape (..., ticks)
        In MAC units, in any order.
    ramp : Ramp
        The ideal one.
    latch : str
        What becomes of a ramp that falls somewhere, see :func:`~.ramps.latch`.

    Returns
    -------
    float64 array, shape (...)
    """
    thresholds = np.asarray(thresholds, float)
    if thresholds.shape[-1:] != ramp.floors.shape:
        raise ValueError(f"thresholds have the shape {thresholds.shape}; expected (..., {len(ramp.floors)})")
    if not np.isfinite(thresholds).all():
        raise ValueError("thresholds hold a value that is not finite; a ramp level is a number of MAC units")
    if latch == "last_high":
        ordered = np.minimum.accumulate(thresholds[..., ::-1], axis=-1)[..., ::-1]
    else:
        ordered = np.maximum.accumulate(thresholds, axis=-1)
    grid, first, second = _integrals(ramp.activation.text, ramp.bits, ramp.scale)
    # Between two borders the decoded value d is constant: the integral of (d - g)² = d² - 2dg + g².
    inner = np.clip(ordered * ramp.scale, grid[0], grid[-1])
    ends = np.broadcast_to(grid[[0, -1]], (*inner.shape[:-1], 2))
    borders = np.concatenate([ends[..., :1], inner, ends[..., 1:]], axis=-1)
    area = np.diff(np.interp(borders, grid, first), axis=-1)
    decoded = ramp.decode(ramp.codes)
    total = second + (decoded * (decoded * np.diff(borders, axis=-1) - 2 * area)).sum(axis=-1)
    return total / (grid[-1] - grid[0])


def choose(thresholds: np.ndarray, ramp: Ramp, latch: str = "last_high") -> int:
    """The column to keep: the one of least :func:`activation_error` :func:`after_calibration`, the first of equals.

    Parameters
    ----------
    thresholds : float array, shape (candidates, ticks)
        Of the columns that were programmed for ``ramp``, in MAC units, uncalibrated.

    Raises
    ------
    ValueError
        For a wrong shape, no candidate, or a threshold that is not finite.
    """
    thresholds = np.asarray(thresholds, float)
    if thresholds.ndim != 2 or len(thresholds) == 0:
        raise ValueError(f"thresholds have the shape {thresholds.shape}; expected (candidates, {len(ramp.floors)})")
    return int(np.argmin(activation_error(after_calibration(thresholds, ramp), ramp, latch)))


@lru_cache(maxsize=32)
def _integrals(text: str, bits: int, scale: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Grid of pre-activations, integral of g up to each point, and of g² up to the last."""
    ramp = Ramp(activation(text), bits, scale)
    span = ramp.arguments[-1] - ramp.arguments[0]
    low, high = ramp.arguments[0] - span / 4, ramp.arguments[-1] + span / 4
    grid = np.linspace(low, high, _POINTS)
    value = ramp.activation(grid)
    width = np.diff(grid)
    first = np.concatenate([[0.0], np.cumsum((value[1:] + value[:-1]) / 2 * width)])
    second = float(((value[1:] ** 2 + value[1:] * value[:-1] + value[:-1] ** 2) / 3 * width).sum())
    for array in (grid, first):
        array.setflags(write=False)
    return grid, first, second
