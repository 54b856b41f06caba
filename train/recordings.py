# SPDX-License-Identifier: Apache-2.0
"""Folders of recordings, one subfolder per word: the layout of Google Speech Commands (Warden, arXiv:1804.03209).

Numpy and the standard library only, so that measuring accuracy needs no torch.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..golden.audio import read_wav
from ..golden.features import FeatureSettings, fit_length

__all__ = ["BACKGROUND", "SILENCE", "UNKNOWN", "Recordings", "label_of", "labeled_recordings", "official_split"]

SILENCE, UNKNOWN, BACKGROUND = "_silence_", "_unknown_", "_background_noise_"

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


def labeled_recordings(folder: Path | str, classes: tuple[str, ...], settings: FeatureSettings) -> Recordings:
    """Every ``folder/<word>/*.wav``, labeled by the name of its folder; ``_background_noise_`` is left out.

    Raises
    ------
    ValueError
        If there is no recording, a file is no mono 16-bit WAV of the right rate, or a folder is no class.
    """
    folder = Path(folder)
    paths = tuple(sorted(path for path in folder.glob("*/*.wav") if path.parent.name != BACKGROUND))
    if not paths:
        raise ValueError(f"{folder}: holds no recordings; expected files named <word>/<anything>.wav in it")
    clips = np.stack([fit_length(read_wav(path, settings.sample_rate), settings.clip_samples) for path in paths])
    labels = np.array([label_of(path.parent.name, classes) for path in paths])
    return Recordings(paths, clips, labels)
