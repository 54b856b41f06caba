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
    name: str,
    value: Any,
    low: int | None = None,
    high: int | None = None,
    error: type[Exception] = InvalidValue,
    low_name: str = "",
    high_name: str = "",
) -> int:
    """The int that ``value`` is; ``error``, with its name, for another type or if it is out of ``low`` to ``high``.

    ``low_name`` and ``high_name`` say what a bound is; messages show them behind it.
    """
    found = whole(value)
    ends = [
        f"{_shown(end)} ({meaning})" if meaning else _shown(end)
        for end, meaning in ((low, low_name), (high, high_name))
    ]
    allowed = "integers" if low is None else f"{ends[0]} and up" if high is None else f"{ends[0]} to {ends[1]}"
    if found is None and isinstance(value, numbers.Number) and low is not None:
        # 5.0 beside "allowed: 2 to 8" alone would contradict itself.
        raise error(f"{name} is {told(value)} ({type(value).__name__}); allowed: integers, {allowed}")
    if found is None or (low is not None and found < low) or (high is not None and found > high):
        raise error(f"{name} is {told(value) if found is None else found}; allowed: {allowed}")
    return found


def _shown(bound: int | None) -> str:
    """A bound as messages show it: ``2**63 - 1`` rather than its digits."""
    if bound is not None and bound > 1 << 32 and bound & (bound + 1) == 0:
        return f"2**{bound.bit_length()} - 1"
    return f"{bound}"


def number(
    name: str,
    value: Any,
    low: float,
    high: float,
    error: type[Exception] = InvalidValue,
    low_name: str = "",
    high_name: str = "",
) -> int | float:
    """The number that ``value`` is, of Python's own kinds; arguments and errors as those of :func:`integer`.

    An int stays one, since hashes of stored settings tell 1 and 1.0 apart. A NaN is refused.
    """
    found = whole(value) if whole(value) is not None else real(value)
    if found is None or not low <= found <= high:
        least, most = (
            f"{end:g} ({what})" if what else f"{end:g}" for end, what in ((low, low_name), (high, high_name))
        )
        raise error(f"{name} is {told(value)}; allowed: a number from {least} to {most}")
    return found


def told(value: Any) -> str:
    """A value of a wrong type as messages quote it: on one line, and not long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
