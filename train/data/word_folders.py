# SPDX-License-Identifier: Apache-2.0
"""Folders of recordings, one subfolder per word: the layout of Google Speech Commands (Warden, arXiv:1804.03209).

:mod:`crossramp.golden.inputs.recordings` finds and reads files; this module has labels, splits and speakers.
It imports numpy and the standard library only, so that measuring accuracy needs no torch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.wording import printable
from crossramp.golden.inputs.features import FeatureSettings
from crossramp.golden.inputs.recordings import (
    LEFT_OUT,
    Findings,
    find_recordings,
    folder_name,
    read_clip,
    read_clips,
    read_samples,
)

__all__ = [
    "BACKGROUND",
    "SILENCE",
    "SOURCE",
    "SPLITS",
    "UNKNOWN",
    "Recordings",
    "Speakers",
    "is_data_set",
    "label_of",
    "labeled_recordings",
    "official_split",
    "speaker_of",
    "split_recordings",
    "splits",
    "word_files",
]

SILENCE, UNKNOWN, BACKGROUND = "_silence_", "_unknown_", "_background_noise_"

SPLITS = ("training", "validation", "testing")

SOURCE = (
    "Speech Commands (CC BY 4.0) is such a folder: http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
)

_HASH_RANGE = 2**27 - 1  # the data set's own constant: "~134M files per class at most"


@dataclass(frozen=True)
class Recordings:
    """Clips of equal length with their labels.

    ``paths``: of the files, sorted; of silence that was made, the noise it was made of. ``clips``: int16, shape (clips,
    clip_samples), cropped or zero-padded. ``labels``: int64, shape (clips,), indices into the classes. ``others``: how
    many recordings were set aside because they are of other speakers than those asked for.
    """

    paths: tuple[Path, ...]
    clips: np.ndarray
    labels: np.ndarray
    others: int = 0


@dataclass(frozen=True)
class Speakers:
    """A share of the speakers, always the same: those whose SHA-1, as an integer, has one of these residues.

    ``str`` gives the text that :meth:`parse` takes, ``7,8,9/10`` for the residues 7, 8 and 9 modulo 10.
    """

    residues: tuple[int, ...]
    modulus: int

    @classmethod
    def parse(cls, text: str) -> Speakers:
        """From a text such as ``7,8,9/10``; InvalidValue for any other."""
        if re.fullmatch(r"[0-9]{1,4}(,[0-9]{1,4})*/[0-9]{1,4}", text) is None:
            raise InvalidValue(f"speakers are {text!r}; write residues and a modulus, as in 7,8,9/10")
        residues, modulus = text.split("/")
        found = tuple(sorted({int(one) for one in residues.split(",")}))
        if found[-1] >= int(modulus):
            raise InvalidValue(f"speakers are {text!r}; a residue must be below the modulus {int(modulus)}")
        return cls(found, int(modulus))

    def __str__(self) -> str:
        return f"{','.join(map(str, self.residues))}/{self.modulus}"

    def __contains__(self, path: Path | str) -> bool:
        return _sha1(speaker_of(path)) % self.modulus in self.residues


def speaker_of(path: Path | str) -> str:
    """The speaker of a recording: the 8 hex digits in front of ``_nohash_``, else, as of silence, the file's name."""
    name = Path(path).name
    found = re.search(r"([0-9a-f]{8})_nohash_", name)
    return found[1] if found else name


def official_split(file_name: str, validation_percent: float = 10, testing_percent: float = 10) -> str:
    """The split of a clip, training, validation or testing, by the data set's own rule (its README, `which_set`).

    The rule hashes the speaker, the part of the name before ``_nohash_``, so a speaker's clips stay together and a clip
    stays where it is when the data set grows.
    """
    number = _sha1(re.sub(r"_nohash_.*$", "", Path(file_name).name))
    percent = (number % (_HASH_RANGE + 1)) * (100.0 / _HASH_RANGE)
    if percent < validation_percent:
        return "validation"
    return "testing" if percent < validation_percent + testing_percent else "training"


def _sha1(text: str) -> int:
    return int(hashlib.sha1(text.encode("utf-8", "surrogateescape")).hexdigest(), 16)


def splits(folder: Path | str) -> Callable[[str], str]:
    """From ``word/name.wav`` to its split: by the folder's two lists where they are, else by the official rule."""
    lists = {split: Path(folder) / f"{split}_list.txt" for split in ("validation", "testing")}
    if not all(path.is_file() for path in lists.values()):
        return official_split
    listed = {name: split for split, path in lists.items() for name in path.read_text("utf-8", "replace").split()}
    return lambda name: listed.get(name, "training")


def is_data_set(folder: Path | str) -> bool:
    """Whether a folder is a whole data set, to be split, and not a set to measure on, which contains silence."""
    folder = Path(folder)
    if any((folder / name).is_dir() for name in (SILENCE, UNKNOWN)):
        return False
    return (folder / BACKGROUND).is_dir() or (folder / "testing_list.txt").is_file()


def word_files(folder: Path | str, classes: tuple[str, ...], findings: Findings) -> list[tuple[Path, str]]:
    """Every recording of a folder, at any depth and sorted, with its word: the name of the folder that it lies in.

    A recording in ``folder`` itself counts if that is named after a class, and is left out otherwise.

    Raises
    ------
    InvalidValue
        If a folder cannot be read.
    """
    found = []
    for path in find_recordings(folder, findings) if Path(folder).is_dir() else ():
        word = folder_name(path)
        if path.parent == Path(folder) and word not in classes:
            findings.add(LEFT_OUT, f"{printable(path)}: lies in no folder of a word; put it into WORD/")
        else:
            found.append((path, word))
    return found


def label_of(word: str, classes: tuple[str, ...]) -> int:
    """Index of the class of a word: its own, or ``_unknown_``'s.

    Raises
    ------
    InvalidValue
        If neither the word nor ``_unknown_`` is a class.
    """
    if word in classes:
        return classes.index(word)
    if UNKNOWN in classes:
        return classes.index(UNKNOWN)
    raise InvalidValue(f"folder {word!r} is not one of the classes {', '.join(classes)}: rename or remove it")


def labeled_recordings(
    folder: Path | str,
    classes: tuple[str, ...],
    settings: FeatureSettings,
    findings: Findings | None = None,
    speakers: Speakers | None = None,
) -> Recordings:
    """Every recording of a folder, labeled by the name of the folder it lies in; ``_background_noise_`` is left aside.

    Parameters
    ----------
    findings : Findings or None
        Told of every file that cannot be used, which is then left out; None: the first one is an error.
    speakers : Speakers or None
        Only theirs; None: everybody's.

    Raises
    ------
    InvalidValue
        If there is no recording, a folder is not a class, or, without ``findings``, what
        :func:`~crossramp.golden.inputs.recordings.read_clip` raises.
    """
    files = word_files(folder, classes, Findings() if findings is None else findings)
    files = [(path, label_of(word, classes)) for path, word in files if word != BACKGROUND]
    return _read(Path(folder), files, settings, findings, speakers)


def split_recordings(
    folder: Path | str,
    classes: tuple[str, ...],
    settings: FeatureSettings,
    split: str = "testing",
    findings: Findings | None = None,
    speakers: Speakers | None = None,
) -> Recordings:
    """One split of a whole data set as a set to measure on, put together like the official one.

    Words that are not classes, and silence, have as many clips as a word has on average. The other words' are
    chosen by a hash of their names. Silence is pieces of the background noise, spread over it, from silent to as loud
    as it is. Nothing is random. With ``speakers`` the spoken clips of other speakers are taken out of that set.

    Raises
    ------
    InvalidValue
        For an unknown split, or what :func:`labeled_recordings` raises.
    """
    if split not in SPLITS:
        raise InvalidValue(f"split is {split!r}; allowed: {', '.join(SPLITS)}")
    folder, split_of = Path(folder), splits(folder)
    files = word_files(folder, classes, Findings() if findings is None else findings)
    noises = [path for path, word in files if word == BACKGROUND]
    spoken = [(path, word) for path, word in files if word not in (BACKGROUND, SILENCE)]
    spoken = [(path, word) for path, word in spoken if split_of(f"{word}/{path.name}") == split]
    chosen = [(path, word) for path, word in spoken if word in classes]
    words = sum(name not in (SILENCE, UNKNOWN) for name in classes)
    share = -(-len(chosen) // max(words, 1))
    others = sorted(((path, word) for path, word in spoken if word not in classes), key=_name_hash)
    if UNKNOWN in classes:
        chosen += others[:share]
    if not chosen:
        others = ", ".join(name for name in SPLITS if name != split)
        raise InvalidValue(
            f"{printable(folder)}: holds no recordings of its {split} split; take {others}, or all of it; {SOURCE}"
        )
    labeled = [(path, label_of(word, classes)) for path, word in sorted(chosen)]
    found = _read(folder, labeled, settings, findings, speakers)
    if SILENCE not in classes:
        return found
    paths, clips = _silence(noises, share, settings, findings)
    labels = np.full(len(clips), classes.index(SILENCE))
    return Recordings(
        (*found.paths, *paths), np.concatenate([found.clips, clips]), np.append(found.labels, labels), found.others
    )


def _read(
    folder: Path,
    labeled: list[tuple[Path, int]],
    settings: FeatureSettings,
    findings: Findings | None,
    speakers: Speakers | None,
) -> Recordings:
    if not folder.is_dir():
        raise InvalidValue(f"{printable(folder)}: no such folder; give one of recordings, <word>/*.wav; {SOURCE}")
    if not labeled:
        raise InvalidValue(
            f"{printable(folder)}: holds no recordings; expected files named <word>/<anything>.wav in it; {SOURCE}"
        )
    theirs = [(path, label) for path, label in labeled if speakers is None or path in speakers]
    if not theirs:
        raise InvalidValue(
            f"{printable(folder)}: holds {len(labeled)} recordings, none of the speakers {speakers}; take others"
        )
    paths = [path for path, _ in theirs]
    if findings is None:
        places, clips = range(len(paths)), np.stack([read_clip(path, settings) for path in paths])
    else:
        places, clips = read_clips(paths, settings, findings)
    labels = np.array([theirs[place][1] for place in places])
    return Recordings(tuple(paths[place] for place in places), clips, labels, len(labeled) - len(theirs))


def _silence(
    noises: list[Path], count: int, settings: FeatureSettings, findings: Findings | None
) -> tuple[list[Path], np.ndarray]:
    """``count`` pieces of noise, and where each is from; fewer where there is not enough."""
    length, pieces = settings.clip_samples, []
    for path in noises:
        try:
            samples = read_samples(path, settings, findings)
        except InvalidValue as error:
            if findings is None:
                raise
            findings.add(LEFT_OUT, error)
            continue
        pieces += [(path, samples[start : start + length]) for start in range(0, len(samples) - length + 1, length)]
    chosen = [pieces[k] for k in np.unique(np.linspace(0, len(pieces) - 1, count).astype(int))] if pieces else []
    # Multiples of the golden ratio, wrapped: gains from 0 to 1, evenly, and none that goes with a kind of noise.
    gains = (np.arange(1, len(chosen) + 1) * 0.6180339887498949) % 1
    clips = np.array([samples for _, samples in chosen], np.int16).reshape(-1, length)
    return [path for path, _ in chosen], np.rint(clips * gains[:, None]).astype(np.int16)


def _name_hash(file: tuple[Path, str]) -> str:
    path, word = file
    return hashlib.sha256(f"{word}/{path.name}".encode("utf-8", "surrogateescape")).hexdigest()
