# SPDX-License-Identifier: Apache-2.0
"""The network before quantization: `torch.nn.LSTM`, the mean (or last) of its hidden states, a linear head.

Its weights are held within the real ranges that the crossbar will have, so that the quantized network starts
close to it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..golden.specification import Specification

__all__ = ["FloatNetwork"]


class FloatNetwork(nn.Module):
    """An LSTM classifier in float arithmetic.

    Parameters
    ----------
    spec : Specification
        Of the crossbar that the network is meant for: widths, weight ranges and readout count, resolutions do not.
    """

    def __init__(self, spec: Specification) -> None:
        super().__init__()
        units = spec.units
        self.lstm = nn.LSTM(spec.inputs, units, batch_first=True)
        self.head = nn.Linear(units, spec.classes)
        self.readout = spec.readout
        per_gate = torch.tensor([gate.weight_range for gate in spec.gates], dtype=torch.float32)
        self.register_buffer("limit", per_gate.repeat_interleave(units)[:, None])
        # torch has two bias vectors; together they may be what all bias rows can add up to.
        self.register_buffer("bias_limit", self.limit[:, 0] * (spec.bias_rows / 2))
        with torch.no_grad():
            # A forget gate that starts open learns long spans sooner.
            self.lstm.bias_ih_l0[units : 2 * units].fill_(0.5)
            self.lstm.bias_hh_l0[units : 2 * units].fill_(0.5)

    def forward(self, values: Tensor) -> Tensor:
        """Logits, shape (batch, classes), of inputs of shape (batch, steps, inputs) in [-1, 1]."""
        hidden, _ = self.lstm(values)
        return self.head(hidden.mean(1) if self.readout == "mean" else hidden[:, -1])

    @torch.no_grad()
    def limit_weights(self) -> None:
        """Clips every weight to what the crossbar can hold."""
        for weight in (self.lstm.weight_ih_l0, self.lstm.weight_hh_l0):
            torch.minimum(torch.maximum(weight, -self.limit), self.limit, out=weight)
        for bias in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
            torch.minimum(torch.maximum(bias, -self.bias_limit), self.bias_limit, out=bias)
