# SPDX-License-Identifier: Apache-2.0
"""Weights as levels: rounded to the nearest, or so that the rows of a column make up for each other's errors."""

import numpy as np

#: Of the mean of the diagonal, added to it: directions that the data never takes stay invertible.
_DAMPING = 0.01


def rounded(values: np.ndarray) -> np.ndarray:
    """The nearest integers, halves away from zero, as everywhere in the arithmetic; float64."""
    values = np.asarray(values, np.float64)
    return np.trunc(values + np.copysign(0.5, values))


def nearest(weights: np.ndarray, step: float, limit: int) -> np.ndarray:
    """Levels within ±limit of real ``weights``; int64 of the same shape.

    Parameters
    ----------
    step : float
        Real value of a level.
    """
    return np.clip(rounded(weights / step), -limit, limit).astype(np.int64)


def error_fed(weights: np.ndarray, inputs: np.ndarray, step: float, limit: int) -> np.ndarray:
    """Levels within ±limit that keep ``inputs @ weights`` better than the nearest ones do; int64.

    Rows are rounded one after the other, those of the largest inputs first, and the rows that are left take up the
    error, as far as the data correlates them: optimal brain quantization with one order of rows for all columns
    (Frantar et al., "GPTQ", arXiv:2210.17323, equations 2 and 3, by a Cholesky factor).

    Parameters
    ----------
    weights : array, shape (rows, columns)
    inputs : array, shape (samples, rows)
        What drives the rows.
    step : float
        Real value of a level.
    """
    hessian = inputs.T @ inputs / len(inputs)
    spread = float(np.mean(np.diag(hessian)))
    if spread == 0:  # nothing was ever driven
        return nearest(weights, step, limit)
    hessian[np.diag_indices_from(hessian)] += _DAMPING * spread
    order = np.argsort(-np.diag(hessian), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T
    left = weights[order] / step
    levels = np.empty_like(left)
    for row in range(len(left)):
        levels[row] = np.clip(rounded(left[row]), -limit, limit)
        error = (left[row] - levels[row]) / upper[row, row]
        left[row + 1 :] -= upper[row, row + 1 :, None] * error
    found = np.empty(weights.shape, np.int64)
    found[order] = levels.astype(np.int64)
    return found


def spread_over_rows(levels: np.ndarray, rows: int, limit: int) -> np.ndarray:
    """Whole ``levels``, shape (columns,), as the sum of bias rows within ±limit each; int64, shape (rows, columns)."""
    levels = np.clip(levels, -rows * limit, rows * limit).astype(np.int64)
    found = np.zeros((rows, len(levels)), np.int64)
    for row in range(rows):
        # What the rows after this one cannot take, shared evenly.
        found[row] = np.sign(levels) * -(-np.abs(levels) // (rows - row))
        levels = levels - found[row]
    return found
