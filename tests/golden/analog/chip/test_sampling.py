# SPDX-License-Identifier: Apache-2.0
"""Chips of a technology: ideal with everything off, each effect as its equation says, draws that do not move."""

import numpy as np
import pytest
from crossramp.golden.analog.chip.sampling import ALL, device, sample
from crossramp.golden.analog.chip.translate import BOLTZMANN, to_device
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.analog.technologies.constants import SWITCHES
from crossramp.golden.analog.technologies.technology import load, shipped
from crossramp.golden.array.array_protocol import IdealArray, Window, undriven
from crossramp.golden.array.ramps import ramps
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chips import macro_of
from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications

SPEC = Specification(inputs=20, units=12, classes=4, bias_rows=2)
NONE = frozenset()


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(4).integers(-15, 16, (SPEC.rows, SPEC.columns))


def technologies():
    single = load("rram").replace({"pair": "single-ended"})
    external = load("rram").replace({"ramp": "external"})
    return {name: load(name) for name in shipped()} | {"single-ended": single, "external": external}


@settings(max_examples=60)
@given(
    specifications(max_units=4, projection=0, cells=ALL_CELLS, any_ramps=True),
    seeds,
    st.sampled_from(sorted(technologies())),
)
def test_with_everything_off_a_chip_is_ideal(spec, seed, name):
    weights, x = network_of(spec, seed).weights, inputs_of(spec, seed, batch=3, steps=4)
    ideal = Lstm(spec, IdealArray(spec, weights.macro, lines=weights.lines)).run(x)
    real = macro_of(device(technologies()[name], spec, weights, seed, switches=NONE)).run(x)
    for field in set(ideal.known()) - {"macs"}:
        assert np.array_equal(getattr(ideal, field), getattr(real, field)), field


@settings(max_examples=40)
@given(
    specifications(max_units=4, projection=0, cells=ALL_CELLS, any_ramps=True),
    seeds,
    st.sampled_from(sorted(technologies())),
    st.data(),
)
def test_any_effects_make_an_instance(spec, seed, name, data):
    weights = network_of(spec, seed).weights
    on = frozenset(data.draw(st.sets(st.sampled_from(SWITCHES))))
    chip = device(technologies()[name], spec, weights, seed, switches=on)
    assert chip.same(device(technologies()[name], spec, weights, seed, switches=on))


@pytest.mark.parametrize("cell", ALL_CELLS)
@pytest.mark.parametrize("name", sorted(technologies()))
def test_where_a_cell_has_no_memristors_there_is_nothing(cell, name):
    """No conductance, and in no instance a weight or noise; a row of a reference column only where banks cross it."""
    spec = Specification(inputs=5, units=4, classes=2, cell=cell)
    network = network_of(spec, 3)
    array = sample(technologies()[name], spec, network.weights, 5)
    assert (array.positive[spec.placed] > 0).mean() > 0.4  # in charge mode the other half of the pair is 0
    assert not array.positive[~spec.placed].any()
    if technologies()[name].pair == "single-ended":
        crossed = np.stack([spec.placed[:, spec.bank(gate)].all(axis=1) for gate in spec.gate_names], axis=1)
        assert array.negative.shape == (spec.rows, len(spec.crossings))
        for gate, crossing in enumerate(spec.crossing_of_gate):
            assert np.array_equal(array.negative[:, crossing] > 0, crossed[:, gate])
    else:
        assert not array.negative[~spec.placed].any()
    chip = to_device(array)
    assert not chip.weights[~spec.placed].any()
    assert not chip.variance[~spec.placed].any()
    assert chip.state_cells.shape == array.state_positive.shape == (spec.line_cell_count,)
    # A stuck cell is one that there is.
    stuck = load("rram").replace({"cell.stuck_on": 1.0, "cell.stuck_off": 0.0, "cell.fault_aware": 0})
    broken = sample(stuck, spec, network.weights, 5, switches=frozenset({"stuck"}))
    assert np.array_equal(broken.positive == load("rram")["cell.g_max"], spec.placed)


@pytest.mark.parametrize("cell", ["lstm_peephole", "gru", "gru_reset_after"])
@pytest.mark.parametrize("name", ["rram", "charge"])
def test_a_bank_that_holds_droops_up_to_its_own_conversion(cell, name, seed):
    """exp(-t/tau) over hold, ramp, update and reset of the first conversion, and over the second one's window."""
    spec = Specification(inputs=5, units=4, classes=2, lanes=3, cell=cell, settle_clocks=3, comparator_registers=1)
    weights = network_of(spec, seed).weights
    tau = 200.0
    tech = load(name).replace({"integrator.leakage_time": tau * load(name)["read.clock"]})
    chip = device(tech, spec, weights, 1, switches=frozenset({"leakage"}))
    clocks = 3 + 31 + (2 + 1 + 1) + 1 + spec.windows[1]  # two beats of 3 lanes, the product and comparator registers
    assert chip.hold_gain == pytest.approx(np.full(len(spec.layout.held), np.exp(-clocks / tau)), rel=1e-12)
    # By the instance's own conversion: a first window alone, and nothing in the second.
    rows = np.random.default_rng(seed).integers(-15, 16, (50, spec.rows))
    array, first, second = DeviceArray(chip), undriven(spec, 0, 50), undriven(spec, 1, 50)
    windows = [first._replace(rows=rows), second]
    gains = np.exp(-(np.arange(len(chip.window) - 1, -1, -1) + 0.5) / tau)
    fresh = np.sign(rows) * np.append(0.0, np.cumsum(gains))[np.abs(rows)] @ chip.weights
    bank = spec.bank(spec.layout.held[0])
    place = slice(bank.start - spec.converted(1).start, bank.stop - spec.converted(1).start)
    left = array.charge(windows)[:, place]
    assert left == pytest.approx(fresh[:, bank] * np.exp(-clocks / tau), abs=1e-2)
    assert np.abs(left - fresh[:, bank]).max() > 10
    lasting = DeviceArray(chip.replace(hold_gain=np.ones(1)))
    _, codes = array.convert(windows, np.arange(50))
    _, others = lasting.convert(windows, np.arange(50))
    assert not np.array_equal(codes[:, place], others[:, place])


@pytest.mark.parametrize("name", sorted(technologies()))
@pytest.mark.parametrize("off", SWITCHES)
def test_an_effect_moves_no_draw_of_another(weights, name, off):
    """What an effect does not touch is bit for bit the same with and without it."""
    tech = technologies()[name]
    whole, without = (sample(tech, SPEC, weights, 3, switches=ALL - gone) for gone in (NONE, {off}))
    touched = {
        "programming": {"cells"}, "levels": {"cells"}, "range": {"cells"}, "stuck": {"cells"}, "drift": {"cells"},
        "temperature": {"cells"}, "ramp_cells": {"cells"}, "capacitors": {"cells", "capacitors"},
        "read_voltage": {"voltage"}, "offset": {"offset"}, "delay": {"delay"},
    }.get(off, set())  # fmt: skip
    kept = {
        "cells": ("positive", "negative", "state_positive", "state_negative", "ramp", "ramp_start", "calibration"),
        "capacitors": ("column_capacitance", "ramp_capacitance"),
        "voltage": ("read_voltage", "ramp_voltage"),
        "offset": ("offset",),
        "delay": ("delay",),
    }
    for group, arrays in kept.items():
        for array in arrays if group not in touched else ():
            assert np.array_equal(getattr(whole, array), getattr(without, array)), array
    if off == "ramp_cells":
        assert np.array_equal(whole.positive, without.positive)


def only(weights, effect, changes=None, seed=1, name="rram", more=()):
    tech = load(name).replace(changes or {})
    return sample(tech, SPEC, weights, seed, switches=frozenset({effect, *more})), device(
        tech, SPEC, weights, seed, switches=frozenset({effect, *more})
    )


def nominal(weights, name="rram", changes=None):
    return sample(load(name).replace(changes or {}), SPEC, weights, 1, switches=NONE)


def test_programming_error_has_the_technologys_spread(weights):
    array, ideal = only(weights, "programming")[0], nominal(weights)
    a, b, c = load("rram")["cell.programming_error"]
    g_max = load("rram")["cell.g_max"]
    g = ideal.positive / g_max
    normalized = (array.positive - ideal.positive) / (g_max * (a + b * g + c * g**2))
    assert abs(normalized.mean()) < 5 / np.sqrt(g.size)
    assert abs(normalized.std() - 1) < 5 / np.sqrt(2 * g.size)


def test_mismatch_of_capacitors_is_that_of_their_units(weights):
    """n unit capacitors of deviation s deviate by s times the square root of n units; of nothing, by nothing."""
    changes = {"cell.mismatch": 0.02, "integrator.mismatch": 0.0}
    array, ideal = only(weights, "capacitors", changes, name="charge")[0], nominal(weights, "charge")
    units = ideal.positive / load("charge")["cell.capacitance"]
    assert set(np.rint(units).ravel().tolist()) == set(range(16))
    off = (array.positive - ideal.positive) / load("charge")["cell.capacitance"]
    assert (off[units < 0.5] == 0).all()
    for low, high in ((0.5, 4.5), (4.5, 10.5), (10.5, 15.5)):
        part = (units > low) & (units < high)
        normalized = off[part] / (0.02 * np.sqrt(units[part]))
        assert normalized.std() == pytest.approx(1, abs=4 / np.sqrt(2 * part.sum()))


def test_levels_and_range(weights):
    tech = load("rram")
    low, high = tech["cell.g_min"], tech["cell.g_max"]
    levels = only(weights, "levels", {"cell.levels": 9})[0].positive
    assert len(np.unique(np.rint((levels - low) / (high - low) * 8))) <= 9
    assert np.allclose((levels - low) / (high - low) * 8 % 1 % 0.999999, 0, atol=1e-5)
    noisy = {"cell.programming_error": [0.1, 0, 0]}
    free, held = (only(weights, "programming", noisy, more=more)[0].positive for more in ((), ("range",)))
    assert free.max() > high
    assert free.min() < low
    assert np.array_equal(held, np.clip(free, low, high))


def test_stuck_cells_are_as_many_as_asked_for(weights):
    array, ideal = (
        only(weights, "stuck", {"cell.stuck_on": 0.1, "cell.stuck_off": 0.05, "cell.fault_aware": 0})[0],
        nominal(weights),
    )
    changed = array.positive != ideal.positive
    inner = (ideal.positive > ideal.positive.min()) & (ideal.positive < ideal.positive.max())
    assert set(np.unique(array.positive[changed])) == {load("rram")["cell.g_min"], load("rram")["cell.g_max"]}
    count = inner.sum()
    assert abs(changed[inner].sum() - 0.15 * count) < 5 * np.sqrt(0.15 * 0.85 * count)


def test_drift_is_a_power_of_time(weights):
    changes = {"cell.drift_mean": [0, 0.05, 0, 1], "cell.drift_spread": [0, 0.01, 0, 1], "operation.time": 1e4}
    changes["cell.relaxation"] = [0, 0, 0]
    array, ideal = only(weights, "drift", changes)[0], nominal(weights)
    exponent = -np.log(array.positive / ideal.positive) / np.log(1e4)
    assert exponent.mean() == pytest.approx(0.05, abs=5 * 0.01 / np.sqrt(exponent.size))
    assert exponent.std() == pytest.approx(0.01, rel=0.15)


def test_relaxation_is_the_same_for_every_conductance(weights):
    """Mean and standard deviation grow with the logarithm of time; what is not there does not come."""
    changes = {"cell.relaxation": [2e-7, 3e-7, 1e-8], "operation.time": np.exp(10)}
    array, ideal = only(weights, "drift", changes)[0], nominal(weights)
    lost = ideal.positive - array.positive
    large = ideal.positive > np.median(ideal.positive)
    for part in (lost[large], lost[~large]):
        assert part.mean() == pytest.approx(2e-6, abs=5 * 4e-7 / np.sqrt(part.size))
        assert part.std() == pytest.approx(4e-7, rel=0.25)
    for cells, before in ((array.ramp, ideal.ramp), (array.calibration, ideal.calibration)):
        assert np.array_equal(cells == 0, before == 0)


def test_drift_and_relaxation_deviate_apart(weights):
    """Each from numbers of its own; together they are what each makes of the cells one after the other."""
    drift = {"cell.drift_mean": [0, 0.05, 0, 1], "cell.drift_spread": [0, 0.01, 0, 1], "operation.time": 1e4}
    relaxation, age = [1e-8, 2e-7, 3e-8], np.log(1e4)
    ideal = nominal(weights).positive
    moved = only(weights, "drift", drift | {"cell.relaxation": [0, 0, 0]})[0].positive
    lost = ideal - only(weights, "drift", {"operation.time": 1e4, "cell.relaxation": relaxation})[0].positive
    both = only(weights, "drift", drift | {"cell.relaxation": relaxation})[0].positive
    assert both == pytest.approx(moved - lost, rel=1e-12)
    exponents = (-np.log(moved / ideal) / age - 0.05) / 0.01
    deviates = (lost - 1e-8 * age) / (2e-7 + 3e-8 * age)
    for values in (exponents, deviates):
        assert values.std() == pytest.approx(1, abs=5 / np.sqrt(2 * values.size))
        assert abs(values.mean()) < 5 / np.sqrt(values.size)
    assert abs(np.corrcoef(exponents.ravel(), deviates.ravel())[0, 1]) < 5 / np.sqrt(exponents.size)


def test_nothing_appears_where_there_is_no_cell(weights):
    """Relaxation that adds to every conductance adds to none that is not there; and time before t0 changes nothing."""
    gains = {"cell.relaxation": [-2e-7, 0, 0], "operation.time": 1e4, "cell.g_min": 0.0}
    array, ideal = only(weights, "drift", gains)[0], nominal(weights, changes={"cell.g_min": 0.0})
    absent = ideal.positive == 0
    assert absent.any()
    assert (array.positive[absent] == 0).all()
    assert (array.positive[~absent] > ideal.positive[~absent]).all()
    early = only(weights, "drift", {"operation.time": 1e-3, "cell.relaxation": [-2e-7, 0, 0]})[0]
    assert np.array_equal(early.positive, nominal(weights).positive)


def test_drift_exponents_are_held_within_their_limits(weights):
    """-0.1 ln(g) + 0.02 is within 0.03 and 0.1 for cells from 0.45 to 0.9 of g_max, and at a limit for the others."""
    changes = {"cell.drift_mean": [-0.1, 0.02, 0.03, 0.1], "cell.drift_spread": [0, 0, 0, 0], "operation.time": 1e4}
    array, ideal = only(weights, "drift", changes | {"cell.relaxation": [0, 0, 0]})[0], nominal(weights)
    exponent = -np.log(array.positive / ideal.positive) / np.log(1e4)
    expected = np.clip(-0.1 * np.log(ideal.positive / load("rram")["cell.g_max"]) + 0.02, 0.03, 0.1)
    assert exponent == pytest.approx(expected, rel=1e-9)
    assert {0.03, 0.1} <= set(np.round(expected, 9).ravel().tolist())


def test_temperature_changes_cells_by_their_coefficient(weights):
    array, ideal = only(weights, "temperature", {"operation.temperature": 350})[0], nominal(weights)
    a, b = load("rram")["cell.temperature_coefficient"]
    relative = ideal.positive / load("rram")["cell.g_max"]
    assert np.allclose(array.positive / ideal.positive, 1 + 50 * (a + b * relative), rtol=1e-12)


def test_read_noise_of_a_pair(weights):
    """Of one conversion with all rows driven n clocks: sqrt(Σ (n σ)²), by 4,000 reads of each column."""
    chip = only(weights, "read_noise")[1]
    array = DeviceArray(chip)
    pulses = np.full((4000, SPEC.rows), 7)
    values = array.values(array.charge([Window(pulses)]), [Window(pulses)], np.arange(4000))
    expected = 7 * np.sqrt(chip.variance.sum(axis=0))
    assert np.allclose(values.std(axis=0) / expected, 1, atol=5 / np.sqrt(8000))


def test_every_cell_of_a_ramp_is_read_with_noise(weights):
    """Taps, start and the middle bias cell: the variance of a level, by 4,000 conversions."""
    array, chip = only(weights, "read_noise", {"cell.read_noise_exponent": 0}, more=["ramp_cells"])
    share = load("rram")["cell.read_noise"] * np.sqrt(np.log((3600 + 1e-6) / 2e-6))
    before = [
        array.ramp_start,
        array.ramp_start_negative,
        array.calibration[:, -1:],
        array.calibration_negative[:, -1:],
    ]
    squares = np.cumsum(array.ramp**2 + array.ramp_negative**2, axis=1)
    squares += sum((cells**2).sum(axis=1, keepdims=True) for cells in before)
    expected = share * np.sqrt(squares) / array.ramp_unit[:, None]
    levels = DeviceArray(chip)._ramp_levels(np.arange(4000))
    assert np.allclose(levels.std(axis=0) / expected, 1, atol=5 / np.sqrt(8000))


def test_a_reference_columns_noise_is_common(weights):
    chip = only(
        weights, "read_noise", {"pair": "single-ended", "cell.read_noise": 0.05, "cell.read_noise_limit": 0.05}
    )[1]
    array = DeviceArray(chip)
    pulses = np.full((3000, SPEC.rows), 7)
    values = array.values(array.charge([Window(pulses)]), [Window(pulses)], np.arange(3000))
    common = 49 * chip.common_variance.sum()
    covariance = np.cov(values[:, 0], values[:, 9])[0, 1]
    assert covariance == pytest.approx(common, rel=0.25)


@pytest.mark.parametrize("name", ["rram", "charge"])
def test_thermal_noise_is_kt_over_c(weights, name):
    array, chip = only(weights, "thermal", name=name)
    if name == "rram":
        volts = BOLTZMANN * 300 / array.column_capacitance
    else:
        line = (SPEC.rows * 15 + SPEC.state_cell) * 1.2e-15 * 1.2
        volts = 2 * BOLTZMANN * 300 * line / array.column_capacitance**2
    assert np.allclose(chip.noise_variance * array.volts_per_mac**2, volts, rtol=1e-12)


def test_the_ramp_in_memory_tracks_the_read_voltage_and_an_external_one_does_not(weights):
    x = np.random.default_rng(2).integers(-15, 16, (10, 10, SPEC.inputs))
    ideal = Lstm(SPEC, IdealArray(SPEC, weights)).run(x).codes
    errors = {}
    for ramp in ("in-memory", "external"):
        changes = {"ramp": ramp, "operation.supply": 0.8, "read.voltage_spread": 0.0}
        chip = only(weights, "read_voltage", changes)[1]
        errors[ramp] = np.abs(macro_of(chip).run(x).codes - ideal).mean()
    assert errors["external"] > 0.3
    assert errors["in-memory"] < 0.02  # what the grid moves, where a MAC lies next to a threshold


def test_offsets_delays_and_capacitors(weights):
    array, chip = only(weights, "offset")
    assert array.offset.std() == pytest.approx(3.44e-3, rel=0.5)
    assert np.array_equal(chip.offsets, array.offset / array.volts_per_mac)
    late = only(weights, "delay", {"comparator.delay": 2.4e-8, "comparator.delay_spread": 0})[1]
    assert (late.delays == 2).all()
    array, chip = only(weights, "capacitors", {"integrator.mismatch": 0.02})
    assert array.column_capacitance.std() / array.column_capacitance.mean() == pytest.approx(0.02, rel=0.4)
    assert np.allclose(
        chip.weights.sum(axis=0) * array.column_capacitance,
        weights.sum(axis=0) * nominal(weights).column_capacitance,
        rtol=1e-3,
        atol=1e-15,
    )


def test_calibration_cells_are_binary_and_nominal_in_the_middle(weights):
    chip = device(load("rram"), SPEC, weights, 1, switches=NONE)
    cells = chip.calibration_cells
    assert np.allclose(cells[:, 1:], 2 * cells[:, :-1], atol=2.0**-15)
    assert chip.nominal.tolist() == [[False] * 4 + [True]] * 2
    thresholds = np.stack([ramp.thresholds for ramp in ramps(SPEC)])
    assert np.allclose(chip.levels(), thresholds, atol=1e-3)
    middle = np.diff(thresholds[1])[15]
    assert cells[1].sum() == pytest.approx(6 * middle, rel=0.1)


def test_spares_and_programming_on_sums_straighten_ramps(weights):
    """Against one-shot programming, over 40 chips: what is left after a shift, in MAC."""
    on = frozenset({"programming", "ramp_cells", "range"})

    def bend(changes):
        residue = []
        for seed in range(40):
            chip = device(load("rram").replace(changes), SPEC, weights, seed, switches=on)
            error = chip.levels() - np.stack([ramp.thresholds for ramp in ramps(SPEC)])
            residue.append((error - error[:, 15:16]).std())
        return np.mean(residue)

    plain = bend({})
    assert bend({"ramp.spares": 7}) < 0.85 * plain
    assert bend({"ramp.scheme": 1}) < 0.75 * plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"switches": {"gravity"}}, "effect is 'gravity'; known: programming"),
        ({"seed": -1}, "device seed is -1"),
        ({"seed": True}, "device seed is True"),
    ],
)
def test_wrong_arguments_are_refused(weights, arguments, message):
    with pytest.raises(ValueError, match=message):
        sample(load("rram"), SPEC, weights, **({"seed": 1} | arguments))
