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
from crossramp.golden.analog.chip.sampling import ALL, device
from crossramp.golden.analog.conversion.calibration import calibrate
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_array import charges
from crossramp.golden.analog.technologies.technology import Technology
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification
from torch import Tensor

from .imperfections import Array, Imperfections

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
    ) -> None:
        if every not in _EVERY:
            raise InvalidValue(f"every is {every!r}; allowed: {', '.join(_EVERY)}")
        seed = integer("seed", seed, 0, _LAST_SEED)
        super().__init__(spec)
        self.technology, self.switches = technology, frozenset(switches)
        self.calibrated, self.every, self.seed = calibrated, every, seed
        self._drawn = self._validated = 0
        self._noise = torch.Generator().manual_seed(seed)
        self._validation_noise = torch.Generator()
        self.restart()

    def draw(self, levels: Tensor, training: bool, lines: Tensor | None = None) -> DeviceArray:
        if training:
            number = _first_training_chip(self.seed) + self._drawn
            self._drawn += self.every == "batch"
        else:
            number = _VALIDATION_SEEDS[0] + self._validated % _VALIDATION_SEEDS[1]
            self._validated += 1
        return self.array(levels, number, self._noise if training else self._validation_noise)

    def array(self, levels: Tensor, number: int, noise: torch.Generator | None) -> DeviceArray:
        """The chip of seed ``number``; without ``noise``, what it does when no noise is drawn."""
        integers = levels.detach().round().to(torch.int64).cpu().numpy()
        chip = device(self.technology, self.spec, integers, number, switches=self.switches)
        cells = calibrate(chip).cells if self.calibrated and self.spec.calibration_cells else None
        return DeviceArray(chip, levels, cells, noise)

    def next_epoch(self) -> None:
        """An epoch of training is over."""
        self._drawn += self.every == "epoch"

    def restart(self) -> None:
        self._validated = 0
        self._validation_noise.manual_seed(self.seed)

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
    """

    resolution = RESOLUTION

    def __init__(
        self, chip: DeviceInstance, levels: Tensor, calibration: np.ndarray | None, noise: torch.Generator | None
    ) -> None:
        self._device = levels.device
        real = self._tensor(chip.weights, levels.dtype)
        # The value of the cells, the gradient of the levels.
        super().__init__(chip.spec, levels + (real - levels).detach())
        self.chip, self.dtype, self.noise = chip, levels.dtype, noise
        spec, tensor = self.spec, lambda values: self._tensor(values, levels.dtype)
        self.thresholds = list(self._levels(calibration))
        self._charges = None if (chip.window == 1).all() else tensor(charges(chip.window))
        self._state_charges = tensor(charges(chip.state_window))
        self._state_cells = tensor(chip.state_cells)
        self._limits = [float(limit[-1]) for limit in (chip.limit, chip.state_limit)]
        self._bank_g = spec.bank(spec.state_gate)
        self._offsets = tensor(chip.offsets) if chip.offsets.any() else None
        steps = [float(act.high - act.low) / (1 << spec.adc_bits) for act in map(spec.activation, spec.gate_names)]
        ends = [float(act.high) for act in map(spec.activation, spec.gate_names)]
        self._late_by = tensor(np.repeat(steps, spec.units) * chip.delays) if chip.delays.any() else None
        self._late_end = tensor(np.repeat(np.array(ends) - np.array(steps) / 2, spec.units))
        noisy = noise is not None
        self._constant = tensor(chip.noise_variance + chip.comparator_noise**2) if noisy else None
        if noisy and not (self._constant.any() or chip.variance.any() or chip.state_variance.any()):
            self._constant = None
        variance = chip.variance if self._constant is not None and chip.variance.any() else None
        self._row_variance = (
            None if variance is None else tensor(variance).split([spec.inputs, spec.hidden, spec.bias_rows])
        )
        self._state_variance = tensor(chip.state_variance) if self._constant is not None else None
        common = chip.common_variance[:, 0] if noisy and chip.common_variance.any() else None
        self._common = None if common is None else tensor(common).split([spec.inputs, spec.hidden, spec.bias_rows])

    def charge(self, codes: Tensor) -> Tensor:
        if self._charges is None:
            return codes
        return self._charges[(codes + self.spec.input_max).to(torch.int64)]

    def variance(self, codes: Tensor) -> Tensor | None:
        """Columns' variances; with a reference column, its own as one more."""
        if self._row_variance is None and self._common is None:
            return None
        squares, full = codes.square(), self.spec.input_max**2
        parts = []
        for split in (self._row_variance, self._common):
            if split is None:
                parts.append(
                    codes.new_zeros(*codes.shape[:-1], self.spec.columns if split is self._row_variance else 1)
                )
                continue
            x, _, bias = (part if part.ndim == 2 else part[:, None] for part in split)
            parts.append(squares @ x + bias.sum(0) * full)
        return torch.cat(parts, dim=-1)

    def seen(self, number: int, macs: Tensor, pulses: Mapping[str, Tensor], variance: Tensor | None) -> Tensor:
        if number:
            return self._second(macs, pulses[self.spec.layout.line_value])
        columns = self.spec.columns
        squares = pulses[self.spec.layout.output].square() if variance is not None else None
        if self._common is not None:
            shared = variance[..., columns:] + (squares @ self._common[1])[..., None]
            macs = macs + shared.sqrt_() * self._normal(shared)
        if self._constant is not None:
            own = self._constant.expand_as(macs)
            if self._row_variance is not None:
                own = variance[..., :columns] + squares @ self._row_variance[1] + own
            macs = macs + own.sqrt() * self._normal(macs)
        return self._seen(macs, self._limits[0], slice(None))

    def line(self, number: int, pulses: Tensor) -> Tensor:
        index = (pulses + self.spec.state_pulse_max).to(torch.int64)
        return self._state_charges[index] * self._state_cells

    def _second(self, macs: Tensor, pulses: Tensor) -> Tensor:
        if self._constant is not None:
            own = pulses.square() * self._state_variance + self._constant[self._bank_g]
            macs = macs + own.sqrt_() * self._normal(macs)
        return self._seen(macs, self._limits[1], self._bank_g)

    def late(self, values: Tensor, number: int) -> None:
        if self._late_by is not None:
            columns = self.spec.converted(number)
            torch.minimum(values.add_(self._late_by[columns]), self._late_end[columns], out=values)

    def _seen(self, macs: Tensor, limit: float, columns: slice) -> Tensor:
        if np.isfinite(limit):
            macs = macs.clamp(-limit, limit)
        if self.chip.compression:
            y = macs.abs() * self.chip.compression
            macs = macs / (1 + y / 2 + y * y / 12)
        return macs if self._offsets is None else macs + self._offsets[columns]

    def _levels(self, calibration: np.ndarray | None) -> np.ndarray:
        chip = self.chip
        if self.noise is None or not chip.ramp_noise.any():
            return chip.levels(calibration)
        drawn = torch.randn(chip.ramp_noise.shape, generator=self.noise, dtype=torch.float64).numpy()
        steps = chip.ramp_steps + chip.ramp_noise * drawn
        return (chip.starts(calibration)[:, None] + np.cumsum(steps, axis=1)) * chip.rise

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.noise, dtype=like.dtype).to(like.device)

    def _tensor(self, values: np.ndarray, dtype: torch.dtype) -> Tensor:
        return torch.from_numpy(np.array(values, float)).to(self._device, dtype)
