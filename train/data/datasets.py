# SPDX-License-Identifier: Apache-2.0
"""Training data in either layout, as log-mel levels: a folder of recordings, or a folder of ready-made spectrograms.

Recordings are ``<word>/<speaker>_nohash_<n>.wav``, at any depth, and ``_background_noise_/*.wav``.
They are split by ``validation_list.txt`` and ``testing_list.txt`` if both are present,
and by the official rule otherwise.
Spectrograms are gray images, as wide as there are bands and as high as there are frames.
``index.csv`` lists them with the columns path, word and split ("training", "validation", "testing" or "background").

Levels are kept as bytes: the steps of a level are then 0.4 dB, a seventh of the pulse code's.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crossramp.golden.common import crossramp_cache
from crossramp.golden.common.content_hash import content_hash
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.installation import how_to_install
from crossramp.golden.common.whole_file import whole_file
from crossramp.golden.common.wording import printable
from crossramp.golden.inputs.features import FeatureSettings, log_mel
from crossramp.golden.inputs.recordings import LEFT_OUT, Findings, read_clip, read_samples

from .word_folders import BACKGROUND, SILENCE, SOURCE, UNKNOWN, label_of, splits, word_files

__all__ = ["Corpus", "cache_file", "class_names", "load_corpus"]

_LOG = logging.getLogger(__name__)

_HELD_OUT = 10  # every tenth piece of background noise is for validation
_BLOCK_CLIPS = 256


@dataclass(frozen=True)
class Corpus:
    """Labeled clips for training and validation, as levels: uint8, shape (clips, frames, bands)."""

    classes: tuple[str, ...]
    training: np.ndarray
    training_labels: np.ndarray
    validation: np.ndarray
    validation_labels: np.ndarray
    background: np.ndarray
    background_validation: np.ndarray
    digest: str  # SHA-256 of all of the above


def class_names(words: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of a keyword task, in the data set's own order: silence, unknown, then the words."""
    return (SILENCE, UNKNOWN, *words)


def cache_file(folder: Path | str, settings: FeatureSettings) -> Path:
    """Where the levels of a folder are kept by default: in the user's cache folder.

    One file for each folder and front end, so that recipes with different front ends do not read all data again.
    """
    name = content_hash(repr((str(Path(folder).resolve()), _spectrum(settings))))
    return crossramp_cache.cache_folder("levels") / f"{name}.npz"


def load_corpus(
    folder: Path | str,
    words: tuple[str, ...],
    settings: FeatureSettings,
    cache: Path | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    findings: Findings | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Reads a folder of either layout.

    Parameters
    ----------
    folder : path
        With ``index.csv`` in it: spectrograms; else recordings.
    words : tuple of str
        Every other word becomes ``_unknown_``.
    settings : FeatureSettings
        The front end; only its spectrum settings matter here, not the normalization.
    cache : path or None
        An .npz file to keep the levels in. It is used again while the files' names, sizes and times of change and the
        settings are the same, and written anew otherwise. About 4 KB a clip in the default front end.
    progress : callable
        Told the clips read and their total, now and then.
    findings : Findings or None
        Told of every file and folder that is left out because nothing can be made of it, and of clips that are cut.
    note : callable
        Told why the levels are not kept, where the cache cannot be written.

    Raises
    ------
    InvalidValue
        What is missing or wrong in the folder, in one line.
    """
    folder = Path(folder)
    findings = Findings() if findings is None else findings
    if not folder.is_dir():
        raise InvalidValue(
            f"{printable(folder)}: not a folder; give one of recordings (<word>/*.wav) or of spectrograms (index.csv); "
            f"{SOURCE}"
        )
    ready_made = (folder / "index.csv").is_file()
    entries = _spectrogram_entries(folder) if ready_made else _recording_entries(folder, words, settings, findings)
    if not entries:
        raise InvalidValue(
            f"{printable(folder)}: holds neither index.csv nor recordings named <word>/<anything>.wav; {SOURCE}"
        )
    entries = [entry for entry in entries if entry.split != "testing"]
    key = _key(entries, folder, settings)
    found = _from_cache(cache, key)
    if cache is not None:
        _LOG.info("levels of the clips %s: %s", "are kept in" if found is None else "come from", cache)
    levels, remarks = found or _read(entries, folder, not ready_made, settings, progress)
    if found is None and cache is not None:
        try:
            _to_cache(Path(cache), key, levels, remarks)
        except OSError as error:  # it only saves time
            note(f"{cache}: cannot be written ({error.strerror or error}); the next run reads all clips again")
    good = np.ones(len(entries), bool)
    for place, kind, text in remarks:
        if kind == _PADDED:
            findings.padded += 1
            continue
        findings.add(kind, text)
        good[place] &= kind != LEFT_OUT
    entries = [entry for entry, right in zip(entries, good, strict=True) if right]
    return _corpus(entries, levels[good], class_names(words), folder)


@dataclass(frozen=True)
class _Entry:
    path: str  # relative to the folder
    word: str
    split: str
    start: int = 0  # first sample, for pieces of long recordings


#: What is remarked of an entry, beside the kinds of findings.
_PADDED = "padded"

_Remarks = list[tuple[int, str, str]]  # place of the entry, kind, line


def _spectrogram_entries(folder: Path) -> list[_Entry]:
    index = folder / "index.csv"
    try:
        with open(index, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, restval="")
            missing = {"path", "word", "split"} - set(rows.fieldnames or ())
            if missing:
                raise InvalidValue(f"{index}: lacks the column {sorted(missing)[0]!r}; needs path, word, split")
            entries = [_Entry(row["path"], row["word"], row["split"]) for row in rows]
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{index}: byte {error.start} is not UTF-8; save it in UTF-8") from None
    except csv.Error as error:
        raise InvalidValue(f"{index}: cannot be read ({error}); write it again as CSV") from None
    for entry in entries:
        if entry.split not in ("training", "validation", "testing", "background"):
            raise InvalidValue(
                f"{index}: split of {entry.path} is {entry.split!r}; "
                "must be training, validation, testing or background"
            )
    return entries


def _recording_entries(
    folder: Path, words: tuple[str, ...], settings: FeatureSettings, findings: Findings
) -> list[_Entry]:
    split_of = splits(folder)
    entries = []
    for path, word in word_files(folder, words, findings):
        name = path.relative_to(folder).as_posix()
        if word == BACKGROUND:
            try:
                entries.extend(_Entry(name, "", "background", start) for start in _piece_starts(path, settings))
            except InvalidValue as error:
                findings.add(LEFT_OUT, error)
        elif word != SILENCE:  # silence is made of background noise instead
            entries.append(_Entry(name, word, split_of(f"{word}/{path.name}")))
    return entries


def _piece_starts(path: Path, settings: FeatureSettings) -> range:
    samples = len(read_samples(path, settings))
    if samples < settings.clip_samples:
        raise InvalidValue(
            f"{printable(path)}: holds {samples} samples; noise must hold a clip's {settings.clip_samples} or more"
        )
    return range(0, samples - settings.clip_samples + 1, max(1, settings.clip_samples // 2))


def _read(
    entries: list[_Entry],
    folder: Path,
    recorded: bool,
    settings: FeatureSettings,
    progress: Callable[[int, int], None],
) -> tuple[np.ndarray, _Remarks]:
    """Levels of all entries, 0 of those that are left out, and what is to be said of entries."""
    levels = np.zeros((len(entries), settings.frames, settings.bands), np.uint8)
    remarks: _Remarks = []
    for start, block in _read_blocks(entries, folder, recorded, settings, remarks):
        levels[start : start + len(block)] = block
        progress(start + len(block), len(entries))
    return levels, remarks


def _read_blocks(
    entries: list[_Entry], folder: Path, recorded: bool, settings: FeatureSettings, remarks: _Remarks
) -> Iterator[tuple[int, np.ndarray]]:
    """Levels of some entries at a time with the first one's number; what is to be said of them is appended."""
    for start in range(0, len(entries), _BLOCK_CLIPS):
        block = entries[start : start + _BLOCK_CLIPS]
        nothing = np.zeros(settings.clip_samples if recorded else (settings.frames, settings.bands), np.int16)
        clips = []
        for place, entry in enumerate(block, start):
            clip, findings = nothing, Findings(lambda kind, text, place=place: remarks.append((place, kind, text)))
            try:
                if not recorded:
                    clip = _read_image(folder / entry.path, settings)
                elif entry.split == "background":
                    clip = read_samples(folder / entry.path, settings, None if entry.start else findings)
                    clip = clip[entry.start : entry.start + settings.clip_samples]
                else:
                    clip = read_clip(folder / entry.path, settings, findings)
                    remarks.extend([(place, _PADDED, "")] * findings.padded)
            except InvalidValue as error:
                findings.add(LEFT_OUT, error)
            clips.append(clip)
        levels = log_mel(np.stack(clips), settings) if recorded else np.stack(clips)
        yield start, np.rint(levels).clip(0, 255).astype(np.uint8)


def _read_image(path: Path, settings: FeatureSettings) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise InvalidValue(f"reading spectrogram images needs pillow; type: {how_to_install('train')}") from None
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Known from the header: a picture of other sizes is not read at all, however large.
            pixels = np.asarray(image.convert("L")) if (width, height) == (settings.bands, settings.frames) else None
    # What pillow raises for damaged files depends on their format, and is any exception.
    except Exception as error:
        reason = getattr(error, "strerror", None) or "no image, or a damaged one"
        raise InvalidValue(f"{printable(path)}: cannot be read ({reason}); copy it again") from None
    if pixels is None:
        raise InvalidValue(
            f"{printable(path)}: is {width} wide and {height} high; "
            f"must be {settings.bands} bands wide and {settings.frames} frames high"
        )
    return pixels


def _corpus(entries: list[_Entry], levels: np.ndarray, classes: tuple[str, ...], folder: Path) -> Corpus:
    split = np.array([entry.split for entry in entries])
    labels = np.array([label_of(entry.word, classes) for entry in entries])
    background = np.flatnonzero(split == "background")
    held_out = np.arange(len(background)) % _HELD_OUT == 0
    parts = {name: np.flatnonzero(split == name) for name in ("training", "validation")}
    for name, part in parts.items():
        absent = [word for label, word in enumerate(classes) if word != SILENCE and not (labels[part] == label).any()]
        if absent:
            raise InvalidValue(f"{folder}: no {name} clip of {absent[0]!r}; add some, or name other words with --words")
    if held_out.sum() in (0, len(background)):
        raise InvalidValue(f"{folder}: too little background noise; put at least 2 s into {BACKGROUND}/*.wav; {SOURCE}")
    digest = hashlib.sha256("\n".join(classes).encode())
    for part in (parts["training"], parts["validation"], background):
        digest.update(labels[part].astype("<i8").tobytes())
        digest.update(levels[part].tobytes())
    return Corpus(
        classes,
        levels[parts["training"]],
        labels[parts["training"]],
        levels[parts["validation"]],
        labels[parts["validation"]],
        levels[background[~held_out]],
        levels[background[held_out]],
        digest.hexdigest(),
    )


def _key(entries: list[_Entry], folder: Path, settings: FeatureSettings) -> str:
    digest = hashlib.sha256(_spectrum(settings).encode())
    for entry in entries:
        try:
            stat = os.stat(folder / entry.path)
            found = f"{stat.st_size} {stat.st_mtime_ns}"
        except (OSError, ValueError):  # or a name that no file can have
            found = "not there"
        digest.update(f"{entry} {found}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _spectrum(settings: FeatureSettings) -> str:
    """What of the settings levels depend on."""
    fitted = ("band_offset", "band_gain", "frames_per_step")
    return repr(sorted((name, value) for name, value in settings.to_dict().items() if name not in fitted))


def _from_cache(cache: Path | str | None, key: str) -> tuple[np.ndarray, _Remarks] | None:
    if cache is None or not Path(cache).is_file():
        return None
    try:
        with np.load(cache, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            return stored["levels"], [
                (int(place), kind, text) for place, kind, text in json.loads(str(stored["remarks"]))
            ]
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile):
        return None  # a damaged cache counts as missing: it is written anew


def _to_cache(cache: Path, key: str, levels: np.ndarray, remarks: _Remarks) -> None:
    content = io.BytesIO()
    np.savez(content, key=np.array(key), levels=levels, remarks=np.array(json.dumps(remarks)))
    cache.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(cache) as draft:
        draft.write_bytes(content.getvalue())
