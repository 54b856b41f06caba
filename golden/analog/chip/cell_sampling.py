# SPDX-License-Identifier: Apache-2.0
"""Cells of one chip: what programming, stuck cells, time and temperature make of their targets.

Each effect draws from streams of its own.
Switching one off, or changing a constant, therefore changes no other draw: the same seed is the same chip.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from crossramp.golden.spec.specification import Specification

from ..technologies.technology import Technology
from .stuck_cells import pair_targets, stuck_at

if TYPE_CHECKING:
    from .given_cells import Conductances

# Streams of random numbers: the part of the array, and what is drawn for it.
_PARTS = ("weights", "references", "state", "ramp", "start", "calibration", "columns", "chip")
_DRAWS = ("programming", "stuck", "drift", "mismatch", "offset", "delay", "voltage", "external")
#: Given cells take the place of drawn ones; these parts are pairs of two given arrays, cell by cell.
_GIVEN_PAIRS = {"weights": ("positive", "negative"), "state": ("state_positive", "state_negative")}
_GIVEN_RAMPS = {"ramp": "ramp", "start": "ramp_start", "calibration": "calibration"}


@dataclass(frozen=True)
class Cells:
    """A chip of ``technology``: number ``seed``, with the effects ``switches`` and, if not None, ``given`` cells.

    A part of the array ("weights", "start" …) has cells of several numbers, which draw apart: of pairs the positive
    ones have an even number, and their partners the next.
    """

    technology: Technology
    spec: Specification
    seed: int
    switches: frozenset
    given: "Conductances | None"

    def __post_init__(self):
        if self.given is not None:
            self.given.check(self.spec, self.technology)

    def random(self, part: str, draw: str, number: int = 0) -> np.random.Generator:
        key = (_PARTS.index(part), _DRAWS.index(draw), number)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def on(self, effect: str) -> bool:
        return effect in self.switches

    @property
    def charge(self) -> bool:
        return self.technology.read_mode == "charge"

    @property
    def window(self) -> tuple[float, float]:
        """What a cell can be, in siemens (or farad)."""
        if self.charge:
            return 0.0, self.spec.weight_max * self.technology["cell.capacitance"]
        return self.technology["cell.g_min"], self.technology["cell.g_max"]

    @property
    def base(self) -> float:
        """What a cell of the ramp has beyond its step: the g_min of its partner, where they are pairs."""
        return self.window[0] if not self.charge and self.technology["ramp.pairs"] else 0.0

    @property
    def ramp_limit(self) -> float:
        """The largest step that a ramp's cell can make."""
        return self.window[1] - self.base

    def draws(self, part: str, shape: tuple[int, ...], number: int) -> tuple[np.ndarray, np.ndarray]:
        """Deviates of programming, and uniform numbers that decide which cells are stuck."""
        return (
            self.random(part, "programming", number).standard_normal(shape),
            self.random(part, "stuck", number).random(shape),
        )

    def known(self, part: str, shape: tuple[int, ...], first: int = 0, count: int = 2) -> tuple[np.ndarray, ...] | None:
        """What the ``count`` cells of each place, from number ``first`` on, are stuck at; NaN where they are not.

        None if programming does not know. Cells that are given are what they are: what is drawn in their places is no
        fault, and their partners make up for nothing; in a ramp, no cell of a part that is given does.
        """
        given = getattr(self.given, _GIVEN_RAMPS.get(part, ""), None)
        if given is not None or not (self.on("stuck") and self.technology["cell.fault_aware"]):
            return None
        stuck = [self._stuck(self.draws(part, shape, first + k)[1]) for k in range(count)]
        for name in _GIVEN_PAIRS.get(part, ()):
            values = getattr(self.given, name, None)
            if values is not None:
                stuck = [np.where(np.isnan(values), at, np.nan) for at in stuck]
        return tuple(stuck)

    def known_of_ramps(self, part: str, shape: tuple[int, ...], first: int = 0) -> tuple[np.ndarray, ...] | None:
        """The same of ramps, whose cells are pairs or single; None, too, where they are exact."""
        return self.known(part, shape, first, 2 if self.base else 1) if self.on("ramp_cells") else None

    def _stuck(self, chance: np.ndarray) -> np.ndarray:
        return stuck_at(chance, self.technology["cell.stuck_on"], self.technology["cell.stuck_off"], self.window)

    def pairs(self, part: str, names: tuple[str, str], levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative cells of ``levels``: one carries the level, its partner rests at the low end."""
        low, high = self.window
        differences = (high - low) / self.spec.weight_max * levels
        targets = pair_targets(differences, self.window, self.known(part, levels.shape))
        return tuple(self.cells(part, names[k], targets[k], k) for k in range(2))

    def cells(self, part: str, name: str, targets: np.ndarray, number: int = 0, aged: bool = True) -> np.ndarray:
        """Cells as they are read: programmed or given, then (if ``aged``) aged and warm."""
        cells = self.programmed(targets, *self.draws(part, np.shape(targets), number))
        if self.given is not None:
            cells = self.given.over(name, cells)
        return self.aged(part, cells, number) if aged else cells

    def ramp_cells(self, part: str, name: str, targets: np.ndarray, aged: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Cells of a ramp, and those subtracted from them: exact if ``ramp_cells`` is off; none for a target of 0."""
        base = np.full(targets.shape, self.base)
        pair = (targets + base, base)
        if self.on("ramp_cells") and self.base:
            wanted = pair_targets(targets, self.window, self.known(part, targets.shape))
            pair = tuple(self.cells(part, "", cells, k, False) for k, cells in enumerate(wanted))
        elif self.on("ramp_cells"):
            pair = self.cells(part, "", targets, 0, False), base
        pair = tuple(np.where(targets > 0, cells, 0.0) for cells in pair)
        if getattr(self.given, name, None) is not None:
            pair = self.given.pair_over(name, pair)
        elif not self.on("ramp_cells"):
            return pair
        return tuple(self.aged(part, cells, k) for k, cells in enumerate(pair)) if aged else pair

    def programmed(self, targets: np.ndarray, deviation: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """What programming to ``targets`` brings, with the draws of :meth:`draws`."""
        tech = self.technology
        low, high = self.window
        if self.charge:
            # Of n unit capacitors the mismatch is that of one over sqrt(n).
            mismatch = tech["cell.mismatch"] if self.on("capacitors") else 0.0
            cells = targets + mismatch * np.sqrt(tech["cell.capacitance"] * targets) * deviation
        else:
            levels, wanted = tech["cell.levels"], targets
            if self.on("levels") and levels >= 2:
                part = (high - low) / (levels - 1)
                wanted = low + part * np.rint((targets - low) / part)
            a, b, c = tech["cell.programming_error"]
            relative = targets / high
            sigma = high * np.maximum(a + b * relative + c * relative**2, 0)
            cells = wanted + sigma * deviation if self.on("programming") else wanted
            cells = np.clip(cells, low, high) if self.on("range") else np.maximum(cells, 0)
        if self.on("stuck"):
            stuck = self._stuck(chance)
            cells = np.where(np.isnan(stuck), cells, stuck)
        return cells

    def aged(self, part: str, cells: np.ndarray, number: int) -> np.ndarray:
        """What becomes of programmed cells by the time and at the temperature of the technology's operation."""
        tech = self.technology
        if self.charge:
            return cells
        relative = np.clip(cells / tech["cell.g_max"], 1e-6, None)
        if self.on("drift"):
            age = max(tech["operation.time"] / tech["cell.drift_time"], 1.0)
            mean, spread = (_clipped_line(tech[f"cell.drift_{what}"], relative) for what in ("mean", "spread"))
            deviation = self.random(part, "drift", number).standard_normal((2, *cells.shape))
            a, b, c = tech["cell.relaxation"]
            lost = a * math.log(age) + max(b + c * math.log(age), 0.0) * deviation[1]
            aged = np.maximum(cells * age ** -(mean + spread * deviation[0]) - lost, 0)
            cells = np.where(cells > 0, aged, 0)  # where there is no cell, none appears
        if self.on("temperature"):
            a, b = tech["cell.temperature_coefficient"]
            warmer = tech["operation.temperature"] - tech["operation.reference_temperature"]
            cells = cells * np.maximum(1 + (a + b * relative) * warmer, 0)
        return cells


def _clipped_line(numbers: tuple[float, ...], relative: np.ndarray) -> np.ndarray:
    slope, intercept, low, high = numbers
    return np.clip(slope * np.log(relative) + intercept, low, high)
