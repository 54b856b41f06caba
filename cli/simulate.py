# SPDX-License-Identifier: Apache-2.0
"""``crossramp simulate``: utterances through the generated hardware, bit for bit against the golden model."""

import argparse

import numpy as np
from crossramp import inputs
from crossramp.errors import UserError
from crossramp.generate import with_lanes
from crossramp.golden.modelfile import Model, load_model
from crossramp.tables import Progress, as_json, percent, table
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
    parser.add_argument("audio", metavar="AUDIO", nargs="*", help="recordings (.wav), or folders of them")
    parser.add_argument("--features", metavar="X.npy", help="real features or pulse codes: (utterances, steps, inputs)")
    parser.add_argument("--random", type=int, metavar="N", help="N utterances of random pulse codes")
    parser.add_argument("--seed", type=int, metavar="S", help="of --random (default 1)")
    parser.add_argument("--steps", type=int, metavar="T", help="of each random utterance")
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
    utterances = _utterances(model, args)
    simulator = choose(args.simulator)
    outcome = simulate(model, utterances, simulator)
    content = report(model, utterances, outcome)
    print(as_json(content) if args.json else text(model, content))
    return 1 if content["mismatches"] or content["violations"] else 0


def _utterances(model: Model, args: argparse.Namespace) -> inputs.Utterances:
    given = {"AUDIO": bool(args.audio), "--features": args.features is not None, "--random": args.random is not None}
    if sum(given.values()) != 1:
        named = " and ".join(name for name, there in given.items() if there) or "nothing"
        raise UserError(f"what to simulate? {named} is given; give one of AUDIO, --features X.npy and --random N")
    for option in ("seed", "steps"):
        if args.random is None and getattr(args, option) is not None:
            raise UserError(f"--{option} {getattr(args, option)} belongs to --random; leave it out, or add --random N")
    if args.audio:
        return inputs.from_audio(model, args.audio)
    if args.features is not None:
        return inputs.from_features(model, args.features)
    return inputs.from_seed(model, args.random, 1 if args.seed is None else args.seed, args.steps)


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
    """Everything the command tells, as JSON types; accuracies are None where no label is known."""
    spec, names = model.spec, model.class_names
    rows = []
    for k, (name, label) in enumerate(zip(utterances.names, utterances.labels, strict=True)):
        rows.append(
            {
                "name": name,
                "label": None if label is None else names[label],
                "answer": _name(names, outcome.answers[k]),
                "golden_answer": names[outcome.golden_answers[k]],
                "codes_compared": int(outcome.compared[k]),
                "mismatches": int(outcome.mismatches[k]),
                "first_mismatch": outcome.first[k],
            }
        )
    known = np.array([label is not None for label in utterances.labels])
    labels = np.array([-1 if label is None else label for label in utterances.labels])
    labeled = int(known.sum())
    correct = int((outcome.answers == labels)[known].sum())
    golden_correct = int((outcome.golden_answers == labels)[known].sum())
    return {
        "simulator": outcome.simulator,
        "utterances": len(rows),
        "steps": int(utterances.codes.shape[1]),
        "codes_compared": int(outcome.compared.sum()),
        "mismatches": int(outcome.mismatches.sum()),
        "violations": list(outcome.violations),
        "labeled": labeled,
        "correct": correct,
        "golden_correct": golden_correct,
        "accuracy": correct / labeled if labeled else None,
        "golden_accuracy": golden_correct / labeled if labeled else None,
        "clocks_per_step": outcome.clocks_per_step,
        "analog_clocks_per_step": spec.analog_clocks_per_step,
        "wall_seconds": round(outcome.seconds, 3),
        "rows": rows,
    }


def _name(names: tuple[str, ...], index: int) -> str:
    """The class, or the number where hardware answered with one that does not exist."""
    return names[index] if 0 <= index < len(names) else str(int(index))


def text(model: Model, content: dict) -> str:
    """The table and its summary."""
    rows = []
    for row in content["rows"]:
        right = "" if row["label"] is None else "right" if row["answer"] == row["label"] else "wrong"
        same = "equal" if row["mismatches"] == 0 else f"{row['mismatches']} differ: {row['first_mismatch']}"
        label = row["label"] or "-"
        rows.append((row["name"], label, row["answer"], row["golden_answer"], right, row["codes_compared"], same))
    header = ("utterance", "label", "hardware", "golden", "", "compared", "bit for bit")
    labeled = content["labeled"]
    bound = content["analog_clocks_per_step"]
    ratio = content["clocks_per_step"] / bound
    facts = [
        ("utterances", f"{content['utterances']} of {content['steps']} steps, simulator {content['simulator']}"),
        ("compared", f"{content['codes_compared']:,} codes, cell states, h, logits and answers"),
        ("mismatches", f"{content['mismatches']:,}"),
        *([("rules broken", ", ".join(content["violations"]))] if content["violations"] else []),
        ("accuracy", f"hardware {percent(content['correct'], labeled)}"),
        ("", f"golden model {percent(content['golden_correct'], labeled)}"),
        ("clocks per step", f"{content['clocks_per_step']}, {ratio:.3f} of the array's own {bound}"),
        ("wall time", f"{content['wall_seconds']:.1f} s, building included"),
    ]
    return f"{table(header, rows, right=(5,))}\n\n{table(('', ''), facts).lstrip()}"
