# SPDX-License-Identifier: Apache-2.0
"""How far c reaches on the second ramp: the defaults, what is refused, what is warned of, and that both are true."""

import json
import math
import warnings

import numpy as np
import pytest
from crossramp.golden.array.ramps import Ramp
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import SIGMOID, TANH
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.state_scale import SpecificationWarning, topmost_argument
from hypothesis import given, settings

from tests.support.references import exact_numbers as reference
from tests.support.strategies import specifications

SIZES = {"inputs": 3, "units": 2, "classes": 2}


def with_g(gate: Gate, **changes) -> Specification:
    return Specification(**SIZES, gates=(SIGMOID, SIGMOID, gate, SIGMOID), **changes)


def cautions(make) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    return [str(one.message) for one in caught if issubclass(one.category, SpecificationWarning)]


@pytest.mark.parametrize(
    ("bits", "expected"),
    [  # all of adc_bits, input_bits and weight_bits; state_pulse_bits, state_cell, full scale: worked out by hand
        (2, (3, 1, 225 / 112 * 3)),
        (3, (4, 1, 225 / 112 / 9 * 7)),
        (4, (5, 3, 3 * 225 / 112 / 49 * 15)),
        (5, (6, 7, 1.9375)),
        (6, (7, 16, 16 * 225 / 112 / 961 * 63)),
        (8, (9, 88, 88 * 225 / 112 / 127**2 * 255)),
    ],
)
def test_defaults_follow_the_bits(bits, expected):
    made = []
    told = cautions(lambda: made.append(Specification(**SIZES, adc_bits=bits, input_bits=bits, weight_bits=bits)))
    spec = made[0]
    assert (spec.state_pulse_bits, spec.state_cell) == expected[:2]
    assert math.isclose(spec.state_full_scale, expected[2], rel_tol=1e-12)
    assert spec.state_full_scale > math.atanh(1 - 2 ** (1 - bits))
    assert not told


def test_of_two_cells_the_nearer_full_scale_is_chosen_unless_it_misses_the_topmost_code():
    """At 8 bits 87 levels make 2.763 and 88 make 2.795, where the topmost code needs 2.771."""
    eight = Specification(**SIZES, adc_bits=8, input_bits=8, weight_bits=8)
    near, chosen = (cells * 225 / 112 / 127**2 * 255 for cells in (87, 88))
    assert abs(near - math.atanh(1 - 2**-7)) < abs(chosen - math.atanh(1 - 2**-7))
    assert eight.state_cell == 88
    # At 5 bits the aim is 2, which 7 levels come nearer to than 8, and they reach the topmost code.
    assert Specification(**SIZES).state_cell == 7


def test_a_small_weight_range_takes_a_longer_pulse_code():
    """Full-scale cells of range 1 end at 255/127 with 9 bits, below 2.77, and at 511/127 with 10."""
    spec = with_g(Gate("tanh", 1.0), adc_bits=8, input_bits=8, weight_bits=8)
    assert (spec.state_pulse_bits, spec.state_cell) == (10, 88)
    assert with_g(Gate("tanh", 1.0)).state_pulse_bits == 6  # 31/15 is beyond 1.72


def test_what_is_given_is_kept():
    spec = Specification(**SIZES, adc_bits=8, input_bits=8, weight_bits=8, state_pulse_bits=9, state_cell=64)
    assert (spec.state_pulse_bits, spec.state_cell) == (9, 64)
    again = Specification.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert (again, again.content_hash) == (spec, spec.content_hash)


@pytest.mark.parametrize("name", ["kws", "kws-aware", "text"])
def test_shipped_models_keep_their_numbers_and_say_nothing(name):
    assert not cautions(lambda: load_model(name))
    assert load_model(name).spec.state_pulse_bits == 6


def test_a_full_scale_below_one_is_refused():
    """What used to be the default at 8 bits, and what replacing the bits of a stored specification makes of it."""
    words = "the full scale of c's pulse code is 0.49; allowed: 1 and up; raise state_pulse_bits, state_cell or"
    with pytest.raises(SpecificationError) as caught:
        Specification(**SIZES, adc_bits=8, input_bits=8, weight_bits=8, state_pulse_bits=6)
    assert "state_pulse_bits is 6 and state_cell 127" in str(caught.value)
    assert words.replace("0.49", "0.4904") in str(caught.value)
    with pytest.raises(SpecificationError, match=r"state_pulse_bits is 6 and state_cell 7, .* is 0\.2288"):
        Specification(**SIZES).replace(input_bits=8)
    exact = with_g(Gate("tanh", 225 / 31), state_cell=1, adc_bits=2)
    assert math.isclose(exact.state_full_scale, 1.0, rel_tol=1e-12)
    with pytest.raises(SpecificationError, match=r"is 0\.9997;"):
        with_g(Gate("tanh", 225 / 31 * 0.9997), state_cell=1, adc_bits=2)


def test_a_topmost_code_out_of_reach_is_told():
    told = cautions(lambda: Specification(**SIZES, adc_bits=8, input_bits=8, weight_bits=8, state_cell=80))
    assert len(told) == 1
    assert "state_cell 80" in told[0]
    assert "is 2.541, but the topmost of 256 codes of tanh(c) needs c above 2.771" in told[0]
    # Softsign gets to its last threshold late: y / (1 - y) at 15/16.
    told = cautions(lambda: with_g(Gate("softsign", TANH.weight_range)))
    assert "softsign(c) needs c above 15;" in told[0]
    # The format of c can be what ends too early.
    told = cautions(lambda: Specification(**SIZES, state_bits=8, state_frac_bits=7))
    assert "state_bits is 8 and state_frac_bits 7, so c saturates at 0.9922" in told[0]


@settings(max_examples=60)
@given(specifications())
def test_warned_exactly_if_the_code_never_comes(spec):
    """Against the reference's own conversion of every c that the format holds."""
    told = cautions(spec.replace)
    edge = spec.state_max / 2**spec.state_frac_bits
    floors = Ramp.of_gate(spec, "g").floors
    gain = reference.state_gain(spec.state_frac_bits, spec.state_cell, reference.Fraction(spec.scale("g")))
    pulse = min(int(spec.state_max * gain + reference.Fraction(1, 2)), spec.state_pulse_max)
    topmost = bool(pulse * spec.state_cell > floors[-1])
    if not told:
        # One pulse clock may be lost to rounding where c itself ends, and nowhere else.
        assert topmost or edge < spec.state_full_scale
    elif "saturates" not in told[0]:
        assert not topmost
    assert topmost_argument(spec.activation("g"), spec.adc_bits) == pytest.approx(
        float(np.asarray(Ramp.of_gate(spec, "g").arguments)[-1]), rel=1e-9, abs=1e-12
    )
