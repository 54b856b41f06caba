# SPDX-License-Identifier: Apache-2.0
"""Networks of several layers for tests: drawn as a whole, and with drawn weights.

>>> @given(layered_specifications(max_layers=3), seeds)
... def test_network(spec, seed):
...     network = layered_network_of(spec, seed)
...     x = inputs_of(spec, seed)
"""

import numpy as np
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.layered_weights import LayeredWeights
from crossramp.golden.network.network import Network
from hypothesis import strategies as st

from .designs import SPECS
from .strategies import ALL_CELLS, INITIALS, macro_weights, network_of, specifications, weight_ranges


@st.composite
def layered_specifications(
    draw,
    max_layers: int = 3,
    max_units: int = 5,
    max_inputs: int = 5,
    max_bits: int = 5,
    cells=ALL_CELLS,
    initials=INITIALS,
) -> NetworkSpecification:
    """Networks of 1 to ``max_layers`` layers, each of any cell, of one or two directions; sizes up to the limits.

    Projections are in arrays as often as not, and so are columns and rows in tiles, joined or with partial sums. Each
    layer's ``initial`` is drawn from ``initials``; stacks of one direction may keep their states.
    """
    input_bits = draw(st.integers(2, max_bits), label="input_bits")
    inputs = draw(st.integers(1, max_inputs), label="inputs")
    layers = []
    for _ in range(draw(st.integers(1, max_layers), label="layers")):
        fixed = {"inputs": inputs, "input_bits": input_bits, "classes": 0, "readout": "mean", "keeps_state": 0}
        fixed["initials"] = initials
        macro = draw(specifications(max_units=max_units, max_bits=max_bits, cells=cells, **fixed))
        if macro.projection and macro.initial == "zero" and draw(st.booleans(), label="projection in an array"):
            bits = draw(st.none() | st.integers(2, max_bits), label="projection_bits")
            reach = draw(weight_ranges(2.0**-10), label="projection_range")
            macro = macro.replace(projection_in="array", projection_bits=bits, projection_range=reach)
        if draw(st.booleans(), label="tiles"):
            columns = draw(st.integers(len(macro.gate_names), macro.columns), label="tile_columns")
            macro = macro.replace(tile_columns=columns, tile_rows=draw(st.integers(1, macro.rows), label="tile_rows"))
        if macro.initial == "zero" and draw(st.booleans(), label="partial sums"):
            macro = macro.replace(
                partial_rows=draw(st.integers(1, macro.rows), label="partial_rows"),
                partial_bits=draw(st.none() | st.integers(2, max_bits), label="partial_bits"),
                partial_cell=draw(st.none() | st.integers(1, macro.weight_max), label="partial_cell"),
            )
        if not macro.projection:
            macro = macro.replace(head_weight_bits=8)  # of a head, which a layer has not
        layers.append(Layer(macro=macro, bidirectional=draw(st.booleans(), label="bidirectional")))
        inputs = layers[-1].outputs
    zero = any(layer.bidirectional or layer.macro.partial_rows for layer in layers)
    if not zero and draw(st.booleans(), label="keeps_state"):
        keeping = (layer.macro.replace(keeps_state=int(layer.macro.layout.has_state)) for layer in layers)
        layers = [Layer(macro=macro) for macro in keeping]
    head = {"classes": layers[-1].outputs, "head": "array"}
    if layers[-1].bidirectional or draw(st.booleans(), label="digital head"):
        head = {"classes": draw(st.integers(1, 5), label="classes")}
        head["head_weight_bits"] = draw(st.integers(2, 16), label="head_weight_bits")
    return NetworkSpecification(
        layers=tuple(layers),
        **head,
        readout=draw(st.sampled_from(["mean", "last", "step"]), label="readout"),
        max_steps=draw(st.integers(3, 9), label="max_steps"),
    )


#: What a board does not hold, at what it holds.
_ON_BOARDS = {"initial": "zero", "keeps_state": 0, "tile_columns": 0, "tile_rows": 0}
_ON_BOARDS |= {"partial_rows": 0, "partial_bits": None, "partial_cell": None}


def board_specifications(**limits) -> st.SearchStrategy[NetworkSpecification]:
    """Those of :func:`layered_specifications` as a board holds them: without tiles, every utterance from zero."""

    def held(spec: NetworkSpecification) -> NetworkSpecification:
        layers = (Layer(macro=one.macro.replace(**_ON_BOARDS), bidirectional=one.bidirectional) for one in spec.layers)
        readout = "last" if spec.bidirectional and spec.readout == "step" else spec.readout
        return spec.replace(layers=tuple(layers), readout=readout)

    return layered_specifications(**limits).map(held)


def layered_network_of(spec: NetworkSpecification, seed: int) -> LayeredNetwork:
    """A network with weights uniform over the whole legal range, other ones in every macro."""
    macros = {
        name: macro_weights(macro, np.random.default_rng([seed, 1, number]))
        for number, (name, macro) in enumerate(spec.macros.items())
    }
    if spec.head_in_array:
        return LayeredNetwork(spec, LayeredWeights(macros))
    rng = np.random.default_rng([seed, 3])
    head = rng.integers(-spec.head_weight_max, spec.head_weight_max, (spec.classes, spec.hidden), endpoint=True)
    biases = rng.integers(-spec.head_bias_max, spec.head_bias_max, spec.classes, endpoint=True)
    return LayeredNetwork(spec, LayeredWeights(macros, head, biases))


#: Two layers of different cells, the first of two directions: small, and all that stands between macros is in it.
SMALL = NetworkSpecification.from_dict(
    {
        "classes": 3,
        "max_steps": 6,
        "layers": [
            {"inputs": 3, "units": 3, "cell": "gru", "lanes": 2, "bidirectional": True, "adc_bits": 3, "input_bits": 4},
            {"inputs": 6, "units": 4, "lanes": 3, "adc_bits": 3, "input_bits": 4, "calibration_cells": 2},
        ],
    }
)

#: A projection in an array of its own, in both directions, and in front of another layer; lanes divide nothing.
PROJECTED = NetworkSpecification.from_dict(
    {
        "classes": 2,
        "max_steps": 5,
        "layers": [
            {"inputs": 3, "units": 5, "projection": 3, "projection_in": "array", "lanes": 2, "bidirectional": True}
            | {"adc_bits": 3, "input_bits": 4, "projection_bits": 4},
            {"inputs": 6, "units": 5, "projection": 4, "projection_in": "array", "projection_range": 0.5, "lanes": 5}
            | {"adc_bits": 3, "input_bits": 4},
        ],
    }
)

#: A stack that keeps its states, of which all but the last come through streams; a layer without a state between.
KEEPING = NetworkSpecification.from_dict(
    {
        "classes": 3,
        "readout": "step",
        "layers": [
            {"inputs": 3, "units": 3, "cell": "gru", "lanes": 2, "initial": "stream", "keeps_state": 1},
            {"inputs": 3, "units": 4, "lanes": 3, "initial": "stream", "keeps_state": 1, "projection": 3},
            {"inputs": 3, "units": 3, "lanes": 3, "cell": "dense"},
            {"inputs": 3, "units": 2, "cell": "lstm_peephole", "keeps_state": 1},
        ],
    }
)
KEEPING = KEEPING.replace(
    layers=tuple(Layer(macro=one.macro.replace(adc_bits=3, input_bits=4)) for one in KEEPING.layers)
)

#: Rows in several arrays whose sums return: of inputs alone, of h as well, and of a value within the step.
SUMMED = NetworkSpecification.from_dict(
    {
        "classes": 2,
        "max_steps": 5,
        "layers": [
            {"inputs": 4, "units": 3, "cell": "gru", "lanes": 2, "adc_bits": 3, "input_bits": 3, "state_bits": 8}
            | {"bias_rows": 1, "partial_rows": 3, "partial_bits": 4, "calibration_cells": 2},
            {"inputs": 3, "units": 4, "lanes": 3, "adc_bits": 3, "input_bits": 3, "tile_columns": 8}
            | {"partial_rows": 4, "state_pulse_bits": 4, "projection": 3, "projection_in": "array"},
        ],
    }
)

#: Two directions and the head: everything that stands between the macros of any network.
TWO_WAYS = SMALL.replace(layers=SMALL.layers[:1])

#: The same for five inputs.
HEARING = SMALL.replace(
    layers=(Layer(macro=SMALL.layers[0].macro.replace(inputs=5), bidirectional=True), SMALL.layers[1])
)

#: The last layer gives the logits.
HEAD_IN_ARRAY = NetworkSpecification(
    layers=(SMALL.layers[0], Layer(macro=SMALL.layers[1].macro.replace(units=2, lanes=1))), classes=2, head="array"
)

#: Two layers of one size: mixing them up fits, and is wrong.
TWINS = NetworkSpecification.from_dict(
    {
        "classes": 3,
        "max_steps": 6,
        "layers": [{"inputs": 4, "units": 4, "lanes": 2, "adc_bits": 3, "input_bits": 4, "weight_bits": 4}] * 2,
    }
)

#: A layer that takes each step as it comes, and behind it one that waits for the last step.
WAITING = NetworkSpecification.from_dict(
    {
        "classes": 3,
        "max_steps": 6,
        "readout": "last",
        "layers": [
            {"inputs": 3, "units": 5, "cell": "lstm_peephole", "lanes": 2, "projection": 3, "head_weight_bits": 6}
            | {"adc_bits": 3, "input_bits": 4, "weight_bits": 4},
            {"inputs": 3, "units": 3, "cell": "gru", "lanes": 2, "bidirectional": True}
            | {"adc_bits": 3, "input_bits": 4, "weight_bits": 5},
        ],
    }
)

#: Networks with several arrays: two directions and tiles; projections in arrays; states from streams, which are kept;
#: one macro in tiles.
SEVERAL_ARRAYS = {
    "two_ways": SMALL.implemented(tile_columns=8),
    "projected": PROJECTED,
    "keeping": KEEPING,
    "tiled": SPECS["gru"].replace(tile_columns=6, tile_rows=4),
}


def network_of_arrays(name: str) -> Network | LayeredNetwork:
    """The network of a name of :data:`SEVERAL_ARRAYS`, its weights always the same: the Verilog holds its head's."""
    spec = SEVERAL_ARRAYS[name]
    return (layered_network_of if isinstance(spec, NetworkSpecification) else network_of)(spec, 1)
