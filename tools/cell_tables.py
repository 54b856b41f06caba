# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/networks.md, from specifications: clocks of a step of every cell, and of a large language model.

``python tools/cell_tables.py`` prints them, ``--write`` writes them into the page; a test compares.
"""

import sys
from pathlib import Path

from crossramp.cli.output.tables import markdown, with_tables
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.layers.tile import arrays_of
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


def language_model(lanes: int) -> NetworkSpecification:
    """The sizes of the first paper's language model: 128 characters, 2,016 units, 504 codes of h, in tiles."""
    tiles = {"tile_rows": 1024, "tile_columns": 1024, "classes": 0}
    cell = Specification(inputs=128, units=2016, projection=504, projection_in="array", lanes=lanes, **tiles)
    gates = (Gate("identity", 1.0),)
    head = Specification(inputs=504, units=128, cell="dense", gates=gates, lanes=min(lanes, 128), **tiles)
    return NetworkSpecification(
        layers=(Layer(macro=cell), Layer(macro=head)), classes=128, head="array", readout="step"
    )


def language_model_table() -> str:
    """A row for each number of lanes, as Markdown."""
    rows = []
    for lanes in (126, 252, 504, 1008, 2016):
        spec = language_model(lanes)
        bound, clocks = spec.analog_clocks_per_step, spec.clocks_per_step
        rows.append((lanes, bound, clocks, f"{clocks / bound:.3f}", len(arrays_of(spec))))
    return markdown(("lanes", "bound", "clocks of a step", "clocks over bound", "arrays"), rows)


def tables() -> dict[str, str]:
    """Every table by the name of its marks."""
    return {"clocks": table(), "language model": language_model_table()}


def written(text: str) -> str:
    """``text``, the page, with its tables made anew."""
    return with_tables(text, tables())


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(tables().values()))
