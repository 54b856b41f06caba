# SPDX-License-Identifier: Apache-2.0
"""The trainable network in the contract's arithmetic: real master weights, integer everything else."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..golden.specification import GATES, Specification
from .float_network import FloatNetwork
from .imperfections import Array, Imperfections
from .sequence import ConversionTables, Trace, exact_dtype, run_sequence

__all__ = ["QuantizedNetwork"]


class QuantizedNetwork(nn.Module):
    """LSTM macro and dense head; each forward pass rounds the master weights and computes in integers.

    Parameters
    ----------
    spec : Specification
    head_range : float
        Real value of a full-scale weight of the head: only scales the training loss, never the answer.
    imperfections : Imperfections or None
        See `imperfections`; None is the ideal array.
    """

    def __init__(
        self, spec: Specification, head_range: float = 4.0, imperfections: Imperfections | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.dtype = exact_dtype(spec)
        self.imperfections = imperfections or Imperfections()
        columns, units = spec.columns, spec.units
        levels_per_one = [spec.weight_max / spec.gates[g].weight_range for g in range(len(GATES)) for _ in range(units)]
        self.register_buffer("levels_per_one", torch.tensor(levels_per_one, dtype=torch.float32))
        self.register_buffer("head_levels_per_one", torch.tensor(spec.head_weight_max / head_range))
        bound = 1 / (spec.rows**0.5)
        self.weight = nn.Parameter(torch.empty(spec.inputs + units, columns).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(columns))  # the sum of the bias rows
        self.head_weight = nn.Parameter(torch.empty(spec.classes, units).uniform_(-1, 1))
        self.head_bias = nn.Parameter(torch.zeros(spec.classes))
        self._tables: ConversionTables | None = None

    @classmethod
    def from_float(
        cls, network: FloatNetwork, spec: Specification, imperfections: Imperfections | None = None
    ) -> QuantizedNetwork:
        """A quantized network that starts at the float network's weights."""
        widest = max(network.head.weight.abs().max().item(), network.head.bias.abs().max().item())
        quantized = cls(spec, 1.25 * widest, imperfections)
        lstm = network.lstm
        with torch.no_grad():
            quantized.weight.copy_(torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], dim=1).t())
            quantized.bias.copy_(lstm.bias_ih_l0 + lstm.bias_hh_l0)
            quantized.head_weight.copy_(network.head.weight)
            quantized.head_bias.copy_(network.head.bias)
        return quantized

    def weight_levels(self) -> Tensor:
        """Integer levels of the x and h rows, shape (inputs + units, columns); gradients pass the rounding."""
        return _round_through((self.weight * self.levels_per_one).clamp(-self.spec.weight_max, self.spec.weight_max))

    def bias_levels(self) -> Tensor:
        """Integer levels that the bias rows add up to, shape (columns,)."""
        limit = self.spec.weight_max * self.spec.bias_rows
        return _round_through((self.bias * self.levels_per_one).clamp(-limit, limit))

    def bias_row_levels(self) -> Tensor:
        """The bias split as evenly as integers allow, shape (bias_rows, columns)."""
        rows = self.spec.bias_rows
        total = self.bias_levels().detach()
        size = total.abs()
        share = torch.floor((size + torch.arange(rows)[:, None]) / rows) if rows else size.new_zeros(0, len(size))
        return share * total.sign()

    def head_levels(self) -> tuple[Tensor, Tensor]:
        """Integer weights, shape (classes, units), and biases, shape (classes,), of the head."""
        spec = self.spec
        weight = (self.head_weight * self.head_levels_per_one).clamp(-spec.head_weight_max, spec.head_weight_max)
        bias = self.head_bias * self.head_levels_per_one * spec.input_max
        return _round_through(weight), _round_through(bias.clamp(-spec.head_bias_max, spec.head_bias_max))

    def forward(self, codes: Tensor) -> Tensor:
        """Real logits, shape (batch, classes), of pulse codes of shape (batch, steps, inputs)."""
        logits, steps, _ = self.integer_logits(codes)
        per_step = steps if self.spec.readout == "mean" else 1
        return logits.float() / (per_step * self.spec.input_max * self.head_levels_per_one)

    def integer_logits(self, codes: Tensor, trace: bool = False) -> tuple[Tensor, int, Trace | None]:
        """Integer logits, steps summed over, and the trace if asked for."""
        spec = self.spec
        levels = torch.cat([self.weight_levels(), self._bias_rows_through()]).to(self.dtype)
        array = self.imperfections.draw(levels, self.training)
        x_levels, h_levels, bias = array.weights.split([spec.inputs, spec.units, spec.bias_rows])
        batch, steps, _ = codes.shape
        flat = codes.to(self.dtype).transpose(0, 1).reshape(steps * batch, spec.inputs)
        variance = array.variance(flat)
        if variance is not None:
            variance = variance.view(steps, batch, -1)
        full = array.charge(flat.new_tensor(float(spec.input_max)))
        drive = torch.addmm(bias.sum(0) * full, array.charge(flat), x_levels).view(steps, batch, spec.columns)
        hidden, kept = run_sequence(drive, h_levels, spec, self.tables(array), array, variance, trace)
        # Sums over many steps may pass 2**24, so the head always counts in float64.
        seen = (hidden.sum(0) if spec.readout == "mean" else hidden[-1]).double()
        weight, head_bias = self.head_levels()
        times = steps if spec.readout == "mean" else 1
        return seen @ weight.double().t() + head_bias.double() * times, steps, kept

    def tables(self, array: Array) -> ConversionTables:
        """The ramps' tables: kept while the thresholds are ideal, made anew for every pass where they are not."""
        if array.thresholds is not None or self._tables is None or self._tables.resolution != array.resolution:
            tables = ConversionTables(self.spec, self.dtype, array)
            if array.thresholds is not None:
                return tables
            self._tables = tables
        return self._tables

    def _bias_rows_through(self) -> Tensor:
        rows = self.spec.bias_rows
        if rows == 0:
            return self.bias.new_zeros(0, self.spec.columns)
        total = self.bias_levels()
        # The value of the split, the gradient of the sum.
        return self.bias_row_levels() + (total - total.detach()) / rows

    @torch.no_grad()
    def limit_weights(self) -> None:
        """Clips the master weights to what their codes can say, so that none drifts out of its gradient's reach."""
        spec = self.spec
        reach = spec.weight_max / self.levels_per_one
        torch.minimum(torch.maximum(self.weight, -reach), reach, out=self.weight)
        torch.minimum(torch.maximum(self.bias, -reach * spec.bias_rows), reach * spec.bias_rows, out=self.bias)
        head_reach = (spec.head_weight_max / self.head_levels_per_one).item()
        self.head_weight.clamp_(-head_reach, head_reach)
        self.head_bias.clamp_(-head_reach, head_reach)


def _round_through(value: Tensor) -> Tensor:
    rounded = torch.trunc(value + torch.full_like(value, 0.5).copysign(value)).detach()
    return value + (rounded - value).detach()
