# SPDX-License-Identifier: Apache-2.0
"""Speech features: from PCM samples to the signed pulse codes that drive the crossbar's input rows.

One implementation serves training, simulation, the demo and a host program. The chain is the usual log-mel front end:

1. `fit_length` crops or zero-pads a clip to ``clip_samples``;
2. frames of ``window_samples`` every ``hop_samples``, periodic Hann window, zero-padded FFT, power ``|X|²``;
3. ``bands`` triangles, equally spaced and linear on the HTK mel scale (2595·log10(1 + f/700); Young et al., *The HTK
   Book*, section 5.4), peak 1, not normalized by area;
4. a level per band and frame, ``level_gain``·10·log10(power) + ``level_offset``, clipped to 0..``level_max`` (by
   default the 8-bit gray levels of the spectrograms that the shipped model was trained on);
5. the mean of ``frames_per_step`` frames makes one step of the network;
6. where ``cepstra`` is not 0, the step's levels become that many cepstral coefficients and, of the first ``deltas`` of
   them, the difference from two steps before (`step_values`): what neighboring bands have in common is said once,
   and what changes is said outright;
7. ``(value - band_offset)·band_gain``, clipped to [-1, 1] (`features`), and rounded to pulse codes (`pulse_codes`).

Every function takes one clip or any batch of equal-length clips: leading axes pass through.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..common.checks import integer, number
from ..common.declared import check, declared
from ..common.errors import InvalidValue

__all__ = [
    "DELTA_STEPS",
    "FeatureSettings",
    "cepstral_weights",
    "features",
    "fit_length",
    "log_mel",
    "mel_weights",
    "normalize",
    "pulse_codes",
    "step_values",
]

DELTA_STEPS = 2
"""Steps that a difference reaches back; before the first step lie copies of it."""

# Later additions: left out where they are 0, so that files without them stay what they were.
_OPTIONAL = ("cepstra", "deltas")

_BLOCK_CLIPS = 64  # clips transformed at once: bounds the memory of a large batch to some tens of MB


@dataclass(frozen=True)
class FeatureSettings:
    """The front end's parameters; immutable, validated, and storable as JSON (`to_dict`, `from_dict`).

    Frequencies are in Hz, lengths in samples, levels in the unit that ``level_gain`` defines per dB. ``band_offset``
    and ``band_gain`` hold one number per input of the network (a single number given for either means the same for
    all). The inputs are the bands, or with ``cepstra`` (0 to ``bands``) that many coefficients, then ``deltas`` (0 to
    ``cepstra``) differences.

    Raises
    ------
    InvalidValue
        A value is out of range; the message quotes it and the allowed range.
    """

    sample_rate: int = declared("Hz", 1, 1_000_000, default=16000)
    clip_samples: int = declared(
        "length of a recording", lambda s: s.window_samples, 1 << 28, low_name="window_samples", default=16000
    )
    window_samples: int = declared("length of a window", 2, 1 << 20, default=480)
    hop_samples: int = declared(
        "from one window to the next", 1, lambda s: s.clip_samples, high_name="clip_samples", default=160
    )
    fft_samples: int = declared(
        "length of the transform", lambda s: s.window_samples, 1 << 20, low_name="window_samples", default=512
    )
    bands: int = declared("mel bands", 1, 4096, default=40)
    low_hz: float = declared("lower end of the lowest band, Hz", 0.0, 500_000.0, kind="number", default=0.0)
    high_hz: float = declared(
        "upper end of the highest band, Hz",
        0.0,
        lambda s: s.sample_rate / 2,
        high_name="half of sample_rate",
        kind="number",
        default=4000.0,
    )
    level_gain: float = declared("units of a level per dB", 1e-6, 1e6, kind="number", default=2.28)
    level_offset: float = declared("level of 0 dB", -1e6, 1e6, kind="number", default=-59.7)
    level_max: float = declared("largest level", 1e-6, 1e6, kind="number", default=255.0)
    frames_per_step: int = declared(
        "windows that a step averages", 1, lambda s: s.frames, high_name="the clip's frames", default=2
    )
    band_offset: tuple[float, ...] = (127.5,)
    band_gain: tuple[float, ...] = (1 / 127.5,)
    cepstra: int = declared("0: the bands themselves", 0, lambda s: s.bands, high_name="bands", default=0)
    deltas: int = declared("differences of cepstra", 0, lambda s: s.cepstra, high_name="cepstra", default=0)

    def __post_init__(self) -> None:
        check(self)
        if self.low_hz >= self.high_hz:
            raise InvalidValue(f"low_hz is {self.low_hz!r}: must be below high_hz, which is {self.high_hz!r}")
        for name, low in (("band_offset", -1e6), ("band_gain", 1e-9)):
            object.__setattr__(self, name, _per_input(name, getattr(self, name), self.inputs, low))

    @property
    def inputs(self) -> int:
        """Values of a step: the network's inputs."""
        return self.cepstra + self.deltas if self.cepstra else self.bands

    @property
    def meaning(self) -> str:
        """What the inputs are, in words."""
        bands = f"{self.bands} log-mel bands"
        if not self.cepstra:
            return bands
        more = f" and {self.deltas} of their changes" if self.deltas else ""
        return f"{self.cepstra} cepstra{more}, of {bands}"

    @property
    def frames(self) -> int:
        """Whole windows in a clip."""
        return 1 + (self.clip_samples - self.window_samples) // self.hop_samples

    @property
    def steps(self) -> int:
        """Network steps in a clip; frames that do not fill a last step are dropped."""
        return self.frames // self.frames_per_step

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dict of JSON types; `from_dict` is the exact inverse."""
        fields = {name: value for name, value in dataclasses.asdict(self).items() if value or name not in _OPTIONAL}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> FeatureSettings:
        """Settings from `to_dict`'s result (or from the same as read back from JSON).

        Raises
        ------
        InvalidValue
            A name is unknown or missing, or a value is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                raise InvalidValue(f"feature setting {name!r} is unknown: the settings are {', '.join(known)}")
        for name in known:
            if name not in fields and name not in _OPTIONAL:
                raise InvalidValue(f"feature setting {name!r} is missing: write all of {', '.join(known)}")
        return cls(**fields)


def fit_length(samples: ArrayLike, clip_samples: int) -> NDArray:
    """Clips of exactly ``clip_samples``: longer ones lose their end, shorter ones gain zeros at their end.

    Parameters
    ----------
    samples : array
        Shape (..., any length); the dtype is kept.
    clip_samples : int
        The wanted length, at least 1.

    Returns
    -------
    array, shape (..., clip_samples)
    """
    clip_samples = integer("clip_samples", clip_samples, 1, 1 << 28)
    samples = np.asarray(samples)
    if samples.ndim == 0:
        raise InvalidValue("samples are a single number: give an array whose last axis is time")
    missing = clip_samples - samples.shape[-1]
    if missing <= 0:
        return samples[..., :clip_samples]
    return np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, missing)])


def log_mel(samples: ArrayLike, settings: FeatureSettings) -> NDArray[np.float64]:
    """Log-mel levels, one row per frame.

    Parameters
    ----------
    samples : array
        Shape (..., clip_samples), in the units of 16-bit PCM (full scale 32768), integer or float.
    settings : FeatureSettings
        The front end's parameters.

    Returns
    -------
    float64 array, shape (..., frames, bands), in 0..level_max

    Raises
    ------
    InvalidValue
        The clips have another length (use `fit_length`), or hold complex or non-numeric values.
    """
    samples = np.asarray(samples)
    if samples.dtype.kind not in "iuf":
        raise InvalidValue(f"samples are of type {samples.dtype}: give integers or floats in 16-bit PCM units")
    if samples.ndim == 0 or samples.shape[-1] != settings.clip_samples:
        raise InvalidValue(
            f"samples have shape {samples.shape}: the last axis must be clip_samples = {settings.clip_samples}; "
            "crop or pad with fit_length"
        )
    clips = samples.reshape(-1, settings.clip_samples)
    levels = np.empty((len(clips), settings.frames, settings.bands))
    for start in range(0, len(clips), _BLOCK_CLIPS):
        block = slice(start, start + _BLOCK_CLIPS)
        levels[block] = _levels(clips[block].astype(np.float64), settings)
    return levels.reshape(samples.shape[:-1] + levels.shape[1:])


def step_values(levels: ArrayLike, settings: FeatureSettings) -> NDArray[np.float64]:
    """What a step is made of, before its offset and gain: mean levels of bands, or cepstra and their differences.

    The coefficients are the type-II cosine transform of the bands' levels, all scaled by sqrt(2 / bands) (as in Young
    et al., *The HTK Book*, section 5.6.1); the differences are the plain ones over `DELTA_STEPS` steps, which need no
    step to come.

    Parameters
    ----------
    levels : array
        Shape (..., frames, bands), in 0..level_max.
    settings : FeatureSettings
        The front end's parameters.

    Returns
    -------
    float64 array, shape (..., frames // frames_per_step, inputs)
    """
    levels = np.asarray(levels)
    if levels.ndim < 2 or levels.shape[-1] != settings.bands:
        raise InvalidValue(f"levels have shape {levels.shape}: must be (..., frames, {settings.bands} bands)")
    per_step = settings.frames_per_step
    steps = levels.shape[-2] // per_step
    groups = levels[..., : steps * per_step, :].reshape((*levels.shape[:-2], steps, per_step, settings.bands))
    mean = groups.mean(axis=-2, dtype=np.float64)
    if not settings.cepstra:
        return mean
    cepstra = mean @ cepstral_weights(settings)
    before = np.concatenate([cepstra[..., :1, :]] * DELTA_STEPS + [cepstra], axis=-2)[..., :steps, :]
    return np.concatenate([cepstra, (cepstra - before)[..., : settings.deltas]], axis=-1)


def cepstral_weights(settings: FeatureSettings) -> NDArray[np.float64]:
    """The cosines: float64, shape (bands, cepstra); coefficient 0 is the loudness."""
    place = (np.arange(settings.bands)[:, None] + 0.5) / settings.bands
    return math.sqrt(2 / settings.bands) * np.cos(math.pi * place * np.arange(settings.cepstra))


def normalize(levels: ArrayLike, settings: FeatureSettings) -> NDArray[np.float64]:
    """Real inputs of the network from the levels of `log_mel` (or of a stored spectrogram on the same scale).

    Parameters
    ----------
    levels : array
        Shape (..., frames, bands), in 0..level_max.
    settings : FeatureSettings
        The front end's parameters.

    Returns
    -------
    float64 array, shape (..., frames // frames_per_step, inputs), in [-1, 1]
    """
    values = step_values(levels, settings)
    return np.clip((values - np.asarray(settings.band_offset)) * np.asarray(settings.band_gain), -1.0, 1.0)


def features(samples: ArrayLike, settings: FeatureSettings) -> NDArray[np.float64]:
    """The network's real inputs, full scale ±1.0: `normalize` of `log_mel`.

    Parameters
    ----------
    samples : array
        Shape (..., clip_samples), in the units of 16-bit PCM.
    settings : FeatureSettings
        The front end's parameters.

    Returns
    -------
    float64 array, shape (..., steps, inputs), in [-1, 1]
    """
    return normalize(log_mel(samples, settings), settings)


def pulse_codes(values: ArrayLike, input_bits: int) -> NDArray[np.int64]:
    """Signed pulse codes of real inputs: nearest, halves away from zero, saturating at ±(2^(input_bits-1) - 1).

    Parameters
    ----------
    values : array
        Any shape; the real value 1.0 is full scale.
    input_bits : int
        Bits of a code, the sign included, 2 to 16.

    Returns
    -------
    int64 array, the shape of ``values``

    Raises
    ------
    InvalidValue
        Input_bits is out of range, or a value is not finite.
    """
    input_bits = integer("input_bits", input_bits, 2, 16)
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        at = tuple(map(int, np.argwhere(~np.isfinite(values))[0]))
        where = f" at {list(at)}" if at else ""
        raise InvalidValue(f"features hold {values[at]}{where}: must be finite, in [-1, 1]")
    full_scale = (1 << (input_bits - 1)) - 1
    # Clipped first: a huge value times the full scale would overflow the cast, and saturation commutes with rounding.
    scaled = np.clip(values, -1.0, 1.0) * full_scale
    return np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)


@lru_cache(maxsize=16)
def _mel_weights(settings: FeatureSettings) -> NDArray[np.float64]:
    mel = 2595.0 * np.log10(1.0 + np.array([settings.low_hz, settings.high_hz]) / 700.0)
    edges = np.linspace(mel[0], mel[1], settings.bands + 2)
    bin_hz = np.arange(settings.fft_samples // 2 + 1) * (settings.sample_rate / settings.fft_samples)
    bin_mel = (2595.0 * np.log10(1.0 + bin_hz / 700.0))[:, None]
    rise = (bin_mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bin_mel) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rise, fall))
    weights.setflags(write=False)
    return weights


def mel_weights(settings: FeatureSettings) -> NDArray[np.float64]:
    """The triangles: float64, shape (fft_samples//2 + 1 bins, bands), in 0..1; read-only."""
    return _mel_weights(settings)


def _levels(clips: NDArray[np.float64], settings: FeatureSettings) -> NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(clips, settings.window_samples, axis=-1)
    windows = windows[:, :: settings.hop_samples]
    phase = 2 * math.pi / settings.window_samples * np.arange(settings.window_samples)
    spectrum = np.fft.rfft(windows * (0.5 - 0.5 * np.cos(phase)), settings.fft_samples)
    power = (spectrum.real**2 + spectrum.imag**2) @ mel_weights(settings)
    # Digital silence has no logarithm; the smallest normal number is far below level 0 for any sensible offset.
    decibels = 10.0 * np.log10(np.maximum(power, np.finfo(np.float64).tiny))
    return np.clip(settings.level_gain * decibels + settings.level_offset, 0.0, settings.level_max)


def _per_input(name: str, value: Any, inputs: int, low: float) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1 else (value,)
    if len(values) == 1:
        values = values * inputs
    if len(values) != inputs:
        raise InvalidValue(f"{name} has {len(values)} values: must have one, or one per input ({inputs})")
    for index, one in enumerate(values):
        number(f"{name}[{index}]", one, low, 1e6)
    return tuple(map(float, values))
