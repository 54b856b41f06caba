# SPDX-License-Identifier: Apache-2.0
"""``crossramp --completion SHELL``: a script with which a shell completes commands, options and names of files.

shtab makes it of the parsers, once; a shell that completes does not start Python.
"""

import argparse
from collections.abc import Iterator

from crossramp.golden.common.errors import UserError
from crossramp.golden.common.installation import how_to_install

SHELLS = ("bash", "zsh", "tcsh")

#: Words in a metavar that stand for a file or a folder; others have no completion but their choices.
_FILES = {"AUDIO", "BITSTREAM", "DATA", "DIR", "FILE", "FILE.py", "MODEL", "PLAN", "PORT", "SPEC.toml", "X.npy"}


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers that read the options of a command: itself, or those of its sub-commands."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for one in dict.fromkeys(action.choices.values()):
            yield from leaves(one)


def script(top: argparse.ArgumentParser, shell: str) -> str:
    """The script for ``shell``, of a parser with all commands.

    Raises
    ------
    UserError
        For a shell that is not known, or without shtab.
    """
    if shell not in SHELLS:
        raise UserError(f"--completion {shell}: no such shell is known; give one of {', '.join(SHELLS)}")
    try:
        import shtab
    except ImportError:
        raise UserError(f"--completion needs shtab; type: {how_to_install('completion')}") from None
    for parser in leaves(top):
        for action in parser._actions:
            if set(str(action.metavar or "").split("|")) & _FILES and not action.choices:
                action.complete = shtab.FILE
    return shtab.complete(top, shell)
