# SPDX-License-Identifier: Apache-2.0
"""The whole macro against golden's arithmetic, for some steps: small sizes, covers, planted faults."""

import numpy as np
import pytest
from crossramp.golden.cell.library import CELLS
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.cell_steps import STEPS
from crossramp.sim.formal.macro.whole_proof import WholeProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated
from tests.support.small_specs import small_spec

MACRO, PULSES, SEQUENCER, LANE = (f"rtl/macro/{n}.py" for n in ("macro", "pulses", "sequencer", "update_lane"))
THREE_BITS = {"input_bits": 3, "weight_bits": 3, "state_bits": 5, "state_frac_bits": 3, "state_pulse_bits": 3}
WEIGHTS = np.array([[1, -1]])


def bounded(proof: WholeProof) -> None:
    holds(proof, Mode.BOUNDED, proof.clocks)


def test_every_cell_has_a_step_written_by_hand():
    assert STEPS.keys() == CELLS.keys()


@pytest.mark.parametrize("cell", few(["lstm", "gru", *sorted(CELLS.keys() - {"lstm", "gru"})]))
def test_two_steps(cell):
    bounded(WholeProof(small_spec(cell=cell), 2))


@pytest.mark.slow
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_what_is_proven_of_a_specification(cell):
    all_hold(proofs(small_spec(cell=cell)))


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
        *(({"cell": cell, "units": 2}, 2, cell == "gru") for cell in ("gru", "gru_reset_after", "lstm_peephole")),
        ({"cell": "lstm_coupled", "units": 2, "lanes": 2, "latch": "first_trip"}, 2, False),
        ({"cell": "rnn_tanh", "inputs": 2, "units": 3, "lanes": 2, "adc_bits": 3, "weight_bits": 3}, 2, True),
        ({"cell": "dense", "inputs": 2, "units": 3, "lanes": 2, "adc_bits": 3, "weight_bits": 3}, 2, False),
    ],
)
def test_more_sizes(changes, steps, compact):
    bounded(WholeProof(small_spec(**changes), steps, compact=compact))


@pytest.mark.slow
def test_a_projection():
    bounded(WholeProof(small_spec(units=2, projection=1), 2, projection=WEIGHTS))


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm_peephole"])
def test_a_stall_of_other_cells(cell):
    bounded(WholeProof(small_spec(cell=cell), 2, stalls=1))


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_covers_are_reached(cell, compact):
    proof = WholeProof(small_spec(cell=cell, inputs=2, units=2, lanes=2), 2, compact=compact)
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


WITHOUT_A = 'drive = drive if group == "a" else drive & ~from_zero'
#: What an LSTM does not have: banks that hold, rows of an inner value, lines of the step before, trained levels, and a
#: register that the last update stores.
FAULTS_OF_CELLS = [
    (
        "gru",
        {},
        SEQUENCER,
        "self.reset[1].eq(~(converting | between))",
        "self.reset[1].eq(~converting)",
        "n is golden's",
    ),
    ("gru", {}, MACRO, "entering = leaving & stored, ", "entering = leaving & ~stored, ", "is golden's"),
    ("gru", {}, MACRO, "kept if before is None else Mux(before, 0, kept)", "kept", ""),
    ("gru_reset_after", {}, MACRO, "_pos.eq(Cat(line.pos for line in lines))", "_pos.eq(0)", "n is golden's"),
    ("gru_reset_after", {}, MACRO, "self._during(sequencer, biased)", "Const(1)", "n is golden's"),
    ("lstm_peephole", THREE_BITS, MACRO, "drive = drive & ~from_zero", WITHOUT_A, "is golden's"),
    ("lstm_peephole", {}, MACRO, "(False, True): latch & sequencer.second", "(False, True): latch", "o is golden's"),
    (
        "lstm_coupled",
        THREE_BITS,
        LANE,
        "(exact << (self.spec.input_bits - 1)) - exact",
        "exact << (self.spec.input_bits - 1)",
        "h is golden's",
    ),
    ("rnn_tanh", {}, MACRO, "drive = drive & ~from_zero", "drive = drive", "a is golden's"),
    ("dense", {}, MACRO, "comparators[spec.bank(gate)]", "~comparators[spec.bank(gate)]", "a is golden's"),
]


@pytest.mark.parametrize(("cell", "sizes", "file", "old", "new", "message"), few(FAULTS_OF_CELLS, (0,)))
def test_planted_faults_of_cells(cell, sizes, file, old, new, message):
    proof = WholeProof(small_spec(cell=cell, **sizes), 2, invariants=False)
    with planted(file, old, new):
        is_violated(proof, proof.clocks, message)
