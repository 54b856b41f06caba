# SPDX-License-Identifier: Apache-2.0
"""Proofs of a unit through its steps: at drawn sizes and those of the shipped models; covers; planted faults."""

import pytest
from crossramp.sim.formal.engine.proof import Reset
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.macro.unit_proof import UnitProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated
from tests.support.small_specs import small_spec

MACRO, UPDATE, SEQUENCER, CAPTURE = (f"rtl/macro/{name}.py" for name in ("macro", "update", "sequencer", "capture"))


@pytest.mark.parametrize("latch", ["last_high", pytest.param("first_trip", marks=pytest.mark.slow)])
def test_small_size(latch):
    holds(UnitProof(small_spec(units=3, lanes=2, latch=latch)), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("latch", ["last_high", "first_trip"])
@pytest.mark.parametrize("projection", [0, 2])
@pytest.mark.parametrize("registers", [0, 1])
def test_drawn_sizes(latch, projection, registers, rng):
    units = int(rng.integers(2, 8))
    spec = small_spec(
        units=units,
        lanes=int(rng.integers(1, units + 1)),
        adc_bits=int(rng.integers(2, 5)),
        latch=latch,
        projection=projection,
        comparator_registers=registers,
        settle_clocks=int(rng.integers(1, 4)),
        state_pulse_bits=4,
    )
    holds(UnitProof(spec, compact=bool(rng.integers(2))), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("reset", [Reset.ANY_TIME, Reset.FIRST])
def test_reset(reset):
    holds(UnitProof(small_spec(units=3, lanes=2), reset=reset), Mode.PROVE, 3)


@pytest.mark.slow
def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
def test_covers_are_reached(compact):
    holds(UnitProof(small_spec(units=2), compact=compact), Mode.COVER, 48)


FAULTS = [
    # file, old, new, the claim that breaks
    (MACRO, "latch & ~sequencer.second", "latch", "operand o"),
    (MACRO, "comparators[spec.bank(gate)]", 'comparators[spec.bank("i")]', "operand"),
]
MORE_FAULTS = [
    (MACRO, "kept if before is None else Mux(before, 0, kept)", "kept", "operand c"),
    (MACRO, 'f"code_{gate}").eq(bank.codes)', 'f"code_{gate}").eq(banks["i"].codes)', "operand"),
    (MACRO, "(entering & used)", "entering", "operand o"),
    (MACRO, "(entering & used)", "(leaving & used)", ""),
    (
        MACRO,
        "leaving & self._during(sequencer, [stored])",
        "leaving",
        "the store is written",
    ),
    (MACRO, "entering & self._during(sequencer, turns)", "entering", "the store is read"),
    (MACRO, 'getattr(update, f"new_{cell.register}")', "ring.bottom", "c is stored"),
    (MACRO, "update.step.eq(entering)", "update.step.eq(sequencer.update)", ""),
    (MACRO, "update.second.eq(sequencer.second)", "update.second.eq(~sequencer.second)", "knows its half"),
    (MACRO, "read_strobe(number)).eq(entering & now)", "read_strobe(number)).eq(entering)", "monitor shows"),
    (MACRO, "stored_strobe(number)).eq(leaving & now)", "stored_strobe(number)).eq(entering & now)", ""),
    (
        MACRO,
        'getattr(monitor, name).eq(getattr(update, f"new_{name}"))',
        'getattr(monitor, name).eq(getattr(update, f"new_{stored[0]}"))',
        "shows q as it is computed",
    ),
    (MACRO, "code if lane < present else Mux(final, 0, code)", "code", "lanes beyond"),
    (MACRO, "(~occupied | leaving)", "1", ""),
    (MACRO, "(beat != spec.beats) & ", "", ""),
    (UPDATE, "ring.eq(written.rotate_right(width))", "ring.eq(ring.rotate_right(width))", "operand c"),
    (UPDATE, "m.d.sync += ring.eq(written)", "pass", "operand c"),
    (SEQUENCER, "m.d.comb += following_second.eq(0)", "pass", ""),
    (SEQUENCER, "first_step.eq(fresh)", "first_step.eq(0)", "operand c"),
    (CAPTURE, "Const(0, self.lanes * bits)", "codes[-self.lanes * bits :]", ""),
    (CAPTURE, "Cat(codes)[self.lanes * bits :]", "Cat(codes)[bits:]", "operand"),
    (CAPTURE, "gray_to_binary(gray)", "gray", "operand"),
]


#: Of an update that another cell has: the register read by both updates of a GRU, a bank that the second one reads.
FAULTS_OF_CELLS = [
    ("gru", MACRO, "if read or k == stored]", "if k == stored]", "store is read"),
    ("gru", MACRO, "kept if before is None else Mux(before, 0, kept)", "kept", "operand s"),
    ("gru", MACRO, "(False, True): latch & sequencer.second", "(False, True): latch", "operand n"),
    ("gru", MACRO, "(entering & used)", "entering", "operand z"),
    ("rnn_tanh", MACRO, "comparators[spec.bank(gate)]", "comparators[spec.bank(gate)][::-1]", "operand a"),
]


@pytest.mark.parametrize("cell", few(["gru", "lstm_peephole", "rnn_tanh", "gru_reset_after"], (0,)))
def test_cells(cell):
    for compact in (False, True):
        holds(UnitProof(small_spec(cell=cell, units=3, lanes=2), compact=compact), Mode.PROVE, 2)


@pytest.mark.parametrize(("cell", "file", "old", "new", "message"), few(FAULTS_OF_CELLS, (0,)))
def test_planted_faults_of_cells(cell, file, old, new, message):
    with planted(file, old, new):
        is_violated(UnitProof(small_spec(cell=cell, units=3, lanes=2), invariants=False), 40, message)


@pytest.mark.parametrize(("file", "old", "new", "message"), FAULTS)
def test_planted_faults(file, old, new, message):
    with planted(file, old, new):
        is_violated(UnitProof(small_spec(units=3, lanes=2), invariants=False), 40, message)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "message"), MORE_FAULTS)
def test_more_planted_faults(file, old, new, message):
    test_planted_faults(file, old, new, message)
