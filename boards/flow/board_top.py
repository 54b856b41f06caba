# SPDX-License-Identifier: Apache-2.0
"""The top of a bitstream: the core between the pins of a board.

The core comes as Verilog text, the same text that simulators run; nothing of it is made again for the FPGA.
The top adds what only a board has: the clock and its reset, inverters,
and synchronizers behind pins that may change at any time.
"""

import importlib
from collections.abc import Mapping

from amaranth import ClockDomain, ClockSignal, DomainRenamer, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.build import Attrs, Pins, PinsN, Resource, ResourceError
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.io import Buffer
from crossramp.golden.link.board_memory import Build
from crossramp.golden.spec.boundary_wires import BOUNDARY

from ..definitions.board import SIGNALS, Board, BoardError, Wires, array_widths, probed_columns
from ..definitions.families import TOP
from .board_core import MODULE
from .divider import ClockDivider

"""The bitstream's module."""

_ARRAY_INPUTS = tuple(wire.port for wire in BOUNDARY if not wire.to_array)

#: Seconds of reset after configuration: block RAMs of the iCE40 read as zero for the first microseconds.
_POWER_UP = 20e-6

#: Seconds that the button must be let go before the reset ends: longer than its contacts bounce.
_BOUNCE = 5e-3


class BoardTop(Elaboratable):
    """The core on a board.

    Parameters
    ----------
    board : Board
    build : Build
        Of that board.
    """

    def __init__(self, board: Board, build: Build):
        self.board = board
        self.build = build

    def elaborate(self, platform):
        m = Module()
        ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        self._make_domain(m, platform)

        uart = platform.request("uart", 0, dir=dict.fromkeys(_names(platform, "uart"), "-"))
        m.submodules.rx_pin = rx_pin = Buffer("i", uart.rx)
        m.submodules.tx_pin = tx_pin = Buffer("o", uart.tx)
        # Idle until it is known: a start bit out of nowhere would be a byte.
        rx = Signal(init=1)
        m.submodules.rx_synchronizer = FFSynchronizer(rx_pin.i, rx, init=1)
        ports |= {"i_rx": rx, "o_tx": tx_pin.o}

        outputs = {name: 1 for name in SIGNALS if name != "reset"} | {"probes": len(probed_columns(self.build.spec))}
        if not self.build.columns_per_clock:
            outputs |= array_widths(self.build.spec)
        for name, width in outputs.items():
            if name in _ARRAY_INPUTS:
                ports[f"i_{name}"] = self._input(m, platform, name)
            else:
                signal = Signal(width, name=name)
                ports[f"o_{name}"] = signal
                if name in self.board.wires:
                    m.submodules[f"{name}_pin"] = pin = Buffer("o", platform.request(name, 0, dir="-"))
                    m.d.comb += pin.o.eq(signal)
        if self.board.tied_high:
            m.submodules.high_pin = high = Buffer("o", platform.request("tied_high", 0, dir="-"))
            m.d.comb += high.o.eq(-1)

        m.submodules.core = Instance(MODULE, **ports)
        return m

    def _make_domain(self, m: Module, platform):
        """``sync``: the oscillator's clock, perhaps divided; in reset after configuration, and with the button."""
        m.domains.sync = ClockDomain()
        m.domains.raw = raw = ClockDomain(reset_less=True, local=True)
        m.submodules.clock_pin = clock = Buffer("i", platform.request(platform.default_clk, 0, dir="-"))
        m.submodules.reset_pin = button = Buffer("i", platform.request("reset", 0, dir="-"))
        m.d.comb += raw.clk.eq(clock.i)

        pressed = Signal()
        m.submodules.reset_synchronizer = FFSynchronizer(button.i, pressed, o_domain="raw")
        first, bounce = (int(seconds * self.board.clock) for seconds in (_POWER_UP, _BOUNCE))
        count = Signal(range(max(first, bounce) + 1), init=first)
        reset = Signal(init=1)
        m.d.raw += reset.eq(pressed | (count != 0))
        with m.If(pressed):
            m.d.raw += count.eq(bounce)
        with m.Elif(count != 0):
            m.d.raw += count.eq(count - 1)
        divide = self.board.clock // self.build.clock
        if divide == 1:
            m.d.comb += [ClockSignal().eq(clock.i), ResetSignal().eq(reset)]
        else:
            divider = ClockDivider(divide)
            m.submodules.divider = DomainRenamer("raw")(divider)
            m.d.comb += ClockSignal().eq(divider.clock)
            m.submodules.release = FFSynchronizer(reset, ResetSignal(), init=1)

    def _input(self, m: Module, platform, name: str):
        """A port of the array: comparators go straight in, since a code that is latched is a Gray count."""
        m.submodules[f"{name}_pin"] = pin = Buffer("i", platform.request(name, 0, dir="-"))
        if name == "array_comparators":
            return pin.i
        synchronized = Signal(name=name)
        m.submodules[f"{name}_synchronizer"] = FFSynchronizer(pin.i, synchronized)
        return synchronized


def make_platform(board: Board, build: Build):
    """The board's platform, with the resources that :class:`BoardTop` asks for.

    Raises
    ------
    BoardError
        For a platform that cannot be found or made.
    """
    module, _, name = board.platform.partition(":")
    try:
        platform = getattr(importlib.import_module(module), name)()
    except Exception as error:
        raise BoardError(f"{board.name}: no platform {board.platform}: {type(error).__name__}: {error}") from error
    if round(platform.default_clk_frequency) != board.clock:
        raise BoardError(
            f"{board.name}: clock is {board.clock}, and the oscillator of {board.platform} has "
            f"{platform.default_clk_frequency:.0f} Hz; write that"
        )
    widths = {"probes": len(probed_columns(build.spec))}
    if not build.columns_per_clock:
        widths |= array_widths(build.spec)
    for signal, wires in board.wires.items():
        if signal.startswith("array_") and signal not in widths:
            continue  # this specification has none
        direction = "i" if signal in ("reset", *_ARRAY_INPUTS) else "o"
        platform.add_resources([_resource(board, signal, wires, direction, widths.get(signal, 1))])
    if board.tied_high:
        platform.add_resources([_resource(board, "tied_high", Wires(board.tied_high), "o", None)])
    return platform


def top_files(board: Board, build: Build, core: str) -> Mapping[str, str]:
    """What synthesis and layout read: the core, the top as RTLIL, and the constraints; file name to text.

    Parameters
    ----------
    core : str
        Verilog of the module :data:`.board_core.MODULE`.

    Raises
    ------
    BoardError
        If the platform refuses the board's pins: one that is used twice, or that a connector lacks.
    """
    try:
        platform = make_platform(board, build)
        platform.add_file(f"{MODULE}.v", core)
        plan = platform.prepare(BoardTop(board, build), TOP, debug_verilog=False, emit_src=False)
    except (ResourceError, NameError, AttributeError, TypeError, KeyError, NotImplementedError) as error:
        raise BoardError(
            f"{board.name}: {board.platform} does not take the board's pins: {type(error).__name__}: {error}"
        ) from error
    wanted = (".v", ".il", ".pcf", ".lpf", ".cst")
    files = {name: text for name, text in plan.files.items() if name.endswith(wanted) and ".debug." not in name}
    return {name: text if isinstance(text, str) else text.decode() for name, text in files.items()}


def _resource(board: Board, name: str, wires: Wires, direction: str, width: int | None) -> Resource:
    pins = " ".join(wires.pins.split()[:width])
    kind = PinsN if wires.inverted else Pins
    return Resource(
        name, 0, kind(pins, dir=direction, conn=wires.connector), Attrs(**{**board.attributes, **wires.attributes})
    )


def _names(platform, resource: str) -> list[str]:
    """Of the parts of a platform's resource."""
    return [part.name for part in platform.lookup(resource, 0).ios if hasattr(part, "name")]
