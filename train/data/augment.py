# SPDX-License-Identifier: Apache-2.0
"""Batches for training, varied as they are made: shifted, stretched, mixed with noise, louder or softer, masked.

All variations work on log-mel levels (see `crossramp.golden.inputs.features.log_mel`),
so recordings and ready-made spectrograms are treated alike.
Noise is mixed as powers, which is what mixing of uncorrelated waveforms does to a spectrogram.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from crossramp.golden.inputs.features import DELTA_STEPS, FeatureSettings, cepstral_weights
from torch import Tensor

from ..recipes.settings import Augmentation

__all__ = ["Augmentation", "Augmenter"]


class Augmenter:
    """Makes the network's inputs out of levels, on the batch, with its own random generator.

    Parameters
    ----------
    settings : FeatureSettings
        The front end that made the levels.
    augmentation : Augmentation
        How much to vary.
    background : uint8 array, shape (clips, frames, bands)
        Noise to mix in and to make ``_silence_`` of.
    seed : int
        Of the random generator.
    """

    def __init__(
        self, settings: FeatureSettings, augmentation: Augmentation, background: np.ndarray, seed: int
    ) -> None:
        self.settings = settings
        self.augmentation = augmentation
        self.background = torch.from_numpy(background)
        self.random = torch.Generator().manual_seed(seed)
        self.cepstra = torch.from_numpy(cepstral_weights(settings)).float()
        self.offset = torch.tensor(settings.band_offset, dtype=torch.float32)
        self.gain = torch.tensor(settings.band_gain, dtype=torch.float32)
        self.nepers = math.log(10) / (10 * settings.level_gain)  # a level times this is a logarithm of power

    def inputs(self, levels: Tensor) -> Tensor:
        """Varied inputs of clips: uint8 (batch, frames, bands) -> float32 (batch, steps, inputs) in [-1, 1]."""
        a = self.augmentation
        moved = self._mean_frames(self._moved(levels))
        moved = moved + self._uniform((len(levels), 1, 1), -a.clip_gain_db, a.clip_gain_db) * self.settings.level_gain
        noise = self._mean_frames(self._moved(self._some_background(len(levels))))
        gain = self._uniform((len(levels), 1, 1), *a.noise_gain_db)
        gain[self._uniform((len(levels),), 0, 1) >= a.noise_probability] = -300.0
        mixed = torch.logaddexp(moved * self.nepers, (noise + gain * self.settings.level_gain) * self.nepers)
        return self._finish(mixed / self.nepers)

    def silence(self, count: int) -> Tensor:
        """Varied inputs of ``_silence_``: background noise at any volume, down to none."""
        a = self.augmentation
        gain = self._uniform((count, 1, 1), *a.silence_gain_db)
        gain[self._uniform((count,), 0, 1) < a.digital_silence_probability] = -300.0
        levels = self._mean_frames(self._moved(self._some_background(count)))
        return self._finish(levels + gain * self.settings.level_gain)

    def _finish(self, levels: Tensor) -> Tensor:
        a, per_db = self.augmentation, self.settings.level_gain
        batch, steps, bands = levels.shape
        color = torch.randn((batch, 1, bands), generator=self.random) * (a.band_gain_db * per_db)
        jitter = torch.randn(levels.shape, generator=self.random) * (a.jitter_db * per_db)
        levels = (levels + color).add_(jitter).clamp_(0, self.settings.level_max)
        # A stripe of the clip's own mean says nothing (Park et al., SpecAugment, arXiv:1904.08779).
        mean = levels.mean((1, 2), keepdim=True)
        levels = torch.where(self._stripe(batch, bands, a.mask_bands)[:, None, :], mean, levels)
        levels = torch.where(self._stripe(batch, steps, a.mask_steps)[:, :, None], mean, levels)
        return ((self._values(levels) - self.offset) * self.gain).clamp_(-1, 1)

    def _values(self, levels: Tensor) -> Tensor:
        """As :func:`crossramp.golden.inputs.features.step_values` makes them, of levels that are the steps' already."""
        if not self.settings.cepstra:
            return levels
        cepstra = levels @ self.cepstra
        before = torch.cat([cepstra[:, :1]] * DELTA_STEPS + [cepstra], 1)[:, : cepstra.shape[1]]
        return torch.cat([cepstra, (cepstra - before)[..., : self.settings.deltas]], 2)

    def _moved(self, levels: Tensor) -> Tensor:
        batch, frames, _ = levels.shape
        rate = self._uniform((batch, 1), 1 - self.augmentation.stretch, 1 + self.augmentation.stretch)
        shift = self._uniform((batch, 1), -1, 1) * self.augmentation.shift_frames
        middle = (frames - 1) / 2
        source = (torch.arange(frames) - middle) * rate + middle + shift
        source = source.round_().clamp_(0, frames - 1).long()
        return levels[torch.arange(batch)[:, None], source]

    def _mean_frames(self, levels: Tensor) -> Tensor:
        per_step = self.settings.frames_per_step
        batch, frames, bands = levels.shape
        steps = frames // per_step
        groups = levels[:, : steps * per_step].view(batch, steps, per_step, bands)
        return sum(groups[:, :, index].float() for index in range(per_step)) / per_step

    def _some_background(self, count: int) -> Tensor:
        return self.background[torch.randint(len(self.background), (count,), generator=self.random)]

    def _stripe(self, batch: int, length: int, widest: int) -> Tensor:
        width = self._uniform((batch, 1), 0, widest + 1).floor()
        start = (self._uniform((batch, 1), 0, 1) * (length - width + 1)).floor()
        place = torch.arange(length)
        return (place >= start) & (place < start + width)

    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return torch.rand(shape, generator=self.random) * (high - low) + low
