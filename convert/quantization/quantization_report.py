# SPDX-License-Identifier: Apache-2.0
"""What a quantization did to each bank, and how good its integers are beside the real numbers."""

from typing import Any

import numpy as np
from crossramp.golden.network.model_file import Model

from ..float_network.float_layer import checked_batch
from ..float_network.imported_network import FloatNetwork
from .layer_ranges import driven, row_groups
from .observed import observed
from .quantizer import Quantized
from .quantizer_settings import QuantizerSettings

#: More than this of h or of the state beyond its range is worth a word.
_CLIPPED_MOST = 0.02

#: Utterances that the golden network runs at once: bounds the memory of its trace.
_BLOCK = 256

#: A pre-activation that is off by more of its own size is worth a word.
_ERROR_MOST = 0.15


def report(made: Quantized, x, lengths=None) -> list[dict[str, Any]]:
    """By direction of a layer, on data as it was calibrated with: sizes, and the figures of each bank; JSON types.

    ``clipped`` is the share of weights beyond the range of the bank; ``error`` the root of the mean squared error of
    the pre-activations that rounded weights and pulse codes of the rows make, over that of the pre-activations.
    ``h_beyond`` and ``state_beyond`` are the shares of h and of the register that lie beyond their full scale.
    """
    settings = QuantizerSettings(**made.model.provenance["quantizer"])
    x, lengths = checked_batch(x, lengths, made.network.inputs)
    inner = x / np.array(made.model.real_inputs.full_scale)
    macros, found = iter(made.model.spec.macros.items()), []
    for directions, traces in zip(made.network.layers, made.network.trace(inner, lengths), strict=True):
        for layer, trace in zip(directions, traces, strict=True):
            name, spec = next(macros)
            weights = made.model.weights.macros[name] if name else made.model.weights
            seen = observed(layer, inner, trace, lengths)
            state = seen.values[spec.layout.register] if spec.layout.register else np.zeros(1)
            # A register that ends a step below 1 holds a state within ±1.
            limit = spec.state_limit + 2.0**-spec.state_frac_bits if spec.layout.register else np.inf
            found.append(
                {
                    "macro": name,
                    "layer": layer.name,
                    "cell": spec.cell,
                    "inputs": spec.inputs,
                    "units": spec.units,
                    "clocks_per_step": spec.macro_clocks,
                    "memristors": sum(spec.devices.values()),
                    "h_beyond": float(np.mean(np.abs(seen.h) > 1)),
                    "state_beyond": float(np.mean(np.abs(state) > limit)),
                    "banks": [
                        {
                            "bank": bank,
                            "activation": spec.gate(bank).activation,
                            "weight_range": spec.gate(bank).weight_range,
                            **_bank(layer, seen, bank, spec, weights.macro, settings),
                        }
                        for bank in spec.gate_names
                    ],
                }
            )
        inner = np.concatenate([trace.h for trace in traces], axis=2)
    return found


def _bank(layer, seen, bank: str, spec, levels: np.ndarray, settings: QuantizerSettings) -> dict[str, float]:
    inputs, wanted = driven(layer, seen, bank, settings)
    real = np.concatenate([seen.rows[group] for group in row_groups(layer, bank)], axis=1) @ wanted
    rows = np.concatenate([levels[spec.rows_of(group), spec.bank(bank)] for group in row_groups(layer, bank)])
    weight_range = spec.gate(bank).weight_range
    # The bias takes up the mean: what is left is what data cannot see in advance.
    lost = inputs @ (rows * weight_range / spec.weight_max) - real
    lost = lost - lost.mean(axis=0)
    size = float(np.sqrt(np.mean(real**2)))
    return {
        "clipped": float(np.mean(np.abs(wanted) > weight_range * (1 + 0.5 / spec.weight_max))),
        "error": float(np.sqrt(np.mean(lost**2))) / size if size else 0.0,
    }


def advice(layers: list[dict[str, Any]]) -> list[str]:
    """What to change where something in :func:`report` is bad, one line each."""
    found = []
    for layer in layers:
        name = layer["macro"] or layer["layer"] or layer["cell"]
        if layer["h_beyond"] > _CLIPPED_MOST:
            found.append(
                f"{name}: {layer['h_beyond']:.1%} of h lie beyond full scale; calibrate with data like that of use"
            )
        if layer["state_beyond"] > _CLIPPED_MOST:
            found.append(
                f"{name}: {layer['state_beyond']:.1%} of the cell state saturate; calibrate with longer utterances"
            )
        for bank in layer["banks"]:
            if bank["error"] > _ERROR_MOST:
                found.append(
                    f"{name}, bank {bank['bank']}: pre-activations are off by {bank['error']:.0%} of their size; give "
                    "more --weight-bits or --input-bits, or calibrate with data like that of use"
                )
    return found


def float_and_integers(network: FloatNetwork, model: Model, x, lengths, labels: np.ndarray) -> dict[str, float]:
    """What both make of labeled utterances: accuracies, or of outputs that are numbers the root mean squared errors.

    Parameters
    ----------
    x : array, shape (batch, steps, inputs)
    lengths : array of int, shape (batch,), or None
    labels : array
        Classes, shape (batch,), or with the readout ``"step"`` (batch, steps); where the outputs are numbers, real ones
        with an axis of outputs more.
    """
    x, lengths = checked_batch(x, lengths, network.inputs)
    logits, every_step = network.run(x, lengths).logits, model.spec.readout == "step"
    real, given, wanted = [], [], []
    for length in np.unique(lengths):
        which = lengths == length
        part = (which, slice(length)) if every_step else (which,)
        codes = model.real_inputs.codes(x[which][:, :length], model.spec.input_bits)
        numbers = model.output_unit is not None
        real.append((logits[part] if numbers else logits[part].argmax(axis=-1)).ravel())
        for block in np.array_split(codes, -(-len(codes) // _BLOCK)):
            given.append(model.results(model.network.run(block), length).ravel())
        wanted.append(labels[part].ravel())
    found = {"float": np.concatenate(real), "integers": np.concatenate(given)}
    truth = np.concatenate(wanted)
    if model.output_unit is None:
        return {name: float(np.mean(answers == truth)) for name, answers in found.items()}
    return {name: float(np.sqrt(np.mean((values - truth) ** 2))) for name, values in found.items()}
