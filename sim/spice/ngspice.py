# SPDX-License-Identifier: Apache-2.0
"""ngspice in batch mode: a deck in, the saved voltages over time out."""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crossramp.golden.common.errors import CrossrampError, ExitStatus, InvalidValue

#: Lines of ngspice's own words that an error quotes at most.
_QUOTED = 3

#: Seconds between two looks at whether a run is to stop.
_LOOK = 0.2


class SpiceMissing(InvalidValue):
    """ngspice is not installed; the message says what to type."""


class Stopped(CrossrampError):
    """The run was stopped on request."""

    exit_status = ExitStatus.FAILED


class SpiceError(CrossrampError, RuntimeError):
    """ngspice ended without the waveforms; the message has what it said."""

    exit_status = ExitStatus.FAILED


@dataclass(frozen=True, eq=False)
class Waveforms:
    """What a transient analysis saved.

    Attributes
    ----------
    time : float64 array, shape (points,)
        Seconds, rising.
    vectors : dict of float64 arrays, shape (points,)
        By the name of the deck's ``.save``, in lower case and without ``v( )``: volts.
    """

    time: np.ndarray
    vectors: dict[str, np.ndarray]

    def at(self, name: str, times) -> np.ndarray:
        """Voltages of a node at ``times``, between two points by a straight line; float64, shape of ``times``."""
        return np.interp(times, self.time, self.vectors[name])


def find_ngspice() -> str:
    """Path of the program; raises SpiceMissing if it is not installed."""
    path = shutil.which("ngspice")
    if path is None:
        raise SpiceMissing("ngspice is not installed; type: sudo apt-get install ngspice")
    return path


def run_deck(deck: str, seconds: float | None = None, stop: threading.Event | None = None) -> Waveforms:
    """Run a deck with one transient analysis.

    Parameters
    ----------
    deck : str
        Its text; ``.save`` lists what comes back.
    seconds : float or None
        Time it may take.
    stop : threading.Event or None
        Set by another thread, it ends the run.

    Raises
    ------
    Stopped
    SpiceMissing
    SpiceError
        If ngspice refuses the deck, stops before its end, or takes longer than ``seconds``.
    """
    program = find_ngspice()
    with tempfile.TemporaryDirectory(prefix="crossramp-spice-") as folder:
        path, raw = Path(folder, "deck.cir"), Path(folder, "deck.raw")
        path.write_text(deck, encoding="ascii")
        # -n: a user's own .spiceinit must not change the options of the deck.
        command = [program, "-n", "-b", "-r", raw.name, path.name]
        status, said = _run(command, folder, seconds, stop)
        if status or not raw.is_file():
            raise SpiceError(f"ngspice gave up (status {status}): {_reason(said)}")
        waveforms = read_raw(raw.read_bytes())
    end = _end_of(deck)
    if end is not None and waveforms.time[-1] < end * (1 - 1e-9):
        raise SpiceError(f"ngspice stopped at {waveforms.time[-1]:g} s of {end:g} s: {_reason(said)}")
    return waveforms


def _run(command: list[str], folder: str, seconds: float | None, stop: threading.Event | None) -> tuple[int, str]:
    """Exit status and everything said."""
    with open(Path(folder, "said.txt"), "w+b") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            end = None if seconds is None else time.monotonic() + seconds
            while True:
                try:
                    status = process.wait(_LOOK)
                    break
                except subprocess.TimeoutExpired:
                    if stop is not None and stop.is_set():
                        raise Stopped from None
                    if end is not None and time.monotonic() > end:
                        raise SpiceError(f"ngspice took longer than {seconds:g} s; choose fewer columns") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        return status, said.read().decode("utf-8", "replace")


def read_raw(data: bytes) -> Waveforms:
    """The one transient analysis in a raw file of real numbers, binary or text; SpiceError for anything else."""
    head, marker, body = data.partition(b"Binary:\n")
    text = not marker
    if text:
        head, marker, body = data.partition(b"Values:\n")
    fields = dict(re.findall(r"(?m)^([A-Z][A-Za-z. ]*):\s*(.*)$", head.decode("ascii", "replace")))
    try:
        count, points = int(fields["No. Variables"]), int(fields["No. Points"])
        listed = head.decode("ascii", "replace").partition("Variables:\n")[2].splitlines()
        names = [line.split()[1].lower() for line in listed[:count]]
        if text:
            # Each point begins with its number.
            values = np.array(body.split(), float).reshape(points, count + 1)[:, 1:]
        else:
            values = np.frombuffer(body, np.float64, points * count).reshape(points, count)
    except (KeyError, ValueError, IndexError):
        raise SpiceError("ngspice's raw file cannot be read; is this an ngspice of another kind?") from None
    if fields.get("Flags", "").strip() != "real" or not names or names[0] != "time" or not points:
        held = fields.get("Plotname", "something else")
        raise SpiceError(f"ngspice's raw file holds {held!r} instead of a transient analysis")
    vectors = {re.sub(r"^v\((.*)\)$", r"\1", name): values[:, k].copy() for k, name in enumerate(names)}
    return Waveforms(vectors.pop("time"), vectors)


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"error|fatal|too small|singular|fail|unknown|no such", line, re.I)]
    return "; ".join((told or lines or ["it said nothing"])[:_QUOTED])


def _end_of(deck: str) -> float | None:
    """Where the deck's ``.tran step stop`` ends, if it is written as a number."""
    match = re.search(r"(?mi)^\.tran\s+\S+\s+(\S+)", deck)
    try:
        return float(match[1]) if match else None
    except ValueError:
        return None
