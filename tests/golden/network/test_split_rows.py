# SPDX-License-Identifier: Apache-2.0
"""Trained networks with their rows in several arrays: what the sums lose on their way."""

import numpy as np
import pytest
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.network.split_rows import joined, split_rows
from crossramp.golden.spec.specification import Specification

from tests.support.layered import SUMMED, layered_network_of
from tests.support.planted import planted
from tests.support.reference_comparison import layered_differences
from tests.support.strategies import inputs_of


def spec_of(cell="lstm", **changes):
    sizes = {"inputs": 4, "units": 5, "classes": 0, "input_bits": 3, "weight_bits": 4, "partial_rows": 5}
    return NetworkSpecification(layers=(Layer(macro=Specification(cell=cell, **sizes | changes)),), classes=3)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_after"])
def test_a_fine_ramp_loses_nothing_that_a_code_shows(seed, cell):
    """Levels of 1 and a reach beyond every sum: each partial sum is off by one MAC unit at most."""
    spec = spec_of(cell, partial_bits=9, partial_cell=1)
    network = layered_network_of(joined(spec), seed)
    x = inputs_of(spec, seed, batch=3, steps=1)
    one, other = network.run(x).macros["layer0"], split_rows(network, spec).run(x).macros["layer0"]
    arrays = sum(part.conversion == 0 for part in spec.macros["layer0"].row_sums)
    assert 0 < np.abs(one.macs - other.macs).max() <= arrays


def test_weights_are_those_of_the_network(seed):
    network = layered_network_of(joined(SUMMED), seed)
    split = split_rows(network, SUMMED)
    for name, macro in joined(SUMMED).macros.items():
        if not name.endswith("projection"):
            parts = [part for part in split.weights.macros if part == name or part.startswith(f"{name}_partial")]
            counts = [np.count_nonzero(split.weights.macros[part].macro) for part in parts]
            assert sum(counts) == np.count_nonzero(network.weights.macros[name].macro)
            assert len(parts) == 1 + len(SUMMED.macros[name].row_sums)
        assert macro.row_sums == ()
    assert layered_differences(split, inputs_of(SUMMED, seed)) == []


FAULTS = {
    "a code too many": (
        "golden/array/ramps.py",
        "self.floors, np.asarray(macs), side=",
        "self.floors, macs - 1, side=",
    ),
    "another bank's sums": (
        "golden/macro/lstm.py",
        "macros[source].h[..., part.start : part.stop]",
        "macros[source].h[..., : spec.units]",
    ),
    "the h of another part": (
        "golden/array/array_protocol.py",
        "values[driver][..., part.start : part.stop]",
        "values[driver][..., : len(part)]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_noticed(seed, fault):
    network = layered_network_of(SUMMED, seed)
    x = inputs_of(SUMMED, seed)
    assert layered_differences(network, x) == []
    with planted(*FAULTS[fault]):
        assert layered_differences(layered_network_of(SUMMED, seed), x)


def test_what_is_refused(seed):
    spec = spec_of()
    network = layered_network_of(joined(spec), seed)
    with pytest.raises(
        InvalidValue, match="give one that differs in partial_rows, partial_bits and partial_cell alone"
    ):
        split_rows(network, spec_of(units=6))
    macro = split_rows(network, spec).macros["layer0"]
    with pytest.raises(InvalidValue, match="there are partial sums of nothing; the specification has partial0"):
        Lstm(macro.spec, macro.array)
