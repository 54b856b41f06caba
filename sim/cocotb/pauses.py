# SPDX-License-Identifier: Apache-2.0
"""Pauses of one side of a stream: endless sequences of bools, one per clock, from a seed."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from crossramp.golden.common.errors import InvalidValue


@dataclass(frozen=True)
class StreamPauses:
    """When each stream of a bench pauses; iterators of bool, one a clock, and None where it never does.

    Attributes
    ----------
    x : iterator or None
        Clocks without ``valid``.
    h, logit, answer : iterators or None
        Clocks without ``ready``.
    """

    x: Iterator[bool] | None = None
    h: Iterator[bool] | None = None
    logit: Iterator[bool] | None = None
    answer: Iterator[bool] | None = None
    initial: Iterator[bool] | None = None


NEVER = StreamPauses()


def no_pauses() -> Iterator[bool]:
    """Never pause."""
    return itertools.repeat(False)


def random_pauses(seed: int, probability: float = 0.3) -> Iterator[bool]:
    """Pause on each clock with ``probability`` (0 to below 1), independently."""
    _check(probability)
    rng = np.random.default_rng(seed)
    while True:
        yield from (rng.random(256) < probability).tolist()


def burst_pauses(seed: int, longest_run: int = 20, longest_pause: int = 200) -> Iterator[bool]:
    """Runs and pauses that alternate, each as long as drawn: 1 to ``longest_run`` clocks, 1 to ``longest_pause``."""
    rng = np.random.default_rng(seed)
    for pausing in itertools.cycle((False, True)):
        length = int(rng.integers(1, (longest_pause if pausing else longest_run) + 1))
        yield from itertools.repeat(pausing, length)


def _check(probability: float):
    if not 0 <= probability < 1:
        raise InvalidValue(f"probability is {probability}; allowed: 0 to below 1")
