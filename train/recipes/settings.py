# SPDX-License-Identifier: Apache-2.0
"""The contents of a recipe's tables: immutable settings, each checked against the range that its field states.

It imports the standard library and the golden model only, so that a recipe is read and refused without PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossramp.golden.analog.technologies.constants import SWITCHES
from crossramp.golden.analog.technologies.technology import Technology, TechnologyError, load
from crossramp.golden.cell.library import CELLS, LSTM
from crossramp.golden.common.declared import check, declared
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.wording import suggestion

__all__ = [
    "EVERY",
    "Augmentation",
    "Devices",
    "Hardware",
    "Phase",
    "RecipeError",
    "Teacher",
    "Text",
]

EVERY = ("batch", "epoch", "never")
"""When training takes another chip."""


_PROJECTION = ("projection", "projection_in", "projection_range")
_OF_FLOAT = ("cell", "initial", "units", "bias_rows", "sigmoid_range", *_PROJECTION, "head")
_OF_LAYER = ("cell", "initial", "units", "adc_bits", "weight_bits", "bias_rows", "sigmoid_range", "lanes", *_PROJECTION)


class RecipeError(InvalidValue):
    """A recipe is wrong: one line with the key, its value and what is allowed."""


@dataclass(frozen=True)
class Hardware:
    """The hardware that is trained for; see :class:`~crossramp.golden.spec.specification.Specification`.

    Parameters
    ----------
    layers : tuple of dict
        Empty: one macro and its head. Else a table for each layer, the first takes the inputs: ``bidirectional``, true
        or false, and what differs from the other fields.
    """

    units: int = declared("units of the cell", 1, 65536, default=32)
    adc_bits: int = declared("bits of the ramps", 2, 8, default=5)
    input_bits: int = declared("bits of pulse codes, with sign", 2, 8, default=5)
    weight_bits: int = declared("bits of weights, with sign", 2, 8, default=5)
    bias_rows: int = declared("rows driven at full scale", 1, 64, default=2)
    sigmoid_range: float = declared(
        "real weight at full scale; that of the bank with constant line cells lies near it", 2**-10, 2**10, default=1.0
    )
    lanes: int = declared("units updated in one clock; changes no answer", 1, 65536, default=1)
    cell: str = declared("the recurrent cell", default="lstm", choices=tuple(CELLS))
    initial: str = declared(
        "state that utterances start from: zero, or trained constants", default="zero", choices=("zero", "constant")
    )
    projection: int = declared("codes that h is projected to, up to the units; 0: no projection", 0, 65536, default=0)
    projection_in: str = declared(
        "what projects h: digital, or, in a layer, an array", default="digital", choices=("digital", "array")
    )
    projection_range: float = declared(
        "real weight at full scale of a projection in an array", 2**-10, 2**10, default=1.0
    )
    head: str = declared(
        "what gives the logits: digital, or the last layer's array", default="digital", choices=("digital", "array")
    )
    layers: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check(self, RecipeError, "hardware")
        if self.initial != "zero" and not CELLS[self.cell].has_state:
            raise RecipeError(
                f"hardware.initial is {self.initial!r}, but the cell {self.cell} keeps no state; give zero"
            )
        if not isinstance(self.layers, list | tuple) or not all(isinstance(table, dict) for table in self.layers):
            raise RecipeError(f"hardware.layers is {self.layers!r:.80}; expected a list of tables, one for each layer")
        object.__setattr__(self, "layers", tuple(dict(sorted(table.items())) for table in self.layers))
        if self.head == "array" and not self.layers:
            raise RecipeError("hardware.head is 'array', which is the last of several layers; add [[hardware.layers]]")
        known = ("bidirectional", *_OF_LAYER)
        for number, table in enumerate(self.layers):
            for key in table:
                if key not in known:
                    raise RecipeError(f"hardware.layers[{number}].{key} is unknown; {suggestion(key, known)}")
            if not isinstance(table.get("bidirectional", False), bool):
                raise RecipeError(
                    f"hardware.layers[{number}].bidirectional is {table['bidirectional']!r}; allowed: true, false"
                )
            self.of_layer(number)

    def of_layer(self, number: int) -> Hardware:
        """The fields of one layer; RecipeError for a wrong one of its table."""
        own = {key: value for key, value in self.layers[number].items() if key != "bidirectional"}
        try:
            return dataclasses.replace(self, layers=(), head="digital", **own)
        except RecipeError as error:
            raise RecipeError(str(error).replace("hardware.", f"hardware.layers[{number}].", 1)) from None

    def to_dict(self) -> dict[str, Any]:
        """The fields; those are left out whose defaults were once the only choice, so that recipes keep their hash."""
        content = dataclasses.asdict(self)
        if self.cell == LSTM.name:
            del content["cell"]
        if self.initial == "zero":
            del content["initial"]
        if not self.layers:
            del content["layers"]
        new = (*_PROJECTION, "head")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {name: value for name, value in content.items() if name not in new or value != defaults[name]}

    def float_part(self) -> dict[str, Any]:
        """What of :meth:`to_dict` the float network depends on."""
        content = self.to_dict()
        found = {name: value for name, value in content.items() if name in _OF_FLOAT}
        if self.layers:
            known = ("bidirectional", *_OF_FLOAT)
            found["layers"] = [{key: table[key] for key in table if key in known} for table in self.layers]
        return found


@dataclass(frozen=True)
class Augmentation:
    """How much the clips are varied; levels are in dB, times in frames (10 ms in the default front end)."""

    shift_frames: int = declared("a clip is moved by up to this many frames", 0, 10_000, default=10)
    stretch: float = declared("a clip is replayed up to this much faster or slower", 0, 0.9, default=0.08)
    noise_probability: float = declared("share of the clips that noise is mixed into", 0, 1, default=0.7)
    noise_gain_db: tuple[float, float] = declared("that noise's gain, dB", -300, 60, default=(-40.0, -6.0))
    clip_gain_db: float = declared("a clip is louder or softer by up to this, dB", 0, 60, default=6.0)
    band_gain_db: float = declared(
        "standard deviation of bands: microphones and rooms color them, dB", 0, 60, default=1.0
    )
    jitter_db: float = declared("standard deviation of noise on every level, dB", 0, 60, default=1.0)
    mask_bands: int = declared("widest stripe of bands that is blanked", 0, 4096, default=3)
    mask_steps: int = declared("widest stripe of steps that is blanked", 0, 4096, default=3)
    silence_gain_db: tuple[float, float] = declared(
        "gain of noise that stands for silence, dB", -300, 60, default=(-60.0, 3.0)
    )
    digital_silence_probability: float = declared("share of silence clips that are digital zeros", 0, 1, default=0.05)

    def __post_init__(self) -> None:
        check(self, RecipeError, "augmentation")


@dataclass(frozen=True)
class Text:
    """How a text is cut, and how its characters enter the network."""

    chunk: int = declared("characters that gradients go back through; the state goes on and on", 1, 4096, default=64)
    embedding: int = declared(
        "inputs of a character's row in a trained table; 0: one-hot, one each", 0, 1024, default=0
    )
    projection: int = declared("codes that h is projected to, up to the units; 0: no projection", 0, 65536, default=0)
    vocabulary: int = declared("most different characters that a text may have", 2, 4096, default=256)
    validation: float = declared("share of the text, after what is trained on", 0.001, 0.4, default=0.05)
    test: float = declared("share of the text, its end", 0.001, 0.4, default=0.05)

    def __post_init__(self) -> None:
        check(self, RecipeError, "text")


@dataclass(frozen=True)
class Phase:
    """One run of the optimization loop."""

    name: str
    epochs: int = declared("passes over the training clips", 0, 100_000, default=120)
    learning_rate: float = declared("of AdamW, at its height; it decays as a cosine", 0, 1, default=0.01)
    batch: int = declared("clips a batch", 2, 65536, default=256)
    weight_decay: float = declared("of AdamW", 0, 1, default=0.01)
    warm_up: int = declared(
        "batches until the rate is at its height; a fifth of the run at most", 1, 1_000_000, default=300
    )
    label_smoothing: float = declared("share of a label that goes to all classes alike", 0, 0.99, default=0.02)
    gradient_limit: float = declared("norm that gradients are cut to", 1e-6, 1e6, default=1.0)
    distillation: float = declared(
        "share of the loss that compares with the teacher's answer, not the label", 0, 1, default=0.0
    )
    averaging: float = declared(
        "of the weights, per batch; the averages are validated and kept", 0, 0.999999, default=0.998
    )
    patience: int = declared(
        "epochs without a better validation loss after which to stop; 0: never", 0, 100_000, default=0
    )

    def __post_init__(self) -> None:
        check(self, RecipeError, self.name)

    def to_dict(self) -> dict[str, Any]:
        """Its keys in a file."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "name"}


@dataclass(frozen=True)
class Teacher:
    """A float network, larger as a rule, that is trained first and whose answers both phases learn from.

    Knowledge distillation, Hinton et al., arXiv:1503.02531; ``distillation`` of a phase is the share of it in the loss.

    Parameters
    ----------
    hardware : Hardware
        What the float network depends on: ``cell``, ``units``, ``layers``, ...; there is no hardware of it.
    float_phase : Phase
    """

    hardware: Hardware = field(default_factory=Hardware)
    float_phase: Phase = field(default_factory=lambda: Phase("float"))

    def __post_init__(self) -> None:
        if self.float_phase.distillation:
            share = self.float_phase.distillation
            raise RecipeError(f"teacher.float.distillation is {share:g}; must be 0: the teacher has none itself")
        if not self.float_phase.epochs:
            raise RecipeError("teacher.float.epochs is 0; an untrained network teaches nothing: leave [teacher] out")

    def to_dict(self) -> dict[str, Any]:
        """What the teacher depends on, as tables of the file."""
        return {"hardware": self.hardware.float_part(), "float": self.float_phase.to_dict()}


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
        """The technology with the constants that differ; a missing file is also looked for in ``folder``.

        Raises
        ------
        RecipeError
            If the technology does not exist or is wrong, or does not have a constant.
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
