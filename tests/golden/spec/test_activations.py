# SPDX-License-Identifier: Apache-2.0
"""Activations: inverses, ranges, the registry, texts and messages."""

import numpy as np
import pytest
from crossramp.golden.spec import activations
from crossramp.golden.spec.activations import REGISTRY, Activation, activation, register
from hypothesis import given
from hypothesis import strategies as st

from tests.support.references import exact_numbers as reference

NAMES = sorted(name for name, act in REGISTRY.items() if not act.turns)


def test_the_registry_holds_those_promised():
    promised = "sigmoid tanh softsign identity clipped_relu hard_sigmoid hard_tanh softplus elu selu"
    assert set(promised.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_inverse_inverts_inside_the_range(name):
    act = activation(name)
    y = act.low + (act.high - act.low) * np.arange(1, 1024) / 1024
    np.testing.assert_allclose(act(act.inverse(y)), y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_inverse_equals_the_reference(name):
    act = activation(name)
    y = act.low + (act.high - act.low) * np.arange(1, 256) / 256
    expected = [reference.INVERSES[name][0](value) for value in y.tolist()]
    np.testing.assert_allclose(act.inverse(y), expected, rtol=1e-12, atol=1e-12)
    assert (np.diff(act.inverse(y)) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_function_is_monotonic_and_saturates_at_the_range(name):
    act = activation(name)
    values = act(np.linspace(-50, 50, 4001))
    assert (np.diff(values) >= 0).all()
    assert act.low <= values.min()
    assert values.max() <= act.high


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("sigmoid", 1.0, 0.7310585786300049),
        ("tanh", 0.5, 0.46211715726000975),
        ("softsign", -3.0, -0.75),
        ("identity", 0.25, 0.25),
        ("clipped_relu", -0.5, 0.0),
        ("clipped_relu", 7.0, 1.0),
        ("hard_sigmoid", 1.5, 0.75),
        ("hard_tanh", -2.0, -1.0),
        ("softplus", 0.0, 0.6931471805599453),
        ("elu", -1.0, -0.6321205588285577),
        ("selu", -1.0, -1.1113307378125625),
        ("selu", 1.0, 1.0507009873554805),
    ],
)
def test_known_values(name, x, y):
    assert activation(name)(x) == pytest.approx(y, abs=1e-15)


@given(st.sampled_from(["identity", "tanh"]), st.floats(-1, 0), st.floats(0.001, 1))
def test_texts_read_back_as_the_same_range(name, low, high):
    act = activation(f"{name}[{low!r},{high!r}]")
    again = activation(act.text)
    assert (again.low, again.high, again.name) == (low, high, name)
    assert again.text == act.text


def test_the_default_range_is_left_out():
    assert activation("tanh[-1, 1]").text == "tanh"
    assert activation("softplus[0,1]").text == "softplus[0,1]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("swish", r"unknown activation 'swish'; known: sigmoid, tanh, .*, each also as name\[low,high\]"),
        (3, r"unknown activation 3; known"),
        ("tanh[", r"unknown activation 'tanh\['"),
        ("tanh[a,b]", r"activation 'tanh\[a,b\]': the range must be two numbers, as in tanh\[-1,1\]"),
        ("tanh[1,-1]", r"activation tanh: range \[1.0, -1.0\] is empty; give low < high"),
        ("tanh[-2,1]", r"activation tanh: range \[-2, 1\] leaves the function's own \[-1, 1\]"),
        ("identity[0,inf]", r"activation identity: range \[0.0, inf\] is not finite"),
        ("identity[nan,1]", r"activation identity: range \[nan, 1.0\] is not finite"),
    ],
)
def test_texts_refused(text, message):
    with pytest.raises(ValueError, match=message):
        activation(text)


def test_registering_another(monkeypatch):
    monkeypatch.setattr(activations, "REGISTRY", dict(REGISTRY))
    cube = Activation("cube", lambda x: x**3, np.cbrt, -1.0, 1.0)
    assert register(cube) is activation("cube")
    with pytest.raises(ValueError, match="activation 'cube' is registered already"):
        register(cube)
    with pytest.raises(ValueError, match="activation name 'Cube': use lower-case letters and underscores"):
        register(Activation("Cube", lambda x: x, lambda y: y, -1.0, 1.0))
