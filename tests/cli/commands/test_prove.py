# SPDX-License-Identifier: Apache-2.0
"""``prove``: the table, a counterexample with its waveform, and one clear line for whatever is wrong."""

import json
from pathlib import Path

import pytest
from crossramp.cli.inputs.subjects import SPECIFICATIONS
from crossramp.golden.layers.spec_file import load_spec, save_spec
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.catalog import proofs_of
from crossramp.sim.formal.engine import entry, solver
from crossramp.sim.formal.engine.solver import Mode, Outcome, Status, find_prover

from tests.cli.conftest import is_refusal
from tests.support.layered import PROJECTED
from tests.support.planted import planted
from tests.support.proving import make_attempts_once

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "formal_array.sv"
#: A capture bank whose codes are shifted by one column.
FAULT = ("rtl/macro/capture.py", "Cat(codes)[self.lanes * bits :]", "Cat(codes)[bits:]")


@pytest.fixture(autouse=True)
def _equal_attempts_are_made_once(monkeypatch, pytestconfig):
    make_attempts_once(monkeypatch, pytestconfig)


def test_proofs_of_a_block(run, model_file, tmp_path):
    status, out, err = run("prove", model_file, "--only", "capture", "--json", "-q", "-o", tmp_path / "kept")
    assert (status, err) == (0, "")
    content = json.loads(out)
    assert content["holds"]
    assert content["solver"] == find_prover().solver
    assert content["hardware_hash"] == load_model(model_file).spec.hardware_hash
    assert [row["status"] for row in content["proofs"]] == ["proven"] * 2
    assert {row["reach"] for row in content["proofs"]} == {"any trace"}
    folders = sorted((tmp_path / "kept").glob("*-capture"))
    assert len(folders) == 2
    assert all("\\top" in (folder / "design.il").read_text() for folder in folders)


def test_the_table_and_the_stages(run, model_file):
    status, out, err = run("prove", model_file, "--only", "capture", "--jobs", "1")
    assert status == 0
    assert out.count("any trace") == out.count("proven") == 2
    assert f"2 of 2 proofs hold, with {find_prover().solver}" in out
    assert "capture" in err


@pytest.mark.parametrize("kept", [True, False])
def test_a_counterexample_is_status_1(run, model_file, tmp_path, kept, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = ["-o", tmp_path / "kept"] if kept else []
    with planted(*FAULT):
        status, out, _ = run("prove", model_file, "--only", "capture", "--json", *folder)
    assert status == 1
    content = json.loads(out)
    assert not content["holds"]
    for row in content["proofs"]:
        assert row["status"] == "violated"
        assert row["place"].startswith("sim/formal/conversion/capture_proof.py:")
        assert "golden's, or its neighbor" in row["property"]
        assert row["clock"] > 3
        assert "$var" in Path(row["trace"]).read_text()
    left = [path for path in tmp_path.iterdir() if path.name.startswith("crossramp-p")]
    assert left == []


def test_an_undecided_proof_is_status_3(run, model_file, monkeypatch):
    undecided = Outcome(Status.UNDECIDED, Mode.PROVE, 2, 1.0, "time ran out")
    monkeypatch.setattr(entry, "solve", lambda *arguments, **options: undecided)
    status, out, _ = run("prove", model_file, "--only", "capture", "--timeout", "1")
    assert status == 3
    assert "capture: undecided: time ran out" in out
    assert "0 of 2 proofs hold" in out


def test_an_array_of_ones_own(run, tmp_path):
    """The command of docs/formal.md, on a specification that takes seconds."""
    spec = Specification(
        inputs=1, units=1, classes=2, adc_bits=2, input_bits=2, weight_bits=2, state_bits=4, state_frac_bits=2,
        state_pulse_bits=2, calibration_cells=1,
    )  # fmt: skip
    save_spec(tmp_path / "small.toml", spec)
    array = ["--array", EXAMPLE, "--ready-within", "4", "--clocks", "20"]
    status, out, _ = run("prove", "small.toml", *array, "--json")
    assert status == 0
    assert [row["status"] for row in json.loads(out)["proofs"]] == ["reached", "holds to its depth"]
    text = EXAMPLE.read_text().replace("value[c] > level", "value[c] > level ^ 1")
    (tmp_path / "formal_array.sv").write_text(text)
    array[1] = tmp_path / "formal_array.sv"
    status, out, _ = run("prove", "small.toml", *array, "-o", "kept")
    assert status == 1
    assert "a comparator that was low on a tick is low on every later tick of its ramp (sim/formal/array" in out
    assert "counterexample: kept/01-array/proof/engine_0/trace.vcd" in out


def test_the_list_runs_nothing(run, model_file, monkeypatch):
    monkeypatch.setattr(entry, "solve", None)
    status, out, _ = run("prove", model_file, "--list", "--json")
    rows = json.loads(out)
    assert status == 0
    assert len(rows) == len(proofs_of(load_model(model_file).spec))
    assert {"block", "claim", "reach"} == set(rows[0])
    assert "any trace" in run("prove", "array8x8", "--list", "--lanes", "2")[1]


def test_several_layers(run, tmp_path):
    """What each proof is about, and a counterexample in one of them."""
    save_spec(tmp_path / "deep.toml", PROJECTED)
    listed = json.loads(run("prove", "deep.toml", "--list", "--json")[1])
    assert [(row["of"], row["block"]) for row in listed] == [(e.of, e.block) for e in proofs_of(PROJECTED)]
    own = json.loads(run("prove", "deep.toml", "--list", "--json", "--macro", "layer0_backward")[1])
    assert own == [row for row in listed if row["of"] == "layer0_forward, layer0_backward"]
    status, out, _ = run("prove", "deep.toml", "--only", "network")
    assert status == 0
    assert "top  network  head and tap get every beat" in out
    with planted("rtl/layers/layered_top.py", "head.h.valid.eq(h.valid & self.h.ready)", "head.h.valid.eq(h.valid)"):
        status, out, _ = run("prove", "deep.toml", "--only", "network", "-o", "kept")
    assert status == 1
    assert "top: network: violated" in out
    assert ": the head gets every beat once (sim/formal/layers/stack_proof.py:" in out
    status, _, err = run("prove", "deep.toml", "--macro", "layer2")
    assert (status, err.count("\n")) == (2, 1)
    assert "--macro is 'layer2', which names no macro; did you mean layer1?" in err


def test_tiled_macro(run, tmp_path):
    spec = load_spec(SPECIFICATIONS / "array8x8.toml").replace(tile_columns=4)
    save_spec(tmp_path / "tiled.toml", spec)
    listed = json.loads(run("prove", "tiled.toml", "--list", "--json")[1])
    blocks = {row["block"] for row in listed}
    assert {"tiles", "boundary", "head"} < blocks
    assert not {"pacer", "uart", "commands"} & blocks
    status, out, _ = run("prove", "tiled.toml", "--only", "tiles")
    assert (status, out.count("proven")) == (0, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "captur"], "--only 'captur' names no block; did you mean capture?"),
        (["--jobs", "0"], "--jobs is 0; allowed: 1 to 1024"),
        (["--timeout", "0"], "--timeout is 0; allowed: 1 to 604800"),
        (["--clocks", "5"], "--clocks 5 needs --array FILE"),
        (["--array-top", "mine"], "--array-top mine needs --array FILE"),
        (["--lanes", "9"], "lanes is 9; allowed: 1 to 3"),
        (["--array", "none.sv"], "none.sv: No such file or directory"),
        (["--array", __file__, "--array-top", "mine"], "yosys cannot read the array: "),
        (
            ["--array", EXAMPLE, "--array-top", "mine"],
            "no module is called 'mine' in formal_array.sv",
        ),
        (["--array", EXAMPLE, "--clocks", "0"], "--clocks is 0; allowed: 1 to 100000"),
    ],
)
def test_bad_options(run, model_file, options, message):
    assert is_refusal(run("prove", model_file, *options), message)


def test_without_tools(run, model_file, monkeypatch):
    monkeypatch.setattr(solver.shutil, "which", lambda *arguments, **options: None)
    assert is_refusal(run("prove", model_file), "neither yowasp-sby nor sby was found; type: pip install")
