# SPDX-License-Identifier: Apache-2.0
"""The expressions of a cell update: sums, differences and products of names and whole numbers.

An expression is parsed once; :mod:`.exact` evaluates it over integers of numpy or wires of the gateware.
"""

import ast
from dataclasses import dataclass

from ..common.errors import InvalidValue


@dataclass(frozen=True)
class Name:
    """A code, or a stored value."""

    name: str


@dataclass(frozen=True)
class Number:
    """A whole number."""

    value: int


@dataclass(frozen=True)
class Sum:
    """``left`` + ``right``, or ``left`` - ``right``."""

    left: "Expression"
    right: "Expression"
    negative: bool = False


@dataclass(frozen=True)
class Product:
    """``left`` · ``right``."""

    left: "Expression"
    right: "Expression"


Expression = Name | Number | Sum | Product


def parse(text: str) -> Expression:
    """The expression that ``text`` writes in Python's notation.

    Raises
    ------
    InvalidValue
        For anything but names, whole numbers, +, -, * and parentheses.
    """
    try:
        return _converted(ast.parse(text, mode="eval").body)
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
        _NotAllowed,
    ):  # of a text that is no expression at all
        raise InvalidValue(f"{text!r} is not an expression of names, whole numbers, +, - and *") from None


class _NotAllowed(Exception):
    pass


def _converted(node: ast.expr) -> Expression:
    if isinstance(node, ast.Name):
        return Name(node.id)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Number(node.value)
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Add | ast.Sub):
            return Sum(_converted(node.left), _converted(node.right), isinstance(node.op, ast.Sub))
        if isinstance(node.op, ast.Mult):
            return Product(_converted(node.left), _converted(node.right))
    raise _NotAllowed


def names(expression: Expression) -> list[str]:
    """The names of an expression, each once, in the order in which they stand."""
    if isinstance(expression, Name):
        return [expression.name]
    if isinstance(expression, Number):
        return []
    return list(dict.fromkeys(names(expression.left) + names(expression.right)))


def products(expression: Expression) -> list[Product]:
    """The products that an expression adds up, from left to right; those within a factor of another are part of it."""
    if isinstance(expression, Name | Number):
        return []
    if isinstance(expression, Product):
        return [expression]
    return products(expression.left) + products(expression.right)


def blended(expression: Expression) -> tuple[Expression, Expression, Expression] | None:
    """(start, weight, end) of ``start + weight * (end - start)``; None for an expression of another form."""
    match expression:
        case Sum(start, Product(weight, Sum(end, again, True)), False) if start == again:
            return start, weight, end
    return None
