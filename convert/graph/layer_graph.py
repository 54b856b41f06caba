# SPDX-License-Identifier: Apache-2.0
"""What a graph of tensors computes, as layers in sequence with a readout and a head.

A reader of a format goes through its graph once.
A tensor that depends on the input is a :class:`Signal`: which layers it comes from, what its axes run over, and a
linear map that nothing has consumed yet.
Recurrent nodes, and activations behind a linear map, become layers of the :class:`LayerGraph`;
the output of the graph becomes the network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from crossramp.golden.cell.description import BIAS, INPUT
from crossramp.golden.cell.real_cell import Place
from crossramp.golden.common.errors import CrossrampWarning, InvalidValue

from ..float_network.float_layer import FloatLayer
from ..float_network.imported_network import FloatNetwork, hidden_of
from .tensor_axes import DIRECTIONS, FEATURES, UNIT, Dim, Group

ALL, LAST, MEAN = "step", "last", "mean"
"""Which steps a signal has: each; the last that its direction takes; the mean over all. Names of readouts."""


class ConversionWarning(CrossrampWarning):
    """A network was read, but something of the file is not in it, or is often written wrongly."""


class Slot(NamedTuple):
    """h of one direction of a stage."""

    stage: int
    direction: int


class Linear(NamedTuple):
    """matrix · features + bias; shapes (outputs, features) and (outputs,)."""

    matrix: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Unread:
    """A value that the hardware does not give; ``reason`` is told where something needs it."""

    reason: str


class Stage(NamedTuple):
    """A layer of the graph: its directions, the forward one first, and where its x comes from."""

    layers: tuple[FloatLayer, ...]
    source: "int | str"  # another stage, or the name of an input of the graph


@dataclass(frozen=True)
class Signal:
    """A tensor that depends on the input.

    Attributes
    ----------
    axes : tuple of Group
        What each axis runs over. Before the first layer labels are those of the input's axes; behind one,
        ``"directions"`` and ``"features"`` are h, the labels of steps and batch stay.
    source : str
        The name of the input.
    slots : tuple of Slot
        What h is of, in the order along the directions; empty: the input itself.
    width : int
        Features of one slot.
    time : str or None
        The label of the steps; None: no recurrent layer has told it yet.
    steps : str
        ``"step"``, ``"last"`` or ``"mean"``.
    end : int or None
        Of the last step: 0 or -1, if it was taken by its number; None: of each direction its own.
    flipped : str or None
        The label of an axis that runs from its end.
    linear : Linear or None
        What has been applied to the features of all slots side by side.
    feature : str
        The label of the features: of the input, known once something linear is applied to them.
    ragged : bool
        Whether utterances have lengths of their own, given at run time.
    """

    axes: tuple[Group, ...]
    source: str
    slots: tuple[Slot, ...] = ()
    width: int = 0
    time: str | None = None
    steps: str = ALL
    end: int | None = None
    flipped: str | None = None
    linear: Linear | None = None
    feature: str = FEATURES
    ragged: bool = False

    @property
    def outputs(self) -> int:
        """Number of features, all slots together."""
        return len(self.linear.bias) if self.linear else self.width * max(len(self.slots), 1)

    @property
    def features(self) -> Group:
        """The labels of all features side by side."""
        return (DIRECTIONS, self.feature) if len(self.slots) > 1 and self.linear is None else (self.feature,)

    def map(self) -> Linear:
        """The linear map; without one, the identity."""
        return self.linear or Linear(np.eye(self.outputs), np.zeros(self.outputs))

    def mapped(self, linear: Linear) -> "Signal":
        """The signal with a linear map of all its features, which lie on one axis; slots that count nowhere leave."""
        matrix, bias = self.map()
        linear = Linear(linear.matrix @ matrix, linear.matrix @ bias + linear.bias)
        axes = tuple((self.feature,) if group == self.features else group for group in self.axes)
        return replace(self, axes=axes, linear=linear)._pruned()

    def _pruned(self) -> "Signal":
        """Without slots of which no feature counts, and without a linear map that changes nothing."""
        blocks = np.split(self.linear.matrix, max(len(self.slots), 1), axis=1)
        used = [k for k, block in enumerate(blocks) if block.any()]
        found = self
        if self.slots and used:
            matrix = np.concatenate([blocks[k] for k in used], axis=1)
            found = replace(self, slots=tuple(self.slots[k] for k in used), linear=Linear(matrix, self.linear.bias))
        matrix, bias = found.linear
        if matrix.shape[0] == matrix.shape[1] and not bias.any() and (matrix == np.eye(len(matrix))).all():
            plain = replace(found, linear=None)
            axes = tuple(plain.features if group == (self.feature,) else group for group in plain.axes)
            return replace(plain, axes=axes)
        return found


class LayerGraph:
    """The layers that a graph has so far.

    Parameters
    ----------
    sizes : dict
        By the labels of the input's axes: an int, or a :class:`.Dim` where it is not known.
    """

    def __init__(self, sizes: dict[str, int | Dim]):
        self.sizes = sizes
        self.stages: list[Stage] = []
        self._made: dict = {}

    # ---- sizes ------------------------------------------------------------------------------------------------------

    def size(self, signal: Signal, label: str) -> int | Dim:
        """The size of an axis with one label."""
        if label == UNIT:
            return 1
        if label == DIRECTIONS:
            return len(signal.slots)
        if label == signal.feature and (signal.slots or signal.linear):
            return signal.width if signal.linear is None else signal.outputs
        return self.sizes[label]

    def shape(self, signal: Signal) -> list[int | Dim]:
        """The shape of a signal."""
        shape = []
        for group in signal.axes:
            size: int | Dim = 1
            for label in group:
                size = size * self.size(signal, label)
            shape.append(size)
        return shape

    # ---- layers -----------------------------------------------------------------------------------------------------

    def with_features(self, signal: Signal, axis: int) -> Signal:
        """A signal all of whose features lie on one axis; of the input, this tells which axis has them.

        Raises
        ------
        InvalidValue
            If they do not.
        """
        group = signal.axes[axis]
        if not signal.slots and signal.linear is None and len(group) == 1 and group != (UNIT,):
            size = self.sizes[group[0]]
            if not isinstance(size, int):
                raise InvalidValue(f"the number of features of {signal.source!r} is not known; export a fixed one")
            return replace(signal, feature=group[0], width=size)
        if group != signal.features:
            raise InvalidValue("it changes other axes than the features, or one direction apart from the other")
        return signal

    def recurrent(
        self, signal: Signal, layers: Sequence[Callable[["Taken"], FloatLayer]], time_axis: int, *, ragged: bool = False
    ) -> Signal:
        """A recurrent layer behind a signal: h of every step, with the axes steps, directions, batch, features.

        Parameters
        ----------
        signal : Signal
            Three axes, the features last.
        layers : sequence of callable
            One for each direction: from what a layer takes to the layer.
        time_axis : int
            0 or 1: the axis of the steps.
        ragged : bool
            Whether utterances have lengths of their own.
        """
        if len(signal.axes) != 3:
            raise InvalidValue(f"its input has {len(signal.axes)} axes; expected steps, batch and features")
        signal = self.with_features(signal, 2)
        if signal.steps != ALL:
            raise InvalidValue("it takes the last step or the mean of another layer; a layer takes every step")
        time, batch = signal.axes[time_axis], signal.axes[1 - time_axis]
        if time == (UNIT,) or len(time) > 1:
            raise InvalidValue("it takes one step at a time; export a network that takes whole utterances")
        if signal.time not in (None, *time) or signal.flipped not in (None, *time):
            raise InvalidValue("its steps are not those of the layer before; check batch_first and transposes")
        if signal.slots and signal.ragged != ragged and signal.time is not None:
            raise InvalidValue("lengths of utterances are given to some layers alone; give them to all")
        taken = Taken(*self.canonical(signal))
        made = [make(taken) for make in layers]
        if signal.flipped:
            made = [replace(layer, reverse=not layer.reverse) for layer in made]
        ordered = sorted(range(len(made)), key=lambda k: made[k].reverse)
        self.stages.append(Stage(tuple(made[k] for k in ordered), taken.source))
        slots = tuple(Slot(len(self.stages) - 1, ordered.index(k)) for k in range(len(made)))
        axes = (time, (DIRECTIONS,) if len(slots) > 1 else (UNIT,), batch, (FEATURES,))
        widths = {layer.hidden for layer in made}
        if len(widths) > 1:
            raise InvalidValue("its directions have different widths")
        return Signal(axes, signal.source, slots, widths.pop(), time=time[0], flipped=signal.flipped, ragged=ragged)

    def activated(self, signal: Signal, activation: str, name: str) -> Signal:
        """A dense layer behind a signal: an activation of its linear map."""
        stage = self.dense(signal, activation, name)
        axes = tuple((FEATURES,) if group == signal.features else group for group in signal.axes)
        width = self.stages[stage].layers[0].hidden
        return replace(signal, axes=axes, slots=(Slot(stage, 0),), width=width, end=None, linear=None, feature=FEATURES)

    def settled(self, signal: Signal) -> Signal:
        """A signal whose last step, if it was taken by its number, is of each direction the last that it takes."""
        if signal.end is None:
            return signal
        for slot in signal.slots:
            layer = self.stages[slot.stage].layers[slot.direction]
            if layer.reverse != (signal.end == 0):
                side, other = ("first", "last") if layer.reverse else ("last", "first")
                raise InvalidValue(
                    f"it takes the {other} step of {layer.title}, whose last one is the {side}; "
                    "take h_n, or of each direction its own last step"
                )
        return replace(signal, end=None)

    def dense(self, signal: Signal, activation: str, name: str) -> int:
        """The stage of a dense layer: an activation of the linear map of a signal. Each map has one."""
        source, (matrix, bias) = self.canonical(signal)
        key = (source, activation, matrix.tobytes(), bias.tobytes())
        if key not in self._made:
            weights = {("a", INPUT): matrix, ("a", BIAS): bias}
            self.stages.append(Stage((FloatLayer("dense", weights, {"a": activation}, name=name),), source))
            self._made[key] = len(self.stages) - 1
        return self._made[key]

    def canonical(self, signal: Signal) -> tuple["int | str", Linear]:
        """Where the features come from, and the map of all features that are there, directions in their order."""
        matrix, bias = self.settled(signal).map()
        if not signal.slots:
            return signal.source, Linear(matrix, bias)
        stage, places = self._stage_of(signal.slots)
        widths = [layer.hidden for layer in self.stages[stage].layers]
        blocks = np.split(matrix, len(signal.slots), axis=1)
        whole = [np.zeros((len(matrix), width)) for width in widths]
        for place, block in zip(places, blocks, strict=True):
            whole[place] = whole[place] + block
        return stage, Linear(np.concatenate(whole, axis=1), bias)

    def _stage_of(self, slots: Sequence[Slot]) -> tuple[int, list[int]]:
        """The stage that has all slots, and which of its directions each is; two stages of one input become a pair."""
        numbers = sorted({slot.stage for slot in slots})
        if len(numbers) == 1:
            return numbers[0], [slot.direction for slot in slots]
        stages = [self.stages[number] for number in numbers]
        names = " and ".join(repr(layer.name) for stage in stages for layer in stage.layers)
        single = [layers[0] for layers, _ in stages if len(layers) == 1 and layers[0].description.has_state]
        both = len(stages) == len(single) == 2 and single[0].reverse != single[1].reverse
        if not both or stages[0].source != stages[1].source:
            raise InvalidValue(f"it joins {names}, which are not two directions of one layer; layers are in sequence")
        key = tuple(numbers)
        if key not in self._made:
            ordered = sorted(numbers, key=lambda number: self.stages[number].layers[0].reverse)
            pair = tuple(self.stages[number].layers[0] for number in ordered)
            self.stages.append(Stage(pair, stages[0].source))
            self._made[key] = (len(self.stages) - 1, ordered)
        stage, ordered = self._made[key]
        return stage, [ordered.index(slot.stage) for slot in slots]

    # ---- the network ------------------------------------------------------------------------------------------------

    def network_of(self, value: Any, title: str, otherwise: str) -> FloatNetwork:
        """:meth:`network` of what a reader found to be an output.

        Parameters
        ----------
        value : Signal, Unread, or anything that is no value of the graph
        title : str
            What errors begin with.
        otherwise : str
            Why there is no network where ``value`` is neither.
        """
        try:
            if not isinstance(value, Signal):
                raise InvalidValue(value.reason if isinstance(value, Unread) else otherwise)
            return self.network(value)
        except InvalidValue as error:
            raise InvalidValue(f"{title}: {error}") from None

    def network(self, signal: Signal) -> FloatNetwork:
        """The network whose output is a signal.

        Raises
        ------
        InvalidValue
            For an output before any layer, one whose steps run from the end, and what :class:`FloatNetwork` refuses.
        """
        if not signal.slots:
            raise InvalidValue("the output does not come from a recurrent layer")
        if signal.steps == ALL and signal.flipped:
            raise InvalidValue("outputs run from the last step to the first; flip them before they leave")
        stage, (matrix, bias) = self.canonical(signal)
        layers = [self.stages[stage].layers]
        while not isinstance(source := self.stages[stage].source, str):
            layers.insert(0, self.stages[source].layers)
            stage = source
        width = hidden_of(layers[-1])
        if signal.linear is None and matrix.shape == (width, width) and (matrix == np.eye(width)).all():
            return FloatNetwork(layers, readout=signal.steps)
        return FloatNetwork(layers, matrix, bias, signal.steps)


class Taken(NamedTuple):
    """Where the x of a layer comes from, and the linear map of it that its weights must take in."""

    source: "int | str"
    linear: Linear

    def weights(self, weights: dict[Place, np.ndarray]) -> dict[Place, np.ndarray]:
        """Weights behind the map as weights of what is before it."""
        found = dict(weights)
        matrix, bias = self.linear
        for bank, group in weights:
            if group == INPUT:
                shape = weights[bank, group].shape
                if shape[1:] != (len(matrix),):
                    raise InvalidValue(
                        f"weights of x on bank {bank} have the shape {shape}, but x the width {len(matrix)}"
                    )
                found[bank, group] = weights[bank, group] @ matrix
                found[bank, BIAS] = found.get((bank, BIAS), 0) + weights[bank, group] @ bias
        return found


def behind(layer: FloatLayer) -> Callable[[Taken], FloatLayer]:
    """A maker for :meth:`LayerGraph.recurrent`: ``layer`` with the linear map in front of it in its weights."""
    return lambda taken: replace(layer, weights=taken.weights(dict(layer.weights)))
