# SPDX-License-Identifier: Apache-2.0
"""``crossramp flash``: write a bitstream into a board, with the programmer that is installed."""

import argparse
import json
import shlex
import shutil
import subprocess
from pathlib import Path

from crossramp.boards.definitions.board import Board, boards, find_board
from crossramp.boards.definitions.families import FAMILIES
from crossramp.golden.common.errors import UserError

from ..inputs import options
from ..output.tables import as_json
from .build import REPORT

#: How to get each programmer.
_INSTALL = {
    "openFPGALoader": "sudo apt-get install openfpgaloader",
    "iceprog": "sudo apt-get install fpga-icestorm",
}

#: How each family's bitstreams begin, and within how many bytes that is: nothing else should reach a board.
_MARKS = {
    "ice40": (b"\x7e\xaa\x99\x7e", 256),
    "ecp5": (b"\xff\xff\xbd\xb3", 4096),
    "gowin": (b"\n1111111111111111", 65536),
}

_EPILOG = """\
examples:
  crossramp flash build/icebreaker --board icebreaker
  crossramp flash build/icebreaker --board icebreaker --dry-run
  crossramp flash my.bit --board ulx3s-85f --volatile

Exit status: 0 done; 2 for invalid input, or if the programmer is missing or fails.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "flash",
        description="Writes a bitstream into the flash of a board, with openFPGALoader or iceprog.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bitstream", metavar="DIR|BITSTREAM", help="what crossramp build wrote, or a bitstream's file")
    options.add_board(parser, required=True)
    parser.add_argument("--tool", choices=tuple(_INSTALL), help="the programmer (default: an installed one)")
    parser.add_argument("--volatile", action="store_true", help="write into the FPGA only, until the power goes off")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be run")
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or UserError."""
    board = find_board(args.board)
    file = bitstream_file(Path(args.bitstream), board, args.board)
    tool = _tool(board, args.tool, look=not args.dry_run)
    command = [tool, *arguments(board, tool, file, args.volatile)]
    if not args.dry_run:
        _program(board, command, quiet=args.json)
    if args.json:
        print(as_json({"board": board.name, "bitstream": str(file), "command": command, "done": not args.dry_run}))
    else:
        print(shlex.join(command) if args.dry_run else f"{board.name}: {file} is loaded")
    return 0


def bitstream_file(path: Path, board: Board, named: str) -> Path:
    """The bitstream in a folder of ``crossramp build``, or the file itself.

    Parameters
    ----------
    named : str
        How the user named the board.

    Raises
    ------
    UserError
        If the bitstream does not exist, or belongs to another board.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; make one with crossramp build MODEL --board {named}")
    folder = path if path.is_dir() else path.parent
    report = _report(folder)
    if path.is_dir():
        if report is None:
            raise UserError(f"{path}: no folder of crossramp build (it has no {REPORT}); give the bitstream's file")
        path = folder / report["bitstream"]
        if not path.is_file():
            raise UserError(f"{path}: is missing from the folder; build it again with crossramp build")
    if report is not None and path.name == report["bitstream"] and report["board"] != board.name:
        other = report["board"]
        way = other if other in boards() else f"FILE.py, the file that describes {other}"
        raise UserError(f"{path}: was built for {other}, not for {board.name}; give --board {way}")
    mark, within = _MARKS[board.family]
    if mark not in b"\n" + path.read_bytes()[:within]:
        others = [family for family, (other, size) in _MARKS.items() if other in b"\n" + path.read_bytes()[:size]]
        what = f"a bitstream of the family {others[0]}" if others else "no bitstream"
        raise UserError(
            f"{path}: is {what}; {board.name} takes {board.family} files "
            f"({FAMILIES[board.family].suffix}) of crossramp build MODEL --board {named}"
        )
    return path


def _report(folder: Path) -> dict | None:
    try:
        report = json.loads((folder / REPORT).read_text())
        return report if report["bitstream"] and isinstance(report["board"], str) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _tool(board: Board, wanted: str | None, look: bool) -> str:
    """The programmer: the one wanted, or the first of the board's that is installed."""
    if wanted is not None and wanted not in board.programmers:
        raise UserError(f"{wanted} cannot load {board.name}; take {' or '.join(board.programmers)}")
    choices = (wanted,) if wanted is not None else board.programmers
    there = [tool for tool in choices if shutil.which(tool) is not None]
    if there or not look:
        return (there or choices)[0]
    ways = " or ".join(f"{_INSTALL[tool]} (for {tool})" for tool in choices)
    raise UserError(f"{' and '.join(choices)} not found on the PATH; type: {ways}")


def arguments(board: Board, tool: str, file: Path, volatile: bool = False) -> list[str]:
    """What the programmer is given."""
    if tool == "iceprog":
        return [*(["-S"] if volatile else []), str(file)]
    return ["-b", board.loader, "-m" if volatile else "-f", str(file)]


def _program(board: Board, command: list[str], quiet: bool) -> None:
    try:
        # Its own progress is worth seeing; with --json, stdout is ours.
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL if quiet else None)
    except OSError as error:
        raise UserError(f"{command[0]}: cannot be run ({error.strerror}); install it anew") from None
    if done.returncode:
        raise UserError(
            f"{command[0]} failed with status {done.returncode}: is {board.name} connected, and may you use its USB "
            "device? What it said is above"
        )
