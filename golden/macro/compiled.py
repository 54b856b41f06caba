# SPDX-License-Identifier: Apache-2.0
"""The steps of :class:`.fast_lstm.FastLstm`, compiled by numba where the extra ``fast`` is installed.

numpy takes some twenty passes over its buffers for a step, and casts every index twice. Compiled, a step is one matrix
product and one pass from the MACs to c and h, in the layout that both need: utterances by columns.

The arithmetic is that of :mod:`.fast_lstm`: integers in floats, exact by the bounds that
:meth:`.fast_lstm.FastLstm.of` checks;
without ``fastmath``, so that neither multiplications and additions nor their order are contracted.
"""

import functools

import numpy as np

from ..cell.library import LSTM
from .initial_state import State

_I, _F, _G, _O = map(LSTM.gates.index, "ifgo")  # constants of the compiled code


@functools.cache
def kernels():
    """The compiled functions (``load``, ``advance``, ``settle``) by name, or None without a numba that works.

    Compiling takes about a second; numba keeps the result beside this file, or in the user's cache folder, if it can.
    """
    try:
        import numba
    except Exception:  # numba refuses a numpy that is newer than it knows in more ways than by ImportError
        return None
    functions = {"load": _load, "advance": _advance, "settle": _settle}
    options = {"error_model": "numpy", "nogil": True}
    try:
        return {name: numba.njit(function, cache=True, **options) for name, function in functions.items()}
    except RuntimeError:  # no folder that it could keep them in
        return {name: numba.njit(function, **options) for name, function in functions.items()}


class CompiledSteps:
    """h of each step of a batch; values and layout of the arguments as :class:`.fast_lstm.FastLstm` makes them.

    Parameters
    ----------
    weights : float array, shape (inputs + hidden + 1, columns)
        Rows x, h and one that is driven with 1. The product is an index into each column's table.
    tables : dict of float arrays
        For each gate: the decoded value by index, for every index that can occur.
    state_table : float array
        By c + state_max: tanh(c), times input_max, nudged.
    projection : FastProjection or None
    nudge : float
        See :mod:`.fast_lstm`.
    state_max, hidden : int
    """

    def __init__(self, weights, tables, state_table, projection, nudge: float, state_max: int, hidden: int):
        dtype = weights.dtype.type
        self.weights, self.hidden = weights, hidden
        self.units, self.inputs = weights.shape[1] // len(LSTM.gates), len(weights) - hidden - 1
        self.scalars = (dtype(1 + nudge), dtype(state_max))
        self.tables = (*(tables[gate] for gate in "ifgo"), state_table)
        self.projection = None if projection is None else np.ascontiguousarray(projection.weights.T)
        self.full = dtype(0) if projection is None else projection.full

    def run(self, x: np.ndarray, start: State | None = None):
        """Yield h of each step, shape (batch, hidden), of codes ``x``, shape (batch, steps, inputs).

        ``start`` is what the utterances start from; None: zeros.
        What is yielded is overwritten by the next step.
        """
        call, dtype, batch = kernels(), self.weights.dtype, len(x)
        drive = np.zeros((batch, len(self.weights)), dtype)
        drive[:, -1] = 1
        h = drive[:, self.inputs : -1]
        macs, c = np.empty((batch, self.weights.shape[1]), dtype), np.zeros((batch, self.units), dtype)
        if start is not None:
            c[:], h[:] = start
        if self.projection is not None:
            unprojected, projected = np.empty((batch, self.units), dtype), np.empty((batch, self.hidden), dtype)
        for t in range(x.shape[1]):
            call["load"](x, t, drive)
            np.matmul(drive, self.weights, out=macs)
            if self.projection is None:
                call["advance"](macs, *self.tables, *self.scalars, c, h)
            else:
                call["advance"](macs, *self.tables, *self.scalars, c, unprojected)
                np.matmul(unprojected, self.projection, out=projected)
                call["settle"](projected, self.scalars[0], self.full, h)
            yield h


def _load(x, t, drive):
    """The codes of step ``t`` to the first columns of ``drive``."""
    for b in range(x.shape[0]):
        for k in range(x.shape[2]):
            drive[b, k] = x[b, t, k]


def _advance(macs, i_table, f_table, g_table, o_table, state_table, nudged, state_max, c, h):
    """The update of every unit: codes decoded by table, c ← sat(round(f·c + i·g)), h ← round(o·tanh(c)·input_max)."""
    units = c.shape[1]
    for b in range(c.shape[0]):
        for u in range(units):
            i = i_table[np.uint32(np.int32(macs[b, _I * units + u]))]
            f = f_table[np.uint32(np.int32(macs[b, _F * units + u]))]
            g = g_table[np.uint32(np.int32(macs[b, _G * units + u]))]
            o = o_table[np.uint32(np.int32(macs[b, _O * units + u]))]
            state = min(max(np.rint((f * c[b, u] + i * g) * nudged), -state_max), state_max)
            c[b, u] = state
            h[b, u] = np.rint(o * state_table[np.uint32(np.int32(state + state_max))])


def _settle(projected, nudged, full, h):
    """What a projection sums, rounded and saturated, to ``h``."""
    for b in range(projected.shape[0]):
        for p in range(projected.shape[1]):
            h[b, p] = min(max(np.rint(projected[b, p] * nudged), -full), full)
