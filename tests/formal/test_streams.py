# SPDX-License-Identifier: Apache-2.0
"""Proofs of the macro's streams: at drawn sizes and those of the shipped models; covers; planted faults."""

import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.stream_proof import StreamProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated
from tests.support.small_specs import small_spec

MACRO, LOADER, PROJECTION = (f"rtl/macro/{name}.py" for name in ("macro", "loader", "projection"))


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("projection", [0, 1, 3])
def test_drawn_sizes(compact, projection, rng):
    units = int(rng.integers(3, 7))
    lanes = int(rng.integers(1, units + 1))
    spec = small_spec(inputs=int(rng.integers(1, 6)), units=units, lanes=lanes, projection=projection)
    holds(StreamProof(spec, compact=compact), Mode.PROVE, 2)


def test_small_size_with_a_projection():
    holds(StreamProof(small_spec(inputs=2, units=3, lanes=2, projection=2), compact=True), Mode.PROVE, 2)


def test_size_of_the_shipped_network():
    holds(StreamProof(load_model("kws").spec), Mode.PROVE, 2)


@pytest.mark.slow
def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("projection", [0, 2])
def test_covers_are_reached(compact, projection):
    spec = small_spec(inputs=2, units=2, projection=projection)
    depth = 2 * (spec.macro_clocks + spec.inputs) + 8
    holds(StreamProof(spec, compact=compact), Mode.COVER, depth)


FAULTS = [
    # file, old, new, the claim that breaks
    (MACRO, "taken = Const(1) if spec.digital_projection else ~emits | self.h.ready", "taken = Const(1)", "waits"),
    (LOADER, "flag.eq(getattr(self.x.payload, name))", "flag.eq(0)", "last"),
]
MORE_FAULTS = [
    (MACRO, "self.h.payload.end.eq(final)", "self.h.payload.end.eq(beat == spec.beats - 1)", "end is high"),
    (MACRO, "self.h.payload.last.eq(sequencer.x_last)", "self.h.payload.last.eq(sequencer.first_step)", "last is that"),
    (MACRO, "update_begins & (beat != spec.beats)", "update_begins", ""),
    (MACRO, "(~occupied | leaving)", "1", ""),
    (LOADER, "getattr(self, name).eq(flag)", "getattr(self, name).eq(getattr(self.x.payload, name))", "last is that"),
    (LOADER, "self.x.ready.eq(~self.full | self.take)", "self.x.ready.eq(1)", "no more than two steps"),
    (LOADER, "self.x.ready.eq(~self.full | self.take)", "self.x.ready.eq(~self.full)", "x: a code is taken"),
    (LOADER, "with m.If(loaded == groups - 1):", "with m.If(1):", ""),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), FAULTS)
def test_planted_faults(file, old, new, message):
    with planted(file, old, new):
        is_violated(StreamProof(small_spec(inputs=2, units=2), invariants=False), 36, message)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "message"), MORE_FAULTS)
def test_more_planted_faults(file, old, new, message):
    test_planted_faults(file, old, new, message)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (PROJECTION, "self.run & (~self.valid | self.ready)", "self.run", "waits"),
        (PROJECTION, "with m.If(self.valid & self.ready):", "with m.If(self.valid):", "waits"),
        (PROJECTION, "self.end.eq(final)", "self.end.eq(lane == lanes - 1)", "end is high"),
        (PROJECTION, "final = code == spec.projection - 1", "final = code == spec.projection - 2", ""),
    ],
)
def test_planted_faults_of_the_projection(file, old, new, message):
    spec = small_spec(units=3, lanes=2, projection=3)
    with planted(file, old, new):
        is_violated(StreamProof(spec, invariants=False), 40, message)
