# SPDX-License-Identifier: Apache-2.0
"""One grammar for the bias cells of the ramps, and what each setting selects on a chip."""

import numpy as np
import pytest
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.conversion.calibration import CalibrationPlan, calibrate
from crossramp.golden.analog.conversion.calibration_setting import FOUND, NOMINAL, CalibrationSetting, nominal_port
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification

from tests.support.strategies import network_of

SPEC = Specification(inputs=5, units=3, classes=3, calibration_cells=3)
RRAM = load("rram")


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        (None, NOMINAL),
        ("nominal", NOMINAL),
        ("found", FOUND),
        ("0", CalibrationSetting(port=0)),
        ("1f", CalibrationSetting(port=31)),
        ("0X2A", CalibrationSetting(port=42)),
    ],
)
def test_the_grammar(text, setting):
    assert CalibrationSetting.parse(text) == setting
    assert CalibrationSetting.parse(str(setting)) == setting


@pytest.mark.parametrize("value", ["", "none", "-1", "1_0", "0x", " 1", "xyz", 5, True, ["found"]])
def test_anything_else_is_quoted(value):
    with pytest.raises(
        InvalidValue, match=r"calibration is .*; give nominal, found, or cells as a hexadecimal"
    ) as told:
        CalibrationSetting.parse(value)
    assert repr(value) in str(told.value)


def test_cells_that_the_ramps_lack_are_refused():
    assert CalibrationSetting(port=63).check(SPEC).port == 63
    with pytest.raises(InvalidValue, match="calibration is 40; allowed: 0 to 3f, for 6 cells"):
        CalibrationSetting(port=64).check(SPEC)
    bare = SPEC.replace(calibration_cells=0)
    assert NOMINAL.check(bare) == NOMINAL
    for setting in (FOUND, CalibrationSetting(port=1)):
        with pytest.raises(InvalidValue, match=r"calibration is .*nominal"):
            setting.check(bare)


def test_what_is_settled_on_a_chip(seed):
    network = network_of(SPEC, seed)
    chip = device(RRAM, SPEC, network.weights.macro, seed)
    nominal = NOMINAL.settle(chip, RRAM)
    np.testing.assert_array_equal(nominal.cells, [[False, False, True]] * 2)  # the middle of the range
    assert nominal.port == nominal_port(SPEC) == 0b100100
    given = CalibrationSetting(port=0b001110).settle(chip, RRAM)
    np.testing.assert_array_equal(given.cells, [[False, True, True], [True, False, False]])
    assert (given.port, given.failed) == (0b001110, ())
    found = FOUND.settle(chip, RRAM)
    expected = calibrate(chip, CalibrationPlan.of(SPEC, RRAM["ramp.calibration_range"]))
    np.testing.assert_array_equal(found.cells, expected.cells)
    assert len(found.failed) == int(expected.failed.sum())


def test_a_ramp_out_of_reach_is_named(seed):
    far = RRAM.replace(
        {"ramp.calibration_range": 1e-3, "ramp.start_error": 20.0}
        if "ramp.start_error" in RRAM.values
        else {"ramp.calibration_range": 1e-3}
    )
    network = network_of(SPEC, seed)
    found = [FOUND.settle(device(far, SPEC, network.weights.macro, seed + k), far) for k in range(8)]
    assert {name for one in found for name in one.failed} <= {act.text for act in SPEC.ramps}
    assert any(one.failed for one in found)
