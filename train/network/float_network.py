# SPDX-License-Identifier: Apache-2.0
"""The network before quantization: `torch.nn.LSTM`, a linear head on the mean, the last or each of its hidden states.

Its weights are held within the real ranges that the crossbar will have, so that the quantized network starts
close to it.
"""

from __future__ import annotations

import torch
from crossramp.golden.cell.library import LSTM
from crossramp.golden.spec.specification import Specification
from torch import Tensor, nn

from .alphabet import Alphabet
from .sequence import State

__all__ = ["FloatNetwork"]


class FloatNetwork(nn.Module):
    """An LSTM classifier in float arithmetic.

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
        units = spec.units
        self.lstm = nn.LSTM(spec.inputs, units, batch_first=True, proj_size=spec.projection)
        self.head = nn.Linear(spec.hidden, spec.classes)
        self.projected = spec.projection > 0
        self.readout = spec.readout
        # Bank g's range differs by a rounding that depends on resolutions; one float network may serve them all.
        self.register_buffer("limit", torch.full((spec.columns, 1), spec.gates[0].weight_range))
        # torch has two bias vectors; together they may be what all bias rows can add up to.
        self.register_buffer("bias_limit", self.limit[:, 0] * (spec.bias_rows / 2))
        with torch.no_grad():
            # A forget gate that starts open learns long spans sooner.
            self.lstm.bias_ih_l0[spec.bank("f")].fill_(0.5)
            self.lstm.bias_hh_l0[spec.bank("f")].fill_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of :meth:`run`, from a state reset."""
        return self.run(x)[0]

    def run(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits, and the state after the last step, in which nothing is differentiated.

        Parameters
        ----------
        x : tensor
            Real inputs in [-1, 1], shape (batch, steps, inputs); with an alphabet, symbols' places, int64, shape
            (batch, steps).
        state : State or None
            Before the first step; None: zeros.

        Returns
        -------
        (logits, state)
            logits: shape (batch, classes), with the readout ``"step"`` (batch, steps, classes).
        """
        values = x if self.alphabet is None else self.alphabet(x)
        if self.projected:
            hidden, state = self._projected(values, state)
        else:
            before = None if state is None else (state[1][None], state[0][None])  # torch's order is h, c
            hidden, (h, c) = self.lstm(values, before)
            state = c[0].detach(), h[0].detach()
        seen = {"mean": lambda: hidden.mean(1), "last": lambda: hidden[:, -1], "step": lambda: hidden}[self.readout]()
        return self.head(seen), state

    def _projected(self, values: Tensor, state: State | None) -> tuple[Tensor, State]:
        """What torch's own LSTM with a projection computes, but that it saturates at ±1, as pulse codes do."""
        lstm, batch = self.lstm, len(values)
        if state is None:
            state = values.new_zeros(batch, lstm.hidden_size), values.new_zeros(batch, lstm.proj_size)
        (c, h), out = state, []
        drives = nn.functional.linear(values, lstm.weight_ih_l0, lstm.bias_ih_l0 + lstm.bias_hh_l0)
        for drive in drives.unbind(1):
            i, f, g, o = torch.addmm(drive, h, lstm.weight_hh_l0.t()).chunk(len(LSTM.gates), 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = nn.functional.linear(o.sigmoid() * c.tanh(), lstm.weight_hr_l0).clamp(-1, 1)
            out.append(h)
        return torch.stack(out, 1), (c.detach(), h.detach())

    @torch.no_grad()
    def limit_weights(self) -> None:
        """Clips every weight to what the crossbar can hold."""
        for weight in (self.lstm.weight_ih_l0, self.lstm.weight_hh_l0):
            torch.minimum(torch.maximum(weight, -self.limit), self.limit, out=weight)
        for bias in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
            torch.minimum(torch.maximum(bias, -self.bias_limit), self.bias_limit, out=bias)
        if self.projected:
            self.lstm.weight_hr_l0.clamp_(-1, 1)
        if self.alphabet is not None:
            self.alphabet.limit()
