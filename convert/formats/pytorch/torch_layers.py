# SPDX-License-Identifier: Apache-2.0
"""From the arrays of a layer of torch.nn.LSTM, GRU or RNN to float layers."""

from collections.abc import Mapping

import numpy as np
from crossramp.golden.cell.torch_weights import TORCH_GATES, torch_weights
from crossramp.golden.common.errors import InvalidValue

from ...float_network.float_layer import FloatLayer

#: The arrays of one layer in one direction, in torch's order; biases and the projection may be missing.
ARRAYS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def torch_layer(
    cell: str,
    arrays: Mapping[str, np.ndarray],
    name: str,
    reverse: bool = False,
    start: Mapping[str, np.ndarray | None] | None = None,
) -> FloatLayer:
    """One direction of one layer.

    Parameters
    ----------
    cell : str
        A key of :data:`crossramp.golden.cell.torch_weights.TORCH_GATES`.
    arrays : mapping of array
        By the names :data:`ARRAYS`, in torch's shapes.
    name : str
        What errors call the layer.
    start : mapping, or None
        ``initial_register`` and ``initial_h`` of the layer.

    Raises
    ------
    InvalidValue
        From :class:`.FloatLayer` and :func:`crossramp.golden.cell.torch_weights.torch_weights`; names the layer.
    """
    weights = ("weight_ih", "weight_hh")
    for array in weights:
        if array not in arrays:
            raise InvalidValue(f"layer {name!r}: {array} is missing; export all weights of the layer")
        if np.ndim(arrays[array]) != 2:
            raise InvalidValue(
                f"layer {name!r}: {array} has the shape {np.shape(arrays[array])}; expected 2 dimensions"
            )
    if ("bias_ih" in arrays) != ("bias_hh" in arrays):
        raise InvalidValue(f"layer {name!r}: only one of bias_ih and bias_hh is given; export both, or none")
    try:
        found = torch_weights(cell, *(arrays.get(array) for array in ARRAYS[:4]))
    except InvalidValue as error:
        raise InvalidValue(f"layer {name!r}: {error}") from None
    return FloatLayer(cell, found, projection=arrays.get("weight_hr"), reverse=reverse, name=name, **(start or {}))


def cell_of_shapes(arrays: Mapping[str, np.ndarray], nonlinearity: str | None, name: str) -> str:
    """The cell whose arrays have these shapes.

    Parameters
    ----------
    nonlinearity : ``"tanh"``, ``"relu"`` or None
        Of a layer of one gate, whose shapes do not tell it.

    Raises
    ------
    InvalidValue
        If none has them, or if the nonlinearity of an RNN is not given.
    """
    recurrent = np.shape(arrays["weight_hh"])
    units = np.shape(arrays["weight_hr"])[-1] if "weight_hr" in arrays else recurrent[-1]
    gates = {len(banks): cell for cell, banks in TORCH_GATES.items() if len(banks) > 1}
    count, rest = divmod(recurrent[0], units) if units else (0, 0)
    if rest or count not in {1, *gates}:
        raise InvalidValue(
            f"layer {name!r}: weight_hh has the shape {recurrent}, which neither an LSTM, a GRU nor an RNN has; "
            "export a layer of torch.nn"
        )
    if count in gates:
        return gates[count]
    if nonlinearity is None:
        raise InvalidValue(
            f"layer {name!r}: an RNN, of which a state_dict does not say the nonlinearity; "
            "give nonlinearity='tanh' or 'relu', or export with torch.export"
        )
    return f"rnn_{nonlinearity}"
