# SPDX-License-Identifier: Apache-2.0
"""Simulation models, built once for each content: a cache of folders named by the hash of what they are made from."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .simulators import COROUTINES, SimulationError, environment, find_simulator

_DONE = "complete"


def cache_folder(folder: Path | str | None = None) -> Path:
    """Where models are built: ``folder``, or ``build/simulation`` below the working directory."""
    return Path(folder) if folder is not None else Path("build") / "simulation"


def build_once(
    name: str, content: Sequence[str], make: Callable[[Path], None], folder: Path | str | None = None
) -> Path:
    """The folder of a build, made by ``make`` unless an equal one is there.

    Safe against several processes that want the same build: one makes it, the others wait.

    Parameters
    ----------
    name : str
        Beginning of the folder's name.
    content : sequence of str
        Everything the build depends on: sources, flags, tools (:func:`tool_identities`).
    make : callable
        Called with the empty folder.
    folder : path or None
        See :func:`cache_folder`.
    """
    digest = hashlib.sha256()
    for part in content:
        digest.update(f"{len(part)}\n{part}".encode())
    place = cache_folder(folder).resolve() / f"{name}-{digest.hexdigest()[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if (place / _DONE).exists():
        return place
    with _locked(place.with_suffix(".lock")):
        if not (place / _DONE).exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            make(place)
            (place / _DONE).touch()
    return place


def tool_identities(programs: Mapping[str, str]) -> list[str]:
    """What tells the tools of a build from those of another version.

    Parameters
    ----------
    programs : mapping
        Program name to path, as :func:`.simulators.find_simulator` returns it.

    Returns
    -------
    list of str
        For each program: name, path without links, size, and time of change. Verilator's also of its real binary,
        which the script of that name calls.
    """
    identities = []
    for name, path in programs.items():
        real = Path(path).resolve()
        for file in (real, real.with_name("verilator_bin")) if name == "verilator" else (real,):
            if file.exists():
                status = file.stat()
                identities.append(f"{name} {file} {status.st_size} {status.st_mtime_ns}")
    return identities


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_tool(command: Sequence[str | Path], cwd: Path, what: str, timeout: float = 600) -> str:
    """Run a build step; its output, or SimulationError with the last lines of it."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment(), timeout=timeout, capture_output=True, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise SimulationError(f"{what}: {command[0]} took more than {timeout:g} s") from None
    output = done.stdout + done.stderr
    if done.returncode != 0:
        lines = "\n".join(output.splitlines()[-20:])
        raise SimulationError(f"{what}: {Path(command[0]).name} failed with status {done.returncode}:\n{lines}")
    return output


def build_executable(
    simulator: str,
    sources: dict[str, str],
    top: str,
    *,
    main: str | None = None,
    random_start: bool = False,
    waves: bool = False,
    optimize: bool = True,
    folder: Path | str | None = None,
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
    random_start : bool
        Verilator: registers without initial values start at random, as ``+verilator+seed+N`` says.
    waves : bool
        Verilator: can dump (a slower model). Icarus always can.
    optimize : bool
        Verilator: compile for speed. False builds sooner, for short runs.
    """
    programs = find_simulator(simulator)
    tools = tool_identities(programs)
    files = [name for name in sources if name.endswith((".v", ".sv"))]
    if simulator == "icarus":
        flags = ["-g2012", "-s", top, "-o", "bench.vvp"]

        def make(place: Path):
            _write(place, sources)
            run_tool([programs["iverilog"], *flags, *files], place, "building the bench")

        place = build_once("icarus", [*_flatten(sources), *flags, *tools], make, folder)
        return [programs["vvp"], "-n", str(place / "bench.vvp")]

    flags = ["-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-MULTIDRIVEN", "--top-module", top, "-o", "bench"]
    flags += ["--x-initial", "unique"] if random_start else ["--x-assign", "fast", "--x-initial", "fast"]
    flags += ["--trace"] if waves else []
    if main is not None:
        sources = {**sources, "main.cpp": main}
        flags += ["--cc", "--exe", "--build", "--no-timing", "main.cpp"]
    else:
        flags += ["--binary", "--timing", *COROUTINES]
    # A multiplication and an addition round twice, on processors that could do both at once, too.
    flags += ["-CFLAGS", "-ffp-contract=off"]
    flags += ["-j", str(min(os.cpu_count() or 1, 4))]
    # The wheel's makefile lacks the compiler's option for precompiled headers.
    fast, library = ("-O2", "-O1") if optimize else ("-O0", "-O0")
    for setting in ("CFG_CXXFLAGS_PCH_I=-include", f"OPT_FAST={fast}", "OPT_SLOW=-O0", f"OPT_GLOBAL={library}"):
        flags += ["-MAKEFLAGS", setting]

    def make(place: Path):
        _write(place, sources)
        run_tool([programs["verilator"], *flags, "--Mdir", "obj", *files], place, "building the bench")

    place = build_once("verilator", [*_flatten(sources), *flags, *tools], make, folder)
    return [str(place / "obj" / "bench")]


def _flatten(sources: dict[str, str]) -> list[str]:
    return [part for item in sources.items() for part in item]


def _write(place: Path, sources: dict[str, str]):
    for name, text in sources.items():
        (place / name).write_text(text)
