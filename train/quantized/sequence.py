# SPDX-License-Identifier: Apache-2.0
"""The contract's cell over a whole utterance, in exact integers, with straight-through gradients.

The forward pass computes what `crossramp.golden` computes, bit for bit (a test compares them),
in floating-point tensors that hold integers: every sum stays below 2**24, or else float64 is used.
The backward pass is backpropagation through time, the cell's program in reverse.
It takes each rounding as the identity (the straight-through estimator, Bengio et al.,
arXiv:1308.3432) and each conversion as the activation that it approximates.
One autograd function for the whole utterance spares autograd's graph some thousand small operations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from crossramp.golden.cell.description import FIXED, LINE
from crossramp.golden.spec.specification import Specification
from torch import Tensor

from ..float.float_cell import State
from .array_projection import ArrayProjection, Projected
from .conversion_tables import ConversionTables
from .imperfections import Array
from .sequence_backward import PROJECTION, Kept, Weights, backward
from .step_plan import Run, StepPlan, step_plan
from .update_program import BEFORE, StoreProgram, round_half_away, significant_bits

__all__ = ["Conversions", "State", "Trace", "exact_dtype", "run_sequence"]


def exact_dtype(spec: Specification) -> torch.dtype:
    """The narrowest floating type in which every integer and fraction of a step of ``spec`` is exact."""
    bits = max(
        spec.mac_bits + 2 + (2 * len(spec.ramps) - 1).bit_length(),  # places in the tables: all ramps', and a half
        significant_bits(spec),
        (spec.units * spec.head_weight_max * spec.input_max).bit_length() + 2 if spec.digital_projection else 0,
    )
    return torch.float32 if bits <= 24 else torch.float64


@dataclass
class Trace:
    """What `run_sequence` keeps of every step on request; integers in floating-point tensors, (steps, batch, ...).

    Attributes
    ----------
    macs, values : list of tensors, shape (..., columns that the conversion latches)
        For each conversion: what the comparators saw, and decoded values, within [0, 1] or [-1, 1].
    state : tensor, shape (..., units), or None
        The register; None in cells without one.
    inner : dict of tensors, shape (..., units)
        Pulse codes of the values that drive lines or inner rows.
    hidden : tensor, shape (..., hidden)
        h, pulse codes: projected where a digital unit does it.
    projected : Trace or None
        Of the macro that projects h, where an array does it.
    """

    macs: list[Tensor]
    values: list[Tensor]
    state: Tensor | None
    inner: dict[str, Tensor]
    hidden: Tensor
    projected: Trace | None = None


@dataclass
class Conversions:
    """What the steps of one pass convert with: the array with its ramps, as golden's `Array.convert` is.

    Two things differ from golden, for speed: what x and bias rows bring to all steps is summed at once before
    (`drive`), and codes leave decoded, with the slope of the activation beside them.

    Attributes
    ----------
    spec : Specification
    array : Array
        What stands behind the periphery in this pass.
    tables : ConversionTables
        Of its ramps.
    drive : float tensor of `exact_dtype`, shape (steps, batch, columns)
        What the x rows and the bias rows add to each MAC of the first window: integers.
    rows : dict of float tensors, shape (rows of the group, columns)
        Levels of the rows that values drive, by their groups: integers, unless imperfections make them real.
    lines : float tensor, shape (trained line cells, units), or None
        Levels of the trained cells on lines.
    bias : float tensor, shape (columns,), or None
        What the bias rows add in a later window that drives them.
    variance : float tensor, shape (steps, batch, any), or None
        Of the array's noise, from x and bias rows: its own :meth:`~.imperfections.Array.variance`.
    projecting : ArrayProjection or None
        Where an array projects h.
    """

    spec: Specification
    array: Array
    tables: ConversionTables
    drive: Tensor
    rows: dict[str, Tensor]
    lines: Tensor | None = None
    bias: Tensor | None = None
    variance: Tensor | None = None
    projecting: ArrayProjection | None = None

    def convert(
        self, step: int, number: int, pulses: dict[str, Tensor], held: Tensor, values: Tensor, slopes: Tensor
    ) -> Tensor:
        """Conversion ``number`` of a step: what the comparators saw, shape (batch, columns that it latches).

        Writes decoded values and slopes, of the same shape.

        Parameters
        ----------
        pulses : dict of tensors
            Pulse codes of all values that drive rows or lines, by their names; the register's of the step before are
            under :data:`~.update_program.BEFORE`.
        held : tensor, shape (batch, columns)
            Charge of the first window, of rows alone; what is converted of it may be overwritten.
        """
        array, found = self.array, []
        for run in step_plan(self.spec).runs[number]:
            found.append(self._charge(number, run, pulses, held))
        macs = found[0] if len(found) == 1 else torch.cat(found, dim=1)
        macs = array.seen(number, macs, pulses, None if self.variance is None else self.variance[step])
        self.tables.convert(number, macs, values, slopes)
        array.late(values, number)
        return macs

    def first_window(self, step: int, pulses: dict[str, Tensor], plan: StepPlan) -> Tensor:
        """What rows bring in the first window, shape (batch, columns); a tensor of its own where lines add to it."""
        charge, rows = self.drive[step], plan.windows[0].rows
        for group, value in rows.items():
            charge = torch.addmm(charge, self.array.charge(pulses[value]), self.rows[group])
        return charge if rows or not plan.windows[0].lines else charge.clone()

    def _charge(self, number: int, run: Run, pulses: dict[str, Tensor], held: Tensor) -> Tensor:
        charge = None
        if run.home:
            whole = run.columns.stop - run.columns.start == held.shape[1]
            charge = held if whole else held[:, run.columns]
            if number:
                charge = self.array.hold(charge, run.columns)
        for group, value in run.rows:
            brought, levels = self.array.charge(pulses[value], number), self.rows[group][:, run.columns]
            charge = torch.mm(brought, levels) if charge is None else torch.addmm(charge, brought, levels)
        if run.bias:
            added = self.bias[run.columns].expand(len(held), -1)
            charge = added.clone() if charge is None else charge + added
        for line in run.lines:
            brought = self.array.line(line.number, pulses[BEFORE if line.is_start else line.value], line.window)
            if charge is None and brought.shape[1] == run.columns.stop - run.columns.start:
                charge = brought
                continue
            if charge is None:
                charge = brought.new_zeros(len(brought), run.columns.stop - run.columns.start)
            charge[:, line.within].add_(brought)
        return charge


def _kept(plan: StepPlan, conversions: Conversions, start: State | None, trace: bool) -> Kept:
    """Tensors for everything, empty but for the state before the first step."""
    spec, drive = conversions.spec, conversions.drive
    cell, (steps, batch, _) = spec.layout, drive.shape
    new, units = drive.new_empty, (steps, batch, spec.units)
    inner = [
        store.name
        for store in (store for part in plan.programs for store in part)
        if store.name not in (cell.register, cell.output) and (store.form != LINE or trace or spec.trained_lines)
    ]
    widths = [columns.stop - columns.start for columns in map(spec.converted, range(len(spec.conversions)))]
    hidden = drive.new_zeros(steps + 1, batch, spec.hidden)
    state = drive.new_zeros(steps + 1, batch, spec.units) if cell.register else None
    if start is not None:
        hidden[0] = start[1]
        if state is not None:
            state[0] = start[0]
    rows = [store for part in plan.programs for store in part if store.form not in (FIXED, LINE)]
    within = {store.name: new(units) for store in rows if store.saturates}
    if spec.projection:
        within[PROJECTION] = torch.empty_like(hidden[1:])
    return Kept(
        hidden,
        state,
        [new(steps, batch, width) for width in widths],
        [new(steps, batch, width) for width in widths],
        {name: drive.new_zeros(steps + 1, batch, spec.units) for name in inner},
        within,
        new(units) if spec.projection else None,
        [new(steps, batch, width) for width in widths] if trace else [],
        Projected.empty(spec, drive, trace) if spec.array_projects else None,
    )


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, conversions, trace, register, first, *given):
        start = None if first is None else (register, first)
        drive, projection, lines, bias, *rows = given
        plan, spec = step_plan(conversions.spec), conversions.spec
        # What autograd differentiates must be its own argument; here all are without a graph.
        named = dict(zip(conversions.rows, rows, strict=True))
        conversions = replace(conversions, drive=drive, rows=named, lines=lines, bias=bias)
        kept = _kept(plan, conversions, start, trace)
        _forward(plan, conversions, projection, kept)
        ctx.plan, ctx.spec, ctx.groups = plan, spec, list(named)
        ctx.inner, ctx.within = list(kept.inner), list(kept.within)
        projected = kept.projected
        ctx.save_for_backward(
            *(projection, lines, bias, kept.hidden, kept.state, kept.wide),
            *((None, None) if projected is None else (projected.values, projected.slopes)),
            *rows,
            *kept.values,
            *kept.slopes,
            *kept.inner.values(),
            *kept.within.values(),
        )
        ctx.started = first is not None
        # Copies: what autograd saved must not be an output under a second name.
        register = start[0] if kept.state is None and start is not None else drive.new_zeros(drive.shape[1], spec.units)
        copies = [register.clone() if kept.state is None else kept.state[-1].clone()]
        if trace:
            copies += [tensor.clone() for tensor in (*kept.macs, *kept.values)]
            copies += [] if kept.state is None else [kept.state[1:].clone()]
            copies += [tensor[1:].clone() for tensor in kept.inner.values()] + [kept.hidden[1:].clone()]
            copies += [] if projected is None else [projected.macs, projected.values.clone(), kept.wide.clone()]
        ctx.mark_non_differentiable(*copies)
        return (kept.hidden[1:], *copies)

    @staticmethod
    def backward(ctx, hidden_gradient, *_):
        saved = list(ctx.saved_tensors)
        projection, lines, bias, hidden, state, wide, converted, slope = (saved.pop(0) for _ in range(8))
        projected = None if converted is None else Projected(converted, slope, None)
        count = len(ctx.spec.conversions)

        def taken(names):
            return {name: saved.pop(0) for name in names}

        rows, values, slopes = taken(ctx.groups), taken(range(count)), taken(range(count))
        inner, within = taken(ctx.inner), taken(ctx.within)
        kept = Kept(hidden, state, list(values.values()), list(slopes.values()), inner, within, wide, [], projected)
        weights = Weights(rows, lines, bias, projection)
        drive, found, (first, register) = backward(ctx.plan, ctx.spec, kept, weights, hidden_gradient)
        rows = [found.rows[group] for group in ctx.groups]
        start = (register, first) if ctx.started else (None, None)
        return None, None, *start, drive, found.projection, found.lines, found.bias, *rows


def _forward(plan: StepPlan, conversions: Conversions, projection: Tensor | None, kept: Kept) -> None:
    """Fills ``kept``: line by line what `golden.macro.lstm.Lstm.step` does."""
    cell = conversions.spec.layout
    codes = [
        {name: kept.values[k][:, :, place].unbind(0) for name, place in names.items()}
        for k, names in enumerate(plan.codes)
    ]
    values, slopes = ([tensor.unbind(0) for tensor in tensors] for tensors in (kept.values, kept.slopes))
    hidden, states = kept.hidden.unbind(0), None if kept.state is None else kept.state.unbind(0)
    before = None
    if plan.has_start_lines:
        before = _saturated(plan.line_program, plan.line_program.rounded({cell.register: kept.state[0]}))
        kept.inner[cell.line_value][0] = before
    for t in range(len(conversions.drive)):
        pulses, found = {cell.output: hidden[t], BEFORE: before}, {}
        if states is not None:
            found[BEFORE] = states[t]
        held = conversions.first_window(t, pulses, plan)
        for k, stores in enumerate(plan.programs):
            macs = conversions.convert(t, k, pulses, held, values[k][t], slopes[k][t])
            if kept.macs:
                kept.macs[k][t] = macs
            for name, steps in codes[k].items():
                found[name] = steps[t]
            for store in stores:
                value = store.rounded(found)
                if store.form == FIXED:
                    torch.clamp(value, -store.limit, store.limit, out=states[t + 1])
                    found[store.name] = states[t + 1]
                    continue
                if store.name in kept.within:
                    within = value.clamp(-store.limit, store.limit)
                    torch.eq(value, within, out=kept.within[store.name][t])
                    value = within
                if store.name == cell.output:
                    if projection is not None:
                        value = _projected(conversions, projection, kept, t, value)
                    hidden[t + 1].copy_(value)
                    continue
                pulses[store.name] = _saturated(store, value)
                if store.name in kept.inner:
                    kept.inner[store.name][t + 1] = pulses[store.name]
        if before is not None:
            before = pulses[cell.line_value]


def _saturated(store: StoreProgram, value: Tensor) -> Tensor:
    return value.clamp_(-store.limit, store.limit) if store.saturates else value


def _projected(conversions: Conversions, projection: Tensor, kept: Kept, step: int, value: Tensor) -> Tensor:
    """Pulse codes of the projection; keeps what it was made of, and where it did not saturate."""
    spec = conversions.spec
    kept.wide[step] = value
    if conversions.projecting is None:
        sums = round_half_away(torch.mm(value, projection.t()).mul_(0.5**spec.projection_shift))
    else:
        sums = conversions.projecting.convert(step, projection, value, kept.projected)
    codes = sums.clamp(-spec.input_max, spec.input_max)
    torch.eq(sums, codes, out=kept.within[PROJECTION][step])
    return codes


def run_sequence(
    conversions: Conversions, projection: Tensor | None = None, start: State | None = None, trace: bool = False
) -> tuple[Tensor, State, Trace | None]:
    """Hidden states of every step.

    Parameters
    ----------
    conversions : Conversions
    projection : float tensor, shape (hidden, units), or None
        Weights of the projection, where the specification has one: integers of a digital unit, levels of an array.
    start : pair of float tensors, shapes (batch, units) and (batch, hidden), or None
        The register and h before the first step, integers; None: zeros.
    trace : bool
        Whether to keep all the inner values as well.

    Returns
    -------
    (hidden, end, trace)
        hidden: pulse codes, shape (steps, batch, hidden), differentiable in ``drive``, ``rows``, ``lines``, ``bias``,
        ``projection`` and ``start``; end: register and h after the last step, from which the next part of the same
        sequences starts.
    """
    given = conversions
    before = (None, None) if start is None else start
    hidden, register, *kept = _Sequence.apply(
        given, trace, *before, given.drive, projection, given.lines, given.bias, *given.rows.values()
    )
    found = None
    if trace:
        spec, count = given.spec, len(given.spec.conversions)
        macs, values, rest = kept[:count], kept[count : 2 * count], kept[2 * count :]
        state = rest.pop(0) if spec.layout.register else None
        names = [name for name in spec.layout.values if name not in (spec.layout.register, spec.layout.output)]
        made, projected = rest[len(names)], None
        if given.projecting is not None:
            converted, decoded, wide = rest[len(names) + 1 :]
            projected, made = Trace([converted], [decoded], None, {}, made), wide
        found = Trace(macs, values, state, dict(zip(names, rest[: len(names)], strict=True)), made, projected)
    return hidden, (register, hidden[-1].detach()), found
