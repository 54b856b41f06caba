# SPDX-License-Identifier: Apache-2.0
"""Commands with a network of several layers: files that run, every value equal, chips behind each macro, refusals."""

import json
import subprocess
from pathlib import Path

import pytest
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.placed_chip import macro_seed
from crossramp.golden.analog.chip.ramp_linearity import linearity_of
from crossramp.golden.analog.conversion.calibration_setting import NOMINAL
from crossramp.golden.analog.technologies.technology import load
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


@pytest.mark.parametrize(
    ("macro", "columns"), [("layer0_forward", "r0,n2"), ("layer0_backward", "z1,n0"), ("layer1", "g3,o1")]
)
def test_columns_of_each_macro_in_spice(run, model, macro, columns):
    chip = ("--technology", "rram", "--no", "wires", "--chip-seed", 3)
    common = ("--macro", macro, "--columns", columns, "--steps", 3, *chip)
    status, out, err = run("spice", "deep.npz", *common, "--json")
    assert (status, err) == (0, "")
    content = json.loads(out)
    assert (content["macro"], content["columns"], content["agrees"]) == (macro, columns.split(","), True)
    for part in content["conversions"]:
        for row in part["rows"]:
            assert row["spice_code"] == row["golden_code"] == row["gateware_code"]


def test_columns_of_one_array_of_a_macro_in_spice(run, model):
    """By default those of the first macro; in tiles those of one array."""
    status, out, _ = run("spice", "deep.npz", "--columns", "r0", "--step", 0)
    assert status == 0
    assert "macro          layer0_forward" in out
    arguments = ("--macro", "layer1", "--columns", "g2,o3", "--tile-columns", 8, "--technology", "charge")
    status, out, _ = run("spice", "deep.npz", *arguments)
    assert status == 0
    assert "codes          0 of 3 differ" in out


def test_linearity_of_every_array(run, model):
    common = ("linearity", "--model", "deep.npz", "--chips", 2, "--scheme", "one-shot", "--calibration", "nominal")
    status, out, err = run(*common, "--json")
    assert (status, err) == (0, "")
    rows = json.loads(out)["rows"]
    arrays = list(dict.fromkeys(row["array"] for row in rows))
    assert arrays == list(arrays_of(model.spec))
    # Each is an array of the chips that evaluate measures, with draws of its own.
    spec, weights = model.spec.macros["layer1"], model.weights.macros["layer1"]
    chips = ChipSample(load("rram"), 2, 1, calibrations=(NOMINAL,))
    found = linearity_of(chips, spec, weights, seed_of=lambda seed: macro_seed(model.spec, "layer1", seed))
    expected = [ramp.summary()["mse"] for ramp in found[NOMINAL]]
    mine = [row for row in rows if row["array"] == "layer1_array" and row["scheme"] == "one-shot"]
    assert [row["mse"] for row in mine] == expected
    others = [row["mse"] for row in rows if row["array"] == "layer0_forward_array" and row["scheme"] == "one-shot"]
    assert not set(others) & set(expected)
    status, out, _ = run(*common, "--macro", "layer1", "--plot", "linearity.png", "--csv", "linearity.csv")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines() if "one-shot" in line] == ["layer1_array"] * 2
    assert Path("linearity.csv").read_text().startswith("array,activation,bits,")
    assert Path("linearity.png").stat().st_size > 10_000


def test_ramps_of_each_macro(run, model):
    status, out, _ = run("ramp", "--model", "deep.npz", "--gate", "r")
    assert (status, out.splitlines()[0][:15]) == (0, "sigmoid, 3 bits")
    scales = []
    for macro, gate in (("layer0_backward", "n"), ("layer1", "g")):
        status, out, _ = run("ramp", "--model", "deep.npz", "--macro", macro, "--gate", gate, "--json")
        assert status == 0
        scales.append(json.loads(out)["scale"])
    assert scales == [model.spec.macros[name].scale(gate) for name, gate in (("layer0_backward", "n"), ("layer1", "g"))]


def test_what_follows_for_a_macro(run, model):
    found = [
        json.loads(run("technology", "rram", "--model", "deep.npz", *macro, "--json")[1])["derived"]
        for macro in ((), ("--macro", "layer0_forward"), ("--macro", "layer1"))
    ]
    assert found[0] == found[1] != found[2]
    assert {part["step"]["value"] for part in found} == {model.spec.clocks_per_step * 10e-9}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("spice", "deep.npz", "--macro", "layer2"), "--macro is 'layer2', which names no macro; did you mean layer1?"),
        (("linearity", "--model", "deep.npz", "--macro", "x"), "--macro is 'x', which names no macro; known: layer0_"),
        (("ramp", "--model", "deep.npz", "--macro", "layer1"), "add --gate i, --gate f, --gate g or --gate o"),
        (("ramp", "--model", "deep.npz", "--gate", "i"), "--gate is i; gates of the cell gru are r, z, n"),
        (("spice", "kws", "--macro", "layer0"), "--macro is 'layer0', but the network has one macro; leave it out"),
        (("ramp", "tanh", "--macro", "layer0"), "--macro layer0 is a macro of a model; add --model MODEL"),
        (("technology", "rram", "--macro", "layer0"), "--macro layer0 is a macro of a model; add --model MODEL"),
        (("linearity", "--macro", "layer0"), "--macro layer0 is a macro of a model; add --model MODEL"),
    ],
)
def test_macros_that_are_not_there(run, model, command, message):
    status, out, err = run(*command)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


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
    Path("plan.toml").write_text(PLAN.format(metric='inl", "code_error", "missing_codes'))
    status, out, err = run("sweep", "plan.toml", "-o", "other", "--workers", 1, "--json")
    assert (status, err) == (0, "")
    for point in json.loads(out)["points"]:
        assert all(point["metrics"][name]["mean"] > 0 for name in ("inl", "code_error"))
