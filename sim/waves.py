# SPDX-License-Identifier: Apache-2.0
"""GTKWave save files: the signals of a generated macro or network, grouped by what they do."""

from pathlib import Path

#: Group to beginnings of port names, in the order shown.
GROUPS = {
    "clock and reset": ("clk", "rst", "busy"),
    "x stream": ("x_",),
    "phase": ("array_reset", "array_integrate", "array_hold", "array_state", "array_ready"),
    "pulses": ("array_row_", "array_state_pos", "array_state_neg"),
    "ramp": ("array_ramp_reset", "array_tick", "array_tap", "array_calibration", "calibration"),
    "comparators": ("array_comparators",),
    "codes": ("monitor_gates", "monitor_i", "monitor_f", "monitor_g"),
    "state": ("monitor_state", "monitor_c", "monitor_q"),
    "output": ("monitor_output", "monitor_o", "monitor_t"),
    "h stream": ("h_",),
    "head": ("logit_", "answer_"),
}


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
        # The longest beginning decides, so that array_state_pos is a pulse and array_state a phase.
        mine = [name for name in left if _group_of(name) == group]
        if mine:
            lines += ["@200", f"-{group}"]
            for name in mine:
                lines += ["@28" if "[" not in left[name] else "@22", left[name]]
    path = dump.with_suffix(".gtkw")
    path.write_text("\n".join(lines) + "\n")
    return path


def _group_of(name: str) -> str | None:
    best, found = "", None
    for group, beginnings in GROUPS.items():
        for beginning in beginnings:
            matches = name == beginning or (beginning.endswith("_") and name.startswith(beginning))
            if matches and len(beginning) > len(best):
                best, found = beginning, group
    return found


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
    names = [
        "clk", "rst", "busy", "x_valid", "x_ready", "x_code", "x_last", "array_reset", "array_integrate", "array_hold",
        "array_state", "array_ready", "array_row_pos", "array_row_neg", "array_state_pos", "array_state_neg",
        "array_ramp_reset", "array_tick", "array_tap", "array_calibration", "array_comparators", "monitor_gates",
        "monitor_i", "monitor_f", "monitor_g", "monitor_state", "monitor_c", "monitor_q", "monitor_output", "monitor_o",
        "monitor_t", "h_valid", "h_ready", "h_codes", "h_end", "h_last", "logit_valid", "logit_ready", "logit_value",
        "logit_last", "answer_valid", "answer_ready", "answer_index", "answer_too_long",
    ]  # fmt: skip
    return {name: f"{top}.{name}" for name in names}
