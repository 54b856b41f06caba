# SPDX-License-Identifier: Apache-2.0
"""Logs for TensorBoard, read back by TensorBoard."""

import importlib.util

import pytest
from crossramp.cli.main import main
from crossramp.train.run.events import EventFile
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.training import arguments


def scalars(folder):
    """Tag to step to value."""
    found = EventAccumulator(str(folder)).Reload()
    return {tag: {one.step: one.value for one in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


def test_scalars_come_back(tmp_path):
    file = EventFile(tmp_path / "a" / "log")
    given = {"float/loss": [0.5, 1e-30, float("inf")], "x" * 300: [-1.0, 0.0, 3.25]}
    steps = [1, 127, 100_000]
    for number, step in enumerate(steps):
        file.add(step, {tag: values[number] for tag, values in given.items()})
        found = scalars(tmp_path / "a" / "log")  # while the run still goes on
        assert {tag: list(values) for tag, values in found.items()} == dict.fromkeys(given, steps[: number + 1])
    for tag, values in given.items():
        assert list(found[tag].values()) == pytest.approx(values, rel=1e-7)


def test_training_logs_every_epoch(data, tmp_path, capsys):
    log = tmp_path / "log"
    assert main(arguments(data, tmp_path / "m.npz", "--log", str(log))) == 0
    assert len(list(log.iterdir())) == 1
    found = scalars(log)
    names = ("loss", "learning_rate", "validation_loss", "validation_accuracy")
    assert list(found) == [f"{phase}/{name}" for phase in ("float", "quantized") for name in names]
    assert {tag: list(values) for tag, values in found.items()} == {
        tag: [1, 2, 3, 4] if tag.startswith("float") else [1, 2, 3] for tag in found
    }
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("float epoch")]
    assert all(f"loss {value:.4f}" in line for value, line in zip(found["float/loss"].values(), lines, strict=True))


def test_a_folder_that_cannot_be_made_is_one_line(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(arguments(data, tmp_path / "m.npz", "--log", str(tmp_path / "file" / "log"))) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_tensorboard_is_one_line_before_any_work(data, tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "tensorboard" else find(name))
    assert main(arguments(data, tmp_path / "m.npz", "--log", str(tmp_path / "log"))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "needs tensorboard" in err
    assert "pip install" in err
    assert err.count("\n") == 1
