# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for whole specifications, and networks and inputs for them.

>>> @given(specifications(max_units=5), seeds)
... def test_macro(spec, seed):
...     network = network_of(spec, seed)
...     x = inputs_of(spec, seed, batch=2, steps=3)
"""

import math

import numpy as np
from crossramp.golden.cell.description import Gate
from crossramp.golden.network.network import Network
from crossramp.golden.network.weights import Weights
from crossramp.golden.spec.activations import REGISTRY
from crossramp.golden.spec.specification import Specification
from hypothesis import strategies as st

#: Seeds of what hypothesis does not draw number by number: weights and inputs.
seeds = st.integers(0, 2**32 - 1)

_RANGES = ((0.0, 1.0), (-1.0, 1.0))


def gate_activations() -> list[str]:
    """Every activation a gate can carry, with every range wiring decodes: the names a specification takes."""
    texts = []
    for act in REGISTRY.values():
        for low, high in _RANGES:
            if act.limit_low <= low and high <= act.limit_high:
                default = (act.low, act.high) == (low, high)
                texts.append(act.name if default else f"{act.name}[{low:g},{high:g}]")
    return texts


#: Of the networks that a board serves: those that answer once an utterance.
ONCE = ("mean", "last")


@st.composite
def specifications(
    draw, max_units: int = 7, max_inputs: int = 6, max_bits: int = 8, readouts=(*ONCE, "step"), **fixed
) -> Specification:
    """Whole specifications: every parameter drawn over its legal range, sizes up to the limits given.

    Parameters
    ----------
    max_units, max_inputs : int
        Largest network.
    max_bits : int
        Largest adc_bits, input_bits and weight_bits (2 to 8): each bit doubles the clocks a simulation runs.
    readouts : sequence of str
        What the readout is drawn from.
    fixed
        Parameters that are given, not drawn.
    """

    def pick(name, strategy):
        return fixed[name] if name in fixed else draw(strategy, label=name)

    bits = st.integers(2, max_bits)
    units = pick("units", st.integers(1, max_units))
    input_bits, weight_bits = pick("input_bits", bits), pick("weight_bits", bits)
    input_max, weight_max = (1 << (input_bits - 1)) - 1, (1 << (weight_bits - 1)) - 1
    pulse_bits = pick("state_pulse_bits", st.none() | st.integers(2, max_bits + 2))
    # The full scale of c's pulse code has to be 1 or more: bank g's weights reach far enough, and a state cell holds
    # enough levels. Where the bits are left out, they are to stay within max_bits + 2, for any adc_bits.
    pulse_max = (1 << ((pulse_bits or max_bits + 2) - 1)) - 1
    banks = pick("gates", gates((1 if pulse_bits else 2.8) * input_max / pulse_max))
    full_cell = banks[2].weight_range * pulse_max / input_max
    least_cell = min(math.ceil(weight_max / full_cell), weight_max) if pulse_bits else weight_max
    state_bits = pick("state_bits", st.integers(3, 24))
    content = {
        "inputs": pick("inputs", st.integers(1, max_inputs)),
        "units": units,
        "classes": pick("classes", st.integers(1, 5)),
        "bias_rows": pick("bias_rows", st.integers(0, 3)),
        "adc_bits": pick("adc_bits", bits),
        "input_bits": input_bits,
        "weight_bits": weight_bits,
        "gates": banks,
        "state_bits": state_bits,
        "state_frac_bits": pick("state_frac_bits", st.integers(0, state_bits - 1)),
        "state_pulse_bits": pulse_bits,
        "state_cell": pick("state_cell", st.none() | st.integers(least_cell, weight_max)),
        "lanes": pick("lanes", st.integers(1, units)),
        "latch": pick("latch", st.sampled_from(["last_high", "first_trip"])),
        "settle_clocks": pick("settle_clocks", st.integers(1, 4)),
        "comparator_registers": pick("comparator_registers", st.integers(0, 1)),
        "calibration_cells": pick("calibration_cells", st.integers(0, 6)),
        "readout": pick("readout", st.sampled_from(readouts)),
        "head_weight_bits": pick("head_weight_bits", st.integers(2, 16)),
        "projection": pick("projection", st.just(0) | st.integers(0, units)),
    }
    return Specification(**(fixed | content))


@st.composite
def gates(draw, least_g: float = 2.0**-10) -> tuple[Gate, Gate, Gate, Gate]:
    """Banks i, f, g, o: any mix of activations; those of one activation share their weight range.

    The weight range of bank g is ``least_g`` or more.
    """
    texts = draw(st.tuples(*[st.sampled_from(gate_activations())] * 4), label="activations")
    least = dict.fromkeys(texts, 2.0 ** (-10)) | {texts[2]: least_g}
    ranges = {text: draw(weight_ranges(least[text]), label=f"weight range of {text}") for text in sorted(set(texts))}
    return tuple(Gate(text, ranges[text]) for text in texts)


def weight_ranges(least: float) -> st.SearchStrategy[float]:
    """Legal weight ranges from ``least`` on: mostly those of real networks, powers of two, and the ends."""
    known = [value for value in (0.5, 1.0, 2.0, 4.0, 225 / 112) if value >= least]
    usual = st.floats(max(0.25, least), max(8.0, 2 * least))
    return st.one_of(usual, st.sampled_from([*known, 2.0**10]), st.sampled_from([least, 2.0**10]))


def network_of(spec: Specification, seed: int) -> Network:
    """A network with weights uniform over the whole legal range, its extremes included."""
    rng = np.random.default_rng([seed, 1])

    def uniform(limit, shape):
        return rng.integers(-limit, limit, shape, endpoint=True)

    weights = Weights(
        uniform(spec.weight_max, (spec.rows, spec.columns)) * spec.placed,
        uniform(spec.head_weight_max, (spec.classes, spec.hidden)),
        uniform(spec.head_bias_max, spec.classes),
        uniform(spec.head_weight_max, (spec.projection, spec.units)) if spec.projection else None,
        uniform(spec.weight_max, (spec.trained_lines, spec.units)) if spec.trained_lines else None,
    )
    return Network(spec, weights)


def inputs_of(spec: Specification, seed: int, batch: int = 2, steps: int = 3) -> np.ndarray:
    """Pulse codes, int64, shape (batch, steps, inputs); one vector in four is at full scale throughout."""
    rng = np.random.default_rng([seed, 2])
    limit = spec.input_max
    x = rng.integers(-limit, limit, (batch, steps, spec.inputs), endpoint=True)
    full = rng.random((batch, steps)) < 0.25
    x[full] = np.where(rng.random(x[full].shape) < 0.5, -limit, limit)
    return x


def networks(spec: Specification) -> st.SearchStrategy[Network]:
    """Networks for ``spec``: :func:`network_of` a drawn seed."""
    return seeds.map(lambda seed: network_of(spec, seed))
