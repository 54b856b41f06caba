# SPDX-License-Identifier: Apache-2.0
"""From a trained network in real numbers and calibration data to a model of integers."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from crossramp.golden.array.weights import Weights
from crossramp.golden.inputs.real_inputs import RealInputs
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.network.layered_weights import LayeredWeights
from crossramp.golden.network.model_file import Model
from crossramp.golden.spec.activations import activation
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.state_scale import topmost_argument

from ..float_network.float_layer import FloatLayer, checked_batch
from ..float_network.imported_network import FloatNetwork
from .full_scales import input_full_scales
from .layer_ranges import gates
from .layer_weights import bank_levels, macro_weights
from .observed import Observed, observed
from .quantizer_settings import QuantizationError, QuantizerSettings
from .rescaled import rescaled

_BIAS_ROWS_MOST = 64


@dataclass(frozen=True, eq=False)
class Quantized:
    """What a quantization made.

    Attributes
    ----------
    model : Model
    network : FloatNetwork
        What its integers stand for: the given network, in the units of the hardware. Its x is the real one over the
        full scales, and every output of a layer lies within ±1.
    h_scales : list of float
        By layer the value that a full-scale h has in the given network.
    logit_unit : float
        The real value of a logit's unit; with the readout ``"mean"``, of the logit over the number of steps.
    """

    model: Model
    network: FloatNetwork
    h_scales: list[float]
    logit_unit: float


def quantized(
    network: FloatNetwork,
    x,
    lengths=None,
    settings: QuantizerSettings | None = None,
    numbers: bool = False,
    provenance: dict[str, Any] | None = None,
) -> Quantized:
    """Quantize a network without training it.

    Input scales are of least squared error and go into the weights of the first layer; the weight range of each ramp
    has the least error of the pre-activations; weights are rounded so that rows make up for each other's errors; biases
    take up what is left of the mean. The cell state has as many bits as the data needs.

    Parameters
    ----------
    network : FloatNetwork
    x : array, shape (batch, steps, inputs)
        Calibration data, real; a few hundred utterances are enough.
    lengths : array of int, shape (batch,), or None
        Steps of each utterance; None: all.
    settings : QuantizerSettings or None
        None: the defaults.
    numbers : bool
        Whether the outputs are numbers, so that the model has an ``output_unit``.
    provenance : dict or None
        What the model file says beside the settings, as JSON types.

    Raises
    ------
    QuantizationError
        For what hardware cannot have; names the layer.
    SpecificationError
        For sizes that it cannot have.
    InvalidValue
        For data of another width, or that is not finite.
    """
    settings = QuantizerSettings() if settings is None else settings
    x, lengths = checked_batch(x, lengths, network.inputs)
    if 0 < settings.max_steps < lengths.max():
        raise QuantizationError(
            f"max_steps is {settings.max_steps}, but an utterance has {lengths.max()} steps; raise it, or leave it out"
        )
    there = np.arange(x.shape[1]) < lengths[:, None]
    full_scales = input_full_scales(x[there], settings.input_max, settings.input_scale)
    scaled, h_scales = rescaled(network, network.trace(x, lengths), full_scales, settings)
    inner = x / full_scales
    traces, layers, weights = scaled.trace(inner, lengths), [], {}
    for number, (directions, found) in enumerate(zip(scaled.layers, traces, strict=True)):
        seen = [observed(layer, inner, trace, lengths) for layer, trace in zip(directions, found, strict=True)]
        layer, integers = _layer(directions, seen, settings)
        layers.append(layer)
        names = ("_forward", "_backward") if layer.bidirectional else ("",)
        weights |= {f"layer{number}{name}": one for name, one in zip(names, integers, strict=True)}
        inner = np.concatenate([trace.h for trace in found], axis=2)
    spec, arrays, unit = _with_head(
        scaled, layers, weights, settings, settings.max_steps or 1 << (x.shape[1] - 1).bit_length()
    )
    told = {"task": "quantized", "quantizer": dataclasses.asdict(settings), "calibration_utterances": len(x)}
    model = Model(
        spec,
        arrays,
        network.class_names or tuple(map(str, range(spec.classes))),
        RealInputs(tuple(full_scales.tolist())).to_dict(),
        told | (provenance or {}),
        unit if numbers else None,
    )
    return Quantized(model, scaled, h_scales, unit)


def _layer(
    directions: tuple[FloatLayer, ...], seen: list[Observed], settings: QuantizerSettings
) -> tuple[Layer, list[Weights]]:
    """The specification of a layer without a head, and the integers of each direction."""
    first = directions[0]
    if len(directions) == 2 and any(getattr(first, name) != getattr(directions[1], name) for name in _SHARED):
        raise QuantizationError(f"{first.title}: its directions differ in cell or size; they have one specification")
    if first.reverse and len(directions) == 1:
        raise QuantizationError(
            f"{first.title}: goes through the utterance from its end alone; give it a forward direction as well"
        )
    _check_clips(directions, settings)
    made, state = gates(directions, seen, settings)
    banks = first.description.banks
    ranges = {bank: gate.weight_range for bank, gate in zip(banks, made, strict=True)}
    levels = [bank_levels(layer, found, ranges, settings) for layer, found in zip(directions, seen, strict=True)]
    largest = max(int(np.abs(bias).max()) for one in levels for _, bias in one.values())
    rows = math.ceil(largest / settings.weight_max)
    if rows > _BIAS_ROWS_MOST:
        raise QuantizationError(
            f"{first.title}: a bias is {largest / settings.weight_max:.1f} times the largest weight; at most "
            f"{_BIAS_ROWS_MOST} bias rows are allowed: give more weight_bits, or train with smaller biases"
        )
    started = any(layer.initial_register is not None or layer.initial_h is not None for layer in directions)
    macro = Specification(
        cell=first.cell,
        inputs=first.inputs,
        units=first.units,
        projection=0 if first.projection is None else first.hidden,
        classes=0,
        bias_rows=rows,
        gates=made,
        initial="constant" if started else "zero",
        lanes=settings.lanes,
        **({} if first.projection is None else {"head_weight_bits": settings.head_weight_bits}),
        **{name: getattr(settings, name) for name in ("adc_bits", "input_bits", "weight_bits")},
        **state,
    )
    integers = [macro_weights(layer, macro, one) for layer, one in zip(directions, levels, strict=True)]
    return Layer(macro=macro, bidirectional=len(directions) == 2), integers


#: What both directions of a layer have in common, since they share a specification.
_SHARED = ("cell", "units", "hidden")


def _check_clips(directions: tuple[FloatLayer, ...], settings: QuantizerSettings):
    """A clip beyond the last threshold of a ramp changes no code; others are refused."""
    for layer in directions:
        for code, limit in layer.clip.items():
            act = activation(layer.activations[layer.description.gate_of(code)])
            last = topmost_argument(act, settings.adc_bits)
            if limit < last:
                raise QuantizationError(
                    f"{layer.title}: clips the pre-activation of {code} at ±{limit:g}, within the {settings.adc_bits}-"
                    f"bit ramp of {act.name}, which ends at ±{last:.3g}; export it without a clip, or with a larger one"
                )


def _with_head(
    network: FloatNetwork,
    layers: list[Layer],
    weights: dict[str, Weights],
    settings: QuantizerSettings,
    max_steps: int,
) -> tuple[Specification | NetworkSpecification, Weights | LayeredWeights, float]:
    """Specification and integers of the whole network, and the real value of a logit's unit."""
    head = np.eye(network.hidden) if network.head_weights is None else network.head_weights
    biases = np.zeros(len(head)) if network.head_biases is None else network.head_biases
    about = {
        "classes": len(head),
        "readout": network.readout,
        "head_weight_bits": settings.head_weight_bits,
        "max_steps": max_steps,
    }
    alone = len(layers) == 1 and not layers[0].bidirectional
    if alone:
        spec = dataclasses.replace(layers[0].macro, **about)
    else:
        spec = NetworkSpecification(layers=tuple(layers), **about)
    input_max = settings.input_max
    step = max(np.abs(head).max() / spec.head_weight_max, np.abs(biases).max() * input_max / spec.head_bias_max)
    step = float(step) or 1.0
    integers = np.rint(head / step).astype(np.int64)
    offsets = np.rint(biases * input_max / step).astype(np.int64)
    offsets = np.clip(offsets, -spec.head_bias_max, spec.head_bias_max)
    if alone:
        (macro,) = weights.values()
        return spec, macro.replace(head=integers, head_biases=offsets), step / input_max
    return spec, LayeredWeights(weights, integers, offsets), step / input_max
