# SPDX-License-Identifier: Apache-2.0
"""What a layer sees and computes of the calibration data, step by step, as rows of samples."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from crossramp.golden.cell.description import BIAS, INPUT

from ..float_network.float_layer import FloatLayer, LayerTrace


@dataclass(frozen=True, eq=False)
class Observed:
    """One direction of a layer on the data; float64, of every step of every utterance, none beyond an end.

    Attributes
    ----------
    rows : mapping of str to array, shape (samples, width)
        By group of rows what drives it: x, h of the step before, row values within the step.
    values : mapping of str to array, shape (samples, units)
        Every code and every stored value.
    charges : mapping of str to array, shape (samples, units)
        The pre-activation of every code.
    h : array, shape (samples, hidden)
        What leaves the layer.
    """

    rows: Mapping[str, np.ndarray]
    values: Mapping[str, np.ndarray]
    charges: Mapping[str, np.ndarray]
    h: np.ndarray


def observed(layer: FloatLayer, x: np.ndarray, trace: LayerTrace, lengths: np.ndarray) -> Observed:
    """A layer's trace as samples.

    Parameters
    ----------
    x : array, shape (batch, steps, inputs)
    trace : LayerTrace
        Of x.
    lengths : array of int, shape (batch,)
    """
    there = np.arange(x.shape[1]) < lengths[:, None]
    before = _before(layer, trace.h, lengths)
    cell, rows = layer.description, {}
    for group in cell.row_groups:
        if group != BIAS:
            given = {INPUT: x, cell.output: before}.get(group)
            rows[group] = (trace.values[group] if given is None else given)[there]
    return Observed(
        rows,
        {name: values[there] for name, values in trace.values.items()},
        {name: charges[there] for name, charges in trace.charges.items()},
        trace.h[there],
    )


def _before(layer: FloatLayer, h: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """h that each step was given: of the step before, in the direction of the layer."""
    start = np.zeros(layer.hidden) if layer.initial_h is None else layer.initial_h
    found = np.empty_like(h)
    if layer.reverse:
        found[:, :-1] = h[:, 1:]
        found[np.arange(len(h)), lengths - 1] = start
    else:
        found[:, 1:] = h[:, :-1]
        found[:, 0] = start
    return found
