# SPDX-License-Identifier: Apache-2.0
"""A whole trained network in real numbers: layers in sequence, a readout and a linear head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from crossramp.golden.common.errors import InvalidValue

from .float_layer import FloatLayer, LayerTrace, checked_batch

READOUTS = ("mean", "last", "step")


class FloatAnswers(NamedTuple):
    """What a network computes of a batch; float64.

    Parameters
    ----------
    h : array, shape (batch, steps, hidden)
        Outputs of the last layer, both directions side by side, the forward one first; 0 beyond an utterance's end.
    logits : array, shape (batch, classes), or of the readout ``"step"`` (batch, steps, classes)
        Without a head, h as it is read out. Beyond the end of an utterance 0.
    """

    h: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """Layers in sequence with one head behind the last.

    Parameters
    ----------
    layers : sequence of FloatLayer, or of pairs of them
        In their order. A pair is (forward, backward): both take the same x, and the next layer takes h of both side by
        side. Kept as a tuple of tuples.
    head_weights : array, shape (classes, hidden), or None
        logits = head_weights · h + head_biases, of h as it is read out. None: the network ends with h.
    head_biases : array, shape (classes,), or None
        None: zero.
    readout : str
        ``"mean"`` of h over the steps; ``"last"``: of each direction h of the last step that it takes, which is step 0
        of a backward one; ``"step"``: h of every step.
    class_names : tuple of str
        Of the outputs; empty: not known.

    Raises
    ------
    InvalidValue
        For layers that do not fit, a wrong shape or readout, and values that are not finite; the message names the
        layer.
    """

    layers: Sequence[FloatLayer | Sequence[FloatLayer]]
    head_weights: np.ndarray | None = None
    head_biases: np.ndarray | None = None
    readout: str = "mean"
    class_names: tuple[str, ...] = ()

    def __post_init__(self):
        layers = tuple((layer,) if isinstance(layer, FloatLayer) else tuple(layer) for layer in self.layers)
        object.__setattr__(self, "layers", layers)
        if not layers:
            raise InvalidValue("the network has no layers; give one or more")
        before = None
        for directions in layers:
            _check_directions(directions)
            first = directions[0]
            if before is not None and first.inputs != hidden_of(before):
                raise InvalidValue(
                    f"{first.title} takes {first.inputs} inputs, but {before[-1].title} gives {hidden_of(before)}"
                )
            before = directions
        if self.readout not in READOUTS:
            raise InvalidValue(f"readout is {self.readout!r}; allowed: {', '.join(READOUTS)}")
        self._check_head()
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        if self.class_names and len(self.class_names) != self.outputs:
            raise InvalidValue(f"{len(self.class_names)} class names are given, but there are {self.outputs} outputs")

    @property
    def inputs(self) -> int:
        """Width of x."""
        return self.layers[0][0].inputs

    @property
    def hidden(self) -> int:
        """Width of h of the last layer, both directions together."""
        return hidden_of(self.layers[-1])

    @property
    def outputs(self) -> int:
        """Number of logits; without a head, width of h."""
        return self.hidden if self.head_weights is None else len(self.head_weights)

    def run(self, x, lengths=None) -> FloatAnswers:
        """h of every step and the logits of each utterance, from its initial state.

        Parameters
        ----------
        x : array, shape (batch, steps, inputs)
        lengths : array of int, shape (batch,), or None
            Steps of each utterance; None: all. What lies beyond counts nowhere, and a backward direction starts at the
            end of its utterance.

        Raises
        ------
        InvalidValue
            From :func:`.float_layer.checked_batch`.
        """
        traces = self.trace(x, lengths)[-1]
        h = np.concatenate([trace.h for trace in traces], axis=2)
        return FloatAnswers(h, self._logits(traces, h, lengths))

    def trace(self, x, lengths=None) -> list[tuple[LayerTrace, ...]]:
        """All values of each layer and direction, in the order of ``layers``; parameters as of :meth:`run`."""
        x, lengths = checked_batch(x, lengths, self.inputs)
        found = []
        for directions in self.layers:
            found.append(tuple(layer.trace(x, lengths) for layer in directions))
            x = np.concatenate([trace.h for trace in found[-1]], axis=2)
        return found

    def _logits(self, traces: tuple[LayerTrace, ...], h: np.ndarray, lengths) -> np.ndarray:
        batch, steps = h.shape[:2]
        lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths)
        if self.readout == "mean":
            h = h.sum(1) / lengths[:, None]
        elif self.readout == "last":
            pairs = zip(self.layers[-1], traces, strict=True)
            h = np.concatenate([layer.last(trace.h, lengths) for layer, trace in pairs], axis=1)
        if self.head_weights is None:
            return h
        logits = h @ self.head_weights.T
        if self.head_biases is not None:
            logits = logits + self.head_biases
        return logits * (np.arange(steps) < lengths[:, None])[..., None] if self.readout == "step" else logits

    def _check_head(self):
        if self.head_weights is None:
            if self.head_biases is not None:
                raise InvalidValue("head_biases are given without head_weights; give both")
            return
        weights = _numbers("head_weights", self.head_weights, 2)
        if weights.shape[1] != self.hidden:
            raise InvalidValue(
                f"head_weights have the shape {weights.shape}, but h of the last layer has the width {self.hidden}"
            )
        object.__setattr__(self, "head_weights", weights)
        if self.head_biases is not None:
            biases = _numbers("head_biases", self.head_biases, 1)
            if len(biases) != len(weights):
                raise InvalidValue(
                    f"head_biases have {len(biases)} values; expected {len(weights)}, one for each logit"
                )
            object.__setattr__(self, "head_biases", biases)


def hidden_of(directions: Sequence[FloatLayer]) -> int:
    """Width of h of a layer, its directions together."""
    return sum(layer.hidden for layer in directions)


def _check_directions(directions: tuple[FloatLayer, ...]):
    if not 1 <= len(directions) <= 2:
        raise InvalidValue(f"a layer has {len(directions)} directions; expected one FloatLayer or a pair")
    if len(directions) == 2:
        forward, backward = directions
        if forward.reverse or not backward.reverse:
            raise InvalidValue(f"{forward.title}: a pair is (forward, backward), and only the second is reverse")
        if forward.inputs != backward.inputs:
            raise InvalidValue(
                f"{forward.title} takes {forward.inputs} inputs, but its backward direction {backward.inputs}"
            )


def _numbers(name: str, values, dimensions: int) -> np.ndarray:
    """``values`` as a read-only float64 array of finite numbers."""
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError):
        raise InvalidValue(f"{name} are not an array of numbers") from None
    if array.ndim != dimensions or array.size == 0:
        raise InvalidValue(f"{name} have the shape {array.shape}; expected {dimensions} dimensions, not empty")
    if not np.isfinite(array).all():
        raise InvalidValue(f"{name} hold {array[~np.isfinite(array)][0]}; export finite weights")
    array.setflags(write=False)
    return array
