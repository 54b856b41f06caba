# SPDX-License-Identifier: Apache-2.0
"""The specification of a network of several layers: a list of macros, and the head behind the last of them."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..common.content_hash import content_hash
from ..common.declared import Declaration, check, declarations, declared
from ..spec.gates import SpecificationError
from ..spec.head_sizes import HeadSizes
from ..spec.implementation import ImplementationParameters
from ..spec.network_parameters import NetworkParameters
from ..spec.row_tile import row_tiles_of
from ..spec.specification import FORMAT, Specification
from .layer import Layer

_HEAD = dict(declarations(NetworkParameters))

#: What only a whole network has: in a layer they are at their defaults.
_OF_NETWORK = ("classes", "readout", "max_steps")

#: Most layers of a network.
LAYERS_MAX = 64


def _head(name: str, **more) -> Any:
    """A parameter of the head as a specification of one macro declares it."""
    said = _HEAD[name]
    return declared(said.meaning, said.low, said.high, choices=said.choices, **more)


@dataclass(frozen=True, kw_only=True)
class NetworkSpecification(HeadSizes):
    """Every parameter of a network of several layers; immutable, checked, and the source of all derived sizes.

    The h stream of each layer is the x stream of the next: x and h share one full scale, so the codes pass as they are.
    Layers work on different steps at the same time. A layer with two directions first needs the whole utterance, and
    what reads both of its directions step by step needs its whole answer: in front of it, and behind it, stands a
    memory of ``max_steps`` steps.

    Parameters
    ----------
    layers : tuple of Layer
        1 to 64, the first takes x.
    classes : int
        Outputs of the head, 1 to 4096.
    readout : str
        ``"mean"``, ``"last"`` or ``"step"``, as in a :class:`~crossramp.golden.spec.specification.Specification`. With
        ``"last"`` the head sees the last h of each direction: that of the backward macro belongs to the first x.
    head : str
        Where the head's matrix is: ``"digital"``, or in an ``"array"``: the last layer is the head then, and has a unit
        for each class. Logits are the values of its codes, added up with the readout ``"mean"``.
    head_weight_bits : int
        Resolution of the head's weights, 2 to 16; left out where the head is in an array.
    max_steps : int
        Longest utterance, 1 to 65536 steps: sizes the head's sums and the memories of an utterance. Bounds nothing with
        the readout ``"step"`` where no layer has two directions.

    Raises
    ------
    SpecificationError
        For a parameter out of range, or layers that do not fit each other; names the layer.
    """

    layers: tuple[Layer, ...]
    classes: int = declared("outputs of the head", 1, 1 << 12)
    readout: str = _head("readout", default="mean")
    head: str = declared(
        "where the head's matrix is: digital or array",
        default="digital",
        choices=("digital", "array"),
        neutral="digital",
    )
    head_weight_bits: int = _head("head_weight_bits", default=8)
    max_steps: int = _head("max_steps", default=1024)

    def __post_init__(self):
        check(self, SpecificationError)
        layers = self.layers
        if not isinstance(layers, list | tuple) or not all(isinstance(layer, Layer) for layer in layers):
            raise SpecificationError(f"layers is {layers!r:.80}; give a tuple of Layer, the first takes x")
        if not 1 <= len(layers) <= LAYERS_MAX:
            raise SpecificationError(f"there are {len(layers)} layers; a network has 1 to {LAYERS_MAX}")
        object.__setattr__(self, "layers", tuple(layers))
        for number, layer in enumerate(self.layers):
            self._check_layer(number, layer)
        self._check_keeping()
        if self.head_in_array:
            self._check_head()

    def _check_head(self):
        last = len(self.layers) - 1
        if self.layers[last].bidirectional or self.hidden != self.classes:
            ways = "two directions" if self.layers[last].bidirectional else "one direction"
            raise SpecificationError(
                f"head is 'array', so the last layer gives the {self.classes} logits; layer {last} has {ways} and "
                f"gives {self.hidden} codes a step: add a dense layer of {self.classes} units, or set head to 'digital'"
            )
        if self.head_weight_bits != _DEFAULTS["head_weight_bits"]:
            raise SpecificationError(f"head_weight_bits is {self.head_weight_bits}, but head is 'array'; leave it out")

    def _check_layer(self, number: int, layer: Layer):
        macro, before = layer.macro, self.layers[number - 1] if number else None
        if not isinstance(layer.bidirectional, bool):
            raise SpecificationError(f"layer {number}: bidirectional is {layer.bidirectional!r}; give true or false")
        for name in _of_network(macro):
            default = 0 if name == "classes" else _DEFAULTS[name]
            if getattr(macro, name) != default:
                raise SpecificationError(
                    f"layer {number}: {name} is {getattr(macro, name)!r}; the head belongs to the network: leave it out"
                )
        if before is not None and macro.inputs != before.outputs:
            raise SpecificationError(
                f"layer {number} has {macro.inputs} inputs, but layer {number - 1} gives {before.outputs} codes a "
                f"step; set its inputs to {before.outputs}"
            )
        if before is not None and macro.input_bits != before.macro.input_bits:
            raise SpecificationError(
                f"layer {number} has input_bits {macro.input_bits}, but layer {number - 1} has "
                f"{before.macro.input_bits}: codes pass from layer to layer as they are; give both the same"
            )

    def _check_keeping(self):
        """SpecificationError for layers of which some keep their state, or that cannot all keep it."""
        macros = [layer.macro for layer in self.layers]
        kept = {number: macro.keeps_state for number, macro in enumerate(macros) if macro.base_cell.has_state}
        if not any(kept.values()):
            return
        for number, keeps in kept.items():
            if not keeps:
                first = next(other for other, value in kept.items() if value)
                raise SpecificationError(
                    f"layer {number}: keeps_state is 0, but that of layer {first} is 1; give all layers with a state "
                    "the same"
                )
        for number, layer in enumerate(self.layers):
            if layer.bidirectional:
                raise SpecificationError(
                    f"layer {number} has two directions, and the backward one begins at the end of an utterance, so "
                    "no state goes on from it; leave keeps_state out"
                )

    # ---- macros and sizes -----------------------------------------------------------------------------------------

    @cached_property
    def macros(self) -> dict[str, Specification]:
        """The macros by their names, in the order of the layers: ``layer0``, ``layer1_forward``, ``layer1_backward``.

        Behind each the macro of its projection, where that is in an array: ``layer0_projection``, and those of its
        partial sums: ``layer0_partial0``, ... Names begin the names of ports, logs and arrays.
        """
        found = {}
        for number, layer in enumerate(self.layers):
            for name in self.names_of(number):
                found[name] = layer.macro
                if layer.macro.projection_macro is not None:
                    found[projection_name(name)] = layer.macro.projection_macro
                found |= {f"{name}_{one}": tile for one, tile in row_tiles_of(layer.macro).items()}
        return found

    def names_of(self, number: int) -> tuple[str, ...]:
        """The names of a layer's cells, the forward one first."""
        return tuple(f"layer{number}{direction}" for direction in self.layers[number].directions)

    @property
    def head_in_array(self) -> bool:
        """Whether the last layer is the head, so that there are no weights of one."""
        return self.head == "array"

    def passes_groups(self, number: int) -> bool:
        """Whether a layer takes the h stream of the layer before as it is: between layers of one direction."""
        return number > 0 and not (self.layers[number - 1].bidirectional or self.layers[number].bidirectional)

    @cached_property
    def x_lanes(self) -> dict[str, int]:
        """Codes that each macro loads in a clock, by its name."""
        found = {}
        for number, layer in enumerate(self.layers):
            for name in self.names_of(number):
                found[name] = self.layers[number - 1].last.lanes if self.passes_groups(number) else 1
                found[projection_name(name)] = layer.macro.lanes
                found |= {f"{name}_{one.name}": found[name] for one in layer.macro.row_sums}
        return found

    @property
    def bidirectional(self) -> bool:
        """Whether any layer has two directions."""
        return any(layer.bidirectional for layer in self.layers)

    @property
    def leading(self) -> int:
        """How many layers are in front of the first one of two directions: those that take each step as it comes."""
        ways = [layer.bidirectional for layer in self.layers]
        return ways.index(True) if True in ways else len(ways)

    @property
    def inputs(self) -> int:
        """Codes of one input vector."""
        return self.layers[0].macro.inputs

    @property
    def hidden(self) -> int:
        """Codes that the head sees in a step."""
        return self.layers[-1].outputs

    @property
    def streamed(self) -> int:
        """Codes of the h stream in a step: what the head sees."""
        return self.hidden

    @property
    def lanes(self) -> int:
        """Codes of h that the head takes in one clock: those of the last layer; one where it has two directions."""
        return 1 if self.layers[-1].bidirectional else self.layers[-1].last.lanes

    @property
    def input_bits(self) -> int:
        """Bits of every pulse code of x and h."""
        return self.layers[0].macro.input_bits

    @property
    def input_max(self) -> int:
        """Full-scale pulse code of x and h."""
        return self.layers[0].macro.input_max

    @property
    def most_steps(self) -> int | None:
        """The longest utterance, or None where nothing bounds it."""
        return None if self.readout == "step" and not self.bidirectional else self.max_steps

    @property
    def initial(self) -> str:
        """What utterances start from: ``"stream"``, or else ``"constant"``, where any layer does; ``"zero"``."""
        found = {layer.macro.initial for layer in self.layers}
        return next(name for name in ("stream", "constant", "zero") if name in found)

    @property
    def keeps_state(self) -> int:
        """Whether an utterance may go on from the one before: 1 where the layers keep their states."""
        return max(layer.macro.keeps_state for layer in self.layers)

    @property
    def load_clocks(self) -> int:
        """Clocks that the slowest macro takes to load its state, once an utterance."""
        return max(macro.load_clocks for macro in self.macros.values())

    def silent_steps(self, steps: int) -> int:
        """Most steps in which nothing enters or leaves the network, in utterances of ``steps`` steps.

        One a layer; of layers of two directions, and of all behind one, the whole utterance.
        """
        return len(self.layers) * (steps if self.bidirectional else 1)

    @property
    def devices(self) -> dict[str, int]:
        """Memristors of all macros by use."""
        found: dict[str, int] = {}
        for macro in self.macros.values():
            for use, count in macro.devices.items():
                found[use] = found.get(use, 0) + count
        return found

    @property
    def analog_clocks_per_step(self) -> int:
        """Clocks that no periphery can avoid: the array phases of the slowest layer, since all work at once."""
        return max(layer.macro.analog_clocks_per_step for layer in self.layers)

    @property
    def clocks_per_step(self) -> int:
        """Of ``rtl.layers.layered_top.LayeredTop``, one step of a running utterance: that of the slowest layer.

        Each macro's clocks, but never less than those in which it loads its ``inputs``: one code a clock, or as many as
        leave the layer before (:attr:`x_lanes`). Partial sums of inputs alone are made while the step before runs, once
        its x has been taken; where that takes longer than a step, every other step takes as long. Where the last layer
        has two directions never less than ``hidden``, since the head takes one code per clock then; with the readout
        ``"step"`` never less than ``head_clocks``. Every layer takes x in time, and all outputs are taken at once.
        """
        macros, lanes = self.macros, self.x_lanes
        cells = [name for number in range(len(self.layers)) for name in self.names_of(number)]
        loads = {name: -(-macros[name].inputs // lanes[name]) for name in cells}
        slowest = max(max(macros[name].macro_clocks, loads[name]) for name in cells)
        for name in cells:
            if any(one.needs == "inputs" and one.conversion == 0 for one in macros[name].row_sums):
                slowest = max(slowest, loads[name] + macros[name].sum_macro_clocks)
        head = self.head_clocks if self.readout == "step" else 0
        return max(slowest, head, self.hidden if self.layers[-1].bidirectional else 0)

    # ---- stored forms and hashes ------------------------------------------------------------------------------------

    def replace(self, **changes) -> "NetworkSpecification":
        """A copy with some parameters changed, checked anew."""
        return dataclasses.replace(self, **changes)

    def converting(self, adc_bits: int) -> "NetworkSpecification":
        """A copy with conversions of other bits in every layer, checked anew."""
        layers = (dataclasses.replace(layer, macro=layer.macro.replace(adc_bits=adc_bits)) for layer in self.layers)
        return self.replace(layers=tuple(layers))

    def implemented(self, **changes) -> "NetworkSpecification":
        """A copy with these parameters of the implementation in every layer; of lanes at most as many as units."""

        def changed(layer: Layer) -> Layer:
            own = {name: min(value, layer.macro.units) if name == "lanes" else value for name, value in changes.items()}
            return dataclasses.replace(layer, macro=layer.macro.replace(**own))

        return self.replace(layers=tuple(map(changed, self.layers)))

    def to_dict(self) -> dict:
        """Parameters as plain ints, strings, lists and nested dicts; ``layers`` holds a table for each layer."""
        head = {name: getattr(self, name) for name, said in declarations(type(self)) if self._written(name, said)}
        return {"format": FORMAT, **head, "layers": [_layer_table(layer) for layer in self.layers]}

    def _written(self, name: str, said: Declaration) -> bool:
        """Whether a parameter is in :meth:`to_dict`: unless it is neutral, or the head has no use for it."""
        if name == "head_weight_bits" and self.head_in_array:
            return False
        return said.neutral is None or getattr(self, name) != said.neutral

    @classmethod
    def from_dict(cls, content: Mapping) -> "NetworkSpecification":
        """The network that :meth:`to_dict` described; SpecificationError for unknown or missing names."""
        content = dict(content)
        if (stated := content.pop("format", FORMAT)) != FORMAT:
            raise SpecificationError(f"format is {stated!r}; networks of several layers have {FORMAT}")
        tables = content.pop("layers")
        if not isinstance(tables, list | tuple) or not all(isinstance(table, Mapping) for table in tables):
            raise SpecificationError(f"layers is {tables!r:.80}; expected a table for each layer")
        known = [name for name, _ in declarations(cls)]
        for name in content:
            if name not in known:
                raise SpecificationError(
                    f"unknown parameter {name!r} of the network; known: {', '.join(known)}, and those of a layer in "
                    "its table of layers"
                )
        if "classes" not in content:
            raise SpecificationError("parameter 'classes' is missing")
        return cls(layers=tuple(_layer(number, dict(table)) for number, table in enumerate(tables)), **content)

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits that change with any parameter on which answers depend, and with nothing else."""
        content = self.to_dict()
        for table in content["layers"]:
            for name, _ in declarations(ImplementationParameters):
                table.pop(name, None)
        return _hash(content)

    @cached_property
    def hardware_hash(self) -> str:
        """16 hex digits that change with any parameter, implementation included: what identifies generated hardware."""
        return _hash(self.to_dict())

    @property
    def hashes(self) -> str:
        """The content hash as files about generated hardware show it, with the hardware hash."""
        return f"{self.content_hash}, hardware {self.hardware_hash}"


def projection_name(macro: str) -> str:
    """The name of the macro that projects the h of another one."""
    return f"{macro}_projection"


AnySpecification = Specification | NetworkSpecification
"""That of one macro and its head, or of a network of several layers."""

_DEFAULTS = {field.name: field.default for field in dataclasses.fields(NetworkParameters)}


def _of_network(macro: Specification) -> tuple[str, ...]:
    """What in a layer belongs to the network: the weights of a head have bits, and so have those of a projection."""
    return _OF_NETWORK if macro.projection else (*_OF_NETWORK, "head_weight_bits")


def _layer_table(layer: Layer) -> dict:
    table = layer.macro.to_dict()
    for name in ("format", *_of_network(layer.macro)):
        del table[name]
    return ({"bidirectional": True} if layer.bidirectional else {}) | table


def _layer(number: int, table: dict) -> Layer:
    bidirectional = table.pop("bidirectional", False)
    for name in ("format", *_OF_NETWORK):
        if name in table:
            raise SpecificationError(f"layer {number}: {name} belongs to the network; leave it out of the layer")
    try:
        macro = Specification.from_dict({"format": FORMAT, "classes": 0} | table)
    except SpecificationError as error:
        raise SpecificationError(f"layer {number}: {error}") from None
    return Layer(macro=macro, bidirectional=bidirectional)


def _hash(content: dict) -> str:
    return content_hash(json.dumps(_exact(content), sort_keys=True, separators=(",", ":")))


def _exact(value):
    """The same with floats as text that holds every bit."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {key: _exact(one) for key, one in value.items()}
    return [_exact(one) for one in value] if isinstance(value, list) else value


def specification_from(content: Mapping) -> AnySpecification:
    """The specification that a dict describes: of one macro, or, if it has ``layers``, of a network of several.

    Raises
    ------
    SpecificationError
        For unknown, missing or illegal parameters.
    """
    if isinstance(content, Mapping) and "layers" in content:
        return NetworkSpecification.from_dict(content)
    return Specification.from_dict(content)
