# SPDX-License-Identifier: Apache-2.0
"""Axes of a tensor by what they run over, and how reshaping groups them, with sizes that need not be known."""

from collections.abc import Sequence
from dataclasses import dataclass

from crossramp.golden.common.errors import InvalidValue

#: Labels of axes: one of size 1, the directions, and the features of a direction. Others name axes of the input.
UNIT, DIRECTIONS, FEATURES = "unit", "directions", "features"

Group = tuple[str, ...]
"""What one axis of a tensor runs over: labels, the outermost first. More than one where axes were merged."""


@dataclass(frozen=True)
class Dim:
    """A size that is not known: ``factor`` times the sizes of the axes in ``labels``, which are sorted."""

    labels: Group
    factor: int = 1

    def __mul__(self, other: "Dim | int") -> "Dim":
        if isinstance(other, Dim):
            return Dim(tuple(sorted(self.labels + other.labels)), self.factor * other.factor)
        return Dim(self.labels, self.factor * int(other))

    __rmul__ = __mul__


def regrouped(labels: Sequence[str], sizes: Sequence[int | Dim], shape: Sequence[int | Dim]) -> tuple[Group, ...]:
    """The axes of a tensor of ``shape`` that has the elements of another one in their order.

    Parameters
    ----------
    labels, sizes : sequences
        Of the tensor before, its axes taken apart into single labels.
    shape : sequence
        One of its sizes may be -1: what is left.

    Raises
    ------
    InvalidValue
        If an axis would have to be cut apart, or a size has become a fixed number.
    """
    spare = sum(size == 1 for size in sizes) - sum(size == 1 for size in shape)
    kept = []
    for label, size in zip(labels, sizes, strict=True):
        if label == UNIT and spare > 0:
            spare -= 1
        else:
            kept.append((label, size))
    shape = list(shape)
    if shape.count(-1) > 1:
        raise InvalidValue("more than one size is -1")
    cut = shape.index(-1) if -1 in shape else len(shape)
    front, kept = _taken(kept, shape[:cut])
    back, kept = _taken(kept[::-1], shape[:cut:-1])
    rest = tuple(label for label, _ in reversed(kept))
    back = [group[::-1] for group in reversed(back)]
    if cut < len(shape):
        return (*front, without_units(rest), *back)
    if any(size != 1 for _, size in kept):
        raise InvalidValue("the sizes do not fit the tensor")
    return tuple(front)


def _taken(kept: list[tuple[str, int | Dim]], shape: Sequence[int | Dim]):
    """Groups of the sizes of ``shape``, taken from the front of ``kept``, and what is left of it."""
    groups, place = [], 0
    for wanted in shape:
        group, size = [], 1
        if wanted == 1 and place < len(kept) and kept[place][1] == 1:
            group.append(kept[place][0])
            place += 1
        while size != wanted:
            if place == len(kept) or (isinstance(size, int) and isinstance(wanted, int) and size > wanted):
                raise InvalidValue("an axis would be cut apart, or one of any size has become a fixed number")
            label, more = kept[place]
            group.append(label)
            size, place = size * more, place + 1
        groups.append(without_units(tuple(group)))
    return groups, kept[place:]


def without_units(group: Group) -> Group:
    """The same axis without labels of size 1, but for one if there is nothing else."""
    return tuple(label for label in group if label != UNIT) or (UNIT,)
