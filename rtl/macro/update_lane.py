# SPDX-License-Identifier: Apache-2.0
"""One lane of a cell update, generated from the cell's program: products, one register, then sums and rounding."""

from dataclasses import dataclass, field

from amaranth import Module, Mux, Signal, Value
from crossramp.golden.cell.exact import Exact, evaluate
from crossramp.golden.cell.expression import Product, products
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.update_formats import store_rule

from ..common.arith import decode, round_shift, saturate


@dataclass
class _Slot:
    """A multiplier, which each update uses once at most: its operands by the update."""

    uses: dict[int, tuple[Value, Value]] = field(default_factory=dict)

    def cost(self, update: int, pair: tuple[Value, Value]) -> int:
        """What it costs to let ``update`` multiply ``pair`` here too: bits of wider operands, and of multiplexers."""
        if not self.uses:
            return len(pair[0]) * len(pair[1])
        widths = [max(len(use[side]) for use in self.uses.values()) for side in (0, 1)]
        wider = [max(width, len(value)) for width, value in zip(widths, pair, strict=True)]
        shared = [any(use[side] is pair[side] for use in self.uses.values()) for side in (0, 1)]
        multiplexed = sum(width for width, same in zip(wider, shared, strict=True) if not same)
        return wider[0] * wider[1] - widths[0] * widths[1] + multiplexed


def multiplier_slots(operands: dict[tuple[int, Product], tuple[Value, Value]]) -> tuple[list[_Slot], dict]:
    """Multipliers for the products of all updates, each given to the one where it adds least.

    Parameters
    ----------
    operands : dict
        By the update and the product: its two factors.

    Returns
    -------
    slots : list of _Slot
    place : dict
        By the update and the product: the number of its slot.
    """
    slots: list[_Slot] = []
    place = {}
    for (update, product), (left, right) in operands.items():
        free = [k for k, slot in enumerate(slots) if update not in slot.uses]
        choices = [(slots[k].cost(update, pair), k, pair) for k in free for pair in ((left, right), (right, left))]
        new = _Slot().cost(update, (left, right))
        cost, chosen, pair = min(choices, key=lambda choice: choice[0], default=(new, len(slots), (left, right)))
        if cost >= new:
            chosen, pair = len(slots), (left, right)
        if chosen == len(slots):
            slots.append(_Slot())
        slots[chosen].uses[update] = pair
        place[update, product] = chosen
    return slots, place


class UpdateLane:
    """The gateware of one lane, to be built into a module.

    Stage 1 multiplies: the products of both updates share multipliers where that is cheap. What a sum needs beside them
    is registered as it is. Stage 2 adds exactly, in the finer unit of both sides, rounds and saturates once.

    Parameters
    ----------
    m : Module
    spec : Specification
    suffix : str
        Of the names of its signals.
    step, second : Value
        Take operands on this clock; they are those of the second update.
    codes : dict of Value
        By the name of the bank.
    register : Value or None
        The fixed value of the step before, signed; None for a cell without one.

    Attributes
    ----------
    stored : dict of Value
        Each value that the program stores, signed: the one of the update whose operands were taken last.
    """

    def __init__(self, m: Module, spec: Specification, suffix: str, step: Value, second: Value, codes, register):
        self.m, self.spec, self.suffix = m, spec, suffix
        cell, self.step = spec.layout, step
        self.decoded = {gate: decode(code, spec.bipolar(gate), spec.turns(gate)) for gate, code in codes.items()}
        self.register = register
        operands = {}
        for update, stores in enumerate(cell.stores):
            for store in stores:
                for product in products(store.expression):
                    operands[update, product] = tuple(
                        Value.cast(evaluate(side, self._operand).value) for side in (product.left, product.right)
                    )
        slots, self.place = multiplier_slots(operands)
        self.products = [self._product(number, slot, second) for number, slot in enumerate(slots)]
        self.kept: dict[str, Signal] = {}
        self.stored: dict[str, Value] = {}
        for update, stores in enumerate(cell.stores):
            fresh: dict[str, Exact] = {}
            for store in stores:
                self._store(update, store, fresh)

    # ---- stage 1 ----------------------------------------------------------------------------------------------------

    def _operand(self, name: str) -> Exact:
        """A code or the register as it comes in."""
        spec = self.spec
        if name == spec.layout.register:
            return Exact(self.register, spec.state_frac_bits)
        gate = spec.layout.gate_of(name)
        return Exact(self.decoded[gate], spec.value_shift(gate))

    def _product(self, number: int, slot: _Slot, second: Value) -> Signal:
        """The register of a multiplier, whose operands are those of the update that runs."""
        sides = []
        for side in (0, 1):
            by_update = {update: use[side] for update, use in slot.uses.items()}
            value = by_update.get(0, by_update.get(1))
            if len(by_update) == 2 and by_update[1] is not by_update[0]:
                value = Mux(second, by_update[1], by_update[0])
            sides.append(value)
        value = sides[0] * sides[1]
        register = Signal(value.shape(), name=f"product_{number}{self.suffix}", reset_less=True)
        with self.m.If(self.step):
            self.m.d.sync += register.eq(value)
        return register

    def _keep(self, name: str) -> Exact:
        """A code or the register, one clock later: beside the products."""
        operand = self._operand(name)
        key = name if name == self.spec.layout.register else self.spec.layout.gate_of(name)
        if key not in self.kept:
            kept = Signal(operand.value.shape(), name=f"kept_{key}{self.suffix}", reset_less=True)
            with self.m.If(self.step):
                self.m.d.sync += kept.eq(operand.value)
            self.kept[key] = kept
        return Exact(self.kept[key], operand.shift)

    # ---- stage 2 ----------------------------------------------------------------------------------------------------

    def _store(self, update: int, store, fresh: dict[str, Exact]) -> None:
        spec = self.spec

        def multiplied(product: Product) -> Exact:
            shift = sum(evaluate(side, self._operand).shift for side in (product.left, product.right))
            return Exact(self.products[self.place[update, product]], shift)

        def leaf(name: str) -> Exact:
            return fresh[name] if name in fresh else self._keep(name)

        exact = self._signal(f"exact_{store.name}", evaluate(store.expression, leaf, multiplied).value)
        rule = store_rule(spec, store)
        rounded = self._signal(f"rounded_{store.name}", round_shift(self._scaled(store.name, exact, rule), rule.shift))
        value = saturate(rounded, rule.limit) if rule.saturates else rounded
        bits = rule.limit.bit_length() + 1
        self.stored[store.name] = self._signal(f"new_{store.name}", value[:bits].as_signed())
        if store.name == spec.layout.register:
            fresh[store.name] = Exact(self.stored[store.name], spec.state_frac_bits)

    def _scaled(self, name: str, exact: Value, rule) -> Value:
        if rule.multiplier == self.spec.input_max and rule.multiplier > 1:  # a shift and a subtraction
            return self._signal(f"scaled_{name}", (exact << (self.spec.input_bits - 1)) - exact)
        if rule.multiplier & (rule.multiplier - 1) == 0:
            return exact << (rule.multiplier.bit_length() - 1)
        return self._signal(f"scaled_{name}", exact * rule.multiplier)

    def _signal(self, name: str, value: Value) -> Signal:
        """A signal that is ``value``: an expression used more than once would be written, and computed, as often."""
        signal = Signal(value.shape(), name=f"{name}{self.suffix}")
        self.m.d.comb += signal.eq(value)
        return signal
