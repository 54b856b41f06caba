# SPDX-License-Identifier: Apache-2.0
"""The conductance window of devices that no technology describes."""

import numpy as np

from ...common.errors import InvalidValue

#: Conductance window used where none is given, in siemens: a memristor that is programmed from its off state to 150 µS.
G_MIN, G_MAX = 0.0, 150e-6


def check_window(g_max: float, g_min: float) -> None:
    """InvalidValue unless 0 <= g_min < g_max, both finite."""
    if not (np.isfinite([g_max, g_min]).all() and 0 <= g_min < g_max):
        raise InvalidValue(f"the conductance window is {g_min!r} to {g_max!r} S; give 0 <= g_min < g_max")
