# SPDX-License-Identifier: Apache-2.0
"""What commands say on stderr besides errors: messages through :mod:`logging`, and a progress line.

Every module of crossramp logs below ``crossramp``: information with ``getLogger(__name__).info``, notices and warnings
as well.
A line on stderr begins with ``crossramp:``, and a warning with ``crossramp: warning:``.
"""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

from crossramp.golden.common.errors import CrossrampWarning
from crossramp.golden.common.wording import printable

from ..process.exit_status import on_one_line

LOGGER = logging.getLogger("crossramp")

#: Between information and warnings: what is shown unless ``--quiet`` is given, such as data that was left out.
NOTICE = 25


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Inside, messages of this package are lines on stderr, its Python warnings among them, each text once.

    Warnings of other packages keep their form and their filters.
    """
    handler, level, propagate = _Lines(), LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.propagate = False
    LOGGER.setLevel(NOTICE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", CrossrampWarning)
            original, told = warnings.showwarning, set()

            def show(message, category, *place, **more) -> None:
                if not issubclass(category, CrossrampWarning):
                    original(message, category, *place, **more)
                elif str(message) not in told:
                    told.add(str(message))
                    LOGGER.warning("%s", message)

            warnings.showwarning = show
            yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.propagate = propagate
        LOGGER.setLevel(level)


def choose_level(verbose: bool, quiet: bool) -> None:
    """What ``--verbose`` and ``--quiet`` of :func:`~crossramp.cli.inputs.options.add_messages` ask for."""
    LOGGER.setLevel(logging.INFO if verbose else logging.WARNING if quiet else NOTICE)


def notice(text: str) -> None:
    """A line that ``--quiet`` leaves out."""
    LOGGER.log(NOTICE, "%s", text)


class _Lines(logging.Handler):
    """A record is a line on what stderr is at that moment; a progress line there is wiped first."""

    def emit(self, record: logging.LogRecord) -> None:
        head = "crossramp: warning: " if record.levelno == logging.WARNING else "crossramp: "
        if Progress.current is not None:
            Progress.current.clear()
        with contextlib.suppress(OSError):  # stderr may be closed
            print(head + on_one_line(record.getMessage()), file=sys.stderr, flush=True)


class Progress:
    """One line on stderr that overwrites itself; if stderr is not a terminal, at most one line for each stage.

    With ``--quiet`` it shows nothing.

    Attributes
    ----------
    current : Progress or None
        The one that has shown something last.
    """

    current: "Progress | None" = None

    def __init__(self):
        self._shown, self._stage = 0, ""
        self._terminal = sys.stderr is not None and sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._terminal and self._wanted:
            text = printable(text)
            sys.stderr.write("\r" + text.ljust(self._shown))
            sys.stderr.flush()
            self._shown, Progress.current = len(text), self

    def stage(self, text: str) -> None:
        """A stage of something long, and after a comma how far it is; elsewhere than on a terminal, when it begins."""
        self.show(text)
        name = text.partition(", ")[0]
        if not self._terminal and self._wanted and name != self._stage and sys.stderr is not None:
            with contextlib.suppress(OSError):
                print(printable(name), file=sys.stderr, flush=True)
        self._stage = name

    def clear(self) -> None:
        """Wipe the line."""
        if self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            sys.stderr.flush()
            self._shown = 0

    @property
    def _wanted(self) -> bool:
        # Outside of a command, as in tools/, the level is not set.
        return LOGGER.level == logging.NOTSET or LOGGER.isEnabledFor(NOTICE)
