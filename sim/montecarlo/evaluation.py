# SPDX-License-Identifier: Apache-2.0
"""How good a network is: answers against labels, on an ideal array and over sampled chips.

Golden models alone compute here, by their fast paths; imports golden and :mod:`.montecarlo`.
"""

import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.placed_chip import check_chips
from crossramp.golden.analog.conversion.calibration_setting import CalibrationSetting
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network

from .execute import run_local
from .plan import Point
from .problem import Problem
from .scores import Score, TextScore
from .summary import Spread
from .tasks import run_task

#: Conversions of a task: about a second's, so that progress shows and no process waits long for the last one.
_CONVERSIONS = 10_000_000
_BLOCK = 256  # utterances of a text, whose h is held at once


def evaluate_speech(network: Network | LayeredNetwork, codes: np.ndarray, labels: np.ndarray) -> Score:
    """The golden network with an ideal array.

    Parameters
    ----------
    codes : integer array, shape (recordings, steps, inputs)
        Pulse codes.
    labels : int64 array, shape (recordings,)
        Class indices.

    Raises
    ------
    InvalidValue
        What :class:`~.scores.Score` and :meth:`~crossramp.golden.network.network.Network.answers` raise.
    """
    labels = np.asarray(labels, np.int64)
    Score(labels, labels, network.spec.classes)  # before minutes are spent
    return Score(network.answers(codes), labels, network.spec.classes)


def evaluate_text(
    network: Network | LayeredNetwork, codes: np.ndarray, targets: np.ndarray, logit_scale: float
) -> TextScore:
    """The golden network with an ideal array, on a text that is cut into utterances.

    Parameters
    ----------
    codes : integer array, shape (utterances, steps, inputs)
        Pulse codes of the characters read.
    targets, logit_scale
        See :meth:`~.scores.TextScore.of`: what comes after each of them.

    Raises
    ------
    InvalidValue
        For a network whose readout is not ``"step"``, and what that raises.
    """
    _check_targets(network, codes, targets)
    scores = []
    for start in range(0, len(codes), _BLOCK):
        block = slice(start, start + _BLOCK)
        if (targets[block] >= 0).any():
            logits = network.head.logits(network.hidden(codes[block]), 1)
            scores.append(TextScore.of(logits, targets[block], logit_scale))
    return sum(scores[1:], scores[0])


def _check_targets(network: Network | LayeredNetwork, codes: np.ndarray, targets: np.ndarray) -> None:
    if network.spec.readout != "step":
        raise InvalidValue(
            f"the readout is {network.spec.readout!r}; a text needs 'step': logits after every character"
        )
    codes, targets = np.asarray(codes), np.asarray(targets)
    if codes.ndim != 3 or targets.shape != codes.shape[:2] or not (targets >= 0).any():
        raise InvalidValue(
            f"codes have the shape {codes.shape}, targets {targets.shape}, of which {int((targets >= 0).sum())} count; "
            "expected a target of each step, and 1 or more that count"
        )
    if targets.max() >= network.spec.classes:
        raise InvalidValue(f"targets reach to {targets.max()}; characters: 0 to {network.spec.classes - 1}")


@dataclass(frozen=True)
class Instances:
    """One metric of device instances that share everything but their seeds.

    Attributes
    ----------
    metric : str
        ``"accuracy"``, or ``"bits"`` per character.
    calibration : CalibrationSetting
    seeds : tuple of int
    values : tuple of float
        Of each seed.
    """

    metric: str
    calibration: CalibrationSetting
    seeds: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        """Mean, standard deviation (of the sample), percentiles, worst."""
        return Spread.of(self.metric, self.values)

    @property
    def worst(self) -> tuple[int, float]:
        """(seed, value) of the worst chip, the first of equals."""
        return self._extreme(min if self.metric == "accuracy" else max)

    @property
    def best(self) -> tuple[int, float]:
        """(seed, value) of the best chip, the first of equals."""
        return self._extreme(max if self.metric == "accuracy" else min)

    def _extreme(self, choose) -> tuple[int, float]:
        value = choose(self.values)
        return self.seeds[self.values.index(value)], value


def evaluate_chips(
    network: Network | LayeredNetwork,
    codes: np.ndarray,
    labels: np.ndarray,
    chips: ChipSample,
    *,
    logit_scale: float | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Instances]:
    """Accuracies of sampled chips, one :class:`Instances` per calibration; the same chips under each.

    Every chip converts all recordings, one after the other, with its own read noise.

    Parameters
    ----------
    codes, labels
        As :func:`evaluate_speech` takes them; with ``logit_scale`` as :func:`evaluate_text` takes codes and targets.
    chips : ChipSample
    logit_scale : float or None
        Of a model of texts: the metric is then ``"bits"`` per character.
    jobs : int
        Number of processes; 1 uses this process alone. More need a ``__main__`` that multiprocessing may import.
    progress : callable
        Called with the chips done and their total, over all calibrations.

    Raises
    ------
    InvalidValue
        For an unknown calibration, cells that do not fit the network, or what :func:`evaluate_speech` or
        :func:`evaluate_text` raises.
    """
    for setting in chips.calibrations:
        check_chips(network.spec, chips, setting)
    labels = np.asarray(labels, np.int64)
    if logit_scale is None:
        metric = "accuracy"
        Score(labels, labels, network.spec.classes)
    else:
        metric = "bits"
        _check_targets(network, codes, labels)
    points = tuple(
        Point(chips.technology, None, setting, chips.switches, {"calibration": str(setting)})
        for setting in chips.calibrations
    )
    data = network.weights, np.asarray(codes), labels
    rest = {"points": points, "metrics": (metric,), "seed": chips.first_seed, "logit_scale": logit_scale}
    if chips.conductances is not None:
        chips.conductances.check(network.spec, chips.technology)  # before processes are started
        rest["given"] = (chips.conductances,) * len(points)
    problem = Problem(network.spec, *data, **rest)
    rows = _rows(problem, chips.count, jobs, progress)
    found = []
    for place, setting in enumerate(chips.calibrations):
        mine = sorted((row["seed"], row[metric]) for row in rows if row["point"] == place)
        found.append(Instances(metric, setting, *(tuple(part) for part in zip(*mine, strict=True))))
    return found


def _rows(problem: Problem, chips: int, jobs: int, progress: Callable[[int, int], None]) -> list[dict]:
    """Rows of every chip at every point, in any order."""
    total = chips * len(problem.points)
    size = max(1, min(_CONVERSIONS // max(problem.conversions, 1), -(-chips // jobs)))
    tasks = [
        {"point": point, "first": first, "count": min(size, chips - first)}
        for first in range(0, chips, size)
        for point in range(len(problem.points))
    ]
    rows: list[dict] = []
    progress(0, total)
    if jobs == 1:
        for task in tasks:
            rows += run_task(problem, task)
            progress(len(rows), total)
        return rows
    with tempfile.TemporaryDirectory(prefix="crossramp-") as folder:
        file = Path(folder) / "problem.npz"
        file.write_bytes(problem.to_bytes())
        with closing(run_local(file, tasks, jobs)) as done:
            for _, found in done:
                rows += found
                progress(len(rows), total)
    return rows
