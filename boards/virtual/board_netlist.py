# SPDX-License-Identifier: Apache-2.0
"""The netlists of a build, as designs that can be simulated."""

import copy
import json
import tempfile
from pathlib import Path

from crossramp.golden.link.board_memory import Build
from crossramp.sim.netlist.netlist_models import cell_models, complete_netlist
from crossramp.sim.netlist.pin_replay import Design

from ..definitions.board import Board, BoardError
from ..definitions.families import NETLIST_JSON, ROUTED_JSON, TOP
from ..flow.board_top import make_platform
from ..flow.toolchain import Tool, ToolError, last_words, run_tool

#: File of the netlist of each stage of a build that can be replayed.
STAGES = {"synthesis": NETLIST_JSON, "layout": ROUTED_JSON}

#: Families, and the stages whose netlists there are cell models for.
_STAGES_OF = {"ice40": ("synthesis", "layout"), "ecp5": ("synthesis",)}

#: Seconds after its button was let go in which a board is still in reset; boards/flow/board_top.py waits for its
#: contacts.
_RELEASE = 6e-3

# Short names, one for each bit: with those of the netlist a simulator takes several times as long to build.
_SCRIPT = """\
read_json netlist.json
delete t:$scopeinfo
splitnets
rename -hide w:* c:* i:* %d o:* %d x:* %d
write_verilog -noattr -noexpr netlist.v
"""


def stages_of(board: Board) -> tuple[str, ...]:
    """Of :data:`STAGES`, those that can be replayed on ``board``; BoardError if none can."""
    if board.family not in _STAGES_OF:
        raise BoardError(
            f"{board.name}: there are no open cell models for netlists of its family, {board.family}; "
            f"families that have them: {', '.join(_STAGES_OF)}"
        )
    return _STAGES_OF[board.family]


def netlist_design(board: Board, build: Build, netlist: dict, yosys: Tool) -> Design:
    """A netlist as Verilog, with models of its cells.

    Parameters
    ----------
    board : Board
        Of a family that :func:`stages_of` knows.
    build : Build
    netlist : dict
        As a stage's file of :data:`STAGES` holds it.
    yosys : Tool
        Turns it into Verilog.

    Raises
    ------
    ToolError
        If yosys cannot read it.
    SimulatorMissing
        If no cell models are here.
    SimulationError
        For a netlist in which nothing drives a clock.
    """
    models = cell_models(board.family)
    netlist = {"modules": {TOP: copy.deepcopy(netlist["modules"][TOP])}}  # without the library that it was made with
    complete_netlist(netlist)
    with tempfile.TemporaryDirectory(prefix="crossramp-") as name:
        folder = Path(name)
        (folder / "netlist.json").write_text(json.dumps(netlist))
        (folder / "netlist.ys").write_text(_SCRIPT)
        if run_tool(yosys, ["-q", "netlist.ys"], folder, log="yosys.log"):
            raise ToolError(f"yosys cannot read the netlist: {last_words(folder, 'yosys.log')}")
        verilog = (folder / "netlist.v").read_text()
    return Design(
        {**models, "netlist.v": verilog},
        TOP,
        clock=f"{make_platform(board, build).default_clk}_0__io",
        reset="reset_0__io",
        rx="uart_0__rx__io",
        tx="uart_0__tx__io",
        reset_low=board.wires["reset"].inverted,
        reset_clocks=int(_RELEASE * build.clock),
    )
