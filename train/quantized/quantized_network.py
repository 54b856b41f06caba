# SPDX-License-Identifier: Apache-2.0
"""The trainable network in the contract's arithmetic: macros, and a head whose weights are integers."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from crossramp.golden.array.weights import Weights
from crossramp.golden.layers.network_specification import AnySpecification, projection_name
from crossramp.golden.network.layered_weights import LayeredWeights, weights_from
from torch import Tensor, nn

from ..float.alphabet import Alphabet
from ..float.float_cell import State
from ..float.float_network import FloatNetwork
from ..float.layer_order import ARRAY_HEAD_SCALE, macros_of_layers, through_layers, trained_macros
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
        One for each macro of ``spec.macros``, see :mod:`.imperfections`; None: ideal arrays.
    alphabet : Alphabet or None
        Where the network reads symbols: what each is to it.

    Attributes
    ----------
    macros : list of QuantizedMacro
        In the order of :func:`~crossramp.train.float.layer_order.trained_macros`.
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
        drawn = dict(zip(spec.macros, imperfections or [None] * len(spec.macros), strict=True))
        self.macros = nn.ModuleList(
            QuantizedMacro(macro, drawn[name], drawn.get(projection_name(name)))
            for name, macro in trained_macros(spec).items()
        )
        self.head_weight = self.head_bias = None  # where the last layer's array gives the logits
        levels = 1 / ARRAY_HEAD_SCALE if spec.head_in_array else spec.head_weight_max / head_range
        self.register_buffer("head_levels_per_one", torch.tensor(levels))
        if not spec.head_in_array:
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
        widest = 1.0 if network.head is None else max(part.abs().max().item() for part in network.head.parameters())
        quantized = cls(spec, 1.25 * widest, imperfections, copy.deepcopy(network.alphabet))
        for macro, found in zip(quantized.macros, network.macros, strict=True):
            macro.start_at(found)
        if network.head is not None:
            with torch.no_grad():
                quantized.head_weight.copy_(network.head.weight)
                quantized.head_bias.copy_(network.head.bias)
        return quantized

    @property
    def imperfections(self) -> list[Imperfections]:
        """Those of each macro, in the order of ``spec.macros``."""
        return [part.imperfections for macro in self.macros for part in (macro, macro.projecting) if part is not None]

    def head_levels(self) -> tuple[Tensor, Tensor]:
        """Integer weights, shape (classes, hidden), and biases, shape (classes,), of a digital head."""
        spec = self.spec
        weight = (self.head_weight * self.head_levels_per_one).clamp(-spec.head_weight_max, spec.head_weight_max)
        bias = self.head_bias * self.head_levels_per_one * spec.input_max
        return round_through(weight), round_through(bias.clamp(-spec.head_bias_max, spec.head_bias_max))

    @torch.no_grad()
    def weights(self) -> Weights | LayeredWeights:
        """The integers of the golden model, as this network computes with them."""
        arrays, macros = {}, dict(zip(trained_macros(self.spec), self.macros, strict=True))
        macros |= {projection_name(name): macro.projecting for name, macro in macros.items() if macro.projecting}
        for name, macro in macros.items():
            arrays |= {
                f"{name}.{array}" if name else array: levels for array, levels in macro.weights().arrays().items()
            }
        if self.head_weight is not None:
            weight, bias = map(integers, self.head_levels())
            arrays |= {"head_weights": weight, "head_biases": bias}
        return weights_from(self.spec, arrays).checked(self.spec)

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
        spec, names = self.spec, list(trained_macros(self.spec))
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
                if kept.projected is not None:
                    traces[projection_name(names[number])] = kept.projected
            return hidden

        hidden = through_layers(spec, x.transpose(0, 1), run_macro, steps_axis=0)
        seen = {"mean": lambda: hidden.sum(0), "last": lambda: hidden[-1], "step": lambda: hidden.transpose(0, 1)}
        logits = seen[spec.readout]().to(self.head_dtype)
        if self.head_weight is not None:
            weight, bias = (tensor.to(self.head_dtype) for tensor in self.head_levels())
            logits = logits @ weight.t() + (bias * len(hidden) if spec.readout == "mean" else bias)
        return logits, tuple(ends), traces

    @torch.no_grad()
    def limit_weights(self) -> None:
        """Clips the master weights to what their codes can say, so that none drifts out of its gradient's reach."""
        for macro in self.macros:
            macro.limit_weights()
        if self.head_weight is not None:
            head_reach = (self.spec.head_weight_max / self.head_levels_per_one).item()
            self.head_weight.clamp_(-head_reach, head_reach)
            self.head_bias.clamp_(-head_reach, head_reach)
        if self.alphabet is not None:
            self.alphabet.limit()
