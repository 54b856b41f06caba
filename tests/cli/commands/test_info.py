# SPDX-License-Identifier: Apache-2.0
"""``info`` and ``doctor``: what they tell, and what they say is missing."""

import json

import pytest
from crossramp.cli.commands import doctor, info
from crossramp.cli.process import tools
from crossramp.golden.cell.library import CELLS
from crossramp.golden.inputs.text_codes import TextSettings
from crossramp.golden.network.model_file import load_model, save_model
from crossramp.golden.spec.specification import Specification

from tests.cli.conftest import is_refusal, small_model
from tests.golden.inputs.test_text_codes import text_model
from tests.support.strategies import ALL_CELLS


def test_info_json_has_the_whole_specification(run, model_file):
    status, out, _ = run("info", model_file, "--json")
    content = json.loads(out)
    spec = load_model(model_file).spec
    assert status == 0
    assert Specification.from_dict(content["specification"]) == spec
    assert content["specification_hash"] == spec.content_hash
    assert content["clocks_per_step"] == spec.clocks_per_step
    assert content["analog_clocks_per_step"] == spec.analog_clocks_per_step
    assert content["devices"]["weights"] == 2 * spec.rows * spec.columns
    assert content["provenance"] == {"origin": "drawn at random"}


def test_json_is_valid_in_any_encoding(run, model_file, monkeypatch):
    content = {"classes": ["grün", "µ", "\udcff"]}  # the last is of a file name that is not UTF-8
    monkeypatch.setattr(info, "describe", lambda model: content)
    _, out, _ = run("info", model_file, "--json")
    assert out.isascii()
    assert json.loads(out) == content


def test_info_text(run, model_file):
    _, out, _ = run("info", model_file)
    spec = load_model(model_file).spec
    for text in (spec.content_hash, "5 inputs, 3 units, 3 classes", "yes no _unknown_", "3 steps", "drawn at random"):
        assert text in out


def test_info_of_a_text_model(run, tmp_path):
    save_model(tmp_path / "m.npz", text_model(TextSettings("\n ab", ((1, 2),) * 4)))
    _, out, _ = run("info", tmp_path / "m.npz")
    assert "text of 4 characters, an embedding of 2 codes" in out
    assert "\\n space a b" in out


def test_the_full_scale_of_the_cell_state_is_shown(run, tmp_path):
    eight = {"adc_bits": 8, "input_bits": 8, "weight_bits": 8, "state_pulse_bits": 9, "state_cell": 80}
    model = small_model(**eight)
    save_model(tmp_path / "m.npz", model)
    status, out, err = run("info", tmp_path / "m.npz")
    assert status == 0
    assert "pulse code of 9 bits on 80 levels: full scale 2.54; the topmost code of tanh(c) needs 2.77" in out
    assert err.startswith("crossramp: warning: state_pulse_bits is 9 and state_cell 80, so")
    assert err.count("\n") == 1
    content = json.loads(run("info", tmp_path / "m.npz", "--json")[1])
    assert content["state_full_scale"] == model.spec.state_full_scale
    assert abs(content["topmost_code_needs"] - 2.7707) < 1e-4


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_info_shows_what_a_cell_has(cell, run, tmp_path):
    """The format of a register, and a full scale of lines, where there are any."""
    more = {} if CELLS[cell].lines else {"state_pulse_bits": None}
    model = small_model(cell=cell, **more)
    save_model(tmp_path / "m.npz", model)
    status, out, _ = run("info", tmp_path / "m.npz")
    assert status == 0
    spec, layout = model.spec, model.spec.layout
    assert f"{cell.upper().replace('_', ' ')}, 5 inputs" in out
    register = f"{layout.register}: {spec.state_bits} bits, {spec.state_frac_bits} behind the point, up to"
    assert (register in out) == (layout.register is not None)
    assert ("pulse code of 4 bits on" in out) == bool(layout.lines)
    assert ("topmost code of tanh(c) needs" in out) == layout.line_value_is_state
    content = json.loads(run("info", tmp_path / "m.npz", "--json")[1])
    assert ("state_full_scale" in content) == bool(layout.lines)
    assert ("topmost_code_needs" in content) == layout.line_value_is_state


def test_info_of_the_shipped_model(run):
    status, out, err = run("info", "kws", "--json")
    assert (status, err) == (0, "")
    assert len(json.loads(out)["classes"]) == 12


def test_unknown_model(run):
    assert is_refusal(run("info", "kwz"), "'kwz'", "kws")


def test_doctor_knows_every_tool(run):
    status, out, _ = run("doctor", "--json")
    found = {entry["name"]: entry for entry in json.loads(out)["tools"]}
    assert status == 0
    assert set(found) == {tool.name for tool in tools.TOOLS}
    assert found["numpy"]["version"]
    assert found["numpy"]["required"]
    # `make test` has installed these, and a simulator that is missing is an error there.
    assert found["iverilog"]["version"]
    assert found["verilator"]["version"]


def test_doctor_says_what_to_type(run, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    status, out, _ = run("doctor")
    line = next(line for line in out.splitlines() if line.startswith("iverilog"))
    assert status == 0
    assert "missing" in line
    assert "sudo apt-get install iverilog" in line


def test_doctor_fails_without_what_is_required(run, monkeypatch):
    lost = tools.Tool("abacus", "everything", "pip install abacus", package="crossramp-no-such", required=True)
    monkeypatch.setattr(doctor, "TOOLS", (*tools.TOOLS, lost))
    told = "crossramp: required and missing: abacus; type: pip install abacus\n"
    status, out, err = run("doctor")
    assert (status, err) == (2, told)
    assert "required and missing: abacus" in out
    status, out, err = run("doctor", "--json")
    assert (status, err) == (2, told)
    assert json.loads(out)["ok"] is False
