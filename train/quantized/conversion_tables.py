# SPDX-License-Identifier: Apache-2.0
"""Conversions looked up by MAC, in tables made from the golden ramps: the value of each code, and the slope there.

Software gets activations quickly that way; the hardware has no such table.
"""

from __future__ import annotations

import numpy as np
import torch
from crossramp.golden.array.ramps import ramps
from crossramp.golden.spec.activations import Activation
from crossramp.golden.spec.specification import Specification
from torch import Tensor

from .imperfections import Array

__all__ = ["ConversionTables"]

_ENTRIES = 1 << 21  # of all tables, where a MAC has several: places stay exact in float32


class ConversionTables:
    """Decoded value and slope for every MAC near the thresholds, one table per ramp, laid end to end.

    A value is one of [0, 1] or [-1, 1]: of an activation with another range, its share of the range's end.

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
        thresholds = [np.sort(ticks[: ramp.ticks]) for ticks, ramp in zip(given, all_ramps, strict=True)]
        # MACs beyond twice the outermost threshold convert as that one does.
        self.reach = int(min(2 * spec.mac_max, 2 * max(np.abs(ticks).max() for ticks in thresholds) + 8))
        while self.resolution > 1 and len(all_ramps) * 2 * self.reach * self.resolution >= _ENTRIES:
            self.resolution //= 2
        macs = np.arange(-self.reach * self.resolution, self.reach * self.resolution + 1) / self.resolution
        values, slopes = [], []
        for ramp, ticks in zip(all_ramps, thresholds, strict=True):
            end = ramp.activation.high
            values.append(ramp.decode(ramp.codes[np.searchsorted(ticks, macs, side="left")]) / end)
            slopes.append(_slope(ramp.activation, macs * ramp.scale) * (ramp.scale / end))
        device = array.weights.device
        self.values = torch.from_numpy(np.concatenate(values)).to(device, dtype)
        self.slopes = torch.from_numpy(np.concatenate(slopes)).to(device, dtype)
        # Where MAC 0 is, plus one half: truncation then rounds a real MAC to the nearest entry.
        start = [number * len(macs) + self.reach * self.resolution + 0.5 for number in spec.ramp_of_gate]
        start = torch.tensor(start, dtype=dtype, device=device).repeat_interleave(spec.units)
        latched = [start[spec.converted(k)] for k in range(len(spec.conversions))]
        #: For each conversion: of every column that it latches, or one number for all of them.
        self.starts = [columns[0].item() if (columns == columns[0]).all() else columns for columns in latched]

    def convert(self, number: int, macs: Tensor, values: Tensor, slopes: Tensor) -> None:
        """Writes values and slopes (per MAC unit) of a conversion; shapes (batch, columns that it latches)."""
        place = macs.clamp(-self.reach, self.reach)
        if self.resolution != 1:
            place.mul_(self.resolution)
        # index_select by int32 takes a third of the time of indexing by int64, here the greatest cost of a step.
        index = place.add_(self.starts[number]).to(torch.int32).view(-1)
        torch.index_select(self.values, 0, index, out=values.view(-1))
        torch.index_select(self.slopes, 0, index, out=slopes.view(-1))


def _slope(activation: Activation, argument: np.ndarray) -> np.ndarray:
    width = 1e-4
    return (activation(argument + width) - activation(argument - width)) / (2 * width)
