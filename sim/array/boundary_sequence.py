# SPDX-License-Identifier: Apache-2.0
"""What a correct periphery shows at the boundary, clock by clock: a stimulus for array models and checkers alone."""

from collections.abc import Iterator

import numpy as np
from crossramp.golden.spec.specification import Specification

from .python_array import Pins, from_bits


def conversion_pins(
    spec: Specification,
    codes: np.ndarray,
    *,
    state: bool = False,
    calibration: int = 0,
    start_clocks: int = 3,
) -> Iterator[tuple[Pins, bool]]:
    """One conversion: (pins, waits) for each clock. Where ``waits``, repeat it, ``tick`` low, until ready.

    Parameters
    ----------
    codes : integer array
        Pulse codes of the rows, shape (rows,), or with ``state`` of c, shape (units,).
    """
    codes = np.asarray(codes)
    lines = ("state_pos", "state_neg") if state else ("row_pos", "row_neg")
    common = {"calibration": calibration}
    for _ in range(start_clocks):
        yield Pins(reset=1, **common), False
    common["state"] = int(state)
    for clock in range(spec.state_pulse_max if state else spec.input_max):
        pulses = {name: from_bits(sign * codes > clock) for name, sign in zip(lines, (1, -1), strict=True)}
        yield Pins(integrate=1, **pulses, **common), False
    for clock in range(spec.settle_clocks):
        yield Pins(hold=1, ramp_reset=1, **common), clock == spec.settle_clocks - 1
    for k in range(spec.ticks):
        yield Pins(hold=1, tick=1, tap=1 << k, **common), True


def run_conversion(spec: Specification, model, codes: np.ndarray, *, checker=None, **options) -> np.ndarray:
    """Drive ``model`` through one conversion, waiting for its ready.

    Returns
    -------
    bool array, shape (ticks, columns)
        The comparators as latched on each tick.
    """
    latched = []
    for pins, waits in conversion_pins(spec, codes, **options):
        while True:
            comparators, ready = model.clock(pins)
            if checker is not None:
                checker.clock(pins, ready)
            if ready or not waits:
                break
            pins.tick = 0
        if pins.tap:
            latched.append([comparators >> column & 1 for column in range(spec.columns)])
    return np.array(latched, bool)
