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


def with_crc(body: bytes) -> bytes:
    """Any body with the CRC that is right for it; the length in it may be wrong."""
    return b"\xc0" + body + zlib.crc32(body).to_bytes(4, "little") + b"\xc0"


def test_boards_of_a_shipped_model():
    all_hold(proofs(load_model("kws").spec))


def test_a_model_that_no_board_serves_has_no_proofs():
    assert proofs(load_model("text").spec) == []


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


FAULTS = [
    # what is heard, old, new, the claim that breaks
    (SHORT[:-2] + b"\x00\xc0", "& check.match & ~length_high", "& ~length_high", "accepts it"),
    (with_crc(b"\x01\x02\x01\x00"), "(count == request.length + OVERHEAD)", "(count >= OVERHEAD)", "accepts it"),
    (with_crc(b"\x01\x02\x00\x01"), "& check.match & ~length_high", "& check.match", "accepts it"),
    (SHORT[:-1] + b"\xdb\xc0", "whole = ~broken & ~escaped &", "whole = ~broken &", "accepts it"),
    (
        b"\xc0\x07" + SHORT,
        "                    m.d.comb += check.start.eq(1)\n                with",
        "                    pass\n                with",
        "",
    ),
    (WHOLE, "Mux(uart.data == ESC_END, END, ESC)", "Mux(uart.data == ESC_END, ESC, END)", "accepts it"),
    (bytes([0xC0, 0xDB, 0x11, 0xC0]), "fault[Fault.ESCAPE].eq(~store),", "fault[Fault.ESCAPE].eq(0),", "faults"),
    (b"\xc0\x01\xc0", "request.dropped + (dropped & (request.dropped != 255))", "request.dropped", "dropped frames"),
    (b"\xc0\x01\xdb\xc0", "fault[Fault.CHECK].eq(~escaped & ~broken)", "fault[Fault.CHECK].eq(~broken)", ""),
    (SHORT + b"\x05\xc0", "fault[Fault.OVERRUN].eq(1)", "fault[Fault.OVERRUN].eq(0)", "faults"),
    (SHORT, "request.sequence.eq(byte)", "request.sequence.eq(byte + 1)", "sequence number"),
    (SHORT, "request.length[:8].eq(byte)", "request.length[:8].eq(byte ^ 1)", ""),
    (SHORT, "write.addr.eq(count)", "write.addr.eq(count + 1)", "address"),
    (SHORT, "write.data.eq(byte)", "write.data.eq(uart.data + 1)", "address"),
    (SHORT, "released | self.request.ignore", "released", "kept until"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("heard", "old", "new", "message"), FAULTS)
def test_planted_faults_of_receiving(heard, old, new, message):
    proof, clocks = received(heard)
    with planted(FRAMING, old, new):
        is_violated(proof, clocks, message)


ANSWER_FAULTS = [
    ("uart.bytes.payload.eq(END), check.start.eq(1)]", "uart.bytes.payload.eq(ESC), check.start.eq(1)]", 1, "begins"),
    ("uart.bytes.payload.eq(END), check.start.eq(1)]", "uart.bytes.payload.eq(END)]", 8, "CRC is right"),
    ("m.d.comb += [check.byte.eq(byte), check.valid.eq(1)]", "m.d.comb += check.byte.eq(byte)", 8, "CRC is right"),
    ("with m.If(place == 3):", "with m.If(place == 2):", 8, ""),
    ("check.crc.word_select(place, 8)", "check.crc.word_select(3 - place, 8)", 8, "CRC is right"),
    ("Mux(byte == END, ESC_END, ESC_ESC)", "Mux(byte == END, ESC_ESC, ESC_END)", 4, "the answer's"),
    ("(byte == END) | (byte == ESC)", "byte == END", 4, ""),
    ("(byte == END) | (byte == ESC)", "byte == ESC", 4, ""),
    ("m.d.comb += answer.ready.eq(sent)", "m.d.comb += answer.ready.eq(uart.bytes.ready)", 4, ""),
    ("with m.If(answer.payload.last):", "with m.If(answer.payload.last | (byte == 7)):", 8, ""),
    ("self.tx.eq(uart.tx)", "self.tx.eq(~uart.tx)", 1, "waveform"),
    (
        "                with m.If(uart.bytes.ready):\n                    m.d.sync += escape.eq(0)",
        "                pass",
        6,
        "",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "size", "message"), ANSWER_FAULTS)
def test_planted_faults_of_sending(old, new, size, message):
    proof, clocks = answered(size=size)
    with planted(FRAMING, old, new):
        is_violated(proof, clocks, message)


@pytest.mark.slow
def test_a_byte_that_changes_while_it_waits_damages_an_answer():
    """The environment's rule of streams is needed: it is what the commands once broke with a counter in the status."""
    proof = AnswerProof(1, DEPTH, SHORT, changing=True, invariants=False)
    is_violated(proof, 10 * len(SHORT) + 40)
