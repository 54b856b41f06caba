# SPDX-License-Identifier: Apache-2.0
"""The task of language modeling from a text to a model file: a network that predicts the next character."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from crossramp.golden.inputs.text_codes import TextSettings, bits_per_character
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.network.model_file import Model
from torch import nn

from ..data.text_data import TextCorpus, streams
from ..float.alphabet import Alphabet
from ..float.float_network import FloatNetwork
from ..quantized.quantized_network import QuantizedNetwork
from ..recipes.recipe import Recipe
from ..recipes.settings import RecipeError
from ..run.checkpoint import Checkpoint
from ..run.phases import Stage, chips, origin, run_stages
from ..run.schedule import Progress
from .keyword_training import keyword_specification
from .text_task import TextTask, check_streams, score

__all__ = ["TrainedText", "measure", "specification", "train_text"]


@dataclass
class TrainedText:
    """What training leaves: both networks, the characters, and how it all came about."""

    float_network: FloatNetwork
    quantized_network: QuantizedNetwork
    vocabulary: str
    provenance: dict[str, Any]

    @property
    def settings(self) -> TextSettings:
        """What the model reads and writes, in the hardware's integers."""
        network = self.quantized_network
        alphabet, full_scale = network.alphabet, network.spec.input_max
        table = None
        if alphabet.trained:
            codes = alphabet.codes(full_scale).detach().round().to(torch.int64)
            table = tuple(map(tuple, codes.tolist()))
        return TextSettings(self.vocabulary, table, full_scale, network.logit_scale)

    def export(self) -> Model:
        """The golden model: the quantized network's integers, as they are."""
        network, settings = self.quantized_network, self.settings
        return Model(network.spec, network.weights(), settings.class_names, settings.to_dict(), self.provenance)


def specification(recipe: Recipe, characters: int) -> AnySpecification:
    """What a recipe trains for, on a text of so many different characters; of its lanes, as many as there are units."""
    hardware, text = recipe.hardware, recipe.text
    hardware = dataclasses.replace(hardware, lanes=min(hardware.lanes, hardware.units))
    for number, table in enumerate(hardware.layers):
        if table.get("bidirectional"):
            raise RecipeError(
                f"hardware.layers[{number}].bidirectional is true; the next character is predicted from those before: "
                "leave it out"
            )
    return keyword_specification(hardware, text.embedding or characters, characters, 1024, text.projection, "step")


def train_text(
    corpus: TextCorpus,
    recipe: Recipe,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
    shelf: Path | None = None,
    device: str = "cpu",
) -> TrainedText:
    """Both phases, the second from where the first ended.

    Parameters
    ----------
    corpus : TextCorpus
        Cut as the recipe's table ``text`` says.
    recipe : Recipe
        Its seed is that of initial weights, of where each epoch begins, and of chips. The same recipe, text, versions
        and number of threads give the same model on one kind of machine.
    checkpoint : Checkpoint or None
        Written after every epoch; where it holds a state, training goes on from that.
    shelf : path or None
    device : str
        See :func:`~.phases.run_stages`.

    Raises
    ------
    InvalidValue
        For a text that is too short for a batch of the recipe.
    ~crossramp.train.run.schedule.Diverged
        If the loss is not a number any more; the checkpoint holds the last good epoch.
    """
    for phase in (recipe.float_phase, recipe.quantized_phase):
        check_streams(corpus, phase)
    spec = specification(recipe, len(corpus.vocabulary))
    content = recipe.to_dict()
    hardware = recipe.hardware.float_part()
    learning = {**{key: content[key] for key in ("seed", "text", "float")}, **hardware}

    def float_network(_: Mapping[str, nn.Module]) -> nn.Module:
        return FloatNetwork(spec, Alphabet(len(corpus.vocabulary), recipe.text.embedding))

    def quantized(made: Mapping[str, nn.Module]) -> nn.Module:
        return QuantizedNetwork.from_float(made["float"], spec, chips(recipe, spec))

    def task(turn: int) -> TextTask:
        return TextTask(corpus, recipe.text.chunk, recipe.seed + turn)

    stages = [
        Stage(recipe.float_phase, float_network, lambda: task(0), None, learning),
        Stage(recipe.quantized_phase, quantized, lambda: task(1), "float", content),
    ]
    done = run_stages(stages, recipe, corpus.digest, progress, checkpoint, shelf, device)
    parts = {part: len(range(*corpus.part(part))) for part in ("training", "validation", "test")}
    provenance = {
        "task": "text",
        "data_sha256": corpus.digest,
        **{f"{part}_characters": length for part, length in parts.items()},
        **{f"{name}_validation_bits_per_character": round(stage.metric, 4) for name, stage in done.items()},
        **origin(recipe, device),
    }
    return TrainedText(done["float"].network, done["quantized"].network, corpus.vocabulary, provenance)


def measure(trained: TrainedText, corpus: TextCorpus) -> dict[str, Any]:
    """Bits per character of the float network and of the golden model on the test part, as they enter the provenance.

    Nothing was chosen by the test part.
    """
    model = trained.export()
    places, targets = streams(corpus, "test")
    hidden = model.network.hidden(model.text_settings.table[places])[:, -targets.shape[1] :]
    logits = model.network.head.logits(hidden, 1)
    golden = bits_per_character(logits, targets, model.text_settings.logit_scale)
    return {
        "characters": targets.size,
        "float_bits_per_character": round(score(trained.float_network, corpus, "test"), 4),
        "golden_bits_per_character": round(golden, 4),
    }
