# SPDX-License-Identifier: Apache-2.0
"""The commands: one file each, with ``add_parser`` and ``run``; :mod:`.__main__` turns errors into one line.

What several commands share stands beside them: reading inputs, tables, pictures, tools, output folders. May import
every other part of crossramp; nothing imports it.
"""

import tomllib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed
from pathlib import Path

__all__ = ["__version__"]


def _version() -> str:
    """That of the source tree this file lies in, which an older installation of it need not know, or the installed."""
    try:
        project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
        if project["name"] == "crossramp":
            return project["version"]
    except (OSError, ValueError, KeyError):
        pass
    try:
        return _installed("crossramp")
    except PackageNotFoundError:
        return "unknown"


__version__ = _version()
