# SPDX-License-Identifier: Apache-2.0
"""What a board is, and where boards are found: in files of this folder that define ``BOARDS``, and in a user's file."""

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import need_one_array, prefixed
from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_protocol import BAUD
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification

#: The lines of a board beside clock and UART; each is one bit, except ``probes``. Only ``reset`` is required.
SIGNALS = ("reset", "ready", "busy", "error", "tick", "integrate", "hold", "probes")

#: How far a UART's rate may be from the one asked for. Two ends that are 2 % apart each still read the last bit right.
_BAUD_TOLERANCE = 0.02
_CLOCKS_PER_BIT = 4

#: By how much a board's clock can be divided: a UART of 300 baud still has its clocks.
_MOST_DIVIDED = 1000


#: Units of each bank whose comparators are shown on the debug header, if there are as many.
_PROBED_UNITS = 2


def probed_columns(spec: AnySpecification) -> list[int]:
    """The columns whose comparators are the signal ``probes``: the first two units of every bank of the first macro."""
    spec = next(iter(spec.macros.values()))
    return [spec.column(gate, unit) for gate in spec.gate_names for unit in range(min(spec.units, _PROBED_UNITS))]


class BoardError(InvalidValue):
    """A board that is not known, or one that cannot be what was asked of it; one line for the user."""


@dataclass(frozen=True)
class Wires:
    """Where the bits of one signal are.

    Attributes
    ----------
    pins : str
        Bit 0 first, separated by blanks: names of the connector's pins, or of the package's.
    connector : tuple of (str, int), or None
        The connector, as the board's platform calls it.
    inverted : bool
        The pin is low where the signal is high.
    attributes : mapping
        Of the pins, beyond the board's own.
    label : str
        What is printed beside them, or which LED or button it is.
    """

    pins: str
    connector: tuple[str, int] | None = None
    inverted: bool = False
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class Board:
    """A board and what is built for it. One is data alone: reading it needs no FPGA tool.

    Attributes
    ----------
    name : str
        What users type.
    title : str
        What lists call it.
    family : str
        How bitstreams are made: a key of :data:`.families.FAMILIES`.
    part : tuple of str
        Options that tell nextpnr the part.
    platform : str
        ``module:class`` of the platform, which brings the oscillator, the UART and the connectors.
    clock : int
        Of the oscillator, Hz; the gateware runs on it.
    lanes, columns_per_clock : int
        Of the cell update and of the emulator. No columns: the array is on pins.
    capacity : mapping
        Resources by the names of nextpnr's reports.
    wires : mapping
        Where :data:`SIGNALS` are; ``reset`` is required, the others are optional, and ``probes`` may have fewer than 8
        pins. With the array on pins also where its ports are (:data:`ARRAY_PORTS`), all of which are required
        (``array_calibration`` for specifications with calibration cells): each has as many pins as the largest array
        has wires, of which a build takes the first.
    attributes : mapping
        Of the pins in ``wires``.
    tied_high : str
        Pins of the package that must be high, for the board's sake.
    weight_ram_style : str or None
        The kind of memory that holds the weights, as yosys calls it (``ram_style``); None: as yosys thinks best.
    synthesis_options : tuple of str
        Options for yosys's command of the family.
    gather_columns : tuple of int
        iCE40: columns of logic tiles for :func:`.gather.gather`; none: the placer is left alone.
    loader : str
        The board's name in openFPGALoader.
    programmers : tuple of str
        Programs that can load it.
    """

    name: str
    title: str
    family: str
    part: tuple[str, ...]
    platform: str
    clock: int
    lanes: int
    columns_per_clock: int
    capacity: Mapping[str, int]
    wires: Mapping[str, Wires]
    loader: str
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    tied_high: str = ""
    weight_ram_style: str | None = None
    synthesis_options: tuple[str, ...] = ()
    gather_columns: tuple[int, ...] = ()
    programmers: tuple[str, ...] = ("openFPGALoader",)

    def build(self, spec: AnySpecification, baud: int | None = None, divide: int = 1) -> Build:
        """What a bitstream of this board is made for: ``spec`` with the lanes that suit the board.

        Parameters
        ----------
        spec : Specification or NetworkSpecification
        baud : int or None
            Bits per second of the UART; None: :data:`.link_protocol.BAUD`.
        divide : int
            The core's clock is the oscillator's divided by this, for an array on pins that needs longer windows.

        Raises
        ------
        BoardError
            If the clock is not a whole number of Hz, the UART cannot make the rate from it, the array has more
            wires than the board has pins, or utterances do not each start from zero.
        SpecificationError
            For a network that no board can hold, see :class:`~.board_memory.Build`.
        """
        for macro, own in spec.macros.items():
            for name, value, needed in (("initial", own.initial, "zero"), ("keeps_state", own.keeps_state, 0)):
                if value != needed:
                    raise BoardError(
                        f"{self.name}: {prefixed(macro, name)} is {value!r}; on boards every utterance starts from "
                        f"zero, so give {needed!r}"
                    )
        baud = integer("baud", BAUD if baud is None else baud, error=BoardError)
        divide = integer("divide", divide, error=BoardError)
        if not 1 <= divide <= _MOST_DIVIDED or self.clock % divide:
            raise BoardError(
                f"{self.name}: the clock divided by {divide}; allowed: 1 to {_MOST_DIVIDED}, and divisors of "
                f"{self.clock}"
            )
        clock = self.clock // divide
        self._check_baud(baud, clock)
        if not self.columns_per_clock:
            need_one_array(spec, f"{self.name}, which has its array on pins,")
            self._check_wires(spec)
        units = max(macro.units for macro in spec.macros.values())
        return Build(
            self.name,
            spec.implemented(lanes=min(self.lanes, units)),
            min(self.columns_per_clock, units),
            clock,
            baud,
            f"crossramp {version('crossramp')}",
        )

    def _check_baud(self, baud: int, clock: int):
        most = clock // _CLOCKS_PER_BIT
        if not 300 <= baud <= most:
            raise BoardError(f"{self.name}: {baud} baud; allowed at {clock / 1e6:g} MHz: 300 to {most}")
        made = clock / round(clock / baud)
        if abs(made / baud - 1) > _BAUD_TOLERANCE:
            raise BoardError(
                f"{self.name}: {baud} baud cannot be made from {clock / 1e6:g} MHz (nearest: {made:.0f}); "
                "ask for a divisor of the clock"
            )

    def _check_wires(self, spec: Specification):
        for port, width in array_widths(spec).items():
            have = len(self.wires[port].pins.split()) if port in self.wires else 0
            if width > have:
                raise BoardError(
                    f"{self.name}: the array of this specification has {width} wires {port.removeprefix('array_')}, "
                    f"and the board has pins for {have}; {_WHAT_FITS}"
                )


_WHAT_FITS = (
    "up to 8 rows (inputs + units + bias_rows), 2 units, adc_bits 4 and 4 calibration cells in all ramps together fit"
)


def array_widths(spec: Specification) -> dict[str, int]:
    """Bits of each port of the analog boundary, without those that a parameter has made empty."""
    return {wire.port: wire.width(spec) for wire in BOUNDARY if wire.width(spec)}


#: The ports of the analog boundary, of which a specification may lack some.
ARRAY_PORTS = tuple(wire.port for wire in BOUNDARY)


@cache
def boards() -> Mapping[str, Board]:
    """The known boards by name, sorted.

    A board's file is known by a line that begins with ``BOARDS =``; the others of this folder are not imported.
    """
    found = {}
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        source = module.module_finder.find_spec(module.name, package.__path__).loader.get_source(module.name)
        if re.search(r"^BOARDS\b.*=", source, flags=re.MULTILINE):
            for board in importlib.import_module(module.name).BOARDS:
                if found.setdefault(board.name, board) is not board:
                    raise BoardError(f"two boards are called {board.name!r}; the second is in {module.name}")
    return dict(sorted(found.items()))


#: Boards from users' files, by name.
_from_files: dict[str, Board] = {}


def find_board(name: str) -> Board:
    """The board that a user names: one of :func:`boards`, or one in a Python file.

    Parameters
    ----------
    name : str
        A board's name; a path ``FILE.py``, where that file describes one board; or ``FILE.py:NAME``.

    Raises
    ------
    BoardError
        For an unknown name, or a file that describes no board, another one, or several; see
        :func:`.board_file.load_boards`.
    """
    if name in boards():
        return boards()[name]
    file, colon, wanted = name.rpartition(":") if ".py:" in name else (name, "", "")
    if not (file.endswith(".py") or Path(file).name != file or Path(file).exists()):
        raise BoardError(
            f"no board is called {name!r}; known: {', '.join(boards())}; or give a file, as in --board ./my_board.py"
        )
    from .board_file import load_boards

    found = {board.name: board for board in load_boards(Path(file))}
    if colon and wanted not in found:
        raise BoardError(f"{file}: no board is called {wanted!r}; it has {', '.join(found)}")
    if not colon and len(found) > 1:
        raise BoardError(f"{file}: has {len(found)} boards; give one: {', '.join(f'{file}:{each}' for each in found)}")
    board = found[wanted] if colon else next(iter(found.values()))
    if board.name in boards():
        raise BoardError(f"{file}: {board.name!r} is the name of a board of crossramp; give yours another")
    _from_files[board.name] = board
    return board


def known_board(name: str) -> Board | None:
    """The board of that name, if it is one of :func:`boards` or a file with it has been read."""
    return boards().get(name) or _from_files.get(name)
