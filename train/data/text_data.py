# SPDX-License-Identifier: Apache-2.0
"""Text to train on: any UTF-8 file, or all ``*.txt`` of a folder, in contiguous parts. NumPy alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.inputs.text_codes import VOCABULARY_MAX, character_name

from ..recipes.settings import Text

__all__ = ["LEAST", "STREAM", "WARM_UP", "TextCorpus", "cut", "load_text", "read_text", "streams"]

LEAST = 64
"""Characters of the shortest part of a text."""

WARM_UP = 100
"""Characters read before those that count, so that the state is that of a text that goes on."""

STREAM = 400
"""Characters that count of a stream that is measured; more of them in a row take longer than side by side."""

_SOURCE = "any UTF-8 text will do, such as a book in 'Plain Text UTF-8' from https://www.gutenberg.org"


@dataclass(frozen=True)
class TextCorpus:
    """A text in numbers, in the order in which it is read: to train on, to validate with, to test with.

    ``vocabulary``: its distinct characters, sorted. ``places``: each character's place there, int64, shape
    (characters,). ``starts``: where validation and test begin. ``digest``: SHA-256 of the text in UTF-8, hexadecimal.
    """

    vocabulary: str
    places: np.ndarray
    starts: tuple[int, int]
    digest: str

    @property
    def training(self) -> np.ndarray:
        """Places of the characters to train on."""
        return self.places[: self.starts[0]]

    def part(self, name: str) -> tuple[int, int]:
        """From where to where ``"training"``, ``"validation"`` or ``"test"`` reaches in ``places``."""
        bounds = (0, *self.starts, len(self.places))
        number = ("training", "validation", "test").index(name)
        return bounds[number], bounds[number + 1]


def load_text(path: Path | str, settings: Text) -> TextCorpus:
    """Reads a file, or the files ``*.txt`` of a folder in the order of their names, a line's end between two.

    A byte order mark is dropped, and every line end becomes a line feed.

    Parameters
    ----------
    path : path
    settings : Text
        Its shares of validation and test, and the most characters of the vocabulary.

    Raises
    ------
    InvalidValue
        For nothing there, a file that cannot be read or is not UTF-8, a text that is empty, too short or of too many
        different characters; one line.
    """
    text = read_text(path)
    counts = Counter(text)
    if len(counts) < 2:
        raise InvalidValue(f"{path}: is {next(iter(counts))!r} and nothing else; {_SOURCE}")
    if len(counts) > settings.vocabulary:
        raise InvalidValue(_too_many(path, counts, settings.vocabulary))
    shares = {"validation": settings.validation, "test": settings.test}
    lengths = {name: round(len(text) * share) for name, share in shares.items()}
    lengths = {"training": len(text) - sum(lengths.values()), **lengths}
    for name, length in lengths.items():
        if length < LEAST:
            raise InvalidValue(
                f"{path}: has {len(text)} characters, which leave {length} for {name}, at least {LEAST} are needed; "
                f"give more text, or change text.validation and text.test, now {shares['validation']:g} and "
                f"{shares['test']:g}"
            )
    vocabulary = "".join(sorted(counts))
    # By code point: a table to look up, not a loop over a million characters.
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    places = np.searchsorted(np.frombuffer(vocabulary.encode("utf-32-le"), np.uint32), points)
    starts = (lengths["training"], lengths["training"] + lengths["validation"])
    return TextCorpus(vocabulary, places, starts, hashlib.sha256(text.encode()).hexdigest())


def read_text(path: Path | str) -> str:
    """The text as :func:`load_text` reads it, with any content; raises InvalidValue for an empty text."""
    path = Path(path)
    text = _joined([_read(file) for file in _files(path)])
    if not text.strip():
        raise InvalidValue(f"{path}: holds no text; {_SOURCE}")
    return text


def streams(corpus: TextCorpus, part: str) -> tuple[np.ndarray, np.ndarray]:
    """A part of a text as :func:`cut` does it."""
    return cut(corpus.places, *corpus.part(part))


def cut(places: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """What stands from ``first`` to ``last`` as streams side by side, each with what is before it, not to be counted.

    Parameters
    ----------
    places : int64 array, shape (characters,)
        Of a whole text.

    Returns
    -------
    (places, targets)
        places: int64, shape (streams, warm-up + steps): what is read. targets: int64, shape (streams, steps): what
        comes after each of the last ``steps`` characters read. A few characters at the end that fill no step of all
        streams are left out. The warm-up is shorter than :data:`WARM_UP` where the text begins just before.
    """
    first = max(first, 1)  # the first character of all has none before it
    count = max(1, (last - first) // STREAM)
    steps = (last - first) // count
    warm_up = min(WARM_UP, first - 1)
    begin = first + steps * np.arange(count)[:, None]
    return places[begin - 1 - warm_up + np.arange(warm_up + steps)], places[begin + np.arange(steps)]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.glob("*.txt") if file.is_file())
        if not files:
            raise InvalidValue(f"{path}: holds no *.txt; {_SOURCE}")
        return files
    if not path.exists():
        raise InvalidValue(f"{path}: no such file; {_SOURCE}")
    return [path]


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidValue(f"{path}: cannot be read ({error.strerror or error})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The decoder counts behind a byte order mark.
        start = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        raise InvalidValue(
            f"{path}: is not UTF-8: byte {content[start]:#04x} at offset {start} ({error.reason}); convert it, for "
            "instance with iconv -f WINDOWS-1252 -t UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _joined(parts: list[str]) -> str:
    ended = [part if part.endswith("\n") or not part else part + "\n" for part in parts[:-1]]
    return "".join([*ended, parts[-1]])


def _too_many(path: Path, counts: Counter, limit: int) -> str:
    rare = sorted(counts.items(), key=lambda item: (item[1], item[0]))[:5]
    named = ", ".join(f"{character_name(char)} (U+{ord(char):04X}, {count} times)" for char, count in rare)
    more = f", or raise text.vocabulary, up to {VOCABULARY_MAX}" if limit < VOCABULARY_MAX else ""
    return (
        f"{path}: has {len(counts)} different characters, text.vocabulary allows {limit}; replace rare ones, such as "
        f"{named}{more}"
    )
