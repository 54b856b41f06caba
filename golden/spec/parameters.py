# SPDX-License-Identifier: Apache-2.0
"""How a specification's parameters are declared: default, range and meaning of each in one place."""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Any

from ..common.checks import integer, told
from ..common.errors import InvalidValue

_KEY = "parameter"


class SpecificationError(InvalidValue):
    """A parameter is out of range; the message quotes it and the range."""


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What is said about one parameter.

    Attributes
    ----------
    meaning : str
        What a TOML file writes beside it.
    low : int or None
        The least value of an integer; None: not checked as an integer here.
    high : int or callable
        The largest one, or a function of the specification that gives it.
    choices : collection of str
        The allowed texts; empty: it is no text.
    neutral : int or None
        The value with which stored forms leave the parameter out: that of networks made before there was one.
    """

    meaning: str
    low: int | None = None
    high: int | Callable[[Any], int] = 0
    choices: Collection[str] = ()
    neutral: int | None = None


def parameter(meaning: str, low: int | None = None, high=0, *, default: Any = dataclasses.MISSING, **more):
    """A dataclass field of a specification; arguments as :class:`Declaration` has them.

    An integer whose default is None may be None: the specification chooses it.
    """
    return dataclasses.field(default=default, metadata={_KEY: Declaration(meaning, low, high, **more)})


def declarations(part: type) -> Iterator[tuple[str, Declaration]]:
    """Name and declaration of each parameter of a part, or of a whole specification, in order."""
    for field in dataclasses.fields(part):
        if _KEY in field.metadata:
            yield field.name, field.metadata[_KEY]


def check(spec) -> None:
    """Check and normalize the integers and texts of a specification; SpecificationError for the first bad one.

    Any integral number will do; one of Python's is kept, so that equal content has one text and hash.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(spec)}
    for name, declared in declarations(type(spec)):
        value = getattr(spec, name)
        if declared.choices:
            if not isinstance(value, str) or value not in declared.choices:
                raise SpecificationError(f"{name} is {told(value)}; allowed: {', '.join(declared.choices)}")
        elif declared.low is not None and not (value is None and defaults[name] is None):
            high = declared.high(spec) if callable(declared.high) else declared.high
            object.__setattr__(spec, name, integer(name, value, declared.low, high, SpecificationError))
