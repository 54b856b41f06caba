# SPDX-License-Identifier: Apache-2.0
"""The optimization loop against numbers worked out by hand: learning rate, averages, best epoch, divergence."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from crossramp.train.recipes.setting_cautions import warm_up_batches
from crossramp.train.recipes.settings import Phase
from crossramp.train.run.schedule import Metric, divergence, fit
from torch import nn

# The scripted runs below get better and worse as their lists say, which fit rightly warns of.
pytestmark = pytest.mark.filterwarnings("ignore::crossramp.train.recipes.setting_cautions.TrainingWarning")

# Adam without weight decay moves a weight whose gradient never changes by the learning rate, batch after batch.
PHASE = Phase("float", 2, 0.5, 2, weight_decay=0.0, warm_up=1, averaging=0.0, gradient_limit=1e6)


class Line(nn.Module):
    """One weight."""

    def __init__(self, start=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([start]))
        self.limited = 0

    def forward(self, x):
        return self.weight * x

    def limit_weights(self):
        self.limited += 1


class Slope:
    """The loss is the weight itself, or as many of it as ``steepness`` says; validation goes through a list."""

    metric = Metric("accuracy", 100, "%", 2)

    def __init__(self, batches, found=(), steepness=1.0):
        self.count, self.found, self.steepness = batches, iter(found), steepness
        self.seen = []  # the weight that each validation sees

    def batches(self, phase):
        return self.count

    def losses(self, network, phase, epoch, teacher):
        for _ in range(self.count):
            yield network(torch.ones(1)).sum() * self.steepness

    def validate(self, network):
        self.seen.append(network.weight.item())
        return next(self.found, (1.0, 0.0))

    def guessing_loss(self):
        return math.inf

    def cautions(self, phase):
        return []

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Heard:
    """What a run says."""

    def __init__(self):
        self.epochs, self.done = [], []

    def batch(self, phase, epoch, done, total):
        self.done.append((epoch, done, total))

    def epoch(self, phase, epoch, measured):
        self.epochs.append(measured)


def steps(phase, batches):
    """How far each batch moves the weight: the learning rates, as Adam applies them."""
    network, task, weights = Line(), Slope(batches), [0.0]
    heard = Heard()
    heard.batch = lambda *_: weights.append(network.weight.item())
    fit(network, task, phase, heard)
    return -np.diff(weights), heard


def test_learning_rate_by_hand():
    """Warm-up of 4 batches in a run of 20 at a height of 0.5: cosines of multiples of 9 degrees."""
    phase = dataclasses.replace(PHASE, epochs=5, warm_up=4)
    found, heard = steps(phase, 4)
    # 0.25 * (1.001 + cos(9 degrees * batch)), written out; the first three times 1/4, 2/4 and 3/4.
    cosines = [1, 0.987688, 0.951057, 0.891007, 0.809017, 0.707107, 0.587785, 0.453990, 0.309017, 0.156434]
    cosines += [0, -0.156434, -0.309017, -0.453990, -0.587785, -0.707107, -0.809017, -0.891007, -0.951057, -0.987688]
    expected = 0.25 * (1.001 + np.array(cosines)) * np.array([0.25, 0.5, 0.75] + [1] * 17)
    assert found == pytest.approx(expected, rel=2e-4, abs=2e-6)
    assert [measured.learning_rate for measured in heard.epochs] == pytest.approx(expected[3::4], rel=1e-4)


def test_the_last_rate_is_small_and_not_zero():
    found, _ = steps(dataclasses.replace(PHASE, epochs=1), 1000)
    assert 0 < found[-1] < 0.5 * 0.0011
    assert found[0] == pytest.approx(0.50025, rel=1e-5)


@pytest.mark.parametrize(
    ("warm_up", "batches", "expected"), [(300, 10, 2), (300, 1499, 299), (300, 1500, 300), (300, 1, 1), (1, 3, 1)]
)
def test_a_warm_up_is_a_fifth_of_the_run_at_most(warm_up, batches, expected):
    phase = dataclasses.replace(PHASE, epochs=1, warm_up=warm_up)
    assert warm_up_batches(phase, batches) == expected
    found, _ = steps(phase, batches)
    rates = 0.25 * (1.001 + np.cos(np.pi * np.arange(batches) / batches))
    rates[:expected] *= np.arange(1, expected + 1) / expected
    assert found == pytest.approx(rates, rel=1e-3, abs=1e-4)


def test_averages_by_hand():
    """The average after batch k moves by 1 - min(averaging, k / (k + 10)) of its way, k counted from 0."""
    network, task = Line(), Slope(3)
    weights = [0.0]
    heard = Heard()
    heard.batch = lambda *_: weights.append(network.weight.item())
    fit(network, task, dataclasses.replace(PHASE, epochs=1, averaging=0.1), heard)
    first, second, third = weights[1:]
    average = first  # 1 - min(0.1, 0) = 1 of the way
    average += (1 - 1 / 11) * (second - average)  # 1/11 is below 0.1
    average += 0.9 * (third - average)  # 2/12 is not
    assert task.seen == pytest.approx([0.0, average], rel=1e-5)


def test_the_least_loss_decides_and_its_average_is_kept():
    network = Line()
    # The metric would choose another epoch; the last but one of equal losses is not better.
    task = Slope(2, [(9.0, 0.0), (0.5, 0.2), (0.25, 0.1), (0.25, 0.9)])
    metric = fit(network, task, dataclasses.replace(PHASE, epochs=3, averaging=0.5), Heard())
    assert metric == 0.1
    assert network.weight.item() == task.seen[2]
    assert len(set(task.seen)) == 4


def test_patience_counts_epochs_since_the_best_one():
    task = Slope(1, [(5.0, 0), (4.0, 0), (4.5, 0), (3.0, 0), (3.0, 0), (3.0, 0), (3.0, 0), (1.0, 0)])
    heard = Heard()
    fit(Line(), task, dataclasses.replace(PHASE, epochs=20, patience=3), heard)
    assert [measured.validation_loss for measured in heard.epochs] == [4.0, 4.5, 3.0, 3.0, 3.0, 3.0]


def test_an_epoch_tells_the_mean_of_its_batches():
    network, task, heard = Line(8.0), Slope(2), Heard()
    weights = [8.0]
    heard.batch = lambda phase, epoch, done, total: weights.append(network.weight.item())
    fit(network, task, PHASE, heard)
    assert [measured.loss for measured in heard.epochs] == pytest.approx([sum(weights[:2]) / 2, sum(weights[2:4]) / 2])
    assert network.limited == 4


def test_networks_know_whether_they_are_trained_or_judged():
    """Chips that are trained on are others than those of validation, which draws the same ones after every epoch."""
    network, told = Line(), []

    class Chips:
        def restart(self):
            told.append("restart")

        def next_epoch(self):
            told.append("next epoch")

        def state_dict(self):
            return {}

    class Watched(Slope):
        def losses(self, network, phase, epoch, teacher):
            told.append(("training", network.training))
            yield from super().losses(network, phase, epoch, teacher)

        def validate(self, network):
            told.append(("validation", network.training, torch.is_grad_enabled()))
            return super().validate(network)

    network.imperfections = [Chips()]
    fit(network, Watched(1), PHASE, Heard())
    judged = ["restart", ("validation", False, False)]
    assert told == [*judged, *[("training", True), *judged, "next epoch"] * 2]


def test_progress_is_told_of_every_batch():
    heard = Heard()
    fit(Line(), Slope(3), PHASE, heard)
    assert heard.done == [(0, 1, 3), (0, 2, 3), (0, 3, 3), (1, 1, 3), (1, 2, 3), (1, 3, 3)]


def test_gradients_are_cut_to_the_norm_and_weights_decay():
    """AdamW's first step by hand: a gradient of any size moves by the rate; decay takes rate * decay * weight."""
    network = Line(8.0)
    weights = [8.0]
    heard = Heard()
    heard.batch = lambda *_: weights.append(network.weight.item())
    fit(network, Slope(1, steepness=1e3), dataclasses.replace(PHASE, epochs=1, weight_decay=0.1), heard)
    rate = 0.25 * 2.001
    assert weights[1] == pytest.approx(8.0 * (1 - rate * 0.1) - rate, rel=1e-5)
    # A gradient cut to 1e-6 is so near Adam's own epsilon, 1e-8, that the weight moves a hundredth less.
    network, weights[:] = Line(8.0), [8.0]
    fit(network, Slope(1), dataclasses.replace(PHASE, epochs=1, gradient_limit=1e-6), heard)
    assert 8.0 - weights[1] == pytest.approx(rate * 1e-6 / (1e-6 + 1e-8), rel=1e-3)


def test_divergence_in_numpy():
    """Mean over answers of sum p log(p / q) at temperature 2, times 4: arXiv:1503.02531, section 2."""
    random = np.random.default_rng(3)
    logits, taught = random.normal(0, 3, (2, 5, 4))

    def softened(values):
        powers = np.exp(values / 2)
        return powers / powers.sum(1, keepdims=True)

    p, q = softened(taught), softened(logits)
    expected = 4 * (p * np.log(p / q)).sum(1).mean()
    assert expected > 0.1
    found = divergence(torch.from_numpy(logits), torch.from_numpy(taught)).item()
    assert found == pytest.approx(expected, rel=1e-9)
    assert divergence(torch.from_numpy(taught), torch.from_numpy(taught)).item() == pytest.approx(0, abs=1e-12)
    # One answer at logits 0 and (2 log 3, 0): p = (3/4, 1/4), q = (1/2, 1/2).
    by_hand = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    one = divergence(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]])).item()
    assert one == pytest.approx(by_hand, rel=1e-6)
