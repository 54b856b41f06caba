# SPDX-License-Identifier: Apache-2.0
"""The host link: commands from a UART, carried out on a network, its array and its results."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_protocol import OVERHEAD

from ..common.record_layout import answer_layout, h_layout, logit_layout
from ..macro.loader import x_layout
from .framing import FramePort
from .link_commands import Commands
from .results import Results, counts_leading
from .spaces import Spaces, macro_members
from .uart import divisor


class HostLink(wiring.Component):
    """Carries out one command after another; each is checked as a whole before anything of it is done.

    Its golden model is :class:`.link_model.LinkModel`. A command that reads, writes or steps is gone through
    twice: first for its checks, then to do it. So a refused command has changed nothing, and every command may be
    repeated.

    Latency: a clock a byte and one a word of the request, each time; then the answer, as fast as the line takes it. No
    command waits for the network: what cannot be done now is answered BUSY.
    Cost: the memories of :class:`.framing.FramePort`, :class:`.results.Results` and :class:`.spaces.Spaces`.

    Parameters
    ----------
    build : Build
        With ``columns_per_clock`` 0, there are no members ``weights``, ``thresholds`` and ``line_weights``; without
        trained line cells there is no ``line_weights``. Of several macros these have the macro's name in front, as
        ``project`` has (:func:`.spaces.macro_members`).

    Members
    -------
    rx, tx : 1 bit
        The line.
    x, h, logit, answer : streams
        Of the network.
    weights, thresholds, line_weights, project, head : AccessSignature
        Used only between steps; ``project`` where there is a digital projection, ``head`` where the head is digital.
    stalled : 1 bit
        The network waits for its array.
    passed_on : 1 bit
        Of a network with a layer of two directions behind other ones, see :class:`.results.Results`.
    reset : 1 bit
        Resets the network and its array.
    hold_clocks, tick_clocks, calibration :
        What is in SETTINGS; 0 at power-up.
    computing, error : 1 bit
        A step or an answer is under way; something was dropped since the last RESET.

    Raises
    ------
    InvalidValue
        For a baud rate that the clock cannot make, or steps longer than a frame can be.
    """

    def __init__(self, build: Build):
        self.build = build
        self.clocks = divisor(build.clock, build.baud)
        if build.payload > 0xFFFF:
            raise InvalidValue(f"inputs is {build.spec.inputs}: a step has to fit a frame; allowed: up to 32754")
        self.spaces = Spaces(build)
        spec, spaces = build.spec, self.spaces.signature.members
        members = {
            "rx": In(1, init=1),
            "tx": Out(1, init=1),
            "x": Out(stream.Signature(x_layout(spec.input_bits))),
            "h": In(stream.Signature(h_layout(spec))),
            "logit": In(stream.Signature(logit_layout(spec))),
            "answer": In(stream.Signature(answer_layout(spec))),
            "stalled": In(1),
            **({"passed_on": In(1)} if counts_leading(spec) else {}),
            "reset": Out(1),
            "computing": Out(1),
            "error": Out(1),
        }
        self.accesses = [*macro_members(build), *(["head"] if "head" in spaces else [])]
        self.settings = ("hold_clocks", "tick_clocks", "calibration")
        members |= {name: spaces[name] for name in (*self.accesses, *self.settings)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.port = port = FramePort(self.clocks, self.build.payload + OVERHEAD)
        m.submodules.spaces = spaces = self.spaces
        m.submodules.results = results = Results(self.build.spec)
        m.submodules.commands = commands = Commands(self.build)
        wiring.connect(m, port.request, commands.request)
        wiring.connect(m, commands.memory, spaces.request)
        wiring.connect(m, results.progress, commands.progress)
        wiring.connect(m, commands.x, wiring.flipped(self.x))
        for name in ("h", "logit", "answer"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(results, name))
        for name in self.accesses:
            wiring.connect(m, getattr(spaces, name), wiring.flipped(getattr(self, name)))
        for name in ("hidden", "logits"):
            wiring.connect(m, getattr(spaces, name), getattr(results, name))
        m.d.comb += [getattr(self, name).eq(getattr(spaces, name)) for name in self.settings]
        if counts_leading(self.build.spec):
            m.d.comb += results.passed_on.eq(self.passed_on)
        m.d.comb += [
            port.rx.eq(self.rx),
            self.tx.eq(port.tx),
            self.reset.eq(commands.reset),
            port.clear.eq(self.reset),
            results.clear.eq(self.reset),
            results.stalled.eq(self.stalled),
            self.computing.eq(results.progress.computing),
            self.error.eq(port.request.faults != 0),
        ]
        return m
