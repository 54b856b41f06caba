# SPDX-License-Identifier: Apache-2.0
"""A simulation's result against the golden model, as most benches want it."""

from crossramp.sim.array.array_setup import IDEAL, ArraySetup
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.scoreboard import Scoreboard, compare_traces


def compared(network, x_batches, result, array: ArraySetup = IDEAL) -> Scoreboard:
    """Every quantity of every utterance; not checked yet."""
    return compare_traces(network.spec, expected_traces(network, x_batches, array), result.traces)
