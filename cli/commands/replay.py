# SPDX-License-Identifier: Apache-2.0
"""``crossramp replay``: the netlists of a bitstream, simulated on their pins against the golden model."""

import argparse
import copy
import json
import time

from crossramp.boards.definitions.board import Board, find_board
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import UserError
from crossramp.golden.link.board_memory import Build
from crossramp.golden.network.model_file import Model, load_model

from ..inputs import network_inputs, options
from ..output import notices
from ..output.messages import Progress
from ..output.tables import as_json, table

#: Random utterances where nothing else is asked for, and steps of each: a netlist takes long for a clock.
_RANDOM, _STEPS = 2, 4
_MOST = 200

#: Differences that are printed of a stage; JSON has them all.
_SHOWN = 5

_EPILOG = """\
examples:
  crossramp replay kws --board icebreaker
  crossramp replay model.npz --board ulx3s-85f --stage synthesis --random 1 --steps 2 --json
  crossramp replay kws --board icebreaker --features x.npy

The bitstream is built, or taken from the cache folder. Each stage's netlist is simulated in Verilator with the open
models of the vendor's cells: reset, identity, all memories, some utterances, and what must be refused. The utterances
are recordings, features or random ones, as in crossramp run; the default is --random 2 --steps 4. Every answer on its
pins is compared with the golden model's. The core's own Verilog is replayed first: the netlists must take its clocks
too. Exit status: 0 if all is equal, 1 if anything differs, 2 for invalid input, 3 for a build that fails.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "replay",
        description="Simulates what synthesis and layout made of a board's top, and compares every answer with golden.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_model(parser)
    options.add_utterances(parser, seed="seed of --random and of everything else that is random (default 1)")
    options.add_board(parser, required=True)
    parser.add_argument("--stage", choices=("synthesis", "layout"), help="replay this netlist alone (default: both)")
    options.add_tools(parser)
    options.add_baud(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 for differences, or UserError (or an error of ours) for what the user can put right."""
    board = find_board(args.board)
    if not board.columns_per_clock:
        raise UserError(f"{board.name}: nothing would answer on the array's pins; take a board with an emulator")
    from crossramp.boards.virtual.board_netlist import stages_of  # Amaranth takes a moment to import

    stages = stages_of(board)
    if args.stage is not None and args.stage not in stages:
        raise UserError(f"{board.name}: there are cell models after {', '.join(stages)} only; leave out --stage")
    model = load_model(args.model)
    utterances, seed = _utterances(model, args)
    x = utterances.codes
    build = board.build(model.spec, args.baud)
    results = replay(board, build, model, x, [args.stage] if args.stage else list(stages), seed, args)
    content = {
        "board": board.name,
        "specification_hash": build.spec.content_hash,
        "hardware_hash": build.spec.hardware_hash,
        "utterances": len(x),
        "steps": int(x.shape[1]),
        "seed": seed,
        **utterances.findings.to_dict(),
        "replays": results,
        "equal": all(not result["differences"] for result in results),
    }
    print(as_json(content) if args.json else _text(content))
    return 0 if content["equal"] else 1


def _utterances(model: Model, args: argparse.Namespace) -> tuple[network_inputs.Utterances, int]:
    """What is to be replayed, and the seed of all that is random; UserError, or an InvalidValue."""
    seed = 1 if args.seed is None else integer("--seed", args.seed, 0)
    args = copy.copy(args)
    if not args.audio and args.features is None and args.random is None:
        args.random = _RANDOM
    if args.random is None:
        args.seed = None  # of the session alone
    elif args.steps is None:
        args.steps = min(_STEPS, model.spec.max_steps)
    utterances = network_inputs.from_arguments(model, args)
    if len(utterances.codes) > _MOST:
        raise UserError(f"{len(utterances.codes)} utterances are given; a netlist is slow: give up to {_MOST}")
    return utterances, seed


def replay(
    board: Board, build: Build, model: Model, x, stages: list[str], seed: int, args: argparse.Namespace
) -> list[dict]:
    """What :func:`.link_replay.compare` found in the core's Verilog and in each stage, as JSON types."""
    from crossramp.boards.flow.board_core import MODULE
    from crossramp.boards.flow.synthesis import make_bitstream
    from crossramp.boards.flow.toolchain import find_tools
    from crossramp.boards.virtual.board_netlist import STAGES, netlist_design
    from crossramp.boards.virtual.link_replay import compare, record
    from crossramp.sim.netlist.pin_replay import Design
    from crossramp.sim.tools.run_options import BuildOptions

    progress = Progress()
    results, clocks = [], None
    try:
        session = record(build, model.network, x, seed=seed)
        made = make_bitstream(
            board,
            build,
            tools=args.tools,
            progress=lambda text: progress.stage(f"{board.name}: {text}"),
        )
        yosys = find_tools(["yosys"], args.tools)["yosys"]
        for stage in ["source", *stages]:
            progress.stage(f"{board.name}: replaying {stage}")
            begin = time.perf_counter()
            if stage == "source":
                design = Design({"core.v": made.core.read_text()}, MODULE)
            else:
                netlist = json.loads((made.folder / STAGES[stage]).read_text())
                design = netlist_design(board, build, netlist, yosys)
            found = compare(design, build, session, seed=seed, options=BuildOptions(optimize=False))
            differences = list(found.differences)
            clocks = found.counters if clocks is None else clocks
            if not differences and found.counters != clocks:
                differences.append(f"clocks computing and waiting: {found.counters}; source: {clocks}")
            results.append(
                {
                    "stage": stage,
                    "answers": found.answers,
                    "differences": differences,
                    "clocks": found.clocks,
                    "seconds": round(time.perf_counter() - begin, 1),
                }
            )
    finally:
        progress.clear()
    return results


def _text(content: dict) -> str:
    rows = [
        (
            result["stage"],
            result["answers"],
            len(result["differences"]),
            "none" if result["clocks"] is None else f"{result['clocks']:,}",
            result["seconds"],
        )
        for result in content["replays"]
    ]
    head = ("replayed", "answers", "differences", "clocks", "seconds")
    lines = [table(head, rows, right=(1, 2, 3, 4))]
    lines += [f"{what}: {told}" for what, told in notices.facts(content)]
    for result in content["replays"]:
        lines += [f"{result['stage']}: {line}" for line in result["differences"][:_SHOWN]]
        if len(result["differences"]) > _SHOWN:
            lines.append(f"{result['stage']}: and {len(result['differences']) - _SHOWN} more; --json shows all")
    return "\n".join(lines)
