# SPDX-License-Identifier: Apache-2.0
"""The part of keyword spotting in the optimization loop: batches of varied clips, their loss, and validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from crossramp.golden.layers.network_specification import AnySpecification
from torch import Tensor, nn

from ..data.augment import Augmenter
from ..data.datasets import Corpus
from ..data.word_folders import SILENCE, UNKNOWN
from ..recipes.settings import Phase
from ..run.schedule import Metric, divergence

__all__ = ["KeywordTask", "Validation", "balanced_accuracy", "quantize_inputs"]


@dataclass(frozen=True)
class Validation:
    """Inputs of the network (real, in [-1, 1]), shape (clips, steps, bands), and their labels."""

    inputs: Tensor
    labels: Tensor


def balanced_accuracy(answers: Tensor, labels: Tensor, classes: int) -> float:
    """Mean over the classes of the share of a class's clips that are answered right."""
    right = (answers == labels).double()
    shares = [right[labels == label].mean() for label in range(classes) if (labels == label).any()]
    return float(torch.stack(shares).mean())


def quantize_inputs(values: Tensor, spec: AnySpecification) -> Tensor:
    """Pulse codes of real inputs, as `crossramp.golden.inputs.features.pulse_codes` makes them, in float32."""
    scaled = values.clamp(-1, 1) * spec.input_max
    return torch.trunc(scaled + torch.full_like(scaled, 0.5).copysign_(scaled))


@dataclass(frozen=True)
class KeywordTask:
    """Clips of spoken words; a :class:`~.schedule.Task`.

    Parameters
    ----------
    corpus : Corpus
    augmenter : Augmenter
        Its random state goes on from phase to phase.
    validation : Validation
    seed : int
        Of the order of the clips.
    prepare : callable
        From real inputs in [-1, 1] to what the network takes; the teacher takes the real inputs.
    """

    corpus: Corpus
    augmenter: Augmenter
    validation: Validation
    seed: int
    prepare: Callable[[Tensor], Tensor] = lambda values: values

    metric = Metric("accuracy", 100, "%", 2)

    def batches(self, phase: Phase) -> int:
        return max(1, len(self.corpus.training) // self._counts(phase)[0])

    def losses(self, network: nn.Module, phase: Phase, epoch: int, teacher: nn.Module | None) -> Iterator[Tensor]:
        """Of batches of clips, each chosen once an epoch, and of silence, which is made."""
        corpus, device = self.corpus, next(network.parameters()).device
        clip_count, silence_count = self._counts(phase)
        levels, labels = torch.from_numpy(corpus.training), torch.from_numpy(corpus.training_labels)
        silence_labels = torch.full((silence_count,), corpus.classes.index(SILENCE))
        weights = _class_weights(corpus).to(device)
        order = torch.from_numpy(np.random.default_rng([self.seed, epoch]).permutation(len(levels)))
        for number in range(self.batches(phase)):
            chosen = order[number * clip_count : (number + 1) * clip_count]
            # Drawn on the CPU, so that every device gets the same.
            inputs = torch.cat([self.augmenter.inputs(levels[chosen]), self.augmenter.silence(silence_count)])
            inputs, target = inputs.to(device), torch.cat([labels[chosen], silence_labels]).to(device)
            logits = network(self.prepare(inputs))
            loss = nn.functional.cross_entropy(logits, target, weight=weights, label_smoothing=phase.label_smoothing)
            if phase.distillation > 0:
                with torch.no_grad():
                    taught = teacher(inputs)
                loss = (1 - phase.distillation) * loss + phase.distillation * divergence(logits, taught)
            yield loss

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """(loss, accuracy), every class counting alike."""
        classes, labels = len(self.corpus.classes), self.validation.labels
        device = next(network.parameters()).device
        blocks = self.validation.inputs.split(512)
        logits = torch.cat([network(self.prepare(block.to(device))).cpu() for block in blocks])
        share = torch.bincount(labels, minlength=classes).clamp(min=1).reciprocal()
        loss = nn.functional.cross_entropy(logits, labels, weight=share.to(logits.dtype))
        return loss.item(), balanced_accuracy(logits.argmax(1), labels, classes)

    def guessing_loss(self) -> float:
        """Each class that is there counts alike, so that the best guess is as likely for each of them."""
        return math.log(len(self.validation.labels.unique()))

    def cautions(self, phase: Phase) -> list[str]:
        clips, (chosen, silence) = len(self.corpus.training), self._counts(phase)
        if not phase.epochs or clips >= chosen:
            return []
        return [
            f"{phase.name}.batch is {phase.batch}, but there are only {clips} clips to train on: an epoch is one batch "
            f"of them and {silence} pieces of silence; lower {phase.name}.batch"
        ]

    def state_dict(self) -> dict[str, Any]:
        return {"augmenter": self.augmenter.random.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.augmenter.random.set_state(state["augmenter"])

    def _counts(self, phase: Phase) -> tuple[int, int]:
        """Clips and silences of a batch: as much silence as of a word."""
        silence = max(1, round(phase.batch / (len(self.corpus.classes) + 1)))
        return phase.batch - silence, silence


def _class_weights(corpus: Corpus) -> Tensor:
    """1 for every class but ``_unknown_``: that has many times a word's clips, but is met as often as one word."""
    counts = np.bincount(corpus.training_labels, minlength=len(corpus.classes))
    unknown = corpus.classes.index(UNKNOWN)
    words = [count for label, count in enumerate(counts) if label > unknown]
    weights = torch.ones(len(corpus.classes))
    weights[unknown] = min(1.0, 1.3 * float(np.mean(words)) / max(1, int(counts[unknown])))
    return weights
