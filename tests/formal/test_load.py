# SPDX-License-Identifier: Apache-2.0
"""Proofs of states that are loaded, and of those that are kept: small sizes, a model's, covers, planted faults."""

import pytest
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.catalog import proofs_of
from crossramp.sim.formal.conversion import pulse_proof
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro import stream_proof, unit_proof
from crossramp.sim.formal.macro.load_proof import LoadProof, proofs
from crossramp.sim.formal.macro.stream_proof import StreamProof
from crossramp.sim.formal.network import calibrator_proof

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated
from tests.support.small_specs import small_spec

LOADER, MACRO, SEQUENCER = "rtl/macro/state_loader.py", "rtl/macro/macro.py", "rtl/macro/sequencer.py"
PEEPHOLE = small_spec(cell="lstm_peephole", units=3, lanes=2, initial="stream", keeps_state=1)


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(
    "changes",
    few(
        [
            {"cell": "lstm_peephole", "units": 3, "lanes": 2},
            {"cell": "rnn_tanh", "units": 3, "lanes": 2, "projection": 1},
            {"cell": "gru", "units": 3, "inputs": 2},
            {"cell": "gru_reset_after"},
            {"cell": "lstm", "units": 5, "lanes": 2, "projection": 3},
        ]
    ),
)
def test_small_sizes(changes, compact):
    holds(LoadProof(small_spec(initial="stream", keeps_state=1, **changes), compact=compact), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm_peephole", "gru"])
def test_the_size_of_a_model(cell):
    all_hold(proofs(Specification(inputs=40, units=32, classes=12, lanes=16, cell=cell, initial="stream")))


def test_covers_are_reached():
    holds(LoadProof(PEEPHOLE), Mode.COVER, 24)
    holds(StreamProof(small_spec(keeps_state=1)), Mode.COVER, 40)


@pytest.mark.parametrize("module", few([stream_proof, calibrator_proof, unit_proof, pulse_proof], (0, 1, 2)))
def test_a_state_that_is_kept(module):
    """What belongs to a step of before is of the utterance before, where that one keeps its state."""
    all_hold(module.proofs(small_spec(keeps_state=1))[:1])


def test_hardware_that_loads_is_proven_as_such_and_as_any_other():
    plain, constant = (proofs_of(small_spec(initial=initial)) for initial in ("zero", "constant"))
    assert [entry.block for entry in constant] == [*(entry.block for entry in plain), "load", "load"]


FAULTS = [
    (LOADER, "(self.load & ~begun) | (beat", "(beat", "read before it is written"),
    (LOADER, "number <= spec.h_beats", "number < spec.h_beats", "h_codes holds"),
    (LOADER, "lowest, -spec.state_max, value", "lowest, spec.state_max, value", "the store gets what came"),
    (LOADER, "self.initial.ready.eq(beat)", "self.initial.ready.eq(1)", "beats in time"),
    (LOADER, "number == beats + 1", "number == beats", "whole state"),
    (
        LOADER,
        "pulse = saturate(round_shift(scaled, shift), spec.state_pulse_max)",
        "pulse = scaled >> shift",
        "state_codes",
    ),
    (
        MACRO,
        "read, write = read | initial.turn, write | initial.store",
        "read = read | initial.turn",
        "as beats are taken",
    ),
    (SEQUENCER, "self.x_full & (~fresh | self.loaded)", "self.x_full", "is waited for"),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), few(FAULTS, (0, 4)))
def test_planted_faults(file, old, new, message):
    with planted(file, old, new):
        is_violated(LoadProof(PEEPHOLE, invariants=False), 30, message)


def test_a_state_that_is_lost_is_noticed():
    with planted(SEQUENCER, "self.x_last & ~self.x_keep", "self.x_last"):
        is_violated(StreamProof(small_spec(keeps_state=1), invariants=False), 40, "keep: of the step before")
