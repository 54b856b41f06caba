# SPDX-License-Identifier: Apache-2.0
"""The cell update: from codes and the register to stored values, by the cell's program; and the projection of h.

Integers. What a value of each format is made of stands in :mod:`crossramp.golden.spec.update_formats`.
"""

from collections.abc import Mapping

import numpy as np

from ..array.integers import exact_matmul, round_shift, saturate
from ..array.ramps import decoded_codes
from ..cell.exact import Exact, evaluate
from ..spec.specification import Specification
from ..spec.update_formats import store_rule


def run_update(spec: Specification, update: int, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What an update of the cell stores: each value rounded once and saturated once, on the exact expression.

    Parameters
    ----------
    update : int
        0, or 1 for the second one of a step.
    values : mapping
        Integer arrays of one shape, (..., units): the codes that the update reads, by their names, and the register
        (c of an LSTM, in units of 2**-state_frac_bits) if it reads it.

    Returns
    -------
    dict of int64 arrays
        The values that it stores, by their names: of the register in the same units, of lines and rows pulse codes.
    """
    cell, stored = spec.layout, {}

    def leaf(name: str) -> Exact:
        if name == cell.register:
            return Exact(np.asarray(stored.get(name, values.get(name)), np.int64), spec.state_frac_bits)
        gate = cell.gate_of(name)
        return Exact(decoded_codes(spec, gate, values[name]), spec.value_shift(gate))

    for store in cell.stores[update]:
        rule = store_rule(spec, store)
        exact = evaluate(store.expression, leaf).value
        stored[store.name] = saturate(round_shift(exact * rule.multiplier, rule.shift), rule.limit)
    return stored


def line_pulses(spec: Specification, register: np.ndarray) -> np.ndarray:
    """The pulse code of the lines that the register drives, as c of an LSTM does: sat(round(c·M / 2**R))."""
    multiplier, shift = spec.state_gain
    return saturate(round_shift(register * multiplier, shift), spec.state_pulse_max)


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
