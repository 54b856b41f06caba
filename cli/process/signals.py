# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, SIGTERM and SIGHUP end a command in the same way: child processes end, temporary folders go.

The first signal is an :class:`Interruption` in the main thread, which unwinds the command; another one meanwhile
only makes child processes end at once. A signal that was ignored when the command began, as by ``nohup``, stays so.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

from . import descendants

#: The signals that end a command, and how it says so.
ENDING = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM", signal.SIGHUP: "ended by SIGHUP"}


class Interruption(KeyboardInterrupt):
    """A signal came; the handlers of Ctrl-C handle this too."""


class _Watch:
    """What is known of signals while a command runs.

    Attributes
    ----------
    number : signal.Signals or None
        The first one that came.
    children_end_first : bool
        Child processes are told to end before the command is unwound.
    """

    def __init__(self):
        self.number: signal.Signals | None = None
        self.children_end_first = True
        self._spared = descendants.descendants()
        self._ending: descendants.Ending | None = None
        self._deferred, self._waiting = 0, None

    def handle(self, number: int, frame) -> None:
        """The signal handler."""
        if self._deferred:
            self._waiting = self._waiting or number
        elif self.number is not None:
            if self._ending is not None:
                self._ending.hurried = True
        else:
            self.number = signal.Signals(number)
            if self.children_end_first:
                self._end()
            raise Interruption

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1
            if self._waiting is not None and not self._deferred:
                number, self._waiting = self._waiting, None
                self.handle(number, None)

    def clean_up(self) -> None:
        """The command is unwound; after a signal, return when every child process has ended."""
        if self.number is None:
            return
        if self._ending is None:
            self._end()
        self._ending.unwound = True
        self._ending.join()

    def _end(self) -> None:
        self._ending = descendants.Ending(self._spared)
        self._ending.start()


_watch: _Watch | None = None


@contextlib.contextmanager
def watched() -> Iterator[_Watch]:
    """Handle the signals within the block, in the main thread; elsewhere they stay whose they are.

    After a signal, every child process that was started in the block has ended when it is left.
    """
    global _watch
    before, outer, _watch = {}, _watch, _Watch()
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _watch.handle)
    try:
        yield _watch
    finally:
        _watch.clean_up()
        for number, action in before.items():
            signal.signal(number, action)
        _watch = outer


def uninterrupted() -> contextlib.AbstractContextManager:
    """A block that is done whole: a signal that comes meanwhile is handled at its end."""
    return contextlib.nullcontext() if _watch is None else _watch.deferred()


@contextlib.contextmanager
def in_order() -> Iterator[None]:
    """In this block a signal is an :class:`Interruption` alone: the code itself ends its child processes."""
    if _watch is None:
        yield
        return
    before, _watch.children_end_first = _watch.children_end_first, False
    try:
        yield
    finally:
        _watch.children_end_first = before
