# SPDX-License-Identifier: Apache-2.0
"""How the cells of a ramp are programmed, one after the other, and what their errors do to the thresholds.

Tick k adds cell k to all cells before it, so threshold k carries the sum of their errors.
With errors e_1 .. e_k of standard deviation s each, the schemes differ:

- one-shot: each cell is programmed to its own nominal step.
  T_k errs by e_1 + .. + e_k, a random walk of s·sqrt(k) along the ramp that no shift of the whole ramp corrects.
- cumulative (ours): cell k is programmed to what its threshold still lacks,
  T_k minus the level that the cells before it reached, as read back.
  The sum telescopes and leaves e_k alone in T_k: s at every tick.
  The next cells compensate for a stuck cell, as far as their window allows.
  A cell cannot subtract: if the level is beyond T_k already, the cell is left at the low end of the window.
- converted (ours): the same, where the level is read back by converting known MACs.
  This also compensates for what columns and the ramp's integrator do to charges:
  the targets are where the columns need them (:mod:`.sampling`).

``read_back`` says how reading a level errs; chips are sampled with a reading as good as that of many conversions.
"""

from collections.abc import Callable

import numpy as np

from ...common.errors import InvalidValue

#: ``program(targets, rng)``: conductances that cells reach when programmed to ``targets``; same shape, same unit.
Program = Callable[[np.ndarray, np.random.Generator], np.ndarray]

SCHEMES = ("one-shot", "cumulative", "converted")
"""By their number, the constant ``ramp.scheme``."""


def program_ramp(
    targets: np.ndarray,
    program: Program,
    rng: np.random.Generator,
    scheme: int = 0,
    start_error: np.ndarray | float = 0.0,
    window: tuple[float, float] = (0.0, np.inf),
    read_back: Program | None = None,
) -> np.ndarray:
    """Cells of ramps, programmed tick by tick.

    Parameters
    ----------
    targets : float64 array, shape (..., ticks)
        Nominal steps as conductances (or capacitances), 0 or more. Leading axes: ramps, instances.
    program : callable
        What programming a cell brings; called once with all targets (one-shot), or tick by tick with an array of shape
        (...) that it may clip to levels and window and spoil as it likes.
    rng : numpy.random.Generator
    scheme : int
        Index into :data:`SCHEMES`.
    start_error : float64 array, shape (...)
        By how much the ramp stands too high before its first tick, in the unit of ``targets``: cumulative programming
        makes up for it, one-shot does not.
    window : tuple of float
        Lowest and highest target that may be asked for; cumulative programming asks for nothing outside.
    read_back : callable or None
        ``read_back(levels, rng)``: levels as the programmer reads them; None: exactly.

    Returns
    -------
    float64 array, shape of ``targets``
        Conductances reached.

    Raises
    ------
    InvalidValue
        For targets that are negative or not finite, or an unknown scheme.
    """
    targets = np.asarray(targets, float)
    if not (np.isfinite(targets).all() and (targets >= 0).all()):
        raise InvalidValue("a ramp step is negative or not finite; steps are conductances of 0 or more")
    if scheme not in range(len(SCHEMES)):
        raise InvalidValue(
            f"ramp scheme is {scheme!r}; allowed: " + ", ".join(f"{i} ({n})" for i, n in enumerate(SCHEMES))
        )
    if scheme == 0:
        return np.asarray(program(targets, rng), float)
    low, high = window
    wanted = np.cumsum(targets, axis=-1)
    reached = np.empty_like(targets)
    level = np.broadcast_to(np.asarray(start_error, float), targets.shape[:-1]).copy()
    for k in range(targets.shape[-1]):
        seen = level if read_back is None else read_back(level, rng)
        lacking = np.clip(wanted[..., k] - seen, low, high)
        reached[..., k] = program(lacking, rng)
        level = level + reached[..., k]
    return reached
