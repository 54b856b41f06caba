# SPDX-License-Identifier: Apache-2.0
"""``crossramp``, also as ``python -m crossramp``: one module a command, each with ``add_parser`` and ``run``."""

import argparse
import contextlib
import errno
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterable
from importlib import import_module

from crossramp.golden.common.errors import ExitStatus

from crossramp import __version__

from . import completion
from .inputs import options
from .output import messages
from .process import exit_status, signals, user_folders
from .process.exit_status import on_one_line

#: The commands, in the order of the help, and its line for each; each is a module of :mod:`crossramp.cli.commands`.
COMMANDS = {
    "demo": "generate the shipped network, run recordings through it, draw pictures; or let it write a text",
    "generate": "write Verilog, ramp program, conductance map and a self-checking testbench of a model",
    "simulate": "run recordings through the hardware and compare with the golden model",
    "prove": "prove the hardware of a specification, or an array of your own, for every trace",
    "build": "make a bitstream for an FPGA board",
    "flash": "load a bitstream onto a board",
    "run": "run recordings on a board and compare with the golden model",
    "virtual": "run a board without hardware: the same core, simulated behind a serial port",
    "replay": "compare the netlists of a bitstream with the golden model",
    "ramp": "show the steps, conductances and linearity of an activation's ramp",
    "train": "train a network on recordings or a text, for ideal hardware or for chips",
    "import": "turn a network of PyTorch, ONNX or Keras into a model, without retraining",
    "evaluate": "measure how good a model is: ideal, on many chips, and as generated hardware",
    "sweep": "measure accuracy, code error and INL over many chips, and over other varied parameters",
    "linearity": "measure INL, DNL, missing codes and errors of ramps made of real cells",
    "spice": "compare columns and ramps in ngspice with the behavioral model",
    "technology": "show the constants of a device technology with their sources; check your own file",
    "info": "show what a model is, and what its hardware takes",
    "cache": "show size and place of what is kept between runs; empty or prune it",
    "doctor": "list the tools that were found, and how to install the missing ones",
}

#: What the system says where output cannot go: a full disk or quota, a broken device, a closed descriptor.
_NO_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

#: Where this is set, the traceback of every error is printed too.
DEBUG = "CROSSRAMP_DEBUG"

_EPILOG = f"""\
MODEL is a model file (.npz) or the name of a shipped model (kws).
Each command has its own help, with an example: crossramp generate --help

{exit_status.HELP}
{DEBUG}=1 in the environment prints the traceback of an error as well.
"""


def parser(loaded: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line; commands that are not ``loaded`` have their line in the help and no options."""
    top = argparse.ArgumentParser(
        prog="crossramp",
        description="Turn a trained recurrent network into the hardware around an analog crossbar, and prove it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"crossramp {__version__}")
    shells = ", ".join(completion.SHELLS)
    top.add_argument(
        "--completion", metavar="SHELL", help=f"print a script that completes commands and options in a shell: {shells}"
    )
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND")
    loaded = set(loaded)
    for name, line in COMMANDS.items():
        if name not in loaded:
            subparsers.add_parser(name, help=line)
            continue
        own = import_module(f"crossramp.cli.commands.{name}").add_parser(_Described(subparsers, line))
        own.set_defaults(parser=own)
        for leaf in completion.leaves(own):
            options.add_messages(leaf)
    return top


class _Described:
    """argparse's subparsers, which give a command its line in the help."""

    def __init__(self, subparsers, line: str):
        self._subparsers, self._line = subparsers, line

    def add_parser(self, name: str, **more) -> argparse.ArgumentParser:
        return self._subparsers.add_parser(name, help=self._line, **more)


def main(argv: list[str] | None = None) -> int:
    """Run one command; ``argv`` without the program's name (None: the process's).

    Returns
    -------
    int
        The exit status, see :mod:`.exit_status`.
    """
    _prepare_streams()
    argv = sys.argv[1:] if argv is None else argv
    status = ExitStatus.DONE
    try:
        with signals.watched() as watch, contextlib.ExitStack() as leaving, messages.shown():
            status = _run(argv, watch, leaving)
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has enough; a difference that was found stays one
        status = status or ExitStatus.BROKEN_PIPE
    except OSError as error:
        if error.errno not in _NO_OUTPUT:
            raise
        status = _refuse(f"the output cannot be written: {error.strerror}")
    finally:
        _drop_unwritten()
    return int(status)


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller, as in >&-
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):  # a name or a µ that the terminal cannot show must not stop a command
            stream.reconfigure(errors="backslashreplace")


def _drop_unwritten() -> None:
    """Python flushes once more on its way out: what could not be written would change the exit status there."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(argv: list[str], watch, leaving: contextlib.ExitStack) -> int:
    """The exit status; output that cannot be written raises OSError."""
    try:
        args = _parse(argv)
        if args.completion is not None:
            print(completion.script(parser(), args.completion))
            return ExitStatus.DONE
        messages.choose_level(args.verbose, args.quiet)
        user_folders.provide(leaving)
        return args.run(args)
    except SystemExit as stop:  # argparse: help, version, usage
        return stop.code if isinstance(stop.code, int) else ExitStatus.REFUSED
    except KeyboardInterrupt as interruption:  # a command may say what is kept
        return _interrupted(watch, str(interruption))
    except Exception as error:
        if watch.number is not None:  # it is but a consequence
            return _interrupted(watch)
        if isinstance(error, OSError) and error.filename is None and error.errno in (errno.EPIPE, *_NO_OUTPUT):
            raise
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        status = exit_status.of_error(error)
        if status is ExitStatus.INTERNAL:
            _complain(_reported(error, argv))
        else:
            _complain(exit_status.text_of(error, status))
        return status


def _interrupted(watch, kept: str = "") -> int:
    number = watch.number or signals.signal.SIGINT
    watch.clean_up()
    told = signals.ENDING[number]
    _complain(f"{told}; {kept}" if kept else told)
    return 128 + number


def _reported(error: Exception, argv: list[str]) -> str:
    """What to say of an internal error, whose traceback is kept in a file."""
    what = on_one_line(f"{type(error).__name__}: {error}")
    versions = f"crossramp {__version__}, Python {platform.python_version()}, {platform.platform()}"
    text = f"{versions}\ncommand: {argv!r}\n\n{''.join(traceback.format_exception(error))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="crossramp-error-", suffix=".txt", errors="backslashreplace", delete=False
        ) as file:
            file.write(text)
    except OSError:
        return f"internal error: {what}; this is a bug: please report it with what {DEBUG}=1 prints"
    return f"internal error: {what}; this is a bug: please report it with {file.name}, which has the traceback"


def _parse(argv: list[str]) -> argparse.Namespace:
    # Only the command that is named is imported, so that its start takes no longer than it must, and crossramp doctor
    # works where numpy is missing.
    top = parser([word for word in argv if not word.startswith("-")][:1])
    args, left = top.parse_known_args(argv)
    if args.command is None:
        if args.completion is None:
            top.error("which COMMAND? crossramp --help lists them")
        return args
    # argparse gives AUDIO nothing once an option stands between MODEL and it.
    if left and hasattr(args, "audio") and not any(word.startswith("-") for word in left):
        args.audio, left = [*args.audio, *left], []
    if left:
        args.parser.error(f"unrecognized arguments: {' '.join(left)}")
    return args


def _refuse(message: str) -> int:
    _complain(message)
    return ExitStatus.REFUSED


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):  # stderr may be closed; the exit status says it too
        print(f"crossramp: {message}", file=sys.stderr)
