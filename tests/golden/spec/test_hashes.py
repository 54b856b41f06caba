# SPDX-License-Identifier: Apache-2.0
"""Hashes and keys follow every field: generic over the fields, so that a new one is covered the day it is added."""

import dataclasses

import numpy as np
import pytest
from crossramp.golden.analog.technologies.constants import CONSTANTS, PAIRS, RAMP_KINDS
from crossramp.golden.analog.technologies.technology import load, shipped
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.description import Gate
from crossramp.golden.common.declared import declarations
from crossramp.golden.network.model_file import Model
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.implementation import ImplementationParameters
from crossramp.golden.spec.specification import Specification

SPEC = Specification(inputs=3, units=4, classes=2, lanes=2, projection=2)
#: Another legal value of fields whose own value plus one is none.
_OTHERS = {
    "gates": (Gate("sigmoid", 2.0), Gate("sigmoid", 2.0), Gate("hard_tanh", 2.0), Gate("sigmoid", 2.0)),
    "latch": "first_trip",
    "initial": "stream",
    "readout": "last",
    "tile_columns": 8,
    "projection_in": "array",
    "projection_bits": 4,
    "projection_range": 0.5,
    "partial_rows": 4,
}
#: What some fields need: a layer of a network, and there a projection in an array or rows in several arrays.
_PROJECTING = {"classes": 0, "projection_in": "array"}
_SUMMING = {"classes": 0, "partial_rows": 4, "partial_cell": 7}
_NEEDED = {
    "projection_in": {"classes": 0},
    "projection_bits": _PROJECTING,
    "projection_range": _PROJECTING,
    "partial_rows": {"classes": 0},
    "partial_bits": _SUMMING,
    "partial_cell": _SUMMING,
}
_SKIPPED = ("cell", "format")  # "lstm" is all there is; the format is no parameter
_IMPLEMENTATION = [name for name, _ in declarations(ImplementationParameters)]


def another(spec: Specification, name: str) -> Specification:
    """``spec`` with another legal value of a parameter."""
    value = getattr(spec, name)
    for other in [_OTHERS[name]] if name in _OTHERS else (value + 1, value - 1):
        try:
            return spec.replace(**{name: other})
        except SpecificationError:
            continue
    return pytest.fail(f"no other value of {name} is legal")


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Specification) if f.name not in _SKIPPED])
def test_a_specifications_hash_follows_every_parameter(name):
    spec = SPEC.replace(**_NEEDED.get(name, {}))
    other = another(spec, name)
    assert getattr(other, name) != getattr(spec, name)
    assert (other.content_hash != spec.content_hash) == (name not in _IMPLEMENTATION)
    assert other.hardware_hash != spec.hardware_hash
    assert other.to_dict() != spec.to_dict()
    assert Specification.from_dict(other.to_dict()) == other
    assert spec.replace().content_hash == spec.content_hash


@pytest.mark.parametrize("gate", range(4), ids="ifgo")
@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Gate)])
def test_a_specifications_hash_follows_every_gate(gate, field):
    gates = [Gate("sigmoid", 2.0), Gate("hard_sigmoid", 2.0), Gate("tanh", 2.0), Gate("softplus[0,1]", 2.0)]
    spec = SPEC.replace(gates=tuple(gates))
    change = {"activation": "clipped_relu", "weight_range": np.nextafter(2.0, 3.0).item(), "bits": 6}[field]
    gates[gate] = dataclasses.replace(gates[gate], **{field: change})
    assert spec.replace(gates=tuple(gates)).content_hash != spec.content_hash


def model(**changes) -> Model:
    arrays = {
        "weights": np.arange(-28, 84).reshape(7, 16) % 15,
        "head_weights": np.arange(4).reshape(2, 2),
        "head_biases": np.arange(2),
        "projection_weights": np.arange(8).reshape(2, 4),
        "initial_register": np.arange(4),
        "initial_h": np.arange(2),
    }
    spec = SPEC.replace(bias_rows=2, initial="constant")
    return Model(**({"spec": spec, "class_names": ("a", "b"), "weights": Weights.from_arrays(arrays)} | changes))


#: What no answer and no name of an answer depends on.
_NOT_CONTENT = ("features", "provenance")


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Model) if f.name not in _NOT_CONTENT])
def test_a_models_hash_follows_every_field(name):
    one = model()
    value = getattr(one, name)
    if name == "spec":
        others = [one.spec.replace(state_cell=5)]
    elif name == "class_names":
        others = [("a", "c"), ("b", "a")]
    elif name == "output_unit":
        others = [0.5, 1]
    else:
        others, arrays = [], value.arrays()
        for key, array in arrays.items():
            for place in (0, -1):  # the first and the last number count
                changed = array.copy()
                changed.flat[place] += 1
                others.append(Weights.from_arrays(arrays | {key: changed}))
    hashes = {model(**{name: other}).content_hash for other in others}
    assert one.content_hash not in hashes
    assert len(hashes) == len(others)
    assert model().content_hash == one.content_hash
    assert model(provenance={"seed": 1}).content_hash == one.content_hash


def others(tech, constant: str):
    """A copy of a technology for each number of a constant, in which that one is another."""
    value, limits = tech[constant], CONSTANTS[constant]
    numbers = list(value) if isinstance(value, tuple) else [value]
    for place, number in enumerate(numbers):
        for other in (number * 1.001, number * 0.999, number + 1e-7, number + 1, number - 1, limits.high / 2):
            changed = [*numbers[:place], other, *numbers[place + 1 :]]
            try:
                copy = tech.replace({constant: tuple(changed) if len(changed) > 1 else other})
            except ValueError:
                continue
            if copy[constant] != value:
                yield copy
                break
        else:
            pytest.fail(f"no other value of {constant}[{place}] is legal")


@pytest.mark.parametrize("name", shipped())
def test_a_technologys_hash_follows_every_constant(name):
    tech = load(name)
    copies = [copy for constant in tech.names for copy in others(tech, constant)]
    assert len(copies) == sum(CONSTANTS[constant].length for constant in tech.names)
    copies.append(tech.replace({"ramp": next(kind for kind in RAMP_KINDS if kind != tech.ramp_kind)}))
    if tech.read_mode == "current":  # charge has no reference column
        copies.append(tech.replace({"pair": next(pair for pair in PAIRS if pair != tech.pair)}))
    assert len({copy.content_hash for copy in (tech, *copies)}) == len(copies) + 1
    assert tech.replace({}).content_hash == tech.content_hash
