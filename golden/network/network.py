# SPDX-License-Identifier: Apache-2.0
"""The whole network: macro, dense head, argmax."""

import numpy as np

from ..common.errors import InvalidValue
from ..common.integer_arrays import check_integers
from ..spec.specification import Specification
from .array_protocol import Array, IdealArray
from .integers import exact_matmul
from .lstm import Lstm
from .trace import Trace
from .weights import Weights


class Network:
    """A macro and its dense head, integer-exact, vectorized over a batch.

    Logits are Σ_u w[k, u]·S[u] + b[k]·N. With the readout ``"mean"``, S is the sum of h over the steps and N their
    number, so logits are the mean's times N and the argmax is the mean's; with ``"last"``, S is the last h and N is 1;
    with ``"step"``, every step has its logits and its answer, S is that step's h and N is 1.

    Parameters
    ----------
    spec : Specification
    weights : Weights
    array : Array or None
        What stands behind the boundary; None: the ideal array, with the macro's weights.

    Attributes
    ----------
    weights : Weights
        Checked: read-only int64 arrays.
    lstm : Lstm
        The macro.

    Raises
    ------
    InvalidValue
        For weights that do not fit the specification, see :meth:`.weights.Weights.checked`; an array of another one.
    """

    def __init__(self, spec: Specification, weights: Weights, array: Array | None = None):
        self.spec = spec
        self.weights = weights.checked(spec)
        array = IdealArray(spec, self.weights.macro, lines=self.weights.lines) if array is None else array
        self.lstm = Lstm(spec, array, self.weights.projection)

    def behind(self, array: Array) -> "Network":
        """The same network in front of another array."""
        return Network(self.spec, self.weights, array)

    def run(self, x: np.ndarray, first: np.ndarray | None = None) -> Trace:
        """Utterances of equal length, with the whole trace.

        Parameters
        ----------
        x : integer array, shape (batch, steps, inputs)
            Pulse codes within ±input_max; 1 to max_steps steps, any number with the readout ``"step"``.
        first : int64 array, shape (batch,), or None
            See :meth:`.lstm.Lstm.run`.

        Raises
        ------
        InvalidValue
            For a wrong shape, a number of steps or a code out of range.
        """
        self._check_steps(x)
        return self.with_head(self.lstm.run(x, first))

    def step(self, x: np.ndarray, c: np.ndarray, h: np.ndarray, number: np.ndarray | int = 0) -> Trace:
        """One time step and its logits, for inputs that depend on the answers before; for the readout ``"step"``.

        Parameters
        ----------
        x : integer array, shape (batch, inputs)
            Pulse codes within ±input_max.
        c, h : integer arrays, shapes (batch, units) and (batch, hidden)
            Of the step before, or those of :meth:`.lstm.Lstm.start`.
        number : int64 array, shape (batch,), or int
            Of the step's first conversion, see :class:`.lstm.Lstm`.

        Returns
        -------
        Trace
            Without a steps axis.

        Raises
        ------
        InvalidValue
            For a wrong shape, a code out of range, or another readout.
        """
        if self.spec.readout != "step":
            raise InvalidValue(f"the readout is {self.spec.readout!r}: only 'step' has logits after every step")
        step = self.lstm.step(check_integers("x", x, (None, self.spec.inputs), self.spec.input_max), c, h, number)
        logits = self.logits(step.h, 1)
        return step.replace(logits=logits, answers=logits.argmax(axis=-1), sums=step.h)

    def answers(self, x: np.ndarray) -> np.ndarray:
        """The answers of :meth:`run` without the trace, by the fast path where the macro has one.

        int64, shape (batch,), with the readout ``"step"`` (batch, steps); raises what :meth:`run` raises.
        """
        self._check_steps(x)
        fast = self.lstm.fast
        if fast is None:
            return self.run(x).answers
        x = self.lstm.checked_inputs(x)
        if self.spec.readout == "mean":
            return self.logits(fast.sums(x), x.shape[1]).argmax(axis=-1)
        seen = fast.last(x) if self.spec.readout == "last" else fast.hidden(x)
        return self.logits(seen, 1).argmax(axis=-1)

    def _check_steps(self, x):
        if self.spec.readout != "step" and np.ndim(x) == 3 and np.shape(x)[1] > self.spec.max_steps:
            raise InvalidValue(f"x has {np.shape(x)[1]} steps; max_steps is {self.spec.max_steps}")

    def with_head(self, trace: Trace) -> Trace:
        """A macro's trace of whole utterances with ``logits``, ``answers`` and ``sums``; ties go to the lower class."""
        h = trace.h
        sums = {"mean": lambda: h.sum(axis=1), "last": lambda: h[:, -1], "step": lambda: h}[self.spec.readout]()
        logits = self.logits(sums, h.shape[1] if self.spec.readout == "mean" else 1)
        return trace.replace(logits=logits, answers=logits.argmax(axis=-1), sums=sums)

    def logits(self, sums: np.ndarray, count: int) -> np.ndarray:
        """Exact logits of ``sums``, integers, shape (..., hidden): of h over ``count`` steps, or of one h.

        int64, shape (..., classes).
        """
        bound = self.spec.hidden * self.spec.head_weight_max * self.spec.input_max * count
        return exact_matmul(sums, self.weights.head.T, bound) + self.weights.head_biases * count
