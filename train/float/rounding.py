# SPDX-License-Identifier: Apache-2.0
"""Rounding, and anything else, that lets gradients pass unchanged: the straight-through estimator.

Bengio et al., arXiv:1308.3432.
"""

import numpy as np
import torch
from torch import Tensor

__all__ = ["integers", "round_through", "through"]


def round_through(value: Tensor) -> Tensor:
    """``value`` rounded to nearest, halves away from zero; its gradient is 1."""
    rounded = torch.trunc(value + torch.full_like(value, 0.5).copysign(value)).detach()
    return value + (rounded - value).detach()


def through(value: Tensor, exact: Tensor) -> Tensor:
    """``exact`` in every bit, with the gradient of ``value``; both of one shape."""
    return _Through.apply(value, exact) if value.requires_grad else exact


def integers(levels: Tensor) -> np.ndarray:
    """Levels as golden takes them, int64."""
    return levels.detach().round().to(torch.int64).cpu().numpy()


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value: Tensor, exact: Tensor) -> Tensor:
        return exact.view_as(exact)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None
