# SPDX-License-Identifier: Apache-2.0
"""A quantized network begins where the float network ended; and what is judged, weighed and fitted, by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from crossramp.golden.cell.library import CELLS
from crossramp.golden.inputs.features import FeatureSettings
from crossramp.train.data.augment import Augmenter
from crossramp.train.data.datasets import Corpus
from crossramp.train.float.float_network import FloatNetwork
from crossramp.train.float.rounding import round_through
from crossramp.train.quantized.quantized_network import QuantizedNetwork
from crossramp.train.recipes.settings import Augmentation, Hardware, Phase
from crossramp.train.tasks import keyword_training
from crossramp.train.tasks.keyword_task import KeywordTask, Validation, _class_weights, balanced_accuracy
from crossramp.train.tasks.keyword_training import keyword_specification
from torch import nn

FINE = keyword_specification(Hardware(5, 8, 8, 8, bias_rows=3, sigmoid_range=2.0), inputs=6, classes=3, steps=8)
FINE = FINE.replace(head_weight_bits=12, state_bits=16, state_frac_bits=12)


def float_network(spec=FINE, seed=3, size=0.7) -> FloatNetwork:
    """All weights and both biases are drawn, within what the crossbar holds."""
    torch.manual_seed(seed)
    network = FloatNetwork(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-size, size)
    network.limit_weights()
    return network.eval()


@pytest.mark.parametrize("projection", [0, 4])
@pytest.mark.parametrize("readout", ["mean", "last", "step"])
def test_at_high_resolution_it_answers_as_the_float_network(projection, readout):
    """8 bits everywhere: logits within what rounding leaves, of inputs that are codes."""
    spec = FINE.replace(projection=projection, readout=readout)
    network = float_network(spec)
    quantized = QuantizedNetwork.from_float(network, spec)
    codes = torch.from_numpy(np.random.default_rng(1).integers(-127, 128, (40, 8, 6)))
    with torch.no_grad():
        expected = network(codes.float() / 127)
        found = quantized(codes)
        assert expected.std() > 0.2
        assert (found - expected).abs().max() < 0.03
        # Any of both biases left out shows.
        lstm = network.macros[0].lstm
        for bias in (lstm.bias_ih_l0, lstm.bias_hh_l0):
            kept = bias.clone()
            bias.zero_()
            assert (network(codes.float() / 127) - found).abs().max() > 0.1
            bias.copy_(kept)


#: Codes of m span ±4, so they are coarser than those of the other banks.
COARSE = {"gru_reset_after": 0.06}


@pytest.mark.parametrize("projection", [0, 4])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_answers_as_its_float_network(cell, projection):
    initial = "constant" if CELLS[cell].has_state else "zero"
    hardware = Hardware(5, 8, 8, 8, bias_rows=3, sigmoid_range=2.0, cell=cell, initial=initial)
    spec = keyword_specification(hardware, 6, 3, 8).replace(head_weight_bits=12, projection=projection)
    if cell == "lstm_peephole":  # whose c passes ±2, where the pulse code that peepholes see ends
        spec = spec.replace(state_pulse_bits=10)
    network = float_network(spec)
    quantized = QuantizedNetwork.from_float(network, spec)
    codes = torch.from_numpy(np.random.default_rng(1).integers(-127, 128, (40, 8, 6)))
    with torch.no_grad():
        expected, found = network(codes.float() / 127), quantized(codes)
        error = (found - expected).abs().max()
        assert error < COARSE.get(cell, 0.04)
        # Any part of the weights left out shows; what utterances start from shows less.
        for name, parameter in network.named_parameters():
            kept = parameter.clone()
            parameter.zero_()
            shown = (network(codes.float() / 127) - found).abs().max()
            assert shown > (1.5 if "initial" in name else 2) * error
            parameter.copy_(kept)


@pytest.mark.parametrize("cell", ["gru", "gru_reset_after"])
def test_what_has_no_memristor_has_no_weight(cell):
    spec = keyword_specification(Hardware(5, cell=cell), 6, 3, 8)
    quantized = QuantizedNetwork(spec)
    (macro,) = quantized.macros
    with torch.no_grad():
        macro.weight.fill_(1.0)
        macro.bias.fill_(1.0)
    placed = torch.tensor(spec.placed[: -spec.bias_rows])
    assert torch.equal(macro.weight_levels() != 0, placed)
    assert np.array_equal(quantized.weights().macro != 0, spec.placed)
    codes = torch.from_numpy(np.random.default_rng(1).integers(-15, 16, (9, 8, 6)))
    quantized(codes).square().sum().backward()
    assert (macro.weight.grad[~placed] == 0).all()


def test_its_levels_are_the_float_networks_weights():
    network, spec = float_network(), FINE
    quantized = QuantizedNetwork.from_float(network, spec)
    (macro,) = quantized.macros
    lstm = network.macros[0].lstm
    per_one = np.repeat([127 / gate.weight_range for gate in spec.gates], 5)

    def rounded(values):
        values = np.asarray(values.detach(), float)
        return np.sign(values) * np.floor(np.abs(values) + 0.5)

    weight = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], dim=1).detach().double().t()
    assert np.array_equal(macro.weight_levels().detach(), rounded(weight * torch.from_numpy(per_one)))
    bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().double()
    assert np.array_equal(macro.bias_levels().detach(), rounded(bias * torch.from_numpy(per_one)))
    assert macro.bias_row_levels().sum(0).tolist() == macro.bias_levels().tolist()
    # The widest weight of the head takes four fifths of its range.
    widest = max(network.head.weight.abs().max(), network.head.bias.abs().max()).item()
    per_one = 2047 / (1.25 * widest)
    weight, bias = quantized.head_levels()
    assert np.array_equal(weight.detach(), rounded(network.head.weight.double() * per_one))
    assert np.array_equal(bias.detach(), rounded(network.head.bias.double() * per_one * 127))
    assert quantized.logit_scale == pytest.approx(1 / (127 * per_one), rel=1e-6)


def test_master_weights_stay_within_what_codes_can_say():
    """±2 for weights, three times that for the sum of three bias rows; the head's ±1.25 of the widest at first."""
    quantized = QuantizedNetwork.from_float(float_network(), FINE)
    (macro,) = quantized.macros
    ranges = torch.tensor(np.repeat([gate.weight_range for gate in FINE.gates], 5), dtype=torch.float32)
    head = 2047 / quantized.head_levels_per_one.item()
    with torch.no_grad():
        for sign in (1, -1):
            for parameter in quantized.parameters():
                parameter.fill_(sign * 1e3)
            quantized.limit_weights()
            assert torch.allclose(macro.weight, sign * ranges.expand_as(macro.weight))
            assert torch.allclose(macro.bias, sign * 3 * ranges)
            assert macro.bias_levels().tolist() == [sign * 381] * 20
            assert torch.allclose(quantized.head_weight, torch.full_like(quantized.head_weight, sign * head))


def test_bias_rows_pass_the_gradient_of_their_sum():
    (macro,) = QuantizedNetwork.from_float(float_network(), FINE).macros
    drive = torch.arange(20.0)
    (macro._bias_rows_through().sum(0) * drive).sum().backward()
    assert macro.bias.grad.tolist() == pytest.approx((drive * macro.levels_per_one).tolist(), rel=1e-5)
    assert macro._bias_rows_through().tolist() == macro.bias_row_levels().tolist()


def test_projection_levels_are_over_a_power_of_two():
    spec = FINE.replace(projection=4)
    network = float_network(spec)
    found = QuantizedNetwork.from_float(network, spec).macros[0].projection_levels().detach()
    assert np.array_equal(found, np.rint(network.macros[0].lstm.weight_hr_l0.detach().numpy() * 2048))


def test_rounding_takes_halves_away_from_zero_and_passes_gradients():
    values = torch.tensor([-2.5, -1.5, -0.5, -0.49, 0.0, 0.49, 0.5, 1.5, 2.5, 3.2], requires_grad=True)
    found = round_through(values)
    assert found.tolist() == [-3, -2, -1, 0, 0, 0, 1, 2, 3, 3]
    found.sum().backward()
    assert values.grad.tolist() == [1] * 10


def test_float_weights_are_held_within_the_crossbars():
    """±2 for every weight, whatever the bank; two bias vectors share what three rows of ±2 add up to."""
    network = FloatNetwork(FINE.replace(projection=4))
    lstm = network.macros[0].lstm
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(100.0)
        network.limit_weights()
        assert lstm.weight_ih_l0.unique().tolist() == [2.0]
        assert lstm.weight_hh_l0.unique().tolist() == [2.0]
        assert lstm.bias_ih_l0.unique().tolist() == lstm.bias_hh_l0.unique().tolist() == [3.0]
        assert lstm.weight_hr_l0.unique().tolist() == [1.0]
    fresh = FloatNetwork(FINE).macros[0].lstm
    both = (fresh.bias_ih_l0 + fresh.bias_hh_l0).detach()
    assert both[5:10].tolist() == [1.0] * 5  # of bank f


# ---- the keyword task ------------------------------------------------------------------------------------------------


def test_balanced_accuracy_by_hand():
    """Shares 3/4 of class 0 and 0 of class 1; class 2 has no clip and does not count."""
    answers, labels = torch.tensor([0, 0, 0, 1, 0]), torch.tensor([0, 0, 0, 0, 1])
    assert balanced_accuracy(answers, labels, 3) == pytest.approx(0.375)
    assert (answers == labels).double().mean() == pytest.approx(0.6)


def corpus_of(counts, frames=4, bands=2) -> Corpus:
    """Silence, unknown and words with so many clips each, in training; values name the clip."""
    labels = np.repeat(np.arange(len(counts)), counts)
    levels = (np.arange(len(labels))[:, None, None] + np.zeros((1, frames, bands))).astype(np.uint8)
    classes = ("_silence_", "_unknown_", *"abcdefgh"[: len(counts) - 2])
    return Corpus(classes, levels, labels, levels, labels, levels[:2] * 0 + 90, levels[:2] * 0 + 100, "0" * 64)


def test_unknown_words_weigh_as_much_as_one_word():
    """Words with 10 and 30 clips, 20 on average; 1.3 of that is shared by 100 clips of other words."""
    weights = _class_weights(corpus_of([0, 100, 10, 30]))
    assert weights.tolist() == pytest.approx([1, 0.26, 1, 1])
    assert _class_weights(corpus_of([0, 5, 10, 30])).tolist() == [1, 1, 1, 1]


def test_a_batch_has_as_much_silence_as_a_word():
    task = KeywordTask(corpus_of([0, 40, 40, 40]), None, None, 1)
    assert task._counts(Phase("float", batch=50)) == (40, 10)
    assert task.batches(Phase("float", batch=50)) == 3
    assert task._counts(Phase("float", batch=2)) == (1, 1)


class Table(nn.Module):
    """Logits by the first value of a clip."""

    def __init__(self, classes):
        super().__init__()
        self.table = nn.Parameter(torch.linspace(-1, 1, 256 * classes).sin().reshape(256, classes))
        self.seen = []

    def forward(self, x):
        self.seen.append(x[:, 0, 0])
        return self.table[(x[:, 0, 0] * 255).round().long()]


def plain_task(counts, batch):
    settings = FeatureSettings(
        clip_samples=480 + 3 * 160, bands=2, frames_per_step=1, band_offset=(0.0,), band_gain=(1 / 255,)
    )
    nothing = Augmentation(0, 0.0, 0.0, (-300.0, -300.0), 0.0, 0.0, 0.0, 0, 0, (0.0, 0.0), 0.0)
    corpus = corpus_of(counts)
    return KeywordTask(corpus, Augmenter(settings, nothing, corpus.background, 1), None, 5), Phase("float", batch=batch)


def test_every_clip_is_met_once_an_epoch_in_an_order_of_its_own():
    task, phase = plain_task([0, 8, 12, 12], 10)  # 2 of silence, 8 clips: four batches
    orders = []
    for epoch in range(2):
        network = Table(4)
        list(task.losses(network, phase, epoch, None))
        met = (torch.stack(network.seen) * 255).round().int()
        assert met.shape == (4, 10)
        assert (met[:, 8:] == 90).all()  # the background, as loud as it is
        orders.append(met[:, :8].flatten().tolist())
        assert sorted(orders[-1]) == list(range(32))
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


def test_the_loss_is_weighed_smoothed_and_shared_with_the_teacher():
    """Cross entropy in numpy: smoothed labels, weights of classes, and the teacher's divergence as its share."""
    task, phase = plain_task([0, 20, 6, 6], 40)
    phase = dataclasses.replace(phase, label_smoothing=0.1, distillation=0.3)
    network, teacher = Table(4), Table(4)
    with torch.no_grad():
        teacher.table.mul_(-2)
    (loss,) = task.losses(network, phase, 0, teacher)
    clips = (network.seen[0] * 255).round().int().numpy()
    labels = np.append(task.corpus.training_labels[clips[:32]], [0] * 8)
    logits = network.table.detach().double().numpy()[clips]
    log = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    weights = np.array([1, 1.3 * 6 / 20, 1, 1])
    wanted = 0.9 * np.eye(4)[labels] + 0.1 / 4
    entropy = -(wanted * weights * log).sum() / weights[labels].sum()

    def softened(values):
        powers = np.exp(values / 2)
        return powers / powers.sum(axis=1, keepdims=True)

    p, q = softened(teacher.table.detach().double().numpy()[clips]), softened(logits)
    expected = 0.7 * entropy + 0.3 * 4 * (p * np.log(p / q)).sum(axis=1).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert not teacher.table.grad


def test_validation_weighs_classes_alike():
    network = Table(3)
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    values = torch.arange(6).float()[:, None, None] / 255
    task = KeywordTask(corpus_of([1, 1, 1]), None, Validation(values, labels), 1)
    loss, metric = task.validate(network.requires_grad_(False))
    logits = network.table.double().numpy()[:6]
    each = -(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))[np.arange(6), labels]
    assert loss == pytest.approx((each[:3].mean() + each[3] + each[4:].mean()) / 3, rel=1e-5)
    right = logits.argmax(axis=1) == labels.numpy()
    assert metric == pytest.approx((right[:3].mean() + right[3] + right[4:].mean()) / 3)


def test_inputs_are_fitted_to_mean_and_spread():
    """Offsets are means, and 2.5 standard deviations fill the range; a band without any has a spread of 1."""
    levels = np.zeros((50, 4, 2), np.uint8)
    levels[..., 0] = np.random.default_rng(1).integers(100, 121, (50, 4))
    levels[..., 1] = 77
    front_end = FeatureSettings(clip_samples=480 + 3 * 160, bands=2, frames_per_step=1)
    corpus = dataclasses.replace(corpus_of([50, 0, 0]), training=levels)
    found = keyword_training.feature_settings(corpus, front_end)
    values = levels[..., 0].astype(float)
    assert found.band_offset == pytest.approx((values.mean(), 77.0), abs=0.0051)
    assert found.band_gain == pytest.approx((1 / (2.5 * values.std()), 0.4), abs=1e-6)


def test_silence_of_validation_is_held_out_noise_at_six_volumes():
    """In levels of 2.28 a dB, held within 0 to 255; of the noise that training does not see."""
    corpus = corpus_of([0, 1, 1, 1], frames=4)
    settings = FeatureSettings(
        clip_samples=480 + 3 * 160, bands=2, frames_per_step=1, band_offset=(0.0,), band_gain=(1 / 255,)
    )
    found = keyword_training._validation(corpus, settings)
    assert found.labels.tolist() == [1, 2, 3] + [0] * 12
    levels = found.inputs[:, 0, 0].numpy() * 255
    expected = [max(100 + 2.28 * gain, 0) for gain in (3, 0, -10, -20, -30, -45) for _ in range(2)]
    assert levels[3:] == pytest.approx(expected, abs=1e-3)
    assert levels[:3] == pytest.approx([0, 1, 2], abs=1e-3)
    assert keyword_training.validation_silence(corpus) == 12
    assert math.isclose(expected[-1], 0)
