# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/bring-up.md that say which line is where: made from the board files, so that they cannot drift.

``python tools/bring_up_tables.py`` prints them, ``--write`` writes them into the page; a test compares.
"""

import re
import sys
from pathlib import Path

from crossramp.boards.definitions.board import Board, Wires, find_board, probed_columns
from crossramp.boards.flow.utterance_clocks import utterance_time
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.boundary_wires import BOUNDARY

PAGE = Path(__file__).parents[1] / "docs" / "bring-up.md"

#: With an emulator, in the order of the page; and the one with the array on pins.
EMULATED, ON_PINS = ("icebreaker", "ulx3s-85f", "tang-nano-9k"), "ulx3s-85f-pins"

_LIGHTS = {
    "ready": "it waits for commands: on after power-up, off while it computes",
    "busy": "a step or an answer is being computed",
    "error": "bytes on the line were dropped; the host asks again, and the next utterance begins with it off",
    "reset": "a button: the board begins anew; a connected host notices, and loads the network again",
}

_DEBUG = {
    "tick": "one clock at the start of each step of the ramp",
    "integrate": "pulses of x and h, and later of c, are driven",
    "hold": "the columns keep their values while the ramp rises",
}

#: What this board adds to a line's meaning.
_NOTES = {
    "row_neg": "never both",
    "state_neg": "both in the second conversion only",
    "reset": "high while idle",
    "comparators": "units 0, 1 of each; pulled down",
    "ready": "pulled up",
}


def tables() -> dict[str, str]:
    """Name in the page to table, as Markdown."""
    boards = [find_board(name) for name in EMULATED]
    return {
        "lights": _table(("", *map(_short, boards), "meaning"), _light_rows(boards)),
        "debug header": _table(("line", *map(_short, boards), "what it shows"), _debug_rows(boards)),
        "times": _table(("", *map(_short, boards)), _time_rows(boards)),
        "array on pins": _table(("port", "pins, bit 0 first", "", "meaning"), _array_rows(find_board(ON_PINS))),
    }


def written(text: str) -> str:
    """``text`` of the page with its tables made anew; ValueError if a place for one is missing."""
    for name, table in tables().items():
        begin, end = (f"<!-- {word}: {name}, by bring_up_tables.py -->\n" for word in ("begin", "end"))
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for the table {name!r}: {begin.strip()} ... {end.strip()}")
        text = f"{before}{begin}{table}{end}{after}"
    return text


def places(wires: Wires) -> list[str]:
    """Where each bit is, in words: ``"PMOD1A pins 1-4, 7-10"`` becomes ``"PMOD1A pin 1"`` and so on."""
    pins = wires.pins.split()
    if len(pins) == 1:
        return [wires.label]
    head, _, _ = wires.label.partition(f" {pins[0]}")
    return [f"{head.removesuffix('s')} {pin}" for pin in pins]


def _short(board: Board) -> str:
    return board.title.split(" (")[0].split(" with ")[0].split(" ", 1)[1]


def _light_rows(boards: list[Board]):
    for signal, meaning in _LIGHTS.items():
        yield (f"`{signal}`", *(board.wires[signal].label for board in boards), meaning)


def _debug_rows(boards: list[Board]):
    for signal, meaning in _DEBUG.items():
        yield (f"`{signal}`", *(board.wires[signal].label for board in boards), meaning)
    columns = [places(board.wires["probes"]) for board in boards]
    spec = load_model("kws").spec
    for k, (column, *found) in enumerate(zip(probed_columns(spec), *columns, strict=True)):
        meaning = f"comparator of unit {spec.unit_of_column(column)}, bank {spec.bank_of_column(column)}"
        yield (f"probe {k}", *found, meaning)


def _time_rows(boards: list[Board]):
    spec = load_model("kws").spec
    builds = [board.build(spec) for board in boards]
    yield ("clock", *(f"{build.clock / 1e6:g} MHz" for build in builds))
    yield ("`tick` is high for", *(f"{1e9 / build.clock:.0f} ns" for build in builds))
    # The emulator compares as many columns a clock as it has; see rtl/emulation/emulator.py.
    for name, banks in zip(("first", "second"), map(len, spec.conversions), strict=True):
        clocks = [banks * build.groups() + 3 for build in builds]
        cells = (f"{1e6 * n / build.clock:.2f} µs ({n} clocks)" for n, build in zip(clocks, builds, strict=True))
        yield (f"ticks of the {name} ramp are apart", *cells)
    times = [utterance_time(build, 49) for build in builds]
    cells = (f"{1e6 * t.clocks_per_step / b.clock:.0f} µs" for t, b in zip(times, builds, strict=True))
    yield ("`busy` is high in a step for", *cells)
    yield ("49 steps with their bytes", *(f"{1e3 * time.seconds:.0f} ms" for time in times))


def _array_rows(board: Board):
    for wire in BOUNDARY:
        meaning = "; ".join([wire.meaning, *([_NOTES[wire.name]] if wire.name in _NOTES else [])])
        yield f"`{wire.name}`", board.wires[wire.port].pins, "out" if wire.to_array else "in", meaning


def _table(header, rows) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(re.sub(" +", " ", f"| {' | '.join(cells)} |") + "\n" for cells in lines)


def main() -> None:
    """Print the tables, or write them into the page."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(written(PAGE.read_text()))
    else:
        print("\n".join(tables().values()), end="")


if __name__ == "__main__":
    main()
