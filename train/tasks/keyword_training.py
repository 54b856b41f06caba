# SPDX-License-Identifier: Apache-2.0
"""The keyword task from a folder of data to a model file: float training, quantization-aware training, export."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from crossramp.golden.cell.description import Cell, Gate
from crossramp.golden.cell.expression import names
from crossramp.golden.cell.library import CELLS
from crossramp.golden.inputs.features import FeatureSettings, features, normalize, pulse_codes, step_values
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import AnySpecification, NetworkSpecification
from crossramp.golden.network.model_file import Model
from crossramp.golden.spec.activations import activation
from crossramp.golden.spec.specification import Specification
from torch import Tensor, nn

from ..data.augment import Augmenter
from ..data.datasets import Corpus, class_names
from ..data.word_folders import SILENCE, Recordings
from ..float.float_network import FloatNetwork
from ..quantized.quantized_network import QuantizedNetwork
from ..recipes.recipe import Recipe
from ..recipes.settings import Hardware
from ..run.checkpoint import Checkpoint
from ..run.phases import Stage, chips, origin, run_stages
from ..run.schedule import Progress
from .keyword_task import KeywordTask, Validation, quantize_inputs

__all__ = [
    "Trained",
    "export",
    "feature_settings",
    "keyword_specification",
    "measure",
    "quantize_inputs",
    "specification",
    "train",
    "validation_silence",
]

_SILENCE_GAINS_DB = (3.0, 0.0, -10.0, -20.0, -30.0, -45.0)  # of the silence that is validated on
_DEVIATIONS = 2.5  # standard deviations of an input that fill its range
_BLOCK_CLIPS = 4096  # of the statistics: bounds their memory


def keyword_specification(
    hardware: Hardware, inputs: int, classes: int, steps: int, projection: int = 0, readout: str = "mean"
) -> AnySpecification:
    """The specification of a recipe's hardware: of one macro, or, where it has layers, of a network of several.

    Parameters
    ----------
    hardware : Hardware
    inputs, classes : int
    steps : int
        Of the longest utterance.
    projection : int
        Of each macro; 0: that of the hardware.
    readout : str

    Raises
    ------
    SpecificationError
        For hardware that cannot be.
    """
    head = {"classes": classes, "max_steps": steps, "readout": readout}
    if not hardware.layers:
        return _macro(hardware, inputs, projection, **head)
    layers: list[Layer] = []
    for number, table in enumerate(hardware.layers):
        taken = layers[-1].outputs if layers else inputs
        macro = _macro(hardware.of_layer(number), taken, projection, classes=0)
        layers.append(Layer(macro=macro, bidirectional=table.get("bidirectional", False)))
    return NetworkSpecification(layers=tuple(layers), head=hardware.head, **head)


def _macro(hardware: Hardware, inputs: int, projection: int, **more: Any) -> Specification:
    """The specification of a macro; what drives the lines needs no multiplier.

    All banks have one weight range. But that of the bank with constant line cells (g of an LSTM) is such that a cell of
    whole levels makes one clock of the line's pulse worth a power of two: the pulse code spans nearly ±2 where the
    register drives it, and is a mere shift of c; elsewhere it spans what the value can reach, r·m of a GRU.
    """
    cell = CELLS[hardware.cell]
    gates = [Gate(gate.activation, hardware.sigmoid_range) for gate in cell.default_gates]
    line, projection = {}, projection or hardware.projection
    if projection:
        more |= {"projection_in": hardware.projection_in, "projection_range": hardware.projection_range}
    if cell.line_value:
        line = _line_format(hardware, cell)
        gates[cell.gates.index(cell.state_gate)] = Gate(
            cell.banks[cell.state_gate].gate.activation, line.pop("weight_range")
        )
    return Specification(
        cell=cell.name,
        initial=hardware.initial,
        inputs=inputs,
        units=hardware.units,
        bias_rows=hardware.bias_rows,
        adc_bits=hardware.adc_bits,
        input_bits=hardware.input_bits,
        weight_bits=hardware.weight_bits,
        gates=tuple(gates),
        lanes=hardware.lanes,
        projection=projection,
        **line,
        **more,
    )


def _line_format(hardware: Hardware, cell: Cell) -> dict[str, Any]:
    """Bits of the line's pulse code, levels of its constant cells, and the weight range of their bank."""
    weight_max, input_max = (1 << (hardware.weight_bits - 1)) - 1, (1 << (hardware.input_bits - 1)) - 1
    state_pulse_bits = hardware.input_bits + 1  # c reaches twice as far as x and h do
    pulse = _line_reach(cell) * 2.0 ** (1 - state_pulse_bits)
    levels = min(max(round(weight_max * input_max * pulse / hardware.sigmoid_range), 1), weight_max)
    return {
        "state_pulse_bits": state_pulse_bits,
        "state_cell": levels,
        "weight_range": weight_max * input_max * pulse / levels,
    }


def _line_reach(cell: Cell) -> float:
    """What the pulse code of the lines spans: 2 of a register, else the range of the code that is multiplied."""
    if cell.line_value_is_state:
        return 2.0
    (store,) = (store for stores in cell.stores for store in stores if store.name == cell.line_value)
    return math.prod(
        activation(cell.banks[cell.gate_of(code)].gate.activation).high for code in names(store.expression)
    )


def feature_settings(corpus: Corpus, front_end: FeatureSettings) -> FeatureSettings:
    """The front end with each input's offset and gain set from the training clips' mean and spread."""
    blocks = range(0, len(corpus.training), _BLOCK_CLIPS)
    values = [step_values(corpus.training[start : start + _BLOCK_CLIPS], front_end) for start in blocks]
    values = np.concatenate([block.astype(np.float32).reshape(-1, front_end.inputs) for block in values])
    offset = values.mean(axis=0, dtype=np.float64).round(2)
    spread = np.maximum(values.std(axis=0, dtype=np.float64), 1.0)
    gain = (1 / (_DEVIATIONS * spread)).round(6)
    return dataclasses.replace(front_end, band_offset=tuple(offset.tolist()), band_gain=tuple(gain.tolist()))


@dataclass
class Trained:
    """What training leaves: both networks, how the inputs are made, and how it all came about."""

    float_network: FloatNetwork
    quantized_network: QuantizedNetwork
    settings: FeatureSettings
    classes: tuple[str, ...]
    provenance: dict[str, Any]


def specification(recipe: Recipe) -> AnySpecification:
    """What a recipe trains for."""
    front_end = recipe.features
    return keyword_specification(recipe.hardware, front_end.inputs, len(class_names(recipe.words)), front_end.steps)


def train(
    corpus: Corpus,
    recipe: Recipe,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
    shelf: Path | None = None,
    device: str = "cpu",
) -> Trained:
    """Both stages, the second from where the first ended.

    Parameters
    ----------
    corpus : Corpus
        Levels made by the recipe's front end; its normalization is replaced by one fitted to the training clips.
    recipe : Recipe
        Its seed is that of initial weights, order of clips, augmentation and chips. The same recipe, data, versions and
        number of threads give the same model on one kind of machine.
    checkpoint : Checkpoint or None
        Written after every epoch; where it holds a state, training goes on from that.
    shelf : path or None
    device : str
        See :func:`~.phases.run_stages`.

    Raises
    ------
    ~crossramp.train.run.schedule.Diverged
        If the loss is not a number any more; the checkpoint holds the last good epoch.
    """
    spec = specification(recipe)
    settings = feature_settings(corpus, recipe.features)
    validation = _validation(corpus, settings)

    def task(turn: int, prepare: Callable[[Tensor], Tensor] = lambda values: values) -> KeywordTask:
        seed = recipe.seed + turn
        return KeywordTask(
            corpus, Augmenter(settings, recipe.augmentation, corpus.background, seed), validation, seed, prepare
        )

    def quantized(made: Mapping[str, nn.Module]) -> nn.Module:
        return QuantizedNetwork.from_float(made["float"], spec, chips(recipe, spec))

    stages, teacher = [], None
    if recipe.teacher is not None:
        teaching = dataclasses.replace(
            recipe, hardware=recipe.teacher.hardware, float_phase=recipe.teacher.float_phase, teacher=None
        )
        large, teacher = specification(teaching), "teacher"
        phase = dataclasses.replace(teaching.float_phase, name=teacher)
        stages += [Stage(phase, lambda _: FloatNetwork(large), lambda: task(0), None, _learning(teaching))]
    stages += [
        Stage(recipe.float_phase, lambda _: FloatNetwork(spec), lambda: task(0), teacher, _learning(recipe)),
        Stage(
            recipe.quantized_phase,
            quantized,
            lambda: task(1, lambda x: quantize_inputs(x, spec)),
            teacher or "float",
            recipe.to_dict(),
        ),
    ]
    done = run_stages(stages, recipe, corpus.digest, progress, checkpoint, shelf, device)
    provenance = {
        "task": "keywords",
        "data_sha256": corpus.digest,
        "training_clips": len(corpus.training),
        "validation_clips": len(validation.labels),
        "validation_silence_clips": validation_silence(corpus),
        **{f"{name}_validation_accuracy": round(stage.metric, 4) for name, stage in done.items()},
        **origin(recipe, device),
    }
    return Trained(done["float"].network, done["quantized"].network, settings, corpus.classes, provenance)


def _learning(recipe: Recipe) -> dict[str, Any]:
    """All that a recipe's float network depends on: its teacher is among it, and no hardware that comes later."""
    content = recipe.to_dict()
    keys = ("seed", "words", "features", "augmentation", "teacher", "float")
    return {**{key: content[key] for key in keys if key in content}, **recipe.hardware.float_part()}


def export(trained: Trained) -> Model:
    """The golden model of a trained network: its integers, as they are."""
    network = trained.quantized_network
    front_end = trained.settings.to_dict()
    return Model(network.spec, network.weights(), trained.classes, front_end, trained.provenance)


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


def validation_silence(corpus: Corpus) -> int:
    """Clips of silence that validation has beside the corpus's own: held-out noise, at each of six volumes."""
    return len(corpus.background_validation) * len(_SILENCE_GAINS_DB)


def _validation(corpus: Corpus, settings: FeatureSettings) -> Validation:
    held_out = corpus.background_validation.astype(np.float32)
    gains = [gain * settings.level_gain for gain in _SILENCE_GAINS_DB]
    silence = np.concatenate([np.clip(held_out + gain, 0, settings.level_max) for gain in gains])
    inputs = np.concatenate([normalize(corpus.validation, settings), normalize(silence, settings)])
    labels = np.concatenate([corpus.validation_labels, np.full(len(silence), corpus.classes.index(SILENCE))])
    return Validation(torch.from_numpy(inputs).float(), torch.from_numpy(labels))
