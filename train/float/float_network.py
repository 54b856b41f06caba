# SPDX-License-Identifier: Apache-2.0
"""The network before quantization: macros in float, and a linear head on the mean, the last or each of its h."""

from __future__ import annotations

import torch
from crossramp.golden.layers.network_specification import AnySpecification
from torch import Tensor, nn

from .alphabet import Alphabet
from .float_cell import State
from .float_macro import FloatMacro
from .layer_order import ARRAY_HEAD_SCALE, through_layers, trained_macros

__all__ = ["FloatNetwork"]


class FloatNetwork(nn.Module):
    """A classifier in float arithmetic.

    Parameters
    ----------
    spec : Specification or NetworkSpecification
        Of the crossbars that the network is meant for: widths, weight ranges and readout count, resolutions do not.
    alphabet : Alphabet or None
        Where the network reads symbols: what each is to it.

    Attributes
    ----------
    macros : list of FloatMacro
        In the order of :func:`.layer_order.trained_macros`.
    head : Linear or None
        None where the last layer's array gives the logits.
    """

    def __init__(self, spec: AnySpecification, alphabet: Alphabet | None = None) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.spec = spec
        self.macros = nn.ModuleList(FloatMacro(macro) for macro in trained_macros(spec).values())
        self.head = None if spec.head_in_array else nn.Linear(spec.hidden, spec.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of :meth:`run`, from where utterances start."""
        return self.run(x)[0]

    def run(self, x: Tensor, states: tuple[State, ...] | None = None) -> tuple[Tensor, tuple[State, ...]]:
        """Logits, and the state of each macro after its last step, in which nothing is differentiated.

        Parameters
        ----------
        x : tensor
            Real inputs in [-1, 1], shape (batch, steps, inputs); with an alphabet, symbols' places, int64, shape
            (batch, steps).
        states : tuple of State, or None
            Before the first step; None: where utterances start, zeros or trained values.

        Returns
        -------
        (logits, states)
            logits: shape (batch, classes), with the readout ``"step"`` (batch, steps, classes).
        """
        values, ends = x if self.alphabet is None else self.alphabet(x), []

        def run_macro(number: int, values: Tensor) -> Tensor:
            hidden, end = self.macros[number](values, None if states is None else states[number])
            ends.append(end)
            return hidden

        hidden = through_layers(self.spec, values, run_macro, steps_axis=1)
        seen = {"mean": lambda: hidden.mean(1), "last": lambda: hidden[:, -1], "step": lambda: hidden}
        seen = seen[self.spec.readout]()
        return seen * ARRAY_HEAD_SCALE if self.head is None else self.head(seen), tuple(ends)

    @torch.no_grad()
    def limit_weights(self) -> None:
        """Clips every weight to what the crossbars can hold."""
        for macro in self.macros:
            macro.limit_weights()
        if self.alphabet is not None:
            self.alphabet.limit()
