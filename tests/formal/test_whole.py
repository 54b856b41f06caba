# SPDX-License-Identifier: Apache-2.0
"""The whole macro against golden's arithmetic, for some steps: small sizes, covers, planted faults."""

import numpy as np
import pytest
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.whole_proof import WholeProof

from tests.support.planted import planted
from tests.support.proving import holds, is_violated
from tests.support.small_specs import small_spec

MACRO, PULSES, SEQUENCER, LANE = (f"rtl/macro/{n}.py" for n in ("macro", "pulses", "sequencer", "update_lane"))
THREE_BITS = {"input_bits": 3, "weight_bits": 3, "state_bits": 5, "state_frac_bits": 3, "state_pulse_bits": 3}
WEIGHTS = np.array([[1, -1]])


def bounded(proof: WholeProof) -> None:
    holds(proof, Mode.BOUNDED, proof.clocks)


def test_two_steps():
    bounded(WholeProof(small_spec(), 2))


def test_a_step_with_a_stall():
    bounded(WholeProof(small_spec(), 1, stalls=1))


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "stalls"), [(1, 3), (2, 1), (2, 2)])
def test_more_stalls(steps, stalls):
    bounded(WholeProof(small_spec(), steps, stalls=stalls))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "steps", "compact"),
    [
        ({"units": 2}, 2, False),
        ({"units": 2, "latch": "first_trip"}, 2, False),
        ({"units": 2}, 2, True),
        ({"units": 3, "lanes": 2}, 1, False),
        ({"inputs": 2, "units": 2, "lanes": 2}, 2, False),
        (THREE_BITS, 2, False),
    ],
)
def test_more_sizes(changes, steps, compact):
    bounded(WholeProof(small_spec(**changes), steps, compact=compact))


@pytest.mark.slow
def test_a_projection():
    bounded(WholeProof(small_spec(units=2, projection=1), 2, projection=WEIGHTS))


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
def test_covers_are_reached(compact):
    proof = WholeProof(small_spec(inputs=2, units=2, lanes=2), 2, compact=compact)
    holds(proof, Mode.COVER, proof.clocks)


FAULTS = [
    # file, old, new, the claim that breaks
    (PULSES, "Mux(self.drive, expression, 0)", "Mux(self.drive & (self.count != 0), expression, 0)", ""),
]
MORE_FAULTS = [
    (MACRO, "kept if before is None else Mux(before, 0, kept)", "kept", "c is golden's"),
    (MACRO, "drive = drive & ~from_zero", "drive = drive", ""),
    (MACRO, "(True, False): latch & ~sequencer.second", "(True, False): latch", ""),
    (LANE, "(exact << (self.spec.input_bits - 1)) - exact", "exact << (self.spec.input_bits - 1)", ""),
    (SEQUENCER, "first_step.eq(fresh)", "first_step.eq(0)", ""),
    (MACRO, "leaving & self._during(sequencer, [stored])", "leaving", ""),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), FAULTS)
def test_planted_faults(file, old, new, message):
    proof = WholeProof(small_spec(**THREE_BITS), 2, invariants=False)
    with planted(file, old, new):
        is_violated(proof, proof.clocks, message)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "message"), MORE_FAULTS)
def test_more_planted_faults(file, old, new, message):
    test_planted_faults(file, old, new, message)
