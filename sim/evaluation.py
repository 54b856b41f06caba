# SPDX-License-Identifier: Apache-2.0
"""How good a network is: answers against labels, on an ideal array and over device instances.

Golden models alone compute here, by their fast paths; imports golden and :mod:`.sweep`.
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from crossramp.golden.analog.calibration import calibrate
from crossramp.golden.analog.device import DeviceInstance
from crossramp.golden.analog.linearity import calibration_plan
from crossramp.golden.analog.sampling import ALL, device
from crossramp.golden.analog.technology import Technology
from crossramp.golden.network import Network

from .programming import calibration_port
from .sweep.execute import run_local
from .sweep.plan import CALIBRATIONS, Point
from .sweep.problem import Problem
from .sweep.summary import Spread
from .sweep.tasks import run_task

#: Conversions of a task: about a second's, so that progress shows and no process waits long for the last one.
_CONVERSIONS = 10_000_000
_INSTANCES_MOST = 1_000_000


def wilson(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval of an accuracy of which ``correct`` of ``total`` were seen; 95 % with the default ``z``.

    Wilson's score interval: J. Am. Stat. Assoc. 22 (1927) 209. Unlike the usual one it never leaves [0, 1].

    Raises
    ------
    ValueError
        For a total below 1, or a count beyond it.
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"{correct} of {total} are right; allowed: 0 to {total} of at least 1")
    share, weight = correct / total, z * z / total
    middle = (share + weight / 2) / (1 + weight)
    reach = z / (1 + weight) * math.sqrt(share * (1 - share) / total + weight / (4 * total))
    # At either end the bound is the end itself, which rounding may miss.
    return (0.0 if correct == 0 else middle - reach), (1.0 if correct == total else middle + reach)


@dataclass(frozen=True, eq=False)
class Score:
    """Answers beside labels.

    Parameters
    ----------
    answers, labels : int64 arrays, shape (recordings,)
        Class indices.
    classes : int

    Raises
    ------
    ValueError
        For no recordings at all, unequal numbers, or a label that is no class: nothing would be compared.
    """

    answers: np.ndarray
    labels: np.ndarray
    classes: int

    def __post_init__(self):
        labels, answers = np.asarray(self.labels), np.asarray(self.answers)
        if labels.ndim != 1 or labels.size == 0 or answers.shape != labels.shape:
            raise ValueError(
                f"answers have the shape {answers.shape}, labels {labels.shape}; expected one of each recording, of 1 "
                "or more"
            )
        if labels.min() < 0 or labels.max() >= self.classes:
            raise ValueError(f"labels reach from {labels.min()} to {labels.max()}; classes: 0 to {self.classes - 1}")

    @cached_property
    def confusion(self) -> np.ndarray:
        """Counts, int64, shape (classes, classes): row what was said, column what was answered.

        An answer that is no class, which only broken hardware gives, is in no column.
        """
        counts = np.zeros((self.classes, self.classes), np.int64)
        known = (self.answers >= 0) & (self.answers < self.classes)
        np.add.at(counts, (self.labels[known], self.answers[known]), 1)
        return counts

    @property
    def total(self) -> int:
        """Recordings."""
        return len(self.labels)

    @property
    def correct(self) -> int:
        """Those that are answered right."""
        return int((self.answers == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Share of the recordings that are answered right."""
        return self.correct / self.total

    @property
    def value(self) -> float:
        """The accuracy, as every score has a value."""
        return self.accuracy

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy, by :func:`wilson`; for another set of as many recordings, not for chips."""
        return wilson(self.correct, self.total)

    @property
    def recalls(self) -> np.ndarray:
        """Share of each class's recordings that are answered right; float64, nan where there are none."""
        counts = np.bincount(self.labels, minlength=self.classes)
        with np.errstate(invalid="ignore"):
            return np.diag(self.confusion) / counts


def evaluate_speech(network: Network, codes: np.ndarray, labels: np.ndarray) -> Score:
    """The golden network with an ideal array.

    Parameters
    ----------
    codes : integer array, shape (recordings, steps, inputs)
        Pulse codes.
    labels : int64 array, shape (recordings,)
        Class indices.

    Raises
    ------
    ValueError
        What :class:`Score` and :meth:`~crossramp.golden.network.Network.answers` raise.
    """
    labels = np.asarray(labels, np.int64)
    Score(labels, labels, network.spec.classes)  # before minutes are spent
    return Score(network.answers(codes), labels, network.spec.classes)


@dataclass(frozen=True)
class Instances:
    """One metric of device instances that share everything but their seeds.

    Attributes
    ----------
    metric : str
        Of :data:`.sweep.plan.METRICS`.
    calibration : str
    seeds : tuple of int
    values : tuple of float
        Of each seed.
    """

    metric: str
    calibration: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        """Mean, standard deviation (of the sample), percentiles, worst."""
        return Spread.of(self.metric, self.values)

    @property
    def worst(self) -> tuple[int, float]:
        """(seed, value) of the worst instance, the first of equals."""
        return self._extreme(min if self.metric == "accuracy" else max)

    @property
    def best(self) -> tuple[int, float]:
        """(seed, value) of the best instance, the first of equals."""
        return self._extreme(max if self.metric == "accuracy" else min)

    def _extreme(self, choose) -> tuple[int, float]:
        value = choose(self.values)
        return self.seeds[self.values.index(value)], value


def evaluate_instances(
    network: Network,
    codes: np.ndarray,
    labels: np.ndarray,
    technology: Technology,
    instances: int = 20,
    *,
    first_seed: int = 1,
    calibrations: Sequence[str] = CALIBRATIONS,
    switches: frozenset = ALL,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Instances]:
    """Accuracies of device instances, one :class:`Instances` a calibration; the same chips in each.

    Every instance hears all recordings, one after the other, with the noise that comes with them.

    Parameters
    ----------
    codes, labels
        As :func:`evaluate_speech` takes them.
    instances : int
        How many, with the seeds from ``first_seed`` on.
    calibrations : sequence of str
        Of ``"none"`` (ramps stand where their nominal bias cells put them) and ``"one-point"``.
    switches : frozenset of str
        The effects that are on.
    jobs : int
        Processes; 1: none but this one. More need a ``__main__`` that may be imported, as multiprocessing does.
    progress : callable
        Told the instances done and their total, over all calibrations.

    Raises
    ------
    ValueError
        For a number out of range, an unknown calibration, or what :class:`Score` raises.
    """
    if not 1 <= instances <= _INSTANCES_MOST:
        raise ValueError(f"instances is {instances}; allowed: 1 to {_INSTANCES_MOST}")
    if not 0 <= first_seed < (1 << 63) - instances:
        raise ValueError(f"first_seed is {first_seed}; allowed: 0 to 2**63 - 1 - instances")
    for name in calibrations:
        check_calibration(network, name)
    labels = np.asarray(labels, np.int64)
    Score(labels, labels, network.spec.classes)
    points = tuple(Point(technology, None, name, frozenset(switches), {"calibration": name}) for name in calibrations)
    arrays = (network.weights, network.head_weights, network.head_biases, np.asarray(codes), labels)
    problem = Problem(network.spec, *arrays, points=points, metrics=("accuracy",), seed=first_seed)
    rows = _rows(problem, instances, jobs, progress)
    found = []
    for place, name in enumerate(calibrations):
        mine = sorted((row["seed"], row["accuracy"]) for row in rows if row["point"] == place)
        found.append(Instances("accuracy", name, *(tuple(part) for part in zip(*mine, strict=True))))
    return found


def _rows(problem: Problem, instances: int, jobs: int, progress: Callable[[int, int], None]) -> list[dict]:
    """Rows of every instance at every point, in whatever order."""
    total = instances * len(problem.points)
    size = max(1, min(_CONVERSIONS // max(problem.conversions, 1), -(-instances // jobs)))
    tasks = [
        {"point": point, "first": first, "count": min(size, instances - first)}
        for first in range(0, instances, size)
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


def check_calibration(network: Network, calibration: str) -> None:
    """ValueError for a calibration that is unknown, or that the network's ramps have no cells for."""
    if calibration not in CALIBRATIONS:
        raise ValueError(f"calibration is {calibration!r}; allowed: {', '.join(CALIBRATIONS)}")
    if calibration != "none" and network.spec.calibration_cells == 0:
        raise ValueError(f"calibration is {calibration!r}, but the ramps have no calibration cells; take 'none'")


@dataclass(frozen=True, eq=False)
class Chip:
    """One of the instances that :func:`evaluate_instances` counts, for the hardware to be simulated with.

    Attributes
    ----------
    instance : DeviceInstance
    port : int
        The calibration port, see :func:`.programming.calibration_port`.
    failed : tuple of str
        Activations of the ramps that the calibration found beyond the reach of their cells.
    """

    instance: DeviceInstance
    port: int
    failed: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, network: Network, technology: Technology, seed: int, calibration: str = "none", switches: frozenset = ALL
    ) -> "Chip":
        """The chip with a seed, calibrated or not; ValueError as :func:`check_calibration` raises."""
        check_calibration(network, calibration)
        spec = network.spec
        instance = device(technology, spec, network.weights, seed, switches=switches)
        if calibration == "none":
            return cls(instance, calibration_port(spec, None, instance))
        result = calibrate(instance, calibration_plan(technology, spec, network.weights))
        failed = tuple(act.text for act, bad in zip(spec.ramps, result.failed, strict=True) if bad)
        return cls(instance, sum(1 << int(k) for k in np.flatnonzero(result.cells.ravel())), failed)
