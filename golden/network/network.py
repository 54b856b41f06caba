# SPDX-License-Identifier: Apache-2.0
"""The whole network: macro, dense head, argmax."""

from collections.abc import Sequence

import numpy as np

from ..array.array_protocol import Array, IdealArray, first_conversions
from ..array.weights import Weights
from ..common.errors import InvalidValue
from ..common.integer_arrays import check_integers
from ..macro.initial_state import FROM_THE_START, Starts, State, joined
from ..macro.lstm import Lstm
from ..macro.trace import Trace
from ..spec.head_sizes import HeadSizes
from ..spec.specification import Specification
from .head_arithmetic import HeadArithmetic


class Network:
    """A macro and its dense head, integer-exact, vectorized over a batch; of logits see :mod:`.head_arithmetic`.

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
    head : HeadArithmetic

    Raises
    ------
    InvalidValue
        For a specification without a head; weights that do not fit it, see :meth:`.weights.Weights.checked`; an array
        of another one.
    """

    def __init__(self, spec: Specification, weights: Weights, array: Array | None = None):
        if not spec.classes:
            raise InvalidValue("classes is 0: a network has a head; give the classes, or take Lstm for a macro alone")
        self.spec = spec
        self.weights = weights.checked(spec)
        array = IdealArray(spec, self.weights.macro, lines=self.weights.lines) if array is None else array
        self.lstm = Lstm.of(spec, array, self.weights)
        self.head = HeadArithmetic(spec, self.weights.head, self.weights.head_biases)

    def behind(self, array: Array) -> "Network":
        """The same network in front of another array."""
        return Network(self.spec, self.weights, array)

    def run(self, x: np.ndarray, first: np.ndarray | None = None, start: State | None = None) -> Trace:
        """Utterances of equal length, with the whole trace.

        Parameters
        ----------
        x : integer array, shape (batch, steps, inputs)
            Pulse codes within ±input_max; 1 to max_steps steps, any number with the readout ``"step"``.
        first, start
            See :meth:`.lstm.Lstm.run`.

        Raises
        ------
        InvalidValue
            For a wrong shape, a number of steps or a code out of range.
        """
        check_steps(self.spec, x)
        return self.with_head(self.lstm.run(x, first, start))

    def play(
        self, batches: Sequence[np.ndarray], starts: Starts = FROM_THE_START, steps_before: int = 0, cut_short: int = 0
    ) -> list[Trace]:
        """Utterances that are played one after the other, perhaps going on from one another; one trace a batch.

        Parameters
        ----------
        batches : sequence of integer arrays, shape (batch, steps, inputs)
        starts : Starts
            Of all utterances.
        steps_before : int
            How many steps the array did before: the noise of a device instance depends on the number of its conversion.
        cut_short : int
            Conversions beside those, of a step that a reset cut short.

        Raises
        ------
        InvalidValue
            As :meth:`run` does, or for starts that do not fit.
        """
        places = joined(batches)
        starts = starts.checked(self.spec, sum(map(len, batches)))
        fresh, traces, state = starts.fresh, [], None
        first = len(self.spec.conversions) * steps_before + cut_short
        for x, place in zip(batches, places, strict=True):
            numbers = first + first_conversions(self.spec, *x.shape[:2])
            first += len(self.spec.conversions) * x.shape[0] * x.shape[1]
            given = None if starts.given is None else starts.given.of(place)
            if fresh[place].all():
                traces.append(self.run(x, numbers, given))
            else:
                traces.append(self._in_turn(x, numbers, given, fresh[place], state))
            state = self.lstm.end(traces[-1].utterances(slice(-1, None)))
        return traces

    def _in_turn(self, x, numbers, given: State | None, fresh: np.ndarray, state: State | None) -> Trace:
        """Utterances one by one: one that is not fresh goes on from that before, the first of all from ``state``."""
        parts = []
        for k, is_fresh in enumerate(fresh):
            this = slice(k, k + 1)
            start = state if not is_fresh else None if given is None else given.of(this)
            parts.append(self.run(x[this], numbers[this], start))
            state = self.lstm.end(parts[-1])
        return Trace.join(parts)

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

    def answers(self, x: np.ndarray, start: State | None = None) -> np.ndarray:
        """The answers of :meth:`run` without the trace, by the fast path where the macro has one.

        int64, shape (batch,), with the readout ``"step"`` (batch, steps); raises what :meth:`run` raises.
        """
        check_steps(self.spec, x)
        fast = self.lstm.fast
        if fast is None:
            return self.run(x, start=start).answers
        x = self.lstm.checked_inputs(x)
        start = self.lstm.start(len(x), start)
        if self.spec.readout == "mean":
            return self.logits(fast.sums(x, start), x.shape[1]).argmax(axis=-1)
        seen = fast.last(x, start) if self.spec.readout == "last" else fast.hidden(x, start)
        return self.logits(seen, 1).argmax(axis=-1)

    def hidden(self, x: np.ndarray, start: State | None = None) -> np.ndarray:
        """h of :meth:`run` without the rest, by the fast path where there is one; int64 (batch, steps, hidden)."""
        check_steps(self.spec, x)
        return self.lstm.hidden(x, start=start)

    def with_head(self, trace: Trace) -> Trace:
        """A macro's trace of whole utterances with ``logits``, ``answers`` and ``sums``; ties go to the lower class."""
        return self.head.added_to(trace)

    def logits(self, sums: np.ndarray, count: int) -> np.ndarray:
        """Exact logits of ``sums``, see :meth:`.head_arithmetic.HeadArithmetic.logits`."""
        return self.head.logits(sums, count)


def check_steps(spec: HeadSizes, x):
    """InvalidValue for utterances ``x``, shape (batch, steps, inputs), that are longer than ``spec`` allows."""
    most = spec.most_steps
    if most is not None and np.ndim(x) == 3 and np.shape(x)[1] > most:
        raise InvalidValue(f"x has {np.shape(x)[1]} steps; max_steps is {most}")
