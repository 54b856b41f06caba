# SPDX-License-Identifier: Apache-2.0
"""Numbers that constructors are given: any integral or real one is accepted, and kept as Python's own."""

import numbers
import operator
from typing import Any

from .errors import InvalidValue


def whole(value: Any) -> int | None:
    """An integral number, numpy's included, as an int; None for anything else, such as floats and bools."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def real(value: Any) -> float | None:
    """A real number, numpy's scalars included, as a float (a NaN too); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return float("inf") if value > 0 else float("-inf")


def integer(
    name: str, value: Any, low: int | None = None, high: int | None = None, error: type[Exception] = InvalidValue
) -> int:
    """The int that ``value`` is; ``error``, with its name, for another type or if it is out of ``low`` to ``high``."""
    found = whole(value)
    allowed = "integers" if low is None else f"{low} and up" if high is None else f"{low} to {high}"
    if found is None and isinstance(value, numbers.Number) and low is not None:
        # 5.0 beside "allowed: 2 to 8" alone would contradict itself.
        raise error(f"{name} is {told(value)} ({type(value).__name__}); allowed: integers, {allowed}")
    if found is None or (low is not None and found < low) or (high is not None and found > high):
        raise error(f"{name} is {told(value) if found is None else found}; allowed: {allowed}")
    return found


def told(value: Any) -> str:
    """A value of a wrong type as messages quote it: on one line, and not long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
