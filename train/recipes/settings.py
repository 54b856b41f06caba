# SPDX-License-Identifier: Apache-2.0
"""The contents of a recipe's tables: immutable settings, each checked against the range that its field states.

It imports the standard library and the golden model only, so that a recipe is read and refused without PyTorch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossramp.golden.analog.technologies.constants import SWITCHES
from crossramp.golden.analog.technologies.technology import Technology, TechnologyError, load
from crossramp.golden.common.checks import real, told, whole
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.wording import suggestion

__all__ = [
    "EVERY",
    "Augmentation",
    "Devices",
    "Hardware",
    "Phase",
    "RecipeError",
    "Text",
    "check",
]

EVERY = ("batch", "epoch", "never")
"""When training takes another chip."""


class RecipeError(InvalidValue):
    """A recipe is wrong: one line with the key, its value and what is allowed."""


def _number(default: Any, low: float, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "meaning": meaning})


def check(settings: Any, table: str) -> None:
    """Checks every field that states a range, and turns whole numbers given for real ones into those.

    Raises
    ------
    RecipeError
        For a value of another type, or out of range.
    """
    for item in dataclasses.fields(settings):
        if "low" not in item.metadata:
            continue
        value, key = getattr(settings, item.name), f"{table}.{item.name}" if table else item.name
        low, high, default = item.metadata["low"], item.metadata["high"], item.default
        kind = int if isinstance(default, int) else float
        many = isinstance(default, tuple)
        numbers = list(value) if isinstance(value, list | tuple) else [value]
        right = isinstance(value, list | tuple) == many and (not many or len(numbers) == len(default))
        for number in numbers:
            found = whole(number) if kind is int else real(number)
            right = right and found is not None and math.isfinite(found) and low <= found <= high
        if right and many:
            right = numbers == sorted(numbers)
        if not right:
            what = "a whole number" if kind is int else f"{len(default)} rising numbers" if many else "a number"
            raise RecipeError(f"{key} is {told(value)}; allowed: {what} from {low:g} to {high:g}")
        object.__setattr__(settings, item.name, tuple(map(float, numbers)) if many else kind(value))


@dataclass(frozen=True)
class Hardware:
    """The macro that is trained for; see :class:`~crossramp.golden.spec.specification.Specification`."""

    units: int = _number(32, 1, 65536, "units of the LSTM")
    adc_bits: int = _number(5, 2, 8, "bits of the ramps")
    input_bits: int = _number(5, 2, 8, "bits of pulse codes, with sign")
    weight_bits: int = _number(5, 2, 8, "bits of weights, with sign")
    bias_rows: int = _number(2, 1, 64, "rows driven at full scale")
    sigmoid_range: float = _number(1.0, 2**-10, 2**10, "real weight at full scale, of the gates with a sigmoid")
    lanes: int = _number(1, 1, 65536, "units updated in one clock; changes no answer")

    def __post_init__(self) -> None:
        check(self, "hardware")


@dataclass(frozen=True)
class Augmentation:
    """How much the clips are varied; levels are in dB, times in frames (10 ms in the default front end)."""

    shift_frames: int = _number(10, 0, 10_000, "a clip is moved by up to this many frames")
    stretch: float = _number(0.08, 0, 0.9, "a clip is replayed up to this much faster or slower")
    noise_probability: float = _number(0.7, 0, 1, "share of the clips that noise is mixed into")
    noise_gain_db: tuple[float, float] = _number((-40.0, -6.0), -300, 60, "that noise's gain, dB")
    clip_gain_db: float = _number(6.0, 0, 60, "a clip is louder or softer by up to this, dB")
    band_gain_db: float = _number(1.0, 0, 60, "standard deviation of bands: microphones and rooms color them, dB")
    jitter_db: float = _number(1.0, 0, 60, "standard deviation of noise on every level, dB")
    mask_bands: int = _number(3, 0, 4096, "widest stripe of bands that is blanked")
    mask_steps: int = _number(3, 0, 4096, "widest stripe of steps that is blanked")
    silence_gain_db: tuple[float, float] = _number((-60.0, 3.0), -300, 60, "gain of noise that stands for silence, dB")
    digital_silence_probability: float = _number(0.05, 0, 1, "share of silence that is none at all")

    def __post_init__(self) -> None:
        check(self, "augmentation")


@dataclass(frozen=True)
class Text:
    """How a text is cut, and how its characters enter the network."""

    chunk: int = _number(64, 1, 4096, "characters that gradients go back through; the state goes on and on")
    embedding: int = _number(0, 0, 1024, "inputs of a character's row in a trained table; 0: one-hot, one each")
    projection: int = _number(0, 0, 65536, "codes that h is projected to, up to the units; 0: no projection")
    vocabulary: int = _number(256, 2, 4096, "most different characters that a text may have")
    validation: float = _number(0.05, 0.001, 0.4, "share of the text, after what is trained on")
    test: float = _number(0.05, 0.001, 0.4, "share of the text, its end")

    def __post_init__(self) -> None:
        check(self, "text")


@dataclass(frozen=True)
class Phase:
    """One run of the optimization loop."""

    name: str
    epochs: int = _number(120, 0, 100_000, "passes over the training clips")
    learning_rate: float = _number(0.01, 0, 1, "of AdamW, at its height; it decays as a cosine")
    batch: int = _number(256, 2, 65536, "clips a batch")
    weight_decay: float = _number(0.01, 0, 1, "of AdamW")
    warm_up: int = _number(300, 1, 1_000_000, "batches until the rate is at its height; a fifth of the run at most")
    label_smoothing: float = _number(0.02, 0, 0.99, "share of a label that goes to all classes alike")
    gradient_limit: float = _number(1.0, 1e-6, 1e6, "norm that gradients are cut to")
    distillation: float = _number(0.0, 0, 1, "share of the loss that compares with the float network, not the label")
    averaging: float = _number(0.998, 0, 0.999999, "of the weights, per batch; the averages are validated and kept")
    patience: int = _number(0, 0, 100_000, "epochs without a better validation loss after which to stop; 0: never")

    def __post_init__(self) -> None:
        check(self, self.name)


@dataclass(frozen=True)
class Devices:
    """Chips that the quantized phase trains on; see :class:`~.chips.DeviceImperfections`.

    Parameters
    ----------
    technology : str
        A shipped technology's name, or a TOML file.
    switches : tuple of str, or "all"
        The effects that are on; kept in the order of :data:`~crossramp.golden.analog.technologies.constants.SWITCHES`.
    constants : dict
        Constants of the technology that have another value.
    """

    technology: str = "rram"
    switches: tuple[str, ...] = SWITCHES
    calibrated: bool = False
    every: str = "batch"
    constants: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.technology, str) or not self.technology.strip():
            raise RecipeError(f"devices.technology is {self.technology!r}; give the name of one, or a TOML file")
        switches = SWITCHES if self.switches == "all" else self.switches
        if not isinstance(switches, list | tuple):
            raise RecipeError(f'devices.switches is {switches!r}; give "all", or a list of {", ".join(SWITCHES)}')
        for name in switches:
            if name not in SWITCHES:
                raise RecipeError(f"devices.switches holds {name!r}; {suggestion(str(name), SWITCHES)}")
        object.__setattr__(self, "switches", tuple(name for name in SWITCHES if name in switches))
        if not isinstance(self.calibrated, bool):
            raise RecipeError(f"devices.calibrated is {self.calibrated!r}; allowed: true, false")
        if self.every not in EVERY:
            raise RecipeError(f"devices.every is {self.every!r}; allowed: {', '.join(EVERY)}")
        if not isinstance(self.constants, dict):
            raise RecipeError(f"devices.constants is {self.constants!r}; expected a table of constants")
        constants = dict(_flat(self.constants, ""))
        object.__setattr__(self, "constants", {name: constants[name] for name in sorted(constants)})

    def load(self, folder: Path) -> Technology:
        """The technology with the constants that differ; a file that is not there is looked for in ``folder``.

        Raises
        ------
        RecipeError
            For a technology that is not there or wrong, or a constant it has not.
        """
        try:
            beside = folder / self.technology
            name = beside if not Path(self.technology).is_file() and beside.is_file() else self.technology
            return load(name).replace(self.constants, "the recipe")
        except TechnologyError as error:
            raise RecipeError(f"devices: {error}") from None


def _flat(table: dict, prefix: str) -> Iterable[tuple[str, Any]]:
    """``cell.g_max = 1`` and ``"cell.g_max" = 1`` mean the same."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, tuple(value) if isinstance(value, list) else value
