# SPDX-License-Identifier: Apache-2.0
"""The pins of a virtual board over time: a VCD file that GTKWave and PulseView open, written and read here."""

from pathlib import Path

from crossramp.golden.common.errors import InvalidValue
from vcd import VCDWriter
from vcd.reader import TokenKind, VCDParseError, tokenize

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
        file = open(path, "w")  # noqa: SIM115 (open as long as the board runs)
        self._writer = VCDWriter(file, timescale="1 ns", date="", check_values=False)
        self._clock = clock
        names = [*PINS, *(f"probe{k}" for k in range(probes))]
        self._pins = [self._writer.register_var("board", name, "wire", 1) for name in names]
        self._shown = None

    def show(self, now: int, word: int):
        """The pins after clock ``now``; ``word`` has a bit for each, the first one's lowest."""
        if word == self._shown:
            return
        changed = -1 if self._shown is None else word ^ self._shown
        time = (now * _SECOND + self._clock // 2) // self._clock
        for k, pin in enumerate(self._pins):
            if changed >> k & 1:
                self._writer.change(pin, time, word >> k & 1)
        self._shown = word

    def flush(self):
        """All that was shown is in the file."""
        self._writer.flush()


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
        If the file was not written by a virtual board; the message quotes what is wrong.
    """
    names, edges, now = {}, {}, 0
    with open(path, "rb") as file:
        try:
            for token in tokenize(file):
                if token.kind is TokenKind.VAR:
                    names[token.var.id_code] = token.var.reference
                    edges[token.var.reference] = []
                elif token.kind is TokenKind.CHANGE_TIME:
                    now = (token.time_change * clock + _SECOND // 2) // _SECOND
                elif token.kind is TokenKind.CHANGE_SCALAR and token.scalar_change.value in ("0", "1"):
                    edges[names[token.scalar_change.id_code]].append((now, int(token.scalar_change.value)))
        except (VCDParseError, KeyError, ValueError) as error:  # pyvcd raises ValueError for a malformed value
            raise InvalidValue(
                f"{path}: holds no pins of a virtual board ({error!r}); give what --pins wrote"
            ) from None
    return edges
