# SPDX-License-Identifier: Apache-2.0
"""Trained stages on a shelf: found by runs that need an equal one, by no other, and without a trace in the result."""

import pytest
from crossramp.cli.commands import train
from crossramp.cli.main import main
from crossramp.cli.output.train_report import Report

from tests.support.training import arguments


@pytest.fixture
def phases(monkeypatch):
    """Names of the phases that were trained, once an epoch."""
    seen, real = [], Report.epoch

    def epoch(self, phase, number, measured):
        seen.append(phase.name)
        real(self, phase, number, measured)

    monkeypatch.setattr(train.Report, "epoch", epoch)
    return seen


def test_a_float_network_is_trained_once_for_all_resolutions(data, tmp_path, phases):
    shelf = tmp_path / "shelf"
    made = {}
    for name, more in (("first", []), ("other", ["--adc-bits", "3", "--input-bits", "3"])):
        for place, kept in (("alone", []), ("shelf", ["--shelf", shelf])):
            output = tmp_path / f"{name}-{place}.npz"
            assert main(arguments(data, output, *more, *kept)) == 0
            made[name, place] = output.read_bytes()
    assert made["first", "shelf"] == made["first", "alone"]
    assert made["other", "shelf"] == made["other", "alone"]
    assert phases.count("float") == 3 * 4  # all but the last of four runs
    (kept,) = shelf.iterdir()
    assert kept.name.startswith("kws-float-")


@pytest.mark.parametrize("change", [["--seed", "6"], ["--units", "5"], ["--epochs", "3"], ["--sigmoid-range", "2"]])
def test_what_the_float_network_depends_on_is_another_one(data, tmp_path, phases, change):
    shelf = ["--shelf", tmp_path / "shelf"]
    short = ["--epochs", "1", "--qat-epochs", "0"]
    assert main(arguments(data, tmp_path / "a.npz", *short, *shelf)) == 0
    assert main(arguments(data, tmp_path / "b.npz", *short, *change, *shelf)) == 0
    assert len(list((tmp_path / "shelf").iterdir())) == 2


def test_a_damaged_shelf_is_told(data, tmp_path, capsys):
    shelf = ["--shelf", tmp_path / "shelf"]
    short = ["--epochs", "1", "--qat-epochs", "0"]
    assert main(arguments(data, tmp_path / "a.npz", *short, *shelf)) == 0
    (kept,) = (tmp_path / "shelf").iterdir()
    kept.write_bytes(kept.read_bytes()[:500])
    assert main(arguments(data, tmp_path / "b.npz", *short, *shelf)) == 2
    told = capsys.readouterr().err
    assert "is damaged, or not a checkpoint; remove it" in told
    assert not (tmp_path / "b.npz").exists()
