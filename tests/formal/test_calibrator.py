# SPDX-License-Identifier: Apache-2.0
"""Proofs of the calibrator: its steps and clocks for any codes; covers; planted faults."""

import pytest
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.network.calibrator_proof import CalibratorClocksProof, CalibratorProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

CALIBRATOR = "rtl/network/calibrator.py"


def plan(repeats_log2=1, **sizes) -> CalibrationPlan:
    few = {"adc_bits": 2, "input_bits": 2, "weight_bits": 2, "state_bits": 4, "state_frac_bits": 2}
    few |= {"inputs": 2, "units": 2, "calibration_cells": 1}
    spec = Specification(classes=2, state_pulse_bits=2, **(few | sizes))
    return CalibrationPlan(spec, repeats_log2, lsb=(1.0,) * len(spec.ramps))


def test_a_small_size():
    for proof in (CalibratorProof, CalibratorClocksProof):
        holds(proof(plan()), Mode.PROVE, 2)


@pytest.mark.slow
def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inputs", "cells", "repeats_log2"), [(1, 3, 2), (29, 2, 1), (50, 1, 0), (3, 16, 3), (4, 2, 8)]
)
def test_sizes(inputs, cells, repeats_log2):
    """Also with more inputs than a step has clocks, where loading x takes longer than converting."""
    for proof in (CalibratorProof, CalibratorClocksProof):
        holds(proof(plan(repeats_log2, inputs=inputs, calibration_cells=cells)), Mode.PROVE, 2)


def test_without_cells():
    assert proofs(plan().spec.replace(calibration_cells=0)) == []


def test_covers_are_reached():
    holds(CalibratorProof(plan(0)), Mode.COVER, 30)


@pytest.mark.slow
def test_covers_of_the_clocks_are_reached():
    holds(CalibratorClocksCovers(plan(0)), Mode.COVER, 70)


class CalibratorClocksCovers(CalibratorClocksProof):
    """No utterance is under way there, so that a calibration never waits for one."""

    def cover(self, m, condition, message):
        if "utterance" not in message:
            super().cover(m, condition, message)


FAULTS = [
    ("x.ready.eq(passing & macro_x.ready)", "x.ready.eq(macro_x.ready)", "x is taken only to end"),
    ("(phase == _Phase.WAIT) & under_way", "phase == _Phase.WAIT", "x is taken only to end"),
    ("~under_way & (outstanding == 0)", "~under_way", "quiet with no step of the host's"),
    ("~under_way & (outstanding == 0)", "outstanding == 0", "quiet with no utterance"),
    ("Mux(passing, x.payload.code, 0)", "x.payload.code", "codes are zero"),
    ("Mux(passing, x.payload.last, 1)", "x.payload.last", "each step is an utterance"),
    ("macro_h.valid & ~self.quiet", "macro_h.valid", "h is taken and not shown"),
    ("h.ready | self.quiet", "h.ready", "h is taken and not shown"),
    ("repeat.all() & bit[0]) if len(repeat)", "0) if len(repeat)", "no step is left behind"),
    ("Mux(bit[0], _Phase.FINISH, _Phase.RUN)", "_Phase.FINISH", "as many steps as the plan has"),
    ("ended & repeat.all()", "ended", "as many steps as the plan has"),
    ("Mux(self.quiet, kept | bit, best)", "kept | bit", "the array sees the registers"),
    ("running & (~whole | (outstanding == 0))", "running & (outstanding == 0) & ~whole", "a code is offered"),
    ("with m.If(self.calibrate.load):", "with m.If(1):", "registers change only while busy"),
    ("m.d.sync += best.eq(self.calibrate.value[span])", "pass", "registers change only while busy"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), [FAULTS[0], *(pytest.param(*fault, marks=pytest.mark.slow) for fault in FAULTS[1:])]
)
def test_planted_faults(old, new, message):
    with planted(CALIBRATOR, old, new):
        is_violated(CalibratorProof(plan(1), invariants=False), 30, message)


@pytest.mark.slow
def test_a_clock_too_many_is_noticed():
    with planted(CALIBRATOR, "(~whole | (outstanding == 0))", "(outstanding == 0)"):
        is_violated(CalibratorClocksProof(plan(0), invariants=False), 75, "busy for as many clocks")
