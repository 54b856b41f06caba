# SPDX-License-Identifier: Apache-2.0
"""Files that PyTorch's exporters wrote: layers, readouts and heads, against what PyTorch computed of them."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from crossramp.convert.formats.onnx.onnx_reader import read_onnx

DATA = Path(__file__).parents[2] / "data"
NEAR = 1e-6

BOTH = ("lstm", "lstm backward")

#: Of each file: the readout, and the cells of the layers that are read.
READ = {
    "lstm_mean_legacy": ("mean", [BOTH, BOTH]),
    "lstm_mean_dynamo": ("mean", [BOTH, BOTH]),
    "lstm_mean_fixed": ("mean", [BOTH, BOTH]),
    "lstm_every_step_time_first": ("step", [BOTH, BOTH]),
    "lstm_last_legacy": ("last", [("lstm",)] * 3),
    "gru_last_dynamo": ("last", [("gru_reset_after",)]),
    "gru_last_fixed": ("last", [("gru_reset_after",)]),
    "lstm_h_of_the_last_layer": ("last", [("lstm",)] * 3),
    "lstm_h_of_both": ("last", [BOTH, BOTH]),
    "lstm_both_ends": ("last", [BOTH]),
    "rnn_relu_legacy": ("mean", [("rnn_relu",)]),
    "lstm_linear_lstm": ("last", [("lstm",), ("lstm",), ("dense",)]),
    "gru_by_hand": ("step", [("gru_reset_after", "gru_reset_after backward")]),
    "lstm_learned_states": ("step", [("lstm",)]),
}

REFUSED = {
    "lstm_last_of_both": "takes the last step of layer '/layer/LSTM_reverse', whose last one is the first; take h_n",
    "rnn_unrolled_dynamo": r"node 'node_Slice_\d+' \(Slice\): it takes single steps of the input, as an unrolled graph",
    "gru_by_hand_not_flipped_back": r"node '/Concat.*' \(Concat\): .* runs from the last step to the first; flip it",
    "gru_state_at_run_time": r"node '/layer/GRU' \(GRU\): initial_h is the input 'h0' of the graph, or depends on it",
    "lstm_maximum": r"node '/ReduceMax' \(ReduceMax\): the hardware has no maximum over steps",
}


@pytest.fixture(scope="module")
def expected():
    return np.load(DATA / "onnx_exports.npz")


@pytest.mark.filterwarnings("ignore:the output")
@pytest.mark.parametrize("name", READ)
def test_equals_pytorch(name, expected):
    network = read_onnx(DATA / f"{name}.onnx")
    readout, cells = READ[name]
    assert network.readout == readout
    found = [tuple(layer.cell + " backward" * layer.reverse for layer in layers) for layers in network.layers]
    assert found == cells
    x, y = expected[f"{name}.x"], expected[f"{name}.y"]
    if "time_first" in name:
        x = x.swapaxes(0, 1)
        y = y.swapaxes(0, 1) if y.shape[0] == x.shape[1] else y
    logits = network.run(x).logits
    if name == "lstm_linear_lstm":  # which ends with a softmax
        logits = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(logits, y, rtol=0, atol=NEAR)
    assert np.abs(network.run(-x).logits - network.run(x).logits).max() > 1e-3


def test_exporters_agree_on_the_network():
    """Both exporters, and fixed sizes: one network."""
    networks = [read_onnx(DATA / f"lstm_mean_{how}.onnx") for how in ("legacy", "dynamo", "fixed")]
    shapes = [[layer.weights["g", "x"].shape for pair in network.layers for layer in pair] for network in networks]
    assert shapes == [[(4, 3), (4, 3), (4, 8), (4, 8)]] * 3


def test_learned_states_and_the_mean_of_inputs_are_in_the_layer():
    (layer,) = read_onnx(DATA / "lstm_learned_states.onnx").layers[0]
    assert layer.initial_h.shape == layer.initial_register.shape == (4,)
    assert np.abs(layer.initial_h - layer.initial_register).max() > 0.01


@pytest.mark.filterwarnings("ignore:the output")
@pytest.mark.parametrize("name", REFUSED)
def test_what_no_hardware_does_is_refused_by_the_name_of_the_node(name):
    with pytest.raises(ValueError, match=rf"^{name}\.onnx: .*{REFUSED[name]}") as caught:
        read_onnx(DATA / f"{name}.onnx")
    assert "\n" not in str(caught.value)


def test_every_file_is_tested():
    assert {path.stem for path in DATA.glob("*.onnx")} == {*READ, *REFUSED}
