# SPDX-License-Identifier: Apache-2.0
"""The cost of each module of the gateware on an FPGA, counted in the flat netlist that is placed and routed.

Synthesis dissolves the modules, so a cell's module is found by what is left of it, in this order:

1. The line of the Verilog that the cell was made from: flip-flops, carries and multipliers keep it.
2. The name of a net that the cell drives (the deepest of those that are not inputs of their module), or of a memory.
3. For the remaining cells, look-up tables that the optimizer made: the module that most of what they feed belongs to.
   Logic that depends on codes alone is the readout's, Gray to binary;
   the shift of the codes is in the capture's own cells.

The first rule is exact.
The others share out the logic between two modules, and change no total.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from crossramp.golden.cell.description import BIAS
from crossramp.golden.cell.library import CELLS

from ..definitions.families import TOP

#: Cell types of a family, what they are counted as; beginnings of names. Pads count as nothing.
_KINDS = {
    "ice40": {
        "SB_DFF": "flip-flops",
        "SB_LUT4": "LUTs",
        "SB_CARRY": "carries",
        "SB_RAM40": "block RAMs",
        "SB_SPRAM": "SPRAMs",
        "SB_MAC16": "multipliers",
    },
    "ecp5": {
        "TRELLIS_FF": "flip-flops",
        "LUT4": "LUTs",
        "CCU2C": "carries",
        "PFUMX": "multiplexers",
        "L6MUX21": "multiplexers",
        "TRELLIS_DPR16X4": "LUT RAMs",
        "DP16KD": "block RAMs",
        "MULT18X18D": "multipliers",
    },
}

#: What is driven in some cell: groups of rows, lines, and the line of a cell that has but one.
_DRIVEN = (
    *dict.fromkeys(group for cell in CELLS.values() for group in (*cell.row_groups, *cell.lines) if group != BIAS),
    "state",
)

#: The scopes of the core, below the top, and the row of the table that they are counted in; the longest one counts.
_ROWS = {
    "network.macro.capture_": "capture",
    **{f"network.macro.{name}_driver": "row drivers" for name in _DRIVEN},
    **{f"network.macro.{name}_codes": "row drivers" for name in _DRIVEN},
    "network.macro.loader": "loader of x",
    "network.macro.update": "cell update",
    "network.macro.state": "cell state",
    "network.macro.sequencer": "sequencer",
    "network.macro.ramp": "ramp",
    "network.macro": "rest of the macro",
    "network.head": "head",
    "emulator": "crossbar emulator",
    "link": "host link",
    "pacer": "pacer",
    "": "rest of the core",
}

#: Rows in the order of tables.
ROWS = (*dict.fromkeys(["capture", "readout", *_ROWS.values()]), "board")

#: Families of FPGAs whose netlists can be taken apart.
FAMILIES = tuple(_KINDS)

_CORE_SCOPE = "core.core"

#: What yosys calls nets that no source names: after a cell and a port.
_MADE_NAME = re.compile(r"_(SB_|TRELLIS_|LUT4|CCU2C|PFUMX|L6MUX21|MULT18X18D|DP16KD)\w*_\w")


def module_costs(netlist: Path, family: str) -> dict[str, dict[str, int]]:
    """Cells of each module.

    Parameters
    ----------
    netlist : path
        ``top.json`` of a build, beside ``crossramp_board.v``.
    family : str
        One of :data:`FAMILIES`.

    Returns
    -------
    dict
        Row of :data:`ROWS` to kind of cell to count, without zeros. The sum over all rows is the netlist's.
    """
    top = json.loads(netlist.read_text())["modules"][TOP]
    source = netlist.with_name("crossramp_board.v").read_text()
    owners = _Owners(top, source).rows(_KINDS[family])
    costs = {row: Counter() for row in ROWS}
    for name, row in owners.items():
        costs[row][kind_of(top["cells"][name]["type"], family)] += 1
    return {row: dict(counts) for row, counts in costs.items() if counts}


def kind_of(cell: str, family: str) -> str | None:
    """The kind under which a cell of that type is counted; None for pads and cells that are not hardware."""
    return next((kind for beginning, kind in _KINDS[family].items() if cell.startswith(beginning)), None)


class _Owners:
    """Finds the scope of each cell of a flat netlist."""

    def __init__(self, top: Mapping, source: str):
        self.cells = {name: cell for name, cell in top["cells"].items() if cell["type"] != "$scopeinfo"}
        self.scopes = [name for name, cell in top["cells"].items() if cell["type"] == "$scopeinfo"]
        self.inputs = self._inputs(source)
        self._read_lines(top["cells"])
        self._read_nets(top["netnames"])
        self.sinks = defaultdict(list)
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] != "output":
                    for bit in bits:
                        self.sinks[bit].append(name)

    def rows(self, kinds: Mapping[str, str]) -> dict[str, str]:
        """Cell to row, for the cells that are counted."""
        found = {}
        for name, cell in self.cells.items():
            scope = self._by_line(cell)
            scope = self._by_name(name, cell) if scope is None else scope
            if scope is not None:
                found[name] = _row(scope)
        self._by_sinks(found)
        counted = {name for name, cell in self.cells.items() if cell["type"].startswith(tuple(kinds))}
        rows = {name: found.get(name, "board") for name in counted}
        self._read_out(rows)
        return rows

    def _inputs(self, source: str) -> dict[str, set[str]]:
        """Module of the core's Verilog to the names of its inputs."""
        found, module = defaultdict(set), None
        for line in source.splitlines():
            if match := re.match(r"module (\S+?)\(", line):
                module = match[1]
            elif match := re.match(r" *input (?:\[[^]]*\] )?\\?(\S+?) ?;", line):
                found[module].add(match[1])
        return found

    def _read_lines(self, cells: Mapping):
        """Which scope each line of the Verilog is."""
        self.module_of, self.scope_of_line = {}, []
        shared = Counter()
        for scope in self.scopes:
            attributes = cells[scope]["attributes"]
            self.module_of[scope] = attributes.get("module", "").removeprefix("\\")
            lines = re.fullmatch(r"crossramp_board\.v:(\d+)\.\d+-(\d+)\.\d+", attributes.get("module_src", ""))
            if lines:
                self.scope_of_line.append((int(lines[1]), int(lines[2]), scope))
                shared[lines[1]] += 1
        if any(count > 1 for count in shared.values()):  # lines of two instances name none of them
            self.scope_of_line = [entry for entry in self.scope_of_line if shared[str(entry[0])] == 1]

    def _read_nets(self, nets: Mapping):
        """The scope of each net by one of its names: the deepest that is not an input of its module."""
        self.scope_of_bit = {}
        for name, net in nets.items():
            if net.get("hide_name") or _MADE_NAME.search(name):
                continue
            scope = self._scope(name)
            if name[len(scope) :].lstrip(".").split("[")[0] in self.inputs.get(self.module_of.get(scope, ""), ()):
                continue
            for bit in net["bits"]:
                if bit not in self.scope_of_bit or len(scope) > len(self.scope_of_bit[bit]):
                    self.scope_of_bit[bit] = scope

    def _scope(self, name: str) -> str:
        """The deepest scope that a hierarchical name is in."""
        return max(
            (scope for scope in self.scopes if name == scope or name.startswith(f"{scope}.")), key=len, default=""
        )

    def _by_line(self, cell: Mapping) -> str | None:
        match = re.search(r"crossramp_board\.v:(\d+)\.", cell.get("attributes", {}).get("src", ""))
        if match is None:
            return None
        line = int(match[1])
        return next((scope for first, last, scope in self.scope_of_line if first <= line <= last), None)

    def _by_name(self, name: str, cell: Mapping) -> str | None:
        if cell["type"].startswith(("SB_RAM", "SB_SPRAM", "DP16KD", "TRELLIS_DPR16X4")):
            return self._scope(name)
        scopes = [self.scope_of_bit[bit] for bit in self._bits(name, "output") if bit in self.scope_of_bit]
        return max(scopes, key=len, default=None)

    def _by_sinks(self, found: dict[str, str]):
        """Give what has no row that of most of what it feeds, from the flip-flops backwards."""
        left = [name for name in self.cells if name not in found]
        while left:
            given = {}
            for name in left:
                votes = Counter(found[sink] for sink in self._fed(name) if sink in found)
                if votes:
                    given[name] = min(votes, key=lambda row: (-votes[row], ROWS.index(row)))
            if not given:
                return
            found.update(given)
            left = [name for name in left if name not in given]

    def _fed(self, name: str) -> list[str]:
        return [sink for bit in self._bits(name, "output") for sink in self.sinks[bit]]

    def _read_out(self, rows: dict[str, str]):
        """Gray to binary: what is made of codes alone, and is not latched again."""
        drivers = {bit: name for name in rows for bit in self._bits(name, "output")}
        codes = {name for name, row in rows.items() if row == "capture" and "Q" in self.cells[name]["connections"]}
        while True:
            inputs = {
                name: [drivers.get(bit) for bit in self._bits(name, "input") if isinstance(bit, int)]
                for name in rows
                if name not in codes and self.cells[name]["type"].endswith("LUT4")
            }
            decoding = {
                name
                for name, sources in inputs.items()
                if sources and codes.issuperset(sources) and not any(rows.get(s) == "capture" for s in self._fed(name))
            }
            if not decoding:
                return
            rows.update(dict.fromkeys(decoding, "readout"))
            codes |= decoding

    def _bits(self, name: str, direction: str) -> list:
        cell = self.cells[name]
        ports = [port for port in cell["connections"] if cell["port_directions"][port] == direction]
        return [bit for port in ports for bit in cell["connections"][port]]


def _row(scope: str) -> str:
    if scope != _CORE_SCOPE and not scope.startswith(f"{_CORE_SCOPE}."):
        return "rest of the core" if scope == "core" else "board"
    path = scope[len(_CORE_SCOPE) :].lstrip(".")
    return _ROWS[max((begin for begin in _ROWS if path.startswith(begin)), key=len)]
