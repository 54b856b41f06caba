# SPDX-License-Identifier: Apache-2.0
"""``crossramp``, also as ``python -m crossramp``: one module a command, each with ``add_parser`` and ``run``."""

import argparse
import atexit
import contextlib
import errno
import os
import shutil
import sys
import tempfile
from importlib import import_module
from importlib.metadata import version

from crossramp import cautions
from crossramp.errors import UserError

#: The commands, in the order of the help; each is a module of this package, but for those that :data:`_MODULES` names.
COMMANDS = (
    "demo",
    "generate",
    "simulate",
    "build",
    "flash",
    "run",
    "virtual",
    "replay",
    "ramp",
    "train",
    "evaluate",
    "sweep",
    "linearity",
    "spice",
    "technology",
    "info",
    "doctor",
)

_MODULES = {"train": "training"}  # crossramp.train is the package that trains

#: Those that keep something in the user's cache folder: what they built, and Amaranth's yosys its compiled self.
_CACHING = ("demo", "generate", "simulate", "evaluate", "build", "run", "virtual", "replay")

#: What the system says where output cannot go: a full disk or quota, a broken device, a closed descriptor.
_NO_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

#: What a shell reports of a program that SIGPIPE ended.
_BROKEN_PIPE = 141

_EPILOG = """\
MODEL is a model file (.npz) or the name of a shipped model (kws).
Each command has its own help, with an example: crossramp generate --help

exit status: 0 done; 1 hardware and golden model differ (simulate, evaluate, run, replay, demo), or something required
             is missing (doctor); 2 wrong arguments or input, or a board that does not answer
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="crossramp",
        description="Turn a trained recurrent network into the hardware around an analog crossbar, and prove it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"crossramp {version('crossramp')}")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"crossramp.{_MODULES.get(name, name)}").add_parser(subparsers)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; ``argv`` without the program's name (None: the process's). Returns the exit status."""
    _prepare_streams()
    status = 0
    try:
        with cautions.told_in_a_line():
            status = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has enough; a difference that was found stays one
        status = status or _BROKEN_PIPE
    except OSError as error:
        if error.errno not in _NO_OUTPUT:
            raise
        status = _refuse(f"the output cannot be written: {error.strerror}")
    finally:
        _drop_unwritten()
    return status


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller, as in >&-
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):  # a name or a µ that the terminal cannot show is no reason to stop
            stream.reconfigure(errors="backslashreplace")


def _drop_unwritten() -> None:
    """Python flushes once more on its way out: what could not be written would change the exit status there."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(argv: list[str] | None) -> int:
    """The exit status; output that cannot be written raises OSError."""
    try:
        args = _parse(argv)
        if args.command in _CACHING:
            _provide_cache()
        return args.run(args)
    except SystemExit as stop:  # argparse: help, version, usage
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt as interruption:  # a command may say what is kept
        _complain(f"interrupted; {interruption}" if str(interruption) else "interrupted")
        return 130
    except UserError as error:
        return _refuse(error)
    except OSError as error:
        if error.filename is None:
            raise
        return _refuse(f"{error.filename}: {error.strerror}")
    except RuntimeError as error:
        if not _ours(error):
            raise
        # A simulation that stopped, or showed what no golden model has: its last lines are worth reading.
        _complain(error)
        return 1
    except ValueError as error:
        if not _ours(error):
            raise
        return _refuse(error)
    except Exception as error:
        # Amaranth takes a moment to import, and its error is no RuntimeError: known by its name.
        if type(error).__name__ != "YosysError":
            raise
        lines = [line for line in str(error).splitlines() if line.strip()]
        told = [line for line in lines if "error:" in line.lower()] or lines or ["no reason given"]
        return _refuse(f"yosys, which writes the Verilog, failed: {told[-1]}; see crossramp doctor")


def _provide_cache() -> None:
    """Where the user's cache folder cannot be written (no home in a container), a temporary one until the exit."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    try:
        os.makedirs(cache, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
    except OSError:
        cache = tempfile.mkdtemp(prefix="crossramp-cache-")
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
        os.environ["XDG_CACHE_HOME"] = cache


def _parse(argv: list[str] | None) -> argparse.Namespace:
    top = parser()
    args, left = top.parse_known_args(argv)
    # argparse gives AUDIO nothing once an option stands between MODEL and it.
    if left and hasattr(args, "audio") and not any(word.startswith("-") for word in left):
        args.audio, left = [*args.audio, *left], []
    if left:
        top.error(f"unrecognized arguments: {' '.join(left)}")
    return args


def _ours(error: Exception) -> bool:
    """Whether our own code raised it, to say what is wrong; anything else is a bug and keeps its trace."""
    if type(error).__module__.startswith("crossramp."):
        return True
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").startswith("crossramp")


def _refuse(message) -> int:
    _complain(" ".join(str(message).split()))
    return 2


def _complain(message) -> None:
    with contextlib.suppress(OSError):  # nobody may be listening; the exit status says it too
        print(f"crossramp: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
