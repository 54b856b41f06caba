# SPDX-License-Identifier: Apache-2.0
"""UART: a receiver reads every byte of a sender within its tolerance, at any phase; a transmitter's waveform."""

from amaranth import Cat, Const, Fragment, Module, Mux, Signal, Value
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.link.uart import UartReceiver, UartTransmitter, divisor

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import Proof, implies, signal_inside
from .link_build import link_build

#: Percent that a sender's bit may be longer or shorter than the receiver's: what :func:`.uart.divisor` allows.
TOLERANCE = 2


class Waveform:
    """What a line shows if bytes are sent, written from the format: a start bit that is low, the bits from the lowest
    on, a stop bit that is high, ``clocks`` clocks each; high otherwise.

    Parameters
    ----------
    takes : 1 bit
        A byte is taken; its start bit begins on the next clock.
    byte : 8 bits
    clocks : int

    Attributes
    ----------
    line : Signal
    clock : Signal
        Of the byte, from 0; 10 x ``clocks`` between bytes.
    """

    def __init__(self, m: Module, takes: Value, byte: Value, clocks: int):
        self.clocks = clocks
        self.frame = Signal(10, name="frame_on_line", init=(1 << 10) - 1)
        self.clock = Signal(range(10 * clocks + 1), init=10 * clocks, name="clock_of_frame")
        self.line = Signal(name="line_expected")
        with m.If(takes):
            m.d.sync += [self.frame.eq(Cat(Const(0, 1), byte, Const(1, 1))), self.clock.eq(0)]
        with m.Elif(self.clock != 10 * clocks):
            m.d.sync += self.clock.eq(self.clock + 1)
        m.d.comb += self.line.eq(1)
        for k in range(10):
            with m.If((self.clock >= k * clocks) & (self.clock < (k + 1) * clocks)):
                m.d.comb += self.line.eq(self.frame[k])

    def followed_by(self, proof: Proof, m: Module, fragment: Fragment, path: str = "") -> None:
        """Invariants: the :class:`UartTransmitter` at ``path`` of a design is where the waveform is."""
        left, timer, shift = (signal_inside(fragment, f"{path}{name}") for name in ("left", "timer", "shift"))
        clocks = self.clocks
        proof.invariant(m, (left <= 10) & (timer < clocks), "the transmitter's counters")
        proof.invariant(m, self.clock <= 10 * clocks, "clocks of a byte")
        framed = ~self.frame[0] & self.frame[9]
        proof.invariant(m, (self.clock == 10 * clocks) | framed, "a start bit and a stop bit")
        proof.invariant(
            m,
            Mux(left == 0, self.clock == 10 * clocks, self.clock + timer + 1 == (11 - left) * clocks),
            "the transmitter is where the waveform is",
        )
        with m.Switch(left):
            for k in range(11):
                with m.Case(k):
                    proof.invariant(
                        m, shift == Cat(self.frame[10 - k :], Const((1 << (10 - k)) - 1, 10 - k)), f"{k} bits are left"
                    )


class TransmitterProof(Proof):
    """A transmitter: its line.

    Environment: bytes are offered at any time, and may be withdrawn.

    Claims: the line has the waveform of every byte that is taken, from the next clock on; a byte is taken on every
    clock on which one is offered and the last one's ten bits are over (so bytes that wait are 10 bits and a clock
    apart), and on no other.

    Parameters
    ----------
    clocks : int
        Of a bit, 1 or more.
    """

    def __init__(self, clocks: int, **options):
        super().__init__(**options)
        self.clocks = clocks

    def describe(self, m: Module) -> None:
        uart = UartTransmitter(self.clocks)
        m.submodules.dut = fragment = Fragment.get(uart, None)
        m.d.comb += [uart.bytes.valid.eq(self.free(m, 1, "offers")), uart.bytes.payload.eq(self.free(m, 8, "offered"))]
        takes = named(m, "takes", uart.bytes.valid & uart.bytes.ready)
        waveform = Waveform(m, takes, uart.bytes.payload, self.clocks)
        self.claim(m, uart.tx == waveform.line, "the line has the bytes' waveform")
        self.claim(m, uart.bytes.ready == (waveform.clock == 10 * self.clocks), "ready between bytes, and only then")
        waveform.followed_by(self, m, fragment)
        self.cover(m, takes & (waveform.frame == 0b1_1010_0101_0), "a second byte")


class _Reception:
    """Where a receiver is in a byte, ``clock`` clocks behind the first one on which its synchronized line is low."""

    def __init__(self, fragment: Fragment, clocks: int, path: str = ""):
        self.fragment, self.clocks = fragment, clocks
        self.active, self.timer, self.bit, self.data, self.line = (
            signal_inside(fragment, f"{path}{name}") for name in ("active", "timer", "bit", "data", "rx")
        )
        self.stages = [signal_inside(fragment, f"{path}synchronizer.stage{k}") for k in range(2)]
        self.first = 1 + (clocks - 1) // 2  # clock on which the start bit is looked at
        self.last = self.first + 9 * clocks  # and the stop bit

    def bounded(self, proof: Proof, m: Module) -> None:
        proof.invariant(m, implies(self.active, self.bit <= 9), "bits of a byte")
        proof.invariant(m, self.timer < max(self.clocks, self.first), "the receiver's timer")
        proof.invariant(m, implies(self.active & (self.bit == 0), self.timer < self.first), "half a bit")

    @property
    def since(self) -> Value:
        """Clocks since the start, while the receiver is active."""
        return (self.first + self.bit * self.clocks - self.timer)[: len(Const(self.last)) + 1]

    def follows(self, proof: Proof, m: Module, clock: Value, byte: Value, good_stop: Value) -> None:
        """Invariants, with what the synchronized line carries. A low stop bit is a start bit when it has been seen."""
        with m.If((clock == 0) | ((clock > self.last) & good_stop)):
            proof.invariant(m, ~self.active, "the receiver waits for a start bit")
        with m.Elif(clock > self.last):
            again = self.since <= clock - self.last
            proof.invariant(m, implies(self.active, again), "the receiver begins again")
        with m.Else():
            proof.invariant(m, self.active & (self.since == clock), "the receiver is where the byte is")
            with m.Switch(self.bit):
                for bit in range(2, 10):
                    with m.Case(bit):
                        held = self.data[9 - bit :] == byte[: bit - 1]
                        proof.invariant(m, held, f"{bit - 1} bits of the byte are there")


class ReceiverProof(Proof):
    """A receiver behind a sender whose bits are up to 2 % longer or shorter than its own, and whose phase is free.

    Environment: the line is what any such sender may show. A byte begins with the first clock on which the pin is low.
    From there on, the line has the value of a bit on every clock on which each such sender is inside that bit; between
    these, around each edge, it is free on every clock, so that edges may be anywhere, shake, and differ from byte to
    byte. Another byte may follow as soon as the fastest sender's stop bit is over. Between bytes, at any time:

    - a glitch: the line is low, then anything, and high again after half a bit;
    - garbage: the line is free for any number of clocks; then it is high for ten bits;
    - a byte whose stop bit is low; then garbage.

    Claims, except from the beginning of garbage to the end of the ten bits behind it:

    - Every byte is given once: ``valid`` is high on one clock, 3 clocks behind the middle of its stop bit, and ``data``
      is the byte.
    - ``fault`` is high on that clock instead if the stop bit is low.
    - Neither is high otherwise: no glitch makes a byte or a fault.

    And always: ``valid`` and ``fault`` are never both high, and the receiver is never busy with one byte for more than
    ten bits.

    Parameters
    ----------
    clocks : int
        Of a bit, 4 or more.
    tolerance : int
        In percent.
    """

    def __init__(self, clocks: int, tolerance: int = TOLERANCE, **options):
        super().__init__(**options)
        self.clocks, self.tolerance = clocks, tolerance

    def describe(self, m: Module) -> None:
        clocks = self.clocks
        uart = UartReceiver(clocks)
        m.submodules.dut = fragment = Fragment.get(uart, None)
        reception = _Reception(fragment, clocks)

        # ---- the line: what it carries now, and on which clock of that
        idle, byte_kind, glitch, garbage, quiet = (Const(k, 3) for k in range(5))
        certain = [self._certain(k) for k in range(10)]
        ends = certain[9].stop  # of the fastest sender's stop bit
        kind, clock = Signal(3, name="kind"), Signal(range(10 * clocks), name="clock_in_kind")
        under_way, elapsed = Signal(3), Signal(range(10 * clocks))
        byte, good_stop, line = Signal(8, name="byte_sent"), Signal(), Signal(name="line", init=1)
        next_byte, next_stop, anything = (self.free(m, n, f"next_{n}") for n in (8, 1, 2))
        begins = self.free(m, range(5), "begins")
        self.assume(m, (begins <= garbage) & (begins != quiet))
        settles = self.free(m, 1, "settles")
        m.d.comb += [kind.eq(Mux(under_way == idle, begins, under_way)), clock.eq(Mux(under_way == idle, 0, elapsed))]
        with m.If((under_way == idle) & (begins == byte_kind)):
            m.d.sync += [byte.eq(next_byte), good_stop.eq(next_stop)]
        m.d.sync += [under_way.eq(kind), elapsed.eq(clock + 1)]
        m.d.comb += line.eq(1)
        with m.Switch(kind):
            with m.Case(byte_kind):
                m.d.comb += line.eq(anything[0])
                frame = Cat(Const(0, 1), byte, good_stop)
                for k, window in enumerate(certain):
                    with m.If((clock >= window.start) & (clock < window.stop)):
                        m.d.comb += line.eq(frame[k])
                with m.If(clock == ends - 1):
                    m.d.sync += [under_way.eq(Mux(good_stop, idle, garbage)), elapsed.eq(0)]
            with m.Case(glitch):
                m.d.comb += line.eq(anything[0] & (clock != 0))
                with m.If(clock == reception.first):
                    m.d.comb += line.eq(1)
                    m.d.sync += [under_way.eq(idle), elapsed.eq(0)]
            with m.Case(garbage):
                m.d.comb += line.eq(anything[0])
                m.d.sync += elapsed.eq(0)
                with m.If(settles):
                    m.d.sync += under_way.eq(quiet)
            with m.Case(quiet):
                with m.If(clock == 10 * clocks - 1):
                    m.d.sync += [under_way.eq(idle), elapsed.eq(0)]
        m.d.comb += uart.rx.eq(line)

        # ---- what has come through the synchronizer
        seen = {"kind": kind, "clock": clock, "byte": byte, "good_stop": good_stop, "line": line}
        for stage in range(2):
            later = {name: Signal.like(value, name=f"{name}_{stage}") for name, value in seen.items()}
            m.d.sync += [later[name].eq(value) for name, value in seen.items()]
            self.invariant(m, reception.stages[stage] == later["line"], "the synchronizer")
            seen = later
        at_stop = named(m, "at_stop", (seen["kind"] == byte_kind) & (seen["clock"] == reception.last))
        given, broken, trusted, expected = (Signal(name=name) for name in ("given", "broken", "trusted", "expected"))
        m.d.sync += [
            given.eq(at_stop & seen["good_stop"]),
            broken.eq(at_stop & ~seen["good_stop"]),
            trusted.eq((seen["kind"] != garbage) & (seen["kind"] != quiet)),
        ]
        expected = Signal(8)
        m.d.sync += expected.eq(seen["byte"])
        with m.If(trusted):
            self.claim(m, uart.valid == given, "valid is high once a byte, and only then")
            self.claim(m, uart.fault == broken, "fault is high for a low stop bit, and only then")
            self.claim(m, ~given | (uart.data == expected), "the byte is the one that was sent")
        self.claim(m, ~(uart.valid & uart.fault), "valid and fault are never both high")
        busy = Signal(range(10 * clocks + 2))
        m.d.sync += busy.eq(Mux(reception.active, busy + 1, 0))
        self.claim(m, busy <= 10 * clocks, "the receiver is busy for ten bits at most")

        # ---- invariants
        reception.bounded(self, m)
        self.invariant(m, under_way <= quiet, "kind")
        self.invariant(m, (under_way != byte_kind) | ((elapsed != 0) & (elapsed < ends)), "clocks of a byte")
        inside_glitch = (elapsed != 0) & (elapsed <= reception.first)
        self.invariant(m, (under_way != glitch) | inside_glitch, "clocks of a glitch")
        self.invariant(m, (under_way != quiet) | (elapsed < 10 * clocks), "clocks of quiet")
        self.invariant(m, implies(reception.active, busy + 1 == reception.since), "clocks of being busy")
        self.invariant(m, reception.active | (busy <= reception.last), "how long it was busy")
        self.invariant(m, ~(uart.valid | uart.fault) | ~reception.active, "between two bytes")
        with m.Switch(seen["kind"]):
            with m.Case(idle):
                self.invariant(m, ~reception.active & seen["line"], "idle")
            with m.Case(byte_kind):
                reception.follows(self, m, seen["clock"], seen["byte"], seen["good_stop"])
            with m.Case(glitch):
                on = seen["clock"] != 0
                self.invariant(m, reception.active == on, "looks at a glitch")
                self.invariant(m, ~on | (reception.since == seen["clock"]), "since it began")
            with m.Case(quiet):
                self.invariant(m, implies(reception.active, reception.since > seen["clock"]), "quiet ends what it does")

        self.cover(m, given & (uart.data == 0xA5), "a byte")
        self.cover(m, broken, "a broken stop bit")
        self.cover(m, uart.valid & ~trusted, "garbage that looks like a byte")

    def _certain(self, bit: int) -> range:
        """Clocks on which every sender within the tolerance, of any phase, is inside a bit."""
        slow, fast = 100 + self.tolerance, 100 - self.tolerance
        return range(-(-bit * self.clocks * slow // 100), (bit + 1) * self.clocks * fast // 100)


class LoopbackProof(Proof):
    """A receiver on a transmitter's line.

    Environment: bytes are offered at any time.

    Claims: the bytes that come out are those that went in, in their order, each once; with short bits a byte may come
    out up to 3 clocks behind the one on which the next one goes in. When the line has been idle for 5 clocks, all are
    out. No fault.

    Parameters
    ----------
    clocks : int
        Of a bit, 4 or more.
    """

    def __init__(self, clocks: int, **options):
        super().__init__(**options)
        self.clocks = clocks

    def describe(self, m: Module) -> None:
        clocks = self.clocks
        sender, receiver = UartTransmitter(clocks), UartReceiver(clocks)
        m.submodules.dut = dut = Module()
        dut.submodules.sender = sending = Fragment.get(sender, None)
        dut.submodules.receiver = receiving = Fragment.get(receiver, None)
        m.d.comb += [
            receiver.rx.eq(sender.tx),
            sender.bytes.valid.eq(self.free(m, 1, "offers")),
            sender.bytes.payload.eq(self.free(m, 8, "offered")),
        ]
        takes = named(m, "takes", sender.bytes.valid & sender.bytes.ready)
        reception = _Reception(receiving, clocks)

        # ---- a queue of the bytes that are under way
        owed, newest, older = Signal(2), Signal(8), Signal(8)
        m.d.sync += owed.eq(owed + takes - receiver.valid)
        with m.If(takes):
            m.d.sync += [newest.eq(sender.bytes.payload), older.eq(newest)]
        idle = Signal(3, init=5)
        m.d.sync += idle.eq(Mux(takes | ~sender.bytes.ready, 0, Mux(idle == 5, 5, idle + 1)))
        expected = named(m, "expected", Mux(owed == 2, older, newest))
        self.claim(m, ~receiver.valid | (owed != 0), "nothing comes out that did not go in")
        self.claim(m, ~receiver.valid | (receiver.data == expected), "bytes come out as they went in, in their order")
        self.claim(m, owed != 3, "at most two bytes are under way")
        self.claim(m, (idle != 5) | (owed == 0), "all bytes are out of an idle line")
        self.claim(m, ~receiver.fault, "no fault")

        # ---- invariants: clocks since the last two bytes went in
        waveform = Waveform(m, takes, sender.bytes.payload, clocks)
        waveform.followed_by(self, m, sending)
        reception.bounded(self, m)
        out, over = reception.last + 4, max(reception.last + 5, 10 * clocks + 6)
        since = [Signal(range(over + 1), name=f"since_{name}", init=over) for name in ("newest", "older")]
        later = [named(m, f"later_{k}", Mux(one == over, over, one + 1)) for k, one in enumerate(since)]
        m.d.sync += [since[0].eq(Mux(takes, 1, later[0])), since[1].eq(Mux(takes, later[0], later[1]))]
        self.invariant(m, (since[0] != 0) & (since[0] <= over) & (since[1] <= over), "clocks since")
        self.invariant(m, (since[1] == over) | (since[1] > since[0] + 10 * clocks), "bytes are ten bits apart")
        ended = Mux(since[0] > 10 * clocks, 10 * clocks, since[0] - 1)
        self.invariant(m, waveform.clock == ended, "clock of the byte on the line")
        self.invariant(m, owed == (since[0] <= out) + (since[1] <= out), "bytes under way")
        self.invariant(m, receiver.valid == ((since[0] == out) | (since[1] == out)), "when a byte is out")
        past = Mux(since[0] <= 10 * clocks + 1, 0, since[0] - 10 * clocks - 1)
        self.invariant(m, (idle == past) | ((past >= 5) & (idle == 5)), "clocks of an idle line")
        clock, line = waveform.clock, waveform.line
        for stage in range(2):
            delayed, level = Signal.like(clock, name=f"clock_{stage}"), Signal(name=f"line_{stage}", init=1)
            m.d.sync += [delayed.eq(clock), level.eq(line)]
            self.invariant(m, reception.stages[stage] == level, "the synchronizer")
            clock, line = delayed, level
        self.invariant(m, (waveform.frame[1:9] == newest) | (since[0] == over), "the newest byte is on the line")
        reception.follows(self, m, clock, Mux(since[0] < 3, older, newest), Const(1))
        self.invariant(m, ~receiver.valid | (receiver.data == expected), "the byte that is out")
        self.cover(m, receiver.valid & (receiver.data == 0x5A) & (idle < 4), "a byte")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of the UART of a board for ``spec``."""
    build = link_build(spec)
    clocks = divisor(build.clock, build.baud)
    return [
        Entry("uart", "what is sent has the waveform of its bytes", lambda: TransmitterProof(clocks)),
        Entry(
            "uart",
            f"every byte of a sender within {TOLERANCE} % is received once; glitches, broken stop bits, garbage",
            lambda: ReceiverProof(clocks),
            depth=4,
            search=12 * clocks,
        ),
        Entry("uart", "bytes come out of a loop as they went in", lambda: LoopbackProof(clocks), depth=4),
    ]
