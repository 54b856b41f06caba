# SPDX-License-Identifier: Apache-2.0
"""The recurrent operators of torch, and what nodes can give besides signals: last h of stacks, and ends of a graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...float_network.network_signal import BATCH, FEATURE, STEP, Signal, refusal
from .exported_program import ExportedGraph, Name, Node
from .torch_layers import torch_layer

#: The label of the first dimension of h_n.
LAYER = "layer"


@dataclass(frozen=True)
class Finals:
    """h_n of a stack of layers: by layer and direction the last h; ``axes`` as of a signal, one of them "layer"."""

    items: tuple[Signal, ...]
    axes: tuple[str, ...] = (LAYER, BATCH, FEATURE)


@dataclass(frozen=True)
class Refused:
    """A value that no node may use; ``why`` ends with what to do instead."""

    why: str


@dataclass(frozen=True)
class Ended:
    """Probabilities or a class: the signal is what they are made of."""

    signal: Signal
    operator: str


Arguments = dict[str, Any]

#: What an operator makes of the node, its arguments by name and the graph.
Handler = Callable[[Node, Arguments, ExportedGraph], Any]

#: The cell of each operator.
CELL_OF = {"lstm": "lstm", "gru": "gru_reset_after", "rnn_tanh": "rnn_tanh", "rnn_relu": "rnn_relu"}


def recurrent(node: Node, arguments: Arguments, graph: ExportedGraph):
    """A stack of layers: (h of every step, h_n, c_n)."""
    operator = node.target.split(".")[1]
    if "params" not in arguments or "input" not in arguments:
        raise refusal(node.name, f"{node.target}, of packed sequences; export a module that takes padded ones")
    if arguments.get("train") and arguments.get("dropout"):
        raise refusal(node.name, "drops out values; call module.eval() before the export")
    x, params = arguments["input"], arguments["params"]
    if not isinstance(x, Signal):
        raise refusal(node.name, "its input is not computed from x; export a module with one input")
    if not all(isinstance(one, np.ndarray) for one in params):
        raise refusal(node.name, "weights that the program computes; export a module with plain parameters")
    layers, directions = arguments["num_layers"], 1 + arguments["bidirectional"]
    each, rest = divmod(len(params), layers * directions)
    biases = ("bias_ih", "bias_hh") if arguments["has_biases"] else ()
    names = ("weight_ih", "weight_hh", *biases, "weight_hr")[:each]
    if rest or each not in (2 + len(biases), 3 + len(biases)):
        raise refusal(node.name, f"has {len(params)} arrays for {layers} layers; export the module again")
    starts = _starts(node, arguments, operator, layers * directions)
    order = (BATCH, STEP, FEATURE) if arguments["batch_first"] else (STEP, BATCH, FEATURE)
    finals = []
    for number in range(layers):
        built = []
        for back in range(directions):
            k = number * directions + back
            arrays = dict(zip(names, params[k * each : (k + 1) * each], strict=True))
            name = _layer_name(node, graph, k * each)
            built.append(torch_layer(CELL_OF[operator], arrays, name, back == 1, starts[k]))
        before, x = x, x.recurrent(tuple(built), order, node.name)
        finals += [_final(before.recurrent((one,), order, node.name), order) for one in built]
    h_n = finals[0].unsqueezed(0) if len(finals) == 1 else Finals(tuple(finals))
    return (x, h_n, Refused("reads c of the last step; only h can be read out")) if operator == "lstm" else (x, h_n)


def _final(signal: Signal, order: Sequence[str]) -> Signal:
    """The last h of one direction: at the other end if it, or the signal, runs from the end."""
    ends_at_first = signal.layers[-1][0].reverse != signal.backward
    return signal.picked(order.index(STEP), 0 if ends_at_first else -1, None, "h_n")


def _layer_name(node: Node, graph: ExportedGraph, number: int) -> str:
    """What the module calls the layer: "lstm.l0"."""
    parameter = node.arguments["params"][number]
    name = graph.names.get(parameter.name, f"{node.name}.weight_ih_l{number}")
    return name.replace("weight_ih_", "")


def _starts(node: Node, arguments: Arguments, operator: str, count: int) -> list[dict[str, np.ndarray]]:
    """Initial states by layer and direction; without those that are zero."""
    states = arguments["hx"] if operator == "lstm" else [arguments["hx"]]
    given = node.arguments["hx"] if operator == "lstm" else [node.arguments["hx"]]
    found: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
    for name, state, origin in zip(("initial_h", "initial_register"), states, given, strict=False):
        what = "h0" if name == "initial_h" else "c0"
        if not isinstance(state, np.ndarray):
            source = origin.name if isinstance(origin, Name) else origin
            raise refusal(
                node.name,
                f"its initial state {what} is {source!r}, which is known at run time alone; "
                "export a module that leaves it out, or with a constant",
            )
        if state.ndim != 3 or len(state) != count:
            raise refusal(node.name, f"its initial state {what} has the shape {state.shape}; expected 3 dimensions")
        if (state != state[:, :1]).any():
            raise refusal(
                node.name, f"its initial state {what} differs between utterances; export a module with one for all"
            )
        for k in range(count):
            if state[k].any():
                found[k][name] = state[k, 0]
    return found
