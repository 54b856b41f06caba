# SPDX-License-Identifier: Apache-2.0
"""Proofs of the macro's clocks, and of its capture banks: at several sizes; covers; planted faults."""

import pytest
from crossramp.sim.formal.conversion import banks_proof
from crossramp.sim.formal.conversion.banks_proof import BanksProof
from crossramp.sim.formal.engine.proof import Reset
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro import clocks_proof
from crossramp.sim.formal.macro.clocks_proof import ClocksProof, PeriodProof

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

from .test_boundary import LONG_FIRST, SMALL, TINY, drawn, sized

SEQUENCER, PROJECTION = "rtl/macro/sequencer.py", "rtl/macro/projection.py"
MACRO, CAPTURE = "rtl/macro/macro.py", "rtl/macro/capture.py"
slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("proof", "spec", "options"),
    [
        (ClocksProof, SMALL.replace(projection=3), {"compact": True, "reset": Reset.ANY_TIME}),
        pytest.param(ClocksProof, LONG_FIRST, {"reset": Reset.FIRST}, marks=slow),
        pytest.param(ClocksProof, TINY.replace(projection=1), {"reset": Reset.FIRST}, marks=slow),
        pytest.param(ClocksProof, SMALL, {"values": True}, marks=slow),
        pytest.param(ClocksProof, SMALL.replace(comparator_registers=1), {}, marks=slow),
        pytest.param(BanksProof, SMALL.replace(comparator_registers=1), {"reset": Reset.FIRST}, marks=slow),
        pytest.param(PeriodProof, SMALL, {}, marks=slow),
        pytest.param(PeriodProof, sized(inputs=40), {}, marks=slow),  # more clocks to load than to run
        pytest.param(PeriodProof, sized(inputs=23), {"compact": True}, marks=slow),
        pytest.param(PeriodProof, SMALL.replace(projection=3), {"compact": True}, marks=slow),
        pytest.param(BanksProof, SMALL, {"reset": Reset.FIRST}, marks=slow),
        pytest.param(BanksProof, SMALL.replace(latch="first_trip"), {"reset": Reset.ANY_TIME}, marks=slow),
        pytest.param(BanksProof, SMALL.replace(projection=2), {"compact": True, "reset": Reset.FIRST}, marks=slow),
    ],
)
def test_some_sizes(proof, spec, options):
    holds(proof(spec, **options), Mode.PROVE, 2)


@slow
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("proof", [ClocksProof, PeriodProof, BanksProof])
def test_drawn_sizes(proof, compact, rng):
    holds(proof(drawn(rng), compact=compact), Mode.PROVE, 2)


@slow
@pytest.mark.parametrize("block", [clocks_proof, banks_proof])
def test_shipped_models(block, shipped_spec):
    all_hold(block.proofs(shipped_spec))


@slow
@pytest.mark.parametrize("proof", [ClocksProof, PeriodProof, BanksProof])
@pytest.mark.parametrize("options", [{}, {"compact": True}])
def test_covers_are_reached(proof, options):
    holds(proof(TINY, **options), Mode.COVER, 40)


@slow
def test_banks_with_any_value_need_a_reset():
    with planted("sim/formal/engine/proof.py", "Assume(self.rst == self.initial)", "Assume(~self.rst)"):
        is_violated(BanksProof(SMALL, reset=Reset.FIRST, invariants=False), 6, "is empty")


PROJECTED = SMALL.replace(projection=3)
FAULTS = [
    # file, old, new, specification, the claim that breaks
    (SEQUENCER, "waited != spec.settle_clocks - 1", "waited != spec.settle_clocks", SMALL, "stalled"),
    (SEQUENCER, "waited != spec.settle_clocks - 1", "waited < spec.settle_clocks - 2", SMALL, "stalled"),
    (SEQUENCER, "window_over = self.count == spec.windows[0]", "window_over = self.count == 2", SMALL, "step"),
    (SEQUENCER, "self.stalled.eq(1)", "self.stalled.eq(0)", SMALL, "stalled"),
    (
        SEQUENCER,
        "with m.Case(Phase.START):\n                m.d.comb += self.stalled.eq(~self.ready)",
        "with m.Case(Phase.START):\n                m.d.comb += self.stalled.eq(0)",
        SMALL,
        "stalled",
    ),
    (
        SEQUENCER,
        "with m.If(self.ready):\n                    m.d.comb += [self.latch",
        "with m.If(1):\n                    m.d.comb += [self.latch",
        SMALL,
        "step",
    ),
    (
        SEQUENCER,
        "with m.If(self.ready):\n                    m.d.comb += [self.latch",
        "with m.If(self.ready & ~self.tick):\n                    m.d.comb += [self.latch",
        SMALL,
        "step",
    ),
    (SEQUENCER, "waited == spec.beats - 1", "waited == spec.beats", SMALL, "reset takes"),
    (
        SEQUENCER,
        "with m.If(starts):\n                    m.d.comb",
        "with m.If(1):\n                    m.d.comb",
        SMALL,
        "begins with its whole x",
    ),
    (
        SEQUENCER,
        "                m.d.comb += [self.take.eq(1), following.eq(Phase.START)]\n            with m.Else",
        "                m.d.comb += following.eq(Phase.IDLE)\n            with m.Else",
        TINY,
        "begins at once",
    ),
    (MACRO, "final.eq(beat == spec.beats)", "final.eq(beat == spec.beats - 1)", SMALL, "step"),
    (MACRO, "(~occupied | leaving)", "~occupied", SMALL, "step"),
    (MACRO, "~emits | self.h.ready", "Const(1)", SMALL, "step"),
    (MACRO, "self.h.payload.end.eq(final)", "self.h.payload.end.eq(0)", SMALL, "last beat of h"),
    (PROJECTION, "(~self.valid | self.ready)", "~self.valid", PROJECTED, "step"),
    (PROJECTION, "self.valid & self.ready & self.end", "self.valid & self.end", PROJECTED, "step"),
    (PROJECTION, "self.end.eq(final)", "self.end.eq(1)", PROJECTED, "step"),
]


@pytest.mark.parametrize("fault", [pytest.param(one, marks=() if n == 0 else slow) for n, one in enumerate(FAULTS)])
def test_planted_faults(fault):
    file, old, new, spec, message = fault
    with planted(file, old, new):
        depth = 8 + spec.inputs + spec.macro_clocks * (1 + (file == PROJECTION))
        is_violated(ClocksProof(spec, invariants=False), depth, message)


#: Loading x takes more clocks than everything else.
LOADED = TINY.replace(inputs=30)
PERIOD = "the period of steps"
PERIOD_FAULTS = [
    # file, old, new, sizes, the claim that breaks
    ("rtl/macro/loader.py", "~self.full | self.take", "~self.full", LOADED, PERIOD),
    ("rtl/macro/loader.py", "loaded == groups - 1", "loaded == groups - 2", LOADED, PERIOD),
    (
        SEQUENCER,
        "                m.d.comb += [self.take.eq(1), following.eq(Phase.START)]\n            with m.Else",
        "                m.d.comb += following.eq(Phase.IDLE)\n            with m.Else",
        TINY,
        "begins at once",
    ),
]


@slow
@pytest.mark.parametrize(("file", "old", "new", "spec", "message"), PERIOD_FAULTS)
def test_planted_faults_of_the_period(file, old, new, spec, message):
    with planted(file, old, new):
        is_violated(PeriodProof(spec, invariants=False), 8 + 2 * (spec.inputs + spec.macro_clocks), message)


BANK_FAULTS = [
    (SEQUENCER, "self.flush.eq(1)", "self.flush.eq(0)", "is empty"),
    (SEQUENCER, "waited == spec.beats - 1", "waited == spec.beats - 2", "is empty"),
    (MACRO, "sequencer.flush | (entering & used)", "entering & used", "is empty"),
    (MACRO, "latch & ~sequencer.second", "latch", "is empty"),
    (MACRO, "bank.shift.eq(sequencer.flush | (entering & used))", "bank.shift.eq(sequencer.flush)", "is empty"),
    (CAPTURE, "Const(0, self.lanes * bits)", "codes[-self.lanes * bits :]", "is empty"),
]


@slow
@pytest.mark.parametrize(("file", "old", "new", "message"), BANK_FAULTS)
def test_planted_faults_of_banks(file, old, new, message):
    with planted(file, old, new):
        is_violated(BanksProof(SMALL, reset=Reset.FIRST, invariants=False), 30, message)
