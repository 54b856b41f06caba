# SPDX-License-Identifier: Apache-2.0
"""What tables of conductances call rows, the wires of lines, and reference columns."""

from crossramp.golden.cell.description import BIAS
from crossramp.golden.spec.specification import Specification


def row_names(spec: Specification) -> list[str]:
    """The use of each row: x0, x1, .., h0, .., rows of other values by their names, and bias0, .."""
    names = {BIAS: "bias"}
    return [f"{names.get(group, group)}{k}" for group, size in spec.row_sizes.items() for k in range(size)]


def reference_names(spec: Specification) -> list[str]:
    """The reference columns of a single-ended array: one for each set of row groups that banks cross."""
    count = len(spec.crossings)
    return ["reference"] if count == 1 else [f"reference{k}" for k in range(count)]


def line_cell_names(spec: Specification) -> list[str]:
    """The wire of each cell of the lines, by its place among all wires: that bit of ``array_state_pos`` drives it."""
    wires = (range(spec.state_lines)[spec.wires_of(cell.line)] for cell in spec.line_cells)
    return [f"state{wire}" for part in wires for wire in part]
