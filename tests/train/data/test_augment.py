# SPDX-License-Identifier: Apache-2.0
"""Each variation alone, against what its key says: levels moved, mixed, colored and masked, in dB and frames."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from crossramp.golden.inputs.features import FeatureSettings, normalize
from crossramp.train.data.augment import Augmenter
from crossramp.train.recipes.settings import Augmentation

NOTHING = Augmentation(0, 0.0, 0.0, (-300.0, -300.0), 0.0, 0.0, 0.0, 0, 0, (0.0, 0.0), 0.0)
# One frame a step and no offset: an input times 255 is a level.
PLAIN = FeatureSettings(clip_samples=480 + 29 * 160, bands=8, frames_per_step=1, band_offset=(0,), band_gain=(1 / 255,))
NOISE = np.random.default_rng(2).integers(40, 200, (5, PLAIN.frames, PLAIN.bands)).astype(np.uint8)


def clips(count=3, settings=PLAIN, seed=1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(60, 200, (count, settings.frames, settings.bands)).astype(np.uint8)


def inputs(levels, settings=PLAIN, background=NOISE, seed=7, **changes) -> np.ndarray:
    augmenter = Augmenter(settings, dataclasses.replace(NOTHING, **changes), background, seed)
    return augmenter.inputs(torch.from_numpy(levels)).numpy()


def levels_of(values) -> np.ndarray:
    return values * 255


def test_defaults_of_nothing_name_every_field():
    assert len(dataclasses.fields(Augmentation)) == 11  # a new one needs a test here


@pytest.mark.parametrize(("per_step", "cepstra", "deltas"), [(1, 0, 0), (2, 0, 0), (3, 6, 4), (2, 8, 8)])
def test_without_variation_inputs_are_goldens(per_step, cepstra, deltas):
    width = cepstra + deltas or 8
    settings = dataclasses.replace(
        PLAIN,
        frames_per_step=per_step,
        cepstra=cepstra,
        deltas=deltas,
        band_offset=tuple(np.linspace(80, 120, width)),
        band_gain=tuple(np.linspace(0.005, 0.01, width)),
    )
    levels = clips(settings=settings)
    found = inputs(levels, settings)
    assert found.shape == (3, settings.steps, width)
    assert found == pytest.approx(normalize(levels, settings), abs=1e-4)


def test_a_clip_is_louder_or_softer_by_as_much_in_every_place():
    levels = clips(2000)[:, :2]
    settings = dataclasses.replace(PLAIN, clip_samples=480 + 160)
    found = levels_of(inputs(levels, settings, NOISE[:, :2], clip_gain_db=4.0)) - levels
    assert np.ptp(found, axis=(1, 2)).max() < 1e-3
    gains = found[:, 0, 0] / 2.28
    # Uniform within ±4 dB: standard deviation 4/sqrt(3).
    assert np.abs(gains).max() <= 4.0
    assert np.abs(gains).max() > 3.9
    assert gains.std() == pytest.approx(4 / math.sqrt(3), rel=0.05)
    assert abs(gains.mean()) < 0.2


def test_noise_is_mixed_as_powers_with_its_share_of_the_clips():
    """10 log10(10^(clip/10) + 10^((noise + gain)/10)), for a share of the clips."""
    levels = np.full((4000, 2, 8), 120, np.uint8)
    settings = dataclasses.replace(PLAIN, clip_samples=480 + 160)
    background = np.full((3, 2, 8), 150, np.uint8)
    found = levels_of(inputs(levels, settings, background, noise_probability=0.3, noise_gain_db=(-5.0, -5.0)))[:, 0, 0]
    mixed = 2.28 * 10 * math.log10(10 ** (120 / 22.8) + 10 ** ((150 / 2.28 - 5) / 10))
    assert ((np.abs(found - 120) < 1e-2) | (np.abs(found - mixed) < 1e-2)).all()
    assert (found > 121).mean() == pytest.approx(0.3, abs=0.03)
    spread = levels_of(inputs(levels, settings, background, noise_probability=1.0, noise_gain_db=(-20.0, 10.0)))[
        :, 0, 0
    ]
    # At the middle of the gains, -5 dB, half of the clips are louder.
    assert (spread > mixed).mean() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(("shift", "stretch"), [(4, 0.0), (0, 0.3)])
def test_frames_are_moved_and_stretched_about_the_middle(shift, stretch):
    settings = dataclasses.replace(PLAIN, clip_samples=480 + 99 * 160, bands=1, band_offset=(0,), band_gain=(1 / 255,))
    levels = np.tile(np.arange(100, dtype=np.uint8)[:, None] + 50, (1000, 1, 1))
    background = np.zeros((1, 100, 1), np.uint8)
    found = np.rint(levels_of(inputs(levels, settings, background, shift_frames=shift, stretch=stretch)))[..., 0] - 50
    middle = (found[:, 49] + found[:, 50]) / 2 - 49.5
    rate = (found[:, 70] - found[:, 30]) / 40
    if shift:
        assert (rate == 1).all()
        assert (middle.min(), middle.max()) == (-4, 4)
        # A shift of a uniform number within ±4, rounded: the ends are met half as often.
        counts = [(middle == k).mean() for k in range(-4, 5)]
        assert counts == pytest.approx([1 / 16] + [1 / 8] * 7 + [1 / 16], abs=0.04)
        assert (found[middle == 4][:, -1] == 99).all()  # the last frame is repeated
        assert (found[middle == -4][:, 0] == 0).all()
    else:
        assert np.abs(middle).max() <= 0.5
        assert rate.min() == pytest.approx(0.7, abs=0.03)
        assert rate.max() == pytest.approx(1.3, abs=0.03)
        assert rate.std() == pytest.approx(0.3 / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize(("key", "axis"), [("band_gain_db", 1), ("jitter_db", None)])
def test_bands_are_colored_and_levels_jitter(key, axis):
    levels = np.full((800, 30, 8), 120, np.uint8)
    found = (levels_of(inputs(levels, **{key: 2.0})) - 120) / 2.28
    assert found.std() == pytest.approx(2.0, rel=0.04)
    if axis:
        assert np.ptp(found, axis=axis).max() < 1e-3  # one number for a band of a clip
        assert np.ptp(found, axis=2).min() > 0.5
    else:
        assert found.std(axis=1).mean() == pytest.approx(2.0, rel=0.05)
    assert levels_of(inputs(np.full((100, 30, 8), 254, np.uint8), **{key: 9.0})).max() <= 255.001
    assert levels_of(inputs(np.full((100, 30, 8), 1, np.uint8), **{key: 9.0})).min() >= 0


@pytest.mark.parametrize(("key", "axis"), [("mask_bands", 2), ("mask_steps", 1)])
def test_stripes_are_the_clips_own_mean(key, axis):
    levels = clips(3000)
    found = levels_of(inputs(levels, **{key: 3}))
    masked = np.abs(found - levels) > 1e-3
    mean = np.broadcast_to(levels.mean(axis=(1, 2), keepdims=True), levels.shape)
    assert found[masked] == pytest.approx(mean[masked], abs=1e-3)
    other = 3 - axis
    # A level may equal the mean by itself: a place is masked where most of its stripe is.
    stripe = masked.mean(axis=other) > 0.5
    assert (masked.mean(axis=other)[~stripe] == 0).all()
    widths = stripe.sum(axis=1)
    assert [(widths == k).mean() for k in range(4)] == pytest.approx([0.25] * 4, abs=0.05)
    assert (np.diff(np.pad(stripe, ((0, 0), (1, 1))).astype(int), axis=1) == 1).sum(axis=1).max() == 1
    ends = stripe[:, [0, -1]].any(axis=0)
    assert ends.all()


def test_silence_is_background_at_any_volume_or_none_at_all():
    background = np.full((2, 30, 8), 150, np.uint8)
    settings = dataclasses.replace(NOTHING, silence_gain_db=(-20.0, 10.0), digital_silence_probability=0.2)
    found = levels_of(Augmenter(PLAIN, settings, background, 3).silence(4000).numpy())[:, 0, 0]
    assert (found == 0).mean() == pytest.approx(0.2, abs=0.02)
    gains = (found[found > 0] - 150) / 2.28
    assert (gains.min(), gains.max()) == (pytest.approx(-20, abs=0.1), pytest.approx(10, abs=0.1))
    assert gains.mean() == pytest.approx(-5, abs=0.5)


def test_every_clip_is_varied_by_itself_and_seeds_differ():
    levels = np.repeat(clips(1), 20, axis=0)
    every = {"clip_gain_db": 6.0, "shift_frames": 5, "stretch": 0.1, "noise_probability": 1.0, "jitter_db": 1.0}
    one = inputs(levels, **every, noise_gain_db=(-6.0, 0.0))
    assert len(np.unique(one.reshape(20, -1), axis=0)) == 20
    assert np.array_equal(one, inputs(levels, **every, noise_gain_db=(-6.0, 0.0)))
    assert not np.array_equal(one, inputs(levels, seed=8, **every, noise_gain_db=(-6.0, 0.0)))


def test_no_draw_of_a_batch_is_made_twice(monkeypatch):
    """All numbers come from the augmenter's own generator, one after the other."""
    augmenter = Augmenter(PLAIN, Augmentation(), NOISE, 5)
    states = []
    for name in ("rand", "randn", "randint"):
        real = getattr(torch, name)

        def drawn(*shape, generator=None, real=real, **more):
            assert generator is augmenter.random
            states.append(bytes(generator.get_state().numpy()))
            return real(*shape, generator=generator, **more)

        monkeypatch.setattr(torch, name, drawn)
    augmenter.inputs(torch.from_numpy(clips(4)))
    augmenter.silence(2)
    assert len(states) == len(set(states)) > 15
