# SPDX-License-Identifier: Apache-2.0
"""Cells of each module in the netlists of the shipped network, on the boards whose netlists are counted.

python bench/netlist_cost.py                    # needs the extra `fpga`; takes minutes a board, builds are kept
python bench/netlist_cost.py --write docs/netlists.md
"""

import argparse
from pathlib import Path

from crossramp.boards.definitions.board import boards
from crossramp.boards.flow.netlist_cost import FAMILIES, module_costs
from crossramp.boards.flow.synthesis import make_bitstream
from crossramp.cli.output.tables import markdown
from crossramp.golden.network.model_file import load_model

ROOT = Path(__file__).parent.parent
MARKERS = ("<!-- begin: written by bench/netlist_cost.py -->", "<!-- end: written by bench/netlist_cost.py -->")


def cost_table(name: str, folder: Path) -> str:
    """Markdown: a row a module, a column a kind of cell."""
    board = boards()[name]
    build = board.build(load_model("kws").spec)
    costs = module_costs(make_bitstream(board, build, folder=folder).folder / "top.json", board.family)
    kinds = sorted({kind for cells in costs.values() for kind in cells}, key=lambda kind: -_sum(costs, kind))
    rows = [(row, *(f"{cells[kind]:,}" if kind in cells else "" for kind in kinds)) for row, cells in costs.items()]
    rows.append(("sum", *(f"{_sum(costs, kind):,}" for kind in kinds)))
    return f"**{board.title}**, lanes: {build.spec.lanes}, columns a clock: {build.columns_per_clock}\n\n" + markdown(
        ("module", *kinds), rows
    )


def _sum(costs: dict, kind: str) -> int:
    return sum(cells.get(kind, 0) for cells in costs.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="FILE", help="also put the tables between the marks of FILE")
    args = parser.parse_args()
    names = [name for name, board in boards().items() if board.family in FAMILIES and board.columns_per_clock]
    text = "\n\n".join(cost_table(name, ROOT / "build" / "simulation") for name in names)
    print(text)
    if args.write is not None:
        before, _, rest = args.write.read_text().partition(MARKERS[0])
        _, _, after = rest.partition(MARKERS[1])
        args.write.write_text(f"{before}{MARKERS[0]}\n{text}\n{MARKERS[1]}{after}")


if __name__ == "__main__":
    main()
