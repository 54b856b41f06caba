# SPDX-License-Identifier: Apache-2.0
"""Proofs of the calibrator: its steps, clocks and choices for any codes; covers; planted faults."""

import warnings

import pytest
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.cell.description import Gate
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.state_scale import SpecificationWarning
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.network import calibration_choice_proof
from crossramp.sim.formal.network.calibration_choice_proof import CalibrationChoiceProof
from crossramp.sim.formal.network.calibrator_proof import CalibratorClocksProof, CalibratorProof, plan_of, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated

CALIBRATOR = "rtl/network/calibrator.py"


GRU = {"cell": "gru", "state_pulse_bits": None}
NO_STATE = {"state_bits": None, "state_frac_bits": None, "state_pulse_bits": None}


def plan(repeats_log2=1, **sizes) -> CalibrationPlan:
    few = {"adc_bits": 2, "input_bits": 2, "weight_bits": 2, "state_bits": 4, "state_frac_bits": 2}
    few |= {"inputs": 2, "units": 2, "calibration_cells": 1}
    return plan_of(Specification(classes=2, **({"state_pulse_bits": 2} | few | sizes)), repeats_log2)


def test_a_small_size():
    for proof in (CalibratorProof, CalibratorClocksProof, CalibrationChoiceProof):
        holds(proof(plan()), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("block", [proofs, calibration_choice_proof.proofs])
def test_shipped_models(shipped_spec, block):
    all_hold(block(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inputs", "cells", "repeats_log2"), [(1, 3, 2), (29, 2, 1), (50, 1, 0), (3, 16, 3), (4, 2, 8)]
)
def test_sizes(inputs, cells, repeats_log2):
    """Also with more inputs than a step has clocks, where loading x takes longer than converting."""
    for proof in (CalibratorProof, CalibratorClocksProof):
        holds(proof(plan(repeats_log2, inputs=inputs, calibration_cells=cells)), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("repeats_log2", "sizes"),
    [
        (2, {"units": 3, "lanes": 2, "calibration_cells": 3}),
        (0, {"units": 5, "lanes": 5, "calibration_cells": 2, "tile_columns": 8}),
        (0, {"units": 5, "lanes": 2, "calibration_cells": 2, "tile_columns": 8}),
        (1, GRU | {"units": 3, "lanes": 2}),
        (1, GRU | {"cell": "gru_reset_after", "units": 2, "lanes": 1}),
        (1, {"cell": "dense", "units": 3, "lanes": 2} | NO_STATE),
    ],
)
def test_choices(repeats_log2, sizes):
    spec = plan(repeats_log2, **sizes).spec
    all_hold(calibration_choice_proof.proofs(spec))


@pytest.mark.slow
def test_a_choice_from_codes_around_zero():
    """Of a curve that turns, in two's complement, and with a constant number of cells more in the end."""
    gates = (Gate("sigmoid", 2.0), Gate("sigmoid", 2.0), Gate("silu", 2.0, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpecificationWarning)
        some = plan(1, **(GRU | {"units": 2, "input_bits": 3, "weight_bits": 3, "gates": gates}))
    assert any(some.shifts)
    for ramp in range(len(some.spec.ramps)):
        holds(CalibrationChoiceProof(some, 0, ramp), Mode.PROVE, 2)


@pytest.mark.parametrize("block", [proofs, calibration_choice_proof.proofs])
def test_without_cells(block):
    assert block(plan().spec.replace(calibration_cells=0)) == []


def test_covers_are_reached():
    holds(CalibratorProof(plan(0)), Mode.COVER, 30)


@pytest.mark.slow
def test_covers_of_the_clocks_are_reached():
    holds(CalibratorClocksCovers(plan(0)), Mode.COVER, 70)


@pytest.mark.slow
def test_covers_of_choices_are_reached():
    holds(CalibrationChoiceProof(plan(0, units=1)), Mode.COVER, 50)


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


SEES, CHOSEN, FAILED = "the array sees the setting", "the register is the search's", "failed is the search's"
CHOICE_FAULTS = [
    # old, new, the claim that breaks
    ("keep.eq(balance > 0)", "keep.eq(balance >= 0)", ""),
    ("balance.eq(balance + (hits << 1))", "balance.eq(balance + hits)", ""),
    ("m.d.sync += balance.eq(-whole)", "pass", ""),
    ("Mux(balance < 0, -balance, balance)", "balance", CHOSEN),
    ("kept.eq(setting)", "kept.eq(bit)", ""),
    ("kept.eq(0)", "kept.eq(kept)", SEES),
    ("nearer | (keep & as_near)", "nearer", CHOSEN),
    ("nearer | (keep & as_near)", "nearer | as_near", CHOSEN),
    ("[best.eq(setting), nearest.eq(distance)]", "best.eq(setting)", CHOSEN),
    ("nearest.eq(distance), failed.eq(~keep)", "nearest.eq(distance)", FAILED),
    ("failed | (kept == full) | below | above", "failed | below | above", FAILED),
    ("chosen.eq(Mux(between, middle, best))", "chosen.eq(best)", CHOSEN),
    ("level & ~failed & (kept == middle - 1)", "level & (kept == middle - 1)", CHOSEN),
    ("else value) >= level", "else value) > level", ""),
    ("if code not in cell.updates[0]", "if False", ""),
    ("value & (beat >= first) if first > 0 else value", "value", ""),
    ("(~last if end == spec.beats - 1 else beat < end)", "Const(1)", ""),
]
#: Two arrays, the second of which has one unit.
TILED = {"units": 3, "lanes": 2, "calibration_cells": 2, "tile_columns": 8}


@pytest.mark.parametrize(("old", "new", "message"), few(CHOICE_FAULTS, (0,)))
def test_planted_faults_of_choices(old, new, message):
    some, array = plan(0, units=2, lanes=1, calibration_cells=2), 0
    if "beat" in old:
        some = plan(0, **TILED)
        array = len(some.tiles) - 1 if ">=" in old else 0
    with planted(CALIBRATOR, old, new):
        is_violated(CalibrationChoiceProof(some, array, invariants=False), 45, message)
