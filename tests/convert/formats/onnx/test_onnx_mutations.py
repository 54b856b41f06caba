# SPDX-License-Identifier: Apache-2.0
"""Exported graphs with a few nodes changed at random: each is refused, or read as what onnxruntime computes."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnx
from crossramp.convert.formats.onnx.onnx_reader import network_of
from crossramp.golden.common.errors import InvalidValue
from onnx import numpy_helper

from tests.support.onnx_models import by_onnxruntime
from tests.support.planted import planted

DATA = Path(__file__).parents[2] / "data"
NAMES = (
    "lstm_mean_legacy",
    "gru_last_dynamo",
    "lstm_h_of_both",
    "lstm_both_ends",
    "gru_by_hand",
    "lstm_learned_states",
)
KINDS = ("Add", "Sub", "Tanh", "Relu", "Softmax", "Identity")
NEAR = 1e-5


def mutate(graph, rng) -> None:
    """Change one node: an input, an attribute, a small constant, its operator; or leave it out."""
    node = graph.node[rng.integers(len(graph.node))]
    small = [one for one in graph.initializer if one.data_type == onnx.TensorProto.INT64]
    small += [one.t for each in graph.node for one in each.attribute if one.name == "value"]
    kind = rng.integers(5)
    if kind == 0 and node.input:
        names = [one.name for one in graph.initializer] + [name for each in graph.node for name in each.output]
        node.input[rng.integers(len(node.input))] = str(rng.choice(names))
    elif kind == 1 and node.attribute:
        one = node.attribute[rng.integers(len(node.attribute))]
        if one.type == onnx.AttributeProto.INT:
            one.i = int(rng.choice([-2, -1, 0, 1, 2]))
        one.ints[:] = rng.permutation(one.ints).tolist()
    elif kind == 2 and small:
        one = small[rng.integers(len(small))]
        value = numpy_helper.to_array(one)
        if value.dtype == np.int64:
            one.CopyFrom(numpy_helper.from_array(rng.choice([-1, 0, 1, 2, 4], value.shape), one.name))
    elif kind == 3:
        node.op_type = str(rng.choice(KINDS))
    elif node.input and node.output:
        for each in graph.node:
            each.input[:] = [node.input[0] if name == node.output[0] else name for name in each.input]


def outcome(model, rng) -> str:
    """``"refused"``; ``"invalid"`` if onnxruntime refuses it; ``"equal"`` or ``"different"``."""
    try:
        network = network_of(model)
    except InvalidValue:
        return "refused"
    x = rng.normal(size=(2, 7, 3)).astype(np.float32)
    try:
        expected = by_onnxruntime(model, {"x": x})[0]
    except Exception:  # of onnxruntime, without a base of its own
        return "invalid"
    for given in (x, x.swapaxes(0, 1)):  # a changed transpose may swap batch and steps
        logits = network.run(given).logits
        for got in (logits, logits.swapaxes(0, 1)):
            if got.size == expected.size and np.allclose(got.squeeze().ravel(), expected.ravel(), rtol=0, atol=NEAR):
                return "equal"
    exponential = np.exp(logits)
    shares = [exponential / exponential.sum(axis, keepdims=True) for axis in range(logits.ndim)]  # a softmax at the end
    fits = logits.shape == expected.shape and any(np.allclose(one, expected, rtol=0, atol=NEAR) for one in shares)
    return "equal" if fits else "different"


def outcomes(rng, count: int) -> list[str]:
    found = []
    for number in range(count):
        model = onnx.load(DATA / f"{NAMES[number % len(NAMES)]}.onnx")
        for _ in range(rng.integers(1, 3)):
            mutate(model.graph, rng)
        found.append(outcome(model, rng))
    return found


@pytest.mark.filterwarnings("ignore::crossramp.convert.formats.onnx.onnx_reader.ConversionWarning")
def test_changed_graphs_are_refused_or_read_rightly(rng):
    found = outcomes(rng, 120)
    assert "different" not in found
    assert found.count("equal") > 10
    assert found.count("refused") > 30


def test_a_reader_that_forgets_is_seen(rng):
    model = onnx.load(DATA / "lstm_mean_legacy.onnx")
    assert outcome(model, rng) == "equal"
    with planted("convert/graph/signal_operators.py", "steps=MEAN, flipped=None)", "steps=LAST, flipped=None)"):
        assert outcome(model, rng) == "different"
