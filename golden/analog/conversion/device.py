# SPDX-License-Identifier: Apache-2.0
"""A device instance in MAC units: every number that decides a code, on a grid on which sums are exact.

One conversion, as :mod:`.device_array`, ``device_crossbar.sv`` and
:class:`crossramp.sim.array.python_array.ArrayModel` all compute it
(double precision; the operations in this order, so all agree in every bit):

1. In clock t = 1 .. M of a window, each column gains g[t-1]·(Σ ±w over the rows that are driven + Σ ±s over the cells
   of the lines that are driven), and is held within ±l[t-1]. g and l are ``window`` and ``limit`` in the window of a
   step's first conversion, ``state_window`` and ``state_limit`` in that of its second one. (Charge is counted as it
   will stand at the window's end, so a leaking integrator has gains below 1 for early clocks, and limits that shrink
   towards the start.) A column starts at 0. One of a bank that holds starts the second window at
   q ← floor(q·h·2**(F + A) + 1/2) / 2**(F + A) of what the first one has brought, where h is the bank's ``hold_gain``,
   q·h is rounded once, and the rest is exact: what is left of the charge at the second window's end. Nothing else
   happens to it in between. (h is nominal: it counts the clocks of a periphery that never waits. A stall of a real
   array lengthens the droop; here it changes nothing.)
2. Noise of the conversion: q ← q + sqrt(Σ n²·variance + ``noise_variance``)·ξ, with n the clocks that a row or line
   was driven in a window, and ξ number c of the conversion's normals (:mod:`.noise`), c the column. The sum goes over
   all windows whose charge the column holds, each with its own n, and over rows (``variance``) and cells of lines
   (``state_variance``). Before that, q ← q + sqrt(Σ n²·common_variance[:, j])·ξ, the sum over the same windows and all
   rows, with ξ number E + j, where j is the crossing of the column's bank (``spec.crossing_of_gate``).
3. Compression: y = ``|q|``·``compression``; v = q / (1 + y/2 + y²/12), which is (1 - exp(-y)) / compression within
   y⁵/720 of it. Then v ← v + ``offsets``.
4. On tick k the ramp stands at L = ``ramp_start`` + Σ chosen calibration cells + Σ of the first k ``ramp_steps``, each
   step plus its ``ramp_noise``·ξ, number C + r·ticks + k - 1 (C: the columns, rounded up to a multiple of 4; r: the
   ramp). The comparator decides v + ``comparator_noise``·ξ > L·``rise[k-1]``, with ξ number D + (k - 1)·columns + c,
   where D is C + ramps·ticks rounded up to a multiple of 4, and E is D + ticks·columns rounded up so. (A column that
   droops while it waits sees a ramp that is higher.) Steps without ``ramp_noise`` anywhere draw nothing.
5. What the comparator of column c shows on tick k is its decision of tick k - ``delays[c]``; high before that.

At the pins, clock by clock:

- A reset wire that is high empties the columns of ``spec.reset_columns`` of that wire, and their counts n. There is one
  count for each row and wire of the lines, each reset wire, and each value of ``state``: n² of both values of ``state``
  add up in 2.
- Clock t of a window counts from the last clock on which wire 0 of ``reset`` was high; a window that is too long goes
  on as its last clock. ``state`` selects the gains and limits.
- The droop of banks that hold takes place on clock t = 1 of a window in which ``state`` is high, before its charge.
- A conversion gets its number, and its noise, on the first clock of ``hold`` behind a window; the first one is 0.

Sums in 1, of variances, and the ramp's without noise are exact in any order: their parts lie on grids of 2**-F
(cells), 2**-A (window) and 2**-V (variances), see :func:`grid_bits` and :func:`variance_bits`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from crossramp.golden.array.array_protocol import line_levels
from crossramp.golden.array.ramps import padded_floors
from crossramp.golden.array.weights import checked_array
from crossramp.golden.cell.description import LineCell
from crossramp.golden.common.checks import real, told, whole
from crossramp.golden.spec.specification import Specification

from ...common.errors import InvalidValue

#: Finest grids: a millionth of a weight level is far below any device's error.
_FINEST = 20

_MANTISSA = 52

#: Room for cells beyond their nominal full scale, as a factor of it.
_HEADROOM = 4


_VARIANCES = ("variance", "state_variance", "common_variance")


class DeviceError(InvalidValue):
    """An array of the device instance has a wrong shape, type or range; the message quotes it."""


def grid_bits(spec: Specification) -> tuple[int, int]:
    """(F, A): bits behind the point of cells and of window gains, for sums below 2**52 grid units."""
    free = _MANTISSA - (_HEADROOM * (spec.mac_max + 1)).bit_length()
    bits = min(free // 2, _FINEST)
    return bits, bits


def variance_bits(spec: Specification) -> int:
    """V: bits behind the point of variances, for sums of n² of them below 2**52 grid units."""
    clocks = max(
        sum(rows.stop - rows.start for rows in groups) * spec.input_max**2
        + sum(spec.line_pulse_max(cell.line) ** 2 for cell in cells)
        for _, groups, cells in _gathered(spec)
    )
    return min(_MANTISSA - (_variance_limit(spec) * clocks).bit_length(), 2 * _FINEST)


def _gathered(spec: Specification) -> Iterator[tuple[str, list[slice], list[LineCell]]]:
    """Each bank as each conversion latches it: the groups of rows and the cells of lines that have charged it."""
    cell = spec.layout
    for number, codes in enumerate(cell.conversions):
        for gate in codes:
            driven = [cell.steps[window][0].driven for window in cell.windows(gate, number)]
            groups = [spec.rows_of(group) for names in driven for group in cell.banks[gate].rows if group in names]
            lines = [one for names in driven for one in spec.line_cells if one.bank == gate and one.line in names]
            yield gate, groups, lines


def _variance_limit(spec: Specification) -> int:
    """The largest variance of a cell: a standard deviation of two full-scale weights."""
    return _HEADROOM * spec.weight_max**2


def on_grid(values: np.ndarray, bits: int) -> np.ndarray:
    """``values`` rounded to multiples of 2**-bits, float64."""
    return np.rint(np.asarray(values, float) * 2.0**bits) * 2.0**-bits


@dataclass(frozen=True, eq=False)
class DeviceInstance:
    """One simulated chip, in MAC units (one weight level for one clock), see the module for what each number does.

    Parameters
    ----------
    spec : Specification
    weights : float64, shape (rows, columns)
        What a clock of a positive pulse adds to each column; 0 where the cell has no memristors (``spec.placed``).
    state_cells : float64, shape (line_cell_count,)
        The same of each cell of a line, in the order of ``spec.line_cells``.
    ramp_start : float64, shape (ramps,)
        Level of each ramp before the first tick, without calibration cells.
    ramp_steps : float64, shape (ramps, ticks)
    calibration_cells : float64, shape (ramps, calibration_cells)
        What each selected cell adds to the ramp's start.
    window, state_window : float64, shape (spec.windows[0],) and (spec.windows[1],)
        Gain of the charge of each clock of the first conversion's window, and of the second's; the latter is empty
        where a step has one conversion.
    limit, state_limit : float64, shapes of the windows
        Largest magnitude after each clock; infinite where nothing saturates.
    hold_gain : float64, shape (banks that hold,)
        Of each bank of ``spec.layout.held``: what is left of the first window's charge at the second one's end, 0 to 1.
    variance, state_variance : float64, shapes of weights and state_cells
        Noise variance of one clock of each cell: a pulse of n clocks has n² of it. At most 4·weight_max².
    common_variance : float64, shape (rows, crossings)
        The same of a reference column, whose noise all columns share that cross the same rows (``spec.crossed``).
    noise_variance : float64, shape (columns,)
        Variance that every conversion has.
    compression : float
        In 1 / MAC; 0 for none.
    offsets : float64, shape (columns,)
    ramp_noise : float64, shape (ramps, ticks)
        Standard deviation of each step, new in each conversion.
    rise : float64, shape (ticks,)
        By what the ramp's level counts on each tick.
    comparator_noise : float
        Standard deviation of each decision.
    delays : int64, shape (columns,)
        Ticks by which each comparator is late, 0 to ticks.
    nominal : bool, shape (ramps, calibration_cells)
        The calibration cells that are selected on a chip that was never calibrated.
    seed : int
        Of the noise, 0 to 2**63 - 1.

    Raises
    ------
    DeviceError
        For a wrong shape, a value that is not finite (limits may be infinite), negative where that means nothing, or
        off the grid.
    """

    spec: Specification
    weights: np.ndarray
    state_cells: np.ndarray
    ramp_start: np.ndarray
    ramp_steps: np.ndarray
    calibration_cells: np.ndarray
    window: np.ndarray
    state_window: np.ndarray
    limit: np.ndarray
    state_limit: np.ndarray
    variance: np.ndarray
    state_variance: np.ndarray
    common_variance: np.ndarray
    noise_variance: np.ndarray
    offsets: np.ndarray
    ramp_noise: np.ndarray
    rise: np.ndarray
    delays: np.ndarray
    hold_gain: np.ndarray
    nominal: np.ndarray
    compression: float = 0.0
    comparator_noise: float = 0.0
    seed: int = 0

    @staticmethod
    def shapes(spec: Specification) -> dict[str, tuple[int, ...]]:
        """Array name to shape."""
        count, cells = len(spec.ramps), (spec.rows, spec.columns)
        window, state_window = (*spec.windows, 0)[:2]
        return {
            "weights": cells,
            "state_cells": (spec.line_cell_count,),
            "ramp_start": (count,),
            "ramp_steps": (count, spec.ticks),
            "calibration_cells": (count, spec.calibration_cells),
            "window": (window,),
            "state_window": (state_window,),
            "limit": (window,),
            "state_limit": (state_window,),
            "variance": cells,
            "state_variance": (spec.line_cell_count,),
            "common_variance": (spec.rows, len(spec.crossings)),
            "noise_variance": (spec.columns,),
            "offsets": (spec.columns,),
            "ramp_noise": (count, spec.ticks),
            "rise": (spec.ticks,),
            "delays": (spec.columns,),
            "hold_gain": (len(spec.layout.held),),
            "nominal": (count, spec.calibration_cells),
        }

    def __post_init__(self):
        cell_bits, window_bits = grid_bits(self.spec)
        for name, shape in self.shapes(self.spec).items():
            kind = {"delays": np.int64, "nominal": bool}.get(name, np.float64)
            values = np.asarray(getattr(self, name))
            if values.shape != shape:
                raise DeviceError(f"{name} has the shape {values.shape}; expected {shape}")
            if kind == np.int64 and values.dtype.kind not in "iu":
                raise DeviceError(f"{name} holds {values.dtype}; expected integers")
            values = values.astype(kind)
            limits = name in ("limit", "state_limit")
            bad = np.isnan(values) if limits else ~np.isfinite(values)
            if name in (*_VARIANCES, "noise_variance", "ramp_noise", "rise", "delays") or limits:
                bad |= values < 0
            if name in _VARIANCES:
                bad |= (values > _variance_limit(self.spec)) | (on_grid(values, variance_bits(self.spec)) != values)
            if name == "delays":
                bad |= values > self.spec.ticks
            if name in ("weights", "state_cells", "ramp_start", "ramp_steps", "calibration_cells"):
                bad |= np.abs(values) > 2.0 ** (_MANTISSA - cell_bits)
                bad |= on_grid(values, cell_bits) != values
            elif name in ("window", "state_window"):
                bad |= (values < 0) | (values > 1) | (on_grid(values, window_bits) != values)
            elif name == "hold_gain":
                bad |= (values < 0) | (values > 1)
            if name in ("weights", "variance"):
                bad |= (values != 0) & ~self.spec.placed
            if name == "common_variance":
                bad |= (values != 0) & ~self.spec.crossed
            if bad.any():
                at = tuple(map(int, np.argwhere(bad)[0]))
                raise DeviceError(
                    f"{name}{list(at)} is {values[at].item()!r}, in MAC units; "
                    "crossramp.golden.analog.conversion.device tells what is allowed"
                )
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        for name in ("compression", "comparator_noise"):
            value = real(getattr(self, name))
            if value is None or not 0 <= value < np.inf:
                raise DeviceError(f"{name} is {told(getattr(self, name))}; expected 0 or more")
            object.__setattr__(self, name, value)
        seed = whole(self.seed)
        if seed is None or not 0 <= seed < 1 << 63:
            raise DeviceError(f"seed is {told(self.seed)}; allowed: integers from 0 to 2**63 - 1")
        object.__setattr__(self, "seed", seed)
        largest = 0.0
        for gate, groups, cells in _gathered(self.spec):
            weights = np.abs(self.spec.of_bank(self.weights, gate))
            reach = sum(weights[rows].sum(axis=0) for rows in groups) * self.spec.input_max
            lines = sum(
                np.abs(self.state_cells[self.spec.line_cell(cell)]) * self.spec.line_pulse_max(cell.line)
                for cell in cells
            )
            largest = max(largest, float(np.max(reach + lines)))
        if largest >= 2.0 ** (_MANTISSA - cell_bits - window_bits):
            raise DeviceError(
                f"a column reaches {largest:.4g} MAC; beyond {_HEADROOM} x {self.spec.mac_max} no sum is exact"
            )

    @classmethod
    def ideal(cls, spec: Specification, weights: np.ndarray, calibration_cells: np.ndarray | None = None, lines=None):
        """The instance without any imperfection: its codes are the golden integers'.

        Parameters
        ----------
        weights : integer array, shape (rows, columns)
            Within ±weight_max.
        calibration_cells : float array, shape (ramps, calibration_cells), or None
            In MAC units; None: cells that add nothing.
        lines : integer array, shape (trained line cells, units), or None
            Levels of the trained cells on lines; None where the cell has none.
        """
        weights = checked_array(spec, "macro", weights).astype(float)
        state_cells = line_levels(spec, checked_array(spec, "lines", lines)).astype(float)
        thresholds = padded_floors(spec) + 0.5
        start = np.full(len(thresholds), -(spec.mac_max + 1) + 0.5)  # one below every MAC: all comparators are high
        empty = {name: np.zeros(shape) for name, shape in cls.shapes(spec).items()}
        ones = ("window", "state_window", "rise", "hold_gain")
        filled = {
            "weights": weights,
            "state_cells": state_cells,
            "ramp_start": start,
            "ramp_steps": np.diff(thresholds, axis=1, prepend=start[:, None]),
            "limit": np.full(empty["limit"].shape, np.inf),
            "state_limit": np.full(empty["state_limit"].shape, np.inf),
            "delays": np.zeros(spec.columns, np.int64),
            "nominal": np.zeros((len(thresholds), spec.calibration_cells), bool),
        } | {name: np.ones_like(empty[name]) for name in ones}
        if calibration_cells is not None:
            filled["calibration_cells"] = on_grid(calibration_cells, grid_bits(spec)[0])
        return cls(spec, **(empty | filled))

    def replace(self, **changes) -> "DeviceInstance":
        """A copy with some numbers changed, checked again."""
        return replace(self, **changes)

    @cached_property
    def noisy(self) -> bool:
        """Whether two conversions of the same pulses may differ."""
        return bool(
            self.variance.any()
            or self.state_variance.any()
            or self.common_variance.any()
            or self.noise_variance.any()
            or self.ramp_noise.any()
            or self.comparator_noise
        )

    def levels(self, calibration: np.ndarray | None = None) -> np.ndarray:
        """Ramp levels that the ticks compare with, without noise: L·rise; float64, shape (ramps, ticks).

        Parameters
        ----------
        calibration : bool array, shape (ramps, calibration_cells), or None
            Cells selected; None: ``nominal``.
        """
        return (self.starts(calibration)[:, None] + np.cumsum(self.ramp_steps, axis=1)) * self.rise

    def starts(self, calibration: np.ndarray | None = None) -> np.ndarray:
        """Ramp levels before the first tick; float64, shape (ramps,)."""
        chosen = self.nominal if calibration is None else np.asarray(calibration, bool)
        chosen = chosen.reshape(self.calibration_cells.shape)
        return self.ramp_start + (self.calibration_cells * chosen).sum(axis=1)

    def same(self, other: "DeviceInstance") -> bool:
        """Whether every number is the same."""
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
