# SPDX-License-Identifier: Apache-2.0
"""Where what was once computed is kept for the next time: in the user's cache folder, or where CROSSRAMP_CACHE says."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from .errors import InvalidValue

#: Names another folder for everything that crossramp keeps, in the place of ``crossramp`` in the user's cache folder.
VARIABLE = "CROSSRAMP_CACHE"


def home() -> Path | None:
    """The user's home; None for a user without one, such as an unknown number in a container."""
    path = os.path.expanduser("~")  # "~" itself, where HOME is not set and the system does not know the user
    return Path(path) if os.path.isabs(path) and os.environ.get("HOME") != "" else None


def expanded(path: str | Path) -> Path:
    """A path with ``~`` and ``~user`` at its beginning replaced; InvalidValue if that home does not exist."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InvalidValue(f"{path}: there is no such home directory; write the path without ~") from None


def user_cache() -> Path | None:
    """The folder of all programs' caches, which need not exist; None for a user without one.

    As the XDG base directory specification says: ``XDG_CACHE_HOME`` if it is an absolute path, else ``~/.cache``.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    own = home()
    return None if own is None else own / ".cache"


def own_cache() -> Path:
    """The folder of everything that crossramp keeps, which need not exist.

    For a user without a cache folder, a temporary one that is removed when the process ends.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).absolute()
    base = user_cache()
    return _temporary() if base is None else base / "crossramp"


def cache_folder(name: str) -> Path:
    """The folder ``name`` in it, which need not exist: ``"simulation"`` for builds, ``"levels"`` for clips.

    A temporary one, as above, where the user's cannot be written, perhaps because it is another user's; but the one
    that ``CROSSRAMP_CACHE`` names is taken as it is.
    """
    folder = own_cache() / name
    return folder if os.environ.get(VARIABLE) or _writable(folder) else _temporary() / name


def _writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


@functools.cache
def _temporary() -> Path:
    folder = tempfile.mkdtemp(prefix="crossramp-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
