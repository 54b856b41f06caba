# SPDX-License-Identifier: Apache-2.0
"""What the analog side is programmed with, as CSV: the cells of each ramp, and the conductance of every weight."""

import csv
from pathlib import Path

import numpy as np
from crossramp.golden.conductance import G_MAX, G_MIN, conductances
from crossramp.golden.modelfile import Model
from crossramp.golden.rampreport import gate_report
from crossramp.golden.specification import GATES, Specification

RAMP_HEADER = (
    "ramp",
    "activation",
    "banks",
    "tick",
    "tap",
    "output_border",
    "threshold_mac",
    "threshold_preactivation",
    "step_mac",
    "step_preactivation",
    "conductance_siemens",
)
CONDUCTANCE_HEADER = (
    "row",
    "row_use",
    "column",
    "bank",
    "unit",
    "weight_levels",
    "conductance_pos_siemens",
    "conductance_neg_siemens",
)


def write_ramps(path: Path, spec: Specification) -> None:
    """One row a tick of each ramp, and one, tick 0, for where the bias cells take it before the first.

    ``tap`` is the bit of ``array_tap`` that makes the step; the conductance is the ramp cell's (of tick 0: of all bias
    cells together, negative where they drive down). A code is the number of thresholds that the MAC exceeds.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(RAMP_HEADER)
        for index, act in enumerate(spec.ramps):
            banks = [gate for gate, ramp in zip(GATES, spec.ramp_of_gate, strict=True) if ramp == index]
            # Bank g's reach includes the state cells'; of the others each gives the same report.
            report = gate_report(spec, "g" if "g" in banks else banks[0])
            scale = report.ramp.scale
            common = (index, act.text, "".join(banks))
            start = (report.start, report.start * scale, report.start, report.start * scale, report.bias_conductance)
            writer.writerow((*common, 0, "", "", *(_number(value) for value in start)))
            columns = (
                report.borders,
                report.thresholds,
                report.thresholds * scale,
                report.steps,
                report.steps * scale,
                report.conductances,
            )
            for tick, row in enumerate(zip(*(column.tolist() for column in columns), strict=True), 1):
                writer.writerow((*common, tick, tick - 1, *(_number(value) for value in row)))


def write_conductances(path: Path, model: Model, g_max: float = G_MAX, g_min: float = G_MIN) -> None:
    """One row a differential pair: the weights, row by row, then the state cells on the columns of bank g.

    Parameters
    ----------
    g_max, g_min : float
        The devices' window, in siemens.
    """
    spec = model.spec
    uses = [f"x{k}" for k in range(spec.inputs)] + [f"h{k}" for k in range(spec.hidden)]
    uses += [f"bias{k}" for k in range(spec.bias_rows)]
    # The levels that occur are few, so their text is made once.
    levels = np.arange(-spec.weight_max, spec.weight_max + 1)
    pairs = zip(*(g.tolist() for g in conductances(levels, spec.weight_max, g_max, g_min)), strict=True)
    texts = [f"{w},{_number(p)},{_number(n)}\n" for w, (p, n) in zip(levels.tolist(), pairs, strict=True)]
    columns = [f",{c},{GATES[c // spec.units]},{c % spec.units}," for c in range(spec.columns)]
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(CONDUCTANCE_HEADER) + "\n")
        for row, (use, weights) in enumerate(zip(uses, model.weights.tolist(), strict=True)):
            start = f"{row},{use}"
            file.write("".join(start + c + texts[w + spec.weight_max] for c, w in zip(columns, weights, strict=True)))
        state = texts[spec.state_cell + spec.weight_max]
        bank_g = columns[2 * spec.units : 3 * spec.units]
        file.writelines(f",state{unit}{column}{state}" for unit, column in enumerate(bank_g))


def _number(value: float) -> str:
    """Nine significant digits: more than any device holds, and no noise of the last bit."""
    return f"{value:.9g}"
