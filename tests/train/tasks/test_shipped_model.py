# SPDX-License-Identifier: Apache-2.0
"""The shipped keyword model, and the recordings beside it."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from crossramp.golden.inputs.features import features, pulse_codes
from crossramp.golden.network.model_file import load_model
from crossramp.train.data.word_folders import labeled_recordings

ROOT = Path(__file__).parents[3]
AUDIO = ROOT / "cli" / "demo_data" / "recordings"


@pytest.fixture(scope="module")
def model():
    return load_model("kws")


@pytest.fixture(scope="module")
def recordings(model):
    return labeled_recordings(AUDIO, model.class_names, model.feature_settings)


def test_specification_is_the_published_task(model):
    spec = model.spec
    assert (spec.inputs, spec.units, spec.classes, model.feature_settings.steps) == (40, 32, 12, 49)
    assert (spec.adc_bits, spec.input_bits, spec.weight_bits) == (5, 5, 5)
    assert spec.state_gain == (1, 4)  # no multiplier in front of the second conversion


def test_provenance_tells_data_recipe_and_accuracy(model):
    told = model.provenance
    assert len(told["data_sha256"]) == 64
    assert {"seed", "recipe", "recipe_hash", "versions"} <= told.keys()
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
    assert len(np.unique(trace.codes)) == 32  # the network uses its ramps from end to end


def test_model_is_package_data():
    assert resources.files("crossramp.golden").joinpath("models/kws.npz").is_file()
