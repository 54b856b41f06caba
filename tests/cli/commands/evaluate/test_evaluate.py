# SPDX-License-Identifier: Apache-2.0
"""crossramp evaluate: what it counts on an ideal array and on chips, what it prints, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.cli.commands import evaluate
from crossramp.golden.inputs.features import features, pulse_codes
from crossramp.golden.network.model_file import load_model
from crossramp.train.data.word_folders import labeled_recordings

from tests.cli.commands.evaluate.conftest import CHIPS, HARDWARE, evaluated
from tests.cli.conftest import is_refusal


def test_counts_what_the_golden_model_answers(run, model_file, recordings):
    told, model = evaluated(run, model_file, recordings), load_model(model_file)
    found = labeled_recordings(recordings, model.class_names, model.feature_settings)
    codes = pulse_codes(features(found.clips, model.feature_settings), model.spec.input_bits)
    answers = model.network.run(codes).answers
    assert told["model"] == model.content_hash
    assert (told["recordings"], told["left_out"], told["split"]) == (5, 0, "all")
    assert told["counted_as_unknown"] == ["bed"]
    ideal = told["ideal"]
    assert np.sum(ideal["confusion"], axis=1).tolist() == [2, 2, 1]
    assert ideal["correct"] == np.trace(ideal["confusion"]) == (answers == found.labels).sum()
    assert ideal["accuracy"] == ideal["correct"] / 5
    assert ideal["recalls"]["no"] == ideal["confusion"][1][1] / 2
    assert ideal["interval"][0] <= ideal["accuracy"] <= ideal["interval"][1]
    assert (told["array"], told["chips"], told["hardware"]) == (None, [], [])


def test_chips_with_and_without_calibration(run, model_file, recordings):
    told = evaluated(run, model_file, recordings, *CHIPS, "--first-seed", 7, "--no", "drift")
    assert told["array"]["effects_off"] == ["drift"]
    assert [one["calibration"] for one in told["chips"]] == ["nominal", "found"]
    for one in told["chips"]:
        assert [chip["seed"] for chip in one["values"]] == [7, 8]
        values = [chip["accuracy"] for chip in one["values"]]
        assert one["mean"] == pytest.approx(np.mean(values))
        assert one["deviation"] == pytest.approx(np.std(values, ddof=1))
        assert (one["worst"]["accuracy"], one["best"]["accuracy"]) == (min(values), max(values))
    # The same chip, whatever is asked for beside it.
    again = evaluated(
        run, model_file, recordings, *CHIPS, "--first-seed", 8, "--no", "drift", "--calibration", "nominal"
    )
    assert again["chips"][0]["values"][0] == told["chips"][0]["values"][1]
    assert len(again["chips"]) == 1


def test_tables(run, model_file, recordings, pretended):
    status, out, _ = run("evaluate", model_file, recordings, *HARDWARE, *CHIPS, "--calibration", "nominal")
    assert status == 0
    for words in (
        "as _unknown_  bed",
        "said \\ answered  yes",
        "2 chips, seeds 1 to 2: rram",
        "generated hardware, amaranth: all 5 recordings",
        "rram, chip 1, nominal",
    ):
        assert words in out
    assert out.count("  equal  ") == 2
    for count in (0, 3):
        told = evaluated(run, model_file, recordings, *HARDWARE, *CHIPS, "--rtl-chips", count)
        assert [one["seed"] for one in told["hardware"][1::2]] == list(range(1, count + 1))


def test_pictures_name_the_model_as_people_do(run, model_file, recordings, monkeypatch):
    titles = []
    monkeypatch.setattr(
        "crossramp.cli.plots.confusion_plot.draw_confusion", lambda path, panels, names, title: titles.append(title)
    )
    assert run("evaluate", model_file, recordings, "--confusion", "a.png")[0] == 0
    assert titles == ["model telling, 5 recordings"]


def test_every_number_stands_in_its_column():
    """Numbers that are all different, and where they belong."""
    data = SimpleNamespace(METRIC="accuracy", UTTERANCE="recording", show="<{}>".format, text=lambda content: "data")
    data.simulated_text = lambda: "all 9 recordings"
    one = {"calibration": "found", "mean": 0.7, "deviation": 0.1}
    one |= {"worst": {"seed": 4, "accuracy": 0.6}, "best": {"seed": 5, "accuracy": 0.9}}
    one["values"] = [{"seed": seed, "accuracy": value} for seed, value in ((4, 0.6), (5, 0.9), (6, 0.6))]
    told = {"array": "rram", "seed": 5, "calibration": "nominal", "accuracy": 0.25, "golden": 0.5, "compared": 12345}
    told |= {
        "mismatches": 678,
        "first_mismatch": "3: h, step 1, unit 2: expected 5, got 4",
        "violations": ["tick_early"],
    }
    told |= {"calibration_failed": ["tanh"], "clocks_per_step": 77, "wall_seconds": 88.4, "simulator": "icarus"}
    array = {
        "technology": "rram",
        "technology_hash": "cafe",
        "effects_off": ["drift", "wires"],
        "conductances": ["w.csv"],
    }
    text = evaluate.text(data, {"chips": [one], "hardware": [told], "array": array, "picture": "c.png"})
    words = [line.split() for line in text.splitlines() if line]
    for line in (
        "3 chips, seeds 4 to 6: rram (cafe), without drift, wires, cells of w.csv",
        "calibration mean sd worst best",
        "found <0.7> <0.1> <0.6> (chip 4) <0.9> (chip 5)",
        "array accuracy golden values compared bit for bit clocks per step time",
        "rram, chip 5, nominal <0.25> <0.5> 12,345 678 differ 77 88 s",
        "generated hardware, icarus: all 9 recordings",
        "rram, chip 5, nominal: first difference in recording 3: h, step 1, unit 2: expected 5, got 4",
        "rram, chip 5, nominal: rules broken: tick_early",
        "rram, chip 5, nominal: beyond the reach of the bias cells: tanh",
        "wrote c.png",
    ):
        assert line.split() in words, line


def test_equal_pictures_have_equal_bytes(run, model_file, recordings, tmp_path):
    for name in ("a.png", "b.png", "c.svg"):
        assert run("evaluate", model_file, recordings, "--confusion", name)[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert b"<svg" in (tmp_path / "c.svg").read_bytes()
    assert not list(tmp_path.glob(".*.unfinished"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--chips", 3), ("--chips", "--technology")),
        (("--calibration", "nominal"), ("--calibration", "--technology")),
        (("--rtl-chips", 1), ("--rtl-chips", "--technology")),
        (("--simulator", "amaranth"), ("--simulator", "--rtl")),
        ((*CHIPS, "--chips", 0), ("--chips is 0", "1 to 1000000")),
        ((*CHIPS, "--first-seed", -1), ("--first-seed is -1",)),
        ((*CHIPS, "--jobs", 0), ("--jobs is 0",)),
        ((*CHIPS, "--no", "gravity"), ("gravity",)),
        (("--technology", "none.toml"), ("none.toml",)),
        (("--confusion", "a.txt"), ("a.txt", ".png")),
        (("--confusion", "nowhere/a.png"), ("nowhere: no such folder",)),
        (("--rtl", "--lanes", 4), ("lanes is 4",)),
    ],
)
def test_what_is_wrong_is_one_line(run, model_file, recordings, arguments, words):
    assert is_refusal(run("evaluate", model_file, recordings, *arguments), *words)
