# SPDX-License-Identifier: Apache-2.0
"""Macros whose columns are in several arrays, ideal ones and chips, in every simulator and as generated files."""

import pytest
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.spec.specification import Specification
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth
from crossramp.sim.array.array_setup import IDEAL, ArraySetup
from crossramp.sim.bulk.bulk_simulation import simulate_bulk
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.scoreboard import MismatchError, compare_traces
from crossramp.sim.tools.run_options import Pauses

from tests.support.strategies import inputs_of, network_of

SIZES = {"inputs": 3, "units": 5, "classes": 2, "lanes": 2, "adc_bits": 3, "input_bits": 3, "tile_rows": 4}


def network_in_tiles(cell: str, seed: int):
    """Two units or three in each of two arrays, whose rows are in three crossbars or more."""
    spec = Specification(cell=cell, **SIZES)
    return network_of(spec.replace(tile_columns=3 * len(spec.gate_names)), seed)


def simulated(network, x, simulator: str, array: ArraySetup, **options):
    if simulator == "amaranth":
        return simulate_amaranth(network, x, array=array)
    return simulate_bulk(network, x, simulator, array=array, **options)


@pytest.mark.parametrize("errs", [False, True], ids=["ideal", "chips"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("simulator", ["amaranth", "icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_tiles_in_every_simulator(simulator, cell, errs, seed):
    network, x = network_in_tiles(cell, seed), inputs_of(Specification(**SIZES), seed)
    array = ArraySetup(device(load("rram"), network.spec, network.weights, seed)) if errs else IDEAL
    result = simulated(network, x, simulator, array)
    board = compare_traces(network.spec, expected_traces(network, x, array), result.traces)
    board.check()
    assert not getattr(result, "violations", ())
    if errs:  # other chips are other codes
        other = ArraySetup(device(load("rram"), network.spec, network.weights, seed + 1))
        with pytest.raises(MismatchError):
            compare_traces(network.spec, expected_traces(network, x, other), result.traces).check()


def test_arrays_that_stall(seed):
    network, x = network_in_tiles("lstm", seed), inputs_of(Specification(**SIZES), seed)
    result = simulated(network, x, "icarus", IDEAL, pauses=Pauses(idle=20, stall=20, array_stall=30))
    compare_traces(network.spec, expected_traces(network, x), result.traces).check()
    assert result.violations == ()
    assert result.pauses["array_stalled"] > 0
