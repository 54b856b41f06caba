# SPDX-License-Identifier: Apache-2.0
"""Columns by bank, against places worked out by hand."""

import numpy as np
from crossramp.golden.cell.description import Gate
from crossramp.golden.spec.specification import Specification

SPEC = Specification(
    inputs=2,
    units=3,
    classes=1,
    gates=(Gate("sigmoid", 2.0), Gate("hard_sigmoid", 2.0), Gate("tanh", 2.0), Gate("sigmoid", 2.0)),
)


def test_banks_by_hand():
    """PyTorch's order: i, f, g, o."""
    assert SPEC.columns == 12
    assert [SPEC.bank(gate) for gate in "ifgo"] == [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12)]
    values = np.arange(24).reshape(2, 12)
    assert SPEC.of_bank(values, "g").tolist() == [[6, 7, 8], [18, 19, 20]]
    assert np.shares_memory(SPEC.of_bank(values, "g"), values)
    assert SPEC.by_bank(values).shape == (2, 4, 3)
    assert SPEC.by_bank(values)[1, 3].tolist() == [21, 22, 23]


def test_what_a_conversion_latches():
    assert [SPEC.converted(second) for second in (False, True)] == [slice(0, 12), slice(6, 9)]
    assert SPEC.codes_per_step == 15


def test_columns_and_their_names():
    assert (SPEC.column("i", 0), SPEC.column("f", 2), SPEC.column("o", 1)) == (0, 5, 10)
    assert SPEC.column("g", np.array([0, 2])).tolist() == [6, 8]
    assert [SPEC.bank_of_column(column) for column in range(12)] == list("iiifffgggooo")
    assert SPEC.unit_of_column(np.arange(12)).tolist() == [0, 1, 2] * 4
    assert [SPEC.column_name(column) for column in (0, 5, 6, 11)] == ["i0", "f2", "g0", "o2"]
    assert np.flatnonzero(SPEC.in_bank(np.arange(12), "f")).tolist() == [3, 4, 5]


def test_ramps_by_gate_and_by_column():
    assert [SPEC.ramp_of(gate) for gate in "ifgo"] == [0, 1, 2, 0]
    assert SPEC.ramp_of_column.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0]
    assert not SPEC.ramp_of_column.flags.writeable
