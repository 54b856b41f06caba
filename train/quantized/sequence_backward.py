# SPDX-License-Identifier: Apache-2.0
"""Backpropagation through time of any cell: each step's program in reverse, in tensors made once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from crossramp.golden.cell.description import FIXED, LINE
from crossramp.golden.spec.specification import Specification
from torch import Tensor

from .array_projection import Projected, charge_gradient
from .step_plan import Line, Piece, StepPlan
from .update_program import BEFORE, Gradients

__all__ = ["PROJECTION", "Kept", "Weights", "backward"]

PROJECTION = "projection"
"""The key of where the projection did not saturate."""


@dataclass
class Weights:
    """The levels of a pass, or their gradients: see :class:`.sequence.Conversions`."""

    rows: dict[str, Tensor]
    lines: Tensor | None
    bias: Tensor | None
    projection: Tensor | None


@dataclass
class Kept:
    """What a forward pass keeps for the way back.

    Attributes
    ----------
    hidden : tensor, shape (steps + 1, batch, hidden)
        h, that before the first step in front.
    state : tensor, shape (steps + 1, batch, units), or None
        The register, likewise.
    values, slopes : list of tensors, shape (steps, batch, columns that the conversion latches)
        For each conversion.
    inner : dict of tensors, shape (steps + 1, batch, units)
        Pulse codes of values that drive lines or inner rows; of lines, that before the first step in front.
    within : dict of tensors, shape (steps, batch, units or hidden)
        Of what may saturate on rows: 1 where it did not.
    wide : tensor, shape (steps, batch, units), or None
        h before its projection.
    macs : list of tensors
        For each conversion, if they are asked for.
    projected : Projected or None
        Of the conversion that projects h, where an array does it.
    """

    hidden: Tensor
    state: Tensor | None
    values: list[Tensor]
    slopes: list[Tensor]
    inner: dict[str, Tensor]
    within: dict[str, Tensor]
    wide: Tensor | None
    macs: list[Tensor]
    projected: Projected | None = None


def backward(
    plan: StepPlan, spec: Specification, kept: Kept, weights: Weights, gradient: Tensor
) -> tuple[Tensor, Weights, tuple[Tensor | None, Tensor | None]]:
    """Gradients of ``drive``, of the levels, and of h and the register before the first step; None is zero.

    Parameters
    ----------
    plan : StepPlan
    spec : Specification
    kept : Kept
    weights : Weights
    gradient : tensor, shape (steps, batch, hidden)
        Of the hidden states.
    """
    way = _Way(plan, spec, kept, weights)
    carried = None, None
    for step in reversed(range(len(gradient))):
        carried = way.step(step, gradient[step], *carried)
    return way.home, way.weights(), carried


class _Way:
    """The way back of one pass.

    Attributes
    ----------
    home : tensor, shape (steps, batch, columns)
        Gradients of all charges that hold the first window.
    """

    def __init__(self, plan: StepPlan, spec: Specification, kept: Kept, weights: Weights) -> None:
        self.plan, self.spec, self.kept, self.given = plan, spec, kept, weights
        cell, slopes = spec.layout, kept.slopes
        steps, batch = slopes[0].shape[:2]
        self.output, self.register = cell.output, cell.register
        self.home = slopes[0].new_empty(steps, batch, spec.columns)
        # Of charges that are not home: of all steps where the weights' gradients need them, else of one.
        self.own = {
            k: slopes[k].new_empty(steps if plan.keeps(k) else 1, batch, slopes[k].shape[2])
            for k in range(len(slopes))
            if not all(run.home for run in plan.runs[k])
        }
        self.codes: dict[str, tuple[Tensor, ...]] = {}
        self.places: dict[str, tuple[Tensor, ...]] = {}
        for k, names in enumerate(plan.codes):
            for name, place in names.items():
                self.codes[name] = kept.values[k][:, :, place].unbind(0)
                if name in plan.homes:
                    self.places[name] = self.home[:, :, plan.homes[name]].unbind(0)
                else:
                    self.places[name] = self._each_step(self.own[k][:, :, place])
        #: For each conversion, (gradients, slopes) of each run: those that are multiplied.
        self.sloped = [
            [
                (self._gradients(Piece(None if run.home else k, run.columns, run.columns if run.home else run.place)),
                 slopes[k][:, :, run.place].unbind(0))
                for run in runs
                if not (plan.follows and run.has_only_constant_lines)
            ]
            for k, runs in enumerate(plan.runs)
        ]  # fmt: skip
        #: For each conversion, what its window brought: value, gradients of the charge, levels.
        self.through = [
            [
                (window.rows[group], self._gradients(piece), weights.rows[group][:, piece.columns].t().contiguous())
                for group, pieces in window.pieces.items()
                for piece in pieces
            ]
            for window in plan.windows
        ]
        self.lines = [
            [(line, self._gradients(line.piece), self._slopes(line)) for line in w.lines] for w in plan.windows
        ]
        self.states = None if kept.state is None else kept.state.unbind(0)
        self.saturated = None if kept.state is None else (kept.state[1:].abs() >= spec.state_max).unbind(0)
        self.gain = plan.line_program.factor if plan.follows else 1.0
        self.sums = None if kept.wide is None else torch.empty_like(kept.within[PROJECTION])

    def step(
        self, t: int, outer: Tensor, hidden: Tensor | None, register: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of h and of the register before step ``t``, from those after it; None is zero."""
        kept, plan = self.kept, self.plan
        hidden = outer.clone() if hidden is None else hidden + outer
        if self.sums is not None:
            # Nothing passes where the code saturates.
            torch.mul(kept.within[PROJECTION][t], hidden, out=self.sums[t])
            if kept.projected is None:
                self.sums[t].mul_(0.5**self.spec.projection_shift)
            else:
                one = kept.projected
                charge_gradient(self.spec, one.values[t], one.slopes[t], self.sums[t].clone(), self.sums[t])
            hidden = self.sums[t] @ self.given.projection
        gradients = Gradients({name: steps[t] for name, steps in self.places.items()}, register)
        found = {name: steps[t] for name, steps in self.codes.items()}
        if self.states is not None:
            found[BEFORE], found[self.register] = self.states[t], self.states[t + 1]
        of_values = {self.output: hidden}
        for k in reversed(range(len(plan.programs))):
            for store in reversed(plan.programs[k]):
                if store.form == LINE and plan.follows:
                    continue
                if store.form == FIXED:
                    gradient, gradients.register = gradients.register, None
                    gradient.masked_fill_(self.saturated[t], 0.0)
                else:
                    gradient = of_values.pop(store.name)
                    if store.name in kept.within:
                        gradient = gradient * kept.within[store.name][t]
                store.back(found, gradients, gradient)
            for gradient, slopes in self.sloped[k]:
                gradient[t].mul_(slopes[t])
            for value, gradient, levels in self.through[k]:
                so_far = of_values.get(value)
                of_values[value] = gradient[t] @ levels if so_far is None else torch.addmm(so_far, gradient[t], levels)
            for line, gradient, slopes in self.lines[k]:
                self._line(line, gradient[t], None if slopes is None else slopes[t], gradients, of_values)
        return of_values.get(self.output), gradients.register

    def _line(
        self, line: Line, gradient: Tensor, slopes: Tensor | None, gradients: Gradients, of_values: dict[str, Tensor]
    ) -> None:
        """Passes the gradient of a bank's charge on to what drives a line on it."""
        level = self.spec.state_cell if line.trained is None else self.given.lines[line.trained]
        if self.plan.follows:
            # Where the pulse code saturates the slope is small already; it is let through so that the register can
            # come back.
            if line.trained is None:
                gradients.add_register(gradient, slopes, level * self.gain)
            else:
                gradients.add_register(gradient, level, self.gain)
        elif line.value in of_values:
            of_values[line.value].add_(gradient * level)
        else:
            of_values[line.value] = gradient * level

    def weights(self) -> Weights:
        """Gradients of the levels, when all steps are done."""
        kept, given = self.kept, self.given
        rows = {group: torch.zeros_like(levels) for group, levels in given.rows.items()}
        lines = None if given.lines is None else torch.zeros_like(given.lines)
        bias = None if given.bias is None else torch.zeros_like(given.bias)
        for window in self.plan.windows:
            for group, pieces in window.pieces.items():
                value = window.rows[group]
                driven = kept.hidden[:-1] if value == self.output else kept.inner[value][1:]
                driven = driven.reshape(-1, driven.shape[2]).t()
                for piece in pieces:
                    rows[group][:, piece.columns].addmm_(driven, self._whole(piece).flatten(0, 1))
            for line in window.lines:
                if line.trained is not None:
                    pulses = kept.inner[line.value]
                    pulses = pulses[:-1] if line.is_start else pulses[1:]
                    lines[line.trained] += (self._whole(line.piece) * pulses).sum((0, 1))
            for piece in window.bias:
                bias[piece.columns] += self._whole(piece).sum((0, 1))
        projection = None if self.sums is None else self.sums.flatten(0, 1).t() @ kept.wide.flatten(0, 1)
        return Weights(rows, lines, bias, projection)

    def _slopes(self, line: Line) -> tuple[Tensor, ...] | None:
        """The slopes that a line's gradient is yet to be multiplied with; None where it has been."""
        conversion = line.piece.conversion
        if conversion is None or not self.plan.follows:
            return None
        runs = self.plan.runs[conversion]
        run = next(run for run in runs if run.columns.start <= line.piece.columns.start < run.columns.stop)
        if not run.has_only_constant_lines:
            return None
        return self.kept.slopes[conversion][:, :, line.piece.place].unbind(0)

    def _whole(self, piece: Piece) -> Tensor:
        return (self.home if piece.conversion is None else self.own[piece.conversion])[:, :, piece.place]

    def _gradients(self, piece: Piece) -> tuple[Tensor, ...]:
        """The gradients of a piece's charge, of each step."""
        return self._each_step(self._whole(piece))

    def _each_step(self, gradients: Tensor) -> tuple[Tensor, ...]:
        steps = len(self.home)
        return gradients.unbind(0) if len(gradients) == steps else gradients.unbind(0) * steps
