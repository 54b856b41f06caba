# SPDX-License-Identifier: Apache-2.0
"""From the graph of torch.export to a network: follows the signals through its operators."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from crossramp.golden.common.errors import InvalidValue

from ...float_network.imported_network import FloatNetwork
from ...graph.layer_graph import ConversionWarning, LayerGraph, Signal, Unread
from ...graph.tensor_axes import Dim
from .exported_constants import constant
from .exported_operators import OPERATORS
from .exported_program import ExportedGraph, Name, Node
from .exported_recurrent import CELL_OF, recurrent

#: Operators at the very end that keep the order of the outputs: logits leave instead.
_LEFT_OUT = ("softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid", "argmax")

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


def network_of_exported(program: ExportedGraph, title: str) -> FloatNetwork:
    """The network of a program.

    Its input is one tensor, and its first output the logits, or h. A softmax, sigmoid or argmax at the end is left out:
    the network's logits stand before it.

    Parameters
    ----------
    title : str
        What errors call the program.

    Raises
    ------
    InvalidValue
        For what a network in hardware cannot do; the message names the node.
    """
    if not any(node.operator in CELL_OF for node in program.nodes):
        first = f" (the first is {program.nodes[0].name!r})" if program.nodes else ""
        raise InvalidValue(
            f"{title}: none of its {len(program.nodes)} nodes{first} is an LSTM, GRU or RNN; export a module that has "
            "torch.nn.LSTM, GRU or RNN instead of a loop over the steps, and without run_decompositions()"
        )
    if not program.outputs:
        raise InvalidValue(f"{title}: the program has no output; export a module that returns its logits")
    made = {name: node for node in program.nodes for name in node.outputs if name}
    name, *others = program.outputs
    if others := [one for one in others if one not in made or made[one].operator not in CELL_OF]:
        told = ", ".join(map(repr, others))
        warnings.warn(f"{title}: the output {name!r} is read; left out: {told}", ConversionWarning, stacklevel=3)
    while name in made and made[name].operator in _LEFT_OUT:
        name = made[name].arguments["self"].name
    graph, value = _evaluated(program, _needed(made, name), name)
    return graph.network_of(value, f"node {name!r}", "it is not computed from x; export a module of x")


def _evaluated(program: ExportedGraph, needed: set[str], name: str) -> tuple[LayerGraph, Any]:
    """The value of that name, from the nodes that it needs alone."""
    sizes: dict[str, int | Dim] = {}
    values: dict[str, Any] = dict(program.arrays)
    for source in program.inputs:
        labels = [f"{source}:{axis}" for axis in range(len(program.shapes.get(source, ())))]
        sizes |= {
            label: Dim((label,)) if size is None else size
            for label, size in zip(labels, program.shapes.get(source, ()), strict=True)
        }
        values[source] = Signal(tuple((label,) for label in labels), source)
    graph = LayerGraph(sizes)
    for node in program.nodes:
        if not needed.intersection(filter(None, node.outputs)):
            continue
        found = _value(graph, node, program, values)
        outputs = found if isinstance(found, tuple) else (found,)
        values |= {each: one for each, one in zip(node.outputs, outputs, strict=False) if each}
    return graph, values.get(name)


def _value(graph: LayerGraph, node: Node, program: ExportedGraph, values: Mapping[str, Any]) -> Any:
    """What a node gives: arrays, lengths or signals; several as a tuple."""
    arguments = {name: _resolved(value, values) for name, value in node.arguments.items()}
    try:
        if node.operator == "sym_size":
            return _shape(graph, arguments["self"])[arguments["dim"]]
        if node.operator.startswith("new_") or node.operator.endswith("_like"):
            # Only the shape of the tensor counts.
            return constant(node.operator, {**arguments, "self": _shape(graph, arguments["self"])})
        given = [one for value in arguments.values() for one in (value if isinstance(value, list) else [value])]
        for one in given:
            if isinstance(one, Unread):
                node.refuse(one.reason)
        if not any(isinstance(one, Signal) for one in given):
            found = constant(node.operator, arguments)
            # It may still be used by nothing that counts.
            return Unread(f"needs {node.name!r}, {node.target}, which is not read; {_ELSE}") if found is None else found
        if node.operator in CELL_OF:
            return recurrent(graph, node, arguments, program)
        handler = OPERATORS.get(node.operator)
        if handler is None:
            node.refuse(f"{node.target} cannot be imported; {_INSTEAD.get(node.operator, _ELSE)}")
        return handler(graph, node, arguments)
    except InvalidValue as error:
        if str(error).startswith(("node ", "layer ")):
            raise
        node.refuse(str(error))
    except (ValueError, IndexError, TypeError, KeyError, AttributeError) as error:
        node.refuse(f"{node.target} does not fit what it is given ({type(error).__name__}: {error}); export it again")


def _resolved(value: Any, values: Mapping[str, Any]) -> Any:
    """An argument with values in the place of their names."""
    if isinstance(value, Name):
        return values[value.name]
    if isinstance(value, list):
        return [_resolved(one, values) for one in value]
    return value


def _shape(graph: LayerGraph, value) -> list[int | Dim]:
    return graph.shape(value) if isinstance(value, Signal) else list(np.shape(value))


def _needed(made: Mapping[str, Node], name: str) -> set[str]:
    """The names of all values that one depends on, itself included."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _names(list(made[one].arguments.values())) if one in made else ()
    return found


def _names(value: Any) -> list[str]:
    if isinstance(value, Name):
        return [value.name]
    return [name for one in value for name in _names(one)] if isinstance(value, list) else []
