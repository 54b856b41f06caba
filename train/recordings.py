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
    "SOURCE",
    "SPLITS",
    "UNKNOWN",
    "Problem",
    "Recordings",
    "is_data_set",
    "label_of",
    "labeled_recordings",
    "official_split",
    "read_clip",
    "split_recordings",
    "splits",
    "wav_files",
]

SILENCE, UNKNOWN, BACKGROUND = "_silence_", "_unknown_", "_background_noise_"

SPLITS = ("training", "validation", "testing")

SOURCE = (
    "Speech Commands (CC BY 4.0) is such a folder: http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
)

Problem = Callable[[str], None]
"""Is told of every file that is left out: its path, what is wrong, what to do."""

_HASH_RANGE = 2**27 - 1  # the data set's own constant: "~134M files per class at most"


@dataclass(frozen=True)
class Recordings:
    """Clips of equal length with their labels.

    ``paths``: of the files, sorted; of silence that was made, the noise it was made of. ``clips``: int16, shape (clips,
    clip_samples), cropped or zero-padded. ``labels``: int64, shape (clips,), indices into the classes.
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


def splits(folder: Path | str) -> Callable[[str], str]:
    """From ``word/name.wav`` to its split: by the folder's two lists where they are, else by the official rule."""
    lists = {split: Path(folder) / f"{split}_list.txt" for split in ("validation", "testing")}
    if not all(path.is_file() for path in lists.values()):
        return official_split
    listed = {name: split for split, path in lists.items() for name in path.read_text("utf-8", "replace").split()}
    return lambda name: listed.get(name, "training")


def is_data_set(folder: Path | str) -> bool:
    """Whether a folder is a whole data set, to be split, and not a set to measure on, which has silence of its own."""
    folder = Path(folder)
    if any((folder / name).is_dir() for name in (SILENCE, UNKNOWN)):
        return False
    return (folder / BACKGROUND).is_dir() or (folder / "testing_list.txt").is_file()


def wav_files(folder: Path | str, problem: Problem | None = None) -> list[Path]:
    """Every ``<word>/<anything>.wav`` of a folder, sorted; ``problem`` is told of subfolders without any."""
    folder = Path(folder)
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() == ".wav")
    full = {path.parent for path in paths}
    if problem is not None and folder.is_dir():
        for empty in sorted(path for path in folder.iterdir() if path.is_dir() and path not in full):
            if not empty.name.startswith("."):
                problem(f"{empty}: holds no *.wav; put recordings there, or remove it")
    return paths


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
    paths = [path for path in wav_files(folder, problem) if path.parent.name != BACKGROUND]
    labels = {path.parent.name: label_of(path.parent.name, classes) for path in paths}
    return _read(Path(folder), [(path, labels[path.parent.name]) for path in paths], settings, problem)


def split_recordings(
    folder: Path | str,
    classes: tuple[str, ...],
    settings: FeatureSettings,
    split: str = "testing",
    problem: Problem | None = None,
) -> Recordings:
    """One split of a whole data set as a set to measure on, put together like the official one.

    Of words that are no class, and of silence, there are as many clips as a word has on average. The other words' are
    chosen by a hash of their names. Silence is pieces of the background noise, spread over it, from silent to as loud
    as it is. Nothing is random.

    Raises
    ------
    ValueError
        For an unknown split, or what :func:`labeled_recordings` raises.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; allowed: {', '.join(SPLITS)}")
    folder, split_of = Path(folder), splits(folder)
    paths = wav_files(folder, problem)
    noises = [path for path in paths if path.parent.name == BACKGROUND]
    spoken = [path for path in paths if path.parent.name not in (BACKGROUND, SILENCE)]
    spoken = [path for path in spoken if split_of(path.relative_to(folder).as_posix()) == split]
    chosen = [path for path in spoken if path.parent.name in classes]
    words = sum(name not in (SILENCE, UNKNOWN) for name in classes)
    share = -(-len(chosen) // max(words, 1))
    others = sorted((path for path in spoken if path.parent.name not in classes), key=_name_hash)
    if UNKNOWN in classes:
        chosen += others[:share]
    if not chosen:
        others = ", ".join(name for name in SPLITS if name != split)
        raise ValueError(f"{folder}: holds no recordings of its {split} split; take {others}, or all of it; {SOURCE}")
    found = _read(folder, [(path, label_of(path.parent.name, classes)) for path in sorted(chosen)], settings, problem)
    if SILENCE not in classes:
        return found
    paths, clips = _silence(noises, share, settings, problem)
    labels = np.full(len(clips), classes.index(SILENCE))
    return Recordings((*found.paths, *paths), np.concatenate([found.clips, clips]), np.append(found.labels, labels))


def _read(
    folder: Path, labeled: list[tuple[Path, int]], settings: FeatureSettings, problem: Problem | None
) -> Recordings:
    clips, labels = {}, []
    for path, label in labeled:
        samples = _usable(path, settings, problem)
        if samples is not None:
            clips[path] = fit_length(samples, settings.clip_samples)
            labels.append(label)
    if not clips:
        raise ValueError(f"{folder}: holds no recordings; expected files named <word>/<anything>.wav in it; {SOURCE}")
    return Recordings(tuple(clips), np.stack(list(clips.values())), np.array(labels))


def _usable(path: Path, settings: FeatureSettings, problem: Problem | None) -> np.ndarray | None:
    try:
        return read_clip(path, settings)
    except ValueError as error:
        if problem is None:
            raise
        problem(str(error))
        return None


def _silence(
    noises: list[Path], count: int, settings: FeatureSettings, problem: Problem | None
) -> tuple[list[Path], np.ndarray]:
    """``count`` pieces of noise, and where each is from; fewer where there is not enough."""
    length, pieces = settings.clip_samples, []
    for path in noises:
        samples = _usable(path, settings, problem)
        if samples is not None:
            pieces += [(path, samples[start : start + length]) for start in range(0, len(samples) - length + 1, length)]
    chosen = [pieces[k] for k in np.unique(np.linspace(0, len(pieces) - 1, count).astype(int))] if pieces else []
    # Multiples of the golden ratio, wrapped: gains from 0 to 1, evenly, and none that goes with a kind of noise.
    gains = (np.arange(1, len(chosen) + 1) * 0.6180339887498949) % 1
    clips = np.array([samples for _, samples in chosen], np.int16).reshape(-1, length)
    return [path for path, _ in chosen], np.rint(clips * gains[:, None]).astype(np.int16)


def _name_hash(path: Path) -> str:
    return hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).hexdigest()
