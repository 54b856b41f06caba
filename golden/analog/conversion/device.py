# SPDX-License-Identifier: Apache-2.0
"""A device instance in MAC units: every number that decides a code, on a grid on which sums are exact.

One conversion, as :mod:`.device_array`, ``device_crossbar.sv`` and
:class:`crossramp.sim.array.python_array.ArrayModel` all compute it
(double precision; the operations in this order, so all agree in every bit):

1. In clock t = 1 .. M of the window, each column gains ``window[t-1]``·Σ(±w) over the rows (or state cells) that are
   driven, and is held within ±``limit[t-1]``. (Charge is counted as it will stand at the window's end, so a leaking
   integrator has ``window`` < 1 for early clocks, and limits that shrink towards the start.)
2. Noise of the conversion: q ← q + sqrt(Σ n²·variance + ``noise_variance``)·ξ, with n the clocks that a row was
   driven, and ξ number c of the conversion's normals (:mod:`.noise`), c the column. In the first conversion, before
   that, q ← q + sqrt(Σ n²·common_variance)·ξ with ξ number E, the same in all columns.
3. Compression: y = ``|q|``·``compression``; v = q / (1 + y/2 + y²/12), which is (1 - exp(-y)) / compression within
   y⁵/720 of it. Then v ← v + ``offsets``.
4. On tick k the ramp stands at L = ``ramp_start`` + Σ chosen calibration cells + Σ of the first k ``ramp_steps``, each
   step plus its ``ramp_noise``·ξ, number C + r·ticks + k - 1 (C: the columns, rounded up to a multiple of 4; r: the
   ramp). The comparator decides v + ``comparator_noise``·ξ > L·``rise[k-1]``, with ξ number D + (k - 1)·columns + c,
   where D is C + ramps·ticks rounded up to a multiple of 4, and E is D + ticks·columns rounded up so. (A column that
   droops while it waits sees a ramp that is higher.) Steps without ``ramp_noise`` anywhere draw nothing.
5. What the comparator of column c shows on tick k is its decision of tick k - ``delays[c]``; high before that.

Sums in 1, of variances, and the ramp's without noise are exact in any order: their parts lie on grids of 2**-F
(cells), 2**-A (window) and 2**-V (variances), see :func:`grid_bits` and :func:`variance_bits`.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from crossramp.golden.common.checks import real, told, whole
from crossramp.golden.common.integer_arrays import checked_integers
from crossramp.golden.network.ramps import ramps
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
    clocks = max(spec.rows * spec.input_max**2, spec.state_pulse_max**2)
    return min(_MANTISSA - (_variance_limit(spec) * clocks).bit_length(), 2 * _FINEST)


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
        What a clock of a positive pulse adds to each column.
    state_cells : float64, shape (units,)
    ramp_start : float64, shape (ramps,)
        Level of each ramp before the first tick, without calibration cells.
    ramp_steps : float64, shape (ramps, ticks)
    calibration_cells : float64, shape (ramps, calibration_cells)
        What each selected cell adds to the ramp's start.
    window, state_window : float64, shape (input_max,) and (state_pulse_max,)
        Gain of the charge of each clock of the window.
    limit, state_limit : float64, shapes of the windows
        Largest magnitude after each clock; infinite where nothing saturates.
    variance, state_variance : float64, shape (rows, columns) and (units,)
        Noise variance of one clock of each cell: a pulse of n clocks has n² of it. At most 4·weight_max².
    common_variance : float64, shape (rows,)
        The same of a reference column, whose noise all columns share.
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
    nominal: np.ndarray
    compression: float = 0.0
    comparator_noise: float = 0.0
    seed: int = 0

    @staticmethod
    def shapes(spec: Specification) -> dict[str, tuple[int, ...]]:
        """Array name to shape."""
        count, cells = len(spec.ramps), (spec.rows, spec.columns)
        return {
            "weights": cells,
            "state_cells": (spec.units,),
            "ramp_start": (count,),
            "ramp_steps": (count, spec.ticks),
            "calibration_cells": (count, spec.calibration_cells),
            "window": (spec.input_max,),
            "state_window": (spec.state_pulse_max,),
            "limit": (spec.input_max,),
            "state_limit": (spec.state_pulse_max,),
            "variance": cells,
            "state_variance": (spec.units,),
            "common_variance": (spec.rows,),
            "noise_variance": (spec.columns,),
            "offsets": (spec.columns,),
            "ramp_noise": (count, spec.ticks),
            "rise": (spec.ticks,),
            "delays": (spec.columns,),
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
        largest = max(
            np.abs(self.weights).sum(axis=0).max() * self.spec.input_max,
            np.abs(self.state_cells).max() * self.spec.state_pulse_max,
        )
        if largest >= 2.0 ** (_MANTISSA - cell_bits - window_bits):
            raise DeviceError(
                f"a column reaches {largest:.4g} MAC; beyond {_HEADROOM} x {self.spec.mac_max} no sum is exact"
            )

    @classmethod
    def ideal(cls, spec: Specification, weights: np.ndarray, calibration_cells: np.ndarray | None = None):
        """The instance without any imperfection: its codes are the golden integers'.

        Parameters
        ----------
        weights : integer array, shape (rows, columns)
            Within ±weight_max.
        calibration_cells : float array, shape (ramps, calibration_cells), or None
            In MAC units; None: cells that add nothing.
        """
        weights = checked_integers("weights", weights, (spec.rows, spec.columns), spec.weight_max).astype(float)
        thresholds = np.stack([ramp.clipped_floors(spec.mac_max) for ramp in ramps(spec)]) + 0.5
        start = np.full(len(thresholds), -(spec.mac_max + 1) + 0.5)  # one below every MAC: all comparators are high
        shape = {name: np.zeros(shape) for name, shape in cls.shapes(spec).items()}
        filled = {
            "weights": weights,
            "state_cells": np.full(spec.units, float(spec.state_cell)),
            "ramp_start": start,
            "ramp_steps": np.diff(thresholds, axis=1, prepend=start[:, None]),
            "window": np.ones(spec.input_max),
            "state_window": np.ones(spec.state_pulse_max),
            "limit": np.full(spec.input_max, np.inf),
            "state_limit": np.full(spec.state_pulse_max, np.inf),
            "rise": np.ones(spec.ticks),
            "delays": np.zeros(spec.columns, np.int64),
            "nominal": np.zeros((len(thresholds), spec.calibration_cells), bool),
        }
        if calibration_cells is not None:
            filled["calibration_cells"] = on_grid(calibration_cells, grid_bits(spec)[0])
        return cls(spec, **(shape | filled))

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
