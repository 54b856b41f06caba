# SPDX-License-Identifier: Apache-2.0
"""The part of language modeling in the optimization loop: chunks of parallel streams, their loss, and validation.

The training text is cut into as many contiguous streams as a batch has; a batch is the streams' next chunk.
Each chunk starts from the state that the one before left, through which no gradient goes back:
truncated backpropagation through time (Williams & Peng, Neural Computation 2:490, 1990).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from crossramp.golden.common.errors import InvalidValue
from torch import Tensor, nn

from ..data.text_data import TextCorpus, streams
from ..recipes.settings import Phase
from ..run.schedule import Metric, divergence

__all__ = ["BLOCKS", "TextTask", "check_streams", "score"]

BLOCKS = 8
"""Passes of a validation: where the network is trained on chips, each is another chip's."""


@dataclass(frozen=True)
class TextTask:
    """The next character of a text; a :class:`~.schedule.Task`.

    Parameters
    ----------
    corpus : TextCorpus
    chunk : int
        Characters that gradients go back through.
    seed : int
        Of where in the text each epoch begins.
    """

    corpus: TextCorpus
    chunk: int
    seed: int

    metric = Metric("bits_per_character", 1, "bits per character", 4)

    def batches(self, phase: Phase) -> int:
        return self._cut(phase)[1]

    def losses(self, network: nn.Module, phase: Phase, epoch: int, teacher: nn.Module | None) -> Iterator[Tensor]:
        """Of chunks of all streams side by side, in the order of the text."""
        text, device = self.corpus.training, next(network.parameters()).device
        chunk, batches = self._cut(phase)
        length = chunk * batches + 1
        # Every epoch begins elsewhere, so that chunks end at other characters.
        begin = int(np.random.default_rng([self.seed, epoch]).integers(len(text)))
        starts = np.arange(phase.batch) * (len(text) // phase.batch)
        rows = torch.from_numpy(np.roll(text, -begin)[starts[:, None] + np.arange(length)]).to(device)
        state = taught_state = None
        for number in range(batches):
            part = rows[:, number * chunk : (number + 1) * chunk + 1]
            logits, state = network.run(part[:, :-1], state)
            logits, target = logits.flatten(0, 1), part[:, 1:].flatten()
            loss = nn.functional.cross_entropy(logits, target, label_smoothing=phase.label_smoothing)
            if phase.distillation > 0:
                with torch.no_grad():
                    taught, taught_state = teacher.run(part[:, :-1], taught_state)
                loss = (1 - phase.distillation) * loss + phase.distillation * divergence(logits, taught.flatten(0, 1))
            yield loss

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """(loss, bits per character) of the validation part."""
        bits = score(network, self.corpus, "validation")
        return bits * math.log(2), bits

    def guessing_loss(self) -> float:
        """The entropy of the validation part's characters without their context; in nats."""
        counts = np.bincount(streams(self.corpus, "validation")[1].ravel())
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())

    def cautions(self, phase: Phase) -> list[str]:
        chunk, _ = self._cut(phase)
        if not phase.epochs or chunk == self.chunk:
            return []
        return [
            f"text.chunk is {self.chunk} characters, but each of {phase.batch} streams has only {chunk}: gradients go "
            f"back no further; lower {phase.name}.batch"
        ]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def _cut(self, phase: Phase) -> tuple[int, int]:
        """Characters of a chunk, and chunks of a stream: each character has a next one, which is its target."""
        check_streams(self.corpus, phase)
        targets = len(self.corpus.training) // phase.batch - 1
        chunk = min(self.chunk, targets)
        return chunk, targets // chunk


def check_streams(corpus: TextCorpus, phase: Phase) -> None:
    """Whether a text is long enough for a phase.

    Raises
    ------
    InvalidValue
        Where it is not; names the key to change.
    """
    length = len(corpus.training)
    if length < 2 * phase.batch:
        raise InvalidValue(
            f"{length} characters to train on make no {phase.batch} streams of at least 2; lower {phase.name}.batch"
        )


@torch.no_grad()
def score(network: nn.Module, corpus: TextCorpus, part: str) -> float:
    """Bits per character of a network on a part of a text, in :data:`BLOCKS` passes at most."""
    device, total = next(network.parameters()).device, 0.0
    places, targets = (torch.from_numpy(array) for array in streams(corpus, part))
    for read, target in zip(places.tensor_split(BLOCKS), targets.tensor_split(BLOCKS), strict=True):
        if len(read):
            logits, _ = network.run(read.to(device))
            logits = logits[:, -target.shape[1] :].flatten(0, 1).double()
            total += nn.functional.cross_entropy(logits, target.to(device).flatten(), reduction="sum").item()
    return total / targets.numel() / math.log(2)
