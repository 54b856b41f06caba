# SPDX-License-Identifier: Apache-2.0
"""Proofs of the boundary's rules on the whole macro."""

import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.boundary_proof import BoundaryProof

from tests.support.proving import holds

SMALL = Specification(
    inputs=2,
    units=3,
    classes=2,
    lanes=2,
    adc_bits=2,
    input_bits=2,
    weight_bits=2,
    state_bits=4,
    state_frac_bits=2,
    state_pulse_bits=2,
    calibration_cells=1,
)


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"latch": "first_trip", "projection": 2}, {}),
        ({"projection": 3, "lanes": 1}, {"compact": True, "quiet": True}),
    ],
)
def test_small_macros(changes, options):
    holds(BoundaryProof(SMALL.replace(**changes), **options), Mode.PROVE, 2)


@pytest.mark.slow
def test_shipped_size():
    holds(BoundaryProof(load_model("kws").spec), Mode.PROVE, 2)
