# SPDX-License-Identifier: Apache-2.0
"""``crossramp virtual``: a board that needs no hardware, until Ctrl-C: a bitstream's core, simulated behind a port."""

import argparse
import contextlib
import os
import signal
from collections.abc import Iterator

from crossramp.golden.link.link_protocol import BAUD

from ..inputs import options
from ..inputs.subjects import read_network
from ..output.messages import Progress
from ..output.tables import as_json, table
from ..process import signals

BOARD = "icebreaker"

_EPILOG = """\
examples:
  crossramp virtual kws                          then, in another terminal: crossramp run kws AUDIO... --port PORT
  crossramp virtual network.toml --board ulx3s-85f --pins pins.vcd

The board's clock stands still while nothing is asked of it. SIGUSR1 to the command presses its reset button.
Ctrl-C, SIGTERM and SIGHUP end it in order, with exit status 0.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "virtual",
        description="Simulates the core of a board's bitstream behind a pseudo-terminal that behaves as the board's "
        "serial port, and prints its path. Ctrl-C ends it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_subject(parser)
    options.add_board(parser, BOARD)
    options.add_baud(parser)
    options.add_simulator(parser, options.BOARD_SIMULATORS)
    parser.add_argument("--pins", metavar="FILE", help="write every edge of the board's pins to this VCD file")
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0 after Ctrl-C or SIGTERM, or UserError (or an error of ours)."""
    from crossramp.boards.definitions.board import find_board
    from crossramp.boards.virtual.simulated_board import virtual_board

    model, spec = read_network(args.model)
    build = find_board(args.board).build(spec, args.baud)
    progress = Progress()
    try:
        board = virtual_board(build, args.simulator, pins=args.pins, progress=progress.stage)
        with signals.in_order(), _reset_button(board), board as port:
            progress.clear()
            content = {
                "port": port,
                "board": build.board,
                "specification_hash": build.spec.content_hash,
                "hardware_hash": build.spec.hardware_hash,
                "simulator": board.simulator,
                "clock": build.clock,
                "baud": build.baud,
                "process": os.getpid(),
                "pins": args.pins,
            }
            with contextlib.suppress(KeyboardInterrupt):  # how it is meant to end
                name = "MODEL" if model is None else args.model
                print(as_json(content) if args.json else _text(content, name), flush=True)
                board.wait()
    finally:
        progress.clear()
    return 0


@contextlib.contextmanager
def _reset_button(board) -> Iterator[None]:
    """SIGUSR1 presses the board's reset button."""
    before = signal.signal(signal.SIGUSR1, lambda number, frame: board.press_reset())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def _text(content: dict, model: str) -> str:
    baud = "" if content["baud"] == BAUD else f" --baud {content['baud']}"
    facts = [
        ("port", content["port"]),
        ("board", f"virtual {content['board']}, {content['clock'] / 1e6:g} MHz, {content['baud']:,} baud"),
        ("serves", f"specification {content['specification_hash']}"),
        ("simulator", content["simulator"] + (", which is slow" if content["simulator"] == "amaranth" else "")),
        *([("pins", content["pins"])] if content["pins"] else []),
        ("reset button", f"kill -USR1 {content['process']}"),
        ("try", f"crossramp run {model} AUDIO... --port {content['port']}{baud}, in another terminal"),
        ("end", "Ctrl-C"),
    ]
    return table(("", ""), facts).strip("\n ")
