# SPDX-License-Identifier: Apache-2.0
"""The processes that this one started, and those that they started: found, told to end, and waited for.

A Verilator build is a tree (verilator, make, a shell, several g++), and the end of its root leaves the rest behind.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

#: Seconds that processes get between SIGTERM and SIGKILL, and after that; and between two looks at them.
GRACE, _PATIENCE, _LOOK = 2.0, 10.0, 0.02

#: A process: its number, and when it began, since numbers are used again.
Process = tuple[int, str]


def descendants() -> set[Process]:
    """All that live, at any depth; without multiprocessing's resource tracker, which ends after all others."""
    if _childless():
        return set()
    table = _table()
    children: dict[int, list[int]] = {}
    for number, (parent, _) in table.items():
        children.setdefault(parent, []).append(number)
    found, open_ones = set(), list(children.get(os.getpid(), ()))
    while open_ones:
        number = open_ones.pop()
        open_ones += children.get(number, ())
        found.add((number, table[number][1]))
    return {process for process in found if process[0] != _resource_tracker()}


class Ending(threading.Thread):
    """Ends all descendants but the ``spared`` ones, also those that other threads still start.

    Made, it has sent SIGTERM to all; started, it goes on until :attr:`unwound` is set and none is left. After some
    seconds they get SIGKILL. Attributes and no events are how it is told, since a signal handler tells.

    Attributes
    ----------
    unwound : bool
        Nothing is started any more.
    hurried : bool
        SIGKILL at once.
    """

    def __init__(self, spared: set[Process]):
        super().__init__(daemon=True)
        self.unwound = self.hurried = False
        self._spared, self._told = spared, set()
        self._terminate()

    def run(self) -> None:
        """As the class says; one that SIGKILL does not end either, since the system holds it, is given up."""
        begin, killed = time.monotonic(), None
        while True:
            self._terminate()
            left = _living(self._told)
            if self.unwound and not left:
                return
            now = time.monotonic()
            if self.hurried or now - begin > GRACE:
                for process in left:
                    _send(process, signal.SIGKILL)
                killed = now if killed is None else killed
                if self.unwound and now - killed > _PATIENCE:
                    return
            time.sleep(_LOOK)

    def _terminate(self) -> None:
        """SIGTERM to those that were not told; all are stopped first, since a stopped process starts no other."""
        told: set[Process] = set()
        while new := descendants() - self._spared - self._told - told:
            for process in new:
                _send(process, signal.SIGSTOP)
            told |= new
        for number in (signal.SIGTERM, signal.SIGCONT):
            for process in told:
                _send(process, number)
        self._told |= told


def _living(processes: set[Process]) -> set[Process]:
    if not processes:
        return set()
    table = _table()
    return {process for process in processes if process[0] in table and table[process[0]][1] == process[1]}


def _send(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process[0], number)


def _childless() -> bool:
    """Whether Linux reports at once that there are no children; listing all processes of a machine takes a while."""
    try:
        return not any(map(_children_of_thread, os.listdir("/proc/self/task")))
    except OSError:
        return False


def _children_of_thread(thread: str) -> bytes:
    with open(f"/proc/self/task/{thread}/children", "rb") as file:
        return file.read()


def _table() -> dict[int, tuple[int, str]]:
    """Parent and time of start of every process that lives; one that ended and was not waited for yet does not."""
    if sys.platform == "linux":
        table = {}
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb", buffering=0) as file:
                # The program's name may hold anything; what comes after its closing bracket does not.
                fields = file.read().rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X"):
                    table[int(name)] = int(fields[1]), fields[19].decode()
        return table
    command = ["ps", "-A", "-o", "pid=,ppid=,stat=,lstart="]
    lines = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    rows = [line.split(None, 3) for line in lines.splitlines()]
    return {int(number): (int(parent), began) for number, parent, state, began in rows if state[0] != "Z"}


def _resource_tracker() -> int | None:
    module = sys.modules.get("multiprocessing.resource_tracker")
    return getattr(getattr(module, "_resource_tracker", None), "_pid", None)
