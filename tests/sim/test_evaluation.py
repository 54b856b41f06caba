# SPDX-License-Identifier: Apache-2.0
"""Scores, their intervals, and device instances: equal to what the traced golden model answers."""

import numpy as np
import pytest
from crossramp.golden.analog.convert import DeviceLstm
from crossramp.golden.analog.technology import load
from crossramp.sim import evaluation
from crossramp.sim.array import to_bits
from crossramp.sim.evaluation import Chip, Instances, Score, evaluate_instances, evaluate_speech, wilson

from tests.cli.conftest import small_model, telling_model

RRAM = load("rram").replace({"cell.read_noise": 0.2})


@pytest.mark.parametrize(("correct", "total"), [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (1206, 1309), (5, 10**6)])
def test_interval_is_wilsons(correct, total):
    """Its ends are the accuracies from which what was seen is just 1.96 standard deviations away."""
    low, high = wilson(correct, total)
    share = correct / total
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(1.959964 * (end * (1 - end) / total) ** 0.5, rel=1e-9)


def test_score_counts():
    score = Score(np.array([0, 1, 1, 7, 0]), np.array([0, 1, 0, 0, 1]), 4)
    assert score.confusion.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]  # 7 is no class
    assert (score.correct, score.total, score.accuracy) == (2, 5, 0.4)
    assert score.recalls[:2].tolist() == [pytest.approx(1 / 3), 0.5]
    assert np.isnan(score.recalls[2:]).all()


@pytest.mark.parametrize(
    ("answers", "labels", "message"),
    [
        ([], [], "1 or more"),
        ([0], [0, 1], "one of each recording"),
        ([0], [2], "labels reach from 2 to 2; classes: 0 to 1"),
        ([0], [-1], "labels reach from -1"),
    ],
)
def test_nothing_to_compare_is_refused(answers, labels, message):
    with pytest.raises(ValueError, match=message):
        Score(np.array(answers, int), np.array(labels, int), 2)


@pytest.fixture
def data(seed):
    """A network, recordings and labels."""
    network = telling_model().network
    rng = np.random.default_rng(seed)
    limit = network.spec.input_max
    return network, rng.integers(-limit, limit, (40, 6, 5), endpoint=True), rng.integers(0, 3, 40)


def test_ideal_array(data):
    network, codes, labels = data
    assert evaluate_speech(network, codes, labels).answers.tolist() == network.run(codes).answers.tolist()
    with pytest.raises(ValueError, match="one of each recording"):
        evaluate_speech(network, codes, labels[1:])


def test_instances_are_those_of_the_traced_model(data):
    network, codes, labels = data
    told = []
    found = evaluate_instances(network, codes, labels, RRAM, 3, first_seed=5, progress=lambda *done: told.append(done))
    assert told == [(0, 6), *sorted(told[1:])]
    assert told[-1] == (6, 6)
    assert [one.calibration for one in found] == ["none", "one-point"]
    values = set()
    for one in found:
        assert one.seeds == (5, 6, 7)
        for seed, value in zip(one.seeds, one.values, strict=True):
            chip = Chip.of(network, RRAM, seed, one.calibration)
            cells = chip.instance.calibration_cells
            lstm = DeviceLstm(chip.instance, to_bits(chip.port, cells.size).reshape(cells.shape))
            answers = network.head(lstm.run(codes).h)[0]
            assert value == (answers == labels).mean()
            values.add(value)
    assert len(values) > 1  # chips differ
    quiet = evaluate_instances(network, codes, labels, RRAM, 2, calibrations=("none",), switches=frozenset())
    assert set(quiet[0].values) == {evaluate_speech(network, codes, labels).accuracy}


def test_processes_count_the_same(data):
    network, codes, labels = data
    alone, together = (evaluate_instances(network, codes, labels, RRAM, 3, jobs=jobs) for jobs in (1, 2))
    assert alone == together


def test_extremes_and_spread():
    found = Instances("accuracy", "none", (4, 5, 6, 7), (0.5, 0.25, 0.75, 0.25))
    assert (found.worst, found.best) == ((5, 0.25), (6, 0.75))
    assert found.spread.mean == 0.4375
    assert found.spread.deviation == pytest.approx(np.std(found.values, ddof=1))
    assert Instances("bits", "none", (1, 2), (3.0, 2.0)).worst == (1, 3.0)


def test_what_is_out_of_range_is_refused(data):
    network, codes, labels = data
    for changes, message in (
        ({"instances": 0}, "instances is 0"),
        ({"first_seed": -1}, "first_seed is -1"),
        ({"calibrations": ("two-point",)}, "'two-point'; allowed: none, one-point"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_instances(network, codes, labels, RRAM, **{"instances": 2, **changes})
    bare = small_model(calibration_cells=0).network
    with pytest.raises(ValueError, match="no calibration cells"):
        evaluation.check_calibration(bare, "one-point")
