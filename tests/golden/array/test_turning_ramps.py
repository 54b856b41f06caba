# SPDX-License-Identifier: Apache-2.0
"""Ramps of curves that turn, and ramps with bits of their own: codes, latches, clocks, stored forms and messages."""

from fractions import Fraction

import numpy as np
import pytest
from crossramp.golden.array.ramps import Ramp, WrittenRamp, latch, latched_codes, ramps
from crossramp.golden.cell.description import Gate
from crossramp.golden.layers.spec_file import load_spec, save_spec
from crossramp.golden.spec.activations import REGISTRY, activation
from crossramp.golden.spec.ramp_walk import level_unit, ramp_walk
from crossramp.golden.spec.specification import Specification
from hypothesis import given
from hypothesis import strategies as st

from tests.support.references import exact_numbers as reference

TURNING = ["silu", "gelu", "gaussian", "silu[-2,2]", "gelu[-0.5,0.5]", "gaussian[0,0.75]"]
BITS = range(3, 10)


def dense(*, text="silu", bits=None, **parameters) -> Specification:
    return Specification(
        **{"inputs": 3, "units": 4, "classes": 2, "cell": "dense", "gates": (Gate(text, 2.0, bits),)} | parameters
    )


@pytest.mark.parametrize("text", TURNING)
@pytest.mark.parametrize("bits", BITS)
def test_codes_are_the_nearest_levels(text, bits):
    """Against the function alone: the reference has no threshold and no inverse."""
    for scale in (2 / 225, 1 / 128, 0.3):
        ramp, reach = Ramp(activation(text), bits, scale), int(9 / scale)
        macs = np.unique(np.concatenate([np.linspace(-reach, reach, 500).astype(int), ramp.floors, ramp.floors + 1]))
        expected = [reference.convert_turning(mac, text, bits, Fraction(scale)) for mac in macs.tolist()]
        assert ramp.convert(macs).tolist() == expected


@pytest.mark.parametrize("text", TURNING)
@pytest.mark.parametrize("bits", BITS)
def test_values_lie_within_half_a_level(text, bits):
    act = activation(text)
    ramp, unit = Ramp(act, bits, 1e-4), level_unit(act, bits)
    macs = np.arange(-60_000, 60_000, 7)
    error = np.abs(ramp.decode(ramp.convert(macs)) - act(macs * ramp.scale))
    below_top = act(macs * ramp.scale) < act.high - unit / 2
    assert error[below_top].max() <= unit / 2 + 2e-4
    assert error.max() <= unit + 1e-12  # the end of the range itself is no level
    codes = [reference.decode(code, text, bits) for code in range(1 << bits)]
    assert [Fraction(v) for v in ramp.decode(np.arange(1 << bits))] == codes


@pytest.mark.parametrize("name", [name for name, act in REGISTRY.items() if act.turns])
def test_curves_begin_at_0_and_turn_where_they_say(name):
    act = activation(name)
    assert abs(act(-60.0)) < 1e-12
    for turn in act.turns:
        left, right = act.function(np.array([turn - 1e-4, turn + 1e-4])) - act.function(np.float64(turn))
        assert left * right > 0
        assert abs(left - right) < 1e-3 * abs(left)  # flat there


def test_ticks_are_the_total_variation():
    assert ramp_walk(activation("silu"), 5).codes == (0, 31, 30, 29, 28, 29, 30, 31, *range(16))
    assert ramp_walk(activation("gaussian"), 3).codes == (*range(8), *range(6, -1, -1))
    assert ramp_walk(activation("tanh"), 3).codes == tuple(range(8))
    for text in TURNING:
        for bits in BITS:
            walk = ramp_walk(activation(text), bits)
            values = activation(text).function(np.array([*activation(text).turns, 1e3]))
            ends = np.clip(np.round(values / level_unit(activation(text), bits)), *_limits(text, bits))
            assert walk.ticks == np.abs(np.diff(ends, prepend=0)).sum()


def _limits(text, bits):
    return (0, (1 << bits) - 1) if activation(text).low == 0 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


# ---- latches ---------------------------------------------------------------------------------------------------------


@given(st.sampled_from(TURNING), st.integers(3, 5), st.lists(st.integers(-40, 40), min_size=1), st.randoms())
def test_written_ramps_latch_any_floors(text, bits, macs, random):
    walk = ramp_walk(activation(text), bits)
    floors, macs = np.array([random.randint(-30, 30) for _ in range(walk.ticks)]), np.array(macs)
    for mode in ("last_high", "first_trip"):
        expected = np.array(walk.codes)[latch(macs > floors[:, None], mode)]
        assert WrittenRamp(floors, mode, walk.codes).convert(macs).tolist() == expected.tolist()


@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
def test_a_bank_latches_while_its_own_ramp_ticks(mode, rng):
    """Banks of 62, 23 and 7 ticks in one conversion, any comparator traces."""
    gates = (Gate("gaussian", 2.0), Gate("sigmoid", 2.0, 3), Gate("tanh", 2.0, 3), Gate("silu", 2.0))
    spec = Specification(inputs=2, units=3, classes=2, gates=gates, latch=mode)
    assert [spec.gate_ticks(gate) for gate in "ifgo"] == [62, 7, 7, 23]
    comparators = rng.random((62, spec.columns)) < 0.7
    found = latched_codes(spec, comparators, slice(0, spec.columns))
    for gate in "ifgo":
        walk, bank = spec.ramp_walks[spec.ramp_of(gate)], spec.bank(gate)
        expected = np.array(walk.codes)[latch(comparators[: walk.ticks, bank], mode)]
        assert found[bank].tolist() == expected.tolist()


# ---- specifications --------------------------------------------------------------------------------------------------


def test_clocks_and_memristors_follow_the_longest_ramp():
    gates = (Gate("sigmoid", 2.0), Gate("sigmoid", 2.0, 4), Gate("silu", 2.0), Gate("gaussian", 2.0, 3))
    spec = Specification(inputs=2, units=3, classes=2, adc_bits=5, gates=gates)
    assert (spec.ticks, spec.conversion_ticks) == (31, (31, 23))
    assert spec.analog_clocks_per_step == sum(spec.windows) + 31 + 23
    assert spec.devices["ramp"] == 31 + 15 + 23 + 14
    assert spec.code_bits == 3 * (5 + 4 + 5 + 3)
    assert [ramp.ticks for ramp in ramps(spec)] == [31, 15, 23, 14]
    assert not spec.has_plain_ramps


def test_bits_that_are_adc_bits_are_left_out(tmp_path):
    plain, written = dense(text="tanh"), dense(text="tanh", bits=5)
    assert written == plain
    assert (written.content_hash, written.to_dict()) == (plain.content_hash, plain.to_dict())
    own = dense(text="tanh", bits=6)
    assert own.content_hash != plain.content_hash
    save_spec(tmp_path / "own.toml", own)
    assert load_spec(tmp_path / "own.toml") == own
    assert own.ticks == 63


def test_one_activation_with_two_resolutions_has_two_ramps():
    gates = (Gate("sigmoid", 2.0), Gate("sigmoid", 3.0, 6), Gate("tanh", 2.0), Gate("sigmoid", 3.0, 6))
    spec = Specification(inputs=2, units=3, classes=2, gates=gates)
    assert [act.text for act in spec.ramps] == ["sigmoid", "sigmoid", "tanh"]
    assert spec.ramp_of_gate == (0, 1, 2, 1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"text": "gelu", "bits": 2},
            r"^gate a: activation gelu takes 1 tick with levels of 2 bits; a ramp has 2 or more",
        ),
        ({"bits": 1}, r"^gate a: bits is 1; allowed: 2 to 9$"),
        ({"bits": 10}, r"^gate a: bits is 10; allowed: 2 to 9$"),
        (
            {"text": "silu[0,1]"},
            r"^gate a: activation silu: range \[0, 1\], but its curve falls below 0; give \[-R, R\]",
        ),
        ({"text": "gelu[-1,2]"}, r"codes of a curve that turns count from 0, so give \[0, R\] or \[-R, R\]$"),
        ({"text": "silu[-4,4]"}, r"^gate a: activation 'silu\[-4,4\]' has the range \[-4, 4\]; a gate decodes"),
        ({"text": "gaussian[-1,1]"}, r"range \[-1, 1\] leaves the function's own \[0, 1\]$"),
    ],
)
def test_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        dense(**parameters)
