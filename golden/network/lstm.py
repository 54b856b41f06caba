# SPDX-License-Identifier: Apache-2.0
"""The LSTM macro in integers: crossbar, ramp conversion, cell update, second conversion."""

from functools import cached_property

import numpy as np

from ..common.errors import InvalidValue
from ..spec.specification import Specification
from .cell_update import project, state_pulses, update_c, update_h
from .fast_lstm import FastLstm
from .integers import exact_matmul
from .ramps import ramps as ideal_ramps
from .trace import Trace


class Lstm:
    """An LSTM macro's exact arithmetic, vectorized over a batch.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (rows, columns)
        Levels, within ±weight_max. Rows: x, then h, then bias. Columns: banks i, f, g, o.
    ramps : sequence of converters, or None
        What converts, in the order of ``spec.ramps``, where it is not the ideal ramps:
        :class:`~.ramps.WrittenRamp`, or anything with its ``convert``.
    projection_weights : integer array, shape (hidden, units), or None
        Within ±head_weight_max; None where the specification has no projection.

    Raises
    ------
    InvalidValue
        For a wrong shape, a type that is no integer, or a level out of range.
    """

    def __init__(self, spec: Specification, weights: np.ndarray, ramps=None, projection_weights=None):
        self.spec = spec
        self.projection_weights = checked_projection(spec, projection_weights)
        self.weights = checked_integers("weights", weights, (spec.rows, spec.columns), spec.weight_max)
        self.weights.setflags(write=False)  # the fast path keeps its own copy
        self.ramps = ideal_ramps(spec) if ramps is None else list(ramps)
        self._ideal = ramps is None

    @cached_property
    def fast(self):
        """The :class:`~.fast_lstm.FastLstm` of this macro, or None where its ranges or its ramps allow none."""
        return FastLstm.of(self.spec, self.weights, self.ramps, self.projection_weights) if self._ideal else None

    def start(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """(c, h) of a state reset: zeros, int64, shapes (batch, units) and (batch, hidden)."""
        return np.zeros((batch, self.spec.units), np.int64), np.zeros((batch, self.spec.hidden), np.int64)

    def step(self, x: np.ndarray, c: np.ndarray, h: np.ndarray) -> Trace:
        """One time step.

        Parameters
        ----------
        x : integer array, shape (batch, inputs)
            Pulse codes within ±input_max.
        c, h : integer arrays, shapes (batch, units) and (batch, hidden)
            Of the step before.
        """
        spec = self.spec
        macs = self.macs(x, h)
        codes = self.convert(macs)
        c = update_c(spec, codes, c)
        pulses = state_pulses(spec, c)
        state_codes = self.ramps[spec.ramp_of(spec.state_gate)].convert(spec.state_cell * pulses)
        h = update_h(spec, spec.of_bank(codes, "o"), state_codes)
        if self.projection_weights is not None:
            h = project(spec, self.projection_weights, h)
        return Trace(codes, c, pulses, state_codes, h, macs=macs)

    def macs(self, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        """z = Σ w·x of every column: int64, shape (batch, columns)."""
        spec = self.spec
        drive = np.full((len(x), spec.rows), spec.input_max, np.int64)
        drive[:, : spec.inputs] = x
        drive[:, spec.inputs : spec.inputs + spec.hidden] = h
        return exact_matmul(drive, self.weights, spec.rows * spec.weight_max * spec.input_max)

    def convert(self, macs: np.ndarray) -> np.ndarray:
        """Codes of all banks, each by its own ramp: int64, shape of ``macs``."""
        codes = np.empty_like(macs)
        for gate in self.spec.gate_names:
            columns = self.spec.bank(gate)
            codes[..., columns] = self.ramps[self.spec.ramp_of(gate)].convert(macs[..., columns])
        return codes

    def run(self, x: np.ndarray) -> Trace:
        """A batch of utterances of equal length, each from a state reset, with the whole trace.

        Parameters
        ----------
        x : integer array, shape (batch, steps, inputs)
            Pulse codes within ±input_max.

        Returns
        -------
        Trace
            Each array with a steps axis: (batch, steps, ...).

        Raises
        ------
        InvalidValue
            For a wrong shape, no step at all, or a code out of range.
        """
        x = self.checked_inputs(x).astype(np.int64)
        c, h = self.start(len(x))
        steps = []
        for t in range(x.shape[1]):
            steps.append(self.step(x[:, t], c, h))
            c, h = steps[-1].c, steps[-1].h
        return Trace.stack(steps)

    def hidden(self, x: np.ndarray) -> np.ndarray:
        """h of :meth:`run` without the rest of the trace, by the fast path where there is one.

        int64, shape (batch, steps, hidden); raises what :meth:`run` raises.
        """
        return self.run(x).h if self.fast is None else self.fast.hidden(self.checked_inputs(x))

    def checked_inputs(self, x) -> np.ndarray:
        """``x`` as an integer array (its own type), or the InvalidValue of :meth:`run`."""
        x = check_integers("x", x, (None, None, self.spec.inputs), self.spec.input_max)
        if x.shape[1] == 0:
            raise InvalidValue("x has no steps; an utterance has at least 1")
        return x


def checked_projection(spec: Specification, weights) -> np.ndarray | None:
    """The projection's weights as a read-only int64 array, or None where there is no projection; else InvalidValue."""
    if not spec.projection:
        if weights is not None:
            raise InvalidValue("projection_weights are given, but the specification has no projection; leave them out")
        return None
    if weights is None:
        raise InvalidValue(f"projection_weights are missing: the specification has a projection to {spec.projection}")
    limit = spec.head_weight_max
    weights = checked_integers("projection_weights", weights, (spec.projection, spec.units), limit)
    weights.setflags(write=False)
    return weights


def checked_integers(name: str, values, shape: tuple, limit: int) -> np.ndarray:
    """``values`` as a new int64 array, or the InvalidValue of :func:`check_integers`."""
    return check_integers(name, values, shape, limit).astype(np.int64)


def check_integers(name: str, values, shape: tuple, limit: int) -> np.ndarray:
    """``values`` as an array, or InvalidValue: a wrong type, shape (None: any) or a value beyond ±limit, quoted."""
    values = np.asarray(values)
    if values.dtype.kind not in "iu":
        raise InvalidValue(f"{name} holds {values.dtype}; expected integers")
    if values.ndim != len(shape) or any(n not in (None, have) for have, n in zip(values.shape, shape, strict=True)):
        expected = tuple("any" if want is None else want for want in shape)
        raise InvalidValue(f"{name} has the shape {values.shape}; expected {expected}".replace("'any'", "any"))
    if values.size and (values.max() > limit or values.min() < -limit):
        at = tuple(map(int, np.argwhere((values > limit) | (values < -limit))[0]))
        raise InvalidValue(f"{name}{list(at)} is {values[at]}; allowed: -{limit} to {limit}")
    return values
