# SPDX-License-Identifier: Apache-2.0
"""Which bank and group of rows each weight of PyTorch's recurrent layers belongs to."""

import numpy as np

from ..common.errors import InvalidValue
from .description import BIAS, INPUT
from .library import CELLS
from .real_cell import Place

#: Of the layers of torch.nn: for each of their gates, in torch's order, the bank of its weight_ih and bias_ih, and that
#: of its weight_hh and bias_hh.
TORCH_GATES = {
    "lstm": (("i", "i"), ("f", "f"), ("g", "g"), ("o", "o")),
    "gru_reset_after": (("r", "r"), ("z", "z"), ("n", "m")),
    "rnn_tanh": (("a", "a"),),
    "rnn_relu": (("a", "a"),),
}


def torch_weights(cell: str, weight_ih, weight_hh, bias_ih=None, bias_hh=None) -> dict[Place, np.ndarray]:
    """Real weights by (bank, group) of a layer of torch.nn.LSTM, GRU or RNN, from its arrays.

    Torch's gates are i, f, g, o of an LSTM and r, z, n of a GRU, whose b_hn and W_hn go to bank m: that GRU is the
    cell ``gru_reset_after``. Both biases of a bank add up.

    Parameters
    ----------
    cell : str
        A key of :data:`TORCH_GATES`.
    weight_ih, weight_hh : arrays, shapes (gates · units, inputs) and (gates · units, hidden)
    bias_ih, bias_hh : arrays, shape (gates · units,), or None
        None: zero.

    Returns
    -------
    dict of float64 array
        Matrices of shape (units, rows of the group), vectors of shape (units,) for the biases that are given.

    Raises
    ------
    InvalidValue
        For a cell that torch.nn lacks, or rows that the gates do not divide.
    """
    gates = TORCH_GATES.get(cell)
    if gates is None:
        raise InvalidValue(f"torch.nn has no layer for the cell {cell}; it has: {', '.join(TORCH_GATES)}")
    found: dict[Place, np.ndarray] = {}
    groups = ((INPUT, weight_ih, bias_ih), (CELLS[cell].output, weight_hh, bias_hh))
    for side, (group, weight, bias) in enumerate(groups):
        for banks, own in zip(gates, _split("weights", weight, len(gates)), strict=True):
            found[banks[side], group] = own
        if bias is not None:
            for banks, own in zip(gates, _split("biases", bias, len(gates)), strict=True):
                found[banks[side], BIAS] = found.get((banks[side], BIAS), 0) + own
    return found


def _split(what: str, values, gates: int) -> list[np.ndarray]:
    values = np.asarray(values, float)
    if values.ndim == 0 or len(values) % gates:
        raise InvalidValue(f"{what} have the shape {values.shape}; expected rows for {gates} gates of equal size")
    return np.split(values, gates)
