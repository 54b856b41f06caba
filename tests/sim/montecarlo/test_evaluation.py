# SPDX-License-Identifier: Apache-2.0
"""Scores, their intervals, and device instances: equal to what the traced golden model answers."""

import numpy as np
import pytest
from crossramp.golden.analog.cells.targets import targets
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.given_cells import ConductanceError, Conductances
from crossramp.golden.analog.chip.placed_chip import PlacedChip
from crossramp.golden.analog.conversion.calibration_setting import FOUND, NOMINAL, CalibrationSetting
from crossramp.golden.analog.conversion.tiled_device import device_array
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.network.network import Network
from crossramp.sim.montecarlo import evaluation, tasks
from crossramp.sim.montecarlo.evaluation import Instances, evaluate_chips, evaluate_speech, evaluate_text
from crossramp.sim.montecarlo.scores import Score, TextScore, wilson

from tests.cli.conftest import small_model, telling_model, text_model
from tests.support.chips import macro_of

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
    # Row: what was said; column: what was answered.
    score = Score(np.array([1, 1, 2]), np.array([0, 0, 1]), 3)
    assert score.confusion.tolist() == [[0, 2, 0], [0, 0, 1], [0, 0, 0]]


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
    told, chips = [], ChipSample(RRAM, 3, first_seed=5)
    found = evaluate_chips(network, codes, labels, chips, progress=lambda *done: told.append(done))
    assert told == [(0, 6), *sorted(told[1:])]
    assert told[-1] == (6, 6)
    assert [one.calibration for one in found] == [NOMINAL, FOUND]
    values = set()
    for one in found:
        assert one.seeds == (5, 6, 7)
        for seed, value in zip(one.seeds, one.values, strict=True):
            chip = PlacedChip.of(network.spec, network.weights, chips, seed, one.calibration)
            lstm = macro_of(chip.devices[""], chip.calibrations[""].cells)
            answers = network.with_head(lstm.run(codes)).answers
            assert value == (answers == labels).mean()
            values.add(value)
    assert len(values) > 1  # chips differ
    without = ChipSample(RRAM, 2, calibrations=(NOMINAL,), switches=frozenset())
    quiet = evaluate_chips(network, codes, labels, without)
    assert set(quiet[0].values) == {evaluate_speech(network, codes, labels).accuracy}


def test_chips_of_several_arrays(data):
    """Each array has draws, ramps and a calibration of its own; processes agree."""
    network, codes, labels = data
    tiled = Network(network.spec.replace(tile_columns=4, tile_rows=3), network.weights)
    chips = ChipSample(RRAM, 3, first_seed=5)
    found = evaluate_chips(tiled, codes, labels, chips)
    assert found == evaluate_chips(tiled, codes, labels, chips, jobs=2)
    for one in found:
        for seed, value in zip(one.seeds, one.values, strict=True):
            chip = PlacedChip.of(tiled.spec, tiled.weights, chips, seed, one.calibration)
            assert len(chip.devices[""].tiles) == 3
            array = device_array(chip.devices[""], chip.calibrations[""].cells)
            assert value == (tiled.behind(array).run(codes).answers == labels).mean()
    assert [one.values for one in found] != [one.values for one in evaluate_chips(network, codes, labels, chips)]
    off = evaluate_chips(tiled, codes, labels, ChipSample(RRAM, 1, calibrations=(NOMINAL,), switches=frozenset()))
    assert off[0].values == (evaluate_speech(network, codes, labels).accuracy,)


def test_given_cells_stand_in_every_instance(data):
    """Weights of half their size, in this process, in others, and in the chip for the hardware."""
    network, codes, labels = data
    wanted = targets(RRAM, network.spec, network.weights.macro)
    cells = Conductances(positive=wanted.positive / 2, negative=wanted.negative / 2)
    chips = ChipSample(RRAM, 2, switches=frozenset(), calibrations=(NOMINAL,), conductances=cells)
    found = evaluate_chips(network, codes, labels, chips)
    assert found == evaluate_chips(network, codes, labels, chips, jobs=2)
    chip = PlacedChip.of(network.spec, network.weights, chips, 1).devices[""]
    assert np.allclose(chip.weights, network.weights.macro / 2, atol=1e-4)
    answers = network.with_head(macro_of(chip).run(codes)).answers
    assert set(found[0].values) == {(answers == labels).mean()}
    assert set(found[0].values) != {evaluate_speech(network, codes, labels).accuracy}
    misfit = ChipSample(RRAM, 2, conductances=Conductances(positive=np.ones((2, 2))))
    with pytest.raises(ConductanceError, match="positive has the shape"):
        evaluate_chips(network, codes, labels, misfit)


def test_processes_count_the_same(data, text):
    network, codes, labels = data
    alone, together = (evaluate_chips(network, codes, labels, ChipSample(RRAM, 3), jobs=jobs) for jobs in (1, 2))
    assert alone == together
    model, codes, targets = text
    scale = model.text_settings.logit_scale
    chips = ChipSample(RRAM, 2)
    found = [evaluate_chips(model.network, codes, targets, chips, jobs=n, logit_scale=scale) for n in (1, 2)]
    assert found[0] == found[1]


# ---- text ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def text(seed):
    """A model, codes of 5 streams of 30 characters, and what comes after each but the first 4 of a stream."""
    model = text_model()
    places = np.random.default_rng(seed).integers(0, 3, (5, 31))
    targets = places[:, 1:].copy()
    targets[:, :4] = -1
    return model, model.text_settings.table[places[:, :-1]], targets


def bits_of(logits, targets, scale) -> float:
    """By the definition, one character after the other."""
    found = []
    for row, target in zip(logits.reshape(-1, 3), targets.ravel(), strict=True):
        if target >= 0:
            found.append(-np.log2(np.exp(row[target] * scale) / np.exp(row * scale).sum()))
    return float(np.mean(found))


def test_bits_of_a_text(text, monkeypatch):
    model, codes, targets = text
    scale = model.text_settings.logit_scale
    trace = model.network.run(codes)
    score = evaluate_text(model.network, codes, targets, scale)
    assert score.bits == pytest.approx(bits_of(trace.logits, targets, scale), rel=1e-12)
    assert (score.total, score.correct) == (5 * 26, (trace.answers == targets).sum())
    monkeypatch.setattr(evaluation, "_BLOCK", 2)
    parts = evaluate_text(model.network, codes, targets, scale)
    assert (parts.total, parts.correct) == (score.total, score.correct)
    assert parts.bits == pytest.approx(score.bits, rel=1e-12)


def test_bits_of_chips(text, monkeypatch):
    model, codes, targets = text
    scale, network = model.text_settings.logit_scale, model.network
    # Cells so bad that no two chips compute the same, whatever their seeds and the order of their noise.
    bad = RRAM.replace({"cell.programming_error": tuple(10 * value for value in RRAM["cell.programming_error"])})
    chips = ChipSample(bad, 2, first_seed=5)
    found = evaluate_chips(network, codes, targets, chips, logit_scale=scale)
    monkeypatch.setattr(tasks, "_STREAMS", 2)
    parts = evaluate_chips(network, codes, targets, chips, logit_scale=scale)
    for one, other in zip(found, parts, strict=True):
        assert (one.metric, one.seeds) == ("bits", (5, 6))
        assert one.values == pytest.approx(other.values, rel=1e-12)
        for seed, value in zip(one.seeds, one.values, strict=True):
            chip = PlacedChip.of(network.spec, network.weights, chips, seed, one.calibration)
            lstm = macro_of(chip.devices[""], chip.calibrations[""].cells)
            logits = network.logits(lstm.run(codes).h, 1)
            assert value == pytest.approx(bits_of(logits, targets, scale), rel=1e-12)
    for one in found:
        assert len(set(one.values)) == 2, "the chips compute the same: exchanged ones would not be seen"


def test_text_that_will_not_do(text, data):
    model, codes, targets = text
    for wrong in (targets[1:], np.full_like(targets, -1)):
        with pytest.raises(ValueError, match="1 or more that count"):
            evaluate_text(model.network, codes, wrong, 1.0)
    with pytest.raises(ValueError, match="targets reach to 3; characters: 0 to 2"):
        evaluate_text(model.network, codes, targets + 1, 1.0)
    with pytest.raises(ValueError, match="the readout is 'mean'; a text needs 'step'"):
        evaluate_chips(data[0], data[1], np.zeros((40, 6), int), ChipSample(RRAM, 2), logit_scale=1.0)
    with pytest.raises(ValueError, match="1 or more that count"):
        TextScore.of(np.zeros((1, 2, 3)), np.full((1, 2), -1), 1.0)


def test_extremes_and_spread():
    found = Instances("accuracy", NOMINAL, (4, 5, 6, 7), (0.5, 0.25, 0.75, 0.25))
    assert (found.worst, found.best) == ((5, 0.25), (6, 0.75))
    assert found.spread.mean == 0.4375
    assert found.spread.deviation == pytest.approx(np.std(found.values, ddof=1))
    assert Instances("bits", NOMINAL, (1, 2), (3.0, 2.0)).worst == (1, 3.0)


def test_what_is_out_of_range_is_refused(data):
    network, codes, labels = data
    for changes, message in (
        ({"count": 0}, "count is 0 chips"),
        ({"first_seed": -1}, "first_seed is -1"),
        ({"calibrations": (CalibrationSetting(port=1 << 10),)}, "calibration is 400; allowed: 0 to 3ff, for 10 cells"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_chips(network, codes, labels, ChipSample(RRAM, **{"count": 2, **changes}))
    bare = small_model(calibration_cells=0).network
    with pytest.raises(ValueError, match="no calibration cells"):
        FOUND.check(bare.spec)
