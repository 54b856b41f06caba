# SPDX-License-Identifier: Apache-2.0
"""Proof of the recorder of pulses: drawn sizes, shipped boards; covers; planted faults; what it relies on."""

import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.link.recorder_proof import RecorderProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated
from tests.support.small_specs import small_spec

RECORDER = "rtl/emulation/recorder.py"


@pytest.mark.slow
def test_boards_of_a_shipped_model():
    all_hold(proofs(load_model("kws").spec))


@pytest.mark.parametrize("stops", [False, True])
def test_small_size(stops):
    holds(RecorderProof(3, 3, stops), Mode.PROVE, 2)


@pytest.mark.slow
def test_drawn_sizes(rng):
    for lines, bits in ((1, 2), (4, 2), (1, 6), *((int(rng.integers(2, 20)), int(rng.integers(2, 9))) for _ in "123")):
        for stops in (False, True):
            holds(RecorderProof(lines, bits, stops), Mode.PROVE, 2)


@pytest.mark.parametrize("stops", few([True, False], (0,)))
def test_covers_are_reached(stops):
    holds(RecorderProof(2, 3, stops), Mode.COVER, 14)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "lstm_peephole", "gru"])
def test_boards_of_cells(cell):
    all_hold(proofs(small_spec(cell=cell, input_bits=3)))


ADDS = "a clock of a line adds what was recorded"
FAULTS = [
    # old, new, the claim that breaks
    ("write.addr.eq(clock)", "write.addr.eq(0)", ADDS),
    ("write.en.eq(record & ~finished)", "write.en.eq(1)", ADDS),
    ("write.data[: self.lines].eq(self.pos)", "write.data[: self.lines].eq(self.neg)", ADDS),
    ("read.addr.eq(clock)", "read.addr.eq(0)", ADDS),
    ("Mux(first, 0, total)", "total", ADDS),
    ("first.eq(clock == 0)", "first.eq(1)", ADDS),
    ("selected.eq(line)", "selected.eq(0)", ADDS),
    ("bit_select(selected, 1) - read", "bit_select(selected, 1) + read", ADDS),
    ("with m.If(seen):", "with m.If(1):", ADDS),
    ("self.valid.eq(seen & final)", "self.valid.eq(final)", "valid behind"),
    ("final.eq(clock == self.window - 1)", "final.eq(clock == self.window - 2)", "valid behind"),
    ("counting.eq(self.count & ~finished)", "counting.eq(self.count)", "valid behind"),
    ("line.eq(0), finished.eq(0)]", "line.eq(0)]", ADDS),
    ("with m.If(line == self.lines - 1):", "with m.If(0):", "valid behind"),
    ("last.eq(line == self.lines - 1)", "last.eq(line == 0)", "last with"),
]


@pytest.mark.parametrize(("old", "new", "message"), few(FAULTS, (0,)))
def test_planted_faults(old, new, message):
    with planted(RECORDER, old, new):
        is_violated(RecorderProof(2, 3, invariants=False), 18, message)


@pytest.mark.slow
def test_a_recorder_that_does_not_stop_is_found_out():
    with planted(RECORDER, "record = self.record & ~recorded", "record = self.record"):
        is_violated(RecorderProof(2, 3, True, invariants=False), 18)


@pytest.mark.slow
def test_lines_are_counted_behind_the_window():
    """What is counted while the window is open is not what is recorded."""
    with planted("sim/formal/link/recorder_proof.py", "& ~(count & ~whole)", ""):
        is_violated(RecorderProof(2, 3, invariants=False), 14)
