# SPDX-License-Identifier: Apache-2.0
"""Proofs of what keeps c between steps: at drawn sizes and those of the shipped models; covers; planted faults."""

import pytest
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.state_store_proof import StateStoreProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

UPDATE = "rtl/macro/update.py"


@pytest.mark.slow
@pytest.mark.parametrize("memory", [False, True])
def test_drawn_sizes(memory, rng):
    for _ in range(3):
        units = int(rng.integers(2, 9))
        lanes = int(rng.integers(1, units))
        holds(StateStoreProof(units, int(rng.integers(2, 7)), lanes, memory=memory), Mode.PROVE, 2)


@pytest.mark.parametrize("memory", [False, True])
def test_two_groups(memory):
    """The least number of groups that a memory may have: a row is read on the clock on which it is written."""
    holds(StateStoreProof(3, 4, 2, memory=memory), Mode.PROVE, 2)


def test_one_group():
    holds(StateStoreProof(2, 4, 2, memory=False), Mode.PROVE, 2)


@pytest.mark.slow
def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.parametrize(("units", "memory"), [(3, True), pytest.param(5, False, marks=pytest.mark.slow)])
def test_covers_are_reached(units, memory):
    holds(StateStoreProof(units, 2, 2, memory=memory), Mode.COVER, 14)


@pytest.mark.parametrize(
    ("old", "new", "memory"),
    [
        ("ring.eq(written.rotate_right(width))", "ring.eq(ring.rotate_right(width))", False),
        ("Mux(write_group == self.groups - 1, 0, write_group + 1)", "write_group + 1", True),
        *(
            pytest.param(*fault, marks=pytest.mark.slow)
            for fault in (
                ("ring.eq(written.rotate_right(width))", "ring.eq(written.rotate_left(width))", False),
                ("written[-width:].eq(self.top)", "written[:width].eq(self.top)", False),
                ("m.d.sync += ring.eq(written)", "m.d.sync += ring.eq(ring)", False),
                ("read_group == self.groups - 1, 0,", "read_group == self.groups - 1, 1,", True),
                ("read.addr.eq(following)", "read.addr.eq(read_group)", True),
                ("write.addr.eq(write_group)", "write.addr.eq(read_group)", True),
                ("write.en.eq(self.write)", "write.en.eq(self.read)", True),
                ("with m.If(self.write):\n            m.d.sync += write_group", "with m.If(self.read):\n"
                 "            m.d.sync += write_group", True),
            )
        ),
    ],
)  # fmt: skip
def test_planted_faults(old, new, memory):
    with planted(UPDATE, old, new):
        is_violated(StateStoreProof(5, 2, 2, memory=memory, invariants=False), 18, "was written for it last")
