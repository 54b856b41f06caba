# SPDX-License-Identifier: Apache-2.0
"""The certainty that fast conversion claims: values off by all that they may be off by have the exact values' codes."""

import numpy as np
import pytest
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.analog.fast.fast_ramp import Bank, Converter, Error, RampTable
from crossramp.golden.spec.specification import Specification

from tests.support.strategies import network_of

SPEC = Specification(inputs=5, units=3, classes=2, adc_bits=4)


@pytest.mark.parametrize("size", [1e-3, 0.05, 0.4, 3.0])
def test_errors_up_to_the_bound_change_no_code(size):
    """Exact values lie just beside a level, and approximate ones nearly the whole error away on its other side."""
    array = DeviceArray(DeviceInstance.ideal(SPEC, network_of(SPEC, 1).weights.macro))
    levels, units = array.levels[SPEC.ramp_of("i")], SPEC.units
    table = RampTable(levels, 0.0, Error(size, float(np.abs(levels).max()) + 10 * size, 2.0**-53))
    nothing = np.zeros(units)
    columns = slice(0, units)
    bank = Bank(
        columns, columns, SPEC.ramp_of("i"), np.arange(SPEC.ticks + 1.0), table, nothing, nothing.astype(np.int64)
    )
    beside = np.array([1e-6, -1e-6]) * size
    exact = (levels[:, None] + beside).ravel()
    for share in (0.99, 0.5, 0.15, 0.05):
        values = exact - np.sign(np.tile(beside, len(levels))) * share * size
        converter = Converter(array.device, array, None, None, len(exact), units, np.float64)
        out, asked = np.empty((units, len(exact))), []

        def exactly(columns, places, asked=asked):
            asked.append(len(places))
            return exact[places]

        converter.convert(bank, np.tile(values, (units, 1)), out, exactly)
        assert np.array_equal(out, np.tile(np.searchsorted(levels, exact), (units, 1)))
        assert sum(asked) == units * len(exact)  # each is nearer to its level than its error
