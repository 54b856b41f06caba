# SPDX-License-Identifier: Apache-2.0
"""Linearity of real ramps: figures by their definitions, schemes by their gain, and what tracks the read voltage."""

from dataclasses import replace

import numpy as np
import pytest
from crossramp.golden.analog.cells.ramp_report import ramp_report
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.ramp_cells import SCHEMES
from crossramp.golden.analog.chip.ramp_linearity import (
    COMPARATORS,
    Linearity,
    linearity_of,
    probe,
    supply_errors,
    with_scheme,
)
from crossramp.golden.analog.chip.sampling import Chip, device, sample
from crossramp.golden.analog.conversion.calibration import CalibrationPlan, smallest_cells
from crossramp.golden.analog.conversion.calibration_setting import FOUND, NOMINAL
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.seen_ramps import expanded, inverse, seen_thresholds
from crossramp.golden.analog.technologies.constants import SWITCHES
from crossramp.golden.analog.technologies.technology import load, shipped
from crossramp.golden.array.ramps import Ramp, WrittenRamp, ramps
from crossramp.golden.array.ramps import latch as latched
from crossramp.golden.spec.activations import REGISTRY

NONE = frozenset()


def macro(name="sigmoid", bits=5):
    spec = probe(name, bits)
    return spec, np.random.default_rng(0).integers(-15, 16, (spec.rows, spec.columns))


# ---- figures ---------------------------------------------------------------------------------------------------------


def test_a_probe_is_not_warned_of(recwarn):
    """Its cell state is never converted: nobody has to hear how far its pulse code reaches."""
    for name, act in REGISTRY.items():
        for bits in range(3 if act.turns else 2, 9):
            probe(name, bits)
    assert not recwarn.list


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("bits", [3, 8])
def test_an_ideal_ramp_has_the_reports_figures(name, bits):
    ramp = ramps(probe(name, bits))[0]
    report, found = ramp_report(ramp), Linearity(ramp, ramp.thresholds[None])
    assert np.allclose(found.inl[0], report.inl, atol=1e-12)
    assert np.allclose(found.dnl[0], report.dnl, atol=1e-12)
    assert found.missing[0] == len(report.missing)
    # The report samples 20,001 points of a staircase; a code may gain or lose one of them at each of its ends.
    assert found.mse[0] == pytest.approx(report.rms_error**2, rel=2e-3 if bits == 3 else 0.02)


@pytest.mark.parametrize("latch", ["last_high", "first_trip"])
def test_missing_codes_are_those_that_no_integer_has(rng, latch):
    ramp = Ramp(REGISTRY["sigmoid"], 4, 0.02)
    thresholds = ramp.thresholds + rng.normal(0, 15, (20, 15))
    found = Linearity(ramp, thresholds, latch)
    assert found.missing.max() > 2
    for row, missing in zip(np.floor(thresholds).astype(int), found.missing, strict=True):
        codes = WrittenRamp(row, latch).convert(np.arange(row.min() - 1, row.max() + 2))
        assert missing == 16 - len(np.unique(codes))


@pytest.mark.parametrize("latch", ["last_high", "first_trip"])
def test_two_ticks_around_a_turn_may_cross(rng, latch):
    """The level of the minimum is lost then, and its neighbors stand for it in both latches; no other code changes."""
    ramp = Ramp(REGISTRY["silu"], 5, 0.02)
    turn = int(np.flatnonzero(np.diff(ramp.walk.branches))[0])
    crossed = ramp.thresholds.copy()
    crossed[turn : turn + 2] = crossed[turn : turn + 2].mean() + np.array([20, -20])
    macs = np.arange(int(crossed.min()) - 9, int(crossed.max()) + 9)
    found = WrittenRamp(np.floor(crossed).astype(int), latch, ramp.codes).convert(macs)
    lowest = ramp.levels(ramp.codes).min()
    assert ramp.levels(found).min() == lowest + 1
    expected = ramp.convert(macs)
    near = (macs > ramp.floors[turn - 1]) & (macs <= ramp.floors[turn + 2])
    assert (ramp.levels(found[near]) == lowest + 1).all()
    assert (found[~near] == expected[~near]).all()
    assert Linearity(ramp, crossed[None], latch).missing == [1]
    # Levels of neighbors at a turn are the same from both sides: a marginal comparator there reads one of two codes.
    assert ramp.codes[turn] == ramp.codes[turn + 2]


def test_figures_of_a_shifted_ramp():
    ramp = Ramp(REGISTRY["identity"], 5, 0.001)
    found = Linearity(ramp, ramp.thresholds[None] + [[0], [62.5]]).summary()  # 1 LSB is 62.5 MACs
    assert found["inl_max_lsb"] == pytest.approx(0.5, abs=0.01)
    assert found["dnl_max_lsb"] == pytest.approx(0, abs=0.02)
    assert found["missing_codes"] == 0


def test_the_summary_is_of_means_and_of_the_95th_of_each_figure(rng):
    """Of 101 instances the 95th percentile is the 96th smallest; figures by their definitions, for y = x."""
    ramp = Ramp(REGISTRY["identity"], 4, 0.001)
    thresholds = ramp.thresholds + rng.normal(0, 40, (101, 15)) * np.linspace(0.2, 3, 101)[:, None]
    seen = np.clip(thresholds * 0.001, -1, 1)
    borders = -1 + 2 * np.arange(1, 16) / 16
    inl, dnl = (seen - borders) / 0.125, np.diff(seen, axis=1) / 0.125 - 1
    floors = np.floor(thresholds)
    reached = [{(row < mac).nonzero()[0].max(initial=-1) + 1 for mac in range(-3000, 3001)} for row in floors]
    figures = {
        "inl_max_lsb": np.abs(inl).max(axis=1),
        "inl_rms_lsb": np.sqrt((inl**2).mean(axis=1)),
        "dnl_max_lsb": np.abs(dnl).max(axis=1),
        "missing_codes": np.array([16 - len(codes) for codes in reached]),
    }
    found = Linearity(ramp, thresholds)
    figures["mse"] = found.mse  # by a dense grid in the next test
    summary = found.summary()
    assert set(summary) == {f"{name}{end}" for name in figures for end in ("", "_95")}
    for name, values in figures.items():
        assert summary[name] == pytest.approx(sum(values) / 101, rel=1e-9), name
        assert summary[f"{name}_95"] == pytest.approx(sorted(values)[95], rel=1e-9), name
        assert sorted(values)[95] > 1.2 * sorted(values)[50]


def test_the_mean_squared_error_is_that_of_a_dense_grid(rng):
    ramp = Ramp(REGISTRY["selu"], 4, 0.01)
    thresholds = ramp.thresholds + rng.normal(0, 20, (5, 15))
    span = np.ptp(ramp.arguments)
    grid = np.linspace(ramp.arguments[0] - span / 4, ramp.arguments[-1] + span / 4, 200_001)
    for row, mse in zip(thresholds, Linearity(ramp, thresholds).mse, strict=True):
        envelope = np.minimum.accumulate(row[::-1])[::-1]
        errors = ramp.decode(np.searchsorted(envelope * ramp.scale, grid)) - ramp.activation(grid)
        assert mse == pytest.approx(np.mean(errors**2), rel=1e-3)


@pytest.mark.parametrize("values", [np.zeros((2, 30)), np.zeros(31), np.full((1, 31), np.nan), np.zeros((0, 31))])
def test_wrong_thresholds_are_refused(values):
    with pytest.raises(ValueError, match="thresholds"):
        Linearity(Ramp(REGISTRY["sigmoid"], 5, 0.01), values)


@pytest.mark.parametrize("name", REGISTRY)
def test_a_probe_reaches_every_threshold(name):
    for bits in range(3 if REGISTRY[name].turns else 2, 9):
        spec = probe(name, bits)
        assert len(spec.ramps) == 1
        assert np.abs(ramps(spec)[0].thresholds).max() < spec.mac_max


# ---- what columns see ------------------------------------------------------------------------------------------------


def test_expansion_undoes_compression():
    q = np.linspace(-500, 500, 101)
    y = np.abs(q) * 1e-3
    compressed = q / (1 + y / 2 + y * y / 12)
    assert np.allclose(expanded(compressed, 1e-3), q, rtol=1e-12, atol=1e-9)
    assert np.isinf(expanded(np.array([2000.0]), 1e-3)).all()
    assert np.array_equal(expanded(q, 0.0), q)


@pytest.mark.parametrize("name", shipped())
def test_without_effects_columns_see_the_ideal_ramp(name):
    spec, weights = macro()
    found = linearity_of(ChipSample(load(name), 1, 5, NONE), spec, weights)
    for each in found.values():
        assert np.array_equal(each[0].thresholds[0], ramps(spec)[0].thresholds)


def test_the_inverse_of_what_is_seen_goes_straight_on():
    """Between points by their line, beyond them by that from end to end; what is infinite is no point."""
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 4.0, np.inf])
    assert inverse(x, y, np.array([-2.0, 0.5, 2.5, 4.0, 8.0])) == pytest.approx([-1, 0.5, 1.5, 2, 4])
    assert inverse(x, np.full(4, np.inf), x) is x


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_common_drift_is_not_seen(scheme):
    """All cells keep the same share: whenever the ramp was programmed, its thresholds stay."""
    spec, weights = macro()
    even = {"cell.drift_mean": (0, 0.05, 0, 1), "cell.drift_spread": (0, 0, 0, 0), "cell.relaxation": (0, 0, 0)}
    tech = with_scheme(load("pcm"), scheme).replace(even)
    effects = frozenset({"programming", "range", "stuck", "drift", "ramp_cells"})
    early, late = (
        linearity_of(ChipSample(tech.replace({"operation.time": t}), 3, 0, effects), spec, weights)[NOMINAL][0]
        for t in (20.0, 1e8)
    )
    assert np.allclose(early.thresholds, late.thresholds, atol=1e-3)
    gain = device(tech.replace({"operation.time": 1e8}), spec, weights, 0, switches=effects).weights.std()
    assert gain < 0.5 * device(tech, spec, weights, 0, switches=effects - {"drift"}).weights.std()


def test_comparators_offsets_are_not_the_ramps():
    spec, weights = macro()
    tech = load("rram").replace({"comparator.offset": 0.05, "comparator.noise": 0.01})
    chip = ChipSample(tech, 1, calibrations=(NOMINAL,))
    all_on = linearity_of(chip, spec, weights)[NOMINAL][0]
    off = linearity_of(replace(chip, switches=chip.switches - COMPARATORS), spec, weights)[NOMINAL][0]
    assert np.array_equal(all_on.thresholds, off.thresholds)


# ---- schemes ---------------------------------------------------------------------------------------------------------


def rms(tech, effects, name="sigmoid", count=30):
    """INL rms by (scheme, calibration), mean over chips."""
    spec, weights = macro(name)
    found = {}
    for scheme in SCHEMES:
        each = linearity_of(ChipSample(with_scheme(tech, scheme), count, 0, effects), spec, weights)
        found |= {(scheme, str(setting)): ramp.summary()["inl_rms_lsb"] for setting, (ramp, *_) in each.items()}
    return found


def test_what_each_scheme_gains_with_programming_errors_alone(seed):
    found = rms(load("pcm"), frozenset({"programming", "range", "ramp_cells"}))
    print(f"seed {seed}: {found}")
    # Measured: 0.72, 0.27, 0.13, 0.12. One point mends the start and not the walk; sums mend both.
    assert found["one-shot", "found"] < 0.6 * found["one-shot", "nominal"]
    assert found["cumulative", "nominal"] < 0.7 * found["one-shot", "found"]
    assert found["converted", "nominal"] < 1.1 * found["cumulative", "nominal"]


def test_what_each_scheme_gains_with_every_effect():
    found = rms(load("rram"), frozenset(SWITCHES) - {"stuck"}, "hard_tanh")
    # Measured: 0.23, 0.24, 0.14: the columns' wires decide, which only conversions see; relaxation comes afterwards,
    # and without it conversions leave 0.06.
    assert found["converted", "nominal"] < 0.7 * min(found["one-shot", "found"], found["cumulative", "found"])


def test_a_stuck_cell_costs_one_shot_more(rng):
    """Planted by probability: every instance has some."""
    tech = load("rram").replace({"cell.stuck_off": 0.01, "cell.stuck_on": 0.0, "cell.fault_aware": 0})
    found = rms(tech, frozenset({"stuck", "range", "ramp_cells"}), count=25)
    assert found["cumulative", "nominal"] < 0.5 * found["one-shot", "found"]


def test_bits_of_a_calibration_register_are_as_many_cells_as_they_need():
    """hard_tanh's equal steps are smaller than what six codes of range ask of the register's highest bits."""
    spec, weights = macro("hard_tanh")
    nominal = sample(load("rram"), spec, weights, 0, switches=NONE)
    held = sample(load("rram"), spec, weights, 0, switches=frozenset({"range", "ramp_cells"}))
    cells = [array.calibration - array.calibration_negative for array in (nominal, held)]
    window = load("rram")["cell.g_max"] - load("rram")["cell.g_min"]
    assert cells[0].max() > 2 * window
    assert np.allclose(*cells, rtol=1e-12)
    assert np.allclose(cells[0] / cells[0][:, :1], 1 << np.arange(spec.calibration_cells))
    # Bit j is 6/32 of a step times 2**j: 0.1875, 0.375, 0.75, 1.5 and 3 steps, each of as many cells as it needs.
    made = Chip(load("rram"), spec, 0, NONE, None).nominal_ramps().calibration[0]
    assert (made > 0).sum(axis=1).tolist() == [1, 1, 1, 2, 3]
    assert made.sum(axis=1) == pytest.approx(cells[0][0], rel=1e-12)


def test_calibration_brings_the_reference_tick_home():
    spec, weights = macro("tanh")
    tech = load("pcm")
    plan = CalibrationPlan.of(spec, tech["ramp.calibration_range"])
    chips = ChipSample(tech, 12, 0, frozenset({"programming", "range", "ramp_cells"}))
    found = linearity_of(chips, spec, weights)
    at = plan.ticks[0] - 1
    before, after = (
        np.abs(found[setting][0].thresholds[:, at] - ramps(spec)[0].thresholds[at]) for setting in (NOMINAL, FOUND)
    )
    # Within a smallest cell's worth, where before the whole start's error stood.
    assert np.median(after) < 1.0 * plan.lsb[0]
    assert np.median(before) > 2 * np.median(after)


# ---- the read voltage ------------------------------------------------------------------------------------------------


def test_only_the_ramp_in_memory_follows_the_read_voltage():
    spec, weights = macro()
    chip = ChipSample(load("rram"), 1, switches=frozenset({"read_voltage", "ramp_cells"}))
    found = supply_errors(chip, spec, weights, [0.75, 1.0, 1.25])
    assert not found.worst["in-memory"].any()
    tech = load("rram").replace({"ramp.external_error": 0.0})
    chip = ChipSample(tech, 1, switches=frozenset({"read_voltage"}))
    found = supply_errors(chip, spec, weights, [0.75, 1.0, 1.25])
    assert found.worst["external"][1] == 0
    assert (found.worst["external"][[0, 2]] >= 2).all()


def test_seen_thresholds_undo_the_columns_gain():
    spec, weights = macro()
    tech = load("rram").replace({"operation.supply": 0.8, "read.voltage_spread": 0.0})
    chip = device(tech, spec, weights, 1, switches=frozenset({"read_voltage"}))
    ideal = ramps(spec)[0].thresholds
    # The grid of cells is 2**-17 MAC here, and steps add up.
    assert np.allclose(chip.levels()[0], 0.8 * ideal, rtol=0, atol=1e-4)
    assert np.allclose(seen_thresholds(chip, weights)[0], ideal, rtol=0, atol=1e-4)


def test_seen_thresholds_undo_what_a_window_loses():
    """Columns that keep half of their charge in some clocks, three quarters of it all told, see a ramp higher."""
    spec, weights = macro()
    ideal = DeviceInstance.ideal(spec, weights)
    window = np.array([0.5, 1.0] * 7 + [0.75])
    seen = seen_thresholds(ideal.replace(window=window), weights)
    assert seen == pytest.approx(ideal.levels() / 0.75, rel=1e-12)


def test_the_plan_knows_the_smallest_cells_of_the_technology():
    spec, weights = macro("tanh")
    tech = load("rram").replace({"ramp.calibration_range": 4.0})
    array = sample(tech, spec, weights, 0, switches=frozenset())
    made = (array.calibration - array.calibration_negative)[:, 0] / array.ramp_unit
    assert smallest_cells(spec, 4.0) == pytest.approx(made, rel=1e-9)


def test_errors_of_supplies_are_means_over_chips():
    spec, weights = macro(bits=6)
    on = frozenset({"programming", "ramp_cells", "read_voltage"})
    tech, supplies = load("pcm").replace({"cell.programming_error": [0.1, 0, 0]}), [0.8, 1.0]
    samples = (ChipSample(tech, count, first, on) for count, first in ((1, 1), (1, 2), (2, 1)))
    one, two, both = (supply_errors(chips, spec, weights, supplies) for chips in samples)
    for kind in ("in-memory", "external"):
        assert both.mean[kind] == pytest.approx((one.mean[kind] + two.mean[kind]) / 2)
        assert both.worst[kind] == pytest.approx((one.worst[kind] + two.worst[kind]) / 2)
    assert any((one.worst[kind] != two.worst[kind]).any() for kind in one.worst)
    # The external ramp stays where it is while columns lose a fifth.
    assert one.mean["external"][0] > one.mean["external"][1]


@pytest.mark.parametrize("latch", ["last_high", "first_trip"])
def test_errors_are_those_of_the_banks_latch(rng, latch):
    ramp = Ramp(REGISTRY["sigmoid"], 4, 0.02)
    thresholds = ramp.thresholds + rng.normal(0, 30, (6, 15))
    assert (np.diff(thresholds, axis=1) < 0).any(axis=1).all()
    span = np.ptp(ramp.arguments)
    grid = np.linspace(ramp.arguments[0] - span / 4, ramp.arguments[-1] + span / 4, 50_001)
    for row, mse in zip(thresholds, Linearity(ramp, thresholds, latch).mse, strict=True):
        codes = latched(grid > (row * ramp.scale)[:, None], latch)
        assert mse == pytest.approx(np.mean((ramp.decode(codes) - ramp.activation(grid)) ** 2), rel=5e-3)


def test_unknown_scheme():
    with pytest.raises(ValueError, match="'walk'; allowed: one-shot, cumulative, converted"):
        with_scheme(load("rram"), "walk")
