# SPDX-License-Identifier: Apache-2.0
"""How exact results of a cell update become stored values: one rounding and one saturation, in numbers.

The golden model computes with these rules and the gateware is generated from them. A reference for each cell, written
from its equations in exact fractions (``tests/support/references``), holds both.
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from ..cell.description import CODE, FIXED, LINE, Store
from ..cell.exact import Interval, interval, largest
from ..common.errors import InvalidValue

if TYPE_CHECKING:
    from .specification import Specification


#: Bits that the exact value of a store may take.
MOST_BITS = 62


class StoreRule(NamedTuple):
    """The integer of an exact value becomes sat(round(value · multiplier / 2**shift)).

    Parameters
    ----------
    multiplier, shift : int
    limit : int
        The stored integer lies within ± this.
    saturates : bool
        Whether the rounded value can leave ±limit.
    """

    multiplier: int
    shift: int
    limit: int
    saturates: bool


def leaf_interval(spec: "Specification", name: str) -> Interval:
    """Where a code's decoded value, or the register's, lies."""
    cell = spec.layout
    if name == cell.register:
        return Interval(-spec.state_max, spec.state_max, spec.state_frac_bits)
    gate = cell.gate_of(name)
    bits = spec.gate_bits(gate)
    shift, span = spec.value_shift(gate), Fraction(spec.activation(gate).high)
    if spec.turns(gate):
        codes, negative = spec.ramp_walks[spec.ramp_of(gate)].codes, spec.bipolar(gate) << (bits - 1)
        levels = [code - 2 * (code & negative) for code in codes]
        return Interval(min(levels), max(levels), shift, span)
    top = (1 << bits) - 1
    if spec.bipolar(gate):
        return Interval(-top, top, shift, span)
    return Interval(1, 2 * top + 1, shift, span)  # odd integers: append a one to the topmost code


def store_rule(spec: "Specification", store: Store) -> StoreRule:
    """What a store does.

    Raises
    ------
    InvalidValue
        Where its expression adds values of different ranges, or takes more bits than the golden model's integers have.
    """

    def leaf(name: str) -> Interval:
        return leaf_interval(spec, name)

    exact = interval(store.expression, leaf)
    form = spec.layout.values[store.name]
    if form == FIXED:
        down = exact.shift - spec.state_frac_bits
        multiplier, shift, limit = 1 << max(-down, 0), max(down, 0), spec.state_max
    elif form == LINE:
        (multiplier, shift), limit = line_gain(spec, exact), spec.state_pulse_max
    elif form == CODE:
        multiplier, shift, limit = 1, 0, (1 << (spec.code_pulse_bits - 1)) - 1
    else:
        multiplier, shift, limit = spec.input_max, exact.shift, spec.input_max
    half = 1 << (shift - 1) if shift else 0
    bits = (largest(store.expression, leaf).high * multiplier + half).bit_length() + 1
    if bits > MOST_BITS:
        raise InvalidValue(
            f"cell {spec.cell}: {store.name} = {store.text} takes {bits} bits; allowed: {MOST_BITS}; lower adc_bits or "
            "state_bits, or multiply less at once"
        )
    return StoreRule(multiplier, shift, limit, (exact.magnitude * multiplier + half) >> shift > limit)


def line_gain(spec: "Specification", exact: Interval) -> tuple[int, int]:
    """(M, R): a value becomes the pulse code round(value · M / 2**R), in whole clocks of the line.

    M / 2**R stands for the real value of the exact unit over that of one clock on the constant cell, with 8 significant
    bits and trailing zeros dropped: a weight range that makes it a power of two gives M = 1 and needs no multiplier.
    """
    # In fractions: a weight range of 1 / 182.5 is a float just beside it, and its gain must not fall on the half.
    levels = spec.weight_max * spec.input_max
    pulse = Fraction(spec.state_cell) * Fraction(spec.gate(spec.state_gate).weight_range) / levels
    gain, shift = exact.span / (pulse * 2**exact.shift), 0
    while gain * 2**shift < 128:
        shift += 1
    multiplier = math.floor(gain * 2**shift + Fraction(1, 2))  # halves away from zero, as everywhere
    while multiplier % 2 == 0 and shift > 0:
        multiplier, shift = multiplier // 2, shift - 1
    return multiplier, shift


def line_interval(spec: "Specification") -> Interval:
    """Where the value that drives the lines lies, before it is rounded to a pulse code."""
    cell = spec.layout
    store = next(s for stores in cell.stores for s in stores if s.name == cell.line_value)
    return interval(store.expression, lambda name: leaf_interval(spec, name))
