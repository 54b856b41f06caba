# SPDX-License-Identifier: Apache-2.0
"""``crossramp run``: utterances through a board, bit for bit against the golden model."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from crossramp.golden.analog.conversion.calibration_setting import CalibrationSetting
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import UserError
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.link.board_memory import Build
from crossramp.golden.network.model_file import Model, load_model
from crossramp.sim.checking.scoreboard import Scoreboard

from .. import scored_answers
from ..inputs import network_inputs, options
from ..output import notices
from ..output.messages import Progress
from ..output.tables import as_json, table
from ..verification import in_words
from .virtual import BOARD

#: What --port takes beside the name of a port.
VIRTUAL = "virtual"

#: Seconds of silence after which a question is asked again; in a simulated board, time goes slowly.
_TIMEOUT = 0.5
_TIMEOUTS_SIMULATED = {"verilator": 20.0, "amaranth": 300.0}

#: Seconds that a board may be busy without any progress: as many timeouts.
_PATIENCE = 20

#: Longest hold and tick that a board's settings can say.
_MOST_CLOCKS = 0xFFFF

_EPILOG = """\
examples:
  crossramp run kws recordings/ --port /dev/ttyUSB1
  crossramp run kws recordings/ --port virtual --board icebreaker     no hardware: the same core, simulated
  crossramp run kws demo --port virtual                               the recordings of this package
  crossramp run kws --random 3 --port COM3 --every-step --json
  crossramp run array.npz --random 1 --port /dev/ttyUSB0 --hold 250 --tick 25     an array on pins that takes its time

The model's weights, thresholds and head are written into the board and read back. Then each utterance is run, and its
answer, logits and h are compared with the golden model's. Recordings that cannot be used are named, counted and left
out, and so are ends that are cut off: docs/recordings.md.
Exit status: 0 if all is equal, 1 if anything differs, 2 for invalid input or a board that does not answer; crossramp
--help lists all.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "run",
        description="Loads a model into a board, runs utterances on it, and compares every answer, logit and h with "
        "the golden model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_model(parser)
    options.add_utterances(parser)
    parser.add_argument("--port", metavar="PORT", required=True, help="the board's serial port, or: virtual")
    options.add_board(parser, BOARD, of="--port virtual")
    options.add_simulator(parser, options.BOARD_SIMULATORS, None, of="--port virtual")
    options.add_baud(parser)
    parser.add_argument("--every-step", action="store_true", help="compare h of every step, not only of the last one")
    parser.add_argument("--hold", type=int, metavar="N", help="least clocks of a hold (default: the specification's)")
    parser.add_argument("--tick", type=int, metavar="N", default=1, help="least clocks of a tick (default: 1)")
    options.add_calibration(parser)
    parser.add_argument("--tries", type=int, metavar="N", default=5, help="how often a question is asked (default: 5)")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds to wait for an answer each time")
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a board showed; arrays and lists have one entry an utterance.

    Attributes
    ----------
    build : Build
        What the board says it is.
    answers, golden_answers : int64 arrays
    board : Scoreboard
        h, logits and answers against the golden model, by utterance.
    clocks, waiting : int64 arrays
        Clocks that the board computed, and those of them on which its array made the periphery wait.
    restarts, repeated : int
        Utterances begun again, and questions asked again.
    utterance_seconds : float
        Of one utterance, by the host's clock: with all that went over the line.
    seconds : float
        Of all of it, loading included.
    """

    build: Build
    answers: np.ndarray
    golden_answers: np.ndarray
    board: Scoreboard
    clocks: np.ndarray
    waiting: np.ndarray
    restarts: int
    repeated: int
    utterance_seconds: float
    seconds: float


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 if anything differs, or UserError (or an InvalidValue)."""
    model = load_model(args.model)
    _check(args, model)
    utterances = network_inputs.from_arguments(model, args)
    outcome = run_on_board(model, utterances, args)
    content = report(model, utterances, outcome, args.port)
    print(as_json(content) if args.json else text(content))
    return 1 if content["mismatches"] else 0


def _check(args: argparse.Namespace, model: Model) -> None:
    if args.board is not None and args.port != VIRTUAL:
        raise UserError(f"--board {args.board} belongs to --port virtual; a board on a port says itself which it is")
    if args.simulator is not None and args.port != VIRTUAL:
        raise UserError(f"--simulator {args.simulator} belongs to --port virtual; leave it out")
    for name, clocks in (("hold", args.hold), ("tick", args.tick)):
        if clocks is not None:
            integer(f"--{name}", clocks, 0, _MOST_CLOCKS, high_name="clocks")
    integer("--tries", args.tries, 1)
    if args.every_step:
        from crossramp.boards.host.driver import check_every_step

        check_every_step(model.spec)
    if args.timeout is not None and not 0 < args.timeout <= 3600:
        raise UserError(f"--timeout is {args.timeout:g}; allowed: more than 0, up to 3600 seconds")
    if args.baud is not None and args.baud < 1:
        raise UserError(f"--baud is {args.baud}; give the bits per second that the bitstream was built for")


def _calibration(args: argparse.Namespace, spec: AnySpecification) -> int | None:
    """The calibration port that the driver is to write; None: the nominal cells."""
    setting = CalibrationSetting.parse(args.calibration)
    if setting.found:
        raise UserError("--calibration found needs a calibrator, which bitstreams lack; give nominal or the cells")
    if len(spec.macros) > 1 and setting.port is not None:
        raise UserError(
            f"--calibration is {args.calibration}, but the network has the macros {', '.join(spec.macros)}, whose "
            "emulated arrays have no calibration cells; leave it out"
        )
    return setting.check(next(iter(spec.macros.values()))).port


def run_on_board(model: Model, utterances: network_inputs.Utterances, args: argparse.Namespace) -> Outcome:
    """Load, run and compare, with a progress line; the arguments name the board, as the command's do.

    Raises
    ------
    LinkError
        For a board that does not answer, or stops to.
    SimulationError
        For a simulated one that cannot be built, or stops.
    HardwareError
        If it stops after a difference was seen.
    InvalidValue
        For a port that cannot be opened, or a board that was built for another specification.
    """
    calibration = _calibration(args, model.spec)
    started = time.perf_counter()
    progress = Progress()
    try:
        with _board(model, args, progress) as board:
            board.check(model.spec)
            board.load(
                model.network,
                hold=args.hold,
                tick=args.tick,
                calibration=calibration,
                progress=lambda done, whole: progress.show(f"loading: {100 * done // whole} %"),
            )
            return _run_all(board, model, utterances, args.every_step, progress, started)
    finally:
        progress.clear()


@contextlib.contextmanager
def _board(model: Model, args: argparse.Namespace, progress: Progress) -> Iterator:
    """The driver of the board that the arguments name."""
    from crossramp.boards.definitions.board import find_board
    from crossramp.boards.host.driver import BoardDriver
    from crossramp.boards.virtual.simulated_board import virtual_board
    from crossramp.golden.link.link_protocol import BAUD

    with contextlib.ExitStack() as stack:
        port, baud, timeout = args.port, args.baud or BAUD, _TIMEOUT
        if port == VIRTUAL:
            build = find_board(args.board or BOARD).build(model.spec, args.baud)
            virtual = virtual_board(build, args.simulator or "auto", progress=progress.show)
            port, baud, timeout = stack.enter_context(virtual), build.baud, _TIMEOUTS_SIMULATED[virtual.simulator]
        timeout = args.timeout or timeout
        driver = BoardDriver(port, baud=baud, timeout=timeout, tries=args.tries, patience=_PATIENCE * timeout)
        yield stack.enter_context(driver)


def _run_all(board, model: Model, utterances, every_step: bool, progress: Progress, started: float) -> Outcome:
    from crossramp.boards.host.exchange import LinkError
    from crossramp.sim.tools.simulators import HardwareError, SimulationError

    count, running, scoreboard = len(utterances.codes), 0.0, Scoreboard(model.spec)
    results, golden_answers, steps = [], [], utterances.codes.shape[1]
    for k, codes in enumerate(utterances.codes):
        progress.show(f"{board.build.board}: utterance {k + 1} of {count}")
        begun = time.perf_counter()
        try:
            result = board.run(codes, every_step=every_step)
        except (LinkError, SimulationError) as error:
            first = next(iter(scoreboard.mismatches), None)
            if first is None:
                raise
            seen = f"{utterances.names[first.utterance]}: {first}"
            raise HardwareError(f"hardware and golden model differ: {seen}; then {error}") from None
        running += time.perf_counter() - begun
        trace = model.network.run(codes[None])
        golden = trace if every_step else trace.replace(h=trace.h[:, -1])
        scoreboard.compare(golden, result.trace, ("h", "logits", "answers"))
        golden_answers.append(model.results(trace, steps)[0])
        results.append(result)
    return Outcome(
        build=board.build,
        answers=np.array([model.results(result.trace, steps)[0] for result in results]),
        golden_answers=np.array(golden_answers),
        board=scoreboard,
        clocks=np.array([result.clocks for result in results]),
        waiting=np.array([result.waiting for result in results]),
        restarts=sum(result.restarts for result in results),
        repeated=board.exchange.repeated,
        utterance_seconds=running / count,
        seconds=time.perf_counter() - started,
    )


def report(model: Model, utterances: network_inputs.Utterances, outcome: Outcome, port: str) -> dict:
    """Everything the command tells, as JSON types; clocks are the board's own, and means over all utterances."""
    build = outcome.build
    steps = int(utterances.codes.shape[1])
    rows = scored_answers.rows(model, utterances, outcome.answers, outcome.golden_answers)
    for k, row in enumerate(rows):
        row["compared"] = int(outcome.board.compared_by_utterance[k])
        row["mismatches"] = int(outcome.board.mismatched_by_utterance[k])
        row["first_mismatch"] = in_words(outcome.board.first_by_utterance[k])
        row["clocks"] = int(outcome.clocks[k])
        row["waiting"] = int(outcome.waiting[k])
        row["milliseconds"] = _milliseconds(outcome.clocks[k], build.clock)
    return {
        "port": port,
        "board": build.board,
        "specification_hash": build.spec.content_hash,
        "hardware_hash": build.spec.hardware_hash,
        "made_by": build.made_by,
        "clock": build.clock,
        "baud": build.baud,
        "utterances": len(rows),
        "steps": steps,
        "compared": outcome.board.total,
        "mismatches": outcome.board.wrong,
        **scored_answers.accuracies(utterances, outcome.answers, outcome.golden_answers),
        "clocks_per_step": round(float(outcome.clocks.mean()) / steps, 2),
        "clocks_per_step_without_waiting": round(float((outcome.clocks - outcome.waiting).mean()) / steps, 2),
        "specified_clocks_per_step": build.spec.clocks_per_step,
        "milliseconds_per_utterance": _milliseconds(outcome.clocks.mean(), build.clock),
        "milliseconds_per_utterance_with_link": round(1e3 * outcome.utterance_seconds, 3),
        "restarts": outcome.restarts,
        "questions_repeated": outcome.repeated,
        "wall_seconds": round(outcome.seconds, 3),
        **utterances.findings.to_dict(),
        "rows": rows,
    }


def _milliseconds(clocks: float, clock: int) -> float:
    return round(1e3 * float(clocks) / clock, 3)


def text(content: dict) -> str:
    """The table and its summary."""
    rows = [
        (*scored_answers.cells(row), f"{row['clocks']:,}", f"{row['milliseconds']:.1f}", scored_answers.equal(row))
        for row in content["rows"]
    ]
    header = ("utterance", "label", "board", "golden", "", "clocks", "ms", "bit for bit")
    own = content["clocks_per_step_without_waiting"]
    # Of a simulated board this would be the simulator's time.
    with_link = f", {content['milliseconds_per_utterance_with_link']:.0f} ms with all that goes over the line"
    linked = "" if content["port"] == VIRTUAL else with_link
    again = f"{content['questions_repeated']} questions asked again, {content['restarts']} utterances begun again"
    facts = [
        ("board", f"{content['board']} on {content['port']}, {content['clock'] / 1e6:g} MHz, {content['baud']:,} baud"),
        ("utterances", f"{content['utterances']} of {content['steps']} steps"),
        *notices.facts(content),
        ("compared", f"{content['compared']:,} h, logits and answers"),
        ("mismatches", f"{content['mismatches']:,}"),
        *scored_answers.facts(content),
        ("clocks per step", f"{content['clocks_per_step']:,.1f}, the head's at the end included"),
        ("", f"{own:,.1f} without those that the array asked for; {content['specified_clocks_per_step']} specified"),
        ("an utterance", f"{content['milliseconds_per_utterance']:.1f} ms computing{linked}"),
        ("line", again),
        ("wall time", f"{content['wall_seconds']:.1f} s, loading included"),
    ]
    return f"{table(header, rows, right=(5, 6))}\n\n{table(('', ''), facts).lstrip()}"
