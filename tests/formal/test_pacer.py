# SPDX-License-Identifier: Apache-2.0
"""Proof of the pacer: at the sizes of the shipped models; covers; planted faults."""

import pytest
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.network.pacer_proof import PacerProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

PACER = "rtl/emulation/pacing.py"
SMALL = Specification(inputs=1, units=1, classes=2)


def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


def test_covers_are_reached():
    holds(PacerProof(SMALL), Mode.COVER, 10)


FAULTS = [
    ("now[1:] == 0", "now == 0"),
    ("now[1:] == 0", "now[2:] == 0"),
    ("now - 1", "now - 2"),
    ("now.eq(self.tick_clocks)", "now.eq(self.hold_clocks)"),
    ("with m.If(periphery.tick):", "with m.If(1):"),
    ("left.eq(self.hold_clocks)", "left.eq(0)"),
    ("m.d.comb += periphery.ready.eq(0)", "pass"),
    ("m.d.sync += left.eq(0)", "m.d.sync += left.eq(3)"),
]


@pytest.mark.parametrize(
    ("old", "new"), [FAULTS[0], *(pytest.param(*fault, marks=pytest.mark.slow) for fault in FAULTS[1:])]
)
def test_planted_faults(old, new):
    with planted(PACER, old, new):
        is_violated(PacerProof(SMALL, invariants=False), 10, "ready as the settings ask for")
