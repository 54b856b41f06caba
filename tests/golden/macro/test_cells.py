# SPDX-License-Identifier: Apache-2.0
"""Every cell against its reference in exact fractions, in every value; and faults that this comparison notices."""

import pytest
from crossramp.golden.cell.library import CELLS
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planted import planted
from tests.support.reference_comparison import differences
from tests.support.references.whole_network import REFERENCES
from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications


def test_every_cell_has_a_reference():
    assert set(REFERENCES) == set(CELLS)


# 480 specifications, 8 steps each.
@pytest.mark.parametrize("cell", ALL_CELLS)
@settings(max_examples=60)
@given(data=st.data(), seed=seeds)
def test_every_value_equals_the_reference(cell, data, seed):
    spec = data.draw(specifications(max_units=4, max_inputs=4, cell=cell, any_ramps=True))
    assert differences(network_of(spec, seed), inputs_of(spec, seed, batch=2, steps=4)) == []


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_usual_sizes_equal_the_reference(cell, seed):
    spec = Specification(inputs=9, units=8, classes=4, cell=cell)
    assert differences(network_of(spec, seed), inputs_of(spec, seed, batch=1, steps=12)) == []


# ---- planted faults --------------------------------------------------------------------------------------------------

UPDATE, STEP = "golden/macro/cell_update.py", "golden/macro/lstm.py"
STORED = "saturate(round_shift(exact * rule.multiplier, rule.shift), rule.limit)"
CODES = "{spec.conversions[k][gate]: found[..., place] for gate, place in banks}"
SWAPPED = "dict(zip(spec.conversions[k].values(), [found[..., place] for _, place in reversed(list(banks))]))"
WITH_REGISTER = tuple(name for name, cell in CELLS.items() if cell.register)
WITH_LINES = tuple(name for name, cell in CELLS.items() if cell.lines)

#: Where, what, what instead, and the cells that have a use for it.
FAULTS = {
    "swaps gates": (STEP, CODES, SWAPPED, WITH_REGISTER),
    "rounds halves up": (
        UPDATE,
        STORED,
        "saturate((exact * rule.multiplier + ((1 << rule.shift) >> 1)) >> rule.shift, rule.limit)",
        WITH_REGISTER,
    ),
    "truncates": (UPDATE, STORED, "saturate((exact * rule.multiplier) >> rule.shift, rule.limit)", ALL_CELLS),
    "wraps": (
        UPDATE,
        STORED,
        "(round_shift(exact * rule.multiplier, rule.shift) + rule.limit) % (2 * rule.limit + 1) - rule.limit",
        WITH_REGISTER,
    ),
    "reads the register of before": (UPDATE, "stored.get(name, values.get(name))", "values.get(name)", ("lstm", "gru")),
    "does not hold": (
        "golden/cell/description.py",
        "return tuple(k for k in range(first, conversion + 1) if self.is_driven(gate, k))",
        "return (conversion,)",
        tuple(name for name, cell in CELLS.items() if cell.held),
    ),
    "holds for ever": (
        "golden/cell/description.py",
        "return tuple(k for k in range(first, conversion + 1) if self.is_driven(gate, k))",
        "return tuple(k for k in range(conversion + 1) if self.is_driven(gate, k))",
        ("lstm", "lstm_peephole", "lstm_coupled"),
    ),
    "trained cells in another order": (
        "golden/array/array_protocol.py",
        "else iter(trained)",
        "else iter(trained[::-1])",
        ("lstm_peephole",),
    ),
    "peepholes see no c before": (STEP, "line_pulses(spec, c)", "0 * line_pulses(spec, c)", ("lstm_peephole",)),
    "lines bring one level": (
        "golden/array/array_protocol.py",
        "else spec.line_level(cell.line, False)",
        "else 1",
        WITH_LINES,
    ),
    "bias rows at half scale": (
        "golden/array/array_protocol.py",
        "spec.input_max if group == BIAS",
        "spec.input_max // 2 if group == BIAS",
        ALL_CELLS,
    ),
}


@pytest.mark.parametrize(
    ("fault", "cell"), [(fault, cell) for fault, (_, _, _, cells) in FAULTS.items() for cell in cells]
)
def test_fault_is_noticed(fault, cell):
    # Halves, since there are few codes; or a state that saturates soon, since codes reach beyond its limit of 7/8.
    bits = 5 if fault == "wraps" else 3
    short = {"state_bits": 4, "state_frac_bits": 3} if CELLS[cell].register else {}
    spec = Specification(inputs=3, units=4, classes=3, cell=cell, adc_bits=bits, **short)
    network, x = network_of(spec, 5), inputs_of(spec, 5, batch=4, steps=8)
    assert differences(network, x) == []
    file, old, new, _ = FAULTS[fault]
    with planted(file, old, new):
        assert differences(Network(spec, network.weights), x) != []
