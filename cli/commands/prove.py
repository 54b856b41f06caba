# SPDX-License-Identifier: Apache-2.0
"""``crossramp prove``: formal proofs of the hardware of a specification, for every trace."""

import argparse
import tempfile
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import ExitStatus, UserError
from crossramp.golden.common.wording import suggestion
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import tiles_of

from ..inputs import options, subjects
from ..output.messages import Progress
from ..output.output_folder import check_folder, written_folder
from ..output.tables import as_json, table
from ..process.processors import cores

#: Seconds that one proof may take unless ``--timeout`` is given.
DEFAULT_TIMEOUT = 600
DEFAULT_READY_WITHIN = 64
_TIMEOUT_MOST = 7 * 24 * 3600

_EPILOG = """\
examples:
  crossramp prove kws
  crossramp prove network.toml --only capture,boundary --json
  crossramp prove two_layers.npz --macro layer1 --only units
  crossramp prove kws --array my_array.sv --array-top my_array --ready-within 40 -o traces

Of a network of several layers every macro is proven, equal ones once, and what stands between them and the head; the
first column of the table says what a proof is about.

Each line of the table is one proof: "any trace" means by induction, without a limit of time; "every input" a circuit
that was compared for all of its inputs; a number of clocks how far a bounded check has looked. docs/formal.md lists
what is proven, what is assumed, and how an array of your own is proven against the boundary's rules.

Exit status: 0 if everything holds, 1 for a counterexample, 2 for invalid input or a missing tool, 3 if a proof is left
undecided (out of time, or an induction that fails) or a tool stops.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "prove",
        description="Proves the generated hardware of a specification with SymbiYosys: capture, the rules of the "
        "boundary, pulses, streams, clocks, reset, the update, the head, the host link.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_subject(parser)
    add = parser.add_argument
    add("--only", metavar="BLOCKS", help="only these blocks, with commas; --list names them")
    add("--list", action="store_true", help="list the proofs, run nothing")
    add("--long", action="store_true", help="also the proofs that take minutes each")
    options.add_lanes(parser)
    options.add_macro(parser, "all of them; with --array the first one")
    own = parser.add_argument_group("array", "an array of your own, in Verilog, against the rules of the boundary")
    own.add_argument("--array", metavar="FILE", action="append", help="its source (may be repeated)")
    own.add_argument("--array-top", metavar="NAME", help="its module (default: the name of the first file)")
    about = f"clocks that it may keep ready low (default {DEFAULT_READY_WITHIN})"
    own.add_argument("--ready-within", type=int, metavar="N", help=about)
    own.add_argument("--clocks", type=int, metavar="N", help="how far to look (default: the first conversion)")
    own.add_argument("--induction", type=int, metavar="K", help="prove it for any trace, by induction over K clocks")
    add("--jobs", type=int, metavar="N", help="proofs at a time (default: the available cores)")
    add("--solver", choices=("auto", "yices", "z3"), default="auto", help="auto (default): yices, otherwise z3")
    add("--timeout", type=int, metavar="S", help=f"seconds that one proof may take (default {DEFAULT_TIMEOUT})")
    options.add_output(parser, "keep designs, logs and traces there (default: only traces of failures)")
    options.add_force(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 for a counterexample, 3 for a proof left undecided, or an error of ours."""
    from crossramp.sim.formal.engine.solver import Status, find_prover

    _, spec = subjects.read_network(args.model)
    if args.lanes is not None:
        spec = spec.implemented(lanes=args.lanes)
    jobs = cores() if args.jobs is None else integer("--jobs", args.jobs, 1, 1024)
    timeout = DEFAULT_TIMEOUT if args.timeout is None else integer("--timeout", args.timeout, 1, _TIMEOUT_MOST)
    prover = find_prover(args.solver) if args.array or not args.list else None
    entries = _entries(spec, args, prover)
    if args.list:
        rows = [_listed(entry) for entry in entries]
        print(as_json(rows) if args.json else _table(rows))
        return ExitStatus.DONE
    if args.output is None:
        with tempfile.TemporaryDirectory(prefix="crossramp-prove-") as scratch:
            outcomes = _attempt(entries, prover, Path(scratch), timeout, jobs)
            traces = [_kept(outcome) for outcome in outcomes]
    else:
        check_folder(args.output, args.force)
        with written_folder(args.output, args.force) as folder:
            outcomes = _attempt(entries, prover, folder, timeout, jobs)
            places = [outcome.trace and outcome.trace.relative_to(folder) for outcome in outcomes]
        traces = [place and str(Path(args.output) / place) for place in places]
    rows = [_listed(entry) | _told(*found) for entry, *found in zip(entries, outcomes, traces, strict=True)]
    content = {
        "model": args.model,
        "specification_hash": spec.content_hash,
        "hardware_hash": spec.hardware_hash,
        "solver": prover.solver,
        "proofs": rows,
        "holds": all(outcome.holds for outcome in outcomes),
    }
    print(as_json(content) if args.json else _text(content))
    if any(outcome.status is Status.VIOLATED for outcome in outcomes):
        return ExitStatus.DIFFERENT
    return ExitStatus.DONE if content["holds"] else ExitStatus.FAILED


def _entries(spec: AnySpecification, args: argparse.Namespace, prover) -> list:
    """The proofs that are asked for; UserError for an unknown block or macro, or options of an array without one."""
    from crossramp.sim.formal.catalog import proofs_of

    macro = subjects.chosen_macro(spec, args.macro)
    if args.array:
        from crossramp.sim.formal.catalog import array_proofs

        entries = array_proofs(
            tiles_of(spec.macros[macro])[0],
            [_source(name) for name in args.array],
            args.array_top or Path(args.array[0]).stem,
            prover,
            ready_within=_number(args, "ready_within", 1 << 20) or DEFAULT_READY_WITHIN,
            clocks=_number(args, "clocks", 100_000),
            induction=_number(args, "induction", 1000),
        )
    else:
        for name in ("array_top", "ready_within", "clocks", "induction"):
            if getattr(args, name) is not None:
                raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)} needs --array FILE")
        entries = [entry for entry in proofs_of(spec) if args.long or not entry.long or args.list]
        if args.macro is not None:
            entries = [entry for entry in entries if macro in entry.of.split(", ")]
    if args.only is None:
        return entries
    wanted = [name.strip() for name in args.only.split(",") if name.strip()]
    known = list(dict.fromkeys(entry.block for entry in entries))
    for name in wanted:
        if name not in known:
            raise UserError(f"--only {name!r} names no block; {suggestion(name, known)}")
    return [entry for entry in entries if entry.block in wanted]


def _number(args: argparse.Namespace, name: str, most: int) -> int | None:
    value = getattr(args, name)
    return None if value is None else integer(f"--{name.replace('_', '-')}", value, 1, most)


def _source(name: str) -> tuple[str, str]:
    """Name and text of a Verilog file."""
    try:
        return Path(name).name, Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{name}: is not UTF-8 text; give a Verilog or SystemVerilog source") from None


def _attempt(entries: list, prover, folder: Path, timeout: int, jobs: int) -> list:
    """The outcome of every proof, in order; several run at a time."""
    progress, done = Progress(), 0
    pool = ThreadPoolExecutor(jobs)
    try:
        waiting = {
            pool.submit(entry.attempt, folder / f"{number:02d}-{entry.block}", prover=prover, timeout=timeout): entry
            for number, entry in enumerate(entries)
        }
        futures = list(waiting)
        while waiting:
            running = next(iter(waiting.values()))
            progress.stage(f"{running.block}, {done} of {len(entries)} proofs done")
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                del waiting[future]
                done += 1
        return [future.result() for future in futures]
    finally:
        progress.clear()
        pool.shutdown(wait=False, cancel_futures=True)


def _kept(outcome) -> str | None:
    """The counterexample of a proof whose folder goes, in a file that stays; its name."""
    if outcome.trace is None:
        return None
    with tempfile.NamedTemporaryFile("wb", prefix="crossramp-counterexample-", suffix=".vcd", delete=False) as file:
        file.write(outcome.trace.read_bytes())
    return file.name


# ---- what comes out --------------------------------------------------------------------------------------------------


def _listed(entry) -> dict:
    of = {"of": entry.of} if entry.of else {}
    return of | {"block": entry.block, "claim": entry.claim, "reach": entry.reach}


def _told(outcome, trace: str | None) -> dict:
    return {
        "status": str(outcome.status),
        "seconds": round(outcome.seconds, 1),
        "property": outcome.message or None,
        "place": outcome.place or None,
        "clock": outcome.clock,
        "trace": trace,
    }


def _table(rows: list[dict]) -> str:
    columns = ("block", "claim", "reach", *(("status", "seconds") if "status" in rows[0] else ()))
    if "of" in rows[0]:
        columns = ("of", *columns)
    lines = [[row[column] for column in columns] for row in rows]
    return table(columns, lines, right=(columns.index("seconds"),) if "seconds" in columns else ())


def _text(content: dict) -> str:
    lines = [_table(content["proofs"]), ""]
    for row in content["proofs"]:
        if row["property"] is None:
            continue
        clock = "" if row["clock"] is None else f" on clock {row['clock']}"
        about = f"{row['of']}: {row['block']}" if "of" in row else row["block"]
        lines.append(f"{about}: {row['status']}{clock}: {row['property']} ({row['place']})")
        if row["trace"] is not None:
            lines.append(f"  counterexample: {row['trace']}")
    held = sum(row["property"] is None for row in content["proofs"])
    lines.append(f"{held} of {len(content['proofs'])} proofs hold, with {content['solver']}")
    return "\n".join(lines)
