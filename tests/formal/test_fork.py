# SPDX-License-Identifier: Apache-2.0
"""Proofs of the fork of h between head and tap: small and shipped sizes; covers; planted faults."""

import pytest
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.network.fork_proof import ForkProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated
from tests.support.small_specs import small_spec

TOP = "rtl/network/network_top.py"


@pytest.mark.parametrize("readout", ["mean", *(pytest.param(one, marks=pytest.mark.slow) for one in ("last", "step"))])
def test_small_sizes(readout):
    holds(ForkProof(small_spec(units=3, lanes=2, readout=readout)), Mode.PROVE, 2)


@pytest.mark.slow
def test_a_projection():
    holds(ForkProof(small_spec(units=3, projection=2)), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["mean", "step"])
def test_one_class(readout):
    """The first logit is the last one."""
    holds(ForkProof(small_spec(units=2, classes=1, readout=readout)), Mode.PROVE, 2)


@pytest.mark.slow
def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["mean", "step"])
def test_covers_are_reached(readout):
    holds(ForkProof(small_spec(units=2, readout=readout)), Mode.COVER, 12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("self.h.valid.eq(macro.h.valid & head.h.ready)", "self.h.valid.eq(macro.h.valid)", "the tap gets"),
        *(
            pytest.param(*fault, marks=pytest.mark.slow)
            for fault in (
                ("head.h.valid.eq(macro.h.valid & self.h.ready)", "head.h.valid.eq(macro.h.valid)", "the head gets"),
                ("macro.h.ready.eq(head.h.ready & self.h.ready)", "macro.h.ready.eq(head.h.ready)", "gets every beat"),
                ("macro.h.ready.eq(head.h.ready & self.h.ready)", "macro.h.ready.eq(self.h.ready)", "gets every beat"),
                ("head.h.payload.eq(macro.h.payload)", "head.h.payload.eq(0)", "the head sees"),
                ("self.h.payload.eq(macro.h.payload)", "self.h.payload.eq(0)", "the tap sees"),
            )
        ),
    ],
)
def test_planted_faults(old, new, message):
    with planted(TOP, old, new):
        is_violated(ForkProof(small_spec(units=2), invariants=False), 12, message)


@pytest.mark.slow
def test_a_head_that_is_ready_for_a_moment_only():
    """The fork relies on a head whose ``ready``, once high, stays until a beat moves."""
    with planted("rtl/network/head_sums.py", "~(self.hold & finishing)", "self.hold ^ finishing"):
        is_violated(ForkProof(small_spec(units=2), invariants=False), 24, "waits at the tap stays")
