# SPDX-License-Identifier: Apache-2.0
"""Specifications of the least sizes, for proofs and for what takes every case."""

from crossramp.golden.cell.library import CELLS
from crossramp.golden.spec.specification import Specification


def small_spec(**changes) -> Specification:
    """One input, one unit, two bits of everything; with ``changes``, which may name a cell."""
    smallest = {
        **{"inputs": 1, "units": 1, "classes": 2, "adc_bits": 2, "input_bits": 2, "weight_bits": 2},
        **{"settle_clocks": 1, "calibration_cells": 1},
    }
    cell = CELLS[changes.get("cell", "lstm")]
    if cell.register:
        smallest |= {"state_bits": 4, "state_frac_bits": 2}
    if cell.line_value_is_state:
        smallest |= {"state_pulse_bits": 2}
    return Specification(**(smallest | changes))
