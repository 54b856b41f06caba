# SPDX-License-Identifier: Apache-2.0
"""Ramps and conversion, against the reference and plain loops; the latch, for every comparator trace."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from crossramp.golden.array.ramps import Ramp, WrittenRamp, decode_integer, latch, ramps
from crossramp.golden.spec.activations import REGISTRY, Activation, activation
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.references import exact_numbers as reference
from tests.support.strategies import gate_activations, specifications

EVERY = [(name, bits) for name, act in REGISTRY.items() if not act.turns for bits in range(2, 9)]


@pytest.mark.parametrize(("name", "bits"), EVERY)
def test_thresholds_equal_the_reference(name, bits):
    for scale in (2 / 225, 1 / 1024, 0.3):
        expected = reference.thresholds(name, bits, Fraction(scale))
        assert [Fraction(t) for t in Ramp(activation(name), bits, scale).thresholds] == expected


@pytest.mark.parametrize(("name", "bits"), EVERY)
def test_every_code_occurs_and_decodes_nearest(name, bits):
    """With a fine scale: each code once and in order, and its value within half a part of the activation's."""
    act = activation(name)
    ramp = Ramp(act, bits, 1e-4)
    macs = np.arange(ramp.floors[0] - 10, ramp.floors[-1] + 11)
    codes = ramp.convert(macs)
    assert np.unique(codes).tolist() == list(range(1 << bits))
    assert (np.diff(codes) >= 0).all()
    half = (act.high - act.low) / (1 << bits) / 2
    slack = 1e-4 * 2  # of the integer thresholds, for slopes up to 2
    assert np.abs(ramp.decode(codes) - act(macs * ramp.scale)).max() <= half + slack


@given(st.sampled_from(gate_activations()), st.integers(2, 8), st.floats(1e-5, 2), st.data())
def test_conversion_equals_a_plain_loop(text, bits, scale, data):
    ramp = Ramp(activation(text), bits, scale)
    near = data.draw(st.lists(st.sampled_from(ramp.floors.tolist()), min_size=1, max_size=8))
    macs = np.array([mac + d for mac in near for d in (-1, 0, 1)])
    expected = [sum(1 for t in ramp.thresholds.tolist() if mac > t) for mac in macs.tolist()]
    assert ramp.convert(macs).tolist() == expected
    assert ramp.convert(macs.reshape(-1, 3)).shape == (len(near), 3)


def test_a_mac_on_a_whole_quotient_is_below_its_threshold():
    """identity at a scale of one part: quotients are integers, thresholds half a unit above them, so no tie exists."""
    ramp = Ramp(activation("identity"), 3, 0.25)
    assert ramp.thresholds.tolist() == [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5]
    assert ramp.convert(np.arange(-4, 5)).tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]


def test_quotients_beside_an_integer_snap_to_it():
    for wobble in (1 - 1e-12, 1, 1 + 1e-12):
        assert Ramp(activation("identity"), 3, 0.25 * wobble).floors.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert Ramp(activation("identity"), 3, 0.25 * (1 + 1e-6)).floors.tolist() == [-3, -2, -1, 0, 0, 1, 2]


@settings(max_examples=60)
@given(specifications(max_units=3, max_inputs=3))
def test_clipped_floors_convert_alike(spec):
    reach = spec.mac_max
    macs = np.unique(np.concatenate([[-reach, reach], np.linspace(-reach, reach, 999).astype(int)]))
    for ramp in ramps(spec):
        clipped = ramp.clipped_floors(reach)
        assert clipped.min() >= -(reach + 1)
        assert clipped.max() <= reach
        np.testing.assert_array_equal(np.searchsorted(clipped, macs), ramp.convert(macs))


@settings(max_examples=40)
@given(specifications())
def test_ramps_of_a_specification(spec):
    for gate in "ifgo":
        ramp = ramps(spec)[spec.ramp_of(gate)]
        assert (ramp.activation.text, ramp.bits, ramp.scale) == (
            spec.activation(gate).text,
            spec.adc_bits,
            spec.scale(gate),
        )


@pytest.mark.parametrize("bits", range(2, 9))
def test_decoded_integers_are_the_decoded_values(bits):
    codes = np.arange(1 << bits)
    for text, bipolar, shift in (("sigmoid", False, bits + 1), ("tanh", True, bits)):
        expected = [reference.decode(code, text, bits) for code in codes.tolist()]
        assert [Fraction(int(v), 2**shift) for v in decode_integer(codes, bipolar, bits)] == expected
        assert [Fraction(v) for v in Ramp(activation(text), bits, 0.01).decode(codes)] == expected


@pytest.mark.parametrize(
    ("bits", "scale", "message"),
    [
        (1, 0.1, "bits is 1; a ramp has 2 to 9"),
        (10, 0.1, "bits is 10; a ramp has 2 to 9"),
        (5, 0.0, r"scale is 0.0; one MAC unit must be a real number above 0"),
        (5, float("nan"), "scale is nan"),
        (5, float("inf"), "scale is inf"),
    ],
)
def test_ramps_refused(bits, scale, message):
    with pytest.raises(ValueError, match=message):
        Ramp(activation("tanh"), bits, scale)


def test_an_inverse_that_is_none_is_refused():
    falling = Activation("falling", lambda x: -x, lambda y: -y, -1.0, 1.0)
    with pytest.raises(ValueError, match=r"activation falling\[-1,1\]: its inverse is not finite and non-decreasing"):
        Ramp(falling, 5, 0.1)


# ---- latch ----------------------------------------------------------------------------------------------------------


def _latched(trace, mode):
    code = 0
    for tick, high in enumerate(trace, start=1):
        if mode == "last_high" and high:
            code = tick
        if mode == "first_trip":
            if not high:
                return code
            code = tick
    return code


@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
def test_latch_of_every_trace(mode):
    traces = np.array(list(itertools.product([False, True], repeat=7)))
    assert latch(traces.T, mode).tolist() == [_latched(trace, mode) for trace in traces.tolist()]
    np.testing.assert_array_equal(latch(traces.T.reshape(7, 2, 64), mode), latch(traces.T, mode).reshape(2, 64))


@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
def test_latch_of_a_ramp_is_the_conversion(mode):
    ramp = Ramp(activation("tanh"), 5, 2 / 225)
    macs = np.arange(-400, 401)
    np.testing.assert_array_equal(latch(macs > ramp.thresholds[:, None], mode), ramp.convert(macs))


def test_latches_differ_where_a_comparator_trips_twice():
    trace = np.array([True, False, True, False])
    assert (latch(trace, "last_high"), latch(trace, "first_trip")) == (3, 1)


def test_unknown_latch_refused():
    with pytest.raises(ValueError, match="latch is 'level'; allowed: last_high, first_trip"):
        latch(np.ones((3, 1), bool), "level")


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=15), st.sampled_from(["last_high", "first_trip"]))
def test_written_thresholds_of_any_order_convert_as_the_latch_does(floors, mode):
    macs = np.arange(-25, 26)
    expected = latch(macs > np.array(floors)[:, None], mode)
    np.testing.assert_array_equal(WrittenRamp(np.array(floors), mode).convert(macs), expected)


def test_the_latch_of_written_thresholds_matters():
    floors = np.array([0, 5, 2])
    codes = {mode: WrittenRamp(floors, mode).convert([-1, 0, 1, 3, 6]).tolist() for mode in ("last_high", "first_trip")}
    assert codes == {"last_high": [0, 0, 1, 3, 3], "first_trip": [0, 0, 1, 1, 3]}
    with pytest.raises(ValueError, match="latch is 'level'"):
        WrittenRamp(floors, "level")


@pytest.mark.parametrize(("text", "scale"), [("identity[0,1e30]", 1.0), ("sigmoid", 1e-300)])
def test_thresholds_beyond_exact_integers_are_refused(text, scale):
    with pytest.raises(ValueError, match=r"beyond 2\*\*53 they are not exact: give a larger scale"):
        Ramp(activation(text), 5, scale)
