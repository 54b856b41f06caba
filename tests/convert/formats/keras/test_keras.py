# SPDX-License-Identifier: Apache-2.0
"""Files that Keras saved, against what Keras computes (tests/convert/data), and what they cannot have."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from crossramp.convert.formats.keras.keras_archive import groups_of
from crossramp.convert.formats.keras.keras_network import network_of_keras
from crossramp.convert.formats.read_network import read_network
from crossramp.golden.common.errors import InvalidValue

h5py = pytest.importorskip("h5py")

FILES = Path(__file__).parents[2] / "data" / "keras_files.zip"

#: Float32 of Keras against float64.
NEAR = 1e-6

#: By model the readout, and the cells and directions of its layers.
MODELS = {
    "lstm": ("last", ["lstm"]),
    "gru_after": ("step", ["gru_reset_after"]),
    "gru_before": ("mean", ["gru"]),
    "simple_rnn": ("last", ["rnn_tanh", "rnn_tanh"]),
    "bidirectional": ("last", ["lstm lstm<", "gru_reset_after gru_reset_after<"]),
    "average": ("mean", ["gru_reset_after gru_reset_after<"]),
    "backwards": ("last", ["lstm<", "lstm<"]),
    "backwards_last": ("last", ["gru_reset_after<"]),
    "by_hand": ("last", ["lstm lstm<"]),
    "nested": ("last", ["gru_reset_after", "lstm"]),
    "mixed": ("mean", ["lstm", "dense", "lstm"]),
}

#: What stands behind the logits.
ENDS = {
    "lstm": lambda y: np.exp(y) / np.exp(y).sum(-1, keepdims=True),
    "bidirectional": lambda y: 1 / (1 + np.exp(-y)),
}


@pytest.fixture(scope="module")
def outputs():
    with zipfile.ZipFile(FILES) as archive, np.load(io.BytesIO(archive.read("outputs.npz"))) as arrays:
        return dict(arrays)


def extracted(name: str, folder: Path) -> Path:
    with zipfile.ZipFile(FILES) as archive:
        return Path(archive.extract(name, folder))


@pytest.mark.parametrize("end", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_equals_keras(name, end, outputs, tmp_path):
    network = read_network(extracted(f"{name}.{end}", tmp_path))
    answer = ENDS.get(name, lambda y: y)(network.run(outputs["x"].astype(float)).logits)
    np.testing.assert_allclose(answer.reshape(outputs[name].shape), outputs[name], rtol=0, atol=NEAR)
    cells = [" ".join(one.cell + "<" * one.reverse for one in layer) for layer in network.layers]
    assert (network.readout, cells) == MODELS[name]


def test_every_stored_model_is_tested(outputs):
    assert set(outputs) == {"x", "masked", *MODELS}


def test_the_comparison_can_fail(outputs, tmp_path):
    """With two gates exchanged nothing agrees."""
    path = extracted("gru_after.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        kernel = next(item for item in datasets(file) if item.name.endswith("/kernel") and item.shape[1] == 12)
        kernel[:, :8] = np.roll(kernel[:, :8], 4, axis=1)
    answer = network_of_keras(path).run(outputs["x"].astype(float)).logits
    assert np.abs(answer - outputs["gru_after"]).max() > 0.01


def datasets(file) -> list:
    found = []
    file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.mark.parametrize(("name", "cell", "order"), [("lstm", "lstm", "ifgo"), ("gru_before", "gru", "zrn")])
def test_each_gate_goes_to_its_bank(name, cell, order, tmp_path):
    """One weight at a time, and prime numbers as biases."""
    path = extracted(f"{name}.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        arrays = {item.name.split("/")[-1]: item for item in datasets(file) if "_cell" in item.name}
        for item in arrays.values():
            item[...] = 0
        for gate in range(len(order)):
            arrays["kernel"][2, gate * 4 + 1] = gate + 1
            arrays["recurrent_kernel"][3, gate * 4 + 2] = gate + 1
            arrays["bias"][gate * 4] = (2, 3, 5, 7)[gate]
    ((layer,),) = network_of_keras(path).layers
    assert layer.cell == cell
    for gate, bank in enumerate(order):
        back = "k" if (cell, bank) == ("gru", "n") else "h"
        assert layer.weights[bank, "x"][1, 2] == layer.weights[bank, "x"].sum() == gate + 1
        assert layer.weights[bank, back][2, 3] == layer.weights[bank, back].sum() == gate + 1
        assert layer.weights[bank, "1"].tolist() == [(2, 3, 5, 7)[gate], 0, 0, 0]


def test_both_halves_of_the_bias_of_a_gru(tmp_path):
    path = extracted("gru_after.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        bias = next(item for item in datasets(file) if item.shape == (2, 12))
        bias[0], bias[1] = np.repeat((2, 3, 5), 4), np.repeat((7, 11, 13), 4)  # z r h
    ((layer,),) = network_of_keras(path).layers
    assert {bank: layer.weights[bank, "1"][0] for bank in "rzmn"} == {"z": 9, "r": 14, "n": 5, "m": 13}


def with_config(path: Path, change) -> Path:
    """A model whose configuration was changed: in a ``.keras`` file, or in an attribute of an ``.h5`` one."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def layer_of(config, number: int = 1) -> dict:
    return config["config"]["layers"][number]


def test_hard_sigmoid_of_keras_2_is_steeper(outputs, tmp_path):
    """clip(0.2 z + 0.5) and clip(z / 6 + 0.5) are one activation of other weights."""

    def hard(config):
        layer_of(config)["config"]["recurrent_activation"] = "hard_sigmoid"

    path = with_config(extracted("lstm.h5", tmp_path), hard)
    new = network_of_keras(path).layers[0][0]
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "2.4.0"
    old = network_of_keras(path).layers[0][0]
    for bank in "ifo":
        assert new.activations[bank] == old.activations[bank] == "hard_sigmoid"
        for group in "xh1":
            np.testing.assert_allclose(old.weights[bank, group], 1.2 * new.weights[bank, group])
    assert np.array_equal(old.weights["g", "x"], new.weights["g", "x"])


def test_a_relu_lstm(tmp_path):
    path = with_config(extracted("lstm.keras", tmp_path), lambda c: layer_of(c)["config"].update(activation="relu"))
    assert network_of_keras(path).layers[0][0].activations["g"] == "clipped_relu"


def as_keras_2(config):
    """How Keras 2 wrote a Functional model: lists in place of tensors with a history."""
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_input_shape"] = layer["config"].pop("batch_shape")
        nodes = []
        for call in layer["inbound_nodes"]:
            given = call["args"][0]
            tensors = given if isinstance(given, list) else [given]
            nodes.append([[*one["config"]["keras_history"], {}] for one in tensors])
        layer["inbound_nodes"] = nodes
    for key in ("input_layers", "output_layers"):
        config["config"][key] = [config["config"][key]]


def test_the_configuration_of_keras_2(outputs, tmp_path):
    network = network_of_keras(with_config(extracted("by_hand.h5", tmp_path), as_keras_2))
    np.testing.assert_allclose(network.run(outputs["x"].astype(float)).logits, outputs["by_hand"], rtol=0, atol=NEAR)


def inserted(kind: str, at: int = 2, **config):
    """A change that adds a layer."""

    def change(content):
        layer = {"class_name": kind, "config": {"name": "new", **config}}
        content["config"]["layers"].insert(at, layer)

    return change


def updated(number: int = 1, **values):
    return lambda content: layer_of(content, number)["config"].update(values)


REFUSED = {
    "stateful": (updated(stateful=True), "node 'lstm.*': keeps its state between batches"),
    "activation": (updated(activation="leaky_relu"), "node 'lstm.*': its activation is 'leaky_relu'; ramps have"),
    "own activation": (updated(activation={"class_name": "mine", "config": {}}), "its activation is 'mine'"),
    "units": (updated(units=9), r"recurrent_kernel has the shape \(4, 16\); expected \(9, 36\)"),
    "lambda": (inserted("Lambda"), "node 'new': is code, which is never run"),
    "embedding": (inserted("Embedding", 1), "node 'new': x must be real numbers"),
    "norm": (inserted("LayerNormalization"), "node 'new': normalizes by the values of a step"),
    "flatten": (inserted("Flatten"), "node 'new': lays steps side by side"),
    "maximum": (inserted("GlobalMaxPooling1D"), "node 'new': there is no maximum over steps"),
    "convolution": (inserted("Conv1D", 1), "node 'new': save the model behind it"),
    "unknown": (inserted("Mine"), "node 'new': layers of the class Mine cannot be imported"),
    "behind the softmax": (inserted("Activation", 3, activation="tanh"), "a layer behind the probabilities of 'dense"),
    "no layers": (lambda c: c["config"].pop("layers"), "its configuration is not that of a model of Keras"),
    "subclass": (lambda c: c.update(class_name="Mine"), "a model of the class Mine; save a Sequential or Functional"),
    "weights": (inserted("Dense", activation=None, units=3), "layer 'dense' has no kernel; save the whole model"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_by_name(case, tmp_path):
    change, why = REFUSED[case]
    with pytest.raises(InvalidValue, match=why) as caught:
        network_of_keras(with_config(extracted("lstm.keras", tmp_path), change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["keras", "h5"])
def test_refuses_masks(end, tmp_path):
    with pytest.raises(InvalidValue, match=r"node .masking.: masks steps; save the model without it, pad utterances"):
        network_of_keras(extracted(f"masked.{end}", tmp_path))


def test_refuses_initial_states(tmp_path):
    def given(config):
        call = layer_of(config, 1)["inbound_nodes"][0]
        call["kwargs"]["initial_state"] = call["args"]

    with pytest.raises(InvalidValue, match="node 'a': is given initial states or a mask besides its input"):
        network_of_keras(with_config(extracted("by_hand.keras", tmp_path), given))


def test_refuses_states(tmp_path):
    def state(config):
        layer_of(config, 3)["inbound_nodes"][0]["args"][0][0]["config"]["keras_history"][2] = 1

    with pytest.raises(InvalidValue, match="its state is used; save a model that reads out its output alone"):
        network_of_keras(with_config(extracted("by_hand.keras", tmp_path), state))


def test_refuses_a_circle(tmp_path):
    def circle(config):
        layer_of(config, 1)["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "head"

    with pytest.raises(InvalidValue, match="its output is its own input"):
        network_of_keras(with_config(extracted("by_hand.keras", tmp_path), circle))


def test_refuses_other_files(tmp_path):
    path = extracted("lstm.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        kernel = next(item for item in datasets(file) if item.name.endswith("lstm_cell/kernel"))
        name, shape = kernel.name, kernel.shape
        del file[name]
        raw = tmp_path / "secret"
        raw.write_bytes(bytes(4 * shape[0] * shape[1]))
        file.create_dataset(name, shape, "f4", external=[(str(raw), 0, raw.stat().st_size)])
    with pytest.raises(InvalidValue, match="lstm_cell/kernel' is stored in another file"):
        network_of_keras(path)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink("other.h5", "/kernel")
    with pytest.raises(InvalidValue, match="has no kernel"):
        network_of_keras(path)


def test_refuses_weights_alone_and_damage(tmp_path):
    path = extracted("lstm.keras", tmp_path)
    with zipfile.ZipFile(path) as archive:
        alone = tmp_path / "net.weights.h5"
        alone.write_bytes(archive.read("model.weights.h5"))
    with pytest.raises(InvalidValue, match="has weights, but no model; save the whole model"):
        read_network(alone)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(alone.read_bytes()[:3000])
    with pytest.raises(InvalidValue, match="not a readable file of Keras") as caught:
        read_network(cut)
    assert "\n" not in str(caught.value)
    with zipfile.ZipFile(tmp_path / "half.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(InvalidValue, match=r"its metadata.json is missing"):
        read_network(tmp_path / "half.keras")


def test_weights_that_are_not_finite(tmp_path):
    path = extracted("lstm.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        kernel = next(item for item in datasets(file) if item.name.endswith("lstm_cell/kernel"))
        kernel[0, 0] = np.nan
    with pytest.raises(InvalidValue, match=r"layer 'lstm.*': weights of x on bank i hold nan at \(0, 0\)"):
        network_of_keras(path)


def test_groups_count_classes():
    classes = ["InputLayer", "LSTM", "SimpleRNN", "LSTM", "GlobalAveragePooling1D"]
    assert groups_of(classes) == ["input_layer", "lstm", "simple_rnn", "lstm_1", "global_average_pooling1d"]
