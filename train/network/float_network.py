# SPDX-License-Identifier: Apache-2.0
"""The network before quantization: a cell in float, a linear head on the mean, the last or each of its hidden states.

An LSTM is `torch.nn.LSTM`, which is fast; :mod:`.float_cell` runs every other cell by its description.
Its weights are held within the real ranges that the crossbar will have, so that the quantized network starts
close to it.
"""

from __future__ import annotations

import torch
from crossramp.golden.cell.library import LSTM
from crossramp.golden.spec.specification import Specification
from torch import Tensor, nn

from .alphabet import Alphabet
from .float_cell import FloatCell, MacroWeights, State, run_cell

__all__ = ["FloatNetwork"]


class FloatNetwork(nn.Module):
    """A classifier in float arithmetic.

    Parameters
    ----------
    spec : Specification
        Of the crossbar that the network is meant for: widths, weight ranges and readout count, resolutions do not.
    alphabet : Alphabet or None
        Where the network reads symbols: what each is to it.
    """

    def __init__(self, spec: Specification, alphabet: Alphabet | None = None) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.spec = spec
        self.lstm = self.cell = None
        if spec.layout == LSTM:
            self.lstm = nn.LSTM(spec.inputs, spec.units, batch_first=True, proj_size=spec.projection)
        else:
            self.cell = FloatCell(spec)
        self.initial_register = nn.Parameter(torch.zeros(spec.units)) if spec.constant_register else None
        self.initial_h = nn.Parameter(torch.zeros(spec.hidden)) if spec.constant_h else None
        self.head = nn.Linear(spec.hidden, spec.classes)
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
    def macro_weights(self) -> MacroWeights:
        """The weights of the cell where the macro has them."""
        if self.lstm is None:
            return self.cell.weights
        lstm = self.lstm
        rows = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], dim=1).t()
        projection = lstm.weight_hr_l0 if self.spec.projection else None
        return MacroWeights(rows, lstm.bias_ih_l0 + lstm.bias_hh_l0, None, projection)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of :meth:`run`, from where utterances start."""
        return self.run(x)[0]

    def run(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits, and the state after the last step, in which nothing is differentiated.

        Parameters
        ----------
        x : tensor
            Real inputs in [-1, 1], shape (batch, steps, inputs); with an alphabet, symbols' places, int64, shape
            (batch, steps).
        state : State or None
            Before the first step; None: where utterances start, zeros or trained values.

        Returns
        -------
        (logits, state)
            logits: shape (batch, classes), with the readout ``"step"`` (batch, steps, classes).
        """
        values = x if self.alphabet is None else self.alphabet(x)
        state = self._start(len(x)) if state is None else state
        if self.lstm is None or self.spec.projection:  # torch's own projection does not saturate, as pulse codes do
            hidden, state = run_cell(self.spec, values, self.macro_weights, state)
        else:
            before = None if state is None else tuple(part[None].contiguous() for part in (state[1], state[0]))  # h, c
            hidden, (h, c) = self.lstm(values, before)
            state = c[0].detach(), h[0].detach()
        seen = {"mean": lambda: hidden.mean(1), "last": lambda: hidden[:, -1], "step": lambda: hidden}
        seen = seen[self.spec.readout]()
        return self.head(seen), state

    def _start(self, batch: int) -> State | None:
        """The register and h before the first step; None: zeros."""
        if not self.spec.loads_state:
            return None
        given = (self.initial_register, self.spec.units), (self.initial_h, self.spec.hidden)
        register, h = (self.head.weight.new_zeros(size) if part is None else part for part, size in given)
        return register.expand(batch, -1), h.expand(batch, -1)

    @torch.no_grad()
    def limit_weights(self) -> None:
        """Clips every weight to what the crossbar can hold."""
        if self.lstm is None:
            self.cell.limit(self.limit[:, 0])
        else:
            for weight in (self.lstm.weight_ih_l0, self.lstm.weight_hh_l0):
                torch.minimum(torch.maximum(weight, -self.limit), self.limit, out=weight)
            for bias in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
                torch.minimum(torch.maximum(bias, -self.bias_limit), self.bias_limit, out=bias)
            if self.spec.projection:
                self.lstm.weight_hr_l0.clamp_(-1, 1)
        if self.initial_register is not None:
            self.initial_register.clamp_(-self.spec.state_limit, self.spec.state_limit)
        if self.initial_h is not None:
            self.initial_h.clamp_(-1, 1)
        if self.alphabet is not None:
            self.alphabet.limit()
