# SPDX-License-Identifier: Apache-2.0
"""Names of files in messages and tables: on one line, and as a shell takes them."""

from __future__ import annotations

import os
import shlex

__all__ = ["printable", "shell_word"]


def printable(text: object) -> str:
    """The text on one line: characters that do not print, such as line feeds, and bytes that are no UTF-8 as escapes.

    ``'a\\nb'`` becomes the four characters a, backslash, n, b.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


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
