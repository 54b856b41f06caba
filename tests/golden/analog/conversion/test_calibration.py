# SPDX-License-Identifier: Apache-2.0
"""The search for calibration registers: against a look at every setting, and on chips of the shipped technologies."""

import numpy as np
import pytest
from crossramp.golden.analog.chip.sampling import device as sampled
from crossramp.golden.analog.conversion.calibration import (
    CalibrationPlan,
    calibrate,
    counter,
    search,
    selected,
    smallest_cells,
)
from crossramp.golden.analog.conversion.device import DeviceInstance, grid_bits
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.analog.technologies.technology import load, shipped
from crossramp.golden.array.array_protocol import IdealArray, Window
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chips import macro_of
from tests.support.strategies import inputs_of, network_of, seeds

SPEC = Specification(inputs=4, units=6, classes=1, adc_bits=4)


def counting(plan: CalibrationPlan, cells: np.ndarray, start: np.ndarray, offsets: np.ndarray):
    """``count`` of ramps whose tick K stands at start + the cells that are selected, in front of columns at offsets."""

    def count(step, registers):
        level = start + (selected(plan.spec, registers) * cells).sum(axis=1)
        return plan.repeats * (offsets > level[:, None]).sum(axis=1)

    return count


@given(width=st.integers(1, 8), seed=seeds, dead=st.booleans(), spread=st.sampled_from([0.3, 2.0, 10.0]))
@settings(max_examples=150)
def test_no_setting_is_nearer_than_the_one_found(width, seed, dead, spread):
    """With cells of powers of two, one of them dead perhaps: by their count, of all 2**k settings."""
    rng = np.random.default_rng(seed)
    gate = Gate("sigmoid", 2.0)  # one ramp for all banks
    plan = CalibrationPlan(SPEC.replace(calibration_cells=width, gates=(gate,) * 4), 0)
    cells = 2.0 ** np.arange(width)[None]
    if dead:
        cells[0, rng.integers(width)] = 0
    start = np.array([-rng.uniform(-1, cells.sum() + 2)])
    count = counting(plan, cells, start, rng.normal(0, spread, (1, 24)))
    distances = [abs(2 * count(0, np.array([s]))[0] - 24) for s in range(1 << width)]
    found = search(plan, count)
    assert distances[found.registers[0]] == min(distances)
    assert len(found.settings) == width + 1
    past = 2 * count(0, np.array([0]))[0] <= 24
    never = 2 * count(0, np.array([(1 << width) - 1]))[0] > 24
    assert found.failed[0] == (past or never)
    if never:
        assert found.registers[0] == (1 << width) - 1 or distances[found.registers[0]] == distances[-1]
    if past:
        assert distances[found.registers[0]] == distances[0]


def test_the_middle_is_taken_only_while_no_other_setting_is_nearer():
    """Of 24 columns 8 reach K with setting 16, and 14 with 15."""
    plan = CalibrationPlan(SPEC.replace(gates=(Gate("sigmoid", 2.0),) * 4), 0)
    offsets = np.array([[1.0] * 8 + [0.0] * 6 + [-1.0] * 10])
    found = search(plan, counting(plan, 2.0 ** np.arange(5)[None], np.array([-15.5]), offsets))
    assert found.settings[1:3].tolist() == [[16], [8]]
    assert found.counts[[1, -1]].tolist() == [[8], [14]]
    assert found.registers.tolist() == [15]


def test_a_stuck_cell_is_left_out():
    """Cells of 1, 24 (for 2), 4, 8, 16; 7 are lacking. An upward scan would end with 24, at setting 2."""
    plan = CalibrationPlan(SPEC.replace(gates=(Gate("sigmoid", 2.0),) * 4), 0)
    cells = np.array([[1.0, 24, 4, 8, 16]])
    found = search(plan, counting(plan, cells, np.array([-7.2]), np.linspace(-2, 2, 24)[None]))
    assert (selected(plan.spec, found.registers) * cells).sum() == 8
    assert not found.failed[0]


def test_sixteen_cells_take_seventeen_settings():
    spec = SPEC.replace(calibration_cells=16)
    cells = np.tile(2.0 ** (np.arange(16) - 10), (2, 1))
    ideal = DeviceInstance.ideal(spec, network_of(spec, 1).weights.macro, cells)
    device = ideal.replace(ramp_start=ideal.ramp_start - np.array([40000, 333]) / 1024, offsets=np.full(24, 0.5))
    found = calibrate(device, CalibrationPlan(spec, 0))
    assert (found.registers.tolist(), len(found.settings), found.conversions) == ([39999, 332], 17, 34)


@pytest.mark.parametrize("name", shipped())
def test_chips_without_errors_are_nominal(name, seed):
    """The plan's smallest cells are the sampled ones', shifts included; codes after calibration are the ideal ones."""
    gates = (Gate("clipped_relu", 0.5), Gate("sigmoid", 2.0), Gate("tanh", 2.0), Gate("softplus[0,1]", 3.0))
    for spec in (SPEC, SPEC.replace(gates=gates)):
        technology, weights = load(name), network_of(spec, seed).weights.macro
        device = sampled(technology, spec, weights, seed, switches=frozenset())
        plan = CalibrationPlan.of(spec, technology["ramp.calibration_range"])
        np.testing.assert_allclose(device.calibration_cells[:, 0], plan.lsb, atol=2.0 ** -grid_bits(spec)[0])
        found = calibrate(device, plan)
        x = inputs_of(spec, seed, batch=1, steps=2)
        if spec is SPEC:
            assert found.registers.tolist() == [16, 16]
            ideal = Lstm(spec, IdealArray(spec, weights)).run(x)
            np.testing.assert_array_equal(macro_of(device, found.cells).run(x).h, ideal.h)
        else:
            assert (np.abs(found.registers - 16) <= 1).all()
        assert not found.failed.any()


def test_chips_are_nearer_than_before(seed):
    """Of ramps within reach: tick K from the median of its columns, before and after."""
    technology = load("rram").replace({"comparator.delay": 0.0, "comparator.delay_spread": 0.0})
    model = load_model("kws")
    plan, near = CalibrationPlan.of(model.spec, technology["ramp.calibration_range"]), []
    for number in range(16):
        device = sampled(technology, model.spec, model.weights.macro, seed + number)
        found = calibrate(device, plan)
        for ramp in np.flatnonzero(~found.failed):
            offsets = [model.spec.of_bank(device.offsets, gate) for gate in plan.gates[ramp]]
            levels = [device.levels(cells)[ramp, plan.ticks[ramp] - 1] for cells in (None, found.cells)]
            near.append(np.abs(levels - np.median(offsets)) / plan.lsb[ramp])
    before, after = np.median(near, axis=0)
    assert 2 * after < before
    assert after < 0.6  # a quarter of a cell for an error spread evenly over one, and noise


def test_counts_are_those_of_the_codes(seed):
    """The counter, written out: codes of x = 0 without bias, in front of the cells that are selected."""
    device = sampled(load("pcm"), SPEC, network_of(SPEC, seed).weights.macro, seed)
    plan = CalibrationPlan(SPEC, 1)
    registers = np.array([11, 22])
    array = DeviceArray(device, selected(SPEC, registers))
    codes = []
    for step in (8, 9):
        pulses, conversion = np.zeros((1, SPEC.rows), int), np.array([100 + 2 * step])
        codes.append(array.convert([Window(pulses)], conversion)[1][0])
    sigmoid = np.array(codes)[:, np.r_[0:12, 18:24]]
    expected = [np.count_nonzero(sigmoid >= 8), np.count_nonzero(np.array(codes)[:, 12:18] >= 8)]
    assert counter(device, plan, 100)(8, registers).tolist() == expected


def test_smallest_cells_by_hand():
    """6 codes over 32 settings; a code is half of what the ticks around K span, in MAC of scale range / 225.

    - elu, 4 bits, range 2: y = -1/8, 0, 1/8 lie at ln(7/8) = -0.1335, 0, 0.125; over 2/225: -15.02, 0, 14.06, whose
      floors span 30, not twice the 14 above K.
    - softplus[0,1], range 3: K is the tick at y = 11/16, its neighbors' arguments ln(exp(5/8) - 1) = -0.14128 and
      ln(exp(3/4) - 1) = 0.11065; over 3/225: -10.6 and 8.3, floors -11 and 8.
    - clipped_relu, range 1/2: K is the first tick, at 1/16, the next one at 2/16; over 1/450: 28.1 and 56.2.
    """
    gates = (Gate("elu", 2.0), Gate("softplus[0,1]", 3.0), Gate("clipped_relu", 0.5), Gate("elu", 2.0))
    spec = Specification(inputs=40, units=6, classes=1, adc_bits=4, gates=gates)
    assert smallest_cells(spec, 6.0) == pytest.approx([6 * 15 / 32, 6 * 9.5 / 32, 6 * 28 / 32], rel=1e-12)
    assert smallest_cells(spec, 3.0) == pytest.approx([3 * 15 / 32, 3 * 9.5 / 32, 3 * 28 / 32], rel=1e-12)
    assert CalibrationPlan.of(spec, 6.0).lsb == pytest.approx([6 * 15 / 32, 6 * 9.5 / 32, 6 * 28 / 32], rel=1e-12)
    assert CalibrationPlan.of(spec, 6.0).ticks == (8, 11, 1)
    # Of hard_tanh with 8 bits and a range of 4 a tick is 1/128 over 4/225, not half a MAC: one MAC at least.
    fine = Specification(
        inputs=40, units=6, classes=1, adc_bits=8, calibration_cells=3, gates=(Gate("hard_tanh", 4.0),) * 4
    )
    assert smallest_cells(fine, 6.0) == (6 / 8,)


def test_a_plan_by_hand():
    """Banks, columns, settings, steps and shifts of three ramps, written out."""
    gates = (Gate("elu", 2.0), Gate("softplus[0,1]", 3.0), Gate("clipped_relu", 0.5), Gate("elu", 2.0))
    spec = Specification(inputs=40, units=6, classes=1, adc_bits=4, gates=gates)
    plan = CalibrationPlan.of(spec, 6.0)
    assert (plan.gates, plan.columns) == ((("i", "o"), ("f",), ("g",)), (12, 6, 6))
    assert (plan.repeats, plan.settings, plan.steps) == (8, 6, 48)
    # Floors of tick K: 0; ln(exp(11/16) - 1) / (3/225) = -0.85, so -1; 28; in cells of 2.8125, 1.78125 and 5.25.
    assert plan.shifts == (0, -1, 5)


def test_another_specification_is_refused():
    device = DeviceInstance.ideal(SPEC, network_of(SPEC, 1).weights.macro)
    with pytest.raises(ValueError, match="another specification"):
        calibrate(device, CalibrationPlan(SPEC.replace(units=7)))


@pytest.mark.parametrize("cell", CELLS)
def test_chips_of_every_cell_are_calibrated(cell, seed):
    """Each ramp ends nearer to its place than it begins; as many conversions as the cell has a step."""
    spec = Specification(cell=cell, inputs=8, units=16, classes=2)
    technology = load("rram")
    plan = CalibrationPlan.of(spec, technology["ramp.calibration_range"], 1)
    chip = sampled(technology, spec, network_of(spec, seed).weights, seed)
    low = chip.replace(ramp_start=chip.ramp_start - 6 * np.array(plan.lsb))
    before, after = calibrate(chip, plan), calibrate(low, plan)
    assert not before.failed.any()
    assert not after.failed.any()
    np.testing.assert_allclose(after.registers - before.registers, 6, atol=3)
    assert before.conversions == len(spec.conversions) * plan.steps
