# SPDX-License-Identifier: Apache-2.0
"""Netlists replayed: what synthesis and layout made of a board's top answers as golden does, byte for byte."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from crossramp.boards.definitions.board import BoardError, boards
from crossramp.boards.definitions.families import FAMILIES, NETLIST_JSON, synthesis_script
from crossramp.boards.flow.board_core import MODULE
from crossramp.boards.flow.board_top import top_files
from crossramp.boards.flow.core_verilog import kept_core_verilog
from crossramp.boards.flow.synthesis import make_bitstream
from crossramp.boards.flow.toolchain import find_tools, run_tool
from crossramp.boards.virtual.board_netlist import STAGES, netlist_design, stages_of
from crossramp.boards.virtual.link_replay import compare, record
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.netlist.pin_replay import Design
from crossramp.sim.tools.run_options import BuildOptions

from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=3, units=3, classes=2, adc_bits=3, input_bits=3, weight_bits=3, calibration_cells=0)
BOARD = replace(boards()["ulx3s-85f"], lanes=2, columns_per_clock=2)
BUILD = BOARD.build(SPEC, baud=BOARD.clock // 5)
NETWORK = network_of(SPEC, 1)


@pytest.fixture(scope="module")
def cache(pytestconfig):
    return pytestconfig.rootpath / "build" / "simulation"


@pytest.fixture(scope="module")
def yosys():
    return find_tools(["yosys"])["yosys"]


@pytest.fixture(scope="module")
def session():
    return record(BUILD, NETWORK, inputs_of(SPEC, 1, batch=2, steps=4))


@pytest.fixture(scope="module")
def core(cache) -> Design:
    return Design({"core.v": kept_core_verilog(BUILD, BOARD.weight_ram_style, cache)}, MODULE)


@pytest.fixture(scope="module")
def netlist(core, yosys, tmp_path_factory) -> dict:
    """ECP5, after synthesis."""
    folder = tmp_path_factory.mktemp("synthesis")
    files = top_files(BOARD, BUILD, core.sources["core.v"])
    script = synthesis_script(FAMILIES["ecp5"], (), [name for name in files if name.endswith((".v", ".il"))])
    for name, text in {**files, "top.ys": script}.items():
        (folder / name).write_text(text)
    assert run_tool(yosys, ["top.ys"], folder, log="yosys.log") == 0
    return json.loads((folder / NETLIST_JSON).read_text())


@pytest.fixture(scope="module")
def design(netlist, yosys) -> Design:
    return netlist_design(BOARD, BUILD, netlist, yosys)


@pytest.fixture(scope="module")
def replayed(design, session, cache):
    return compare(design, BUILD, session, options=BuildOptions(cache, optimize=False))


def test_a_session_has_everything(session):
    asked = " ".join(session.names)
    for what in ("echo", "identity", "write weights", "read thresholds", "h after", "logits", "dropped"):
        assert what in asked
    statuses = {frame.payload[0] for frame in session.expected}
    assert statuses >= {0, 1, 2, 3, 4, 6}


def test_ecp5_after_synthesis_is_golden(replayed, session):
    assert replayed.differences == []
    assert replayed.answers == len(session.expected)


def test_and_takes_the_clocks_of_its_source(replayed, core, session, cache):
    source = compare(core, BUILD, session, options=BuildOptions(cache, optimize=False))
    assert source.differences == []
    assert source.counters == replayed.counters
    assert max(clocks for clocks, _ in source.counters) > 100


def test_another_expectation_is_a_difference(core, session, cache):
    other = record(BUILD, network_of(SPEC, 2), inputs_of(SPEC, 1, batch=2, steps=4))
    wrong = compare(core, BUILD, replace(session, expected=other.expected), options=BuildOptions(cache, optimize=False))
    assert wrong.differences


def cells_with(verilog: str, pin: str, net: str) -> list[re.Match]:
    """The cells of a netlist whose ``pin`` is at ``net``."""
    cells = re.finditer(r"^  \w+ #\(.*?^  \);\n", verilog, re.MULTILINE | re.DOTALL)
    return [cell for cell in cells if f".{pin}({net})" in cell[0]]


def test_a_wrong_look_up_table_is_found(design, session, cache):
    """The one before the flip-flop of tx, in the Verilog: making it anew of a netlist takes longer than a model."""
    before = design.sources["netlist.v"]
    (pad,) = cells_with(before, "B", design.tx)
    (register,) = cells_with(before, "Q", re.search(r"\.I\((\w+)\)", pad[0])[1])
    (table,) = cells_with(before, "Z", re.search(r"\.DI\((\w+)\)", register[0])[1])
    faulty = re.sub(r"16'h(\w+)", lambda init: f"16'h{int(init[1], 16) ^ 0xFFFF:04x}", table[0], count=1)
    assert faulty != table[0]
    after = before[: table.start()] + faulty + before[table.end() :]
    changed = replace(design, sources=design.sources | {"netlist.v": after})
    assert compare(changed, BUILD, session, options=BuildOptions(cache, optimize=False)).differences


@pytest.mark.slow
def test_ice40_after_layout_is_golden(yosys, cache):
    board = replace(boards()["icebreaker"], gather_columns=())
    build = board.build(SPEC, baud=board.clock // 5)
    made = make_bitstream(board, build, folder=cache)
    netlist = json.loads((made.folder / STAGES["layout"]).read_text())
    session = record(build, NETWORK, inputs_of(SPEC, 1, batch=2, steps=4))
    design = netlist_design(board, build, netlist, yosys)
    found = compare(design, build, session, options=BuildOptions(cache, optimize=False))
    assert found.differences == []
    assert found.answers == len(session.expected)


def shipped(name: str, stage: str, yosys, cache, change=None):
    """The shipped network's netlist after a replay of two short utterances."""
    board = boards()[name]
    model = load_model("kws")
    build = board.build(model.spec)
    made = make_bitstream(board, build, folder=cache)
    netlist = json.loads((made.folder / STAGES[stage]).read_text())
    if change is not None:
        change(netlist)
    x = inputs_of(model.spec, 1, batch=2, steps=4)
    session = record(build, model.network, x)
    design = netlist_design(board, build, netlist, yosys)
    return compare(design, build, session, options=BuildOptions(cache, optimize=False))


@pytest.mark.every_board
@pytest.mark.parametrize(
    ("name", "stage"), [("icebreaker", "synthesis"), ("icebreaker", "layout"), ("ulx3s-85f", "synthesis")]
)
def test_shipped_network_is_golden(name, stage, yosys, cache):
    assert shipped(name, stage, yosys, cache).differences == []


@pytest.mark.every_board
def test_wrong_contents_of_a_memory_are_found(yosys, cache):
    def turn(netlist):
        """The first bytes of the identity."""
        cells = netlist["modules"]["top"]["cells"]
        name = next(name for name in cells if "identity" in name and cells[name]["type"] == "SB_RAM40_4K")
        cells[name]["parameters"]["INIT_0"] = cells[name]["parameters"]["INIT_0"].translate(str.maketrans("01", "10"))

    differences = shipped("icebreaker", "synthesis", yosys, cache, turn).differences
    assert differences
    assert all(line.startswith("read identity") for line in differences)


def test_what_cannot_be_replayed_is_refused():
    with pytest.raises(BoardError, match=r"tang-nano-9k: there are no open cell models .* gowin; families"):
        stages_of(boards()["tang-nano-9k"])
    pins = boards()["ulx3s-85f-pins"]
    with pytest.raises(BoardError, match="nothing would answer on the array's pins"):
        record(replace(BUILD, board=pins.name, columns_per_clock=0), NETWORK, np.zeros((1, 1, 3), int))
