# SPDX-License-Identifier: Apache-2.0
"""The optimization loop that all tasks and both phases share.

It has AdamW, warm-up and cosine decay, averaged weights, the best epoch by validation, and a state that can be kept.
The task decides what is learned from, and how it is judged.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from crossramp.golden.common.errors import CrossrampError, ExitStatus
from torch import Tensor, nn

from ..quantized.imperfections import Imperfections
from ..recipes.setting_cautions import outcome_cautions, phase_cautions, warm_up_batches, warn
from ..recipes.settings import Phase

__all__ = ["Diverged", "Epoch", "Metric", "Phase", "Progress", "Task", "divergence", "fit"]

_TEMPERATURE = 2.0  # of the teacher's answers


@dataclass(frozen=True)
class Metric:
    """The figure that validation gives beside the loss: its name, and how people read it."""

    name: str
    scale: float
    unit: str
    digits: int

    def text(self, value: float) -> str:
        """``value`` with its unit."""
        return f"{self.scale * value:.{self.digits}f} {self.unit}"


@dataclass(frozen=True)
class Epoch:
    """How an epoch went: mean loss of its batches, last learning rate, and what validation said of the averages."""

    loss: float
    learning_rate: float
    validation_loss: float
    validation_metric: float
    seconds: float
    metric: Metric

    def scalars(self) -> dict[str, float]:
        """What a log keeps, by name."""
        return {
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "validation_loss": self.validation_loss,
            f"validation_{self.metric.name}": self.validation_metric,
        }

    def __str__(self) -> str:
        figure = self.metric.text(self.validation_metric)
        return f"loss {self.loss:.4f}, validation {figure}, {self.seconds:.1f} s"


class Progress(Protocol):
    """Receives the progress of training."""

    def batch(self, phase: Phase, epoch: int, done: int, total: int) -> None: ...

    def epoch(self, phase: Phase, epoch: int, measured: Epoch) -> None: ...


class Task(Protocol):
    """What is learned; one object may serve several phases."""

    metric: Metric

    def batches(self, phase: Phase) -> int:
        """Batches of an epoch."""

    def losses(self, network: nn.Module, phase: Phase, epoch: int, teacher: nn.Module | None) -> Iterator[Tensor]:
        """The loss of each batch of an epoch, computed when it is asked for: the network learns in between.

        Where ``phase.distillation`` is above 0, that share of it is :func:`divergence` from the teacher.
        """

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """(loss, metric) of the network as it is; called without gradients."""

    def guessing_loss(self) -> float:
        """The loss of :meth:`validate` for the best answers that do not depend on the input."""

    def cautions(self, phase: Phase) -> list[str]:
        """Settings that the amount of data defeats, one line each."""

    def state_dict(self) -> dict[str, Any]:
        """What the next epoch's batches depend on, but the epoch's number: tensors and numbers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what :meth:`state_dict` gave."""


class Diverged(CrossrampError, RuntimeError):
    """Loss or gradient is not a number any more; the network is as it was before that batch."""

    exit_status = ExitStatus.REFUSED


def divergence(logits: Tensor, taught: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence from a teacher's softened answers, times the square of the temperature.

    Both: logits, shape (answers, classes). Hinton et al., arXiv:1503.02531.
    """
    goal = nn.functional.log_softmax(taught / _TEMPERATURE, dim=1)
    found = nn.functional.log_softmax(logits / _TEMPERATURE, dim=1)
    return nn.functional.kl_div(found, goal, reduction="batchmean", log_target=True) * _TEMPERATURE**2


def fit(
    network: nn.Module,
    task: Task,
    phase: Phase,
    progress: Progress,
    teacher: nn.Module | None = None,
    saved: dict[str, Any] | None = None,
    keep: Callable[[dict[str, Any]], None] = lambda state: None,
) -> float:
    """Trains ``network`` in place and leaves it at its best epoch.

    Parameters
    ----------
    network : module with `limit_weights`
    task : Task
    phase : Phase
    progress : Progress
    teacher : module or None
        A trained network whose answers the network also learns from. Needed where ``phase.distillation`` is above 0.
    saved : dict or None
        What ``keep`` was given after an epoch: goes on from there as if nothing had happened.
    keep : callable
        Given, after every epoch, all that the next one depends on.

    Returns
    -------
    float
        The task's metric of the best epoch: that of the least validation loss, which tells epochs apart better than an
        accuracy does.

    Raises
    ------
    Diverged
        When the loss, its gradient or the validation loss is not finite.

    Warns
    -----
    ~.cautions.TrainingWarning
        For a warm-up that is shortened because it would take more than a fifth of the run, for other settings that
        have no effect in a run of this length, and for a run that learned nothing.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=phase.learning_rate, weight_decay=phase.weight_decay)
    batches = task.batches(phase)
    total = batches * phase.epochs
    warm_up = warm_up_batches(phase, total)
    warn([*phase_cautions(phase, batches), *task.cautions(phase)])
    run = _Run(network, optimizer, task)
    if saved is None:
        run.judge(*_validate(network, task))
    else:
        run.load_state_dict(saved)
    for epoch in range(run.epoch, phase.epochs):
        if phase.patience and run.stale >= phase.patience:
            break
        network.train()
        start, losses = time.monotonic(), 0.0
        for number, loss in enumerate(task.losses(network, phase, epoch, teacher)):
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(phase, warm_up, run.done, total)
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
        found, metric = _validate(network, task)
        _finite(found, f"validation loss {found:g}", phase, epoch, batches - 1)
        run.judge(found, metric)
        _swap(network, run.averages)
        run.next_epoch()
        keep(run.state_dict())
        rate, seconds = optimizer.param_groups[0]["lr"], time.monotonic() - start
        progress.epoch(phase, epoch, Epoch(losses / batches, rate, found, metric, seconds, task.metric))
    warn(outcome_cautions(phase, run.epoch, run.stale < run.epoch, run.best, task.guessing_loss()))
    network.load_state_dict(run.best_state)
    return run.best_metric


class _Run:
    """What changes from batch to batch, and can be kept and taken back."""

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer, task: Task) -> None:
        self.network, self.optimizer, self.task = network, optimizer, task
        self.imperfections = _imperfections(network)
        self.averages = [parameter.detach().clone() for parameter in network.parameters()]
        self.epoch = self.done = self.stale = 0  # epochs, batches, epochs since the best one
        self.best, self.best_metric, self.best_state = math.inf, 0.0, _copy(network)

    def judge(self, loss: float, metric: float) -> None:
        """Takes the network as it is for the best one, if its validation loss is the least."""
        self.stale += 1
        if loss < self.best:
            self.best, self.best_metric, self.best_state, self.stale = loss, metric, _copy(self.network), 0

    def next_epoch(self) -> None:
        self.epoch += 1
        for one in self.imperfections:
            one.next_epoch()

    def state_dict(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("epoch", "done", "stale", "best", "best_metric", "best_state")},
            "averages": self.averages,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "task": self.task.state_dict(),
            "torch": torch.get_rng_state(),
            "imperfections": [one.state_dict() for one in self.imperfections],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("epoch", "done", "stale", "best", "best_metric", "best_state"):
            setattr(self, name, state[name])
        for average, kept in zip(self.averages, state["averages"], strict=True):
            average.copy_(kept)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.task.load_state_dict(state["task"])
        torch.set_rng_state(state["torch"])
        for one, kept in zip(self.imperfections, state["imperfections"], strict=True):
            one.load_state_dict(kept)


def _finite(value: float, text: str, phase: Phase, epoch: int, number: int) -> None:
    if not math.isfinite(value):
        raise Diverged(
            f"{phase.name} epoch {epoch + 1}, batch {number + 1}: {text}; no number to go on with: "
            f"lower {phase.name}.learning_rate, now {phase.learning_rate:g}"
        )


def _learning_rate(phase: Phase, warm_up: int, done: int, total: int) -> float:
    return phase.learning_rate * min(1.0, (done + 1) / warm_up) * 0.5 * (1.001 + math.cos(math.pi * done / total))


def _imperfections(network: nn.Module) -> Sequence[Imperfections]:
    """Those of each macro; a float network has none."""
    return getattr(network, "imperfections", ())


@torch.no_grad()
def _validate(network: nn.Module, task: Task) -> tuple[float, float]:
    network.eval()
    for one in _imperfections(network):
        one.restart()
    return task.validate(network)


@torch.no_grad()
def _swap(network: nn.Module, averages: list[Tensor]) -> None:
    for average, parameter in zip(averages, network.parameters(), strict=True):
        held = parameter.clone()
        parameter.copy_(average)
        average.copy_(held)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
