# SPDX-License-Identifier: Apache-2.0
"""Cells there and back on the command line: ``generate`` says what to program, ``--conductances`` reads it again."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from crossramp.cli.commands import sweep
from crossramp.cli.output.conductance_maps import write_conductances, write_ramps
from crossramp.golden.analog.cells.conductance_tables import load_conductances
from crossramp.golden.analog.cells.targets import targets
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.network.model_file import load_model, save_model

from tests.cli.conftest import is_refusal, small_model, text_model, write_wav

ROOT = Path(__file__).parents[3]
FILES = ("--conductances", "out/conductances.csv", "--conductances", "out/ramps.csv")
SIMULATE = ("--random", 3, "--steps", 2, "--simulator", "amaranth", "--json")
#: The quickest command that takes cells.
LINEARITY = ("--chips", 1, "--scheme", "one-shot", "--calibration", "found", "--json")


def generate(run, model, *options):
    status, out, err = run("generate", model, "-o", "out", "--force", *options)
    assert (status, err) == (0, ""), err
    return out


def write(model, technology="rram") -> None:
    """The two tables that ``generate`` writes, and nothing else."""
    Path("out").mkdir(exist_ok=True)
    write_conductances(Path("out/conductances.csv"), model.spec, model.weights, load(technology))
    write_ramps(Path("out/ramps.csv"), model.spec, model.weights, load(technology))


def table(path) -> tuple[list[str], list[dict[str, str]]]:
    """Comment lines and rows."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [x for x in lines if x.startswith("#")], list(csv.DictReader(x for x in lines if not x.startswith("#")))


def measured(source: str, path: str, factor: float) -> str:
    """The same table with each conductance ``factor`` times as large, and without what it is for."""
    _, rows = table(source)
    for row in rows:
        row.update({k: f"{factor * float(v):.9g}" for k, v in row.items() if k.startswith("conductance") and v})
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_what_is_generated_is_the_ideal_array(run, model_file):
    """Effects off, the answers of the hardware with these cells are those of an ideal array."""
    technology = ("--technology", "rram", "--set", "comparator.offset=0.002")
    out = generate(run, model_file, *technology, "--no", "drift")
    assert "cells to program: technology rram, 9 to 88.19 µS" in out
    status, out, err = run("simulate", model_file, *SIMULATE, *technology, "--no", "all", *FILES)
    assert (status, err) == (0, "")
    content = json.loads(out)
    assert [row["answer"] for row in content["rows"]] == [row["ideal_answer"] for row in content["rows"]]
    assert content["mismatches"] == 0
    assert content["array"]["conductances"] == ["out/conductances.csv", "out/ramps.csv"]
    assert content["array"]["warnings"] == []
    assert list(content["array"]["conductance_gains"].values()) == [1.0] * 8


def test_a_named_technology_is_told(run, model_file):
    out = generate(run, model_file, "--technology", "pcm", "--set", "cell.g_max=3e-5", "--json")
    content = json.loads(out)
    assert (content["technology"], content["window"]) == ("pcm", "0 to 30 µS")
    for name in ("conductances.csv", "ramps.csv"):
        assert "# technology: pcm" in table(f"out/{name}")[0]
        assert "# window: 0 to 30 µS" in table(f"out/{name}")[0]
    assert "(technology pcm, 0 to 30 µS)" in Path("out/README.md").read_text(encoding="utf-8")


def test_targets_that_no_cell_can_have_are_told(run, model_file):
    single = ("--technology", "rram", "--set", "ramp.pairs=0")
    status, out, err = run("generate", model_file, "-o", "out", "--json", *single)
    assert status == 0
    (said,) = json.loads(out)["warnings"]
    assert err == f"crossramp: warning: {said}\n"
    assert "ramp cells are to be smaller than 9 µS" in said


def test_without_a_technology_the_tables_say_their_window(run, model_file):
    out = generate(run, model_file)
    assert "cells to program: no technology was named, so 0 to 150 µS and single ramp cells" in out
    readme = Path("out/README.md").read_text(encoding="utf-8")
    assert "(no technology was named, so 0 to 150 µS and single ramp cells)" in readme
    assert is_refusal(
        run("linearity", "--model", model_file, *LINEARITY, "--technology", "rram", *FILES),
        "out/conductances.csv: its cells are for technology none (0 to 150 µS), not for rram (9 to 88.19 µS)",
        "crossramp generate",
    )
    # The options that its README tells do make such an array.
    options = readme.split("```sh\n--technology")[1].split("```")[0].replace("\\\n", " ").split()
    options = ["--technology", *(x if x.startswith("-") or "=" in x or x == "rram" else f"out/{x}" for x in options)]
    status, out, err = run("linearity", "--model", model_file, *LINEARITY, "--no", "all", *options)
    assert (status, err) == (0, "")
    assert json.loads(out)["conductance_gains"]["weights"] == 1
    assert {row["inl_max_lsb"] for row in json.loads(out)["rows"][::2]} == {
        row["inl_max_lsb"] for row in json.loads(out)["rows"][1::2]
    }


def test_another_model_s_cells_are_refused(run, model_file):
    write(load_model(model_file))
    save_model("other.npz", small_model(units=4))
    said = run("linearity", "--model", "other.npz", *LINEARITY, "--technology", "rram", *FILES)
    assert is_refusal(said, "its cells are for another specification", load_model(model_file).spec.content_hash)


# ---- cells that are not what they should be --------------------------------------------------------------------------


@pytest.fixture
def halved(run, model_file):
    """Tables of rram's cells, half as large, that do not say what they are for."""
    write(load_model(model_file))
    return [
        "--technology", "rram",
        "--conductances", measured("out/conductances.csv", "weights.csv", 0.5),
        "--conductances", measured("out/ramps.csv", "cells.csv", 0.5),
    ]  # fmt: skip


def is_warned(err: str, *parts: str) -> bool:
    """One line of warning on stderr, that names files and gains."""
    lines = [line for line in err.splitlines() if line.startswith("crossramp: warning: ")]
    assert len(lines) == 1, err
    assert "weights.csv, cells.csv: least-squares gain against the targets of technology rram: " in lines[0]
    for part in parts or (
        "weights 0.5",
        "state cells 0.5",
        "taps of ramp 0 (sigmoid) 0.5",
        "start of ramp 1 (tanh) 0.5",
    ):
        assert part in lines[0], lines[0]
    return True


def test_simulate_warns(run, model_file, halved):
    status, out, err = run("simulate", model_file, *SIMULATE, *halved)
    assert status == 0
    assert is_warned(err)
    content = json.loads(out)["array"]
    assert f"crossramp: warning: {content['warnings'][0]}" in err
    assert content["conductance_gains"]["weights"] == pytest.approx(0.5)


def test_spice_warns(run, model_file, halved):
    status, _, err = run("spice", model_file, *halved, "--columns", 1, "-o", "deck", "--deck-only")
    assert status == 0
    assert is_warned(err)


def test_linearity_warns_and_draws_given_cells(run, model_file, halved, monkeypatch):
    """The supply picture too is of the given cells."""
    seen = []
    monkeypatch.setattr("crossramp.cli.plots.linearity_plot.plot_supply", lambda path, errors, *_: seen.append(errors))
    linearity = ("linearity", "--model", model_file, "--chips", 1, "--supply-plot", "supply.png", "--no", "all")
    status, out, err = run(*linearity, "--json", *halved[:4])
    assert status == 0
    assert "crossramp: warning: weights.csv: least-squares gain" in err
    assert json.loads(out)["warnings"]
    assert run(*linearity, "--technology", "rram")[0] == 0
    given, drawn = seen
    # Halved columns before a ramp that was left whole: most codes are wrong.
    assert given.mean["in-memory"] != pytest.approx(drawn.mean["in-memory"])
    assert is_refusal(run("linearity", "--chips", 1, *halved), "add --model")


def test_demo_text_warns(run):
    save_model("text.npz", text_model())
    write(text_model())
    cells = measured("out/conductances.csv", "text.csv", 0.5)
    status, _, err = run(
        "demo", "text", "--model", "text.npz", "--simulator", "amaranth", "--characters", 2,
        "--technology", "rram", "--conductances", cells,
    )  # fmt: skip
    assert status == 0
    assert "crossramp: warning: text.csv: least-squares gain" in err


def test_good_cells_are_not_warned_of(run, model_file):
    write(load_model(model_file))
    cells = measured("out/conductances.csv", "weights.csv", 1.05)
    given = ("--technology", "rram", "--conductances", cells)
    status, out, err = run("linearity", "--model", model_file, *LINEARITY, *given)
    assert (status, err) == (0, "")
    assert json.loads(out)["conductance_gains"] == {"weights": 1.05, "state cells": 1.05}


def test_an_archive_is_checked_too(run, model_file):
    spec = load_model(model_file).spec
    np.savez("dead.npz", unit="uS", ramp=np.full((2, spec.ticks), 1.0))
    given = ("--technology", "rram", "--conductances", "dead.npz")
    status, _, err = run("linearity", "--model", model_file, *LINEARITY, *given)
    assert status == 0
    assert "crossramp: warning: dead.npz: least-squares gain" in err


# ---- evaluate and sweep ----------------------------------------------------------------------------------------------


@pytest.fixture
def recordings(tmp_path, seed):
    """Two of each word."""
    rng = np.random.default_rng(seed)
    for word in ("yes", "no"):
        for k in range(2):
            write_wav(tmp_path / "audio" / word / f"a{k}_nohash_0.wav", rng.normal(0, 3000, 1000))
    return tmp_path / "audio"


def test_evaluate_takes_cells(run, model_file, halved, recordings, monkeypatch):
    """In every chip, and in the one in front of the hardware; they are told, and warned of."""
    from crossramp.golden.analog.chip.placed_chip import PlacedChip

    chips, real = [], PlacedChip.of

    def of(*arguments):
        chips.append(real(*arguments))
        return chips[-1]

    monkeypatch.setattr(PlacedChip, "of", of)
    count = ("--chips", 2, "--jobs", 1, "--calibration", "nominal")
    evaluate = ("evaluate", model_file, recordings, *count, *halved, "--no", "all")
    status, out, err = run(*evaluate, "--rtl", "--simulator", "amaranth", "--json")
    assert status == 0
    assert is_warned(err)
    told = json.loads(out)
    assert told["array"]["warnings"][0] in err
    assert told["array"]["conductances"] == ["weights.csv", "cells.csv"]
    # Half of each weight, as the tables say; all chips are the same array then, and the hardware equals its golden.
    model = load_model(model_file)
    assert np.allclose(chips[0].devices[""].weights, model.weights.macro / 2, atol=1e-4)
    assert told["hardware"][1]["mismatches"] == 0
    assert len({chip["accuracy"] for chip in told["chips"][0]["values"]}) == 1
    from crossramp.golden.inputs.features import features, pulse_codes
    from crossramp.train.data.word_folders import labeled_recordings

    from tests.support.chips import macro_of

    found = labeled_recordings(recordings, model.class_names, model.feature_settings)
    codes = pulse_codes(features(found.clips, model.feature_settings), model.spec.input_bits)
    hidden = macro_of(chips[0].devices[""]).hidden(codes)
    answers = model.network.logits(hidden.sum(axis=1), codes.shape[1]).argmax(axis=1)
    assert told["chips"][0]["mean"] == (answers == found.labels).mean()
    out = run(*evaluate)[1]
    assert "without programming" in out
    assert ", cells of weights.csv, cells.csv" in out


def test_evaluate_refuses_what_does_not_fit(run, model_file, recordings):
    write(load_model(model_file))
    evaluate = ("evaluate", model_file, recordings, "--chips", 1, "--jobs", 1)
    assert is_refusal(run(*evaluate, "--technology", "pcm", *FILES), "for technology rram (9 to 88.19 µS), not for pcm")
    assert is_refusal(run(*evaluate[:3], *FILES), "--conductances", "--technology")
    given = ("--technology", "rram", "--conductances-g-max", 20)
    assert is_refusal(run(*evaluate, *given), "--conductances-g-max belongs to --conductances")
    assert is_refusal(run(*evaluate, *given, "--conductances", "none.npz"), "none.npz: cannot be read")


PLAN = """
model = "{model}"
data = "random:4"
chips = 2
metrics = ["flips", "inl"]
[axes]
"cell.read_noise" = [0.0, 0.1]
"""


@pytest.fixture
def plan(tmp_path, model_file):
    def make(more=""):
        (tmp_path / "plan.toml").write_text(PLAN.format(model=model_file) + more)
        return tmp_path / "plan.toml"

    return make


def test_sweep_takes_cells(run, model_file, halved, plan, monkeypatch):
    monkeypatch.setattr(sweep, "_draw", lambda *_: [])  # pictures take longer than all the rest
    command = ("sweep", plan(), "-o", "swept", "--workers", 1, "--json")
    cells = halved[2:]
    status, out, err = run(*command, *cells)
    assert status == 0
    assert is_warned(err)
    first = json.loads(out)
    assert first["conductances"] == ["weights.csv", "cells.csv"]
    assert len(first["warnings"]) == 1
    assert first["computed"] == 4
    # The same cells under another name, in another order and layout, go on; others, and none, are another sweep.
    Path("moved.csv").write_text(Path("cells.csv").read_text())
    again = json.loads(run(*command, "--conductances", "moved.csv", *cells[:2])[1])
    assert again["computed"] == 0
    assert again["points"] == first["points"]
    measured("out/conductances.csv", "weights.csv", 0.501)
    assert is_refusal_after_warning(run(*command, *cells), "holds a sweep with another conductances", "--restart")
    assert is_refusal(run(*command), "holds a sweep with another conductances", "--restart")
    measured("out/conductances.csv", "weights.csv", 0.5)
    status, out, _ = run(*command, *cells, "--report")
    assert json.loads(out)["points"] == first["points"]
    # Given cells are in the results: without them the ramps are others.
    drawn = json.loads(run("sweep", plan(), "-o", "drawn", "--workers", 1, "--json")[1])
    inl = [[point["metrics"]["inl"]["mean"] for point in told["points"]] for told in (first, drawn)]
    assert inl[0] != inl[1]
    assert "conductances" not in drawn["identity"]
    assert is_refusal_after_warning(
        run("sweep", plan(), "-o", "drawn", "--workers", 1, *cells), "holds a sweep with another conductances"
    )


def is_refusal_after_warning(result, *words) -> bool:
    """A refusal, once the warning is taken from it."""
    status, out, err = result
    lines = err.splitlines(keepends=True)
    assert lines[0].startswith("crossramp: warning: ")
    return is_refusal((status, out, "".join(lines[1:])), *words)


def test_sweep_checks_the_cells_of_each_point(run, model_file, plan, halved):
    write(load_model(model_file))
    technologies = plan('technology = ["rram", "pcm"]\n')
    assert is_refusal(
        run("sweep", technologies, "--dry-run", *FILES), "for technology rram (9 to 88.19 µS), not for pcm"
    )
    windows = plan('"times cell.g_max" = [1.0, 0.8]\n')
    assert is_refusal(run("sweep", windows, "--dry-run", *FILES), "not for rram (9 to 70.552 µS)")
    bits = plan("adc_bits = [3, 4]\n")
    assert is_refusal(run("sweep", bits, "--dry-run", *FILES), "out/ramps.csv", "for another specification")
    status, out, err = run("sweep", bits, "--dry-run", "--json", *FILES[:2])
    assert (status, err) == (0, "")
    assert json.loads(out)["conductances"] == ["out/conductances.csv"]
    # Tables that say nothing are told once for each window.
    status, _, err = run("sweep", windows, "--dry-run", *halved[2:])
    assert status == 0
    assert err.count("crossramp: warning: ") == 2
    status, _, err = run("sweep", plan(), "--dry-run", *halved[2:])
    assert err.count("crossramp: warning: ") == 1


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_page_runs_as_it_stands(tmp_path):
    """docs/conductances.md, from targets to measured cells and back, with some of the shipped recordings."""
    page = (ROOT / "docs" / "conductances.md").read_text(encoding="utf-8")
    part = page.split("## From targets to measured cells and back")[1].split("\n## ")[0]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks] == ["sh", "python", "sh"]
    for word in ("yes", "no"):  # a few recordings will do
        shutil.copytree(ROOT / "cli" / "demo_data" / "recordings" / word, tmp_path / "recordings" / word)
    (tmp_path / "measure.py").write_text(blocks[1][1], encoding="utf-8")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    said = ""
    for block in (blocks[0][1], blocks[2][1]):
        done = subprocess.run(["sh", "-eu", "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        said += done.stdout
    assert "cells to program: technology rram, 9 to 88.19 µS" in said
    assert re.search(r"^sigmoid +5 +one-shot ", said, re.MULTILINE)
    assert ", cells of conductances_measured.csv, ramps_measured.csv" in said
    # What was measured is not what was to be programmed, and nearly so.
    spec = load_model("kws").spec
    found = load_conductances(
        [tmp_path / "conductances_measured.csv", tmp_path / "ramps_measured.csv"],
        spec,
        load("rram"),
        load_model("kws").weights.macro,
    )
    wanted = targets(load("rram"), spec, load_model("kws").weights.macro)
    assert np.std(found.positive - wanted.positive) == pytest.approx(1e-6, rel=0.05)
