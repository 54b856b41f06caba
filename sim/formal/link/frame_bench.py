# SPDX-License-Identifier: Apache-2.0
"""A frame port with any line and anything behind it: what the proofs of both directions share."""

from amaranth import Fragment, Module, Mux, Signal, Value
from crossramp.rtl.link.framing import FramePort

from ..engine.inspection import States, named, replace_part
from ..engine.proof import Proof, ProofError, implies, signal_inside

# Written anew, not imported: what RFC 1055, Ethernet's CRC and docs/hostlink.md say.
END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
CRC_BEGINS, CRC_POLYNOMIAL, CRC_RESIDUE = 0xFFFFFFFF, 0xEDB88320, 0xDEBB20E3
OVERHEAD = 8  # bytes of a body beside its payload


class FrameBench(Proof):
    """A frame port with any line, and something behind it that answers or ignores a frame which is kept.

    Environment: ``rx`` is free on every clock; so are ``clear`` and ``address``. The answer is a stream: valid stays,
    and so does its payload, until it is taken. It begins only while a frame is kept, and ends with its last byte.
    A frame that is being answered is not ignored (:class:`.command_proof.CommandProof` claims all of that of the
    commands).

    Parameters
    ----------
    clocks, depth : int
        As those of :class:`FramePort`.
    heard : bytes or None
        Given: in place of the line, the receiver hears these bytes alone, 10 clocks apart, then none; nothing is
        cleared, and :class:`.frame_proof.FrameProof` answers nothing. A counterexample or a cover that needs a whole
        frame is then found sooner. Not for induction.
    """

    answers_what_it_hears = False

    def __init__(self, clocks: int, depth: int, heard: bytes | None = None, *, changing: bool = False, **options):
        super().__init__(**options)
        if heard is not None and self.invariants:
            raise ProofError("invariants say how a line is received; with `heard`, leave them out")
        self.clocks, self.depth, self.heard, self.changing = clocks, depth, heard, changing
        self.answers = heard is None or self.answers_what_it_hears

    def bench(self, m: Module) -> None:
        """The design and its environment."""
        self.port = port = FramePort(self.clocks, self.depth)
        self.fragment = fragment = Fragment.get(port, None)
        self.data, self.valid, self.fault = (
            signal_inside(fragment, f"receiver.{name}") for name in ("data", "valid", "fault")
        )
        if self.heard is not None:
            replace_part(fragment, "receiver", self._hears())
        m.submodules.dut = fragment
        request = port.request
        m.d.comb += [
            port.rx.eq(self.free(m, 1, "line")),
            port.clear.eq(0 if self.heard is not None else self.free(m, 1, "clear")),
            request.address.eq(self.free(m, request.address.shape(), "address")),
            request.ignore.eq(self.free(m, 1, "ignore")),
            request.answer.valid.eq(self.free(m, 1, "offers") if self.answers else 0),
            request.answer.payload.as_value().eq(self.free(m, 9, "offered")),
        ]
        answer = request.answer
        begun, answered, waiting = (Signal(name=name) for name in ("begun", "answered", "waiting"))
        self.begun, self.answered, self.waiting = begun, answered, waiting
        self.offered = offered = Signal(9)
        self.assume(m, implies(answer.valid, request.frame & ~answered))
        self.assume(m, implies(request.ignore, request.frame & ~begun & ~answer.valid))
        if not self.changing:
            self.assume(m, implies(waiting, answer.valid & (answer.payload.as_value() == offered)))
        m.d.sync += [waiting.eq(answer.valid & ~answer.ready), offered.eq(answer.payload.as_value())]
        with m.If(answer.valid):
            m.d.sync += begun.eq(1)
        with m.If(answer.valid & answer.ready & answer.payload.last):
            m.d.sync += answered.eq(1)
        with m.If(~request.frame):
            m.d.sync += [answered.eq(0), begun.eq(0)]

        # ---- the receiver, the transmitter and the CRC, which takes a bit a clock
        self.left, self.crc = signal_inside(fragment, "check.left"), signal_inside(fragment, "check.crc")
        self.crc_byte = signal_inside(fragment, "check.byte")
        self.sending, self.sent_timer = (
            signal_inside(fragment, "transmitter.left"),
            signal_inside(fragment, "transmitter.timer"),
        )
        self.states = States(fragment)
        if self.invariants:
            self._share(m)

    def _share(self, m: Module) -> None:
        """Invariants that both proofs need."""
        request, begun, answered = self.port.request, self.begun, self.answered
        fragment, states = self.fragment, self.states
        active, timer, bit = (signal_inside(fragment, f"receiver.{name}") for name in ("active", "timer", "bit"))
        clocks, half = self.clocks, (self.clocks - 1) // 2
        self.invariant(m, implies(active, bit <= 9), "bits of a byte")
        self.invariant(m, timer < max(clocks, half + 1), "the receiver's timer")
        self.invariant(m, implies(active & (bit == 0), timer <= half), "half a bit")
        self.invariant(m, implies(self.valid | self.fault, ~active & ~(self.valid & self.fault)), "between two bytes")
        self.invariant(m, (self.left <= 8) & (self.sending <= 10) & (self.sent_timer < clocks), "counters")
        # Clocks since the start bit was seen, as far as they matter: a byte has 9 whole bits and a half.
        since = named(m, "since", Mux(active, Mux(bit == 0, half - timer, half + bit * clocks - timer), 0)[:10])
        left = self.left
        self.invariant(
            m,
            request.frame | (left == 0) | ~active | ((since + left <= 8) & (since < 16)),
            "a byte is in the CRC before the next one",
        )
        self.invariant(m, implies(self.valid & ~request.frame, left == 0), "the CRC is ready for a byte")
        until = named(m, "until", self.sending * clocks + self.sent_timer)
        self.invariant(
            m,
            implies(request.frame & (left != 0), begun & (until + 9 >= 11 * clocks + left)),
            "a byte that is sent is in the CRC before the next one",
        )
        self.invariant(m, states.known, "the sender's state")
        self.invariant(m, implies(~states.within("idle"), begun & request.frame), "sends an answer only")
        self.invariant(m, states.within("check", "end") == (answered & request.frame), "the CRC follows the answer")
        self.invariant(m, implies(self.waiting, request.frame & begun & ~answered), "waits inside an answer")
        self.invariant(m, implies(answered, begun), "answered what was begun")

    def _hears(self) -> Module:
        """A receiver that hears ``heard``."""
        m = Module()
        clock, heard = Signal(range(10 * len(self.heard) + 11)), self.heard
        with m.If(clock != 10 * len(heard) + 10):
            m.d.sync += clock.eq(clock + 1)
        m.d.comb += self.fault.eq(0)
        for k, byte in enumerate(heard):
            with m.If(clock == 10 * k + 10):
                m.d.comb += [self.valid.eq(1), self.data.eq(byte)]
        return m

    def crc_of_what_is_left(self, m: Module) -> Signal:
        """What the CRC's register will be when the bits that are left have been through."""
        value = named(m, "crc_now", ~self.crc)
        for k in range(8):
            following = _crc_bit(m, value, self.crc_byte[k], f"crc_after_{k + 1}")
            value = named(m, f"crc_with_{k + 1}", Mux(k < self.left, following, value))
        return value


def _crc_bit(m: Module, value: Value, bit: Value, name: str) -> Signal:
    return named(m, name, (value >> 1) ^ Mux(value[0] ^ bit, CRC_POLYNOMIAL, 0))


def crc_byte(m: Module, value: Value, byte: Value, name: str) -> Value:
    """A CRC register with a byte more: Ethernet's, lowest bit first."""
    for k in range(8):
        value = _crc_bit(m, value, byte[k], f"{name}_{k}")
    return value
