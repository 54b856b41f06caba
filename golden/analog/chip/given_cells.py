# SPDX-License-Identifier: Apache-2.0
"""Cells that were measured or simulated elsewhere, in place of sampled ones."""

from dataclasses import dataclass, fields, replace

import numpy as np
from crossramp.golden.spec.specification import Specification

from ...common.errors import InvalidValue
from ..technologies.technology import Technology
from .sampling import nominal_ramps, places_of

#: A cell may lie beyond its technology's window, but not by more than this: then its unit is wrong.
HEADROOM = 4.0


class ConductanceError(InvalidValue):
    """Given cells have a wrong shape, unit or value; one line that quotes it and says what is allowed."""


_SUBTRACTED = ("ramp_negative", "ramp_start_negative", "calibration_negative")


@dataclass(frozen=True, eq=False)
class Conductances:
    """Measured cells, in siemens (in charge mode: farad); None or NaN means that the cell is sampled instead.

    Parameters
    ----------
    positive, negative : float64 arrays, shape (rows, columns)
        Of the weights, 0 or NaN where the cell has none; single-ended, ``negative`` holds the reference columns, (rows,
        crossings).
    state_positive, state_negative : float64 arrays, shape (line_cell_count,)
        Of the lines, in the order of ``spec.line_cells``.
    ramp : float64 array, shape (ramps, ticks)
        Of the taps.
    ramp_start : float64 array, shape (ramps, any)
        Cells that together take each ramp to its start.
    calibration : float64 array, shape (ramps, calibration_cells) or (ramps, calibration_cells, any)
        The second where several cells are in parallel for one bit of the register, 0 for none; the first is their sum.
    ramp_negative, ramp_start_negative, calibration_negative : shapes of the three above
        What is subtracted; None: nothing is, where the other is given.
    source : str
        Where they come from, for messages.
    """

    positive: np.ndarray | None = None
    negative: np.ndarray | None = None
    state_positive: np.ndarray | None = None
    state_negative: np.ndarray | None = None
    ramp: np.ndarray | None = None
    ramp_start: np.ndarray | None = None
    calibration: np.ndarray | None = None
    ramp_negative: np.ndarray | None = None
    ramp_start_negative: np.ndarray | None = None
    calibration_negative: np.ndarray | None = None
    source: str = "conductances"

    def __post_init__(self):
        for name in NAMES:
            values = getattr(self, name)
            if values is None:
                continue
            try:
                values = np.array(values, dtype=float)
            except (TypeError, ValueError):
                raise ConductanceError(f"{self.source}: {name} holds no numbers") from None
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def arrays(self) -> dict[str, np.ndarray]:
        """Those that are given, by name."""
        return {name: getattr(self, name) for name in NAMES if getattr(self, name) is not None}

    def over(self, name: str, drawn: np.ndarray) -> np.ndarray:
        """``drawn`` with the given cells of array ``name`` in their places; float64, shape of ``drawn``."""
        given = getattr(self, name, None)
        if given is None:
            return np.asarray(drawn, float)
        given, drawn = _aligned(given, np.asarray(drawn, float))
        return np.where(np.isnan(given), drawn, given)

    def pair_over(self, name: str, drawn: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The same for cells of a ramp and those subtracted: where only the former is given, nothing is subtracted."""
        given, partner = getattr(self, name), getattr(self, f"{name}_negative")
        if given is None:
            return drawn
        if partner is None:
            partner = np.where(np.isnan(given), np.nan, 0.0)
        partner, rest = _aligned(partner, drawn[1])
        return self.over(name, drawn[0]), np.where(np.isnan(partner), rest, partner)

    def without_ramps(self) -> "Conductances":
        """The same without taps and starts, which an external ramp has not."""
        return replace(self, **{name: None for name in NAMES if name.startswith("ramp")})

    def calibration_parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Given calibration cells and those subtracted, shape (ramps, calibration_cells, cells), NaN where drawn."""
        cells, partners = self.calibration, self.calibration_negative
        partners = np.where(np.isnan(cells), np.nan, 0.0) if partners is None else partners
        return tuple(values if values.ndim == 3 else values[..., None] for values in (cells, partners))

    def check(self, spec: Specification, technology: Technology) -> None:
        """Raise ConductanceError unless every array has the shape of ``spec`` and lies in the technology's range."""
        charge = technology.read_mode == "charge"
        if charge:
            unit, high = "F", spec.weight_max * technology["cell.capacitance"]
        else:
            unit, high = "S", technology["cell.g_max"]
        for name, shape in shapes(spec, technology).items():
            values = getattr(self, name)
            if values is None:
                continue
            flat = name.startswith("calibration") and values.ndim == 2
            sizes = zip(shape, values.shape, strict=False)
            if values.ndim != len(shape) - flat or any(wanted not in (None, size) for wanted, size in sizes):
                raise ConductanceError(f"{self.source}: {name} has the shape {values.shape}; expected {_text(shape)}")
            if technology.ramp_kind == "external" and name.startswith("ramp"):
                raise ConductanceError(
                    f"{self.source}: {name} holds cells of a ramp; the ramp of technology {technology.name} is "
                    "external, so leave them out"
                )
            if name in _SUBTRACTED:
                other = name.removesuffix("_negative")
                if getattr(self, other) is None or getattr(self, other).shape != values.shape:
                    raise ConductanceError(f"{self.source}: {name} needs {other} beside it, of the same shape")
            limit = HEADROOM * high
            if flat:  # sums of cells in parallel
                limit *= nominal_ramps(technology, spec).calibration.shape[2]
            bad = np.isinf(values) | (values < 0) | (values > limit)
            if bad.any():
                at = tuple(map(int, np.argwhere(bad)[0]))
                found = f"{self.source}: {name}{list(at)} is {values[at]:g} {unit}"
                most = f"{limit:g} {unit}, {HEADROOM:g} times what a cell of technology {technology.name} has"
                raise ConductanceError(f"{found}; allowed: 0 to {most}; is its unit right?")
        for name, places in zip(("positive", "negative"), places_of(spec, technology), strict=True):
            values = getattr(self, name)
            if values is not None and (absent := ~places & (np.nan_to_num(values) != 0)).any():
                at = tuple(map(int, np.argwhere(absent)[0]))
                raise ConductanceError(
                    f"{self.source}: {name}{list(at)} is {values[at]:g} {unit}, but the cell {spec.cell} has no "
                    "memristor there; give 0, or leave it out"
                )


NAMES = tuple(f.name for f in fields(Conductances) if f.name != "source")
"""The arrays, by name."""


def shapes(spec: Specification, technology: Technology) -> dict[str, tuple]:
    """Array name to shape; None: any number."""
    count, cells = len(spec.ramps), (spec.rows, spec.columns)
    return {
        "positive": cells,
        "negative": (spec.rows, len(spec.crossings)) if technology.pair == "single-ended" else cells,
        "state_positive": (spec.line_cell_count,),
        "state_negative": (spec.line_cell_count,),
        "ramp": (count, spec.ticks),
        "ramp_start": (count, None),
        "calibration": (count, spec.calibration_cells, None),
        "ramp_negative": (count, spec.ticks),
        "ramp_start_negative": (count, None),
        "calibration_negative": (count, spec.calibration_cells, None),
    }


def _text(shape: tuple) -> str:
    return str(tuple("any" if n is None else n for n in shape)).replace("'", "")


def _aligned(given: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in one shape: a ramp's start has as many cells as its maker chose, and no cell is 0."""
    if given.shape == drawn.shape:
        return given, drawn
    width = max(given.shape[1], drawn.shape[1])
    nothing = np.where(np.isnan(given).all(axis=1, keepdims=True), np.nan, 0.0)
    wide = np.broadcast_to(nothing, (len(given), width)).copy()
    wide[:, : given.shape[1]] = np.where(np.isnan(given), nothing, given)
    padded = np.zeros((len(drawn), width))
    padded[:, : drawn.shape[1]] = drawn
    return wide, padded
