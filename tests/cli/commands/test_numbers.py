# SPDX-License-Identifier: Apache-2.0
"""Models whose outputs are numbers: their file, what commands tell of them, and what is refused."""

import json
import zipfile

import numpy as np
import pytest
from crossramp.cli.main import main
from crossramp.golden.network.model_file import Model, load_model, save_model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.montecarlo.scores import NumberScore

from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=3, units=4, classes=2, lanes=2, adc_bits=3, max_steps=8)
UNIT = 1 / 1000


def model_of(**changes) -> Model:
    spec = SPEC.replace(**changes)
    return Model(spec, network_of(spec, 1).weights, ("height", "weight"), output_unit=UNIT)


@pytest.fixture
def place(tmp_path, monkeypatch, seed):
    """A folder with a model, and an archive whose labels are its outputs and some noise; one is not known."""
    monkeypatch.chdir(tmp_path)
    model, x = model_of(), inputs_of(SPEC, seed, 12, 4)
    save_model("m.npz", model)
    labels = model.network.run(x).logits * (UNIT / 4) + np.random.default_rng(seed).normal(0, 0.1, (12, 2))
    labels[5] = np.nan
    np.savez("x.npz", codes=x, labels=labels)
    np.savez("classes.npz", codes=x, labels=np.zeros(12, int))
    return tmp_path


def run(capsys, *arguments):
    status = main([*arguments])
    return status, *capsys.readouterr()


def test_a_file_says_that_outputs_are_numbers(place, capsys):
    model = model_of()
    assert load_model("m.npz").output_unit == UNIT
    assert load_model("m.npz").content_hash == model.content_hash
    plain = Model(model.spec, model.weights, model.class_names)
    other = Model(model.spec, model.weights, model.class_names, output_unit=2 * UNIT)
    assert len({one.content_hash for one in (plain, model, other)}) == 3
    save_model("plain.npz", plain)
    assert b"output_unit" not in zipfile.ZipFile("plain.npz").read("model.npy")
    _, out, _ = run(capsys, "info", "m.npz")
    assert "outputs          height weight" in out
    assert "numbers: a logit over the number of steps times 0.001" in out


@pytest.mark.parametrize("unit", [0, -1.0, float("nan"), float("inf"), "1", True])
def test_units_refused(unit):
    with pytest.raises(ValueError, match=r"output_unit is .*; expected the real value of a logit's unit"):
        Model(SPEC, network_of(SPEC, 1).weights, ("a", "b"), output_unit=unit)


@pytest.mark.parametrize("readout", ["mean", "last", "step"])
def test_outputs_are_logits_in_real_units(readout, seed):
    model, x = model_of(readout=readout), inputs_of(SPEC, seed, 2, 4)
    trace = model.network.run(x)
    real = trace.logits * UNIT / (4 if readout == "mean" else 1)
    np.testing.assert_allclose(model.results(trace, 4), real, rtol=1e-12)
    plain = Model(model.spec, model.weights, model.class_names)
    np.testing.assert_array_equal(plain.results(trace, 4), trace.answers)


def test_simulate_tells_numbers(place, capsys):
    arguments = "simulate", "m.npz", "--features", "x.npz", "--simulator", "icarus"
    status, out, _ = run(capsys, *arguments, "--json")
    content = json.loads(out)
    assert (status, content["mismatches"], content["labeled"]) == (0, 0, 11)
    with np.load("x.npz") as archive:
        x, labels = archive["codes"], archive["labels"]
    outputs = model_of().network.run(x).logits * (UNIT / 4)
    np.testing.assert_allclose([row["answer"] for row in content["rows"]], outputs)
    known = ~np.isnan(labels).any(axis=1)
    assert content["rmse"] == pytest.approx(np.sqrt(np.square(outputs - labels)[known].mean()))
    assert content["rmse"] == content["golden_rmse"]
    low, high = content["r2_interval"]
    assert low < content["r2"] < high
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert f"hardware RMSE {content['rmse']:.4g}, R2 {content['r2']:.3f} (95 % interval" in out


def test_evaluate_scores_numbers(place, capsys):
    status, out, _ = run(capsys, "evaluate", "m.npz", "x.npz", "--rtl", "--simulator", "icarus", "--json")
    content = json.loads(out)
    assert (status, content["utterances"], content["without_label"]) == (0, 11, 1)
    assert content["ideal"]["rmse"] == content["hardware"][0]["rmse"] == content["hardware"][0]["golden"]
    status, out, _ = run(capsys, "evaluate", "m.npz", "x.npz", "--rtl", "--simulator", "icarus")
    assert status == 0
    assert "11, of x.npz, 1 without a label left out" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("evaluate m.npz classes.npz", "labels (12,); expected (recordings, steps, 3) and (recordings, 2)"),
        ("evaluate m.npz x.npz --technology rram", "chips are measured by accuracy or bits"),
        ("evaluate m.npz x.npz --confusion a.png", "--confusion a.png is not of a model of numbers; leave it out"),
        ("evaluate m.npz folder", "folder: holds no labels; give a .npz file with codes and labels"),
    ],
)
def test_what_is_refused(place, capsys, arguments, message):
    status, _, err = run(capsys, *arguments.split())
    assert status == 2
    assert message in err
    assert err.count("\n") == 1


def test_scores_of_numbers(rng):
    labels = rng.normal(0, 1, (40, 2))
    assert NumberScore(labels, labels).r2 == 1
    assert NumberScore(labels + 0.5, labels).rmse == pytest.approx(0.5)
    means = np.broadcast_to(labels.mean(axis=0), labels.shape)
    assert NumberScore(means, labels).r2 == pytest.approx(0)
    score = NumberScore(labels + rng.normal(0, 0.3, labels.shape), labels)
    low, high = score.interval
    assert low < score.r2 < high
    assert score.interval == NumberScore(score.outputs, labels).interval  # drawn sets are always the same
    flat = NumberScore(labels, np.ones((40, 2)))
    assert (flat.r2, flat.interval) == (None, None)
    assert NumberScore(labels[:2], labels[:2]).interval is None
    for outputs, wrong in ((labels[:3], labels), (labels, labels * np.nan), (labels[:0], labels[:0])):
        with pytest.raises(ValueError, match=r"expected one of each|not a finite number"):
            NumberScore(outputs, wrong)


def test_the_interval_holds_what_it_says(rng):
    """About 95 of 100 sets of recordings have an interval that holds the R² of all."""
    held, true = 0, 1 - 0.25 / 1.25
    for _ in range(60):
        signal = rng.normal(0, 1, (80, 1))
        low, high = NumberScore(signal, signal + rng.normal(0, 0.5, signal.shape)).interval
        held += low <= true <= high
    assert held >= 50
