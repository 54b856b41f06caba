# SPDX-License-Identifier: Apache-2.0
"""The Python array model alone, against the golden conversion."""

import numpy as np
import pytest
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.array.array_protocol import IdealArray, Window
from crossramp.golden.array.ramps import latch
from crossramp.golden.cell.description import Gate
from crossramp.golden.spec.specification import Specification
from crossramp.sim.array.boundary_sequence import conversion_pins, run_conversion
from crossramp.sim.array.comparator_faults import Chatter, Custom, Explicit, Late, Stuck
from crossramp.sim.array.programming import Programming, ProgrammingError
from crossramp.sim.array.python_array import ArrayModel, Pins, random_stalls, settling, to_bits

SPECS = {
    "default": Specification(inputs=5, units=3, classes=2),
    "one_unit": Specification(inputs=1, units=1, classes=1, bias_rows=0, adc_bits=2, input_bits=2, weight_bits=2),
    "eight_bits": Specification(inputs=3, units=2, classes=2, adc_bits=8, input_bits=8, weight_bits=8),
    "mixed": Specification(
        inputs=4,
        units=5,
        classes=2,
        bias_rows=3,
        gates=(Gate("hard_sigmoid", 2.0), Gate("sigmoid", 1.0), Gate("softsign", 3.0), Gate("elu[-1,1]", 1.5)),
    ),
}


def ideal(spec, seed):
    rng = np.random.default_rng(seed)
    return IdealArray(spec, rng.integers(-spec.weight_max, spec.weight_max + 1, (spec.rows, spec.columns))), rng


@pytest.mark.parametrize("device", [False, True], ids=["integers", "device"])
@pytest.mark.parametrize("name", SPECS)
def test_converts_as_golden(name, device, seed):
    spec = SPECS[name]
    golden, rng = ideal(spec, seed)
    content = (DeviceInstance if device else Programming).ideal(spec, golden.weights)
    model = ArrayModel(spec, content, ready=random_stalls(seed, 0.3), garbage_seed=seed)
    compared = 0
    for _ in range(4):
        codes = rng.integers(-spec.input_max, spec.input_max + 1, spec.rows)
        latched = run_conversion(spec, model, Window(codes))
        macs = codes @ golden.weights
        np.testing.assert_array_equal(latch(latched, "last_high"), golden.codes(macs))
        q = rng.integers(-spec.state_pulse_max, spec.state_pulse_max + 1, spec.units)
        latched = run_conversion(spec, model, Window(None, q), second=True)
        bank_g = spec.bank("g")
        expected = golden.ramps[spec.ramp_of("g")].convert(spec.state_cell * q)
        np.testing.assert_array_equal(latch(latched, "first_trip")[bank_g], expected)
        conversions = model.finish()
        assert [conversion.state for conversion in conversions[-2:]] == [False, True]
        np.testing.assert_array_equal(conversions[-2].macs, macs)
        assert conversions[-2].comparators.shape == (spec.ticks, spec.columns)
        compared += spec.columns + spec.units
    assert compared == 4 * spec.codes_per_step


@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
@pytest.mark.parametrize(
    "fault",
    [
        Stuck(high=[0, 3], low=[1]),
        Late([0, 1, 2, 5], 2),
        Chatter(4, 0.3),
        Custom(lambda number, shown: shown ^ (number == 3)),
    ],
    ids=["stuck", "late", "chatter", "custom"],
)
def test_faults_are_recorded_as_shown(fault, mode, seed):
    spec = SPECS["default"]
    golden, rng = ideal(spec, seed)
    model = ArrayModel(spec, golden.weights, fault=fault)
    for _ in range(2):
        codes = rng.integers(-spec.input_max, spec.input_max + 1, spec.rows)
        latched = run_conversion(spec, model, Window(codes))
        recorded = model.finish()[-1].comparators
        np.testing.assert_array_equal(recorded, latched)
        if isinstance(fault, Stuck):
            assert list(latch(latched, mode)[[0, 3, 1]]) == [spec.ticks, spec.ticks, 0]
        if isinstance(fault, Late):
            good = golden.codes(codes @ golden.weights)
            expected = good.copy()
            expected[fault.columns] = np.minimum(good[fault.columns] + 2, spec.ticks)
            np.testing.assert_array_equal(latch(latched, mode), expected)


def test_explicit_traces(seed):
    spec = SPECS["default"]
    traces = np.random.default_rng(seed).random((2, spec.ticks, spec.columns)) < 0.5
    golden, _ = ideal(spec, seed)
    model = ArrayModel(spec, golden.weights, fault=Explicit(traces), ready=settling({"hold": 4, "tick": 2}))
    for trace in traces:
        latched = run_conversion(spec, model, Window(np.ones(spec.rows, int)))
        np.testing.assert_array_equal(latched, trace)


def test_garbage_is_shown_wherever_nothing_is_latched(seed):
    """On clocks that wait, what a macro may not look at really differs from what it is going to latch."""
    spec = SPECS["default"]
    golden, rng = ideal(spec, seed)
    codes = rng.integers(-spec.input_max, spec.input_max + 1, spec.rows)
    q = rng.integers(-spec.state_pulse_max, spec.state_pulse_max + 1, spec.units)
    all_columns, bank_g = (1 << spec.columns) - 1, ((1 << spec.units) - 1) << spec.bank("g").start
    for window, second, looked_at in ((Window(codes), False, all_columns), (Window(None, q), True, bank_g)):
        # The same array with and without garbage, three clocks of waiting on each tick.
        clean, noisy = (
            ArrayModel(spec, golden.weights, ready=settling({"tick": 3}), garbage_seed=garbage)
            for garbage in (None, seed)
        )
        waiting, different, elsewhere = 0, 0, 0
        for pins, waits in conversion_pins(spec, window, second=second):
            while True:
                (held, ready), (shown, also_ready) = clean.clock(pins), noisy.clock(pins)
                assert ready == also_ready
                if ready and pins.tap:
                    assert (shown ^ held) & looked_at == 0
                    elsewhere += shown != held
                elif pins.tap:
                    waiting += 1
                    different += (shown ^ held) & looked_at != 0
                if ready or not waits:
                    break
                pins.tick = 0
        assert waiting == 3 * spec.ticks
        # Few columns agree by chance: in the state's conversion, one clock in eight.
        assert different > waiting // 2
        assert (elsewhere > 0) == second


def test_settling_waits_as_long_as_asked():
    ready = settling({"hold": 2, "tick": 1})
    got = [ready(phase) for phase in ("hold", "hold", "hold", "tick", "tick", "tick", "tick", "hold")]
    assert got == [False, False, True, False, True, False, True, False]


def test_measures_what_it_is_given(seed):
    """No reset: the sum goes on. A pulse outside the window: not seen. Both polarities: they cancel."""
    spec = SPECS["default"]
    golden, _ = ideal(spec, seed)
    model = ArrayModel(spec, golden.weights)
    model.clock(Pins(reset=1))
    model.clock(Pins(integrate=1, row_pos=1))
    model.clock(Pins(hold=1, row_pos=1))
    model.clock(Pins(integrate=1, row_pos=0b11, row_neg=0b10))
    np.testing.assert_array_equal(model.macs, 2 * golden.weights[0])
    model.clock(Pins(reset=1))
    assert not model.macs.any()


def test_calibration_cells_shift_the_ramps(seed):
    spec = SPECS["default"].replace(calibration_cells=2)
    golden, rng = ideal(spec, seed)
    cells = np.array([[5, -3], [11, 2]])
    model = ArrayModel(spec, Programming.ideal(spec, golden.weights, cells))
    codes = rng.integers(-spec.input_max, spec.input_max + 1, spec.rows)
    latched = run_conversion(spec, model, Window(codes), calibration=0b0110)
    # A ramp that starts higher is a MAC that is lower.
    shift = np.repeat(np.array([-3, 11])[list(spec.ramp_of_gate)], spec.units)
    np.testing.assert_array_equal(latch(latched, spec.latch), golden.codes(codes @ golden.weights - shift))


def test_programming_refuses_what_does_not_fit(tmp_path):
    spec = SPECS["default"]
    ideal = Programming.ideal(spec, np.ones((spec.rows, spec.columns), int))
    with pytest.raises(ProgrammingError, match=r"ramp_steps has the shape \(2, 30\); expected \(2, 31\)"):
        ideal.replace(ramp_steps=ideal.ramp_steps[:, 1:])
    with pytest.raises(ProgrammingError, match="ramp_start holds float64; expected integers"):
        ideal.replace(ramp_start=ideal.ramp_start * 0.5)
    with pytest.raises(ProgrammingError, match="holds 2147483648"):
        ideal.replace(state_cells=np.full(3, 2**31)).write(tmp_path)
    other = spec.replace(classes=3)
    with pytest.raises(ValueError, match=spec.hardware_hash):
        ArrayModel(other, ideal)


def test_bits_round_trip():
    assert to_bits(0b1011, 6).tolist() == [1, 1, 0, 1, 0, 0]
    assert to_bits(0, 0).tolist() == []
