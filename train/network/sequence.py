# SPDX-License-Identifier: Apache-2.0
"""The contract's LSTM over a whole utterance, in exact integers, with straight-through gradients.

The forward pass computes what `crossramp.golden` computes, bit for bit (a test compares them),
in floating-point tensors that hold integers: every sum stays below 2**24, or else float64 is used.
The backward pass is backpropagation through time written out by hand.
It takes each rounding as the identity (the straight-through estimator, Bengio et al.,
arXiv:1308.3432) and each conversion as the activation that it approximates.
One autograd function for the whole utterance spares autograd's graph some thousand small operations.

Activations are looked up by MAC in tables made from the golden ramps.
Software gets them quickly that way; the hardware has no such table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from crossramp.golden.cell.library import LSTM
from crossramp.golden.network.ramps import ramps
from crossramp.golden.spec.activations import Activation
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.update_formats import store_rule
from torch import Tensor

from .imperfections import Array

__all__ = ["ConversionTables", "Conversions", "State", "Trace", "exact_dtype", "run_sequence"]

State = tuple[Tensor, Tensor]
"""c and h of a batch, shapes (batch, units) and (batch, hidden)."""

_HALF = torch.tensor(0.5)

_ENTRIES = 1 << 21  # of all tables, where a MAC has several: places stay exact in float32


def exact_dtype(spec: Specification) -> torch.dtype:
    """The narrowest floating type in which every integer and fraction of a step of ``spec`` is exact."""
    stores = {store.name: store for part in spec.layout.stores for store in part}
    fraction = store_rule(spec, stores["c"]).shift  # bits behind the point of f*C + i*g
    product = spec.value_shift("i") + spec.value_shift("g")
    whole = max(spec.state_bits, product, spec.state_frac_bits + 1) + 1
    multiplier, _ = spec.state_gain
    bits = max(
        spec.mac_bits + 4,  # places in the conversion tables: up to four ramps of twice the MACs, and a half
        whole + max(fraction, 1) + 1,
        spec.state_bits + multiplier.bit_length() + 1,
        store_rule(spec, stores["h"]).shift + spec.input_bits + 1,
        (spec.units * spec.head_weight_max * spec.input_max).bit_length() + 2 if spec.projection else 0,
    )
    return torch.float32 if bits <= 24 else torch.float64


class ConversionTables:
    """Decoded value and slope for every MAC near the thresholds, one table per ramp, laid end to end.

    Parameters
    ----------
    spec : Specification
    dtype : torch.dtype
        Of the values and slopes.
    array : Array
        Asked for thresholds and resolution.
    """

    def __init__(self, spec: Specification, dtype: torch.dtype, array: Array) -> None:
        self.ideal, self.resolution = array.thresholds is None, array.resolution
        all_ramps = ramps(spec)
        given = [ramp.thresholds for ramp in all_ramps] if self.ideal else array.thresholds
        thresholds = [np.sort(ticks) for ticks in given]
        # MACs beyond twice the outermost threshold convert as that one does.
        self.reach = int(min(2 * spec.mac_max, 2 * np.abs(thresholds).max() + 8))
        while self.resolution > 1 and len(all_ramps) * 2 * self.reach * self.resolution >= _ENTRIES:
            self.resolution //= 2
        macs = np.arange(-self.reach * self.resolution, self.reach * self.resolution + 1) / self.resolution
        values, slopes = [], []
        for ramp, ticks in zip(all_ramps, thresholds, strict=True):
            values.append(ramp.decode(np.searchsorted(ticks, macs, side="left")))
            slopes.append(_slope(ramp.activation, macs * ramp.scale) * ramp.scale)
        device = array.weights.device
        self.values = torch.from_numpy(np.concatenate(values)).to(device, dtype)
        self.slopes = torch.from_numpy(np.concatenate(slopes)).to(device, dtype)
        # Where MAC 0 is, plus one half: truncation then rounds a real MAC to the nearest entry.
        start = [number * len(macs) + self.reach * self.resolution + 0.5 for number in spec.ramp_of_gate]
        self.column_start = torch.tensor(start, dtype=dtype, device=device).repeat_interleave(spec.units)
        self.state_start = start[spec.gate_names.index(spec.state_gate)]

    def convert(self, macs: Tensor, values: Tensor, slopes: Tensor) -> None:
        """Writes the first conversion's values and slopes (per MAC unit); shapes (batch, columns)."""
        self._look_up(self._place(macs).add_(self.column_start), values, slopes)

    def convert_state(self, macs: Tensor, values: Tensor, slopes: Tensor) -> None:
        """Writes the second conversion's, by bank g's ramp; shapes (batch, units)."""
        self._look_up(self._place(macs).add_(self.state_start), values, slopes)

    def _place(self, macs: Tensor) -> Tensor:
        place = macs.clamp(-self.reach, self.reach)
        return place if self.resolution == 1 else place.mul_(self.resolution)

    def _look_up(self, place: Tensor, values: Tensor, slopes: Tensor) -> None:
        # index_select by int32 takes a third of the time of indexing by int64, here the greatest cost of a step.
        index = place.to(torch.int32).view(-1)
        torch.index_select(self.values, 0, index, out=values.view(-1))
        torch.index_select(self.slopes, 0, index, out=slopes.view(-1))


@dataclass
class Trace:
    """What `run_sequence` keeps of every step on request; integers in floating-point tensors, (steps, batch, ...)."""

    macs: Tensor  # (..., columns)
    values: Tensor  # decoded values of the first conversion, (..., columns), real
    state: Tensor  # c, (..., units)
    state_macs: Tensor  # (..., units)
    state_values: Tensor  # decoded tanh(c), (..., units), real
    hidden: Tensor  # h, pulse codes, (..., hidden): projected where there is a projection


@dataclass
class Conversions:
    """What the step functions of one pass convert with: the array with its ramps, as golden's `Array.convert` is.

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
        What the x rows and the bias rows add to each MAC: integers.
    recurrent : float tensor, shape (hidden, columns)
        Levels of the h rows: integers, unless imperfections make them real.
    variance : float tensor, shape (steps, batch, any), or None
        Of the array's noise, from x and bias rows: its own :meth:`~.imperfections.Array.variance`.
    """

    spec: Specification
    array: Array
    tables: ConversionTables
    drive: Tensor
    recurrent: Tensor
    variance: Tensor | None = None

    def first(self, step: int, hidden: Tensor, values: Tensor, slopes: Tensor) -> Tensor:
        """The first conversion of a step, of x and of ``hidden``, shape (batch, hidden): what the comparators saw.

        Writes decoded values and slopes; all of shape (batch, columns).
        """
        array, variance = self.array, None if self.variance is None else self.variance[step]
        macs = torch.addmm(self.drive[step], array.charge(hidden), self.recurrent)
        macs = array.first(macs, hidden, variance)
        self.tables.convert(macs, values, slopes)
        array.late(values, False)
        return macs

    def second(self, pulses: Tensor, values: Tensor, slopes: Tensor) -> Tensor:
        """The second conversion, of c's ``pulses``; writes what `first` writes; all of shape (batch, units)."""
        macs = self.array.second(pulses, self.spec.state_cell)
        self.tables.convert_state(macs, values, slopes)
        self.array.late(values, True)
        return macs


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, recurrent, projection, conversions, start, trace):
        steps, batch, columns = drive.shape
        spec, units = conversions.spec, conversions.spec.units
        one = float(1 << spec.state_frac_bits)
        multiplier, shift = spec.state_gain
        gain = multiplier / 2.0**shift
        new = drive.new_empty
        values, slopes = new(steps, batch, columns), new(steps, batch, columns)
        state = drive.new_zeros(steps + 1, batch, units)
        state_values, state_slopes = new(steps, batch, units), new(steps, batch, units)
        hidden = drive.new_zeros(steps + 1, batch, spec.hidden)
        wide, held = (new(steps, batch, size) if spec.projection else None for size in (units, spec.projection))
        if start is not None:
            state[0], hidden[0] = start
        kept = Trace(new(steps, batch, columns), values, state[1:], new(steps, batch, units), state_values, hidden[1:])
        # What autograd differentiates must be its own argument; here both are without a graph.
        conversions = replace(conversions, drive=drive, recurrent=recurrent)
        # Line by line what `golden.network.lstm.Lstm.step` does.
        for t in range(steps):
            macs = conversions.first(t, hidden[t], values[t], slopes[t])
            i, f, g, o = _by_gate(values[t])
            update = torch.mul(f, state[t]).add_(torch.mul(i, g), alpha=one)
            torch.clamp(_round(update), -spec.state_max, spec.state_max, out=state[t + 1])
            pulses = _round(state[t + 1] * gain).clamp_(-spec.state_pulse_max, spec.state_pulse_max)
            state_macs = conversions.second(pulses, state_values[t], state_slopes[t])
            pulses = _round(torch.mul(o, state_values[t]).mul_(spec.input_max))
            if projection is not None:
                wide[t] = pulses
                sums = _round(torch.mm(pulses, projection.t()).mul_(0.5**spec.projection_shift))
                pulses = sums.clamp(-spec.input_max, spec.input_max)
                torch.eq(sums, pulses, out=held[t])
            hidden[t + 1] = pulses
            if trace:
                kept.macs[t], kept.state_macs[t] = macs, state_macs
        ctx.spec, ctx.gain, ctx.one = spec, gain, one
        ctx.save_for_backward(
            recurrent, projection, values, slopes, state, state_values, state_slopes, hidden, wide, held
        )
        # Copies: what autograd saved must not be an output under a second name.
        copies = [state[-1].clone(), *(tensor.clone() for tensor in vars(kept).values() if trace)]
        ctx.mark_non_differentiable(*copies)
        return (hidden[1:], *copies)

    @staticmethod
    def backward(ctx, hidden_gradient, *_):
        recurrent, projection, values, slopes, state, state_values, state_slopes, hidden, wide, held = ctx.saved_tensors
        spec = ctx.spec
        steps, _, columns = values.shape
        drive_gradient = torch.empty_like(values)
        sums_gradient = None if projection is None else torch.empty_like(held)
        through = recurrent.t().contiguous()
        dh = torch.zeros_like(hidden[0])
        dc = torch.zeros_like(state[0])
        for t in reversed(range(steps)):
            dh = dh + hidden_gradient[t]
            if projection is not None:
                # Nothing passes where the code saturates.
                torch.mul(held[t], dh, out=sums_gradient[t]).mul_(0.5**spec.projection_shift)
                dh = sums_gradient[t] @ projection
            dh.mul_(spec.input_max)
            i, f, g, o = _by_gate(values[t])
            di, df, dg, do = _by_gate(drive_gradient[t])
            torch.mul(dh, state_values[t], out=do)
            # Where c's pulse code saturates the slope is small already; it is let through so that c can come back.
            dc = dc.addcmul_(dh.mul_(o), state_slopes[t], value=spec.state_cell * ctx.gain)
            dc.masked_fill_(state[t + 1].abs() >= spec.state_max, 0.0)
            torch.mul(dc, state[t], out=df)
            torch.mul(dc, g, out=di).mul_(ctx.one)
            torch.mul(dc, i, out=dg).mul_(ctx.one)
            drive_gradient[t].mul_(slopes[t])
            dc = dc * f
            dh = drive_gradient[t] @ through
        flat = drive_gradient.view(-1, columns)
        recurrent_gradient = hidden[:-1].reshape(-1, spec.hidden).t() @ flat
        projection_gradient = None if projection is None else sums_gradient.flatten(0, 1).t() @ wide.flatten(0, 1)
        return drive_gradient, recurrent_gradient, projection_gradient, None, None, None


def run_sequence(
    conversions: Conversions, projection: Tensor | None = None, start: State | None = None, trace: bool = False
) -> tuple[Tensor, State, Trace | None]:
    """Hidden states of every step.

    Parameters
    ----------
    conversions : Conversions
    projection : float tensor, shape (hidden, units), or None
        Integer weights of the projection, where the specification has one.
    start : pair of float tensors, shapes (batch, units) and (batch, hidden), or None
        c and h before the first step, in which nothing is differentiated; None: zeros, a state reset.
    trace : bool
        Whether to keep all the inner values as well.

    Returns
    -------
    (hidden, end, trace)
        hidden: pulse codes, shape (steps, batch, hidden), differentiable in ``drive``, ``recurrent`` and
        ``projection``; end: c and h after the last step, which the next part of the same sequences starts from.
    """
    drive, recurrent = conversions.drive, conversions.recurrent
    hidden, c, *kept = _Sequence.apply(drive, recurrent, projection, conversions, start, trace)
    return hidden, (c, hidden[-1].detach()), Trace(*kept) if trace else None


def _by_gate(values: Tensor) -> list[Tensor]:
    """Views of the banks i, f, g, o of ``values``, shape (batch, columns)."""
    banks = dict(zip(LSTM.gates, values.chunk(len(LSTM.gates), 1), strict=True))
    return [banks[gate] for gate in "ifgo"]


def _round(value: Tensor) -> Tensor:
    return torch.copysign(_HALF, value).add_(value).trunc_()


def _slope(activation: Activation, argument: np.ndarray) -> np.ndarray:
    width = 1e-4
    return (activation(argument + width) - activation(argument - width)) / (2 * width)
