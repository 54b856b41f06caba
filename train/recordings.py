# SPDX-License-Identifier: Apache-2.0
"""Folders of recordings, one subfolder per word: the layout of Google Speech Commands (Warden, arXiv:1804.03209).

Numpy and the standard library only, so that measuring accuracy needs no torch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..golden.audio import read_wav
from ..golden.features import FeatureSettings, fit_length

__all__ = [
    "BACKGROUND",
    "SILENCE",
    "UNKNOWN",
    "Problem",
    "Recordings",
    "label_of",
    "labeled_recordings",
    "official_split",
    "read_clip",
]

SILENCE, UNKNOWN, BACKGROUND = "_silence_", "_unknown_", "_background_noise_"

Problem = Callable[[str], None]
"""Is told of every file that is left out: its path, what is wrong, what to do."""

_HASH_RANGE = 2**27 - 1  # the data set's own constant: "~134M files per class at most"


@dataclass(frozen=True)
class Recordings:
    """Clips of equal length with their labels.

    ``paths``: of the files, sorted. ``clips``: int16, shape (clips, clip_samples), cropped or zero-padded. ``labels``:
    int64, shape (clips,), indices into the classes.
    """

    paths: tuple[Path, ...]
    clips: np.ndarray
    labels: np.ndarray


def official_split(file_name: str, validation_percent: float = 10, testing_percent: float = 10) -> str:
    """The split of a clip, training, validation or testing, by the data set's own rule (its README, `which_set`).

    The rule hashes the speaker, the part of the name before ``_nohash_``, so a speaker's clips stay together and a clip
    stays where it is when the data set grows.
    """
    speaker = re.sub(r"_nohash_.*$", "", Path(file_name).name)
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)
    percent = (number % (_HASH_RANGE + 1)) * (100.0 / _HASH_RANGE)
    if percent < validation_percent:
        return "validation"
    return "testing" if percent < validation_percent + testing_percent else "training"


def label_of(word: str, classes: tuple[str, ...]) -> int:
    """Index of the class of a word: its own, or ``_unknown_``'s.

    Raises
    ------
    ValueError
        If the word is no class and there is no ``_unknown_``.
    """
    if word in classes:
        return classes.index(word)
    if UNKNOWN in classes:
        return classes.index(UNKNOWN)
    raise ValueError(f"folder {word!r} is none of the classes {', '.join(classes)}: rename or remove it")


def read_clip(path: Path, settings: FeatureSettings) -> np.ndarray:
    """The samples of a recording, int16, as many as there are.

    Raises
    ------
    ValueError
        If it cannot be read, is no mono 16-bit WAV of the right rate, or is shorter than one window of the front end.
    """
    try:
        samples = read_wav(path, settings.sample_rate)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error}); copy it again") from None
    if len(samples) < settings.window_samples:
        raise ValueError(
            f"{path}: holds {len(samples)} samples, must hold at least {settings.window_samples}; record it again"
        )
    return samples


def labeled_recordings(
    folder: Path | str, classes: tuple[str, ...], settings: FeatureSettings, problem: Problem | None = None
) -> Recordings:
    """Every ``folder/<word>/*.wav``, labeled by the name of its folder; ``_background_noise_`` is left out.

    Parameters
    ----------
    problem : callable or None
        Told of every file that cannot be used, which is then left out; None: the first one is an error.

    Raises
    ------
    ValueError
        If there is no recording, a folder is no class, or, without ``problem``, what :func:`read_clip` raises.
    """
    folder = Path(folder)
    paths = [path for path in sorted(folder.glob("*/*.wav")) if path.parent.name != BACKGROUND]
    labels = {path.parent.name: label_of(path.parent.name, classes) for path in paths}
    clips: dict[Path, np.ndarray] = {}
    for path in paths:
        try:
            clips[path] = fit_length(read_clip(path, settings), settings.clip_samples)
        except ValueError as error:
            if problem is None:
                raise
            problem(str(error))
    if not clips:
        raise ValueError(f"{folder}: holds no recordings; expected files named <word>/<anything>.wav in it")
    numbers = np.array([labels[path.parent.name] for path in clips])
    return Recordings(tuple(clips), np.stack(list(clips.values())), numbers)
