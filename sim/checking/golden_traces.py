# SPDX-License-Identifier: Apache-2.0
"""What the hardware must show: golden traces of the array that stands behind it."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.analog.conversion.device_lstm import DeviceLstm, conversions
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.cell_update import project, state_pulses, update_c, update_h
from crossramp.golden.network.network import Network
from crossramp.golden.network.ramps import latch
from crossramp.golden.network.trace import Trace
from crossramp.golden.spec.specification import Specification

from ..array.array_setup import IDEAL, ArraySetup
from .scoreboard import MismatchError


def expected_traces(network: Network, x_batches, array: ArraySetup = IDEAL, first: int = 0) -> list[Trace]:
    """Golden traces of utterances that are played one after the other, one trace a batch.

    Parameters
    ----------
    network : Network
    x_batches : integer array, shape (batch, steps, inputs), or a sequence of such
    array : ArraySetup
        What stands behind the hardware: ideal, or a device instance.
    first : int
        The number of the first conversion: how many the array did before (:attr:`.python_array.ArrayModel.converted`).

    Raises
    ------
    InvalidValue
        For an array that is neither.
    """
    batches = [x_batches] if isinstance(x_batches, np.ndarray) else list(x_batches)
    if array.content is None:
        return [network.run(x) for x in batches]
    if array.device is None:
        raise InvalidValue(f"golden has no model of a {type(array.content).__name__}; give a device instance, or None")
    lstm = DeviceLstm(array.device, array.cells(network.spec), network.projection_weights)
    traces = []
    for x in batches:
        numbers = first + conversions(network.spec, len(x), x.shape[1])
        first += len(network.spec.conversions) * len(x) * x.shape[1]
        traces.append(network.with_head(lstm.run(x, numbers)))
    return traces


def expected_from_comparators(
    spec: Specification, conversions: Sequence, lengths: Sequence[int], projection_weights: np.ndarray | None = None
) -> list[Trace]:
    """What the periphery must compute from the comparators it was shown, well-behaved or not; one trace an utterance.

    Parameters
    ----------
    conversions : sequence of array.Conversion
        Gates and state in turn, as :meth:`.python_array.ArrayModel.finish` gives them.
    lengths : sequence of int
        Steps of each utterance, in order.
    projection_weights : int64 array, shape (hidden, units), or None
        Of a projection, see :class:`~crossramp.golden.network.lstm.Lstm`.

    Raises
    ------
    MismatchError
        If there are not two conversions a step.
    """
    expected = len(spec.conversions) * sum(lengths)
    if len(conversions) != expected:
        raise MismatchError(f"the array saw {len(conversions)} conversions; expected {expected}")
    pairs, traces = zip(conversions[::2], conversions[1::2], strict=True), []
    for length in lengths:
        c, steps = np.zeros((1, spec.units), np.int64), []
        for _, (gates, state) in zip(range(length), pairs, strict=False):
            codes = latch(gates.comparators, spec.latch)[None]
            c = update_c(spec, codes, c)
            state_codes = latch(state.comparators[:, spec.converted(True)], spec.latch)[None]
            h = update_h(spec, spec.of_bank(codes, "o"), state_codes)
            if spec.projection:
                h = project(spec, projection_weights, h)
            steps.append(Trace(codes, c, state_pulses(spec, c), state_codes, h))
        traces.append(Trace.stack(steps))
    return traces
