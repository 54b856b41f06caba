# SPDX-License-Identifier: Apache-2.0
"""The process of a virtual board in Amaranth's own simulator, for use without Verilator: the same behavior, but slow.

It does what ``virtual_main.cpp`` does, with the same arguments after the identity in hexadecimal.
"""

import os
import select
import signal
import sys
from collections import deque

from amaranth.hdl import Cat, ClockDomain, Module, Signal
from amaranth.sim import Simulator
from crossramp.golden.link.board_memory import Build, read_identity

from ..flow.board_core import BoardCore
from .pin_log import PINS, PinLog

#: Seconds of the simulator's time; not the board's, which only the pins' file counts.
_PERIOD = 1e-6
_RESET_CLOCKS = 16
_POLL_CLOCKS = 64
_UNREAD_BYTES = 1 << 16


class _Bench:
    """The core, its clock, and its cable."""

    def __init__(self, build: Build, pty: int, quiet: int, log: PinLog | None):
        self.core = BoardCore(build)
        self.pty, self.quiet, self.log = pty, quiet, log
        # Rounded one by one: the other end keeps to its own crystal.
        self.edges = [(2 * bit * build.clock + build.baud) // (2 * build.baud) for bit in range(11)]
        self.middles = [(2 * bit + 1) * build.clock // (2 * build.baud) for bit in range(10)]
        self.sync = ClockDomain("sync")
        self.clocks = Signal(64)
        self.incoming, self.outgoing = deque(), bytearray()
        self.receiving = False
        self.active = self.lost = 0
        self.pressed = True
        self.ended = False

    def run(self):
        """Until it is told to end."""
        m = Module()
        m.domains.sync = self.sync
        m.domains.always = always = ClockDomain("always", reset_less=True)
        m.d.comb += always.clk.eq(self.sync.clk)
        m.d.always += self.clocks.eq(self.clocks + 1)
        m.submodules.core = self.core
        simulator = Simulator(m)
        simulator.add_clock(_PERIOD)
        simulator.add_testbench(self._send)
        simulator.add_testbench(self._receive, background=True)
        if self.log is not None:
            simulator.add_testbench(self._watch, background=True)
        simulator.run()

    async def _send(self, ctx):
        """Reset, and byte after byte on rx."""
        ctx.set(self.core.rx, 1)
        await ctx.tick()
        await ctx.delay(_PERIOD / 4)  # between the edges from here on
        while not self.ended:
            if self.pressed:
                self.pressed = False
                ctx.set(self.sync.rst, 1)
                await ctx.delay(_RESET_CLOCKS * _PERIOD)
                ctx.set(self.sync.rst, 0)
                self.active = ctx.get(self.clocks)
            elif self.incoming:
                bits = 0x200 | self.incoming.popleft() << 1
                for bit in range(10):
                    ctx.set(self.core.rx, bits >> bit & 1)
                    await ctx.delay((self.edges[bit + 1] - self.edges[bit]) * _PERIOD)
                self.active = ctx.get(self.clocks)
            else:
                await ctx.delay(_POLL_CLOCKS * _PERIOD)
            now = ctx.get(self.clocks)
            if self.receiving or ctx.get(self.core.busy):
                self.active = now
            self._serve(now - self.active > self.quiet)
        print(f"clocks {ctx.get(self.clocks)}", file=sys.stderr)
        if self.lost:
            print(f"{self.lost} bytes were lost, since nobody read them", file=sys.stderr)

    async def _receive(self, ctx):
        """Byte after byte from tx."""
        tx = self.core.tx
        while True:
            await ctx.negedge(tx)
            self.receiving = True
            byte, last = 0, 0
            for bit, middle in enumerate(self.middles):
                await ctx.delay((middle - last) * _PERIOD)
                last, level = middle, ctx.get(tx)
                if bit == 0 and level:  # a reset took the start bit back
                    break
                if bit == 9 and not level:
                    sys.exit(f"tx: a byte without its stop bit at clock {ctx.get(self.clocks)}")
                if 1 <= bit <= 8:
                    byte |= level << (bit - 1)
            else:
                if len(self.outgoing) < _UNREAD_BYTES:
                    self.outgoing.append(byte)
                else:
                    self.lost += 1
            self.receiving = False

    async def _watch(self, ctx):
        """Every edge of the pins into the log."""
        word = Cat(*(getattr(self.core, name) for name in PINS), self.core.probes)
        async for _ in ctx.tick("always"):
            self.log.show(ctx.get(self.clocks), ctx.get(word))

    def _serve(self, idle: bool):
        """Look at the pty, the control pipe and the signals; wait for them where the board has nothing to do."""
        if idle and self.log is not None:
            self.log.flush()
        poll = select.poll()
        poll.register(_signals[0], select.POLLIN)
        poll.register(0, select.POLLIN)
        wanted = 0 if self.incoming else select.POLLIN
        poll.register(self.pty, wanted | (select.POLLOUT if self.outgoing else 0))
        found = dict(poll.poll(None if idle and not self.outgoing else 0)).get(self.pty, 0)
        # Asked in any case: what was pressed before a byte was written comes before that byte.
        self._control(_signals[0], False)
        self._control(0, True)
        try:
            if found & select.POLLOUT:
                del self.outgoing[: os.write(self.pty, self.outgoing)]
            if found & select.POLLIN:
                self.incoming.extend(os.read(self.pty, 4096))
            elif found & (select.POLLHUP | select.POLLERR):
                self.ended = True
        except BlockingIOError:
            pass

    def _control(self, descriptor: int, ends: bool):
        try:
            data = os.read(descriptor, 64)
        except BlockingIOError:
            return
        self.pressed |= b"r" in data
        self.ended |= b"q" in data or (ends and not data)


_signals = (0, 0)


def _on_signal(number, frame):
    os.write(_signals[1], b"r" if number == signal.SIGUSR1 else b"q")


def main(arguments: list[str]) -> None:
    """See the module; the arguments are those of the command line."""
    global _signals
    identity, pty, clock, _, quiet, probes, pins = arguments
    build = read_identity(bytes.fromhex(identity))
    _signals = os.pipe()
    for descriptor in (*_signals, 0, int(pty)):
        os.set_blocking(descriptor, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, _on_signal)
    log = PinLog(pins, int(clock), int(probes)) if pins else None
    _Bench(build, int(pty), int(quiet), log).run()
    if log is not None:
        log.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
