# SPDX-License-Identifier: Apache-2.0
"""What is not read from ONNX files: one line each, with the file, the node, and what to export instead."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from crossramp.convert.formats.onnx.onnx_reader import network_of, read_onnx
from crossramp.golden.common.errors import InvalidValue
from onnx import helper

from tests.support.onnx_models import bound, drawn_arrays, graph_model, node_model

DATA = Path(__file__).parents[2] / "data"
INPUTS, UNITS = 3, 4
node = helper.make_node


def changed(rng, kind: str, name: str, value: np.ndarray) -> onnx.ModelProto:
    """A model of one node with another array of that name."""
    model = node_model(kind, drawn_arrays(rng, kind), outputs=["Y"])
    (place,) = [k for k, one in enumerate(model.graph.initializer) if one.name == name]
    model.graph.initializer[place].CopyFrom(onnx.numpy_helper.from_array(value, name))
    return model


@pytest.mark.parametrize(
    ("kind", "name", "value", "told"),
    [
        ("LSTM", "W", np.zeros((1, 12, 3), np.float32), r"W has the shape \(1, 12, 3\); expected \(1, 16, any\)"),
        ("LSTM", "W", np.zeros((1, 16, 0), np.float32), r"W has the shape \(1, 16, 0\); expected .*, not empty"),
        ("GRU", "W", np.full((1, 12, 3), np.nan, np.float32), "W holds values that are not finite; export a network"),
        ("GRU", "B", np.zeros((1, 12), np.float32), r"B has the shape \(1, 12\); expected \(1, 24\), not empty"),
        ("RNN", "W", np.zeros((1, 4, 3), np.int8), "W holds int8; quantized weights are not read, so export the float"),
        ("RNN", "W", np.zeros((1, 4, 5), np.float32), r"weights of x on bank a have the shape \(4, 5\), but x the"),
        ("LSTM", "R", np.zeros((1, 16, 5), np.float32), r"hidden_size is 4, but R has the shape \(1, 16, 5\)"),
    ],
)
def test_weights(kind, name, value, told, rng):
    with pytest.raises(ValueError, match=rf"^node 'recurrent' \({kind}\): {told}"):
        network_of(changed(rng, kind, name, value))


@pytest.mark.parametrize(
    ("kind", "parts", "attributes", "told"),
    [
        ("LSTM", "XWRBP", {"input_forget": 1}, "input_forget with peepholes P: no cell has both"),
        (
            "LSTM",
            "XWRB",
            {"activations": ["Sigmoid", "Tanh", "Relu"]},
            "activations g and h are Tanh and Relu; both use",
        ),
        ("LSTM", "XWRB", {"activations": ["Sigmoid", "HardSigmoid", "HardSigmoid"]}, "bank g is hard_sigmoid of 1.2·z"),
        ("RNN", "XWRB", {"activations": ["Swoosh"]}, "the activation Swoosh has no ramp; the others do: Sigmoid, Tanh"),
        ("RNN", "XWRB", {"activations": ["LeakyRelu"]}, "the activation LeakyRelu with alpha 0.01 has no ramp"),
        (
            "RNN",
            "XWRB",
            {"activations": ["Elu"], "activation_alpha": [0.5]},
            "the activation Elu with alpha 0.5 has no",
        ),
        ("GRU", "XWRB", {"clip": -1.0}, "clip is -1; expected a number above 0"),
        (
            "GRU",
            "XWRB",
            {"activations": ["HardSigmoid", "Tanh"], "activation_beta": [0.4], "clip": 1.0},
            "clip with an",
        ),
        ("GRU", "XWRB", {"direction": "sideways"}, "the direction is 'sideways'; allowed: forward, reverse, bidir"),
    ],
)
def test_attributes(kind, parts, attributes, told, rng):
    with pytest.raises(ValueError, match=rf"^node 'recurrent' \({kind}\): .*{told}"):
        bound(node_model(kind, drawn_arrays(rng, kind, parts=parts), **attributes), {})


def behind(rng, nodes, constants=None, output="y", **options):
    """Nodes behind h, shape (steps, batch, units), of an LSTM."""
    arrays = drawn_arrays(rng, "LSTM")
    own = {name: arrays[name] for name in "WRB"} | {"direction": np.array([1])} | (constants or {})
    lstm = [
        node("LSTM", ["x", "W", "R", "B"], ["Y"], name="lstm", hidden_size=UNITS),
        node("Squeeze", ["Y", "direction"], ["h"], name="squeeze"),
    ]
    return graph_model([*lstm, *nodes], {"x": ("steps", "batch", INPUTS)}, [output], own, **options)


ONE, TWO, TABLE = np.array(1), np.array(2), np.array([[0, 1], [1, 2]])
WIDE = np.zeros((5, 5), np.float32)


@pytest.mark.parametrize(
    ("nodes", "constants", "told"),
    [
        (
            [node("Gather", ["h", "k"], ["y"], name="third")],
            {"k": TWO},
            r"third.*: it takes steps \[2\]; a readout takes",
        ),
        (
            [node("Gather", ["x", "k"], ["y"], name="t")],
            {"k": ONE},
            "t.*: it takes single steps of the input, as an unroll",
        ),
        (
            [node("Gather", ["h", "k"], ["y"], name="table", axis=2)],
            {"k": TABLE},
            "table.*: it gathers by a table, as emb",
        ),
        (
            [node("ReduceMean", ["h"], ["y"], name="m", axes=[2])],
            {},
            "m.*: it averages other axes than the steps behind",
        ),
        (
            [node("Mul", ["h", "h"], ["y"], name="gate")],
            {},
            "gate.*: it multiplies two tensors that depend on the input",
        ),
        (
            [node("MatMul", ["h", "w"], ["y"], name="fc")],
            {"w": WIDE},
            r"fc.*: its matrix has the shape \(5, 5\), behind 4 fe",
        ),
        ([node("Add", ["h", "x"], ["y"], name="skip")], {}, "skip.*: it adds tensors of different widths"),
        (
            [node("Loop", ["", "", "h"], ["y"], name="loop", body=helper.make_graph([], "body", [], []))],
            {},
            "loop.*: a loop, as masks, unusual activations and scripted",
        ),
        (
            [node("MaxPool", ["h"], ["y"], name="pool", kernel_shape=[2])],
            {},
            "pool.*: the hardware has no such operator; ex",
        ),
        (
            [node("Attention", ["h"], ["y"], name="heads", domain="com.microsoft")],
            {},
            "heads.*: an operator of the domain co",
        ),
        (
            [node("Tanh", ["x"], ["y"], name="bend")],
            {},
            "bend.*: its activation is not behind a layer; apply it to the",
        ),
        (
            [node("Concat", ["h", "k"], ["y"], name="cat", axis=2)],
            {"k": WIDE},
            "cat.*: it joins constants to what depends",
        ),
        (
            [node("Reshape", ["h", "k"], ["y"], name="cut")],
            {"k": np.array([-1, 3])},
            r"cut.*: its shape \(-1, 3\) is not axes",
        ),
    ],
)
def test_graphs(nodes, constants, told, rng):
    with pytest.raises(ValueError, match=rf"^node '{told}") as caught:
        network_of(behind(rng, nodes, constants))
    assert "\n" not in str(caught.value)


def test_activations_behind_a_readout(rng):
    for last, told in (
        (
            node("ReduceMean", ["h"], ["r"], axes=[0], keepdims=0),
            "an activation behind the mean; the hardware has a linear",
        ),
    ):
        with pytest.raises(ValueError, match=rf"node 'bend' \(Relu\): {told}"):
            network_of(behind(rng, [last, node("Relu", ["r"], ["y"], name="bend")]))


def test_layers_that_are_not_in_sequence(rng):
    """A layer that sees what is before the layer before it, and a head on both."""
    arrays = drawn_arrays(rng, "LSTM", inputs=UNITS)
    nodes = [
        node("LSTM", ["h", "W2", "R2"], ["Y2"], name="second", hidden_size=UNITS),
        node("Squeeze", ["Y2", "direction"], ["h2"]),
        node("Concat", ["h", "h2"], ["y"], axis=2),
    ]
    with pytest.raises(
        ValueError, match="output 'y': it joins 'lstm' and 'second', which are not two directions of one"
    ):
        network_of(behind(rng, nodes, {"W2": arrays["W"], "R2": arrays["R"]}))


def test_graphs_that_are_damaged(rng):
    model = behind(rng, [node("Identity", ["nowhere"], ["y"])])
    with pytest.raises(ValueError, match="output 'nowhere' comes from no node; the file is damaged"):
        network_of(model)
    model = behind(rng, [node("Mul", ["h", "late"], ["y"], name="early"), node("Relu", ["h"], ["late"])])
    with pytest.raises(ValueError, match=r"node 'early' \(Mul\): its input 'late' comes from no node before it"):
        network_of(model)
    model = behind(rng, [node("Gather", ["h"], ["y"], name="bare")])
    with pytest.raises(ValueError, match=r"node 'bare' \(Gather\): it is not as its operator demands"):
        network_of(model)
    for opset in (6, 99):
        with pytest.raises(
            ValueError, match=rf"the opset is {opset}; 7 to \d+ are read, so export it with one of these"
        ):
            network_of(behind(rng, [], output="h", opset=opset))
    with pytest.raises(ValueError, match="output 'x': the output does not come from a recurrent layer"):
        network_of(behind(rng, [], output="x"))


def test_files(tmp_path, rng):
    whole = (DATA / "gru_last_dynamo.onnx").read_bytes()
    for name, content, told in (
        ("half.onnx", whole[: len(whole) // 2], "half.onnx is not an ONNX model, or damaged"),
        ("text.onnx", b"a model, they said", "text.onnx is not an ONNX model, or damaged"),
        ("empty.onnx", b"", "empty.onnx is not an ONNX model, or has no nodes; export it again"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidValue) as caught:
            read_onnx(tmp_path / name)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"none\.onnx: No such file or directory"):
        read_onnx(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="Is a directory"):
        read_onnx(tmp_path)


@pytest.mark.filterwarnings("ignore::crossramp.convert.formats.onnx.onnx_reader.ConversionWarning")
def test_damaged_bytes_never_end_in_an_internal_error(tmp_path, rng):
    names = sorted(path.name for path in DATA.glob("*.onnx"))
    told_of = []
    for _ in range(150):
        content = bytearray((DATA / names[rng.integers(len(names))]).read_bytes())
        for _ in range(rng.integers(1, 6)):
            content[rng.integers(len(content))] = rng.integers(256)
        (tmp_path / "damaged.onnx").write_bytes(content)
        told_of.append(reason(tmp_path / "damaged.onnx"))
    assert len(list(filter(None, told_of))) > 50
    assert [text for text in told_of if not text.isprintable()] == []


def reason(path: Path) -> str:
    """What a file is refused with; empty if it is read."""
    try:
        read_onnx(path)
    except InvalidValue as error:
        return str(error)
    return ""
