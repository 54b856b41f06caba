# SPDX-License-Identifier: Apache-2.0
"""Slow or hung: a process that still writes is slow, however long it takes."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from .simulators import SimulationError, environment

#: Seconds of waiting without any growth after which a process hangs. The benches write every 256 clocks.
STILL_SECONDS = 600.0

#: Seconds between two looks.
LOOK_SECONDS = 0.2


class Growth:
    """A file that a process writes while it works, watched by the code that waits for the process.

    Seconds are those that were spent waiting, not those of a clock: a machine that was suspended, or had no time for
    this process, gives the other one more time, not less.

    Parameters
    ----------
    file : Path
        May not exist yet.
    """

    def __init__(self, file: Path):
        self._file, self._size, self._still = file, 0, 0.0

    def look(self, what: str) -> None:
        """After a wait of :data:`LOOK_SECONDS`: SimulationError once the file has not grown for too long."""
        size = self._file.stat().st_size if self._file.exists() else 0
        self._still = self._still + LOOK_SECONDS if size == self._size else 0.0
        self._size = size
        if self._still > STILL_SECONDS:
            raise SimulationError(f"{what} made no clock in {STILL_SECONDS:g} s")


def run_watched(
    command: Sequence[str | Path],
    folder: Path,
    output: Path,
    alive: Path,
    what: str,
    meanwhile: Callable[[], None] | None = None,
) -> int:
    """Run a simulation to its end, however slow it is; its exit status.

    Parameters
    ----------
    command : sequence of str
    folder : Path
        Where it runs.
    output : Path
        File that gets all it prints.
    alive : Path
        File that it writes as it goes on.
    what : str
        What messages call it: ``"the simulation"``.
    meanwhile : callable or None
        Called some times a second.

    Raises
    ------
    SimulationError
        If it hangs.
    """
    growth = Growth(alive)
    with output.open("w") as said:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=folder, env=environment(), stdout=said, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    return process.wait(timeout=LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    growth.look(what)
                    if meanwhile is not None:
                        meanwhile()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
