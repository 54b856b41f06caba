# SPDX-License-Identifier: Apache-2.0
"""The formats of cell updates, worked out by hand, and which update reads which code."""

import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.exact import interval
from crossramp.golden.cell.library import CELLS, LSTM, SIGMOID, TANH
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.update_formats import StoreRule, leaf_interval, store_rule


def rules(spec: Specification) -> dict[str, StoreRule]:
    return {store.name: store_rule(spec, store) for stores in spec.layout.stores for store in stores}


def test_the_lstm_by_hand():
    """5 bits: i, f and o count in 1/64, g and t in 1/32; c in 1/256: f·c in 1/2**14, and i·g in 1/2**11."""
    spec = Specification(inputs=1, units=1, classes=1)
    found = rules(spec)
    assert found["c"] == (1, 6, 2047, True)
    assert found["h"] == (15, 11, 15, False)
    assert found["q"] == (*spec.state_gain, 31, True)
    # c in 1/8192: f·c counts in 1/2**19, and i·g in whole units of that.
    assert rules(spec.replace(state_bits=16, state_frac_bits=13))["c"].shift == 6
    assert rules(spec.replace(adc_bits=8, state_frac_bits=2))["c"].shift == 15


def test_a_gru_by_hand():
    """5 bits: z and r count in 1/64, n in 1/32, s in 1/256: s is a blend of s and n, which never saturates."""
    found = rules(Specification(inputs=1, units=1, classes=1, cell="gru"))
    assert found["k"] == (15, 14, 15, False)
    assert found["s"] == (1, 6, 255, False)
    assert found["h"] == (15, 8, 15, False)


def test_a_line_takes_the_range_of_its_code_into_its_gain():
    """r·m of a GRU, m within ±4: r counts in 1/64, m in 4/32; a clock of the line is 15 levels of 225/112 / 15**2."""
    spec = Specification(inputs=1, units=1, classes=1, cell="gru_reset_after")
    assert (spec.state_cell, spec.state_pulse_max) == (14, 31)
    multiplier, shift = spec.state_gain
    real = 4 / 2**11 / (14 * 225 / 112 / 225)
    assert multiplier / 2**shift == pytest.approx(real, rel=2**-8)


def test_a_blend_lies_between_its_ends():
    spec = Specification(inputs=1, units=1, classes=1, cell="lstm_coupled")
    (store,) = [store for store in spec.layout.stores[0] if store.name == "c"]
    exact = interval(store.expression, lambda name: leaf_interval(spec, name))
    assert (exact.low, exact.high, exact.shift) == (-255 << 6, 255 << 6, 14)


def test_each_code_is_read_by_one_update():
    """Capture banks are emptied as they are read, so no code can be read twice."""
    assert LSTM.gate_of("t") == "g"
    assert {gate: LSTM.reads(gate) for gate in "ifgo"} == {
        "i": (True, False),
        "f": (True, False),
        "g": (True, True),
        "o": (False, True),
    }
    assert CELLS["gru_reset_after"].updates == (("r", "m"), ("z", "n"))
    assert CELLS["lstm_peephole"].updates == (("i", "f", "g"), ("t", "o"))


@pytest.mark.parametrize(
    ("cell", "parameter", "value", "message"),
    [
        ("rnn_tanh", "state_bits", 12, "state_bits is 12, but the cell rnn_tanh keeps no state; leave it out"),
        ("gru", "state_cell", 3, "state_cell is 3, but the cell gru drives no lines; leave it out"),
        ("gru", "gates", (SIGMOID, SIGMOID, Gate("identity[-4,4]", 2.0)), "so write identity"),
        ("gru_reset_after", "gates", (SIGMOID, SIGMOID, Gate("softplus[1,4]", 2.0), TANH), r"decodes \[0, R\] or \[-R"),
        ("elman", "cell", "elman", "cell is 'elman'; allowed: lstm, lstm_peephole"),
    ],
)
def test_what_a_cell_cannot_use_is_refused(cell, parameter, value, message):
    with pytest.raises(SpecificationError, match=message):
        Specification(**{"inputs": 1, "units": 1, "classes": 1, "cell": cell, parameter: value})
