# SPDX-License-Identifier: Apache-2.0
"""What every board's FPGA holds: host link, network, and the array, emulated or on pins."""

from amaranth import Cat, Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.link.board_memory import Build
from crossramp.rtl.common.boundary import ArraySignature
from crossramp.rtl.emulation.emulator import CrossbarEmulator
from crossramp.rtl.emulation.pacing import Pacer
from crossramp.rtl.link.host_link import HostLink
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.rtl.verilog.verilog_writer import specification_header, to_verilog

from ..definitions.board import probed_columns

#: Name of the module that :func:`core_verilog` gives.
MODULE = "crossramp_board"


class BoardCore(wiring.Component):
    """A network behind a host link, and in front of an emulated crossbar or of the pins of a real one.

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
        For a logic analyzer: control lines of the analog boundary.
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
        network, pacer = NetworkTop(spec, compact=True), Pacer(spec)
        m.submodules.network = ResetInserter(link.reset)(network)
        m.submodules.pacer = ResetInserter(link.reset)(pacer)
        wiring.connect(m, network.array, pacer.periphery)
        for stream in ("h", "logit", "answer"):
            wiring.connect(m, getattr(network, stream), getattr(link, stream))
        wiring.connect(m, link.x, network.x)
        wiring.connect(m, link.head, network.program)
        if spec.projection:
            wiring.connect(m, link.project, network.project)
        m.d.comb += [
            link.stalled.eq(network.monitor.stalled),
            pacer.hold_clocks.eq(link.hold_clocks),
            pacer.tick_clocks.eq(link.tick_clocks),
            network.calibration.eq(link.calibration),
        ]
        if build.columns_per_clock:
            emulator = CrossbarEmulator(spec, None, build.columns_per_clock, weight_ram_style=self.weight_ram_style)
            m.submodules.emulator = ResetInserter(link.reset)(emulator)
            wiring.connect(m, pacer.array, emulator.array)
            wiring.connect(m, link.weights, emulator.weights)
            wiring.connect(m, link.thresholds, emulator.thresholds)
            if spec.trained_lines:
                wiring.connect(m, link.line_weights, emulator.line_weights)
        else:
            wiring.connect(m, pacer.array, wiring.flipped(self.array))

        array = pacer.array
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


def core_verilog(build: Build, *, weight_ram_style: str | None = None) -> str:
    """The Verilog of :class:`BoardCore`, module ``crossramp_board``: what is synthesized, and what is simulated."""
    core = BoardCore(build, weight_ram_style=weight_ram_style)
    return to_verilog(core, MODULE, header=f"Board {build.board}.\n{specification_header(build.spec)}")
