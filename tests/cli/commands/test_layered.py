# SPDX-License-Identifier: Apache-2.0
"""Commands with a network of several layers: files that run, every value equal, chips behind each macro, refusals."""

import json
import subprocess
from pathlib import Path

import pytest
from crossramp.golden.layers.spec_file import load_spec, save_spec
from crossramp.golden.layers.tile import arrays_of
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.network.model_file import Model, save_model
from crossramp.sim.bulk.selfcheck import commands

from tests.cli.conftest import CLASSES, FEATURES
from tests.support.layered import HEARING, layered_network_of


@pytest.fixture
def model():
    """In the file ``deep.npz``."""
    model = Model(HEARING, layered_network_of(HEARING, 1).weights, CLASSES, FEATURES.to_dict())
    save_model("deep.npz", model)
    return model


def test_specification_file(tmp_path):
    save_spec(tmp_path / "s.toml", HEARING)
    assert load_spec(tmp_path / "s.toml") == HEARING


def test_info(run, model):
    status, out, err = run("info", "deep.npz")
    assert (status, err) == (0, "")
    assert "2 layers, 5 inputs, 4 codes for the head, 3 classes" in out
    assert "GRU, 5 inputs, 3 units, two directions" in out
    content = json.loads(run("info", "deep.npz", "--json")[1])
    assert list(content["macros"]) == list(model.spec.macros)
    assert content["devices"] == model.spec.devices
    assert content["specification"]["layers"][0]["bidirectional"] is True


def test_generated_files(run, model):
    status, out, err = run("generate", "deep.npz", "-o", "out")
    assert (status, err) == (0, "")
    assert f"module deep, 34 columns, {model.spec.clocks_per_step} clocks a step" in out
    assert load_spec("out/specification.toml") == model.spec
    ports = Path("out/ports.md").read_text()
    for group in step_groups(model.spec):
        for port in (group.strobe, *map(group.port_of, group.fields)):
            assert f"| `{port}` | output |" in ports
    for array in arrays_of(model.spec):
        assert f"| `{array}_tick` | output | 1 | all ramps go one step on |" in ports
        assert Path(f"out/ramps_{array}.csv").is_file()
        assert Path(f"out/conductances_{array}.csv").is_file()
    place, (build, simulate) = Path("out/testbench"), commands("../deep.v")["Icarus Verilog"].split("\n")
    subprocess.run(build, shell=True, cwd=place, check=True, timeout=600)
    done = subprocess.run(simulate, shell=True, cwd=place, capture_output=True, text=True, timeout=600)
    assert done.stdout.startswith("PASS: 3 utterances"), done.stdout + done.stderr
    # A value of one macro that is wrong is seen.
    vectors = place / "vectors" / "layer0_backward_h.hex"
    first, *others = vectors.read_text().splitlines()
    vectors.write_text("\n".join([f"{int(first, 16) ^ 1:x}", *others]) + "\n")
    done = subprocess.run(simulate, shell=True, cwd=place, capture_output=True, text=True, timeout=600)
    assert done.returncode != 0
    assert "bench: layer0_backward_h record 0 is" in done.stdout


def test_simulated(run, model):
    status, out, _ = run("simulate", "deep.npz", "--random", 2, "--simulator", "icarus", "--json")
    content = json.loads(out)
    assert (status, content["mismatches"], content["violations"]) == (0, 0, [])
    assert content["codes_compared"] == 2 * 3 * 72 + 2 * 4


def test_simulated_on_a_chip(run, model):
    options = ("--random", 2, "--simulator", "icarus", "--technology", "rram", "--calibration", "found", "--json")
    status, out, _ = run("simulate", "deep.npz", *options)
    content = json.loads(out)
    assert (status, content["mismatches"]) == (0, 0)
    assert [part.split()[0] for part in content["array"]["calibration"].split(", ")] == list(model.spec.macros)


@pytest.mark.parametrize(
    "command",
    [
        ("spice", "deep.npz"),
        ("prove", "deep.npz"),
        ("ramp", "--model", "deep.npz"),
        ("linearity", "--model", "deep.npz"),
        ("technology", "rram", "--model", "deep.npz"),
        ("virtual", "deep.npz"),
        ("build", "deep.npz", "--board", "icebreaker"),
        ("generate", "deep.npz", "-o", "out", "--calibrator"),
        ("generate", "deep.npz", "-o", "out", "--top", "macro"),
        ("simulate", "deep.npz", "--random", 1, "--technology", "rram", "--conductances", "c.csv"),
    ],
)
def test_commands_for_one_macro(run, model, command):
    Path("c.csv").write_text("")
    status, out, err = run(*command)
    assert (status, out) == (2, "")
    assert "the network has the macros layer0_forward, layer0_backward, layer1; " in err
    assert err.count("\n") == 1
    assert not Path("out").exists()


PLAN = """
model = "deep.npz"
data = "random:3"
chips = 2
seed = 3
metrics = ["{metric}"]
[axes]
adc_bits = [3, 4]
"""


def test_swept(run, model):
    Path("plan.toml").write_text(PLAN.format(metric="flips"))
    status, out, err = run("sweep", "plan.toml", "-o", "swept", "--workers", 1, "--json")
    assert (status, err) == (0, "")
    assert [point["metrics"]["flips"]["count"] for point in json.loads(out)["points"]] == [2, 2]
    Path("plan.toml").write_text(PLAN.format(metric="inl"))
    status, out, err = run("sweep", "plan.toml", "-o", "other")
    assert (status, out) == (2, "")
    assert "inl are of one macro, and the network has layer0_forward, layer0_backward, layer1; take" in err
