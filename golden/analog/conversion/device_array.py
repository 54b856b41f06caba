# SPDX-License-Identifier: Apache-2.0
"""One device instance as an array: what its comparators see, and the codes that they latch."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.array.ramps import latch
from crossramp.golden.spec.specification import Specification

from .device import DeviceInstance, grid_bits
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
        #: For each window: what pulses of -M .. M clocks bring, gains, limits, and whether anything meets the limits.
        gains, limits = (device.window, device.state_window), (device.limit, device.state_limit)
        self._charges = [charges(gain) for gain in gains]
        self._gains, self._limits = gains, limits
        self._saturates = [bool(np.isfinite(limit).any()) for limit in limits]
        # Columns of one bank, or of neighbors alike, by conversion: what they hold, and what shares their noise.
        self._parts = [list(_parts(spec, number)) for number in range(len(spec.conversions))]
        # A ramp that falls somewhere: a value above all levels up to k is high on all these ticks, one below all
        # levels from k on is low on all of those. Both are the levels themselves where the ramp never falls.
        own = [levels[: walk.ticks] for levels, walk in zip(self.levels, spec.ramp_walks, strict=True)]
        self._highest = [np.maximum.accumulate(levels) for levels in own]
        self._lowest = [np.minimum.accumulate(levels[::-1])[::-1] for levels in own]
        self._falls = [(high != low).any() for high, low in zip(self._highest, self._lowest, strict=True)]
        self._codes = [np.array(walk.codes) for walk in spec.ramp_walks]

    def convert(self, windows: Sequence[Window], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`~.array_protocol.Array.convert`; ``macs`` are the columns' values v, float64."""
        values = self.values(self.charge(windows), windows, numbers)
        return values, self.codes(values, numbers, len(windows) > 1)

    # ---- parts of a conversion -----------------------------------------------------------------------------------

    def charge(self, windows: Sequence[Window]) -> np.ndarray:
        """What the integrators hold after the last of ``windows`` (point 1 of :mod:`.device`), exact.

        Parameters
        ----------
        windows : sequence of Window
            Those of the step so far, as :meth:`convert` takes them.

        Returns
        -------
        float64 array, shape (batch, columns that the conversion latches)
        """
        spec, number = self.spec, len(windows) - 1
        latched = spec.converted(number)
        total = np.zeros((_batch(windows), latched.stop - latched.start))
        for part in self._parts[number]:
            for index in part.held:
                if index != part.held[0]:
                    total[:, part.place] = self._left(total[:, part.place], part.columns)
                self._integrate(total[:, part.place], windows[index], index, part.columns)
        return total

    def values(self, charge: np.ndarray, windows: Sequence[Window], numbers: np.ndarray) -> np.ndarray:
        """What the comparators see of ``charge``: with the conversion's noise, compressed, offset; float64.

        Parameters
        ----------
        charge, windows
            As in :meth:`charge`.
        numbers : int64 array, shape (batch,)
        """
        device, number = self.device, len(windows) - 1
        bank = self.spec.converted(number)
        charge = self._with_noise(charge, windows, numbers)
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
            passed = self._passed(gate, values[:, place], conversion, noisy)
            codes[:, place] = self._codes[spec.ramp_of(gate)][passed]
        return codes

    def comparators(self, values: np.ndarray, conversion: np.ndarray, second: bool = False) -> np.ndarray:
        """What every comparator shows on every tick; bool, shape ``(ticks, *values.shape)``.

        A bank whose ramp has fewer ticks latches nothing on the others (:func:`~.ramps.latched_codes`).
        """
        return self._shown(values, conversion, self.spec.converted(second))

    # ---- inside --------------------------------------------------------------------------------------------------

    def _shown(self, values: np.ndarray, conversion: np.ndarray, place: slice) -> np.ndarray:
        """:meth:`comparators` of the columns ``place``."""
        spec, noisy = self.spec, self._ramp_levels(conversion)
        columns = np.arange(spec.columns)[place]
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

    @cached_property
    def _magnitudes(self) -> np.ndarray:
        return np.abs(self.device.weights)

    def _integrate(self, total: np.ndarray, window: Window, index: int, columns: slice) -> None:
        """Add one window's charge to ``total``, shape (batch, columns), which holds what came before it."""
        device = self.device
        charges, limit = self._charges[index], self._limits[index]
        most, saturates = len(limit), self._saturates[index]
        net, gross = np.zeros_like(total), np.zeros_like(total) if saturates else None
        if window.rows is not None:
            drive = charges[window.rows + most]
            net += drive @ device.weights[:, columns]
            if saturates:
                gross += np.abs(drive) @ self._magnitudes[:, columns]
        for place, wires, cells in self._lines(window, columns, device.state_cells):
            brought = charges[window.lines[:, wires] + most] * cells
            net[:, place] += brought
            if saturates:
                gross[:, place] += np.abs(brought)
        if not saturates:
            total += net
            return
        # No partial sum exceeds what was there and the sum of the parts of its sign.
        worst = ((2 * np.abs(total) + gross + np.abs(net)) > 2 * limit.min()).any(axis=1)
        along = self._along(total[worst], window, index, columns, worst)
        total += net
        total[worst] = along

    def _lines(self, window: Window, columns: slice, values: np.ndarray):
        """Cells of lines on ``columns``: where they are among these, their wires, and their part of ``values``."""
        if window.lines is None:
            return
        spec = self.spec
        for cell in spec.line_cells:
            bank = spec.bank(cell.bank)
            if columns.start <= bank.start < columns.stop:
                place = slice(bank.start - columns.start, bank.stop - columns.start)
                yield place, spec.wires_of(cell.line), values[spec.line_cell(cell)]

    def _along(self, start: np.ndarray, window: Window, index: int, columns: slice, chosen: np.ndarray) -> np.ndarray:
        """The charge from ``start`` on where it meets its limits, clock by clock, for the ``chosen`` of the batch."""
        total = start.copy()

        def driven(pulses, t):
            return np.where(np.abs(pulses) >= t, np.sign(pulses), 0).astype(float)

        rows = None if window.rows is None else window.rows[chosen]
        cells_of = self._lines(window, columns, self.device.state_cells)
        lines = [(place, window.lines[chosen, wires], cells) for place, wires, cells in cells_of]
        for t, (gain, most) in enumerate(zip(self._gains[index], self._limits[index], strict=True), start=1):
            rate = np.zeros_like(total) if rows is None else driven(rows, t) @ self.device.weights[:, columns]
            for place, pulses, cells in lines:
                rate[:, place] += driven(pulses, t) * cells
            total += gain * rate
            np.clip(total, -most, most, out=total)
        return total

    def _left(self, charge: np.ndarray, columns: slice) -> np.ndarray:
        """What is left of a first window's charge at the end of the second, on the grid of charges."""
        return drooped(charge, hold_gains(self.device)[columns], sum(grid_bits(self.spec)))

    def _with_noise(self, charge: np.ndarray, windows: Sequence[Window], numbers: np.ndarray) -> np.ndarray:
        """Point 2 of :mod:`.device`."""
        device, number = self.device, len(windows) - 1
        own = device.variance.any() or device.state_variance.any() or device.noise_variance.any()
        shared = device.common_variance.any()
        if not own and not shared:
            return charge
        rows = [None if w.rows is None else np.square(w.rows.astype(float)) for w in windows]
        charge = charge.copy()
        if shared:
            drawn = normals(self.origin, numbers, self.common_index, device.common_variance.shape[1])
            for part in self._parts[number]:
                squares = sum(rows[index] for index in part.held if rows[index] is not None)
                if isinstance(squares, np.ndarray):
                    sigma = np.sqrt(squares @ device.common_variance[:, part.crossing])
                    charge[:, part.place] += (sigma * drawn[:, part.crossing])[:, None]
        if own:
            variance = np.zeros_like(charge)
            for part in self._parts[number]:
                cells = variance[:, part.place]
                for index in part.held:
                    if rows[index] is not None:
                        cells += rows[index] @ device.variance[:, part.columns]
                    lines = self._lines(windows[index], part.columns, device.state_variance)
                    for place, wires, variances in lines:
                        cells[:, place] += np.square(windows[index].lines[:, wires].astype(float)) * variances
            bank = self.spec.converted(number)
            charge += np.sqrt(variance + device.noise_variance[bank]) * self._column_noise(numbers, bank)
        return charge

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

    def _passed(self, gate: str, values: np.ndarray, conversion: np.ndarray, noisy: np.ndarray | None):
        """The tick of its bank's ramp whose count each column holds; int64."""
        spec, device = self.spec, self.device
        ramp, delays, ticks = spec.ramp_of(gate), spec.of_bank(device.delays, gate), spec.gate_ticks(gate)
        late = bool(delays.any())
        bound = np.zeros((len(values), 1))
        if noisy is not None:
            bound += np.abs(noisy[:, ramp] - self.levels[ramp])[:, :ticks].max(axis=1, keepdims=True)
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
        return np.minimum(codes + delays, ticks) if late else codes

    def _decide(self, gate: str, unsure, values, conversion, noisy, low, high) -> np.ndarray:
        """Ticks of the elements ``unsure``: all ticks up to ``low`` are high, all beyond ``high`` are low."""
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
            decided &= tick + device.delays[column] < spec.gate_ticks(gate)
            np.maximum.at(codes, element[decided], tick[decided] + 1)
        else:
            codes = high.copy()
            np.minimum.at(codes, element[~decided], tick[~decided])
        return codes

    def _every_tick(self, gate: str, values: np.ndarray, conversion: np.ndarray) -> np.ndarray:
        """Ticks by every decision, latched as the capture bank does."""
        shown = self._shown(values, conversion, self.spec.bank(gate))
        return latch(shown[: self.spec.gate_ticks(gate)], self.spec.latch)

    @staticmethod
    def _late(decided: np.ndarray, delays: np.ndarray) -> np.ndarray:
        """Decisions, each column's shown its delay later; high before."""
        if not delays.any():
            return decided
        ticks = np.arange(len(decided))[:, None, None] - delays
        shown = np.take_along_axis(decided, np.broadcast_to(np.maximum(ticks, 0), decided.shape), axis=0)
        return shown | (ticks < 0)


class _Part(NamedTuple):
    """Adjacent columns that a conversion latches, which hold the same windows and cross the same rows."""

    columns: slice
    place: slice  # among all that the conversion latches
    held: tuple[int, ...]
    crossing: int


def _parts(spec: Specification, number: int) -> Iterator[_Part]:
    start = spec.converted(number).start
    crossings = dict(zip(spec.gate_names, spec.crossing_of_gate, strict=True))

    def alike(gate):
        return spec.layout.windows(gate, number), crossings[gate]

    for (held, crossing), gates in itertools.groupby(spec.conversions[number], alike):
        gates = list(gates)
        columns = slice(spec.bank(gates[0]).start, spec.bank(gates[-1]).stop)
        yield _Part(columns, slice(columns.start - start, columns.stop - start), held, crossing)


def _batch(windows: Sequence[Window]) -> int:
    return len(next(values for values in windows[-1] if values is not None))


def hold_gains(device: DeviceInstance) -> np.ndarray:
    """What each column has left of a first window's charge: ``hold_gain`` of its bank, 1 where the bank does not hold.

    float64, shape (columns,).
    """
    gains = np.ones(device.spec.columns)
    for gate, gain in zip(device.spec.layout.held, device.hold_gain, strict=True):
        gains[device.spec.bank(gate)] = gain
    return gains


def drooped(charge: np.ndarray, gain: np.ndarray, bits: int) -> np.ndarray:
    """floor(charge·gain·2**bits + 1/2) / 2**bits: what a bank that holds has left, where sums stay exact; float64."""
    return np.floor(charge * gain * 2.0**bits + 0.5) * 2.0**-bits


def charges(window: np.ndarray) -> np.ndarray:
    """What pulses of -M .. M clocks bring through ``window``; index n + M."""
    sums = np.concatenate([[0.0], np.cumsum(window)])
    return np.concatenate([-sums[:0:-1], sums])
