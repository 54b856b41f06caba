# SPDX-License-Identifier: Apache-2.0
"""Networks in real numbers with random weights, and how far their integers are from them."""

import numpy as np
from crossramp.convert.float_network.float_layer import FloatLayer
from crossramp.convert.float_network.imported_network import FloatNetwork
from crossramp.convert.quantization.quantizer import Quantized
from crossramp.golden.cell.library import CELLS
from crossramp.golden.cell.real_cell import trained_places


def drawn_layer(cell: str, inputs: int, units: int, rng, scale: float = 0.8, **options) -> FloatLayer:
    """Random weights on all places of a cell, of a size that keeps most activations off their ends."""
    weights, hidden = {}, units if options.get("projection") is None else len(options["projection"])
    for bank, group in trained_places(CELLS[cell]):
        width = {"x": inputs, "h": hidden, "k": units}.get(group)
        shape = (units,) if width is None else (units, width)
        weights[bank, group] = rng.normal(0, scale / np.sqrt(width or 4), shape)
    return FloatLayer(cell, weights, **options)


def drawn_network(cells, rng, *, inputs: int = 5, units: int = 6, classes: int = 4, **options) -> FloatNetwork:
    """Layers of one direction, or of two for a cell in a tuple: ``["lstm", ("gru",)]``."""
    layers, width = [], inputs
    for cell in cells:
        ways = (False, True) if isinstance(cell, tuple) else (False,)
        name = cell[0] if isinstance(cell, tuple) else cell
        layer = [drawn_layer(name, width, units, rng, reverse=way, name=f"{name}{way}") for way in ways]
        layers.append(tuple(layer) if len(layer) > 1 else layer[0])
        width = units * len(layer)
    return FloatNetwork(layers, rng.normal(0, 0.5, (classes, width)), rng.normal(0, 0.2, classes), **options)


def errors_of(made: Quantized, network: FloatNetwork, x: np.ndarray) -> tuple[float, float]:
    """Largest mean error of a unit's h over the steps, and the rms error of the logits over their own rms.

    Of utterances of equal length.
    """
    model = made.model
    trace = model.network.run(model.real_inputs.codes(x, model.spec.input_bits))
    wanted = network.run(x)
    h = trace.h
    if len(network.layers[-1]) == 2 and network.readout != "step":
        half = h.shape[2] // 2  # the head takes a backward macro's h as it comes
        h = np.concatenate([h[..., :half], h[:, ::-1, half:]], axis=2)
    h = h / model.spec.input_max * made.h_scales[-1]
    steps = x.shape[1] if network.readout == "mean" else 1
    lost = trace.logits * made.logit_unit / steps - wanted.logits
    return float(np.abs(h - wanted.h).mean(axis=(0, 1)).max()), float(
        np.sqrt((lost**2).mean() / (wanted.logits**2).mean())
    )
