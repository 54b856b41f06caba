# SPDX-License-Identifier: Apache-2.0
"""Proofs of the pulses: at drawn sizes and those of the shipped models; covers; planted faults."""

import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.sim.formal.conversion.pulse_proof import PulseProof, proofs
from crossramp.sim.formal.engine.solver import Mode

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated
from tests.support.small_specs import small_spec

MACRO, PULSES, LOADER, SEQUENCER = (f"rtl/macro/{name}.py" for name in ("macro", "pulses", "loader", "sequencer"))


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("projection", [0, 2])
def test_drawn_sizes(compact, projection, rng):
    units = int(rng.integers(2, 6))
    spec = small_spec(
        inputs=int(rng.integers(1, 6)),
        units=units,
        lanes=int(rng.integers(1, units + 1)),
        input_bits=int(rng.integers(2, 5)),
        state_pulse_bits=int(rng.integers(4, 6)),
        bias_rows=int(rng.integers(1, 3)),
        projection=projection,
    )
    holds(PulseProof(spec, compact=compact, quiet=bool(rng.integers(2))), Mode.PROVE, 3)


def test_small_size():
    spec = small_spec(inputs=3, units=3, lanes=2, input_bits=3, state_pulse_bits=4)
    holds(PulseProof(spec, quiet=True), Mode.PROVE, 3)


def test_size_of_the_shipped_network():
    holds(PulseProof(load_model("kws").spec), Mode.PROVE, 3)


@pytest.mark.slow
def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
def test_covers_are_reached(compact):
    spec = small_spec(input_bits=3, state_pulse_bits=3)
    holds(PulseProof(spec, compact=compact, quiet=True), Mode.COVER, 48)


FAULTS = [
    # file, old, new, the claim that breaks
    (PULSES, "Mux(self.drive, expression, 0)", "Mux(self.drive & (self.count != 0), expression, 0)", "x: the"),
    (PULSES, "above & ~self.negative", "above", "x: the positive line"),
    (MACRO, "drive = drive & ~from_zero", "drive = drive", "h: the"),
    (MACRO, "shift, entering = leaving & stored, ", "shift, entering = leaving & ~stored, ", ""),
]
MORE_FAULTS = [
    (PULSES, "Mux(lowest, (1 << bits) - 1,", "Mux(lowest, 0,", "x: the"),
    (PULSES, "Mux(code[-1], -code, code)[:bits]", "Mux(code[-1], ~code, code)[:bits]", "x: the"),
    (PULSES, "self.neg.eq(above & self.negative)", "self.neg.eq(above)", "x: the negative line"),
    (PULSES, "Mux(self.drive, expression, 0)", "expression", "x: the"),
    (
        PULSES,
        "Mux(self.count[bit], plane & expression, plane | expression)",
        "Mux(self.count[bit], plane | expression, plane & expression)",
        "x: the",
    ),
    (
        PULSES,
        "Cat(plane[self.lanes :], *(code[bit] for code in entering))",
        "Cat(*(code[bit] for code in entering), plane[: -self.lanes])",
        "x: the",
    ),
    (MACRO, "(sequencer.count != spec.input_max)", "(sequencer.count < spec.input_max - 1)", "bias row"),
    (
        MACRO,
        "driven = sequencer.drive & driving & (sequencer.count != spec.input_max)",
        "driven = sequencer.drive & driving",
        "bias row",
    ),
    (MACRO, "drive = sequencer.drive & self._during(sequencer, numbers)", "drive = sequencer.drive", ""),
    (MACRO, "_pos.eq(Cat(line.pos for line in lines))", "_pos.eq(Cat(line.neg for line in lines))", "q: the"),
    (
        MACRO,
        "Const(0, spec.bias_rows) if group == BIAS else",
        "bias.replicate(spec.bias_rows) if group == BIAS else",
        "never driven negatively",
    ),
    (
        MACRO,
        "else rows[group].pos for group in cell.row_groups",
        'else rows["h" if group == "x" else "x"].pos for group in cell.row_groups',
        "positive line",
    ),
    (LOADER, "self.x.ready.eq(~self.full | self.take)", "self.x.ready.eq(1)", "x: the"),
    (LOADER, "bank.shift.eq(self.x.valid & self.x.ready)", "bank.shift.eq(self.x.valid)", "x: the"),
    (LOADER, ", magnitude.eq(bank.magnitude)]", "]", "x: the"),
    (LOADER, "with m.If(loaded == self.inputs - 1):", "with m.If(loaded == 0):", "x: the"),
    (SEQUENCER, "first_step.eq(fresh)", "first_step.eq(0)", "h: the"),
    (SEQUENCER, "self.count.eq(1)", "self.count.eq(0)", ""),
]
# Two magnitudes, for faults of the first window; and one, for faults that take a step to show.
LONG, SHORT = small_spec(inputs=2, input_bits=3, state_pulse_bits=3), small_spec(inputs=2, units=2)


ONLY_A = 'drive = drive if group == "a" else drive & ~from_zero'
ALSO_FIRST = 'self._during(sequencer, [0, 1] if group == "k" else numbers)'
#: Rows and lines that an LSTM does not have: a line that the step before drives, rows of an inner value, and pulses
#: that are shorter than their window.
FAULTS_OF_CELLS = [
    ("lstm_peephole", MACRO, "drive = drive & ~from_zero", ONLY_A, "a: the"),
    ("gru", MACRO, "self._during(sequencer, numbers)", ALSO_FIRST, "k: the"),
    ("gru", MACRO, "shift, entering = leaving & stored, ", "shift, entering = leaving & ~stored, ", "k: the"),
    ("lstm_peephole", MACRO, "drive = drive & self._within(sequencer, bank.bits)", "drive = drive", ": the"),
    (
        "lstm_peephole",
        MACRO,
        "sequencer.drive & driving & self._within(sequencer, spec.input_bits)",
        "sequencer.drive & driving",
        "bias row",
    ),
]


@pytest.mark.parametrize("cell", few(["lstm_peephole", "gru", "gru_reset_after", "dense"], (0,)))
def test_cells(cell):
    spec = small_spec(cell=cell, inputs=2, units=3, lanes=2, input_bits=2 if cell == "lstm_peephole" else 3)
    for compact in (False, True):
        holds(PulseProof(spec, compact=compact, quiet=True), Mode.PROVE, 3)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm_peephole", "gru", "gru_reset_after", "rnn_relu"])
def test_covers_of_cells_are_reached(cell):
    holds(PulseProof(small_spec(cell=cell), quiet=True), Mode.COVER, 60)


@pytest.mark.parametrize(("cell", "file", "old", "new", "message"), few(FAULTS_OF_CELLS))
def test_planted_faults_of_cells(cell, file, old, new, message):
    spec = small_spec(cell=cell, **({"state_pulse_bits": 3} if cell == "lstm_peephole" else {}))
    with planted(file, old, new):
        is_violated(PulseProof(spec, invariants=False), 40, message)


@pytest.mark.parametrize(("file", "old", "new", "message"), few(FAULTS))
def test_planted_faults(file, old, new, message):
    with planted(file, old, new):
        is_violated(PulseProof(LONG if message.startswith("x") else SHORT, invariants=False), 32, message)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "message"), MORE_FAULTS)
def test_more_planted_faults(file, old, new, message):
    test_planted_faults(file, old, new, message)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (LOADER, "~self.full & ~needed", "~self.full"),
        (LOADER, "with m.Elif(self.release):", "with m.Else():"),
        (MACRO, "sequencer.hold & self._during(sequencer, [0])", "sequencer.integrate & self._during(sequencer, [0])"),
    ],
)
def test_planted_faults_of_compact_hardware(file, old, new):
    longer = small_spec(inputs=2, input_bits=4, state_pulse_bits=4)  # codes that load too early need some clocks
    with planted(file, old, new):
        is_violated(PulseProof(longer, compact=True, invariants=False), 18, "x: the")


@pytest.mark.slow
def test_a_second_window_that_closes_too_early():
    with planted(SEQUENCER, "window_over.eq(self.count == spec.windows[1])", "window_over.eq(1)"):
        is_violated(PulseProof(small_spec(state_pulse_bits=3), invariants=False), 24, "window has its length")


@pytest.mark.slow
def test_a_quiet_bias_row_that_is_driven():
    with planted(MACRO, "driven & ~self.quiet", "driven"):
        is_violated(PulseProof(LONG, quiet=True, invariants=False), 12, "bias row")
