# SPDX-License-Identifier: Apache-2.0
"""What operators of torch do to signals; each handler takes the graph, the node and its arguments by name."""

import numpy as np

from ...graph import signal_operators as on
from ...graph.layer_graph import LayerGraph, Signal
from .exported_constants import SAME
from .exported_program import Node
from .exported_recurrent import Arguments, Handler

#: Ends of slices from here on mean the end of a dimension.
_FAR = 1 << 62


def _signal(node: Node, value) -> Signal:
    if not isinstance(value, Signal):
        node.refuse(f"{node.target} of a constant with values of the network; export a module with plain parameters")
    return value


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _same(graph: LayerGraph, node: Node, arguments: Arguments):
    return arguments["self"]


def _to(graph: LayerGraph, node: Node, arguments: Arguments):
    """Another type of number: a real one."""
    if arguments.get("dtype") in (1, 2, 3, 4, 5, 12):
        node.refuse(
            "makes integers of real numbers; export a module that takes real numbers, one-hot vectors for codes"
        )
    return arguments["self"]


def _dropout(graph: LayerGraph, node: Node, arguments: Arguments):
    if arguments.get("train") and arguments.get("p"):
        node.refuse("drops out values; call module.eval() before the export")
    return arguments["input"]


def _permute(graph: LayerGraph, node: Node, arguments: Arguments):
    signal = _signal(node, arguments["self"])
    return on.transposed(signal, [on.place(dim, len(signal.axes)) for dim in arguments["dims"]])


def _transpose(graph: LayerGraph, node: Node, arguments: Arguments):
    signal = _signal(node, arguments["self"])
    order = list(range(len(signal.axes)))
    if node.operator == "transpose":
        a, b = arguments["dim0"], arguments["dim1"]
        order[a], order[b] = order[b], order[a]
    else:
        order.reverse()
    return on.transposed(signal, order)


def _unsqueeze(graph: LayerGraph, node: Node, arguments: Arguments):
    return on.unsqueezed(_signal(node, arguments["self"]), [arguments["dim"]])


def _squeeze(graph: LayerGraph, node: Node, arguments: Arguments):
    """Dimensions of another length than 1 stay, as torch has it."""
    signal, dims = _signal(node, arguments["self"]), arguments.get("dim")
    if dims is None:
        return on.squeezed(graph, signal, None)
    shape = graph.shape(signal)
    return on.squeezed(graph, signal, [dim for dim in ([dims] if isinstance(dims, int) else dims) if shape[dim] == 1])


def _flip(graph: LayerGraph, node: Node, arguments: Arguments):
    signal = _signal(node, arguments["self"])
    for dim in arguments["dims"]:
        signal = on.flipped(signal, dim)
    return signal


def _reshape(graph: LayerGraph, node: Node, arguments: Arguments):
    shape = arguments.get("size", arguments.get("shape"))
    return on.reshaped(graph, _signal(node, arguments["self"]), shape, zero_copies=False)


def _flatten(graph: LayerGraph, node: Node, arguments: Arguments):
    signal = _signal(node, arguments["self"])
    rank = len(signal.axes)
    start, end = (on.place(arguments.get(key, usual), rank) for key, usual in (("start_dim", 0), ("end_dim", -1)))
    flat = sum(signal.axes[start : end + 1], ())
    return on.merged(signal, (*signal.axes[:start], flat, *signal.axes[end + 1 :]))


# ---- parts and readouts ----------------------------------------------------------------------------------------------


def _select(graph: LayerGraph, node: Node, arguments: Arguments):
    return on.selected(graph, _signal(node, arguments["self"]), arguments["dim"], arguments["index"])


def _slice(graph: LayerGraph, node: Node, arguments: Arguments):
    signal = _signal(node, arguments["self"])
    axis = on.place(arguments.get("dim", 0), len(signal.axes))
    start, end, step = arguments.get("start") or 0, arguments.get("end"), arguments.get("step", 1)
    size = graph.shape(signal)[axis]
    to_end = end is None or end == size or (isinstance(end, int) and end >= _FAR)
    if start == 0 and to_end and step == 1:
        return signal
    if isinstance(size, int) and isinstance(start, int) and (to_end or isinstance(end, int)):
        if places := list(range(size))[start : None if to_end else end : step]:
            return on.selected(graph, signal, axis, places)
    elif step == 1 and (start, to_end) == (-1, True):
        return on.selected(graph, signal, axis, [-1])
    elif step == 1 and (start, end) == (0, 1):
        return on.selected(graph, signal, axis, [0])
    return node.refuse(f"takes a part of the dimension {axis}; only the last step, or some features, can be taken")


def _cat(graph: LayerGraph, node: Node, arguments: Arguments):
    signals = [_signal(node, one) for one in arguments["tensors"]]
    return on.joined(graph, signals, arguments.get("dim", 0))


def _mean(graph: LayerGraph, node: Node, arguments: Arguments):
    signal, dims = _signal(node, arguments["self"]), arguments.get("dim")
    dims = range(len(signal.axes)) if dims is None else dims
    return on.mean(signal, list(dims), keep=bool(arguments.get("keepdim")))


# ---- values ----------------------------------------------------------------------------------------------------------


def _linear(graph: LayerGraph, node: Node, arguments: Arguments):
    return _applied(graph, node, arguments["input"], arguments["weight"], arguments.get("bias"))


def _matmul(graph: LayerGraph, node: Node, arguments: Arguments):
    matrix = arguments.get("other", arguments.get("mat2"))
    return _applied(graph, node, arguments["self"], matrix.T if isinstance(matrix, np.ndarray) else matrix, None)


def _addmm(graph: LayerGraph, node: Node, arguments: Arguments):
    if (arguments.get("alpha", 1), arguments.get("beta", 1)) != (1, 1):
        node.refuse("addmm with alpha and beta; export a linear layer")
    matrix = arguments["mat2"]
    matrix = matrix.T if isinstance(matrix, np.ndarray) else matrix
    return _applied(graph, node, arguments["mat1"], matrix, arguments["self"])


def _applied(graph: LayerGraph, node: Node, value, matrix, bias):
    if not isinstance(matrix, np.ndarray) or not (bias is None or isinstance(bias, np.ndarray)):
        node.refuse("multiplies values of the network with each other; only constant weights can be")
    if matrix.ndim != 2 or (bias is not None and bias.shape != (len(matrix),)):
        node.refuse(f"its weights have the shape {matrix.shape}, its biases {np.shape(bias)}; export the module again")
    return on.multiplied(graph, _signal(node, value), matrix, bias)


def _add(graph: LayerGraph, node: Node, arguments: Arguments):
    a, b = arguments["self"], arguments["other"]
    factor = arguments.get("alpha", 1) * (-1.0 if node.operator == "sub" else 1.0)
    if isinstance(a, Signal) and isinstance(b, Signal):
        return on.added(graph, a, b, factor)
    if isinstance(a, Signal):
        return on.scaled(graph, a, offset=factor * np.asarray(b, float))
    return on.scaled(graph, b, factor=factor, offset=a)


def _mul(graph: LayerGraph, node: Node, arguments: Arguments):
    a, b = arguments["self"], arguments["other"]
    if isinstance(a, Signal) and isinstance(b, Signal):
        node.refuse("multiplies two values of the network; only constants can scale them")
    return on.scaled(graph, a if isinstance(a, Signal) else b, factor=b if isinstance(a, Signal) else a)


def _div(graph: LayerGraph, node: Node, arguments: Arguments):
    divisor = arguments["other"]
    if isinstance(divisor, Signal) or (np.asarray(divisor) == 0).any():
        node.refuse("divides by values of the network, or by zero; export a module without it")
    return on.scaled(graph, arguments["self"], factor=1.0 / np.asarray(divisor, float))


def _batch_norm(graph: LayerGraph, node: Node, arguments: Arguments):
    """(v - mean) / √(variance + ε) · weight + bias, of the dimension 1."""
    signal = _signal(node, arguments["input"])
    mean, variance = arguments["running_mean"], arguments["running_var"]
    if arguments.get("training") or mean is None or variance is None:
        node.refuse("normalizes by the batch; call module.eval() before the export, of a module that tracks statistics")
    gain = 1 / np.sqrt(variance + arguments["eps"])
    gain = gain if arguments.get("weight") is None else gain * arguments["weight"]
    offset = (0.0 if arguments.get("bias") is None else arguments["bias"]) - mean * gain
    shape = (1, -1, *(1,) * (len(signal.axes) - 2))
    return on.scaled(graph, signal, gain.reshape(shape), offset.reshape(shape))


def _activation(name: str, **expected) -> Handler:
    """An activation, if its arguments are the ``expected`` ones, which are its defaults too."""

    def handler(graph: LayerGraph, node: Node, arguments: Arguments):
        for argument, value in expected.items():
            if arguments.get(argument, value) != value:
                node.refuse(f"{argument} = {arguments[argument]} of {node.target}; only {value} can be read")
        return on.activated(graph, _signal(node, arguments["self"]), name, node.name)

    return handler


OPERATORS: dict[str, Handler] = {
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(("to", "_to_copy"), _to),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout"), _dropout),
    **dict.fromkeys(("transpose", "t", "numpy_T"), _transpose),
    **dict.fromkeys(("view", "reshape", "_unsafe_view"), _reshape),
    "flatten": _flatten,
    "permute": _permute,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "flip": _flip,
    "select": _select,
    "slice": _slice,
    "cat": _cat,
    "mean": _mean,
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm"), _matmul),
    "addmm": _addmm,
    **dict.fromkeys(("add", "sub"), _add),
    "mul": _mul,
    "div": _div,
    "batch_norm": _batch_norm,
    "sigmoid": _activation("sigmoid"),
    "tanh": _activation("tanh"),
    **dict.fromkeys(("relu", "relu_"), _activation("clipped_relu")),
    "hardsigmoid": _activation("hard_sigmoid"),
    "hardtanh": _activation("hard_tanh", min_val=-1, max_val=1),
    "softplus": _activation("softplus", beta=1),
    "elu": _activation("elu", alpha=1, scale=1, input_scale=1),
    "selu": _activation("selu"),
    "silu": _activation("silu"),
    "gelu": _activation("gelu", approximate="none"),
}
"""By the operator of the namespace aten, without its overload: what it makes of its arguments."""
