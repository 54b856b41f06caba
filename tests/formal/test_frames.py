# SPDX-License-Identifier: Apache-2.0
"""Proofs of frames, both ways: at the sizes of boards; covers; planted faults."""

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


@pytest.mark.slow
def test_a_frame_whose_crc_is_not_looked_at_is_noticed():
    proof, clocks = received(SHORT[:-2] + b"\x00\xc0")
    with planted(FRAMING, "& check.match & ~length_high", "& ~length_high"):
        is_violated(proof, clocks, "accepts it")


@pytest.mark.slow
def test_a_byte_that_changes_while_it_waits_damages_an_answer():
    """The environment's rule of streams is needed: it is what the commands once broke with a counter in the status."""
    proof = AnswerProof(1, DEPTH, SHORT, changing=True, invariants=False)
    is_violated(proof, 10 * len(SHORT) + 40)
