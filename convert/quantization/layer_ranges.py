# SPDX-License-Identifier: Apache-2.0
"""What a layer's hardware is like, from what the data needs: activations with their ranges, weight ranges, formats."""

import math
from collections.abc import Sequence

import numpy as np
from crossramp.golden.cell.description import BIAS, Cell, Gate
from crossramp.golden.cell.expression import names
from crossramp.golden.spec.activations import Activation, activation
from crossramp.golden.spec.gates import feeds_lines_only
from crossramp.golden.spec.state_scale import topmost_argument

from ..float_network.float_layer import FloatLayer
from .full_scales import coded, output_full_scale, weight_full_scale
from .observed import Observed
from .quantizer_settings import QuantizationError, QuantizerSettings

#: A weight_range that a specification takes.
_RANGES = (2.0**-10, 2.0**10)

#: The cell state may be this much larger than in the data before it saturates.
_HEADROOM = 1.25

_STATE_BITS_MOST = 24


def gates(
    layers: Sequence[FloatLayer], found: Sequence[Observed], settings: QuantizerSettings
) -> tuple[tuple[Gate, ...], dict[str, int]]:
    """The gates of a layer, and the bits of its state where the cell keeps one that may grow.

    Parameters
    ----------
    layers : sequence of FloatLayer
        The directions of one layer: they share a specification.
    found : sequence of Observed
        What each sees.

    Raises
    ------
    QuantizationError
        For activations whose range no code can decode, and states too large for the register.
    """
    cell = layers[0].description
    activations = {bank: _activation(layers, found, bank, settings.adc_bits) for bank in cell.banks}
    ranges: dict[str, float] = {}
    for text in dict.fromkeys(act.text for act in activations.values()):
        banks = [bank for bank in cell.banks if activations[bank].text == text]
        least = _least_range(cell, activations, settings) if cell.state_gate in banks else 0.0
        ranges[text] = weight_full_scale(
            [driven(layer, each, bank, settings) for bank in banks for layer, each in zip(layers, found, strict=True)],
            settings.weight_max,
            settings.weight_range,
            lambda wanted, least=least: float(np.clip(max(wanted, least), *_RANGES)),
        )
    made = tuple(Gate(act.text, ranges[act.text]) for act in activations.values())
    return made, _state_format(layers, found, activations, settings)


def driven(layer: FloatLayer, found: Observed, bank: str, settings: QuantizerSettings) -> tuple[np.ndarray, np.ndarray]:
    """What drives the rows of a bank but the bias, as codes stand for it, and the real weights there.

    Shapes (samples, rows) and (rows, units), the rows in the order of the array.
    """
    groups = row_groups(layer, bank)
    inputs = np.concatenate([coded(found.rows[group], 1.0, settings.input_max) for group in groups], axis=1)
    return inputs, np.concatenate([layer.weights[bank, group].T for group in groups])


def row_groups(layer: FloatLayer, bank: str) -> list[str]:
    """The groups of rows with trained weights on a bank, without the bias, in the order of the array."""
    return [group for group in layer.description.row_groups if group != BIAS and (bank, group) in layer.weights]


def _activation(layers: Sequence[FloatLayer], found: Sequence[Observed], bank: str, bits: int) -> Activation:
    """The activation of a bank with the range that its codes divide."""
    cell, text = layers[0].description, layers[0].activations[bank]
    for layer in layers[1:]:
        if layer.activations[bank] != text:
            raise QuantizationError(
                f"{layer.title}: bank {bank} has {layer.activations[bank]}, and the other direction {text}; both "
                "directions have one specification: give them one activation"
            )
    act = activation(text)
    if feeds_lines_only(cell, bank) and not (math.isfinite(act.limit_low) and math.isfinite(act.limit_high)):
        codes = [code for code in cell.code_names if cell.gate_of(code) == bank]
        values = np.concatenate([each.values[code] for code in codes for each in found])
        reach = float(f"{output_full_scale(values, 1 << (bits - 1)):.3g}")
        low = 0 if act.limit_low >= 0 else -reach
        return activation(f"{act.name}[{low!r},{reach!r}]")
    if (act.low, act.high) in ((0, 1), (-1, 1)):
        return act
    return activation(f"{act.name}[{0 if act.limit_low >= 0 else -1},1]")


def _least_range(cell: Cell, activations: dict[str, Activation], settings: QuantizerSettings) -> float:
    """The least weight range of the bank with the lines' constant cells, whose pulses then reach as far as they must.

    A cell of all levels and a pulse with one bit more than x has span weight_range · Q / P.
    """
    act = activations[cell.state_gate]
    if not cell.line_value_is_state:
        (store,) = (store for stores in cell.stores for store in stores if store.name == cell.line_value)
        reach = math.prod(activations[cell.gate_of(code)].high for code in names(store.expression))
    else:
        reach = 1.0 if cell.bounded else topmost_argument(act, settings.adc_bits)
    longest = (1 << settings.input_bits) - 1
    return reach * settings.input_max / longest * (1 + 1e-6)


def _state_format(
    layers: Sequence[FloatLayer],
    found: Sequence[Observed],
    activations: dict[str, Activation],
    settings: QuantizerSettings,
) -> dict[str, int]:
    """Bits of a state that may grow: as far as in the data, and beyond the last threshold of its ramp."""
    cell = layers[0].description
    if cell.register is None or cell.bounded:
        return {}
    largest = max(float(np.abs(each.values[cell.register]).max()) for each in found)
    least = topmost_argument(activations[cell.state_gate], settings.adc_bits)
    fraction = max(settings.adc_bits + 3, 8)
    bits = fraction + 1 + math.ceil(math.log2(_HEADROOM * max(largest, least)))
    if bits > _STATE_BITS_MOST:
        raise QuantizationError(
            f"{layers[0].title}: {cell.register} reaches ±{largest:.3g} in the data, and the register ends at "
            f"±{2.0 ** (_STATE_BITS_MOST - 1 - fraction):g}; train it with a state that stays small, or clip it"
        )
    return {"state_bits": bits, "state_frac_bits": fraction}
