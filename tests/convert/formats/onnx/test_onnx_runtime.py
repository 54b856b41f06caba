# SPDX-License-Identifier: Apache-2.0
"""Recurrent nodes with random weights and attributes against onnxruntime: what ONNX's own tests leave out."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from tests.support.onnx_models import bound, by_float_network, by_onnxruntime, drawn_arrays, node_model
from tests.support.planted import planted

NEAR = 1e-6
DIRECTIONS = ("forward", "reverse", "bidirectional")


def largest_difference(rng, kind: str, parts: str, *, opset=14, scale=0.8, **attributes) -> float:
    """Of all outputs, between onnxruntime and the float network, for random arrays of a node."""
    count = 1 + (attributes.get("direction") == "bidirectional")
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * count
    arrays = drawn_arrays(rng, kind, count, parts=parts, scale=scale)
    model = node_model(kind, arrays, opset=opset, **attributes)
    pairs = zip(by_onnxruntime(model, arrays), by_float_network(model, arrays), strict=True)
    return max(float(np.abs(expected - got).max()) for expected, got in pairs)


CASES = {
    "lstm": ("LSTM", "XWRB", {}),
    "lstm, opset 7": ("LSTM", "XWRB", {"opset": 7}),
    "lstm, opset 22": ("LSTM", "XWRB", {"opset": 22}),
    "lstm, no bias": ("LSTM", "XWR", {}),
    "lstm, states": ("LSTM", "XWRBhc", {}),
    "lstm, h alone": ("LSTM", "XWRBh", {}),
    "lstm, c alone": ("LSTM", "XWRc", {}),
    "lstm, lengths": ("LSTM", "XWRBlhc", {}),
    "lstm, lengths, reverse": ("LSTM", "XWRBl", {"direction": "reverse"}),
    "lstm, lengths, both": ("LSTM", "XWRBlhc", {"direction": "bidirectional"}),
    "lstm, peepholes": ("LSTM", "XWRBP", {}),
    "lstm, peepholes, states, both": ("LSTM", "XWRBPhc", {"direction": "bidirectional"}),
    "lstm, clip": ("LSTM", "XWRB", {"clip": 0.5}),
    "lstm, peepholes, clip": ("LSTM", "XWRBP", {"clip": 0.7}),
    "lstm, input_forget": ("LSTM", "XWRB", {"input_forget": 1}),
    "lstm, HardSigmoid": ("LSTM", "XWRB", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}),
    "lstm, HardSigmoid, peepholes, clip": (
        "LSTM",
        "XWRBP",
        {"activations": ["HardSigmoid", "Tanh", "Tanh"], "activation_alpha": [1 / 6], "clip": 0.4},
    ),
    "lstm, Relu": ("LSTM", "XWRB", {"activations": ["Sigmoid", "Relu", "Relu"], "scale": 0.4}),
    "lstm, Softsign": ("LSTM", "XWRB", {"activations": ["sigmoid", "SOFTSIGN", "softsign"]}),
    "gru": ("GRU", "XWRB", {}),
    "gru, no bias": ("GRU", "XWR", {}),
    "gru, lengths, states, both": ("GRU", "XWRBlh", {"direction": "bidirectional"}),
    "gru, clip": ("GRU", "XWRB", {"clip": 0.5}),
    "gru after": ("GRU", "XWRB", {"linear_before_reset": 1}),
    "gru after, no bias": ("GRU", "XWR", {"linear_before_reset": 1}),
    "gru after, lengths, states, both": (
        "GRU",
        "XWRBlh",
        {"linear_before_reset": 1, "direction": "bidirectional"},
    ),
    "gru after, reverse": ("GRU", "XWRB", {"linear_before_reset": 1, "direction": "reverse", "opset": 22}),
    "gru after, clip": ("GRU", "XWRB", {"linear_before_reset": 1, "clip": 0.5}),
    "gru, HardSigmoid, Softsign": ("GRU", "XWRB", {"activations": ["HardSigmoid", "Softsign"]}),
    "rnn": ("RNN", "XWRB", {"opset": 7}),
    "rnn, Relu": ("RNN", "XWRB", {"activations": ["Relu"], "scale": 0.4}),
    "rnn, Softsign, both": ("RNN", "XWRB", {"activations": ["Softsign"], "direction": "bidirectional"}),
    "rnn, Softplus": ("RNN", "XWRB", {"activations": ["Softplus"], "scale": 0.3}),
    "rnn, Elu": ("RNN", "XWRB", {"activations": ["Elu"], "scale": 0.4}),
    "rnn, Affine": ("RNN", "XWRB", {"activations": ["Affine"], "activation_alpha": [0.3], "activation_beta": [0.2]}),
    "rnn, ScaledTanh": (
        "RNN",
        "XWRB",
        {"activations": ["ScaledTanh"], "activation_alpha": [1.0], "activation_beta": [0.5]},
    ),
    "rnn, lengths, states, reverse": ("RNN", "XWRBlh", {"direction": "reverse"}),
    "rnn, clip": ("RNN", "XWRB", {"clip": 0.3}),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_onnxruntime(case, rng):
    kind, parts, attributes = CASES[case]
    assert largest_difference(rng, kind, parts, **attributes) < NEAR


@pytest.mark.parametrize("number", range(12))
def test_random_attributes(number, seed):
    rng = np.random.default_rng([seed, number])
    kind = rng.choice(["LSTM", "GRU", "RNN"])
    parts = "XWR" + "".join(letter for letter in "Blh" if rng.random() < 0.6)
    attributes = {"direction": str(rng.choice(DIRECTIONS)), "opset": int(rng.choice([7, 11, 14, 22]))}
    if rng.random() < 0.5:
        attributes["clip"] = float(rng.uniform(0.2, 1.5))
    if kind == "LSTM":
        parts += "".join(letter for letter in "cP" if rng.random() < 0.5)
        attributes["input_forget"] = int("P" not in parts and rng.random() < 0.5)
    if kind == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    assert largest_difference(rng, kind, parts, **attributes) < NEAR, (kind, parts, attributes)


@pytest.mark.parametrize(
    ("file", "old", "new", "case"),
    [
        ("convert/formats/onnx/onnx_recurrent.py", "limit * abs(bends[bank].scale)", "limit * 2", "rnn, clip"),
        ("convert/formats/onnx/onnx_recurrent.py", "rows[0]", "-rows[0]", "lstm, states"),
        ("golden/cell/real_cell.py", "value * weight)", "value)", "lstm, peepholes"),
    ],
)
def test_a_fault_is_seen(file, old, new, case, rng):
    kind, parts, attributes = CASES[case]
    with planted(file, old, new):
        assert largest_difference(rng, kind, parts, **attributes) > 1e-3


def test_peepholes_of_zero_are_none(rng):
    arrays = drawn_arrays(rng, "LSTM", parts="XWRBP")
    arrays["P"][:] = 0
    assert bound(node_model("LSTM", arrays), {}).layers[0][0].cell == "lstm"


def test_clip_leaves_c_alone_as_onnxruntime_does():
    """The operator's text says that the input of every activation is clipped; onnxruntime does not clip c."""
    arrays = {"X": np.zeros((9, 1, 1)), "W": np.zeros((1, 4, 1)), "R": np.zeros((1, 4, 1)), "B": np.full((1, 8), 2.0)}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    model = node_model("LSTM", arrays, clip=0.5)
    (layer,) = bound(model, {}).layers[0]
    assert layer.clip == dict.fromkeys("ifgo", 0.5)
    gate, value = 1 / (1 + np.exp(-0.5)), np.tanh(0.5)
    c = value * gate * (1 - gate**9) / (1 - gate)  # after nine steps
    assert c > 0.7
    assert by_onnxruntime(model, arrays)[1].item() == pytest.approx(gate * np.tanh(c), abs=NEAR)
    assert layer.run(np.zeros((1, 9, 1)))[0, -1].item() == pytest.approx(gate * np.tanh(c), abs=NEAR)
    by_the_text = replace(layer, clip={**layer.clip, "t": 0.5})
    assert by_the_text.run(np.zeros((1, 9, 1)))[0, -1].item() == pytest.approx(gate * value, abs=NEAR)
