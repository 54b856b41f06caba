# SPDX-License-Identifier: Apache-2.0
"""The description of the LSTM cell, and the formats of its update worked out by hand."""

from crossramp.golden.spec.lstm_cell import LSTM, output_shift, state_shifts
from crossramp.golden.spec.network_parameters import CELLS
from crossramp.golden.spec.specification import Specification


def test_each_code_is_read_once_and_by_whom():
    """Capture banks are emptied as they are read, so no code can be read twice."""
    assert LSTM.gate_of("t") == "g"
    assert {gate: LSTM.reads(gate) for gate in "ifgo"} == {
        "i": (True, False),
        "f": (True, False),
        "g": (True, True),
        "o": (False, True),
    }


def test_descriptions_of_cells_are_consistent():
    for name, cell in CELLS.items():
        assert cell.name == name
        made = [code for codes in cell.conversions for code in codes.values()]
        read = [code for codes in cell.updates for code in codes]
        assert sorted(made) == sorted(set(made)) == sorted(read)
        assert len(cell.conversions) == len(cell.updates)
        assert cell.state_gate in cell.conversions[1]
        assert len(cell.default_gates) == len(cell.gates)
        for codes in cell.conversions:
            places = [cell.gates.index(gate) for gate in codes]
            assert places == list(range(places[0], places[0] + len(places))), "banks of a conversion are adjacent"


def test_shifts_by_hand():
    """5 bits: i, f and o count in 1/64, g and t in 1/32; c in 1/256: f·c in 1/64 of that, i·g in 1/8."""
    spec = Specification(inputs=1, units=1, classes=1)
    assert state_shifts(spec) == (0, 3, 6)
    assert output_shift(spec) == 11
    # c in 1/2**10 is finer: i·g has 2 units of c in 4, f·c still 1/64.
    assert state_shifts(spec.replace(state_bits=16, state_frac_bits=13)) == (0, 8, 6)
    assert state_shifts(spec.replace(adc_bits=8, state_frac_bits=2)) == (6, 0, 15)
