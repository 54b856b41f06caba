# SPDX-License-Identifier: Apache-2.0
"""``spice``: the comparison, the netlists it leaves, and one clear line for whatever is wrong."""

import json
import shutil

import numpy as np
import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.sim.spice import spice_step
from crossramp.sim.spice.deck import Deck
from crossramp.sim.spice.ngspice import run_deck

from tests.cli.conftest import is_refusal


def test_a_chip_is_compared(run, model_file, tmp_path):
    output, picture = tmp_path / "deck", tmp_path / "step.png"
    arguments = ["--technology", "rram", "--no", "wires", "--columns", "i0,g1,g2,o2", "--step", 2, "--seed", 4]
    status, out, err = run("spice", model_file, *arguments, "-o", output, "--plot", picture, "--json")
    assert (status, err) == (0, "")
    content = json.loads(out)
    assert content["agrees"]
    assert content["columns"] == ["i0", "g1", "g2", "o2"]
    assert content["technology"] == "rram"
    assert sorted(content["effects_off"]) == ["comparator_noise", "read_noise", "thermal", "wires"]
    assert [len(part["rows"]) for part in content["conversions"]] == [4, 2]
    for part in content["conversions"]:
        for row in part["rows"]:
            assert row["spice_code"] == row["golden_code"] == row["gateware_code"]
            assert abs(row["difference_microvolts"]) < 1000
    written = {"folder": str(output), "picture": str(picture)}
    assert json.loads((output / "comparison.json").read_text()) | written == content
    assert picture.stat().st_size > 10_000
    # What was written runs by itself, and is what was compared.
    waveforms = run_deck((output / "deck_0.cir").read_text())
    volts = content["conversions"][0]["rows"][0]["spice_volts"]
    spec = load_model(model_file).spec
    window_end = (1 + spec.input_max) * 10e-9
    assert -waveforms.at("out_i0", window_end) == pytest.approx(volts, abs=1e-6)


def test_columns_of_one_of_several_arrays(run, model_file, tmp_path):
    """Crossbars of four and five rows that share their columns, and wires that matter."""
    arguments = ["--technology", "rram", "--tile-rows", 5, "--tile-columns", 4, "--seed", 4]
    arguments += ["--set", "wires.column_resistance=300"]
    status, out, err = run("spice", model_file, *arguments, "--columns", "g2,o2", "-o", tmp_path / "deck", "--json")
    assert (status, err) == (0, "")
    content = json.loads(out)
    assert content["agrees"]
    assert content["columns"] == ["g2", "o2"]
    for part in content["conversions"]:
        for row in part["rows"]:
            assert row["spice_code"] == row["golden_code"] == row["gateware_code"]
            assert row["difference_microvolts"] == pytest.approx(row["explained_microvolts"], abs=20)
    wires = [line.split() for line in (tmp_path / "deck/deck_0.cir").read_text().splitlines()]
    ends = [name for name, _, end, _ in (wire for wire in wires if len(wire) == 4) if end == "line_g2p"]
    assert ends == ["Rcolumn3_g2p", "Rcolumn8_g2p", "Rstate_g2p"]
    assert is_refusal(run("spice", model_file, *arguments, "--columns", "i0,g2"), "are in the arrays 0 and 2; name")
    too_many = run("spice", model_file, *arguments, "--columns", "5")
    assert is_refusal(too_many, "--columns is 5; the first array has 4: give 1 to 4, or names as in i0,o0")


def test_without_technology_the_cells_are_ideal(run, model_file):
    status, out, _ = run("spice", model_file, "--columns", "5")
    assert status == 0
    assert "codes          0 of " in out
    assert "agreement      yes" in out
    assert "rram, seed 1; off: programming, levels" in out


def test_a_difference_is_status_1(run, model_file, monkeypatch):
    original = spice_step.build

    def spoil(*arguments, **options):
        deck = original(*arguments, **options)
        return Deck(deck.text.replace("Vrow0 row0 0 ", "Vrow0 0 row0 "), deck.columns, deck.ramps, deck.clock)

    monkeypatch.setattr(spice_step, "build", spoil)
    status, out, _ = run("spice", model_file, "--columns", "4", "--seed", "2")
    assert status == 1
    assert "agreement      NO" in out


def test_decks_are_written_without_ngspice(run, model_file, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    options = ["--technology", "charge", "--columns", "i0,i1,i2,f0,f1", "--deck-only", "-o", tmp_path / "d"]
    assert run("spice", model_file, *options) == (0, f"wrote {tmp_path / 'd'}\n", "")
    assert sorted(file.name for file in (tmp_path / "d").iterdir()) == ["MANIFEST.sha256", "deck_0.cir"]
    options[1] = "rram"
    assert run("spice", model_file, *options) == (0, f"wrote {tmp_path / 'd'}\n", "")
    assert [file.name for file in sorted((tmp_path / "d").glob("*.cir"))] == ["deck_0.cir", "deck_1.cir"]
    assert is_refusal(run("spice", model_file), "ngspice is not installed; type: sudo apt-get install ngspice")


def test_the_deck_has_the_bias_cells_that_are_selected(run, model_file, tmp_path):
    decks = {}
    for cells in ("nominal", "210", "found", "0"):
        options = ["--technology", "rram", "--columns", "i0", "--deck-only", "-o", tmp_path / cells]
        assert run("spice", model_file, *options, "--calibration", cells)[0] == 0
        decks[cells] = (tmp_path / cells / "deck_0.cir").read_text()
    assert decks["nominal"] == decks["210"] != decks["0"]  # the largest of five cells, of two ramps


def test_a_recording_is_one_step_of_one(run, model_file, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((2, 3, 5)))
    assert "2 utterances are given; a deck is one step of one" in run("spice", model_file, "--features", path)[2]
    np.save(path, np.full((3, 5), 0.5))
    status, out, _ = run("spice", model_file, "--features", path, "--step", 0, "--columns", "2", "--seed", 3)
    assert status == 0
    assert "step           0 of x.npy[0], 1 decks" in out
    assert "--step is 3; x.npy[0] has steps 0 to 2" in run("spice", model_file, "--features", path, "--step", 3)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--columns", "0"], "--columns is 0; the macro has 12: give 1 to 12"),
        (["--columns", "13"], "--columns is 13; the macro has 12: give 1 to 12"),
        (["--columns", "-1"], "--columns is -1; the macro has 12: give 1 to 12"),
        (["--columns", "i3"], "there is no column 'i3'; columns are i0 to i2"),
        (["--columns", ","], "no column is given"),
        (["--columns", "i0,i0"], "column i0 is given twice"),
        (["--step", "-1"], "--step is -1; allowed: 0 and up"),
        (["--step", "9"], "allowed: 1 to 9 (max_steps of the network)"),
        (["--seed", "-1"], "--seed is -1"),
        (["--deck-only"], "say where with -o DIR"),
        (["--technology", "nothing"], "there is no technology 'nothing'"),
        (["--technology", "rram", "--no", "rain"], "--no rain: no such effect"),
        (["--no", "wires"], "--no wires belongs to a technology"),
        (["--random", "2"], "2 utterances are given"),
    ],
)
def test_wrong_arguments_are_one_line(run, model_file, arguments, message):
    assert is_refusal(run("spice", model_file, *arguments), message)


def test_a_picture_that_cannot_be_is_refused(run, model_file, tmp_path):
    result = run("spice", model_file, "--columns", "1", "--plot", tmp_path / "no" / "x.png")
    assert is_refusal(result, "no/x.png: cannot be written", "choose another path")
    assert is_refusal(run("spice", model_file, "--columns", "1", "--plot", tmp_path / "x.docx"), "x.docx")
