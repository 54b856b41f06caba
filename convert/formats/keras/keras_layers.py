# SPDX-License-Identifier: Apache-2.0
"""What each kind of Keras layer does to a signal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...float_network.network_signal import BATCH, FEATURE, STEP, Signal, joined, refusal, summed
from .keras_archive import KerasFile, Place
from .keras_cells import ACTIVATIONS, ARRAYS, GATES, activation_name, keras_cell

_ORDER = (BATCH, STEP, FEATURE)


@dataclass(frozen=True)
class Layer:
    """A layer of a model: class, configuration, where its arrays are, and whether its output leaves the model."""

    kind: str
    config: Mapping[str, Any]
    place: Place
    file: KerasFile
    is_output: bool

    @property
    def node(self) -> str:
        """Its name, for errors."""
        return self.place.name

    def arrays(self, names: Sequence[str], part: str = "") -> dict[str, np.ndarray]:
        return self.file.arrays(self.place, part, names)


@dataclass(frozen=True)
class Ended:
    """Probabilities: the signal is what they are made of."""

    signal: Signal
    layer: str


Handler = Callable[[Layer, Sequence[Signal]], Any]


# ---- recurrent layers ------------------------------------------------------------------------------------------------


def _recurrent(layer: Layer, signals: Sequence[Signal]):
    """LSTM, GRU, SimpleRNN, or RNN with one of their cells."""
    kind, config = _unwrapped(layer, layer.kind, layer.config)
    backward = bool(config.get("go_backwards"))
    built = _direction(layer, kind, config, "cell", backward)
    out = signals[0].recurrent((built,), _ORDER, layer.node)
    if not config.get("return_sequences"):
        return out.picked(1, 0 if backward else -1, None, layer.node)
    # Steps leave in the order in which they were computed.
    return out.flipped(1, layer.node) if backward else out


def _bidirectional(layer: Layer, signals: Sequence[Signal]):
    inner = layer.config["layer"]
    back = layer.config.get("backward_layer") or inner
    directions, finals = [], []
    for part, wrapped, reverse in (("forward_layer", inner, False), ("backward_layer", back, True)):
        kind, config = _unwrapped(layer, wrapped["class_name"], wrapped["config"])
        expected = reverse and wrapped is not inner
        if bool(config.get("go_backwards")) != expected:
            raise refusal(layer.node, "wraps a layer with go_backwards; save the model with the directions exchanged")
        directions.append(_direction(layer, kind, config, f"{part}/cell", reverse))
        one = signals[0].recurrent((directions[-1],), _ORDER, layer.node)
        finals.append(one if config.get("return_sequences") else one.picked(1, 0 if reverse else -1, None, layer.node))
    mode = layer.config.get("merge_mode", "concat")
    if mode == "concat":
        return joined(finals, len(finals[0].axes) - 1, layer.node)
    if mode in ("sum", "ave"):
        return summed(finals, [1.0, 1.0] if mode == "sum" else [0.5, 0.5], layer.node)
    raise refusal(layer.node, f"merge_mode is {mode!r}; use 'concat', 'sum' or 'ave'")


def _unwrapped(layer: Layer, kind: str, config: Mapping[str, Any]):
    """Class and configuration of a recurrent layer; those of an RNN's cell are its own."""
    cell = config.get("cell") if kind == "RNN" else None
    if cell is not None:
        kind = str(cell["class_name"]).removesuffix("Cell")
        config = {**config, **cell["config"]} if isinstance(cell.get("config"), Mapping) else config
    if kind not in GATES:
        raise refusal(layer.node, f"a recurrent layer of the class {kind}; use {', '.join(GATES)}")
    if config.get("stateful"):
        raise refusal(layer.node, "keeps its state between batches; save the model with stateful=False")
    if config.get("time_major"):
        raise refusal(layer.node, "has time_major; save the model with the batch first")
    return kind, config


def _direction(layer: Layer, kind: str, config: Mapping[str, Any], part: str, reverse: bool):
    names = ARRAYS if config.get("use_bias", True) else ARRAYS[:2]
    built = keras_cell(kind, config, layer.arrays(names, part), layer.node, layer.file.version)
    name = f"{layer.node}.backward" if part.startswith("backward") else layer.node
    return replace(built, reverse=reverse, name=name)


# ---- other layers ----------------------------------------------------------------------------------------------------


def _dense(layer: Layer, signals: Sequence[Signal], part: str = ""):
    arrays = layer.arrays(("kernel", "bias") if layer.config.get("use_bias", True) else ("kernel",), part)
    out = signals[0].linear(arrays["kernel"].T, arrays.get("bias"), layer.node)
    return _activated(layer, out, layer.config.get("activation"))


def _time_distributed(layer: Layer, signals: Sequence[Signal]):
    inner = layer.config["layer"]
    if inner["class_name"] not in ("Dense", "Dropout", "Activation"):
        raise refusal(layer.node, f"distributes a layer of the class {inner['class_name']}; only Dense can be")
    if inner["class_name"] == "Dropout":
        return signals[0]
    own = Layer(inner["class_name"], inner["config"], layer.place, layer.file, layer.is_output)
    return _dense(own, signals, "layer") if own.kind == "Dense" else _activation(own, signals)


def _activation(layer: Layer, signals: Sequence[Signal]):
    return _activated(layer, signals[0], layer.config.get("activation"))


def _relu(layer: Layer, signals: Sequence[Signal]):
    for key in ("max_value", "negative_slope", "threshold"):
        if layer.config.get(key):
            raise refusal(layer.node, f"{key} is {layer.config[key]}; use a plain ReLU")
    return _activated(layer, signals[0], "relu")


def _softmax(layer: Layer, signals: Sequence[Signal]):
    if layer.config.get("axis", -1) != -1:
        raise refusal(layer.node, "a softmax over another axis than the last one; save the model without it")
    return Ended(signals[0], layer.node)


def _activated(layer: Layer, signal: Signal, given: Any):
    name = activation_name(given, layer.node)
    if name == "linear":
        return signal
    if name in ("softmax", "log_softmax") or (name == "sigmoid" and layer.is_output and signal.affine is not None):
        return Ended(signal, layer.node)
    if name not in ACTIVATIONS:
        raise refusal(layer.node, f"its activation is {name!r}; ramps have: {', '.join(ACTIVATIONS)}")
    if name == "hard_sigmoid" and layer.file.version.startswith(("1.", "2.")):
        signal = signal.scaled(1.2, 0.0, layer.node)
    return signal.activated(ACTIVATIONS[name], layer.node)


def _pooled(layer: Layer, signals: Sequence[Signal]):
    if layer.config.get("data_format", "channels_last") != "channels_last":
        raise refusal(layer.node, "data_format is not channels_last; save the model with the features last")
    return signals[0].mean([1], bool(layer.config.get("keepdims")), layer.node)


def _batch_norm(layer: Layer, signals: Sequence[Signal]):
    """(v - mean) / √(variance + ε) · gamma + beta."""
    config = layer.config
    axis = config.get("axis", -1)
    if (axis if isinstance(axis, int) else axis[-1]) not in (-1, len(signals[0].axes) - 1):
        raise refusal(layer.node, f"normalizes along the axis {axis}; save the model with the features last")
    named = [name for name, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)]
    arrays = layer.arrays((*named, "moving_mean", "moving_variance"))
    gain = arrays.get("gamma", 1.0) / np.sqrt(arrays["moving_variance"] + config.get("epsilon", 1e-3))
    return signals[0].scaled(gain, arrays.get("beta", 0.0) - arrays["moving_mean"] * gain, layer.node)


def _rescaled(layer: Layer, signals: Sequence[Signal]):
    return signals[0].scaled(layer.config["scale"], layer.config.get("offset", 0.0), layer.node)


def _permuted(layer: Layer, signals: Sequence[Signal]):
    return signals[0].permuted((0, *layer.config["dims"]), layer.node)


def _concatenated(layer: Layer, signals: Sequence[Signal]):
    axis = layer.config.get("axis", -1)
    return joined(signals, axis % len(signals[0].axes), layer.node)


def _added(factor: float) -> Handler:
    return lambda layer, signals: summed(signals, [factor] * len(signals), layer.node)


def _same(layer: Layer, signals: Sequence[Signal]):
    return signals[0]


def _refused(why: str) -> Handler:
    def handler(layer: Layer, signals: Sequence[Signal]):
        raise refusal(layer.node, why)

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
    "Add": _added(1.0),
    "Average": _added(0.5),
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
