# SPDX-License-Identifier: Apache-2.0
"""The same network with every output of a layer within ±1, where the weights before and behind it can take its scale.

Pulse codes of h stand for values within ±1. A projected h, and that of a layer whose activation is proportional to its
argument (ReLU, identity), may lie anywhere: what makes it is divided by its full scale, and what takes it multiplied.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from crossramp.golden.cell.description import INPUT
from crossramp.golden.spec.activations import activation

from ..float_network.float_layer import FloatLayer, LayerTrace
from ..float_network.imported_network import FloatNetwork
from .full_scales import output_full_scale
from .quantizer_settings import QuantizationError, QuantizerSettings

#: Activations with f(s·z) = s·f(z) for s > 0.
_PROPORTIONAL = ("identity", "clipped_relu")

#: An output may pass ±1 by rounding, and by no more.
_ROUNDING = 1e-9


def rescaled(
    network: FloatNetwork,
    traces: Sequence[tuple[LayerTrace, ...]],
    inputs: np.ndarray,
    settings: QuantizerSettings,
) -> tuple[FloatNetwork, list[float]]:
    """The network for x over its full scale, with outputs within ±1, and by layer the real value of a full-scale h.

    Parameters
    ----------
    network : FloatNetwork
    traces : sequence of tuple of LayerTrace
        Of the calibration data, by layer and direction.
    inputs : array, shape (inputs,)
        The full scale of each input.
    settings : QuantizerSettings

    Raises
    ------
    QuantizationError
        For outputs beyond ±1 that no weights can take the scale of; names the layer.
    """
    layers, scales, before = [], [], inputs
    for directions, found in zip(network.layers, traces, strict=True):
        scale = _full_scale(directions, found, settings)
        changed = tuple(_scaled(layer, scale, before) for layer in directions)
        layers.append(changed if len(changed) > 1 else changed[0])
        scales.append(scale)
        before = np.full(1, scale)
    head = network.head_weights if network.head_weights is None else network.head_weights * scales[-1]
    return dataclasses.replace(network, layers=layers, head_weights=head), scales


def _full_scale(
    directions: tuple[FloatLayer, ...], traces: tuple[LayerTrace, ...], settings: QuantizerSettings
) -> float:
    """One for both directions, whose outputs stand side by side."""
    if all(layer.projection is not None for layer in directions):
        wanted = max(output_full_scale(trace.h, settings.input_max) for trace in traces)
        # A projection has weights within ±1, its topmost level a step below.
        topmost = 1 - 2.0 ** (1 - settings.head_weight_bits)
        return max(wanted, *(float(np.abs(layer.projection).max()) / topmost for layer in directions))
    if all(_proportional(layer) for layer in directions):
        return max(output_full_scale(trace.h, settings.input_max) for trace in traces)
    for layer, trace in zip(directions, traces, strict=True):
        largest = float(np.abs(trace.h).max())
        if largest > 1 + _ROUNDING:
            raise QuantizationError(
                f"{layer.title}: outputs reach ±{largest:.3g}, but pulse codes of h end at ±1; the scale can go into "
                f"weights only behind a projection or for {' and '.join(_PROPORTIONAL)}: train it with outputs in ±1"
            )
    return 1.0


def _proportional(layer: FloatLayer) -> bool:
    """Whether a layer is one bank, whose activation is proportional to its argument, without a memory of its own."""
    cell = layer.description
    names = [activation(text).name for text in layer.activations.values()]
    return len(cell.banks) == 1 and cell.register is None and names[0] in _PROPORTIONAL and layer.projection is None


def _scaled(layer: FloatLayer, scale: float, before: np.ndarray) -> FloatLayer:
    """A layer whose h is a ``scale``-th of what it was, and whose inputs are a ``before``-th, each or all."""
    cell, own = layer.description, 1 / scale if _proportional(layer) else 1.0
    weights = {}
    for (bank, group), values in layer.weights.items():
        taken = {INPUT: before, cell.output: scale}.get(group, 1.0)
        weights[bank, group] = values * taken * own
    return dataclasses.replace(
        layer,
        weights=weights,
        projection=None if layer.projection is None else layer.projection / scale,
        initial_h=None if layer.initial_h is None else layer.initial_h / scale,
        clip={code: limit * own for code, limit in layer.clip.items()},
    )
