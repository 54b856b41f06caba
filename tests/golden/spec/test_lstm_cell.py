# SPDX-License-Identifier: Apache-2.0
"""The description of the LSTM cell, and the formats of its update worked out by hand."""

import re
import tomllib
from pathlib import Path

from crossramp.golden.spec.cells import Cell, Gate
from crossramp.golden.spec.lstm_cell import LSTM, SIGMOID_GATE, TANH_GATE, output_shift, state_shifts
from crossramp.golden.spec.network_parameters import CELLS
from crossramp.golden.spec.spec_file import spec_text
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


PAGE = Path(__file__).parents[3] / "docs" / "new-cell.md"


def described() -> Cell:
    """The cell that the page on new cells shows as an example."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {"Cell": Cell, "Gate": Gate, "SIGMOID_GATE": SIGMOID_GATE, "TANH_GATE": TANH_GATE}
    exec(text, names)
    return names["GRU"]


def test_descriptions_of_cells_are_consistent():
    for cell in (*CELLS.values(), described()):
        made = [code for codes in cell.conversions for code in codes.values()]
        read = [code for codes in cell.updates for code in codes]
        assert sorted(made) == sorted(set(made)) == sorted(read)
        assert len(cell.conversions) == len(cell.updates)
        assert cell.state_gate in cell.conversions[1]
        assert len(cell.default_gates) == len(cell.gates)
        for codes in cell.conversions:
            places = [cell.gates.index(gate) for gate in codes]
            assert places == list(range(places[0], places[0] + len(places))), "banks of a conversion are adjacent"


def test_a_specification_of_another_cell_has_its_columns(monkeypatch):
    """What the page says follows by itself: sizes, banks, ramps, TOML, and nothing that names the LSTM's gates."""
    cell = described()
    monkeypatch.setitem(CELLS, cell.name, cell)
    spec = Specification(inputs=2, units=3, classes=2, cell=cell.name, gates=cell.default_gates)
    assert (spec.columns, spec.codes_per_step) == (12, 12)
    assert [spec.bank(gate) for gate in "rzmn"] == [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12)]
    assert [spec.converted(second) for second in (False, True)] == [slice(0, 9), slice(9, 12)]
    assert [act.text for act in spec.ramps] == ["sigmoid", "identity", "tanh"]
    assert [spec.ramp_of(gate) for gate in "rzmn"] == [0, 0, 1, 2]
    assert [cell.reads(gate) for gate in "rzmn"] == [(True, False), (False, True), (True, False), (False, True)]
    assert Specification.from_dict(spec.to_dict()) == spec
    assert tomllib.loads(spec_text(spec)) == spec.to_dict()


def test_shifts_by_hand():
    """5 bits: i, f and o count in 1/64, g and t in 1/32; c in 1/256: f·c in 1/64 of that, i·g in 1/8."""
    spec = Specification(inputs=1, units=1, classes=1)
    assert state_shifts(spec) == (0, 3, 6)
    assert output_shift(spec) == 11
    # c in 1/8192: f·c still counts in 1/64 of that, and i·g, in 1/2048, in whole units.
    assert state_shifts(spec.replace(state_bits=16, state_frac_bits=13)) == (0, 8, 6)
    assert state_shifts(spec.replace(adc_bits=8, state_frac_bits=2)) == (6, 0, 15)
