# SPDX-License-Identifier: Apache-2.0
"""Recordings in folders: which are found, which are left out, and which part of them the model hears.

Every command and training follow these rules; docs/recordings.md states them for users.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..common.errors import InvalidValue
from ..common.wording import printable
from .audio import conversion, read_wav
from .features import FeatureSettings, fit_length

__all__ = [
    "CUT",
    "LEFT_OUT",
    "SATURATED",
    "UNFINISHED",
    "Findings",
    "find_recordings",
    "folder_name",
    "read_clip",
    "read_clips",
    "read_samples",
]

LEFT_OUT, CUT, UNFINISHED, SATURATED = "left out", "cut", "unfinished", "saturated"

_FOLDERS_MOST = 100_000  # links between folders can make any number of paths
_OTHER_AUDIO = {
    *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd"),
    *(".sph", ".w64", ".wave", ".webm", ".wma"),
}


@dataclass
class Findings:
    """What of the data was not taken as it is.

    Attributes
    ----------
    tell : callable or None
        Told the kind (``LEFT_OUT``, ``CUT``, ``UNFINISHED`` or ``SATURATED``) and one line, at once.
    lines : dict of str to list of str
        Those lines, by kind. Each begins with the path.
    padded : int
        Recordings shorter than the model's clip, which are heard with silence behind them.
    saturated : int
        Values of a file of features beyond full scale.
    """

    tell: Callable[[str, str], None] | None = None
    lines: dict[str, list[str]] = field(default_factory=lambda: {LEFT_OUT: [], CUT: [], UNFINISHED: [], SATURATED: []})
    padded: int = 0
    saturated: int = 0

    def add(self, kind: str, text: object) -> None:
        """Keeps, and tells, one line."""
        self.lines[kind].append(str(text))
        if self.tell is not None:
            self.tell(kind, str(text))

    @property
    def left_out(self) -> list[str]:
        """Recordings and folders that could not be used."""
        return self.lines[LEFT_OUT]

    @property
    def cut(self) -> list[str]:
        """Recordings longer than the model's clip."""
        return self.lines[CUT]

    @property
    def unfinished(self) -> list[str]:
        """Recordings whose header does not give their length."""
        return self.lines[UNFINISHED]

    def to_dict(self) -> dict[str, Any]:
        """Counts, and ``findings`` with every line, as JSON types."""
        counts = {"left_out": len(self.left_out), "cut": len(self.cut), "unfinished": len(self.unfinished)}
        lines = [f"{kind}: {text}" for kind, texts in self.lines.items() for text in texts]
        return counts | {"padded": self.padded, "saturated": self.saturated, "findings": lines}


def find_recordings(folder: Path | str, findings: Findings | None = None) -> list[Path]:
    """Every ``.wav`` file of a folder (in capitals too), at any depth, sorted.

    Links to folders are followed, unless they lead to a folder that they lie in. Files and folders whose names begin
    with a dot are skipped. ``findings`` is told of folders without recordings, links that lead nowhere, and files
    whose names say that they are audio of another kind.

    Raises
    ------
    InvalidValue
        If a folder cannot be read, or there are more than 100,000.
    """
    top = Path(folder)
    findings = Findings() if findings is None else findings
    found: list[Path] = []
    wrong: list[str] = []
    visited: list[Path] = []
    left: list[tuple[Path, frozenset]] = [(top, frozenset())]
    while left:
        place, above = left.pop()
        identity = _identity(place)
        if identity in above:
            continue
        visited.append(place)
        if len(visited) > _FOLDERS_MOST:
            raise InvalidValue(f"{printable(top)}: more than {_FOLDERS_MOST} folders; give one further down")
        for entry in _entries(place):
            path = place / entry
            mode, why = _mode(path)
            if mode is None:
                wrong.append(f"{printable(path)}: cannot be read ({why}); copy it again, or remove it")
            elif stat.S_ISDIR(mode):
                left.append((path, above | {identity}))
            elif path.suffix.lower() == ".wav":
                found.append(path)
            elif path.suffix.lower() in _OTHER_AUDIO:
                wrong.append(f"{printable(path)}: is not a .wav file; {conversion(path, 16000)}")
    full = {folder for path in found for folder in _up_to(path.parent, top)}
    empty = [place for place in visited if place not in full and place.parent in full]
    wrong += [f"{printable(place)}: holds no *.wav; put recordings there, or remove it" for place in empty]
    for text in sorted(wrong):
        findings.add(LEFT_OUT, text)
    return sorted(found)


def folder_name(path: Path | str) -> str:
    """The name of the folder that a file lies in, which is its label where that is a class."""
    folder = Path(path).absolute().parent
    # Links keep their own names, except where only resolving tells what ".." is.
    return folder.resolve().name if folder.name == ".." else folder.name


def read_samples(path: Path | str, settings: FeatureSettings, findings: Findings | None = None) -> np.ndarray:
    """The samples of a recording, int16, as many as there are; ``findings`` is told of a header without a length.

    Raises
    ------
    InvalidValue
        If it cannot be read, is not a mono 16-bit WAV file of the right rate, or is shorter than one window of the
        front end.
    """
    notes: list[str] = []
    try:
        samples = read_wav(path, settings.sample_rate, notes.append)
    except OSError as error:
        raise InvalidValue(f"{printable(path)}: cannot be read ({error.strerror or error}); copy it again") from None
    if len(samples) < settings.window_samples:
        raise InvalidValue(
            f"{printable(path)}: holds {len(samples)} samples, must hold at least {settings.window_samples}, "
            "one window of the front end; record it again"
        )
    for text in notes if findings is not None else ():
        findings.add(UNFINISHED, text)
    return samples


def read_clip(path: Path | str, settings: FeatureSettings, findings: Findings | None = None) -> np.ndarray:
    """What the model hears of a recording: int16, shape (clip_samples,), the end cut off or silence added.

    Raises
    ------
    InvalidValue
        As :func:`read_samples`.
    """
    samples = read_samples(path, settings, findings)
    length = settings.clip_samples
    if findings is not None and len(samples) > length:
        findings.add(
            CUT,
            f"{printable(path)}: holds {len(samples)} samples, the model hears the first {length}; "
            f"the last {len(samples) - length} are cut off",
        )
    if findings is not None and len(samples) < length:
        findings.padded += 1
    return fit_length(samples, length)


def read_clips(
    paths: Sequence[Path | str], settings: FeatureSettings, findings: Findings
) -> tuple[list[int], np.ndarray]:
    """The clips of all recordings that can be used; the others are left out.

    Returns
    -------
    list of int, int16 array of shape (clips, clip_samples)
        Which of ``paths`` the clips are of.

    Raises
    ------
    InvalidValue
        If none can be used: what is wrong with the first.
    """
    places, clips, first = [], [], None
    for place, path in enumerate(paths):
        try:
            clips.append(read_clip(path, settings, findings))
            places.append(place)
        except InvalidValue as error:
            first = first or error
            findings.add(LEFT_OUT, error)
    if not clips:
        raise InvalidValue(f"none of {len(paths)} recordings can be used; the first: {first}")
    return places, np.stack(clips)


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise InvalidValue(
            f"{printable(folder)}: cannot be listed ({error.strerror}); make the folder readable"
        ) from None


def _mode(path: Path) -> tuple[int | None, str]:
    """What a name stands for, links followed, or None and why that is unknown; InvalidValue if its folder is closed."""
    try:
        return os.stat(path).st_mode, ""
    except PermissionError as error:
        raise InvalidValue(
            f"{printable(path)}: cannot be looked at ({error.strerror}); make its folder readable"
        ) from None
    except OSError as error:
        return None, str(error.strerror)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        found = os.stat(folder)
    except OSError as error:
        raise InvalidValue(
            f"{printable(folder)}: cannot be read ({error.strerror}); make the folder readable"
        ) from None
    return found.st_dev, found.st_ino


def _up_to(folder: Path, top: Path) -> list[Path]:
    """A folder and those above it, up to ``top``."""
    chain = [folder]
    while chain[-1] != top:
        chain.append(chain[-1].parent)
    return chain
