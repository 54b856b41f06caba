# SPDX-License-Identifier: Apache-2.0
"""``python -m crossramp.train kws DATA -o model.npz``: from recordings or spectrograms to a model file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..golden.features import FeatureSettings
from ..golden.modelfile import save_model
from .augment import Augmentation
from .datasets import WORDS, class_names, load_corpus
from .recordings import labeled_recordings
from .schedule import Phase

_DESCRIPTION = """\
Train an LSTM that spots spoken words, for a crossbar with ramp converters.

DATA is a folder of recordings in the layout of Google Speech Commands (WORD/*.wav, _background_noise_/*.wav; 16 kHz,
mono, 16 bit), or a folder of log-mel spectrograms (gray images, listed in index.csv by path, word and split).
First a float network is trained, then it is fine-tuned in the hardware's own integer arithmetic. The model file is
written when all is done, or not at all."""

_EPILOG = """\
examples:
  python -m crossramp.train kws speech_commands_v0.02 -o kws.npz --eval speech_commands_test_set
  python -m crossramp.train kws speech_commands_v0.02 -o yes_no.npz --words yes,no --units 16 --epochs 30"""


class _Report:
    """A line per epoch; on a terminal, a running count of batches as well."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()

    def reading(self, done: int, total: int) -> None:
        self._live_text(f"reading {done}/{total} clips")

    def batch(self, phase: Phase, epoch: int, done: int, total: int) -> None:
        if done % 10 == 0:
            self._live_text(f"{phase.name} epoch {epoch + 1}/{phase.epochs}: batch {done}/{total}")

    def epoch(self, phase: Phase, epoch: int, loss: float, accuracy: float, seconds: float) -> None:
        self.line(
            f"{phase.name} epoch {epoch + 1}/{phase.epochs}: loss {loss:.4f}, "
            f"validation {100 * accuracy:.2f} %, {seconds:.1f} s"
        )

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
    add("--words", default=",".join(WORDS), metavar="W,W,...", help="words with a class of their own (%(default)s)")
    add("--epochs", type=_count(0, 100_000), default=120, metavar="N", help="of float training (%(default)s)")
    add("--qat-epochs", type=_count(0, 100_000), default=60, metavar="N", help="of fine-tuning (%(default)s)")
    add("--learning-rate", type=_real(0, 1), default=0.01, metavar="R", help="of float training (%(default)s)")
    add("--qat-learning-rate", type=_real(0, 1), default=0.005, metavar="R", help="of fine-tuning (%(default)s)")
    add("--batch", type=_count(2, 65536), default=256, metavar="N", help="clips per batch (%(default)s)")
    add("--seed", type=_count(0, 2**31 - 1), default=1, metavar="S", help="of everything random (%(default)s)")
    add("--threads", type=_count(1, 1024), default=1, metavar="N", help="that torch uses (%(default)s)")
    add("--cache", metavar="FILE", type=Path, help="keep the clips' levels here, .npz, for the next run")
    hardware = kws.add_argument_group("hardware")
    add = hardware.add_argument
    add("--units", type=_count(1, 65536), default=32, metavar="N", help="of the LSTM (%(default)s)")
    add("--adc-bits", type=_count(2, 8), default=5, metavar="N", help="of the ramp (%(default)s)")
    add("--input-bits", type=_count(2, 8), default=5, metavar="N", help="of pulse codes, with sign (%(default)s)")
    add("--weight-bits", type=_count(2, 8), default=5, metavar="N", help="of weights, with sign (%(default)s)")
    add("--bias-rows", type=_count(1, 64), default=2, metavar="N", help="driven at full scale (%(default)s)")
    add(
        "--sigmoid-range",
        type=_real(2**-10, 2**10),
        default=1.75,
        metavar="R",
        help="real full-scale weight (%(default)s)",
    )
    add("--lanes", type=_count(1, 65536), default=1, metavar="N", help="units updated in one clock (%(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 2 for a wrong input, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return _keywords(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; no model was written", file=sys.stderr)
        return 130


def _keywords(options: argparse.Namespace) -> int:
    try:
        import torch
    except ImportError:
        raise ValueError("training needs PyTorch: pip install 'crossramp[train]'") from None
    from . import keywords

    if options.output.suffix != ".npz":
        raise ValueError(f"{options.output}: a model file's name ends in .npz")
    if not options.output.parent.is_dir():
        raise ValueError(f"{options.output.parent}: no such folder; make it first")
    torch.set_num_threads(options.threads)
    report = _Report()
    words = tuple(word.strip() for word in options.words.split(",") if word.strip())
    front_end = FeatureSettings()
    spec = keywords.keyword_specification(
        inputs=front_end.bands,
        units=options.units,
        classes=len(class_names(words)),
        steps=front_end.steps,
        adc_bits=options.adc_bits,
        input_bits=options.input_bits,
        weight_bits=options.weight_bits,
        bias_rows=options.bias_rows,
        sigmoid_range=options.sigmoid_range,
        lanes=options.lanes,
    )
    # Read first: a mistake in the evaluation folder should not show after an hour of training.
    evaluation = labeled_recordings(options.eval, class_names(words), front_end) if options.eval else None
    corpus = load_corpus(options.data, words, front_end, options.cache, report.reading)
    report.line(f"{len(corpus.training)} clips to train on, {len(corpus.validation)} to validate with")
    trained = keywords.train(
        corpus,
        front_end,
        spec,
        Phase("float", options.epochs, options.learning_rate, options.batch),
        Phase("quantized", options.qat_epochs, options.qat_learning_rate, options.batch, distillation=0.5),
        options.seed,
        report,
        Augmentation(),
    )
    if evaluation is not None:
        trained.provenance["evaluation"] = measured = keywords.measure(trained, evaluation)
        report.line(
            f"on {measured['recordings']} recordings: float {100 * measured['float_accuracy']:.2f} %, "
            f"golden {100 * measured['golden_accuracy']:.2f} %"
        )
    save_model(options.output, keywords.export(trained))
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
