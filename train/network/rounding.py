# SPDX-License-Identifier: Apache-2.0
"""Rounding that lets gradients pass unchanged: the straight-through estimator.

Bengio et al., arXiv:1308.3432.
"""

import torch
from torch import Tensor

__all__ = ["round_through"]


def round_through(value: Tensor) -> Tensor:
    """``value`` rounded to nearest, halves away from zero; its gradient is 1."""
    rounded = torch.trunc(value + torch.full_like(value, 0.5).copysign(value)).detach()
    return value + (rounded - value).detach()
