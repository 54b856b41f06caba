# SPDX-License-Identifier: Apache-2.0
"""Proof of the projection: at drawn sizes and wide ones; covers; planted faults."""

import pytest
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.projection_proof import ProjectionProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

PROJECTION = "rtl/macro/projection.py"


def projected(units=5, lanes=2, projection=3, **more) -> Specification:
    few = {"input_bits": 2, "head_weight_bits": 2, "adc_bits": 2, "weight_bits": 3}
    return Specification(inputs=1, units=units, classes=2, lanes=lanes, projection=projection, **(few | more))


def test_the_size_of_a_text_model():
    all_hold(proofs(projected(128, 16, 64, input_bits=5, head_weight_bits=8, adc_bits=5, weight_bits=5)))


def test_without_a_projection():
    assert proofs(projected(projection=0)) == []


@pytest.mark.slow
def test_drawn_sizes(rng):
    for units, lanes in (
        (1, 1),
        (4, 4),
        (3, 1),
        *((int(n), int(rng.integers(1, n + 1))) for n in rng.integers(2, 20, 4)),
    ):
        bits = {"input_bits": int(rng.integers(2, 9)), "head_weight_bits": int(rng.integers(2, 17))}
        all_hold(proofs(projected(units, lanes, int(rng.integers(1, units + 1)), **bits)))


def test_covers_are_reached():
    holds(ProjectionProof(projected()), Mode.COVER, 40)


LONG, TWICE = {"units": 3, "lanes": 1, "projection": 3}, {"units": 3, "lanes": 1, "projection": 1}
FAULTS = [
    # sizes, old, new, the claim that breaks
    ({}, 'Mux(stages[1]["first"], 0, total)', "total", "replaces the sum"),
    ({}, "group == spec.beats - 1]", "group == 0]", "the code of each lane"),
    ({}, "lane == lanes - 1", "lane == lanes - 2", "group behind its last code"),
    ({}, "m.d.sync += self.r[k].eq(0)", "pass", "the code of each lane"),
    (LONG, "go.eq(self.run & (~self.valid | self.ready))", "go.eq(self.run)", ""),
    (LONG, "kept_read.en.eq(go)", "kept_read.en.eq(1)", "the codes as they were written"),
    (LONG, "weight_read.en.eq(go)", "weight_read.en.eq(1)", "weights of each group"),
    (TWICE, "Mux(written == spec.beats - 1, 0, written + 1)", "written + 1", "the codes as they were written"),
    (TWICE, "m.d.sync += [word.eq(0), code.eq(0)]", "m.d.sync += code.eq(0)", ""),
    ({}, "round_shift(total, spec.projection_shift)", "(total >> spec.projection_shift)", "the code of each lane"),
    ({}, "self.end.eq(final)", "self.end.eq(1)", "the last group is marked"),
    (LONG, "Mux(group == spec.beats - 1, 0, group + 1)", "group + 1", "each group of products"),
]


@pytest.mark.parametrize(
    ("sizes", "old", "new", "message"),
    [FAULTS[0], *(pytest.param(*fault, marks=pytest.mark.slow) for fault in FAULTS[1:])],
)
def test_planted_faults(sizes, old, new, message):
    with planted(PROJECTION, old, new):
        is_violated(ProjectionProof(projected(**({"units": 3} | sizes)), invariants=False), 22, message)
