# SPDX-License-Identifier: Apache-2.0
"""Proofs of the boundary's rules on the whole macro: at several sizes, from any reset; covers; planted faults."""

import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.proof import Reset
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.boundary_proof import BoundaryProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated
from tests.support.small_specs import small_spec


def sized(**changes) -> Specification:
    """A small specification with some parameters changed."""
    parameters = {
        "inputs": 2,
        "units": 3,
        "classes": 2,
        "lanes": 2,
        "adc_bits": 2,
        "input_bits": 3,
        "weight_bits": 2,
        "state_bits": 4,
        "state_frac_bits": 2,
        "state_pulse_bits": 3,
        "calibration_cells": 1,
        "settle_clocks": 2,
    }
    return Specification(**parameters | changes)


SMALL = sized()
TINY = sized(inputs=1, units=1, lanes=1, input_bits=2, state_pulse_bits=2, settle_clocks=1)
#: The first conversion's window is longer than the second's.
LONG_FIRST = sized(
    adc_bits=4,
    input_bits=4,
    weight_bits=4,
    state_bits=6,
    gates=(Gate("sigmoid", 2.0), Gate("sigmoid", 2.0), Gate("tanh", 4.0), Gate("sigmoid", 2.0)),
)
SEQUENCER, PULSES, LOADER = "rtl/macro/sequencer.py", "rtl/macro/pulses.py", "rtl/macro/loader.py"
MACRO, RAMP = "rtl/macro/macro.py", "rtl/macro/ramp_counter.py"
slow = pytest.mark.slow


def drawn(rng) -> Specification:
    """Sizes at random, with a projection or without."""
    units = int(rng.integers(1, 8))
    return sized(
        inputs=int(rng.integers(1, 6)),
        units=units,
        lanes=int(rng.integers(1, units + 1)),
        adc_bits=int(rng.integers(2, 5)),
        input_bits=int(rng.integers(2, 5)),
        state_pulse_bits=5,
        settle_clocks=int(rng.integers(1, 5)),
        calibration_cells=int(rng.integers(0, 3)),
        projection=int(rng.integers(0, units + 1)),
        comparator_registers=int(rng.integers(0, 2)),
        latch=str(rng.choice(["last_high", "first_trip"])),
    )


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (SMALL.replace(projection=2), {"compact": True, "quiet": True, "reset": Reset.ANY_TIME}),
        pytest.param(LONG_FIRST, {"reset": Reset.ANY_TIME}, marks=slow),
        pytest.param(SMALL.replace(bias_rows=0, calibration_cells=0), {"reset": Reset.FIRST}, marks=slow),
        pytest.param(TINY, {"values": True}, marks=slow),
        pytest.param(TINY.replace(projection=1), {"compact": True}, marks=slow),
    ],
)
def test_some_sizes(spec, options):
    holds(BoundaryProof(spec, **options), Mode.PROVE, 2)


@slow
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("draw", range(3))
def test_drawn_sizes(compact, draw, rng):
    for _ in range(draw + 1):
        spec = drawn(rng)
    holds(BoundaryProof(spec, compact=compact, quiet=bool(rng.integers(2)), reset=Reset.ANY_TIME), Mode.PROVE, 2)


@slow
def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.parametrize("options", [{}, pytest.param({"compact": True, "reset": Reset.FIRST}, marks=slow)])
def test_covers_are_reached(options):
    holds(BoundaryProof(TINY, **options), Mode.COVER, 38)


@slow
def test_flip_flops_with_any_value_need_a_reset():
    with planted("sim/formal/engine/proof.py", "Assume(self.rst == self.initial)", "Assume(~self.rst)"):
        is_violated(BoundaryProof(SMALL, reset=Reset.FIRST, invariants=False), 8)


@slow
@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("self.assume(m, ~dut.busy | (dut.calibration == self.was_calibration))", "calibration_changes"),
        ("self.assume(m, ~array.integrate | ~self.was_quiet | dut.quiet)", "pulse_not_from_start"),
    ],
)
def test_assumptions_are_needed(old, message):
    with planted("sim/formal/macro/macro_proof.py", old, "pass"):
        is_violated(BoundaryProof(SMALL, quiet=True, invariants=False), 16, message)


#: What decides in which conversions a group of rows or a line is driven.
DRIVE = "drive = sequencer.drive & self._during(sequencer, numbers)"

FAULTS = [
    # file, old, new, what is proven otherwise, the rule that breaks
    (SEQUENCER, "window_over = self.count == spec.windows[0]", "window_over = self.count == 1", {}, "window_length"),
    (SEQUENCER, "window_over = self.count == spec.windows[0]", "window_over = self.count == 2", {}, "window_length"),
    (
        SEQUENCER,
        "with m.If(self.ready):\n                    m.d.comb += [self.drive",
        "with m.If(1):\n                    m.d.comb += [self.drive",
        {},
        "ready_ignored",
    ),
    (SEQUENCER, "with m.Elif(~self.ready):", "with m.Elif(0):", {}, "ready_ignored"),
    (
        SEQUENCER,
        "with m.If(self.ready):\n                    m.d.comb += [self.latch",
        "with m.If(1):\n                    m.d.comb += [self.latch",
        {},
        "ready_ignored",
    ),
    (SEQUENCER, "waited != spec.settle_clocks - 1", "waited < spec.settle_clocks - 2", {}, "hold_too_short"),
    (SEQUENCER, "self.ramp_step & ~self.ramp_last", "self.ramp_step", {}, "tick_outside_hold"),
    (SEQUENCER, "self.ramp_start | (self.ramp_step & ~self.ramp_last)", "self.ramp_start", {}, "tap_changes"),
    (
        SEQUENCER,
        "with m.If(self.ready):\n                    m.d.comb += [self.latch",
        "with m.If(self.ready & ~self.tick):\n                    m.d.comb += [self.latch",
        {},
        "ramp_pauses",
    ),
    (
        SEQUENCER,
        "following.eq(Phase.START), following_second.eq(1)",
        "following.eq(Phase.START)",
        {},
        "conversion_order",
    ),
    (
        SEQUENCER,
        "[self.drive.eq(1), following.eq(Phase.INTEGRATE)]",
        "following.eq(Phase.HOLD)",
        {},
        "hold_without_window",
    ),
    (SEQUENCER, "following.eq(Phase.HOLD)", "following.eq(Phase.UPDATE)", {}, "window_without_hold"),
    (SEQUENCER, "following_second & converting", "following_second", {}, "state_changes"),
    (SEQUENCER, "self.reset[0].eq(~converting)", "self.reset[0].eq(1)", {}, "reset_in_conversion"),
    (SEQUENCER, "self.reset[0].eq(~converting)", "self.reset[0].eq(following == Phase.START)", {}, "no_phase"),
    (SEQUENCER, "self.hold.eq(holding)", "self.hold.eq(following == Phase.HOLD)", {}, "tick_outside_hold"),
    (SEQUENCER, "self.ramp_reset.eq(following == Phase.HOLD)", "self.ramp_reset.eq(holding)", {}, "ramp_reset_outside"),
    (SEQUENCER, "self.ramp_reset.eq(following == Phase.HOLD)", "self.ramp_reset.eq(0)", {}, "ramp_reset_missing"),
    (
        SEQUENCER,
        "self.integrate.eq(following == Phase.INTEGRATE)",
        "self.integrate.eq((following == Phase.INTEGRATE) | (following == Phase.HOLD))",
        {},
        "integrate_in_ramp",
    ),
    (
        SEQUENCER,
        "                    m.d.comb += [self.take.eq(1), following.eq(Phase.START)]",
        "                    m.d.comb += [self.take.eq(1), following.eq(Phase.INTEGRATE)]",
        {"spec": TINY},
        "reset_too_short",
    ),
    (RAMP, "self.last.eq(self.tap[-1])", "self.last.eq(self.tap[-2])", {}, "tick_count"),
    (RAMP, "Cat(self.start, tap)", "Cat(self.start, tap) | 1", {}, "tap_not_one_hot"),
    (RAMP, "Cat(self.start, tap)", "Cat(self.tap[1:], self.start)", {}, "tap_order"),
    (RAMP, "with m.If(self.start | self.step)", "with m.If(self.start | self.tap.any())", {}, "tap_changes"),
    (PULSES, "self.neg.eq(above & self.negative)", "self.neg.eq(above)", {}, "pulse_both_polarities"),
    (PULSES, "Mux(self.drive, expression, 0)", "expression", {}, "pulse_outside_window"),
    (PULSES, "plane & expression, plane | expression", "plane | expression, plane & expression", {}, "pulse_not_from"),
    (LOADER, "~self.full & ~needed", "~self.full", {"compact": True}, "pulse_"),
    (LOADER, "with m.Elif(self.release):", "with m.Else():", {"compact": True}, "pulse_"),
    (MACRO, DRIVE, f"{DRIVE[:-1]} if group in cell.lines else [0, 1])", {}, "row_not_driven"),
    (MACRO, DRIVE, f"{DRIVE[:-1]} if group in cell.row_groups else [0, 1])", {}, "line_not_driven"),
    (MACRO, "driving & (sequencer.count != spec.input_max)", "driving", {}, "pulse_outside_window"),
    (MACRO, "shift, entering = leaving & stored, ", "shift, entering = Const(1), ", {}, "pulse_not_from_start"),
    (
        MACRO,
        "array.calibration.eq(self.calibration)",
        "array.calibration.eq(self.calibration + array.tick)",
        {},
        "calibration_changes",
    ),
]


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=() if index in (3, 26) else slow) for index, fault in enumerate(FAULTS)]
)
def test_planted_faults(fault):
    file, old, new, options, message = fault
    with planted(file, old, new):
        is_violated(BoundaryProof(**({"spec": SMALL} | options), invariants=False), 30, message)


BETWEEN = "Mux(following_second, following == Phase.START, following == Phase.UPDATE)"
#: Of what other cells have: banks that hold, rows of an inner value, pulses that are shorter than their window.
FAULTS_OF_CELLS = [
    ("gru", SEQUENCER, BETWEEN, "following == Phase.UPDATE", "held_reset"),
    ("gru", SEQUENCER, BETWEEN, "following == Phase.START", "no_phase"),
    ("gru", SEQUENCER, "self.reset[1].eq(~(converting | between))", "self.reset[1].eq(0)", "no_phase"),
    ("gru", SEQUENCER, "self.reset[1].eq(~(converting | between))", "self.reset[1].eq(1)", "reset_in_conversion"),
    ("gru", MACRO, DRIVE, "drive = sequencer.drive", "row_not_driven"),
    ("lstm_peephole", MACRO, "drive = drive & self._within(sequencer, bank.bits)", "drive = drive", "pulse_"),
]


@pytest.mark.parametrize("cell", few([name for name in CELLS if name != "lstm"], ()))
def test_cells(cell):
    all_hold(proofs(small_spec(cell=cell, units=2)))


def test_banks_that_hold():
    holds(BoundaryProof(small_spec(cell="gru", units=2), compact=True, reset=Reset.ANY_TIME), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm_peephole", "rnn_relu"])
def test_covers_of_cells_are_reached(cell):
    holds(BoundaryProof(small_spec(cell=cell)), Mode.COVER, 60)


@pytest.mark.parametrize(("cell", "file", "old", "new", "message"), few(FAULTS_OF_CELLS, (0,)))
def test_planted_faults_of_cells(cell, file, old, new, message):
    spec = small_spec(cell=cell, **({"state_pulse_bits": 3} if cell == "lstm_peephole" else {}))
    with planted(file, old, new):
        is_violated(BoundaryProof(spec, invariants=False), 30, message)
