# SPDX-License-Identifier: Apache-2.0
"""Results compared with labels: accuracy, recalls, confusion; the error of numbers; bits per character of a text."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from crossramp.golden.inputs.text_codes import bits_per_character


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
    InvalidValue
        If labels or answers are empty, their numbers differ, or a label is not a class.
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

        An answer that is not a class, which only broken hardware gives, is not in any column.
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
        """Share of each class's recordings that are answered right; float64, nan for classes without recordings."""
        counts = np.bincount(self.labels, minlength=self.classes)
        with np.errstate(invalid="ignore"):
            return np.diag(self.confusion) / counts


#: Sets of recordings that are drawn for an interval, and what of them lies within it.
_DRAWN, _INTERVAL = 2000, (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class NumberScore:
    """Outputs that are numbers, beside those that were measured.

    Parameters
    ----------
    outputs, labels : float64 arrays, shape (recordings, outputs)

    Raises
    ------
    ValueError
        For no recordings, different shapes, or a label that is not finite.
    """

    outputs: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        labels, outputs = np.asarray(self.labels), np.asarray(self.outputs)
        if labels.ndim != 2 or labels.size == 0 or outputs.shape != labels.shape:
            raise ValueError(f"outputs have the shape {outputs.shape}, labels {labels.shape}; expected one of each")
        if not np.isfinite(labels).all():
            raise ValueError("a label is not a finite number; leave its recording out")

    @property
    def total(self) -> int:
        """Recordings."""
        return len(self.labels)

    @property
    def rmse(self) -> float:
        """Root of the mean squared error, over all recordings and outputs."""
        return float(np.sqrt(np.square(self.outputs - self.labels).mean()))

    @property
    def value(self) -> float:
        """The RMSE, as every score has a value."""
        return self.rmse

    @property
    def r2(self) -> float | None:
        """Share of the labels' variance that is explained: 1 - Σ(error²) / Σ((label - mean of its output)²).

        None where all labels of each output are equal.
        """
        return _r2(self.outputs[None], self.labels[None])[0]

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of R² for other recordings: percentiles of 2000 sets drawn from these ones, always the same.

        None of fewer than three recordings, or if a drawn set of them has no R².
        """
        if self.total < 3:
            return None
        drawn = np.random.default_rng(0).integers(0, self.total, (_DRAWN, self.total))
        found = [value for part in np.array_split(drawn, 20) for value in _r2(self.outputs[part], self.labels[part])]
        if None in found:
            return None
        low, high = np.percentile(found, _INTERVAL)
        return float(low), float(high)


def _r2(outputs: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """R² of each of several sets, shapes (sets, recordings, outputs)."""
    errors = np.square(outputs - labels).sum(axis=(1, 2))
    spread = np.square(labels - labels.mean(axis=1, keepdims=True)).sum(axis=(1, 2))
    return [float(1 - e / s) if s > 0 else None for e, s in zip(errors, spread, strict=True)]


@dataclass(frozen=True)
class TextScore:
    """How well characters were foretold.

    Attributes
    ----------
    bits : float
        Per character: the mean of -log2 of the probability that it was given.
    correct, total : int
        Characters that were held for the likeliest, and all that count.
    """

    bits: float
    correct: int
    total: int

    @classmethod
    def of(cls, logits: np.ndarray, targets: np.ndarray, logit_scale: float) -> "TextScore":
        """The score of logits, shape (utterances, steps, characters).

        Parameters
        ----------
        targets : int64 array, shape (utterances, steps)
            Places in the vocabulary of what came; -1 where it does not count.
        logit_scale : float
            See :class:`~crossramp.golden.inputs.text_codes.TextSettings`.

        Raises
        ------
        ValueError
            For shapes that do not fit, or nothing that counts.
        """
        logits, targets = np.asarray(logits), np.asarray(targets)
        if logits.shape[:-1] != targets.shape or not (targets >= 0).any():
            raise ValueError(
                f"logits have the shape {logits.shape}, of {targets.shape} targets {int((targets >= 0).sum())} count; "
                "expected a target of each step, and 1 or more that count"
            )
        counted = targets >= 0
        logits, targets = logits[counted], targets[counted]
        bits = bits_per_character(logits, targets, logit_scale)
        return cls(bits, int((logits.argmax(axis=1) == targets).sum()), len(targets))

    @property
    def value(self) -> float:
        """The bits per character, as every score has a value."""
        return self.bits

    def __add__(self, other: "TextScore") -> "TextScore":
        """Of both texts together."""
        total = self.total + other.total
        bits = (self.bits * self.total + other.bits * other.total) / total
        return TextScore(bits, self.correct + other.correct, total)
