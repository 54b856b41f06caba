# SPDX-License-Identifier: Apache-2.0
"""GTKWave save files: the signals of a generated macro or network, grouped by what they do."""

import re
from collections.abc import Iterable
from pathlib import Path

from crossramp.golden.cell.library import CELLS
from crossramp.golden.macro.step_groups import groups_of
from crossramp.golden.spec.boundary_wires import BOUNDARY
from vcd.gtkw import GTKWSave


def _grouped() -> dict[str, tuple[str, ...]]:
    """Port names by what they do, in the order shown: clock, x, the boundary, what a step of any cell shows."""
    groups = {
        "clock and reset": ["clk", "rst", "busy"],
        "x stream": ["x_valid", "x_ready", "x_code", "x_last"],
        "phase": [],
        "pulses": [],
        "ramp": [],
        "comparators": [],
    }
    for wire in BOUNDARY:
        groups[wire.group].append(wire.port)
    groups["ramp"].append("calibration")
    for group in (group for cell in CELLS.values() for group in groups_of(cell)):
        ready = [] if group.monitored else [f"{group.port}_ready"]
        groups.setdefault(group.waves, []).extend(
            [group.strobe, *ready, *(group.port_of(field) for field in group.fields)]
        )
    return {name: tuple(dict.fromkeys(ports)) for name, ports in groups.items()}


#: Group to port names, in the order shown; a module has those of its own cell.
GROUPS = _grouped()


def write_gtkwave(dump: Path, top: str, sources: Iterable[Path]) -> Path:
    """Write ``dump`` with the suffix ``.gtkw``, for the ports of module ``top``; its path.

    Parameters
    ----------
    dump : Path
        The wave file: FST as Icarus names signals (``top.port``), or VCD, whose names are read from its header.
    sources : iterable of Path
        Verilog, one of which declares ``top``; read for an FST.
    """
    left = _vcd_ports(dump, top) if dump.suffix == ".vcd" else _source_ports(top, sources)
    path = dump.with_suffix(".gtkw")
    with path.open("w") as file:
        save = GTKWSave(file)
        save.comment("Written by crossramp")
        save.dumpfile(str(dump))
        save.timestart(0)
        for group, ports in GROUPS.items():
            mine = [left[name] for name in ports if name in left]
            if mine:
                save.blank(group)
            for name in mine:
                save.trace(name, datafmt="hex" if "[" in name else "bin")
    return path


def _vcd_ports(dump: Path, top: str) -> dict[str, str]:
    """Port name to the full name, from a VCD's header: the scope called ``top``, or the one above all.

    pyvcd's reader refuses Verilator's scope ``$rootio``.
    """
    scopes, ports = [], {}
    with dump.open(errors="replace") as file:
        for line in file:
            words = line.split()
            if words[:1] == ["$scope"]:
                scopes.append(words[2])
            elif words[:1] == ["$upscope"]:
                scopes.pop()
            elif words[:1] == ["$var"] and scopes and scopes[-1] == top:
                span = words[5] if len(words) > 6 else ""
                ports.setdefault(words[4].split("[")[0], ".".join(scopes) + "." + words[4] + span)
            elif words[:1] == ["$enddefinitions"]:
                break
    return ports


def _source_ports(top: str, sources: Iterable[Path]) -> dict[str, str]:
    """Port name to the full name, from the header of ``top``; GTKWave finds a vector by its plain name in an FST."""
    header = rf"^\s*module\s+{re.escape(top)}\b[^;]*;"
    found = (re.search(header, path.read_text(errors="replace"), re.MULTILINE) for path in sources)
    declared = {name for match in found if match for name in re.findall(r"\w+", match[0])}
    return {name: f"{top}.{name}" for ports in GROUPS.values() for name in ports if name in declared}
