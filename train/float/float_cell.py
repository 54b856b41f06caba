# SPDX-License-Identifier: Apache-2.0
"""Any cell in float arithmetic: its description, run step by step on real numbers that autograd differentiates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from crossramp.golden.cell.description import BIAS, INPUT, ROW
from crossramp.golden.cell.expression import Expression, Name, Number, Product, names
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.activations import Activation
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.update_formats import store_rule
from torch import Tensor, nn

__all__ = ["FloatCell", "MacroWeights", "State", "activation_in_torch", "gate_signs", "projection_reach", "run_cell"]

State = tuple[Tensor, Tensor]
"""Register (c of an LSTM, s of a GRU) and h of a batch, shapes (batch, units) and (batch, hidden)."""

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softsign": nn.functional.softsign,
    "identity": lambda value: value,
    "clipped_relu": torch.relu,
    "hard_sigmoid": nn.functional.hardsigmoid,
    "hard_tanh": nn.functional.hardtanh,
    "softplus": nn.functional.softplus,
    "elu": nn.functional.elu,
    "selu": nn.functional.selu,
    "silu": nn.functional.silu,
    "gelu": nn.functional.gelu,
    "gaussian": lambda value: torch.exp(-value.square()),
}

_OPEN_GATE = 1.0  # the bias at which a gate that keeps the register starts


class MacroWeights(NamedTuple):
    """Real weights, where the macro has them.

    Parameters
    ----------
    rows : float tensor, shape (rows without bias rows, columns)
        Zero where the cell has no memristors.
    bias : float tensor, shape (columns,)
        What the bias rows add up to; zero where they have no memristors.
    lines : float tensor, shape (trained line cells, units), or None
        By what the line's real value is multiplied.
    projection : float tensor, shape (hidden, units), or None
    """

    rows: Tensor
    bias: Tensor
    lines: Tensor | None = None
    projection: Tensor | None = None


def activation_in_torch(activation: Activation) -> Callable[[Tensor], Tensor]:
    """An activation as a function of tensors, saturated at its range; InvalidValue where torch has no such function."""
    function = _FUNCTIONS.get(activation.name)
    if function is None:
        raise InvalidValue(
            f"activation {activation.text!r} cannot be trained; known here: {', '.join(_FUNCTIONS)}; add it to "
            "crossramp.train.float.float_cell"
        )
    low, high = activation.low, activation.high
    if (low, high) == (activation.limit_low, activation.limit_high):
        return function
    return lambda value: function(value).clamp(low, high)


def gate_signs(spec: Specification) -> dict[str, int]:
    """The gates that decide how much of the register is kept: 1 where more of the gate keeps more, else -1.

    f of an LSTM and z of a GRU have 1, i of a coupled LSTM has -1, and cells without a register have none.
    """
    cell, found = spec.layout, {}
    for store in (store for stores in cell.stores for store in stores if store.name == cell.register):

        def kept(gate: str, opened: float, expression: Expression = store.expression) -> float:
            """How much of the register reaches the next step, with one gate open so far and others at zero."""
            codes = {name: opened if name == gate else 0.0 for name in names(expression)}
            return _real(expression, codes | {cell.register: 1.0}) - _real(expression, codes | {cell.register: 0.0})

        for code in names(store.expression):
            if code != cell.register and (change := kept(code, 1.0) - kept(code, 0.0)):
                found[cell.gate_of(code)] = 1 if change > 0 else -1
    return found


class FloatCell(nn.Module):
    """Weights of any cell, trained in float.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification) -> None:
        super().__init__()
        self.spec = spec
        bound = spec.units**-0.5
        rows = sum(size for group, size in spec.row_sizes.items() if group != BIAS)
        placed = torch.tensor(spec.placed[:rows])
        biased = [BIAS in bank.rows for bank in spec.layout.banks.values() for _ in range(spec.units)]
        self.register_buffer("placed", placed, persistent=False)
        self.register_buffer("biased", torch.tensor(biased), persistent=False)
        self.rows = nn.Parameter(torch.empty(rows, spec.columns).uniform_(-bound, bound) * placed)
        bias = torch.empty(spec.columns).uniform_(-bound, bound)
        for gate, sign in gate_signs(spec).items():
            bias[spec.bank(gate)] = sign * _OPEN_GATE  # what is kept for long at first is learned sooner
        self.bias = nn.Parameter(bias * self.biased)
        self.lines = self.projection = None
        if spec.trained_lines:
            self.lines = nn.Parameter(torch.empty(spec.trained_lines, spec.units).uniform_(-bound, bound))
        if spec.projection:
            self.projection = nn.Parameter(torch.empty(spec.projection, spec.units).uniform_(-bound, bound))

    @property
    def weights(self) -> MacroWeights:
        """The weights in the macro's rectangle; no gradient reaches one that has no memristors."""
        return MacroWeights(self.rows * self.placed, self.bias * self.biased, self.lines, self.projection)

    def forward(self, values: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See :func:`run_cell`."""
        return run_cell(self.spec, values, self.weights, state)

    @torch.no_grad()
    def limit(self, columns: Tensor) -> None:
        """Clips weights to ± ``columns``, shape (columns,): what each column's cells can say."""
        spec = self.spec
        torch.minimum(torch.maximum(self.rows, -columns), columns, out=self.rows)
        bias = columns * spec.bias_rows
        torch.minimum(torch.maximum(self.bias, -bias), bias, out=self.bias)
        for number, cell in enumerate(spec.layout.trained_line_cells):
            reach = columns[spec.bank(cell.bank)]
            self.lines[number] = torch.minimum(torch.maximum(self.lines[number], -reach), reach)
        if self.projection is not None:
            self.projection.clamp_(-projection_reach(spec), projection_reach(spec))


def projection_reach(spec: Specification) -> float:
    """The largest weight that a projection can have."""
    return spec.projection_macro.gates[0].weight_range if spec.array_projects else 1.0


def run_cell(
    spec: Specification, values: Tensor, weights: MacroWeights, state: State | None = None
) -> tuple[Tensor, State]:
    """h of every step, shape (batch, steps, hidden), and the state after the last one, without a gradient.

    What a row carries saturates at ±1 wherever its pulse code can; resolutions and the register's range do not show.

    Parameters
    ----------
    values : float tensor, shape (batch, steps, inputs)
        In [-1, 1].
    weights : MacroWeights
    state : State or None
        Before the first step; None: zeros.
    """
    cell, batch = spec.layout, len(values)
    groups = {group: weights.rows[spec.rows_of(group)] for group in spec.row_sizes if group != BIAS}
    functions = {gate: activation_in_torch(spec.activation(gate)) for gate in cell.gates}
    clamped = {s.name for stores in cell.stores for s in stores if _saturates(spec, s)}
    trained = iter(()) if weights.lines is None else iter(weights.lines)
    lines = {part: next(trained) if part.trained else None for part in cell.line_cells}
    # All steps' inputs at once.
    drives = nn.functional.linear(values, groups[INPUT].t(), _first_bias(spec, weights.bias))
    if state is None:
        state = values.new_zeros(batch, spec.units), values.new_zeros(batch, spec.hidden)
    found, out = {cell.register: state[0], cell.output: state[1]}, []
    if cell.line_value_is_state:
        found[cell.line_value] = state[0]  # which a line may drive before it is stored anew
    for drive in drives.unbind(1):
        charges = []
        for number, (conversion, stores) in enumerate(cell.steps):
            charge = drive if number == 0 else None
            if number and BIAS in conversion.driven:
                charge = weights.bias.expand_as(drive)
            for group, driver in conversion.driven.items():
                if group in groups and group != INPUT:
                    charge = _add(charge, found[driver], groups[group])
            charges.append(charge)
            for gate, code in conversion.codes.items():
                held = cell.windows(gate, number)
                parts = [charges[k][:, spec.bank(gate)] for k in held if charges[k] is not None]
                parts += [
                    _through(found[cell.driven_value(part.line, k)], weight)
                    for k in held
                    for part, weight in lines.items()
                    if part.bank == gate and part.line in cell.steps[k][0].driven
                ]
                found[code] = functions[gate](sum(parts[1:], parts[0]))
            for store in stores:
                value = _real(store.expression, found)
                found[store.name] = value.clamp(-1, 1) if store.name in clamped else value
        if weights.projection is not None:
            found[cell.output] = nn.functional.linear(found[cell.output], weights.projection).clamp(-1, 1)
        out.append(found[cell.output])
    register = found[cell.register] if cell.register else state[0]
    return torch.stack(out, 1), (register.detach(), out[-1].detach())


def _first_bias(spec: Specification, bias: Tensor) -> Tensor | None:
    return bias if BIAS in spec.layout.steps[0][0].driven else None


def _add(charge: Tensor | None, value: Tensor, weights: Tensor) -> Tensor:
    """Charges of all columns, with what a group of rows adds."""
    return value @ weights if charge is None else torch.addmm(charge, value, weights)


def _through(value: Tensor, weight: Tensor | None) -> Tensor:
    """What a line brings: its value through a trained weight, or as it is through the cells that give it its unit."""
    return value if weight is None else value * weight


def _saturates(spec: Specification, store) -> bool:
    return spec.layout.values[store.name] == ROW and store_rule(spec, store).saturates


def _real(expression: Expression, values: Mapping[str, Tensor | float]) -> Tensor | float:
    """An expression in real numbers."""
    if isinstance(expression, Name):
        return values[expression.name]
    if isinstance(expression, Number):
        return expression.value
    left, right = _real(expression.left, values), _real(expression.right, values)
    if isinstance(expression, Product):
        return left * right
    return left - right if expression.negative else left + right
