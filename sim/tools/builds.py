# SPDX-License-Identifier: Apache-2.0
"""Simulation models of Verilog benches, built once for each content."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from .build_cache import build_once
from .run_options import BUILD, BuildOptions
from .simulators import SimulationError, find_simulator, run_tool, tool_identities
from .verilator import check_model, flags_of, make_model

#: Verilator's flags for Verilog that other tools have written, whose style is theirs.
NOT_OURS = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-MULTIDRIVEN")

#: More than the table of source files at the end of what Icarus writes.
_TABLE_BYTES = 1 << 16


def build_executable(
    simulator: str,
    sources: dict[str, str],
    top: str,
    *,
    main: str | None = None,
    strict: bool = True,
    build: BuildOptions = BUILD,
) -> list[str]:
    """Build a Verilog bench; the command that runs it, to which plusargs are appended.

    Parameters
    ----------
    simulator : str
        ``"verilator"`` or ``"icarus"``.
    sources : dict
        File name to text.
    top : str
        Module.
    main : str or None
        Verilator: C++ text of the main program, for a top with a clock port. None: the bench makes its own clock.
    strict : bool
        Verilator: any warning is an error. False for Verilog that other tools have written.
    build : BuildOptions
        ``sources`` already have its ``change_verilog``.

    Raises
    ------
    SimulatorMissing
        Naming what to install.
    SimulationError
        If the build fails.
    """
    programs = find_simulator(simulator)
    tools = tool_identities(programs)
    files = [name for name in sources if name.endswith((".v", ".sv"))]
    if simulator == "icarus":
        flags = ["-g2012", "-s", top, "-o", "bench.vvp"]

        def compile_bench(place: Path):
            write_sources(place, sources)
            run_tool([programs["iverilog"], *flags, *files], place, "building the bench")

        place = build_once(
            "icarus",
            [*flatten(sources), *flags, *tools],
            compile_bench,
            build.workdir,
            lambda at: check_vvp(at / "bench.vvp"),
        )
        return [programs["vvp"], "-n", str(place / "bench.vvp")]

    flags = ["-O3", *(["-Wall"] if strict else NOT_OURS), "--top-module", top]
    flags += ["--x-initial", "unique"] if build.random_start else ["--x-assign", "fast", "--x-initial", "fast"]
    if main is not None:
        sources = {**sources, "main.cpp": main}
        flags += ["--cc", "--exe", "--no-timing", "main.cpp"]
    else:
        flags += ["--cc", "--exe", "--main", "--timing"]

    def make(place: Path):
        write_sources(place, sources)
        make_model(place, programs, [*flags, *files], "bench", optimize=build.optimize, folder=build.workdir)

    content = [*flatten(sources), *flags, *flags_of(build.optimize), *tools]
    place = build_once("verilator", content, make, build.workdir, lambda at: check_model(at / "bench"))
    return [str(place / "bench")]


def check_vvp(path: Path):
    """SimulationError unless the file that Icarus Verilog wrote is whole: on a full disk, version 11 says nothing.

    Each ends with a table of the source files' names, which says how many there are.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TABLE_BYTES))
        end = file.read()
    found = re.search(rb"\n:file_names (\d+);\n((?: +\".*\";\n)*)\Z", end)
    if found is None or found[2].count(b"\n") != int(found[1]):
        raise SimulationError(
            f"building the bench: iverilog wrote {path.name} in part only ({size} bytes); is the disk full? "
            f"{shutil.disk_usage(path.parent).free >> 20} MB are free below {path.parent.parent}"
        )


def flatten(sources: Mapping[str, str]) -> list[str]:
    """Names and texts, as part of what a build is named by."""
    return [part for item in sources.items() for part in item]


def write_sources(place: Path, sources: Mapping[str, str]):
    """Each name with its text, into a folder."""
    for name, text in sources.items():
        (place / name).write_text(text)
