# SPDX-License-Identifier: Apache-2.0
"""Trained stages on a shelf: found by runs that need an equal one, by no other, and without a trace in the result."""

import pytest
from crossramp.cli.commands import train
from crossramp.cli.main import main
from crossramp.cli.output.train_report import Report
from crossramp.golden.network.model_file import load_model

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
    assert kept.name.startswith("kws-")


@pytest.mark.parametrize("change", [["--seed", "6"], ["--units", "5"], ["--epochs", "3"], ["--sigmoid-range", "2"]])
def test_what_the_float_network_depends_on_is_another_one(data, tmp_path, phases, change):
    shelf = ["--shelf", tmp_path / "shelf"]
    short = ["--epochs", "1", "--qat-epochs", "0"]
    assert main(arguments(data, tmp_path / "a.npz", *short, *shelf)) == 0
    assert main(arguments(data, tmp_path / "b.npz", *short, *change, *shelf)) == 0
    assert len(list((tmp_path / "shelf").iterdir())) == 2


TAUGHT = """
[teacher.hardware]
units = 6

[teacher.float]
epochs = 2

[float]
distillation = 1.0
"""


def test_a_teacher_is_trained_first_and_once(data, tmp_path, phases):
    """Then its answers are learned: with a share of 1, labels do not matter to the float network, and it does."""
    (tmp_path / "taught.toml").write_text(TAUGHT)
    (tmp_path / "other.toml").write_text(TAUGHT.replace("units = 6", "units = 5"))
    shelf = ["--shelf", tmp_path / "shelf", "--epochs", "1", "--qat-epochs", "1"]
    made = []
    for name in ("taught", "again", "other"):
        recipe = tmp_path / f"{'taught' if name == 'again' else name}.toml"
        made.append(tmp_path / f"{name}.npz")
        assert main(arguments(data, made[-1], "--recipe", recipe, *shelf)) == 0
    assert phases == [*["teacher"] * 2, "float", "quantized", "quantized", *["teacher"] * 2, "float", "quantized"]
    first, again, other = (path.read_bytes() for path in made)
    assert first == again != other
    stored = load_model(made[0]).provenance
    assert stored["recipe"]["teacher"]["hardware"]["units"] == 6
    assert 0 <= stored["teacher_validation_accuracy"] <= 1


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
