# SPDX-License-Identifier: Apache-2.0
"""``crossramp demo text``: a text whose every character is drawn from the logits of simulated gateware."""

import argparse
import math
import sys
from dataclasses import dataclass, field

import numpy as np
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue, UserError
from crossramp.golden.inputs.text_codes import TextSettings, bits_per_character, character_name, probabilities
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.model_file import Model, load_model
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from crossramp.sim.array.array_setup import IDEAL
from crossramp.sim.checking.scoreboard import Scoreboard

from ..inputs import chip_options, options, subjects
from ..output.messages import Progress
from ..output.tables import as_json
from ..verification import choose
from . import simulate

MODEL = "text"
PROMPT = "ROMEO:"
TEMPERATURE = 0.7
SEED = 1

#: Clocks that a simulator makes of 128 units in about half a minute; by default as many characters as fit.
CLOCKS = {"verilator": 700_000, "icarus": 100_000, "amaranth": 50_000}
#: Fewest and most of them.
CHARACTERS = (10, 200)

_CHARACTERS_MAX = 1_000_000

#: Options of the text alone; they are None unless given.
OPTIONS = (
    *("model", "prompt", "characters", "temperature", "seed", "calibration", *options.IMPLEMENTATION),
    *("technology", "set", "no", "chip_seed", "conductances", "conductances_g_max"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that belong to the text alone."""
    group = parser.add_argument_group("text")
    options.add_model_option(group, f"a model of texts (default: {MODEL})")
    group.add_argument("--prompt", metavar="TEXT", help=f"text that the network reads first (default {PROMPT!r})")
    fewest, most = CHARACTERS
    about = f"default {fewest} to {most}: what takes about half a minute"
    group.add_argument("--characters", type=int, metavar="N", help=f"how many to draw ({about})")
    group.add_argument(
        "--temperature",
        type=float,
        metavar="R",
        help=f"below 1 favors likely characters; 0 takes the most likely one (default {TEMPERATURE})",
    )
    group.add_argument("--seed", type=int, metavar="S", help=f"seed of the draws (default {SEED})")
    options.add_implementation(group)
    options.add_chip(parser)


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 if hardware and golden model differ anywhere, or UserError (or an InvalidValue)."""
    model = _text_model(args)
    settings = model.text_settings
    array = chip_options.array_from_arguments(args, model)
    simulator = choose(args.simulator)
    temperature = TEMPERATURE if args.temperature is None else args.temperature
    seed = SEED if args.seed is None else args.seed
    prompt = _default_prompt(settings) if args.prompt is None else args.prompt
    count = _default_characters(model, simulator) if args.characters is None else args.characters
    _check(settings, prompt, count, temperature, seed)
    if not args.json:
        spec = model.spec
        print(
            f"{args.model or MODEL}: {spec.units} units, {spec.classes} characters; "
            f"hardware in {simulator}, temperature {temperature:g}, seed {seed}\n"
        )
    said = Said(model.spec, settings, prompt, temperature, seed)
    clocks = _say(said, model, count, simulator, array, _silent if args.json else _show)
    content = report(said, clocks, simulator, array)
    print(as_json(content) if args.json else "\n\n" + summary(content))
    return 1 if said.board.wrong else 0


def _text_model(args: argparse.Namespace) -> Model:
    name = args.model or MODEL
    model = load_model(name)
    if model.text_settings is None:
        raise UserError(f"{name} is not a model of texts: make one with crossramp train text, and name it with --model")
    return subjects.implemented(model, args)


def _default_prompt(settings: TextSettings) -> str:
    """The usual one where the model knows its characters, else the first character that it knows."""
    return PROMPT if set(PROMPT) <= set(settings.vocabulary) else settings.vocabulary[0]


def _default_characters(model: Model, simulator: str) -> int:
    spec = model.spec
    clocks = spec.head_clocks + spec.inputs + spec.macro_clocks
    fewest, most = CHARACTERS
    return min(max(CLOCKS[simulator] // clocks, fewest), most)


def _check(settings: TextSettings, prompt: str, count: int, temperature: float, seed: int) -> None:
    if not prompt:
        raise UserError("--prompt is empty; give at least one character, the network says what comes after it")
    try:
        settings.indices(prompt)
    except InvalidValue as error:
        raise UserError(f"--prompt: {error}") from None
    integer("--characters", count, 1, _CHARACTERS_MAX)
    if not 0 <= temperature < math.inf:
        raise UserError(f"--temperature is {temperature}; allowed: 0, always the most likely character, or above")
    integer("--seed", seed, 0, (1 << 63) - 1)


@dataclass
class Said:
    """A text as it arises, and what was compared on the way.

    Parameters
    ----------
    spec : Specification
    settings : TextSettings
    prompt : str
    temperature : float
        0: the most likely character, the first one of equals.
    seed : int
        Of the draws: equal logits and seeds draw equal characters.

    Attributes
    ----------
    text : str
        The prompt, and what came so far.
    logits : list of int64 arrays, shape (characters,)
        The hardware's, after each step.
    board : Scoreboard
        Every value of every step; a step is one utterance to it.
    """

    spec: Specification
    settings: TextSettings
    prompt: str
    temperature: float
    seed: int
    text: str = field(init=False)
    logits: list[np.ndarray] = field(init=False, default_factory=list)
    board: Scoreboard = field(init=False)

    def __post_init__(self):
        self.text = self.prompt
        self.board = Scoreboard(self.spec)
        self._rng = np.random.default_rng(self.seed)

    def draw(self) -> str:
        """The next character, by the last logits; it is appended to the text."""
        logits = self.logits[-1]
        if self.temperature == 0:
            chosen = int(logits.argmax())
        else:
            sums = np.cumsum(probabilities(logits, self.settings.logit_scale, self.temperature))
            chosen = min(int(np.searchsorted(sums, self._rng.random() * sums[-1], side="right")), len(sums) - 1)
        self.text += self.settings.vocabulary[chosen]
        return self.text[-1]

    def compare(self, golden: Trace, have: Trace) -> None:
        """Compare the next step: traces of one utterance of one step."""
        self.board.compare(golden, have)
        self.logits.append(have.logits[0, 0])

    @property
    def first(self) -> str | None:
        """Where the first value differs, in words; None where all are equal."""
        if not self.board.mismatches:
            return None
        mismatch = self.board.mismatches[0]
        step = mismatch.utterance
        return f"step {step}, which reads {character_name(self.text[step])!r}: {mismatch.without_step}"

    def bits(self, begin: int, end: int) -> float | None:
        """Bits per character that the hardware's logits gave to characters begin to end - 1 (not the first one)."""
        targets = self.settings.indices(self.text[max(begin, 1) : end])
        if not len(targets):
            return None
        return bits_per_character(self.logits[max(begin, 1) - 1 : end - 1], targets, self.settings.logit_scale)


class Golden:
    """The golden model, step by step: what the hardware must show after each character.

    Parameters
    ----------
    network : Network
    array : crossramp.cli.inputs.chip_options.Array or None
        The chip behind the hardware; None: an ideal array.
    """

    def __init__(self, network: Network, array: chip_options.Array | None = None):
        self.network = network if array is None else array.chip.behind(network)
        self._state, self._conversions = self.network.lstm.start(1), 0

    def step(self, codes: np.ndarray) -> Trace:
        """The trace of one utterance of one step; ``codes``: shape (inputs,)."""
        # The noise of a device depends on the conversion's number.
        trace = self.network.lstm.step(codes[None], *self._state, self._conversions)
        self._state, self._conversions = (trace.c, trace.h), self._conversions + len(self.network.spec.conversions)
        return self.network.with_head(Trace.stack([trace]))


def _say(said: Said, model: Model, count: int, simulator: str, array: chip_options.Array | None, show) -> np.ndarray:
    """Read the prompt and draw ``count`` characters, each shown at once; the clocks from one step to the next."""
    from crossramp.sim.bulk.interactive import Session
    from crossramp.sim.tools.simulators import HardwareError, SimulationError

    progress, network = Progress(), model.network
    setup = IDEAL if array is None else array.setup
    golden, steps = Golden(network, array), len(said.prompt) + count - 1
    try:
        progress.show(f"{simulator}: building the simulation")
        with Session(network, simulator=simulator, array=setup) as session:
            for step in range(steps):
                if step < len(said.prompt):
                    progress.show(f"{simulator}: reading the prompt")
                codes = said.settings.codes(said.text[step])[0]
                session.step(codes, last=step == steps - 1)
                said.compare(golden.step(codes), session.trace(step))
                if step == len(said.prompt) - 1:
                    progress.clear()
                    show(said.prompt)
                if step >= len(said.prompt) - 1:
                    show(said.draw())
    except SimulationError as error:
        progress.clear()
        if said.first is None:
            raise
        raise HardwareError(f"hardware and golden model differ: {said.first}; then {error}") from None
    finally:
        progress.clear()
    if len(said.logits) != steps:
        raise SimulationError(f"{len(said.logits)} of {steps} steps were compared; nothing is proved")
    return np.diff(session.end_clocks)


def _show(text: str) -> None:
    """Characters to stdout, at once where it is a terminal; those that would steer one are escaped."""
    shown = "".join(char if char.isprintable() or char in "\n\t" else character_name(char) for char in text)
    print(shown, end="", flush=sys.stdout.isatty())


def _silent(_: str) -> None:
    pass


def report(said: Said, clocks: np.ndarray, simulator: str, array: chip_options.Array | None = None) -> dict:
    """Everything the command tells, as JSON types.

    ``clocks_per_character`` is the time from one step's last h to the next one's: the head's logits, the load of the
    next x and the macro, with a host that takes none; null after a single step.
    """
    start, end = len(said.prompt), len(said.text)
    return {
        "prompt": said.prompt,
        "text": said.text[start:],
        "characters": end - start,
        "temperature": said.temperature,
        "seed": said.seed,
        "simulator": simulator,
        "array": None if array is None else array.to_dict(),
        "steps": len(said.logits),
        "values_compared": said.board.total,
        "mismatches": said.board.wrong,
        "first_mismatch": said.first,
        "clocks_per_character": int(np.bincount(clocks).argmax()) if len(clocks) else None,
        "bits_per_character": {"prompt": said.bits(0, start), "text": said.bits(start, end)},
    }


def summary(content: dict) -> str:
    """The lines after the text."""
    lines = [" ".join(fact).strip() for fact in simulate.array_facts(content["array"])]
    count = content["mismatches"]
    verdict = "none differs" if count == 0 else f"{count:,} differ"
    clocks = content["clocks_per_character"]
    lines.append(
        f"{content['values_compared']:,} values of {content['steps']} steps compared with the golden model, {verdict}"
        + ("" if clocks is None else f"; {clocks:,} clocks a character")
    )
    if count:
        lines.append(f"first difference: {content['first_mismatch']}")
    return "\n".join(lines)
