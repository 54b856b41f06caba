# SPDX-License-Identifier: Apache-2.0
"""A device instance clock by clock: what the pins do to it, in exactly the arithmetic of :mod:`.device`."""

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance, grid_bits
from crossramp.golden.analog.conversion.device_array import drooped, hold_gains
from crossramp.golden.analog.conversion.noise import BOUND, at, key, normals


class ClockedDevice:
    """Integrators, ramps and comparators of one device instance; :class:`.python_array.ArrayModel` reads the pins for
    it.

    A conversion is numbered, and draws its noise, on the first clock of ``hold`` after a window.
    On the first clock of a window in which ``state`` is high, banks that hold lose what droops between the windows.
    A window that a reset cuts short does not count, and a ramp that starts again without a window repeats its noise.

    Parameters
    ----------
    device : DeviceInstance
    first : int
        The number of the first conversion.

    Attributes
    ----------
    number : int
        Of the conversion that began last; ``first - 1`` before any did.
    """

    def __init__(self, device: DeviceInstance, first: int = 0):
        self.device = device
        self.number = first - 1
        spec, columns = device.spec, device.spec.columns
        self._groups = spec.reset_columns
        # Cells of lines, each with its wires, its columns and its place among all of them.
        self._lines = [(spec.wires_of(c.line), spec.bank(c.bank), spec.line_cell(c)) for c in spec.line_cells]
        self._crossings = spec.crossing_of_column
        self._hold_gains, self._charge_bits = hold_gains(device), sum(grid_bits(spec))
        self._ramp_of_column = spec.ramp_of_column
        self._origin = key(device.seed)
        # Where a conversion's normals begin: of the ramps' steps, of the decisions, of what all columns share.
        self._ramp_first = _fours(columns)
        self._decision_first = self._ramp_first + _fours(device.ramp_noise.size)
        self._common = self._decision_first + _fours(spec.ticks * columns)
        self._value = np.zeros(columns)
        self._levels = device.ramp_start.copy()
        self._decided = np.zeros((spec.ticks, columns), bool)
        self._tick = 0
        self._charge = np.zeros(columns)
        # Clocks of each line, for the columns of each reset wire and by window, since that wire was high.
        self._row_clocks = np.zeros((len(self._groups), 2, spec.rows), np.int64)
        self._line_clocks = np.zeros((len(self._groups), 2, spec.state_lines), np.int64)
        self._clocks = 0
        self._held = False

    def reset(self, wires: int):
        """The integrators of each wire that is high are emptied; a window begins where the first wire was high."""
        for group, columns in enumerate(self._groups):
            if wires >> group & 1:
                self._charge[columns] = 0.0
                self._row_clocks[group] = 0
                self._line_clocks[group] = 0
        if wires & 1:
            self._clocks = 0
        self._held = False

    def integrate(self, rows: np.ndarray, lines: np.ndarray, state: bool):
        """One clock of the window.

        Parameters
        ----------
        rows, lines : int64 arrays, shape (rows,) and (state_lines,)
            1, -1 or 0: how each row, and each wire of the lines, is driven.
        state : bool
            Whether it is the second conversion's window.
        """
        device = self.device
        second = bool(state) and device.state_window.size > 0
        window, limit = (device.state_window, device.state_limit) if second else (device.window, device.limit)
        if second and self._clocks == 0:
            kept = self._groups[-1] if len(self._groups) > 1 else slice(0)
            self._charge[kept] = drooped(self._charge[kept], self._hold_gains[kept], self._charge_bits)
        # A window that is too long goes on as its last clock: which clock it is counts from the reset.
        clock = min(self._clocks, len(window) - 1)
        self._clocks += 1
        self._held = False
        self._row_clocks[:, int(second)] += rows
        self._line_clocks[:, int(second)] += lines
        brought = rows @ device.weights if rows.any() else np.zeros(len(self._charge))
        for wires, columns, cells in self._lines:
            brought[columns] += lines[wires] * device.state_cells[cells]
        self._charge = np.clip(self._charge + window[clock] * brought, -limit[clock], limit[clock])

    def hold(self):
        """One clock of hold: the first one behind a window is when the comparators' inputs are decided."""
        if self._held:
            return
        self._held = True
        charge = self._charge
        if self._clocks:
            self.number += 1
            charge = self._with_noise(charge)
        compression = self.device.compression
        if compression:
            y = np.abs(charge) * compression
            charge = charge / (1.0 + y / 2.0 + y * y / 12.0)
        self._value = charge + self.device.offsets

    @property
    def values(self) -> np.ndarray:
        """What the comparators see, from hold on; before, the charge; float64, shape (columns,)."""
        return self._value if self._held else self._charge

    def restart(self, chosen: np.ndarray):
        """``ramp_reset``: every ramp goes to its start; ``chosen``: the calibration cells, (ramps, cells), 0 or 1."""
        self._levels = self.device.starts(chosen)
        self._tick = 0

    def step(self, taps: np.ndarray) -> np.ndarray:
        """One tick: what the comparators show; bool, shape (columns,).

        Parameters
        ----------
        taps : int64 array, shape (ticks,)
            1 for each tap that is high. All of them act, as they would on the wire.
        """
        device, spec = self.device, self.device.spec
        self._tick = min(self._tick + 1, spec.ticks)
        for tap in np.flatnonzero(taps):
            step = device.ramp_steps[:, tap]
            if device.ramp_noise.any():
                index = self._ramp_first + np.arange(len(step)) * spec.ticks + tap
                step = step + device.ramp_noise[:, tap] * self._at(index)
            self._levels = self._levels + step
        level = (self._levels * device.rise[self._tick - 1])[self._ramp_of_column]
        decided = self._decide(level)
        self._decided[self._tick - 1] = decided
        if not device.delays.any():
            return decided
        before = self._tick - 1 - device.delays
        return np.where(before < 0, True, self._decided[np.maximum(before, 0), np.arange(len(level))])

    def _decide(self, level: np.ndarray) -> np.ndarray:
        noise, value = self.device.comparator_noise, self._value
        if not noise:
            return value > level
        # Rounding keeps order: where the largest noise of either sign decides alike, so does any other, undrawn.
        decided = value - noise * BOUND > level
        unsure = np.flatnonzero(decided != (value + noise * BOUND > level))
        if unsure.size:
            drawn = self._at(self._decision_first + (self._tick - 1) * len(level) + unsure)
            decided[unsure] = value[unsure] + noise * drawn > level[unsure]
        return decided

    def _with_noise(self, charge: np.ndarray) -> np.ndarray:
        device = self.device
        own = device.variance.any() or device.state_variance.any() or device.noise_variance.any()
        shared = device.common_variance.any()
        if not own and not shared:
            return charge
        # Of the columns of each reset wire, which hold different windows.
        rows = np.square(self._row_clocks.astype(float)).sum(axis=1)
        if shared:
            drawn = self._at(self._common + np.arange(device.common_variance.shape[1]))
            noise = np.sqrt(rows @ device.common_variance) * drawn
            charge = charge + self._by_wire(noise[:, self._crossings])
        if own:
            variance = rows @ device.variance
            lines = np.square(self._line_clocks.astype(float)).sum(axis=1)
            for wires, columns, cells in self._lines:
                variance[:, columns] += lines[:, wires] * device.state_variance[cells]
            drawn = normals(self._origin, np.array(self.number), 0, len(charge))
            charge = charge + np.sqrt(self._by_wire(variance) + device.noise_variance) * drawn
        return charge

    def _by_wire(self, values: np.ndarray) -> np.ndarray:
        """Of ``values``, shape (reset wires, columns), those of each column's own wire."""
        return np.select(list(self._groups), list(values))

    def _at(self, index: np.ndarray) -> np.ndarray:
        """Normals of this conversion."""
        return at(self._origin, np.full(index.shape, max(self.number, 0)), index)


def _fours(count: int) -> int:
    return -(-count // 4) * 4
