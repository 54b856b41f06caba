# SPDX-License-Identifier: Apache-2.0
"""Interrupted runs: they go on bit for bit, and nothing that is kept is ever lost or unpickled."""

import dataclasses
import os
import pickle
import signal
import subprocess
import sys

import pytest
import torch
from crossramp.cli.commands import train
from crossramp.cli.main import main
from crossramp.cli.output.train_report import Report
from crossramp.golden.network.model_file import load_model
from crossramp.train.run import schedule
from crossramp.train.run.checkpoint import Checkpoint
from crossramp.train.tasks import keyword_training

from tests.support.training import arguments, without_warnings


def stop_at(monkeypatch, phase, epoch):
    """Ctrl-C in the middle of an epoch, counted from 0, of a phase."""
    real = Report.batch

    def batch(self, running, number, done, total):
        if (running.name, number, done) == (phase, epoch, 2):
            raise KeyboardInterrupt
        real(self, running, number, done, total)

    monkeypatch.setattr(Report, "batch", batch)


FAST = "[float]\nlearning_rate = 0.05\nwarm_up = 1\n[quantized]\nlearning_rate = 0.05\nwarm_up = 1\n"
DEVICES = '[devices]\nevery = "epoch"\ncalibrated = true\n'
LAYERS = "[hardware]\nlayers = [{ bidirectional = true }, { units = 3 }]\n"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Learns so much in 4 and 3 epochs that the last ones are the best."""
    path = tmp_path_factory.mktemp("recipe") / "fast.toml"
    path.write_text(FAST)
    return path


@pytest.fixture(scope="module")
def whole(data, recipe):
    """The model file of a run that nothing interrupts."""
    output = recipe.parent / "whole.npz"
    assert main(arguments(data, output, "--recipe", str(recipe))) == 0
    return output.read_bytes()


@pytest.mark.parametrize("more", ["", DEVICES, LAYERS + DEVICES], ids=["ideal", "devices", "devices of layers"])
def test_interrupted_run_makes_the_same_file(data, recipe, whole, tmp_path, monkeypatch, capsys, more):
    if more:
        recipe, output = tmp_path / "recipe.toml", tmp_path / "whole.npz"
        recipe.write_text(FAST + more)
        assert main(arguments(data, output, "--recipe", str(recipe))) == 0
        whole = output.read_bytes()
    output = tmp_path / "parts.npz"
    run = arguments(data, output, "--recipe", str(recipe))
    capsys.readouterr()
    for phase, epoch, kept in (("float", 2, "float epoch 2"), ("quantized", 0, "float epoch 4"), ("quantized", 2, "")):
        with monkeypatch.context() as patch:
            stop_at(patch, phase, epoch)
            assert main(run) == 130
        assert f"{output}.checkpoint holds everything up to {kept}" in capsys.readouterr().err
        assert not output.exists()
        torch.manual_seed(99)  # another process would not have this one's state either
    assert main(run) == 0
    told = capsys.readouterr().out
    assert f"going on: {output}.checkpoint holds everything up to quantized epoch 2\n" in told
    assert told.count("quantized epoch 3/3: loss") == told.count(": loss") == 1
    assert output.read_bytes() == whole
    assert not list(tmp_path.glob("*.checkpoint"))
    assert load_model(output).provenance["recipe_hash"]
    assert ("technology_hash" in load_model(output).provenance) == bool(more)


@pytest.mark.parametrize("part", ["optimizer", "averages", "task", "done"])
def test_a_state_that_is_not_kept_shows(data, recipe, whole, tmp_path, monkeypatch, part):
    """The comparison above can fail: each part of the state that is left out makes another network."""
    run = arguments(data, tmp_path / "m.npz", "--recipe", str(recipe))
    with monkeypatch.context() as patch:
        stop_at(patch, "float", 3)
        assert main(run) == 130
    real = schedule._Run.load_state_dict

    def load(self, state):
        own = self.state_dict()
        real(self, state | {part: own[part]})

    monkeypatch.setattr(schedule._Run, "load_state_dict", load)
    assert main(run) == 0
    assert (tmp_path / "m.npz").read_bytes() != whole


def test_a_killed_run_goes_on(data, recipe, whole, tmp_path):
    output = tmp_path / "m.npz"
    run = arguments(data, output, "--recipe", str(recipe))
    script = (
        "import os, signal, sys\n"
        "from crossramp.cli.main import main\n"
        "from crossramp.cli.output.train_report import Report\n"
        "def batch(self, phase, epoch, done, total):\n"
        "    if (phase.name, epoch, done) == ('float', 3, 1): os.kill(os.getpid(), signal.SIGKILL)\n"
        "Report.batch = batch\n"
        "main(sys.argv[1:])\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, *run], capture_output=True, timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert main(run) == 0
    assert output.read_bytes() == whole


def test_checkpoints_of_other_runs_are_refused(data, tmp_path, monkeypatch, capsys):
    output = tmp_path / "m.npz"
    checkpoint = tmp_path / "elsewhere.checkpoint"
    run = arguments(data, output, "--checkpoint", str(checkpoint))
    with monkeypatch.context() as patch:
        stop_at(patch, "float", 1)
        assert main(run) == 130
    kept = checkpoint.read_bytes()
    capsys.readouterr()
    assert main([*run, "--epochs", "5"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"crossramp: {checkpoint}: is of another run: its recipe is '")
    assert told.endswith("--restart begins anew, --checkpoint FILE keeps both\n")
    assert told.count("\n") == 1
    with monkeypatch.context() as patch:
        real = train.load_corpus
        patch.setattr(train, "load_corpus", lambda *a: dataclasses.replace(real(*a), digest="0" * 64))
        assert main(run) == 2
    assert "is of another run: its data is '" in capsys.readouterr().err
    assert checkpoint.read_bytes() == kept
    assert main([*run, "--epochs", "5", "--restart"]) == 0
    assert output.is_file()
    assert not checkpoint.exists()


class _Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "pickle", "trap", "other"])
def test_what_is_no_checkpoint_is_refused_and_never_run(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c"
    torch.save({"format": "crossramp-checkpoint", "version": 1, "identity": {}, "state": {}}, path)
    whole = path.read_bytes()
    contents = {"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2], "pickle": pickle.dumps(_Trap())}
    if kind in contents:
        path.write_bytes(contents[kind])
    else:
        torch.save({"trap": {"format": _Trap()}, "other": [1, 2]}[kind], path)
    with pytest.raises(ValueError, match="not a checkpoint") as refused:
        Checkpoint(path, {})
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("name", ["recipe", "technology", "data"])
def test_each_part_of_its_identity_makes_it_another_runs(tmp_path, name):
    """Whether it was known at the beginning or became known later, as the data do."""
    known = {"recipe": "1", "technology": "2"}

    def opened(**changed):
        checkpoint = Checkpoint(tmp_path / "c", {key: changed.get(key, value) for key, value in known.items()})
        checkpoint.identify({"data": changed.get("data", "3")})
        return checkpoint

    opened().save({"phase": "float", "fit": {"epoch": 1}})
    content = torch.load(tmp_path / "c", weights_only=True)
    assert content["identity"] == {**known, "data": "3"}
    assert opened().state is not None
    with pytest.raises(ValueError, match=f"its {name} is '{ {**known, 'data': '3'}[name] }', here 'another'"):
        opened(**{name: "another"})


def test_the_last_checkpoint_survives_a_failed_write(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "c", {"recipe": "1"})
    checkpoint.save({"phase": "float", "fit": {"epoch": 1}})
    kept = (tmp_path / "c").read_bytes()

    def full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / 'c'}'"):
        checkpoint.save({"phase": "float", "fit": {"epoch": 2}})
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert (tmp_path / "c").read_bytes() == kept
    assert "float epoch 1" in str(checkpoint)


@pytest.mark.parametrize(("phase", "value"), [("float", "nan"), ("quantized", "inf")])
def test_a_loss_that_is_no_number_stops_the_run(data, tmp_path, monkeypatch, capsys, phase, value):
    output = tmp_path / "m.npz"
    network = {"float": keyword_training.FloatNetwork, "quantized": keyword_training.QuantizedNetwork}[phase]
    real, passes = network.forward, []

    def forward(self, values):
        passes.append(self.training)
        # 5 batches an epoch; two whole epochs go well.
        return real(self, values) * (float(value) if self.training and sum(passes) > 12 else 1)

    monkeypatch.setattr(network, "forward", forward)
    assert main(arguments(data, output)) == 2
    told = without_warnings(capsys.readouterr().err)
    assert told.startswith(
        f"crossramp: {phase} epoch 3, batch 3: loss nan, gradient nan; no number to go on with: lower"
    )
    assert f"{output}.checkpoint holds everything up to {phase} epoch 2" in told
    assert told.count("\n") == 1
    assert not output.exists()
    state = Checkpoint(tmp_path / "m.npz.checkpoint", {}).state
    assert all(torch.isfinite(tensor).all() for tensor in state["fit"]["network"].values())


def test_early_stopping(data, tmp_path, capsys):
    recipe = tmp_path / "r.toml"
    # At rate 0 nothing becomes better: the state before the first epoch stays the best one.
    recipe.write_text("[float]\npatience = 2\nlearning_rate = 0\n[quantized]\npatience = 0\n")
    run = arguments(data, tmp_path / "m.npz", "--recipe", str(recipe), "--epochs", "9")
    assert main(run) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if ": loss" in line]
    assert [line.split(":")[0] for line in lines] == [
        *(f"float epoch {n}/9" for n in (1, 2)),
        *(f"quantized epoch {n}/3" for n in (1, 2, 3)),
    ]
