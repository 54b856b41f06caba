# SPDX-License-Identifier: Apache-2.0
"""Exact arithmetic of a cell update: values with units that are powers of two, and the intervals that they lie in."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..common.errors import InvalidValue
from .expression import Expression, Name, Number, Product, blended


@dataclass(frozen=True)
class Exact:
    """``value`` · 2**-``shift``, exactly; the value is an integer: of Python, of numpy, or a wire of the gateware."""

    value: Any
    shift: int

    def at(self, shift: int) -> Any:
        """The integer in the finer unit 2**-shift."""
        return self.value << (shift - self.shift)


def evaluate(
    expression: Expression, leaf: Callable[[str], Exact], product: Callable[[Product], Exact] | None = None
) -> Exact:
    """The exact value of an expression: sums in the finer unit of both sides, products in the product of their units.

    Parameters
    ----------
    leaf : callable
        From a name to its value.
    product : callable or None
        From a product of the expression to its value, where something else multiplies; None: multiply.
    """
    if isinstance(expression, Name):
        return leaf(expression.name)
    if isinstance(expression, Number):
        return Exact(expression.value, 0)
    if isinstance(expression, Product) and product is not None:
        return product(expression)
    left, right = evaluate(expression.left, leaf, product), evaluate(expression.right, leaf, product)
    if isinstance(expression, Product):
        return Exact(left.value * right.value, left.shift + right.shift)
    finer = max(left.shift, right.shift)
    if expression.negative:
        return Exact(left.at(finer) - right.at(finer), finer)
    return Exact(left.at(finer) + right.at(finer), finer)


@dataclass(frozen=True)
class Interval:
    """Where an exact value lies: ``low`` to ``high``, integers in units of ``span`` · 2**-``shift``.

    ``span`` is 1, but for codes that decode to another range than [0, 1] or [-1, 1].
    """

    low: int
    high: int
    shift: int
    span: Fraction = Fraction(1)

    @property
    def magnitude(self) -> int:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))

    def at(self, shift: int) -> "Interval":
        """The same in a finer unit."""
        return Interval(self.low << (shift - self.shift), self.high << (shift - self.shift), shift, self.span)


def interval(expression: Expression, leaf: Callable[[str], Interval]) -> Interval:
    """The interval of an expression, from those of its names; that of a blend lies between both ends.

    Raises
    ------
    InvalidValue
        For a sum of codes that decode to different ranges.
    """
    if isinstance(expression, Name):
        return leaf(expression.name)
    if isinstance(expression, Number):
        return Interval(expression.value, expression.value, 0)
    if parts := blended(expression):
        start, weight, end = (interval(part, leaf) for part in parts)
        if start.span == end.span and weight.span == 1 and weight.low >= 0 and weight.high <= 1 << weight.shift:
            finer = max(start.shift, end.shift) + weight.shift
            start, end = start.at(finer), end.at(finer)
            return Interval(min(start.low, end.low), max(start.high, end.high), finer, start.span)
    left, right = interval(expression.left, leaf), interval(expression.right, leaf)
    if isinstance(expression, Product):
        corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
        return Interval(min(corners), max(corners), left.shift + right.shift, left.span * right.span)
    if left.span != right.span:
        raise InvalidValue(f"values of the ranges ±{left.span} and ±{right.span} are added; only one range can be")
    finer = max(left.shift, right.shift)
    left, right = left.at(finer), right.at(finer)
    if expression.negative:
        right = Interval(-right.high, -right.low, finer, right.span)
    return Interval(left.low + right.low, left.high + right.high, finer, left.span)


def largest(expression: Expression, leaf: Callable[[str], Interval]) -> Interval:
    """An interval around 0 with every value that occurs on the way: that of a blend is not narrowed."""
    if isinstance(expression, Name):
        found = leaf(expression.name)
        return Interval(-found.magnitude, found.magnitude, found.shift)
    if isinstance(expression, Number):
        return Interval(-expression.value, expression.value, 0)
    left, right = largest(expression.left, leaf), largest(expression.right, leaf)
    if isinstance(expression, Product):
        both = left.high * right.high
        return Interval(-both, both, left.shift + right.shift)
    finer = max(left.shift, right.shift)
    both = left.at(finer).high + right.at(finer).high
    return Interval(-both, both, finer)
