# SPDX-License-Identifier: Apache-2.0
"""One chip of a technology: which conductances and circuits a seed draws. Equations and sources: docs/devices.md.

:mod:`.cell_sampling` draws cells; here they become weights, ramps and circuits.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from crossramp.golden.array.array_protocol import array_levels
from crossramp.golden.array.ramps import Ramp, padded_floors, ramps
from crossramp.golden.array.tiled_array import tile_weights
from crossramp.golden.array.weights import Weights
from crossramp.golden.common.checks import told, whole
from crossramp.golden.layers.tile import need_one_array, tiles_of
from crossramp.golden.spec.specification import Specification

from ...common.errors import InvalidValue
from ..conversion.calibration import smallest_cells
from ..conversion.seen_ramps import inverse, seen_thresholds
from ..conversion.tiled_device import Device, joined
from ..technologies.constants import SWITCHES
from ..technologies.technology import Technology
from .cell_sampling import Cells
from .physical import PhysicalArray
from .ramp_cells import program_ramp
from .redundancy import choose
from .stuck_cells import carried, healthy, lacking, pair_targets, shared
from .translate import to_device

if TYPE_CHECKING:
    from .given_cells import Conductances

ALL = frozenset(SWITCHES)
_STATE = ("state_positive", "state_negative")
_TILES = 8  # of spawn keys of chips' seeds; those of parts lie below it


def device(
    technology: Technology,
    spec: Specification,
    weights: Weights | np.ndarray,
    seed: int,
    *,
    switches: frozenset = ALL,
    conductances: "Conductances | None" = None,
) -> Device:
    """Chip number ``seed`` of a technology in MAC units: :func:`.translate.to_device` of :func:`sample`.

    Of a macro with several arrays :func:`sample_tiles` makes each; then a
    :class:`~.conversion.tiled_device.TiledDevice`.
    """
    options = {"switches": switches, "conductances": conductances}
    return joined(spec, list(map(to_device, sample_tiles(technology, spec, weights, seed, **options))), seed)


def sample_tiles(
    technology: Technology,
    spec: Specification,
    weights: Weights | np.ndarray,
    seed: int,
    *,
    switches: frozenset = ALL,
    conductances: "Conductances | None" = None,
) -> list[PhysicalArray]:
    """Draw the arrays of one chip: :func:`sample` of each tile, with a seed of its own (:func:`tile_seed`).

    Parameters
    ----------
    conductances : Conductances or None
        For macros with one array.

    Raises
    ------
    InvalidValue
        As :func:`sample` does; for given cells of a macro with several arrays.
    """
    tiles = tiles_of(spec)
    if len(tiles) == 1:
        return [sample(technology, spec, weights, seed, switches=switches, conductances=conductances)]
    if conductances is not None:
        need_one_array(spec, "a chip of given cells")
    number = _seed(seed)
    return [
        sample(technology, tile, tile_weights(spec, tile, weights), tile_seed(number, k), switches=switches)
        for k, tile in enumerate(tiles)
    ]


def tile_seed(seed: int, number: int) -> int:
    """The seed of array ``number`` of the several arrays of chip ``seed``; 0 to 2**63 - 1."""
    return int(np.random.SeedSequence(seed, spawn_key=(_TILES, number)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def sample(
    technology: Technology,
    spec: Specification,
    weights: Weights | np.ndarray,
    seed: int,
    *,
    switches: frozenset = ALL,
    conductances: "Conductances | None" = None,
) -> PhysicalArray:
    """Draw one chip with one array.

    Parameters
    ----------
    technology : Technology
    spec : Specification
    weights : Weights, or integer array of shape (rows, columns)
        Levels within ±weight_max; the array is enough where no line has trained cells.
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
    InvalidValue
        For weights or seeds out of range, unknown switches, or conductances of wrong shape.
    """
    switches = frozenset(switches)
    for name in sorted(switches - ALL):
        raise InvalidValue(f"effect is {name!r}; known: {', '.join(SWITCHES)}")
    need_one_array(spec, "a PhysicalArray")
    return Chip(technology, spec, _seed(seed), switches, conductances).array(*array_levels(spec, weights))


def _seed(seed: int) -> int:
    number = whole(seed)
    if number is None or not 0 <= number < 1 << 63:
        raise InvalidValue(f"device seed is {told(seed)}; allowed: integers from 0 to 2**63 - 1")
    return number


@dataclass(frozen=True, eq=False)
class Ramps:
    """Nominal ramps in MAC units, and the cells that make them.

    Attributes
    ----------
    ideal : list of Ramp
    thresholds : float64, shape (ramps, ticks)
        Within the array's reach; a ramp stays behind its last tick, where it has no cells.
    first : float64, shape (ramps,)
        The largest step; the first one starts this much below the first threshold.
    unit : float64, shape (ramps,)
        Cell for a step of one MAC; S or F.
    start : float64, shape (ramps,)
        Where the start cells alone take each ramp; the middle of the calibration register takes it to its first step.
    calibration : float64, shape (ramps, calibration_cells, cells)
        Cells in parallel, 0 beyond their number; S or F.
    """

    ideal: list[Ramp]
    thresholds: np.ndarray
    first: np.ndarray
    unit: np.ndarray
    start: np.ndarray
    calibration: np.ndarray

    @property
    def start_sign(self) -> np.ndarray:
        """Direction of the start cells: 1 or -1."""
        return np.where(self.start < 0, -1.0, 1.0)

    def steps(self, levels: np.ndarray) -> np.ndarray:
        """Steps that take a ramp from its nominal start through ``levels``, shape (ramps, ticks)."""
        return np.diff(levels, axis=1, prepend=(self.thresholds[:, 0] - self.first)[:, None])


def nominal_ramps(technology: Technology, spec: Specification) -> Ramps:
    """The ramps that cells of ``technology`` are to make for ``spec``."""
    return Chip(technology, spec, 0, frozenset(), None).nominal_ramps()


class Chip(Cells):
    """A chip's array, ramps and circuits, of its cells."""

    # ---- the array -----------------------------------------------------------------------------------------------

    def weight_cells(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative cells, 0 without memristors; single-ended: the second are the reference columns'."""
        places = places_of(self.spec, self.technology)
        if self.technology.pair != "single-ended":
            cells = self.pairs("weights", ("positive", "negative"), weights)
        else:
            middle = sum(self.window) / 2
            positive = self.cells("weights", "positive", middle + self.unit * weights)
            cells = positive, self.cells("references", "negative", np.full(places[1].shape, middle))
        return tuple(np.where(there, values, 0.0) for there, values in zip(places, cells, strict=True))

    def state_cells(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each cell of a line has a wire of its own, which no reference column could share: always a pair."""
        return self.pairs("state", _STATE, levels)

    @property
    def unit(self) -> float:
        """Difference of a pair for one weight level."""
        low, high = self.window
        return (high - low) / (self.spec.weight_max * (2 if self.technology.pair == "single-ended" else 1))

    def array(self, weights: np.ndarray, line_levels: np.ndarray) -> PhysicalArray:
        tech, spec = self.technology, self.spec
        low, high = self.window
        unit = self.unit
        positive, negative = self.weight_cells(weights)
        state_unit = (high - low) / spec.weight_max
        state = [cells * (unit / state_unit) for cells in self.state_cells(line_levels)]
        plan = self.nominal_ramps()
        ramp_unit = plan.unit
        volts = tech["integrator.swing"] / np.abs(plan.thresholds).max()
        start_cells = self.start_targets(plan)
        starts, calibration = self.ramp_cells("start", "ramp_start", start_cells), self._calibration(plan.calibration)
        error = self._start_error(plan.start * ramp_unit, start_cells, plan.calibration)
        steps = plan.steps(self._converted(plan.thresholds, weights, line_levels))
        taps = self._taps(np.maximum(steps, 0) * ramp_unit[:, None], plan.ideal, ramp_unit, error)
        taps = [np.where(spec.has_tap, cells, 0.0) for cells in taps]
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
            start_sign=plan.start_sign,
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
            ramp_capacitance=self._capacitors("ramp", ramp_unit, volts, len(plan.ideal)),
            offset=self._normal("columns", "offset", spec.columns) * self._if("offset", "comparator.offset"),
            delay=np.maximum(
                self._if("delay", "comparator.delay")
                + self._normal("columns", "delay", spec.columns) * self._if("delay", "comparator.delay_spread"),
                0.0,
            ),
        )

    def _if(self, effect: str, name: str) -> float:
        return self.technology[name] if self.on(effect) else 0.0

    def _normal(self, part: str, draw: str, count: int) -> np.ndarray:
        return self.random(part, draw).standard_normal(count)

    # ---- ramps ---------------------------------------------------------------------------------------------------

    def nominal_ramps(self) -> Ramps:
        """The targets of the ramps, regardless of their cells."""
        tech, spec = self.technology, self.spec
        ideal = ramps(spec)
        thresholds = padded_floors(spec) + 0.5
        first = np.array([_largest_step(row) for row in thresholds])
        unit = tech["ramp.full_scale"] * (self.window[1] - self.base) / first
        lsb = np.array(smallest_cells(spec, tech["ramp.calibration_range"]))
        start = thresholds[:, 0] - first
        start = start - lsb * (1 << spec.calibration_cells >> 1)  # the middle register stands for the nominal start
        return Ramps(ideal, thresholds, first, unit, start, self._calibration_targets(lsb, first, unit))

    def start_targets(self, plan: Ramps) -> np.ndarray:
        """Equal cells that together make each start, none larger than the largest step's; 0 beyond their number.

        Of known faults, they make up for those of their own and those of the middle register's cells, which are driven
        with them.
        """
        start, calibration = plan.start, plan.calibration
        counts = np.ceil(np.abs(start) / plan.first).astype(int)
        targets = np.zeros((len(start), max(counts.max(initial=0), 1)))
        for r, count in enumerate(counts):
            targets[r, :count] = abs(start[r]) * plan.unit[r] / max(count, 1)
        stuck = self.known_of_ramps("start", targets.shape)
        if stuck is None:
            return targets
        lack = lacking(targets, self.window, stuck).sum(axis=1)
        known = self.known_of_ramps("calibration", calibration.shape)
        if calibration.shape[1] and known is not None:
            lost = lacking(calibration, self.window, known)[:, -1].sum(axis=1)
            lack = lack + plan.start_sign * lost
        return shared(targets, lack, healthy(stuck), self.ramp_limit)

    def _calibration_targets(self, lsb: np.ndarray, first: np.ndarray, ramp_unit: np.ndarray) -> np.ndarray:
        """Bit j of a register selects 2**j smallest cells' worth: as many cells as none is above the largest step's.

        Shape (ramps, bits, cells), 0 beyond their number.
        """
        steps = lsb[:, None] * (1 << np.arange(self.spec.calibration_cells))
        counts = np.maximum(np.ceil(steps / first[:, None]), 1).astype(int)
        there = np.arange(counts.max(initial=1)) < counts[..., None]
        return np.where(there, (steps / counts * ramp_unit[:, None])[..., None], 0.0)

    def _calibration(self, targets: np.ndarray, aged: bool = True) -> tuple[np.ndarray, np.ndarray]:
        bits = tuple(cells.sum(axis=-1) for cells in self.ramp_cells("calibration", "", targets, aged))
        if getattr(self.given, "calibration", None) is None:
            return bits
        given = self.given.calibration_parts()
        if aged:
            given = tuple(self.aged("calibration", cells, k) for k, cells in enumerate(given))
        given = tuple(cells.sum(axis=-1) for cells in given)
        drawn = np.isnan(given[0])
        return tuple(np.where(drawn, own, other) for own, other in zip(bits, given, strict=True))

    def _start_error(self, start: np.ndarray, targets: np.ndarray, calibration: np.ndarray) -> np.ndarray:
        """By how much each ramp begins too high with the middle register, when it is programmed: before it ages."""
        cells, partners = self.ramp_cells("start", "ramp_start", targets, False)
        error = np.where(start < 0, -1.0, 1.0) * (cells - partners).sum(axis=1) - start
        if self.spec.calibration_cells:
            cells, partners = self._calibration(calibration, False)
            error = error + (cells - partners)[:, -1] - calibration[:, -1].sum(axis=-1)
        return error

    def _converted(self, thresholds: np.ndarray, weights: np.ndarray, line_levels: np.ndarray) -> np.ndarray:
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
        chip = Chip(tech.replace(now), self.spec, self.seed, self.switches - {"ramp_cells"}, self.given)
        seen = seen_thresholds(to_device(chip.array(weights, line_levels)), weights)
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
            chosen[:, r] = np.stack(made[choose(levels[:, : ramp.ticks], ramp, self.spec.latch)])[:, r]
        return chosen[0], chosen[1]

    def _tap_column(self, targets: np.ndarray, number: int, start_error: np.ndarray):
        """One column of each ramp: its cells and those subtracted, aged. Steps are programmed as differences."""
        tech, base = self.technology, self.base
        drawn = [self.draws("ramp", targets.shape, 2 * number + k) for k in range(2 if base else 1)]
        stuck = self.known_of_ramps("ramp", targets.shape, 2 * number)
        cells, partners = np.empty(targets.shape), np.full(targets.shape, base)
        ticks = iter(range(targets.shape[1]))

        def program(wanted, _):
            # All ticks at once (one-shot), or the next one (cumulative).
            part = slice(None) if wanted.ndim == 2 else next(ticks)
            pair = wanted, base
            if base:
                pair = pair_targets(wanted, self.window, stuck and [values[:, part] for values in stuck])
                partners[:, part] = self.programmed(pair[1], *(draw[:, part] for draw in drawn[1]))
            made = self.programmed(pair[0], *(draw[:, part] for draw in drawn[0]))
            cells[:, part] = np.where(wanted > 0, made, partners[:, part])
            return cells[:, part] - partners[:, part]

        low, high = (0.0, np.inf) if self.charge or not self.on("range") else self.window
        scheme = 0 if self.charge else int(tech["ramp.scheme"])
        if scheme == 0 and stuck is not None:  # the other schemes read back what was reached, stuck or not
            targets = carried(targets, lacking(targets, self.window, stuck), healthy(stuck), self.ramp_limit)
        unused = np.random.default_rng(0)  # all draws are made above, so that both schemes see the same errors
        program_ramp(targets, program, unused, scheme, start_error=start_error, window=(low - base, high - base))
        there = cells > 0
        aged = [self.aged("ramp", values, 2 * number + k) for k, values in enumerate((cells, partners))]
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
            driven = tech["read.voltage"] / (max(spec.windows) if part == "columns" else 1)
            return np.broadcast_to(driven * unit / volts, count) * spread
        # Ramp cells are driven in the first half of their clock, so that the second half can be latched.
        time = tech["read.clock"] * (0.5 if part == "ramp" else 1.0)
        return np.broadcast_to(tech["read.voltage"] * unit * time / volts, count) * spread


def places_of(spec: Specification, technology: Technology) -> tuple[np.ndarray, np.ndarray]:
    """Where there are positive and negative cells; bool, shape (rows, columns) each.

    Single-ended: the second are the reference columns', one for each crossing, shape (rows, crossings).
    """
    return spec.placed, spec.crossed if technology.pair == "single-ended" else spec.placed


def _largest_step(thresholds: np.ndarray) -> float:
    return max(float(np.diff(thresholds).max()), 1.0)
