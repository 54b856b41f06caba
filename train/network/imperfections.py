# SPDX-License-Identifier: Apache-2.0
"""The seam through which device and converter imperfections enter training: one array is drawn for each forward pass.

The quantized network asks :class:`Imperfections` for an :class:`Array`, once per pass.
A subclass may draw a new device instance each time, so that the network learns to live with the spread,
or return the same one, so that it learns to live with one chip.
:mod:`.chips` draws from a technology, and the default is the ideal array.
Gradients pass conversions straight through.
Autograd differentiates what an array does to the weights, so write it in torch operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

__all__ = ["Array", "Imperfections"]


class Array:
    """The ideal array: every method gives back what it was given.

    Attributes
    ----------
    weights : float tensor, shape (rows, columns)
        What the array holds in place of the programmed levels; differentiable in them.
    thresholds : list of float64 arrays, shape (2**adc_bits - 1,), or None
        What each ramp of the specification ticks at, in MAC units; None: at its ideal thresholds. Where one decreases,
        a code is still the count of thresholds below z.
    resolution : int
        Entries a MAC unit that conversion needs: 1 where every MAC is an integer.
    """

    thresholds: list[np.ndarray] | None = None
    resolution = 1

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def charge(self, codes: Tensor) -> Tensor:
        """What pulses of the first conversion bring, in clocks; any shape."""
        return codes

    def variance(self, codes: Tensor) -> Tensor | None:
        """Noise variance that the pulses of x and bias rows bring; (..., inputs) -> (..., columns), None for none."""
        return None

    def first(self, macs: Tensor, hidden: Tensor, variance: Tensor | None) -> Tensor:
        """What the comparators see in place of the MACs of the first conversion, shape (batch, columns).

        ``hidden``, shape (batch, units), are the pulse codes of h, and ``variance`` is the step's of :meth:`variance`.
        """
        return macs

    def second(self, pulses: Tensor, cell: int) -> Tensor:
        """What the comparators see of c's pulses, shape (batch, units), through state cells of ``cell`` levels."""
        return pulses.mul_(cell)

    def late(self, values: Tensor, second: bool) -> None:
        """Changes decoded values, shape (batch, columns) or (batch, units), to what late comparators make of them."""


class Imperfections:
    """Draws the ideal array, every time."""

    def draw(self, levels: Tensor, training: bool) -> Array:
        """The array of one forward pass.

        Parameters
        ----------
        levels : float tensor, shape (rows, columns)
            Integer weight levels; rows are x, h, then bias rows, columns are banks i, f, g, o.
        training : bool
            Whether the pass is for training, else for validation.
        """
        return Array(levels)

    def restart(self) -> None:
        """A validation begins: it draws what the one before it drew."""

    def next_epoch(self) -> None:
        """An epoch of training is over."""

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs to draw on as if nothing had happened; tensors and numbers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what :meth:`state_dict` gave."""
