# SPDX-License-Identifier: Apache-2.0
"""The integers of one direction of a layer, for a specification whose ranges are settled."""

from collections.abc import Mapping

import numpy as np
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.description import BIAS
from crossramp.golden.spec.specification import Specification

from ..float_network.float_layer import FloatLayer
from .layer_ranges import driven
from .observed import Observed
from .quantizer_settings import QuantizerSettings
from .weight_rounding import error_fed, nearest, rounded, spread_over_rows


def bank_levels(
    layer: FloatLayer, found: Observed, ranges: Mapping[str, float], settings: QuantizerSettings
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By bank the levels of its rows, int64, shape (rows, units), and of its bias, (units,), before it has rows.

    Parameters
    ----------
    ranges : mapping of str to float
        The real value of a full-scale weight of each bank.
    """
    levels = {}
    for bank, weight_range in ranges.items():
        step = weight_range / settings.weight_max
        inputs, weights = driven(layer, found, bank, settings)
        if settings.rounding == "nearest":
            rows = nearest(weights, step, settings.weight_max)
        else:
            rows = error_fed(weights, inputs, step, settings.weight_max)
        bias = layer.weights.get((bank, BIAS), np.zeros(layer.units))
        if settings.bias_correction:
            groups = [
                group
                for group in layer.description.row_groups
                if group in found.rows and (bank, group) in layer.weights
            ]
            wanted = np.concatenate([found.rows[group] for group in groups], axis=1)
            bias = bias + (wanted @ weights).mean(axis=0) - (inputs @ (rows * step)).mean(axis=0)
        levels[bank] = rows, rounded(bias / step).astype(np.int64)
    return levels


def macro_weights(
    layer: FloatLayer,
    spec: Specification,
    levels: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Weights:
    """A direction's arrays, without those of a head.

    Parameters
    ----------
    levels : mapping
        From :func:`bank_levels`.
    """
    macro = np.zeros((spec.rows, spec.columns), np.int64)
    for bank, (rows, bias) in levels.items():
        columns, first = spec.bank(bank), 0
        for group in spec.row_sizes:
            if group not in spec.layout.banks[bank].rows:
                continue
            place = spec.rows_of(group)
            if group == BIAS:
                macro[place, columns] = spread_over_rows(bias, spec.bias_rows, spec.weight_max)
            else:
                macro[place, columns] = rows[first : first + place.stop - place.start]
                first += place.stop - place.start
    return Weights(
        macro,
        projection=_projection(layer, spec),
        lines=_lines(layer, spec),
        **_start(layer, spec),
    )


def _projection(layer: FloatLayer, spec: Specification) -> np.ndarray | None:
    if layer.projection is None:
        return None
    return nearest(layer.projection, 2.0**-spec.projection_shift, spec.head_weight_max)


def _lines(layer: FloatLayer, spec: Specification) -> np.ndarray | None:
    """Levels of trained cells: a clock of a line stands for the full scale of its value over the longest pulse."""
    cells = [cell for cell in spec.line_cells if cell.trained]
    if not cells:
        return None
    clock = spec.state_full_scale / spec.state_pulse_max
    return np.stack(
        [nearest(layer.weights[cell.bank, cell.line] * clock, spec.scale(cell.bank), spec.weight_max) for cell in cells]
    )


def _start(layer: FloatLayer, spec: Specification) -> dict[str, np.ndarray]:
    """What utterances start from: integers of the register, and pulse codes of h; zero where the layer has none."""
    found = {}
    if spec.constant_register:
        values = np.zeros(spec.units) if layer.initial_register is None else layer.initial_register
        found["initial_register"] = nearest(values, 2.0**-spec.state_frac_bits, spec.state_max)
    if spec.constant_h:
        values = np.zeros(spec.hidden) if layer.initial_h is None else layer.initial_h
        found["initial_h"] = nearest(values, 1 / spec.input_max, spec.input_max)
    return found
