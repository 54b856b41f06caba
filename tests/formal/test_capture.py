# SPDX-License-Identifier: Apache-2.0
"""Proofs of capture: at drawn sizes and those of the shipped models; covers; planted faults."""

import pytest
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.capture_proof import CaptureProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated

LATCHES = ("last_high", "first_trip")
CAPTURE, RAMP = "rtl/macro/capture.py", "rtl/macro/ramp_counter.py"


@pytest.mark.parametrize(("marginal", "latch"), few([(m, latch) for m in (True, False) for latch in LATCHES], (1,)))
def test_drawn_sizes(latch, marginal, rng):
    for bits in (2, 3, 5):
        columns = int(rng.integers(1, 12))
        lanes = int(rng.integers(1, columns + 1))
        holds(CaptureProof(columns, bits, lanes, latch, marginal=marginal), Mode.PROVE, 2)


@pytest.mark.parametrize("marginal", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_several_segments_of_columns(marginal):
    holds(CaptureProof(70, 5, 8, "last_high", marginal=marginal), Mode.PROVE, 2)


def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.parametrize("latch", LATCHES)
def test_covers_are_reached(latch):
    holds(CaptureProof(3, 2, 2, latch), Mode.COVER, 18)


@pytest.mark.parametrize("latch", LATCHES)
def test_two_marginal_ticks_in_a_row_leave_a_mixture(latch):
    """What docs/boundary.md says: the neighbor is guaranteed for one marginal tick only."""
    is_violated(CaptureProof(3, 2, 2, latch, twice=True, invariants=False), 8, "golden's, or its neighbor")


FAULTS = [
    # file, old, new, latches that have what is changed, the claim that breaks
    (RAMP, "following ^ (following >> 1)", "following", LATCHES, "neighbor"),
    (RAMP, "Mux(self.start, 1, binary + 1)", "Mux(self.start, 0, binary + 1)", LATCHES, "neighbor"),
    (RAMP, "self.last.eq(self.tap[-1])", "self.last.eq(self.tap[-2])", LATCHES, "last"),
    (RAMP, "Cat(self.start, self.tap[:-1])", "Cat(self.start | self.tap[-1], self.tap[:-1])", LATCHES, "tap"),
    (CAPTURE, "Const(0, self.lanes * bits)", "codes[-self.lanes * bits :]", LATCHES, "empty"),
    (CAPTURE, "codes[self.lanes * bits :]", "codes[bits:]", LATCHES, "neighbor"),
    (CAPTURE, "| self.shift.replicate(every)", "", LATCHES, "neighbor"),
    (CAPTURE, "gray_to_binary(gray)", "gray", LATCHES, "neighbor"),
    (CAPTURE, "armed & (high | ~self.enable.replicate(every))", "armed", LATCHES[1:], "neighbor"),
    (CAPTURE, "self.arm.replicate(every) | ", "", LATCHES[1:], "neighbor"),
    (CAPTURE, "(high | ~self.enable.replicate(every))", "high", LATCHES[1:], "neighbor"),
]


@pytest.mark.parametrize("latch", [LATCHES[1], pytest.param(LATCHES[0], marks=pytest.mark.slow)])
@pytest.mark.parametrize(("file", "old", "new", "latches", "message"), few(FAULTS, (2, 5, 9)))
def test_planted_faults(file, old, new, latches, message, latch):
    if latch in latches:
        with planted(file, old, new):
            is_violated(CaptureProof(3, 2, 2, latch, invariants=False), 22, message)
