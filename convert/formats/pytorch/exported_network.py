# SPDX-License-Identifier: Apache-2.0
"""From the graph of torch.export to a network: follows the signals through its operators."""

from collections.abc import Mapping
from typing import Any

from crossramp.golden.common.errors import InvalidValue

from ...float_network.imported_network import FloatNetwork
from ...float_network.network_signal import Signal, graph_input, refusal
from .exported_constants import OPEN, constant
from .exported_operators import OPERATORS
from .exported_program import ExportedGraph, Name, Node
from .exported_recurrent import CELL_OF, Ended, Finals, Refused

#: What to do instead of operators that modules often have.
_INSTEAD = {
    **dict.fromkeys(("max", "amax", "adaptive_max_pool1d"), "there is no maximum over steps: train with their mean"),
    **dict.fromkeys(
        ("layer_norm", "native_layer_norm", "group_norm", "instance_norm", "rms_norm"),
        "it normalizes by the values of a step: train without it, or with a batch norm",
    ),
    "embedding": "x must be real numbers: export a module that takes one-hot vectors instead of codes",
    **dict.fromkeys(
        ("conv1d", "conv2d", "convolution", "max_pool1d", "avg_pool1d"),
        "export the module behind it, and give the network what it computes",
    ),
    "scaled_dot_product_attention": "there is no attention: read out the mean or the last step",
    "_pack_padded_sequence": "export a module that takes padded utterances; their lengths are given when it runs",
}
_ELSE = "export a module without it"


def network_of_exported(graph: ExportedGraph, title: str) -> FloatNetwork:
    """The network of a program.

    Its input is one tensor, and its first output the logits, or h; further outputs may be states of layers. A softmax,
    sigmoid or argmax at the end is left out: the network's logits stand before it.

    Parameters
    ----------
    title : str
        What errors call the program.

    Raises
    ------
    InvalidValue
        For what a network in hardware cannot do; the message names the node.
    """
    if not any(_operator(node) in CELL_OF for node in graph.nodes):
        first = f" (the first is {graph.nodes[0].name!r})" if graph.nodes else ""
        raise InvalidValue(
            f"{title}: none of its {len(graph.nodes)} nodes{first} is an LSTM, GRU or RNN; export a module that has "
            "torch.nn.LSTM, GRU or RNN instead of a loop over the steps, and without run_decompositions()"
        )
    values: dict[str, Any] = dict(graph.arrays)
    for name in graph.inputs:
        values[name] = graph_input(name, len(graph.shapes.get(name, ())))
    for node in graph.nodes:
        found = _evaluated(node, graph, values)
        outputs = found if isinstance(found, tuple) else (found,)
        values |= {name: one for name, one in zip(node.outputs, outputs, strict=False) if name is not None}
    return _network(graph, values, title)


def _evaluated(node: Node, graph: ExportedGraph, values: Mapping[str, Any]) -> Any:
    """What a node gives: arrays or lengths, or what an operator makes of signals."""
    operator = _operator(node)
    arguments = {name: _resolved(value, values) for name, value in node.arguments.items()}
    if operator == "sym_size":
        length = graph.shapes[node.arguments["self"].name][node.arguments["dim"]]
        return OPEN if length is None else length
    if not any(_depends(value) for value in arguments.values()) or operator.startswith("new_") or "_like" in operator:
        named = {
            name: value.name if isinstance(value, Name) and _depends(arguments[name]) else arguments[name]
            for name, value in node.arguments.items()
        }
        try:
            found = constant(operator, named, graph.shapes)
        except (ValueError, IndexError, TypeError, KeyError) as error:
            raise refusal(node.name, f"{node.target} of constants: {error}; export the module again") from None
        # What is not known may still never be used, as a check of shapes.
        return Refused(f"needs {node.name!r}, {node.target}, which is not read; {_ELSE}") if found is None else found
    for value in arguments.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Refused):
                raise refusal(node.name, one.why)
            if isinstance(one, Ended):
                raise refusal(node.name, f"{node.target} behind {one.operator}; export the network without either")
    handler = OPERATORS.get(operator)
    if handler is None:
        raise refusal(node.name, f"{node.target} cannot be imported; {_INSTEAD.get(operator, _ELSE)}")
    return handler(node, arguments, graph)


def _operator(node: Node) -> str:
    """Of the namespace aten without its overload."""
    namespace, _, rest = node.target.partition(".")
    return rest.split(".")[0] if namespace == "aten" else node.target


def _resolved(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, Name):
        return values.get(value.name, OPEN)  # a length that only the schema's own table names
    if isinstance(value, list):
        return [_resolved(one, values) for one in value]
    return value


def _depends(value: Any) -> bool:
    """Whether a value is not a constant."""
    if isinstance(value, list):
        return any(_depends(one) for one in value)
    return isinstance(value, (Signal, Finals, Refused, Ended))


def _network(graph: ExportedGraph, values: Mapping[str, Any], title: str) -> FloatNetwork:
    if not graph.outputs:
        raise refusal(title, "the program has no output; export a module that returns its logits")
    first, *others = graph.outputs
    for name in others:
        value = values.get(name)
        if isinstance(value, Ended) or (isinstance(value, Signal) and value.affine is not None):
            raise refusal(
                name, "a second output besides states of layers; export a module that returns its logits alone"
            )
    value = values.get(first)
    if isinstance(value, Ended):
        value = value.signal
    if isinstance(value, Refused):
        raise refusal(first, value.why)
    if not isinstance(value, Signal):
        raise refusal(
            first, "this output is not computed from x by layers; export a module that returns its logits first"
        )
    return value.network(first)
