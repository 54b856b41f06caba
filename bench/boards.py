# SPDX-License-Identifier: Apache-2.0
"""Resources, Fmax and time of an utterance on every board, of the shipped model (of array8x8 with the array on pins).

On the largest board also networks of several macros, as recipes describe them.

    python bench/boards.py                        # needs the extras `fpga` and `train`; minutes a build, which is kept
    python bench/boards.py --board icebreaker --write

With --write, the figures become baselines that `make test` compares with (tests/boards/baselines), beside those of
other tool versions; the table between the marks in docs/boards.md is written anew if all boards were built.
"""

import argparse
import sys
from pathlib import Path

from crossramp.boards.definitions.board import boards
from crossramp.boards.definitions.families import FAMILIES
from crossramp.boards.flow.synthesis import make_bitstream
from crossramp.boards.flow.utterance_clocks import utterance_time
from crossramp.cli.inputs.subjects import SPECIFICATIONS
from crossramp.cli.output.tables import markdown
from crossramp.golden.layers.spec_file import load_spec
from crossramp.golden.network.model_file import load_model
from crossramp.train.recipes.recipe import load_recipe
from crossramp.train.tasks.keyword_training import specification

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.support import board_baseline  # noqa: E402

DOCUMENT = ROOT / "docs" / "boards.md"
MARKERS = ("<!-- begin: written by bench/boards.py -->", "<!-- end: written by bench/boards.py -->")
HEADER = ("board", "model", "resources", "Fmax / clock", "clocks per step", "utterance, UART included")


def measure(name: str, recipe: str | None, folder: Path):
    """A build, and the row of the table for it; of the network of a recipe, or of what the board is measured with."""
    board = boards()[name]
    model = load_model("kws")
    spec, steps = model.spec, model.feature_settings.steps
    if recipe is not None:
        spec = specification(load_recipe(recipe))
    elif not board.columns_per_clock:
        spec = load_spec(SPECIFICATIONS / "array8x8.toml")
    made = make_bitstream(board, board.build(spec), folder=folder)
    time = utterance_time(made.build, steps)
    words = FAMILIES[board.family].primitives
    used = [
        f"{counts['used']:,} of {counts['available']:,} {words[name]}"
        for name, counts in made.result["resources"].items()
        if name in board.capacity and counts["used"]
    ]
    row = (
        name,
        recipe or ("kws" if board.columns_per_clock else "array8x8"),
        ", ".join(used),
        f"{made.result['fmax'] / 1e6:.1f} / {board.clock / 1e6:g} MHz",
        f"{time.clocks_per_step:,}",
        f"{time.seconds * 1000:.0f} ms for {steps} steps" if board.columns_per_clock else "",
    )
    return made, row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--board", metavar="NAME", action="append", choices=list(boards()), help="only this; repeatable"
    )
    parser.add_argument("--folder", metavar="DIR", type=Path, default=ROOT / "build" / "simulation", help="of builds")
    parser.add_argument("--write", action="store_true", help="write the baselines, and the table in docs/boards.md")
    args = parser.parse_args()
    rows, tools = [], []
    chosen = args.board or list(boards())
    layered = [(board, recipe) for board, recipe in board_baseline.LAYERED if board in chosen]
    for name, recipe in sorted([*((board, None) for board in chosen), *layered], key=lambda build: build[0]):
        made, row = measure(name, recipe, args.folder)
        rows.append(row)
        tools += made.result["tools"].values()
        seconds = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in made.result["stages"].items())
        took = row[5] or "array on pins"
        print(f"{name}, {row[1]}: {row[2]}; Fmax {row[3]}; {row[4]} clocks a step; {took} ({seconds})")
        if args.write:
            board_baseline.write(board_baseline.name_of(name, recipe), made.result)
    if args.write and len(chosen) == len(boards()):
        text = DOCUMENT.read_text()
        before, after = text.partition(MARKERS[0])[0], text.partition(MARKERS[1])[2]
        told = ",\n".join(dict.fromkeys(tools))
        table = f"{markdown(HEADER, rows)}\n\nBuilt with\n{told}."
        DOCUMENT.write_text(f"{before}{MARKERS[0]}\n{table}\n{MARKERS[1]}{after}")


if __name__ == "__main__":
    main()
