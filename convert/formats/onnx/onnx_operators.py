# SPDX-License-Identifier: Apache-2.0
"""The standard operators of ONNX on tensors that depend on the input."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from crossramp.golden.common.errors import InvalidValue

from ...graph import signal_operators as on
from ...graph.layer_graph import LayerGraph, Signal, Unread
from ...graph.tensor_axes import Dim
from .onnx_constants import axes_of, integers, known, slices
from .onnx_file import OnnxNode
from .onnx_recurrent import INPUTS, RECURRENT, recurrent_layers, same_for_all

FAR = 1 << 31
"""Ends of slices from here on mean the end of an axis."""


Value = np.ndarray | Signal | Unread | None


def applied(graph: LayerGraph, node: OnnxNode, values: Sequence[Value]) -> list[Value]:
    """The outputs of a node, at least one of whose inputs is a signal.

    Raises
    ------
    InvalidValue
        For what the hardware lacks; the message names the node.
    """
    for value in values:
        if isinstance(value, Unread):
            node.refuse(value.reason)
    if node.domain:
        node.refuse(f"an operator of the domain {node.domain}; export with standard operators, a float network")
    operator = _recurrent if node.kind in RECURRENT else _OPERATORS.get(node.kind)
    if operator is None:
        node.refuse(_WHY_NOT.get(node.kind, "the hardware has no such operator; export the network without it"))
    try:
        found = operator(graph, node, values)
    except InvalidValue as error:
        if str(error).startswith("node "):
            raise
        node.refuse(str(error))
    return found if isinstance(found, list) else [found]


_LOOP = "a loop, as masks, unusual activations and scripted cells give; export LSTM, GRU or RNN nodes without masks"
_WHY_NOT = {
    "Loop": _LOOP,
    "Scan": _LOOP,
    "If": "a branch at run time; export a network without one",
    "LayerNormalization": "the hardware cannot normalize by values of its own; train without it",
    "Conv": "the hardware has no convolutions; put them into what computes the features",
    "ReduceMax": "the hardware has no maximum over steps; read out the mean or the last step",
}


def _recurrent(graph: LayerGraph, node: OnnxNode, values: Sequence[Value]) -> list[Value]:
    given = dict(zip(INPUTS, values, strict=False))
    x = given.pop("X", None)
    if not isinstance(x, Signal):
        node.refuse("its input X does not depend on the input of the graph")
    lengths = given.pop("sequence_lens", None)
    layout = node.attributes.get("layout", 0)
    arrays = {}
    for name, value in given.items():
        if isinstance(value, Signal):
            node.refuse(
                f"{name} is the input {value.source!r} of the graph, or depends on it; export a network that starts "
                "from zero or from constants, and whose weights are constants"
            )
        if value is not None:
            arrays[name] = value
    for name in ("W", "R"):
        if name not in arrays:
            node.refuse(f"{name} is missing")
    for name in ("initial_h", "initial_c"):
        if name in arrays:
            state = arrays[name].swapaxes(0, 1) if layout and arrays[name].ndim == 3 else arrays[name]
            arrays[name] = same_for_all(node, name, state)
    ragged = _lengths_differ(graph, node, x, lengths, layout)
    y = graph.recurrent(x, recurrent_layers(node, arrays), 1 if layout else 0, ragged=ragged)
    last = replace(y, axes=y.axes[1:], steps="last", flipped=None)  # directions, batch, features
    if layout:
        y, last = on.transposed(y, (2, 0, 1, 3)), on.transposed(last, (1, 0, 2))
    cell_state = Unread(f"Y_c, the state of {node.name!r}, does not leave the hardware; export h alone")
    return [y, last, cell_state]


def _lengths_differ(graph: LayerGraph, node: OnnxNode, x: Signal, lengths: Value, layout: int) -> bool:
    """Whether utterances have lengths of their own: an input of the graph. Constants must be all steps."""
    if lengths is None:
        return False
    if isinstance(lengths, Signal):
        if len(lengths.axes) != 1 or lengths.slots or lengths.linear:
            node.refuse("sequence_lens is computed from the input, as masks are; make it an input of the graph")
        return True
    steps = graph.shape(x)[1 if layout else 0] if len(x.axes) == 3 else None
    if any(length != steps for length in lengths.reshape(-1).tolist()):
        node.refuse("sequence_lens is constant, but not the number of all steps; leave it out or make it an input")
    return False


# ---- moving ----------------------------------------------------------------------------------------------------------


def _signal(node: OnnxNode, values: Sequence[Value], place: int = 0) -> Signal:
    if not isinstance(values[place], Signal):
        node.refuse("what it works on does not depend on the input, but its parameters do")
    return values[place]


def _constant(node: OnnxNode, value: Value, what: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype == object:
        node.refuse(f"its {what} are computed at run time; export constant ones")
    return value


def _same(graph, node, values):
    return _signal(node, values)


def _cast(graph, node, values):
    if node.attributes.get("to") not in (1, 10, 11, 16):  # float, float16, double, bfloat16
        node.refuse("it makes integers of real numbers; export the float network")
    return _signal(node, values)


def _shape(graph, node, values):
    sizes = graph.shape(_signal(node, values))
    sizes = sizes[node.attributes.get("start", 0) : node.attributes.get("end", len(sizes))]
    return np.array(sizes, dtype=object if any(isinstance(size, Dim) for size in sizes) else np.int64)


def _transpose(graph, node, values):
    signal = _signal(node, values)
    return on.transposed(signal, node.attributes.get("perm", range(len(signal.axes))[::-1]))


def _squeeze(graph, node, values):
    return on.squeezed(graph, _signal(node, values), axes_of(node, values, 1))


def _unsqueeze(graph, node, values):
    return on.unsqueezed(_signal(node, values), axes_of(node, values, 1) or [])


def _reshape(graph, node, values):
    shape = integers(node, values[1], "shape") if len(values) > 1 else node.attributes["shape"]
    return on.reshaped(graph, _signal(node, values), shape, zero_copies=not node.attributes.get("allowzero", 0))


def _flatten(graph, node, values):
    signal = _signal(node, values)
    rank = len(signal.axes)
    axis = node.attributes.get("axis", 1) % (rank + 1)
    groups = [tuple(label for group in part for label in group) for part in (signal.axes[:axis], signal.axes[axis:])]
    return on.merged(signal, groups)


def _expand(graph, node, values):
    signal = _signal(node, values)
    if integers(node, values[1], "shape") != graph.shape(signal):
        node.refuse("it repeats values of the input; export a network without it")
    return signal


def _gather(graph, node, values):
    places = _constant(node, values[1], "places")
    if places.ndim > 1:
        node.refuse("it gathers by a table, as embeddings do; feed one-hot vectors through a linear layer")
    chosen = int(places) if places.ndim == 0 else [int(k) for k in places]
    return on.selected(graph, _signal(node, values), node.attributes.get("axis", 0), chosen)


def _slice(graph, node, values):
    signal = _signal(node, values)
    for axis, (start, end, step) in slices(node, values):
        axis = on.place(axis, len(signal.axes))
        size = graph.shape(signal)[axis]
        signal = _cut(graph, node, signal, axis, size, (start, end, step))
    return signal


def _cut(graph: LayerGraph, node: OnnxNode, signal: Signal, axis: int, size: int | Dim, part: tuple) -> Signal:
    start, end, step = part
    if isinstance(size, int) and isinstance(start, int) and isinstance(end, int):
        places = list(range(size)[slice(start, None if step < 0 and end < -size else end, step)])
        if size > 1 and places == list(range(size))[::-1]:
            return on.flipped(signal, axis)
        if not places:
            node.refuse(f"it takes nothing of axis {axis}")
        return on.selected(graph, signal, axis, places)
    to_end = end == size or (isinstance(end, int) and end >= FAR - 1)
    if start == 0 and step == 1 and to_end:
        return signal
    if start == -1 and step == -1 and isinstance(end, int) and end <= -FAR:
        return on.flipped(signal, axis)
    if step == 1 and (start, end) == (0, 1):
        return on.selected(graph, signal, axis, [0])
    if step == 1 and start == -1 and to_end:
        return on.selected(graph, signal, axis, [-1])
    node.refuse("it takes some of the steps or of the batch; a readout takes the last step, the mean, or every step")


def _split(graph, node, values):
    signal = _signal(node, values)
    axis = on.place(node.attributes.get("axis", 0), len(signal.axes))
    size, count = graph.shape(signal)[axis], len(node.outputs)
    if "split" in node.attributes:
        sizes = list(node.attributes["split"])
    elif len(values) > 1 and values[1] is not None:
        sizes = known(node, values[1], "sizes")
    else:
        if isinstance(size, Dim):
            node.refuse("it splits the batch or the steps; " + on.UNROLLED)
        each = -(-size // count)
        sizes = [min(each, size - each * k) for k in range(count)]
    starts = np.cumsum([0, *sizes])
    return [on.selected(graph, signal, axis, list(range(s, s + n))) for s, n in zip(starts, sizes, strict=False)]


def _concat(graph, node, values):
    if not all(isinstance(value, Signal) for value in values):
        node.refuse("it joins constants to what depends on the input; put them into the biases")
    return on.joined(graph, values, node.attributes["axis"])


def _reverse_sequence(graph, node, values):
    signal = _signal(node, values)
    lengths, axis = values[1], node.attributes.get("time_axis", 0)
    size = graph.shape(signal)[on.place(axis, len(signal.axes))]
    if not isinstance(lengths, Signal) and any(n != size for n in lengths.reshape(-1).tolist()):
        node.refuse("it turns some of the steps around; give the lengths as an input of the graph, or all steps")
    return on.flipped(signal, axis)


def _reduce_mean(graph, node, values):
    signal = _signal(node, values)
    axes = axes_of(node, values, 1)
    if axes is None:
        axes = range(len(signal.axes))
    return on.mean(signal, list(axes), keep=bool(node.attributes.get("keepdims", 1)))


def _global_average(graph, node, values):
    signal = _signal(node, values)
    return on.mean(signal, list(range(2, len(signal.axes))), keep=True)


# ---- linear ----------------------------------------------------------------------------------------------------------


def _matmul(graph, node, values):
    matrix = _constant(node, values[1], "weights")
    if matrix.ndim != 2:
        node.refuse(f"its weights have the shape {matrix.shape}; expected (features, outputs)")
    return on.multiplied(graph, _signal(node, values), matrix.T)


def _gemm(graph, node, values):
    signal, at = _signal(node, values), node.attributes
    matrix = _constant(node, values[1], "weights") * np.float64(at.get("alpha", 1.0))
    if at.get("transA", 0):
        signal = on.transposed(signal, (1, 0))
    bias = None
    if len(values) > 2 and values[2] is not None:
        bias = _constant(node, values[2], "biases") * np.float64(at.get("beta", 1.0))
        if bias.size not in (1, matrix.shape[0 if at.get("transB", 0) else -1]):
            node.refuse(f"its biases have the shape {bias.shape}; expected one for each output")
        bias = bias.reshape(-1)
    return on.multiplied(graph, signal, matrix if at.get("transB", 0) else matrix.T, bias)


def _with_constant(make: Callable[[np.ndarray, bool], dict[str, Any]]) -> Callable:
    """An operator on a signal and a constant; ``make`` gives factor and offset, from the constant and its place."""

    def operator(graph, node, values):
        first = isinstance(values[0], Signal)
        if first and isinstance(values[1], Signal):
            if node.kind in ("Add", "Sub"):
                return on.added(graph, values[0], values[1], 1.0 if node.kind == "Add" else -1.0)
            node.refuse("it multiplies two tensors that depend on the input; the hardware does so in its cells alone")
        constant = _constant(node, values[1 if first else 0], "constants").astype(np.float64)
        if node.kind == "Div" and (not first or (constant == 0).any()):
            node.refuse("it divides by zero, or by values that depend on the input")
        return on.scaled(graph, values[0 if first else 1], **make(constant, first))

    return operator


def _batch_normalization(graph, node, values):
    if node.attributes.get("training_mode", 0):
        node.refuse("it is in training mode; export the network after .eval()")
    signal = _signal(node, values)
    scale, bias, mean, variance = (_constant(node, value, "statistics").astype(np.float64) for value in values[1:5])
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    shape = (1, -1, *(1,) * (len(signal.axes) - 2))
    return on.scaled(graph, signal, factor.reshape(shape), (bias - mean * factor).reshape(shape))


def _activation(activation: str) -> Callable:
    def operator(graph, node, values):
        if node.kind == "Elu" and node.attributes.get("alpha", 1.0) != 1:
            node.refuse(f"alpha is {node.attributes['alpha']:g}; the hardware's Elu has 1")
        return on.activated(graph, _signal(node, values), activation, node.name)

    return operator


def _hard_sigmoid(graph, node, values):
    at = node.attributes
    signal = on.scaled(graph, _signal(node, values), 6 * at.get("alpha", 0.2), 6 * at.get("beta", 0.5) - 3)
    return on.activated(graph, signal, "hard_sigmoid", node.name)


_OPERATORS: dict[str, Callable] = {
    **dict.fromkeys(("Identity", "Dropout"), _same),
    "Cast": _cast,
    "Shape": _shape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Expand": _expand,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
    "Concat": _concat,
    "ReverseSequence": _reverse_sequence,
    "ReduceMean": _reduce_mean,
    "GlobalAveragePool": _global_average,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Add": _with_constant(lambda constant, first: {"offset": constant}),
    "Sub": _with_constant(lambda c, first: {"offset": -c} if first else {"factor": -1.0, "offset": c}),
    "Mul": _with_constant(lambda constant, first: {"factor": constant}),
    "Div": _with_constant(lambda constant, first: {"factor": 1 / constant}),
    "BatchNormalization": _batch_normalization,
    "HardSigmoid": _hard_sigmoid,
    "Tanh": _activation("tanh"),
    "Sigmoid": _activation("sigmoid"),
    "Relu": _activation("clipped_relu"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Elu": _activation("elu"),
}
