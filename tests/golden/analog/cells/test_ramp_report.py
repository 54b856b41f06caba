# SPDX-License-Identifier: Apache-2.0
"""What is said of a ramp, against plain loops over its definition."""

import json

import numpy as np
import pytest
from crossramp.golden.analog.cells.ramp_report import gate_report, ramp_report
from crossramp.golden.array.ramps import Ramp
from crossramp.golden.spec.activations import REGISTRY, activation
from crossramp.golden.spec.specification import Specification
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.strategies import gate_activations, specifications

SIGMOID = Ramp(activation("sigmoid"), 5, 2 / 225)


@pytest.mark.parametrize("name", [name for name, act in REGISTRY.items() if not act.turns])
@pytest.mark.parametrize("bits", range(2, 9))
def test_figures_follow_their_definitions(name, bits):
    act = activation(name)
    ramp = Ramp(act, bits, 2 / 225)
    report = ramp_report(ramp, g_max=1e-4)
    lsb = (act.high - act.low) / 2**bits
    level = report.start
    for k in range(1, 2**bits):
        level += report.steps[k - 1]
        assert level == ramp.thresholds[k - 1]  # the ramp stands on threshold k after tick k
        ideal = act.low + lsb * k
        assert report.inl[k - 1] == pytest.approx((act(level * ramp.scale) - ideal) / lsb, abs=1e-9)
        if k < 2**bits - 1:
            width = act(ramp.thresholds[k] * ramp.scale) - act(level * ramp.scale)
            assert report.dnl[k - 1] == pytest.approx(width / lsb - 1, abs=1e-9)
    assert (report.steps >= 0).all()
    assert report.conductances.max() == pytest.approx(1e-4)
    np.testing.assert_allclose(report.conductances, report.steps * report.siemens_per_mac)
    assert report.bias_conductance == pytest.approx(report.start * report.siemens_per_mac)
    assert report.zero_steps == sum(a == b for a, b in zip(ramp.floors, ramp.floors[1:], strict=False))
    assert report.max_error >= report.rms_error > 0


@pytest.mark.parametrize("name", [name for name, act in REGISTRY.items() if act.turns])
@pytest.mark.parametrize("bits", [3, 5, 8])
def test_figures_of_a_curve_that_turns(name, bits):
    """Along the curve, summed up in small pieces; a level is an LSB."""
    ramp = Ramp(activation(name), bits, 2 / 225)
    report = ramp_report(ramp, g_max=1e-4)
    assert report.lsb == pytest.approx(ramp.decode(1))

    def way(start, end):
        values = ramp.activation(np.linspace(start, end, 2001))
        return np.abs(np.diff(values)).sum() * np.sign(end - start)

    ideal, real = ramp.arguments, ramp.thresholds * ramp.scale
    for k in range(ramp.ticks):
        assert report.inl[k] == pytest.approx(way(ideal[k], real[k]) / report.lsb, abs=1e-4)
        if k < ramp.ticks - 1:
            width = way(real[k], real[k + 1]) - way(ideal[k], ideal[k + 1])
            assert report.dnl[k] == pytest.approx(width / report.lsb, abs=1e-4)
    turning = np.flatnonzero(np.diff(ramp.walk.branches))
    for k in np.delete(np.arange(ramp.ticks - 1), turning):
        assert way(ideal[k], ideal[k + 1]) == pytest.approx(report.lsb, rel=1e-6)
    assert report.max_error >= report.rms_error > 0


@settings(max_examples=60)
@given(
    st.sampled_from(gate_activations(turning=True)),
    st.integers(2, 6),
    st.floats(1e-3, 1),
    st.none() | st.integers(0, 3000),
)
def test_missing_codes_are_those_no_mac_has(text, bits, scale, mac_max):
    assume(not activation(text).turns or bits > 2)
    ramp = Ramp(activation(text), bits, scale)
    reach = np.abs(ramp.floors).max() + 2 if mac_max is None else mac_max
    occurring = set(ramp.convert(np.arange(-reach, reach + 1)).tolist())
    assert ramp_report(ramp, mac_max=mac_max).missing.tolist() == sorted(set(ramp.codes.tolist()) - occurring)


def test_an_ideal_ramp_errs_by_half_a_part():
    report = ramp_report(Ramp(activation("sigmoid"), 5, 1e-7))
    assert report.max_error == pytest.approx(report.lsb / 2, rel=1e-3)
    assert np.abs(report.inl).max() < 1e-5
    assert np.abs(report.dnl).max() < 1e-5
    # Uniform over the parts, but for the two tails: close to LSB / sqrt(12).
    assert report.rms_error == pytest.approx(report.lsb / 12**0.5, rel=0.1)


def test_known_ramp():
    """sigmoid at 5 bits: ln(31) = 3.434, ln(15) = 2.708; outermost steps 82 MAC units, innermost 14."""
    report = ramp_report(SIGMOID)
    assert report.thresholds[[0, 1, 15, 30]].tolist() == [-386.5, -304.5, 0.5, 386.5]
    assert (report.steps[0], report.steps.max(), report.steps.min(), report.start) == (82, 82, 14, -468.5)
    assert report.conductance_ratio == pytest.approx(82 / 14)
    assert (report.zero_steps, report.missing.size) == (0, 0)


def test_a_planted_step_shows_in_inl_dnl_and_error():
    bent = Ramp(activation("sigmoid"), 5, 2 / 225)
    bent.__dict__["floors"] = SIGMOID.floors + 20 * (np.arange(31) == 11)
    straight, crooked = ramp_report(SIGMOID), ramp_report(bent)
    assert np.abs(straight.inl).max() < 0.1 < crooked.inl[11]
    assert crooked.dnl[10] > 0.5
    assert crooked.max_error > 1.5 * straight.max_error


def test_ramps_whose_thresholds_coincide_have_a_report():
    report = ramp_report(Ramp(activation("clipped_relu"), 3, 100.0))
    assert (report.zero_steps, report.conductance_ratio) == (6, 1.0)
    assert report.missing.tolist() == [1, 2, 3, 4, 5, 6]


@settings(max_examples=30)
@given(specifications())
def test_reports_of_gates_are_json(spec):
    for gate in "ifgo":
        content = json.loads(json.dumps(gate_report(spec, gate).to_dict(), allow_nan=False))
        assert len(content["step_mac"]) == spec.ticks


def test_the_reach_of_gate_g_includes_its_state_cells():
    spec = Specification(inputs=1, units=1, classes=2, bias_rows=0, state_pulse_bits=10, state_cell=15)
    assert gate_report(spec, "i").mac_max == 2 * 225
    assert gate_report(spec, "g").mac_max == 15 * 511


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"g_max": 0}, "the conductance window is 0.0 to 0 S; give 0 <= g_min < g_max"),
        ({"g_max": float("nan")}, "the conductance window is 0.0 to nan S"),
        ({"mac_max": -1}, "mac_max is -1; the largest magnitude of a MAC is 0 or more"),
    ],
)
def test_reports_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ramp_report(SIGMOID, **arguments)
