# SPDX-License-Identifier: Apache-2.0
"""The pins of a virtual board over time: a VCD file that GTKWave and PulseView open, written and read here."""

import re
from pathlib import Path

from crossramp.golden.common.errors import InvalidValue

#: In the order of the file; ``probe0`` to ``probe7``, as many as the board has, follow.
PINS = ("rx", "tx", "ready", "busy", "error", "tick", "integrate", "hold")

_SECOND = 1_000_000_000  # the file counts nanoseconds of the board's clock


class PinLog:
    """Writes what ``virtual_main.cpp`` writes, for the simulator that has no C++.

    Parameters
    ----------
    path : path
    clock : int
        Hz.
    probes : int
    """

    def __init__(self, path: str | Path, clock: int, probes: int):
        self._file = open(path, "w")  # noqa: SIM115
        self._clock = clock
        self._names = [*PINS, *(f"probe{k}" for k in range(probes))]
        self._shown = None
        self._file.write("$timescale 1 ns $end\n$scope module board $end\n")
        for k, name in enumerate(self._names):
            self._file.write(f"$var wire 1 {chr(33 + k)} {name} $end\n")
        self._file.write("$upscope $end\n$enddefinitions $end\n")

    def show(self, now: int, word: int):
        """The pins after clock ``now``; ``word`` has a bit for each, the first one's lowest."""
        if word == self._shown:
            return
        changed = -1 if self._shown is None else word ^ self._shown
        self._file.write(f"#{(now * _SECOND + self._clock // 2) // self._clock}\n")
        for k in range(len(self._names)):
            if changed >> k & 1:
                self._file.write(f"{word >> k & 1}{chr(33 + k)}\n")
        self._shown = word

    def flush(self):
        """All that was shown is in the file."""
        self._file.flush()


def read_pins(path: str | Path, clock: int) -> dict[str, list[tuple[int, int]]]:
    """Every edge of every pin in a file of a virtual board.

    Parameters
    ----------
    path : path
    clock : int
        Hz, of the board.

    Returns
    -------
    dict
        Pin name to (clock number, new level) of its edges, its first level included.

    Raises
    ------
    InvalidValue
        For a file that is none of a virtual board; the message quotes the line.
    """
    names, edges, now = {}, {}, 0
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        if variable := re.fullmatch(r"\$var wire 1 (.) (\w+) \$end", line):
            names[variable[1]] = variable[2]
            edges[variable[2]] = []
        elif re.fullmatch(r"#\d+", line):
            now = (int(line[1:]) * clock + _SECOND // 2) // _SECOND
        elif line[:1] in ("0", "1") and line[1:] in names:
            edges[names[line[1:]]].append((now, int(line[0])))
        elif not line.startswith("$"):
            raise InvalidValue(f"{path}: line {number} is {line!r}; expected the pins of a virtual board")
    return edges
