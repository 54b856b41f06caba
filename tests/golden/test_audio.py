# SPDX-License-Identifier: Apache-2.0
"""Reading of WAV files: what is right comes back exactly, what is wrong is named."""

import wave

import numpy as np
import pytest
from crossramp.golden.audio import read_wav


def write(path, samples, rate=16000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, f"<i{width}" if width > 1 else "u1").tobytes())
    return path


def test_samples_come_back(tmp_path):
    samples = np.array([0, 1, -1, 32767, -32768], np.int16)
    found = read_wav(write(tmp_path / "a.wav", samples), 16000)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, samples)
    found[0] = 7  # the caller's own, writable


def test_empty_recording(tmp_path):
    assert read_wav(write(tmp_path / "a.wav", []), 16000).shape == (0,)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"rate": 8000}, "has a sample rate of 8000 Hz, must be 16000 Hz"),
        ({"channels": 2}, "has 2 channels, must be mono"),
        ({"width": 1}, "has 8 bits per sample, must be 16"),
        ({"width": 4}, "has 32 bits per sample, must be 16"),
    ],
)
def test_other_layouts_are_refused_with_the_way_out(tmp_path, layout, message):
    path = write(tmp_path / "a.wav", [0, 0, 0, 0], **layout)
    with pytest.raises(ValueError, match="convert it") as caught:
        read_wav(path, 16000)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"ID3 not a wav file", b"RIFF\x10\0\0\0WAVE"])
def test_what_is_no_wav_file_is_refused(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a PCM WAV file"):
        read_wav(path, 16000)


def test_truncated_recording_is_refused(tmp_path):
    path = write(tmp_path / "a.wav", np.arange(100))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="holds 150 bytes of samples, its header says 200"):
        read_wav(path, 16000)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav", 16000)
