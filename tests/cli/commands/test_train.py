# SPDX-License-Identifier: Apache-2.0
"""crossramp train, from a folder to a model file: what it writes, says and refuses."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from crossramp.cli.commands import train
from crossramp.cli.main import main
from crossramp.cli.output.train_report import Report
from crossramp.golden.common.installation import how_to_install
from crossramp.golden.inputs.features import features, pulse_codes
from crossramp.golden.network.model_file import load_model
from crossramp.train.data import datasets
from crossramp.train.data.word_folders import labeled_recordings
from crossramp.train.recipes.settings import Hardware
from crossramp.train.tasks import keyword_training

from tests.cli.conftest import is_refusal
from tests.support.training import arguments, without_warnings, write_spectrograms
from tests.train.data.test_datasets import TESTING_SPEAKERS, noise, write_wav


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_spectrograms(tmp_path_factory.mktemp("spectrograms"))


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    for number, word in enumerate(["_silence_", "_unknown_", "yes", "no"]):
        write_wav(folder / word / f"{TESTING_SPEAKERS[0]}_nohash_0.wav", noise(16000, number, 100 + 900 * number))
    return folder


def test_trains_exports_and_measures(data, audio, tmp_path, capsys):
    output = tmp_path / "tiny.npz"
    assert main(arguments(data, output, "--eval", str(audio))) == 0
    lines = capsys.readouterr().out.splitlines()
    # 40 pieces of noise, of which every tenth is held out, at six volumes.
    assert lines[0] == "90 clips to train on, 54 to validate with: 30 of words, 24 of silence, made of background noise"
    epochs = [
        line for line in lines if re.fullmatch(r"\w+ epoch \d/\d: loss [\d.]+, validation [\d.]+ %, [\d.]+ s", line)
    ]
    assert len(epochs) == 4 + 3
    assert lines[-1] == f"wrote {output}"
    model = load_model(output)
    assert model.class_names == ("_silence_", "_unknown_", "yes", "no")
    assert model.feature_settings.bands == model.spec.inputs == 40
    assert model.spec.state_gain == (1, 4)  # the state conversion is a shift
    clips = labeled_recordings(audio, model.class_names, model.feature_settings)
    answers = model.network.run(pulse_codes(features(clips.clips, model.feature_settings), 5)).answers
    measured = model.provenance["evaluation"]
    assert measured["golden_accuracy"] == round((answers == clips.labels).mean(), 4)
    assert measured["recordings"] == 4
    assert str(tmp_path) not in str(model.provenance)


def test_learns_what_is_plain_to_see(data, tmp_path):
    output = tmp_path / "tiny.npz"
    more = ["--epochs", "30", "--qat-epochs", "20", "--learning-rate", "0.05", "--qat-learning-rate", "0.02"]
    assert main(arguments(data, output, *more)) == 0
    assert load_model(output).provenance["quantized_validation_accuracy"] > 0.9


def test_same_seed_makes_the_same_file(data, tmp_path):
    files = [tmp_path / f"{name}.npz" for name in ("a", "b", "c")]
    assert main(arguments(data, files[0])) == 0
    assert main(arguments(data, files[1])) == 0
    assert main(arguments(data, files[2], "--seed", "6")) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()


def test_training_inputs_are_the_golden_pulse_codes():
    values = np.random.default_rng(2).uniform(-1.1, 1.1, (1000,)).astype(np.float32)
    spec = keyword_training.keyword_specification(Hardware(2, sigmoid_range=1.75), 40, 2, 49)
    found = keyword_training.quantize_inputs(torch.from_numpy(values), spec).numpy()
    np.testing.assert_array_equal(found, pulse_codes(values, 5))


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_state_conversion_is_a_shift_at_all_resolutions(bits):
    spec = keyword_training.keyword_specification(Hardware(2, bits, bits, bits, sigmoid_range=1.75), 4, 2, 5)
    assert spec.state_gain[0] == 1
    full_scale = spec.state_pulse_max * spec.state_cell * spec.scale("g")
    assert full_scale == pytest.approx(2 - 2.0 ** (1 - bits))
    if bits >= 4:  # below, whole state cells are too coarse to come near
        assert spec.gates[2].weight_range == pytest.approx(1.75, rel=0.15)


def test_interruption_leaves_a_checkpoint_and_no_model(data, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(keyword_training, "export", interrupted)
    assert main(arguments(data, tmp_path / "tiny.npz")) == 130
    told = capsys.readouterr().err
    assert "interrupted; no model was written" in told
    assert "tiny.npz.checkpoint holds everything up to quantized epoch 3; the same command goes on from there" in told
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.npz.checkpoint"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--words", "yes,stop"], "no training clip of 'stop'"),
        (["-o", "model.txt"], "model.txt: a model file's name ends in .npz"),
        (["-o", "nowhere/model.npz"], "nowhere: no such folder"),
        (["--eval", "nowhere"], "nowhere: no such folder"),
        (["--lanes", "5"], "lanes is 5"),
    ],
)
def test_wrong_inputs_are_one_line_and_status_2(data, tmp_path, capsys, change, message):
    assert main(arguments(data, tmp_path / "tiny.npz", *change)) == 2
    error = capsys.readouterr().err
    assert error.startswith("crossramp: ")
    assert message in error
    assert error.count("\n") == 1


def test_option_out_of_range_is_refused_with_its_range(data, tmp_path, capsys):
    assert main(arguments(data, tmp_path / "tiny.npz", "--sigmoid-range", "0")) == 2
    assert "'0' is not a number from 0.000976562 to 1024" in capsys.readouterr().err


def test_files_that_cannot_be_used_are_counted(data, audio, tmp_path, capsys):
    folder, measured = tmp_path / "data", tmp_path / "audio"
    shutil.copytree(data, folder)
    shutil.copytree(audio, measured)
    (folder / "0.png").write_text("hello")
    (measured / "yes" / "a.wav").write_text("hello")
    nothing = ["--epochs", "0", "--qat-epochs", "0", "--eval", str(measured)]
    assert main(arguments(folder, tmp_path / "m.npz", *nothing)) == 0
    told = capsys.readouterr()
    named = [line.split(": ")[1:3] for line in told.err.splitlines()]
    assert named == [["left out", str(path)] for path in (measured / "yes" / "a.wav", folder / "0.png")]
    assert told.out.splitlines()[:2] == [
        "left out: 2 (recordings or folders that cannot be used, named above)",
        "89 clips to train on, 54 to validate with: 30 of words, 24 of silence, made of background noise",
    ]
    assert load_model(tmp_path / "m.npz").provenance["evaluation"]["recordings"] == 4


TEXT = ("--units", 6, "--epochs", 2, "--qat-epochs", 1, "--batch", 8, "--seed", 5)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abcabcabd\n" * 300)
    return path


def test_text_becomes_a_model(run, text):
    status, out, err = run("train", "text", text, "-o", "text.npz", *TEXT)
    assert (status, without_warnings(err)) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "2700 characters to train on, 150 to validate with, 150 to test with; 5 different ones"
    bits = [
        line for line in lines if re.fullmatch(r"\w+ epoch \d/\d: loss [\d.]+, validation [\d.]+ bits per .*", line)
    ]
    assert len(bits) == 3
    assert lines[-1] == "wrote text.npz"
    model = load_model("text.npz")
    assert (model.text_settings.vocabulary, model.spec.readout, model.spec.inputs) == ("\nabcd", "step", 5)
    assert f"golden {model.provenance['evaluation']['golden_bits_per_character']:.4f} bits each" in lines[-2]
    assert run("train", "text", text, "-o", "rows.npz", *TEXT, "--embedding", 3)[0] == 0
    assert load_model("rows.npz").spec.inputs == 3


def test_text_that_was_interrupted_goes_on(run, text, monkeypatch):
    assert run("train", "text", text, "-o", "whole.npz", *TEXT)[0] == 0
    real = Report.batch

    def batch(self, phase, epoch, done, total):
        if (phase.name, epoch, done) == ("float", 1, 2):
            raise KeyboardInterrupt
        real(self, phase, epoch, done, total)

    with monkeypatch.context() as patch:
        patch.setattr(Report, "batch", batch)
        status, _, err = run("train", "text", text, "-o", "parts.npz", *TEXT)
    assert status == 130
    assert without_warnings(err) == (
        "crossramp: interrupted; no model was written; parts.npz.checkpoint holds everything up to float epoch 1; "
        "the same command goes on from there\n"
    )
    assert run("train", "text", text, "-o", "parts.npz", *TEXT)[0] == 0
    assert Path("parts.npz").read_bytes() == Path("whole.npz").read_bytes()


def test_text_that_will_not_do(run, text, tmp_path):
    (tmp_path / "latin.txt").write_bytes("Größe ".encode("latin-1") * 500)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "short.txt").write_text("abc")
    (tmp_path / "folder").mkdir()
    for name, words in (
        ("latin.txt", "is not UTF-8: byte 0xf6 at offset 2"),
        ("empty.txt", "holds no text"),
        ("short.txt", "has 3 characters"),
        ("folder", "holds no *.txt"),
        ("nowhere", "no such file; any UTF-8 text will do"),
    ):
        assert is_refusal(run("train", "text", name, "-o", "m.npz"), f"{name}: {words}")
    recipe = tmp_path / "kws.toml"
    recipe.write_text('task = "kws"\n')
    refused = run("train", "text", text, "-o", "m.npz", "--recipe", recipe)
    assert is_refusal(refused, "is of the task kws; type: crossramp train kws")


def test_json(data, run):
    status, out, err = run(*arguments(data, "m.npz", "--epochs", "1", "--qat-epochs", "0", "--json"))
    assert status == 0
    told, model = json.loads(out), load_model("m.npz")
    assert told == {
        **{"model": "m.npz", "model_hash": model.content_hash, "provenance": model.provenance},
        **{"left_out": 0, "cut": 0, "unfinished": 0, "padded": 0, "saturated": 0, "findings": []},
    }
    assert "float epoch 1/1: loss" in err


def test_levels_are_kept_in_the_users_cache(data, tmp_path, run, monkeypatch):
    monkeypatch.setenv("CROSSRAMP_CACHE", str(tmp_path / "cache"))
    words = arguments(data, tmp_path / "m.npz", "--epochs", "0", "--qat-epochs", "0")
    words.remove("--no-cache")
    assert run(*words)[0] == 0
    (kept,) = (tmp_path / "cache" / "levels").iterdir()
    # The next run reads no picture.
    monkeypatch.setattr(datasets, "_read", None)
    assert run(*words)[0] == 0
    monkeypatch.undo()
    # Where nothing can be kept, training goes on.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CROSSRAMP_CACHE", str(tmp_path / "file"))
    status, _, err = run(*words)
    assert status == 0
    assert err.count("\n") == 1
    assert "cannot be written (Not a directory); the next run reads all clips again" in err
    assert kept.is_file()


def test_without_pytorch(run, monkeypatch):
    monkeypatch.setattr(train.importlib.util, "find_spec", lambda name: None)
    assert is_refusal(run("train", "kws", "DATA", "-o", "m.npz"), "needs PyTorch", how_to_install("train"))


def test_data_that_is_missing_is_told_with_where_to_get_it(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("nowhere", "empty"):
        refused = run("train", "kws", folder, "-o", "m.npz")
        assert is_refusal(refused, f"{folder}: ", "<word>", "CC BY 4.0", "speech_commands_v0.02.tar.gz")


def test_help_has_an_example(run):
    status, out, _ = run("train", "kws", "--help")
    assert status == 0
    assert "crossramp train kws speech_commands_v0.02 -o kws.npz" in out
