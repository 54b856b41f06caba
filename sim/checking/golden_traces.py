# SPDX-License-Identifier: Apache-2.0
"""What the hardware must show: golden traces of the array that stands behind it."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.analog.conversion.tiled_device import device_array
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.initial_state import Played
from crossramp.golden.network.lstm import Lstm
from crossramp.golden.network.network import Network
from crossramp.golden.network.trace import Trace
from crossramp.golden.network.weights import Weights
from crossramp.golden.spec.specification import Specification

from ..array.array_setup import IDEAL, ArraySetup
from .recorded_array import RecordedArray
from .scoreboard import MismatchError


def expected_traces(network: Network, x_batches, array: ArraySetup = IDEAL, first: int = 0) -> list[Trace]:
    """Golden traces of utterances that are played one after the other, one trace a batch.

    Parameters
    ----------
    network : Network
    x_batches : integer array, shape (batch, steps, inputs), a sequence of such, or Played
    array : ArraySetup
        What stands behind the hardware: ideal, or a device instance.
    first : int
        The number of the first conversion: how many the array did before (:attr:`.python_array.ArrayModel.converted`).

    Raises
    ------
    InvalidValue
        For an array that is neither, or starts that do not fit.
    """
    played = Played.of(x_batches)
    if array.content is not None and array.device is None:
        raise InvalidValue(f"golden has no model of a {type(array.content).__name__}; give a device instance, or None")
    if array.device is not None:
        network = network.behind(device_array(array.device, array.cells(network.spec)))
    return network.play(played.batches, played.starts, first)


def expected_from_comparators(
    spec: Specification, conversions: Sequence, lengths: Sequence[int], weights: Weights | None = None
) -> list[Trace]:
    """What the periphery must compute from the comparators it was shown, well-behaved or not; one trace an utterance.

    Parameters
    ----------
    conversions : sequence of array.Conversion
        Gates and state in turn, as :meth:`.python_array.ArrayModel.finish` gives them.
    lengths : sequence of int
        Steps of each utterance, in order.
    weights : Weights or None
        Those of a projection and of a constant initial state count; None where the specification has neither.

    Raises
    ------
    MismatchError
        If there are not two conversions per step.
    """
    expected = len(spec.conversions) * sum(lengths)
    if len(conversions) != expected:
        raise MismatchError(f"the array saw {len(conversions)} conversions; expected {expected}")
    array = RecordedArray(spec, conversions)
    lstm = Lstm(spec, array) if weights is None else Lstm.of(spec, array, weights)
    # x has been converted already: what was recorded does not depend on it any more.
    return [lstm.run(np.zeros((1, length, spec.inputs), np.int64)) for length in lengths]
