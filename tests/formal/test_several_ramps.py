# SPDX-License-Identifier: Apache-2.0
"""Proofs of macros whose ramps differ in length, and turn: boundary, clocks, latches, banks, units and updates."""

import warnings

import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.state_scale import SpecificationWarning
from crossramp.sim.formal.conversion.banks_proof import BanksProof
from crossramp.sim.formal.conversion.latch_use_proof import LatchUseProof
from crossramp.sim.formal.engine.proof import Reset
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.boundary_proof import BoundaryProof
from crossramp.sim.formal.macro.clocks_proof import ClocksProof, PeriodProof
from crossramp.sim.formal.macro.unit_proof import UnitProof
from crossramp.sim.formal.update.update_proof import UpdateProof

from tests.support.planted import planted
from tests.support.proving import few, holds, is_violated
from tests.support.small_specs import small_spec

LATCHES = ("last_high", "first_trip")

#: 6, 3 and 5 ticks: conversions of 6 and 5, and banks whose ramp ends before the others.
BUMP, RISE, FALL = Gate("gaussian", 2.0), Gate("sigmoid", 2.0), Gate("silu", 2.0, 3)
GATES = (BUMP, RISE, FALL)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", SpecificationWarning)
    SPEC = Specification(
        cell="gru", inputs=2, units=2, classes=2, lanes=2, adc_bits=2, input_bits=2, weight_bits=2, gates=GATES
    )


@pytest.mark.parametrize("registers", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_latches(registers):
    holds(LatchUseProof(SPEC.replace(comparator_registers=registers)), Mode.PROVE, 3)


@pytest.mark.parametrize(
    ("proof", "options"),
    few(
        [(ClocksProof, {}), (BoundaryProof, {}), (PeriodProof, {}), (BanksProof, {"reset": Reset.ANY_TIME})],
        (0,),
    ),
)
def test_macro(proof, options):
    for registers in (0, 1):
        holds(proof(SPEC.replace(comparator_registers=registers), **options), Mode.PROVE, 2)


@pytest.mark.parametrize("update", [0, 1])
def test_updates(update):
    holds(UpdateProof(SPEC, update), Mode.PROVE, 2)


#: Bank g is latched in both conversions, by a ramp of its own: it ends early in the first one alone.
LSTM_GATES = (Gate("sigmoid", 2.0), Gate("gaussian", 2.0, 3), Gate("silu", 2.0, 3), Gate("hard_sigmoid", 2.0, 4))
with warnings.catch_warnings():
    warnings.simplefilter("ignore", SpecificationWarning)
    LSTM = small_spec(units=3, lanes=2, gates=LSTM_GATES)


@pytest.mark.parametrize(
    ("spec", "changes", "compact"),
    few(
        [
            (SPEC, {"comparator_registers": 1}, False),
            *((SPEC, {"latch": latch}, compact) for latch in ("last_high", "first_trip") for compact in (False, True)),
            *((LSTM, {"latch": latch, "comparator_registers": k}, k == 1) for latch in LATCHES for k in (0, 1)),
        ],
        (0,),
    ),
)
def test_units(spec, changes, compact):
    holds(UnitProof(spec.replace(**changes), compact=compact), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("spec", [SPEC, LSTM])
def test_covers_of_units_are_reached(spec):
    holds(UnitProof(spec), Mode.COVER, 80)


MACRO, RAMP, ARITH = "rtl/macro/macro.py", "rtl/macro/ramp_counter.py", "rtl/common/arith.py"
FAULTS = [
    (LatchUseProof, MACRO, "enable = enable & ~over[end]", "enable = enable", "latches the ticks that"),
    (LatchUseProof, RAMP, "self.step & self.tap[end - 1]", "self.tap[end - 2]", "latches the ticks that"),
    (BoundaryProof, MACRO, "ramp.of_second.eq(sequencer.second)", "ramp.of_second.eq(0)", "tick_count"),
    (BoundaryProof, RAMP, "tap = Mux(self.last, 0, tap)", "tap = tap", "tap"),
]


@pytest.mark.parametrize(("proof", "file", "old", "new", "message"), few(FAULTS, (0,)))
def test_planted_faults(proof, file, old, new, message):
    with planted(file, old, new):
        is_violated(proof(SPEC, invariants=False), 40, message)


#: The other way round, so that a ramp that ends early is read in the first update.
EARLY = SPEC.replace(gates=(RISE, BUMP, FALL))
UNIT_FAULTS = [
    # specification, file, old, new, the claim that breaks
    (EARLY, MACRO, "enable = enable & ~over[end]", "enable = enable", "operand r"),
    (EARLY, RAMP, "self.step & self.tap[end - 1]", "self.tap[end - 2]", "operand r"),
    (EARLY, MACRO, "counts[count_name(spec, gate)][: bank.bits]", "counts['count'][: bank.bits]", "operand"),
    (SPEC, RAMP, "falling.eq(~falling)", "falling.eq(falling)", "operand r"),
    (SPEC, RAMP, "Mux(self.start, codes[1]", "Mux(self.start, 1", "operand n"),
]


@pytest.mark.parametrize("registers", few([0, 1], (0,)))
@pytest.mark.parametrize(("spec", "file", "old", "new", "message"), few(UNIT_FAULTS, (0,)))
def test_planted_faults_of_units(spec, file, old, new, message, registers):
    with planted(file, old, new):
        is_violated(UnitProof(spec.replace(comparator_registers=registers), invariants=False), 40, message)


@pytest.mark.slow
def test_an_end_that_is_not_registered_is_found_out():
    with planted(MACRO, "m.d.sync += [ended[end]", "m.d.comb += [ended[end]"):
        is_violated(UnitProof(EARLY.replace(comparator_registers=1), invariants=False), 40, "operand r")


def test_a_wrong_decode_is_found_out():
    with planted(ARITH, "code.as_signed() if bipolar else Cat", "Cat"):
        is_violated(UpdateProof(SPEC, 1, invariants=False), 3, "the value of a code of n")
