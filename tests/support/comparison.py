# SPDX-License-Identifier: Apache-2.0
"""A simulation's result against the golden model, as most benches want it."""

from crossramp.golden.network.initial_state import FROM_THE_START, Starts
from crossramp.sim.array.array_setup import IDEAL, ArraySetup
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.scoreboard import Scoreboard, compare_traces


def compared(network, x_batches, result, array: ArraySetup = IDEAL, starts: Starts = FROM_THE_START) -> Scoreboard:
    """Every quantity of every utterance; not checked yet."""
    return compare_traces(network.spec, expected_traces(network, x_batches, array, starts=starts), result.traces)
