# SPDX-License-Identifier: Apache-2.0
"""Commands on networks whose utterances do not each start from zero."""

import json
import subprocess

import numpy as np
import pytest
from crossramp.cli.main import main
from crossramp.golden.network.model_file import Model, save_model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.bulk.selfcheck import commands

from tests.support.layered import KEEPING, layered_network_of
from tests.support.strategies import network_of

SPEC = Specification(inputs=3, units=4, classes=2, lanes=2, adc_bits=3, cell="gru", initial="stream", keeps_state=1)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with models of networks that start from a stream, and from constants."""
    monkeypatch.chdir(tmp_path)
    for initial in ("stream", "constant", "zero"):
        spec = SPEC.replace(initial=initial)
        save_model(f"{initial}.npz", Model(spec, network_of(spec, 1).weights, ("a", "b")))
    return tmp_path


def archive(path, seed, **changes):
    rng = np.random.default_rng(seed)
    content = {
        "codes": rng.integers(-15, 16, (4, 2, 3)),
        "labels": np.array([0, 1, 0, -1]),
        "initial_c": rng.integers(-63, 64, (4, 4)),
        "initial_h": rng.integers(-15, 16, (4, 4)),
        "keep": np.array([True, False, True, False]),
    }
    np.savez(path, **{name: values for name, values in (content | changes).items() if values is not None})


def run(capsys, *arguments):
    status = main([*arguments])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("model", ["stream", "constant"])
def test_random_utterances(place, capsys, model):
    status, out, _ = run(capsys, "simulate", f"{model}.npz", "--random", "3", "--simulator", "amaranth", "--json")
    assert status == 0
    assert json.loads(out)["mismatches"] == 0


def test_states_of_an_archive(place, seed, capsys):
    archive("x.npz", seed)
    arguments = "simulate", "stream.npz", "--features", "x.npz", "--simulator", "icarus", "--json"
    status, out, _ = run(capsys, *arguments)
    content = json.loads(out)
    assert (status, content["mismatches"], content["utterances"], content["labeled"]) == (0, 0, 4, 3)


REFUSED = [
    ("stream", {"initial_h": None}, "initial of the network is 'stream', but there is no array initial_h; add it"),
    ("constant", {}, "holds initial_c, initial_h, but initial of the network is 'constant'; leave them out"),
    ("stream", {"initial_c": np.zeros((3, 4), int)}, "c has the shape (3, 4); expected (4, 4)"),
    ("stream", {"keep": np.zeros(4, int)}, "keep is of int64 and the shape (4,); expected bool, (4,)"),
]


@pytest.mark.parametrize(("model", "changes", "message"), REFUSED)
def test_archives_refused(place, seed, capsys, model, changes, message):
    archive("x.npz", seed, **changes)
    status, _, err = run(capsys, "simulate", f"{model}.npz", "--features", "x.npz", "--simulator", "amaranth")
    assert status == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "simulate stream.npz --features x.npy",
            "give a .npz file with the arrays initial_c and initial_h, or --random",
        ),
        ("evaluate stream.npz x.npz", "simulate takes them from a .npz file"),
        ("evaluate zero.npz kept.npz", "keep is set; evaluate takes every recording by itself, leave it out"),
        ("build stream.npz --board icebreaker", "initial is 'stream'; on boards every utterance starts from zero"),
        ("build zero.npz --board icebreaker", "keeps_state is 1; on boards every utterance starts from zero"),
    ],
)
def test_what_is_refused(place, seed, capsys, arguments, message):
    np.save("x.npy", np.zeros((1, 2, 3), np.int8))
    archive("x.npz", seed)
    archive("kept.npz", seed, initial_c=None, initial_h=None)
    status, _, err = run(capsys, *arguments.split())
    assert status == 2
    assert message in err
    assert err.count("\n") == 1


def test_info_says_where_utterances_start(place, capsys):
    _, out, _ = run(capsys, "info", "constant.npz")
    assert "starts from      constants" in out
    assert "kept for the next utterance, where an utterance says so" in out


@pytest.mark.parametrize("top", ["network", "macro"])
def test_generated_testbench(place, capsys, top):
    """Files, ports and the vectors of a network that starts from a stream, and keeps its state."""
    status, _, err = run(capsys, "generate", "stream.npz", "-o", "out", "--top", top, "--name", "net")
    assert (status, err) == (0, "")
    ports = (place / "out" / "ports.md").read_text()
    for port in ("x_keep", "initial_valid", "initial_ready", "initial_s", "initial_h"):
        assert f"`{port}`" in ports
    vectors = place / "out" / "testbench" / "vectors"
    # Three utterances, of which the second goes on from the first; two beats each.
    assert len((vectors / "initial.hex").read_text().split()) == 4
    assert "initial" in (place / "out" / "specification.toml").read_text()


DEEP = KEEPING.replace(readout="mean", max_steps=4)
STATES = {"layer0.initial_c": 3, "layer0.initial_h": 3, "layer1.initial_c": 4, "layer1.initial_h": 3}


def deep_archive(path, seed, **changes):
    """Recordings for a network of several layers, and the states of those of its macros that have some."""
    rng = np.random.default_rng(seed)
    states = {name: rng.integers(-7, 8, (4, size)) for name, size in STATES.items()}
    no_states = {"initial_c": None, "initial_h": None}
    archive(path, seed, codes=rng.integers(-7, 8, (4, 2, 3)), **(no_states | states | changes))


@pytest.fixture
def deep(place):
    save_model("deep.npz", Model(DEEP, layered_network_of(DEEP, 1).weights, ("a", "b", "c")))


def test_several_layers(deep, seed, capsys):
    deep_archive("x.npz", seed)
    status, out, _ = run(capsys, "simulate", "deep.npz", "--features", "x.npz", "--simulator", "icarus", "--json")
    content = json.loads(out)
    assert (status, content["mismatches"], content["utterances"], content["labeled"]) == (0, 0, 4, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer1.initial_h": None}, "initial of layer1 is 'stream', but there is no array layer1.initial_h; add it"),
        ({"layer3.initial_h": np.zeros((4, 2), int)}, "holds layer3.initial_h, but states come through a stream for l"),
        ({"layer0.initial_h": np.full((4, 3), 8)}, "layer0: h[0, 0] is 8; allowed: -7 to 7"),
    ],
)
def test_archives_for_several_layers_refused(deep, seed, capsys, changes, message):
    deep_archive("x.npz", seed, **changes)
    status, _, err = run(capsys, "simulate", "deep.npz", "--features", "x.npz", "--simulator", "amaranth")
    assert (status, err.count("\n")) == (2, 1)
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("simulate deep.npz --features x.npy", "layer0.initial_c and layer0.initial_h, layer1.initial_c and layer1.in"),
        ("evaluate deep.npz x.npz", "simulate takes them from a .npz file"),
    ],
)
def test_what_is_refused_of_several_layers(deep, seed, capsys, arguments, message):
    np.save("x.npy", np.zeros((1, 2, 3), np.int8))
    deep_archive("x.npz", seed)
    status, _, err = run(capsys, *arguments.split())
    assert (status, err.count("\n")) == (2, 1)
    assert message in err


def test_generated_testbench_of_several_layers(place, deep, capsys):
    """Each macro's states are in a file of their own, and the testbench passes."""
    assert run(capsys, "generate", "deep.npz", "-o", "out", "--name", "net")[0] == 0
    ports = (place / "out" / "ports.md").read_text()
    for port in ("x_keep", "layer0_initial_valid", "layer0_initial_s", "layer1_initial_c", "layer1_initial_h"):
        assert f"`{port}`" in ports
    assert "`layer3_initial" not in ports
    bench = place / "out" / "testbench"
    # Three utterances, of which the second goes on from the first; two beats each.
    for macro in ("layer0", "layer1"):
        assert len((bench / "vectors" / f"{macro}_initial.hex").read_text().split()) == 4
    build, simulate = commands("../net.v")["Icarus Verilog"].split("\n")
    subprocess.run(build, shell=True, cwd=bench, check=True, timeout=600)
    done = subprocess.run(simulate, shell=True, cwd=bench, capture_output=True, text=True, timeout=600)
    assert done.stdout.startswith("PASS: 3 utterances"), done.stdout + done.stderr
