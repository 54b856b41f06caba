# SPDX-License-Identifier: Apache-2.0
"""The cell update: from codes to c, from c to its pulse code, from codes to h; and the projection of h. Integers."""

import numpy as np

from ..spec.lstm_cell import output_shift, state_shifts
from ..spec.specification import Specification
from .integers import exact_matmul, round_shift, saturate
from .ramps import decode_integer


def update_c(spec: Specification, codes: np.ndarray, c: np.ndarray) -> np.ndarray:
    """c ← sat(round(f·c + i·g)), rounded once, on the exact sum.

    Parameters
    ----------
    codes : integer array, shape (..., columns)
        Of the first conversion.
    c : integer array, shape (..., units)
        In units of 2**-state_frac_bits, as the result.
    """
    i, f, g = (decode_integer(spec.of_bank(codes, gate), spec.bipolar(gate), spec.adc_bits) for gate in "ifg")
    shifts = state_shifts(spec)
    exact = (f * c << shifts.fc) + (i * g << shifts.ig)
    return saturate(round_shift(exact, shifts.sum), spec.state_max)


def state_pulses(spec: Specification, c: np.ndarray) -> np.ndarray:
    """c as a pulse code within ±state_pulse_max: sat(round(c·M / 2**R))."""
    multiplier, shift = spec.state_gain
    return saturate(round_shift(c * multiplier, shift), spec.state_pulse_max)


def update_h(spec: Specification, codes: np.ndarray, state_codes: np.ndarray) -> np.ndarray:
    """h ← round(o·tanh(c)·input_max), a pulse code; cannot exceed ±input_max.

    Parameters
    ----------
    codes, state_codes : integer arrays, shapes (..., columns) and (..., units)
        Of the first conversion, and of the second.
    """
    o = decode_integer(spec.of_bank(codes, "o"), spec.bipolar("o"), spec.adc_bits)
    t = decode_integer(state_codes, spec.bipolar("g"), spec.adc_bits)
    return round_shift(o * t * spec.input_max, output_shift(spec))


def project(spec: Specification, weights: np.ndarray, h: np.ndarray) -> np.ndarray:
    """r ← sat(round(Σ_u W[p, u]·h[u] / 2**projection_shift)), pulse codes that stand wherever h stood.

    Parameters
    ----------
    weights : integer array, shape (hidden, units)
        W, within ±head_weight_max.
    h : integer array, shape (..., units)
        Pulse codes.

    Returns
    -------
    int64 array, shape (..., hidden)
    """
    sums = exact_matmul(h, weights.T, spec.units * spec.head_weight_max * spec.input_max)
    return saturate(round_shift(sums, spec.projection_shift), spec.input_max)
