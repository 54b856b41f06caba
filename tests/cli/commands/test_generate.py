# SPDX-License-Identifier: Apache-2.0
"""``generate``: every file says what the model says, the testbench runs without us, and can fail."""

import cmath
import csv
import json
import math
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.cli.commands import generate as command
from crossramp.golden.array.ramps import ramps
from crossramp.golden.layers.spec_file import load_spec
from crossramp.golden.network.model_file import load_model, save_model

from tests.cli.conftest import is_refusal, small_model, text_model


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- what is in the files ------------------------------------------------------------------------------------------


def test_files(run, model_file, generated):
    status, out, err = run("generate", model_file, "-o", "out")
    assert (status, err) == (0, "")
    assert "out: module tiny, 12 columns" in out
    # Two runs, two folders: the same bytes.
    assert contents(Path("out")) == contents(generated)
    subprocess.run(["sha256sum", "--quiet", "-c", "MANIFEST.sha256"], cwd="out", check=True)
    for name in (
        "tiny.v",
        "ramps.csv",
        "conductances.csv",
        "specification.toml",
        "model.json",
        "ports.md",
        "README.md",
    ):
        assert f"  {name}\n" in out


def test_json(run, model_file):
    _, out, _ = run("generate", model_file, "-o", "out", "--json", "--lanes", 3, "--top", "macro")
    content = json.loads(out)
    spec = load_model(model_file).spec.replace(lanes=3)
    assert content["module"] == "tiny_macro"
    assert content["specification_hash"] == spec.content_hash
    assert content["clocks_per_step"] == spec.clocks_per_step
    assert load_spec("out/specification.toml") == spec
    assert set(content["files"]) == set(contents(Path("out")))


def test_verilog_says_what_it_is(generated, model_file):
    model = load_model(model_file)
    text = (generated / "tiny.v").read_text()
    header = text.split("module ")[0]
    assert model.spec.content_hash in header
    assert model.content_hash in header
    assert "adc_bits = 3" in header
    assert str(generated.parent) not in text
    assert str(Path(command.__file__).resolve().parents[2]) not in text
    assert str(Path.home()) not in text


def test_conductances_are_the_weights(generated, model_file):
    model = load_model(model_file)
    spec = model.spec
    rows = rows_of(generated / "conductances.csv")
    weights = np.zeros((spec.rows, spec.columns), int)
    states = {}
    for row in rows:
        levels = int(row["weight_levels"])
        siemens = float(row["conductance_pos_siemens"]) - float(row["conductance_neg_siemens"])
        assert siemens == pytest.approx(levels * 150e-6 / spec.weight_max)
        assert row["bank"] == spec.bank_of_column(int(row["column"]))
        if row["row"]:
            weights[int(row["row"]), int(row["column"])] = levels
        else:
            states[row["row_use"]] = (int(row["column"]), levels)
    assert np.array_equal(weights, model.weights.macro)
    assert states == {f"state{u}": (spec.column("g", u), spec.state_cell) for u in range(spec.units)}
    assert len(rows) == weights.size + spec.units
    assert [row["row_use"] for row in rows[:: spec.columns]][: spec.rows] == [
        *(f"x{k}" for k in range(5)),
        *(f"h{k}" for k in range(3)),
        "bias0",
    ]


def test_several_arrays(run, model_file, tmp_path):
    status, out, err = run("generate", model_file, "-o", "out", "--tile-columns", 4, "--tile-rows", 5)
    assert (status, err) == (0, "")
    for number in range(3):
        assert f"  ramps_array{number}.csv\n" in out
        assert f"  conductances_array{number}.csv\n" in out
    rows = (tmp_path / "out/conductances_array2.csv").read_text().splitlines()
    header = next(row for row in rows if not row.startswith("#")).split(",")
    units = {row.split(",")[header.index("unit")] for row in rows if row[0].isdecimal()}
    assert units == {"2"}
    commands = (tmp_path / "out/testbench/RUN.md").read_text()
    build = next(line for line in commands.splitlines() if line.startswith("iverilog"))
    subprocess.run(build, shell=True, cwd=tmp_path / "out/testbench", check=True)
    said = subprocess.run(
        ["vvp", "-n", "testbench.vvp"], cwd=tmp_path / "out/testbench", capture_output=True, text=True
    )
    assert said.returncode == 0
    assert "PASS" in said.stdout


def test_ramp_program_is_the_ramps(generated, model_file):
    spec = load_model(model_file).spec
    rows = rows_of(generated / "ramps.csv")
    for index, ramp in enumerate(ramps(spec)):
        mine = [row for row in rows if row["ramp"] == str(index)]
        taps = [row for row in mine if row["cell"] == "tap"]
        assert [row["tick"] for row in taps] == [str(tick) for tick in range(1, spec.ticks + 1)]
        assert [float(row["threshold_mac"]) for row in taps] == ramp.thresholds.tolist()
        assert {row["activation"] for row in mine} == {ramp.activation.text}
        assert max(float(row["conductance_siemens"]) for row in taps) == pytest.approx(150e-6)
        cells = [(row["tick"], row["part"]) for row in mine if row["cell"] == "calibration"]
        assert {tick for tick, _ in cells} == {str(k) for k in range(spec.calibration_cells)}
    assert {row["banks"] for row in rows} == {"ifo", "g"}


def test_port_table_is_the_header(generated):
    listed = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (\d+) \| (.*) \|$", (generated / "ports.md").read_text(), re.MULTILINE
    )
    header = re.search(r"^module tiny\(([^)]*)\);", (generated / "tiny.v").read_text(), re.MULTILINE)[1]
    assert [name for name, *_ in listed] == [name.strip() for name in header.split(",")]
    assert all(meaning for *_, meaning in listed)
    assert ("array_comparators", "input", "12") in [entry[:3] for entry in listed]


def test_calibrator(run, model_file, generated):
    """Other ports, in the table too; the same network; its clocks in the README."""
    status, out, _ = run("generate", model_file, "-o", "out", "--calibrator", "--calibration-repeats", 4, "--json")
    assert status == 0
    assert json.loads(out)["calibration"] == {"clocks": 24 * 40 + 5 + 7, "settings": 6, "repeats": 4, "shifts": [0, 0]}
    ports = Path("out/ports.md").read_text()
    added = ("start", "busy", "failed", "load", "value", "registers")
    assert [f"| `calibrate_{name}` |" in ports for name in added] == [True] * 6
    assert "| `calibration` |" not in ports
    assert "calibrates the ramps: 972 clocks, 6 settings of\nthe bias cells, 4 conversions of each" in (
        Path("out/README.md").read_text()
    )
    without = (generated / "README.md").read_text()
    assert "calibrate" not in without
    assert "calibrate" not in (generated / "tiny.v").read_text()


# ---- what feeds it, what it answers, and its vectors -----------------------------------------------------------------


def by_the_text(settings: dict, input_bits: int) -> list[list[int]]:
    """The README's steps, one formula after the other, without numpy and without the golden features."""
    s = SimpleNamespace(**({"cepstra": 0, "deltas": 0} | settings))

    def mel(hertz):
        return 2595 * math.log10(1 + hertz / 700)

    state, samples = 1, []
    for n in range(s.clip_samples):
        samples.append((state // 65536 % 4096 - 2048) * (1 + n // 256 % 4))
        state = (1103515245 * state + 12345) % 2**31
    edges = [mel(s.low_hz) + k * (mel(s.high_hz) - mel(s.low_hz)) / (s.bands + 1) for k in range(s.bands + 2)]
    levels = []
    for begin in range(0, s.clip_samples - s.window_samples + 1, s.hop_samples):
        window = [0.5 - 0.5 * math.cos(2 * math.pi * n / s.window_samples) for n in range(s.window_samples)]
        frame = [samples[begin + n] * window[n] for n in range(s.window_samples)]
        powers = []
        for k in range(s.fft_samples // 2 + 1):
            turn = [cmath.exp(-2j * math.pi * k * n / s.fft_samples) for n in range(s.window_samples)]
            powers.append(abs(sum(value * t for value, t in zip(frame, turn, strict=True))) ** 2)
        row = []
        for b in range(s.bands):
            total = 0.0
            for k, power in enumerate(powers):
                m = mel(k * s.sample_rate / s.fft_samples)
                rise = (m - edges[b]) / (edges[b + 1] - edges[b])
                fall = (edges[b + 2] - m) / (edges[b + 2] - edges[b + 1])
                total += power * max(0, min(rise, fall))
            row.append(min(max(s.level_gain * 10 * math.log10(total) + s.level_offset, 0), s.level_max))
        levels.append(row)
    values = []
    for step in range(len(levels) // s.frames_per_step):
        group = levels[step * s.frames_per_step : (step + 1) * s.frames_per_step]
        values.append([sum(row[b] for row in group) / s.frames_per_step for b in range(s.bands)])
    if s.cepstra:
        cosines = [[math.cos(math.pi * c * (b + 0.5) / s.bands) for b in range(s.bands)] for c in range(s.cepstra)]
        scale = math.sqrt(2 / s.bands)
        values = [[scale * sum(w * v for w, v in zip(row, step, strict=True)) for row in cosines] for step in values]
        values = [
            [*step, *(step[c] - values[max(t - 2, 0)][c] for c in range(s.deltas))] for t, step in enumerate(values)
        ]
    most = 2 ** (input_bits - 1) - 1
    codes = []
    for step in values:
        real = [(v - offset) * gain for v, offset, gain in zip(step, s.band_offset, s.band_gain, strict=True)]
        codes.append([int(math.copysign(int(abs(max(min(v, 1), -1)) * most + 0.5), v)) for v in real])
    return codes


#: Settings whose codes do not all saturate, by what a step's values are.
FRONT_ENDS = {
    "bands": {"band_offset": [100.0] * 5, "band_gain": [1 / 40, 1 / 50, 1 / 60, 1 / 30, 0.01]},
    "cepstra": {
        "cepstra": 3,
        "deltas": 2,
        "band_offset": [450.0, 0.0, 0.0, 0.0, 0.0],
        "band_gain": [1 / 300, 1 / 90, 1 / 60, 1 / 150, 1 / 30],
    },
}


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_the_front_end_can_be_built_from_the_text(kind, tmp_path):
    """From the README and model.json alone, in plain Python: the codes of the check signal come out."""
    model = small_model()
    settings = model.features | FRONT_ENDS[kind]
    command.generate(replace(model, features=settings), tmp_path / "out", command.GenerateOptions("tiny"))
    readme = (tmp_path / "out" / "README.md").read_text()
    section = readme.split("## Inputs")[1].split("\n## ")[0]
    told = json.loads((tmp_path / "out" / "model.json").read_text())
    codes = by_the_text(told["features"], told["specification"]["input_bits"])
    shown = {int(step): [int(code) for code in row.split()] for step, row in re.findall(r"step (\d+): (.*)", section)}
    assert shown == {0: codes[0], 2: codes[2]}
    assert len({*codes[0], *codes[2]}) >= 4  # not all of them saturate
    # Every number of the settings is in the words too.
    for name in ("sample_rate", "clip_samples", "window_samples", "hop_samples", "fft_samples", "frames_per_step"):
        assert str(settings[name]) in section
    assert ("cepstra" in section) == (kind == "cepstra")


def test_classes_and_inputs_are_named(generated, model_file, tmp_path):
    readme = (generated / "README.md").read_text()
    listed = re.findall(r"^ +(\d+) {2}(.*)$", readme.split("## Classes")[1].split("## Inputs")[0], re.MULTILINE)
    assert listed == [("0", "yes"), ("1", "no"), ("2", "_unknown_")]
    model = load_model(model_file)
    told = json.loads((generated / "model.json").read_text())
    assert told["classes"] == list(model.class_names)
    assert told["features"] == model.features
    assert told["specification_hash"] == model.spec.content_hash
    assert "-7 to 7 (-8 is driven as -7)" in readme.replace("\n", " ")
    for kind, words in (
        (small_model(features=False), "does not state how its inputs are made"),
        (text_model(), "code 7 on"),
    ):
        command.generate(kind, tmp_path / words[:4], command.GenerateOptions("tiny"))
        assert words in (tmp_path / words[:4] / "README.md").read_text().replace("\n", " ")


# ---- the folder ----------------------------------------------------------------------------------------------------


def test_a_stranger_s_folder_is_refused(run, model_file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious")
    assert is_refusal(run("generate", model_file, "-o", "out"), "out", "--force")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert run("generate", model_file, "-o", "out", "--force")[0] == 0
    assert (tmp_path / "out" / "thesis.tex").read_text() == "precious"


def test_its_own_folder_is_brought_up_to_date(run, model_file, tmp_path):
    assert run("generate", model_file, "-o", "out")[0] == 0
    (tmp_path / "out" / "testbench" / "mine.vcd").write_text("waves")
    status, out, _ = run("generate", model_file, "-o", "out", "--name", "other")
    assert status == 0
    assert "mine.vcd" not in out
    assert not (tmp_path / "out" / "tiny.v").exists()
    assert (tmp_path / "out" / "other.v").exists()
    assert (tmp_path / "out" / "testbench" / "mine.vcd").exists()
    subprocess.run(["sha256sum", "--quiet", "-c", "MANIFEST.sha256"], cwd=tmp_path / "out", check=True)


def test_empty_folders_that_cannot_be_replaced(run, model_file, tmp_path, monkeypatch, generated):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert run("generate", model_file, "-o", "link")[0] == 0
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == contents(generated)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("generate", model_file, "-o", ".")[0] == 0
    assert contents(tmp_path / "here") == contents(generated)
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link", "here"}


def test_a_dangling_link_is_refused(run, model_file, tmp_path):
    (tmp_path / "link").symlink_to("nothing")
    assert is_refusal(run("generate", model_file, "-o", "link"), "link: is a link", "nothing")


def test_a_failure_leaves_nothing_behind(run, model_file, tmp_path, monkeypatch):
    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "save_spec", fail)
    assert run("generate", model_file, "-o", "deep/out")[0] == 130
    assert not (tmp_path / "deep" / "out").exists()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_wrong_requests(run, model_file, tmp_path):
    (tmp_path / "file").write_text("")
    assert is_refusal(run("generate", model_file, "-o", "file"), "file: is a file")
    assert is_refusal(run("generate", model_file, "-o", "file/out"), "file/out: cannot be written")
    assert is_refusal(run("generate", model_file, "-o", "out", "--lanes", 0), "lanes is 0", "1 to 3")
    assert is_refusal(run("generate", model_file, "-o", "out", "--name", "reg"), "'reg'")
    assert is_refusal(run("generate", model_file, "-o", "out", "--name", "crossramp_dut"), "crossramp_dut", "testbench")
    assert is_refusal(run("generate", model_file, "-o", "out", "--seed", -1), "--seed is -1")
    assert is_refusal(run("generate", "missing.npz", "-o", "out"), "missing.npz", "kws")
    assert is_refusal(run("generate", model_file, "-o", "out", "--technology", "nope"), "'nope'", "rram")
    assert is_refusal(run("generate", model_file, "-o", "out", "--set", "cell.g_max=1e-4"), "--set", "--technology")
    assert is_refusal(run("generate", model_file, "-o", "out", "--calibration-repeats", 4), "belongs to --calibrator")
    once = ("generate", model_file, "-o", "out", "--calibrator")
    assert is_refusal(run(*once, "--calibration-repeats", 3), "--calibration-repeats is 3", "1, 2, 4, 8")
    assert is_refusal(run(*once, "--technology", "nope"), "'nope'", "rram")
    save_model(tmp_path / "bare.npz", small_model(calibration_cells=0))
    assert is_refusal(run("generate", "bare.npz", "-o", "out", "--calibrator"), "calibration_cells is 0")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("stem", "top", "name"),
    [
        ("kws", "network", "kws"),
        ("my-net.v2", "macro", "my_net_v2_macro"),
        ("2nd", "network", "m_2nd"),
        ("é", "network", "network"),
        ("crossramp_dut", "network", "m_crossramp_dut"),  # a module of the testbench
        ("crossramp", "macro", "m_crossramp_macro"),
        ("small", "network", "small_network"),  # a word of the language
    ],
)
def test_module_names(stem, top, name):
    assert command.module_name(stem, top) == name
