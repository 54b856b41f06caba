# SPDX-License-Identifier: Apache-2.0
"""Faulty comparators: stuck, late, chattering, or with any trace given explicitly."""

from collections.abc import Callable, Iterable

import numpy as np
from crossramp.golden.common.errors import InvalidValue


class Fault:
    """Changes what comparators show. Override :meth:`tick`; :meth:`start` is called as each ramp is reset.

    Both may be called several times before the first tick, since ``ramp_reset`` may last.
    """

    def start(self, state: bool):
        """A ramp begins; ``state``: of the second conversion."""

    def tick(self, number: int, comparators: np.ndarray) -> np.ndarray:
        """What is shown on tick ``number`` (1 ..) where the array should show ``comparators`` (bool, (columns,))."""
        return comparators


class Stuck(Fault):
    """Comparators of the columns ``high`` always high, of ``low`` always low."""

    def __init__(self, high: Iterable[int] = (), low: Iterable[int] = ()):
        self.high, self.low = list(high), list(low)

    def tick(self, number, comparators):
        comparators[self.high] = True
        comparators[self.low] = False
        return comparators


class Late(Fault):
    """Comparators of ``columns`` show what they should have shown ``ticks`` ticks ago; before that, high."""

    def __init__(self, columns: Iterable[int], ticks: int = 1):
        if ticks < 1:
            raise InvalidValue(f"ticks is {ticks}; a late comparator is at least 1 tick late")
        self.columns, self.ticks = list(columns), ticks
        self._past: list[np.ndarray] = []

    def start(self, state):
        self._past = []

    def tick(self, number, comparators):
        self._past.append(comparators[self.columns].copy())
        before = number - 1 - self.ticks
        comparators[self.columns] = self._past[before] if before >= 0 else True
        return comparators


class Chatter(Fault):
    """Comparators flip, at random, on ticks near or far from their trip: each bit with the given probability."""

    def __init__(self, seed: int, probability: float = 0.1):
        self._rng, self.probability = np.random.default_rng(seed), probability

    def tick(self, number, comparators):
        return comparators ^ (self._rng.random(len(comparators)) < self.probability)


class Explicit(Fault):
    """Comparators show ``traces[k]`` in conversion k, regardless of the MACs; afterwards they work correctly.

    Parameters
    ----------
    traces : bool array, shape (conversions, ticks, columns)
    """

    def __init__(self, traces: np.ndarray):
        self.traces = np.asarray(traces, bool)
        if self.traces.ndim != 3:
            raise InvalidValue(f"traces has the shape {self.traces.shape}; expected (conversions, ticks, columns)")
        self._conversion, self._ticked = 0, False

    def start(self, state):
        if self._ticked:
            self._conversion, self._ticked = self._conversion + 1, False

    def tick(self, number, comparators):
        self._ticked = True
        if self._conversion < len(self.traces) and number <= self.traces.shape[1]:
            return self.traces[self._conversion, number - 1]
        return comparators


class Custom(Fault):
    """``change(number, comparators) -> comparators`` on every tick."""

    def __init__(self, change: Callable[[int, np.ndarray], np.ndarray]):
        self._change = change

    def tick(self, number, comparators):
        return self._change(number, comparators)
