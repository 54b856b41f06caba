# SPDX-License-Identifier: Apache-2.0
"""The charges of columns in the first window: approximate for whole blocks, exact for single columns.

An integrator that saturates would take one matrix product for each clock of the window.
Instead, a few checkpoints split the window.
Between two of them, a column's charge strays by no more than the parts it gets,
so most columns provably never meet their limit, or meet it and then stay beyond the ramp's end.
The rest, one in some hundred, are followed clock by clock.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..conversion.device import DeviceInstance
from ..conversion.device_array import charges
from ..conversion.noise import BOUND

_CHECKPOINTS = (0.2, 0.4, 0.67, 1.0)  # of the window
_CHUNK = 4096  # single columns computed together


@dataclass(frozen=True)
class _Segment:
    """Clocks of the window between two checkpoints: what pulses of -M .. M clocks bring there, and the least limit."""

    brings: np.ndarray
    limit: float


class Window:
    """The first window of a device.

    Bias rows count as one line, driven for the whole window; so lines are those of x and h, and that one.

    Parameters
    ----------
    device : DeviceInstance
    """

    def __init__(self, device: DeviceInstance):
        self.device, self.spec = device, device.spec
        self.kept = self.spec.inputs + self.spec.hidden
        self.most = self.spec.input_max
        self.weights = self._lines(device.weights)
        self.variance = self._lines(device.variance)
        self.common_variance = self._lines(device.common_variance)[:, 0]
        self.row_charge = charges(device.window)
        self.plain = bool((device.window == 1).all())
        self.limit = float(device.limit.min())
        #: Bound on any charge, at any time.
        self.largest = float(np.abs(self.weights).sum(axis=0).max() * self.most)
        self.saturates = bool(self.limit < self.largest)

    def _lines(self, rows: np.ndarray) -> np.ndarray:
        return np.vstack([rows[: self.kept], rows[self.kept :].sum(axis=0)])

    @cached_property
    def largest_noise(self) -> float:
        """Bound on the noise of any value, before compression."""
        squares = self.most**2
        columns = np.sqrt(self.variance.sum(axis=0) * squares + self.device.noise_variance).max()
        return float(BOUND * (columns + np.sqrt(self.common_variance.sum() * squares)))

    @cached_property
    def segments(self) -> list[_Segment]:
        """The window between checkpoints."""
        ends = sorted({max(1, round(part * self.most)) for part in _CHECKPOINTS})
        pulses = np.arange(-self.most, self.most + 1)
        segments, start = [], 0
        for end in ends:
            brings = self._until(pulses, end) - self._until(pulses, start)
            segments.append(_Segment(brings, float(self.device.limit[start:end].min())))
            start = end
        return segments

    def _until(self, pulses: np.ndarray, clock: int) -> np.ndarray:
        return self.row_charge[np.clip(pulses, -clock, clock) + self.most]

    def exact(self, pulses: np.ndarray, columns: np.ndarray, held: bool) -> np.ndarray:
        """Charge of single columns at the window's end, equal to :meth:`.device_array.DeviceArray.charge`.

        Parameters
        ----------
        pulses : float array, shape (lines, count)
            Clocks that each line is driven, whole numbers.
        columns : integer array, shape (count,)
        held : bool
            Whether limits may be met.

        Returns
        -------
        float64 array, shape (count,)
        """
        weights = self.weights.take(columns, axis=1)
        if not held:
            drive = pulses if self.plain else self.row_charge.take((pulses + self.most).astype(np.intp))
            return np.einsum("lk,lk->k", drive, weights)
        # What each clock brings: the sum over the lines that are driven as long as that, or longer.
        clocks, count = self.most + 1, len(columns)
        weights *= np.sign(pulses)
        index = np.abs(pulses).astype(np.intp)
        index += clocks * np.arange(count)
        ends = np.bincount(index.ravel(), weights.ravel(), clocks * count).reshape(count, clocks)
        driven = np.cumsum(ends[:, ::-1], axis=1).T[::-1]
        total = np.zeros(count)
        for t, (gain, limit) in enumerate(zip(self.device.window, self.device.limit, strict=True), start=1):
            total += gain * driven[t]
            np.minimum(total, limit, out=total)
            np.maximum(total, -limit, out=total)
        return total

    def sigmas(self, pulses: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standard deviations of single columns' noise, their own and the reference column's; arguments as above."""
        squares = np.square(pulses, dtype=float)
        own = np.einsum("lk,lk->k", squares, self.variance.take(columns, axis=1)) + self.device.noise_variance[columns]
        return np.sqrt(own), np.sqrt(self.common_variance @ squares)


class Charges:
    """Approximate charges of a block.

    Parameters
    ----------
    window : Window
    batch : int
    dtype
        Of the arithmetic.
    doubt : float
        Bound on its error.
    ends : float64 array, shape (columns,)
        A charge beyond ± this converts to the first or the last code for any noise.
    """

    def __init__(self, window: Window, batch: int, dtype, doubt: float, ends: np.ndarray):
        self.window, self.batch, self.dtype = window, batch, dtype
        lines, columns = window.weights.shape
        half = window.weights.T / 2 if window.saturates else window.weights.T
        self._weights = np.ascontiguousarray(half, dtype)
        self._index = np.empty((lines, batch), np.intp)
        self._narrow = np.empty((lines, batch), np.int32)
        self._drive = np.empty((lines, batch), dtype)
        self._row_charge = window.row_charge.astype(dtype)
        if window.saturates:
            self._magnitudes = np.abs(self._weights)
            shape = 5, columns, batch
            self._over, self._under, self._half, self._room, self._gross = np.empty(shape, dtype)
            self._ends = ends
            self._segments = [(part.brings.astype(dtype), dtype(part.limit - doubt)) for part in window.segments]

    def charge(self, pulses: np.ndarray, z: np.ndarray) -> None:
        """Charges of ``pulses``, shape (lines, batch), whole numbers in floats, to ``z``, shape (columns, batch)."""
        window = self.window
        if window.plain and not window.saturates:
            np.matmul(self._weights, pulses, out=z)
            return
        np.add(pulses, self.dtype(window.most), out=self._drive)
        np.copyto(self._narrow, self._drive, casting="unsafe")
        np.copyto(self._index, self._narrow)
        if not window.saturates:
            self._row_charge.take(self._index, out=self._drive, mode="clip")
            np.matmul(self._weights, self._drive, out=z)
            return
        self._along(z)
        met = np.flatnonzero(np.maximum(self._over, self._under, out=self._half) > 0)
        if met.size:
            z.put(met, self._beyond(pulses, met, z.take(met).astype(float)))

    def _along(self, z: np.ndarray) -> None:
        """Charges without limits to ``z``, and bounds on how far they exceed them on the way, up and down."""
        over, under, half, room = self._over, self._under, self._half, self._room
        for number, (brings, limit) in enumerate(self._segments):
            # Halfway between the checkpoints ± half of all that comes: no charge in between lies outside.
            brings.take(self._index, out=self._drive, mode="clip")
            np.matmul(self._weights, self._drive, out=half)
            np.abs(self._drive, out=self._drive)
            np.matmul(self._magnitudes, self._drive, out=room)
            np.add(room, self._gross if number else 0, out=self._gross)
            np.subtract(room, limit, out=room)
            if number == 0:
                np.add(room, half, out=over)
                np.subtract(room, half, out=under)
                np.add(half, half, out=z)
                continue
            np.add(z, half, out=z)
            np.maximum(over, np.add(room, z, out=self._spare), out=over)
            np.maximum(under, np.subtract(room, z, out=room), out=under)
            np.add(z, half, out=z)

    @cached_property
    def _spare(self) -> np.ndarray:
        return np.empty_like(self._half)

    def _beyond(self, pulses: np.ndarray, met: np.ndarray, charge: np.ndarray) -> np.ndarray:
        """Charges with the same codes as the exact ones of the elements ``met``, which may have met a limit."""
        column = met // self.batch
        place = met - column * self.batch
        over, under = self._over.take(met).astype(float), self._under.take(met).astype(float)
        # Held at the upper limit alone, a charge ends lower by at most as much as it would have exceeded it; the other
        # limit only raises it. So it ends no lower than this for any limits that it met; and the same from below.
        lower, upper = charge - over, charge + under
        end = self._ends[column]
        top, bottom = (over > 0) & (lower > end), (under > 0) & (upper < -end)
        charge[top], charge[bottom] = lower[top], upper[bottom]
        left = np.flatnonzero(~(top | bottom))
        if left.size:
            charge[left] = self._exact(pulses, column[left], place[left], True)
        return charge

    def unused(self, columns: np.ndarray, places: np.ndarray) -> np.ndarray | float:
        """By how much less than the largest charge the parts of single columns' charges are in magnitude, at least."""
        if not self.window.saturates:
            return 0.0
        gross = self._gross.take(columns * self.batch + places)
        return np.maximum(self.window.largest - 2.001 * gross.astype(float), 0.0)

    def exact(self, pulses: np.ndarray, columns: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Exact charges of single columns at places of the batch that :meth:`charge` has just seen; float64."""
        if not self.window.saturates:
            return self._exact(pulses, columns, places, False)
        element = columns * self.batch + places
        held = np.maximum(self._over.take(element), self._under.take(element)) > 0
        charge = np.empty(len(columns))
        for some, limited in ((held, True), (~held, False)):
            charge[some] = self._exact(pulses, columns[some], places[some], limited)
        return charge

    def _exact(self, pulses: np.ndarray, columns: np.ndarray, places: np.ndarray, held: bool) -> np.ndarray:
        parts = [
            self.window.exact(pulses.take(places[k : k + _CHUNK], axis=1), columns[k : k + _CHUNK], held)
            for k in range(0, len(columns), _CHUNK)
        ]
        return np.concatenate([np.empty(0), *parts])
