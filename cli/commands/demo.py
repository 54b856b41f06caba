# SPDX-License-Identifier: Apache-2.0
"""``crossramp demo``: the shipped model of speech, from weights to Verilog, recordings, pictures; or one of texts."""

import argparse
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from crossramp.golden.common.errors import UserError
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.model_file import Model, load_model

from ..inputs import network_inputs, options
from ..output.output_folder import written_folder
from ..output.tables import as_json
from ..verification import Outcome, choose
from . import demo_text
from .generate import GenerateOptions, generate, module_name
from .simulate import report, simulate, text

MODEL = "kws"
FOLDER = "demo"

_EPILOG = """\
examples:
  crossramp demo -o demo
  crossramp demo text --prompt "ROMEO:" --characters 500 --temperature 0.5 --seed 7
  crossramp demo text --model mine.npz --technology rram --chip-seed 3 --json

Exit status: 0 if all is equal, 1 if anything differs, 2 for invalid input; crossramp --help lists all.
"""

#: Clocks of Amaranth's simulator, the slow one: a minute or so, and one recording of each word. Not a time: which
#: recordings are simulated must not depend on how busy the machine is.
_CLOCKS = 70_000

#: The step that is drawn, where the utterance has as many.
_DRAWN_STEP = 20


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "demo",
        description="speech: generates the Verilog of the shipped model, runs the recordings that come with it through "
        "the hardware in a simulator, compares every value with the golden model, and draws what happened.\n\n"
        "text: a language model in the simulator writes a text, character by character; the logits come from the "
        "hardware, softmax and draw are the host's, and every value is compared with the golden model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=("speech", "text"), default="speech", help="default: speech")
    options.add_output(parser, f"speech: the folder to write (default: {FOLDER})")
    options.add_simulator(parser)
    options.add_force(parser)
    options.add_json(parser)
    demo_text.add_arguments(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 if hardware and golden model differ anywhere, or UserError."""
    of_text = args.what == "text"
    for name in ("output", "force") if of_text else demo_text.OPTIONS:
        value = getattr(args, name)
        if value is not None and value is not False:
            whole = "crossramp demo, without text" if of_text else "crossramp demo text"
            raise UserError(f"--{name.replace('_', '-')} belongs to {whole}; leave it out, or run that")
    return demo_text.run(args) if of_text else _speech(args)


def _speech(args: argparse.Namespace) -> int:
    say = (lambda *_: None) if args.json else print
    simulator = choose(args.simulator)
    model = load_model(MODEL)
    folder = Path(FOLDER if args.output is None else args.output)

    say(f"1. Verilog of the model {MODEL} ...")
    verilog = folder / "verilog"
    generate(model, verilog, GenerateOptions(module_name(MODEL, "network")), args.force)
    say(f"   {verilog}: hardware, ramp program, conductance map, self-checking testbench\n")

    say(f"2. Recordings through the hardware, in the simulator {simulator} ...\n")
    with as_file(files("crossramp.cli") / "demo_data" / "recordings") as recordings:
        utterances = network_inputs.from_audio(model, [recordings])
    whole = len(utterances.names)
    done = min(whole, max(_CLOCKS // (utterances.codes.shape[1] * model.spec.clocks_per_step), 1))
    done = done if simulator == "amaranth" else whole
    utterances = utterances.take(_one_of_each_first(utterances.labels)[:done])
    outcome = simulate(model, utterances, simulator)
    content = report(model, utterances, outcome)
    content["recordings"] = whole
    say(text(model, content))
    if done < whole:
        say(f"\n{done} of the {whole} recordings, since Amaranth's own simulator is slow.")
        say("crossramp simulate kws --simulator amaranth runs any of them; Verilator runs all in seconds.")

    say("\n3. Pictures ...")
    pictures = folder / "pictures"
    with written_folder(pictures, args.force) as unfinished:
        drawn = draw(unfinished, model, utterances, outcome, _recording_to_draw(utterances, outcome))
    for name, what in drawn.items():
        say(f"   {pictures / name}: {what}")
    same = content["mismatches"] == 0 and not content["violations"]
    say("\nThe hardware equals the golden model in every bit." if same else "\nThe hardware differs; see the table.")
    if args.json:
        content["folder"] = str(folder)
        content["pictures"] = [str(pictures / name) for name in drawn]
        print(as_json(content))
    return 0 if same else 1


def draw(
    folder: Path, model: Model, utterances: network_inputs.Utterances, outcome: Outcome, chosen: int
) -> dict[str, str]:
    """Draw utterance ``chosen`` into an existing folder; file name to description."""
    from crossramp.sim.amaranth.step_trace import trace_step

    from ..plots import demo_pictures  # matplotlib takes a moment to import

    spec = model.spec
    name, codes, h = utterances.names[chosen], utterances.codes[chosen], outcome.observed.h[chosen]
    step = min(_DRAWN_STEP, len(codes) - 1)
    waves = trace_step(model.network, codes, step)
    title = f"{MODEL}, step {step} of {name}, as simulated: {len(waves.tap)} clocks"
    answer = model.class_names[outcome.observed.answers[chosen]]
    demo_pictures.draw_ramps(folder / "ramps.png", spec)
    demo_pictures.draw_step(folder / "step.png", spec, waves, title)
    demo_pictures.draw_utterance(
        folder / "utterance.png",
        codes,
        h,
        spec.input_max,
        dict(zip(model.class_names, running_logits(model, h).T, strict=True)),
        meaning=model.feature_settings.meaning,
        title=f'{MODEL}, {name}: the hardware answers "{answer}"',
    )
    return {
        "ramps.png": "the ramps and their steps",
        "step.png": "one step clock by clock: pulses, ramp, comparators, codes",
        "utterance.png": "one utterance: features, h and logits over time",
    }


def _one_of_each_first(labels: list[int | None]) -> list[int]:
    """Places of the first recording of each class, then of the second: however many are taken, every word is in."""
    turns = [labels[:k].count(label) for k, label in enumerate(labels)]
    return sorted(range(len(labels)), key=lambda k: (turns[k], k))


def _recording_to_draw(utterances: network_inputs.Utterances, outcome: Outcome) -> int:
    """The first recording of a word that the hardware got right; silence makes a dull picture."""
    done = len(outcome.observed.answers)
    labels = np.array([-1 if label is None else label for label in utterances.labels[:done]])
    spoken = np.array([not name.startswith("_") for name in utterances.names[:done]])
    good = np.flatnonzero((labels == outcome.observed.answers) & spoken)
    return int(good[0]) if len(good) else 0


def running_logits(model: Model, h: np.ndarray) -> np.ndarray:
    """What the head would say after each step: logits of the steps so far; int64, shape (steps, classes)."""
    network = model.network
    return np.stack([network.with_head(Trace(h=h[None, : step + 1])).logits[0] for step in range(len(h))])
