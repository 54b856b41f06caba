# SPDX-License-Identifier: Apache-2.0
"""Where what was once computed is kept for the next time: the user's cache folder."""

import os
from pathlib import Path


def home() -> Path | None:
    """The user's home; None for a user without one, such as an unknown number in a container."""
    path = os.path.expanduser("~")  # "~" itself, where HOME is not set and the system does not know the user
    return Path(path) if os.path.isabs(path) and os.environ.get("HOME") != "" else None


def user_cache() -> Path | None:
    """The folder of all programs' caches, which need not exist; None for a user without one.

    As the XDG base directory specification says: ``XDG_CACHE_HOME`` if it is an absolute path, else ``~/.cache``.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    own = home()
    return None if own is None else own / ".cache"


def cache_folder(name: str) -> Path | None:
    """Our folder ``name`` in it, which need not exist; None for a user without one."""
    base = user_cache()
    return None if base is None else base / "crossramp" / name
