# SPDX-License-Identifier: Apache-2.0
"""One function runs a step on any array: all that are ideal give one trace, and one that is not gives another."""

import numpy as np
import pytest
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.array.array_protocol import IdealArray, first_conversions, row_pulses
from crossramp.golden.array.ramps import WrittenRamp
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.macro.trace import STEP_QUANTITIES
from crossramp.golden.spec.specification import Specification
from crossramp.sim.array.boundary_sequence import DrivenArray
from crossramp.sim.array.comparator_faults import Stuck
from crossramp.sim.array.python_array import ArrayModel
from crossramp.sim.checking.golden_traces import expected_from_comparators
from crossramp.sim.checking.recorded_array import RecordedArray
from crossramp.sim.checking.scoreboard import MismatchError, compare_traces
from hypothesis import given, settings

from tests.support.chips import device_of
from tests.support.strategies import inputs_of, network_of, seeds, specifications

SPEC = Specification(inputs=3, units=4, classes=2, lanes=2, adc_bits=4, input_bits=4, weight_bits=4, projection=3)


def arrays_of(spec, weights, x):
    """Arrays that all are ideal, each in another way; the recorded one for the utterance ``x``."""
    ideal = IdealArray(spec, weights)
    written = [WrittenRamp(ramp.clipped_floors(spec.mac_max), spec.latch) for ramp in ideal.ramps]
    model = ArrayModel(spec, weights)
    network = Lstm(spec, DrivenArray(spec, model), network_of(spec, 0).weights.projection)
    network.run(x)
    return {
        "written ramps": IdealArray(spec, weights, written),
        "device instance": DeviceArray(DeviceInstance.ideal(spec, weights)),
        "driven": DrivenArray(spec, ArrayModel(spec, weights)),
        "recorded": RecordedArray(spec, model.finish()),
    }


@settings(max_examples=15)
@given(specifications(max_units=4, max_inputs=4, max_bits=4), seeds)
def test_all_ideal_arrays_give_one_trace(spec, seed):
    network, x = network_of(spec, 0), inputs_of(spec, seed, batch=1, steps=2)
    golden = network.lstm.run(x)
    for name, array in arrays_of(spec, network.weights.macro, x).items():
        found = network.behind(array).lstm.run(x)
        board = compare_traces(spec, [golden], [found], ("macs", *STEP_QUANTITIES))
        assert not board.wrong, (name, board.report())
        board.check()


@pytest.mark.parametrize("name", ["device instance", "driven", "recorded"])
def test_an_array_that_errs_gives_another(name, seed):
    network, x = network_of(SPEC, seed), inputs_of(SPEC, seed, batch=1, steps=3)
    model = ArrayModel(SPEC, network.weights.macro, fault=Stuck(high=range(0, SPEC.columns, 2)))
    Lstm(SPEC, DrivenArray(SPEC, model), network.weights.projection).run(x)
    wrong = {
        "device instance": DeviceArray(device_of(SPEC, network.weights.macro, seed)),
        "driven": DrivenArray(SPEC, model),
        "recorded": RecordedArray(SPEC, model.finish()[:6]),
    }
    board = compare_traces(SPEC, [network.lstm.run(x)], [network.behind(wrong[name]).lstm.run(x)], STEP_QUANTITIES)
    with pytest.raises(MismatchError, match="codes, step 0"):
        board.check()


def test_recorded_conversions_are_two_a_step():
    network = network_of(SPEC, 1)
    model = ArrayModel(SPEC, network.weights.macro)
    x = inputs_of(SPEC, 1, batch=1, steps=3)
    Lstm(SPEC, DrivenArray(SPEC, model), network.weights.projection).run(x)
    one, two = expected_from_comparators(SPEC, model.finish(), [1, 2], network.weights)
    golden = network.lstm.run(x)
    np.testing.assert_array_equal(one.codes[0, 0], golden.codes[0, 0])
    assert (one.h.shape, two.h.shape) == ((1, 1, SPEC.hidden), (1, 2, SPEC.hidden))
    with pytest.raises(MismatchError, match="the array saw 6 conversions; expected 8"):
        expected_from_comparators(SPEC, model.finish(), [2, 2], network.weights)


def test_an_array_of_another_specification_is_refused():
    other = SPEC.replace(adc_bits=5)
    with pytest.raises(ValueError, match=r"the array is for specification \w+, the network for \w+; make it for"):
        network_of(SPEC, 1).behind(IdealArray(other, network_of(other, 1).weights.macro))


def test_rows_and_numbers_by_hand():
    """x, then h, then the bias rows at full scale; the first conversions of utterances of 3 steps are 6 apart."""
    pulses = row_pulses(SPEC, np.array([[1, -2, 3]]), np.array([[4, 5, -6]]))
    assert pulses.tolist() == [[1, -2, 3, 4, 5, -6] + [SPEC.input_max] * SPEC.bias_rows]
    assert first_conversions(SPEC, 3, 3).tolist() == [0, 6, 12]
