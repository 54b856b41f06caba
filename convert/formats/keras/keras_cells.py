# SPDX-License-Identifier: Apache-2.0
"""From the arrays of Keras's LSTM, GRU and SimpleRNN to float layers."""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from crossramp.golden.cell.description import BIAS, INPUT
from crossramp.golden.cell.library import CELLS
from crossramp.golden.cell.torch_weights import torch_weights
from crossramp.golden.common.errors import InvalidValue

from ...float_network.float_layer import FloatLayer

#: Activations by Keras's names.
ACTIVATIONS = {
    **{name: name for name in ("sigmoid", "tanh", "softsign", "softplus", "elu", "selu", "gelu", "silu")},
    **{"relu": "clipped_relu", "linear": "identity", "swish": "silu"},
    **{"hard_sigmoid": "hard_sigmoid", "hard_tanh": "hard_tanh"},
}

#: Gates of each class, and the arrays of its cell; the bias only with ``use_bias``.
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
ARRAYS = ("kernel", "recurrent_kernel", "bias")

#: hard_sigmoid of Keras 2 is clip(0.2 z + 0.5), that of Keras 3 clip(z / 6 + 0.5): the same of 1.2 z.
_HARD_GAIN = 1.2


def _refuse(node: str, reason: str) -> NoReturn:
    raise InvalidValue(f"node {node!r}: {reason}")


def activation_name(given: Any, node: str) -> str:
    """Keras's name of an activation; from the name itself or its configuration."""
    if isinstance(given, Mapping):
        given = given.get("config") if given.get("class_name") == "function" else given.get("class_name")
    if given is None:
        return "linear"
    if not isinstance(given, str):
        _refuse(node, f"its activation is {given!r}; use one of Keras's own: {', '.join(ACTIVATIONS)}")
    return given


def keras_cell(
    kind: str, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray], node: str, version: str
) -> FloatLayer:
    """One direction of a layer.

    Parameters
    ----------
    kind : str
        A key of :data:`GATES`.
    config : mapping
        Of the layer.
    arrays : mapping of array
        By name: ``kernel`` (inputs, gates · units), ``recurrent_kernel`` (units, gates · units)
        and, if the layer has one, ``bias`` (gates · units,), of a GRU with ``reset_after`` (2, gates · units). Gates
        are i f c o of an LSTM and z r h of a GRU.
    version : str
        Of Keras; hard_sigmoid changed from 2 to 3.

    Raises
    ------
    InvalidValue
        For activations that ramps do not have, and shapes that do not fit.
    """
    units, gates = config["units"], GATES[kind]
    if arrays["recurrent_kernel"].shape != (units, gates * units):
        shape = arrays["recurrent_kernel"].shape
        _refuse(node, f"recurrent_kernel has the shape {shape}; expected {(units, gates * units)}")
    kernel, recurrent = arrays["kernel"].T, arrays["recurrent_kernel"].T
    bias = arrays.get("bias")
    own = {"activation": _activation(config, "activation", node)}
    if kind != "SimpleRNN":
        own["recurrent"] = _activation(config, "recurrent_activation", node)
    if kind == "LSTM":
        cell, weights = "lstm", torch_weights("lstm", kernel, recurrent, bias)
        names = {"i": "recurrent", "f": "recurrent", "g": "activation", "o": "recurrent"}
    elif kind == "SimpleRNN":
        cell, weights = "rnn_tanh", torch_weights("rnn_tanh", kernel, recurrent, bias)
        names = {"a": "activation"}
    else:
        cell, weights = _gru(config, kernel, recurrent, bias, node)
        names = {"r": "recurrent", "z": "recurrent", "n": "activation"}
    activations = {bank: own[which] for bank, which in names.items()}
    if version.startswith(("1.", "2.")):
        for bank, name in activations.items():
            if name == "hard_sigmoid":
                _steepen(cell, weights, bank, node)
    return FloatLayer(cell, weights, activations, name=node)


def _gru(config: Mapping[str, Any], kernel, recurrent, bias, node: str):
    """The cell of a GRU and its weights; gates in the order z r h become r z n."""
    after = config.get("reset_after", False)  # files of versions that did not know it
    biases = [None, None] if bias is None else list(bias) if bias.ndim == 2 else [bias, None]
    if bias is not None and (bias.ndim == 2) != after:
        _refuse(node, f"reset_after is {after}, but its bias has the shape {bias.shape}; save the model again")
    kernel, recurrent, inner, outer = (None if a is None else _reordered(a) for a in (kernel, recurrent, *biases))
    if after:
        return "gru_reset_after", torch_weights("gru_reset_after", kernel, recurrent, inner, outer)
    weights = {}
    for bank, own, back in zip("rzn", np.split(kernel, 3), np.split(recurrent, 3), strict=True):
        weights[bank, INPUT] = own
        weights[bank, "k" if bank == "n" else "h"] = back
    if inner is not None:
        weights |= {(bank, BIAS): own for bank, own in zip("rzn", np.split(inner, 3), strict=True)}
    return "gru", weights


def _reordered(array: np.ndarray) -> np.ndarray:
    z, r, n = np.split(array, 3)
    return np.concatenate([r, z, n])


def _steepen(cell: str, weights: dict, bank: str, node: str):
    """Weights of a bank times the gain of the older hard_sigmoid."""
    if CELLS[cell].banks[bank].lines:
        _refuse(node, "hard_sigmoid of Keras 2 as the activation of h; only gates can have it")
    for place in weights:
        if place[0] == bank:
            weights[place] = weights[place] * _HARD_GAIN


def _activation(config: Mapping[str, Any], key: str, node: str) -> str:
    name = activation_name(config.get(key), node)
    if name not in ACTIVATIONS:
        _refuse(node, f"its {key} is {name!r}; ramps have: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
