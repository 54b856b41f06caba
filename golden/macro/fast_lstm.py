# SPDX-License-Identifier: Apache-2.0
"""The LSTM without its trace, several times as fast as :meth:`.lstm.Lstm.run` and equal to it in every bit of h.

What makes it fast: integers held in floats, exactly, so that BLAS multiplies and SIMD adds; the batch as the innermost
axis, so that each bank is one contiguous block; conversion and decoding as one look-up by the MAC, the second
conversion as one look-up by c; and no allocation within a step.

Exactness: a float of p significant bits holds every integer below 2**p, and that times a power of two. Rounding to
nearest, halves away from zero, is ``rint(s * (1 + nudge))``: the nudge is more than the rounding of the product, so an
exact half leaves the tie outwards; and it is less than the distance from any other value to the next half, while s, in
its smallest units, stays below 1 / (2 nudge). :meth:`FastLstm.of` checks all of these bounds.

Where numba is installed, :mod:`.compiled` takes over from numpy once compiling pays.
"""

from dataclasses import dataclass

import numpy as np

from ..array.ramps import Ramp, decoded_codes
from ..cell.exact import interval
from ..cell.library import LSTM
from ..spec.specification import Specification
from ..spec.update_formats import leaf_interval
from . import compiled
from .cell_update import line_pulses
from .initial_state import State

_BLOCK = 512  # utterances run together: bounds the memory, and the buffers of a block stay near the core
_TABLE_WHOLE = 1 << 16  # entries up to which a conversion table holds every MAC
_TABLE_MAX = 1 << 20  # entries of any conversion table
_COMPILED_MAX = 1 << 22  # entries of a table of the compiled steps, which hold every MAC and clip nothing
# What compiling takes, and what it saves: seconds, also for each step, and for each unit of an utterance in a step.
_COMPILING, _STEP_SAVES, _UNIT_SAVES = 1.0, 20e-6, 10e-9
STATE_BITS_MAX = 16  # of the cell state, which the table of the second conversion is indexed by


@dataclass(frozen=True)
class Float:
    """A float type as a holder of integers."""

    dtype: type
    exact: int  # integers below this magnitude are exact
    nudge: float

    def rounds(self, bound: int) -> bool:
        """Whether numbers up to ``bound`` smallest units round correctly."""
        return bound * 2 * self.nudge < 1


_FLOATS = (Float(np.float32, 2**24, 2.0**-21), Float(np.float64, 2**53, 2.0**-50))


def update_float(spec: Specification, integers: int = 0) -> Float | None:
    """The narrowest float in which the cell update is exact and integers up to ``integers`` are; None: none is."""
    for number in _FLOATS:
        if integers < number.exact and all(map(number.rounds, _update_bounds(spec))):
            return number
    return None


class FastProjection:
    """:func:`.cell_update.project` in floats, exact where :func:`update_float` says so.

    Parameters
    ----------
    weights : int64 array, shape (hidden, units)
    number : Float
    """

    def __init__(self, spec: Specification, weights: np.ndarray, number: Float):
        dtype = number.dtype
        # The power of two leaves every product and sum exact.
        self.weights = np.ascontiguousarray(weights * 2.0**-spec.projection_shift, dtype)
        self.nudged, self.full = dtype(1 + number.nudge), dtype(spec.input_max)

    def project(self, h: np.ndarray, out: np.ndarray) -> None:
        """``h``, shape (units, batch), projected to ``out``, shape (hidden, batch)."""
        np.matmul(self.weights, h, out=out)
        np.multiply(out, self.nudged, out=out)
        np.rint(out, out=out)
        np.clip(out, -self.full, self.full, out=out)


class FastLstm:
    """One macro's tables and reordered weights; made by :meth:`of`."""

    @classmethod
    def of(cls, spec: Specification, weights: np.ndarray, ramps: list[Ramp], projection=None) -> "FastLstm | None":
        """The fast path of a macro, or None where the ranges do not allow it: then use the macro's own ``run``.

        Parameters
        ----------
        spec : Specification
        weights : int64 array, shape (rows, columns)
            Checked, see :class:`~.lstm.Lstm`.
        ramps : list of Ramp
            In the order of ``spec.ramps``.
        projection : int64 array, shape (hidden, units), or None
        """
        if spec.layout is not LSTM or spec.state_bits > STATE_BITS_MAX:
            return None
        first = spec.rows * spec.weight_max * spec.input_max
        ends = [_table_ends(ramp, first) for ramp in ramps]
        if max(high - low + 1 for low, high in ends) > _TABLE_MAX:
            return None
        # Indices pass through int32: casting float to int32 and that to int64 is several times as fast as at once.
        index_bound = first + max(abs(low) for low, high in ends)
        if index_bound >= 2**31:
            return None
        number = update_float(spec, index_bound)
        return None if number is None else cls(spec, weights, ramps, ends, number, projection)

    def __init__(self, spec: Specification, weights, ramps: list[Ramp], ends: list, number: Float, projection=None):
        self.spec, self.number = spec, number
        dtype = number.dtype
        # Banks whose look-up is the same lie side by side; g's stands alone, since its table is in units of c.
        order = sorted(spec.gate_names, key=lambda gate: (gate == spec.state_gate, spec.ramp_of(gate)))
        self.place = dict(zip(order, map(spec.bank, spec.gate_names), strict=True))
        driven = _driven(spec, weights, np.array([low for low, _ in ends])[spec.ramp_of_column])
        driven = np.concatenate([spec.of_bank(driven, gate) for gate in order], axis=1)
        self.weights = np.ascontiguousarray(driven.T, dtype)
        self.projection = None if projection is None else FastProjection(spec, projection, number)

        self.lookups = []
        for gate in order:
            where, ramp_index = self.place[gate], spec.ramp_of(gate)
            if self.lookups and gate != spec.state_gate and self.lookups[-1][2] == ramp_index:
                self.lookups[-1][0] = slice(self.lookups[-1][0].start, where.stop)
                continue
            table = self._table(ramps[ramp_index], ends[ramp_index], gate, self._gain(gate))
            self.lookups.append([where, table, ramp_index])
        self.state_table = self._state_table(ramps[spec.ramp_of(spec.state_gate)])
        self._parts, self._saved, self.compiled = (weights, ramps), 0.0, None

    def compile(self) -> bool:
        """Let numba's code run all further steps; whether there is a numba that can.

        Happens by itself once the time that it would have saved is what it takes. Values do not depend on it.
        """
        spec = self.spec
        first = spec.rows * spec.weight_max * spec.input_max
        whole = 2 * first + 1
        if self.compiled is None and whole <= _COMPILED_MAX and whole < self.number.exact and compiled.kernels():
            weights, ramps = self._parts
            tables = {
                gate: self._table(ramps[spec.ramp_of(gate)], (-first, first), gate, self._gain(gate))
                for gate in spec.gate_names
            }
            driven = _driven(spec, weights, np.full(spec.columns, -first)).astype(self.number.dtype)
            self.compiled = compiled.CompiledSteps(
                driven, tables, self.state_table, self.projection, self.number.nudge, spec.state_max, spec.hidden
            )
        return self.compiled is not None

    def _gain(self, gate: str) -> float:
        """What decoded values are multiplied with: those of g count in units of c."""
        return 2.0**self.spec.state_frac_bits if gate == self.spec.state_gate else 1.0

    def _table(self, ramp: Ramp, ends: tuple[int, int], gate: str, gain: float) -> np.ndarray:
        """Decoded real values, times ``gain``, of the MACs from one end to the other."""
        codes = ramp.convert(np.arange(ends[0], ends[1] + 1))
        value = decoded_codes(self.spec, gate, codes)
        return (value * (gain / 2.0 ** self.spec.value_shift(gate))).astype(self.number.dtype)

    def _state_table(self, ramp: Ramp) -> np.ndarray:
        """By c + state_max: g(c) decoded, times input_max, nudged for the rounding of h."""
        spec = self.spec
        c = np.arange(-spec.state_max, spec.state_max + 1)
        t = decoded_codes(spec, "g", ramp.convert(spec.state_cell * line_pulses(spec, c)))
        real = t * (spec.input_max / 2.0 ** spec.value_shift("g"))
        return (real * (1 + self.number.nudge)).astype(self.number.dtype)

    def hidden(self, x: np.ndarray, start: State | None = None) -> np.ndarray:
        """h of every step, int64, shape (batch, steps, hidden), of checked codes, shape (batch, steps, inputs).

        ``start`` is what the utterances start from, checked; None: zeros.
        """
        out = np.empty((*x.shape[:2], self.spec.hidden), np.int64)

        def keep(block, t, h):
            out[block, t] = h

        self._run(x, start, keep)
        return out

    def sums(self, x: np.ndarray, start: State | None = None) -> np.ndarray:
        """The sum of h over the steps, int64, shape (batch, hidden)."""
        exact = x.shape[1] * self.spec.input_max < self.number.exact
        total, part = np.empty((len(x), self.spec.hidden), np.int64), None
        end = x.shape[1] - 1

        def keep(block, t, h):
            nonlocal part
            if t == 0:
                part = h.astype(self.number.dtype if exact else np.int64)  # in the order of h's own axes
            else:
                np.add(part, h, out=part, casting="unsafe")
            if t == end:
                total[block] = part

        self._run(x, start, keep)
        return total

    def last(self, x: np.ndarray, start: State | None = None) -> np.ndarray:
        """h of the last step, int64, shape (batch, hidden)."""
        out = np.empty((len(x), self.spec.hidden), np.int64)
        end = x.shape[1] - 1

        def keep(block, t, h):
            if t == end:
                out[block] = h

        self._run(x, start, keep)
        return out

    def _run(self, x: np.ndarray, start: State | None, keep) -> None:
        """Call ``keep(block, t, h)`` for each block of the batch and each step, h of shape (block, hidden)."""
        for begin in range(0, len(x), _BLOCK):
            block = slice(begin, min(begin + _BLOCK, len(x)))
            if self.compiled is None:
                self._saved += x.shape[1] * (_STEP_SAVES + _UNIT_SAVES * self.spec.units * (block.stop - begin))
                if self._saved > _COMPILING:
                    self.compile()
            steps = self._steps if self.compiled is None else self.compiled.run
            for t, h in enumerate(steps(x[block], None if start is None else start.of(block))):
                keep(block, t, h)

    def _steps(self, x: np.ndarray, start: State | None):
        spec, dtype = self.spec, self.number.dtype
        units, batch = spec.units, len(x)
        drive = np.zeros((spec.inputs + spec.hidden + 1, batch), dtype)
        drive[-1] = 1
        h = drive[spec.inputs : -1]
        # float32 scalars of a known type: a Python float costs a conversion in every call.
        nudged, high, low = dtype(1 + self.number.nudge), dtype(spec.state_max), dtype(-spec.state_max)
        z, gates = np.empty((spec.columns, batch), dtype), np.empty((spec.columns, batch), dtype)
        narrow, index = np.empty(z.shape, np.int32), np.empty(z.shape, np.intp)
        i, f, g, o = (gates[self.place[gate]] for gate in "ifgo")
        lookups = [(table, index[where], gates[where]) for where, table, _ in self.lookups]
        c, c_narrow, c_index = np.zeros((units, batch), dtype), narrow[:units], index[:units]
        if start is not None:
            c[:], h[:] = start.c.T, start.h.T
        for t in range(x.shape[1]):
            drive[: spec.inputs] = x[:, t].T
            np.matmul(self.weights, drive, out=z)
            np.copyto(narrow, z, casting="unsafe")
            np.copyto(index, narrow)
            for table, where, values in lookups:
                table.take(where, out=values, mode="clip")
            np.multiply(f, c, out=c)
            np.multiply(i, g, out=i)
            np.add(c, i, out=c)
            np.multiply(c, nudged, out=c)
            np.rint(c, out=c)
            np.clip(c, low, high, out=c)
            np.add(c, high, out=g)
            np.copyto(c_narrow, g, casting="unsafe")
            np.copyto(c_index, c_narrow)
            self.state_table.take(c_index, out=g, mode="clip")
            np.multiply(o, g, out=g)
            if self.projection is None:
                np.rint(g, out=h)
            else:
                np.rint(g, out=g)
                self.projection.project(g, h)
            yield h.T


def _driven(spec: Specification, weights: np.ndarray, lows: np.ndarray) -> np.ndarray:
    """Weights of x, of h and of one row that is driven with 1: the bias rows' constant less the start of the table."""
    rows = spec.inputs + spec.hidden
    return np.vstack([weights[:rows], weights[rows:].sum(axis=0) * spec.input_max - lows])


def _table_ends(ramp: Ramp, mac_max: int) -> tuple[int, int]:
    """The MACs from which to which a table reaches: all that can occur, or those between which codes change.

    Clipping to the latter is right, but its branches cannot be predicted, which costs more than the larger table.
    """
    if 2 * mac_max + 1 <= _TABLE_WHOLE:
        return -mac_max, mac_max
    floors = ramp.clipped_floors(mac_max)
    return int(floors[0]), int(floors[-1]) + 1


def _update_bounds(spec: Specification) -> tuple[int, int, int]:
    """Largest magnitudes of f·c + i·g, o·t·input_max and the projection before rounding, in their smallest units."""
    bounds = {
        store.name: interval(store.expression, lambda name: leaf_interval(spec, name)).magnitude
        for stores in spec.layout.stores
        for store in stores
    }
    projected = spec.units * spec.head_weight_max * spec.input_max if spec.projection else 0
    return bounds[spec.layout.register], bounds[spec.layout.output] * spec.input_max, projected
