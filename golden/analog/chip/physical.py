# SPDX-License-Identifier: Apache-2.0
"""One sampled array in SI units, with everything that a circuit simulator needs."""

from dataclasses import dataclass

import numpy as np
from crossramp.golden.spec.specification import Specification

from ..technologies.technology import Technology


@dataclass(frozen=True, eq=False)
class PhysicalArray:
    """Cells as they are when read (programmed, aged, warm, or stuck), and the circuits at the ends of their lines.

    Cells are conductances in siemens in current mode, capacitances in farad in charge mode. Each column subtracts what
    its ``negative`` cells bring from what its ``positive`` ones do. All arrays are float64.

    Parameters
    ----------
    spec : Specification
    technology : Technology
        With the constants it was sampled from: wires, times, amplifier, operation.
    switches : frozenset of str
        The effects that were switched on.
    seed : int
    positive, negative : shape (rows, columns)
        Cells of the weights, 0 where the cell has no memristors (``spec.placed``); single-ended: ``negative`` holds
        the reference columns, one for each set of row groups that banks cross, (rows, crossings).
    state_positive, state_negative : shape (line_cell_count,)
        Cells of the lines, in the order of ``spec.line_cells``.
    ramp : shape (ramps, ticks)
        Cells of the taps: tick k connects cell k - 1 for one clock. Positive direction.
    ramp_start : shape (ramps, start cells)
        Cells that together take the ramp from 0 to its start, all in the direction of ``start_sign``; 0: no cell.
    start_sign : shape (ramps,)
        1 or -1.
    calibration : shape (ramps, calibration_cells)
        Bias cells, several in parallel where a bit of the register is worth more than the largest step; positive
        direction.
    ramp_negative, ramp_start_negative, calibration_negative : shapes of the three above
        What is subtracted where ramp cells are pairs; 0 where they are single.
    unit : float
        Nominal difference of a pair for one weight level; S or F.
    ramp_unit : shape (ramps,)
        Nominal ramp cell for a step of one MAC; S or F.
    volts_per_mac : float
        Nominal voltage of one MAC at integrator and ramp, V.
    read_voltage : float
        Of this chip, at its supply; V.
    ramp_voltage : float
        What drives the ramp's cells; the read voltage itself where the ramp is in memory, V.
    column_capacitance : shape (columns,)
        Of the integrators, F.
    ramp_capacitance : shape (ramps,)
        Of the ramps' integrators, F.
    offset : shape (columns,)
        Of the comparators, V: positive makes a column read high.
    delay : shape (columns,)
        Of the comparators, s.
    """

    spec: Specification
    technology: Technology
    switches: frozenset
    seed: int
    positive: np.ndarray
    negative: np.ndarray
    state_positive: np.ndarray
    state_negative: np.ndarray
    ramp: np.ndarray
    ramp_start: np.ndarray
    start_sign: np.ndarray
    calibration: np.ndarray
    ramp_negative: np.ndarray
    ramp_start_negative: np.ndarray
    calibration_negative: np.ndarray
    unit: float
    ramp_unit: np.ndarray
    volts_per_mac: float
    read_voltage: float
    ramp_voltage: float
    column_capacitance: np.ndarray
    ramp_capacitance: np.ndarray
    offset: np.ndarray
    delay: np.ndarray


def subtracted(spec: Specification, negative: np.ndarray) -> np.ndarray:
    """What each column subtracts, shape (rows, columns), of ``negative`` cells or reference columns."""
    if negative.shape == spec.placed.shape:
        return negative
    return np.where(spec.placed, negative[:, spec.crossing_of_column], 0.0)
