# SPDX-License-Identifier: Apache-2.0
"""The head's exact arithmetic: what it sees of h, logits, answers."""

import numpy as np

from ..array.integers import exact_matmul
from ..macro.trace import Trace
from ..spec.head_sizes import HeadSizes


class HeadArithmetic:
    """A dense head behind h, integer-exact, vectorized over a batch.

    Logits are Σ_u w[k, u]·S[u] + b[k]·N. With the readout ``"mean"``, S is the sum of h over the steps and N their
    number, so logits are the mean's times N and the argmax is the mean's; with ``"last"``, S is the last h and N is 1;
    with ``"step"``, every step has its logits and its answer, S is that step's h and N is 1.

    Parameters
    ----------
    spec : Specification or NetworkSpecification
    weights : int64 array, shape (classes, hidden), or None
    biases : int64 array, shape (classes,), or None
        None for both where the head is in an array: logits are S itself.
    """

    def __init__(self, spec: HeadSizes, weights: np.ndarray | None, biases: np.ndarray | None):
        self.spec, self.weights, self.biases = spec, weights, biases

    def added_to(self, trace: Trace) -> Trace:
        """A trace of whole utterances with ``logits``, ``answers`` and ``sums``; ties go to the lower class."""
        h = trace.h
        sums = {"mean": lambda: h.sum(axis=1), "last": lambda: h[:, -1], "step": lambda: h}[self.spec.readout]()
        logits = self.logits(sums, h.shape[1] if self.spec.readout == "mean" else 1)
        return trace.replace(logits=logits, answers=logits.argmax(axis=-1), sums=sums)

    def logits(self, sums: np.ndarray, count: int) -> np.ndarray:
        """Exact logits of ``sums``, integers, shape (..., hidden): of h over ``count`` steps, or of one h.

        int64, shape (..., classes).
        """
        if self.spec.head_in_array:
            return np.asarray(sums, np.int64)
        bound = self.spec.hidden * self.spec.head_weight_max * self.spec.input_max * count
        return exact_matmul(sums, self.weights.T, bound) + self.biases * count
