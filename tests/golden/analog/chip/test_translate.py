# SPDX-License-Identifier: Apache-2.0
"""From siemens, farad and volts to MAC units: every number of an instance recomputed by the equations of devices.md."""

import math

import numpy as np
import pytest
from crossramp.golden.analog.chip.cell_sampling import Cells
from crossramp.golden.analog.chip.sampling import device, sample
from crossramp.golden.analog.chip.translate import to_device
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.array.ramps import ramps
from crossramp.golden.cell.description import Gate
from crossramp.golden.spec.specification import Specification

SPEC = Specification(inputs=20, units=12, classes=4, bias_rows=2, settle_clocks=3)
WEIGHTS = np.random.default_rng(4).integers(-15, 16, (SPEC.rows, SPEC.columns))
IDEAL = np.stack([ramp.thresholds for ramp in ramps(SPEC)])


def only(*effects, name="rram", seed=1, **changes):
    """(array, instance) of a chip with some effects; changes with __ for the dot of a constant's name."""
    tech = load(name).replace({key.replace("__", "."): value for key, value in changes.items()})
    array = sample(tech, SPEC, WEIGHTS, seed, switches=frozenset(effects))
    return array, to_device(array)


# ---- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rram", "charge"])
def test_a_pulse_of_one_clock_leaks_from_the_middle_of_its_clock(name):
    """Alone in a window of 15 clocks that lose 1/50 each: the first clock's charge leaks for 14.5, the last for 0.5."""
    clock = load(name)["read.clock"]
    _, chip = only("leakage", name=name, integrator__leakage_time=50 * clock)
    assert chip.window[0] == pytest.approx(math.exp(-14.5 / 50), rel=1e-5)
    assert chip.window[-1] == pytest.approx(math.exp(-0.5 / 50), rel=1e-5)
    assert chip.window == pytest.approx(np.exp(-(np.arange(14, -1, -1) + 0.5) / 50), rel=1e-5)
    assert chip.state_window == pytest.approx(np.exp(-(np.arange(30, -1, -1) + 0.5) / 50), rel=1e-5)
    # By the instance's own conversion: one row, one clock, which is the window's first one.
    array, pulses = DeviceArray(chip), np.zeros((1, SPEC.rows), int)
    pulses[0, 0] = 1
    assert array.charge([Window(pulses)])[0] == pytest.approx(WEIGHTS[0] * math.exp(-14.5 / 50), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(("name", "arrival"), [("rram", 0.25), ("charge", 0.0)])
def test_ramp_steps_make_up_for_the_columns_leak(name, arrival):
    """Tick k is latched 3 + k clocks after the window; a step that arrived just then is that much larger, no less."""
    clock = load(name)["read.clock"]
    _, chip = only("leakage", name=name, integrator__leakage_time=50 * clock)
    _, plain = only(name=name)
    gains = np.exp((3 + np.arange(1, 32) - 1 + arrival) / 50)
    assert chip.ramp_steps == pytest.approx(plain.ramp_steps * gains, rel=1e-3, abs=1e-3)
    assert chip.ramp_start == pytest.approx(plain.ramp_start * math.exp(arrival / 50), rel=1e-5)
    assert chip.calibration_cells == pytest.approx(plain.calibration_cells * math.exp(arrival / 50), rel=1e-3)
    assert (chip.rise == 1).all()


def test_an_external_ramp_does_not_leak():
    clock = load("rram")["read.clock"]
    _, chip = only("leakage", ramp="external", integrator__leakage_time=50 * clock)
    assert chip.rise == pytest.approx(np.exp((3 + np.arange(1, 32)) / 50), rel=1e-12)
    assert chip.levels() == pytest.approx(IDEAL * chip.rise, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(("delay", "ticks"), [(4.9e-9, 0), (5.1e-9, 1), (1.49e-8, 1), (1.51e-8, 2), (9.9e-6, 31)])
def test_half_a_clock_of_delay_is_none(delay, ticks):
    """The ramp moves in the first half of a clock of 10 ns and is latched at its end."""
    _, chip = only("delay", comparator__delay=delay, comparator__delay_spread=0.0)
    assert (chip.delays == ticks).all()


def test_saturation_is_counted_at_the_windows_end():
    """0.9 V of swing 0.5 V at the largest threshold; early clocks are seen through what leaks after them."""
    clock = load("rram")["read.clock"]
    array, chip = only("saturation", "leakage", integrator__leakage_time=50 * clock)
    most = 0.9 / (0.5 / np.abs(IDEAL).max())
    assert array.volts_per_mac == pytest.approx(0.5 / np.abs(IDEAL).max())
    assert chip.limit == pytest.approx(most * np.exp(-np.arange(14, -1, -1) / 50), rel=1e-12)
    assert chip.state_limit == pytest.approx(most * np.exp(-np.arange(30, -1, -1) / 50), rel=1e-12)
    _, chip = only()
    assert np.isinf(chip.limit).all()


def test_saturation_of_what_is_compressed():
    """v = (1 - exp(-y)) of the Early voltage: the charge whose v is 0.9 V."""
    array, chip = only("saturation", "compression", integrator__early_voltage=3.0)
    assert chip.compression == pytest.approx(array.volts_per_mac / 3.0, rel=1e-12)
    charge = chip.limit[-1] * array.volts_per_mac
    assert 3.0 * (1 - math.exp(-charge / 3.0)) == pytest.approx(0.9, rel=1e-12)
    assert np.isinf(only("saturation", "compression", integrator__early_voltage=0.9)[1].limit).all()


# ---- gains -----------------------------------------------------------------------------------------------------------


def test_gain_of_current_columns_and_ramps():
    """A finite gain A leaves 1 / (1 + 1/A); capacitors and supply count by themselves."""
    array, chip = only("gain", "capacitors", "read_voltage", integrator__gain=100.0, integrator__mismatch=0.01)
    columns = array.read_voltage / 0.2 / (1 + 1 / 100)
    nominal = 0.2 * array.unit * 1e-8 / array.volts_per_mac
    cells = (array.positive - array.negative) / array.unit
    assert chip.weights == pytest.approx(cells * columns * nominal / array.column_capacitance, rel=1e-3, abs=1e-3)
    state = (array.state_positive - array.state_negative) / array.unit
    bank_g = array.spec.of_bank(array.column_capacitance, "g")
    assert chip.state_cells == pytest.approx(state * columns * nominal / bank_g, rel=1e-3)
    # What hangs on the virtual ground discharges the capacitor: an exponent a clock for the mean column.
    load_of_line = array.positive.sum(axis=0).mean()
    rate = 1e-8 * load_of_line / (101 * array.column_capacitance.mean())
    assert chip.window == pytest.approx(np.exp(-rate * (np.arange(14, -1, -1) + 0.5)), rel=1e-5)


def test_a_ramp_cell_discharges_what_it_charges():
    """dV/dt = (I - G·V/(A + 1))/C over half a clock, to first order, tick by tick."""
    array, chip = only("gain", integrator__gain=200.0)
    gain = 1 / (1 + 1 / 200)
    rate = 0.5e-8 / (201 * array.ramp_capacitance)
    for r in range(2):
        steps = (array.ramp - array.ramp_negative)[r] / array.ramp_unit[r] * gain
        middle = array.calibration[r, -1]
        start = (array.ramp_start - array.ramp_start_negative)[r].sum() * array.start_sign[r] / array.ramp_unit[r]
        first = 1 - (array.ramp_start[r].sum() + middle) * rate[r] / 2
        level = (start + (array.calibration - array.calibration_negative)[r, -1] / array.ramp_unit[r]) * gain * first
        levels = []
        for step, cell in zip(steps, array.ramp[r], strict=True):
            level += step - cell * rate[r] * (level + step / 2)
            levels.append(level)
        assert chip.levels()[r] == pytest.approx(np.array(levels), abs=2e-3)


def test_gain_of_charge_columns():
    """1 + (1 + C_line/C_feedback)/A, where every unit capacitor and its share of the wires hang on the line."""
    array, chip = only("gain", name="charge", integrator__gain=100.0)
    line = (SPEC.rows * 15 + SPEC.state_cell) * 1.2e-15 * 1.2
    assert load("charge")["cell.capacitance"] == 1.2e-15
    assert load("charge")["wires.parasitic"] == 0.2
    loss = 1 + (1 + line / array.column_capacitance) / 100
    assert chip.weights == pytest.approx(WEIGHTS / loss, abs=1e-3)
    cells = array.ramp.sum(axis=1) + array.ramp_start.sum(axis=1) + array.calibration.sum(axis=1)
    loss = 1 + (1 + 1.2 * cells / array.ramp_capacitance) / 100
    assert chip.levels() == pytest.approx(IDEAL / loss[:, None], abs=5e-3)


def test_capacitors_are_sized_for_the_swing():
    """The largest threshold stands at 0.5 V: in current mode by the current of a clock, of a ramp's cells by half."""
    array, _ = only()
    volts = 0.5 / np.abs(IDEAL).max()
    assert array.unit == pytest.approx((88.19e-6 - 9e-6) / 15, rel=1e-12)
    assert array.column_capacitance == pytest.approx(np.full(48, 0.2 * array.unit * 1e-8 / volts), rel=1e-12)
    assert array.ramp_capacitance == pytest.approx(0.2 * array.ramp_unit * 0.5e-8 / volts, rel=1e-12)
    largest = np.diff(IDEAL, axis=1).max(axis=1)
    assert array.ramp_unit == pytest.approx(0.9 * (88.19e-6 - 9e-6) / largest, rel=1e-12)
    single, _ = only(pair="single-ended")
    assert single.unit == pytest.approx(array.unit / 2, rel=1e-12)
    charge, _ = only(name="charge")
    assert charge.unit == pytest.approx(1.2e-15, rel=1e-12)
    driven = load("charge")["read.voltage"] / 31  # the longest pulse is the state's
    assert charge.column_capacitance == pytest.approx(np.full(48, driven * 1.2e-15 / charge.volts_per_mac), rel=1e-12)
    assert charge.ramp_capacitance == pytest.approx(
        load("charge")["read.voltage"] * charge.ramp_unit / charge.volts_per_mac, rel=1e-12
    )


def test_an_external_ramps_errors_are_of_its_mean_step():
    errors = []
    for seed in range(60):
        _, chip = only("ramp_cells", ramp="external", ramp__external_error=0.05, seed=seed)
        mean = np.diff(IDEAL, axis=1).mean(axis=1, keepdims=True)
        nominal = np.diff(IDEAL, axis=1)
        errors.append((chip.ramp_steps[:, 1:] - nominal) / mean)
    errors = np.array(errors)[:, :, 2:-2]  # steps at the ends are cut at 0
    assert errors.std() == pytest.approx(0.05, rel=0.05)
    assert abs(errors.mean()) < 0.003
    _, chip = only(ramp="external")
    assert chip.levels() == pytest.approx(IDEAL, abs=1e-3)


# ---- noise -----------------------------------------------------------------------------------------------------------


def read_noise(cells, time=3600.0, limit=0.01):
    """Standard deviation of a read, S: Falcone et al.'s, limited, times the 1/f noise's square root of a logarithm."""
    relative = 0.000611 * (cells / 88.19e-6) ** -0.69
    return np.minimum(relative, limit) * cells * math.sqrt(math.log((time + 1e-6) / 2e-6))


def test_read_noise_of_every_cell():
    array, chip = only("read_noise")
    squares = (read_noise(array.positive) ** 2 + read_noise(array.negative) ** 2) / array.unit**2
    assert chip.variance == pytest.approx(squares, rel=1e-3, abs=1e-6)
    state = (read_noise(array.state_positive) ** 2 + read_noise(array.state_negative) ** 2) / array.unit**2
    assert chip.state_variance == pytest.approx(state, rel=1e-3, abs=1e-6)
    assert not chip.common_variance.any()


def test_read_noise_of_small_cells_is_limited():
    array, chip = only("read_noise", cell__read_noise_limit=0.001)
    parts = [read_noise(cells, limit=0.001) for cells in (array.positive, array.negative)]
    assert any(
        (part < read_noise(cells)).any() for part, cells in zip(parts, (array.positive, array.negative), strict=True)
    )
    assert chip.variance == pytest.approx(sum(part**2 for part in parts) / array.unit**2, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("time", "read", "factor"),
    # ln((t + t0) / (2 t0)): none at all as long as a read takes, half of ln 2 ... after.
    [(3600, 1e-6, math.log(1.8e9 + 0.5)), (1e-6, 1e-6, 0.0), (0, 1e-6, 0.0), (7e-6, 1e-6, math.log(4)), (5, 0.0, 1.0)],
)
def test_read_noise_grows_with_the_time_since_programming(time, read, factor):
    changes = {"cell__read_noise_exponent": 0.0, "cell__read_noise": 0.005}
    array, chip = only("read_noise", operation__time=time, cell__read_noise_time=read, **changes)
    squares = 0.005**2 * factor * (array.positive**2 + array.negative**2) / array.unit**2
    assert chip.variance == pytest.approx(squares, rel=1e-4, abs=1e-7)


def test_read_noise_of_a_reference_column():
    array, chip = only("read_noise", pair="single-ended")
    assert chip.variance == pytest.approx(read_noise(array.positive) ** 2 / array.unit**2, rel=1e-3, abs=1e-6)
    assert chip.common_variance == pytest.approx(read_noise(array.negative) ** 2 / array.unit**2, rel=1e-3)


@pytest.mark.parametrize("pair", ["differential", "single-ended"])
def test_noise_of_cells_is_amplified_as_their_currents_are(pair):
    """By the square of each column's gain; of the reference column, which all share, by their mean's."""
    more = {"integrator__mismatch": 0.1, "operation__supply": 0.8, "read__voltage_spread": 0.0}
    array, chip = only("read_noise", "capacitors", "read_voltage", pair=pair, **more)
    nominal = 0.2 * array.unit * 1e-8 / array.volts_per_mac
    gain = 0.8 * nominal / array.column_capacitance
    assert np.ptp(gain) > 0.2
    own = read_noise(array.positive) ** 2 + (read_noise(array.negative) ** 2 if pair == "differential" else 0)
    assert chip.variance == pytest.approx(own / array.unit**2 * gain**2, rel=1e-3, abs=1e-6)
    state = read_noise(array.state_positive) ** 2 + read_noise(array.state_negative) ** 2
    assert chip.state_variance == pytest.approx(state / array.unit**2 * gain[24:36] ** 2, rel=1e-3, abs=1e-6)
    if pair == "single-ended":
        common = read_noise(array.negative) ** 2 / array.unit**2 * gain.mean() ** 2
        assert chip.common_variance == pytest.approx(common, rel=1e-3)


def test_noise_of_a_ramps_first_level_is_that_of_all_cells_before_it():
    """Tap, start and the middle bias cell, each with its partner; later steps are their own cell's."""
    array, chip = only("read_noise", "ramp_cells")
    squares = read_noise(array.ramp) ** 2 + read_noise(array.ramp_negative) ** 2
    squares[array.ramp == 0] = 0
    start = (array.ramp_start, array.ramp_start_negative)
    bias = (array.calibration[:, -1:], array.calibration_negative[:, -1:])
    before = sum((np.where(cells > 0, read_noise(np.maximum(cells, 1e-12)), 0) ** 2).sum(axis=1) for cells in start)
    middle = sum((read_noise(cells) ** 2).sum(axis=1) for cells in bias)
    assert (middle > 0.01 * before).all()  # left out, it would show
    squares[:, 0] += before + middle
    assert chip.ramp_noise == pytest.approx(np.sqrt(squares) / array.ramp_unit[:, None], rel=1e-6)


@pytest.mark.parametrize("name", ["rram", "charge"])
def test_noise_of_circuits_in_volts(name):
    array, chip = only("thermal", "comparator_noise", "offset", name=name, operation__temperature=350.0)
    assert chip.comparator_noise * array.volts_per_mac == pytest.approx(load(name)["comparator.noise"], rel=1e-12)
    assert chip.offsets * array.volts_per_mac == pytest.approx(array.offset, rel=1e-12)
    if name == "rram":  # kT/C of the integrator that is reset
        volts = 1.380649e-23 * 350 / array.column_capacitance
    else:  # the charge kTC of two lines, on the feedback capacitor
        line = (SPEC.rows * 15 + SPEC.state_cell) * 1.2e-15 * 1.2
        volts = 2 * 1.380649e-23 * 350 * line / array.column_capacitance**2
    assert chip.noise_variance * array.volts_per_mac**2 == pytest.approx(volts, rel=1e-12)


def test_the_read_voltage_of_a_chip():
    """Nominal times supply times 1 + a normal deviate of the spread; the ramp in memory has the same."""
    drawn = []
    for seed in range(200):
        array = sample(
            load("rram").replace({"operation.supply": 0.9, "read.voltage_spread": 0.02}),
            SPEC, WEIGHTS, seed, switches=frozenset({"read_voltage"}),
        )  # fmt: skip
        assert array.ramp_voltage == array.read_voltage
        drawn.append(array.read_voltage / (0.2 * 0.9) - 1)
    assert np.std(drawn) == pytest.approx(0.02, rel=0.2)
    assert abs(np.mean(drawn)) < 0.02 * 4 / math.sqrt(200)
    array, chip = only("read_voltage", ramp="external", operation__supply=0.9, read__voltage_spread=0.0)
    assert (array.read_voltage, array.ramp_voltage) == (pytest.approx(0.18), 0.2)
    assert chip.levels() == pytest.approx(IDEAL, abs=1e-3)
    assert device(load("rram"), SPEC, WEIGHTS, 1, switches=frozenset()).weights == pytest.approx(WEIGHTS, abs=1e-4)


# ---- what programming knows ------------------------------------------------------------------------------------------


def test_state_cells_are_worth_whole_levels_beside_a_reference_column():
    """Weights have half a window there, state cells a pair of their own: both count in levels."""
    for changes in ({}, {"pair": "single-ended"}):
        _, chip = only(**changes)
        assert chip.state_cells == pytest.approx(np.full(12, SPEC.state_cell), abs=1e-4)
        assert chip.weights == pytest.approx(WEIGHTS, abs=1e-4)


@pytest.mark.parametrize("part", ["start", "calibration"])
def test_programming_on_sums_makes_up_for_what_the_ramp_begins_with(part, monkeypatch):
    """With errors in start or bias cells alone, every level is right: the first taps take them on."""
    real = Cells.draws

    def draws(self, drawn, shape, number):
        deviation, chance = real(self, drawn, shape, number)
        return deviation if drawn == part else 0 * deviation, chance

    monkeypatch.setattr(Cells, "draws", draws)
    for seed in range(6):
        _, one_shot = only("programming", "ramp_cells", name="pcm", seed=seed)
        _, sums = only("programming", "ramp_cells", name="pcm", seed=seed, ramp__scheme=1.0)
        moved = one_shot.levels() - IDEAL
        assert np.ptp(moved, axis=1).max() < 1e-2  # all of a ramp alike
        assert np.abs(sums.levels() - IDEAL)[:, 8:].max() < 1e-2
        assert np.abs(moved).max() > 0.1


@pytest.mark.parametrize(
    ("effects", "changes", "factor"),
    [
        (("read_voltage",), {"operation__supply": 0.6}, 1.0),
        (("temperature",), {"operation__temperature": 350.0, "cell__temperature_coefficient": [-0.01, 0.0]}, 0.5),
        (("drift",), {"operation__time": 1e4, "cell__drift_mean": [0, 0.1, 0, 1]}, 1e4**-0.1),
    ],
)
def test_ramps_are_converted_as_the_chip_is_when_it_is_programmed(effects, changes, factor):
    """Whatever the supply, temperature and age will be: cells are the same, but for what becomes of them all alike."""
    common = {
        "ramp__scheme": 2.0,
        "integrator__early_voltage": 2.0,
        "read__voltage_spread": 0.0,
        "cell__drift_spread": [0, 0, 0, 0],
        "cell__relaxation": [0, 0, 0],
        "cell__drift_time": 1.0,
    }
    nominal = {"operation__time": 0.0}
    on = ("ramp_cells", "compression", *effects)
    then, _ = only(*on, **common | nominal)
    now, _ = only(*on, **common | nominal | changes)
    assert now.ramp == pytest.approx(then.ramp * factor, rel=1e-9)
    plain, _ = only(*on, **common | nominal | {"ramp__scheme": 0.0})
    assert np.abs(then.ramp / np.where(plain.ramp > 0, plain.ramp, 1) - 1).max() > 0.01  # compression was made up for


@pytest.mark.parametrize("pairs", [0.0, 1.0])
@pytest.mark.parametrize("scheme", [0.0, 1.0])
def test_a_step_of_nothing_has_no_cell_that_errs(pairs, scheme):
    """With 8 bits some thresholds of a steep hard_tanh coincide: those ticks do not move the ramp."""
    spec = Specification(inputs=20, units=2, classes=2, adc_bits=8, gates=(Gate("hard_tanh", 4.0),) * 4)
    weights = np.random.default_rng(1).integers(-15, 16, (spec.rows, spec.columns))
    thresholds = ramps(spec)[0].thresholds
    nothing = np.diff(thresholds) == 0
    assert 50 < nothing.sum() < 254
    tech = load("rram").replace({"ramp.pairs": pairs, "ramp.scheme": scheme})
    array = sample(tech, spec, weights, 1, switches=frozenset({"programming", "ramp_cells", "range"}))
    steps = (array.ramp - array.ramp_negative)[0, 1:]
    if scheme == 0:
        assert (steps[nothing] == 0).all()
        assert (steps[~nothing] != 0).all()
    elif pairs:  # what the one before lacks is taken on, never taken back; a single cell is g_min at least
        assert (steps[nothing] == 0).any()
