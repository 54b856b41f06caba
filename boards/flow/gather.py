# SPDX-License-Identifier: Apache-2.0
"""Placement constraints for the iCE40: flip-flops that share an enable with few others are kept together.

All eight flip-flops of a logic tile have one enable.
Each column of the capture has an enable of its own, and as many flip-flops as a code has bits.
nextpnr's placer begins with them spread out,
so that they claim several tiles each and the rest of these tiles is unusable.
Once the part is nine tenths full, the placer looks for room without end.
Each such group therefore gets a tile before the placement, which only look-up tables share.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ..definitions.families import TOP

#: Flip-flops of a tile.
_TILE = 8

#: Rows of logic tiles on the UP5K.
_ROWS = range(1, 31)


def gather(netlist: Path, columns: Sequence[int]) -> int:
    """Give tiles to groups of flip-flops in a netlist for nextpnr, which is rewritten; the number of groups.

    Parameters
    ----------
    netlist : path
        JSON that yosys wrote.
    columns : sequence of int
        Columns of logic tiles, in the order in which they are used. What is left of them must be enough for carry
        chains, which need tiles above each other. Groups beyond them stay with the placer.
    """
    design = json.loads(netlist.read_text())
    cells = design["modules"][TOP]["cells"]
    tiles = [f"X{x}/Y{y}" for x in columns for y in _ROWS]
    groups = sorted(_groups(cells), key=len, reverse=True)[: len(tiles)]
    # By name: columns of one bank hand their codes on to each other.
    for tile, names in zip(tiles, sorted(groups), strict=False):
        for place, name in enumerate(names):
            cells[name].setdefault("attributes", {})["BEL"] = f"{tile}/lc{place}"
    netlist.write_text(json.dumps(design))
    return len(groups)


def _groups(cells: dict) -> list[list[str]]:
    """Flip-flops by clock, enable and reset: those groups that fit a tile, and whose places nothing else decides."""
    drivers = {
        bit: cell
        for cell in cells.values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "output"
        for bit in bits
    }

    def in_carry_chain(flip_flop: dict) -> bool:
        table = drivers.get(flip_flop["connections"]["D"][0])
        if table is None or table["type"] != "SB_LUT4":
            return False
        carry = drivers.get(table["connections"]["I3"][0])
        return carry is not None and carry["type"] == "SB_CARRY"

    found = defaultdict(list)
    for name, cell in cells.items():
        if cell["type"].startswith("SB_DFF") and "E" in cell["connections"]:
            lines = tuple(cell["connections"].get(port, [None])[0] for port in "CERS")
            found[cell["type"], *lines].append(name)
    return [
        sorted(names)
        for names in found.values()
        if 2 <= len(names) <= _TILE and not any(in_carry_chain(cells[name]) for name in names)
    ]
