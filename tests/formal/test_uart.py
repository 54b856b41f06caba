# SPDX-License-Identifier: Apache-2.0
"""Proofs of the UART: at drawn bit lengths and those of the shipped models' boards; covers; planted faults."""

import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.link.uart_proof import TOLERANCE, LoopbackProof, ReceiverProof, TransmitterProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

UART = "rtl/link/uart.py"


def test_boards_of_a_shipped_model():
    all_hold(proofs(load_model("kws").spec))


@pytest.mark.slow
def test_drawn_bit_lengths(rng):
    for clocks in (4, 5, 6, 7, int(rng.integers(8, 300))):
        holds(TransmitterProof(clocks), Mode.PROVE, 2)
        holds(ReceiverProof(clocks), Mode.PROVE, 4)
        holds(LoopbackProof(clocks), Mode.PROVE, 4)
    for clocks in (1, 2, 3):
        holds(TransmitterProof(clocks), Mode.PROVE, 2)


@pytest.mark.slow
def test_covers_are_reached():
    holds(TransmitterProof(1), Mode.COVER, 24)
    holds(ReceiverProof(4, invariants=False), Mode.COVER, 48)
    holds(LoopbackProof(4), Mode.COVER, 48)


def test_a_sender_beyond_the_tolerance_is_not_understood():
    """Four clocks a bit leave room for 2 percent, not for 3: docs of :func:`.uart.divisor`."""
    is_violated(ReceiverProof(4, TOLERANCE + 1, invariants=False), 48)


SENDING = TransmitterProof(2, invariants=False)
RECEIVING, LOOP = ReceiverProof(4, invariants=False), LoopbackProof(4, invariants=False)

FAULTS = [
    # proof, old, new, clocks to the counterexample, the claim that breaks
    (SENDING, "Const(0, 1), self.bytes", "Const(1, 1), self.bytes", 6, "waveform"),
    (SENDING, "left.eq(10)", "left.eq(9)", 24, "between bytes"),
    (
        TransmitterProof(2, invariants=False),
        "Cat(shift[1:], Const(1, 1))",
        "Cat(shift[1:], Const(0, 1))",
        24,
        "waveform",
    ),
    (
        TransmitterProof(2, invariants=False),
        "left.eq(left - 1), timer.eq(self",
        "left.eq(left - 1), timer.eq(0 & self",
        8,
        "waveform",
    ),
    (RECEIVING, "(self.clocks - 1) // 2", "self.clocks - 1", 48, "fault is high"),
    (RECEIVING, "(self.clocks - 1) // 2", "0", 48, "fault is high"),
    (RECEIVING, "with m.If((bit == 0) & rx):", "with m.If(0):", 48, "only then"),
    (RECEIVING, "self.valid.eq(rx), self", "self.valid.eq(1), self", 48, "valid"),
    (RECEIVING, "self.fault.eq(~rx)]", "self.fault.eq(0)]", 48, "fault is high"),
    (RECEIVING, "Cat(self.data[1:], rx)", "Cat(rx, self.data[:-1])", 48, "the byte"),
    (RECEIVING, "with m.If(bit == 9):", "with m.If(bit == 8):", 48, "fault is high"),
    (RECEIVING, "[self.valid.eq(0), self.fault.eq(0), ", "[self.fault.eq(0), ", 48, "valid is high once"),
    (RECEIVING, "[active.eq(0), self.valid", "[self.valid", 52, "busy for ten bits"),
    (LOOP, "Cat(self.data[1:], rx)", "Cat(self.data[1:], ~rx)", 48, "as they went in"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("proof", "old", "new", "depth", "message"), FAULTS)
def test_planted_faults(proof, old, new, depth, message):
    with planted(UART, old, new):
        is_violated(proof, depth, message)
