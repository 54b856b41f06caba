# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for whole specifications, and networks and inputs for them.

>>> @given(specifications(max_units=5), seeds)
... def test_macro(spec, seed):
...     network = network_of(spec, seed)
...     x = inputs_of(spec, seed, batch=2, steps=3)
"""

import math

import numpy as np
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.description import Cell, Gate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.macro.initial_state import Starts, random_starts
from crossramp.golden.network.network import Network
from crossramp.golden.spec.activations import REGISTRY
from crossramp.golden.spec.gates import SpecificationError, feeds_lines_only
from crossramp.golden.spec.specification import Specification
from hypothesis import reject
from hypothesis import strategies as st

#: Seeds of what hypothesis does not draw number by number: weights and inputs.
seeds = st.integers(0, 2**32 - 1)

#: Every cell by its name.
ALL_CELLS = tuple(CELLS)

#: Those that hand something on from a step to the next.
CELLS_WITH_STATE = tuple(name for name, cell in CELLS.items() if cell.has_state)

#: Every way in which an utterance starts.
INITIALS = ("zero", "constant", "stream")

_RANGES = ((0.0, 1.0), (-1.0, 1.0))

#: What a bank whose codes go into a line alone may have too: its range is a part of the line's unit.
_LINE_RANGES = (*_RANGES, (-4.0, 4.0), (0.0, 3.0), (-0.75, 0.75))


def gate_activations(ranges=_RANGES, turning: bool = False) -> list[str]:
    """Every activation a gate can carry, with every one of ``ranges`` that it reaches: the names a specification takes.

    By default the ranges are those that wiring decodes, and no curve turns.
    """
    texts = []
    for act in REGISTRY.values():
        if act.turns and not turning:
            continue
        for low, high in ranges:
            if act.turns and (low == 0) != (act.low == 0):
                continue  # a curve that falls below 0 needs [-R, R]
            if act.limit_low <= low and high <= act.limit_high:
                default = (act.low, act.high) == (low, high)
                texts.append(act.name if default else f"{act.name}[{low:g},{high:g}]")
    return texts


@st.composite
def specifications(
    draw,
    max_units: int = 7,
    max_inputs: int = 6,
    max_bits: int = 8,
    readouts=("mean", "last", "step"),
    cells=("lstm",),
    any_ramps: bool = False,
    initials=("zero",),
    **fixed,
) -> Specification:
    """Whole specifications: every parameter drawn over its legal range, sizes up to the limits given.

    Parameters
    ----------
    max_units, max_inputs : int
        Largest network.
    max_bits : int
        Largest adc_bits, input_bits and weight_bits (2 to 8): each bit doubles the clocks a simulation runs.
    readouts, cells, initials : sequence of str
        What the readout, the cell and ``initial`` are drawn from; :data:`ALL_CELLS` are all cells. More than one
        ``initial`` also draws ``keeps_state``; cells without a state have neither.
    any_ramps : bool
        Draw curves that turn too, and ramps with bits of their own.
    fixed
        Parameters that are given, not drawn. There are no tiles unless ``tile_rows`` and ``tile_columns`` are given.
    """

    def pick(name, strategy):
        return fixed[name] if name in fixed else draw(strategy, label=name)

    bits = st.integers(2, max_bits)
    name = pick("cell", st.sampled_from(cells))
    cell = CELLS[name]
    units = pick("units", st.integers(1, max_units))
    input_bits, weight_bits = pick("input_bits", bits), pick("weight_bits", bits)
    input_max, weight_max = (1 << (input_bits - 1)) - 1, (1 << (weight_bits - 1)) - 1
    content = {
        "cell": name,
        "inputs": pick("inputs", st.integers(1, max_inputs)),
        "units": units,
        "classes": pick("classes", st.integers(1, 5)),
        "bias_rows": pick("bias_rows", st.integers(0, 3)),
        "adc_bits": pick("adc_bits", bits),
        "input_bits": input_bits,
        "weight_bits": weight_bits,
        "lanes": pick("lanes", st.integers(1, units)),
        "latch": pick("latch", st.sampled_from(["last_high", "first_trip"])),
        "settle_clocks": pick("settle_clocks", st.integers(1, 4)),
        "comparator_registers": pick("comparator_registers", st.integers(0, 1)),
        "calibration_cells": pick("calibration_cells", st.integers(0, 6)),
        "tile_rows": pick("tile_rows", st.just(0)),
        "tile_columns": pick("tile_columns", st.just(0)),
        "readout": pick("readout", st.sampled_from(readouts)),
        "head_weight_bits": pick("head_weight_bits", st.integers(2, 16)),
        "projection": pick("projection", st.just(0) | st.integers(0, units)),
    }
    if cell.has_state:
        content["initial"] = pick("initial", st.sampled_from(initials))
        content["keeps_state"] = pick("keeps_state", st.integers(0, int(len(initials) > 1)))
    least_range = 2.0**-10
    if cell.lines:
        pulse_bits = content["state_pulse_bits"] = pick("state_pulse_bits", st.none() | st.integers(2, max_bits + 2))
        # The full scale of the lines' pulse code has to be 1 or more: the weights of their bank reach far enough, and a
        # state cell holds enough levels. Where the bits are left out, they are to stay within max_bits + 2, for any
        # adc_bits.
        pulse_max = (1 << ((pulse_bits or max_bits + 2) - 1)) - 1
        least_range = (1 if pulse_bits else 2.8) * input_max / pulse_max
    content["gates"] = banks = pick("gates", gates(cell, least_range, bits if any_ramps else None))
    if cell.lines:
        full_cell = banks[cell.gates.index(cell.state_gate)].weight_range * pulse_max / input_max
        least_cell = min(math.ceil(weight_max / full_cell), weight_max) if pulse_bits else weight_max
        content["state_cell"] = pick("state_cell", st.none() | st.integers(least_cell, weight_max))
    if cell.register:
        state_bits = content["state_bits"] = pick("state_bits", st.integers(3, 24))
        content["state_frac_bits"] = pick("state_frac_bits", st.integers(0, state_bits - 1))
    try:
        return Specification(**(fixed | content))
    except SpecificationError as error:
        if any_ramps and "a ramp has 2 or more" in str(error):
            reject()  # a curve that turns, with too few levels
        raise


@st.composite
def gates(draw, cell: Cell = CELLS["lstm"], least: float = 2.0**-10, bits=None) -> tuple[Gate, ...]:
    """Banks of a cell: any mix of activations that they decode; those of one activation share their weight range.

    The weight range of the bank that lines give its unit is ``least`` or more. With ``bits``, a strategy, curves may
    turn, and a gate may have bits of its own.
    """
    texts = []
    for gate in cell.gates:
        ranges = _LINE_RANGES if feeds_lines_only(cell, gate) else _RANGES
        texts.append(draw(st.sampled_from(gate_activations(ranges, bits is not None)), label=f"activation of {gate}"))
    lower = dict.fromkeys(texts, 2.0**-10)
    if cell.lines:
        lower[texts[cell.gates.index(cell.state_gate)]] = least
    drawn = {text: draw(weight_ranges(lower[text]), label=f"weight range of {text}") for text in sorted(set(texts))}
    own = [None if bits is None else draw(st.none() | bits, label=f"bits of {gate}") for gate in cell.gates]
    return tuple(Gate(text, drawn[text], number) for text, number in zip(texts, own, strict=True))


def weight_ranges(least: float) -> st.SearchStrategy[float]:
    """Legal weight ranges from ``least`` on: mostly those of real networks, powers of two, and the ends."""
    known = [value for value in (0.5, 1.0, 2.0, 4.0, 225 / 112) if value >= least]
    usual = st.floats(max(0.25, least), max(8.0, 2 * least))
    return st.one_of(usual, st.sampled_from([*known, 2.0**10]), st.sampled_from([least, 2.0**10]))


def network_of(spec: Specification, seed: int) -> Network:
    """A network with weights uniform over the whole legal range, its extremes included."""
    return Network(spec, macro_weights(spec, np.random.default_rng([seed, 1])))


def macro_weights(spec: Specification, rng: np.random.Generator) -> Weights:
    """Weights uniform over the whole legal range, its extremes included; of a head only where the network has one."""

    def uniform(limit, shape):
        return rng.integers(-limit, limit, shape, endpoint=True)

    macro = uniform(spec.weight_max, (spec.rows, spec.columns)) * spec.placed
    head = (uniform(spec.head_weight_max, (spec.classes, spec.hidden)), uniform(spec.head_bias_max, spec.classes))
    return Weights(
        macro,
        *(head if spec.classes else (None, None)),
        uniform(spec.head_weight_max, (spec.projection, spec.units)) if spec.digital_projection else None,
        uniform(spec.weight_max, (spec.trained_lines, spec.units)) if spec.trained_lines else None,
        uniform(spec.state_max, spec.units) if spec.constant_register else None,
        uniform(spec.input_max, spec.hidden) if spec.constant_h else None,
    )


def starts_of(spec: Specification | NetworkSpecification, seed: int, utterances: int) -> Starts:
    """What utterances start from: a state for each where they come through a stream, and which of them keep it."""
    rng = np.random.default_rng([seed, 3])
    keep = rng.random(utterances) < 0.5 if spec.keeps_state else None
    return Starts(keep, random_starts(spec, utterances, rng).given)


def inputs_of(spec: Specification | NetworkSpecification, seed: int, batch: int = 2, steps: int = 3) -> np.ndarray:
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
