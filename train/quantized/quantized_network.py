# SPDX-License-Identifier: Apache-2.0
"""The trainable network in the contract's arithmetic: macros, and a head whose weights are integers."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from crossramp.golden.array.weights import Weights
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.network.layered_weights import LayeredWeights, weights_from
from torch import Tensor, nn

from ..float.alphabet import Alphabet
from ..float.float_cell import State
from ..float.float_network import FloatNetwork
from ..float.layer_order import macros_of_layers, through_layers, trained_macros
from ..float.rounding import integers, round_through
from .imperfections import Imperfections
from .quantized_macro import QuantizedMacro
from .sequence import Trace

__all__ = ["QuantizedNetwork"]


class QuantizedNetwork(nn.Module):
    """Macros of any cells and a dense head; each forward pass rounds the master weights and computes in integers.

    Parameters
    ----------
    spec : Specification or NetworkSpecification
    head_range : float
        Real value of a full-scale weight of the head: only scales the training loss, never the answer.
    imperfections : sequence of Imperfections, or None
        One for each macro, see :mod:`.imperfections`; None: ideal arrays.
    alphabet : Alphabet or None
        Where the network reads symbols: what each is to it.

    Attributes
    ----------
    macros : list of QuantizedMacro
        In the order of ``spec.macros``.
    """

    def __init__(
        self,
        spec: AnySpecification,
        head_range: float = 4.0,
        imperfections: Sequence[Imperfections] | None = None,
        alphabet: Alphabet | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        macros = trained_macros(spec)
        drawn = imperfections or [None] * len(macros)
        self.macros = nn.ModuleList(QuantizedMacro(*given) for given in zip(macros, drawn, strict=True))
        self.register_buffer("head_levels_per_one", torch.tensor(spec.head_weight_max / head_range))
        self.head_weight = nn.Parameter(torch.empty(spec.classes, spec.hidden).uniform_(-1, 1))
        self.head_bias = nn.Parameter(torch.zeros(spec.classes))
        self.alphabet = alphabet
        # Sums over many steps may pass 2**24.
        self.head_dtype = torch.float32 if spec.readout == "step" and spec.logit_max < 1 << 24 else torch.float64

    @classmethod
    def from_float(
        cls, network: FloatNetwork, spec: AnySpecification, imperfections: Sequence[Imperfections] | None = None
    ) -> QuantizedNetwork:
        """A quantized network that starts at the float network's weights."""
        widest = max(network.head.weight.abs().max().item(), network.head.bias.abs().max().item())
        quantized = cls(spec, 1.25 * widest, imperfections, copy.deepcopy(network.alphabet))
        for macro, found in zip(quantized.macros, network.macros, strict=True):
            macro.start_at(found)
        with torch.no_grad():
            quantized.head_weight.copy_(network.head.weight)
            quantized.head_bias.copy_(network.head.bias)
        return quantized

    @property
    def imperfections(self) -> list[Imperfections]:
        """Those of each macro."""
        return [macro.imperfections for macro in self.macros]

    def head_levels(self) -> tuple[Tensor, Tensor]:
        """Integer weights, shape (classes, hidden), and biases, shape (classes,), of the head."""
        spec = self.spec
        weight = (self.head_weight * self.head_levels_per_one).clamp(-spec.head_weight_max, spec.head_weight_max)
        bias = self.head_bias * self.head_levels_per_one * spec.input_max
        return round_through(weight), round_through(bias.clamp(-spec.head_bias_max, spec.head_bias_max))

    @torch.no_grad()
    def weights(self) -> Weights | LayeredWeights:
        """The integers of the golden model, as this network computes with them."""
        arrays = {}
        for name, macro in zip(self.spec.macros, self.macros, strict=True):
            arrays |= {
                f"{name}.{array}" if name else array: levels for array, levels in macro.weights().arrays().items()
            }
        weight, bias = map(integers, self.head_levels())
        return weights_from(self.spec, arrays | {"head_weights": weight, "head_biases": bias}).checked(self.spec)

    def forward(self, x: Tensor) -> Tensor:
        """Real logits of :meth:`run`, from where utterances start."""
        return self.run(x)[0]

    def run(self, x: Tensor, states: tuple[State, ...] | None = None) -> tuple[Tensor, tuple[State, ...]]:
        """Real logits, and the state of each macro after its last step.

        Parameters
        ----------
        x : tensor
            Pulse codes, shape (batch, steps, inputs); with an alphabet, symbols' places, int64, shape (batch, steps).
        states : tuple of State, or None
            Before the first step; None: where utterances start.

        Returns
        -------
        (logits, states)
            logits: shape (batch, classes), with the readout ``"step"`` (batch, steps, classes).
        """
        logits, states, _ = self.integer_logits(x, states=states)
        per_step = x.shape[1] if self.spec.readout == "mean" else 1
        return logits.float() / (per_step * self.spec.input_max * self.head_levels_per_one), states

    @property
    def logit_scale(self) -> float:
        """Real logit of an integer one of a single step."""
        return 1 / (self.spec.input_max * self.head_levels_per_one.item())

    def integer_logits(
        self, x: Tensor, trace: bool = False, states: tuple[State, ...] | None = None
    ) -> tuple[Tensor, tuple[State, ...], dict[str, Trace]]:
        """Integer logits, the states after the last step, and, if asked for, the traces of the macros by their names.

        ``x`` as in :meth:`run`; the trace of a backward macro is in the order of its own steps.
        """
        spec, names = self.spec, list(self.spec.macros)
        table = None if self.alphabet is None else self.alphabet.codes(spec.input_max)
        reading = macros_of_layers(spec)[0]  # macros, of the first layer
        ends: list[State] = []
        traces: dict[str, Trace] = {}

        def run_macro(number: int, values: Tensor) -> Tensor:
            symbols, state = table if number < reading else None, None if states is None else states[number]
            hidden, end, kept = self.macros[number].run(values, symbols, state, trace)
            ends.append(end)
            if trace:
                traces[names[number]] = kept
            return hidden

        hidden = through_layers(spec, x.transpose(0, 1), run_macro, steps_axis=0)
        weight, bias = (tensor.to(self.head_dtype) for tensor in self.head_levels())
        if spec.readout == "mean":
            seen, bias = hidden.sum(0), bias * len(hidden)
        else:
            seen = hidden[-1] if spec.readout == "last" else hidden.transpose(0, 1)
        return seen.to(self.head_dtype) @ weight.t() + bias, tuple(ends), traces

    @torch.no_grad()
    def limit_weights(self) -> None:
        """Clips the master weights to what their codes can say, so that none drifts out of its gradient's reach."""
        for macro in self.macros:
            macro.limit_weights()
        head_reach = (self.spec.head_weight_max / self.head_levels_per_one).item()
        self.head_weight.clamp_(-head_reach, head_reach)
        self.head_bias.clamp_(-head_reach, head_reach)
        if self.alphabet is not None:
            self.alphabet.limit()
