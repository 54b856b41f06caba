# SPDX-License-Identifier: Apache-2.0
"""A board that a user describes in a file of their own, and what a description must hold."""

import re
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

from crossramp.golden.common.checks import whole

from .board import ARRAY_PORTS, SIGNALS, Board, BoardError, Wires

#: A name is part of file names and of command lines.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_EXAMPLE = "docs/boards.md has an example"

#: Characters of a value that a message quotes.
_SHOWN = 60

#: What :data:`.board.SIGNALS` a board can do without: BoardTop drives a pin only where there is one.
REQUIRED = ("reset",)


def load_boards(file: Path) -> tuple[Board, ...]:
    """The boards in a user's file: its ``BOARDS``, checked.

    The file is run as Python. Modules beside it can be imported by it, and by the ``platform`` of its boards.

    Raises
    ------
    BoardError
        For a file that cannot be read or run, or a board that lacks something; one line that names the file.
    """
    try:
        file.read_bytes()
    except OSError as error:
        raise BoardError(f"{file}: {error.strerror}") from None
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last: nothing of the user's shadows what is installed
    try:
        found = runpy.run_path(str(file), run_name=f"crossramp_board_file_{file.stem}").get("BOARDS")
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise BoardError(f"{file}{where}: not Python that can be run: {error.msg}; {_EXAMPLE}") from None
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        raise BoardError(f"{file}{_line_in(file, error)}: {type(error).__name__}: {_line(error)}") from None
    if found is None:
        raise BoardError(f"{file}: defines no BOARDS; expected BOARDS = (Board(...),); {_EXAMPLE}")
    if not isinstance(found, tuple | list) or not found or not all(isinstance(board, Board) for board in found):
        raise BoardError(f"{file}: BOARDS is {_shown(found)}; expected a tuple of Board; {_EXAMPLE}")
    names = [board.name for board in found]
    for board in found:
        try:
            check_board(board)
        except BoardError as error:
            raise BoardError(f"{file}: {error}") from None
        if names.count(board.name) > 1:
            raise BoardError(f"{file}: two boards are called {board.name!r}")
    return tuple(found)


def _line(text) -> str:
    return " ".join(str(text).split())


def _shown(value) -> str:
    text = _line(repr(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _line_in(file: Path, error: BaseException) -> str:
    """``", line N"``: the last line of ``file`` that the error passed; empty if it passed none."""
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return line


def check_board(board: Board) -> None:
    """Refuse a description that no build could use.

    Raises
    ------
    BoardError
        Names the field, quotes its value, and says what is allowed.
    """
    from .families import FAMILIES  # imports Amaranth

    def refuse(what: str, value, allowed: str):
        raise BoardError(f"board {board.name!r}: {what} is {_shown(value)}; {allowed}")

    if not isinstance(board.name, str) or not _NAME.fullmatch(board.name):
        refuse("name", board.name, "allowed: letters, digits, '.', '_' and '-', a letter or digit first")
    if board.family not in FAMILIES:
        refuse("family", board.family, f"known: {', '.join(FAMILIES)}")
    if not isinstance(board.platform, str) or not re.fullmatch(r"[\w.]+:\w+", board.platform):
        refuse("platform", board.platform, "expected 'module:class' of an Amaranth platform")
    for field, least in (("clock", 1), ("lanes", 1), ("columns_per_clock", 0)):
        value = getattr(board, field)
        if whole(value) is None or value < least:
            refuse(field, value, f"expected an integer of {least} or more")
    for field in ("title", "loader", "tied_high"):
        if not isinstance(getattr(board, field), str):
            refuse(field, getattr(board, field), "expected a str")
    for field in ("part", "synthesis_options", "programmers"):
        value = getattr(board, field)
        if not isinstance(value, tuple) or not all(isinstance(word, str) for word in value):
            refuse(field, value, "expected a tuple of str")
    family = FAMILIES[board.family]
    if not isinstance(board.capacity, Mapping):
        refuse("capacity", board.capacity, "expected a mapping of resources to numbers")
    for resource, count in board.capacity.items():
        if resource not in family.primitives:
            refuse("a resource of capacity", resource, f"{board.family} has {', '.join(family.primitives)}")
        if whole(count) is None or count < 0:
            refuse(f"capacity[{resource!r}]", count, "expected an integer of 0 or more")
    for resource in (family.register, family.memory):
        if resource not in board.capacity:
            raise BoardError(f"board {board.name!r}: capacity lacks {resource}, {family.primitives[resource]}")
    _check_wires(board, refuse)


def _check_wires(board: Board, refuse) -> None:
    if not isinstance(board.wires, Mapping):
        refuse("wires", board.wires, "expected a mapping of signals to Wires")
    known, needed = SIGNALS, REQUIRED
    if not board.columns_per_clock:
        known = (*SIGNALS, *ARRAY_PORTS)
        # Calibration cells are in some specifications only: Board.build refuses those where a board lacks the pins.
        needed = (*REQUIRED, *(port for port in ARRAY_PORTS if port != "array_calibration"))
    for signal, wires in board.wires.items():
        if signal not in known:
            refuse("a signal of wires", signal, f"with columns_per_clock {board.columns_per_clock}: {', '.join(known)}")
        if not isinstance(wires, Wires) or not isinstance(wires.pins, str) or not wires.pins.split():
            refuse(f"wires[{signal!r}]", wires, "expected Wires with the names of one pin or more")
        most = 8 if signal == "probes" else 1
        if signal in SIGNALS and len(wires.pins.split()) > most:
            refuse(f"wires[{signal!r}].pins", wires.pins, f"allowed: {most} pin{'s' * (most > 1)}")
    missing = [signal for signal in needed if signal not in board.wires]
    if missing:
        raise BoardError(f"board {board.name!r}: wires lacks {', '.join(missing)}; required: {', '.join(needed)}")
