# SPDX-License-Identifier: Apache-2.0
"""The shipped keyword model, the recordings beside it, and the accuracy report made of the two."""

import importlib.util
import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from crossramp.golden.features import features, pulse_codes
from crossramp.golden.modelfile import load_model
from crossramp.train.recordings import labeled_recordings

ROOT = Path(__file__).parents[2]
AUDIO = ROOT / "cli" / "demo_data" / "recordings"


@pytest.fixture(scope="module")
def model():
    return load_model("kws")


@pytest.fixture(scope="module")
def recordings(model):
    return labeled_recordings(AUDIO, model.class_names, model.feature_settings)


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("kws_accuracy", ROOT / "bench" / "kws_accuracy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_specification_is_the_published_task(model):
    spec = model.spec
    assert (spec.inputs, spec.units, spec.classes, model.feature_settings.steps) == (40, 32, 12, 49)
    assert (spec.adc_bits, spec.input_bits, spec.weight_bits) == (5, 5, 5)
    assert spec.state_gain == (1, 4)  # no multiplier in front of the second conversion


def test_provenance_tells_data_recipe_and_accuracy(model):
    told = model.provenance
    assert len(told["data_sha256"]) == 64
    assert {"seed", "float_phase", "quantized_phase", "augmentation", "versions"} <= told.keys()
    measured = told["evaluation"]
    assert measured["golden_accuracy"] > 0.885
    assert abs(measured["golden_accuracy"] - measured["float_accuracy"]) <= 0.01


def test_two_recordings_of_each_class_with_license(recordings, model):
    assert np.bincount(recordings.labels).tolist() == [2] * len(model.class_names)
    assert "Attribution 4.0 International" in (AUDIO / "LICENSE").read_text()
    assert "arXiv:1804.03209" in (AUDIO / "NOTICE").read_text()


def test_most_recordings_are_recognized(recordings, model):
    codes = pulse_codes(features(recordings.clips, model.feature_settings), model.spec.input_bits)
    trace = model.network.run(codes)
    assert (trace.answers == recordings.labels).mean() > 0.75
    assert len(np.unique(trace.steps.codes)) == 32  # the network uses its ramps from end to end


def test_report_counts_every_recording(bench, recordings, model, capsys):
    assert bench.main(["kws", str(AUDIO), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["recordings"] == len(recordings.labels) == np.sum(report["confusion"])
    assert report["golden_accuracy"] == np.trace(report["confusion"]) / report["recordings"]
    assert report["float_accuracy"] is None  # was measured on other recordings


def test_report_goes_between_the_marks(bench, tmp_path, capsys):
    document = tmp_path / "accuracy.md"
    document.write_text(f"before\n{bench.BEGIN}\nstale figures\n{bench.END}\nafter\n")
    simulated = tmp_path / "simulated.json"
    simulated.write_text(json.dumps({"utterances": 24, "accuracy": 0.5, "mismatches": 0, "simulator": "verilator"}))
    assert bench.main(["kws", str(AUDIO), "--write", str(document), "--simulated", str(simulated)]) == 0
    text = document.read_text()
    assert text.startswith(f"before\n{bench.BEGIN}\n")
    assert text.endswith(f"{bench.END}\nafter\n")
    assert "| gateware, simulated | 50.0 % (verilator, 0 mismatches) |" in text
    assert "stale figures" not in text
    simulated.write_text(json.dumps({"utterances": 23}))
    assert bench.main(["kws", str(AUDIO), "--simulated", str(simulated)]) == 2
    assert "is of 23 utterances, the folder has 24 recordings" in capsys.readouterr().err


def test_model_is_package_data():
    assert resources.files("crossramp.golden").joinpath("models/kws.npz").is_file()
