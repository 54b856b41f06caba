# SPDX-License-Identifier: Apache-2.0
"""Home and cache folder for every library that a command uses, also where the user has neither."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from crossramp.golden.common.crossramp_cache import home, user_cache

from . import signals


def provide(leaving: contextlib.ExitStack) -> None:
    """Put temporary folders in the place of a home or a cache folder that is missing or cannot be written.

    Libraries would fail, or make a folder called ``~`` in the working directory: Amaranth's yosys and YoWASP's tools
    (which keep their compiled selves), matplotlib (fonts), Dask and PyTorch. ``leaving`` removes the folders and gives
    the environment back.
    """
    if home() is None:
        _replace(leaving, "HOME", "home")
    if os.environ.get("XDG_CACHE_HOME") and not os.path.isabs(os.environ["XDG_CACHE_HOME"]):
        _set(leaving, "XDG_CACHE_HOME", str(home() / ".cache"))  # as the specification says
    if not _writable(user_cache()):
        _replace(leaving, "XDG_CACHE_HOME", "cache")


def _replace(leaving: contextlib.ExitStack, variable: str, what: str) -> None:
    folder = tempfile.mkdtemp(prefix=f"crossramp-{what}-")
    leaving.callback(_remove, folder)
    _set(leaving, variable, folder)


def _set(leaving: contextlib.ExitStack, variable: str, value: str) -> None:
    before = os.environ.get(variable)

    def give_back() -> None:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before

    leaving.callback(give_back)
    os.environ[variable] = value


def _remove(folder: str) -> None:
    with signals.uninterrupted():
        shutil.rmtree(folder, ignore_errors=True)


def _writable(folder: Path) -> bool:
    """Whether files can be made there; nothing is made to find out."""
    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
