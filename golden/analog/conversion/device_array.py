# SPDX-License-Identifier: Apache-2.0
"""One device instance as an array: what its comparators see, and the codes that they latch."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from crossramp.golden.network.array_protocol import Window
from crossramp.golden.network.ramps import latch

from .device import DeviceInstance
from .noise import BOUND, at, key, normals


class DeviceArray:
    """An array that errs: every code is the one that the gateware gets from ``device``, vectorized over a batch.

    An :class:`~.array_protocol.Array`; :mod:`.device` has the arithmetic of a conversion. Conversions are numbered from
    the array's switching on, since the noise of each depends on its number.

    Parameters
    ----------
    device : DeviceInstance
    calibration : bool array, shape (ramps, calibration_cells), or None
        Cells selected; None: the instance's nominal ones.

    Attributes
    ----------
    levels, starts : float64 arrays, shapes (ramps, ticks) and (ramps,)
        Of the ramps, without noise.
    origin, ramp_first, decision_first, common_index
        Of the noise: its counter's origin, and where the numbers of ramps, decisions and reference column start.
    """

    def __init__(self, device: DeviceInstance, calibration: np.ndarray | None = None):
        self.device, self.spec = device, device.spec
        spec, columns = device.spec, device.spec.columns
        self.starts = device.starts(calibration)
        self.levels = device.levels(calibration)
        self.origin = key(device.seed)
        self.ramp_first = -(-columns // 4) * 4
        self.decision_first = self.ramp_first + -(-len(spec.ramps) * spec.ticks // 4) * 4
        self.common_index = self.decision_first + -(-spec.ticks * columns // 4) * 4
        self._row_charge = charges(device.window)
        self._state_charge = charges(device.state_window)
        # Written so that NaN, from zero times infinity, cannot arise: no bound on a column that never saturates.
        self._saturates = bool(np.isfinite(device.limit).any()), bool(np.isfinite(device.state_limit).any())
        # A ramp that falls somewhere: a value above all levels up to k is high on all these ticks, one below all
        # levels from k on is low on all of those. Both are the levels themselves where the ramp never falls.
        self._highest = np.maximum.accumulate(self.levels, axis=1)
        self._lowest = np.minimum.accumulate(self.levels[:, ::-1], axis=1)[:, ::-1]
        self._falls = (self._highest != self._lowest).any(axis=1)

    def convert(self, windows: Sequence[Window], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`~.array_protocol.Array.convert`; ``macs`` are the columns' values v, float64."""
        second = len(windows) > 1
        pulses = windows[-1].lines if second else windows[-1].rows
        values = self.values(self.charge(pulses, second), pulses, numbers, second)
        return values, self.codes(values, numbers, second)

    # ---- parts of a conversion -----------------------------------------------------------------------------------

    def charge(self, pulses: np.ndarray, second: bool = False) -> np.ndarray:
        """What the integrators hold after the window (point 1 of :mod:`.device`), exact.

        Parameters
        ----------
        pulses : integer array, shape (batch, rows), or (batch, units) in the second conversion
            Clocks that each line is driven, signed.

        Returns
        -------
        float64 array, shape (batch, columns), or (batch, units) in the second conversion
        """
        device = self.device
        if second:
            charged = self._state_charge[pulses + self.spec.state_pulse_max] * device.state_cells
            if self._saturates[1]:
                worst = np.abs(charged).max(axis=1) > device.state_limit.min()
                charged[worst] = self._along(pulses[worst], device.state_window, device.state_limit, second)
            return charged
        drive = self._row_charge[pulses + self.spec.input_max]
        charged = drive @ device.weights
        if self._saturates[0]:
            # No partial sum exceeds the sum of the parts of its sign.
            worst = ((np.abs(drive) @ self._magnitudes + np.abs(charged)) > 2 * device.limit.min()).any(axis=1)
            if worst.any():
                charged[worst] = self._along(pulses[worst], device.window, device.limit, second)
        return charged

    def values(
        self, charge: np.ndarray, pulses: np.ndarray, conversion: np.ndarray, second: bool = False
    ) -> np.ndarray:
        """What the comparators see of ``charge``: with the conversion's noise, compressed, offset; float64.

        Parameters
        ----------
        charge, pulses
            As in :meth:`charge`.
        conversion : int64 array, shape (batch,)
        """
        device, spec = self.device, self.spec
        bank = spec.converted(second)
        squares = np.square(pulses.astype(float))
        if not second and device.common_variance.any():
            sigma = np.sqrt(squares @ device.common_variance)
            charge = charge + (sigma * normals(self.origin, conversion, self.common_index, 1)[:, 0])[:, None]
        if device.variance.any() or device.state_variance.any() or device.noise_variance.any():
            cells = squares * device.state_variance if second else squares @ device.variance
            sigma = np.sqrt(cells + device.noise_variance[bank])
            charge = charge + sigma * self._column_noise(conversion, bank)
        if device.compression:
            y = np.abs(charge) * device.compression
            charge = charge / (1.0 + y / 2.0 + y * y / 12.0)
        return charge + device.offsets[bank]

    def codes(self, values: np.ndarray, conversion: np.ndarray, second: bool = False) -> np.ndarray:
        """Codes that the capture banks hold; int64, shape of ``values``."""
        spec = self.spec
        noisy = self._ramp_levels(conversion)
        codes = np.empty(values.shape, np.int64)
        first = spec.converted(second).start
        for gate in spec.conversions[second]:
            bank = spec.bank(gate)
            place = slice(bank.start - first, bank.stop - first)
            codes[:, place] = self._bank_codes(gate, values[:, place], conversion, noisy)
        return codes

    def comparators(self, values: np.ndarray, conversion: np.ndarray, second: bool = False) -> np.ndarray:
        """What every comparator shows on every tick; bool, shape ``(ticks, *values.shape)``."""
        spec, noisy = self.spec, self._ramp_levels(conversion)
        columns = np.arange(spec.columns)[spec.converted(second)]
        ramp = spec.ramp_of_column[columns]
        level = np.repeat(self.levels[None], len(values), axis=0) if noisy is None else noisy
        level = level[:, ramp].transpose(2, 0, 1)  # ticks, batch, columns
        seen = np.broadcast_to(values, level.shape)
        if self.device.comparator_noise:
            tick = np.arange(spec.ticks)[:, None, None]
            index = self.decision_first + tick * spec.columns + columns
            drawn = at(self.origin, np.broadcast_to(conversion[:, None], index.shape[:1] + values.shape), index)
            seen = values + self.device.comparator_noise * drawn
        return self._late(seen > level, self.device.delays[columns])

    # ---- inside --------------------------------------------------------------------------------------------------

    @cached_property
    def _magnitudes(self) -> np.ndarray:
        return np.abs(self.device.weights)

    def _along(self, pulses: np.ndarray, window: np.ndarray, limit: np.ndarray, second: bool) -> np.ndarray:
        """The charge where it meets its limits, clock by clock."""
        cells = self.device.state_cells if second else self.device.weights
        total = np.zeros((len(pulses), self.spec.units if second else self.spec.columns))
        sign, length = np.sign(pulses).astype(float), np.abs(pulses)
        for t, (gain, most) in enumerate(zip(window, limit, strict=True), start=1):
            driven = np.where(length >= t, sign, 0.0)
            total += gain * (driven * cells if second else driven @ cells)
            np.clip(total, -most, most, out=total)
        return total

    def _column_noise(self, conversion: np.ndarray, bank: slice) -> np.ndarray:
        start, stop, _ = bank.indices(self.spec.columns)
        first = start // 4 * 4
        return normals(self.origin, conversion, first, stop - first)[:, start - first :]

    def _ramp_levels(self, conversion: np.ndarray) -> np.ndarray | None:
        """Levels of each conversion, shape (batch, ramps, ticks); None where all are :attr:`levels`."""
        device, spec = self.device, self.spec
        if not device.ramp_noise.any():
            return None
        count = device.ramp_noise.size
        drawn = normals(self.origin, conversion, self.ramp_first, count).reshape(-1, *device.ramp_noise.shape)
        parts = np.empty((len(conversion), len(spec.ramps), spec.ticks + 1))
        parts[..., 0] = self.starts
        parts[..., 1:] = device.ramp_steps + device.ramp_noise * drawn
        return np.cumsum(parts, axis=2)[..., 1:] * device.rise

    def _bank_codes(self, gate: str, values: np.ndarray, conversion: np.ndarray, noisy: np.ndarray | None):
        spec, device = self.spec, self.device
        ramp, delays = spec.ramp_of(gate), spec.of_bank(device.delays, gate)
        late = bool(delays.any())
        bound = np.zeros((len(values), 1))
        if noisy is not None:
            bound += np.abs(noisy[:, ramp] - self.levels[ramp]).max(axis=1, keepdims=True)
        bound += device.comparator_noise * BOUND
        if late and spec.latch == "last_high" and (self._falls[ramp] or bound.any()):
            # The last high decision may come too late to be seen: an earlier one counts.
            return self._every_tick(gate, values, conversion)
        if not bound.any():
            codes = np.searchsorted((self._lowest if spec.latch == "last_high" else self._highest)[ramp], values)
        else:
            # A decision further than the bound from the noiseless ramp is that of the noiseless ramp: only those
            # between (margin for the rounding of sum and difference) have to be drawn.
            bound = bound * (1 + 1e-9) + 1e-9 + np.abs(values) * 2.0**-50
            low = np.searchsorted(self._highest[ramp], values - bound)
            high = np.searchsorted(self._lowest[ramp], values + bound)
            codes = low
            unsure = np.nonzero(high > low)
            if unsure[0].size:
                codes[unsure] = self._decide(gate, unsure, values, conversion, noisy, low[unsure], high[unsure])
        return np.minimum(codes + delays, spec.ticks) if late else codes

    def _decide(self, gate: str, unsure, values, conversion, noisy, low, high) -> np.ndarray:
        """Codes of the elements ``unsure``: all ticks up to ``low`` are high, all beyond ``high`` are low."""
        spec, device = self.spec, self.device
        ramp, batch, unit = spec.ramp_of(gate), *unsure
        counts = high - low
        element = np.repeat(np.arange(len(counts)), counts)
        tick = low[element] + np.arange(len(element)) - np.repeat(np.cumsum(counts) - counts, counts)  # from 0
        level = self.levels[ramp][tick] if noisy is None else noisy[batch[element], ramp, tick]
        column = spec.column(gate, unit[element])
        seen = values[batch, unit][element]
        if device.comparator_noise:
            index = self.decision_first + tick * spec.columns + column
            seen = seen + device.comparator_noise * at(self.origin, conversion[batch[element]], index)
        decided = seen > level
        codes = low.copy()
        if spec.latch == "last_high":
            # A late comparator that rises again shows it only if the ramp is still on.
            decided &= tick + device.delays[column] < spec.ticks
            np.maximum.at(codes, element[decided], tick[decided] + 1)
        else:
            codes = high.copy()
            np.minimum.at(codes, element[~decided], tick[~decided])
        return codes

    def _every_tick(self, gate: str, values: np.ndarray, conversion: np.ndarray) -> np.ndarray:
        """Codes by every decision, latched as the capture bank does."""
        whole = np.zeros((len(values), self.spec.columns))
        columns = self.spec.bank(gate)
        whole[:, columns] = values
        return latch(self.comparators(whole, conversion)[..., columns], self.spec.latch)

    @staticmethod
    def _late(decided: np.ndarray, delays: np.ndarray) -> np.ndarray:
        """Decisions, each column's shown its delay later; high before."""
        if not delays.any():
            return decided
        ticks = np.arange(len(decided))[:, None, None] - delays
        shown = np.take_along_axis(decided, np.broadcast_to(np.maximum(ticks, 0), decided.shape), axis=0)
        return shown | (ticks < 0)


def charges(window: np.ndarray) -> np.ndarray:
    """What pulses of -M .. M clocks bring through ``window``; index n + M."""
    sums = np.concatenate([[0.0], np.cumsum(window)])
    return np.concatenate([-sums[:0:-1], sums])
