# SPDX-License-Identifier: Apache-2.0
"""What the cells in a table were made for, as lines before its header; a table is refused for another use.

A table of ``crossramp generate`` begins with lines such as ``# technology: rram``.
Those of :data:`CHECKED` are compared when the table is read; the others are for people.
A table without such lines is accepted as it is.
"""

import json
from collections.abc import Sequence

import numpy as np
from crossramp.golden.array.weights import Weights
from crossramp.golden.spec.specification import Specification

from ...common.content_hash import content_hash
from ..technologies.technology import Technology

#: Keys that are compared, and what they are called in messages.
CHECKED = {"shape": "specification", "weights": "model", "targets": "technology"}

_ARRAY = ("inputs", "units", "bias_rows", "projection", "weight_bits", "state_cell")
_FIELDS = {
    "weights": _ARRAY,
    "ramps": (*_ARRAY, "adc_bits", "input_bits", "gates", "state_pulse_bits", "calibration_cells"),
}
_WINDOW = ("cell.g_min", "cell.g_max", "cell.capacitance")
_CONSTANTS = {"weights": _WINDOW, "ramps": (*_WINDOW, "ramp.pairs", "ramp.full_scale", "ramp.calibration_range")}


def origin(kind: str, spec: Specification, technology: Technology, weights: Weights | np.ndarray) -> dict[str, str]:
    """What cells of ``kind`` (``"weights"``, state cells included, or ``"ramps"``) are made for.

    Keys and values of the lines: hashes of what the cells depend on and of nothing else (not of ``lanes``, or of the
    temperature), and facts for the reader of the table.

    Parameters
    ----------
    weights : Weights, or integer array of shape (rows, columns)
        Levels; ``"ramps"`` do not depend on them. The array is enough where no line has trained cells.
    """
    content = spec.to_dict()
    shape = {name: content.get(name) for name in _FIELDS[kind]}
    if spec.cell != Specification.cell:  # tables that were made before there was a choice keep their hash
        shape["cell"] = spec.cell
    structure = (technology.pair,) if kind == "weights" else (technology.ramp_kind,)
    values = {name: technology[name] for name in _CONSTANTS[kind] if name in technology.names}
    levels = {}
    if kind == "weights":
        parts = (weights.macro, weights.lines) if isinstance(weights, Weights) else (weights, None)
        data = b"".join(np.ascontiguousarray(part, "<i8").tobytes() for part in parts if part is not None)
        levels = {"weights": content_hash(data)}
    return {
        "technology": technology.name,
        "window": window(technology),
        "specification": spec.content_hash,
        "shape": content_hash(json.dumps(shape, sort_keys=True).encode()),
        **levels,
        "targets": content_hash(json.dumps([technology.read_mode, *structure, values], sort_keys=True).encode()),
    }


def window(technology: Technology) -> str:
    """What the cells of a technology can be, as a text."""
    if technology.read_mode == "charge":
        return f"unit capacitors of {technology['cell.capacitance'] * 1e15:g} fF"
    return f"{technology['cell.g_min'] * 1e6:g} to {technology['cell.g_max'] * 1e6:g} µS"


def lines(told: dict[str, str]) -> str:
    """An origin as the lines before a table's header."""
    return "".join(f"# {name}: {value}\n" for name, value in told.items())


def parse(rows: Sequence[Sequence[str]]) -> tuple[dict[str, str], int]:
    """The origin that a table's first rows tell, and how many rows that are.

    A spreadsheet may have split such a line at its commas and filled it with empty entries.
    """
    told, count = {}, 0
    for row in rows:
        if not row[0].lstrip().startswith("#"):
            break
        name, _, value = ",".join(row).rstrip(", ").lstrip("# ").partition(":")
        told[name.strip()] = value.strip()
        count += 1
    return told, count


def mismatch(told: dict[str, str], expected: dict[str, str]) -> str | None:
    """Why cells of the origin ``told`` must not be used where ``expected`` are; None if they may."""
    wrong = [name for name in CHECKED if name in told and name in expected and told[name] != expected[name]]
    if not wrong:
        return None
    if wrong[0] == "targets":
        made, used = (f"{one.get('technology', '?')} ({one.get('window', '?')})" for one in (told, expected))
        if made == used:
            used = f"{used} with other ramps, pairs or calibration range"
        return f"its cells are for technology {made}, not for {used}"
    key = {"shape": "specification", "weights": "weights"}[wrong[0]]
    return f"its cells are for another {CHECKED[wrong[0]]} ({key} {told.get(key, '?')}, here {expected[key]})"
