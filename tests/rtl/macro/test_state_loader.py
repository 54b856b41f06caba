# SPDX-License-Identifier: Apache-2.0
"""Utterances that start from constants, from a stream, or from the state that another one has kept."""

import numpy as np
import pytest
from crossramp.golden.macro.initial_state import Starts, State
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import MacroRun
from tests.support.planted import planted
from tests.support.strategies import CELLS_WITH_STATE, INITIALS, inputs_of, network_of, seeds, specifications, starts_of

SMALL = Specification(
    inputs=3, units=5, classes=2, lanes=2, adc_bits=3, input_bits=3, state_pulse_bits=4, initial="stream", keeps_state=1
)


def run_of(spec, seed, *, compact=False, probability=0.0, utterances=5):
    """(what the macro showed, what golden says) of utterances of two steps."""
    network, x = network_of(spec, seed), inputs_of(spec, seed, utterances, 2)
    starts, weights = starts_of(spec, seed, utterances), network.weights
    dut = Macro(
        spec,
        compact=compact,
        projection_weights=weights.projection,
        initial=State(weights.initial_register, weights.initial_h),
    )
    rng = np.random.default_rng(seed)
    run = MacroRun(spec, weights, list(x), rng=rng, probability=probability, dut=dut, starts=starts)
    return run, network.play([x], starts)[0]


@pytest.mark.parametrize("cell", CELLS_WITH_STATE)
@given(data=st.data(), seed=seeds, compact=st.booleans())
@settings(max_examples=5)
def test_every_cell_starts_as_golden_does(cell, data, seed, compact):
    spec = data.draw(specifications(max_units=4, max_inputs=3, max_bits=4, cell=cell, initials=INITIALS))
    run, expected = run_of(spec, seed, compact=compact, probability=0.2)
    run.assert_equals(expected)
    run.checker.check_finished()


@pytest.mark.parametrize("initial", ["constant", "stream"])
@pytest.mark.parametrize("compact", [False, True])
def test_clocks_of_a_load(initial, compact, seed):
    """Between utterances, as long as nothing waits; those that go on from one another have no pause."""
    spec = SMALL.replace(initial=initial)
    run, expected = run_of(spec, seed, compact=compact)
    run.assert_equals(expected)
    keep = starts_of(spec, seed, 5).keep
    assert 0 < np.count_nonzero(keep[:-1]) < 4
    firsts = np.array(run.step_clocks[2::2]) - spec.clocks_per_step
    np.testing.assert_array_equal(firsts, np.where(keep[:-1], 0, spec.load_clocks))


@pytest.mark.parametrize("cell", ["lstm_peephole", "rnn_tanh"])
def test_the_lowest_codes_count_as_those_above_them(cell, seed):
    spec = Specification(inputs=2, units=3, classes=1, lanes=2, adc_bits=3, input_bits=3, cell=cell, initial="stream")
    network, x = network_of(spec, seed), inputs_of(spec, seed, 1, 1)
    below = State(np.full((1, 3), -(1 << (spec.state_bits - 1)) if spec.state_bits else 0), np.full((1, 3), -4))
    shown = np.maximum(below.c, -spec.state_max if spec.state_bits else 0), np.full((1, 3), -3)
    starts = Starts(given=below)
    run = MacroRun(spec, network.weights, list(x), rng=np.random.default_rng(seed), dut=Macro(spec), starts=starts)
    run.assert_equals(network.run(x, start=State(*shown)))


INITIAL, MACRO, SEQUENCER = "rtl/macro/state_loader.py", "rtl/macro/macro.py", "rtl/macro/sequencer.py"
FAULTS = {
    "no turn before the first group": (INITIAL, "(self.load & ~begun) | (beat", "(beat"),
    "h of the wrong beats": (INITIAL, "number <= spec.h_beats", "number < spec.h_beats"),
    "loads again after a kept state": (SEQUENCER, "self.x_last & ~self.x_keep", "self.x_last"),
    "does not wait": (SEQUENCER, "starts, follows = self.x_full & (~first_step | self.loaded), ", "follows = "),
    "lines keep the pulse codes of before": (MACRO, "else initial.group)", "else 0)"),
    "one group late": (INITIAL, "beat & (number != beats)", "beat"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_noticed(fault, seed):
    def compare():
        run, expected = run_of(SMALL.replace(cell="lstm_peephole"), seed, compact=True)
        run.assert_equals(expected)

    with planted(*fault), pytest.raises(AssertionError, match=r"Mismatched elements|testbenches are not through"):
        compare()
