# SPDX-License-Identifier: Apache-2.0
"""From a file of Keras to a network: follows the signals through a Sequential or Functional model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crossramp.golden.common.errors import InvalidValue

from ...float_network.imported_network import FloatNetwork
from ...graph.layer_graph import LayerGraph, Signal
from ...graph.tensor_axes import Dim
from .keras_archive import KerasFile, Place, groups_of, read_keras
from .keras_layers import LAYERS, Ended, Layer

_MODELS = ("Sequential", "Functional", "Model")
_INPUT = "InputLayer"


class _Tensor(NamedTuple):
    """An output of a layer in a Functional model; ``call`` counts its uses, ``number`` the outputs of one use."""

    layer: str
    call: int
    number: int


def network_of_keras(path: Path) -> FloatNetwork:
    """The network of a ``.keras`` or ``.h5`` file.

    A softmax or sigmoid at the end is left out: the network's logits stand before it.

    Raises
    ------
    InvalidValue
        From :func:`.keras_archive.read_keras`, and for what a network in hardware cannot do; the message names the
        layer.
    """
    file = read_keras(path)
    try:
        graph = LayerGraph({})
        out = _Model(file, graph).output(file.model, None, None)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InvalidValue(
            f"{path}: its configuration is not that of a model of Keras ({type(error).__name__}: {error}); "
            "save the whole model with model.save('net.keras')"
        ) from None
    try:
        return graph.network(out.signal if isinstance(out, Ended) else out)
    except InvalidValue as error:
        raise InvalidValue(f"{path}: {error}") from None


class _Model:
    """Evaluates models, each of which may be a layer of another."""

    def __init__(self, file: KerasFile, graph: LayerGraph):
        self.file, self.graph = file, graph

    def output(self, model: Mapping[str, Any], place: Place | None, given: Signal | None):
        """What leaves a model; ``given`` is what one that is a layer is given."""
        kind, config = model["class_name"], model["config"]
        if kind not in _MODELS:
            raise InvalidValue(f"{self.file.title}: a model of the class {kind}; save a Sequential or Functional one")
        layers = config["layers"] if isinstance(config, Mapping) else config
        groups = groups_of([layer["class_name"] for layer in layers])
        names = [layer.get("name") or layer["config"]["name"] for layer in layers]
        places = {name: Place(name, group, place) for name, group in zip(names, groups, strict=True)}
        if kind == "Sequential":
            return self._sequential(layers, places, given)
        return self._functional(config, places, given)

    def _sequential(self, layers: Sequence[Mapping], places: Mapping[str, Place], given: Signal | None):
        value = given
        for layer, place in zip(layers, places.values(), strict=True):
            if value is None:
                value = self._input(place.name, layer["config"])
            if layer["class_name"] != _INPUT:
                value = self._applied(layer, place, [value], layer is layers[-1])
        return value

    def _functional(self, config: Mapping[str, Any], places: Mapping[str, Place], given: Signal | None):
        by_name = dict(zip(places, config["layers"], strict=True))
        inputs, outputs = _tensors(config["input_layers"]), _tensors(config["output_layers"])
        if len(outputs) != 1 or (given is not None and len(inputs) != 1):
            raise InvalidValue(
                f"{self.file.title}: model {config['name']!r} has {len(inputs)} inputs and {len(outputs)} outputs; "
                "save one with one output"
            )
        values: dict[_Tensor, Any] = {}

        def value(tensor: _Tensor):
            if tensor not in values:
                values[tensor] = None  # a circle would come back here
                values[tensor] = compute(tensor)
            if values[tensor] is None:
                raise InvalidValue(f"node {tensor.layer!r}: its output is its own input; save the model again")
            return values[tensor]

        def compute(tensor: _Tensor):
            layer = by_name[tensor.layer]
            if layer["class_name"] == _INPUT:
                return self._input(tensor.layer, layer["config"]) if given is None else given
            if tensor.number:
                raise InvalidValue(
                    f"node {tensor.layer!r}: its state is used; save a model that reads out its output alone"
                )
            call = layer["inbound_nodes"][tensor.call]
            signals = [value(one) for one in _tensors(call)]
            return self._applied(layer, places[tensor.layer], signals, tensor in outputs)

        return value(outputs[0])

    def _applied(self, layer: Mapping, place: Place, signals: Sequence[Any], is_output: bool):
        """What a layer makes of what it is given."""
        one = Layer(layer["class_name"], layer["config"], place, self.file, is_output)
        for signal in signals:
            if isinstance(signal, Ended):
                one.refuse(f"a layer behind the probabilities of {signal.layer!r}; save the model without them")
        if one.kind not in ("Concatenate", "Add", "Average") and len(signals) != 1:
            one.refuse("is given initial states or a mask besides its input; save a model in which it starts from zero")
        if one.kind in _MODELS:
            return self.output(layer, place, signals[0])
        if one.kind not in LAYERS:
            one.refuse(f"layers of the class {one.kind} cannot be imported; save a model without it")
        try:
            return LAYERS[one.kind](self.graph, one, signals)
        except InvalidValue as error:
            if str(error).startswith(("node ", "layer ", self.file.title)):
                raise
            one.refuse(str(error))

    def _input(self, name: str, config: Mapping[str, Any]) -> Signal:
        shape = config.get("batch_shape") or config.get("batch_input_shape") or (None, None, None)
        labels = [f"{name}:{axis}" for axis in range(len(shape))]
        self.graph.sizes |= {
            label: Dim((label,)) if size is None else size for label, size in zip(labels, shape, strict=True)
        }
        return Signal(tuple((label,) for label in labels), name)


def _tensors(call: Any) -> list[_Tensor]:
    """All tensors in what a layer is given: of Keras 3 dictionaries with a history, of Keras 2 [name, call, number]."""
    if isinstance(call, Mapping):
        if call.get("class_name") == "__keras_tensor__":
            return [_Tensor(*call["config"]["keras_history"])]
        return [one for part in call.values() for one in _tensors(part)]
    if isinstance(call, (list, tuple)):
        if len(call) >= 3 and isinstance(call[0], str) and all(isinstance(one, int) for one in call[1:3]):
            return [_Tensor(*call[:3]), *(_tensors(call[3]) if len(call) > 3 else [])]
        return [one for part in call for one in _tensors(part)]
    return []
