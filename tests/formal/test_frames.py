# SPDX-License-Identifier: Apache-2.0
"""Proofs of frames, both ways: at the sizes of boards; covers; planted faults."""

import zlib

import pytest
from crossramp.golden.link.link_protocol import Frame, encode
from crossramp.golden.network.model_file import load_model
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.link.answer_proof import AnswerProof, proofs
from crossramp.sim.formal.link.frame_proof import FrameProof

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

FRAMING = "rtl/link/framing.py"
DEPTH = 256  # the least
WHOLE = encode(Frame(1, 2, b"\xc0"))
SHORT = encode(Frame(1, 2))


def received(heard: bytes) -> tuple[FrameProof, int]:
    """The proof of receiving with ``heard``, and the clocks that it takes."""
    return FrameProof(1, DEPTH, heard, invariants=False), 10 * len(heard) + 14


def answered(heard: bytes = SHORT, size: int = 12) -> tuple[AnswerProof, int]:
    """The proof of sending behind ``heard``, and the clocks to the end of an answer of ``size`` bytes on the line."""
    return AnswerProof(1, DEPTH, heard, invariants=False), 10 * len(heard) + 12 + 11 * size


def test_boards_of_a_shipped_model():
    all_hold(proofs(load_model("kws").spec))


@pytest.mark.slow
def test_drawn_sizes(rng):
    for _ in range(2):
        clocks, depth = int(rng.integers(4, 60)), int(rng.integers(256, 1100))
        holds(FrameProof(clocks, depth), Mode.PROVE, 2)
        holds(AnswerProof(clocks, depth), Mode.PROVE, 2)


@pytest.mark.slow
def test_covers_are_reached():
    proof, clocks = received(b"\xc0\x00\xc0" + WHOLE)
    holds(proof, Mode.COVER, clocks)
    proof, clocks = answered(size=13)
    holds(proof, Mode.COVER, clocks)


def line(body: bytes) -> bytes:
    """A body on the line, with its CRC; its header may say anything."""
    whole = body + zlib.crc32(body).to_bytes(4, "little")
    return b"\xc0" + whole.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


ACCEPTED, COUNTED = "exactly if the decoder accepts it", "faults are those of what was dropped"
WRONG = "(count == request.length + OVERHEAD)"
RECEIVING = [
    # what is heard, old, new, the claim that breaks
    (SHORT[:-2] + b"\x00\xc0", "& check.match & ~length_high", "& ~length_high", ACCEPTED),
    (line(bytes([1, 2, 0, 0, 9])), WRONG, WRONG.replace("==", ">="), ACCEPTED),
    (line(bytes([1, 2, 0, 1])), "check.match & ~length_high", "check.match", ACCEPTED),
    (SHORT[:-1] + b"\xdb\xc0", "~broken & ~escaped & check", "~broken & check", ACCEPTED),
    (SHORT[:-1] + b"\xdb\x00\xc0", "~broken & ~escaped & check", "~escaped & check", ACCEPTED),
    (WHOLE, "Mux(uart.data == ESC_END, END, ESC)", "Mux(uart.data == ESC_END, ESC, END)", ACCEPTED),
    (b"\x00" + SHORT, "[count.eq(0), escaped.eq(0), broken.eq(0)", "[escaped.eq(0), broken.eq(0)", ACCEPTED),
    (SHORT, "left.eq(8)", "left.eq(7)", ACCEPTED),
    (line(bytes([1, 2, 1, 0, 7])), "length[:8].eq(byte)", "length[:8].eq(byte & 0xFE)", ACCEPTED),
    (SHORT, "released | self.request.ignore", "released", "END or an ignore"),
    (SHORT, "request.sequence.eq(byte)", "request.sequence.eq(byte ^ 1)", "the sequence number"),
    (SHORT, "write.addr.eq(count)", "write.addr.eq(count + 1)", "the byte at an address"),
    (WHOLE, "write.data.eq(byte)", "write.data.eq(uart.data)", "the byte at an address"),
    (b"\xdb\x00\xc0", "fault[Fault.ESCAPE].eq(~store)", "fault[Fault.ESCAPE].eq(0)", COUNTED),
    (b"\xdb\xc0", "fault[Fault.ESCAPE].eq(escaped)", "fault[Fault.ESCAPE].eq(0)", COUNTED),
    (b"\xdb\x00", "store.eq((uart.data == ESC_END) | (uart.data == ESC_ESC))", "store.eq(1)", COUNTED),
    (b"\x00\xc0", "dropped.eq(1),", "dropped.eq(0),", "dropped frames are counted"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("heard", "old", "new", "message"), RECEIVING)
def test_planted_faults_of_receiving(heard, old, new, message):
    proof, clocks = received(heard)
    with planted(FRAMING, old, new):
        is_violated(proof, clocks, message)


SENT = "a byte that is sent is the answer's"
ANSWERING = [
    # bytes of the answer on the line, old, new, the claim that breaks
    (2, "payload.eq(END), check.start.eq(1)]", "payload.eq(ESC), check.start.eq(1)]", "an answer begins with END"),
    (3, "special.eq((byte == END) | (byte == ESC))", "special.eq(byte == ESC)", "END is behind the answer"),
    (4, "Mux(byte == END, ESC_END, ESC_ESC)", "Mux(byte == END, ESC_ESC, ESC_END)", SENT),
    (4, "answer.ready.eq(sent)", "answer.ready.eq(uart.bytes.ready)", "that is handed over is sent"),
    (4, "with m.If(answer.payload.last):", "with m.If(1):", SENT),
    (5, "m.d.sync += escape.eq(uart.bytes.ready)", "m.d.sync += escape.eq(1)", SENT),
    (6, "uart.bytes.ready):\n                    m.d.sync += escape.eq(0)", "0):\n                    pass", SENT),
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "old", "new", "message"), ANSWERING)
def test_planted_faults_of_answering(size, old, new, message):
    proof, clocks = answered(size=size)
    with planted(FRAMING, old, new):
        is_violated(proof, clocks, message)


@pytest.mark.slow
def test_a_byte_that_changes_while_it_waits_damages_an_answer():
    """The environment's rule of streams is needed: it is what the commands once broke with a counter in the status."""
    proof = AnswerProof(1, DEPTH, SHORT, changing=True, invariants=False)
    is_violated(proof, 10 * len(SHORT) + 40)
