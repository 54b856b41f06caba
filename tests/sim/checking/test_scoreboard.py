# SPDX-License-Identifier: Apache-2.0
"""The one comparison: it names each planted difference, counts, and refuses to pass where nothing was compared."""

import numpy as np
import pytest
from crossramp.golden.macro.trace import QUANTITIES, STEP_QUANTITIES, Trace
from crossramp.golden.spec.specification import Specification
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.array.programming import Programming
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.scoreboard import MismatchError, Scoreboard, compare_traces

from tests.support.chips import device_of
from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=3, units=2, classes=3, adc_bits=3, input_bits=3)


def run(seed, spec=SPEC):
    """A network, two batches of different sizes, golden traces, and those of a simulator that is always right."""
    network = network_of(spec, seed)
    batches = [inputs_of(spec, seed, batch=2, steps=3), inputs_of(spec, seed + 1, batch=4, steps=2)]
    golden = expected_traces(network, batches)
    shown = [Trace(**{name: getattr(trace, name).copy() for name in QUANTITIES}) for trace in golden]
    return golden, shown


def test_all_values_of_all_batches_are_compared(seed):
    board = compare_traces(SPEC, *run(seed))
    board.check()
    assert tuple(board.compared) == QUANTITIES
    assert board.compared["codes"] == (2 * 3 + 4 * 2) * SPEC.columns
    assert board.compared["answers"] == 2 + 4
    assert board.compared_by_utterance.sum() == board.total
    assert board.first_by_utterance == [None] * 6


@pytest.mark.parametrize(
    ("quantity", "batch", "at", "where"),
    [
        ("h", 0, (1, 2, 1), "utterance 1, h, step 2, unit 1"),
        *((name, 1, (2, 1, 0), f"utterance 4, {name}, step 1, unit 0") for name in STEP_QUANTITIES[1:]),
        ("codes", 1, (1, 0, SPEC.column("g", 1)), "utterance 3, codes, step 0, bank g, unit 1"),
        ("logits", 1, (3, 2), "utterance 5, logits, class 2"),
        ("answers", 1, (0,), "utterance 2, answers"),
    ],
)
def test_one_wrong_value_is_named(quantity, batch, at, where, seed):
    golden, shown = run(seed)
    values = getattr(shown[batch], quantity)
    good = int(values[at])
    values[at] ^= 1
    board = compare_traces(SPEC, golden, shown)
    assert board.wrong == board.mismatched[quantity] == 1
    assert board.mismatched_by_utterance[2 * batch + at[0]] == 1
    with pytest.raises(MismatchError, match=f"  {where}: expected {good}, got {good ^ 1}$"):
        board.check()


def test_values_after_every_step_are_named(seed):
    spec = SPEC.replace(readout="step")
    golden, shown = run(seed, spec)
    shown[1].logits[2, 1, 0] += 1
    shown[1].answers[3, 0] += 1
    board = compare_traces(spec, golden, shown)
    assert [str(one).partition(":")[0] for one in board.first_by_utterance[4:]] == [
        "logits, step 1, class 0",
        "answers, step 0",
    ]


def test_the_first_difference_is_the_one_that_arises_first(seed):
    """By step, then from codes to answers: what follows from a wrong c is not named before it."""
    golden, shown = run(seed)
    shown[0].codes[0, 2, 0] ^= 1
    shown[0].h[0, 1, 0] ^= 1
    shown[0].c[0, 1, 1] ^= 1
    shown[0].logits[0, 0] ^= 1
    board = compare_traces(SPEC, golden, shown)
    places = [str(one).partition(":")[0] for one in board.mismatches]
    assert places == ["c, step 1, unit 1", "h, step 1, unit 0", "codes, step 2, bank i, unit 0", "logits, class 0"]
    assert board.first_by_utterance[0] is board.mismatches[0]
    assert board.first_by_utterance[1:] == [None] * 5


def test_quantities_that_are_not_there_are_an_error(seed):
    golden, shown = run(seed)
    with pytest.raises(MismatchError, match="no quantity was named"):
        Scoreboard(SPEC).compare(golden[0], shown[0], ())
    with pytest.raises(MismatchError, match=r"^macs: nothing was observed; an array behind"):
        Scoreboard(SPEC).compare(golden[0], shown[0], ("macs",))
    for name in QUANTITIES:
        with pytest.raises(MismatchError, match=f"^{name}: nothing was observed$"):
            Scoreboard(SPEC).compare(golden[0], shown[0].replace(**{name: None}))
        with pytest.raises(MismatchError, match=f"^{name}: the golden trace has no such value"):
            Scoreboard(SPEC).compare(golden[0].replace(**{name: None}), shown[0])
    with pytest.raises(MismatchError, match=r"different numbers of utterances: .*'h': 1"):
        Scoreboard(SPEC).compare(golden[0].replace(h=golden[0].h[:1]), shown[0].replace(h=shown[0].h[:1]))


def test_arrays_of_nothing_are_no_comparison(seed):
    with pytest.raises(MismatchError, match="nothing was compared"):
        Scoreboard(SPEC).check()
    empty = Trace(h=np.zeros((0, 2, 2), np.int64), c=np.zeros((0, 2, 2), np.int64))
    board = Scoreboard(SPEC)
    board.compare(empty, empty, ("h",))
    with pytest.raises(MismatchError, match="no h was compared"):
        board.check()
    whole, _ = run(seed)
    board.compare(whole[0], whole[0], ("c",))
    with pytest.raises(MismatchError, match="no h was compared"):
        board.check()
    board.compare(whole[0], whole[0], ("h",))
    board.check()


@pytest.mark.parametrize("shape", [(1, 3, 2), (2, 1, 2), (2, 3, 1), (2, 3), (3, 2), ()])
def test_arrays_that_would_be_broadcast_are_refused(shape):
    """A single value, equal to all, must not count as all of them."""
    board = Scoreboard(SPEC)
    whole, part = Trace(h=np.ones((2, 3, 2), int)), Trace(h=np.ones(shape, int))
    for expected, got in ((whole, part), (part, whole)):
        with pytest.raises(MismatchError, match="expected the shape"):
            board.compare(expected, got, ("h",))
    assert board.total == 0


def test_a_batch_that_is_missing_is_an_error(seed):
    golden, shown = run(seed)
    with pytest.raises(MismatchError, match="expected traces of 2 batches, got 1"):
        compare_traces(SPEC, golden, shown[:1])


def test_counts_add_up_and_are_reported():
    """By quantity and utterance, over several comparisons; five mismatches are listed, all are counted."""
    board = Scoreboard(SPEC)
    for number in range(3):
        board.compare(Trace(h=np.zeros((1, 3, 2), int)), Trace(h=np.full((1, 3, 2), number)), ("h",))
    board.compare(Trace(answers=np.array([1, 2])), Trace(answers=np.array([1, 0])), ("answers",))
    assert board.compared == {"h": 18, "answers": 2}
    assert board.mismatched == {"h": 12, "answers": 1}
    assert (board.total, board.wrong) == (20, 13)
    assert board.compared_by_utterance.tolist() == [6, 6, 6, 1, 1]
    assert board.mismatched_by_utterance.tolist() == [0, 6, 6, 0, 1]
    lines = board.report().splitlines()
    assert lines[0] == "13 of 20 values differ from the golden model"
    places = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert lines[1:] == [f"  utterance 1, h, step {k}, unit {unit}: expected 0, got 1" for k, unit in places]
    assert str(board.mismatches[-1]) == "answers: expected 2, got 0"
    assert board.mismatches[-1].utterance == 4


def test_the_noise_of_a_batch_goes_on_where_the_one_before_ended(seed):
    """Three batches of a noisy chip are one of all their utterances; and so is a part, told where it begins."""
    network = network_of(SPEC, seed)
    chip = ArraySetup(device_of(SPEC, network.weights.macro, seed))
    x = inputs_of(SPEC, seed, batch=6, steps=3)
    (whole,) = expected_traces(network, x, chip)
    parts = expected_traces(network, [x[:1], x[1:4], x[4:]], chip)
    compare_traces(SPEC, [whole], [Trace.join(parts)], (*QUANTITIES, "macs")).check()
    later = expected_traces(network, x[4:], chip, steps_before=3 * 4)
    compare_traces(SPEC, [whole.utterances(slice(4, None))], later).check()
    (other,) = expected_traces(network, x[4:], chip)
    assert (other.codes != later[0].codes).any(), "the chip has too little noise to show anything"


def test_an_array_that_golden_has_no_model_of_is_refused(seed):
    network = network_of(SPEC, seed)
    array = ArraySetup(Programming.ideal(SPEC, network.weights.macro))
    with pytest.raises(ValueError, match="golden has no model of a Programming"):
        expected_traces(network, inputs_of(SPEC, seed), array)
