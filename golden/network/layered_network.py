# SPDX-License-Identifier: Apache-2.0
"""A network of several layers: macros whose h streams are the next layer's x, and a head behind the last."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..array.array_protocol import Array, IdealArray
from ..array.weights import Weights
from ..common.errors import InvalidValue
from ..common.integer_arrays import check_integers
from ..layers.network_specification import AnySpecification, NetworkSpecification, projection_name
from ..macro.initial_state import FROM_THE_START, Starts, State, joined
from ..macro.lstm import Lstm
from ..macro.trace import Trace
from .head_arithmetic import HeadArithmetic
from .layered_weights import LayeredWeights
from .network import Network, check_steps


class LayeredNetwork:
    """Layers in sequence, each of one or two directions, and a dense head; integer-exact, vectorized over a batch.

    A forward macro takes the steps in their order, a backward one from the last to the first, each from a state reset.
    The next layer takes both macros' h of the same step, the forward one's units first. With the readouts ``"mean"``
    and ``"last"`` the head takes h of a last layer's directions as they come: the k-th of the one beside the k-th of
    the other; with ``"step"`` those of the same step.

    Parameters
    ----------
    spec : NetworkSpecification
    weights : LayeredWeights
    arrays : mapping of str to Array, or None
        What stands behind the boundary of each macro, by the macros' names; None, or a name left out: the ideal array.

    Attributes
    ----------
    weights : LayeredWeights
        Checked: read-only int64 arrays.
    macros : dict of str to Lstm
    head : HeadArithmetic

    Raises
    ------
    InvalidValue
        For weights that do not fit the specification, see :meth:`.layered_weights.LayeredWeights.checked`; an array of
        another specification, or for a macro that there is not.
    """

    def __init__(self, spec: NetworkSpecification, weights: LayeredWeights, arrays: Mapping[str, Array] | None = None):
        self.spec, self.weights, arrays = spec, weights.checked(spec), dict(arrays or {})
        for name in arrays:
            if name not in spec.macros:
                raise InvalidValue(f"there is no macro {name!r} for an array; there are {', '.join(spec.macros)}")
        self.macros: dict[str, Lstm] = {}
        for name, macro in reversed(spec.macros.items()):  # what belongs to a macro stands behind it
            given = self.weights.macros[name]
            array = arrays.get(name) or IdealArray(macro, given.macro, lines=given.lines)
            sums = {one.name: self.macros[f"{name}_{one.name}"] for one in macro.row_sums}
            self.macros[name] = Lstm.of(macro, array, given, self.macros.get(projection_name(name)), sums)
        self.head = HeadArithmetic(spec, self.weights.head, self.weights.head_biases)

    def behind(self, arrays: Mapping[str, Array]) -> "LayeredNetwork":
        """The same network in front of other arrays."""
        return LayeredNetwork(self.spec, self.weights, arrays)

    def run(self, x: np.ndarray, first: int = 0, start: Mapping[str, State] | None = None) -> Trace:
        """Utterances of equal length, with the whole trace.

        Parameters
        ----------
        x : integer array, shape (batch, steps, inputs)
            Pulse codes within ±input_max; 1 to max_steps steps.
        first : int
            Steps that each array did before: of the utterances before these, which are played one after the other.
        start : mapping of str to State, or None
            What each utterance starts from, by the macros' names, see :meth:`.lstm.Lstm.start`. None, or a name left
            out: as the macro's specification says.

        Returns
        -------
        Trace
            With ``macros``, ``h`` as the head sees it, ``sums``, ``logits`` and ``answers``.

        Raises
        ------
        InvalidValue
            For a wrong shape, a number of steps or a code out of range.
        """
        check_steps(self.spec, x)
        traces: dict[str, Trace] = {}
        start = {} if start is None else start

        def whole(name: str, codes: np.ndarray) -> np.ndarray:
            macro = self.macros[name]
            trace = macro.run(codes, self.numbers(name, codes.shape, first), start.get(name))
            traces[name] = trace.replace(macros=None)
            traces.update({f"{name}_{part}": own for part, own in (trace.macros or {}).items()})
            return macro.handed_on(trace)

        h = self.through(x, whole)
        return self.head.added_to(Trace(h=h, macros=traces))

    def play(
        self, batches: Sequence[np.ndarray], starts: Starts = FROM_THE_START, steps_before: int = 0
    ) -> list[Trace]:
        """Utterances that are played one after the other; one trace a batch. See :meth:`.network.Network.play`."""
        places = joined(batches)
        starts = starts.checked(self.spec, sum(map(len, batches)))
        fresh, traces, state = starts.fresh, [], None
        for x, place in zip(batches, places, strict=True):
            given = starts.of(place).given
            if fresh[place].all():
                traces.append(self.run(x, steps_before, given))
            else:
                traces.append(self._in_turn(x, steps_before, starts.of(place), fresh[place], state))
            steps_before += x.shape[0] * x.shape[1]
            state = self.end(traces[-1].utterances(slice(-1, None)))
        return traces

    def _in_turn(self, x: np.ndarray, first: int, starts: Starts, fresh: np.ndarray, state) -> Trace:
        """Utterances one by one: one that is not fresh goes on from that before, the first of all from ``state``."""
        parts = []
        for k, is_fresh in enumerate(fresh):
            this = slice(k, k + 1)
            parts.append(self.run(x[this], first + k * x.shape[1], starts.of(this).given if is_fresh else state))
            state = self.end(parts[-1])
        return Trace.join(parts)

    def end(self, trace: Trace) -> dict[str, State]:
        """What the last steps of whole utterances hand on, by the names of the macros that hand something on."""
        found = {}
        for name, macro in self.macros.items():
            own = trace.macros[name]
            if macro.projecting is not None:
                own = own.replace(macros={"projection": trace.macros[projection_name(name)]})
            if macro.spec.layout.has_state:
                found[name] = macro.end(own)
        return found

    def hidden(self, x: np.ndarray) -> np.ndarray:
        """h of :meth:`run` without the rest, by the fast paths where there are some; int64 (batch, steps, hidden)."""
        check_steps(self.spec, x)
        return self.through(x, lambda name, codes: self.macros[name].hidden(codes))

    def answers(self, x: np.ndarray) -> np.ndarray:
        """The answers of :meth:`run` without the trace; int64, shape (batch,), with ``"step"`` (batch, steps)."""
        return self.head.added_to(Trace(h=self.hidden(x))).answers

    def numbers(self, name: str, shape: tuple[int, ...], steps_before: int = 0) -> np.ndarray:
        """The number of each utterance's first conversion in a macro, for x of this shape; int64, shape (batch,)."""
        batch, steps = shape[:2]
        return (steps_before + steps * np.arange(batch)) * len(self.macros[name].spec.conversions)

    def through(self, x: np.ndarray, whole: Callable[[str, np.ndarray], np.ndarray]) -> np.ndarray:
        """h that the head sees, from what gives the h of whole utterances for each macro.

        Parameters
        ----------
        x : integer array, shape (batch, steps, inputs)
        whole : callable
            From a macro's name and its codes, in the order in which it takes the steps, to its h in that order.

        Returns
        -------
        int64 array, shape (batch, steps, hidden)
        """
        codes = check_integers("x", x, (None, None, self.spec.inputs), self.spec.input_max)
        if codes.shape[1] == 0:
            raise InvalidValue("x has no steps; an utterance has at least 1")
        return through_layers(self.spec, codes, whole)


def through_layers(
    spec: NetworkSpecification, codes: np.ndarray, whole: Callable[[str, np.ndarray], np.ndarray], first: int = 0
) -> np.ndarray:
    """h that the head sees, from the codes that layer ``first`` takes; see :meth:`LayeredNetwork.through`."""
    for number in range(first, len(spec.layers)):
        forward, *backward = spec.names_of(number)
        h = [whole(forward, codes)]
        if backward:
            last = number == len(spec.layers) - 1 and spec.readout != "step"
            own = whole(backward[0], codes[:, ::-1])
            h.append(own if last else own[:, ::-1])
        codes = np.concatenate(h, axis=-1)
    return codes


def network_of(spec: AnySpecification, weights: Weights | LayeredWeights) -> Network | LayeredNetwork:
    """The golden network of a specification, in front of ideal arrays; raises what its class raises."""
    return (LayeredNetwork if isinstance(spec, NetworkSpecification) else Network)(spec, weights)
