# SPDX-License-Identifier: Apache-2.0
"""ONNX models as networks in real numbers."""

import warnings
from pathlib import Path

from crossramp.golden.common.errors import InvalidValue

from ...float_network.imported_network import FloatNetwork
from ...graph.layer_graph import ConversionWarning, LayerGraph, Signal, Unread
from ...graph.tensor_axes import Dim
from .onnx_constants import folded
from .onnx_file import OnnxGraph, OnnxNode, graph_of, load_onnx, one_line
from .onnx_operators import Value, applied

#: Operators at the very end that keep the order of the outputs: logits leave instead.
_LEFT_OUT = ("Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "Hardmax", "Identity", "Cast")


def read_onnx(path: str | Path, output: str | None = None) -> FloatNetwork:
    """The network of an ONNX file.

    Parameters
    ----------
    path : path
    output : str or None
        The output of the graph that the network ends with; None: the first.

    Raises
    ------
    InvalidValue
        From :func:`.onnx_file.load_onnx` and :func:`network_of`; the message begins with the name of the file.
    """
    model = load_onnx(path)
    try:
        return network_of(model, output)
    except InvalidValue as error:
        raise InvalidValue(f"{Path(path).name}: {error}") from None


def network_of(model, output: str | None = None) -> FloatNetwork:
    """The network of a ModelProto: recurrent and dense layers in sequence, a readout and a linear head.

    Softmax and the like behind the head are left out: logits leave. A linear map in front of a layer becomes part of
    its weights, which is exact. Lengths of utterances (``sequence_lens``) may be an input of the
    graph.

    Raises
    ------
    InvalidValue
        For an opset that is not read, and whatever is neither a layer, a readout, a head, nor moves axes: the message
        names the node and says what to export instead.
    """
    graph = graph_of(model)
    name = _output_of(graph, output)
    made = {made: node for node in graph.nodes for made in node.outputs if made}
    while (node := made.get(name)) and node.kind in _LEFT_OUT and not node.domain and node.inputs:
        name = made[name].inputs[0]
    layers, value = _evaluated(graph, made, name)
    return layers.network_of(value, f"output {name!r}", "it does not depend on the input")


def _output_of(graph: OnnxGraph, output: str | None) -> str:
    if not graph.outputs:
        raise InvalidValue("the graph has no outputs; export it again")
    if output is None:
        output = graph.outputs[0]
        if others := graph.outputs[1:]:
            told = ", ".join(map(repr, others))
            warnings.warn(f"the output {output!r} is read; left out: {told}", ConversionWarning, stacklevel=4)
    if output not in graph.outputs:
        raise InvalidValue(f"there is no output {output!r}; the graph has: {', '.join(graph.outputs)}")
    return output


def _evaluated(graph: OnnxGraph, made: dict[str, OnnxNode], name: str) -> tuple[LayerGraph, Value]:
    """The value of a tensor, from the nodes that it needs alone."""
    sizes: dict[str, int | Dim] = {}
    values: dict[str, Value] = {"": None, **graph.constants}
    for source, shape in graph.inputs.items():
        labels = [f"{source}:{axis}" for axis in range(len(shape))]
        sizes |= {label: size or Dim((label,)) for label, size in zip(labels, shape, strict=True)}
        values[source] = Signal(tuple((label,) for label in labels), source)
    layers = LayerGraph(sizes)
    needed = _needed(made, name)
    for node in graph.nodes:
        if not needed.intersection(node.outputs):
            continue
        missing = [each for each in node.inputs if each not in values]
        if missing:
            node.refuse(f"its input {missing[0]!r} comes from no node before it; the file is damaged, export it again")
        _check(graph, node)
        given = [values[each] for each in node.inputs]
        signals = any(isinstance(value, Signal | Unread) for value in given)
        found = applied(layers, node, given) if signals else folded(node, given, graph.opset)
        values |= {each: value for each, value in zip(node.outputs, found, strict=False) if each}
    if name not in values:
        raise InvalidValue(f"output {name!r} comes from no node; the file is damaged, export it again")
    return layers, values[name]


def _needed(made: dict[str, OnnxNode], name: str) -> set[str]:
    """The names of all tensors that one depends on, itself included."""
    found, waiting = set(), [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += made[one].inputs if one in made else ()
    return found


def _check(graph: OnnxGraph, node: OnnxNode):
    """The node against the text of its operator, and what exporters are known to write wrongly."""
    from onnx import checker

    if not node.domain:
        context = checker.C.CheckerContext()
        context.ir_version = 10
        context.opset_imports = {"": graph.opset}
        try:
            checker.check_node(node.proto, context)
        except (checker.ValidationError, UnicodeDecodeError) as error:  # the latter of a damaged name
            reason = one_line(" ".join(str(error).split()))
            node.refuse(f"it is not as its operator demands ({reason[:160]}); export it again")
    if node.kind == "GRU" and graph.producer == "pytorch" and not node.attributes.get("linear_before_reset", 0):
        warnings.warn(
            f"node {node.name!r} (GRU): linear_before_reset is 0, but torch.nn.GRU resets after the product; if it "
            "comes from there, export it again with another version, see github.com/pytorch/pytorch/issues/189225",
            ConversionWarning,
            stacklevel=6,
        )
