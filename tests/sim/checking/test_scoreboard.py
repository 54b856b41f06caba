# SPDX-License-Identifier: Apache-2.0
"""The scoreboard of whole runs alone: it says in which utterance of all batches a value is wrong."""

from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.golden.spec.specification import Specification
from crossramp.sim.checking.scoreboard import (
    STEP_QUANTITIES,
    MismatchError,
    Scoreboard,
    compare_bulk,
    expected_traces,
)

from tests.support.chips import device_of
from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=3, units=2, classes=3, adc_bits=3, input_bits=3)


def run(seed):
    """A network, two batches of different sizes, and the result of a simulator that is always right."""
    network = network_of(SPEC, seed)
    batches = [inputs_of(SPEC, seed, batch=2, steps=3), inputs_of(SPEC, seed + 1, batch=4, steps=2)]
    traces = []
    for golden in map(network.run, batches):
        steps = {name: np.array(getattr(golden.steps, name)) for name in STEP_QUANTITIES}
        traces.append(SimpleNamespace(**steps, logits=golden.logits.copy(), answers=golden.answers.copy()))
    return network, batches, SimpleNamespace(traces=traces)


def test_all_values_of_all_batches_are_compared(seed):
    board = compare_bulk(*run(seed))
    board.check(*STEP_QUANTITIES, "logits", "answers")
    assert board.compared["codes"] == (2 * 3 + 4 * 2) * SPEC.columns
    assert board.compared["answers"] == 2 + 4


@pytest.mark.parametrize(
    ("quantity", "batch", "at", "where"),
    [
        ("h", 0, (1, 2, 1), "utterance 1, step 2, unit 1"),
        *((name, 1, (2, 1, 0), "utterance 4, step 1, unit 0") for name in ("c", "state_pulses", "state_codes", "h")),
        ("codes", 1, (1, 0, SPEC.column("g", 1)), "utterance 3, step 0, bank g, unit 1"),
        ("logits", 1, (3, 2), "utterance 5, class 2"),
        ("answers", 1, (0,), "utterance 2"),
    ],
)
def test_one_wrong_value_is_named(quantity, batch, at, where, seed):
    network, batches, result = run(seed)
    values = getattr(result.traces[batch], quantity)
    good = int(values[at])
    values[at] ^= 1
    board = compare_bulk(network, batches, result)
    assert board.wrong == board.mismatched[quantity] == 1
    with pytest.raises(MismatchError, match=f"{quantity}, {where}: expected {good}, got {good ^ 1}$"):
        board.check()


def test_arrays_of_nothing_are_no_comparison():
    board = Scoreboard(SPEC)
    empty = np.zeros((0, 2, 2), np.int64)
    board.compare("h", empty, empty)
    with pytest.raises(MismatchError, match="no h was compared"):
        board.check("h")
    with pytest.raises(MismatchError, match="nothing was compared"):
        board.check()
    board.compare("c", np.ones((1, 2, 2), np.int64), np.ones((1, 2, 2), np.int64))
    board.check("c")
    for quantities in (("h",), ("c", "h"), ("logits",)):
        with pytest.raises(MismatchError, match=f"no {quantities[-1]} was compared"):
            board.check(*quantities)


@pytest.mark.parametrize("shape", [(1, 3, 2), (2, 1, 2), (2, 3, 1), (2, 3), (3, 2), ()])
def test_arrays_that_would_be_broadcast_are_refused(shape):
    """A single value, equal to all, must not count as all of them."""
    board = Scoreboard(SPEC)
    whole, part = np.ones((2, 3, 2), int), np.ones(shape, int)
    for expected, got in ((whole, part), (part, whole)):
        with pytest.raises(MismatchError, match="expected the shape"):
            board.compare("h", expected, got)
    assert board.total == 0


def test_a_batch_that_is_missing_is_an_error(seed):
    network, batches, result = run(seed)
    del result.traces[1]
    with pytest.raises(ValueError, match="shorter"):
        compare_bulk(network, batches, result)


def test_counts_add_up_and_are_reported():
    """By quantity, over several comparisons; five mismatches are listed, all are counted."""
    board = Scoreboard(SPEC)
    for number in range(3):
        board.compare("h", np.zeros((1, 3, 2), int), np.full((1, 3, 2), number), number)
    board.compare("answers", np.array([1, 2]), np.array([1, 0]), 7)
    assert board.compared == {"h": 18, "answers": 2}
    assert board.mismatched == {"h": 12, "answers": 1}
    assert (board.total, board.wrong) == (20, 13)
    lines = board.report().splitlines()
    assert lines[0] == "13 of 20 values differ from the golden model"
    places = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert lines[1:] == [f"  h, utterance 1, step {k}, unit {unit}: expected 0, got 1" for k, unit in places]
    assert str(board.mismatches[-1]) == "answers, utterance 8: expected 2, got 0"


def test_the_noise_of_a_batch_goes_on_where_the_one_before_ended(seed):
    """Three batches of a noisy chip are one of all their utterances; and so is a part, told where it begins."""
    network = network_of(SPEC, seed)
    chip = device_of(SPEC, network.weights, seed)
    x = inputs_of(SPEC, seed, batch=6, steps=3)
    (whole,) = expected_traces(network, x, chip)
    parts = expected_traces(network, [x[:1], x[1:4], x[4:]], chip)
    for name in STEP_QUANTITIES:
        found = np.concatenate([getattr(part.steps, name) for part in parts])
        np.testing.assert_array_equal(found, getattr(whole.steps, name))
    (later,) = expected_traces(network, x[4:], chip, first=2 * 3 * 4)
    np.testing.assert_array_equal(later.steps.codes, whole.steps.codes[4:])
    (other,) = expected_traces(network, x[4:], chip)
    assert (other.steps.codes != later.steps.codes).any(), "the chip has too little noise to show anything"
