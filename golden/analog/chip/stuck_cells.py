# SPDX-License-Identifier: Apache-2.0
"""Cells that are known to be stuck when an array is programmed, and the cells that compensate for them.

Programming reads every cell back, so it knows
which ones are stuck before it decides the targets of the others (``cell.fault_aware``).
Weights are often mapped around known faults.
Jin, Pei and Wang ("target sparsifying"), who map zeros there,
saw that one half of a differential pair can compensate for most faults of the other.
There are three ways (ours), each used only if the one before is not enough:

- the partner of a stuck cell is programmed to what the pair lacks (:func:`pair_targets`);
- cells of a ramp's start, which are driven together, take on what stuck ones among them lack (:func:`shared`);
- the next tick of a ramp takes on what a stuck one lacks (:func:`carried`),
  so that one level is wrong and not all that follow.

Nothing compensates for later aging.
Arrays named ``stuck`` hold the value at which each cell is stuck, and NaN for cells that are not.
"""

import numpy as np


def stuck_at(chance: np.ndarray, on: float, off: float, window: tuple[float, float]) -> np.ndarray:
    """What cells are stuck at; NaN for the others.

    Parameters
    ----------
    chance : float64 array
        Uniform numbers, one per cell: the least ``on`` of them are stuck at the window's high end, the highest ``off``
        at its low end.
    """
    low, high = window
    return np.where(chance < on, high, np.where(chance >= 1 - off, low, np.nan))


def pair_targets(
    differences: np.ndarray, window: tuple[float, float], stuck: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Positive and negative cells of pairs for ``differences``: one carries it, its partner rests at the low end.

    With ``stuck``, of positive and negative cells, partners of stuck cells go to what brings the difference to what is
    wanted, or nearest to it within the window. All arrays have one shape and unit.
    """
    low, high = window
    resting = [low + np.maximum(sign * differences, 0) for sign in (1, -1)]
    if stuck is None:
        return tuple(resting)
    return tuple(
        np.where(np.isnan(other), rest, np.clip(other + sign * differences, low, high))
        for rest, other, sign in zip(resting, reversed(stuck), (1, -1), strict=True)
    )


def lacking(differences: np.ndarray, window: tuple[float, float], stuck: tuple[np.ndarray, ...]) -> np.ndarray:
    """What stuck cells (``stuck`` has one array), or pairs that hold some (two), still lack of ``differences``.

    Signed, 0 for all others; same shape and unit. A difference of 0 has no cell, so nothing is missing there.
    """
    if len(stuck) == 1:
        reached = stuck[0]
    else:
        wanted = pair_targets(differences, window, stuck)
        cells = [np.where(np.isnan(at), target, at) for at, target in zip(stuck, wanted, strict=True)]
        reached = cells[0] - cells[1]
    return np.where(healthy(stuck) | (differences == 0), 0.0, differences - reached)


def healthy(stuck: tuple[np.ndarray, ...]) -> np.ndarray:
    """Cells that are not stuck, or pairs without one that is."""
    return np.logical_and.reduce([np.isnan(at) for at in stuck])


def shared(targets: np.ndarray, lack: np.ndarray, able: np.ndarray, limit: float) -> np.ndarray:
    """Targets of cells that are driven together, such that the able ones make up for ``lack``, each for as much.

    Parameters
    ----------
    targets : float64 array, shape (ramps, cells)
        0 where there is no cell.
    lack : float64 array, shape (ramps,)
        What their sum is to have beyond that of ``targets``, in the same unit; may be negative.
    able : bool array, shape (ramps, cells)
    limit : float
        No cell goes beyond it, or below 0.
    """
    able = able & (targets > 0)
    share = lack / np.maximum(able.sum(axis=1), 1)
    return np.where(able, np.clip(targets + share[:, None], 0.0, limit), targets)


def carried(targets: np.ndarray, lack: np.ndarray, able: np.ndarray, limit: float) -> np.ndarray:
    """Targets of cells that are driven one after the other, such that the next able ones make up for ``lack``.

    Parameters and result as of :func:`shared`, but ``lack`` has the shape (ramps, cells).
    """
    made = targets.copy()
    missing = np.zeros(len(targets))
    for k in range(targets.shape[1] if lack.any() else 0):
        wanted = np.clip(targets[:, k] + missing, 0.0, limit)
        made[:, k] = np.where(able[:, k], wanted, targets[:, k])
        missing = np.where(able[:, k], missing + targets[:, k] - wanted, missing + lack[:, k])
    return made
