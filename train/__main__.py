# SPDX-License-Identifier: Apache-2.0
"""``python -m crossramp.train kws DATA -o model.npz``: from recordings or spectrograms to a model file."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..golden.modelfile import save_model
from .datasets import class_names, load_corpus
from .events import EventFile
from .recipe import Recipe, load_recipe, shipped_recipes
from .recordings import labeled_recordings
from .settings import Phase

if TYPE_CHECKING:
    from .checkpoint import Checkpoint
    from .keywords import Trained
    from .recordings import Recordings
    from .schedule import Epoch

_DESCRIPTION = """\
Train an LSTM that spots spoken words, for a crossbar with ramp converters.

DATA is a folder of recordings in the layout of Google Speech Commands (WORD/*.wav, _background_noise_/*.wav; 16 kHz,
mono, 16 bit), or a folder of log-mel spectrograms (gray images, listed in index.csv by path, word and split).
First a float network is trained, then it is fine-tuned in the hardware's own integer arithmetic, or on chips of a
technology, as the recipe says. The model file is written when all is done, or not at all; a run that was interrupted
goes on from its last epoch when the same command is given again."""

_EPILOG = """\
examples:
  python -m crossramp.train kws speech_commands_v0.02 -o kws.npz --eval speech_commands_test_set
  python -m crossramp.train kws speech_commands_v0.02 -o yes_no.npz --words yes,no --units 16 --epochs 30
  python -m crossramp.train kws speech_commands_v0.02 -o aware.npz --recipe kws-aware"""


class _Report:
    """A line per epoch; on a terminal, a running count of batches as well."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.left_out = 0
        self.events: EventFile | None = None

    def log_to(self, folder: Path | None) -> None:
        """Writes every epoch's scalars into a folder as well, for TensorBoard."""
        self.events = EventFile(folder) if folder else None

    def reading(self, done: int, total: int) -> None:
        self._live_text(f"reading {done}/{total} clips")

    def batch(self, phase: Phase, epoch: int, done: int, total: int) -> None:
        if done % 10 == 0:
            self._live_text(f"{phase.name} epoch {epoch + 1}/{phase.epochs}: batch {done}/{total}")

    def epoch(self, phase: Phase, epoch: int, measured: Epoch) -> None:
        self.line(f"{phase.name} epoch {epoch + 1}/{phase.epochs}: {measured}")
        if self.events:
            scalars = measured.scalars().items()
            self.events.add(epoch + 1, {f"{phase.name}/{name}": value for name, value in scalars})

    def problem(self, text: str) -> None:
        """Something of the data is left out."""
        self.left_out += 1
        self._live_text("")
        print(f"left out: {text}", file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        self._live_text("")
        print(text, flush=True)

    def _live_text(self, text: str) -> None:
        if self.live:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m crossramp.train", description="Hardware-aware training; one command per task."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="TASK")
    kws = commands.add_parser(
        "kws",
        help="spot spoken words (keyword spotting)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = kws.add_argument
    add("data", metavar="DATA", type=Path, help="folder of recordings or spectrograms")
    add("-o", "--output", metavar="MODEL", type=Path, required=True, help="model file to write, .npz")
    add("--eval", metavar="AUDIO", type=Path, help="recordings (CLASS/*.wav) to measure on when training is done")
    add("--recipe", default="kws", metavar="NAME|FILE", help=f"settings: {', '.join(shipped_recipes())}, or a file")
    add("--checkpoint", metavar="FILE", type=Path, help="what an interrupted run goes on from (MODEL.checkpoint)")
    add("--restart", action="store_true", help="begin anew even where there is a checkpoint")
    add("--log", metavar="DIR", type=Path, help="write scalars of every epoch there, for TensorBoard")
    add("--threads", type=_count(1, 1024), default=1, metavar="N", help="that torch uses (%(default)s)")
    add("--cache", metavar="FILE", type=Path, help="keep the clips' levels here, .npz, for the next run")
    changes = kws.add_argument_group("in place of what the recipe says")
    add = changes.add_argument
    add("--words", metavar="W,W,...", help="words with a class of their own")
    add("--epochs", type=_count(0, 100_000), metavar="N", help="of float training")
    add("--qat-epochs", type=_count(0, 100_000), metavar="N", help="of fine-tuning")
    add("--learning-rate", type=_real(0, 1), metavar="R", help="of float training")
    add("--qat-learning-rate", type=_real(0, 1), metavar="R", help="of fine-tuning")
    add("--batch", type=_count(2, 65536), metavar="N", help="clips per batch")
    add("--seed", type=_count(0, 2**31 - 1), metavar="S", help="of everything random")
    add("--units", type=_count(1, 65536), metavar="N", help="of the LSTM")
    add("--adc-bits", type=_count(2, 8), metavar="N", help="of the ramp")
    add("--input-bits", type=_count(2, 8), metavar="N", help="of pulse codes, with sign")
    add("--weight-bits", type=_count(2, 8), metavar="N", help="of weights, with sign")
    add("--bias-rows", type=_count(1, 64), metavar="N", help="driven at full scale")
    add("--sigmoid-range", type=_real(2**-10, 2**10), metavar="R", help="real full-scale weight")
    add("--lanes", type=_count(1, 65536), metavar="N", help="units updated in one clock")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 2 for a wrong input, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return _keywords(options)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        told = f"; {interruption}" if str(interruption) else ""
        print(f"\ninterrupted; no model was written{told}", file=sys.stderr)
        return 130


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe with the options that were given in its keys' places."""
    recipe = load_recipe(options.recipe)

    def changed(part: Any, **given: Any) -> Any:
        return dataclasses.replace(part, **{name: value for name, value in given.items() if value is not None})

    words = options.words and tuple(word.strip() for word in options.words.split(",") if word.strip())
    hardware = {item.name: getattr(options, item.name) for item in dataclasses.fields(recipe.hardware)}
    return changed(
        recipe,
        seed=options.seed,
        words=words,
        hardware=changed(recipe.hardware, **hardware),
        float_phase=changed(
            recipe.float_phase, epochs=options.epochs, learning_rate=options.learning_rate, batch=options.batch
        ),
        quantized_phase=changed(
            recipe.quantized_phase,
            epochs=options.qat_epochs,
            learning_rate=options.qat_learning_rate,
            batch=options.batch,
        ),
    )


def _keywords(options: argparse.Namespace) -> int:
    try:
        import torch
    except ImportError:
        raise ValueError("training needs PyTorch: pip install 'crossramp[train]'") from None
    from . import keywords
    from .checkpoint import Checkpoint
    from .schedule import Diverged

    if options.output.suffix != ".npz":
        raise ValueError(f"{options.output}: a model file's name ends in .npz")
    if not options.output.parent.is_dir():
        raise ValueError(f"{options.output.parent}: no such folder; make it first")
    torch.set_num_threads(options.threads)
    report = _Report()
    # All that can be refused is, before an hour is spent.
    recipe = _recipe(options)
    keywords.specification(recipe)
    technology = recipe.technology()
    path = options.checkpoint or options.output.with_name(f"{options.output.name}.checkpoint")
    checkpoint = Checkpoint(
        path,
        {"recipe": recipe.content_hash, "technology": technology.content_hash if technology else "none"},
        options.restart,
    )
    front_end, classes = recipe.features, class_names(recipe.words)
    evaluation = labeled_recordings(options.eval, classes, front_end, report.problem) if options.eval else None
    corpus = load_corpus(options.data, recipe.words, front_end, options.cache, report.reading, report.problem)
    report.log_to(options.log)
    checkpoint.identify({"data": corpus.digest})
    if report.left_out:
        report.line(f"{report.left_out} recordings or folders could not be used; they are named above")
    report.line(f"{len(corpus.training)} clips to train on, {len(corpus.validation)} to validate with")
    if checkpoint.state is not None:
        report.line(f"going on: {checkpoint}")
    try:
        return _finish(options, keywords.train(corpus, recipe, report, checkpoint), evaluation, report, checkpoint)
    except Diverged as error:
        raise ValueError(f"{error}, and --restart; {checkpoint}") from None
    except KeyboardInterrupt:
        again = "" if checkpoint.state is None else "; the same command goes on from there"
        raise KeyboardInterrupt(f"{checkpoint}{again}") from None


def _finish(
    options: argparse.Namespace,
    trained: Trained,
    evaluation: Recordings | None,
    report: _Report,
    checkpoint: Checkpoint,
) -> int:
    from . import keywords

    if evaluation is not None:
        trained.provenance["evaluation"] = measured = keywords.measure(trained, evaluation)
        report.line(
            f"on {measured['recordings']} recordings: float {100 * measured['float_accuracy']:.2f} %, "
            f"golden {100 * measured['golden_accuracy']:.2f} %"
        )
    save_model(options.output, keywords.export(trained))
    checkpoint.remove()
    report.line(f"wrote {options.output}")
    return 0


def _count(low: int, high: int):
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {low} to {high}")
        return value

    return parse


def _real(low: float, high: float):
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
        return value

    return parse


if __name__ == "__main__":
    sys.exit(main())
