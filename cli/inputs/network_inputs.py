# SPDX-License-Identifier: Apache-2.0
"""What a command runs: pulse codes from recordings, from a file of features, or from a seed."""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from crossramp.golden.common.checks import integer
from crossramp.golden.common.crossramp_cache import expanded
from crossramp.golden.common.errors import UserError
from crossramp.golden.common.wording import printable
from crossramp.golden.inputs.features import features, pulse_codes
from crossramp.golden.inputs.recordings import Findings, find_recordings, folder_name, read_clip, read_clips
from crossramp.golden.macro.initial_state import FROM_THE_START, Starts, random_starts, streaming_macros
from crossramp.golden.network.model_file import Model

from ..output import notices
from .feature_file import read_archive, read_features

#: Names the recordings of this package in the place of a folder.
DEMO = "demo"

#: Steps of a random utterance where the model's features do not say.
RANDOM_STEPS = 8
_RANDOM_MOST = 10_000


@dataclass(frozen=True, eq=False)
class Utterances:
    """Utterances of one length.

    Attributes
    ----------
    names : list of str
        What the rows of a table call them.
    labels : list of int, float arrays of shape (outputs,), or None
        Class indices, or what outputs that are numbers should be, where known.
    codes : int64 array, shape (utterances, steps, inputs)
        Pulse codes.
    findings : Findings
        What was left out, cut or saturated.
    starts : Starts
        What each of them starts from.
    """

    names: list[str]
    labels: list
    codes: np.ndarray
    findings: Findings = field(default_factory=Findings)
    starts: Starts = FROM_THE_START

    def take(self, which: Sequence[int]) -> "Utterances":
        """Some of them, in the order given; none may go on from one that is left out."""
        which = list(which)
        names, labels = [self.names[k] for k in which], [self.labels[k] for k in which]
        return Utterances(names, labels, self.codes[which], self.findings, self.starts.of(which))


def from_arguments(model: Model, args: argparse.Namespace) -> Utterances:
    """What the arguments ask for; UserError unless it is one thing, and the errors of the functions below."""
    given = {"AUDIO": bool(args.audio), "--features": args.features is not None, "--random": args.random is not None}
    if sum(given.values()) != 1:
        named = " and ".join(name for name, there in given.items() if there) or "nothing"
        raise UserError(f"what to {args.command}? {named} is given; give one of AUDIO, --features X.npy and --random N")
    for option in ("seed", "steps"):
        if args.random is None and getattr(args, option) is not None:
            raise UserError(f"--{option} {getattr(args, option)} belongs to --random; leave it out, or add --random N")
    if args.audio:
        return from_audio(model, args.audio, notices.findings())
    if args.features is not None:
        return from_features(model, args.features, notices.findings())
    return from_seed(model, args.random, 1 if args.seed is None else args.seed, args.steps)


def from_audio(model: Model, paths: Sequence[str | Path], findings: Findings | None = None) -> Utterances:
    """Recordings: WAV files, folders with WAV files at any depth, and ``demo``, those of this package.

    The label of a recording is the name of the folder it lies in, if that is a class. One that cannot be used is left
    out, unless it is all that is given.

    Raises
    ------
    UserError
        For a model without speech features, one that needs initial states, or a path that does not exist.
    InvalidValue
        For a folder without recordings, or one that cannot be read; if no recording is left.
    """
    settings = model.feature_settings
    if settings is None:
        raise UserError("this model has no speech features, so it hears no recordings; give --features or --random")
    _check_starts(model)
    findings = Findings() if findings is None else findings
    with contextlib.ExitStack() as stack:
        found: list[Path] = []
        for path in paths:
            found += _recordings(stack.enter_context(recordings_at(path)), findings)
        if len(paths) == 1 and found == [Path(paths[0])]:
            clips = read_clip(found[0], settings, findings)[None]
        else:
            places, clips = read_clips(found, settings, findings)
            found = [found[place] for place in places]
    codes = pulse_codes(features(clips, settings), model.spec.input_bits)
    classes = {name: k for k, name in enumerate(model.class_names)}
    folders = [folder_name(file) for file in found]
    labels = [classes.get(folder) for folder in folders]
    names = [f"{folder}/{file.name}" for folder, file in zip(folders, found, strict=True)]
    return Utterances(names, labels, codes, findings)


def from_features(model: Model, path: str | Path, findings: Findings | None = None) -> Utterances:
    """A ``.npy`` file of shape (utterances, steps, inputs) or (steps, inputs), or a ``.npz`` file with labels.

    Floats are real features, full scale ±1.0, saturated there; integers are pulse codes.

    Raises
    ------
    UserError
        What :func:`~crossramp.cli.inputs.feature_file.read_features` or
        :func:`~crossramp.cli.inputs.feature_file.read_archive` raises.
    """
    path, findings = Path(path), Findings() if findings is None else findings
    labels = None
    if path.suffix.lower() == ".npz":
        codes, numbers, starts = read_archive(model, path)
        if model.output_unit is None:
            labels = [None if number < 0 else int(number) for number in numbers]
        else:
            labels = [None if np.isnan(row).any() else row for row in numbers]
    else:
        _check_starts(model)
        codes, starts = read_features(model, path, findings), FROM_THE_START
    names = [f"{path.name}[{k}]" for k in range(len(codes))]
    return Utterances(names, labels or [None] * len(codes), codes, findings, starts)


def _check_starts(model: Model) -> None:
    """UserError for a model whose utterances start from states that only an archive has."""
    macros = streaming_macros(model.spec)
    if macros:
        begins = (f"{name}." if name else "" for name in macros)
        arrays = ", ".join(f"{begin}initial_c and {begin}initial_h" for begin in begins)
        raise UserError(
            "initial of this model is 'stream', so utterances start from states of their own; give a .npz file with "
            f"the arrays {arrays}, or --random N"
        )


def from_data(model: Model, text: str, base: Path | None = None, findings: Findings | None = None) -> Utterances:
    """What a plan, or one word of a command line, names: a folder or file of recordings, ``.npy`` or ``.npz``, ``demo``
    or ``random:N``; paths are relative to ``base``. Errors as of the functions above.
    """
    if text == DEMO:
        return from_audio(model, [text], findings)
    if text.startswith("random:"):
        count = text.removeprefix("random:")
        if not count.isdecimal():
            raise UserError(f"data is {text!r}; write random:N, N utterances of random pulse codes")
        return from_seed(model, int(count), 1)
    path = Path(text) if base is None else base / expanded(text)
    if path.suffix.lower() in (".npy", ".npz"):
        return from_features(model, path, findings)
    return from_audio(model, [path], findings)


@contextlib.contextmanager
def recordings_at(path: str | Path) -> Iterator[Path]:
    """The path that is given, or for the text ``demo`` this package's recordings; keep open while files are read."""
    if path != DEMO:  # a Path of that name, as ./demo gives, is another
        yield Path(path)
        return
    with as_file(files("crossramp.cli") / "demo_data" / "recordings") as folder:
        yield folder


def from_seed(model: Model, count: int, seed: int, steps: int | None = None) -> Utterances:
    """``count`` utterances of uniform pulse codes; one in four steps is at full scale throughout.

    Raises
    ------
    InvalidValue
        For a count, a seed or a number of steps out of range.
    """
    spec = model.spec
    integer("--random", count, 1, _RANDOM_MOST)
    integer("--seed", seed, 0)
    if steps is None:
        settings = model.feature_settings
        steps = settings.steps if settings is not None else min(RANDOM_STEPS, spec.max_steps)
    most = (_RANDOM_MOST, "") if spec.readout == "step" else (spec.max_steps, "max_steps of the network")
    integer("--steps", steps, 1, most[0], high_name=most[1])
    rng = np.random.default_rng(seed)
    limit = spec.input_max
    codes = rng.integers(-limit, limit, (count, steps, spec.inputs), endpoint=True)
    full = rng.random((count, steps)) < 0.25
    codes[full] = np.where(rng.random(codes[full].shape) < 0.5, -limit, limit)
    names, starts = [f"random[{k}]" for k in range(count)], random_starts(spec, count, rng)
    return Utterances(names, [None] * count, codes, starts=starts)


def _recordings(path: Path, findings: Findings) -> list[Path]:
    if path.is_dir():
        found = find_recordings(path, findings)
        if not found:
            raise UserError(
                f"{printable(path)}: a folder without recordings; give one with .wav files in it, at any depth"
            )
        return found
    if not path.exists():
        raise UserError(f"{printable(path)}: no such file or folder; give a .wav file, or a folder of them")
    return [path]
