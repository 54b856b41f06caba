# SPDX-License-Identifier: Apache-2.0
"""Graphs by hand, each after a fault that users of other converters met, against onnxruntime."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from crossramp.convert.formats.onnx.onnx_reader import ConversionWarning, network_of
from onnx import helper

from tests.support.onnx_models import GATES, bound, by_onnxruntime, drawn_arrays, graph_model, node_model

INPUTS, UNITS, BATCH, STEPS = 3, 4, 3, 6
NEAR = 1e-6
node = helper.make_node


def layer_model(rng, kind: str, behind, outputs=("y",), constants=None, *, direction="forward", shape=None, **options):
    """A recurrent node on x, of the axes steps, batch, inputs, with nodes behind its outputs Y and Y_h."""
    arrays = drawn_arrays(rng, kind, 1 + (direction == "bidirectional"))
    own = {name: arrays[name] for name in "WRB"}
    lengths = options.pop("lengths", False)
    names = ["x", "W", "R", "B", *["sequence_lens"] * lengths]
    recurrent = node(kind, names, ["Y", "Y_h"], name="recurrent", hidden_size=UNITS, direction=direction)
    inputs = {"x": ("steps", "batch", INPUTS) if shape is None else shape}
    if lengths:
        inputs["sequence_lens"] = ("batch",)
    return graph_model([recurrent, *behind], inputs, outputs, own | (constants or {}), **options)


def check(model, rng, lengths=None) -> None:
    """Logits of the network are those of onnxruntime, whose output may have axes of size 1, and the steps first."""
    x = rng.normal(0, 1, (STEPS, BATCH, INPUTS)).astype(np.float32)
    expected = by_onnxruntime(model, {"x": x, "sequence_lens": lengths})[0]
    network = network_of(model)
    got = network.run(x.swapaxes(0, 1), lengths).logits
    got = got.swapaxes(0, 1) if network.readout == "step" else got
    np.testing.assert_allclose(got, expected.reshape(got.shape), rtol=0, atol=NEAR)


# ---- forms of a GRU, order of gates, halves of biases ----------------------------------------------------------------


def test_both_forms_of_a_gru_are_different_cells_and_one_is_doubted(rng):
    """pytorch#189225: an exporter wrote nn.GRU with linear_before_reset=0."""
    for after, cell in ((0, "gru"), (1, "gru_reset_after")):
        model = node_model("GRU", drawn_arrays(rng, "GRU"), linear_before_reset=after)
        assert bound(model, {}).layers[0][0].cell == cell
        model.producer_name = "pytorch"
        if after:
            bound(model, {})
        else:
            with pytest.warns(ConversionWarning, match=r"node 'recurrent' \(GRU\): linear_before_reset is 0, .*189225"):
                bound(model, {})


@pytest.mark.parametrize(
    ("kind", "attributes", "banks", "of_r"),
    [
        ("LSTM", {}, "iofg", "iofg"),
        ("GRU", {}, "zrn", "zrn"),
        ("GRU", {"linear_before_reset": 1}, "zrn", "zrm"),
        ("RNN", {}, "a", "a"),
    ],
)
def test_each_gate_goes_to_its_bank(kind, attributes, banks, of_r):
    """keras#8720, coremltools#93, ngraph#3733: one weight at a time, and biases that are all different."""
    gates = GATES[kind]
    primes = [2, 3, 5, 7, 11, 13, 17, 19][: 2 * gates]
    for number, bank in enumerate(banks):
        arrays = {name: np.zeros(shape, np.float32) for name, shape in (("W", (1, gates, 1)), ("R", (1, gates, 1)))}
        arrays["X"], arrays["B"] = np.zeros((1, 1, 1), np.float32), np.array([primes], np.float32)
        arrays["W"][0, number], arrays["R"][0, number] = 23, 29
        weights = bound(node_model(kind, arrays, **attributes), {}).layers[0][0].weights
        moved = {place[0] for place, value in weights.items() if place[1] == "x" and value.any()}
        assert moved == {bank}
        moved = {place[0] for place, value in weights.items() if place[1] in ("h", "k") and value.any()}
        assert moved == {of_r[number]}
        expected = primes[number] + (primes[gates + number] if of_r[number] == bank else 0)
        assert weights[bank, "1"].item() == expected
        if of_r[number] != bank:
            assert weights[of_r[number], "1"].item() == primes[gates + number]


@pytest.mark.parametrize("zero", ["no bias", "W", "R", "none"])
@pytest.mark.parametrize(
    ("kind", "attributes"), [("LSTM", {}), ("GRU", {}), ("GRU", {"linear_before_reset": 1}), ("RNN", {})]
)
def test_halves_of_the_bias(kind, attributes, zero, rng):
    """keras-onnx#103 and #634, onnxruntime#3797 and #3893."""
    arrays = drawn_arrays(rng, kind, parts="XWR" if zero == "no bias" else "XWRB")
    if zero in "WR":
        half = GATES[kind] * UNITS
        arrays["B"][:, slice(half) if zero == "W" else slice(half, None)] = 0
    model = node_model(kind, arrays, **attributes)
    (layer,) = bound(model, {}).layers[0]
    got = layer.run(arrays["X"].swapaxes(0, 1)).swapaxes(0, 1)[:, None]
    np.testing.assert_allclose(got, by_onnxruntime(model, arrays)[0], rtol=0, atol=NEAR)


def test_order_of_the_peepholes(rng):
    """onnx2tf#303, nnoir#68, burn#4106: P has i, o, f."""
    arrays = drawn_arrays(rng, "LSTM", parts="XWRBP")
    weights = bound(node_model("LSTM", arrays), {}).layers[0][0].weights
    for place, part in zip((("i", "a"), ("o", "q"), ("f", "a")), np.split(arrays["P"][0], 3), strict=True):
        assert (weights[place] == part).all()


# ---- states ----------------------------------------------------------------------------------------------------------


def test_left_out_inputs_and_outputs_are_empty_names(rng):
    """ANEForge#94: ["X", "W", "R", "", "", "initial_h"] and ["", "Y_h"]."""
    arrays = drawn_arrays(rng, "LSTM", parts="XWRh")
    model = node_model("LSTM", arrays, outputs=["", "Y_h"])
    assert list(model.graph.node[0].input) == ["X", "W", "R", "", "", "initial_h"]
    network = network_of(model)
    assert network.readout == "last"
    assert network.layers[0][0].initial_register is None
    got = network.run(arrays["X"].swapaxes(0, 1)).logits
    np.testing.assert_allclose(got, by_onnxruntime(model, arrays)[0][0], rtol=0, atol=NEAR)


def test_states_that_differ_in_a_batch(rng):
    arrays = drawn_arrays(rng, "GRU", parts="XWRh")
    arrays["initial_h"][0, 1] += 1
    with pytest.raises(ValueError, match=r"\(GRU\): initial_h differs between the samples of a batch; export one"):
        bound(node_model("GRU", arrays), {})


@pytest.mark.filterwarnings("ignore:the output 'Y' is read")
def test_states_at_run_time_are_refused_by_name(rng):
    """hls4ml#1074, torch-mlir#4741."""
    arrays = drawn_arrays(rng, "LSTM", parts="XWRBc")
    model = node_model("LSTM", arrays)
    del model.graph.initializer[[one.name for one in model.graph.initializer].index("initial_c")]
    model.graph.input.append(helper.make_tensor_value_info("initial_c", 1, arrays["initial_c"].shape))
    with pytest.raises(ValueError, match=r"node 'recurrent' \(LSTM\): initial_c is the input 'initial_c' of the graph"):
        network_of(model)


# ---- axes ------------------------------------------------------------------------------------------------------------


def stacked(rng_seed: int, layout: int):
    """Two layers of two directions; with layout 1 the batch comes first everywhere."""
    rng = np.random.default_rng(rng_seed)
    constants, nodes = {"join": np.array([0, 0, -1])}, []
    given = "x"
    for number, inputs in enumerate((INPUTS, 2 * UNITS)):
        arrays = drawn_arrays(rng, "GRU", 2, inputs=inputs)
        constants |= {f"{name}{number}": arrays[name] for name in "WRB"}
        names = [given, *(f"{name}{number}" for name in "WRB")]
        options = {"hidden_size": UNITS, "direction": "bidirectional", "linear_before_reset": 1, "layout": layout}
        nodes.append(node("GRU", names, [f"Y{number}"], name=f"layer{number}", **options))
        given = f"h{number}"
        if layout:
            nodes.append(node("Reshape", [f"Y{number}", "join"], [given]))
        else:
            nodes.append(node("Transpose", [f"Y{number}"], [f"T{number}"], perm=[0, 2, 1, 3]))
            nodes.append(node("Reshape", [f"T{number}", "join"], [given]))
    shape = ("batch", "steps", INPUTS) if layout else ("steps", "batch", INPUTS)
    return graph_model(nodes, {"x": shape}, [given], constants)


def test_both_layouts_are_one_network(seed, rng):
    """onnx#921 and #1546, onnxscript#2674."""
    first, second = (network_of(stacked(seed, layout)) for layout in (0, 1))
    pairs = [pair for both in zip(first.layers, second.layers, strict=True) for pair in zip(*both, strict=True)]
    assert len(pairs) == 4
    for one, other in pairs:
        assert (one.cell, one.reverse) == (other.cell, other.reverse)
        assert all((one.weights[place] == other.weights[place]).all() for place in one.weights)
    assert first.readout == second.readout == "step"
    check(stacked(seed, 0), rng)


def test_every_readout_of_two_directions(rng):
    whole = [
        node("Transpose", ["Y"], ["T"], perm=[0, 2, 1, 3]),
        node("Reshape", ["T", "join"], ["h"]),
    ]
    constants = {"join": np.array([0, 0, -1]), "flat": np.array([-1, 2 * UNITS]), "first": np.array([0])}
    behind_h = [
        node("Transpose", ["Y_h"], ["batch_first"], perm=[1, 0, 2]),
        node("Reshape", ["batch_first", "flat"], ["y"]),
    ]
    for behind, readout, opset in (
        ([*whole, node("Identity", ["h"], ["y"])], "step", 14),
        ([*whole, node("ReduceMean", ["h"], ["y"], axes=[0], keepdims=0)], "mean", 14),
        ([*whole, node("ReduceMean", ["h", "first"], ["y"], keepdims=0)], "mean", 18),
        (behind_h, "last", 14),
    ):
        model = layer_model(rng, "LSTM", behind, constants=constants, direction="bidirectional", opset=opset)
        assert network_of(model).readout == readout
        check(model, rng)


def test_a_backward_layer_with_every_step_and_with_its_last(rng):
    """onnxruntime#4187, keras-onnx#583, onnx2tf#287: the last step of a backward layer is step 0 of Y."""
    constants = {"zero": np.array(0), "end": np.array(-1), "one": np.array([1])}
    squeezed = node("Squeeze", ["Y", "one"], ["h"])
    for last, readout in (
        (node("Gather", ["h", "zero"], ["y"], axis=0), "last"),
        (node("Identity", ["h"], ["y"]), "step"),
    ):
        model = layer_model(rng, "GRU", [squeezed, last], constants=constants, direction="reverse")
        assert network_of(model).readout == readout
        check(model, rng)
    wrong = layer_model(
        rng, "GRU", [squeezed, node("Gather", ["h", "end"], ["y"], axis=0)], constants=constants, direction="reverse"
    )
    with pytest.raises(ValueError, match="it takes the last step of layer 'recurrent', whose last one is the first"):
        network_of(wrong)


def test_swapped_directions_and_half_of_them(rng):
    """Features in another order than the layer's, and a head on one direction: the head's columns follow."""
    constants = {"order": np.array([1, 0]), "flat": np.array([-1, 2 * UNITS]), "second": np.array(1)}
    swapped = [
        node("Gather", ["Y_h", "order"], ["S"], axis=0),
        node("Transpose", ["S"], ["batch_first"], perm=[1, 0, 2]),
        node("Reshape", ["batch_first", "flat"], ["y"]),
    ]
    check(layer_model(rng, "RNN", swapped, constants=constants, direction="bidirectional"), rng)
    half = layer_model(
        rng, "RNN", [node("Gather", ["Y_h", "second"], ["y"], axis=0)], constants=constants, direction="bidirectional"
    )
    assert network_of(half).head_weights.shape == (UNITS, 2 * UNITS)
    check(half, rng)


def test_sum_of_directions_behind_a_split(rng):
    behind = [
        node("Split", ["Y"], ["f", "b"], axis=1),
        node("Add", ["f", "b"], ["s"]),
        node("Squeeze", ["s", "one"], ["y"]),
    ]
    model = layer_model(rng, "LSTM", behind, constants={"one": np.array([1])}, direction="bidirectional")
    check(model, rng)


def test_normalized_inputs_and_a_head_over_all_samples_at_once(rng):
    """Scaling and normalization become part of the weights; [steps · batch, units] and back changes nothing."""
    arrays = drawn_arrays(rng, "LSTM")
    constants = {name: arrays[name] for name in "WRB"} | {
        "mean": np.array([0.5, -1, 2], np.float32),
        "scale": np.array([2, 0.5, 3], np.float32),
        "flat": np.array([-1, UNITS]),
        "V": rng.normal(size=(UNITS, 5)).astype(np.float32),
        "v": rng.normal(size=5).astype(np.float32),
        "three": np.array([3]),
        "classes": np.array([5]),
        "from": np.array([0]),
        "to": np.array([2]),
    }
    nodes = [
        node("Sub", ["x", "mean"], ["centered"]),
        node("Div", ["centered", "scale"], ["normal"]),
        node("LSTM", ["normal", "W", "R", "B"], ["Y"], hidden_size=UNITS),
        node("Reshape", ["Y", "flat"], ["all"]),
        node("MatMul", ["all", "V"], ["product"]),
        node("Add", ["v", "product"], ["logits"]),
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "from", "to"], ["front"]),
        node("Concat", ["front", "classes"], ["back"], axis=0),
        node("Reshape", ["logits", "back"], ["y"]),
    ]
    model = graph_model(nodes, {"x": ("steps", "batch", INPUTS)}, ["y"], constants)
    network = network_of(model)
    assert (len(network.layers), network.readout, network.outputs) == (1, "step", 5)
    x = rng.normal(0, 1, (STEPS, BATCH, INPUTS)).astype(np.float32)
    got = network.run(x.swapaxes(0, 1)).logits.swapaxes(0, 1)
    np.testing.assert_allclose(got, by_onnxruntime(model, {"x": x})[0], rtol=0, atol=NEAR)


@pytest.mark.parametrize("opset", [7, 12])
def test_operators_of_early_opsets(opset, rng):
    """Axes, starts and sizes as attributes, as they were before opsets 10 and 13."""
    cut = {"starts": [-1], "ends": [2**31 - 1], "axes": [0]}
    constants = {}
    if opset > 9:
        constants = {name: np.array(value) for name, value in cut.items()}
        last = node("Slice", ["h", "starts", "ends", "axes"], ["l"])
    else:
        last = node("Slice", ["h"], ["l"], **cut)
    behind = [
        node("Split", ["Y"], ["h0"], axis=1, split=[1]),
        node("Squeeze", ["h0"], ["h"], axes=[1]),
        last,
        node("Squeeze", ["l"], ["s"], axes=[0]),
        node("Unsqueeze", ["s"], ["u"], axes=[1]),
        node("Flatten", ["u"], ["y"]),
    ]
    model = layer_model(rng, "LSTM", behind, constants=constants, opset=opset)
    assert network_of(model).readout == "last"
    check(model, rng)


# ---- lengths, activations --------------------------------------------------------------------------------------------


def test_lengths_at_run_time(rng):
    """onnxruntime#12492: each utterance ends at its own step."""
    lengths = np.array([6, 2, 4], np.int32)
    behind = [node("Squeeze", ["Y_h", "zero"], ["y"])]
    for direction in ("forward", "reverse"):
        options = {"constants": {"zero": np.array([0])}, "direction": direction, "lengths": True}
        check(layer_model(rng, "GRU", behind, **options), rng, lengths)


@pytest.mark.parametrize(
    ("behind", "told"),
    [
        (node("Gather", ["h", "end"], ["y"], axis=0), "it takes one step of utterances whose lengths differ"),
        (node("ReduceMean", ["h"], ["y"], axes=[0]), "it averages the padding of utterances whose lengths differ"),
    ],
)
def test_padding_that_would_count_is_refused(behind, told, rng):
    """tf2onnx#1871: what follows must not see the padding."""
    nodes = [node("Squeeze", ["Y", "one"], ["h"]), behind]
    constants = {"one": np.array([1]), "end": np.array(-1)}
    with pytest.raises(ValueError, match=told):
        network_of(layer_model(rng, "LSTM", nodes, constants=constants, lengths=True))


def test_constant_lengths_are_those_of_all_steps(rng):
    for lengths, fits in (([6, 6, 6], True), ([6, 3, 6], False)):
        model = node_model("RNN", drawn_arrays(rng, "RNN") | {"sequence_lens": np.array(lengths, np.int32)})
        constant = [one for one in model.graph.input if one.name == "sequence_lens"]
        model.graph.input.remove(constant[0])
        model.graph.initializer.append(helper.make_tensor("sequence_lens", 6, [3], lengths))
        if fits:
            assert network_of(model, "Y").readout == "step"
        else:
            with pytest.raises(
                ValueError, match=r"\(RNN\): sequence_lens is constant, but not the number of all steps"
            ):
                network_of(model, "Y")


def test_activations_of_two_directions_are_two_lists(rng):
    """tf2onnx#2211: activations that are lost in a bidirectional layer."""
    arrays = drawn_arrays(rng, "RNN", 2)
    forward, backward = bound(
        node_model("RNN", arrays, direction="bidirectional", activations=["Relu", "tanh"]), {}
    ).layers[0]
    assert (forward.cell, backward.cell, backward.activations["a"]) == ("rnn_relu", "rnn_tanh", "tanh")
    with pytest.raises(ValueError, match=r"\(RNN\): there are 1 activations; expected 2"):
        bound(node_model("RNN", arrays, direction="bidirectional", activations=["Relu"]), {})


def test_the_first_output_is_read_and_the_others_are_told(rng):
    model = node_model("LSTM", drawn_arrays(rng, "LSTM"))
    with pytest.warns(ConversionWarning, match="the output 'Y' is read; left out: 'Y_h', 'Y_c'"):
        network_of(model)
    assert network_of(model, "Y_h").readout == "last"
    with pytest.raises(ValueError, match="output 'Y_c': Y_c, the state of 'recurrent', does not leave the hardware"):
        network_of(model, "Y_c")
    with pytest.raises(ValueError, match="there is no output 'logits'; the graph has: Y, Y_h, Y_c"):
        network_of(model, "logits")
