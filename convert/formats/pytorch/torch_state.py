# SPDX-License-Identifier: Apache-2.0
"""From a state_dict of PyTorch, or of AIHWKit-Lightning, to a network.

A state_dict has arrays alone: neither the order of the modules, nor what stands between them, nor how h is read out. So
layers count in the order of their names in it, only one linear layer may be in it besides, which is the head, and the
caller says the readout.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from crossramp.golden.common.errors import InvalidValue

from ...float_network.float_layer import FloatLayer
from ...float_network.imported_network import READOUTS, FloatNetwork
from .torch_layers import ARRAYS, cell_of_shapes, torch_layer

_INSTEAD = "export the module with torch.export.save(torch.export.export(module, (x,)), 'net.pt2')"

#: Arrays of torch.nn.LSTM, GRU and RNN, and of their cells, which have no number.
_RECURRENT = re.compile(
    rf"(?:(?P<module>.+)\.)?(?P<array>{'|'.join(ARRAYS)})(?:_l(?P<number>\d+)(?P<reverse>_reverse)?)?"
)
#: Arrays inside an AnalogRNN of AIHWKit-Lightning, if its hook has not renamed them.
_ANALOG = re.compile(
    r"(?P<module>(?:.+\.)?)rnn\.layers\.(?P<number>\d+)(?:\.directions\.(?P<direction>[01]))?"
    r"\.cell\.weight_(?P<side>ih|hh)\.(?P<array>\w+)"
)
#: What AIHWKit-Lightning keeps besides weights: the ranges of its converters. Ramps have their own.
_RANGES = re.compile(
    r"(?:.+\.)?(?:input_range|input_range_update_idx|x_min|x_max|learnable_weight_clip)(?:_(?:ih|hh)_l\d+(?:_reverse)?)?"
)


class _Place(NamedTuple):
    """A layer in one direction; tuples sort by number and direction."""

    number: int
    reverse: bool


def network_of_state(
    state: Mapping[str, np.ndarray], readout: str | None = None, nonlinearity: str | None = None
) -> FloatNetwork:
    """The network of a state_dict.

    Parameters
    ----------
    state : mapping of array
        By the name of each parameter and buffer; torch tensors on the CPU do.
    readout : ``"mean"``, ``"last"`` or ``"step"``
        How h of the last layer is read out (:class:`.FloatNetwork`).
    nonlinearity : ``"tanh"``, ``"relu"`` or None
        Of the layers of torch.nn.RNN; not needed without.

    Raises
    ------
    InvalidValue
        For arrays that do not belong to a recurrent layer or its head, several linear layers, shapes that do not fit,
        and if the readout or the nonlinearity is needed and not given.
    """
    if readout is not None and readout not in READOUTS:
        raise InvalidValue(f"readout is {readout!r}; allowed: {', '.join(READOUTS)}")
    if nonlinearity not in (None, "tanh", "relu"):
        raise InvalidValue(f"nonlinearity is {nonlinearity!r}; allowed: tanh, relu")
    modules, linear, analog = _sorted_out({name: _array(name, value) for name, value in state.items()})
    if not modules:
        raise InvalidValue("the state_dict has no recurrent layer: no name such as weight_ih_l0 is in it; " + _INSTEAD)
    layers = []
    for module, places in modules.items():
        # AnalogVanillaRNNCell has tanh alone.
        layers += _layers_of(module, places, "tanh" if analog else nonlinearity)
    if len(linear) > 1:
        raise InvalidValue(
            f"the state_dict has several linear layers ({', '.join(linear)}) and does not say what is between them; "
            + _INSTEAD
        )
    if readout is None:
        raise InvalidValue(
            "a state_dict does not say how h is read out; give readout='mean', 'last' or 'step', or " + _INSTEAD
        )
    head = next(iter(linear.values()), {})
    return FloatNetwork(layers, head.get("weight"), head.get("bias"), readout)


def _sorted_out(state: Mapping[str, np.ndarray]):
    """By module the arrays of recurrent layers and those of linear ones, and whether analog layers are among them."""
    modules: dict[str, dict[_Place, dict[str, np.ndarray]]] = {}
    linear: dict[str, dict[str, np.ndarray]] = {}
    analog = False
    for name, value in state.items():
        if _RANGES.fullmatch(name):
            analog = True
            continue
        plain = _ANALOG.fullmatch(name)
        if plain:
            analog = True
            back = "_reverse" if plain["direction"] == "1" else ""
            name = f"{plain['module']}{plain['array']}_{plain['side']}_l{plain['number']}{back}"
        match = _RECURRENT.fullmatch(name)
        if match:
            place = _Place(int(match["number"] or 0), match["reverse"] is not None)
            modules.setdefault(match["module"] or "", {}).setdefault(place, {})[match["array"]] = value
            continue
        module, _, array = name.rpartition(".")
        if array not in ("weight", "bias") or value.ndim != {"weight": 2, "bias": 1}[array]:
            raise InvalidValue(
                f"the state_dict has {name!r}, shape {value.shape}, of neither a recurrent nor a linear layer; "
                + _INSTEAD
            )
        linear.setdefault(module, {})[array] = value
    for module, arrays in linear.items():
        if "weight" not in arrays:
            raise InvalidValue(f"the state_dict has a bias of {module!r}, but no weight; {_INSTEAD}")
    return modules, linear, analog


def _layers_of(
    module: str, places: Mapping[_Place, Mapping[str, np.ndarray]], nonlinearity: str | None
) -> list[tuple[FloatLayer, ...]]:
    """The layers of one torch.nn.LSTM, GRU or RNN."""
    both = any(place.reverse for place in places)
    count = max(place.number for place in places) + 1
    layers = []
    for number in range(count):
        directions = []
        for reverse in (False, True)[: 1 + both]:
            name = f"{module}{'.' if module else ''}l{number}{'_reverse' if reverse else ''}"
            arrays = places.get(_Place(number, reverse))
            if arrays is None or "weight_hh" not in arrays:
                raise InvalidValue(
                    f"layer {name!r} is missing in the state_dict, or its weight_hh is; export all layers"
                )
            directions.append(torch_layer(cell_of_shapes(arrays, nonlinearity, name), arrays, name, reverse))
        layers.append(tuple(directions))
    return layers


def _array(name: str, value) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidValue(f"the state_dict's {name!r} is not an array: {str(error).splitlines()[0]}") from None
    if array.dtype.kind not in "fiu":
        raise InvalidValue(f"the state_dict's {name!r} is an array of {array.dtype}; export real numbers")
    return array
