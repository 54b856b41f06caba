# SPDX-License-Identifier: Apache-2.0
"""Exit statuses: what each one means, and which one an error ends a command with.

=======  ===============================================================================================
status   meaning
=======  ===============================================================================================
0        done
1        hardware (simulated, on a board, or its circuit in ngspice) and golden model differ, or the
         hardware broke a rule of its interfaces; nothing else
2        invalid input, a missing tool, a board that does not answer: one line says what to do
3        a build failed, a simulation or a worker process stopped before its result, memory ran out
70       an internal error, which is a bug of crossramp
128 + n  ended by signal n: 129 SIGHUP, 130 Ctrl-C, 141 nobody reads the output, 143 SIGTERM
=======  ===============================================================================================
"""

import re
import sys
from enum import IntEnum
from importlib import import_module

from crossramp.golden.common.wording import printable

from .errors import UserError


class Status(IntEnum):
    """See the module; of a signal it is 128 and the signal's number."""

    DONE = 0
    DIFFERENT = 1
    REFUSED = 2
    FAILED = 3
    INTERNAL = 70
    BROKEN_PIPE = 141


#: What ``crossramp --help`` says of them.
HELP = """\
exit status: 0 done; 1 hardware and golden model differ; 2 invalid input, a missing tool, or a board that does not
             answer; 3 a build failed, or a simulation or a worker process stopped; 70 an internal error, which is a
             bug of crossramp; 129, 130, 143 ended by SIGHUP, Ctrl-C, SIGTERM; 141 nobody reads the output"""

#: Classes of other packages, by module and name; a module that was never imported has raised none of them.
_OF = {
    Status.DIFFERENT: ("crossramp.sim.tools.simulators.HardwareError",),
    Status.REFUSED: (
        "crossramp.sim.tools.simulators.SimulatorMissing",
        "crossramp.boards.flow.toolchain.ToolMissing",
        "crossramp.boards.host.exchange.LinkError",
    ),
    Status.FAILED: (
        "crossramp.sim.tools.simulators.SimulationError",
        "crossramp.sim.spice.ngspice.SpiceError",
        "crossramp.sim.montecarlo.execute.ExecutionError",
        "crossramp.boards.flow.toolchain.ToolError",
        "amaranth._toolchain.yosys.YosysError",
        "concurrent.futures.process.BrokenProcessPool",
        "builtins.MemoryError",
    ),
}


def of_error(error: Exception) -> Status:
    """The status that an error ends a command with; what nobody foresaw is a bug of ours."""
    for status, names in _OF.items():
        if isinstance(error, tuple(filter(None, map(_imported, names)))):
            return status
    if isinstance(error, UserError) or (isinstance(error, OSError) and error.filename is not None):
        return Status.REFUSED
    if isinstance(error, ModuleNotFoundError) and not (error.name or "crossramp").startswith("crossramp"):
        return Status.REFUSED
    if isinstance(error, ValueError) and _ours(error):
        return Status.REFUSED
    return Status.INTERNAL


def text_of(error: Exception, status: Status) -> str:
    """What a command says of an error: one line, but for a simulation's last lines, which are worth reading."""
    name = type(error).__name__
    if name == "YosysError":
        lines = [line for line in str(error).splitlines() if line.strip()]
        told = [line for line in lines if "error:" in line.lower()] or lines or ["no reason given"]
        return f"yosys, which writes the Verilog, failed: {told[-1]}; see crossramp doctor"
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        package = error.name.partition(".")[0]
        return f"the Python package {package} is missing, which this command needs; see crossramp doctor"
    if isinstance(error, MemoryError):
        return f"memory ran out ({str(error) or 'no details'}); give it fewer recordings, chips or processes at a time"
    if name == "BrokenProcessPool":
        return on_one_line(f"a worker process was killed, or memory ran out ({error}); run it again")
    if isinstance(error, OSError) and error.filename is not None:
        return on_one_line(f"{error.filename}: {error.strerror}")
    return on_one_line(str(error)) if status is Status.REFUSED else str(error)


def on_one_line(message: str) -> str:
    """A message without line breaks and other characters that would steer a terminal.

    A break within words, which only a quoted name has, is shown as ``\\\\n``; a wrapped sentence is joined. Spaces
    stay: a name may hold several in a row, and so may a command that is suggested.
    """
    return printable(re.sub(r"\s*\n\s+|\s+\n\s*", " ", message.strip()))


def _imported(name: str) -> type | None:
    module, _, name = name.rpartition(".")
    return getattr(import_module(module), name) if module in sys.modules else None


def _ours(error: Exception) -> bool:
    """Whether our own code raised it, to say what is wrong; anything else is a bug."""
    if type(error).__module__.startswith("crossramp."):
        return True
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").startswith("crossramp")
