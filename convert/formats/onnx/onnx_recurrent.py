# SPDX-License-Identifier: Apache-2.0
"""The operators LSTM, GRU and RNN of ONNX: their weights, attributes and states as layers.

Text: https://onnx.ai/onnx/operators/onnx__LSTM.html, versions 7 to 22.
Where it and onnxruntime disagree, this follows onnxruntime, with which networks are tried before they get here:

- ``input_forget``: i has weights and f = 1 - i.
- ``clip``: onnxruntime does not clip c before the activation h; the text says that the input of every activation is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from crossramp.golden.cell.description import BIAS, INPUT
from crossramp.golden.cell.library import CELLS
from crossramp.golden.cell.real_cell import Place, codes_and_banks

from ...float_network.float_layer import FloatLayer
from ...graph.layer_graph import Taken
from .onnx_file import OnnxNode

#: Banks in the order of an operator's gates, and for each of its activations the banks that it is of.
_BANKS = {"LSTM": ("i", "o", "f", "g"), "GRU": ("z", "r", "n"), "RNN": ("a",)}
_OWNERS = {"LSTM": (("i", "o", "f"), ("g",)), "GRU": (("z", "r"), ("n",)), "RNN": (("a",),)}
_USUAL = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}

#: Banks of the peepholes in the order of P, each with its line.
_PEEPHOLES = (("i", "a"), ("o", "q"), ("f", "a"))

RECURRENT = tuple(_BANKS)
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


@dataclass(frozen=True)
class Bent:
    """An activation of ONNX by one of ours: activation(scale · z + offset)."""

    activation: str
    scale: float = 1.0
    offset: float = 0.0


#: Activations by their names in lower case. First which of alpha and beta they take, with their defaults.
_ACTIVATIONS: dict[str, tuple[dict[str, float], Callable[..., Bent | None]]] = {
    "sigmoid": ({}, lambda: Bent("sigmoid")),
    "tanh": ({}, lambda: Bent("tanh")),
    "relu": ({}, lambda: Bent("clipped_relu")),
    "softsign": ({}, lambda: Bent("softsign")),
    "softplus": ({}, lambda: Bent("softplus")),
    "elu": ({"alpha": 1.0}, lambda alpha: Bent("elu") if alpha == 1 else None),
    "affine": ({"alpha": 1.0, "beta": 0.0}, lambda alpha, beta: Bent("identity", alpha, beta)),
    "hardsigmoid": (
        {"alpha": 0.2, "beta": 0.5},
        lambda alpha, beta: Bent("hard_sigmoid", 6 * alpha, 6 * beta - 3) if alpha > 0 else None,
    ),
    "scaledtanh": ({"alpha": 1.0, "beta": 1.0}, lambda alpha, beta: Bent("tanh", beta) if alpha == 1 else None),
    "leakyrelu": ({"alpha": 0.01}, lambda alpha: Bent("clipped_relu") if alpha == 0 else None),
    "thresholdedrelu": ({"alpha": 1.0}, lambda alpha: Bent("clipped_relu") if alpha == 0 else None),
}


def recurrent_layers(node: OnnxNode, arrays: dict[str, np.ndarray]) -> list[Callable[[Taken], FloatLayer]]:
    """What makes the layer of each direction, the forward one first, from what it takes.

    Parameters
    ----------
    node : OnnxNode
        LSTM, GRU or RNN.
    arrays : dict of array
        Those of W, R, B, initial_h, initial_c and P that are given, by these names.

    Raises
    ------
    InvalidValue
        For shapes that do not fit, and what no cell has; the message names the node.
    """
    directions = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    direction = node.attributes.get("direction", "forward")
    if direction not in directions:
        node.refuse(f"the direction is {direction!r}; allowed: {', '.join(directions)}")
    count = len(directions[direction])
    cell = _cell(node, arrays)
    units = _units(node, arrays, count)
    bends = _bends(node, count)
    found = []
    for number, reverse in enumerate(directions[direction]):
        own = {name: array[number] for name, array in arrays.items()}
        parts = _weights(node, cell, own, units)
        activations = {}
        for bank, bend in bends[number].items():
            if bank in CELLS[cell].banks:
                activations[bank] = bend.activation
                _bend(node, cell, parts, bank, bend)
        options = {
            "activations": activations,
            "clip": _clip(node, cell, bends[number]),
            "reverse": reverse,
            "name": node.name + "_reverse" * (count > 1 and reverse),
            "initial_h": _state(own.get("initial_h")),
            "initial_register": _state(own.get("initial_c")),
        }
        if cell == "rnn_tanh" and activations["a"] == "clipped_relu":
            found.append(_maker("rnn_relu", parts, options))
        else:
            found.append(_maker(cell, parts, options))
    return found


def _maker(cell: str, weights: dict[Place, np.ndarray], options: dict) -> Callable[[Taken], FloatLayer]:
    return lambda taken: FloatLayer(cell, taken.weights(weights), **options)


def _cell(node: OnnxNode, arrays: dict[str, np.ndarray]) -> str:
    if node.kind == "RNN":
        return "rnn_tanh"
    if node.kind == "GRU":
        return "gru_reset_after" if node.attributes.get("linear_before_reset", 0) else "gru"
    coupled, peepholes = bool(node.attributes.get("input_forget", 0)), "P" in arrays and arrays["P"].any()
    if coupled and peepholes:
        node.refuse("input_forget with peepholes P: no cell has both; export one of them")
    return "lstm_coupled" if coupled else "lstm_peephole" if peepholes else "lstm"


def _units(node: OnnxNode, arrays: dict[str, np.ndarray], count: int) -> int:
    """Units, once all shapes fit."""
    gates = len(_BANKS[node.kind])
    recurrent = arrays["R"]
    units = recurrent.shape[-1] if recurrent.ndim == 3 else 0
    if node.attributes.get("hidden_size", units) != units:
        node.refuse(f"hidden_size is {node.attributes['hidden_size']}, but R has the shape {recurrent.shape}")
    shapes = {
        "W": (count, gates * units, None),
        "R": (count, gates * units, units),
        "B": (count, 2 * gates * units),
        "P": (count, len("iof") * units),
        "initial_h": (count, None, units),
        "initial_c": (count, None, units),
    }
    for name, array in arrays.items():
        expected = shapes[name]
        fits = array.ndim == len(expected) and all(n in (None, m) for n, m in zip(expected, array.shape, strict=True))
        if not fits or array.size == 0:
            told = ", ".join("any" if size is None else str(size) for size in expected)
            node.refuse(f"{name} has the shape {array.shape}; expected ({told}), not empty")
        if array.dtype.kind != "f":
            node.refuse(f"{name} holds {array.dtype}; quantized weights are not read, so export the float network")
        if not np.isfinite(array.astype(np.float64)).all():
            node.refuse(f"{name} holds values that are not finite; export a network whose training did not diverge")
    return units


def _weights(node: OnnxNode, cell: str, own: dict[str, np.ndarray], units: int) -> dict[Place, np.ndarray]:
    """By bank and group, of one direction."""
    banks, layout = _BANKS[node.kind], CELLS[cell]
    w, r = (np.split(own[name].astype(np.float64), len(banks)) for name in ("W", "R"))
    b = own["B"].astype(np.float64) if "B" in own else np.zeros(2 * len(banks) * units)
    of_w, of_r = (np.split(half, len(banks)) for half in np.split(b, 2))
    found: dict[Place, np.ndarray] = {}
    for k, bank in enumerate(banks):
        if bank not in layout.banks:
            continue
        found[bank, INPUT] = w[k]
        # h, but of n of a GRU: there r·h, or U·h, which has a bank of its own and the bias of R.
        rows = layout.banks[bank].rows
        after = layout.output not in rows and "m" in layout.banks
        place = ("m", layout.output) if after else (bank, layout.output if layout.output in rows else "k")
        found[place] = r[k]
        found[bank, BIAS] = of_w[k] if after else of_w[k] + of_r[k]
        if after:
            found["m", BIAS] = of_r[k]
    if cell == "lstm_peephole":
        for place, vector in zip(_PEEPHOLES, np.split(own["P"].astype(np.float64), 3), strict=True):
            found[place] = vector
    return found


def _state(rows: np.ndarray | None) -> np.ndarray | None:
    return None if rows is None or not rows.any() else rows[0]


# ---- activations -----------------------------------------------------------------------------------------------------


def _bends(node: OnnxNode, count: int) -> list[dict[str, Bent]]:
    """The activation of each bank, for each direction."""
    usual = _USUAL[node.kind]
    names = node.attributes.get("activations") or usual * count
    if len(names) != len(usual) * count:
        node.refuse(f"there are {len(names)} activations; expected {len(usual) * count}")
    given = {key: iter(node.attributes.get(f"activation_{key}", ())) for key in ("alpha", "beta")}
    found = [_bent(node, name, given) for name in names]
    per = [found[k : k + len(usual)] for k in range(0, len(found), len(usual))]
    if node.kind == "LSTM":
        for direction, own in enumerate(per):
            if own[1] != own[2]:
                told = names[3 * direction : 3 * direction + 3]
                node.refuse(
                    f"the activations g and h are {told[1]} and {told[2]}; both use the ramp of one bank, so export "
                    "the same one"
                )
    return [{bank: bend for bend, banks in zip(own, _OWNERS[node.kind], strict=False) for bank in banks} for own in per]


def _bent(node: OnnxNode, name: str, given: dict) -> Bent:
    """An activation by its name; alpha and beta are taken in the order of those that have them, as onnxruntime does."""
    parameters, bend = _ACTIVATIONS.get(name.lower(), ({}, lambda: None))
    values = {key: float(next(given[key], default)) for key, default in parameters.items()}
    found = bend(**values)
    if found is None or not all(map(np.isfinite, values.values())):
        told = ", ".join(f"{key} {value:g}" for key, value in values.items())
        node.refuse(
            f"the activation {name}{f' with {told}' if told else ''} has no ramp; the others do: Sigmoid, Tanh, Relu, "
            "Softsign, Softplus, Elu, Affine, HardSigmoid, ScaledTanh of alpha 1"
        )
    return found


def _bend(node: OnnxNode, cell: str, weights: dict[Place, np.ndarray], bank: str, bend: Bent):
    """Put scale and offset of an activation into the weights of its bank."""
    if (bend.scale, bend.offset) == (1, 0):
        return
    if any(not trained for trained in CELLS[cell].banks[bank].lines.values()):
        node.refuse(
            f"the activation of bank {bank} is {bend.activation} of {bend.scale:g}·z + {bend.offset:g}, but c comes "
            "through a cell that no weight scales; export it with scale 1 and offset 0"
        )
    for place in weights:
        if place[0] == bank:
            weights[place] = weights[place] * bend.scale
    weights[bank, BIAS] = weights[bank, BIAS] + bend.offset


def _clip(node: OnnxNode, cell: str, bends: dict[str, Bent]) -> dict[str, float]:
    """The clip of each code; not of a bank without an activation, nor of c, as onnxruntime has it."""
    limit = float(node.attributes.get("clip", 0.0))
    if "clip" not in node.attributes or limit == 0:
        return {}
    if not limit > 0 or not np.isfinite(limit):
        node.refuse(f"clip is {limit:g}; expected a number above 0")
    found = {}
    for code, bank in codes_and_banks(CELLS[cell]).items():
        if code == bank and bank in bends:
            if bends[bank].offset != 0:
                node.refuse("clip with an activation that has an offset; export one of them")
            found[code] = limit * abs(bends[bank].scale)
    return found


def same_for_all(node: OnnxNode, name: str, array: np.ndarray) -> np.ndarray:
    """A state of which every sample of a batch has the same, shape (directions, 1, units)."""
    if array.ndim != 3:
        node.refuse(f"{name} has the shape {array.shape}; expected 3 axes")
    if (array != array[:, :1]).any():
        node.refuse(f"{name} differs between the samples of a batch; export one state for all")
    return array[:, :1]
