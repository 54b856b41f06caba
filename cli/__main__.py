# SPDX-License-Identifier: Apache-2.0
"""``crossramp``, also as ``python -m crossramp``: one module a command, each with ``add_parser`` and ``run``."""

import argparse
import os
import sys
from importlib import import_module
from importlib.metadata import version

from crossramp.errors import UserError

#: The commands, in the order of the help; each is a module of this package.
COMMANDS = ("demo", "generate", "simulate", "ramp", "info", "doctor")

_EPILOG = """\
MODEL is a model file (.npz) or the name of a shipped model (kws).
Each command has its own help, with an example: crossramp generate --help

exit status: 0 done; 1 hardware and golden model differ (simulate, demo), or something required is missing (doctor);
             2 wrong arguments or input
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
        import_module(f"crossramp.{name}").add_parser(subparsers)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; ``argv`` without the program's name (None: the process's). Returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name or a µ that the terminal cannot show is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    try:
        args = _parse(argv)
        status = args.run(args)
        sys.stdout.flush()
        return status
    except SystemExit as stop:  # argparse: help, version, usage
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("crossramp: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has enough. Python would complain once more when it flushes on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
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
        print(f"crossramp: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        if not _ours(error):
            raise
        return _refuse(error)


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
    print(f"crossramp: {' '.join(str(message).split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
