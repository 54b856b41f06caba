# SPDX-License-Identifier: Apache-2.0
"""The normals of :mod:`.noise` for a block of conversions side by side, without an allocation each time."""

import numpy as np

from ..conversion.noise import ROUNDS, STEP, table

_CONVERSION = STEP << np.uint64(32)


class Draws:
    """Normals of ``batch`` conversions at a time, numbers along the first axis.

    Parameters
    ----------
    origin : uint64
        From :func:`.noise.key`.
    first : int64 array, shape (batch,)
        Numbers of the conversions; :meth:`advance` goes to the next ones.
    most : int
        Values drawn at a time.
    dtype
        float64: the values of :func:`.noise.normals`; float32: those rounded.
    """

    def __init__(self, origin: np.uint64, first: np.ndarray, most: int, dtype):
        groups, batch = -(-most // 4), len(first)
        self._origin = origin
        self._base = first.astype(np.uint64) * _CONVERSION
        self._words, self._spare = np.empty((2, groups, batch), np.uint64)
        self._index = np.empty((groups, 4, batch), np.intp)
        self._values = np.empty((groups * 4, batch), dtype)
        self._table = table().astype(dtype)
        self._exact = table()

    def advance(self) -> None:
        """Go to each conversion's successor."""
        self._base += _CONVERSION

    def normals(self, first: int, count: int) -> np.ndarray:
        """Values ``first`` to ``first + count - 1`` of each conversion, shape (count, batch); good until the next call.

        ``first`` is any number: values come in groups of 4, and those before it are skipped.
        """
        start = first // 4
        groups = -(-(first + count) // 4) - start
        words, spare, index = self._words[:groups], self._spare[:groups], self._index[:groups]
        steps = np.arange(start + 1, start + groups + 1, dtype=np.uint64) * STEP + self._origin
        np.add(self._base, steps[:, None], out=words)
        self._mix(words, spare)
        parts = words.astype("<u8", copy=False).view("<u2").reshape(groups, -1, 4)
        np.copyto(index, parts.transpose(0, 2, 1))
        values = self._values[: groups * 4]
        self._table.take(index.reshape(groups * 4, -1), out=values, mode="clip")
        return values[first - 4 * start : first - 4 * start + count]

    def at(self, place: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Value ``number`` of the conversion at each ``place`` of the batch, arrays of one shape; float64."""
        number = number.astype(np.uint64)
        words = number >> np.uint64(2)
        words += np.uint64(1)
        words *= STEP
        words += self._origin
        words += self._base.take(place)
        self._mix(words, np.empty_like(words))
        number &= np.uint64(3)
        number <<= np.uint64(4)
        words >>= number
        words &= np.uint64(0xFFFF)
        return self._exact.take(words.view(np.int64))

    @staticmethod
    def _mix(words: np.ndarray, spare: np.ndarray) -> None:
        for shift, factor in ROUNDS:
            np.right_shift(words, shift, out=spare)
            np.bitwise_xor(words, spare, out=words)
            if factor != 1:
                np.multiply(words, factor, out=words)
