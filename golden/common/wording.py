# SPDX-License-Identifier: Apache-2.0
"""Names in messages and tables: on one line, as a shell takes them, and the known ones that are nearest."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterable

__all__ = ["printable", "shell_word", "suggestion"]


def printable(text: object) -> str:
    """The text on one line: characters that do not print, such as line feeds, and bytes that are not UTF-8 as escapes.

    ``'a\\nb'`` becomes the four characters a, backslash, n, b.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def suggestion(name: str, known: Iterable[str], most: int = 40) -> str:
    """The end of a message about a name that is not one of ``known``: the nearest ones, or ``most`` of all."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known[:most])}"


def shell_word(path: str | os.PathLike[str]) -> str:
    """A path as one word of a shell's command line; a name that does not print in bash's ``$'...'`` with escapes."""
    text = os.fspath(path)
    if text.startswith("-"):  # no option
        text = f"./{text}"
    if text.isprintable():
        return shlex.quote(text)
    quoted = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(text)
    )
    return f"$'{quoted}'"
