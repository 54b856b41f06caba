# SPDX-License-Identifier: Apache-2.0
"""One trainable macro in the contract's arithmetic: real master weights, integer everything else."""

from __future__ import annotations

import torch
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.description import BIAS, INPUT
from crossramp.golden.spec.specification import Specification
from torch import Tensor, nn

from ..float.float_cell import State
from ..float.float_macro import FloatMacro
from ..float.rounding import integers, round_through, through
from .array_projection import ArrayProjection
from .conversion_tables import ConversionTables
from .imperfections import Array, Imperfections
from .sequence import Conversions, Trace, exact_dtype, run_sequence

__all__ = ["QuantizedMacro"]


class QuantizedMacro(nn.Module):
    """A macro of any cell; each forward pass rounds the master weights and computes in integers.

    Parameters
    ----------
    spec : Specification
        Of the macro; its head does not count here.
    imperfections : Imperfections or None
        See :mod:`.imperfections`; None is the ideal array.
    of_projection : Imperfections or None
        Likewise of the array that projects h, where there is one.

    Attributes
    ----------
    projecting : QuantizedMacro or None
        The macro that projects h in an array.
    """

    def __init__(
        self,
        spec: Specification,
        imperfections: Imperfections | None = None,
        of_projection: Imperfections | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.dtype = exact_dtype(spec)
        self.imperfections = imperfections or Imperfections(spec)
        columns, units = spec.columns, spec.units
        levels_per_one = [spec.weight_max / gate.weight_range for gate in spec.gates for _ in range(units)]
        self.register_buffer("levels_per_one", torch.tensor(levels_per_one, dtype=torch.float32))
        bound = 1 / (spec.rows**0.5)
        self.bias_rows = spec.row_sizes.get(BIAS, 0)
        rows = spec.rows - self.bias_rows
        biased = [BIAS in bank.rows for bank in spec.layout.banks.values() for _ in range(units)]
        self.register_buffer("placed", torch.tensor(spec.placed[:rows]), persistent=False)
        self.register_buffer("biased", torch.tensor(biased), persistent=False)
        self.weight = nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(columns))  # the sum of the bias rows
        self.line_weight = None
        if spec.trained_lines:
            self.line_weight = nn.Parameter(torch.empty(spec.trained_lines, units).uniform_(-bound, bound))
            # A line's value has the unit that the constant cells give it: a level of another bank is so much of it.
            unit = spec.state_cell * spec.scale(spec.state_gate)
            levels = [unit / spec.scale(cell.bank) for cell in spec.layout.trained_line_cells]
            self.register_buffer("line_levels_per_one", torch.tensor(levels)[:, None])
        self.projection_weight = self.projecting = None
        if spec.array_projects:
            self.projecting = QuantizedMacro(spec.projection_macro, of_projection)
            self.projecting.dtype = self.dtype = torch.promote_types(self.dtype, self.projecting.dtype)
        elif spec.projection:
            self.projection_weight = nn.Parameter(torch.empty(spec.projection, units).uniform_(-1, 1) / units**0.5)
        self.initial_register = nn.Parameter(torch.zeros(units)) if spec.constant_register else None  # real values
        self.initial_h = nn.Parameter(torch.zeros(spec.hidden)) if spec.constant_h else None
        self._tables: ConversionTables | None = None

    @torch.no_grad()
    def start_at(self, macro: FloatMacro) -> None:
        """Takes the weights of a float macro, and what its utterances start from."""
        found = macro.weights
        self.weight.copy_(found.rows)
        self.bias.copy_(found.bias)
        if self.line_weight is not None:
            self.line_weight.copy_(found.lines)
        if self.projection_weight is not None:
            self.projection_weight.copy_(found.projection)
        if self.projecting is not None:
            self.projecting.weight.copy_(found.projection.t())
        if self.initial_register is not None:
            self.initial_register.copy_(macro.initial_register)
        if self.initial_h is not None:
            self.initial_h.copy_(macro.initial_h)

    def weight_levels(self) -> Tensor:
        """Integer levels of all rows but bias rows, shape (rows, columns); gradients pass the rounding.

        Zero, and without a gradient, where the cell has no memristors.
        """
        levels = round_through((self.weight * self.levels_per_one).clamp(-self.spec.weight_max, self.spec.weight_max))
        return levels if self.spec.placed.all() else levels * self.placed

    def line_levels(self) -> Tensor | None:
        """Integer levels of trained cells on lines, shape (trained line cells, units), or None without any."""
        if self.line_weight is None:
            return None
        limit = self.spec.weight_max
        return round_through((self.line_weight * self.line_levels_per_one).clamp(-limit, limit))

    def bias_levels(self) -> Tensor:
        """Integer levels that the bias rows add up to, shape (columns,)."""
        limit = self.spec.weight_max * self.bias_rows
        levels = round_through((self.bias * self.levels_per_one).clamp(-limit, limit))
        return levels if self.biased.all() else levels * self.biased

    def bias_row_levels(self) -> Tensor:
        """The bias split as evenly as integers allow, shape (bias_rows, columns)."""
        rows = self.bias_rows
        total = self.bias_levels().detach()
        size = total.abs()
        share = (
            torch.floor((size + torch.arange(rows, device=size.device)[:, None]) / rows)
            if rows
            else size.new_zeros(0, len(size))
        )
        return share * total.sign()

    def projection_levels(self) -> Tensor | None:
        """Integer weights of a digital projection, shape (hidden, units), or None without one."""
        if self.projection_weight is None:
            return None
        limit = self.spec.head_weight_max
        return round_through((self.projection_weight * 2.0**self.spec.projection_shift).clamp(-limit, limit))

    def initial_levels(self) -> tuple[Tensor | None, Tensor | None]:
        """Integers of the register, shape (units,), and of h, shape (hidden,), to start from; None where zero."""
        spec, register, h = self.spec, self.initial_register, self.initial_h
        if register is not None:
            register = round_through((register * 2.0**spec.state_frac_bits).clamp(-spec.state_max, spec.state_max))
        if h is not None:
            h = round_through((h * spec.input_max).clamp(-spec.input_max, spec.input_max))
        return register, h

    def _start(self, batch: int) -> State | None:
        """The register and h before the first step of an utterance; None: zeros."""
        if not self.spec.loads_state:
            return None
        sizes = self.spec.units, self.spec.hidden
        levels = [
            torch.zeros(size, dtype=self.dtype, device=self.bias.device) if values is None else values.to(self.dtype)
            for values, size in zip(self.initial_levels(), sizes, strict=True)
        ]
        return levels[0].expand(batch, -1), levels[1].expand(batch, -1)

    @torch.no_grad()
    def weights(self) -> Weights:
        """The macro's part of the golden model's integers, as it computes with them; without a head, not checked."""
        register, h = self.initial_levels()
        found = {
            "projection": self.projection_levels(),
            "lines": self.line_levels(),
            "initial_register": register,
            "initial_h": h,
        }
        more = {name: integers(levels) for name, levels in found.items() if levels is not None}
        return Weights(integers(torch.cat([self.weight_levels(), self.bias_row_levels()])), **more)

    def run(
        self, x: Tensor, table: Tensor | None = None, state: State | None = None, trace: bool = False
    ) -> tuple[Tensor, State, Trace | None]:
        """h of every step, the state after the last step, and the trace if asked for.

        Parameters
        ----------
        x : tensor
            Pulse codes, shape (steps, batch, inputs), differentiable; with a table, symbols' places, int64, shape
            (steps, batch).
        table : tensor or None
            Pulse codes of each symbol, shape (symbols, inputs).
        state : State or None
            Before the first step; None: where utterances start.
        trace : bool

        Returns
        -------
        (hidden, state, trace)
            hidden: pulse codes, shape (steps, batch, hidden).
        """
        spec = self.spec
        levels = torch.cat([self.weight_levels(), self._bias_rows_through()]).to(self.dtype)
        lines = self.line_levels()
        lines = None if lines is None else lines.to(self.dtype)
        array = self.imperfections.draw(levels, self.training, lines)
        rows = dict(zip(spec.row_sizes, array.weights.split(list(spec.row_sizes.values())), strict=True))
        x_levels, bias = rows.pop(INPUT), rows.pop(BIAS, levels.new_zeros(0, spec.columns))
        steps, batch = x.shape[:2]
        codes = (x.reshape(steps * batch, spec.inputs) if table is None else table).to(self.dtype)
        variance = array.variance(codes.detach())
        full = codes.new_tensor(float(spec.input_max))
        bias = bias.sum(0)
        driven = [BIAS in conversion.driven for conversion, _ in spec.layout.steps]
        first = bias * array.charge(full) if driven[0] else torch.zeros_like(bias)
        drive = torch.addmm(first, through(codes, array.charge(codes.detach())), x_levels)
        if table is not None:
            # A symbol always brings the same, which is computed once.
            place = x.reshape(-1)
            drive = nn.functional.embedding(place, drive)
            variance = None if variance is None else nn.functional.embedding(place, variance)
        if variance is not None:
            variance = variance.view(steps, batch, -1)
        drive = drive.view(steps, batch, spec.columns)
        projection = self.projection_levels()
        projection = None if projection is None else projection.to(self.dtype)
        later = bias * array.charge(full, 1) if any(driven[1:]) else None
        projecting = None
        if self.projecting is not None:
            projection, projecting = self._array_projection()
        conversions = Conversions(
            spec, array, self.tables(array), drive, rows, array.lines, later, variance, projecting
        )
        return run_sequence(conversions, projection, self._start(batch) if state is None else state, trace)

    def _array_projection(self) -> tuple[Tensor, ArrayProjection]:
        """Levels of the array that projects in this pass, shape (hidden, units), and the array itself."""
        macro = self.projecting
        array = macro.imperfections.draw(macro.weight_levels().to(self.dtype), self.training)
        return array.weights.t(), ArrayProjection(self.spec, array, macro.tables(array))

    def tables(self, array: Array) -> ConversionTables:
        """The ramps' tables: kept while the thresholds are ideal, and otherwise made again for every pass."""
        kept = self._tables
        moved = kept is None or kept.values.device != array.weights.device
        if array.thresholds is not None or moved or kept.resolution != array.resolution:
            tables = ConversionTables(self.spec, self.dtype, array)
            if array.thresholds is not None:
                return tables
            self._tables = tables
        return self._tables

    def _bias_rows_through(self) -> Tensor:
        rows = self.bias_rows
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
        torch.minimum(torch.maximum(self.bias, -reach * self.bias_rows), reach * self.bias_rows, out=self.bias)
        if self.line_weight is not None:
            line_reach = spec.weight_max / self.line_levels_per_one
            torch.minimum(torch.maximum(self.line_weight, -line_reach), line_reach, out=self.line_weight)
        if self.projection_weight is not None:
            projection_reach = spec.head_weight_max / 2**spec.projection_shift
            self.projection_weight.clamp_(-projection_reach, projection_reach)
        if self.projecting is not None:
            self.projecting.limit_weights()
        if self.initial_register is not None:
            self.initial_register.clamp_(-spec.state_limit, spec.state_limit)
        if self.initial_h is not None:
            self.initial_h.clamp_(-1, 1)
