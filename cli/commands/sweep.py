# SPDX-License-Identifier: Apache-2.0
"""``crossramp sweep``: Monte Carlo over chips, by a plan; goes on where it was interrupted."""

import argparse
import importlib.util
import time
import warnings
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.model_file import Model, load_model
from crossramp.golden.spec.state_scale import SpecificationWarning
from crossramp.sim.montecarlo.execute import Cluster, ExecutionError, run_local
from crossramp.sim.montecarlo.plan import Plan, load_plan
from crossramp.sim.montecarlo.problem import Problem
from crossramp.sim.montecarlo.store import Store, code_version, write
from crossramp.sim.montecarlo.summary import BAND, summarize
from crossramp.sim.montecarlo.tasks import make_tasks, run_task

from ..inputs import cell_files, network_inputs, options
from ..output import notices
from ..output.messages import Progress, notice
from ..output.tables import as_json, table
from ..process.processors import cores

_LIMIT = 3600.0  # s that a sweep may take without being asked for twice
_PROBED = 3  # points that the estimate times
_WORKERS_MOST = 1024
_NAMED = 3  # technologies in the title of a picture

_EPILOG = """\
examples:
  crossramp sweep plan.toml -o build/sweep
  crossramp sweep plan.toml -o build/sweep --dask tcp://host:8786
  crossramp sweep plan.toml --dry-run

A plan names model, recordings, technology, how many chips, and what is varied; docs/sweep.md has one to
start from. DIR then holds results.parquet (results.csv without pyarrow), one row for each chip, and a picture of each
metric. The same command continues a sweep that was interrupted.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "sweep",
        description="Runs the golden model with many chips, at every point of a plan.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plan", metavar="PLAN", help="a plan, a TOML file")
    options.add_output(parser, "the folder of the results")
    parser.add_argument("--data", metavar="DATA", help="recordings, instead of the plan's: a folder, .npy, .npz, demo")
    parser.add_argument(
        "--chips", type=int, metavar="N", help="number of chips (default: the plan's); more extend a sweep"
    )
    options.add_conductances(parser)
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes on this machine (default: the available cores)"
    )
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="use a Dask scheduler, such as tcp://host:8786, instead of processes"
    )
    parser.add_argument("--csv", action="store_true", help="write results.csv even if pyarrow is installed")
    parser.add_argument("--dry-run", action="store_true", help="only report points, tasks, and how long they take")
    parser.add_argument("--yes", action="store_true", help="run it even if it takes more than an hour")
    parser.add_argument("--restart", action="store_true", help="discard the sweep that DIR holds")
    parser.add_argument(
        "--report", action="store_true", help="compute nothing; report and draw the results in DIR, of any version"
    )
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or UserError (or an error of ours; ExecutionError if workers keep dying)."""
    if args.output is None and not args.dry_run:
        raise UserError("where to? give -o DIR, a folder for the results, or --dry-run")
    workers = cores() if args.workers is None else integer("--workers", args.workers, 1, _WORKERS_MOST)
    plan = load_plan(args.plan)
    instances = integer("--chips", plan.instances if args.chips is None else args.chips, 1, 1_000_000)
    local = plan.path(plan.model)
    model = load_model(local if local.is_file() else plan.model)
    utterances = load_data(model, plan, args.data)
    notes = utterances.findings.to_dict()
    counted = sorted({"accuracy", "flips"} & set(plan.metrics))
    if model.output_unit is not None and counted:
        raise UserError(
            f"metrics has {' and '.join(counted)}, which count answers, and this model's outputs are numbers; sweep "
            "other metrics"
        )
    classes = [None if model.output_unit is not None else label for label in utterances.labels]
    labels = np.array([-1 if label is None else label for label in classes])
    if "accuracy" in plan.metrics and not (labels >= 0).any():
        raise UserError("metrics has accuracy, but no recording has a label; ask for flips instead")
    problem = Problem.of(plan, model, utterances.codes, labels)
    for text in problem.cautions():
        warnings.warn(text, SpecificationWarning, stacklevel=1)
    given = cell_files.given_at(args, [(point.technology, problem.network(point)) for point in problem.points])
    if given:
        problem = replace(problem, given=tuple(one.cells for one in given))
    tasks = make_tasks(problem, instances)
    if args.report and args.restart:
        raise UserError("--report and --restart exclude each other; leave one out")
    if args.report:
        with Store(Path(args.output), plan, problem, None) as store:
            about = {"computed": 0, "wall_seconds": 0.0, **cell_files.told_of(given), **notes}
            return _tell(args, plan, problem, store, store.rows(instances), about)
    left = _still_to_do(args, plan, problem, tasks)
    if args.dry_run:
        seconds = _estimate(problem, left, workers)
        content = _facts(problem, instances, tasks, left, workers, seconds)
        if args.json:
            content |= cell_files.told_of(given)
        print(as_json(content) if args.json else table(("", ""), list(content.items())).lstrip())
        return 0
    cluster = None if args.dask is None or not left else Cluster(args.dask)
    try:
        if cluster is not None and not (workers := cluster.threads):
            raise UserError(f"the Dask cluster at {args.dask} has no workers; start some: dask worker {args.dask}")
        if not args.yes:
            _check_duration(problem, left, workers)
        # Only now is anything written.
        with Store(Path(args.output), plan, problem, code_version(), args.restart) as store:
            _complain_of(store)
            computed, seconds = _compute(problem, store, cluster, workers, tasks)
            about = {"computed": computed, "wall_seconds": round(seconds, 3), **cell_files.told_of(given), **notes}
            return _tell(args, plan, problem, store, store.rows(instances), about)
    finally:
        if cluster is not None:
            cluster.close()


# ---- what goes in ----------------------------------------------------------------------------------------------------


def load_data(model: Model, plan: Plan, given: str | None) -> network_inputs.Utterances:
    """The data of a plan, or what is ``given`` on the command line; errors as of :func:`.network_inputs.from_data`."""
    findings = notices.findings()
    if given is None:
        return network_inputs.from_data(model, plan.data, plan.folder, findings)
    return network_inputs.from_data(model, given, None, findings)


# ---- what is computed ------------------------------------------------------------------------------------------------


def _still_to_do(args, plan: Plan, problem: Problem, tasks: list[dict]) -> list[dict]:
    """All tasks, but for those whose results lie in the folder already."""
    if args.output is None:
        return tasks
    store = Store(Path(args.output), plan, problem, code_version(), args.restart)
    store.check()
    if args.restart or not store.begun:
        return tasks
    with store:
        _complain_of(store)
        return [task for task in tasks if not store.done(task)]


def _complain_of(store: Store) -> None:
    for name, why in store.damaged:
        notice(f"{store.parts / name} {why}; it is computed again")


def _check_duration(problem: Problem, left: list[dict], workers: int) -> None:
    seconds = _estimate(problem, left, workers)
    if seconds > _LIMIT:
        count = sum(task["count"] for task in left)
        raise UserError(
            f"this takes about {duration(seconds)}: {count} chips x {len(problem.codes)} recordings on "
            f"{workers} workers; add --yes to run it, or fewer chips or axes"
        )


def _estimate(problem: Problem, left: list[dict], workers: int) -> float:
    """Seconds that the tasks ``left`` take, from instances at some of their points.

    By processor time, since workers have one thread each: whether a plan needs ``--yes`` must not depend on what else
    the machine does just now.
    """
    points = sorted({task["point"] for task in left})
    if not points:
        return 0.0
    chosen = sorted({points[round(k * (len(points) - 1) / (_PROBED - 1))] for k in range(_PROBED)})
    each = []
    for point in chosen:
        probe = {"point": point, "first": 0, "count": 1}
        run_task(problem, probe)  # what all instances share is made once
        start = time.process_time()
        run_task(problem, probe)
        each.append(time.process_time() - start)
    return float(np.mean(each)) * sum(task["count"] for task in left) / min(workers, len(left))


def _facts(problem: Problem, instances, tasks, left, workers, seconds) -> dict:
    return {
        "points": len(problem.points),
        "chips": instances * len(problem.points),
        "recordings": len(problem.codes),
        "tasks": len(tasks),
        "tasks done": len(tasks) - len(left),
        "workers": workers,
        "estimate": duration(seconds),
        "estimated_seconds": round(seconds, 1),
    }


def _compute(problem: Problem, store: Store, cluster, workers: int, tasks: list[dict]) -> tuple[int, float]:
    """Run what is left; instances computed, and the seconds that took."""
    left = [task for task in tasks if not store.done(task)]
    if not left:
        return 0, 0.0
    data = problem.to_bytes()
    try:
        if cluster is None:
            write(store.problem_file, data)
            done = run_local(store.problem_file, left, workers)
        else:
            done = cluster.run(data, left)
        found = _collect(store, done, tasks, left)
    finally:
        store.problem_file.unlink(missing_ok=True)
    lost = sum(not store.done(task) for task in left)
    if lost:
        raise ExecutionError(f"{lost} of {len(left)} tasks ended without their results; run again to compute them")
    return found


def _collect(store: Store, done, tasks: list[dict], left: list[dict]) -> tuple[int, float]:
    progress, start, computed = Progress(), time.perf_counter(), 0
    total = sum(task["count"] for task in left)
    ended = len(tasks) - len(left)
    progress.show(f"{total} chips ...")
    try:
        with closing(done):
            for task, rows in done:
                store.add(task, rows)
                computed, ended = computed + len(rows), ended + 1
                spent = time.perf_counter() - start
                progress.show(
                    f"{computed} of {total} chips, {computed / spent:.1f}/s, "
                    f"{duration(spent / computed * (total - computed))} left"
                )
    except BaseException as error:
        if not isinstance(error, Exception):  # Ctrl-C
            notice(f"{ended} of {len(tasks)} tasks are done; the same command goes on")
        raise
    finally:
        progress.clear()
    return computed, time.perf_counter() - start


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


# ---- what comes out --------------------------------------------------------------------------------------------------


def _tell(args, plan: Plan, problem: Problem, store: Store, rows: list[dict], about: dict) -> int:
    if not rows:
        raise UserError(f"{store.folder}: has no results yet; leave --report out to go on")
    parquet = not args.csv and importlib.util.find_spec("pyarrow") is not None
    columns = ["point", "instance", "seed", *plan.axes, *plan.metrics]
    # A list of numbers is one text, so that a column has one type.
    values = [{name: _cell(value) for name, value in point.values.items()} for point in problem.points]
    results = store.write_results([row | values[row["point"]] for row in rows], columns, parquet)
    summary = summarize(problem.points, plan.metrics, rows)
    pictures, why = [], None
    try:
        pictures = _draw(plan, problem, store, summary, rows)
    except UserError as error:  # results are worth having without
        why = str(error)
    content = {
        "results": str(results),
        "pictures": [str(path) for path in pictures],
        **({"no_pictures": why} if why else {}),
        "chips": len(rows),
        "recordings": len(problem.codes),
        **about,
        "identity": store.identity,
        "points": [
            {"values": entry["values"], "metrics": {name: asdict(spread) for name, spread in entry["metrics"].items()}}
            for entry in summary
        ],
    }
    print(as_json(content) if args.json else _text(plan, content))
    return 0


def _draw(plan: Plan, problem: Problem, store: Store, summary: list[dict], rows: list[dict]) -> list[Path]:
    from ..plots.sweep_plot import plot_sweep

    names = (plan.plot["metric"],) if "metric" in plan.plot else plan.metrics
    paths = []
    for metric in names:
        path = store.folder / f"{metric}.png"
        title = _title(plan, problem, len(rows) // max(len(summary), 1))
        plot_sweep(path, plan, metric, summary, rows, title, _ideal(problem, metric))
        paths.append(path)
    return paths


def _title(plan: Plan, problem: Problem, chips: int) -> str:
    """Of the pictures: the model and the technologies by name, and how much was measured."""
    technologies = list(dict.fromkeys(point.technology.name for point in problem.points))
    of = ", ".join(technologies) if len(technologies) <= _NAMED else f"{len(technologies)} technologies"
    return f"{Path(plan.model).stem} on {of}: {chips} chips x {len(problem.codes):,} recordings"


def _ideal(problem: Problem, metric: str) -> float | None:
    """The accuracy of an ideal array, where all points have the same network."""
    if metric != "accuracy" or len({point.adc_bits for point in problem.points}) > 1:
        return None
    answers = problem.network(problem.points[0]).answers(problem.codes)
    return float((answers == problem.labels)[problem.labels >= 0].mean())


def _cell(value):
    return " ".join(map(repr, value)) if isinstance(value, tuple) else value


def _text(plan: Plan, content: dict) -> str:
    header = (*plan.axes, "metric", "mean", "sd", f"{BAND[0]} %", f"{BAND[1]} %", "worst")
    rows = []
    for entry in content["points"]:
        for name, spread in entry["metrics"].items():
            figures = [spread[key] for key in ("mean", "deviation", "low", "high", "worst")]
            cells = [f"{100 * v:.2f} %" if name in ("accuracy", "flips") else f"{v:.4f}" for v in figures]
            rows.append((*(_cell(value) for value in entry["values"].values()), name, *cells))
    facts = [
        ("chips", f"{content['chips']}, {content['recordings']} recordings each"),
        *([("cells", ", ".join(content["conductances"]))] if content["conductances"] else []),
        *notices.facts(content),
        ("computed now", f"{content['computed']} in {duration(content['wall_seconds'])}"),
        ("results", content["results"]),
        ("pictures", ", ".join(content["pictures"]) or content["no_pictures"]),
    ]
    right = tuple(range(len(plan.axes) + 1, len(header)))
    return f"{table(header, rows, right=right)}\n\n{table(('', ''), facts).lstrip()}"
