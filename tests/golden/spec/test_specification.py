# SPDX-License-Identifier: Apache-2.0
"""The specification: what it refuses and in which words, what it derives, its hash, its dict and its TOML."""

import dataclasses
import json
import math
from fractions import Fraction

import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import CELLS, SIGMOID, TANH
from crossramp.golden.layers.spec_file import load_spec, save_spec, spec_text
from crossramp.golden.link.board_memory import Build, identity_image, read_identity
from crossramp.golden.network.model_file import Model, load_model, save_model
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.specification import Specification
from hypothesis import given
from hypothesis import strategies as st

from tests.support.references import exact_numbers as reference
from tests.support.strategies import network_of, seeds, specifications

DEMO = Specification(inputs=40, units=32, classes=12)
RANGES = {
    "inputs": (1, 65536), "units": (1, 65536), "classes": (0, 4096), "bias_rows": (0, 64), "adc_bits": (2, 8),
    "input_bits": (2, 8), "weight_bits": (2, 8), "state_bits": (3, 24), "state_pulse_bits": (2, 10),
    "settle_clocks": (1, 255), "calibration_cells": (0, 16), "head_weight_bits": (2, 16), "max_steps": (1, 65536),
    "comparator_registers": (0, 1), "tile_rows": (0, 1 << 20),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_ranges(name):
    low, high = RANGES[name]
    for value in (low - 1, high + 1, "5", *([] if name in ("state_bits", "state_pulse_bits") else [None])):
        with pytest.raises(SpecificationError, match=f"^{name} is {value!r}; allowed: {low} to {high}$"):
            DEMO.replace(**{name: value})
    for value, told in ((5.0, r"5\.0 \(float\)"), (True, r"True \(bool\)")):
        with pytest.raises(SpecificationError, match=f"^{name} is {told}; allowed: integers, {low} to {high}$"):
            DEMO.replace(**{name: value})
    # A weight range of 64 takes even a pulse code of one clock to a full scale of 1.
    gates = (SIGMOID, SIGMOID, Gate("tanh", 64.0), SIGMOID)
    fitting = {"state_pulse_bits": None, "state_cell": None, "state_frac_bits": 0, "lanes": 1, "gates": gates}
    for value in (low, high):
        assert getattr(DEMO.replace(**fitting | {name: value}), name) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lanes": 0}, "lanes is 0; allowed: 1 to 32"),
        ({"lanes": 33}, "lanes is 33; allowed: 1 to 32"),
        ({"state_frac_bits": 12}, "state_frac_bits is 12; allowed: 0 to 11"),
        ({"state_frac_bits": -1}, "state_frac_bits is -1; allowed: 0 to 11"),
        ({"state_cell": 0}, "state_cell is 0; allowed: 1 to 15"),
        ({"state_cell": 16}, "state_cell is 16; allowed: 1 to 15"),
        ({"latch": "level"}, "latch is 'level'; allowed: last_high, first_trip"),
        ({"readout": "max"}, "readout is 'max'; allowed: mean, last, step"),
        ({"cell": "elman"}, f"cell is 'elman'; allowed: {', '.join(CELLS)}"),
        (
            {"tile_columns": 3},
            "tile_columns is 3, but a unit of the cell lstm has 4 columns, which stay in one array: i, f, g, o; "
            "allowed: 0 for no limit, or 4 and up",
        ),
        (
            {"projection": 4, "projection_in": "array"},
            "projection_in is 'array' and classes is 12: such a macro is a layer of a network; write it as a table of "
            "layers, or set projection_in to 'digital'",
        ),
        (
            {"projection": 4, "projection_in": "array", "classes": 0, "initial": "constant"},
            "initial is 'constant', but h comes from a projection in an array, which is not loaded; write 'zero', or "
            "set projection_in to 'digital'",
        ),
        ({"projection_in": "array"}, "projection_in is 'array', but projection is 0; leave it out"),
        (
            {"projection": 4, "projection_bits": 5},
            "projection_bits is 5, but projection_in is 'digital'; leave it out",
        ),
        ({"projection_range": 0.5}, "projection_range is 0.5, but projection is 0; leave it out"),
        ({"gates": (TANH,) * 3}, "gates has 3 entries; expected 4: i, f, g, o"),
        ({"gates": ("tanh",) * 4}, "gate i is 'tanh'; expected a Gate"),
    ],
)
def test_choices_and_dependent_ranges(changes, message):
    with pytest.raises(SpecificationError) as caught:
        DEMO.replace(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (Gate("swish", 2.0), "gate g: unknown activation 'swish'; known: sigmoid, "),
        (Gate("softplus", 2.0), "gate g: activation 'softplus' has the range [0, 4]; a gate"),
        (Gate("tanh", 2.0**-11), "gate g: weight_range is 0.00048828125; allowed: 2**-10 to 2**10"),
        (Gate("tanh", 1025), "gate g: weight_range is 1025; allowed: 2**-10 to 2**10"),
        (Gate("tanh", math.nan), "gate g: weight_range is nan; allowed: 2**-10 to 2**10"),
        (Gate("tanh", True), "gate g: weight_range is True; allowed: 2**-10 to 2**10"),
        (Gate("sigmoid", 3.0), "gate g: weight_range is 3.0, but another sigmoid gate has 2.0; columns"),
    ],
)  # fmt: skip
def test_gates_refused(gate, message):
    with pytest.raises(SpecificationError) as caught:
        DEMO.replace(gates=(SIGMOID, SIGMOID, gate, SIGMOID))
    assert str(caught.value).startswith(message)


def test_demo_figures():
    """Numbers worked out by hand for 40 inputs, 32 units, 5 bits."""
    assert (DEMO.rows, DEMO.columns, DEMO.ticks, DEMO.input_max, DEMO.weight_max) == (73, 128, 31, 15, 15)
    assert (DEMO.state_max, DEMO.state_pulse_max, DEMO.state_cell, DEMO.state_gain) == (2047, 31, 7, (1, 4))
    assert (DEMO.mac_max, DEMO.mac_bits, DEMO.head_bias_max) == (73 * 225, 16, 2047)
    assert DEMO.analog_clocks_per_step == 15 + 31 + 31 + 31
    assert DEMO.devices == {"weights": 2 * 73 * 128, "state": 64, "ramp": 62, "calibration": 10}
    assert [act.name for act in DEMO.ramps] == ["sigmoid", "tanh"]
    assert DEMO.ramp_of_gate == (0, 0, 1, 0)
    assert DEMO.replace(lanes=5).beats == 7
    # The head: one product a clock, or as many as lanes where every step waits for its logits.
    assert (DEMO.head_lanes, DEMO.head_clocks) == (1, 12 * (32 + 1) + 5)
    every = DEMO.replace(readout="step", lanes=5, classes=20)
    assert (every.head_lanes, every.head_clocks, every.sum_max) == (5, 20 * (7 + 1) + 5, 15)
    assert every.clocks_per_step == every.head_clocks > DEMO.replace(lanes=5).clocks_per_step


@given(specifications(max_units=9))
def test_derived_widths_hold_their_values(spec):
    for value in (spec.mac_max + 1, -spec.mac_max - 1):
        assert -(2 ** (spec.mac_bits - 1)) <= value < 2 ** (spec.mac_bits - 1)
    assert spec.beats * spec.lanes >= spec.units > (spec.beats - 1) * spec.lanes
    assert spec.clocks_per_step >= spec.analog_clocks_per_step
    multiplier, shift = spec.state_gain
    scale = Fraction(spec.gate("g").weight_range) / (spec.weight_max * spec.input_max)
    assert Fraction(multiplier, 2**shift) == reference.state_gain(spec.state_frac_bits, spec.state_cell, scale)
    assert multiplier % 2 == 1 or shift == 0


@pytest.mark.parametrize(("weight_range", "gain"), [(1 / 182.5, 182), (1 / 181.5, 181), (1 / 190.5, 191)])
def test_a_gain_beside_a_half_is_rounded_exactly(weight_range, gain):
    """The float nearest to 1 / 182.5 is a little more than that; its reciprocal as a float is 182.5 all the same."""
    gates = (Gate("sigmoid", weight_range),) * 4
    spec = Specification(
        inputs=1, units=1, classes=1, adc_bits=2, input_bits=2, weight_bits=2, gates=gates, state_bits=3,
        state_frac_bits=0, state_pulse_bits=9, state_cell=1,
    )  # fmt: skip
    assert abs(1 / weight_range - gain) == 0.5
    assert spec.state_gain == (gain, 0)


# ---- hash, dict, TOML ------------------------------------------------------------------------------------------------


def test_a_projection_has_rows_clocks_and_a_hash_of_its_own():
    """Without one nothing differs, so that what was made before there were any stays readable."""
    spec = DEMO.replace(projection=20, lanes=8)
    assert (spec.hidden, spec.rows, spec.h_beats, spec.beats) == (20, 40 + 20 + 1, 3, 4)
    assert spec.projection_clocks == 20 * 4 + 4
    assert spec.clocks_per_step == DEMO.replace(lanes=8).clocks_per_step + 84
    assert spec.content_hash != DEMO.replace(lanes=8).content_hash
    assert Specification.from_dict(spec.to_dict()) == spec
    assert "projection" not in DEMO.to_dict()
    assert DEMO.replace(projection=32).content_hash != DEMO.content_hash
    with pytest.raises(SpecificationError, match="projection is 33; allowed: 0 to 32"):
        DEMO.replace(projection=33)


def test_the_hashes_are_pinned():
    """Files carry them: a change here makes every model file or bitstream unreadable, so it needs another format."""
    assert (DEMO.format, DEMO.content_hash, DEMO.hardware_hash) == (2, "4eb3e931d9f05ecf", "2aec6eba1015ba4b")
    old = DEMO.replace(format=1)
    assert (old.content_hash, old.hardware_hash) == ("2aec6eba1015ba4b",) * 2
    assert old == DEMO  # the format says how the hash is made, and nothing about the network


@pytest.mark.parametrize(
    ("name", "expected"),
    [("kws", "7475d8a87fccfdcc"), ("kws-aware", "7475d8a87fccfdcc"), ("text", "4bcd624f8b9fd307")],
)
def test_shipped_models_keep_format_and_hash(name, expected):
    spec = load_model(name).spec
    assert (spec.format, spec.content_hash, spec.hardware_hash) == (1, expected, expected)
    assert "format" not in spec.to_dict()
    assert spec.replace(lanes=spec.lanes + 1).content_hash != expected


IMPLEMENTATION = {"lanes", "settle_clocks", "comparator_registers", "tile_rows", "tile_columns"}


@given(specifications(), specifications())
def test_the_hash_follows_what_answers_depend_on(one, other):
    """One hash for two that differ in the implementation alone, two for all others; the hardware hash sees both."""
    same = {name: value for name, value in one.to_dict().items() if name not in IMPLEMENTATION} == {
        name: value for name, value in other.to_dict().items() if name not in IMPLEMENTATION
    }
    assert (one.content_hash == other.content_hash) == same
    assert (one.hardware_hash == other.hardware_hash) == (one == other)


@given(one=specifications(), data=st.data())
def test_implementation_leaves_the_hash_as_it_is(one, data):
    lanes, settle = data.draw(st.integers(1, one.units)), data.draw(st.integers(1, 255))
    other = one.replace(lanes=lanes, settle_clocks=settle)
    assert other.content_hash == one.content_hash
    assert (other.hardware_hash == one.hardware_hash) == (other == one)
    old, changed = one.replace(format=1), other.replace(format=1)
    assert (old.content_hash == changed.content_hash) == (other == one)


@pytest.mark.parametrize("form", [1, 2])
@given(spec=specifications(), seed=seeds)
def test_every_file_format_keeps_format_and_hashes(form, spec, seed, tmp_path_factory):
    """TOML, model file, board identity, JSON."""
    spec, folder = spec.replace(format=form), tmp_path_factory.getbasetemp()
    network = network_of(spec, seed)
    names = tuple(f"class {k}" for k in range(spec.classes))
    model = Model(spec, network.weights, names)
    save_spec(folder / "spec.toml", spec)
    save_model(folder / "model.npz", model)
    found = [load_spec(folder / "spec.toml"), load_model(folder / "model.npz").spec]
    found.append(Specification.from_dict(json.loads(json.dumps(spec.to_dict()))))
    if not spec.projection and spec.readout != "step":
        image = identity_image(Build("any", spec, 1, 1_000_000))
        assert spec.hardware_hash.encode() in image
        found.append(read_identity(image).spec)
    for again in found:
        assert again == spec
        assert (again.format, again.content_hash, again.hardware_hash) == (form, spec.content_hash, spec.hardware_hash)


def test_a_format_of_later_is_refused():
    with pytest.raises(SpecificationError, match=r"^format is 3; allowed: 1 to 2$"):
        Specification.from_dict(DEMO.to_dict() | {"format": 3})


@given(specifications())
def test_equal_content_and_only_that_has_an_equal_hash(spec):
    again = Specification.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.content_hash == spec.content_hash
    assert spec.replace(classes=spec.classes + 1).content_hash != spec.content_hash


def test_every_parameter_is_in_its_hashes():
    other = {
        "gates": (Gate("tanh", 4.0), SIGMOID, Gate("tanh", 4.0), SIGMOID), "state_cell": 6, "lanes": 3,
        "latch": "first_trip", "readout": "last", "state_frac_bits": 7, "projection": 3, "input_bits": 4,
        "weight_bits": 4, "tile_columns": 8, "initial": "constant", "keeps_state": 1, "projection_in": "array",
        "projection_bits": 4, "projection_range": 0.5, "partial_rows": 37, "partial_bits": 6, "partial_cell": 3,
    }  # fmt: skip
    layer = DEMO.replace(classes=0, projection=2)
    for field in dataclasses.fields(DEMO):
        if field.name not in ("cell", "format"):
            demo = DEMO if not field.name.startswith("projection_") else layer
            if field.name in ("projection_bits", "projection_range"):
                demo = demo.replace(projection_in="array")
            if field.name.startswith("partial_"):
                demo = DEMO.replace(classes=0, partial_rows=20 if field.name != "partial_rows" else 0)
            change = other.get(field.name, getattr(demo, field.name) + 1 if field.name in RANGES else None)
            changed = demo.replace(**{field.name: change})
            assert (changed.content_hash != demo.content_hash) == (field.name not in IMPLEMENTATION), field.name
            assert changed.hardware_hash != demo.hardware_hash, field.name
            assert changed.replace(format=1).content_hash != demo.replace(format=1).content_hash, field.name


def test_two_forms_of_one_activation_are_one_content():
    spelled = DEMO.replace(gates=(SIGMOID, Gate("sigmoid[0,1]", 2), TANH, Gate("sigmoid[0.0, 1]", 2.0)))
    assert spelled == DEMO
    assert spelled.content_hash == DEMO.content_hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"colour": 1}, "unknown parameter 'colour'; known: inputs, units, classes, "),
        (lambda d: {k: v for k, v in d.items() if k != "units"}, "parameter 'units' is missing"),
        (lambda d: d | {"gates": {"i": d["gates"]["i"]}}, "gates holds i; expected the tables i, f, g, o"),
        (lambda d: d | {"gates": 3}, "gates holds 3; expected the tables i, f, g, o"),
        (lambda d: d | {"gates": d["gates"] | {"f": {"activation": "tanh"}}}, "gate f is {'activation'"),
        (lambda d: [d], "a specification is a table of parameters, not list"),
    ],
)  # fmt: skip
def test_dicts_refused(change, message):
    with pytest.raises(SpecificationError) as caught:
        Specification.from_dict(change(DEMO.to_dict()))
    assert str(caught.value).startswith(message)


@given(spec=specifications())
def test_toml_reads_back(spec, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "spec.toml"
    save_spec(path, spec)
    assert load_spec(path) == spec
    assert spec_text(load_spec(path)) == path.read_text()


def test_toml_may_leave_defaults_out(tmp_path):
    path = tmp_path / "short.toml"
    path.write_text("inputs = 40\nunits = 32\nclasses = 12\n")
    assert load_spec(path) == DEMO
    assert load_spec(path).format == 1  # as every file that states none


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"units = ", "no valid TOML (Invalid value (at end of document)); correct it there"),
        (b"\xff\xfe", "no valid TOML ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte)"),
        (b"units = 3", "parameter 'inputs' is missing"),
        (b"inputs = 40\nunits = 32\nclasses = 12\nadc_bits = 9", "adc_bits is 9; allowed: 2 to 8"),
        (b"inputs = 40\nunits = 2024-01-01\nclasses = 12", "units is datetime.date(2024, 1, 1); allowed: 1 to 65536"),
    ],
)
def test_toml_refused(tmp_path, content, message):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SpecificationError) as caught:
        load_spec(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_toml_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(SpecificationError, match=r"none\.toml: cannot be read \(No such file or directory\)"):
        load_spec(tmp_path / "none.toml")
    with pytest.raises(SpecificationError, match=r"cannot be written \(No such file or directory\); choose"):
        save_spec(tmp_path / "no" / "spec.toml", DEMO)
