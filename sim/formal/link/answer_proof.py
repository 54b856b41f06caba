# SPDX-License-Identifier: Apache-2.0
"""Answers: what leaves the frame port is one whole frame with the answer's bytes, for a decoder of its own."""

from amaranth import Module, Mux, Signal
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.link.uart import divisor

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import implies, signal_inside
from .frame_bench import CRC_BEGINS, CRC_RESIDUE, END, ESC, ESC_END, ESC_ESC, OVERHEAD, FrameBench, crc_byte
from .frame_proof import FrameProof
from .link_build import link_build
from .uart_proof import Waveform


class AnswerProof(FrameBench):
    """Sending: a decoder of its own reads the bytes that go to the line, as a host does.

    Environment: see :class:`FrameBench`. The answer's stream may pause between two bytes.

    Claims, whatever comes on the line meanwhile:

    - Nothing is sent but answers: the first byte is END, and the next END is the last byte.
    - The bytes between them, without their escapes, are those of the answer in their order, each on the clock on which
      the answer's stream hands it over (so none is lost or doubled), then four more with which the CRC is right.
    - Every ESC is followed by ESC_END or ESC_ESC.
    - The transmitter never waits while the answer offers a byte, or while CRC or END are left: an answer of n bytes
      ends at most 2 (n + 4) + 2 transmitted bytes after it began, if its stream does not pause.
    - ``tx`` has the waveform of these bytes (:class:`.uart_proof.Waveform`).
    """

    answers_what_it_hears = True

    def describe(self, m: Module) -> None:
        self.bench(m)
        request, answer, fragment = self.port.request, self.port.request.answer, self.fragment
        offers, ready, byte = (
            signal_inside(fragment, f"transmitter.bytes__{name}") for name in ("valid", "ready", "payload")
        )
        sends = named(m, "sends", offers & ready)
        handed = named(m, "handed", answer.valid & answer.ready)

        # ---- the host's decoder
        inside, escaped = Signal(name="inside"), Signal(name="after_esc")
        tail = Signal(3)  # bytes behind the answer's last one
        crc = Signal(32, init=CRC_BEGINS, name="crc_of_answer")
        is_end = named(m, "is_end", sends & (byte == END))
        escapes = named(m, "escapes", sends & inside & ~is_end & ~escaped & (byte == ESC))
        decoded = named(m, "decoded", sends & inside & ~is_end & ~escapes)
        value = named(m, "value", Mux(escaped, Mux(byte == ESC_END, END, ESC), byte))
        with m.If(is_end):
            m.d.sync += [inside.eq(~inside), escaped.eq(0), tail.eq(0), crc.eq(CRC_BEGINS)]
        with m.If(escapes):
            m.d.sync += escaped.eq(1)
        with m.If(decoded):
            m.d.sync += [escaped.eq(0), crc.eq(crc_byte(m, crc, value, "crc_next"))]
            with m.If(self.answered):
                m.d.sync += tail.eq(tail + 1)

        self.claim(m, inside | ~sends | (is_end & answer.valid), "an answer begins with END")
        with m.If(inside & is_end):
            self.claim(m, self.answered & (tail == 4) & ~escaped, "END is behind the answer and its CRC")
            self.claim(m, crc == CRC_RESIDUE, "the answer's CRC is right")
        self.claim(m, ~(decoded & escaped) | (byte == ESC_END) | (byte == ESC_ESC), "escapes are whole")
        self.claim(m, ~handed | decoded, "a byte of the answer that is handed over is sent")
        with m.If(decoded & ~self.answered):
            self.claim(m, handed & (value == answer.payload.data), "a byte that is sent is the answer's")
        self.claim(m, ~(decoded & self.answered) | (tail < 4), "four bytes follow the answer")
        pending = answer.valid | (self.answered & request.frame)
        self.claim(m, implies(pending & ready, sends), "the transmitter never waits for the sender")
        waveform = Waveform(m, sends, byte, self.clocks)
        self.claim(m, self.port.tx == waveform.line, "the line has the bytes' waveform")

        self.cover(m, handed & answer.payload.last & escaped, "an escaped last byte")
        self.cover(m, inside & is_end, "a whole answer")
        if not self.invariants:
            return

        # ---- invariants
        waveform.followed_by(self, m, fragment, "transmitter.")
        states = self.states
        self.invariant(m, states.within("idle") == ~inside, "both are between frames")
        self.invariant(m, signal_inside(fragment, "escape") == escaped, "both are behind an ESC")
        self.invariant(m, inside | ~escaped, "no escape between frames")
        place = signal_inside(fragment, "place")
        self.invariant(m, (place == tail[:2]) & (tail <= 4), "both count the CRC's bytes")
        self.invariant(m, implies(states.within("end"), (tail == 4) & ~escaped), "END follows the fourth")
        self.invariant(m, implies(states.within("check"), tail < 4), "four bytes of CRC")
        self.invariant(m, implies(states.within("idle", "body"), tail == 0), "CRC behind the answer")
        begins = (tail == 0) & ~escaped
        self.invariant(m, ~self.answered | begins | (self.left == 0), "the CRC is known before it is sent")
        with m.If(inside):
            expected = self.crc_of_what_is_left(m)
            for k in range(5):
                with m.If(tail == k):
                    self.invariant(m, crc == expected, f"the CRC behind {k} bytes of it")
                if k < 4:
                    expected = crc_byte(m, expected, self.crc.word_select(k, 8), f"crc_tail_{k}")
        self.invariant(m, implies(escaped & ~self.answered, self.waiting), "behind an ESC, its byte waits")
        escapable = named(m, "escapable", Mux(self.answered, self.crc.word_select(place, 8), self.offered[:8]))
        self.invariant(m, ~escaped | (escapable == END) | (escapable == ESC), "behind an ESC, its byte has one")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of frames, both ways, of a board for ``spec``."""
    build = link_build(spec)
    sizes = (divisor(build.clock, build.baud), build.payload + OVERHEAD)
    return [
        Entry(
            "frames",
            "a frame is shown exactly if a SLIP and CRC decoder accepts it, with the bytes that came",
            lambda: FrameProof(*sizes),
        ),
        Entry("frames", "an answer leaves as one whole frame with its bytes", lambda: AnswerProof(*sizes)),
    ]
