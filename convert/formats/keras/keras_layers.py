# SPDX-License-Identifier: Apache-2.0
"""What each kind of Keras layer does to a signal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NoReturn

import numpy as np
from crossramp.golden.common.errors import InvalidValue

from ...float_network.float_layer import FloatLayer
from ...graph import signal_operators as on
from ...graph.layer_graph import LAST, LayerGraph, Signal, behind
from ...graph.tensor_axes import without_units
from .keras_archive import KerasFile, Place
from .keras_cells import ACTIVATIONS, ARRAYS, GATES, activation_name, keras_cell


@dataclass(frozen=True)
class Layer:
    """A layer of a model: class, configuration, where its arrays are, and whether its output leaves the model."""

    kind: str
    config: Mapping[str, Any]
    place: Place
    file: KerasFile
    is_output: bool

    @property
    def name(self) -> str:
        return self.place.name

    def arrays(self, names: Sequence[str], part: str = "") -> dict[str, np.ndarray]:
        return self.file.arrays(self.place, part, names)

    def refuse(self, reason: str) -> NoReturn:
        """Raise InvalidValue, with the layer's name in front."""
        raise InvalidValue(f"node {self.name!r}: {reason}")


@dataclass(frozen=True)
class Ended:
    """Probabilities: the signal is what they are made of."""

    signal: Signal
    layer: str


#: What a layer makes of a graph and the signals that it is given.
Handler = Callable[[LayerGraph, Layer, Sequence[Signal]], Any]


# ---- recurrent layers ------------------------------------------------------------------------------------------------


def _recurrent(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    """LSTM, GRU, SimpleRNN, or RNN with one of their cells."""
    kind, config = _unwrapped(layer, layer.kind, layer.config)
    backward = bool(config.get("go_backwards"))
    built = _direction(layer, kind, config, "cell", backward)
    every = bool(config.get("return_sequences"))
    out = _stacked(graph, signals[0], [built], every)
    # Steps leave in the order in which they were computed.
    return on.flipped(out, 1) if backward and every else out


def _bidirectional(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    inner = layer.config["layer"]
    back = layer.config.get("backward_layer") or inner
    directions = []
    for part, wrapped, reverse in (("forward_layer", inner, False), ("backward_layer", back, True)):
        kind, config = _unwrapped(layer, wrapped["class_name"], wrapped["config"])
        expected = reverse and wrapped is not inner
        if bool(config.get("go_backwards")) != expected:
            layer.refuse("wraps a layer with go_backwards; save the model with the directions exchanged")
        directions.append(_direction(layer, kind, config, f"{part}/cell", reverse))
    out = _stacked(graph, signals[0], directions, bool(inner["config"].get("return_sequences")))
    mode = layer.config.get("merge_mode", "concat")
    if mode == "concat":
        return out
    if mode not in ("sum", "ave"):
        layer.refuse(f"merge_mode is {mode!r}; use 'concat', 'sum' or 'ave'")
    factor = 1.0 if mode == "sum" else 0.5
    return on.multiplied(graph, out, factor * np.concatenate([np.eye(one.hidden) for one in directions], axis=1))


def _stacked(graph: LayerGraph, signal: Signal, directions: Sequence[FloatLayer], every: bool) -> Signal:
    """h of a layer: of every step in the order of x, or of each direction the last; batch first, features last."""
    y = graph.recurrent(signal, [behind(layer) for layer in directions], 1)
    time, sides, batch, features = y.axes
    if every:
        return replace(y, axes=(batch, time, without_units(sides + features)))
    return replace(y, axes=(batch, without_units(sides + features)), steps=LAST, flipped=None)


def _unwrapped(layer: Layer, kind: str, config: Mapping[str, Any]):
    """Class and configuration of a recurrent layer; those of an RNN's cell are its own."""
    cell = config.get("cell") if kind == "RNN" else None
    if cell is not None:
        kind = str(cell["class_name"]).removesuffix("Cell")
        config = {**config, **cell["config"]} if isinstance(cell.get("config"), Mapping) else config
    if kind not in GATES:
        layer.refuse(f"a recurrent layer of the class {kind}; use {', '.join(GATES)}")
    if config.get("stateful"):
        layer.refuse("keeps its state between batches; save the model with stateful=False")
    if config.get("time_major"):
        layer.refuse("has time_major; save the model with the batch first")
    return kind, config


def _direction(layer: Layer, kind: str, config: Mapping[str, Any], part: str, reverse: bool):
    names = ARRAYS if config.get("use_bias", True) else ARRAYS[:2]
    built = keras_cell(kind, config, layer.arrays(names, part), layer.name, layer.file.version)
    name = f"{layer.name}.backward" if part.startswith("backward") else layer.name
    return replace(built, reverse=reverse, name=name)


# ---- other layers ----------------------------------------------------------------------------------------------------


def _dense(graph: LayerGraph, layer: Layer, signals: Sequence[Signal], part: str = ""):
    arrays = layer.arrays(("kernel", "bias") if layer.config.get("use_bias", True) else ("kernel",), part)
    out = on.multiplied(graph, signals[0], arrays["kernel"].T, arrays.get("bias"))
    return _activated(graph, layer, out, layer.config.get("activation"))


def _time_distributed(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    inner = layer.config["layer"]
    if inner["class_name"] not in ("Dense", "Dropout", "Activation"):
        layer.refuse(f"distributes a layer of the class {inner['class_name']}; only Dense can be")
    if inner["class_name"] == "Dropout":
        return signals[0]
    own = Layer(inner["class_name"], inner["config"], layer.place, layer.file, layer.is_output)
    return _dense(graph, own, signals, "layer") if own.kind == "Dense" else _activation(graph, own, signals)


def _activation(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    return _activated(graph, layer, signals[0], layer.config.get("activation"))


def _relu(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    for key in ("max_value", "negative_slope", "threshold"):
        if layer.config.get(key):
            layer.refuse(f"{key} is {layer.config[key]}; use a plain ReLU")
    return _activated(graph, layer, signals[0], "relu")


def _softmax(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    if layer.config.get("axis", -1) != -1:
        layer.refuse("a softmax over another axis than the last one; save the model without it")
    return Ended(signals[0], layer.name)


def _activated(graph: LayerGraph, layer: Layer, signal: Signal, given: Any):
    name = activation_name(given, layer.name)
    if name == "linear":
        return signal
    if name in ("softmax", "log_softmax") or (name == "sigmoid" and layer.is_output):
        return Ended(signal, layer.name)
    if name not in ACTIVATIONS:
        layer.refuse(f"its activation is {name!r}; ramps have: {', '.join(ACTIVATIONS)}")
    if name == "hard_sigmoid" and layer.file.version.startswith(("1.", "2.")):
        signal = on.scaled(graph, signal, 1.2)
    return on.activated(graph, signal, ACTIVATIONS[name], layer.name)


def _pooled(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    if layer.config.get("data_format", "channels_last") != "channels_last":
        layer.refuse("data_format is not channels_last; save the model with the features last")
    return on.mean(signals[0], [1], keep=bool(layer.config.get("keepdims")))


def _batch_norm(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    """(v - mean) / √(variance + ε) · gamma + beta."""
    config = layer.config
    axis = config.get("axis", -1)
    if (axis if isinstance(axis, int) else axis[-1]) not in (-1, len(signals[0].axes) - 1):
        layer.refuse(f"normalizes along the axis {axis}; save the model with the features last")
    named = [name for name, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)]
    arrays = layer.arrays((*named, "moving_mean", "moving_variance"))
    gain = arrays.get("gamma", 1.0) / np.sqrt(arrays["moving_variance"] + config.get("epsilon", 1e-3))
    return on.scaled(graph, signals[0], gain, arrays.get("beta", 0.0) - arrays["moving_mean"] * gain)


def _rescaled(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    return on.scaled(graph, signals[0], layer.config["scale"], layer.config.get("offset", 0.0))


def _permuted(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    return on.transposed(signals[0], (0, *layer.config["dims"]))


def _concatenated(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    return on.joined(graph, signals, layer.config.get("axis", -1))


def _added(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    total = reduce(lambda one, other: on.added(graph, one, other), signals)
    return on.scaled(graph, total, 1 / len(signals)) if layer.kind == "Average" else total


def _same(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
    return signals[0]


def _refused(why: str) -> Handler:
    def handler(graph: LayerGraph, layer: Layer, signals: Sequence[Signal]):
        layer.refuse(why)

    return handler


LAYERS: dict[str, Handler] = {
    **dict.fromkeys((*GATES, "RNN"), _recurrent),
    "Bidirectional": _bidirectional,
    "Dense": _dense,
    "TimeDistributed": _time_distributed,
    "Activation": _activation,
    "ReLU": _relu,
    "Softmax": _softmax,
    "GlobalAveragePooling1D": _pooled,
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaled,
    "Permute": _permuted,
    "Concatenate": _concatenated,
    **dict.fromkeys(("Add", "Average"), _added),
    **dict.fromkeys(
        ("Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
        _same,
    ),
    "Masking": _refused(
        "masks steps; save the model without it, pad utterances at their ends, and give their lengths when it runs"
    ),
    "Embedding": _refused(
        "x must be real numbers; save a model that takes one-hot vectors, without an embedding or mask"
    ),
    "Lambda": _refused("is code, which is never run; save a model without Lambda"),
    "LayerNormalization": _refused("normalizes by the values of a step; train without it, or with BatchNormalization"),
    "GlobalMaxPooling1D": _refused("there is no maximum over steps; train with GlobalAveragePooling1D"),
    "Flatten": _refused("lays steps side by side; train with GlobalAveragePooling1D or the last step"),
    **dict.fromkeys(
        ("Conv1D", "Conv2D", "MaxPooling1D", "AveragePooling1D"),
        _refused("save the model behind it, and give the network what it computes"),
    ),
}
"""By the class of the layer: what it makes of the signals that it is given."""
