# SPDX-License-Identifier: Apache-2.0
"""What a command runs: pulse codes from recordings, from a file of features, or from a seed."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
from crossramp.errors import UserError
from crossramp.golden.audio import read_wav
from crossramp.golden.features import features, fit_length, pulse_codes
from crossramp.golden.lstm import checked_integers
from crossramp.golden.modelfile import Model

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
    labels : list of int or None
        Class indices, where known.
    codes : int64 array, shape (utterances, steps, inputs)
        Pulse codes.
    values : float64 array of the same shape, or None
        The real features that the codes stand for.
    """

    names: list[str]
    labels: list[int | None]
    codes: np.ndarray
    values: np.ndarray | None = None

    def take(self, which: Sequence[int]) -> "Utterances":
        """Some of them, in the order given."""
        which = list(which)
        values = None if self.values is None else self.values[which]
        names, labels = [self.names[k] for k in which], [self.labels[k] for k in which]
        return Utterances(names, labels, self.codes[which], values)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that :func:`from_arguments` reads; AUDIO has no name, so it comes behind those there are."""
    parser.add_argument("audio", metavar="AUDIO", nargs="*", help="recordings (.wav), or folders of them")
    parser.add_argument("--features", metavar="X.npy", help="real features or pulse codes: (utterances, steps, inputs)")
    parser.add_argument("--random", type=int, metavar="N", help="N utterances of random pulse codes")
    parser.add_argument("--seed", type=int, metavar="S", help="of --random (default 1)")
    parser.add_argument("--steps", type=int, metavar="T", help="of each random utterance")


def from_arguments(model: Model, args: argparse.Namespace) -> Utterances:
    """What the arguments ask for; UserError unless it is one thing, and whatever the functions below raise."""
    given = {"AUDIO": bool(args.audio), "--features": args.features is not None, "--random": args.random is not None}
    if sum(given.values()) != 1:
        named = " and ".join(name for name, there in given.items() if there) or "nothing"
        raise UserError(f"what to {args.command}? {named} is given; give one of AUDIO, --features X.npy and --random N")
    for option in ("seed", "steps"):
        if args.random is None and getattr(args, option) is not None:
            raise UserError(f"--{option} {getattr(args, option)} belongs to --random; leave it out, or add --random N")
    if args.audio:
        return from_audio(model, args.audio)
    if args.features is not None:
        return from_features(model, args.features)
    return from_seed(model, args.random, 1 if args.seed is None else args.seed, args.steps)


def from_audio(model: Model, paths: Sequence[str | Path]) -> Utterances:
    """Recordings: WAV files, and folders with WAV files at any depth.

    The label of a recording is the name of the folder it lies in, if that is a class.

    Raises
    ------
    UserError
        For a model without speech features, a path that does not exist, or a folder without recordings.
    ValueError
        For a file that is no recording the model can hear; the message quotes it.
    """
    settings = model.feature_settings
    if settings is None:
        raise UserError("this model has no speech features, so it hears no recordings; give --features or --random")
    files = [file for path in paths for file in _recordings(Path(path))]
    clips = np.stack([fit_length(read_wav(file, settings.sample_rate), settings.clip_samples) for file in files])
    values = features(clips, settings)
    classes = {name: k for k, name in enumerate(model.class_names)}
    folders = [_folder_name(file) for file in files]
    labels = [classes.get(folder) for folder in folders]
    names = [f"{folder}/{file.name}" for folder, file in zip(folders, files, strict=True)]
    return Utterances(names, labels, pulse_codes(values, model.spec.input_bits), values)


def from_features(model: Model, path: str | Path) -> Utterances:
    """A ``.npy`` file of shape (utterances, steps, inputs) or (steps, inputs).

    Floats are real features, full scale ±1.0, saturated there; integers are pulse codes.

    Raises
    ------
    UserError
        For a file that is missing, no ``.npy``, of a wrong type or shape, or too long.
    ValueError
        For a value that is not finite, or a code out of range.
    """
    path, spec = Path(path), model.spec
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); give a .npy file") from None
    except (ValueError, EOFError, SyntaxError, OverflowError, MemoryError, BadZipFile, TokenError):
        raise UserError(f"{path}: no .npy file of numbers; write one with numpy.save") from None
    if not isinstance(array, np.ndarray):  # numpy opens .npz archives too
        raise UserError(f"{path}: an archive of several arrays; write one array with numpy.save")
    if array.dtype.kind not in "iuf":
        raise UserError(f"{path}: holds {array.dtype}; expected real features (floats) or pulse codes (integers)")
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[2] != spec.inputs or 0 in array.shape:
        raise UserError(
            f"{path}: has the shape {array.shape}; expected ([utterances,] steps, {spec.inputs} inputs), none of them 0"
        )
    if array.shape[1] > spec.max_steps and spec.readout != "step":
        raise UserError(f"{path}: has {array.shape[1]} steps; the network takes at most {spec.max_steps}")
    names = [f"{path.name}[{k}]" for k in range(len(array))]
    values = None
    try:
        if array.dtype.kind == "f":
            values = array.astype(np.float64)
            array = pulse_codes(values, spec.input_bits)
        codes = checked_integers("x", array, (None, None, None), spec.input_max)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return Utterances(names, [None] * len(array), codes, values)


def from_seed(model: Model, count: int, seed: int, steps: int | None = None) -> Utterances:
    """``count`` utterances of uniform pulse codes; one in four steps is at full scale throughout.

    Raises
    ------
    UserError
        For a count or a number of steps out of range.
    """
    spec = model.spec
    if not 1 <= count <= _RANDOM_MOST:
        raise UserError(f"--random is {count}; allowed: 1 to {_RANDOM_MOST}")
    if seed < 0:
        raise UserError(f"--seed is {seed}; allowed: 0 and up")
    if steps is None:
        settings = model.feature_settings
        steps = settings.steps if settings is not None else min(RANDOM_STEPS, spec.max_steps)
    if spec.readout == "step":
        if not 1 <= steps <= _RANDOM_MOST:
            raise UserError(f"--steps is {steps}; allowed: 1 to {_RANDOM_MOST}")
    elif not 1 <= steps <= spec.max_steps:
        raise UserError(f"--steps is {steps}; the network takes 1 to {spec.max_steps}")
    rng = np.random.default_rng(seed)
    limit = spec.input_max
    codes = rng.integers(-limit, limit, (count, steps, spec.inputs), endpoint=True)
    full = rng.random((count, steps)) < 0.25
    codes[full] = np.where(rng.random(codes[full].shape) < 0.5, -limit, limit)
    return Utterances([f"random[{k}]" for k in range(count)], [None] * count, codes)


def _folder_name(file: Path) -> str:
    folder = file.absolute().parent
    # Links keep their own names, except where only resolving tells what ".." is.
    return folder.resolve().name if folder.name == ".." else folder.name


def _recordings(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".wav" and file.is_file())
        files = [file for file in files if not file.name.startswith(".")]
        if not files:
            raise UserError(f"{path}: a folder without recordings; give one with .wav files in it, at any depth")
        return files
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give a .wav file, or a folder of them")
    return [path]
