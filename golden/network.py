# SPDX-License-Identifier: Apache-2.0
"""The whole network: LSTM macro, dense head, argmax."""

from dataclasses import dataclass

import numpy as np

from .integers import exact_matmul
from .lstm import Lstm, StepTrace, checked_integers
from .specification import Specification


@dataclass(frozen=True, eq=False)
class NetworkTrace:
    """What a network computed for a batch.

    ``answers``: class indices, shape (batch,). ``logits``: exact integers, shape (batch, classes). ``sums``: what the
    head saw, shape (batch, units). ``steps``: the macro's trace.
    """

    answers: np.ndarray
    logits: np.ndarray
    sums: np.ndarray
    steps: StepTrace


class Network:
    """LSTM macro and dense head, integer-exact, vectorized over a batch.

    Logits are Σ_u w[k, u]·S[u] + b[k]·N. With the readout ``"mean"``, S is the sum of h over the steps and N their
    number, so logits are the mean's times N and the argmax is the mean's; with ``"last"``, S is the last h and N is 1.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (rows, columns)
        Of the macro, see :class:`~.lstm.Lstm`.
    head_weights : integer array, shape (classes, units)
        Within ±head_weight_max.
    head_biases : integer array, shape (classes,)
        Within ±head_bias_max, in units of (head weight step) x (h step).

    Raises
    ------
    ValueError
        For a wrong shape, a type that is no integer, or a value out of range.
    """

    def __init__(self, spec: Specification, weights, head_weights, head_biases):
        self.spec = spec
        self.lstm = Lstm(spec, weights)
        shape = (spec.classes, spec.units)
        self.head_weights = checked_integers("head_weights", head_weights, shape, spec.head_weight_max)
        self.head_biases = checked_integers("head_biases", head_biases, (spec.classes,), spec.head_bias_max)

    @property
    def weights(self) -> np.ndarray:
        """The macro's weights: int64, shape (rows, columns)."""
        return self.lstm.weights

    def run(self, x: np.ndarray) -> NetworkTrace:
        """Utterances of equal length, with the whole trace.

        Parameters
        ----------
        x : integer array, shape (batch, steps, inputs)
            Pulse codes within ±input_max; 1 to max_steps steps.

        Raises
        ------
        ValueError
            For a wrong shape, a number of steps or a code out of range.
        """
        self._check_steps(x)
        steps = self.lstm.run(x)
        return NetworkTrace(*self.head(steps.h), steps)

    def answers(self, x: np.ndarray) -> np.ndarray:
        """The answers of :meth:`run` without the trace, by the fast path where the macro has one.

        int64, shape (batch,); raises what :meth:`run` raises.
        """
        self._check_steps(x)
        fast = self.lstm.fast
        if fast is None:
            return self.run(x).answers
        x = self.lstm.checked_inputs(x)
        if self.spec.readout == "mean":
            return self.logits(fast.sums(x), x.shape[1]).argmax(axis=1)
        return self.logits(fast.last(x), 1).argmax(axis=1)

    def _check_steps(self, x):
        if np.ndim(x) == 3 and np.shape(x)[1] > self.spec.max_steps:
            raise ValueError(f"x has {np.shape(x)[1]} steps; max_steps is {self.spec.max_steps}")

    def head(self, h: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(answers, logits, sums) of hidden states ``h``, shape (batch, steps, units). Ties go to the lower class."""
        spec = self.spec
        mean = spec.readout == "mean"
        sums = h.sum(axis=1) if mean else h[:, -1]
        count = h.shape[1] if mean else 1
        logits = self.logits(sums, count)
        return logits.argmax(axis=1), logits, sums

    def logits(self, sums: np.ndarray, count: int) -> np.ndarray:
        """Exact logits of ``sums``, integers, shape (batch, units): of h over ``count`` steps, or of one h.

        int64, shape (batch, classes).
        """
        bound = self.spec.units * self.spec.head_weight_max * self.spec.input_max * count
        return exact_matmul(sums, self.head_weights.T, bound) + self.head_biases * count
