# SPDX-License-Identifier: Apache-2.0
"""A serial line that loses, changes and invents bytes, and a board, or another port, behind it.

>>> with Line(LinkModel(build), to_board=Disturbance(seed, drop=0.01)) as line:
...     BoardDriver(line.port)

A :class:`Line` is a pty, in real time; a :class:`SimulatedLine` is not, and its time is what the driver takes for the
time of day: nothing there depends on how busy the machine is.
"""

import contextlib
import errno
import os
import select
import threading
import time
import tty
from types import SimpleNamespace
from unittest import mock

import numpy as np
from crossramp.golden.link.link_protocol import END, ESC

_CHUNK = 4096


class Disturbance:
    """What happens to bytes on their way in one direction; all of it decided by ``seed``.

    Parameters
    ----------
    seed : int or sequence of int
    drop, flip, double, insert : float
        How probable it is that a byte is lost, has one bit changed, comes twice, or follows invented ones.
    lose, repeat : float
        How probable it is that a whole run of bytes, as it was received, is lost or comes twice.
    stall, stall_seconds, least : float
        How probable it is that such a run comes late, by how much at most, and which part of that at least.
    cut : int or None
        The bytes that pass before the line is dead.
    """

    def __init__(
        self,
        seed,
        *,
        drop=0.0,
        flip=0.0,
        double=0.0,
        insert=0.0,
        lose=0.0,
        repeat=0.0,
        stall=0.0,
        stall_seconds=0.0,
        least=0.0,
        cut=None,
    ):
        self.rng = np.random.default_rng(seed)
        self.drop, self.flip, self.double, self.insert = drop, flip, double, insert
        self.lose, self.repeat, self.stall, self.stall_seconds = lose, repeat, stall, stall_seconds
        self.least, self.cut = least, cut
        self.passed = 0  # bytes that were offered so far
        self.changes = 0  # times that something was done to them
        self.sleep = time.sleep  # how a run comes late

    def __call__(self, data: bytes) -> bytes:
        """What comes out; may take its time."""
        if not data:
            return data
        room = None if self.cut is None else max(0, self.cut - self.passed)
        self.passed += len(data)
        if self._happens(self.stall):
            self.sleep(self.rng.uniform(self.least, 1.0) * self.stall_seconds)
        if self._happens(self.lose):
            return b""
        if self._happens(self.repeat):
            data = data * 2
        out = bytearray()
        for byte in data[:room]:
            if self._happens(self.insert):
                count = int(self.rng.integers(1, 6))
                out += bytes(int(b) for b in self.rng.choice([END, ESC, *self.rng.integers(0, 256, 4)], count))
            if self._happens(self.drop):
                continue
            if self._happens(self.flip):
                byte ^= 1 << int(self.rng.integers(8))
            out += bytes([byte] * (1 + self._happens(self.double)))
        return bytes(out)

    def _happens(self, probability: float) -> bool:
        happens = probability > 0 and self.rng.random() < probability
        self.changes += happens
        return bool(happens)


class Line:
    """A context manager; ``port`` is the host's end while it lasts.

    Parameters
    ----------
    far : object with ``feed(bytes) -> bytes``, or str
        What is at the other end: a board's model, or the path of a port.
    to_board, to_host : callable bytes -> bytes, or None
        What happens to the bytes on their way.
    """

    def __init__(self, far, to_board=None, to_host=None):
        self.far = far
        self.to_board, self.to_host = to_board or bytes, to_host or bytes
        self.error = None
        self._gone = False

    def __enter__(self) -> "Line":
        self._master, self._slave = os.openpty()  # the slave stays open here: a host may come and go
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        os.write(self._stop, b"x")
        self._thread.join(20)
        assert not self._thread.is_alive(), "the line hangs"
        self.unplug()
        os.close(self._wake)
        os.close(self._stop)
        if self.error is not None and exc[0] is None:
            raise self.error

    def unplug(self):
        """The port goes away, as a board's whose cable is pulled."""
        if not self._gone:
            self._gone = True
            os.close(self._master)
            os.close(self._slave)

    def _carry(self):
        try:
            with contextlib.ExitStack() as stack:
                other = None
                if isinstance(self.far, str):
                    other = os.open(self.far, os.O_RDWR | os.O_NOCTTY)
                    stack.callback(os.close, other)
                    tty.setraw(other)
                self._carry_between(other)
        except BaseException as error:
            self.error = error

    def _carry_between(self, other: int | None):
        ends = [self._master, self._wake] + ([] if other is None else [other])
        while not self._gone:
            ready, _, _ = select.select(ends, [], [])
            if self._wake in ready:
                return
            if self._master in ready:
                data = self.to_board(os.read(self._master, _CHUNK))
                if other is None:
                    self._deliver(self.far.feed(data))
                else:
                    os.write(other, data)
            if other in ready:
                self._deliver(os.read(other, _CHUNK))

    def _deliver(self, data: bytes):
        data = self.to_host(data)
        with contextlib.suppress(BlockingIOError):  # nobody reads: lost, as on a line
            while data and not self._gone:
                data = data[os.write(self._master, data) :]


class SimulatedLine:
    """A line as :class:`Line`, to a board's model, in simulated time: bytes take theirs, and waits for them the rest.

    While it is entered, the driver opens it whatever it is asked to open, and ``now`` is the time of day for it.
    """

    port = "/dev/simulated"
    timeout = write_timeout = None  # as the driver sets them

    def __init__(self, far, to_board=None, to_host=None):
        self.far, self.to_board, self.to_host = far, to_board or bytes, to_host or bytes
        self.now = self._free = self._late = 0.0
        self.baudrate = 1_000_000
        self._coming: list[tuple[float, bytes]] = []  # when, and what
        self._here = b""
        self._gone = False

    def __enter__(self) -> "SimulatedLine":
        clock = SimpleNamespace(monotonic=lambda: self.now)
        self._patches = [
            mock.patch("crossramp.boards.host.driver.open_port", self._open),
            mock.patch("crossramp.boards.host.driver.time", clock),
            mock.patch("crossramp.boards.host.exchange.time", clock),
        ]
        for patch in self._patches:
            patch.start()
        for disturbance in (self.to_board, self.to_host):
            if isinstance(disturbance, Disturbance):
                disturbance.sleep = self._delay
        return self

    def __exit__(self, *exc):
        for patch in self._patches:
            patch.stop()

    def unplug(self):
        """The port goes away, as a board's whose cable is pulled."""
        self._gone = True

    # ---- the host's port ---------------------------------------------------------------------------------------------

    def _open(self, name: str, baud: int) -> "SimulatedLine":
        assert name == self.port
        self.baudrate = baud
        self._coming, self._here = [], b""
        return self

    def close(self):
        """The host leaves; the board stays as it is."""

    def write(self, data: bytes):
        """A host's bytes, and the board's answer on its way."""
        self._check()
        self.now += len(data) * 10 / self.baudrate
        answer = self.to_host(self.far.feed(self.to_board(bytes(data))))
        self._free = max(self._free, self.now + self._late) + len(answer) * 10 / self.baudrate
        self._late = 0.0
        if answer:
            self._coming.append((self._free, answer))

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; none if none come within the timeout, which then has passed."""
        self._check()
        if not self.in_waiting:
            until = self.now + self.timeout
            self.now = max(self.now, min(until, self._coming[0][0])) if self._coming else until
        count = min(size, self.in_waiting)
        data, self._here = self._here[:count], self._here[count:]
        return data

    @property
    def in_waiting(self) -> int:
        """Bytes that have come."""
        while self._coming and self._coming[0][0] <= self.now:
            self._here += self._coming.pop(0)[1]
        return len(self._here)

    def _delay(self, seconds: float):
        self._late += seconds

    def _check(self):
        if self._gone:
            raise OSError(errno.EIO, "Input/output error")
