# SPDX-License-Identifier: Apache-2.0
"""Cells there and back on the command line: ``generate`` says what to program, ``--conductances`` reads it again."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from crossramp.golden.analog.technology import load
from crossramp.golden.modelfile import load_model, save_model
from crossramp.maps import write_conductances, write_ramps

from tests.cli.conftest import is_refusal, small_model, text_model

FILES = ("--conductances", "out/conductances.csv", "--conductances", "out/ramps.csv")
SIMULATE = ("--random", 3, "--steps", 2, "--simulator", "amaranth", "--json")
#: The quickest command that takes cells.
LINEARITY = ("--instances", 1, "--scheme", "one-shot", "--calibrated", "--json")


def generate(run, model, *options):
    status, out, err = run("generate", model, "-o", "out", "--force", *options)
    assert (status, err) == (0, ""), err
    return out


def write(model, technology="rram") -> None:
    """The two tables that ``generate`` writes, and nothing else."""
    Path("out").mkdir(exist_ok=True)
    write_conductances(Path("out/conductances.csv"), model, load(technology))
    write_ramps(Path("out/ramps.csv"), model, load(technology))


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
    monkeypatch.setattr("crossramp.linearityplot.plot_supply", lambda path, errors, *_: seen.append(errors))
    linearity = ("linearity", "--model", model_file, "--instances", 1, "--supply-plot", "supply.png", "--no", "all")
    status, out, err = run(*linearity, "--json", *halved[:4])
    assert status == 0
    assert "crossramp: warning: weights.csv: least-squares gain" in err
    assert json.loads(out)["warnings"]
    assert run(*linearity, "--technology", "rram")[0] == 0
    given, drawn = seen
    # Halved columns before a ramp that was left whole: most codes are wrong.
    assert given.mean["in-memory"] != pytest.approx(drawn.mean["in-memory"])
    assert is_refusal(run("linearity", "--instances", 1, *halved), "add --model")


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
