# SPDX-License-Identifier: Apache-2.0
"""Training on device instances, the same ones with which the golden model and the simulators convert.

Each forward pass samples a chip of a technology by :func:`crossramp.golden.analog.chip.sampling.device`,
programmed with the levels that the network has at that moment.
It computes with the chip's cells, windows, offsets, noise, compression and ramps.
Training differs from :class:`~crossramp.golden.analog.conversion.device_array.DeviceArray` in these points:
values are float32 and converted by a table of :data:`RESOLUTION` entries per MAC;
a decision's noise is drawn once per conversion, and that of the ramps once per pass;
an integrator saturates at the end of its window.
A test compares both where nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from crossramp.golden.analog.chip.sampling import ALL, device, tile_seed
from crossramp.golden.analog.conversion.calibration import calibrate
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_array import charges, hold_gains
from crossramp.golden.analog.technologies.technology import Technology
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.description import BIAS, INPUT
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification
from torch import Tensor

from ..float.rounding import integers
from .imperfections import Array, Imperfections
from .step_plan import Run, step_plan
from .update_program import BEFORE

__all__ = ["RESOLUTION", "DeviceArray", "DeviceImperfections"]

RESOLUTION = 8
"""Entries of a conversion table a MAC unit: a threshold is off by a sixteenth at most."""

_TRAINING_CHIPS = 1 << 32  # of each recipe's seed; seed 0 begins there, beyond every chip that anybody evaluates
_LAST_SEED = (1 << 31) - 1
_VALIDATION_SEEDS = (1 << 31, 8)  # the first chip of validation, and how many there are

_EVERY = ("batch", "epoch", "never")


class DeviceImperfections(Imperfections):
    """Chips of a technology.

    Parameters
    ----------
    spec : Specification
    technology : Technology
    switches : set of str
        The effects that are on, of :data:`~crossramp.golden.analog.technologies.constants.SWITCHES`.
    calibrated : bool
        Ramps stand where one-point calibration brings them, else where their nominal registers do.
    every : str
        A new chip for each ``"batch"`` or ``"epoch"``, or ``"never"`` another.
    seed : int
        Of the chips and the noise, 0 to 2**31 - 1.
    place : int or None
        Of the macro in a network of several: each has arrays of its own, drawn from ``tile_seed`` of the chip's
        seed. None: the only macro.

    Raises
    ------
    InvalidValue
        For another ``every``, or a seed out of range.
    """

    def __init__(
        self,
        spec: Specification,
        technology: Technology,
        switches: frozenset = ALL,
        *,
        calibrated: bool = False,
        every: str = "batch",
        seed: int = 1,
        place: int | None = None,
    ) -> None:
        if every not in _EVERY:
            raise InvalidValue(f"every is {every!r}; allowed: {', '.join(_EVERY)}")
        seed = integer("seed", seed, 0, _LAST_SEED)
        super().__init__(spec)
        self.technology, self.switches = technology, frozenset(switches)
        self.calibrated, self.every, self.seed, self.place = calibrated, every, seed, place
        self._drawn = self._validated = 0
        self._noise = torch.Generator().manual_seed(self._own(seed))
        self._validation_noise = torch.Generator()
        self.restart()

    def draw(self, levels: Tensor, training: bool, lines: Tensor | None = None) -> DeviceArray:
        if training:
            number = _first_training_chip(self.seed) + self._drawn
            self._drawn += self.every == "batch"
        else:
            number = _VALIDATION_SEEDS[0] + self._validated % _VALIDATION_SEEDS[1]
            self._validated += 1
        return self.array(levels, self._own(number), self._noise if training else self._validation_noise, lines)

    def array(
        self, levels: Tensor, number: int, noise: torch.Generator | None, lines: Tensor | None = None
    ) -> DeviceArray:
        """The chip of seed ``number``; without ``noise``, what it does when no noise is drawn."""
        programmed = integers(levels) if lines is None else Weights(integers(levels), None, None, lines=integers(lines))
        chip = device(self.technology, self.spec, programmed, number, switches=self.switches)
        cells = calibrate(chip).cells if self.calibrated and self.spec.calibration_cells else None
        return DeviceArray(chip, levels, cells, noise, lines)

    def next_epoch(self) -> None:
        """An epoch of training is over."""
        self._drawn += self.every == "epoch"

    def restart(self) -> None:
        self._validated = 0
        self._validation_noise.manual_seed(self._own(self.seed))

    def _own(self, seed: int) -> int:
        """A seed of this macro alone."""
        return seed if self.place is None else tile_seed(seed, self.place)

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs to go on with the same chips and noise."""
        return {"drawn": self._drawn, "noise": self._noise.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._drawn = int(state["drawn"])
        self._noise.set_state(state["noise"])


def _first_training_chip(seed: int) -> int:
    """Number of the first chip that a recipe's seed trains on; seeds have chips of their own.

    Those of the last seed would lie beyond the largest number of a chip: they are between validation's and seed 0's.
    """
    return _TRAINING_CHIPS * (seed + 1) if seed < _LAST_SEED else sum(_VALIDATION_SEEDS)


class DeviceArray(Array):
    """One chip in torch.

    Parameters
    ----------
    chip : DeviceInstance
    levels : float tensor, shape (rows, columns)
        What it was programmed with.
    calibration : bool array, shape (ramps, calibration_cells), or None
        None: the chip's nominal cells.
    noise : torch.Generator or None
        None: none is drawn.
    lines : float tensor, shape (trained line cells, units), or None
        What the trained cells on lines were programmed with.
    """

    resolution = RESOLUTION

    def __init__(
        self,
        chip: DeviceInstance,
        levels: Tensor,
        calibration: np.ndarray | None,
        noise: torch.Generator | None,
        lines: Tensor | None = None,
    ) -> None:
        self._device, self.dtype = levels.device, levels.dtype
        spec = chip.spec
        cells = self._tensor(chip.state_cells).view(-1, spec.units)
        trained = None
        if lines is not None:
            trained = _seen(lines, cells[[number for number, part in enumerate(spec.line_cells) if part.trained]])
        super().__init__(spec, _seen(levels, self._tensor(chip.weights)), trained)
        self.chip, self.noise, self._cells = chip, noise, cells
        self.thresholds = list(self._levels(calibration))
        windows = (chip.window, chip.state_window)
        # Those of the first window are left out where every clock counts alike.
        self._charges = [
            None if (gains == 1).all() and not k else self._tensor(charges(gains)) for k, gains in enumerate(windows)
        ]
        self._limits = [float(limit[-1]) if len(limit) else np.inf for limit in (chip.limit, chip.state_limit)]
        self._left = self._tensor(hold_gains(chip)) if (hold_gains(chip) != 1).any() else None
        self._offsets = self._tensor(chip.offsets) if chip.offsets.any() else None
        # In shares of the ends of ranges, as decoded values are.
        lows = np.array([act.low / act.high for act in map(spec.activation, spec.gate_names)])
        steps = (1 - lows) / (1 << np.array([spec.gate_bits(gate) for gate in spec.gate_names]))
        turning = next((gate for gate in spec.gate_names if spec.turns(gate)), None)
        if turning and chip.delays.any():
            raise InvalidValue(
                f"gate {turning}: the curve of {spec.activation(turning).text} turns, which training does not know on "
                "chips with late comparators; leave their delay out"
            )
        self._late_by = self._tensor(np.repeat(steps, spec.units) * chip.delays) if chip.delays.any() else None
        self._late_end = self._tensor(np.repeat(1 - steps / 2, spec.units))
        self._set_noise()

    def _set_noise(self) -> None:
        """Variances by group of rows and by line cell; None where nothing is drawn."""
        chip, spec, noisy = self.chip, self.spec, self.noise is not None
        tensor, sizes = self._tensor, spec.row_sizes

        def by_group(table: np.ndarray) -> dict[str, Tensor]:
            return dict(zip(sizes, tensor(table).split(list(sizes.values())), strict=True))

        constant = chip.noise_variance + chip.comparator_noise**2
        drawn = noisy and bool(constant.any() or chip.variance.any() or chip.state_variance.any())
        self._constant = tensor(constant) if drawn else None
        self._row_variance = by_group(chip.variance) if drawn and chip.variance.any() else None
        self._line_variance = tensor(chip.state_variance).view(-1, spec.units) if drawn else None
        self._common = by_group(chip.common_variance) if noisy and chip.common_variance.any() else None
        self._shared = [_shared(spec, number) for number in range(len(spec.conversions))]

    def charge(self, codes: Tensor, window: int = 0) -> Tensor:
        table = self._charges[window]
        return codes if table is None else table[(codes + (len(table) // 2)).to(torch.int64)]

    def line(self, number: int, pulses: Tensor, window: int) -> Tensor:
        return self.charge(pulses, window) * self._cells[number]

    def hold(self, charge: Tensor, columns: slice) -> Tensor:
        return charge if self._left is None else charge * self._left[columns]

    def variance(self, codes: Tensor) -> Tensor | None:
        """Columns' variances; with reference columns, those of their crossings behind them."""
        if self._row_variance is None and self._common is None:
            return None
        spec, squares = self.spec, codes.square()
        biased = BIAS in spec.layout.steps[0][0].driven
        parts = []
        for table, width in ((self._row_variance, spec.columns), (self._common, len(spec.crossings))):
            if table is None:
                parts.append(codes.new_zeros(*codes.shape[:-1], width))
                continue
            bias = table[BIAS].sum(0) * spec.input_max**2 if biased else 0.0
            parts.append(squares @ table[INPUT] + bias)
        return torch.cat(parts, dim=-1)

    def seen(self, number: int, macs: Tensor, pulses: Mapping[str, Tensor], variance: Tensor | None) -> Tensor:
        spec, columns = self.spec, self.spec.converted(number)
        if self._common is not None and self._shared[number]:
            first = variance[..., spec.columns :]
            crossings = [
                self._gathered(self._common, run, slice(j, j + 1), pulses, first) for run, j, _ in self._shared[number]
            ]
            shared = torch.cat(crossings, dim=1)
            shared = shared.sqrt_() * self._normal(shared)
            macs = macs.clone()
            for k, (_, _, place) in enumerate(self._shared[number]):
                macs[:, place] += shared[:, k : k + 1]
        if self._constant is not None:
            macs = macs + self._own_variance(number, pulses, variance).sqrt() * self._normal(macs)
        limit = self._limits[number]
        if np.isfinite(limit):
            macs = macs.clamp(-limit, limit)
        if self.chip.compression:
            y = macs.abs() * self.chip.compression
            macs = macs / (1 + y / 2 + y * y / 12)
        return macs if self._offsets is None else macs + self._offsets[columns]

    def _own_variance(self, number: int, pulses: Mapping[str, Tensor], variance: Tensor | None) -> Tensor:
        """Of each column that a conversion latches."""
        found = []
        for run in step_plan(self.spec).runs[number]:
            own = None
            if self._row_variance is not None:
                own = self._gathered(self._row_variance, run, run.columns, pulses, variance)
            for line in run.lines:
                square = pulses[BEFORE if line.is_start else line.value].square() * self._line_variance[line.number]
                if own is None and square.shape[1] == run.columns.stop - run.columns.start:
                    own = square
                    continue
                own = (
                    square.new_zeros(len(square), run.columns.stop - run.columns.start) if own is None else own.clone()
                )
                own[:, line.within] += square
            constant = self._constant[run.columns]
            batch = len(next(codes for codes in pulses.values() if codes is not None))
            found.append(constant.expand(batch, -1) if own is None else own + constant)
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def _gathered(
        self, table: Mapping[str, Tensor], run: Run, columns: slice, pulses: Mapping[str, Tensor], first: Tensor | None
    ) -> Tensor | None:
        """Σ n²·variance of a run's rows, over all windows that it holds; None where it holds none of rows.

        ``columns`` of the table, and of ``first``, which is what x and bias rows bring in the first window.
        """
        found = None
        if run.home:
            found = first[..., columns]
            for group, value in step_plan(self.spec).windows[0].rows.items():
                found = found + pulses[value].square() @ table[group][:, columns]
        for group, value in run.rows:
            brought = pulses[value].square() @ table[group][:, columns]
            found = brought if found is None else found + brought
        if run.bias:
            bias = table[BIAS][:, columns].sum(0) * self.spec.input_max**2
            found = bias.expand(len(pulses[self.spec.layout.output]), -1) if found is None else found + bias
        return found

    def late(self, values: Tensor, number: int) -> None:
        if self._late_by is not None:
            columns = self.spec.converted(number)
            torch.minimum(values.add_(self._late_by[columns]), self._late_end[columns], out=values)

    def _levels(self, calibration: np.ndarray | None) -> np.ndarray:
        chip = self.chip
        if self.noise is None or not chip.ramp_noise.any():
            return chip.levels(calibration)
        drawn = torch.randn(chip.ramp_noise.shape, generator=self.noise, dtype=torch.float64).numpy()
        steps = chip.ramp_steps + chip.ramp_noise * drawn
        return (chip.starts(calibration)[:, None] + np.cumsum(steps, axis=1)) * chip.rise

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.noise, dtype=like.dtype).to(like.device)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(values, float)).to(self._device, self.dtype)


def _seen(levels: Tensor, real: Tensor) -> Tensor:
    """The value of the cells, the gradient of the levels."""
    return levels + (real - levels).detach()


def _shared(spec: Specification, number: int) -> list[tuple[Run, int, slice]]:
    """Runs of a conversion that rows reach, by crossing: the run, the crossing, and its place among what is latched."""
    found = []
    start = spec.converted(number).start
    for run in step_plan(spec).runs[number]:
        if not (run.home or run.rows or run.bias):
            continue
        for gate, crossing in zip(spec.gate_names, spec.crossing_of_gate, strict=True):
            bank = spec.bank(gate)
            if run.columns.start <= bank.start < run.columns.stop:
                place = slice(bank.start - start, bank.stop - start)
                if found and found[-1][:2] == (run, crossing):
                    place = slice(found.pop()[2].start, place.stop)
                found.append((run, crossing, place))
    return found
