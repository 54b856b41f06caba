# SPDX-License-Identifier: Apache-2.0
"""The base of all errors that crossramp raises on purpose, and the exit status that each of them ends a command with.

A class states its status, and a subclass inherits it.
Callers in Python may also catch what they expect there: most of these classes are ValueErrors, RuntimeErrors or
AssertionErrors as well.
A plain ValueError, raised by numpy or by a check of our own code against itself, is a bug: it ends a command with
:attr:`ExitStatus.INTERNAL`.
"""

from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """Exit statuses of commands; docs/commands.md says when each occurs. After signal n the status is 128 + n."""

    DONE = 0
    #: Hardware and golden model differ, or the hardware broke a rule of its interfaces; nothing else.
    DIFFERENT = 1
    #: Invalid input, a missing tool, or a board that does not answer.
    REFUSED = 2
    #: A build failed, a simulation or a worker process stopped before its result, or memory ran out.
    FAILED = 3
    #: An internal error: a bug of crossramp.
    INTERNAL = 70
    BROKEN_PIPE = 141


class CrossrampError(Exception):
    """Base of the errors of this package.

    Attributes
    ----------
    exit_status : ExitStatus
        The exit status of a command that lets the error out.
        The message of one with :attr:`ExitStatus.REFUSED` is one line that quotes the value and names the next step.
    """

    exit_status: ClassVar[ExitStatus] = ExitStatus.INTERNAL


class InvalidValue(CrossrampError, ValueError):
    """An argument, an option or the content of a file cannot be used; one line quotes it and says what is allowed."""

    exit_status = ExitStatus.REFUSED


class CrossrampWarning(UserWarning):
    """Base of the warnings of this package: what is done is valid, but not what it seems; says what helps."""


class UserError(CrossrampError):
    """An error that the user of a command can correct; commands alone raise it."""

    exit_status = ExitStatus.REFUSED
