# SPDX-License-Identifier: Apache-2.0
"""``crossramp linearity``: table, JSON, CSV, pictures, a model's ramps, and what it refuses."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from crossramp.cli.main import main
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.ramp_linearity import linearity_of, probe
from crossramp.golden.analog.chip.sampling import sample
from crossramp.golden.analog.conversion.calibration_setting import CalibrationSetting
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.network.model_file import load_model, save_model

from tests.cli.conftest import small_model

DOCS = Path(__file__).parents[3] / "docs"


def run(capsys, *arguments):
    status = main(["linearity", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_table_json_and_csv_agree(capsys, tmp_path):
    arguments = ("tanh", "--bits", "3,4", "--chips", 3, "--chip-seed", 8, "--technology", "pcm")
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    lines = out.splitlines()
    # Ideal, and three schemes before and after calibration.
    assert [line.split()[1] for line in lines if line.startswith("tanh")] == ["3"] * 7 + ["4"] * 7
    status, out, _ = run(capsys, *arguments, "--json", "--csv", tmp_path / "t.csv")
    content = json.loads(out)
    assert (content["technology"], content["chips"], content["chip_seed"]) == ("pcm", 3, 8)
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(content["rows"]) == 14
    for row, entry in zip(rows, content["rows"], strict=True):
        assert {name: str(value) for name, value in entry.items()} == row
        assert f"{entry['inl_rms_lsb']:.3f}" in lines[1 + content["rows"].index(entry)]


def test_figures_are_those_of_the_seeds(capsys):
    _, out, _ = run(capsys, "sigmoid", "--bits", 4, "--chips", 2, "--chip-seed", 5, "--scheme", "one-shot", "--json")
    spec = probe("sigmoid", 4)
    weights = np.random.default_rng(0).integers(-15, 15, (spec.rows, spec.columns), endpoint=True)
    found = linearity_of(ChipSample(load("rram"), 2, 5), spec, weights)
    rows = json.loads(out)["rows"]
    assert [row["calibration"] for row in rows] == ["nominal", "nominal", "found"]
    for row in rows[1:]:
        assert row["mse"] == found[CalibrationSetting.parse(row["calibration"])][0].summary()["mse"]


def test_cells_may_be_given_as_a_number(capsys):
    """10: the largest cell alone, which is the nominal setting; 0: none of them."""
    common = ("tanh", "--bits", 3, "--chips", 1, "--scheme", "one-shot", "--json")
    figures = {}
    for cells in ("nominal", "10", "0"):
        ideal, real = json.loads(run(capsys, *common, "--calibration", cells)[1])["rows"]
        assert (ideal["calibration"], real["calibration"]) == ("nominal", cells)
        figures[cells] = real["inl_rms_lsb"]
    assert figures["10"] == figures["nominal"] < figures["0"]
    out = run(capsys, *common[:-1], "--calibration", "0")[1]
    assert "one-shot, cells 0 " in out


def test_ramps_without_bias_cells_are_measured_as_they_are(capsys, tmp_path):
    save_model(tmp_path / "bare.npz", small_model(calibration_cells=0))
    common = ("--model", tmp_path / "bare.npz", "--chips", 1, "--scheme", "one-shot", "--json")
    assert {row["calibration"] for row in json.loads(run(capsys, *common)[1])["rows"]} == {"nominal"}
    assert "no calibration cells" in run(capsys, *common, "--calibration", "both")[2]


def test_a_models_ramps_with_effects_off(capsys, model_file):
    status, out, _ = run(capsys, "--model", model_file, "--chips", 1, "--no", "all", "--calibration", "found", "--json")
    assert status == 0
    rows = json.loads(out)["rows"]
    assert {row["activation"] for row in rows} == {"sigmoid", "tanh"}
    for name in ("sigmoid", "tanh"):
        _, *real = (row for row in rows if row["activation"] == name)
        assert len(real) == 3
        assert all(row["calibration"] == "found" for row in real)
        # The small network's ramps meet the ends of its reach, where thresholds are held; the rest is exact.
        assert all(row["inl_max_lsb"] == real[0]["inl_max_lsb"] for row in real)


def test_pictures(capsys, tmp_path):
    names = [tmp_path / "l.png", tmp_path / "s.svg"]
    status, _, _ = run(capsys, "hard_tanh", "--bits", 3, "--chips", 2, "--plot", names[0], "--supply-plot", names[1])
    assert status == 0
    assert names[0].read_bytes().startswith(b"\x89PNG")
    assert names[1].read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tanh", "--bits", "9"], "--bits is '9'; a ramp has 2 to 8"),
        (["tanh", "--bits", "a-b"], "--bits is 'a-b'; give a number"),
        (["tanh", "--bits", "6-5"], "--bits is '6-5'; a ramp has 2 to 8"),
        (["tank"], "unknown activation 'tank'"),
        (["tanh", "--chips", "0"], "--chips is 0; allowed: 1 to 100000"),
        (["tanh", "--plot", "x.foo"], "x.foo: no picture ends in '.foo'"),
        (
            ["tanh", "--technology", "charge", "--scheme", "cumulative"],
            "--scheme cumulative: the ramp of technology charge",
        ),
        (["tanh", "--technology", "rum"], "there is no technology 'rum'; shipped: charge, pcm, rram"),
        (["tanh", "--set", "cell.read_noise=a"], "'a' is not a number in 1"),
        (["tanh", "--set", "cell.g_max"], "write it as CONSTANT=VALUE"),
        (["tanh", "--set", "cell.gmax=1"], "cell.gmax is unknown; did you mean cell.g_max"),
        (["tanh", "--no", "rain"], "--no rain: no such effect; known: programming, "),
        (["tanh", "--chip-seed", "-1"], "--chip-seed is -1; allowed: 0 to 2**63 - 1"),
        (["tanh", "--calibration", "some"], "calibration is 'some'; give nominal, found"),
        (["tanh", "--calibration", "20"], "calibration is 20; allowed: 0 to 1f, for 5 cells"),
        (["tanh", "--conductances", "x.npz"], "--conductances are those of one array; add --model MODEL"),
        (["tanh", "--conductances-g-max", "40"], "--conductances-g-max belongs to --conductances"),
        (["--model", "kws", "--bits", "5"], "--bits 5 and --model kws exclude each other"),
        (["tanh", "--model", "kws"], "tanh and --model kws exclude each other"),
    ],
)
def test_refusals_are_one_line(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_given_cells_are_those_of_every_instance(capsys, tmp_path, model_file):
    """A ramp that was measured once has one linearity, unless it ages."""
    model = load_model(model_file)
    chip = sample(load("rram"), model.spec, model.weights.macro, 4)
    names = ("positive", "negative", "ramp", "ramp_negative", "ramp_start", "ramp_start_negative")
    names += ("calibration", "calibration_negative")
    np.savez(tmp_path / "g.npz", unit="S", **{name: getattr(chip, name) for name in names})
    common = (
        "--model",
        model_file,
        "--chips",
        2,
        "--scheme",
        "one-shot",
        "--json",
        "--no",
        "drift,capacitors,read_voltage",
    )
    spreads = []
    for given in ((), ("--conductances", tmp_path / "g.npz")):
        rows = json.loads(run(capsys, *common, *given)[1])["rows"]
        real = [row for row in rows if row["scheme"] == "one-shot" and row["calibration"] == "nominal"]
        spreads.append([row["mse_95"] - row["mse"] for row in real])
    assert all(spread > 1e-9 for spread in spreads[0])
    assert all(abs(spread) < 1e-12 for spread in spreads[1])


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("ramp_tables", DOCS.parent / "tools" / "ramp_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_tables_are_those_of_its_file(tables):
    page = tables.PAGE.read_text(encoding="utf-8")
    assert tables.written(page) == page, "run: python tools/ramp_tables.py --write"


def test_the_pages_file_is_what_chips_give(tables):
    """Of some chips only: a page that strays further tells of another model than the one in the tree."""
    told = {
        (row["scheme"], row["calibration"]): row
        for row in tables.read()
        if (row["chips"], row["activation"], row["bits"]) == ("rram, no stuck cells", "sigmoid", 5)
    }
    sound = load("rram").replace({"cell.stuck_on": 0.0, "cell.stuck_off": 0.0})
    for row in tables.measured(sound, "sigmoid", 5, chips=30):
        then = told[row["scheme"], row["calibration"]]
        # 30 chips of those 100.
        assert row["inl_rms_lsb"] == pytest.approx(then["inl_rms_lsb"], rel=0.3), (row["scheme"], row["calibration"])
