# SPDX-License-Identifier: Apache-2.0
"""Calibration of the ramps by one point, as the gateware's calibrator does it (docs/calibration.md)."""

import numpy as np

from ..ramp import Ramp


def reference_tick(ramp: Ramp) -> int:
    """K: the tick, 1 to 2**bits - 1, whose ideal threshold lies nearest to a MAC of 0, the lowest of equals.

    2**(bits - 1) for sigmoid, tanh and every other activation that is 0, or half way, at 0.
    """
    return int(np.argmin(np.abs(ramp.arguments))) + 1
