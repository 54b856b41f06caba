# SPDX-License-Identifier: Apache-2.0
"""The input of a symbol in a network that reads symbols: one input at full scale, or its row of a trained table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .rounding import round_through

__all__ = ["Alphabet"]


class Alphabet(nn.Module):
    """Inputs of each symbol, real in [-1, 1].

    Parameters
    ----------
    symbols : int
    width : int
        Of the trained table; 0: one-hot, an input a symbol.
    """

    def __init__(self, symbols: int, width: int = 0) -> None:
        super().__init__()
        self.trained = width > 0
        if self.trained:
            self.table = nn.Parameter(torch.empty(symbols, width).uniform_(-1, 1))
        else:
            self.register_buffer("table", torch.eye(symbols), persistent=False)

    def forward(self, places: Tensor) -> Tensor:
        """Real inputs of symbols: int64, shape (...) -> float32 (..., inputs)."""
        return nn.functional.embedding(places, self.table)

    def codes(self, input_max: int) -> Tensor:
        """Pulse codes of every symbol, shape (symbols, inputs); gradients pass the rounding."""
        return round_through(self.table.clamp(-1, 1) * input_max)

    @torch.no_grad()
    def limit(self) -> None:
        """Clips a trained table to what pulse codes can say."""
        if self.trained:
            self.table.clamp_(-1, 1)
