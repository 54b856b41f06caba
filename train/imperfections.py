# SPDX-License-Identifier: Apache-2.0
"""The seam through which device and converter imperfections enter training: one object, asked at three places.

The quantized network calls the hooks in every forward pass, so a subclass may draw a new device instance each time (the
network learns to live with the spread) or return the same one (it learns to live with one chip). The default is the
ideal array. Gradients pass the thresholds and the MACs straight through; the weights hook is differentiated by
autograd, so write it in torch operations.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["Imperfections"]


class Imperfections:
    """The ideal array and converters: every hook gives back what it was given."""

    def weights(self, levels: Tensor) -> Tensor:
        """What the array holds in place of the programmed weights.

        Parameters
        ----------
        levels : float tensor, shape (rows, columns)
            Integer weight levels; rows are x, h, then bias rows, columns are banks i, f, g, o.
        """
        return levels

    def thresholds(self, thresholds: Tensor, ramp: int) -> Tensor:
        """What ramp number ``ramp`` of the specification ticks at in place of its ideal thresholds.

        Parameters
        ----------
        thresholds : float64 tensor, shape (2**adc_bits - 1,)
            In MAC units, non-decreasing. Where the result decreases, a code is still the count of thresholds below z.
        """
        return thresholds

    def macs(self, macs: Tensor, second: bool) -> Tensor:
        """What the comparators see in place of the exact MACs.

        Parameters
        ----------
        macs : float tensor, shape (batch, columns)
            Integer MACs of one step; with ``second`` those of the state cells, shape (batch, units). A comparator's
            offset is added here, by column.
        """
        return macs
