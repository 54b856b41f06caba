# SPDX-License-Identifier: Apache-2.0
"""What the analog side is programmed with, as CSV that ``--conductances`` reads back: weights, and cells of ramps."""

import csv
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from crossramp.golden.analog.cells.conductance_window import G_MAX, G_MIN
from crossramp.golden.analog.cells.origin import lines, origin
from crossramp.golden.analog.cells.table_names import line_cell_names, reference_names, row_names
from crossramp.golden.analog.cells.targets import targets
from crossramp.golden.analog.chip.given_cells import Conductances
from crossramp.golden.analog.chip.sampling import Ramps, nominal_ramps, places_of
from crossramp.golden.analog.technologies.technology import Technology, load
from crossramp.golden.array.array_protocol import array_levels
from crossramp.golden.array.weights import Weights
from crossramp.golden.spec.specification import Specification

#: Constants of the window that is written for where no technology is named; all others are those of BASE.
UNNAMED = {"cell.g_min": G_MIN, "cell.g_max": G_MAX, "ramp.pairs": 0.0, "ramp.full_scale": 1.0}
BASE = "rram"

_RAMP_TEXTS = (
    "ramp",
    "activation",
    "banks",
    "cell",
    "tick",
    "part",
    "tap",
    "drives",
    "output_border",
    "threshold_mac",
    "threshold_preactivation",
    "threshold_volts",
    "step_mac",
    "step_preactivation",
)
_WEIGHT_TEXTS = ("row", "row_use", "column", "bank", "unit", "weight_levels")


def unnamed() -> Technology:
    """Cells of 0 to 150 µS, those of ramps single: for arrays that no technology describes yet."""
    return dataclasses.replace(load(BASE).replace(UNNAMED, "no technology was named"), name="none")


def write_ramps(path: Path, spec: Specification, weights: Weights, technology: Technology) -> None:
    """One row per cell of each ramp of an array: its taps, the cells of its start, and those of each calibration bit.

    ``tap`` is the bit of ``array_tap`` that drives the cell on its tick; ``drives`` says in which direction the cell
    takes the ramp, by ``step_mac``. A tap of 0 S needs no cell. An external ramp has the volts of each tick (``level``)
    instead, and calibration cells. Start cells and the middle of the calibration register (its highest bit alone) take
    the ramp together to where its first tick begins.
    """
    unit = _unit(technology)
    ramps, cells = nominal_ramps(technology, spec), targets(technology, spec, weights)
    paired = cells.calibration_negative is not None or cells.ramp_negative is not None
    names = [f"conductance_{suffix}{unit}" for suffix in (("pos_", "neg_") if paired else ("",))]
    volts = technology["integrator.swing"] / np.abs(ramps.thresholds).max()
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(lines(origin("ramps", spec, technology, weights)))
        writer = csv.DictWriter(file, (*_RAMP_TEXTS, *names), restval="", lineterminator="\n")
        writer.writeheader()
        for index, act in enumerate(spec.ramps):
            banks = "".join(gate for gate in spec.gate_names if spec.ramp_of(gate) == index)
            common = {"ramp": index, "activation": act.text, "banks": banks}
            for row in _rows(index, ramps, cells, volts, names):
                writer.writerow(common | row)


def _rows(index: int, ramps: Ramps, cells: Conductances, volts: float, names: list[str]) -> Iterator[dict]:
    """Rows of one ramp; ``names`` of the columns that hold its cells."""
    scale = ramps.ideal[index].scale

    def cell(name: str, place: int, part: int = 0, sign: float = 1.0) -> dict:
        pair = [float(values[index, place, part]) for values in _arrays(cells, name)]
        step = sign * (pair[0] - sum(pair[1:])) / ramps.unit[index]
        told = {"step_mac": _number(step), "step_preactivation": _number(step * scale)}
        return {"drives": "down" if step < 0 else "up", **told, **dict(zip(names, map(_number, pair), strict=True))}

    ideal = ramps.ideal[index]
    for k, (border, level) in enumerate(zip(ideal.borders, ramps.thresholds[index, : ideal.ticks], strict=True)):
        thresholds = {"output_border": border, "threshold_mac": level}
        thresholds |= {"threshold_preactivation": level * scale, "threshold_volts": level * volts}
        made = cell("ramp", k) if cells.ramp is not None else {}
        yield {
            "cell": "tap" if made else "level",
            "tick": k + 1,
            "tap": k,
            **{name: _number(value) for name, value in thresholds.items()},
            **made,
        }
    for kind, name, sign in (("start", "ramp_start", ramps.start_sign[index]), ("calibration", "calibration", 1.0)):
        for place, parts in enumerate(_arrays(cells, name)[0][index] if getattr(cells, name) is not None else ()):
            for part in np.flatnonzero(parts).tolist():  # 0: no cell
                numbered = {"part": part} if kind == "calibration" else {}
                yield {"cell": kind, "tick": place, **numbered, **cell(name, place, part, sign)}


def _arrays(cells: Conductances, name: str) -> list[np.ndarray]:
    """Cells, and those subtracted if there are any, shape (ramps, places, parts)."""
    found = [getattr(cells, name), getattr(cells, f"{name}_negative")]
    return [values if values.ndim == 3 else values[..., None] for values in found if values is not None]


def write_conductances(path: Path, spec: Specification, weights: Weights, technology: Technology) -> None:
    """One row a pair of cells of one array: the weights that there are, row by row, then the cells of the lines.

    Columns are counted in the array, and units in the network.
    Single-ended, a weight is one cell, and each row has one more line for each of its reference cells.
    """
    unit = _unit(technology)
    cells = targets(technology, spec, weights)
    _, line_levels = array_levels(spec, weights)
    shared, (_, places) = technology.pair == "single-ended", places_of(spec, technology)
    columns = [f"{c},{spec.bank_of_column(c)},{spec.unit_range[spec.unit_of_column(c)]}" for c in range(spec.columns)]
    texts = {}  # few conductances occur, so that their text is made once

    def text(value: float) -> str:
        if value not in texts:
            texts[value] = _number(value)
        return texts[value]

    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(lines(origin("weights", spec, technology, weights)))
        file.write(",".join((*_WEIGHT_TEXTS, f"conductance_pos_{unit}", f"conductance_neg_{unit}")) + "\n")
        for row, use in enumerate(row_names(spec)):
            levels, positive, negative, there = (
                values[row].tolist() for values in (weights.macro, cells.positive, cells.negative, spec.placed)
            )
            partners = [""] * spec.columns if shared else map(text, negative)
            rows = zip(columns, levels, positive, partners, there, strict=True)
            for column, level, cell, partner, placed in rows:
                if placed:
                    file.write(f"{row},{use},{column},{level},{text(cell)},{partner}\n")
            if shared:
                for name, cell, placed in zip(reference_names(spec), negative, places[row].tolist(), strict=True):
                    if placed:
                        file.write(f"{row},{use},{name},,,,,{text(cell)}\n")
        pairs = zip(
            line_cell_names(spec),
            spec.line_columns.tolist(),
            line_levels.tolist(),
            cells.state_positive.tolist(),
            cells.state_negative.tolist(),
            strict=True,
        )
        for wire, column, level, cell, partner in pairs:
            file.write(f",{wire},{columns[column]},{level},{text(cell)},{text(partner)}\n")


def _unit(technology: Technology) -> str:
    return "farad" if technology.read_mode == "charge" else "siemens"


def _number(value: float) -> str:
    """Nine significant digits: more than any device holds, and no noise of the last bit."""
    return f"{value:.9g}"
