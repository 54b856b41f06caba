# SPDX-License-Identifier: Apache-2.0
"""Numbers that are declared once: range, unit and meaning stand beside the default, and everything else follows.

Checks and their messages, the comments of TOML files and the tables of the documentation are made from a declaration.
The parameters of a specification, the settings of a recipe and those of the front end are declared in this way.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Any

from .checks import integer, number, told
from .errors import InvalidValue

_KEY = "declared"


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What is said about one number or text.

    Attributes
    ----------
    meaning : str
        What a TOML file or a table writes beside it.
    low, high : number, callable, or None
        The bounds, both allowed; callables give them from the object that is checked. None as ``low``: the range is not
        checked here.
    low_name, high_name : str
        What a bound is, where it depends on the object: messages show it behind the number.
    kind : str
        ``"integer"``; ``"float"``; ``"number"``: a real one, where an int that is given stays one; or ``"rising"``: as
        many rising real numbers as the default has.
    choices : collection of str
        The allowed texts; empty if the field is not a text.
    neutral : int, float, str or None
        The value with which stored forms leave it out: that of objects made before there was one.
    """

    meaning: str = ""
    low: float | Callable[[Any], float] | None = None
    high: float | Callable[[Any], float] = 0
    low_name: str = ""
    high_name: str = ""
    kind: str = "integer"
    choices: Collection[str] = ()
    neutral: float | str | None = None

    @property
    def depends(self) -> bool:
        """Whether a bound depends on the object."""
        return callable(self.low) or callable(self.high)

    @property
    def bounds(self) -> str:
        """The range of tables: ``1 to 64``."""
        return f"{self.low:g} to {self.high:g}"


def declared(meaning: str = "", low=None, high=0, *, default: Any = dataclasses.MISSING, **more):
    """A dataclass field with a :class:`Declaration`; the kind follows from the default, unless it is given.

    A number whose default is None may be None: the object chooses it.
    """
    kinds = {float: "float", tuple: "rising"}
    more.setdefault("kind", kinds.get(type(default), "integer"))
    return dataclasses.field(default=default, metadata={_KEY: Declaration(meaning, low, high, **more)})


def declarations(part: type) -> Iterator[tuple[str, Declaration]]:
    """Name and declaration of each declared field of a dataclass, in order."""
    for field in dataclasses.fields(part):
        if _KEY in field.metadata:
            yield field.name, field.metadata[_KEY]


def check(checked: Any, error: type[Exception] = InvalidValue, table: str = "") -> None:
    """Check and normalize the declared fields of a frozen dataclass.

    Any integral or real number will do; one of Python's is kept, so that equal content has one text and hash.
    Fields with fixed bounds come first, since the other bounds are computed from them.

    Parameters
    ----------
    table : str
        What messages put before a name, with a point.

    Raises
    ------
    InvalidValue
        Or the ``error`` that was given: for the first bad value; quotes name, value and what is allowed.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(checked)}
    for name, said in sorted(declarations(type(checked)), key=lambda pair: pair[1].depends):
        value, key = getattr(checked, name), f"{table}.{name}" if table else name
        if said.choices:
            if not isinstance(value, str) or value not in said.choices:
                raise error(f"{key} is {told(value)}; allowed: {', '.join(said.choices)}")
        elif said.low is not None and not (value is None and defaults[name] is None):
            object.__setattr__(checked, name, _checked(checked, key, value, said, defaults[name], error))


def _checked(checked: Any, key: str, value: Any, said: Declaration, default: Any, error: type[Exception]):
    low, high = (bound(checked) if callable(bound) else bound for bound in (said.low, said.high))
    names = {"low_name": said.low_name, "high_name": said.high_name}
    if said.kind == "integer":
        return integer(key, value, low, high, error, **names)
    if said.kind != "rising":
        found = number(key, value, low, high, error, **names)
        return found if said.kind == "number" else float(found)
    try:
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise error
        found = tuple(float(number(key, one, low, high, error)) for one in value)
        if list(found) != sorted(found):
            raise error
    except error:
        rising = f"{len(default)} rising numbers from {low:g} to {high:g}"
        raise error(f"{key} is {told(value)}; allowed: {rising}") from None
    return found
