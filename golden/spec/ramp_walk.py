# SPDX-License-Identifier: Apache-2.0
"""What a ramp counts: the code of every tick, and the output of the activation that each tick stands for.

Of a non-decreasing activation tick k has the code k, and 2**bits - 1 ticks divide the output range into 2**bits parts.

Of a curve that turns a code is a level around 0, and the ticks walk along the curve: from 0, where a column that no
tick has touched stays, level by level down and up again, or up and down. Level s is the value s · unit, where unit is
R / 2**(bits - 1) for the range [-R, R] and R / 2**bits for [0, R]. A tick lies half-way between two levels, so a value
is rounded to its level. Levels below 0 have two's complement codes: modulo 2**bits neighbors on the walk differ by one,
and the Gray codes of such neighbors differ in one bit, those of 0 and -1 included.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..common.errors import InvalidValue
from .activations import Activation


class RampWalk(NamedTuple):
    """The ticks of one ramp.

    Parameters
    ----------
    codes : tuple of int
        The code after each number of ticks, from no tick (0) to all of them; ``ticks`` + 1 entries.
    borders : tuple of float
        Output of the activation at each tick.
    branches : tuple of int
        The branch of the curve that each tick lies on; all 0 where it does not turn.
    """

    codes: tuple[int, ...]
    borders: tuple[float, ...]
    branches: tuple[int, ...]

    @property
    def ticks(self) -> int:
        """How many."""
        return len(self.borders)


#: Fewest ticks of a ramp: a step, beside the one that brings it to its first threshold.
FEWEST_TICKS = 2


@lru_cache(maxsize=256)
def ramp_walk(activation: Activation, bits: int) -> RampWalk:
    """The ticks of a ramp of ``bits`` bits.

    Raises
    ------
    InvalidValue
        For a curve that takes fewer than two ticks with so few levels.
    """
    low, high = activation.low, activation.high
    if not activation.turns:
        parts = 1 << bits
        borders = low + (high - low) * np.arange(1, parts) / parts
        return RampWalk(tuple(range(parts)), tuple(borders.tolist()), (0,) * (parts - 1))
    unit = level_unit(activation, bits)
    least, most = level_range(activation, bits)
    ends = [float(activation.function(np.float64(x))) for x in (*activation.turns, np.inf)]
    levels, borders, branches = [0], [], []
    for branch, end in enumerate(ends):
        # The last level whose half-way point lies before the end of the branch.
        size = math.ceil(min(abs(end) / unit, most + 1) - 0.5)
        last = min(max(int(math.copysign(size, end)), least), most)
        step = 1 if last > levels[-1] else -1
        for level in range(levels[-1], last, step):
            levels.append(level + step)
            borders.append((level + step / 2) * unit)
            branches.append(branch)
    if len(borders) < FEWEST_TICKS:
        raise InvalidValue(
            f"activation {activation.text} takes {len(borders)} tick with levels of {bits} bits; a ramp has "
            f"{FEWEST_TICKS} or more: give it more bits, or a smaller range"
        )
    return RampWalk(tuple(level % (1 << bits) for level in levels), tuple(borders), tuple(branches))


def level_unit(activation: Activation, bits: int) -> float:
    """Of a curve that turns: the value of level 1."""
    return activation.high / (1 << (bits - (activation.low < 0)))


def level_range(activation: Activation, bits: int) -> tuple[int, int]:
    """Of a curve that turns: the least and the largest level that ``bits`` bits code."""
    if activation.low < 0:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def walk_arguments(activation: Activation, bits: int) -> np.ndarray:
    """The real pre-activation of each tick of an ideal ramp; float64, shape (ticks,), not always finite."""
    walk = ramp_walk(activation, bits)
    borders = np.array(walk.borders)
    with np.errstate(all="ignore"):  # what is not finite is refused, with its own words
        if not activation.turns:
            return np.asarray(activation.inverse(borders), float)
        branches, found = np.array(walk.branches), np.empty(len(borders))
        for branch in range(len(activation.turns) + 1):
            found[branches == branch] = activation.inverse(borders[branches == branch], branch)
        return found
