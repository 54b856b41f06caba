# SPDX-License-Identifier: Apache-2.0
"""GTKWave save files: the signals of a generated macro or network, grouped by what they do."""

from pathlib import Path

from crossramp.golden.network.step_record import GROUPS as STEP_GROUPS
from crossramp.golden.spec.boundary_wires import BOUNDARY


def _grouped() -> dict[str, tuple[str, ...]]:
    """Port names by what they do, in the order shown: clock, x, the boundary, what a step shows."""
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
    for group in STEP_GROUPS:
        ready = [] if group.monitored else [f"{group.port}_ready"]
        groups.setdefault(group.waves, []).extend(
            [group.strobe, *ready, *(group.port_of(field) for field in group.fields)]
        )
    return {name: tuple(ports) for name, ports in groups.items()}


#: Group to port names, in the order shown.
GROUPS = _grouped()


def write_gtkwave(dump: Path, top: str) -> Path:
    """Write ``dump`` with the suffix ``.gtkw``, for the ports of module ``top``; its path.

    Parameters
    ----------
    dump : Path
        The wave file: FST as Icarus names signals (``top.port``), or VCD, whose names are read from its header.
    """
    names = _vcd_ports(dump, top) if dump.suffix == ".vcd" else _source_ports(dump, top)
    lines = ["[*] Written by crossramp", f'[dumpfile] "{dump}"', "[timestart] 0"]
    left = dict(names)
    for group in GROUPS:
        mine = [name for name in GROUPS[group] if name in left]
        if mine:
            lines += ["@200", f"-{group}"]
            for name in mine:
                lines += ["@28" if "[" not in left[name] else "@22", left[name]]
    path = dump.with_suffix(".gtkw")
    path.write_text("\n".join(lines) + "\n")
    return path


def _vcd_ports(dump: Path, top: str) -> dict[str, str]:
    """Port name to the full name, from a VCD's header: the scope called ``top``, or the one above all."""
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


def _source_ports(dump: Path, top: str) -> dict[str, str]:
    # GTKWave finds a vector by its plain name in an FST; the names are those of docs/boundary.md.
    return {name: f"{top}.{name}" for ports in GROUPS.values() for name in ports if name != "calibration"}
