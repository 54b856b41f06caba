# SPDX-License-Identifier: Apache-2.0
"""``crossramp build``: a bitstream for a board, with its reports."""

import argparse
import shlex
import shutil
from pathlib import Path

from crossramp.boards.definitions.board import Board, boards, find_board
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import UserError
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.network.model_file import Model

from ..inputs import options
from ..inputs.subjects import read_network
from ..output.messages import Progress
from ..output.output_folder import check_folder, listed, written_folder
from ..output.tables import as_json, table

#: What a built folder says of itself; ``crossramp flash`` reads it.
REPORT = "report.json"

_EPILOG = """\
examples:
  crossramp build kws --board icebreaker -o build/icebreaker
  crossramp build array8x8 --board ulx3s-85f-pins --divide 25 --baud 100000     1 MHz: an array that takes its time
  crossramp build array8x8 --board ./my_board.py       a board of your own: docs/boards.md says what the file holds
  crossramp build --list

One bitstream serves every model of its specification (with any lanes: those are the board's). DIR then holds the
bitstream, report.json, the core's Verilog and the logs. What was built once, with the same sources and tools, is
taken from the cache folder. Exit status: 0 built; 2 for invalid input, or if the design does not fit or misses its
timing; 3 if a tool fails.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "build",
        description="Synthesizes, places and routes host link, network and crossbar emulator for a board.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_subject(parser, nargs="?")
    options.add_board(parser)
    options.add_output(parser, "the folder to write (default: build/NAME)")
    options.add_tools(parser)
    options.add_baud(parser)
    parser.add_argument(
        "--divide", type=int, default=1, metavar="N", help="the core's clock is the oscillator's / N (default 1)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of the placement (default 1)")
    options.add_force(parser)
    parser.add_argument("--list", action="store_true", help="list the boards, build nothing")
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or UserError (or an error of ours) for what the user can put right."""
    if args.list:
        print(as_json([_board_entry(board) for board in boards().values()]) if args.json else _board_table())
        return 0
    if args.model is None:
        raise UserError("build what? give a model or a specification, as in: crossramp build kws --board icebreaker")
    if args.board is None:
        raise UserError(f"--board is missing; known: {', '.join(boards())}")
    integer("--seed", args.seed, 0)
    board = find_board(args.board)
    model, spec = read_network(args.model)
    folder = Path(args.output or Path("build") / board.name)
    check_folder(folder, args.force)
    made = build(board, spec, args)
    report = describe(made, _steps(model, spec))
    with written_folder(folder, args.force) as unfinished:
        for file in (made.path, made.core, *made.logs):
            shutil.copyfile(file, unfinished / file.name)
        (unfinished / REPORT).write_text(as_json(report) + "\n")
        files = listed(unfinished)
    if args.json:
        print(as_json({"folder": str(folder), "files": files, **report}))
    else:
        print(_text(folder, board, report, args.board))
    return 0


def _steps(model: Model | None, spec: AnySpecification) -> int:
    """Of the utterance whose time is stated: the model's own, or the longest."""
    settings = model.feature_settings if model is not None else None
    return settings.steps if settings is not None else spec.max_steps


def build(board: Board, spec: AnySpecification, args: argparse.Namespace):
    """The :class:`crossramp.boards.flow.synthesis.Bitstream`, with a progress line while it is made; or UserError."""
    subject = board.build(spec, args.baud, args.divide)
    from crossramp.boards.flow.synthesis import make_bitstream  # Amaranth takes a moment to import

    progress = Progress()
    try:
        return make_bitstream(
            board,
            subject,
            tools=args.tools,
            seed=args.seed,
            progress=lambda text: progress.stage(f"{board.name}: {text}"),
        )
    finally:
        progress.clear()


def describe(made, steps: int) -> dict:
    """A bitstream as JSON types, with the time of an utterance of ``steps``; frequencies in Hz."""
    from crossramp.boards.flow.netlist_cost import FAMILIES, module_costs
    from crossramp.boards.flow.utterance_clocks import utterance_time

    subject, result = made.build, made.result
    counted = made.board.family in FAMILIES
    time = utterance_time(subject, steps)
    return {
        "board": subject.board,
        "bitstream": made.path.name,
        "specification_hash": subject.spec.content_hash,
        "hardware_hash": subject.spec.hardware_hash,
        "specification": subject.spec.to_dict(),
        "columns_per_clock": subject.columns_per_clock,
        "clock": subject.clock,
        "baud": subject.baud,
        "fmax": result["fmax"],
        "resources": result["resources"],
        "cells": result["cells"],
        "modules": module_costs(made.folder / "top.json", made.board.family) if counted else None,
        "seed": result["seed"],
        "placements": result["placements"],
        "tools": result["tools"],
        "stage_seconds": result["stages"],
        "steps": time.steps,
        "clocks_per_step": time.clocks_per_step,
        "clocks_per_utterance": time.clocks,
        "link_bytes_per_utterance": time.link_bytes,
        "seconds_per_utterance": round(time.seconds, 6),
    }


def _text(folder: Path, board: Board, report: dict, named: str) -> str:
    used = [
        (name, f"{counts['used']:,}", f"{counts['available']:,}", f"{100 * counts['used'] / counts['available']:.0f} %")
        for name, counts in report["resources"].items()
        if name in board.capacity
    ]
    facts = [
        ("bitstream", f"{folder / report['bitstream']}, hardware {report['hardware_hash']}"),
        ("clock", f"{report['clock'] / 1e6:g} MHz, Fmax {report['fmax'] / 1e6:.2f} MHz, seed {report['seed']}"),
        (
            "utterance",
            f"{report['steps']} steps of {report['clocks_per_step']:,} clocks, {report['link_bytes_per_utterance']:,} "
            f"bytes at {report['baud']:,} baud: {report['seconds_per_utterance']:.3f} s",
        ),
        ("tools", ", ".join(dict.fromkeys(report["tools"].values()))),
        ("next", shlex.join(["crossramp", "flash", str(folder), "--board", named])),
    ]
    return f"{table(('resource', 'used', 'of', ''), used, right=(1, 2, 3))}\n\n{table(('', ''), facts).lstrip()}"


def _board_entry(board: Board) -> dict:
    return {
        "name": board.name,
        "title": board.title,
        "family": board.family,
        "clock": board.clock,
        "lanes": board.lanes,
        "columns_per_clock": board.columns_per_clock,
        "capacity": dict(board.capacity),
        "pins": {signal: wires.label or wires.pins for signal, wires in board.wires.items()},
    }


def _board_table() -> str:
    rows = [
        (board.name, board.title, f"{board.clock / 1e6:g} MHz", board.lanes, board.columns_per_clock or "on pins")
        for board in boards().values()
    ]
    return table(("board", "", "clock", "lanes", "columns a clock"), rows, right=(2, 3, 4))
