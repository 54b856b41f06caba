# SPDX-License-Identifier: Apache-2.0
"""Proofs of the cell update: at drawn widths, the widest ones and those of the shipped models; planted faults."""

import warnings

import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.spec.row_sums import SUM_CELL
from crossramp.golden.spec.row_tile import row_tiles_of
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.state_scale import SpecificationWarning
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.update.cell_equations import EQUATIONS
from crossramp.sim.formal.update.update_proof import UpdateLanesProof, UpdateProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated

UPDATE, LANE = "rtl/macro/update.py", "rtl/macro/update_lane.py"
ARITH, EXACT = "rtl/common/arith.py", "golden/cell/exact.py"


def widths(adc=3, pulses=3, weights=4, state=7, frac=4, state_pulses=4, activations="ssts", **more) -> Specification:
    """A specification of few bits; ``activations`` by their first letters, in the order of the gates."""
    names = {"s": "sigmoid", "t": "tanh", "h": "hard_sigmoid"}
    gates = tuple(Gate(names[letter], 2.0) for letter in activations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpecificationWarning)  # of a full scale that does not reach every code
        return Specification(
            **({"inputs": 1, "units": 1, "classes": 2} | more),
            **{"adc_bits": adc, "input_bits": pulses, "weight_bits": weights, "state_bits": state},
            **{"state_frac_bits": frac, "state_pulse_bits": state_pulses, "gates": gates},
        )


def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize("activations", ["ssts", "ttss", "shth", "tttt"])
def test_drawn_widths(activations, rng):
    for _ in range(3):
        state, units = int(rng.integers(3, 25)), int(rng.integers(2, 7))
        spec = widths(
            *(int(rng.integers(2, 9)) for _ in range(3)),
            *(state, int(rng.integers(0, state)), 10, activations),
            **{"units": units, "lanes": int(rng.integers(2, units + 1))},
        )
        all_hold(proofs(spec))


@pytest.mark.slow
@pytest.mark.parametrize("frac", [0, 12, 23])
def test_widest(frac):
    """No specification has more bits than these."""
    all_hold(proofs(widths(8, 8, 8, 24, frac, 10)))


@pytest.mark.parametrize("bits", [2, 5, 9])
def test_partial_sums(bits):
    """Codes of linear ramps become pulses without any rounding."""
    whole = Specification(inputs=4, units=3, classes=0, lanes=2, partial_rows=4, partial_bits=bits)
    (tile, *_) = row_tiles_of(whole).values()
    all_hold(proofs(tile))


def test_covers_are_reached():
    for update in range(2):
        holds(UpdateProof(widths(), update), Mode.COVER, 3)
    holds(UpdateLanesProof(widths(units=3, lanes=2)), Mode.COVER, 3)


def of_cell(cell: str, bits: int = 3, **changes) -> Specification:
    """A specification of another cell with few bits."""
    sizes = {"inputs": 1, "units": 2, "classes": 2, "adc_bits": bits, "input_bits": bits, "weight_bits": bits}
    return Specification(cell=cell, **(sizes | changes))


def test_every_cell_has_equations():
    assert EQUATIONS.keys() == {*CELLS, SUM_CELL}


@pytest.mark.parametrize("cell", few(["gru", "rnn_relu", "lstm_coupled", "gru_reset_after", "lstm_peephole"], (0, 1)))
def test_cells(cell):
    all_hold(proofs(of_cell(cell)))


@pytest.mark.slow
@pytest.mark.parametrize("cell", [name for name in CELLS if name != "lstm"])
def test_cells_at_drawn_widths(cell, rng):
    register = CELLS[cell].register is not None
    bits, whole, frac = int(rng.integers(2, 7)), int(rng.integers(1, 4)), int(rng.integers(2, 12))
    changes = {"state_bits": whole + frac, "state_frac_bits": frac} if register else {}
    spec = of_cell(cell, bits, input_bits=int(rng.integers(2, 7)), lanes=int(rng.integers(1, 3)), **changes)
    all_hold(proofs(spec))
    for update in range(len(spec.conversions)):
        holds(UpdateProof(spec, update), Mode.COVER, 3)


FAULTS = [
    # file, old, new, the update, the claim that breaks
    (ARITH, "- value[-1]", "", 0, "new_c is the reference's"),
    (ARITH, "Const(1 << (shift - 1))", "Const(1 << shift)", 1, "new_h is the reference's"),
    (ARITH, "value < -limit, low", "value < -limit - 1, low", 0, "new_q is"),
    (ARITH, "top = ~code[-1] if bipolar else code[-1]", "top = code[-1]", 0, "the value of a code of g"),
    (
        LANE,
        "(exact << (self.spec.input_bits - 1)) - exact",
        "exact << (self.spec.input_bits - 1)",
        1,
        "new_h is the reference's",
    ),
    (LANE, "Mux(second, by_update[1], by_update[0])", "Mux(second, by_update[0], by_update[1])", 1, "holds o · g"),
    (
        LANE,
        "with self.m.If(self.step):\n            self.m.d.sync += register",
        "with self.m.If(self.step | 1):\n            self.m.d.sync += register",
        0,
        "holds f · c",
    ),
    (EXACT, "left.at(finer) + right.at(finer)", "left.at(finer) + right.value", 0, "new_c is the reference's"),
]


MADE = 'getattr(self, f"new_{name}")[lane].eq(value)'
CODES = 'getattr(self, f"code_{gate}")[lane]'
LANE_FAULTS = [
    # old, new: as planted, a lane differs from one that is alone
    ("self.register[lane]", "self.register[0]", "the c of a lane"),
    (CODES, CODES.replace("[lane]", "[-1]"), "of a lane is that"),
    (MADE, MADE.replace("[lane]", "[self.spec.lanes - 1 - lane]"), "of a lane is that"),
    (MADE, MADE.replace("(value)", '(value if name != "q" or lane == 0 else -value)'), "the q of a lane"),
    (MADE, MADE.replace("(value)", '(value if name != "h" or lane == 0 else -value)'), "the h of a lane"),
]


@pytest.mark.parametrize(("old", "new", "message"), few(LANE_FAULTS, (0,)))
def test_planted_faults_of_lanes(old, new, message):
    with planted(UPDATE, old, new):
        is_violated(UpdateLanesProof(widths(units=3, lanes=2), invariants=False), 3, message)


FAULTS_OF_CELLS = [
    ("gru", EXACT, "left.at(finer) - right.at(finer)", "left.at(finer) - right.value", 1, "holds z · apart"),
    ("gru", EXACT, "left.at(finer) - right.at(finer)", "left.at(finer) + right.at(finer)", 1, "holds z · apart"),
    ("gru", LANE, "fresh[name] if name in fresh else self._keep(name)", "self._keep(name)", 1, "new_h is"),
    ("gru_reset_after", LANE, "exact * rule.multiplier", "exact * (rule.multiplier + 16)", 0, "new_q is"),
    ("lstm_coupled", LANE, "sync += kept.eq(operand.value)", "comb += kept.eq(operand.value)", 0, "holds c"),
    ("rnn_tanh", LANE, "(exact << (self.spec.input_bits - 1)) - exact", "exact << self.spec.input_bits", 0, "new_h"),
]


@pytest.mark.parametrize(("file", "old", "new", "update", "message"), few(FAULTS))
def test_planted_faults(file, old, new, update, message):
    with planted(file, old, new):
        is_violated(UpdateProof(widths(), update, invariants=False), 3, message)


@pytest.mark.parametrize(("cell", "file", "old", "new", "update", "message"), few(FAULTS_OF_CELLS, (0,)))
def test_planted_faults_of_cells(cell, file, old, new, update, message):
    with planted(file, old, new):
        is_violated(UpdateProof(of_cell(cell), update, invariants=False), 3, message)
