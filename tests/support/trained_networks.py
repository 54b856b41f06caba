# SPDX-License-Identifier: Apache-2.0
"""Networks of training beside golden ones: with the same integers, exported, and compared in every value."""

import numpy as np
import torch
from crossramp.golden.array.array_protocol import latched_banks
from crossramp.golden.array.weights import Weights
from crossramp.golden.layers.network_specification import projection_name
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.layered_network import LayeredNetwork, network_of
from crossramp.golden.network.network import Network
from crossramp.train.float.layer_order import trained_macros
from crossramp.train.quantized.quantized_macro import QuantizedMacro
from crossramp.train.quantized.quantized_network import QuantizedNetwork
from crossramp.train.quantized.sequence import Trace as TrainingTrace


def quantized_of(golden: Network | LayeredNetwork) -> QuantizedNetwork:
    """A training network whose master weights lie on the golden network's levels."""
    spec, weights = golden.spec, golden.weights
    network = QuantizedNetwork(spec)
    with torch.no_grad():
        for name, macro in zip(trained_macros(spec), network.macros, strict=True):
            _set(macro, weights.macros[name] if name else weights)
            if macro.projecting is not None:
                _set(macro.projecting, weights.macros[projection_name(name)])
        if not spec.head_in_array:
            network.head_weight.copy_(torch.tensor(weights.head) / network.head_levels_per_one)
            step = network.head_levels_per_one * spec.input_max
            network.head_bias.copy_(torch.tensor(weights.head_biases) / step)
    return network


def _set(macro: QuantizedMacro, weights: Weights):
    spec, rows = macro.spec, len(macro.weight)
    macro.weight.copy_(torch.tensor(weights.macro[:rows]) / macro.levels_per_one)
    macro.bias.copy_(torch.tensor(weights.macro[rows:].sum(axis=0)) / macro.levels_per_one)
    if spec.trained_lines:
        macro.line_weight.copy_(torch.tensor(weights.lines) / macro.line_levels_per_one)
    if spec.digital_projection:
        macro.projection_weight.copy_(torch.tensor(weights.projection) / 2**spec.projection_shift)
    if spec.constant_register:
        macro.initial_register.copy_(torch.tensor(weights.initial_register) / 2.0**spec.state_frac_bits)
    if spec.constant_h:
        macro.initial_h.copy_(torch.tensor(weights.initial_h) / spec.input_max)


def exported(network: QuantizedNetwork) -> Network | LayeredNetwork:
    """The golden network of a trained one."""
    return network_of(network.spec, network.weights())


def decoded(macro: Lstm, number: int, codes: np.ndarray) -> np.ndarray:
    """Codes of a conversion as real values, each as its share of the end of its range."""
    spec, ramps = macro.spec, macro.array.ramps
    values = []
    for gate, place in latched_banks(spec, number).items():
        ramp = ramps[spec.ramp_of(gate)]
        values.append(ramp.decode(codes[..., place]) / ramp.activation.high)
    return np.concatenate(values, axis=-1)


def differences(network: QuantizedNetwork, golden: Network | LayeredNetwork, x: np.ndarray) -> list[str]:
    """Names of what differs anywhere between the training graph and the golden model."""
    with torch.no_grad():
        logits, _, traces = network.integer_logits(torch.from_numpy(x), trace=True)
    expected, wrong = golden.run(x), []
    for name, trace in traces.items():
        macro, own = (golden.macros[name], expected.macros[name]) if name else (golden.lstm, expected)
        wrong += [f"{name}.{value}" if name else value for value in _different(trace, macro, own)]
    if not np.array_equal(logits.numpy(), expected.logits):
        wrong.append("logits")
    return wrong


def _different(trace: TrainingTrace, macro: Lstm, expected: Trace) -> list[str]:
    """Names of what differs in one macro."""
    cell = macro.spec.layout
    pairs = {"macs": (trace.macs[0], expected.macs), "codes": (trace.values[0], decoded(macro, 0, expected.codes))}
    if cell.register:
        pairs["c"] = (trace.state, expected.c)
    if len(cell.conversions) == 2:
        inner = cell.line_value or cell.inner_rows[0]
        pairs["state_pulses"] = (trace.inner[inner], expected.state_pulses)
        pairs["state_codes"] = (trace.values[1], decoded(macro, 1, expected.state_codes))
    pairs["h"] = (trace.hidden, expected.h)
    return [name for name, (found, want) in pairs.items() if not np.array_equal(found.transpose(0, 1).numpy(), want)]
