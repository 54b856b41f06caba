# SPDX-License-Identifier: Apache-2.0
"""Text as a network sees it: from characters to pulse codes, and from logits to probabilities and bits per character.

A character is one input vector: one-hot at full scale, or its row of an embedding table, which a host looks up.
The hardware gives a logit for each character that may be next; softmax and choice belong to the host.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..common.checks import integer, real, told, whole
from ..common.errors import InvalidValue

__all__ = ["KIND", "VOCABULARY_MAX", "TextSettings", "bits_per_character", "character_name", "probabilities"]

KIND = "text"
"""What a model's feature settings say their kind is."""

VOCABULARY_MAX = 4096
"""Characters, which are the classes of a specification."""

_CODE_MAX = 127  # of the widest pulse code


@dataclass(frozen=True)
class TextSettings:
    """What a text model reads and writes; immutable, checked, and storable as JSON (`to_dict`, `from_dict`).

    Parameters
    ----------
    vocabulary : str
        The distinct characters; a character's place is its class.
    embedding : tuple of tuples of int, or None
        Pulse codes of each character, one row per character, all of one width; None: one-hot, one input per character.
    full_scale : int
        Pulse code of the hot input, 1 to 127: the network's ``input_max``.
    logit_scale : float
        A logit of the hardware times this is a natural logarithm of a probability, but for a common addend.

    Raises
    ------
    InvalidValue
        For a value that is wrong; the message quotes it.
    """

    vocabulary: str
    embedding: tuple[tuple[int, ...], ...] | None = None
    full_scale: int = 15
    logit_scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.vocabulary, str) or not 1 <= len(self.vocabulary) <= VOCABULARY_MAX:
            size = len(self.vocabulary) if isinstance(self.vocabulary, str) else repr(self.vocabulary)
            raise InvalidValue(f"vocabulary has {size} characters; allowed: 1 to {VOCABULARY_MAX}")
        if len(self._place) != len(self.vocabulary):
            twice = next(char for n, char in enumerate(self.vocabulary) if char in self.vocabulary[:n])
            raise InvalidValue(f"vocabulary holds {twice!r} twice")
        object.__setattr__(self, "full_scale", integer("full_scale", self.full_scale, 1, _CODE_MAX))
        scale = real(self.logit_scale)
        if scale is None or not 0 < scale < math.inf:
            raise InvalidValue(f"logit_scale is {told(self.logit_scale)}; allowed: a number above 0")
        object.__setattr__(self, "logit_scale", scale)
        if self.embedding is not None:
            object.__setattr__(self, "embedding", self._checked_embedding())

    def _checked_embedding(self) -> tuple[tuple[int, ...], ...]:
        rows = self.embedding
        if not isinstance(rows, list | tuple) or not all(isinstance(row, list | tuple) for row in rows):
            raise InvalidValue(f"embedding is {rows!r:.80}; expected a row of pulse codes for each character")
        if len(rows) != len(self.vocabulary):
            raise InvalidValue(f"embedding has {len(rows)} rows for {len(self.vocabulary)} characters")
        width = len(rows[0])
        for char, row in zip(self.vocabulary, rows, strict=True):
            if len(row) != width or width == 0:
                raise InvalidValue(f"embedding of {char!r} has {len(row)} codes, the first row {width}; at least 1")
            for code in row:
                if whole(code) is None or abs(code) > self.full_scale:
                    raise InvalidValue(f"embedding of {char!r} holds {told(code)}; allowed: ±{self.full_scale}")
        return tuple(tuple(map(int, row)) for row in rows)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {char: place for place, char in enumerate(self.vocabulary)}

    @property
    def inputs(self) -> int:
        """Codes of one input vector."""
        return len(self.vocabulary) if self.embedding is None else len(self.embedding[0])

    @property
    def class_names(self) -> tuple[str, ...]:
        """A printable name for each character, by :func:`character_name`."""
        return tuple(map(character_name, self.vocabulary))

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """Pulse codes of every character: int64, shape (characters, inputs); read-only."""
        if self.embedding is None:
            codes = np.eye(len(self.vocabulary), dtype=np.int64) * self.full_scale
        else:
            codes = np.array(self.embedding, np.int64)
        codes.setflags(write=False)
        return codes

    def indices(self, text: str) -> NDArray[np.int64]:
        """Places in the vocabulary of a text's characters: int64, shape (len(text),).

        Raises
        ------
        InvalidValue
            For a character that is not in the vocabulary; the message names it and its place.
        """
        try:
            return np.fromiter(map(self._place.__getitem__, text), np.int64, len(text))
        except KeyError as error:
            (char,) = error.args
            where = f"character {text.index(char) + 1} of the text"
            raise InvalidValue(
                f"{where}, {char!r} (U+{ord(char):04X}), is not one of the {len(self.vocabulary)} known ones: "
                f"{_some(self.vocabulary)}; leave it out, or train on a text that has it"
            ) from None

    def codes(self, text: str) -> NDArray[np.int64]:
        """Pulse codes of a text, one step a character: int64, shape (len(text), inputs); raises as :meth:`indices`."""
        return self.table[self.indices(text)]

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types; `from_dict` is the exact inverse."""
        rows = None if self.embedding is None else [list(row) for row in self.embedding]
        return {"kind": KIND, **dataclasses.asdict(self), "embedding": rows}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TextSettings:
        """Settings from `to_dict`'s result (or from the same as read back from JSON).

        Raises
        ------
        InvalidValue
            For another kind, a name that is unknown or missing, or a wrong value.
        """
        known = ["kind", *(field.name for field in dataclasses.fields(cls))]
        for name in fields:
            if name not in known:
                raise InvalidValue(f"text setting {name!r} is unknown: the settings are {', '.join(known)}")
        for name in known:
            if name not in fields:
                raise InvalidValue(f"text setting {name!r} is missing: write all of {', '.join(known)}")
        if fields["kind"] != KIND:
            raise InvalidValue(f"kind is {fields['kind']!r}; expected {KIND!r}")
        return cls(**{name: value for name, value in fields.items() if name != "kind"})


def character_name(char: str) -> str:
    """A character as people read it in a list: itself, or escaped as Python does where it cannot be seen.

    >>> character_name("a"), character_name("\\n"), character_name(" ")
    ('a', '\\\\n', 'space')
    """
    return "space" if char == " " else repr(char)[1:-1]


def probabilities(logits: ArrayLike, logit_scale: float, temperature: float = 1.0) -> NDArray[np.float64]:
    """Softmax of integer logits over the last axis: what is next, each with its probability.

    Parameters
    ----------
    logits : array, shape (..., characters)
    logit_scale : float
        See :class:`TextSettings`.
    temperature : float
        Below 1 the likely gets likelier, above 1 all get more alike; above 0.

    Raises
    ------
    InvalidValue
        For a temperature that is not above 0, or no number.
    """
    if not temperature > 0 or not math.isfinite(temperature):
        raise InvalidValue(f"the temperature is {temperature!r}; allowed: a number above 0")
    return np.exp(_log_probabilities(logits, logit_scale / temperature))


def bits_per_character(logits: ArrayLike, targets: ArrayLike, logit_scale: float) -> float:
    """Mean of -log2 of the probability that each character was given: how many bits it takes to encode one.

    Parameters
    ----------
    logits : array, shape (..., characters)
    targets : integer array, shape (...)
        Places in the vocabulary of the characters that came.
    logit_scale : float
        See :class:`TextSettings`.

    Raises
    ------
    InvalidValue
        For shapes that do not fit, or nothing to take the mean of.
    """
    logs, targets = _log_probabilities(logits, logit_scale), np.asarray(targets)
    if logs.shape[:-1] != targets.shape or targets.size == 0:
        raise InvalidValue(
            f"logits have the shape {logs.shape}, targets {targets.shape}; expected one of each character"
        )
    return float(-np.take_along_axis(logs, targets[..., None], axis=-1).mean() / math.log(2))


def _log_probabilities(logits: ArrayLike, scale: float) -> NDArray[np.float64]:
    scaled = np.asarray(logits, np.float64) * scale
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))


def _some(characters: str) -> str:
    shown = repr(characters[:80])
    return shown if len(characters) <= 80 else f"{shown} and {len(characters) - 80} more"
