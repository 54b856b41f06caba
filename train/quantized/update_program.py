# SPDX-License-Identifier: Apache-2.0
"""The update of any cell in torch: its expressions forward in exact integers, and backward by the product rule.

A number in a tensor stands for itself times a power of two, its *unit*, that is known beforehand:
of a code 1, of the register 2**-state_frac_bits. So sums need no scaling where units agree, and products none at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from crossramp.golden.cell.description import Store
from crossramp.golden.cell.exact import interval
from crossramp.golden.cell.expression import Expression, Name, Number, Product
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.update_formats import leaf_interval, store_rule
from torch import Tensor

__all__ = ["BEFORE", "Gradients", "StoreProgram", "significant_bits", "store_programs"]

BEFORE = "before"
"""The key of the register's value before its store; its name is the key of the value after."""

_HALF = torch.tensor(0.5)


def round_half_away(value: Tensor) -> Tensor:
    """``value`` to nearest, halves away from zero."""
    return torch.copysign(_HALF, value).add_(value).trunc_()


def significant_bits(spec: Specification) -> int:
    """The most significant bits that any number of the cell's updates has, with those that rounding needs."""

    def most(expression: Expression) -> int:
        found = interval(expression, lambda name: leaf_interval(spec, name)).magnitude.bit_length()
        if isinstance(expression, Name | Number):
            return found
        return max(found, most(expression.left), most(expression.right))

    bits = 0
    for store in (store for stores in spec.layout.stores for store in stores):
        exact = interval(store.expression, lambda name: leaf_interval(spec, name))
        scaled = exact.magnitude * store_rule(spec, store).multiplier
        bits = max(bits, most(store.expression) + 1, scaled.bit_length() + 2)
    return bits


@dataclass
class Gradients:
    """What one step of backpropagation has gathered so far.

    Attributes
    ----------
    codes : dict
        By the name of a code, where its gradient is written: a tensor, shape (batch, units).
    register : Tensor or None
        Of the register; None: zero.
    """

    codes: Mapping[str, Tensor]
    register: Tensor | None = None
    written: set[str] = field(default_factory=set)

    def add_code(self, name: str, a: Tensor, b: Tensor | None) -> None:
        """Adds a · b; None is 1."""
        place = self.codes[name]
        if name in self.written:
            place.add_(a) if b is None else place.addcmul_(a, b)
            return
        self.written.add(name)
        place.copy_(a) if b is None else torch.mul(a, b, out=place)

    def add_register(self, a: Tensor, b: Tensor | None, factor: float = 1.0) -> None:
        """Adds a · b · factor; None is 1."""
        if self.register is None and factor == 1:
            self.register = a.clone() if b is None else a * b
            return
        if self.register is None:
            self.register = torch.zeros_like(a)
        if b is None:
            self.register.add_(a, alpha=factor)
        else:
            self.register.addcmul_(a, b, value=factor)


class _Node:
    """A compiled expression: ``unit``, ``value(found)`` and ``back(found, gradients, a, b)`` of the gradient a · b."""

    unit = 1.0

    def value(self, found: Mapping[str, Tensor]) -> Tensor | float:
        raise NotImplementedError

    def back(self, found: Mapping[str, Tensor], gradients: Gradients, a: Tensor, b: Tensor | None) -> None:
        raise NotImplementedError


class _Code(_Node):
    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, found):
        return found[self.name]

    def back(self, found, gradients, a, b):
        gradients.add_code(self.name, a, b)


class _Register(_Node):
    def __init__(self, key: str, unit: float) -> None:
        self.key, self.unit = key, unit

    def value(self, found):
        return found[self.key]

    def back(self, found, gradients, a, b):
        gradients.add_register(a, b)


class _Constant(_Node):
    def __init__(self, number: int) -> None:
        self.number = float(number)

    def value(self, found):
        return self.number

    def back(self, found, gradients, a, b):
        pass


class _Sum(_Node):
    def __init__(self, left: _Node, right: _Node, negative: bool) -> None:
        self.left, self.right, self.unit = left, right, left.unit
        self.alpha = right.unit / left.unit * (-1 if negative else 1)
        # The result of anything but a name is a tensor of its own.
        self.in_place = isinstance(left, _Sum | _Product)

    def value(self, found):
        left, right = self.left.value(found), self.right.value(found)
        if not isinstance(right, Tensor):
            return left + self.alpha * right
        if not isinstance(left, Tensor):
            return right * self.alpha + left
        return left.add_(right, alpha=self.alpha) if self.in_place else torch.add(left, right, alpha=self.alpha)

    def back(self, found, gradients, a, b):
        self.left.back(found, gradients, a, b)
        self.right.back(found, gradients, a if self.alpha == 1 else a * self.alpha, b)


class _Product(_Node):
    def __init__(self, left: _Node, right: _Node) -> None:
        self.left, self.right, self.unit = left, right, left.unit * right.unit

    def value(self, found):
        return self.left.value(found) * self.right.value(found)

    def back(self, found, gradients, a, b):
        gradient = a if b is None else a * b
        left, right = self.left.value(found), self.right.value(found)
        for node, other in ((self.left, right), (self.right, left)):
            if isinstance(other, Tensor):
                node.back(found, gradients, gradient, other)
            else:
                node.back(found, gradients, gradient * other, None)


class StoreProgram:
    """One store: name ← sat(round(expression · factor)).

    Attributes
    ----------
    name, form : str
        Of the value and of its format.
    factor : float
        From the expression's unit to that of the stored integer.
    limit : int
    saturates : bool
        Whether the rounded value can leave ±limit.
    """

    def __init__(self, spec: Specification, store: Store, node: _Node) -> None:
        rule = store_rule(spec, store)
        shift = interval(store.expression, lambda name: leaf_interval(spec, name)).shift
        self.name, self.form, self.node = store.name, spec.layout.values[store.name], node
        self.factor = node.unit * rule.multiplier * 2.0 ** (shift - rule.shift)
        self.limit, self.saturates = rule.limit, rule.saturates
        self._own = isinstance(node, _Sum | _Product)

    def rounded(self, found: Mapping[str, Tensor]) -> Tensor:
        """The rounded integers, before they saturate; a tensor of its own."""
        value = self.node.value(found)
        if self.factor != 1:
            value = value.mul_(self.factor) if self._own else value * self.factor
        return round_half_away(value)

    def back(self, found: Mapping[str, Tensor], gradients: Gradients, gradient: Tensor) -> None:
        """Passes the gradient of the stored integers on, straight through the rounding.

        Parameters
        ----------
        found : mapping
            Values of the codes and of the register, see :data:`BEFORE`.
        gradient : tensor
            Overwritten.
        """
        if self.factor != 1:
            gradient.mul_(self.factor)
        self.node.back(found, gradients, gradient, None)


def store_programs(spec: Specification) -> list[list[StoreProgram]]:
    """The compiled stores of each update."""
    cell, stored = spec.layout, set()

    def compiled(expression: Expression) -> _Node:
        if isinstance(expression, Number):
            return _Constant(expression.value)
        if isinstance(expression, Name):
            if expression.name != cell.register:
                return _Code(expression.name)
            key = cell.register if cell.register in stored else BEFORE
            return _Register(key, 2.0**-spec.state_frac_bits)
        left, right = compiled(expression.left), compiled(expression.right)
        return _Product(left, right) if isinstance(expression, Product) else _Sum(left, right, expression.negative)

    programs = []
    for stores in cell.stores:
        programs.append([])
        for store in stores:
            programs[-1].append(StoreProgram(spec, store, compiled(store.expression)))
            stored.add(store.name)
    return programs
