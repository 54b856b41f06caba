# SPDX-License-Identifier: Apache-2.0
"""Runs of other networks than one LSTM, from the command to a model file; and what they are trained for."""

import pytest
from crossramp.cli.main import main
from crossramp.golden.cell.library import CELLS
from crossramp.golden.network.model_file import load_model
from crossramp.train.recipes.settings import Hardware
from crossramp.train.tasks.keyword_training import keyword_specification

from tests.support.training import arguments


@pytest.mark.parametrize("cell", ["lstm_peephole", "gru", "gru_reset_after", "rnn_relu"])
def test_the_command_trains_a_cell(cell, data, tmp_path):
    output, enough = tmp_path / "m.npz", ("--epochs", 16, "--qat-epochs", 4, "--learning-rate", 0.05)
    assert main(arguments(data, output, "--cell", cell, *enough)) == 0
    model = load_model(output)
    assert model.spec.cell == cell
    assert model.provenance["recipe"]["hardware"]["cell"] == cell
    assert (model.weights.lines is not None) == (cell == "lstm_peephole")
    assert model.provenance["quantized_validation_accuracy"] > 0.8  # of four classes


def test_an_lstm_is_what_it_was_without_a_cell(data, tmp_path):
    for name, more in (("a", ()), ("b", ("--cell", "lstm"))):
        assert main(arguments(data, tmp_path / f"{name}.npz", *more)) == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_cells_do_not_share_a_float_network(data, tmp_path):
    shelf = ("--shelf", tmp_path / "shelf", "--epochs", 1, "--qat-epochs", 1)
    for cell in ("lstm", "gru", "gru_reset_after"):
        assert main(arguments(data, tmp_path / f"{cell}.npz", "--cell", cell, *shelf)) == 0
    assert len(list((tmp_path / "shelf").glob("*.pt"))) == 3


def test_a_cell_is_trained_on_chips(data, tmp_path):
    recipe = tmp_path / "chips.toml"
    recipe.write_text('[hardware]\ncell = "gru"\n[devices]\ntechnology = "pcm"\n')
    output = tmp_path / "m.npz"
    assert main(arguments(data, output, "--recipe", recipe, "--epochs", 1, "--qat-epochs", 1)) == 0
    assert load_model(output).spec.cell == "gru"


def test_texts_take_any_cell(tmp_path):
    text = tmp_path / "t.txt"
    text.write_text("abcabcabd" * 900)
    output = tmp_path / "m.npz"
    short = ["--units", "5", "--epochs", "1", "--qat-epochs", "1", "--batch", "4"]
    assert main(["train", "text", str(text), "-o", str(output), "--cell", "gru", *short]) == 0
    assert load_model(output).spec.cell == "gru"


@pytest.mark.parametrize(("name", "macros"), [("kws-bidirectional", 2), ("kws-two-layer-bidirectional", 4)])
def test_the_command_trains_layers(name, macros, data, tmp_path):
    output, enough = tmp_path / "m.npz", ("--epochs", 24, "--qat-epochs", 4, "--learning-rate", 0.05)
    assert main(arguments(data, output, "--recipe", name, *enough)) == 0
    model = load_model(output)
    assert [layer.macro.units for layer in model.spec.layers] == [4] * len(model.spec.layers)
    assert len(model.spec.macros) == macros
    assert model.provenance["quantized_validation_accuracy"] > 0.8  # of four classes


def test_texts_take_layers_of_one_direction(tmp_path, capsys):
    text, recipe = tmp_path / "t.txt", tmp_path / "r.toml"
    text.write_text("abcabcabd" * 900)
    run = ["train", "text", str(text), "-o", str(tmp_path / "m.npz"), "--recipe", str(recipe)]
    run += ["--units", "5", "--lanes", "1", "--epochs", "1", "--qat-epochs", "1", "--batch", "4"]
    more = "[text]\nembedding = 2\nprojection = 3\n"
    recipe.write_text(f'task = "text"\n[hardware]\nlayers = [{{}}, {{ cell = "gru" }}]\n{more}')
    assert main(run) == 0
    model = load_model(tmp_path / "m.npz")
    assert [macro.inputs for macro in model.spec.macros.values()] == [2, 3]
    measured = model.provenance["evaluation"]["golden_bits_per_character"]
    assert measured == pytest.approx(model.provenance["quantized_validation_bits_per_character"], abs=0.2)
    recipe.write_text('task = "text"\n[hardware]\nlayers = [{ bidirectional = true }]\n')
    capsys.readouterr()
    assert main(run) == 2
    assert "hardware.layers[0].bidirectional is true; the next character is predicted from" in capsys.readouterr().err


def test_an_unknown_cell_is_refused(data, tmp_path, capsys):
    assert main(arguments(data, tmp_path / "m.npz", "--cell", "gruu")) == 2
    assert "argument --cell: invalid choice: 'gruu'" in capsys.readouterr().err


@pytest.mark.parametrize("bits", range(3, 9))
@pytest.mark.parametrize("cell", CELLS)
def test_lines_need_no_multiplier(cell, bits):
    """Every bank has the recipe's weight range; that with constant line cells nearly so."""
    hardware = Hardware(8, bits, bits, bits, sigmoid_range=2.0, cell=cell)
    spec = keyword_specification(hardware, inputs=6, classes=3, steps=8)
    assert spec.cell == cell
    for gate in spec.gate_names:
        if gate != spec.state_gate:
            assert spec.gate(gate).weight_range == 2.0
    if spec.layout.lines:
        assert spec.state_gain[0] == 1
        assert spec.gate(spec.state_gate).weight_range == pytest.approx(2.0, rel=0.2)
        reach = 2.0 if spec.layout.line_value_is_state else 4.0
        assert spec.state_full_scale == pytest.approx(reach * (1 - 2.0**-bits))
