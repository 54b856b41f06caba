# SPDX-License-Identifier: Apache-2.0
"""Proofs of capture: at drawn sizes and those of the shipped models; covers; planted faults."""

import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.spec.activations import activation
from crossramp.golden.spec.ramp_walk import ramp_walk
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.conversion.capture_proof import CaptureProof, proofs
from crossramp.sim.formal.engine.solver import Mode

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


#: Bits and counts of ramps that turn: SiLU's, and a bump.
TURNING = {
    "down and up": (3, ramp_walk(activation("silu"), 3).codes),
    "up and down": (2, ramp_walk(activation("gaussian"), 2).codes),
    "silu of 5 bits": (5, ramp_walk(activation("silu"), 5).codes),
}


@pytest.mark.parametrize(("case", "latch"), few([(case, latch) for case in TURNING for latch in LATCHES], (0, 3)))
def test_ramps_that_turn(case, latch):
    bits, codes = TURNING[case]
    for marginal in (True, False):
        holds(CaptureProof(4, bits, 3, latch, marginal=marginal, codes=codes), Mode.PROVE, 2)


@pytest.mark.parametrize(
    ("case", "old", "new"),
    few(
        [
            ("up and down", "falling.eq(~falling)", "falling.eq(falling)"),
            ("up and down", "binary + Mux(falling, (1 << bits) - 1, 1)", "binary + 1"),
            ("down and up", "codes[1], binary", "1, binary"),
            ("down and up", " count.eq(following ^ (following >> 1))", " count.eq(following)"),
        ],
        (0, 2),
    ),
)
def test_faults_of_a_count_that_turns(case, old, new):
    bits, codes = TURNING[case]
    with planted(RAMP, old, new):
        is_violated(CaptureProof(3, bits, 2, "last_high", codes=codes, invariants=False), 34, "neighbor")


@pytest.mark.slow
def test_each_count_of_a_specification_is_proven():
    gates = (Gate("sigmoid", 2.0), Gate("silu", 2.0, 4), Gate("tanh", 2.0), Gate("gaussian", 2.0, 2))
    spec = Specification(inputs=2, units=3, classes=2, adc_bits=3, gates=gates)
    found = proofs(spec)
    assert [entry.claim.rpartition(" of a ramp")[2] for entry in found[::2]][1:] == [
        " that counts 0 to -2 to 7",
        " that counts 0 to 3 to 0",
    ]
    all_hold(found)


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
    (RAMP, "self.count.eq(following ^ (following >> 1))", "self.count.eq(following)", LATCHES, "neighbor"),
    (RAMP, "Mux(self.start, 1, binary + 1)", "Mux(self.start, 0, binary + 1)", LATCHES, "neighbor"),
    (RAMP, "self.last.eq(self.tap[-1])", "self.last.eq(self.tap[-2])", LATCHES, "last"),
    (RAMP, "Cat(self.start, tap)", "Cat(self.start | self.tap[-1], tap)", LATCHES, "tap"),
    (CAPTURE, "Const(0, self.lanes * bits)", "Cat(codes)[-self.lanes * bits :]", LATCHES, "empty"),
    (CAPTURE, "Cat(codes)[self.lanes * bits :]", "Cat(codes)[bits:]", LATCHES, "neighbor"),
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
