# SPDX-License-Identifier: Apache-2.0
"""The pins of a correct periphery at the boundary, clock by clock: a stimulus for array models and checkers alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from crossramp.golden.network.array_protocol import Window
from crossramp.golden.network.ramps import latch
from crossramp.golden.spec.specification import Specification

from .python_array import ArrayModel, Pins, from_bits


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


class DrivenArray:
    """An array at the pins as an array of golden: each conversion is driven clock by clock, as a periphery would.

    An :class:`~crossramp.golden.network.array_protocol.Array` of one utterance at a time (batch 1), which
    :class:`~crossramp.golden.network.lstm.Lstm` runs on.

    Parameters
    ----------
    spec : Specification
    model : ArrayModel
    calibration : int
        The calibration port.
    """

    def __init__(self, spec: Specification, model: ArrayModel, calibration: int = 0):
        self.spec, self.model, self._calibration = spec, model, calibration

    def convert(self, windows: Sequence[Window], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`~crossramp.golden.network.array_protocol.Array.convert`; the model counts conversions itself."""
        second = len(windows) > 1
        spec, columns = self.spec, self.spec.converted(second)
        (codes,) = windows[-1].lines if second else windows[-1].rows
        comparators = run_conversion(spec, self.model, codes, state=second, calibration=self._calibration)
        macs = self.model.finish()[-1].macs
        return macs[None, columns], latch(comparators[:, columns], spec.latch)[None]
