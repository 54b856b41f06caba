# SPDX-License-Identifier: Apache-2.0
"""The recurrent operators of torch: their arrays, states and arguments as layers of a graph."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...graph.layer_graph import LAST, LayerGraph, Signal, Unread, behind
from ...graph.tensor_axes import DIRECTIONS, UNIT, without_units
from .exported_program import ExportedGraph, Name, Node
from .torch_layers import torch_layer

#: The cell of each operator.
CELL_OF = {"lstm": "lstm", "gru": "gru_reset_after", "rnn_tanh": "rnn_tanh", "rnn_relu": "rnn_relu"}


Arguments = dict[str, Any]

#: What an operator makes of a node and its arguments by name.
Handler = Callable[[LayerGraph, Node, Arguments], Any]


def recurrent(graph: LayerGraph, node: Node, arguments: Arguments, program: ExportedGraph) -> tuple:
    """A stack of layers: h of every step, h_n, and of an LSTM c_n.

    Raises
    ------
    InvalidValue
        For packed sequences, dropout, initial states of the run time, and arrays that do not fit.
    """
    if "params" not in arguments or "input" not in arguments:
        node.refuse(f"{node.target}, of packed sequences; export a module that takes padded ones")
    if arguments.get("train") and arguments.get("dropout"):
        node.refuse("drops out values; call module.eval() before the export")
    x, params = arguments["input"], arguments["params"]
    if not isinstance(x, Signal):
        node.refuse("its input is not computed from x; export a module with one input")
    if not all(isinstance(one, np.ndarray) for one in params):
        node.refuse("weights that the program computes; export a module with plain parameters")
    layers, directions = arguments["num_layers"], 1 + arguments["bidirectional"]
    each, rest = divmod(len(params), layers * directions)
    biases = ("bias_ih", "bias_hh") if arguments["has_biases"] else ()
    names = ("weight_ih", "weight_hh", *biases, "weight_hr")[:each]
    if rest or each not in (2 + len(biases), 3 + len(biases)):
        node.refuse(f"has {len(params)} arrays for {layers} layers; export the module again")
    starts = _starts(node, arguments, layers * directions)
    first = bool(arguments["batch_first"])
    slots = ()
    for number in range(layers):
        built = []
        for back in range(directions):
            k = number * directions + back
            arrays = dict(zip(names, params[k * each : (k + 1) * each], strict=True))
            name = _layer_name(node, program, k * each)
            built.append(behind(torch_layer(CELL_OF[node.operator], arrays, name, back == 1, starts[k])))
        y = graph.recurrent(x, built, 1 if first else 0)
        time, sides, batch, features = y.axes
        x = replace(y, axes=(*((batch, time) if first else (time, batch)), without_units(sides + features)))
        slots += y.slots
    sides = (DIRECTIONS,) if len(slots) > 1 else (UNIT,)
    h_n = replace(y, axes=(sides, batch, features), slots=slots, steps=LAST, flipped=None)
    return x, h_n, Unread("reads c of the last step; only h can be read out")


def _layer_name(node: Node, program: ExportedGraph, number: int) -> str:
    """What the module calls the layer: "lstm.l0"."""
    parameter = node.arguments["params"][number]
    name = program.names.get(parameter.name, f"{node.name}.weight_ih_l{number}")
    return name.replace("weight_ih_", "")


def _starts(node: Node, arguments: Arguments, count: int) -> list[dict[str, np.ndarray]]:
    """Initial states by layer and direction; without those that are zero."""
    states, given = arguments["hx"], node.arguments["hx"]
    if node.operator != "lstm":
        states, given = [states], [given]
    found: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
    for name, state, origin in zip(("initial_h", "initial_register"), states, given, strict=False):
        what = "h0" if name == "initial_h" else "c0"
        if not isinstance(state, np.ndarray):
            source = origin.name if isinstance(origin, Name) else origin
            node.refuse(
                f"its initial state {what} is {source!r}, which is known at run time alone; "
                "export a module that leaves it out, or with a constant"
            )
        if state.ndim != 3 or len(state) != count:
            node.refuse(f"its initial state {what} has the shape {state.shape}; expected 3 dimensions")
        if (state != state[:, :1]).any():
            node.refuse(f"its initial state {what} differs between utterances; export a module with one for all")
        for k in range(count):
            if state[k].any():
                found[k][name] = state[k, 0]
    return found
