# SPDX-License-Identifier: Apache-2.0
"""What the cells of a technology are to be programmed to, and how far given cells are from that."""

import numpy as np
from crossramp.golden.array.array_protocol import array_levels
from crossramp.golden.array.weights import Weights
from crossramp.golden.spec.specification import Specification

from ..chip.given_cells import Conductances
from ..chip.physical import subtracted
from ..chip.sampling import Chip
from ..technologies.technology import Technology

#: By how much the gain of given cells may differ from 1 before a user is warned.
TOLERANCE = 0.1

_PAIRS = {"weights": ("positive", "negative"), "state cells": ("state_positive", "state_negative")}


def targets(technology: Technology, spec: Specification, weights: Weights | np.ndarray) -> Conductances:
    """What to program: the same for all chips, without any effect.

    Ramp cells are pairs where those of the technology are, and each bit of the calibration register has its cells
    apart, 0 beyond their number. A step of 0 has no cell: 0. An external ramp has calibration cells alone. With these
    cells as ``conductances`` and without effects, :func:`.sampling.sample` makes the ideal array.

    Parameters
    ----------
    technology : Technology
    spec : Specification
    weights : Weights, or integer array of shape (rows, columns)
        Levels within ±weight_max; the array is enough where no line has trained cells.

    Returns
    -------
    Conductances
        In siemens; in charge mode farad.

    Raises
    ------
    InvalidValue
        For weights out of range.
    """
    levels, line_levels = array_levels(spec, weights)
    chip = Chip(technology, spec, 0, frozenset(), None)
    ramps = chip.nominal_ramps()
    steps = {"calibration": ramps.calibration} if spec.calibration_cells else {}
    if technology.ramp_kind == "in-memory":
        steps["ramp"] = np.maximum(ramps.steps(ramps.thresholds), 0) * ramps.unit[:, None]
        steps["ramp_start"] = chip.start_targets(ramps)
    positive, negative = chip.weight_cells(levels)
    state_positive, state_negative = chip.state_cells(line_levels)
    cells = {"positive": positive, "negative": negative}
    cells |= {"state_positive": state_positive, "state_negative": state_negative}
    for name, wanted in steps.items():
        cells[name], partners = chip.ramp_cells("", "", wanted)
        if chip.base:
            cells[f"{name}_negative"] = partners
    for name in {"ramp", "ramp_negative"} & set(cells):
        cells[name] = np.where(spec.has_tap, cells[name], 0.0)
    return Conductances(**cells, source=f"targets of technology {technology.name}")


def below_window(technology: Technology, spec: Specification, weights: Weights | np.ndarray) -> str | None:
    """One line on ramp cells whose targets are smaller than the cells of ``technology`` can be; None without any."""
    if technology.read_mode == "charge":
        return None
    cells, low = targets(technology, spec, weights), technology["cell.g_min"]
    parts = [values for name, values in cells.arrays().items() if name in ("ramp", "ramp_start", "calibration")]
    few = sum(int(((values > 0) & (values < low)).sum()) for values in parts)
    if not few:
        return None
    every = sum(np.count_nonzero(values) for values in parts)
    return (
        f"{few} of {every} ramp cells are to be smaller than {low * 1e6:g} µS, the smallest conductance of technology "
        f"{technology.name}; pairs can make such steps: --set ramp.pairs=1"
    )


def gains(
    given: Conductances, technology: Technology, spec: Specification, weights: Weights | np.ndarray
) -> dict[str, float]:
    """Least-squares gains of given cells against :func:`targets`: 1 where they are as large as they should be.

    Parameters
    ----------
    given : Conductances
        Checked; only cells in it count.
    technology, spec, weights
        As for :func:`targets`.

    Returns
    -------
    dict of str to float
        By what is given: ``"weights"``, ``"state cells"``, and of each ramp ``"taps of ramp 0 (sigmoid)"``, ``"start of
        ramp .."`` (of its sum) and ``"calibration cells of ramp .."``. Parts whose targets are all 0 have no gain.
    """
    wanted = targets(technology, spec, weights)
    found = {}
    for label, names in _PAIRS.items():
        pairs = [(getattr(given, name), getattr(wanted, name)) for name in names]
        if all(cells is None for cells, _ in pairs):
            continue
        if label == "weights":
            pairs[1] = tuple(None if cells is None else subtracted(spec, cells) for cells in pairs[1])
        # A partner that is not given is as it should be.
        cells = [target if cells is None else np.where(np.isnan(cells), target, cells) for cells, target in pairs]
        known = np.logical_or(*(np.zeros(1, bool) if cells is None else ~np.isnan(cells) for cells, _ in pairs))
        found[label] = _gain(cells[0] - cells[1], pairs[0][1] - pairs[1][1], known)
    for ramp, activation in enumerate(spec.ramps):
        name = f"ramp {ramp} ({activation.text})"
        if given.ramp is not None:
            found[f"taps of {name}"] = _gain(_steps(given, "ramp")[ramp], _steps(wanted, "ramp")[ramp])
        if given.ramp_start is not None:
            sums = [_steps(cells, "ramp_start")[ramp].sum() for cells in (given, wanted)]
            found[f"start of {name}"] = _gain(*sums)
        if given.calibration is not None:
            bits = [_steps(cells, "calibration")[ramp].sum(axis=-1) for cells in (given, wanted)]
            found[f"calibration cells of {name}"] = _gain(*bits)
    return {label: gain for label, gain in found.items() if gain is not None}


def warning(given: Conductances, found: dict[str, float], technology: Technology) -> str | None:
    """One line on the ``found`` gains of ``given`` cells that differ from 1 by more than :data:`TOLERANCE`, or None."""
    off = [f"{label} {gain:.3g}" for label, gain in found.items() if not abs(gain - 1) <= TOLERANCE]
    if not off:
        return None
    return (
        f"{given.source}: least-squares gain against the targets of technology {technology.name}: {', '.join(off)}; "
        f"expected {1 - TOLERANCE:g} to {1 + TOLERANCE:g}. Check the unit, the conductance window and the model that "
        "these cells are for (docs/conductances.md)"
    )


def _steps(cells: Conductances, name: str) -> np.ndarray:
    """Cells of ramps less those subtracted; NaN where they are not given."""
    if name == "calibration":
        positive, negative = cells.calibration_parts()
        return positive - negative
    values, partners = getattr(cells, name), getattr(cells, f"{name}_negative")
    return values if partners is None else values - partners


def _gain(values: np.ndarray, wanted: np.ndarray, known: np.ndarray | bool = True) -> float | None:
    """The least-squares factor from ``wanted`` to ``values``, where both are known; None if that is undefined."""
    used = known & ~np.isnan(values)
    wanted = np.where(used, wanted, 0.0)
    power = np.square(wanted).sum()
    return float((np.where(used, values, 0.0) * wanted).sum() / power) if power > 0 else None
