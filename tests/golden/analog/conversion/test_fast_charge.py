# SPDX-License-Identifier: Apache-2.0
"""Charges that meet their limits: equal to the exact ones, or beyond the same end of the ramp."""

import numpy as np
import pytest
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.analog.fast.fast_charge import Charges, Window
from crossramp.golden.array import array_protocol
from crossramp.golden.spec.specification import Specification

from tests.support.strategies import network_of

SPEC = Specification(inputs=6, units=3, classes=2, bias_rows=1)
DOUBT = 1e-6


@pytest.mark.parametrize("share", [0.1, 0.2, 0.35])
@pytest.mark.parametrize("end_share", [0.05, 0.4, 0.8])
def test_every_charge_converts_as_the_exact_one(seed, share, end_share):
    """Limits low enough to be met at both ends, ramps that end well inside them and just at them."""
    rng = np.random.default_rng(seed)
    device = DeviceInstance.ideal(SPEC, network_of(SPEC, seed).weights.macro)
    limit = np.ceil(share * Window(device).largest)
    device = device.replace(limit=np.full(SPEC.input_max, limit))
    window, ends = Window(device), np.full(SPEC.columns, end_share * limit)
    assert window.saturates
    batch = 4000
    # Short and long pulses that drive one column up or down, so that some meet both limits, one after the other.
    pulses = rng.integers(0, SPEC.input_max + 1, (window.kept + 1, batch)).astype(float)
    pulses *= np.sign(window.weights[:, rng.integers(0, SPEC.columns, batch)]) * rng.choice([-1, 1], batch)
    pulses *= np.where(rng.random((1, batch)) < 0.5, np.where(pulses > SPEC.input_max // 3, -1, 1), 1)
    pulses[-1] = SPEC.input_max
    charges = Charges(window, batch, np.float64, DOUBT, ends)
    found = np.empty((SPEC.columns, batch))
    charges.charge(pulses, found)
    exact = DeviceArray(device).charge([array_protocol.Window(pulses.T.astype(np.int64))]).T
    unlimited = window.weights.T @ pulses
    met = np.abs(exact - unlimited) > DOUBT
    assert met.mean() > 0.01  # limits were met, or nothing was tested
    equal = np.abs(found - exact) <= DOUBT
    beyond = (np.sign(found) == np.sign(exact)) & (np.minimum(np.abs(found), np.abs(exact)) > end_share * limit)
    assert (equal | beyond).all()
    assert (met & ~equal).any() or end_share > 0.4  # the short cut was taken
