# SPDX-License-Identifier: Apache-2.0
"""The LSTM cell: its gates and their order, its conversions, and the number formats of its update.

c ← sat(round(f·c + i·g)), h ← round(o·tanh(c)); tanh(c) is a second conversion, by the columns and the ramp of g.
"""

from typing import TYPE_CHECKING, NamedTuple

from .cells import Cell, Gate

if TYPE_CHECKING:
    from .specification import Specification

SIGMOID_GATE = Gate("sigmoid", 2.0)
TANH_GATE = Gate("tanh", 225 / 112)  # with 5-bit codes and a state cell of 7, one state pulse clock is exactly 1/16

LSTM = Cell(
    name="lstm",
    gates=("i", "f", "g", "o"),  # PyTorch's order
    conversions=({"i": "i", "f": "f", "g": "g", "o": "o"}, {"g": "t"}),  # t: tanh(c)
    updates=(("i", "f", "g"), ("o", "t")),
    state_gate="g",
    default_gates=(SIGMOID_GATE, SIGMOID_GATE, TANH_GATE, SIGMOID_GATE),
)


class StateShifts(NamedTuple):
    """How f·c and i·g, integers in units of their own, are added exactly and brought to the unit of c.

    ``fc`` and ``ig``: bits that each product is shifted left; ``sum``: bits that their sum is then shifted right.
    """

    fc: int
    ig: int
    sum: int


def state_shifts(spec: "Specification") -> StateShifts:
    """f·c has 2**-value_shift(f) units of c's own, i·g has its decoded values' unit: both are brought to the finer."""
    fc = spec.value_shift("f")
    ig = spec.value_shift("i") + spec.value_shift("g") - spec.state_frac_bits
    finer = max(fc, ig)
    return StateShifts(finer - fc, finer - ig, finer)


def output_shift(spec: "Specification") -> int:
    """o·tanh(c), an integer times 2**-this, is within ±1; tanh(c) is decoded as g is."""
    return spec.value_shift("o") + spec.value_shift("g")
