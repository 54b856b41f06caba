# SPDX-License-Identifier: Apache-2.0
"""Wrong types in every field of what is constructed: one line that quotes the value; numpy's numbers are numbers."""

import dataclasses
import json

import numpy as np
import pytest
from crossramp.golden.analog.chip.sampling import sample
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.analog.technologies.technology import TechnologyError, load
from crossramp.golden.array.ramps import Ramp
from crossramp.golden.cell.description import Gate
from crossramp.golden.common.checks import integer, real, told, whole
from crossramp.golden.inputs.features import FeatureSettings
from crossramp.golden.inputs.text_codes import TextSettings
from crossramp.golden.link.board_memory import Build
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.specification import Specification
from crossramp.train.recipes.settings import Hardware, RecipeError

SPEC = Specification(inputs=5, units=3, classes=2, lanes=2)

#: Of no field's type; a field that takes text, or None, leaves those out.
WRONG = (
    *(
        None,
        "five",
        "5",
        b"5",
        5.0,
        5.5,
        float("nan"),
        float("inf"),
        1j,
        True,
        np.True_,
        np.float64(5.0),
        np.datetime64(5, "s"),
    ),
    *(
        [5],
        (5,),
        {"a": 5},
        {5},
        object,
        object(),
        np.array([5]),
        np.array([[5, 6]]),
        np.array("5"),
        np.zeros(0),
        "a\nb",
    ),
)

CONSTRUCTED = {
    "specification": (SPEC.replace, Specification, SpecificationError),
    "features": (lambda **changes: dataclasses.replace(FeatureSettings(), **changes), FeatureSettings, ValueError),
    "text": (lambda **changes: dataclasses.replace(TextSettings("ab"), **changes), TextSettings, ValueError),
    "hardware": (lambda **changes: dataclasses.replace(Hardware(), **changes), Hardware, RecipeError),
}

#: Values that a field takes, although another one refuses them.
RIGHT = {
    "gates": (None,),
    "state_bits": (None,),
    "state_frac_bits": (None,),
    "state_cell": (None,),
    "state_pulse_bits": (None,),
    "projection_bits": (None,),
    "projection_range": (5.0, 5.5, np.float64(5.0)),
    "partial_bits": (None,),
    "partial_cell": (None,),
    "embedding": (None,),
    "vocabulary": ("five", "5", "a\nb"),
    "sigmoid_range": (5.0, 5.5, np.float64(5.0)),
    "logit_scale": (5.0, 5.5, np.float64(5.0)),
    "low_hz": (5.0, 5.5, np.float64(5.0)),
    "level_gain": (5.0, 5.5, np.float64(5.0)),
    "level_offset": (5.0, 5.5, np.float64(5.0)),
    "level_max": (5.0, 5.5, np.float64(5.0)),
    "high_hz": (5.0, 5.5, np.float64(5.0)),
    "band_offset": (5.0, 5.5, np.float64(5.0), [5], (5,), np.array([5])),
    "band_gain": (5.0, 5.5, np.float64(5.0), [5], (5,), np.array([5])),
}


@pytest.mark.parametrize("what", CONSTRUCTED)
def test_wrong_types_are_refused_in_one_line(what):
    make, kind, refusal = CONSTRUCTED[what]
    count = 0
    for field in dataclasses.fields(kind):
        for value in WRONG:
            if any(value is right or repr(value) == repr(right) for right in RIGHT.get(field.name, ())):
                continue
            with pytest.raises(refusal) as caught:
                make(**{field.name: value})
            message = str(caught.value)
            assert "\n" not in message, (field.name, value)
            assert len(message) < 300
            assert field.name.rstrip("s") in message, (field.name, value, message)
            count += 1
    assert count > 60


def test_a_float_is_told_as_one():
    """An allowed value must not stand beside "allowed"."""
    with pytest.raises(SpecificationError, match=r"^adc_bits is 5\.0 \(float\); allowed: integers, 2 to 8$"):
        SPEC.replace(adc_bits=5.0)
    with pytest.raises(SpecificationError, match=r"^adc_bits is True \(bool\); allowed: integers"):
        SPEC.replace(adc_bits=True)
    with pytest.raises(SpecificationError, match=r"^adc_bits is 9; allowed: 2 to 8$"):
        SPEC.replace(adc_bits=np.int64(9))
    with pytest.raises(SpecificationError, match=r"^gates is 5; expected 4 of Gate"):
        SPEC.replace(gates=5)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16])
def test_any_integer_is_an_integer(kind):
    """The same specification, hash, JSON and settings, in every field."""
    numbers = {f.name: getattr(SPEC, f.name) for f in dataclasses.fields(SPEC)}
    made = Specification(**{name: kind(v) if isinstance(v, int) and v < 128 else v for name, v in numbers.items()})
    assert (made, made.content_hash) == (SPEC, SPEC.content_hash)
    assert json.dumps(made.to_dict()) == json.dumps(SPEC.to_dict())
    assert all(type(getattr(made, name)) is type(value) for name, value in numbers.items())
    settings = FeatureSettings(bands=kind(40), frames_per_step=kind(2))
    assert json.dumps(settings.to_dict()) == json.dumps(FeatureSettings(bands=40, frames_per_step=2).to_dict())
    text = TextSettings("ab", ((kind(1),), (kind(2),)), kind(15))
    assert json.dumps(text.to_dict()) == json.dumps(TextSettings("ab", ((1,), (2,)), 15).to_dict())
    assert Ramp(SPEC.ramps[0], kind(5), 0.1).bits == 5
    assert CalibrationPlan(SPEC, kind(2)).repeats == CalibrationPlan(SPEC, 2).repeats
    assert Build("b", SPEC, kind(2), kind(100), kind(9)) == Build("b", SPEC, 2, 100, 9)
    assert Hardware(units=kind(8)) == Hardware(units=8)
    assert type(Hardware(units=kind(8)).units) is int


def test_any_real_is_a_real():
    gates = tuple(Gate(gate.activation, np.float32(gate.weight_range)) for gate in SPEC.gates[:2])
    made = SPEC.replace(gates=(*gates, SPEC.gates[2], SPEC.gates[3]))
    assert made.content_hash == SPEC.content_hash
    assert type(made.gates[0].weight_range) is float
    rram = load("rram")
    assert rram.replace({"cell.read_noise": np.float64(0.02)}) == rram.replace({"cell.read_noise": 0.02})
    assert rram.replace({"cell.levels": np.int64(16)}).content_hash == rram.replace({"cell.levels": 16}).content_hash
    with pytest.raises(TechnologyError, match=r"cell\.levels is '5'; expected a number"):
        rram.replace({"cell.levels": "5"})


def test_seeds():
    weights = np.zeros((SPEC.rows, SPEC.columns), int)
    made = sample(load("rram"), SPEC, weights, np.int64(7))
    assert (made.seed, type(made.seed)) == (7, int)
    for wrong in (None, "7", 7.0, True, -1, 1 << 63):
        with pytest.raises(ValueError, match="seed is"):
            sample(load("rram"), SPEC, weights, wrong)


def test_numbers():
    assert [whole(value) for value in (5, np.int8(5), True, np.True_, 5.0, "5", None)] == [5, 5, *[None] * 5]
    assert [real(value) for value in (5, 5.5, np.float32(5.5), np.int8(5), True, "5", None)] == [
        5.0,
        5.5,
        5.5,
        5.0,
        *[None] * 3,
    ]
    assert real(10**400) == float("inf")
    assert integer("n", np.uint8(3), 1) == 3
    with pytest.raises(ValueError, match=r"^n is 0; allowed: 1 and up$"):
        integer("n", 0, 1)
    assert told("a\nb") == r"'a\nb'"
    assert len(told("x" * 1000)) < 100
