# SPDX-License-Identifier: Apache-2.0
"""The optimization loop that both phases share: AdamW, warm-up and cosine decay, the best epoch by validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from .augment import Augmenter
from .datasets import Corpus
from .imperfections import Imperfections
from .recordings import SILENCE, UNKNOWN
from .settings import Phase

__all__ = ["Diverged", "Epoch", "Phase", "Progress", "Validation", "balanced_accuracy", "fit"]

_TEMPERATURE = 2.0  # of the teacher's answers


@dataclass(frozen=True)
class Epoch:
    """How an epoch went: mean loss of its batches, last learning rate, and what validation said of the averages."""

    loss: float
    learning_rate: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class Progress(Protocol):
    """Is told how training goes."""

    def batch(self, phase: Phase, epoch: int, done: int, total: int) -> None: ...

    def epoch(self, phase: Phase, epoch: int, measured: Epoch) -> None: ...


class Diverged(RuntimeError):
    """Loss or gradient is no number any more; the network is as it was before that batch."""


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


def fit(
    network: nn.Module,
    prepare: Callable[[Tensor], Tensor],
    corpus: Corpus,
    augmenter: Augmenter,
    validation: Validation,
    phase: Phase,
    seed: int,
    progress: Progress,
    teacher: nn.Module | None = None,
    saved: dict[str, Any] | None = None,
    keep: Callable[[dict[str, Any]], None] = lambda state: None,
) -> float:
    """Trains ``network`` in place and leaves it at its best epoch.

    Parameters
    ----------
    network : module with `limit_weights`
        Logits from what ``prepare`` gives.
    prepare : callable
        From real inputs in [-1, 1] to what the network takes.
    seed : int
        Of the order of the clips.
    teacher : module or None
        A trained network whose answers, softened, the network also learns from (Hinton et al., arXiv:1503.02531); takes
        the real inputs. Needed where ``phase.distillation`` is above 0.

    saved : dict or None
        What ``keep`` was given after an epoch: goes on from there as if nothing had happened.
    keep : callable
        Given, after every epoch, all that the next one depends on.

    Returns
    -------
    float
        The balanced validation accuracy of the best epoch: that of the least validation loss, which tells epochs apart
        better than the accuracy does.

    Raises
    ------
    Diverged
        When the loss, its gradient or the validation loss is not finite.
    """
    classes = len(corpus.classes)
    silence = corpus.classes.index(SILENCE)
    silence_count = max(1, round(phase.batch / (classes + 1)))
    clip_count = phase.batch - silence_count
    levels, labels = torch.from_numpy(corpus.training), torch.from_numpy(corpus.training_labels)
    silence_labels = torch.full((silence_count,), silence)
    weights = _class_weights(corpus)
    optimizer = torch.optim.AdamW(network.parameters(), lr=phase.learning_rate, weight_decay=phase.weight_decay)
    batches = max(1, len(levels) // clip_count)
    total = batches * phase.epochs
    run = _Run(network, optimizer, augmenter)
    if saved is None:
        run.judge(*_validate(network, prepare, validation, classes))
    else:
        run.load_state_dict(saved)
    for epoch in range(run.epoch, phase.epochs):
        if phase.patience and run.stale >= phase.patience:
            break
        network.train()
        start, losses = time.monotonic(), 0.0
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(levels)))
        for number in range(batches):
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(phase, run.done, total)
            chosen = order[number * clip_count : (number + 1) * clip_count]
            inputs = torch.cat([augmenter.inputs(levels[chosen]), augmenter.silence(silence_count)])
            target = torch.cat([labels[chosen], silence_labels])
            logits = network(prepare(inputs))
            loss = nn.functional.cross_entropy(logits, target, weight=weights, label_smoothing=phase.label_smoothing)
            if phase.distillation > 0:
                loss = (1 - phase.distillation) * loss + phase.distillation * _divergence(logits, inputs, teacher)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(network.parameters(), phase.gradient_limit)
            _finite(loss.item() + norm.item(), f"loss {loss.item():g}, gradient {norm.item():g}", phase, epoch, number)
            optimizer.step()
            network.limit_weights()
            # Rounded weights hop between two levels late in training; the averages settle on one (Polyak averaging).
            for average, parameter in zip(run.averages, network.parameters(), strict=True):
                average.lerp_(parameter.detach(), 1 - min(phase.averaging, run.done / (run.done + 10)))
            losses += loss.item()
            run.done += 1
            progress.batch(phase, epoch, number + 1, batches)
        _swap(network, run.averages)
        found, accuracy = _validate(network, prepare, validation, classes)
        _finite(found, f"validation loss {found:g}", phase, epoch, batches - 1)
        run.judge(found, accuracy)
        _swap(network, run.averages)
        run.next_epoch()
        keep(run.state_dict())
        rate, seconds = optimizer.param_groups[0]["lr"], time.monotonic() - start
        progress.epoch(phase, epoch, Epoch(losses / batches, rate, found, accuracy, seconds))
    network.load_state_dict(run.best_state)
    return run.best_accuracy


class _Run:
    """What changes from batch to batch, and can be kept and taken back."""

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer, augmenter: Augmenter) -> None:
        self.network, self.optimizer, self.augmenter = network, optimizer, augmenter
        self.imperfections: Imperfections | None = getattr(network, "imperfections", None)
        self.averages = [parameter.detach().clone() for parameter in network.parameters()]
        self.epoch = self.done = self.stale = 0  # epochs, batches, epochs since the best one
        self.best, self.best_accuracy, self.best_state = math.inf, 0.0, _copy(network)

    def judge(self, loss: float, accuracy: float) -> None:
        """Takes the network as it is for the best one, if its validation loss is the least."""
        self.stale += 1
        if loss < self.best:
            self.best, self.best_accuracy, self.best_state, self.stale = loss, accuracy, _copy(self.network), 0

    def next_epoch(self) -> None:
        self.epoch += 1
        if self.imperfections is not None:
            self.imperfections.next_epoch()

    def state_dict(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("epoch", "done", "stale", "best", "best_accuracy", "best_state")},
            "averages": self.averages,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "augmenter": self.augmenter.random.get_state(),
            "torch": torch.get_rng_state(),
            "imperfections": {} if self.imperfections is None else self.imperfections.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("epoch", "done", "stale", "best", "best_accuracy", "best_state"):
            setattr(self, name, state[name])
        for average, kept in zip(self.averages, state["averages"], strict=True):
            average.copy_(kept)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.augmenter.random.set_state(state["augmenter"])
        torch.set_rng_state(state["torch"])
        if self.imperfections is not None:
            self.imperfections.load_state_dict(state["imperfections"])


def _finite(value: float, text: str, phase: Phase, epoch: int, number: int) -> None:
    if not math.isfinite(value):
        raise Diverged(
            f"{phase.name} epoch {epoch + 1}, batch {number + 1}: {text}; no number to go on with: "
            f"lower {phase.name}.learning_rate, now {phase.learning_rate:g}"
        )


def _learning_rate(phase: Phase, done: int, total: int) -> float:
    return phase.learning_rate * min(1.0, (done + 1) / phase.warm_up) * 0.5 * (1.001 + math.cos(math.pi * done / total))


def _class_weights(corpus: Corpus) -> Tensor:
    """1 for every class but ``_unknown_``: that has many times a word's clips, but is met as often as one word."""
    counts = np.bincount(corpus.training_labels, minlength=len(corpus.classes))
    unknown = corpus.classes.index(UNKNOWN)
    words = [count for label, count in enumerate(counts) if label > unknown]
    weights = torch.ones(len(corpus.classes))
    weights[unknown] = min(1.0, 1.3 * float(np.mean(words)) / max(1, int(counts[unknown])))
    return weights


def _divergence(logits: Tensor, inputs: Tensor, teacher: nn.Module) -> Tensor:
    """Kullback-Leibler divergence from the teacher's softened answers, times the square of the temperature."""
    with torch.no_grad():
        goal = nn.functional.log_softmax(teacher(inputs) / _TEMPERATURE, dim=1)
    found = nn.functional.log_softmax(logits / _TEMPERATURE, dim=1)
    return nn.functional.kl_div(found, goal, reduction="batchmean", log_target=True) * _TEMPERATURE**2


@torch.no_grad()
def _validate(network: nn.Module, prepare: Callable, validation: Validation, classes: int) -> tuple[float, float]:
    """(loss, accuracy), every class counting alike."""
    network.eval()
    imperfections = getattr(network, "imperfections", None)
    if imperfections is not None:
        imperfections.restart()
    logits = torch.cat([network(prepare(block)) for block in validation.inputs.split(512)])
    share = torch.bincount(validation.labels, minlength=classes).clamp(min=1).reciprocal()
    loss = nn.functional.cross_entropy(logits, validation.labels, weight=share.to(logits.dtype))
    return loss.item(), balanced_accuracy(logits.argmax(1), validation.labels, classes)


@torch.no_grad()
def _swap(network: nn.Module, averages: list[Tensor]) -> None:
    for average, parameter in zip(averages, network.parameters(), strict=True):
        held = parameter.clone()
        parameter.copy_(average)
        average.copy_(held)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
