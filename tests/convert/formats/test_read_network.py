# SPDX-License-Identifier: Apache-2.0
"""Files: the format by the content, nothing unpickled, and what is damaged or foreign."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from crossramp.convert.formats.pytorch.torch_module import network_of_module
from crossramp.convert.formats.read_network import read_network
from crossramp.golden.common.errors import InvalidValue

torch = pytest.importorskip("torch")

STEPS, INPUTS, UNITS = 5, 3, 4


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(INPUTS, UNITS, batch_first=True)
        self.head = torch.nn.Linear(UNITS, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0].mean(1))


@pytest.fixture
def module(seed):
    torch.manual_seed(seed)
    return Classifier().double().eval()


@pytest.fixture
def exported(module, tmp_path):
    program = torch.export.export(module, (torch.zeros(2, STEPS, INPUTS, dtype=torch.float64),))
    torch.export.save(program, tmp_path / "net.pt2")
    return tmp_path / "net.pt2"


@pytest.fixture
def x(rng):
    return rng.normal(size=(3, STEPS, INPUTS))


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path


def test_a_program(module, exported, x):
    renamed = exported.rename(exported.with_suffix(".bin"))  # the content says what it is
    expected = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(read_network(renamed).run(x).logits, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("new", [True, False])
def test_a_state_dict_in_both_formats(new, module, x, tmp_path):
    path = saved(tmp_path / "net.pt", module.state_dict(), _use_new_zipfile_serialization=new)
    logits = read_network(path, readout="mean").run(x).logits
    np.testing.assert_allclose(logits, module(torch.from_numpy(x)).detach().numpy(), rtol=0, atol=1e-12)


def test_a_checkpoint(module, tmp_path):
    state = module.bfloat16().state_dict()
    path = saved(tmp_path / "net.ckpt", {"epoch": 3, "model": state, "optimizer": {"state": {}, "groups": [1, 2]}})
    assert np.array_equal(read_network(path, "last").head_weights, state["head.weight"].float().numpy())
    path = saved(tmp_path / "two.ckpt", {"model": state, "average": state})
    with pytest.raises(InvalidValue, match="several state_dicts: model, average; save the one that is meant"):
        read_network(path, "last")


def rewritten(path, change):
    """The archive with its members changed: by name to bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def edited(part: str, change):
    """A change of the JSON of the member whose name ends so."""

    def apply(members):
        name = next(name for name in members if name.endswith(part))
        content = json.loads(members[name])
        change(content)
        members[name] = json.dumps(content).encode()

    return apply


def weights(content):
    return content["config"]["lstm.weight_ih_l0"]


PROGRAMS = {
    "an unknown name": (
        edited("model.json", lambda c: c["graph_module"]["graph"]["outputs"][0].update(as_tensor={"name": []})),
        r"not a readable archive of torch.export \(TypeError: \[\] is not the name of a value\)",
    ),
    "pickled weights": (
        edited("weights_config.json", lambda c: weights(c).update(use_pickle=True)),
        "'lstm.weight_ih_l0' is stored as a pickle, which is never unpickled",
    ),
    "short weights": (
        edited("weights_config.json", lambda c: weights(c)["tensor_meta"]["sizes"][0].update(as_int=999)),
        "the bytes of 'lstm.weight_ih_l0' end before the array does",
    ),
    "endless weights": (
        edited(
            "weights_config.json",
            lambda c: weights(c)["tensor_meta"].update(sizes=[{"as_int": 10**12}], strides=[{"as_int": 0}]),
        ),
        "the bytes of 'lstm.weight_ih_l0' end before the array does",
    ),
    "complex weights": (
        edited("weights_config.json", lambda c: weights(c)["tensor_meta"].update(dtype=10)),
        "'lstm.weight_ih_l0' has the type 10; export it as float32",
    ),
    "missing weights": (
        edited("weights_config.json", lambda c: c["config"].pop("lstm.weight_ih_l0")),
        "the array 'lstm.weight_ih_l0' is missing",
    ),
    "another schema": (
        edited("model.json", lambda c: c["schema_version"].update(major=99)),
        "schema version 99 of torch.export; 8 can be read: export it again with torch.export.save",
    ),
    "no graph": (edited("model.json", lambda c: c.pop("graph_module")), "not a readable archive of torch.export"),
    "another operator": (
        edited(
            "model.json", lambda c: c["graph_module"]["graph"]["nodes"][-1].update(target="torch.ops.my.head.default")
        ),
        "^net.pt2: node 'linear': my.head.default cannot be imported; export a module without it",
    ),
    "broken JSON": (
        lambda members: members.update({name: b"{" for name in members if name.endswith("model.json")}),
        "not a readable archive of torch.export",
    ),
    "two programs": (
        lambda members: members.update(
            {next(n for n in members if n.endswith("model.json")).replace("model.json", "b.json"): b"{}"}
        ),
        "has 2 programs",
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_refuses_damaged_programs(case, exported):
    change, why = PROGRAMS[case]
    with pytest.raises(InvalidValue, match=why) as caught:
        read_network(rewritten(exported, change))
    assert "\n" not in str(caught.value)


class Planted:
    """What runs code when it is unpickled."""

    ran = False

    def __reduce__(self):
        return (setattr, (Planted, "ran", True))


def test_nothing_is_unpickled(module, exported, tmp_path):
    path = saved(tmp_path / "module.pt", module)
    with pytest.raises(
        InvalidValue, match=r"holds Python objects besides tensors, .* never unpickled; save module.state"
    ):
        read_network(path, "mean")
    path = saved(tmp_path / "trap.pt", {"state": module.state_dict(), "trap": Planted()})
    with pytest.raises(InvalidValue, match="never unpickled"):
        read_network(path, "mean")

    def planted(members):
        members.update({name: pickle.dumps(Planted()) for name in members if "sample_inputs" in name})

    assert read_network(rewritten(exported, planted)).readout == "mean"
    assert not Planted.ran
    pickle.loads(pickle.dumps(Planted()))  # the trap does work
    assert Planted.ran
    Planted.ran = False


@pytest.fixture
def files(module, tmp_path):
    """Files that are no networks, by name."""
    state = io.BytesIO()
    torch.save(module.state_dict(), state)
    contents = {
        "empty.pt": b"",
        "text.pt2": b"a network",
        "cut.pt": state.getvalue()[:700],
        "pickle.pt": pickle.dumps([1, 2]),
        "names.pt": state.getvalue().replace(b"data.pkl", b"data\xe9pkl"),
        "zip.zip": b"PK\x05\x06" + bytes(18),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    saved(tmp_path / "list.pt", [torch.zeros(3)])
    saved(tmp_path / "numbers.pt", {"a": 1, "b": {"c": 2}})
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "script.pt")
    return tmp_path


FOREIGN = {
    "empty.pt": "damaged, or of a format that is not read; expected a program of torch.export",
    "text.pt2": "damaged, or of a format that is not read",
    "cut.pt": "damaged",
    "pickle.pt": "holds Python objects besides tensors|damaged, or not a file of torch.save|holds a list",
    "names.pt": "damaged, or of a format that is not read",
    "zip.zip": "damaged, or of a format that is not read",
    "list.pt": "holds a list instead of a state_dict; save module.state_dict",
    "numbers.pt": "no entry of it is a state_dict",
    "arrays.npz": "arrays of numpy, perhaps a model of crossramp's own",
    "script.pt": "an archive of TorchScript, which is code; save module.state_dict",
    "missing.pt": "No such file",
    ".": "is a folder, such as a SavedModel",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_refuses_foreign_files(name, files):
    with pytest.raises(InvalidValue, match=FOREIGN[name]) as caught:
        read_network(files / name, "mean")
    assert str(files / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_onnx_files_go_to_their_reader(tmp_path):
    pytest.importorskip("onnx")
    data = Path(__file__).parents[1] / "data"
    assert read_network(data / "lstm_mean_dynamo.onnx").readout == "mean"
    (tmp_path / "net.onnx").write_bytes(b"a network")
    with pytest.raises(InvalidValue, match=r"net\.onnx"):
        read_network(tmp_path / "net.onnx")


def test_refuses_options_that_the_file_says_itself(exported):
    with pytest.raises(InvalidValue, match="readout 'mean' is given, but the file says it itself; leave it out"):
        read_network(exported, "mean")


def test_weights_that_are_not_finite(module, tmp_path):
    with torch.no_grad():
        module.lstm.weight_hh_l0[1, 2] = np.inf
    with pytest.raises(InvalidValue, match=r"layer 'lstm.l0': weights of h on bank i hold inf at \(1, 2\)"):
        network_of_module(module)
