# SPDX-License-Identifier: Apache-2.0
"""The table of docs/networks.md: clocks and memristors of a step of every cell, from their specifications.

``python tools/cell_tables.py`` prints it, ``--write`` writes it into the page; a test compares.
"""

import sys
from pathlib import Path

from crossramp.cli.output.tables import markdown, with_tables
from crossramp.golden.cell.library import CELLS
from crossramp.golden.spec.specification import Specification

PAGE = Path(__file__).parents[1] / "docs" / "networks.md"
_BITS = (3, 4, 5, 8)


def _spec(cell: str, bits: int) -> Specification:
    return Specification(
        inputs=40, units=32, classes=12, lanes=16, adc_bits=bits, input_bits=bits, weight_bits=bits, cell=cell
    )


def table() -> str:
    """A row for each cell, as Markdown."""
    rows = []
    for cell in CELLS:
        specs = [_spec(cell, bits) for bits in _BITS]
        clocks = [f"{spec.analog_clocks_per_step} / {spec.macro_clocks}" for spec in specs]
        five = specs[_BITS.index(5)]
        cells = sum(count for use, count in five.devices.items() if use in ("weights", "state"))
        rows.append((f"`{cell}`", *clocks, len(five.gate_names), f"{cells:,}"))
    head = ("`cell`", *(f"{bits} bits" for bits in _BITS), "banks", "memristors, without ramps")
    return markdown(head, rows)


def written(text: str) -> str:
    """``text``, the page, with its table made anew."""
    return with_tables(text, {"clocks": table()})


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())
