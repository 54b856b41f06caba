# SPDX-License-Identifier: Apache-2.0
"""``crossramp simulate``: utterances through the generated hardware, bit for bit against the golden model."""

import argparse

from crossramp import inputs, score
from crossramp.generate import with_lanes
from crossramp.golden.modelfile import Model, load_model
from crossramp.tables import Progress, as_json, table
from crossramp.verify import SIMULATORS, Outcome, choose, verify

_EPILOG = """\
examples:
  crossramp simulate kws recordings/            every .wav below the folder
  crossramp simulate kws --random 3 --seed 7 --simulator icarus
  crossramp simulate kws --features x.npy --json

The label of a recording is the name of the folder it lies in, where that is one of the model's classes.
Exit status: 0 all equal, 1 any difference, 2 wrong input.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "simulate",
        help="run recordings through the hardware and compare with the golden model",
        description="Runs utterances through the generated hardware in a simulator, with an ideal array behind it, and "
        "compares every code, cell state, h, logit and answer with the golden model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, or a shipped model's name")
    inputs.add_arguments(parser)
    parser.add_argument("--lanes", type=int, metavar="N", help="units updated in one clock (default: the model's)")
    parser.add_argument(
        "--simulator", choices=SIMULATORS, default="auto", help="auto: verilator where it is, else amaranth (default)"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 if anything differs, or UserError (or a ValueError of ours)."""
    model = load_model(args.model)
    if args.lanes is not None:
        model = with_lanes(model, args.lanes)
    utterances = inputs.from_arguments(model, args)
    simulator = choose(args.simulator)
    outcome = simulate(model, utterances, simulator)
    content = report(model, utterances, outcome)
    print(as_json(content) if args.json else text(model, content))
    return 1 if content["mismatches"] or content["violations"] else 0


def simulate(model: Model, utterances: inputs.Utterances, simulator: str, seconds: float | None = None) -> Outcome:
    """Simulate with a progress line; ``seconds`` as :func:`crossramp.verify.verify` takes it."""
    progress = Progress()
    count = len(utterances.codes)
    progress.show(f"{simulator}: {count} utterances")
    try:
        return verify(
            model.network,
            utterances.codes,
            simulator,
            progress=lambda done: progress.show(f"{simulator}: {done} of {count} utterances"),
            seconds=seconds,
        )
    finally:
        progress.clear()


def report(model: Model, utterances: inputs.Utterances, outcome: Outcome) -> dict:
    """Everything the command tells, as JSON types; accuracies as :func:`crossramp.score.accuracies` gives them."""
    rows = score.rows(model, utterances, outcome.answers, outcome.golden_answers)
    for k, row in enumerate(rows):
        row["codes_compared"] = int(outcome.compared[k])
        row["mismatches"] = int(outcome.mismatches[k])
        row["first_mismatch"] = outcome.first[k]
    return {
        "simulator": outcome.simulator,
        "utterances": len(rows),
        "steps": int(utterances.codes.shape[1]),
        "codes_compared": int(outcome.compared.sum()),
        "mismatches": int(outcome.mismatches.sum()),
        "violations": list(outcome.violations),
        **score.accuracies(utterances, outcome.answers, outcome.golden_answers),
        "clocks_per_step": outcome.clocks_per_step,
        "analog_clocks_per_step": model.spec.analog_clocks_per_step,
        "wall_seconds": round(outcome.seconds, 3),
        "rows": rows,
    }


def text(model: Model, content: dict) -> str:
    """The table and its summary."""
    rows = []
    for row in content["rows"]:
        rows.append((*score.cells(row), row["codes_compared"], score.equal(row)))
    header = ("utterance", "label", "hardware", "golden", "", "compared", "bit for bit")
    bound = content["analog_clocks_per_step"]
    ratio = content["clocks_per_step"] / bound
    facts = [
        ("utterances", f"{content['utterances']} of {content['steps']} steps, simulator {content['simulator']}"),
        ("compared", f"{content['codes_compared']:,} codes, cell states, h, logits and answers"),
        ("mismatches", f"{content['mismatches']:,}"),
        *([("rules broken", ", ".join(content["violations"]))] if content["violations"] else []),
        *score.facts(content),
        ("clocks per step", f"{content['clocks_per_step']}, {ratio:.3f} of the array's own {bound}"),
        ("wall time", f"{content['wall_seconds']:.1f} s, building included"),
    ]
    return f"{table(header, rows, right=(5,))}\n\n{table(('', ''), facts).lstrip()}"
