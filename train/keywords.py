# SPDX-License-Identifier: Apache-2.0
"""The keyword task from a folder of data to a model file: float training, quantization-aware training, export."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..golden.features import FeatureSettings, features, normalize, pulse_codes
from ..golden.modelfile import Model
from ..golden.specification import Gate, Specification
from .augment import Augmentation, Augmenter
from .datasets import Corpus
from .float_network import FloatNetwork
from .imperfections import Imperfections
from .quantized_network import QuantizedNetwork
from .recordings import SILENCE, Recordings
from .schedule import Phase, Progress, Validation, fit

__all__ = ["Trained", "export", "feature_settings", "keyword_specification", "measure", "quantize_inputs", "train"]

_SILENCE_GAINS_DB = (3.0, 0.0, -10.0, -20.0, -30.0, -45.0)  # of the silence that is validated on
_DEVIATIONS = 2.5  # standard deviations of a band that fill the inputs' range


def keyword_specification(
    inputs: int,
    units: int,
    classes: int,
    steps: int,
    adc_bits: int = 5,
    input_bits: int = 5,
    weight_bits: int = 5,
    state_pulse_bits: int | None = None,
    bias_rows: int = 2,
    sigmoid_range: float = 1.75,
    lanes: int = 1,
) -> Specification:
    """A specification whose state conversion needs no multiplier.

    The weight range of bank g is near the other banks', and such that a state cell of whole levels makes one clock of
    c's pulse worth a power of two, 2**-(state_pulse_bits - 2): c's pulse code spans nearly ±2 and is a mere shift of c.
    """
    weight_max, input_max = (1 << (weight_bits - 1)) - 1, (1 << (input_bits - 1)) - 1
    if state_pulse_bits is None:
        state_pulse_bits = input_bits + 1  # c reaches twice as far as x and h do
    pulse = 2.0 ** -(state_pulse_bits - 2)
    cell = min(max(round(weight_max * input_max * pulse / sigmoid_range), 1), weight_max)
    sigmoid = Gate("sigmoid", sigmoid_range)
    tanh = Gate("tanh", weight_max * input_max * pulse / cell)
    return Specification(
        inputs=inputs,
        units=units,
        classes=classes,
        bias_rows=bias_rows,
        adc_bits=adc_bits,
        input_bits=input_bits,
        weight_bits=weight_bits,
        gates=(sigmoid, sigmoid, tanh, sigmoid),
        state_pulse_bits=state_pulse_bits,
        state_cell=cell,
        lanes=lanes,
        max_steps=steps,
    )


def feature_settings(corpus: Corpus, front_end: FeatureSettings) -> FeatureSettings:
    """The front end with each band's offset and gain set from the training clips' mean and spread."""
    per_step = front_end.frames_per_step
    sums = corpus.training[:, : front_end.steps * per_step].reshape(len(corpus.training), -1, per_step, front_end.bands)
    means = sums.mean(axis=2, dtype=np.float32).reshape(-1, front_end.bands)
    offset = means.mean(axis=0, dtype=np.float64).round(2)
    spread = np.maximum(means.std(axis=0, dtype=np.float64), 1.0)
    gain = (1 / (_DEVIATIONS * spread)).round(6)
    return dataclasses.replace(front_end, band_offset=tuple(offset.tolist()), band_gain=tuple(gain.tolist()))


def quantize_inputs(values: Tensor, spec: Specification) -> Tensor:
    """Pulse codes of real inputs, as `crossramp.golden.features.pulse_codes` makes them, in float32."""
    scaled = values.clamp(-1, 1) * spec.input_max
    return torch.trunc(scaled + torch.full_like(scaled, 0.5).copysign_(scaled))


@dataclass
class Trained:
    """What training leaves: both networks, how the inputs are made, and how it all came about."""

    float_network: FloatNetwork
    quantized_network: QuantizedNetwork
    settings: FeatureSettings
    classes: tuple[str, ...]
    provenance: dict[str, Any]


def train(
    corpus: Corpus,
    front_end: FeatureSettings,
    spec: Specification,
    float_phase: Phase,
    quantized_phase: Phase,
    seed: int,
    progress: Progress,
    augmentation: Augmentation | None = None,
    imperfections: Imperfections | None = None,
) -> Trained:
    """Both phases, the second from where the first ended.

    Parameters
    ----------
    front_end : FeatureSettings
        What made the corpus's levels; its normalization is replaced by one fitted to the training clips.
    seed : int
        Of initial weights, order of clips, and augmentation. The same seed, data, versions and number of threads give
        the same model on one kind of machine.
    """
    torch.manual_seed(seed)
    settings = feature_settings(corpus, front_end)
    augmentation = augmentation or Augmentation()
    validation = _validation(corpus, settings)
    float_network = FloatNetwork(spec)
    augmenter = Augmenter(settings, augmentation, corpus.background, seed)
    float_best = fit(float_network, lambda x: x, corpus, augmenter, validation, float_phase, seed, progress)
    quantized = QuantizedNetwork.from_float(float_network, spec, imperfections)
    quantized_best = fit(
        quantized,
        lambda x: quantize_inputs(x, spec),
        corpus,
        augmenter,
        validation,
        quantized_phase,
        seed + 1,
        progress,
        float_network,
    )
    provenance = {
        "task": "keywords",
        "seed": seed,
        "threads": torch.get_num_threads(),
        "data_sha256": corpus.digest,
        "training_clips": len(corpus.training),
        "validation_clips": len(validation.labels),
        "augmentation": _plain(dataclasses.asdict(augmentation)),
        "float_phase": dataclasses.asdict(float_phase),
        "quantized_phase": dataclasses.asdict(quantized_phase),
        "float_validation_accuracy": round(float_best, 4),
        "quantized_validation_accuracy": round(quantized_best, 4),
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "crossramp": _own_version()},
    }
    return Trained(float_network, quantized, settings, corpus.classes, provenance)


def export(trained: Trained) -> Model:
    """The golden model of a trained network: its integers, as they are."""
    network = trained.quantized_network
    with torch.no_grad():
        weights = torch.cat([network.weight_levels(), network.bias_row_levels()])
        head_weights, head_biases = network.head_levels()
    integers = (tensor.round().to(torch.int64).numpy() for tensor in (weights, head_weights, head_biases))
    return Model(network.spec, *integers, trained.classes, trained.settings.to_dict(), trained.provenance)


@torch.no_grad()
def measure(trained: Trained, recordings: Recordings) -> dict[str, Any]:
    """Accuracies of the float network and of the golden model on recordings, as they enter the provenance."""
    values = features(recordings.clips, trained.settings)
    model = export(trained)
    inputs = torch.from_numpy(values).float()
    float_answers = torch.cat([trained.float_network(block).argmax(1) for block in inputs.split(512)]).numpy()
    codes = pulse_codes(values, model.spec.input_bits)
    answers = np.concatenate(
        [model.network.run(block).answers for block in np.array_split(codes, -(-len(codes) // 256))]
    )
    return {
        "recordings": len(recordings.labels),
        "float_accuracy": round(float((float_answers == recordings.labels).mean()), 4),
        "golden_accuracy": round(float((answers == recordings.labels).mean()), 4),
    }


def _validation(corpus: Corpus, settings: FeatureSettings) -> Validation:
    held_out = corpus.background_validation.astype(np.float32)
    gains = [gain * settings.level_gain for gain in _SILENCE_GAINS_DB]
    silence = np.concatenate([np.clip(held_out + gain, 0, settings.level_max) for gain in gains])
    inputs = np.concatenate([normalize(corpus.validation, settings), normalize(silence, settings)])
    labels = np.concatenate([corpus.validation_labels, np.full(len(silence), corpus.classes.index(SILENCE))])
    return Validation(torch.from_numpy(inputs).float(), torch.from_numpy(labels))


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def _own_version() -> str:
    try:
        return metadata.version("crossramp")
    except metadata.PackageNotFoundError:
        return "not installed"
