# SPDX-License-Identifier: Apache-2.0
"""One chip of a technology: which conductances and circuits a seed draws. Equations and sources: docs/devices.md.

Each effect draws from streams of its own, so switching one off, or changing a constant, leaves all other draws alone:
the same seed is the same chip.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..lstm import checked_integers
from ..ramp import Ramp, ramps
from ..specification import Specification
from .calibration import smallest_cells
from .constants import SWITCHES
from .device import DeviceInstance
from .physical import PhysicalArray
from .rampcells import program_ramp
from .redundancy import choose
from .seen import inverse, seen_thresholds
from .technology import Technology
from .translate import to_device

if TYPE_CHECKING:
    from .conductancefile import Conductances

ALL = frozenset(SWITCHES)

# Streams of random numbers: the part of the array, and what is drawn for it.
_PARTS = ("weights", "references", "state", "ramp", "start", "calibration", "columns", "chip")
_STATE = ("state_positive", "state_negative")
_DRAWS = ("programming", "stuck", "drift", "mismatch", "offset", "delay", "voltage", "external")


def device(
    technology: Technology,
    spec: Specification,
    weights: np.ndarray,
    seed: int,
    *,
    switches: frozenset = ALL,
    conductances: "Conductances | None" = None,
) -> DeviceInstance:
    """The device instance number ``seed`` of a technology: :func:`.translate.to_device` of :func:`sample`."""
    return to_device(sample(technology, spec, weights, seed, switches=switches, conductances=conductances))


def sample(
    technology: Technology,
    spec: Specification,
    weights: np.ndarray,
    seed: int,
    *,
    switches: frozenset = ALL,
    conductances: "Conductances | None" = None,
) -> PhysicalArray:
    """Draw one chip.

    Parameters
    ----------
    technology : Technology
    spec : Specification
    weights : integer array, shape (rows, columns)
        Levels within ±weight_max.
    seed : int
        Which chip, 0 to 2**63 - 1; also the seed of its noise.
    switches : set of str
        The effects that are on, of :data:`.constants.SWITCHES`. With none of them the instance's codes are the ideal
        ones.
    conductances : Conductances or None
        Measured or simulated cells, which take the place of programmed ones (what is not in it is drawn). Drift and
        temperature act on them too.

    Raises
    ------
    ValueError
        For weights or seeds out of range, unknown switches, or conductances of wrong shape.
    """
    switches = frozenset(switches)
    for name in sorted(switches - ALL):
        raise ValueError(f"effect is {name!r}; known: {', '.join(SWITCHES)}")
    if isinstance(seed, bool) or not 0 <= seed < 1 << 63:
        raise ValueError(f"device seed is {seed!r}; allowed: 0 to 2**63 - 1")
    weights = checked_integers("weights", weights, (spec.rows, spec.columns), spec.weight_max)
    return _Chip(technology, spec, seed, switches, conductances).array(weights)


@dataclass(frozen=True)
class _Chip:
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

    # ---- the array -----------------------------------------------------------------------------------------------

    def array(self, weights: np.ndarray) -> PhysicalArray:
        tech, spec = self.technology, self.spec
        charge = tech.read_mode == "charge"
        low, high = (0.0, spec.weight_max * tech["cell.capacitance"]) if charge else self._window
        single = tech.pair == "single-ended"
        unit = (high - low) / (spec.weight_max * (2 if single else 1))
        if single:
            middle = (low + high) / 2
            positive = self.cells("weights", "positive", middle + unit * weights)
            negative = self.cells("references", "negative", np.full((spec.rows, 1), middle))
        else:
            positive, negative = self.pairs("weights", ("positive", "negative"), weights, (low, high))
        # Each state cell has a line of its own, which no reference column could share: always a pair.
        state_unit = (high - low) / spec.weight_max
        state = self.pairs("state", _STATE, np.full(spec.units, spec.state_cell), (low, high))
        state = [cells * (unit / state_unit) for cells in state]
        ideal = ramps(spec)
        clipped = [ramp.clipped_floors(spec.mac_max) + 0.5 for ramp in ideal]
        first = np.array([_largest_step(thresholds) for thresholds in clipped])
        volts = tech["integrator.swing"] / max(np.abs(thresholds).max() for thresholds in clipped)
        ramp_unit = tech["ramp.full_scale"] * (high - self._base) / first
        start = np.array([t[0] for t in clipped]) - first
        lsb = np.array(smallest_cells(spec, tech["ramp.calibration_range"]))
        start = start - lsb * (1 << spec.calibration_cells >> 1)  # the middle register stands for the nominal start
        sign, starts = np.where(start < 0, -1.0, 1.0), self._start(start, first, ramp_unit)
        calibration = self._calibration(lsb, first, ramp_unit)
        error = self._start_error(start, first, lsb, ramp_unit)
        places = self._converted(np.stack(clipped), weights)
        steps = np.diff(places, axis=1, prepend=(np.array([t[0] for t in clipped]) - first)[:, None])
        taps = self._taps(np.maximum(steps, 0) * ramp_unit[:, None], ideal, ramp_unit, error)
        voltage, ramp_voltage = self._voltages()
        return PhysicalArray(
            spec=spec,
            technology=tech,
            switches=self.switches,
            seed=self.seed,
            positive=positive,
            negative=negative,
            state_positive=state[0],
            state_negative=state[1],
            ramp=taps[0],
            ramp_start=starts[0],
            start_sign=sign,
            calibration=calibration[0],
            ramp_negative=taps[1],
            ramp_start_negative=starts[1],
            calibration_negative=calibration[1],
            unit=unit,
            ramp_unit=ramp_unit,
            volts_per_mac=volts,
            read_voltage=voltage,
            ramp_voltage=ramp_voltage,
            column_capacitance=self._capacitors("columns", unit, volts, spec.columns),
            ramp_capacitance=self._capacitors("ramp", ramp_unit, volts, len(ideal)),
            offset=self._normal("columns", "offset", spec.columns) * self._if("offset", "comparator.offset"),
            delay=np.maximum(
                self._if("delay", "comparator.delay")
                + self._normal("columns", "delay", spec.columns) * self._if("delay", "comparator.delay_spread"),
                0.0,
            ),
        )

    @property
    def _window(self) -> tuple[float, float]:
        return self.technology["cell.g_min"], self.technology["cell.g_max"]

    def _if(self, effect: str, name: str) -> float:
        return self.technology[name] if self.on(effect) else 0.0

    def _normal(self, part: str, draw: str, count: int) -> np.ndarray:
        return self.random(part, draw).standard_normal(count)

    # ---- cells ---------------------------------------------------------------------------------------------------

    def pairs(
        self, part: str, names: tuple[str, str], levels: np.ndarray, window: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative cells of ``levels``: one of them carries the level, its partner rests at the low end.

        With ``cell.verified_pairs`` the difference is verified, not the cells: where one is stuck, its partner is
        programmed to what brings the difference to the level, or nearest to it within the window. (Both are known when
        the pair is programmed; what ages later is not made up for.)
        """
        low, high = window
        unit = (high - low) / self.spec.weight_max
        signs = (1, -1)
        targets = [low + unit * np.maximum(sign * levels, 0) for sign in signs]
        if self.on("stuck") and self.technology["cell.verified_pairs"]:
            stuck = [self._stuck(self._draws(part, levels.shape, k)[1], low, high) for k in range(2)]
            for k, sign in enumerate(signs):
                wanted = np.clip(stuck[1 - k] + sign * unit * levels, low, high)
                targets[k] = np.where(np.isnan(wanted), targets[k], wanted)
        return tuple(self.cells(part, names[k], targets[k], k) for k in range(2))

    def _stuck(self, chance: np.ndarray, low: float, high: float) -> np.ndarray:
        """What stuck cells are stuck at; NaN for the others."""
        on, off = self.technology["cell.stuck_on"], self.technology["cell.stuck_off"]
        return np.where(chance < on, high, np.where(chance >= 1 - off, low, np.nan))

    def cells(self, part: str, name: str, targets: np.ndarray, number: int = 0, aged: bool = True) -> np.ndarray:
        """Cells as they are read: programmed or given, then (if ``aged``) aged and warm."""
        cells = self._programmed(targets, *self._draws(part, np.shape(targets), number))
        if self.given is not None:
            cells = self.given.over(name, cells)
        return self._aged(part, cells, number) if aged else cells

    def _draws(self, part: str, shape: tuple[int, ...], number: int) -> tuple[np.ndarray, np.ndarray]:
        """Deviates of programming, and uniform numbers that decide who is stuck."""
        return (
            self.random(part, "programming", number).standard_normal(shape),
            self.random(part, "stuck", number).random(shape),
        )

    def ramp_cells(self, part: str, name: str, targets: np.ndarray, aged: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Cells of a ramp, and those subtracted from them: exact if ``ramp_cells`` is off; none for a target of 0."""
        base = np.full(targets.shape, self._base)
        pair = (targets + base, base)
        if self.on("ramp_cells"):
            pair = self.cells(part, "", pair[0], 0, False), self.cells(part, "", base, 1, False) if self._base else base
        pair = tuple(np.where(targets > 0, cells, 0.0) for cells in pair)
        if getattr(self.given, name, None) is not None:
            pair = self.given.pair_over(name, pair)
        elif not self.on("ramp_cells"):
            return pair
        return tuple(self._aged(part, cells, k) for k, cells in enumerate(pair)) if aged else pair

    @property
    def _base(self) -> float:
        """What a cell of the ramp has beyond its step: the g_min of its partner, where they are pairs."""
        pairs = self.technology.read_mode == "current" and self.technology["ramp.pairs"]
        return self.technology["cell.g_min"] if pairs else 0.0

    def _programmed(self, targets: np.ndarray, deviation: np.ndarray, chance: np.ndarray) -> np.ndarray:
        tech = self.technology
        if tech.read_mode == "charge":
            # Of n unit capacitors the mismatch is that of one over sqrt(n).
            sigma = self._if("capacitors", "cell.mismatch") * np.sqrt(tech["cell.capacitance"] * targets)
            cells, low, high = targets + sigma * deviation, 0.0, self.spec.weight_max * tech["cell.capacitance"]
        else:
            low, high = self._window
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
            stuck = self._stuck(chance, low, high)
            cells = np.where(np.isnan(stuck), cells, stuck)
        return cells

    def _aged(self, part: str, cells: np.ndarray, number: int) -> np.ndarray:
        tech = self.technology
        if tech.read_mode == "charge":
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

    # ---- ramps ---------------------------------------------------------------------------------------------------

    def _start(
        self, start: np.ndarray, first: np.ndarray, ramp_unit: np.ndarray, aged: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Equal cells that together make each start, none larger than the largest step's; 0 beyond their number."""
        counts = np.ceil(np.abs(start) / first).astype(int)
        targets = np.zeros((len(start), max(counts.max(initial=0), 1)))
        for r, count in enumerate(counts):
            targets[r, :count] = abs(start[r]) * ramp_unit[r] / max(count, 1)
        return self.ramp_cells("start", "ramp_start", targets, aged)

    def _calibration(
        self, lsb: np.ndarray, first: np.ndarray, ramp_unit: np.ndarray, aged: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bit j of a register selects 2**j smallest cells' worth: as many cells as none is above the largest step's."""
        steps = lsb[:, None] * (1 << np.arange(self.spec.calibration_cells))
        counts = np.maximum(np.ceil(steps / first[:, None]), 1).astype(int)
        there = np.arange(counts.max(initial=1)) < counts[..., None]
        targets = np.where(there, (steps / counts * ramp_unit[:, None])[..., None], 0.0)
        bits = tuple(cells.sum(axis=-1) for cells in self.ramp_cells("calibration", "", targets, aged))
        if getattr(self.given, "calibration", None) is None:
            return bits
        given = self.given.pair_over("calibration", (np.full(steps.shape, np.nan), np.zeros(steps.shape)))
        if aged:
            given = tuple(self._aged("calibration", cells, k) for k, cells in enumerate(given))
        drawn = np.isnan(given[0])
        return tuple(np.where(drawn, own, other) for own, other in zip(bits, given, strict=True))

    def _start_error(self, start: np.ndarray, first: np.ndarray, lsb: np.ndarray, ramp_unit: np.ndarray) -> np.ndarray:
        """By how much each ramp begins too high with the middle register, when it is programmed: before it ages."""
        cells, partners = self._start(start, first, ramp_unit, aged=False)
        error = np.where(start < 0, -1.0, 1.0) * (cells - partners).sum(axis=1) - start * ramp_unit
        if self.spec.calibration_cells:
            cells, partners = self._calibration(lsb, first, ramp_unit, aged=False)
            error = error + (cells - partners)[:, -1] - lsb * (1 << self.spec.calibration_cells >> 1) * ramp_unit
        return error

    def _converted(self, thresholds: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Where the ramps' levels must lie, in MAC units, for the columns to see ``thresholds``.

        As they are, unless thresholds are read back by conversions: then an exact ramp is converted by this chip as it
        is when it is programmed (before aging, at the reference temperature and nominal supply), and the levels are
        moved to where its thresholds are seen right.
        """
        tech = self.technology
        programmable = tech.read_mode == "current" and tech.ramp_kind == "in-memory" and self.on("ramp_cells")
        if int(tech["ramp.scheme"]) != 2 or not (programmable and weights.any()):
            return thresholds
        now = {"ramp.scheme": 0.0, "operation.time": 0.0, "operation.supply": 1.0}
        now["operation.temperature"] = tech["operation.reference_temperature"]
        chip = _Chip(tech.replace(now), self.spec, self.seed, self.switches - {"ramp_cells"}, self.given)
        seen = seen_thresholds(to_device(chip.array(weights)), weights)
        return np.stack([inverse(t, s, t) for t, s in zip(thresholds, seen, strict=True)])

    def _taps(self, targets: np.ndarray, ideal: list[Ramp], ramp_unit: np.ndarray, start_error: np.ndarray):
        """Cells of the taps, and those subtracted: the best of all columns, programmed by the technology's scheme."""
        if getattr(self.given, "ramp", None) is not None or not self.on("ramp_cells"):
            return self.ramp_cells("ramp", "ramp", targets)
        columns = 1 + int(self.technology["ramp.spares"])
        made = [self._tap_column(targets, number, start_error) for number in range(columns)]
        if columns == 1:
            return made[0]
        chosen = np.zeros((2, *targets.shape))
        for r, ramp in enumerate(ideal):
            # Levels from an arbitrary start: choosing does not see a shift.
            levels = np.stack([np.cumsum(cells[r] - partners[r]) / ramp_unit[r] for cells, partners in made])
            chosen[:, r] = np.stack(made[choose(levels, ramp, self.spec.latch)])[:, r]
        return chosen[0], chosen[1]

    def _tap_column(self, targets: np.ndarray, number: int, start_error: np.ndarray):
        """One column of each ramp: its cells and those subtracted, aged. Steps are programmed as differences."""
        tech, base = self.technology, self._base
        current = tech.read_mode == "current"
        drawn = self._draws("ramp", targets.shape, 2 * number)
        partners = np.full(targets.shape, base)
        if base:
            partners = self._programmed(partners, *self._draws("ramp", targets.shape, 2 * number + 1))
        cells = np.empty(targets.shape)
        ticks = iter(range(targets.shape[1]))

        def program(wanted, _):
            # All ticks at once (one-shot), or the next one (cumulative).
            part = slice(None) if wanted.ndim == 2 else next(ticks)
            made = self._programmed(wanted + base, *(draw[:, part] for draw in drawn))
            cells[:, part] = np.where(wanted > 0, made, partners[:, part])
            return cells[:, part] - partners[:, part]

        low, high = self._window if current and self.on("range") else (0.0, np.inf)
        scheme = int(tech["ramp.scheme"]) if current else 0
        unused = np.random.default_rng(0)  # all draws are made above, so that both schemes see the same errors
        program_ramp(targets, program, unused, scheme, start_error=start_error, window=(low - base, high - base))
        there = cells > 0
        aged = [self._aged("ramp", values, 2 * number + k) for k, values in enumerate((cells, partners))]
        return tuple(np.where(there, values, 0.0) for values in aged)

    # ---- circuits ------------------------------------------------------------------------------------------------

    def _voltages(self) -> tuple[float, float]:
        tech = self.technology
        nominal, voltage = tech["read.voltage"], tech["read.voltage"]
        if self.on("read_voltage"):
            spread = tech["read.voltage_spread"] * self.random("chip", "voltage").standard_normal()
            voltage = nominal * tech["operation.supply"] * max(1 + spread, 0.01)
        return voltage, voltage if tech.ramp_kind == "in-memory" else nominal

    def _capacitors(self, part: str, unit, volts: float, count: int) -> np.ndarray:
        """Integrators (or, in charge mode, feedback capacitors), sized for ``volts`` a MAC."""
        tech, spec = self.technology, self.spec
        spread = 1 + self._if("capacitors", "integrator.mismatch") * self._normal(part, "mismatch", count)
        if tech.read_mode == "charge":
            driven = tech["read.voltage"] / (max(spec.input_max, spec.state_pulse_max) if part == "columns" else 1)
            return np.broadcast_to(driven * unit / volts, count) * spread
        # Ramp cells are driven in the first half of their clock, so that the second half can be latched.
        time = tech["read.clock"] * (0.5 if part == "ramp" else 1.0)
        return np.broadcast_to(tech["read.voltage"] * unit * time / volts, count) * spread


def _largest_step(thresholds: np.ndarray) -> float:
    return max(float(np.diff(thresholds).max()), 1.0)


def _clipped_line(numbers: tuple[float, ...], relative: np.ndarray) -> np.ndarray:
    slope, intercept, low, high = numbers
    return np.clip(slope * np.log(relative) + intercept, low, high)
