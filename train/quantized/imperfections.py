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

from collections.abc import Mapping
from typing import Any

import numpy as np
from crossramp.golden.spec.specification import Specification
from torch import Tensor

__all__ = ["Array", "Imperfections"]


class Array:
    """The ideal array: charges, MACs and values are what the levels make of the pulses.

    Parameters
    ----------
    spec : Specification
    weights : float tensor, shape (rows, columns)
        Programmed levels.
    lines : float tensor, shape (trained line cells, units), or None

    Attributes
    ----------
    weights, lines : float tensors
        What the array holds in place of the programmed levels; differentiable in them.
    thresholds : list of float64 arrays, shape (2**adc_bits - 1,), or None
        What each ramp of the specification ticks at, in MAC units; None: at its ideal thresholds. Where one decreases,
        a code is still the count of thresholds below z.
    resolution : int
        Entries a MAC unit that conversion needs: 1 where every MAC is an integer.
    """

    thresholds: list[np.ndarray] | None = None
    resolution = 1

    def __init__(self, spec: Specification, weights: Tensor, lines: Tensor | None = None) -> None:
        self.spec, self.weights, self.lines = spec, weights, lines
        trained = iter(range(spec.trained_lines))
        self._line_levels = [lines[next(trained)] if cell.trained else spec.state_cell for cell in spec.line_cells]

    def charge(self, codes: Tensor, window: int = 0) -> Tensor:
        """What pulses of rows bring in a window, in clocks; any shape."""
        return codes

    def line(self, number: int, pulses: Tensor, window: int) -> Tensor:
        """MACs, shape (batch, units), that pulses of a line bring through cell ``number`` of ``spec.line_cells``."""
        return pulses * self._line_levels[number]

    def hold(self, charge: Tensor, columns: slice) -> Tensor:
        """What is left of the first window's charge at the end of the second, in ``columns`` that hold it."""
        return charge

    def variance(self, codes: Tensor) -> Tensor | None:
        """Noise variance that the pulses of x and bias rows bring; (..., inputs) -> (..., columns), None for none."""
        return None

    def seen(self, number: int, macs: Tensor, pulses: Mapping[str, Tensor], variance: Tensor | None) -> Tensor:
        """What the comparators see in place of the MACs of a conversion, shape (batch, columns that it latches).

        Parameters
        ----------
        number : int
            0, or 1 for the second conversion of a step.
        pulses : mapping
            Pulse codes of what drives rows and lines, shape (batch, hidden) of h, (batch, units) of others; by names.
        variance : tensor or None
            The step's of :meth:`variance`.
        """
        return macs

    def late(self, values: Tensor, number: int) -> None:
        """Changes decoded values of a conversion, shape of its MACs, to what late comparators make of them."""


class Imperfections:
    """Draws the ideal array, every time.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification) -> None:
        self.spec = spec

    def draw(self, levels: Tensor, training: bool, lines: Tensor | None = None) -> Array:
        """The array of one forward pass.

        Parameters
        ----------
        levels : float tensor, shape (rows, columns)
            Integer weight levels: groups of rows and banks of columns in the cell's order.
        training : bool
            Whether the pass is for training, else for validation.
        lines : float tensor, shape (trained line cells, units), or None
            Integer levels; None where the cell has no such cells.
        """
        return Array(self.spec, levels, lines)

    def restart(self) -> None:
        """A validation begins: it draws what the one before it drew."""

    def next_epoch(self) -> None:
        """An epoch of training is over."""

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs to draw on as if nothing had happened; tensors and numbers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what :meth:`state_dict` gave."""
