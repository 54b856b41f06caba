# SPDX-License-Identifier: Apache-2.0
"""What the hardware must show: golden traces of the array that stands behind it."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.analog.conversion.tiled_device import device_array
from crossramp.golden.array.weights import Weights
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.macro.initial_state import Played
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification

from ..array.array_setup import IDEAL, ArraySetup
from .recorded_array import RecordedArray
from .scoreboard import MismatchError


def expected_traces(
    network: Network | LayeredNetwork, x_batches, array: ArraySetup = IDEAL, steps_before: int = 0, cut_short: int = 0
) -> list[Trace]:
    """Golden traces of utterances that are played one after the other, one trace a batch.

    Parameters
    ----------
    network : Network or LayeredNetwork
    x_batches : integer array, shape (batch, steps, inputs), a sequence of such, or Played
    array : ArraySetup
        What stands behind the hardware: ideal, or device instances.
    steps_before : int
        How many steps the arrays did before: the noise of a device instance depends on the number of its conversion.
    cut_short : int
        Conversions beside those, of a step that a reset cut short; of a network of one macro.

    Raises
    ------
    InvalidValue
        For an array that is neither, or starts that do not fit.
    """
    played = Played.of(x_batches)
    network, more = _behind(network, array), {"cut_short": cut_short} if cut_short else {}
    return network.play(played.batches, played.starts, steps_before, **more)


def _behind(network: Network | LayeredNetwork, array: ArraySetup) -> Network | LayeredNetwork:
    """The network in front of the device instances that there are."""
    array.check(network.spec)
    arrays = {}
    for name, spec in network.spec.macros.items():
        setup = array.of(name)
        if setup.content is not None and setup.device is None:
            what = type(setup.content).__name__
            raise InvalidValue(f"golden has no model of a {what}; give a device instance, or None")
        if setup.device is not None:
            arrays[name] = device_array(setup.device, setup.cells(spec))
    if not arrays:
        return network
    return network.behind(arrays) if isinstance(network, LayeredNetwork) else network.behind(arrays[""])


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
