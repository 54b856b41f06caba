# SPDX-License-Identifier: Apache-2.0
"""``crossramp import``: from a file of another library to a model that the other commands take, or one line."""

import json

import numpy as np
import pytest
from crossramp.cli.main import main
from crossramp.convert.formats.read_network import read_network
from crossramp.golden.network.model_file import load_model

INPUTS, STEPS, CLASSES = 4, 7, 3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A GRU of torch with a head, as a state_dict, and data whose labels are its own answers."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("import")
    torch.manual_seed(5)
    network = torch.nn.ModuleDict(
        {"rnn": torch.nn.GRU(INPUTS, 6, batch_first=True), "head": torch.nn.Linear(6, CLASSES)}
    )
    rng = np.random.default_rng(5)
    features = rng.normal(size=(50, STEPS, INPUTS)) * np.array([0.1, 1, 10, 100])
    with torch.no_grad():
        network["rnn"].weight_ih_l0 /= torch.tensor([0.1, 1, 10, 100])
        network["head"].weight *= 6
        torch.save(network.state_dict(), folder / "gru.pt")
        h = network["rnn"](torch.from_numpy(features).float())[0].mean(1)
        labels = network["head"](h).argmax(1).numpy()
    assert len(set(labels)) > 1
    np.savez(folder / "data.npz", features=features, labels=labels)
    np.save(folder / "x.npy", features[:2])
    return folder


def imported(files, output, *more) -> list[str]:
    return [
        *("import", str(files / "gru.pt"), "--readout", "mean", "--calibrate", str(files / "data.npz")),
        *("-o", str(output), *map(str, more)),
    ]


def test_a_network_of_torch_becomes_a_model(files, tmp_path, capsys):
    output = tmp_path / "m.npz"
    assert main(imported(files, output, "--bits", 8, "--classes", "a,b,c", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    model = load_model(output)
    assert (model.spec.cell, model.spec.units, model.class_names) == ("gru_reset_after", 6, ("a", "b", "c"))
    assert told["model_hash"] == model.content_hash
    data = np.load(files / "data.npz")
    answers = model.network.answers(model.real_inputs.codes(data["features"], 8))
    assert told["scores"] == {"float": 1.0, "integers": np.mean(answers == data["labels"])}
    assert told["scores"]["integers"] >= 0.9
    (layer,) = told["layers"]
    assert [bank["bank"] for bank in layer["banks"]] == ["r", "z", "m", "n"]
    assert max(bank["error"] for bank in layer["banks"]) < 0.02
    assert layer["state_beyond"] == 0
    assert model.provenance["source"] == "gru.pt"
    assert model.provenance["quantizer"]["adc_bits"] == 8


def test_the_text_tells_what_was_lost_and_what_helps(files, tmp_path, capsys):
    assert main(imported(files, tmp_path / "m.npz", "--bits", 2, "--naive")) == 0
    told = capsys.readouterr().out
    assert "gru_reset_after, 4 → 6" in told
    assert "accuracy on DATA: float 100.00%, integers " in told
    assert "more --weight-bits or --input-bits" in told
    assert told.endswith(f"wrote {tmp_path / 'm.npz'}\n")


def test_the_model_takes_features_over_their_own_full_scales(files, tmp_path, capsys):
    """In the simulator, bit for bit; floats of any size are features, and what saturates is told."""
    model = tmp_path / "m.npz"
    assert main(imported(files, model)) == 0
    run = ["simulate", str(model), "--simulator", "icarus", "--features", str(files / "x.npy"), "--json"]
    capsys.readouterr()
    assert main(run) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["mismatches"] == 0


def test_the_data_itself_evaluates_the_model(files, tmp_path, capsys):
    """Real features of an archive, over their full scales; lengths that differ are refused."""
    model = tmp_path / "m.npz"
    assert main(imported(files, model, "--json")) == 0
    score = json.loads(capsys.readouterr().out)["scores"]["integers"]
    assert main(["evaluate", str(model), str(files / "data.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ideal"]["accuracy"] == pytest.approx(score)
    data = dict(np.load(files / "data.npz"))
    np.savez(tmp_path / "ragged.npz", **data, lengths=np.arange(len(data["labels"])) % STEPS + 1)
    assert main(["evaluate", str(model), str(tmp_path / "ragged.npz")]) == 2
    assert "lengths differ" in capsys.readouterr().err


def test_padding_of_labels_is_not_scored(files, tmp_path, capsys, rng):
    """With an answer a step, what lies beyond an end has any label."""
    features, lengths = rng.normal(size=(4, STEPS, INPUTS)), np.array([3, 7, 5, 7])
    labels = np.where(np.arange(STEPS) < lengths[:, None], 1, -1)
    np.savez(tmp_path / "d.npz", features=features, lengths=lengths, labels=labels)
    run = imported(files, tmp_path / "m.npz", "--calibrate", tmp_path / "d.npz", "--readout", "step", "--json")
    assert main(run) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["scores"]["integers"] <= 1


def test_numbers_have_errors(files, tmp_path, capsys, rng):
    np.savez(tmp_path / "d.npz", features=rng.normal(size=(4, STEPS, INPUTS)), labels=rng.normal(size=(4, CLASSES)))
    run = imported(files, tmp_path / "m.npz", "--calibrate", tmp_path / "d.npz", "--numbers", "--json")
    assert main(run) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["float"] > 0
    assert load_model(tmp_path / "m.npz").output_unit > 0


def test_an_onnx_file_and_lengths(tmp_path, capsys, rng):
    pytest.importorskip("onnx")
    source = "tests/convert/data/lstm_mean_legacy.onnx"
    network = read_network(source)
    lengths = np.array([3, 5, 5, 4])
    features = rng.normal(size=(4, 5, network.inputs))
    labels = network.run(features, lengths).logits.argmax(1)
    np.savez(tmp_path / "d.npz", features=features, lengths=lengths, labels=labels)
    run = ["import", source, "--calibrate", str(tmp_path / "d.npz"), "-o", str(tmp_path / "m.npz"), "--json"]
    assert main(run) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["float"] == 1
    assert len(load_model(tmp_path / "m.npz").spec.macros) == sum(map(len, network.layers))


@pytest.mark.parametrize(
    ("arrays", "more", "message"),
    [
        ({"features": np.zeros((3, 4))}, (), "features are float64 of the shape (3, 4); expected real numbers"),
        ({"features": np.full((2, 3, INPUTS), np.nan)}, (), "features hold nan at [0, 0, 0]"),
        ({"features": np.zeros((2, 3, 9))}, (), "expected (batch, steps, 4)"),
        ({"labels": np.zeros(3)}, (), "expected a .npz file with the array features"),
        ({"features": np.zeros((2, 3, INPUTS)), "labels": np.zeros(3)}, (), "labels are float64 of the shape (3,)"),
        ({"features": np.zeros((2, 3, INPUTS)), "labels": np.array([0, 7])}, (), "labels reach from 0 to 7"),
        ({"features": np.zeros((2, 3, INPUTS)), "lengths": np.array([1, 9])}, (), "lengths are 1 to 9"),
        ({"features": np.zeros((2, 3, INPUTS)), "lengths": np.ones(3, int)}, (), "lengths are int64 of the shape (3,)"),
        (
            {"features": np.zeros((2, 3, INPUTS)), "labels": np.full((2, CLASSES), np.nan)},
            ("--numbers",),
            "labels hold nan",
        ),
        ({"features": np.ones((2, 3, INPUTS))}, ("--classes", "a,b"), "2 class names are given, but there are 3"),
        ({"features": np.ones((2, 3, INPUTS))}, ("--bits", "9"), "adc_bits is 9; allowed: 2 to 8"),
        ({"features": np.ones((2, 3, INPUTS))}, ("--utterances", "0"), "--utterances is 0; allowed: 1 and up"),
    ],
)
def test_what_cannot_be_is_one_line(files, tmp_path, capsys, arrays, more, message):
    np.savez(tmp_path / "d.npz", **arrays)
    output = tmp_path / "m.npz"
    assert main([*imported(files, output), "--calibrate", str(tmp_path / "d.npz"), *more]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("crossramp: ")
    assert message in error
    assert not output.exists()
