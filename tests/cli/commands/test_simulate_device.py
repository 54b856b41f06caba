# SPDX-License-Identifier: Apache-2.0
"""``simulate --technology``: the hardware in front of a device instance, against golden with the same one."""

import json
from dataclasses import replace

import numpy as np
import pytest
from crossramp.cli.inputs.network_inputs import from_seed
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.conversion.calibration import CalibrationPlan, calibrate
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.network.model_file import load_model
from crossramp.sim.amaranth import amaranth_backend

from tests.cli.conftest import is_refusal
from tests.support.chips import macro_of

CHIP = ("--technology", "rram", "--chip-seed", 5, "--set", "cell.read_noise=0.2")


def simulated(run, model_file, *arguments, simulator="amaranth") -> tuple[int, dict]:
    status, out, err = run("simulate", model_file, "--simulator", simulator, *arguments, "--json")
    assert err == ""
    return status, json.loads(out)


@pytest.mark.parametrize("simulator", ["amaranth", "icarus"])  # Verilator: tests/sim/bulk/test_device_bulk.py
def test_every_simulator_has_the_same_chip(run, model_file, simulator):
    status, content = simulated(run, model_file, "--random", 8, *CHIP, simulator=simulator)
    assert status == 0
    assert (content["mismatches"], content["violations"]) == (0, [])
    model = load_model(model_file)
    chip = device(load("rram").replace({"cell.read_noise": 0.2}), model.spec, model.weights.macro, 5)
    x = from_seed(model, 8, 1).codes
    golden = model.network.with_head(macro_of(chip).run(x))
    answers = [model.class_names[k] for k in golden.answers]
    ideal = [model.class_names[k] for k in model.network.answers(x)]
    rows = content["rows"]
    for name, expected in (("answer", answers), ("golden_answer", answers), ("ideal_answer", ideal)):
        assert [row[name] for row in rows] == expected
    array = content["array"]
    assert (array["technology"], array["chip_seed"], array["effects_off"]) == ("rram", 5, [])
    assert int(array["calibration"], 16) == sum(1 << int(k) for k in np.flatnonzero(chip.nominal))
    # The chip is not the ideal array.
    assert not np.array_equal(golden.h, model.network.run(x).h)


def test_without_effects_it_is_the_ideal_array(run, model_file):
    _, content = simulated(run, model_file, "--random", 4, "--technology", "charge", "--no", "all")
    _, ideal = simulated(run, model_file, "--random", 4)
    assert content["mismatches"] == 0
    assert content["array"]["effects_off"]
    assert ideal["array"] is None
    for row, other in zip(content["rows"], ideal["rows"], strict=True):
        assert row["ideal_answer"] == row["answer"] == other["answer"]
        assert "ideal_answer" not in other


def test_cells_that_a_calibration_finds(run, model_file):
    model = load_model(model_file)
    tech = load("rram").replace({"cell.read_noise": 0.2})
    plan = CalibrationPlan.of(model.spec, tech["ramp.calibration_range"])
    found = calibrate(device(tech, model.spec, model.weights.macro, 5), plan).registers
    expected = sum(int(value) << model.spec.calibration_cells * k for k, value in enumerate(found))
    status, content = simulated(run, model_file, "--random", 2, *CHIP, "--calibration", "found")
    assert status == 0
    assert int(content["array"]["calibration"], 16) == expected
    status, by_number = simulated(run, model_file, "--random", 2, *CHIP, "--calibration", f"{expected:x}")
    assert status == 0
    assert by_number["rows"] == content["rows"]


def test_another_chip_is_seen(run, model_file, monkeypatch):
    original = amaranth_backend.simulate_amaranth

    def other(network, x, *, array, **options):
        chip = array.device.replace(seed=array.device.seed + 1)
        return original(network, x, array=replace(array, content=chip), **options)

    monkeypatch.setattr(amaranth_backend, "simulate_amaranth", other)
    status, out, _ = run("simulate", model_file, "--random", 4, "--simulator", "amaranth", *CHIP)
    assert status == 1
    assert "differ: codes, step " in out


def test_table(run, model_file):
    status, out, _ = run("simulate", model_file, "--random", 2, "--simulator", "amaranth", *CHIP, "--no", "wires,drift")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].split() == ["utterance", "label", "hardware", "golden", "ideal", "compared", "bit", "for", "bit"]
    assert any(line.startswith("array ") and line.endswith("device 5") for line in lines)
    assert any(line.strip() == "without drift, wires" for line in lines)
    assert any(line.startswith("calibration ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--calibration", "1f"), ("--calibration 1f", "--technology")),
        ((*CHIP, "--calibration", "some"), ("'some'", "nominal, found, or cells as a hexadecimal number")),
        ((*CHIP, "--calibration", "fffffff"), ("calibration is fffffff", "allowed: 0 to 3ff, for 10 cells")),
        ((*CHIP, "--calibration=-1"), ("calibration is '-1'",)),
        (("--chip-seed", 5), ("--chip-seed", "--technology")),
        (("--technology", "none.toml"), ("none.toml",)),
        ((*CHIP, "--no", "gravity"), ("gravity",)),
    ],
)
def test_what_is_wrong_is_one_line(run, model_file, arguments, words):
    assert is_refusal(run("simulate", model_file, "--random", 1, *arguments), *words)
