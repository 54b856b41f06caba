# SPDX-License-Identifier: Apache-2.0
"""What operators of torch do to signals; each handler takes the node, its arguments by name and the graph."""

from collections.abc import Sequence

import numpy as np

from ...float_network.network_signal import BATCH, FEATURE, ONE, STEP, Signal, joined, refusal, summed
from .exported_constants import SAME
from .exported_program import ExportedGraph, Node
from .exported_recurrent import CELL_OF, LAYER, Arguments, Ended, Finals, Handler, recurrent

# ---- shapes ----------------------------------------------------------------------------------------------------------


def _same(node: Node, arguments: Arguments, graph: ExportedGraph):
    return arguments["self"]


def _dropout(node: Node, arguments: Arguments, graph: ExportedGraph):
    if arguments.get("train") and arguments.get("p"):
        raise refusal(node.name, "drops out values; call module.eval() before the export")
    return arguments["input"]


def _permute(node: Node, arguments: Arguments, graph: ExportedGraph):
    return _permuted(node, arguments["self"], arguments["dims"])


def _transpose(node: Node, arguments: Arguments, graph: ExportedGraph):
    value = arguments["self"]
    order = list(range(len(value.axes)))
    if node.target.startswith("aten.transpose"):
        a, b = arguments["dim0"], arguments["dim1"]
        order[a], order[b] = order[b], order[a]
    else:
        order.reverse()
    return _permuted(node, value, order)


def _permuted(node: Node, value, order: Sequence[int]):
    if isinstance(value, Finals):
        return Finals(value.items, tuple(value.axes[k] for k in order))
    return value.permuted(order, node.name)


def _unsqueeze(node: Node, arguments: Arguments, graph: ExportedGraph):
    return _signal(node, arguments["self"]).unsqueezed(arguments["dim"])


def _squeeze(node: Node, arguments: Arguments, graph: ExportedGraph):
    value, dims = _signal(node, arguments["self"]), arguments.get("dim")
    size = len(value.axes)
    if dims is None:
        dims = [k for k in range(size) if value.axes[k] == ONE]
    for dim in sorted((k % size for k in (dims if isinstance(dims, list) else [dims])), reverse=True):
        if value.axes[dim] == ONE or _fixed(graph, node, dim) == 1:
            value = value.squeezed(dim, node.name)
    return value


def _flip(node: Node, arguments: Arguments, graph: ExportedGraph):
    value = _signal(node, arguments["self"])
    for dim in arguments["dims"]:
        value = value.flipped(dim, node.name)
    return value


def _reshape(node: Node, arguments: Arguments, graph: ExportedGraph):
    """Steps of all utterances below each other, h_n of both directions side by side, or a dimension of 1 less."""
    value = arguments["self"]
    rank = len(graph.shapes[node.outputs[0]])
    if isinstance(value, Finals):
        if value.axes == (BATCH, LAYER, FEATURE) and rank == 2:
            return joined(value.items, 1, node.name)
        raise refusal(node.name, f"arranges h_n as {rank} dimensions; read it out by layer, as h_n[-1]")
    plain = tuple(axis for axis in value.axes if axis != ONE)
    if value.axes[-1] != FEATURE or graph.shapes[node.outputs[0]][-1] not in (None, value.width):
        raise refusal(node.name, "arranges features anew; export a module that keeps them in their own dimension")
    if rank == len(value.axes):
        return value
    if rank == len(plain):
        return Signal(value.source, plain, value.layers, value.affine, value.backward, value.readout)
    if rank == 2 and value.readout == "step":
        return Signal(value.source, ("steps of all", FEATURE), value.layers, value.affine, value.backward)
    raise refusal(node.name, f"arranges ({', '.join(value.axes)}) as {rank} dimensions; leave the shape as it is")


def _flatten(node: Node, arguments: Arguments, graph: ExportedGraph):
    return _reshape(node, arguments, graph)


# ---- parts and readouts ----------------------------------------------------------------------------------------------


def _select(node: Node, arguments: Arguments, graph: ExportedGraph):
    value, dim, index = arguments["self"], arguments["dim"], arguments["index"]
    if isinstance(value, Finals):
        dim %= len(value.axes)
        if value.axes[dim] != LAYER:
            raise refusal(node.name, f"takes the element {index} of h_n's dimension {dim}; read it out by layer")
        return value.items[index]
    return value.picked(dim, index, _fixed(graph, node, dim), node.name)


def _slice(node: Node, arguments: Arguments, graph: ExportedGraph):
    value, dim = arguments["self"], arguments.get("dim", 0)
    start, end, step = arguments.get("start") or 0, arguments.get("end"), arguments.get("step", 1)
    dim %= len(value.axes)
    length = _fixed(graph, node, dim)
    end = None if end is None or end >= (length or (1 << 62)) else end
    if start == 0 and end is None and step == 1:
        return value
    if isinstance(value, Finals):
        if value.axes[dim] == LAYER:
            items = value.items[start:end:step]
            return items[0].unsqueezed(dim) if len(items) == 1 else Finals(items, value.axes)
    elif value.axes[dim] == FEATURE and step == 1 and length is not None and dim == len(value.axes) - 1:
        return value.features(*slice(start, end).indices(length)[:2], node.name)
    elif value.axes[dim] == STEP:
        first = start if length is None else slice(start, end).indices(length)[0]
        stop = end if length is None else slice(start, end).indices(length)[1]
        if (length is None and (start, end) == (-1, None)) or (length is not None and stop - first == 1):
            return value.picked(dim, first, length, node.name, keep=True)
    raise refusal(
        node.name, f"takes the part {start}:{'' if end is None else end} of the dimension {dim}; export without it"
    )


def _cat(node: Node, arguments: Arguments, graph: ExportedGraph):
    signals = arguments["tensors"]
    if not all(isinstance(one, Signal) for one in signals):
        raise refusal(
            node.name, "joins h with something else; only the two directions of a layer can stand side by side"
        )
    return joined(signals, arguments.get("dim", 0), node.name)


def _mean(node: Node, arguments: Arguments, graph: ExportedGraph):
    value, dims = _signal(node, arguments["self"]), arguments.get("dim")
    if dims is None:
        raise refusal(node.name, "a mean over all dimensions; only the mean over the steps can be taken")
    return value.mean(dims, bool(arguments.get("keepdim")), node.name)


# ---- values ----------------------------------------------------------------------------------------------------------


def _linear(node: Node, arguments: Arguments, graph: ExportedGraph):
    matrix, bias = arguments["weight"], arguments.get("bias")
    return _applied(node, arguments["input"], matrix, bias)


def _matmul(node: Node, arguments: Arguments, graph: ExportedGraph):
    matrix = arguments.get("other", arguments.get("mat2"))
    return _applied(node, arguments["self"], matrix.T if isinstance(matrix, np.ndarray) else matrix, None)


def _addmm(node: Node, arguments: Arguments, graph: ExportedGraph):
    matrix, bias = arguments["mat2"], arguments["self"]
    if (arguments.get("alpha", 1), arguments.get("beta", 1)) != (1, 1):
        raise refusal(node.name, "addmm with alpha and beta; export a linear layer")
    return _applied(node, arguments["mat1"], matrix.T if isinstance(matrix, np.ndarray) else matrix, bias)


def _applied(node: Node, value, matrix, bias):
    if not isinstance(matrix, np.ndarray) or not (bias is None or isinstance(bias, np.ndarray)):
        raise refusal(node.name, "multiplies values of the network with each other; only constant weights can be")
    return _signal(node, value).linear(matrix, bias, node.name)


def _add(node: Node, arguments: Arguments, graph: ExportedGraph, sign: float = 1.0):
    a, b, alpha = arguments["self"], arguments["other"], sign * arguments.get("alpha", 1)
    if isinstance(a, Signal) and isinstance(b, Signal):
        return summed((a, b), (1.0, alpha), node.name)
    if isinstance(a, Signal):
        return a.scaled(1.0, alpha * _by_feature(node, b), node.name)
    return _signal(node, b).scaled(alpha, _by_feature(node, a), node.name)


def _sub(node: Node, arguments: Arguments, graph: ExportedGraph):
    return _add(node, arguments, graph, -1.0)


def _mul(node: Node, arguments: Arguments, graph: ExportedGraph):
    a, b = arguments["self"], arguments["other"]
    if not isinstance(a, Signal):
        a, b = b, a
    return _signal(node, a).scaled(_by_feature(node, b), 0.0, node.name)


def _div(node: Node, arguments: Arguments, graph: ExportedGraph):
    if not isinstance(arguments["self"], Signal):
        raise refusal(node.name, "divides by values of the network; export a module without it")
    return arguments["self"].scaled(1.0 / _by_feature(node, arguments["other"]), 0.0, node.name)


def _by_feature(node: Node, value) -> np.ndarray:
    """A constant that each feature takes its own part of, or all the same."""
    if isinstance(value, (Signal, Finals)):
        raise refusal(node.name, f"{node.target} of two values of the network; only constants can scale them")
    value = np.asarray(value, np.float64)
    if value.size == 1:
        return value.reshape(())
    if value.shape[-1] != value.size:
        raise refusal(node.name, f"a constant of the shape {value.shape}; it must be the same for all steps")
    return value.reshape(-1)


def _batch_norm(node: Node, arguments: Arguments, graph: ExportedGraph):
    """(v - mean) / √(variance + eps) · weight + bias, of the dimension 1."""
    if arguments.get("training"):
        raise refusal(node.name, "normalizes by the batch; call module.eval() before the export")
    signal = _signal(node, arguments["input"])
    mean, variance = arguments["running_mean"], arguments["running_var"]
    if mean is None or variance is None:
        raise refusal(node.name, "normalizes by the batch; export a module that tracks its statistics")
    gain = 1 / np.sqrt(variance + arguments["eps"])
    gain = gain if arguments.get("weight") is None else gain * arguments["weight"]
    offset = (0.0 if arguments.get("bias") is None else arguments["bias"]) - mean * gain
    order = [k for k in range(len(signal.axes)) if k != 1] + [1]
    scaled = signal.permuted(order, node.name).scaled(gain, offset, node.name)
    return scaled.permuted(np.argsort(order).tolist(), node.name)


def _activation(name: str, **expected) -> Handler:
    """An activation, if its arguments are the ``expected`` ones, which are its defaults too."""

    def handler(node: Node, arguments: Arguments, graph: ExportedGraph):
        for argument, value in expected.items():
            if arguments.get(argument, value) != value:
                raise refusal(
                    node.name, f"{argument} = {arguments[argument]} of {node.target}; only {value} can be read"
                )
        return _signal(node, arguments["self"]).activated(name, node.name)

    return handler


def _end(node: Node, arguments: Arguments, graph: ExportedGraph):
    """Probabilities or a class: only at the end, where the order of the logits says as much."""
    value, dim = _signal(node, arguments["self"]), arguments.get("dim")
    if dim is None or value.axes[dim] != FEATURE:
        raise refusal(node.name, f"{node.target} over another dimension than the features; export without it")
    return Ended(value, node.target)


def _sigmoid(node: Node, arguments: Arguments, graph: ExportedGraph):
    value = _signal(node, arguments["self"])
    if value.affine is not None and node.outputs[0] in graph.outputs:
        return Ended(value, node.target)
    return value.activated("sigmoid", node.name)


# ---- help ------------------------------------------------------------------------------------------------------------


def _signal(node: Node, value) -> Signal:
    if isinstance(value, Finals):
        raise refusal(node.name, f"{node.target} of h_n of several layers; take one of them first, as h_n[-1]")
    if not isinstance(value, Signal):
        raise refusal(node.name, f"{node.target} of a constant; export a module with plain parameters")
    return value


def _fixed(graph: ExportedGraph, node: Node, dim: int) -> int | None:
    """Length of a dimension of what a node is given; None: not fixed."""
    shape = graph.shapes.get(node.arguments["self"].name)
    return shape[dim] if shape is not None and -len(shape) <= dim < len(shape) else None


OPERATORS: dict[str, Handler] = {
    **dict.fromkeys(CELL_OF, recurrent),
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout"), _dropout),
    **dict.fromkeys(("transpose", "t", "numpy_T", "mT"), _transpose),
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
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "batch_norm": _batch_norm,
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax", "argmax"), _end),
    "sigmoid": _sigmoid,
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
