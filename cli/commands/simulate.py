# SPDX-License-Identifier: Apache-2.0
"""``crossramp simulate``: utterances through the generated hardware, bit for bit against the golden model."""

import argparse

from crossramp.golden.network.model_file import Model, load_model
from crossramp.sim.array.array_setup import IDEAL

from .. import scored_answers
from ..inputs import chip_options, network_inputs, options, subjects
from ..output import notices
from ..output.messages import Progress
from ..output.tables import as_json, table
from ..verification import Outcome, choose, in_words, verify

_EPILOG = """\
examples:
  crossramp simulate kws recordings/            every .wav below the folder
  crossramp simulate kws --random 3 --seed 7 --simulator icarus
  crossramp simulate kws demo                   the recordings of this package
  crossramp simulate kws --features x.npy --json
  crossramp simulate kws recordings/ --technology rram --chip-seed 7 --no drift,wires --calibration found

With --technology the array is one chip of it, its noise included, and the golden model computes with the same chip; the
column "ideal" says what an ideal array would have answered.

Where a network's initial states come through a stream, a .npz file has them as its arrays initial_c and initial_h, of
the shapes (utterances, units) and (utterances, hidden). Its array keep, bool, says which utterances keep their state
for the next one, where the network can do that. --random draws both.

The label of a recording is the name of the folder it lies in, where that is one of the model's classes. Recordings
that cannot be used are named, counted and left out, and so are ends that are cut off: docs/recordings.md.
Exit status: 0 if all is equal, 1 if anything differs, 2 for invalid input; crossramp --help lists all.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "simulate",
        description="Runs utterances through the generated hardware in a simulator, with an ideal array or a device "
        "instance behind it, and compares every code, cell state, h, logit and answer with the golden model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_model(parser)
    options.add_utterances(parser)
    options.add_chip(parser)
    options.add_implementation(parser)
    options.add_simulator(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 if anything differs, or UserError (or an InvalidValue)."""
    model = load_model(args.model)
    model = subjects.implemented(model, args)
    utterances = network_inputs.from_arguments(model, args)
    array = chip_options.array_from_arguments(args, model)
    simulator = choose(args.simulator)
    outcome = simulate(model, utterances, simulator, array=array)
    content = report(model, utterances, outcome, array)
    print(as_json(content) if args.json else text(model, content))
    return 1 if content["mismatches"] or content["violations"] else 0


def simulate(
    model: Model,
    utterances: network_inputs.Utterances,
    simulator: str,
    array: chip_options.Array | None = None,
) -> Outcome:
    """Simulate with a progress line."""
    progress = Progress()
    count = len(utterances.codes)
    progress.show(f"{simulator}: {count} utterances")
    try:
        return verify(
            model.network,
            utterances.codes,
            simulator,
            IDEAL if array is None else array.setup,
            starts=utterances.starts,
            progress=lambda done: progress.show(f"{simulator}: {done} of {count} utterances"),
            checking=lambda done: progress.show(f"golden model: {done} of {count} utterances compared"),
        )
    finally:
        progress.clear()


def report(
    model: Model, utterances: network_inputs.Utterances, outcome: Outcome, array: chip_options.Array | None = None
) -> dict:
    """Everything the command tells, as JSON types; accuracies as :func:`.scored_answers.accuracies` gives them."""
    board, steps = outcome.board, int(utterances.codes.shape[1])
    sides = (outcome.observed, outcome.golden, outcome.ideal)
    answers = [None if trace is None else model.results(trace, steps) for trace in sides]
    rows = scored_answers.rows(model, utterances, *answers)
    for k, row in enumerate(rows):
        row["codes_compared"] = int(board.compared_by_utterance[k])
        row["mismatches"] = int(board.mismatched_by_utterance[k])
        row["first_mismatch"] = in_words(board.first_by_utterance[k])
    return {
        "simulator": outcome.result.simulator,
        "array": None if array is None else array.to_dict(),
        "utterances": len(rows),
        "steps": steps,
        "codes_compared": board.total,
        "mismatches": board.wrong,
        "violations": list(outcome.violations),
        **scored_answers.accuracies(utterances, *answers),
        "clocks_per_step": outcome.clocks_per_step,
        "analog_clocks_per_step": model.spec.analog_clocks_per_step,
        "wall_seconds": round(outcome.seconds, 3),
        **utterances.findings.to_dict(),
        "rows": rows,
    }


def text(model: Model, content: dict) -> str:
    """The table and its summary."""
    rows = []
    for row in content["rows"]:
        rows.append((*scored_answers.cells(row), row["codes_compared"], scored_answers.equal(row)))
    ideal = ("ideal",) if content["array"] else ()
    header = ("utterance", "label", "hardware", "golden", *ideal, "", "compared", "bit for bit")
    bound = content["analog_clocks_per_step"]
    ratio = content["clocks_per_step"] / bound
    facts = [
        *array_facts(content["array"]),
        ("utterances", f"{content['utterances']} of {content['steps']} steps, simulator {content['simulator']}"),
        *notices.facts(content),
        ("compared", f"{content['codes_compared']:,} codes, cell states, h, logits and answers"),
        ("mismatches", f"{content['mismatches']:,}"),
        *([("rules broken", ", ".join(content["violations"]))] if content["violations"] else []),
        *scored_answers.facts(content),
        ("clocks per step", f"{content['clocks_per_step']}, {ratio:.3f} of the array's own {bound}"),
        ("wall time", f"{content['wall_seconds']:.1f} s, building included"),
    ]
    return f"{table(header, rows, right=(len(header) - 2,))}\n\n{table(('', ''), facts).lstrip()}"


def array_facts(array: dict | None) -> list[tuple[str, str]]:
    """The array as lines of the summary; nothing of an ideal one."""
    if array is None:
        return []
    lines = [("array", f"technology {array['technology']} ({array['technology_hash']}), device {array['chip_seed']}")]
    if array["effects_off"]:
        lines.append(("", f"without {', '.join(array['effects_off'])}"))
    if array["conductances"]:
        lines.append(("", f"cells of {', '.join(array['conductances'])}"))
    lines.append(("calibration", array["calibration"]))
    if array["calibration_failed"]:
        lines.append(("", f"beyond the reach of the bias cells: {', '.join(array['calibration_failed'])}"))
    return lines
