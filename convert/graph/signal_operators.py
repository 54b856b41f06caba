# SPDX-License-Identifier: Apache-2.0
"""Operators on signals: those that move axes, those that choose steps or features, and those that are linear.

Each takes a :class:`.layer_graph.LayerGraph` and signals, and returns a signal.
InvalidValue says what the hardware lacks; the reader adds the name of the node.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from crossramp.golden.common.errors import InvalidValue

from .layer_graph import ALL, LAST, MEAN, LayerGraph, Linear, Signal
from .tensor_axes import DIRECTIONS, UNIT, Dim, Group, regrouped, without_units

UNROLLED = (
    "it takes single steps of the input, as an unrolled graph does; export a graph with LSTM, GRU or RNN nodes: the "
    ".pt2 file of torch.export, or ONNX with dynamo=False"
)


def place(axis: int, rank: int) -> int:
    """An axis counted from the front; InvalidValue if the tensor lacks it."""
    if not -rank <= axis < rank:
        raise InvalidValue(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank


# ---- axes ------------------------------------------------------------------------------------------------------------


def transposed(signal: Signal, order: Sequence[int]) -> Signal:
    """Axes in another order."""
    if sorted(order) != list(range(len(signal.axes))):
        raise InvalidValue(f"it orders {len(signal.axes)} axes as {list(order)}")
    return replace(signal, axes=tuple(signal.axes[k] for k in order))


def squeezed(graph: LayerGraph, signal: Signal, axes: Sequence[int] | None) -> Signal:
    """Without axes of size 1; None: without all that are known to have it, but for batch and steps."""
    shape = graph.shape(signal)
    if axes is None:
        axes = [k for k, group in enumerate(signal.axes) if group == (UNIT,)]
    axes = [place(axis, len(shape)) for axis in axes]
    for axis in axes:
        if shape[axis] != 1:
            raise InvalidValue(f"it removes axis {axis}, whose size is not 1")
    return replace(signal, axes=tuple(group for k, group in enumerate(signal.axes) if k not in axes))


def unsqueezed(signal: Signal, axes: Sequence[int]) -> Signal:
    """With more axes of size 1."""
    rank = len(signal.axes) + len(axes)
    axes = {place(axis, rank) for axis in axes}
    old = iter(signal.axes)
    return replace(signal, axes=tuple((UNIT,) if k in axes else next(old) for k in range(rank)))


def reshaped(graph: LayerGraph, signal: Signal, shape: Sequence[int | Dim], *, zero_copies: bool = True) -> Signal:
    """Elements in another shape: axes merged, or taken apart again."""
    sizes = graph.shape(signal)
    if zero_copies:
        shape = [sizes[k] if size == 0 and k < len(sizes) else size for k, size in enumerate(shape)]
    labels = [label for group in signal.axes for label in group]
    try:
        groups = regrouped(labels, [graph.size(signal, label) for label in labels], shape)
    except InvalidValue as error:
        raise InvalidValue(f"its shape {told_shape(shape)} is not axes merged or split: {error}") from None
    return replace(signal, axes=groups)


def merged(signal: Signal, groups: Sequence[Group]) -> Signal:
    """With the labels of all axes in other groups, in their order."""
    return replace(signal, axes=tuple(without_units(group) if group else (UNIT,) for group in groups))


def told_shape(shape: Sequence[int | Dim]) -> str:
    """A shape with ? for sizes that are not known."""
    return "(" + ", ".join("?" if isinstance(size, Dim) else str(size) for size in shape) + ")"


# ---- steps, directions, features -------------------------------------------------------------------------------------


def selected(graph: LayerGraph, signal: Signal, axis: int, places: Sequence[int] | int) -> Signal:
    """Elements along an axis: steps, directions or features; a single number removes the axis.

    Of the steps it is one: of each direction the last one that it takes.
    """
    axis = place(axis, len(signal.axes))
    group, single = signal.axes[axis], isinstance(places, int)
    chosen = [places] if single else list(places)
    size = graph.shape(signal)[axis]
    if isinstance(size, int):
        if any(not -size <= k < size for k in chosen):
            raise InvalidValue(f"it takes elements {chosen} of axis {axis}, which has {size}")
        chosen = [k % size for k in chosen]
    if isinstance(size, int) and chosen == list(range(size)) and not single:
        return signal
    if group == (DIRECTIONS,):
        slots = tuple(signal.slots[k] for k in chosen)
        found = replace(signal, slots=slots)
        return _with_axis(found, axis, None if single else (DIRECTIONS,) if len(slots) > 1 else (UNIT,))
    if group == (UNIT,):
        return _with_axis(signal, axis, None if single else group)
    if group == (signal.time,):
        return _with_axis(_last(signal, chosen, size), axis, None if single else (UNIT,))
    known = signal.slots or signal.linear
    if signal.time is None and (group != signal.features if known else axis != len(signal.axes) - 1):
        raise InvalidValue(UNROLLED)
    features = graph.with_features(signal, axis)
    matrix = np.eye(features.outputs)[chosen]
    found = features.mapped(Linear(matrix, np.zeros(len(chosen))))
    return _with_axis(found, axis, None) if single else found


def _with_axis(signal: Signal, axis: int, group: Group | None) -> Signal:
    """With another group in the place of an axis, or without the axis."""
    axes = list(signal.axes)
    axes[axis : axis + 1] = [] if group is None else [group]
    return replace(signal, axes=tuple(axes))


def _last(signal: Signal, chosen: list[int], size: int | Dim) -> Signal:
    ends = {0: 0, -1: -1} if not isinstance(size, int) else {0: 0, size - 1: -1}
    step = ends.get(chosen[0]) if len(chosen) == 1 else None
    if step is None:
        raise InvalidValue(f"it takes steps {chosen}; a readout takes the last one, the mean, or every step")
    if signal.ragged:
        raise InvalidValue("it takes one step of utterances whose lengths differ, which is padding; read Y_h")
    if signal.flipped:
        step = -1 - step
    return replace(signal, steps=LAST, flipped=None, end=step)


def flipped(signal: Signal, axis: int) -> Signal:
    """With the steps in their opposite order."""
    (label,) = signal.axes[place(axis, len(signal.axes))]
    if signal.time is not None and label != signal.time:
        raise InvalidValue(f"it turns axis {axis} around, which is not that of the steps")
    if signal.flipped not in (None, label):
        raise InvalidValue("it turns two axes around")
    return replace(signal, flipped=None if signal.flipped else label)


def mean(signal: Signal, axes: Sequence[int], *, keep: bool) -> Signal:
    """The mean over the steps."""
    axes = [place(axis, len(signal.axes)) for axis in axes]
    over = [signal.axes[axis] for axis in axes if signal.axes[axis] != (UNIT,)]
    if over != [(signal.time,)] or signal.steps != ALL:
        raise InvalidValue("it averages other axes than the steps behind a recurrent layer")
    if signal.ragged:
        raise InvalidValue("it averages the padding of utterances whose lengths differ too; read Y_h, or every step")
    groups = [(UNIT,) if k in axes else group for k, group in enumerate(signal.axes) if keep or k not in axes]
    return replace(signal, axes=tuple(groups), steps=MEAN, flipped=None)


def joined(graph: LayerGraph, signals: Sequence[Signal], axis: int) -> Signal:
    """Signals one behind the other along their directions or their features."""
    axis = place(axis, len(signals[0].axes))
    signals = [graph.settled(one) for one in signals]
    first = signals[0]
    if all(one.linear is None and one.slots and one.axes[axis] in ((UNIT,), (DIRECTIONS,)) for one in signals):
        flat = [_with_axis(one, axis, (UNIT,)) for one in signals]
        _check_alike(flat)
        if len({one.width for one in signals}) > 1:
            raise InvalidValue("it joins h of different widths")
        slots = tuple(slot for one in signals for slot in one.slots)
        return _with_axis(replace(first, slots=slots), axis, (DIRECTIONS,))
    return _combined(graph, [graph.with_features(one, axis) for one in signals], np.concatenate)


def added(graph: LayerGraph, first: Signal, second: Signal, sign: float = 1.0) -> Signal:
    """The sum or the difference of the features of two signals."""
    if len(first.axes) != len(second.axes):
        raise InvalidValue("it adds tensors of different axes")
    signals = []
    for one in (graph.settled(first), graph.settled(second)):
        (axis,) = [k for k, group in enumerate(one.axes) if group == one.features] or [-1]
        signals.append(graph.with_features(one, axis))
    if signals[0].outputs != signals[1].outputs:
        raise InvalidValue("it adds tensors of different widths")
    return _combined(graph, signals, lambda parts: parts[0] + sign * parts[1])


def _combined(graph: LayerGraph, signals: list[Signal], combine) -> Signal:
    """One signal of the slots of several, with the linear map that ``combine`` makes of theirs."""
    bare = [replace(s, axes=tuple(("*",) if g == s.features else g for g in s.axes)) for s in signals]
    _check_alike(bare)
    slots = tuple(dict.fromkeys(slot for one in signals for slot in one.slots))
    first = signals[0]
    if len({(one.width, one.feature) for one in signals}) > 1:
        raise InvalidValue("it joins h of different widths")
    matrices = []
    for one in signals:
        linear = one.map()
        own = one.slots or (None,)
        blocks = dict(zip(own, np.split(linear.matrix, len(own), axis=1), strict=True))
        zero = np.zeros((len(linear.matrix), one.width))
        matrices.append(np.concatenate([blocks.get(slot, zero) for slot in (slots or (None,))], axis=1))
    bias = combine([one.map().bias for one in signals])
    axes = tuple(("*",) if group == first.features else group for group in first.axes)
    whole = replace(first, slots=slots, linear=None)
    whole = replace(whole, axes=tuple(whole.features if group == ("*",) else group for group in axes))
    return whole.mapped(Linear(combine(matrices), bias))


def _check_alike(signals: Sequence[Signal]):
    """InvalidValue unless all have the same axes, steps and order."""
    kinds = {(one.axes, one.source, one.time, one.steps, one.flipped, one.ragged) for one in signals}
    if len(kinds) > 1:
        turned = len({one.flipped for one in signals}) > 1
        raise InvalidValue(
            "one of the tensors that it joins runs from the last step to the first; flip it before"
            if turned
            else "the tensors that it joins have different axes, steps or inputs"
        )


# ---- linear maps -----------------------------------------------------------------------------------------------------


def multiplied(graph: LayerGraph, signal: Signal, matrix: np.ndarray, bias: np.ndarray | None = None) -> Signal:
    """matrix · features + bias, of the last axis; ``matrix`` has the shape (outputs, features)."""
    signal = graph.with_features(signal, len(signal.axes) - 1)
    if matrix.ndim != 2 or matrix.shape[1] != signal.outputs:
        raise InvalidValue(f"its matrix has the shape {matrix.shape}, behind {signal.outputs} features")
    bias = np.zeros(len(matrix)) if bias is None else bias
    return signal.mapped(Linear(np.asarray(matrix, float), np.broadcast_to(np.asarray(bias, float), len(matrix))))


def scaled(graph: LayerGraph, signal: Signal, factor=1.0, offset=0.0) -> Signal:
    """factor · features + offset, each a scalar or an array that varies along the features alone."""
    rank = len(signal.axes)
    arrays = [np.asarray(array, float) for array in (factor, offset)]
    if max(array.ndim for array in arrays) > rank:
        raise InvalidValue("its constant has more axes than the tensor")
    arrays = [array.reshape((1,) * (rank - array.ndim) + array.shape) for array in arrays]
    wide = {axis for array in arrays for axis, size in enumerate(array.shape) if size > 1}
    if len(wide) > 1:
        raise InvalidValue("its constant varies along several axes")
    features = [k for k, group in enumerate(signal.axes) if group == signal.features]
    axis = wide.pop() if wide else (features[0] if features else rank - 1)
    signal = graph.with_features(signal, axis)
    for array in arrays:
        if array.size not in (1, signal.outputs):
            raise InvalidValue(f"its constant has {array.size} values, behind {signal.outputs} features")
    factors, offsets = (np.broadcast_to(array.reshape(-1), signal.outputs) for array in arrays)
    return signal.mapped(Linear(np.diag(factors), offsets))


def activated(graph: LayerGraph, signal: Signal, activation: str, name: str) -> Signal:
    """A dense layer: an activation of the features, at every step or behind the last one of one direction."""
    axis = next((k for k, group in enumerate(signal.axes) if group == signal.features), None)
    if axis is None or (not signal.slots and signal.linear is None):
        raise InvalidValue("its activation is not behind a layer; apply it to the input before")
    if signal.steps == MEAN:
        raise InvalidValue("an activation behind the mean; the hardware has a linear head there")
    if signal.steps == LAST and any(graph.stages[s.stage].layers[s.direction].reverse for s in signal.slots):
        raise InvalidValue("an activation behind the last step of a backward direction; the hardware has a linear head")
    return graph.activated(signal, activation, name)
