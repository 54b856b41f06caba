# SPDX-License-Identifier: Apache-2.0
"""The front end against a reference written as the formulas are: loops and a discrete Fourier sum."""

import json
import math

import numpy as np
import pytest
from crossramp.golden.inputs.features import (
    FeatureSettings,
    features,
    fit_length,
    log_mel,
    mel_weights,
    normalize,
    pulse_codes,
    step_values,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL = FeatureSettings(
    sample_rate=1000,
    clip_samples=100,
    window_samples=24,
    hop_samples=10,
    fft_samples=32,
    bands=5,
    low_hz=30,
    high_hz=450,
    frames_per_step=2,
    band_offset=(50, 60, 70, 80, 90),
    band_gain=0.01,
)


def reference_levels(clip, s):
    """Levels of one clip, one number at a time."""

    def mel(hz):
        return 2595 * math.log10(1 + hz / 700)

    edges = [mel(s.low_hz) + k * (mel(s.high_hz) - mel(s.low_hz)) / (s.bands + 1) for k in range(s.bands + 2)]
    rows = []
    for frame in range((len(clip) - s.window_samples) // s.hop_samples + 1):
        power = []
        for k in range(s.fft_samples // 2 + 1):
            total = 0j
            for n in range(s.window_samples):
                window = 0.5 - 0.5 * math.cos(2 * math.pi * n / s.window_samples)
                turn = -2 * math.pi * k * n / s.fft_samples
                total += window * clip[frame * s.hop_samples + n] * complex(math.cos(turn), math.sin(turn))
            power.append(abs(total) ** 2)
        row = []
        for band in range(s.bands):
            left, peak, right = edges[band : band + 3]
            total = 0.0
            for k, value in enumerate(power):
                m = mel(k * s.sample_rate / s.fft_samples)
                if left < m < right:
                    total += value * ((m - left) / (peak - left) if m <= peak else (right - m) / (right - peak))
            level = s.level_gain * 10 * math.log10(total) + s.level_offset if total > 0 else 0.0
            row.append(min(max(level, 0.0), s.level_max))
        rows.append(row)
    return np.array(rows)


def reference_features(levels, s):
    steps = len(levels) // s.frames_per_step
    out = np.empty((steps, s.bands))
    for t in range(steps):
        for b in range(s.bands):
            mean = sum(levels[t * s.frames_per_step + k, b] for k in range(s.frames_per_step)) / s.frames_per_step
            out[t, b] = min(max((mean - s.band_offset[b]) * s.band_gain[b], -1.0), 1.0)
    return out


def reference_cepstra(levels, s):
    """Coefficients, then differences, of whole steps' mean levels: one number at a time."""
    means = (
        levels[: len(levels) // s.frames_per_step * s.frames_per_step].reshape(-1, s.frames_per_step, s.bands).mean(1)
    )
    rows = []
    for level in means:
        row = [
            sum(level[b] * math.cos(math.pi * k * (b + 0.5) / s.bands) for b in range(s.bands))
            for k in range(s.cepstra)
        ]
        rows.append([math.sqrt(2 / s.bands) * value for value in row])
    changes = [[now - rows[max(t - 2, 0)][k] for k, now in enumerate(row[: s.deltas])] for t, row in enumerate(rows)]
    return np.array([row + change for row, change in zip(rows, changes, strict=True)])


def noise(shape, seed, scale=3000):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.int16)


def test_levels_and_features_equal_the_reference():
    clip = noise(SMALL.clip_samples, 1)
    expected = reference_levels(clip, SMALL)
    assert expected.std() > 5  # the comparison sees something
    np.testing.assert_allclose(log_mel(clip, SMALL), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(features(clip, SMALL), reference_features(expected, SMALL), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cepstra", "deltas"), [(4, 0), (4, 3), (1, 1), (5, 5)])
def test_cepstra_and_their_differences_equal_the_reference(cepstra, deltas):
    s = FeatureSettings(
        **(
            SMALL.to_dict()
            | {"cepstra": cepstra, "deltas": deltas, "band_offset": 0.0, "band_gain": 0.01, "frames_per_step": 1}
        )
    )
    levels = log_mel(noise(SMALL.clip_samples, 4), s)
    expected = reference_cepstra(levels, s)
    assert expected.shape == (s.steps, s.inputs)
    assert expected.std() > 1
    np.testing.assert_allclose(step_values(levels, s), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(normalize(levels, s), np.clip(expected * 0.01, -1, 1), rtol=0, atol=1e-9)


def test_settings_without_cepstra_are_stored_as_ever():
    assert not {"cepstra", "deltas"} & set(SMALL.to_dict())
    assert FeatureSettings.from_dict(SMALL.to_dict()) == SMALL
    with_them = FeatureSettings(cepstra=3, deltas=2)
    assert (with_them.inputs, FeatureSettings().inputs) == (5, 40)
    assert FeatureSettings.from_dict(json.loads(json.dumps(with_them.to_dict()))) == with_them


@pytest.mark.parametrize(
    "change",
    [{"low_hz": 31}, {"high_hz": 440}, {"level_gain": 2.0}, {"level_offset": -57}, {"band_gain": 0.011}],
)
def test_comparison_notices_another_setting(change):
    clip = noise(SMALL.clip_samples, 1)
    other = FeatureSettings(**(SMALL.to_dict() | change))
    assert np.abs(features(clip, other) - features(clip, SMALL)).max() > 1e-4


def test_default_front_end_equals_the_reference_in_some_frames():
    s = FeatureSettings()
    assert (s.frames, s.steps) == (98, 49)
    clip = noise(s.clip_samples, 2, 500)
    part = FeatureSettings(clip_samples=s.window_samples, frames_per_step=1)
    for frame in (0, 97):
        start = frame * s.hop_samples
        expected = reference_levels(clip[start : start + s.window_samples].astype(float), part)
        np.testing.assert_allclose(log_mel(clip, s)[frame], expected[0], rtol=0, atol=1e-8)


def test_pure_tone_peaks_in_its_band():
    s = FeatureSettings()
    peak_hz = np.argmax(mel_weights(s), axis=0) * s.sample_rate / s.fft_samples
    for band in (10, 25, 39):
        clip = 8000 * np.sin(2 * np.pi * peak_hz[band] * np.arange(s.clip_samples) / s.sample_rate)
        assert (log_mel(clip, s).argmax(axis=1) == band).all()


def test_every_band_of_the_default_front_end_sees_a_bin():
    assert (mel_weights(FeatureSettings()).sum(axis=0) > 0).all()


def test_digital_silence_and_full_scale_stay_in_range():
    s = FeatureSettings()
    assert (log_mel(np.zeros(s.clip_samples, np.int16), s) == 0).all()
    loud = np.where(np.arange(s.clip_samples) // 20 % 2, 32767, -32768).astype(np.int16)
    levels = log_mel(loud, s)
    assert levels.max() <= s.level_max
    assert (np.abs(features(loud, s)) <= 1).all()


def test_batch_equals_clip_by_clip():
    s = FeatureSettings(clip_samples=4000)
    clips = noise((3, 70, s.clip_samples), 3)  # more clips than one block
    whole = features(clips, s)
    assert whole.shape == (3, 70, s.steps, s.bands)
    for index in [(0, 0), (0, 63), (0, 64), (2, 69)]:
        np.testing.assert_array_equal(pulse_codes(whole[index], 5), pulse_codes(features(clips[index], s), 5))


def test_empty_batch():
    assert features(np.zeros((0, 16000), np.int16), FeatureSettings()).shape == (0, 49, 40)


def test_frames_that_fill_no_step_are_dropped():
    s = FeatureSettings(bands=1, frames_per_step=3, clip_samples=480 + 4 * 160, band_offset=0, band_gain=0.01)
    assert (s.frames, s.steps) == (5, 1)
    np.testing.assert_allclose(normalize(np.array([[10.0], [20.0], [60.0], [255.0], [255.0]]), s), [[0.3]])


def test_fit_length_crops_and_pads_the_end():
    np.testing.assert_array_equal(fit_length(np.array([1, 2, 3], np.int16), 2), [1, 2])
    padded = fit_length(np.array([[1, 2]], np.int16), 4)
    np.testing.assert_array_equal(padded, [[1, 2, 0, 0]])
    assert padded.dtype == np.int16


@pytest.mark.parametrize(("bits", "full_scale"), [(2, 1), (5, 15), (8, 127)])
def test_pulse_codes_saturate_at_full_scale(bits, full_scale):
    values = [-1e30, -1.5, -1, 0, 1, 1.5, 1e30]
    expected = [-full_scale] * 3 + [0] + [full_scale] * 3
    np.testing.assert_array_equal(pulse_codes(values, bits), expected)


def test_pulse_codes_round_halves_away_from_zero():
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]) / 15
    halves = np.where(halves * 15 == np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]), halves, np.nan)
    exact = ~np.isnan(halves)
    assert exact.sum() >= 4  # quotients whose product with 15 is the half again
    np.testing.assert_array_equal(pulse_codes(halves[exact], 5), np.array([-3, -2, -1, 1, 2, 3])[exact])


@given(st.floats(-1.2, 1.2), st.integers(2, 16))
def test_pulse_code_is_the_nearest(value, bits):
    full_scale = 2 ** (bits - 1) - 1
    code = int(pulse_codes(value, bits))
    assert abs(code) <= full_scale
    assert abs(code - min(max(value, -1), 1) * full_scale) <= 0.5 + 1e-9
    assert int(pulse_codes(-value, bits)) == -code


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.01, 1.0))
def test_softer_clip_has_no_higher_level(seed, gain):
    clip = noise(SMALL.clip_samples, seed).astype(float)
    assert (log_mel(gain * clip, SMALL) <= log_mel(clip, SMALL) + 1e-9).all()


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 12),
    st.integers(1, 4),
    st.floats(-100, 100, allow_nan=False),
    st.lists(st.floats(0.001, 10), min_size=12, max_size=12),
)
def test_settings_survive_json(bands, frames_per_step, offset, gains):
    s = FeatureSettings(
        bands=bands, frames_per_step=frames_per_step, level_offset=offset, band_gain=tuple(gains[:bands])
    )
    assert FeatureSettings.from_dict(json.loads(json.dumps(s.to_dict()))) == s


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate": 0}, "sample_rate is 0; allowed: 1 to 1000000"),
        ({"sample_rate": 16000.0}, "sample_rate is 16000.0 (float); allowed: integers, 1 to 1000000"),
        ({"window_samples": 1}, "window_samples is 1; allowed: 2 to"),
        ({"clip_samples": 479}, "clip_samples is 479; allowed: 480 (window_samples) to"),
        ({"hop_samples": 0}, "hop_samples is 0; allowed: 1 to 16000 (clip_samples)"),
        ({"fft_samples": 256}, "fft_samples is 256; allowed: 480 (window_samples) to"),
        ({"bands": True}, "bands is True (bool); allowed: integers"),
        ({"cepstra": 41}, "cepstra is 41"),
        ({"cepstra": 5, "deltas": 6}, "deltas is 6"),
        ({"high_hz": 8001}, "high_hz is 8001; allowed: a number from 0 to 8000 (half of sample_rate)"),
        ({"low_hz": 4000}, "low_hz is 4000: must be below high_hz, which is 4000.0"),
        ({"low_hz": float("nan")}, "low_hz is nan; allowed: a number from 0 to 500000"),
        ({"level_gain": 0}, "level_gain is 0; allowed: a number from 1e-06 to 1e+06"),
        ({"frames_per_step": 99}, "frames_per_step is 99; allowed: 1 to 98 (the clip's frames)"),
        ({"band_gain": (1, 2)}, "band_gain has 2 values: must have one, or one per input (40)"),
        ({"band_gain": 0}, "band_gain[0] is 0; allowed: a number from 1e-09 to 1e+06"),
        ({"band_offset": "12"}, "band_offset[0] is '12'; allowed: a number"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared below, whole)
        FeatureSettings(**change)
    assert message in str(caught.value)


def test_unknown_and_missing_settings_are_named():
    good = FeatureSettings().to_dict()
    with pytest.raises(ValueError, match="feature setting 'bnads' is unknown"):
        FeatureSettings.from_dict(good | {"bnads": 3})
    del good["bands"]
    with pytest.raises(ValueError, match="feature setting 'bands' is missing"):
        FeatureSettings.from_dict(good)


def test_bad_arrays_are_refused():
    s = FeatureSettings()
    with pytest.raises(ValueError, match=r"shape \(15999,\): the last axis must be clip_samples = 16000"):
        log_mel(np.zeros(15999), s)
    with pytest.raises(ValueError, match="type complex128"):
        log_mel(np.zeros(16000, complex), s)
    with pytest.raises(ValueError, match=r"levels have shape \(98, 39\): must be \(..., frames, 40 bands\)"):
        normalize(np.zeros((98, 39)), s)
    with pytest.raises(ValueError, match="features hold nan"):
        pulse_codes([0.0, float("nan")], 5)
    with pytest.raises(ValueError, match="input_bits is 1; allowed: 2 to 16"):
        pulse_codes([0.0], 1)
    with pytest.raises(ValueError, match="clip_samples is 0"):
        fit_length([1, 2], 0)


def test_meaning_tells_what_the_inputs_are():
    assert FeatureSettings(cepstra=0, deltas=0).meaning == "40 log-mel bands"
    assert FeatureSettings(cepstra=20, deltas=0).meaning == "20 cepstra, of 40 log-mel bands"
    assert FeatureSettings(cepstra=20, deltas=12).meaning == "20 cepstra and 12 of their changes, of 40 log-mel bands"
