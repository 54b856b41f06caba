# SPDX-License-Identifier: Apache-2.0
"""Reading of recordings: mono 16-bit WAV files at the rate that the features expect, by the standard library alone."""

from __future__ import annotations

import os
import wave

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_wav"]


def read_wav(path: str | os.PathLike[str], sample_rate: int) -> NDArray[np.int16]:
    """The samples of a WAV file.

    Parameters
    ----------
    path : str or path
        A RIFF WAVE file of uncompressed PCM.
    sample_rate : int
        The rate that the file must have, in Hz; nothing is resampled.

    Returns
    -------
    int16 array, shape (samples,), full scale 32768

    Raises
    ------
    ValueError
        If the file is no such WAV file: one line that quotes the path and the value and says what to do.
    OSError
        If the file cannot be opened.
    """
    name = os.fspath(path)
    convert = f"convert it, for example: sox {name} -r {sample_rate} -c 1 -b 16 out.wav"
    try:
        with wave.open(name, "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            expected = file.getnframes()
            data = file.readframes(expected)
    except (wave.Error, EOFError) as error:
        reason = str(error) or "the file ends within its header"
        raise ValueError(f"{name}: not a PCM WAV file ({reason}); {convert}") from None
    if channels != 1:
        raise ValueError(f"{name}: has {channels} channels, must be mono; {convert}")
    if width != 2:
        raise ValueError(f"{name}: has {8 * width} bits per sample, must be 16; {convert}")
    if rate != sample_rate:
        raise ValueError(f"{name}: has a sample rate of {rate} Hz, must be {sample_rate} Hz; {convert}")
    if len(data) != 2 * expected:
        raise ValueError(
            f"{name}: holds {len(data)} bytes of samples, its header says {2 * expected}; copy or record it again"
        )
    return np.frombuffer(data, dtype="<i2").astype(np.int16)
