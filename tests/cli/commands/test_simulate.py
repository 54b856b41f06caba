# SPDX-License-Identifier: Apache-2.0
"""``simulate``: the comparison is real, the table is right, and every wrong input is one clear line."""

import json
from dataclasses import replace

import numpy as np
import pytest
from crossramp.cli import verification
from crossramp.golden.inputs.features import features, fit_length, pulse_codes
from crossramp.golden.network.model_file import load_model, save_model
from crossramp.sim.amaranth import amaranth_backend
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.array.programming import Programming
from crossramp.sim.bulk import bulk_simulation
from crossramp.sim.tools.run_options import BuildOptions
from crossramp.sim.tools.simulators import HardwareError, SimulationError

from tests.cli.conftest import FEATURES, is_refusal, small_model, write_wav

BROKEN = ("hold_too_short",)


def simulated(run, *arguments) -> tuple[int, dict]:
    status, out, err = run("simulate", *arguments, "--json")
    assert err == ""
    return status, json.loads(out)


@pytest.mark.parametrize("simulator", ["amaranth", "icarus", "verilator"])
def test_every_simulator_computes_the_golden_codes(run, model_file, simulator):
    status, content = simulated(run, model_file, "--random", 4, "--seed", 3, "--simulator", simulator)
    model = load_model(model_file)
    spec = model.spec
    assert status == 0
    assert content["simulator"] == simulator
    assert content["utterances"] == 4
    assert content["mismatches"] == 0
    assert content["violations"] == []
    # Codes of four banks, c, its pulse, tanh(c) and h, of each unit and step; logits; the answer.
    assert content["codes_compared"] == 4 * (3 * 8 * spec.units + spec.classes + 1)
    assert content["clocks_per_step"] == spec.clocks_per_step
    assert content["analog_clocks_per_step"] == spec.analog_clocks_per_step
    assert content["wall_seconds"] > 0
    assert content["accuracy"] is None
    assert content["golden_accuracy"] is None
    golden = [row["golden_answer"] for row in content["rows"]]
    assert [row["answer"] for row in content["rows"]] == golden


def test_auto_prefers_verilator_and_falls_back_to_amaranth(monkeypatch):
    assert verification.choose("auto") == "verilator"
    monkeypatch.setenv("PATH", "/nonexistent")
    assert verification.choose("auto") == "amaranth"


def test_lanes_change_clocks_and_no_answer(run, model_file):
    _, one = simulated(run, model_file, "--random", 3, "--simulator", "amaranth", "--lanes", 1)
    _, all_lanes = simulated(run, model_file, "--random", 3, "--simulator", "amaranth", "--lanes", 3)
    assert one["clocks_per_step"] > all_lanes["clocks_per_step"]
    assert one["rows"] == all_lanes["rows"]


def test_a_wrong_weight_in_the_array_is_seen(run, model_file, monkeypatch):
    """The comparison can fail: the hardware's side of it is not the golden model's."""
    original = amaranth_backend.simulate_amaranth

    def spoiled(network, x, **options):
        weights = network.weights.macro.copy()
        weights[:, 0] = -weights[:, 0]
        return original(network, x, **options | {"array": ArraySetup(Programming.ideal(network.spec, weights))})

    monkeypatch.setattr(amaranth_backend, "simulate_amaranth", spoiled)
    status, out, _ = run("simulate", model_file, "--random", 2, "--simulator", "amaranth")
    assert status == 1
    assert "differ: codes, step 0, bank i, unit 0: expected " in out


@pytest.mark.parametrize("simulator", ["amaranth", "icarus"])
def test_answers_after_every_step(run, tmp_path, simulator, monkeypatch):
    """A row has a class for each step; a label, and so an accuracy, is not known; max_steps bounds nothing."""
    model = small_model(features=False, readout="step", max_steps=2)
    save_model(tmp_path / "text.npz", model)
    arguments = tmp_path / "text.npz", "--random", 2, "--steps", 7, "--simulator", simulator
    status, content = simulated(run, *arguments)
    spec = model.spec
    assert status == 0
    assert content["codes_compared"] == 2 * 7 * (8 * spec.units + spec.classes + 1)
    assert (content["labeled"], content["accuracy"], content["golden_accuracy"]) == (0, None, None)
    for row in content["rows"]:
        assert row["label"] is None
        assert row["answer"] == row["golden_answer"]
        assert len(row["answer"]) == 7
        assert set(row["answer"]) <= set(model.class_names)
    assert content["clocks_per_step"] == spec.clocks_per_step
    _, out, _ = run("simulate", *arguments)
    assert "... (7)" in out
    assert "unknown (no labels)" in out

    # The comparison can fail in a logit alone.
    original = verification._simulate

    def spoiled(*arguments):
        result = original(*arguments)
        result.traces[0].logits[1, 4, 2] += 1
        return result

    monkeypatch.setattr(verification, "_simulate", spoiled)
    status, out, _ = run("simulate", *arguments)
    assert status == 1
    assert "1 differ: logits, step 4, class 2: expected " in out


def test_a_fault_in_the_verilog_is_seen(run, model_file, monkeypatch):
    original = bulk_simulation.simulate_bulk

    def spoiled(network, x, **options):
        # Column 0's comparator is stuck high, inside the device.
        def change(text):
            assert text.count("core (") == 1
            return text.replace(
                ".array__comparators(array_comparators)", ".array__comparators(array_comparators | 12'd1)"
            )

        return original(network, x, build=BuildOptions(change_verilog=change), **options)

    monkeypatch.setattr(bulk_simulation, "simulate_bulk", spoiled)
    status, content = simulated(run, model_file, "--random", 2, "--simulator", "icarus")
    assert status == 1
    assert content["mismatches"] > 0
    assert any(row["first_mismatch"].startswith("codes, step 0, bank i, unit 0: expected ") for row in content["rows"])


@pytest.mark.parametrize(("error", "expected"), [(SimulationError, 3), (HardwareError, 1)])
def test_hardware_that_stops_fails(run, model_file, monkeypatch, error, expected):
    def stopped(*arguments, **options):
        raise error("nothing moved")

    monkeypatch.setattr(amaranth_backend, "simulate_amaranth", stopped)
    status, out, err = run("simulate", model_file, "--random", 2, "--simulator", "amaranth")
    assert (status, out) == (expected, "")
    assert "nothing moved" in err


def test_a_broken_rule_is_a_difference(run, model_file, monkeypatch):
    """Also where every value that was compared is equal."""
    original = verification._simulate
    monkeypatch.setattr(verification, "_simulate", lambda *given: replace(original(*given), violations=BROKEN))
    arguments = model_file, "--random", 1, "--simulator", "amaranth"
    status, content = simulated(run, *arguments)
    assert (status, content["mismatches"], content["violations"]) == (1, 0, [*BROKEN])
    status, out, _ = run("simulate", *arguments)
    assert status == 1
    assert "hold_too_short" in out


# ---- recordings ------------------------------------------------------------------------------------------------------


@pytest.fixture
def recordings(tmp_path, rng):
    """Two of a class, one of a folder that is none, of different lengths."""
    clips = {name: rng.integers(-9000, 9000, size) for name, size in (("yes/a", 1000), ("yes/b", 700), ("cat/c", 850))}
    for name, samples in clips.items():
        write_wav(tmp_path / "speech" / f"{name}.wav", samples)
    (tmp_path / "speech" / "yes" / "notes.txt").write_text("not a recording")
    return tmp_path / "speech", clips


def test_labels_are_folders_that_are_classes(run, model_file, recordings):
    folder, clips = recordings
    status, content = simulated(run, model_file, "--simulator", "amaranth", folder)
    assert status == 0
    assert [row["name"] for row in content["rows"]] == ["cat/c.wav", "yes/a.wav", "yes/b.wav"]
    assert [row["label"] for row in content["rows"]] == [None, "yes", "yes"]
    model = load_model(model_file)
    x = np.stack([pulse_codes(features(fit_length(clip, 1000), FEATURES), 4) for clip in clips.values()])
    answers = [model.class_names[k] for k in model.network.run(x).answers]
    assert [content["rows"][k]["answer"] for k in (1, 2, 0)] == answers
    correct = answers[:2].count("yes")
    assert content["labeled"] == 2
    assert content["accuracy"] == content["golden_accuracy"] == correct / 2


def test_accuracies_are_of_each_side_s_own_answers(run, model_file, recordings, monkeypatch):
    simulator = "amaranth"
    original = amaranth_backend.simulate_amaranth
    _, before = simulated(run, model_file, recordings[0], "--simulator", simulator)
    labels, golden = ([row[name] for row in before["rows"]] for name in ("label", "golden_answer"))
    pairs, names = list(zip(labels, golden, strict=True)), list(load_model(model_file).class_names)

    def other_answers(network, x, **options):
        result = original(network, x, **options)
        # Wrong where the golden model is right, and the other way round.
        result.traces[0].answers[:] = [
            (names.index(label or answer) + (label in (answer, None))) % 3 for label, answer in pairs
        ]
        return result

    monkeypatch.setattr(amaranth_backend, "simulate_amaranth", other_answers)
    status, content = simulated(run, model_file, recordings[0], "--simulator", simulator)
    labeled, right = len(labels) - labels.count(None), sum(label == answer for label, answer in pairs)
    assert (content["labeled"], content["correct"], content["golden_correct"]) == (labeled, labeled - right, right)
    assert (content["accuracy"], content["golden_accuracy"]) == ((labeled - right) / labeled, right / labeled)
    assert labeled != 2 * right, "the two sides have equal accuracies: exchanged ones would not be seen"
    assert [row["golden_answer"] for row in content["rows"]] == golden
    assert (status, content["mismatches"]) == (1, len(labels))


def test_a_broken_rule_alone_is_a_difference(run, model_file, monkeypatch):
    """Every value is right, but the hardware broke a rule of the boundary: exit status 1, and it is named."""
    real = verification._simulate
    monkeypatch.setattr(verification, "_simulate", lambda *given: replace(real(*given), violations=("tap_changes",)))
    for option in ((), ("--json",)):
        status, out, _ = run("simulate", model_file, "--random", 1, "--simulator", "amaranth", *option)
        assert status == 1
        assert "tap_changes" in out


def test_single_files_are_labeled_too(run, model_file, recordings, monkeypatch):
    monkeypatch.chdir(recordings[0] / "yes")
    _, content = simulated(run, model_file, "a.wav", "--simulator", "amaranth")
    assert [row["label"] for row in content["rows"]] == ["yes"]
    (recordings[0] / "yes" / "sub").mkdir()
    monkeypatch.chdir(recordings[0] / "yes" / "sub")
    _, content = simulated(run, model_file, "../a.wav", "--simulator", "amaranth")
    assert [(row["name"], row["label"]) for row in content["rows"]] == [("yes/a.wav", "yes")]


def test_table(run, model_file, recordings):
    status, out, _ = run("simulate", model_file, recordings[0], "--simulator", "amaranth")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split() == ["utterance", "label", "hardware", "golden", "compared", "bit", "for", "bit"]
    assert lines[1].startswith("cat/c.wav  -")
    assert all(line.endswith("equal") for line in lines[1:4])
    assert "mismatches       0" in out


# ---- files of features ---------------------------------------------------------------------------------------------


def test_features_of_floats_and_of_codes_agree(run, deaf_file, tmp_path, rng):
    codes = rng.integers(-7, 8, (2, 4, 5))
    np.save(tmp_path / "codes.npy", codes.astype(np.int8))
    np.save(tmp_path / "values.npy", codes / 7)
    np.save(tmp_path / "one.npy", codes[0])
    _, of_codes = simulated(run, deaf_file, "--features", "codes.npy", "--simulator", "amaranth")
    _, of_values = simulated(run, deaf_file, "--features", "values.npy", "--simulator", "amaranth")
    _, of_one = simulated(run, deaf_file, "--features", "one.npy", "--simulator", "amaranth")
    answers = [[row["answer"] for row in content["rows"]] for content in (of_codes, of_values, of_one)]
    assert answers[0] == answers[1]
    assert answers[2] == answers[0][:1]


WRONG_ARRAYS = {
    "NaN": (np.full((1, 2, 5), np.nan), "nan"),
    "infinite": (np.full((1, 2, 5), np.inf), "inf"),
    "inputs": (np.zeros((1, 2, 4)), "(1, 2, 4)"),
    "one axis": (np.zeros(5), "(5,)"),
    "no steps": (np.zeros((1, 0, 5)), "(1, 0, 5)"),
    "no utterances": (np.zeros((0, 2, 5)), "(0, 2, 5)"),
    "too long": (np.zeros((1, 10, 5)), "10 steps"),
    "code out of range": (np.full((1, 2, 5), 8), "is 8; allowed: -7 to 7"),
    "complex": (np.zeros((1, 2, 5), complex), "complex128"),
    "text": (np.full((1, 2, 5), "a"), "<U1"),
    "objects": (np.full((1, 2, 5), None), "no .npy file of numbers"),
}


@pytest.mark.parametrize(("array", "word"), WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_wrong_features(run, deaf_file, tmp_path, array, word):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    assert is_refusal(run("simulate", deaf_file, "--features", "x.npy"), "x.npy", word)


def test_wrong_feature_files(run, deaf_file, tmp_path):
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "empty.npy").write_text("")
    np.savez(tmp_path / "archive.npz", x=np.zeros((1, 2, 5)))
    (tmp_path / "folder").mkdir()
    for name in ("text.npy", "empty.npy", "archive.npz", "folder", "missing.npy"):
        assert is_refusal(run("simulate", deaf_file, "--features", name), name)


# ---- wrong input -----------------------------------------------------------------------------------------------------


def test_wrong_recordings(run, model_file, tmp_path):
    silence = np.zeros(1000)
    write_wav(tmp_path / "rate.wav", silence, rate=8000)
    write_wav(tmp_path / "stereo.wav", silence, channels=2)
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "empty").mkdir()
    assert is_refusal(run("simulate", model_file, "rate.wav"), "rate.wav", "8000 Hz", "16000")
    assert is_refusal(run("simulate", model_file, "stereo.wav"), "stereo.wav", "2 channels", "mono")
    assert is_refusal(run("simulate", model_file, "text.wav"), "text.wav", "not a PCM WAV")
    assert is_refusal(run("simulate", model_file, "empty"), "empty", "without recordings")
    assert is_refusal(run("simulate", model_file, "missing.wav"), "missing.wav", "no such file")


def test_wrong_requests(run, model_file, deaf_file):
    assert is_refusal(run("simulate", deaf_file, "a.wav"), "no speech features")
    assert is_refusal(run("simulate", model_file), "give one of")
    assert is_refusal(run("simulate", model_file, "a.wav", "--random", 1), "AUDIO and --random")
    assert is_refusal(run("simulate", model_file, "--random", 0), "--random is 0")
    assert is_refusal(run("simulate", model_file, "--random", 1, "--steps", 10), "--steps is 10", "1 to 9")
    assert is_refusal(run("simulate", model_file, "--random", 1, "--seed", -1), "--seed is -1")
    assert is_refusal(run("simulate", model_file, "a.wav", "--seed", 3), "--seed 3 belongs to --random")
    assert is_refusal(run("simulate", model_file, "--random", 1, "--lanes", 4), "lanes is 4", "1 to 3")
    assert is_refusal(run("simulate", "nothing.npz", "--random", 1), "'nothing.npz'", "kws")


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_missing_simulator(run, model_file, monkeypatch, simulator):
    monkeypatch.setenv("PATH", "/nonexistent")
    result = run("simulate", model_file, "--random", 1, "--simulator", simulator)
    assert is_refusal(result, f"{simulator}: ", "install", "--simulator amaranth")
