# SPDX-License-Identifier: Apache-2.0
"""The exit status that an error ends a command with, and the text that the command shows of it.

=======  ===============================================================================================
status   meaning
=======  ===============================================================================================
0        done
1        hardware (simulated, on a board, or its circuit in ngspice) and golden model differ, or the
         hardware broke a rule of its interfaces; nothing else
2        invalid input, a missing tool, a board that does not answer: one line says what to do
3        a build failed, a simulation or a worker process stopped before its result, memory ran out
70       an internal error, which is a bug of crossramp
128 + n  ended by signal n: 129 SIGHUP, 130 Ctrl-C, 141 the output is closed, 143 SIGTERM
=======  ===============================================================================================

An error of crossramp states its status (:mod:`crossramp.golden.common.errors`).
Of other packages' errors, only those in :data:`_OF_OTHERS` and the two kinds in :func:`of_error` are expected.
"""

import re
import sys
from importlib import import_module

from crossramp.golden.common.errors import CrossrampError, ExitStatus
from crossramp.golden.common.wording import printable

#: What ``crossramp --help`` says of them.
HELP = """\
exit status: 0 done; 1 hardware and golden model differ; 2 invalid input, a missing tool, or a board that does not
             answer; 3 a build failed, or a simulation or a worker process stopped; 70 an internal error, which is a
             bug of crossramp; 129, 130, 143 ended by SIGHUP, Ctrl-C, SIGTERM; 141 the output was closed"""

#: Classes of other packages, by module and name; a module that was never imported has raised none of them.
_OF_OTHERS = {
    "amaranth._toolchain.yosys.YosysError": ExitStatus.FAILED,
    "concurrent.futures.process.BrokenProcessPool": ExitStatus.FAILED,
    "builtins.MemoryError": ExitStatus.FAILED,
}


def of_error(error: Exception) -> ExitStatus:
    """The status that an error ends a command with; an unexpected error is a bug of crossramp."""
    if isinstance(error, CrossrampError):
        return error.exit_status
    for name, status in _OF_OTHERS.items():
        kind = _imported(name)
        if kind is not None and isinstance(error, kind):
            return status
    if isinstance(error, OSError) and error.filename is not None:
        return ExitStatus.REFUSED
    if isinstance(error, ModuleNotFoundError) and not (error.name or "crossramp").startswith("crossramp"):
        return ExitStatus.REFUSED
    return ExitStatus.INTERNAL


def text_of(error: Exception, status: ExitStatus) -> str:
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
    return on_one_line(str(error)) if status is ExitStatus.REFUSED else str(error)


def on_one_line(message: str) -> str:
    """A message without line breaks and other characters that would steer a terminal.

    A break within words, which only a quoted name has, is shown as ``\\\\n``; a wrapped sentence is joined. Spaces
    stay: a name may hold several in a row, and so may a command that is suggested.
    """
    return printable(re.sub(r"\s*\n\s+|\s+\n\s*", " ", message.strip()))


def _imported(name: str) -> type | None:
    module, _, name = name.rpartition(".")
    return getattr(import_module(module), name) if module in sys.modules else None
