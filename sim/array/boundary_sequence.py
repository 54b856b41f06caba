# SPDX-License-Identifier: Apache-2.0
"""The pins of a correct periphery at the boundary, clock by clock: a stimulus for array models and checkers alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.array.ramps import latched_codes
from crossramp.golden.spec.specification import Specification

from .python_array import ArrayModel, Pins, from_bits


def conversion_pins(
    spec: Specification,
    window: Window,
    *,
    second: bool = False,
    calibration: int = 0,
    start_clocks: int = 3,
) -> Iterator[tuple[Pins, bool]]:
    """One conversion: (pins, waits) for each clock. Where ``waits``, repeat it, ``tick`` low, until ready.

    Parameters
    ----------
    window : Window
        Of one utterance: pulse codes of the rows, shape (rows,), and of the lines' wires, shape (state_lines,); None
        where none is driven.
    second : bool
        Whether it is the second conversion of a step: then banks that hold keep their charge.
    """
    common = {"calibration": calibration}
    reset = 1 if second else (1 << spec.reset_groups) - 1
    for _ in range(start_clocks):
        yield Pins(reset=reset, **common), False
    common["state"] = int(second)
    driven = [(name, codes) for name, codes in zip(("row", "state"), window, strict=True) if codes is not None]
    for clock in range(spec.windows[second]):
        pulses = {
            f"{name}_{side}": from_bits(sign * np.asarray(codes) > clock)
            for name, codes in driven
            for side, sign in (("pos", 1), ("neg", -1))
        }
        yield Pins(integrate=1, **pulses, **common), False
    for clock in range(spec.settle_clocks):
        yield Pins(hold=1, ramp_reset=1, **common), clock == spec.settle_clocks - 1
    for k in range(spec.conversion_ticks[second]):
        yield Pins(hold=1, tick=1, tap=1 << k, **common), True


def run_conversion(spec: Specification, model, window: Window, *, checker=None, **options) -> np.ndarray:
    """Drive ``model`` through one conversion, waiting for its ready.

    Returns
    -------
    bool array, shape (ticks, columns)
        The comparators as latched on each tick.
    """
    latched = []
    for pins, waits in conversion_pins(spec, window, **options):
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

    An :class:`~crossramp.golden.array.array_protocol.Array` of one utterance at a time (batch 1), which
    :class:`~crossramp.golden.macro.lstm.Lstm` runs on.

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
        """See :meth:`~crossramp.golden.array.array_protocol.Array.convert`; the model counts conversions itself."""
        second = len(windows) > 1
        columns = self.spec.converted(second)
        window = Window(*(None if codes is None else codes[0] for codes in windows[-1]))
        comparators = run_conversion(self.spec, self.model, window, second=second, calibration=self._calibration)
        macs = self.model.finish()[-1].macs
        return macs[None, columns], latched_codes(self.spec, comparators[:, columns], columns)[None]
