# SPDX-License-Identifier: Apache-2.0
"""``crossramp evaluate``: how good a model is, with an ideal array, on chips, and as generated hardware."""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.placed_chip import PlacedChip
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.model_file import Model, load_model
from crossramp.sim.array.array_setup import IDEAL, ArraySetup
from crossramp.sim.montecarlo.evaluation import Instances
from crossramp.train.data.word_folders import SPLITS

from ..inputs import cell_files, chip_options, options, subjects
from ..inputs.labeled_data import material
from ..output.messages import Progress
from ..output.tables import as_json, table, wrote
from ..process.processors import cores
from ..verification import Outcome, choose, verify

_CHIPS = 20
_RTL_CHIPS = 1
_FIRST_SEED = 1
_JOBS_MOST = 1024

_EPILOG = """\
examples:
  crossramp evaluate kws speech_commands_test_set --confusion confusion.png
  crossramp evaluate kws speech_commands_test_set --technology rram --chips 20
  crossramp evaluate kws speech_commands_test_set --technology rram --rtl
  crossramp evaluate kws speech_commands_test_set_v0.02 --speakers 7,8,9/10     the recordings of docs/results.md
  crossramp evaluate text.npz shakespeare.txt --rtl --characters 5000

DATA of a model of speech is a folder of recordings, CLASS/*.wav, or a whole data set in the layout of Speech Commands,
of which one split is used. Files that cannot be used are named, counted and left out (docs/recordings.md).
DATA of a model of texts is a text in UTF-8; of its training text, one split is used.
With --technology, a fast path that equals the golden model in every bit computes the chips. With --rtl, the generated
Verilog computes all recordings (or some characters of a text), and every code, cell state, h, logit and answer is
compared with the golden model.
Exit status: 0 done, 1 if hardware and golden model differ, 2 for invalid input; crossramp --help lists all.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "evaluate",
        description="Measures a model on labeled data: the golden model with an ideal array, on chips, and the "
        "generated hardware.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    options.add_model(parser)
    data = "a folder of recordings, CLASS/*.wav; demo: those of this package; .npz with codes and labels; or a text"
    add("data", metavar="DATA", help=data)
    add(
        "--split", choices=(*SPLITS, "all"), help="split of a whole data set, or of the training text (default testing)"
    )
    add("--speakers", metavar="R,R/M", help="only speakers whose SHA-1 modulo M is one of R, such as 7,8,9/10")
    options.add_picture(parser, "the confusion matrix", "--confusion")
    group = options.add_technology(parser)
    group.add_argument("--chips", type=int, metavar="N", help=f"number of chips (default {_CHIPS})")
    group.add_argument("--first-seed", type=int, metavar="S", help=f"seed of the first chip (default {_FIRST_SEED})")
    options.add_calibration(group, both=True)
    options.add_conductances(group)
    group.add_argument("--jobs", type=int, metavar="N", help="number of processes (default: the available cores)")
    hardware = parser.add_argument_group("hardware")
    add = hardware.add_argument
    add("--rtl", action="store_true", help="also simulate the generated Verilog and compare it bit for bit")
    add(
        "--rtl-chips",
        type=int,
        metavar="N",
        help=f"simulate the Verilog with the first N chips (default {_RTL_CHIPS})",
    )
    options.add_simulator(hardware, default=None, of="--rtl")
    add("--characters", type=int, metavar="N", help="characters of a text that are simulated (default 2000)")
    options.add_implementation(hardware)
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 if hardware and golden model differ, or UserError (or an InvalidValue)."""
    model = load_model(args.model)
    model = subjects.implemented(model, args)
    # All that can be refused is, before minutes are spent.
    plan = _Plan(model, args)
    progress = Progress()
    try:
        data = material(model, args, progress)
        content = {"model": model.content_hash, **data.facts(), "ideal": data.tell(data.ideal())}
        found = plan.instances(data, progress)
        content |= {"array": plan.array(), "chips": [_chips(data, one) for one in found]}
        outcomes = plan.hardware(data, found, progress)
        content["hardware"] = [told for told, _ in outcomes]
        progress.clear()
        if args.confusion:
            panels = [(_panel(told), score) for told, score in outcomes] or [
                ("golden model, ideal array", data.ideal())
            ]
            data.draw(Path(args.confusion), panels)
            content["picture"] = args.confusion
    finally:
        progress.clear()
    print(as_json(content) if args.json else text(data, content))
    return 1 if any(told["mismatches"] or told["violations"] for told in content["hardware"]) else 0


class _Plan:
    """What is asked for beside the ideal array: chips, and simulations of the hardware."""

    def __init__(self, model: Model, args: argparse.Namespace):
        self.model, self.network = model, model.network
        others = ("chips", "first_seed", "calibration", "rtl_chips", *cell_files.OPTIONS)
        asked = chip_options.technology_of(args, others)
        self.chips: ChipSample | None = None
        self.given: cell_files.Given | None = None
        if not args.rtl:
            for option in ("rtl_chips", "simulator"):
                if getattr(args, option) is not None:
                    raise UserError(f"--{option.replace('_', '-')} belongs to the hardware; add --rtl, or leave it out")
        count = _number(args, "chips", _CHIPS, 1, 1_000_000)
        first = _number(args, "first_seed", _FIRST_SEED, 0, (1 << 63) - 1_000_001)
        self.jobs = _number(args, "jobs", cores(), 1, _JOBS_MOST)
        self.rtl_count = _number(args, "rtl_chips", _RTL_CHIPS, 0, 1000)
        self.simulator = choose(args.simulator or "auto") if args.rtl else None
        calibrations = chip_options.calibrations_of(args, *model.spec.macros.values())
        if args.confusion:
            from ..plots.figures import check_format  # with matplotlib, which takes a second

            check_format(Path(args.confusion))
            if not Path(args.confusion).parent.is_dir():
                raise UserError(f"{Path(args.confusion).parent}: no such folder; make it first")
        if asked:
            technology, switches = asked
            self.given = cell_files.given_of(args, technology, model)
            cells = None if self.given is None else self.given.cells
            self.chips = ChipSample(technology, count, first, switches, calibrations, cells)

    def array(self) -> dict | None:
        """What the chips are made of, as JSON types."""
        if self.chips is None:
            return None
        return chip_options.array_of(self.chips.technology, self.chips.switches, self.given)

    def instances(self, data, progress: Progress) -> list[Instances]:
        """All chips, under every calibration that is asked for."""
        if self.chips is None:
            return []
        started = time.perf_counter()

        def show(done: int, total: int) -> None:
            left = f", {(time.perf_counter() - started) / done * (total - done):.0f} s left" if done else ""
            progress.show(f"chips: {done} of {total}{left}")

        return data.instances(self.chips, jobs=self.jobs, progress=show)

    def hardware(self, data, found: list[Instances], progress: Progress) -> list[tuple[dict, object]]:
        """Every simulation that is asked for: what is told of it, as JSON types, and its score."""
        if self.simulator is None:
            return []
        outcomes = [self._simulate(data, None, {"array": "ideal"}, progress)]
        if self.chips is None:
            return outcomes
        first = self.chips.first_seed
        for seed in range(first, first + self.rtl_count):
            for calibration in self.chips.calibrations:
                chip = PlacedChip.of(self.network.spec, self.network.weights, self.chips, seed, calibration)
                about = {"array": self.chips.technology.name, "seed": seed, "calibration": str(calibration)}
                about |= {"calibration_port": chip.shown_port, "calibration_failed": chip.failed}
                told, score = self._simulate(data, chip, about, progress)
                _check_fast_path(data, found, told, score)
                outcomes.append((told, score))
        return outcomes

    def _simulate(self, data, chip: PlacedChip | None, about: dict, progress: Progress) -> tuple[dict, object]:
        codes = data.simulated
        name = "ideal array" if chip is None else f"{about['array']}, chip {about['seed']}, {about['calibration']}"
        head = f"{self.simulator}, {name}: "
        progress.show(f"{head}{len(codes)} {data.UTTERANCES}")
        outcome = verify(
            self.network,
            codes,
            self.simulator,
            IDEAL if chip is None else ArraySetup.of_chip(chip),
            progress=lambda done: progress.show(f"{head}{done} of {len(codes)} {data.UTTERANCES}"),
            checking=lambda done: progress.show(f"{head}{done} of {len(codes)} {data.UTTERANCES} compared"),
        )
        score = data.of(outcome.observed.answers, outcome.observed.logits)
        golden = data.of(outcome.golden.answers, outcome.golden.logits)
        told = {**about, **data.tell(score), "golden": golden.value, **_comparison(outcome, len(codes))}
        return told, score


def _comparison(outcome: Outcome, utterances: int) -> dict:
    """What a simulation showed, as JSON types; SimulationError where it compared nothing, or not everything."""
    from crossramp.sim.tools.simulators import SimulationError

    board, simulator = outcome.board, outcome.result.simulator
    compared = int((board.compared_by_utterance > 0).sum())
    if not compared or compared != utterances:
        raise SimulationError(f"{simulator}: {compared} of {utterances} were compared; nothing is proved")
    first = next((f"{k}: {where}" for k, where in enumerate(board.first_by_utterance) if where is not None), None)
    return {
        "simulator": simulator,
        "compared": board.total,
        "mismatches": board.wrong,
        "first_mismatch": first,
        "violations": list(outcome.violations),
        "clocks_per_step": outcome.clocks_per_step,
        "wall_seconds": round(outcome.seconds, 3),
    }


def _check_fast_path(data, found: list[Instances], told: dict, score) -> None:
    """The traced golden model, which hardware is compared with, and the fast one count the same; else RuntimeError."""
    for one in found:
        if str(one.calibration) == told["calibration"] and told["seed"] in one.seeds and not told["mismatches"]:
            fast = one.values[one.seeds.index(told["seed"])]
            if not data.same(fast, score):
                raise RuntimeError(
                    f"chip {told['seed']}: the fast path has {data.show(fast)}, the hardware {data.show(score.value)}, "
                    "and yet it equals the golden model: the fast path is wrong"
                )


def _number(args: argparse.Namespace, option: str, default: int, low: int, high: int) -> int:
    value = getattr(args, option)
    return default if value is None else integer(f"--{option.replace('_', '-')}", value, low, high)


# ---- what comes out --------------------------------------------------------------------------------------------------


def _chips(data, found: Instances) -> dict:
    """As JSON types."""
    spread = asdict(found.spread)
    extremes = {"worst": found.worst, "best": found.best}
    return {
        "calibration": str(found.calibration),
        **{name: spread[name] for name in ("count", "mean", "deviation", "low", "high", "error")},
        **{name: {"seed": seed, data.METRIC: value} for name, (seed, value) in extremes.items()},
        "values": [{"seed": seed, data.METRIC: value} for seed, value in zip(found.seeds, found.values, strict=True)],
    }


def _panel(told: dict) -> str:
    if told["array"] == "ideal":
        return f"hardware ({told['simulator']}), ideal array"
    return f"hardware ({told['simulator']}), {told['array']}, chip {told['seed']}, calibration {told['calibration']}"


def text(data, content: dict) -> str:
    """Everything as tables."""
    parts = [data.text(content)]
    if content["chips"]:
        parts.append(_chips_text(data, content))
    if content["hardware"]:
        parts.append(_hardware_text(data, content))
    return "\n\n".join(parts) + wrote(content)


def _chips_text(data, content: dict) -> str:
    array = content["array"]
    off = f", without {', '.join(array['effects_off'])}" if array["effects_off"] else ""
    seeds = [chip["seed"] for chip in content["chips"][0]["values"]]
    given = f", cells of {', '.join(array['conductances'])}" if array["conductances"] else ""
    head = f"{len(seeds)} chips, seeds {seeds[0]} to {seeds[-1]}: {array['technology']}"
    rows = []
    for one in content["chips"]:
        cells = [data.show(one["mean"]), data.show(one["deviation"])]
        cells += [f"{data.show(one[name][data.METRIC])} (chip {one[name]['seed']})" for name in ("worst", "best")]
        rows.append((one["calibration"], *cells))
    header = ("calibration", "mean", "sd", "worst", "best")
    return f"{head} ({array['technology_hash']}){off}{given}\n{table(header, rows, right=(1, 2, 3, 4))}"


def _hardware_text(data, content: dict) -> str:
    rows, notes = [], []
    for told in content["hardware"]:
        array = "ideal" if told["array"] == "ideal" else f"{told['array']}, chip {told['seed']}, {told['calibration']}"
        equal = "equal" if not told["mismatches"] else f"{told['mismatches']:,} differ"
        figures = data.show(told[data.METRIC]), data.show(told["golden"])
        cells = (*figures, f"{told['compared']:,}", equal, told["clocks_per_step"])
        rows.append((array, *cells, f"{told['wall_seconds']:.0f} s"))
        if told["first_mismatch"]:
            notes.append(f"{array}: first difference in {data.UTTERANCE} {told['first_mismatch']}")
        if told["violations"]:
            notes.append(f"{array}: rules broken: {', '.join(told['violations'])}")
        if told.get("calibration_failed"):
            notes.append(f"{array}: beyond the reach of the bias cells: {', '.join(told['calibration_failed'])}")
    header = ("array", data.METRIC, "golden", "values compared", "bit for bit", "clocks per step", "time")
    head = f"generated hardware, {content['hardware'][0]['simulator']}: {data.simulated_text()}"
    return "\n".join([head, table(header, rows, right=(1, 2, 3, 5, 6)), *notes])
