# SPDX-License-Identifier: Apache-2.0
"""How bitstreams of each FPGA family are made: the programs, their arguments, and the names in their reports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .board import Board

#: Name of a bitstream's top module.
TOP = "top"

#: What yosys leaves: the netlist for nextpnr, for simulation, and the count of its cells.
NETLIST_JSON, NETLIST_VERILOG, CELLS = f"{TOP}.json", "netlist.v", "cells.json"

#: What nextpnr leaves beside its layout: timing and utilization, and (iCE40) the routed netlist.
LAYOUT_REPORT, ROUTED_JSON = "layout.json", "routed.json"


@dataclass(frozen=True)
class Family:
    """The flow of one family.

    Attributes
    ----------
    name : str
    synthesis : str
        Yosys's command.
    layout, pack : str
        Program names.
    suffix : str
        Of a bitstream's file.
    layout_arguments, pack_arguments : callable
        ``layout_arguments(board)``; ``pack_arguments(board, file)``.
    primitives : mapping
        Resource names of nextpnr's reports to the words of a message.
    memory : str
        The resource that is block RAM.
    memory_shapes : tuple of (int, int)
        (words, bits) that one block can be.
    block_cost : int
        What a block costs in yosys's choice between blocks and logic (``share/*/brams*.txt``).
    cell_cost : float
        And what one bit of a memory costs in logic: flip-flops, or LUTs of 16 words by 4 bits.
    register : str
        The resource that a flip-flop takes.
    beside : int
        Of that resource, what the shipped model takes beyond :func:`.fit.register_bits`: for estimates.
    """

    name: str
    synthesis: str
    layout: str
    pack: str
    suffix: str
    layout_arguments: Callable[[Board], tuple[str, ...]]
    pack_arguments: Callable[[Board, str], tuple[str, ...]]
    primitives: Mapping[str, str]
    memory: str
    memory_shapes: tuple[tuple[int, int], ...]
    block_cost: int
    cell_cost: float
    register: str
    beside: int

    @property
    def programs(self) -> tuple[str, str, str]:
        """All that a build needs, in the order of their use."""
        return "yosys", self.layout, self.pack


#: Name to family.
FAMILIES = {
    "ice40": Family(
        "ice40",
        "synth_ice40",
        "nextpnr-ice40",
        "icepack",
        ".bin",
        lambda board: ("--pcf", f"{TOP}.pcf", "--asc", f"{TOP}.asc", "--write", ROUTED_JSON),
        lambda board, file: (f"{TOP}.asc", file),
        {
            "ICESTORM_LC": "logic cells",
            "ICESTORM_RAM": "block RAMs of 4 kbit",
            "ICESTORM_SPRAM": "SPRAMs of 256 kbit",
            "ICESTORM_DSP": "multipliers",
        },
        "ICESTORM_RAM",
        ((256, 16), (512, 8), (1024, 4), (2048, 2)),
        64,
        1,
        "ICESTORM_LC",
        2900,
    ),
    "ecp5": Family(
        "ecp5",
        "synth_ecp5",
        "nextpnr-ecp5",
        "ecppack",
        ".bit",
        lambda board: ("--lpf", f"{TOP}.lpf", "--textcfg", f"{TOP}.config"),
        lambda board, file: ("--compress", "--input", f"{TOP}.config", "--bit", file),
        {
            "TRELLIS_COMB": "LUTs",
            "TRELLIS_FF": "flip-flops",
            "DP16KD": "block RAMs of 18 kbit",
            "MULT18X18D": "multipliers",
        },
        "DP16KD",
        ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
        128,
        1 / 16,
        "TRELLIS_FF",
        2450,
    ),
    "gowin": Family(
        "gowin",
        "synth_gowin",
        "nextpnr-himbaechel",
        "gowin_pack",
        ".fs",
        lambda board: ("--vopt", f"cst={TOP}.cst", "--write", ROUTED_JSON),
        lambda board, file: ("-d", _chip(board), "-o", file, ROUTED_JSON),
        {
            "LUT4": "LUTs",
            "DFF": "flip-flops",
            "BSRAM": "block RAMs of 18 kbit",
            "MULT9X9": "multipliers of 9 bits",
            "MULT18X18": "multipliers of 18 bits",
        },
        "BSRAM",
        ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
        128,
        1 / 16,
        "DFF",
        1600,
    ),
}


def _chip(board: Board) -> str:
    """Apicula's name of the chip: the family that nextpnr is given."""
    return next(option.removeprefix("family=") for option in board.part if option.startswith("family="))


def synthesis_script(family: Family, options: tuple[str, ...], files: list[str]) -> str:
    """What yosys does, one command a line.

    Parameters
    ----------
    options : tuple of str
        Of the family's command.
    files : list of str
        Verilog and RTLIL to read.
    """
    reads = [f"{'read_rtlil' if name.endswith('.il') else 'read_verilog'} {name}" for name in sorted(files)]
    # Gowin's own option leaves out cells that nextpnr does not know.
    json = f" -json {NETLIST_JSON}" if family.name == "gowin" else ""
    synthesis = " ".join([family.synthesis, *options, "-top", TOP]) + json
    return "\n".join(
        [
            *reads,
            synthesis,
            f"tee -q -o {CELLS} stat -json",
            *([] if json else [f"write_json {NETLIST_JSON}"]),
            f"write_verilog -noattr {NETLIST_VERILOG}",
            "",
        ]
    )
