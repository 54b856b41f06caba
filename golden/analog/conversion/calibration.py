# SPDX-License-Identifier: Apache-2.0
"""Calibration of the ramps by one point, as the gateware's calibrator does it (docs/calibration.md).

Yang et al. (Nat. Commun. 16:1136) give each ramp some bias cells
and shift it until the output for an input of zero is right.
How the cells are found is ours:

- The known MAC is 0: no row and no line is driven, bias rows included.
  Each ramp counts, over all columns that it serves and ``repeats`` conversions, the codes that reach K,
  the tick whose ideal threshold lies nearest to 0.
  A bank counts in the first conversion of a step that latches it.
  A bank that only the second one latches counts there, with what it holds from a first window without pulses,
  and after a second one in which no row and no line is driven either.
  More cells put the ramp higher, and fewer codes reach K. If half of them do, the columns' median stands on tick K.
- Cells are tried one after the other, the largest first, beginning with none:
  one is kept while more than half of the codes still reach K. The result is the setting whose count
  came nearest to one half.
  A setting's level therefore need not follow from its number:
  a dead cell is kept without effect, one that is stuck at a large value is left out,
  and a cell smaller than the sum of those below it leaves no gap.
- If two settings are equally near, one on either side (columns all alike show nothing between),
  the lower one is taken, unless the other is the middle of the range.
  An ideal array therefore gets its nominal setting.
- A ramp whose tick K does not belong at 0 gets a constant number of smallest cells more.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from crossramp.golden.array.array_protocol import latched_banks, undriven
from crossramp.golden.array.ramps import Ramp, ramps
from crossramp.golden.common.checks import integer
from crossramp.golden.layers.tile import tiles_of
from crossramp.golden.spec.specification import Specification

from ...common.errors import InvalidValue
from .device import DeviceInstance
from .device_array import DeviceArray

REPEATS_LOG2 = 3
"""Of the conversions of each setting, unless told otherwise."""

#: ``count(step, registers)``: the codes of each ramp that reach K in the steps from number ``step`` on, with the cells
#: of ``registers`` selected; integer arrays of shape (ramps,).
Count = Callable[[int, np.ndarray], np.ndarray]


def reference_tick(ramp: Ramp) -> int:
    """K: the tick, from 1 on, whose ideal threshold lies nearest to a MAC of 0, the lowest of equals.

    2**(bits - 1) for sigmoid, tanh and every other activation that is 0, or half way, at 0. Of a curve that turns, a
    tick that codes tell (:func:`tells`), if there is one: of SiLU and GELU that of level 1.
    """
    told = [tells(ramp, k) for k in range(1, ramp.ticks + 1)]
    usable = np.array(told) if any(told) else np.ones(ramp.ticks, bool)
    return int(np.argmin(np.where(usable, np.abs(ramp.arguments), np.inf))) + 1


def tells(ramp: Ramp, tick: int) -> bool:
    """Whether a code says that its column has passed a tick: all levels from there on lie above all before."""
    levels = ramp.levels(ramp.codes)
    return bool(levels[tick:].min() > levels[:tick].max())


def calibrates(spec: Specification) -> bool:
    """Whether codes can calibrate all ramps of ``spec``: not those of a bump, which are the same on both sides."""
    return all(tells(ramp, reference_tick(ramp)) for ramp in ramps(spec))


def smallest_cells(spec: Specification, calibration_range: float) -> tuple[float, ...]:
    """What each ramp's smallest calibration cell nominally moves it by, in MAC units.

    All of a ramp's cells together span ``calibration_range`` codes. A code is what a tick nominally moves the ramp near
    tick K, one MAC unit at least.
    """
    smallest = []
    for ramp in ramps(spec):
        near = ramp.clipped_floors(spec.mac_max)[max(reference_tick(ramp) - 2, 0) : reference_tick(ramp) + 1]
        code = max((near[-1] - near[0]) / (len(near) - 1), 1.0)
        smallest.append(calibration_range * code / (1 << spec.calibration_cells))
    return tuple(smallest)


@dataclass(frozen=True)
class CalibrationPlan:
    """What a calibration does, for the golden model and the gateware alike.

    Parameters
    ----------
    spec : Specification
        With one calibration cell or more.
    repeats_log2 : int
        Each setting is converted 2**repeats_log2 times, 0 to 8: reads are noisy.
    lsb : tuple of float, or None
        By how many MAC units the smallest cell of each ramp nominally moves it. Needed only for activations whose tick
        K does not belong at a MAC of 0.

    Raises
    ------
    InvalidValue
        For a specification without calibration cells, a parameter out of range, or an ``lsb`` that is missing.
    """

    spec: Specification
    repeats_log2: int = REPEATS_LOG2
    lsb: tuple[float, ...] | None = None

    def __post_init__(self):
        spec = self.spec
        if spec.calibration_cells == 0:
            raise InvalidValue("calibration_cells is 0; a calibration chooses among 1 cell or more")
        object.__setattr__(self, "repeats_log2", integer("repeats_log2", self.repeats_log2, 0, 8))
        if self.lsb is not None:
            object.__setattr__(self, "lsb", tuple(map(float, self.lsb)))
            if len(self.lsb) != len(spec.ramps) or not all(math.isfinite(v) and v > 0 for v in self.lsb):
                raise InvalidValue(f"lsb is {self.lsb}; expected {len(spec.ramps)} numbers of MAC units above 0")
        for ramp, tick in zip(self._ramps, self.ticks, strict=True):
            if not tells(ramp, tick):
                raise InvalidValue(
                    f"the codes of {ramp.activation.text} are the same on both sides of every tick, so they cannot "
                    "calibrate its ramp; set calibration_cells to 0, or give the gate another activation"
                )
        if self.lsb is not None:
            return
        for ramp, activation in zip(self._ramps, spec.ramps, strict=True):
            place = ramp.floors[reference_tick(ramp) - 1]
            if place != 0:
                raise InvalidValue(
                    f"the threshold of {activation.text} nearest to 0 lies at {place + 0.5} MAC units; "
                    "to calibrate it, give lsb, what the smallest calibration cell moves a ramp by"
                )

    @classmethod
    def of(cls, spec: Specification, calibration_range: float, repeats_log2: int = REPEATS_LOG2) -> "CalibrationPlan":
        """The plan for cells that together span ``calibration_range`` codes, see :func:`smallest_cells`."""
        return cls(spec, repeats_log2, smallest_cells(spec, calibration_range))

    @property
    def repeats(self) -> int:
        """Conversions of each setting."""
        return 1 << self.repeats_log2

    @property
    def settings(self) -> int:
        """Settings that are tried: none of the cells, then one more for each."""
        return self.spec.calibration_cells + 1

    @property
    def steps(self) -> int:
        """Steps of the macro, with as many conversions each as the cell has."""
        return self.settings * self.repeats

    def clocks(self, *, compact: bool = False) -> int:
        """Clocks of a calibration in hardware, the array always ready and no utterance under way.

        A step has two clocks more than in a running utterance, since its x is complete only after the one before has
        ended; the first one loads its x. A decision is one more.

        Parameters
        ----------
        compact : bool
            Of the macro: x loads no earlier than in the hold of the step before.
        """
        spec = self.spec
        step = spec.macro_clocks + 2
        # From one step's last code to the next's: the longer of converting and loading.
        pace = max(step, spec.inputs + (spec.windows[0] + 3 if compact else 0))
        return spec.inputs + (self.steps - 1) * pace + step + self.settings + 1

    @cached_property
    def _ramps(self) -> list[Ramp]:
        return ramps(self.spec)

    @cached_property
    def ticks(self) -> tuple[int, ...]:
        """K of each ramp."""
        return tuple(map(reference_tick, self._ramps))

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """The least level of a code that reaches K, by ramp: K itself where no curve turns."""
        pairs = zip(self._ramps, self.ticks, strict=True)
        return tuple(int(ramp.levels(ramp.codes)[k]) for ramp, k in pairs)

    def reached(self, ramp: int, codes: np.ndarray) -> np.ndarray:
        """Which codes of a ramp reach K: bool."""
        return self._ramps[ramp].levels(codes) >= self.levels[ramp]

    @cached_property
    def gates(self) -> tuple[tuple[str, ...], ...]:
        """The gates whose banks each ramp serves."""
        spec = self.spec
        return tuple(tuple(gate for gate in spec.gate_names if spec.ramp_of(gate) == r) for r in range(len(spec.ramps)))

    def conversion_of(self, gate: str) -> int:
        """The conversion of a step in which a bank counts: the first that latches it."""
        return next(number for number, codes in enumerate(self.spec.conversions) if gate in codes)

    @cached_property
    def tiles(self) -> tuple["CalibrationPlan", ...]:
        """The plan of each array of the macro, all at once: the same steps, for ramps and columns of its own."""
        tiles = tiles_of(self.spec)
        return (self,) if len(tiles) == 1 else tuple(replace(self, spec=tile) for tile in tiles)

    @property
    def columns(self) -> tuple[int, ...]:
        """Columns that each ramp serves; of the ramps of all arrays together."""
        return tuple(self.spec.units * len(gates) for gates in self.gates)

    @cached_property
    def shifts(self) -> tuple[int, ...]:
        """What is added to each ramp's register in the end: from tick K at 0 to tick K in its place."""
        if self.lsb is None:
            return (0,) * len(self.spec.ramps)
        places = [
            ramp.clipped_floors(self.spec.mac_max)[k - 1] for ramp, k in zip(self._ramps, self.ticks, strict=True)
        ]
        return tuple(
            int(math.copysign(math.floor(abs(place) / lsb + 0.5), place))
            for place, lsb in zip(places, self.lsb, strict=True)
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a calibration found.

    Attributes
    ----------
    registers : int64 array, shape (ramps,)
        Bit j selects cell j.
    cells : bool array, shape (ramps, calibration_cells)
        The same, as :class:`~.device_array.DeviceArray` takes it.
    failed : bool array, shape (ramps,)
        The ramp is beyond the reach of its cells: its register stands at an end of the range.
    settings : int64 array, shape (settings, ramps)
        What was tried, in order.
    counts : int64 array, shape (settings, ramps)
        Codes that reached K with it, of ``columns`` x ``repeats``.
    conversions : int
        How many the array made.
    """

    registers: np.ndarray
    cells: np.ndarray
    failed: np.ndarray
    settings: np.ndarray
    counts: np.ndarray
    conversions: int


def selected(spec: Specification, registers: np.ndarray) -> np.ndarray:
    """Registers as cells: bool, shape (ramps, calibration_cells)."""
    return (np.asarray(registers, np.int64)[:, None] >> np.arange(spec.calibration_cells) & 1).astype(bool)


def calibrate(device: DeviceInstance, plan: CalibrationPlan | None = None, first: int = 0) -> Calibration:
    """Calibrate ``device`` as the gateware would: the same registers, bit for bit, noise included.

    Parameters
    ----------
    device : DeviceInstance
    plan : CalibrationPlan or None
        None: the one of the device's specification with nothing else given.
    first : int
        Number of the first conversion: how many the array has made since it was switched on.
    """
    plan = CalibrationPlan(device.spec) if plan is None else plan
    return search(plan, counter(device, plan, first))


def counter(device: DeviceInstance, plan: CalibrationPlan, first: int = 0) -> Count:
    """What :func:`search` asks of ``device``, whose first conversion has the number ``first``."""
    spec = device.spec
    if plan.spec != spec:
        raise ValueError("the plan is for another specification than the device")
    windows = [undriven(spec, number, plan.repeats) for number in range(len(spec.conversions))]

    def count(step: int, registers: np.ndarray) -> np.ndarray:
        array = DeviceArray(device, selected(spec, registers))
        first_of_step = first + len(spec.conversions) * (step + np.arange(plan.repeats))
        found = np.zeros(len(spec.ramps), np.int64)
        for number in sorted(set(map(plan.conversion_of, spec.gate_names))):
            _, codes = array.convert(windows[: number + 1], first_of_step + number)
            for gate, place in latched_banks(spec, number).items():
                if plan.conversion_of(gate) == number:
                    ramp = spec.ramp_of(gate)
                    found[ramp] += plan.reached(ramp, codes[:, place]).sum()
        return found

    return count


def search(plan: CalibrationPlan, count: Count) -> Calibration:
    """The algorithm, for anything that counts.

    Parameters
    ----------
    plan : CalibrationPlan
    count : callable
    """
    width, shifts = plan.spec.calibration_cells, np.array(plan.shifts)
    whole = np.array(plan.columns) * plan.repeats
    middle, full = 1 << (width - 1), (1 << width) - 1
    kept = np.zeros(len(whole), np.int64)
    best, nearest = kept.copy(), np.zeros_like(kept)
    level = np.zeros(len(whole), bool)  # the middle, found too high, is as near as the best
    failed = np.zeros(len(whole), bool)
    settings, counts = [], []
    for trial, bit in enumerate([0, *(1 << j for j in reversed(range(width)))]):
        setting = kept | bit
        found = np.asarray(count(trial * plan.repeats, setting), np.int64)
        settings.append(setting)
        counts.append(found)
        balance = 2 * found - whole
        keep, distance = balance > 0, np.abs(balance)
        if bit == 0:
            failed = ~keep
            nearest = distance
            continue
        nearer = distance < nearest
        level = (~keep & (distance <= nearest)) if bit == middle else level & ~nearer
        better = nearer | (keep & (distance == nearest))
        best, nearest = np.where(better, setting, best), np.where(better, distance, nearest)
        kept = np.where(keep, setting, kept)
    best = np.where(level & ~failed & (kept == middle - 1), middle, best) + shifts
    registers = np.clip(best, 0, full)
    return Calibration(
        registers=registers,
        cells=selected(plan.spec, registers),
        failed=failed | (kept == full) | (registers != best),
        settings=np.array(settings),
        counts=np.array(counts),
        conversions=len(plan.spec.conversions) * plan.steps,
    )
