# SPDX-License-Identifier: Apache-2.0
"""``verify``: what is observed is compared value by value, utterance by utterance, whatever the blocks."""

import numpy as np
import pytest
from crossramp.cli import verification
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.macro.trace import QUANTITIES, Trace
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.scoreboard import MismatchError
from crossramp.sim.checking.simulation_result import SimulationResult

from tests.cli.conftest import small_model


@pytest.fixture
def case(monkeypatch, seed):
    """A network, a noisy chip, 5 utterances, and what hardware shows that equals the golden model."""
    network = small_model().network
    chip = device(load("rram").replace({"cell.read_noise": 0.3}), network.spec, network.weights.macro, 7)
    x = np.random.default_rng(seed).integers(-7, 8, (5, 3, 5))
    array = ArraySetup(chip)
    (trace,) = expected_traces(network, x, array)
    observed = {name: getattr(trace, name).copy() for name in QUANTITIES}
    observed["end_clocks"] = np.tile([0, 38, 76], (5, 1))

    def simulated(*_):
        return SimulationResult([Trace(**observed)], network.spec, "icarus", clocks=0)

    monkeypatch.setattr(verification, "_simulate", simulated)
    monkeypatch.setattr(verification, "_BLOCK", 2)
    return observed, lambda: verification.verify(network, x, "icarus", array)


def test_blocks_count_what_one_comparison_counts(case):
    observed, run = case
    outcome = run()
    board, each = outcome.board, sum(observed[name][0].size for name in QUANTITIES)
    assert board.compared_by_utterance.tolist() == [each] * 5
    assert (board.mismatched_by_utterance.tolist(), board.first_by_utterance) == ([0] * 5, [None] * 5)
    assert outcome.clocks_per_step == 38
    observed["h"][3] ^= 1
    observed["codes"][4, 1, 5] += 1
    observed["codes"][4, 2, 6] += 1
    observed["answers"][0] += 1
    outcome = run()
    board = outcome.board
    assert board.compared_by_utterance.tolist() == [each] * 5
    assert board.mismatched_by_utterance.tolist() == [1, 0, 0, observed["h"][3].size, 2]
    code, answer = observed["codes"][4, 1, 5], observed["answers"][0]
    assert str(board.first_by_utterance[0]) == f"answers: expected {answer - 1}, got {answer}"
    assert board.first_by_utterance[1:3] == [None, None]
    assert str(board.first_by_utterance[3]).startswith("h, step 0, unit 0: expected ")
    spec = outcome.result.spec
    bank, unit = spec.bank_of_column(5), spec.unit_of_column(5)
    assert (
        str(board.first_by_utterance[4]) == f"codes, step 1, bank {bank}, unit {unit}: expected {code - 1}, got {code}"
    )
    assert outcome.observed.answers.tolist() == observed["answers"].tolist() != outcome.golden.answers.tolist()


@pytest.mark.parametrize("name", QUANTITIES)
def test_arrays_of_another_shape_are_no_comparison(case, name):
    """Of one value for all, with an axis of one more: none of them is spread over the golden values."""
    observed, run = case
    whole = observed[name]
    changes = [*[whole.take([0], axis) for axis in range(1, whole.ndim)], whole[..., None]]
    for changed in changes:
        observed[name] = changed
        with pytest.raises(MismatchError, match=rf"^{name}: expected the shape \(.*, got \("):
            run()


def test_utterances_that_are_missing_are_an_error(case):
    observed, run = case
    observed |= {name: values[:4] for name, values in observed.items()}
    with pytest.raises(RuntimeError, match="the simulation gave 4 of 5 utterances"):
        run()
