# SPDX-License-Identifier: Apache-2.0
"""What every board's FPGA holds: host link, network, and the array, emulated or on pins."""

from amaranth import Cat, Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.layers.network_specification import NetworkSpecification, projection_name
from crossramp.golden.layers.tile import prefixed
from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_protocol import Space
from crossramp.rtl.common.boundary import ArraySignature
from crossramp.rtl.emulation.emulator import CrossbarEmulator
from crossramp.rtl.emulation.pacing import Pacer
from crossramp.rtl.layers.layered_top import LayeredTop
from crossramp.rtl.link.host_link import HostLink
from crossramp.rtl.link.results import counts_leading
from crossramp.rtl.link.spaces import macro_members
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.rtl.verilog.verilog_writer import specification_header, to_verilog

from ..definitions.board import probed_columns

#: Name of the module that :func:`core_verilog` gives.
MODULE = "crossramp_board"


class BoardCore(wiring.Component):
    """A network behind a host link, and in front of emulated crossbars or of the pins of a real one.

    Each macro of the network has a pacer and an emulator of its own.

    Parameters
    ----------
    build : Build
        ``columns_per_clock`` 0 brings the analog boundary out as the member ``array``.
    weight_ram_style : str or None
        See :class:`~.emulator.CrossbarEmulator`.

    Members
    -------
    rx, tx : 1 bit
        The UART's line: from the host, to the host.
    ready, busy, error : 1 bit
        For LEDs: the core waits for commands; it computes a step or an answer; it dropped a frame on the line since
        the last RESET.
    tick, integrate, hold : 1 bit
        For a logic analyzer: control lines of the analog boundary of the first macro.
    probes : up to 8 bits
        And some comparators; see :func:`.board.probed_columns`.
    """

    def __init__(self, build: Build, *, weight_ram_style: str | None = None):
        self.build = build
        self.weight_ram_style = weight_ram_style
        members = {
            "rx": In(1, init=1),
            "tx": Out(1, init=1),
            "ready": Out(1),
            "busy": Out(1),
            "error": Out(1),
            "tick": Out(1),
            "integrate": Out(1),
            "hold": Out(1),
            "probes": Out(len(probed_columns(build.spec))),
        }
        if not build.columns_per_clock:
            members["array"] = Out(ArraySignature(build.spec))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        build, spec = self.build, self.build.spec
        m.submodules.link = link = HostLink(build)
        layered = isinstance(spec, NetworkSpecification)
        network = LayeredTop(spec, compact=True) if layered else NetworkTop(spec, compact=True)
        pacers = {name: Pacer(macro) for name, macro in spec.macros.items()}
        m.submodules.network = ResetInserter(link.reset)(network)
        for name, pacer in pacers.items():
            m.submodules[prefixed(name, "pacer")] = ResetInserter(link.reset)(pacer)
            wiring.connect(m, getattr(network, prefixed(name, "array")), pacer.periphery)
        for stream in ("h", "logit", "answer"):
            wiring.connect(m, getattr(network, stream), getattr(link, stream))
        wiring.connect(m, link.x, network.x)
        if not spec.head_in_array:
            wiring.connect(m, link.head, network.program)
        for member, region in macro_members(build).items():
            if region.space == Space.PROJECTION:
                wiring.connect(m, getattr(link, member), getattr(network, member))
        stalled = [getattr(network, prefixed(name, "monitor")).stalled for name in pacers]
        m.d.comb += link.stalled.eq(Cat(stalled).any() if layered else stalled[0])
        for pacer in pacers.values():
            m.d.comb += [pacer.hold_clocks.eq(link.hold_clocks), pacer.tick_clocks.eq(link.tick_clocks)]
        if not build.several:  # emulated arrays ignore their calibration cells, so those of several have no settings
            m.d.comb += network.calibration.eq(link.calibration)
        if counts_leading(spec):
            leading = spec.names_of(spec.leading - 1)[0]
            last = projection_name(leading) if projection_name(leading) in pacers else leading
            monitor = getattr(network, prefixed(last, "monitor"))
            m.d.comb += link.passed_on.eq(monitor.h & monitor.end)
        for name, pacer in pacers.items():
            self._array(m, name, pacer, link)

        array = pacers[next(iter(pacers))].array
        m.d.comb += [
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
            self.ready.eq(~link.computing),
            self.busy.eq(link.computing),
            self.error.eq(link.error),
            self.tick.eq(array.tick),
            self.integrate.eq(array.integrate),
            self.hold.eq(array.hold),
            self.probes.eq(Cat(array.comparators[column] for column in probed_columns(build.spec))),
        ]
        return m

    def _array(self, m: Module, name: str, pacer: Pacer, link: HostLink):
        """What stands behind the boundary of a macro."""
        build = self.build
        if not build.columns_per_clock:
            wiring.connect(m, pacer.array, wiring.flipped(self.array))
            return
        macro = build.spec.macros[name]
        emulator = CrossbarEmulator(macro, None, build.columns(name), weight_ram_style=self.weight_ram_style)
        m.submodules[prefixed(name, "emulator")] = ResetInserter(link.reset)(emulator)
        wiring.connect(m, pacer.array, emulator.array)
        for member in ("weights", "thresholds", *(["line_weights"] if macro.trained_lines else [])):
            wiring.connect(m, getattr(link, prefixed(name, member)), getattr(emulator, member))


def core_verilog(build: Build, *, weight_ram_style: str | None = None) -> str:
    """The Verilog of :class:`BoardCore`, module ``crossramp_board``: what is synthesized, and what is simulated."""
    core = BoardCore(build, weight_ram_style=weight_ram_style)
    return to_verilog(core, MODULE, header=f"Board {build.board}.\n{specification_header(build.spec)}")
