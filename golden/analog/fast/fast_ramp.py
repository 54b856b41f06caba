# SPDX-License-Identifier: Apache-2.0
"""Codes of approximate values, with certainty: one look-up for values far from every level, and work for the others.

A *cell* is a short interval of values, a power of two wide.
For each cell, a table says how many levels certainly lie below its values and how many may,
given all the error of a value and all the noise of a decision.
If the two differ, the ticks between are decided one by one, each with the noise it draws.
If a decision is nearer than the error, the value is computed again, exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..conversion.noise import BOUND
from .draws import Draws

_CELLS = 1 << 13  # of a table: 32 KiB of float32


@dataclass(frozen=True)
class Error:
    """What an approximate value may be off by, in MAC: ``value``; ``unit`` is the relative rounding of its type.

    ``share`` of it comes with each MAC that the parts of a charge have in magnitude, of at most all that there can be.
    """

    value: float
    largest: float  # magnitude of any value
    unit: float
    share: float = 0.0


class RampTable:
    """The cells of one ramp.

    Parameters
    ----------
    levels : float64 array, shape (ticks,)
        Without noise, in MAC.
    comparator_noise : float
    error : Error
        Of the values.
    """

    def __init__(self, levels: np.ndarray, comparator_noise: float, error: Error):
        spread = comparator_noise * BOUND
        low, high = float(levels.min()), float(levels.max())
        largest = max(error.largest, abs(low), abs(high)) + spread
        doubt = error.value + 8 * error.unit * largest
        span = high - low + 2 * spread
        width = 2.0 ** np.ceil(np.log2(max(span / _CELLS, doubt, 2.0**-20)))
        self.per_cell = 1 / width
        self.share = error.share
        #: Error of a value in cells, that of its scaling and shifting included.
        self.margin = 1.01 * (doubt / width + 8 * error.unit * (span / width + 16))
        self.spread = spread / width
        reach = self.spread + self.margin
        self.base = (np.floor(low / width) - np.ceil(reach) - 2) * width
        self.cells = int(np.ceil((high - self.base) / width + reach)) + 3
        self.levels = self.in_cells(levels)
        edges = np.arange(self.cells + 1)
        # All ticks up to `low` are high and all beyond `high` are low, also on a ramp that falls somewhere.
        self.low = np.searchsorted(np.maximum.accumulate(self.levels), edges[:-1] - reach)
        self.high = np.searchsorted(np.minimum.accumulate(self.levels[::-1])[::-1], edges[1:] + reach)
        self.middle = np.searchsorted(np.sort(self.levels), edges[:-1] + 0.5)

    def in_cells(self, values: np.ndarray) -> np.ndarray:
        """Values in MAC as places in the table, float64."""
        return (values - self.base) * self.per_cell


@dataclass(frozen=True, eq=False)
class Bank:
    """Columns that one ramp converts and one function decodes.

    Parameters
    ----------
    where : slice
        Of the columns of the conversion.
    columns : slice
        Of the array's columns.
    ramp : int
    decoded : float array, shape (ticks + 1,)
        What each code stands for, in the type of the cell update; equal steps.
    table : RampTable
    offsets, delays : arrays, shape (columns of the bank,)
        Of the comparators, in MAC and in ticks.
    """

    where: slice
    columns: slice
    ramp: int
    decoded: np.ndarray
    table: RampTable
    offsets: np.ndarray
    delays: np.ndarray

    @cached_property
    def late(self) -> bool:
        """Whether any comparator is late."""
        return bool(self.delays.any())

    @cached_property
    def last(self) -> np.ndarray:
        """Decisions of each column that are seen before the ramp ends."""
        return len(self.decoded) - 1 - self.delays

    @cached_property
    def sure(self) -> np.ndarray:
        """Decoded value by cell; NaN where the cell does not decide it."""
        table = self.table
        return np.where(table.low == table.high, self.decoded[table.low], np.nan).astype(self.decoded.dtype)

    @cached_property
    def guess(self) -> np.ndarray:
        """Decoded value of the middle of each cell."""
        return self.decoded[self.table.middle]


class Converter:
    """Codes of a block of conversions that go on side by side; arrays have the batch as their last axis.

    Parameters
    ----------
    device : DeviceInstance
    array : DeviceArray
        Of the device: its levels, starts, and where its noise begins.
    draws : Draws
        Of the columns' noise, from which single decisions are drawn too.
    ramp_draws : Draws or None
        Float64; None where no step has noise.
    batch : int
    columns : int
        Columns converted at a time, at most.
    dtype
        Of the values.
    """

    def __init__(self, device, array, draws: Draws, ramp_draws: Draws | None, batch: int, columns: int, dtype):
        self.device, self.array = device, array
        self.draws, self.ramp_draws, self.batch, self.dtype = draws, ramp_draws, batch, dtype
        shape = columns, batch
        self.spare = np.empty(shape, dtype)
        self._narrow, self._index = np.empty(shape, np.int32), np.empty(shape, np.intp)
        self._mask = np.empty(shape, bool)
        if ramp_draws is not None:
            self._other, self._level = np.empty(shape, bool), np.empty(shape, dtype)
            self._place, self._places = np.empty(shape, np.intp), np.arange(batch)
            self._parts, self._noisy, self._walls, self._rows = np.empty((device.spec.ticks + 1, batch)), {}, {}, {}

    def convert(self, bank: Bank, z: np.ndarray, out: np.ndarray, exact: Callable, unused: Callable | None = None):
        """Decoded values of the columns' values ``z``, to ``out``.

        Parameters
        ----------
        z : float array, shape (columns of the bank, batch)
            In MAC, without offsets; overwritten.
        exact : function
            ``exact(columns, places)``: the exact values of single columns (of the array) at places of the batch.
        unused : function or None
            ``unused(columns, places)``: by how much less than the largest charge the parts of theirs are.
        """
        self._unused = unused
        table, count = bank.table, len(z)
        np.multiply(z, self.dtype(table.per_cell), out=z)
        np.add(z, ((bank.offsets - table.base) * table.per_cell).astype(self.dtype)[:, None], out=z)
        clipped, narrow, index = self.spare[:count], self._narrow[:count], self._index[:count]
        mask = self._mask[:count]
        np.maximum(z, self.dtype(0), out=clipped)
        np.minimum(clipped, self.dtype(table.cells - 1), out=clipped)
        np.copyto(narrow, clipped, casting="unsafe")
        np.copyto(index, narrow)
        if self.ramp_draws is None:
            bank.sure.take(index, out=out, mode="clip")
            np.isnan(out, out=mask)
        else:
            bank.guess.take(index, out=out, mode="clip")
            self._doubt(bank, z, index, mask)
        unsure = np.flatnonzero(mask)
        if bank.late:
            # Exact: decoded values have equal steps, in a type that holds them all.
            step = bank.decoded[1] - bank.decoded[0]
            np.minimum(out, bank.decoded[bank.last][:, None], out=out)
            np.add(out, (bank.delays * step).astype(out.dtype)[:, None], out=out)
        if unsure.size:
            codes = self._resolve(bank, unsure, z.take(unsure), exact)
            out.put(unsure, bank.decoded.take(codes))

    def draw_ramps(self, banks: list[Bank]) -> None:
        """Draw the levels of the conversions for the ramps of ``banks``."""
        if self.ramp_draws is None:
            return
        device, ticks, parts = self.device, self.device.spec.ticks, self._parts
        for ramp, table in {bank.ramp: bank.table for bank in banks}.items():
            drawn = self.ramp_draws.normals(self.array.ramp_first + ramp * ticks, ticks)
            parts[0] = self.array.starts[ramp]
            np.multiply(drawn, device.ramp_noise[ramp][:, None], out=parts[1:])
            parts[1:] += device.ramp_steps[ramp][:, None]
            for tick in range(ticks):  # in order, as numpy.cumsum adds
                np.add(parts[tick], parts[tick + 1], out=parts[tick + 1])
            if ramp not in self._noisy:
                below = np.full((ticks + 2, self.batch), -np.inf, self.dtype)
                below[ticks + 1] = np.inf
                self._noisy[ramp] = np.empty((ticks, self.batch)), below
            levels, below = self._noisy[ramp]
            np.multiply(parts[1:], device.rise[:, None], out=levels)
            spare = drawn  # no longer needed
            np.subtract(levels, table.base, out=spare)
            np.multiply(spare, table.per_cell, out=below[1:-1], casting="same_kind")
            highest, lowest = below, below
            if (below[2:-1] < below[1:-2]).any():
                highest = np.maximum.accumulate(below, axis=0)
                lowest = np.ascontiguousarray(np.minimum.accumulate(below[::-1], axis=0)[::-1])
            self._walls[ramp] = highest, lowest

    # ---- inside --------------------------------------------------------------------------------------------------

    def _doubt(self, bank: Bank, z, index, mask) -> None:
        """Where the code of the cell's middle is not certain on the conversion's own ramp, to ``mask``."""
        below, above = self._walls[bank.ramp]
        table, count = bank.table, len(z)
        reach = self.dtype(self._reach(table))
        place, near, level, other = self._place[:count], self.spare[:count], self._level[:count], self._other[:count]
        self._starts(table).take(index, out=place, mode="clip")
        np.add(place, self._places, out=place)
        below.take(place, out=level, mode="clip")
        np.subtract(z, reach, out=near)
        np.less_equal(near, level, out=mask)
        above[1:].take(place, out=level, mode="clip")
        np.add(z, reach, out=near)
        np.greater_equal(near, level, out=other)
        np.logical_or(mask, other, out=mask)

    def _starts(self, table: RampTable) -> np.ndarray:
        """Where the levels of each cell's middle code start, in an array of levels by batch."""
        if id(table) not in self._rows:
            self._rows[id(table)] = table.middle * self.batch
        return self._rows[id(table)]

    def _reach(self, table: RampTable) -> float:
        return (table.spread + table.margin) * (1 + 1e-6)

    def _resolve(self, bank: Bank, unsure: np.ndarray, y: np.ndarray, exact) -> np.ndarray:
        """Codes of the elements ``unsure`` of what was converted last, whose values are ``y``."""
        column = unsure // self.batch
        place = unsure - column * self.batch
        tick, hard = self._single(bank, unsure, y)
        decided, _ = self._decide(bank, column, place, y, tick, exact)
        codes = tick + decided
        if hard.size:
            cells = self._index.ravel().take(unsure[hard])
            codes[hard] = self._several(bank, column[hard], place[hard], y[hard], cells, exact)
        if bank.late:
            np.minimum(codes, bank.last[column], out=codes)
            codes += bank.delays[column]
        return codes

    def _single(self, bank: Bank, unsure: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The tick, from 0, that decides each element; and places of those that more than one tick decides."""
        table, batch = bank.table, self.batch
        if self.ramp_draws is None:
            cells = self._index.ravel().take(unsure)
            low = table.low.take(cells)
            return np.minimum(low, len(bank.decoded) - 2), np.flatnonzero(table.high.take(cells) != low + 1)
        below, above = self._walls[bank.ramp]
        reach = self.dtype(self._reach(table))
        row = self._place.ravel().take(unsure)
        # Below the middle's code: the level under it is in question. Else the one above.
        under = below.take(row) >= y - reach
        row -= np.multiply(under, batch)
        tick = row // batch
        several = below.take(row) >= y - reach
        row += 2 * batch
        several |= above.take(row, mode="clip") <= y + reach
        last = len(bank.decoded) - 2
        several |= tick > last
        return np.minimum(tick, last, out=tick), np.flatnonzero(several)

    def _several(self, bank: Bank, column, place, y, cells, exact) -> np.ndarray:
        """Codes, delays apart, by as many decisions as it takes."""
        table = bank.table
        if self.ramp_draws is None:
            low, high = table.low.take(cells), table.high.take(cells)
        else:
            low, high = self._walk(bank, place, y, table.middle.take(cells))
        if bank.late:
            last = bank.last[column]
            low, high = np.minimum(low, last), np.minimum(high, last)
        known = np.full(len(y), np.nan)

        def decide(which, tick):
            some = column[which], place[which], y[which]
            decided, known[which] = self._decide(bank, *some, tick, exact, known[which])
            return decided

        active = np.flatnonzero(high > low)
        if self.device.spec.latch == "last_high":
            code = high
            while active.size:
                active = active[~decide(active, code[active] - 1)]
                code[active] -= 1
                active = active[code[active] > low[active]]
        else:
            code = low
            while active.size:
                active = active[decide(active, code[active])]
                code[active] += 1
                active = active[code[active] < high[active]]
        return code

    def _walk(self, bank: Bank, place, y, code):
        """Ticks up to which all are high, and beyond which all are low, on each conversion's own ramp."""
        below, above = self._walls[bank.ramp]
        reach, batch = self.dtype(self._reach(bank.table)), self.batch
        start = code * batch
        start += place
        low, high = code, code.copy()
        bound, at = y - reach, start
        active = np.flatnonzero(below.take(at) >= bound)
        while active.size:
            low[active] -= 1
            at = low.take(active) * batch + place.take(active)
            active = active[below.take(at) >= bound.take(active)]
        bound, at = y + reach, start + batch
        active = np.flatnonzero(above.take(at) <= bound)
        while active.size:
            high[active] += 1
            at = (high.take(active) + 1) * batch + place.take(active)
            active = active[above.take(at) <= bound.take(active)]
        return low, high

    def _decide(self, bank: Bank, column, place, y, tick, exact, known=None) -> tuple[np.ndarray, np.ndarray | None]:
        """Single decisions on ticks ``tick``, from 0: bool; and ``known``, exact values where needed, else NaN."""
        table, noise = bank.table, self.device.comparator_noise
        if self.ramp_draws is None:
            level = self.array.levels[bank.ramp].take(tick)
        else:
            level = self._noisy[bank.ramp][0].take(tick * self.batch + place)
        gap = level - table.base
        gap *= -table.per_cell
        gap += y
        if noise:
            number = tick * self.device.spec.columns
            number += column
            number += self.array.decision_first + bank.columns.start
            drawn = self.draws.at(place, number)
            drawn *= noise
            gap += drawn * table.per_cell
        decided = gap > 0
        doubtful = np.flatnonzero(np.abs(gap, out=gap) <= table.margin)
        if doubtful.size and self._unused is not None:
            unused = self._unused(bank.columns.start + column[doubtful], place[doubtful])
            doubtful = doubtful[gap[doubtful] <= table.margin - table.share * unused * table.per_cell]
        if doubtful.size:
            known = np.full(len(y), np.nan) if known is None else known
            new = doubtful[np.isnan(known[doubtful])]
            if new.size:
                known[new] = exact(bank.columns.start + column[new], place[new])
            seen = known[doubtful] + (drawn[doubtful] if noise else 0.0)
            decided[doubtful] = seen > level[doubtful]
        return decided, known
