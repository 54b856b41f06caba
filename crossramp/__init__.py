# SPDX-License-Identifier: Apache-2.0
"""Hardware around an analog crossbar for recurrent networks, generated and proven.

The parts, each importing only those before it: :mod:`crossramp.golden` (numpy), :mod:`crossramp.convert`,
:mod:`crossramp.rtl` (Amaranth), :mod:`crossramp.sim`, :mod:`crossramp.boards` and :mod:`crossramp.train`,
:mod:`crossramp.cli`.
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
