# SPDX-License-Identifier: Apache-2.0
"""From integers to siemens: the differential pairs that hold the weights, and the window of a device technology."""

import numpy as np

#: Conductance window used where none is given, in siemens: a memristor that is programmed from its off state to 150 µS.
G_MIN, G_MAX = 0.0, 150e-6


def conductances(
    weights: np.ndarray, weight_max: int, g_max: float = G_MAX, g_min: float = G_MIN
) -> tuple[np.ndarray, np.ndarray]:
    """The differential pair of every weight: (G⁺, G⁻), in siemens.

    One device of a pair carries the magnitude, the other rests at ``g_min``: with u = (g_max - g_min) / weight_max, the
    conductance of one level, G⁺ = g_min + u·max(w, 0) and G⁻ = g_min + u·max(-w, 0). So G⁺ - G⁻ = u·w exactly as the
    column subtracts it, and ``g_min`` cancels.

    Parameters
    ----------
    weights : integer array, any shape
        Levels within ±weight_max (also a bias, or the state cell's ``state_cell``).
    weight_max : int
        Full-scale weight in levels, 1 or more: the specification's ``weight_max``.
    g_max, g_min : float
        The devices' window in siemens, 0 <= g_min < g_max.

    Returns
    -------
    two float64 arrays, shape of ``weights``

    Raises
    ------
    ValueError
        For a window that is none, weights that are no integers, or a level out of range.
    """
    check_window(g_max, g_min)
    weights = np.asarray(weights)
    if weights.dtype.kind not in "iu":
        raise ValueError(f"weights hold {weights.dtype}; give integer levels")
    if weight_max < 1:
        raise ValueError(f"weight_max is {weight_max!r}; a full-scale weight has 1 level or more")
    if weights.size and np.abs(weights.astype(np.int64)).max() > weight_max:
        worst = weights.flat[np.abs(weights.astype(np.int64)).argmax()]
        raise ValueError(f"a weight is {worst}; allowed: -{weight_max} to {weight_max}")
    level = (g_max - g_min) / weight_max
    return g_min + level * np.maximum(weights, 0), g_min + level * np.maximum(-weights.astype(np.int64), 0)


def check_window(g_max: float, g_min: float) -> None:
    """ValueError unless 0 <= g_min < g_max, both finite."""
    if not (np.isfinite([g_max, g_min]).all() and 0 <= g_min < g_max):
        raise ValueError(f"the conductance window is {g_min!r} to {g_max!r} S; give 0 <= g_min < g_max")
