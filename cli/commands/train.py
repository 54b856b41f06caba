# SPDX-License-Identifier: Apache-2.0
"""``crossramp train``: from recordings, spectrograms or a text to a model file; goes on where it was interrupted.

Named apart from the package ``crossramp.train``, which does the work.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossramp.golden.cell.library import CELLS
from crossramp.golden.common.errors import UserError
from crossramp.golden.common.installation import how_to_install
from crossramp.golden.network.model_file import Model, save_model
from crossramp.train.data.datasets import cache_file, class_names, load_corpus
from crossramp.train.data.text_data import load_text
from crossramp.train.data.word_folders import labeled_recordings
from crossramp.train.recipes.recipe import Recipe, default_recipe, load_recipe, shipped_recipes

from ..inputs import network_inputs, options
from ..output import notices
from ..output.tables import as_json
from ..output.train_report import Report

if TYPE_CHECKING:
    from crossramp.train.run.checkpoint import Checkpoint

_DESCRIPTION = "Trains a network in the hardware's own arithmetic, or on chips of a technology. Needs PyTorch."

_EPILOG = """\
examples:
  crossramp train kws speech_commands_v0.02 -o kws.npz --recipe kws-aware
  crossramp train text shakespeare.txt -o text.npz
  crossramp train kws --help

A recipe, a TOML file, holds all that a run depends on but its data: docs/training.md. The model file is written when
all is done, or not at all. The same command continues an interrupted run from its last epoch.
"""

_KWS_DESCRIPTION = """\
Train a recurrent network that spots spoken words, for a crossbar with ramp converters.

DATA is a folder of recordings in the layout of Google Speech Commands (WORD/*.wav, _background_noise_/*.wav; 16 kHz,
mono, 16 bit), or a folder of log-mel spectrograms (gray images, listed in index.csv by path, word and split).
First a float network is trained, then it is fine-tuned in the hardware's own integer arithmetic, or on chips of a
technology, as the recipe says. The model file is written when all is done, or not at all; a run that was interrupted
goes on from its last epoch when the same command is given again."""

_KWS_EPILOG = """\
examples:
  crossramp train kws speech_commands_v0.02 -o kws.npz --eval speech_commands_test_set
  crossramp train kws speech_commands_v0.02 -o yes_no.npz --words yes,no --units 16 --epochs 30
  crossramp train kws speech_commands_v0.02 -o aware.npz --recipe kws-aware"""

_TEXT_DESCRIPTION = """\
Train a recurrent network that predicts the next character, for a crossbar with ramp converters.

DATA is any text in UTF-8, or a folder of them (*.txt); its end validates and tests. First a float network is trained,
then it is fine-tuned in the hardware's own integer arithmetic, or on chips of a technology, as the recipe says. The
model file is written when all is done, or not at all; a run that was interrupted goes on from its last epoch when the
same command is given again."""

_TEXT_EPILOG = """\
examples:
  crossramp train text shakespeare.txt -o text.npz
  crossramp train text shakespeare.txt -o small.npz --units 64 --embedding 16 --epochs 10"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "train",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for task in (_add_keywords(tasks), _add_text(tasks)):
        task.set_defaults(parser=task)
    parser.set_defaults(run=run)
    return parser


def _add_keywords(tasks) -> argparse.ArgumentParser:
    kws = tasks.add_parser(
        "kws",
        help="spot spoken words (keyword spotting)",
        description=_KWS_DESCRIPTION,
        epilog=_KWS_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kws.add_argument("data", metavar="DATA", type=Path, help="folder of recordings or spectrograms")
    _add_common(kws)
    kws.add_argument(
        "--eval", metavar="AUDIO", help="recordings (CLASS/*.wav, or demo) to measure on when training is done"
    )
    kws.add_argument(
        "--cache", metavar="FILE", type=Path, help="where the clips' levels are kept (.npz; the user's cache folder)"
    )
    kws.add_argument("--no-cache", action="store_true", help="keep the clips' levels nowhere")
    add = _add_changes(kws)
    add("--words", metavar="W,W,...", help="words that are classes")
    add("--sigmoid-range", type=_real(2**-10, 2**10), metavar="R", help="real full-scale weight")
    return kws


def _add_text(tasks) -> argparse.ArgumentParser:
    text = tasks.add_parser(
        "text",
        help="predict the next character (language modeling)",
        description=_TEXT_DESCRIPTION,
        epilog=_TEXT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text.add_argument("data", metavar="DATA", type=Path, help="a text in UTF-8, or a folder of them (*.txt)")
    _add_common(text)
    add = _add_changes(text)
    add("--embedding", type=_count(0, 1024), metavar="N", help="inputs per character; 0: one-hot")
    return text


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-o", "--output", metavar="MODEL", type=Path, required=True, help="model file to write, .npz")
    add(
        "--recipe",
        metavar="NAME|FILE",
        help=f"settings: {', '.join(shipped_recipes())}, or a file; else the task's own",
    )
    add(
        "--checkpoint",
        metavar="FILE",
        type=Path,
        help="file from which an interrupted run continues (MODEL.checkpoint)",
    )
    add("--restart", action="store_true", help="begin anew even if a checkpoint exists")
    add("--shelf", metavar="DIR", type=Path, help="keep trained float networks there, for runs that need an equal one")
    add("--log", metavar="DIR", type=Path, help="write scalars of every epoch there, for TensorBoard")
    options.add_json(parser)
    add("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="device to train on (%(default)s)")
    add("--threads", type=_count(1, 1024), default=1, metavar="N", help="threads of torch (%(default)s)")


def _add_changes(parser: argparse.ArgumentParser):
    add = parser.add_argument_group("in place of what the recipe says").add_argument
    add("--epochs", type=_count(0, 100_000), metavar="N", help="epochs of float training")
    add("--qat-epochs", type=_count(0, 100_000), metavar="N", help="epochs of fine-tuning")
    add("--learning-rate", type=_real(0, 1), metavar="R", help="learning rate of float training")
    add("--qat-learning-rate", type=_real(0, 1), metavar="R", help="learning rate of fine-tuning")
    add("--batch", type=_count(2, 65536), metavar="N", help="examples per batch")
    add("--seed", type=_count(0, 2**31 - 1), metavar="S", help="seed of everything random")
    add("--cell", choices=tuple(CELLS), metavar="NAME", help=f"recurrent cell: {', '.join(CELLS)}")
    add("--units", type=_count(1, 65536), metavar="N", help="units of the cell")
    add("--adc-bits", type=_count(2, 8), metavar="N", help="bits of the ramp")
    add("--input-bits", type=_count(2, 8), metavar="N", help="bits of pulse codes, with sign")
    add("--weight-bits", type=_count(2, 8), metavar="N", help="bits of weights, with sign")
    add("--bias-rows", type=_count(1, 64), metavar="N", help="rows driven at full scale")
    add("--lanes", type=_count(1, 65536), metavar="N", help="units updated in one clock")
    return add


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or UserError (or an InvalidValue). Interrupted, it says what goes on from where."""
    if importlib.util.find_spec("torch") is None:
        raise UserError(f"training needs PyTorch, which is not here; type: {how_to_install('train')}")
    report = Report(aside=args.json)
    try:
        return {"kws": _keywords, "text": _text}[args.task](args, report)
    except KeyboardInterrupt as interruption:
        told = f"; {interruption}" if str(interruption) else ""
        raise KeyboardInterrupt(f"no model was written{told}") from None
    finally:
        report.clear()


def _keywords(args: argparse.Namespace, report: Report) -> int:
    from crossramp.train.tasks import keyword_training

    # All that can be refused is, before an hour is spent.
    device = _checked(args)
    recipe = recipe_of(args)
    keyword_training.specification(recipe)
    checkpoint = _checkpoint(args, recipe)
    front_end, classes = recipe.features, class_names(recipe.words)
    evaluation = None
    if args.eval:
        with network_inputs.recordings_at(args.eval) as folder:
            evaluation = labeled_recordings(folder, classes, front_end, report.findings)
    cache = None if args.no_cache else args.cache or cache_file(args.data, front_end)
    corpus = load_corpus(args.data, recipe.words, front_end, cache, report.reading, report.findings, report.note)
    report.log_to(args.log)
    checkpoint.identify({"data": corpus.digest})
    for what, told in notices.facts(report.findings.to_dict()):
        report.line(f"{what}: {told}")
    spoken, silence = len(corpus.validation), keyword_training.validation_silence(corpus)
    report.line(
        f"{len(corpus.training)} clips to train on, {spoken + silence} to validate with: {spoken} of words, {silence} "
        "of silence, made of background noise"
    )
    with _kept(checkpoint, report):
        trained = keyword_training.train(corpus, recipe, report, checkpoint, args.shelf, device)
        if evaluation is not None:
            trained.provenance["evaluation"] = measured = keyword_training.measure(trained, evaluation)
            report.line(
                f"on {measured['recordings']} recordings: float {100 * measured['float_accuracy']:.2f} %, "
                f"golden {100 * measured['golden_accuracy']:.2f} %"
            )
        _write(args, keyword_training.export(trained), report, checkpoint)
    return 0


def _text(args: argparse.Namespace, report: Report) -> int:
    from crossramp.train.tasks import text_training  # torch takes seconds to import

    device = _checked(args)
    recipe = recipe_of(args)
    checkpoint = _checkpoint(args, recipe)
    corpus = load_text(args.data, recipe.text)
    text_training.specification(recipe, len(corpus.vocabulary))
    report.log_to(args.log)
    checkpoint.identify({"data": corpus.digest})
    lengths = [len(range(*corpus.part(part))) for part in ("training", "validation", "test")]
    report.line(
        f"{lengths[0]} characters to train on, {lengths[1]} to validate with, {lengths[2]} to test with; "
        f"{len(corpus.vocabulary)} different ones"
    )
    with _kept(checkpoint, report):
        trained = text_training.train_text(corpus, recipe, report, checkpoint, args.shelf, device)
        trained.provenance["evaluation"] = measured = text_training.measure(trained, corpus)
        bits = [measured[f"{network}_bits_per_character"] for network in ("float", "golden")]
        report.line(f"on {measured['characters']} characters: float {bits[0]:.4f}, golden {bits[1]:.4f} bits each")
        _write(args, trained.export(), report, checkpoint)
    return 0


# ---- what tasks share ------------------------------------------------------------------------------------------------


def _checked(args: argparse.Namespace) -> str:
    """The device that is trained on; UserError for what does not depend on the task."""
    import torch
    from crossramp.train.run.events import check_writer
    from crossramp.train.run.phases import device_named

    torch.set_num_threads(args.threads)
    device = device_named(args.device)
    if args.log is not None:
        check_writer()
    if args.output.suffix != ".npz":
        raise UserError(f"{args.output}: a model file's name ends in .npz")
    if not args.output.parent.is_dir():
        raise UserError(f"{args.output.parent}: no such folder; make it first")
    return device


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe with the options that were given in its keys' places; RecipeError for what is wrong."""
    recipe = default_recipe(args.task) if args.recipe is None else load_recipe(args.recipe)
    if recipe.task != args.task:
        raise UserError(f"recipe {args.recipe} is of the task {recipe.task}; type: crossramp train {recipe.task} ...")

    def changed(part: Any, **given: Any) -> Any:
        return dataclasses.replace(part, **{name: value for name, value in given.items() if value is not None})

    names = getattr(args, "words", None)
    words = names and tuple(word.strip() for word in names.split(",") if word.strip())
    hardware = {item.name: getattr(args, item.name, None) for item in dataclasses.fields(recipe.hardware)}
    return changed(
        recipe,
        seed=args.seed,
        words=words,
        hardware=changed(recipe.hardware, **hardware),
        text=changed(recipe.text, embedding=getattr(args, "embedding", None)),
        float_phase=changed(recipe.float_phase, epochs=args.epochs, learning_rate=args.learning_rate, batch=args.batch),
        quantized_phase=changed(
            recipe.quantized_phase, epochs=args.qat_epochs, learning_rate=args.qat_learning_rate, batch=args.batch
        ),
    )


def _checkpoint(args: argparse.Namespace, recipe: Recipe) -> Checkpoint:
    from crossramp.train.run.checkpoint import Checkpoint

    technology = recipe.technology()
    path = args.checkpoint or args.output.with_name(f"{args.output.name}.checkpoint")
    identity = {"recipe": recipe.content_hash, "technology": technology.content_hash if technology else "none"}
    return Checkpoint(path, identity, args.restart)


def _write(args: argparse.Namespace, model: Model, report: Report, checkpoint: Checkpoint) -> None:
    """The run is over: its model, and no checkpoint any more."""
    save_model(args.output, model)
    checkpoint.remove()
    report.line(f"wrote {args.output}")
    if args.json:
        content = {"model": str(args.output), "model_hash": model.content_hash, **report.findings.to_dict()}
        print(as_json(content | {"provenance": model.provenance}))


@contextlib.contextmanager
def _kept(checkpoint: Checkpoint, report: Report) -> Iterator[None]:
    """What ends a run inside also says what of it is kept."""
    from crossramp.train.run.schedule import Diverged

    if checkpoint.state is not None:
        report.line(f"going on: {checkpoint}")
    try:
        yield
    except Diverged as error:
        raise UserError(f"{error}, and --restart; {checkpoint}") from None
    except KeyboardInterrupt:
        again = "" if checkpoint.state is None else "; the same command goes on from there"
        raise KeyboardInterrupt(f"{checkpoint}{again}") from None


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
