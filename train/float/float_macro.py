# SPDX-License-Identifier: Apache-2.0
"""One macro in float: an LSTM is `torch.nn.LSTM`, which is fast; :mod:`.float_cell` runs every other cell.

Its weights are held within the real ranges that the crossbar will have, so that the quantized macro starts close to it.
"""

from __future__ import annotations

import torch
from crossramp.golden.cell.library import LSTM
from crossramp.golden.spec.specification import Specification
from torch import Tensor, nn

from .float_cell import FloatCell, MacroWeights, State, projection_reach, run_cell

__all__ = ["FloatMacro"]


class FloatMacro(nn.Module):
    """A recurrent layer of one direction.

    Parameters
    ----------
    spec : Specification
        Of the macro that the weights are meant for: widths and weight ranges count, resolutions do not.
    """

    def __init__(self, spec: Specification) -> None:
        super().__init__()
        self.spec = spec
        self.lstm = self.cell = None
        if spec.layout == LSTM:
            self.lstm = nn.LSTM(spec.inputs, spec.units, batch_first=True, proj_size=spec.projection)
        else:
            self.cell = FloatCell(spec)
        self.initial_register = nn.Parameter(torch.zeros(spec.units)) if spec.constant_register else None
        self.initial_h = nn.Parameter(torch.zeros(spec.hidden)) if spec.constant_h else None
        # The range of the bank that gives lines their unit differs from the first bank's by a rounding that depends on
        # resolutions; one float network may serve them all.
        named = zip(spec.gate_names, spec.gates, strict=True)
        ranges = [(spec.gates[0] if name == spec.state_gate else gate).weight_range for name, gate in named]
        self.register_buffer("limit", torch.tensor(ranges).repeat_interleave(spec.units)[:, None])
        # torch has two bias vectors; together they may be what all bias rows can add up to.
        self.register_buffer("bias_limit", self.limit[:, 0] * (spec.bias_rows / 2))
        if self.lstm is not None:
            with torch.no_grad():
                # A forget gate that starts open learns long spans sooner.
                self.lstm.bias_ih_l0[spec.bank("f")].fill_(0.5)
                self.lstm.bias_hh_l0[spec.bank("f")].fill_(0.5)

    @property
    def weights(self) -> MacroWeights:
        """The weights of the cell where the macro has them."""
        if self.lstm is None:
            return self.cell.weights
        lstm = self.lstm
        rows = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], dim=1).t()
        projection = lstm.weight_hr_l0 if self.spec.projection else None
        return MacroWeights(rows, lstm.bias_ih_l0 + lstm.bias_hh_l0, None, projection)

    def forward(self, values: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """h of every step, and the state after the last one, in which nothing is differentiated.

        Parameters
        ----------
        values : float tensor, shape (batch, steps, inputs)
            In [-1, 1].
        state : State or None
            Before the first step; None: where utterances start, zeros or trained values.
        """
        state = self._start(values) if state is None else state
        if self.lstm is None or self.spec.projection:  # torch's own projection does not saturate, as pulse codes do
            return run_cell(self.spec, values, self.weights, state)
        before = None if state is None else tuple(part[None].contiguous() for part in (state[1], state[0]))  # h, c
        hidden, (h, c) = self.lstm(values, before)
        return hidden, (c[0].detach(), h[0].detach())

    def _start(self, values: Tensor) -> State | None:
        """The register and h before the first step; None: zeros."""
        if not self.spec.loads_state:
            return None
        given = (self.initial_register, self.spec.units), (self.initial_h, self.spec.hidden)
        register, h = (values.new_zeros(size) if part is None else part for part, size in given)
        return register.expand(len(values), -1), h.expand(len(values), -1)

    @torch.no_grad()
    def limit_weights(self) -> None:
        """Clips every weight to what the crossbar can hold."""
        if self.initial_register is not None:
            self.initial_register.clamp_(-self.spec.state_limit, self.spec.state_limit)
        if self.initial_h is not None:
            self.initial_h.clamp_(-1, 1)
        if self.lstm is None:
            self.cell.limit(self.limit[:, 0])
            return
        for weight in (self.lstm.weight_ih_l0, self.lstm.weight_hh_l0):
            torch.minimum(torch.maximum(weight, -self.limit), self.limit, out=weight)
        for bias in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
            torch.minimum(torch.maximum(bias, -self.bias_limit), self.bias_limit, out=bias)
        if self.spec.projection:
            self.lstm.weight_hr_l0.clamp_(-projection_reach(self.spec), projection_reach(self.spec))
