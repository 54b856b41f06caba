# SPDX-License-Identifier: Apache-2.0
"""What to program: numbers by hand, tables that are read back as the ideal array, gains, and what files are for."""

import csv

import numpy as np
import pytest
from crossramp.cli.output.conductance_maps import UNNAMED, unnamed, write_conductances, write_ramps
from crossramp.golden.analog.cells.conductance_tables import load_conductances
from crossramp.golden.analog.cells.targets import below_window, gains, targets, warning
from crossramp.golden.analog.chip.given_cells import NAMES, ConductanceError, Conductances
from crossramp.golden.analog.chip.sampling import device, places_of, sample
from crossramp.golden.analog.technologies.technology import load, shipped
from crossramp.golden.network.model_file import Model
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chips import macro_of
from tests.support.strategies import ALL_CELLS, network_of, seeds, specifications

SPEC = Specification(inputs=5, units=3, classes=2, bias_rows=2, adc_bits=3)
NONE = frozenset()
BUILT = frozenset({"programming", "range", "levels", "ramp_cells"})


def technologies() -> dict:
    rram, pcm = load("rram"), load("pcm")
    return {name: load(name) for name in shipped()} | {
        "single-ended": rram.replace({"pair": "single-ended"}),
        "single ramps": rram.replace({"ramp.pairs": 0}),
        "single-ended, single ramps": pcm.replace({"pair": "single-ended"}),
        "external": rram.replace({"ramp": "external"}),
        "external charge": load("charge").replace({"ramp": "external"}),
        "many calibration cells": rram.replace({"ramp.calibration_range": 30.0}),
        "unnamed": unnamed(),
    }


def model_of(spec, seed=0) -> Model:
    network = network_of(spec, seed)
    names = tuple(f"class{k}" for k in range(spec.classes))
    return Model(spec, network.weights, names)


def tables(folder, model, technology) -> list:
    write_conductances(folder / "c.csv", model.spec, model.weights, technology)
    write_ramps(folder / "r.csv", model.spec, model.weights, technology)
    return [folder / "c.csv", folder / "r.csv"]


def rows_of(path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


# ---- there and back --------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    specifications(max_units=4, max_bits=6, cells=ALL_CELLS, any_ramps=True),
    seeds,
    st.sampled_from(sorted(technologies())),
)
def test_tables_read_back_are_the_ideal_array(tmp_path_factory, spec, seed, name):
    tech, model = technologies()[name], model_of(spec, seed)
    found = load_conductances(tables(tmp_path_factory.mktemp("t"), model, tech), spec, tech, model.weights)
    # Every cell that there is is given; only a start of 0 needs none.
    for cells, places in zip(("positive", "negative"), places_of(spec, tech), strict=True):
        assert np.array_equal(~np.isnan(getattr(found, cells)), places), cells
    for cells in ("state_positive", "state_negative", *["ramp"] * (tech.ramp_kind == "in-memory")):
        values = getattr(found, cells)
        assert (values is None) == (cells.startswith("state") and not spec.line_cell_count)
        there = spec.has_tap if cells == "ramp" else True
        assert values is None or np.array_equal(np.isnan(values), np.broadcast_to(~np.array(there), values.shape)), (
            cells
        )
    x = np.random.default_rng(seed).integers(-spec.input_max, spec.input_max + 1, (3, 4, spec.inputs))
    ideal = model.network.lstm.run(x)
    chip = device(tech, spec, model.weights, seed % 1000, switches=NONE, conductances=found)
    real = macro_of(chip, None, model.weights.projection).run(x)
    for field in set(ideal.known()) - {"macs"}:
        assert np.array_equal(getattr(ideal, field), getattr(real, field)), field
    said = gains(found, tech, spec, model.weights)
    assert said
    assert np.allclose(list(said.values()), 1, rtol=0, atol=1e-6), said
    assert warning(found, said, tech) is None


@pytest.mark.parametrize("name", sorted(technologies()))
def test_tables_read_back_are_the_targets(tmp_path, name):
    """Cell by cell, and as the cells of a chip without effects."""
    tech, model = technologies()[name], model_of(SPEC)
    wanted = targets(tech, SPEC, model.weights.macro)
    found = load_conductances(tables(tmp_path, model, tech), SPEC, tech, model.weights.macro)
    nominal = sample(tech, SPEC, model.weights.macro, 1, switches=NONE)
    again = sample(tech, SPEC, model.weights.macro, 2, switches=NONE, conductances=found)
    for cells in NAMES:
        assert np.allclose(getattr(again, cells), getattr(nominal, cells), rtol=1e-8, atol=0), cells
        if getattr(wanted, cells) is not None and not cells.startswith("calibration"):
            assert np.allclose(getattr(found, cells), getattr(wanted, cells), rtol=1e-8, atol=0), cells
    for found_cells, cells in zip(found.calibration_parts(), wanted.calibration_parts(), strict=True):
        assert np.allclose(found_cells, cells, rtol=1e-8, atol=0)
    if name == "many calibration cells":
        assert wanted.calibration.shape[2] > 2
    # One line a cell, or a pair of cells; none twice.
    weights, ramps = rows_of(tmp_path / "c.csv"), rows_of(tmp_path / "r.csv")
    references = SPEC.rows if tech.pair == "single-ended" else 0
    assert len(weights) == SPEC.rows * SPEC.columns + SPEC.units + references
    kinds = [(row["ramp"], row["cell"], row["tick"], row["part"]) for row in ramps]
    assert len(set(kinds)) == len(kinds)
    parts = wanted.calibration_parts()[0]
    assert sum(kind[1] == "calibration" for kind in kinds) == np.count_nonzero(parts)
    levels = "tap" if tech.ramp_kind == "in-memory" else "level"
    assert sum(kind[1] == levels for kind in kinds) == 2 * SPEC.ticks
    if wanted.ramp_start is not None:
        assert sum(kind[1] == "start" for kind in kinds) == np.count_nonzero(wanted.ramp_start)


def test_parallel_calibration_cells_age_one_by_one(tmp_path):
    """Three cells of a bit are no cell of three times the conductance, where drift depends on the conductance."""
    tech = load("rram").replace(
        {
            "ramp.calibration_range": 30.0,
            "cell.temperature_coefficient": (0.0, -0.004),
            "operation.temperature": 350.0,
            "operation.reference_temperature": 300.0,
        }
    )
    model = model_of(SPEC)
    found = load_conductances(tables(tmp_path, model, tech), SPEC, tech, model.weights.macro)
    warm = sample(tech, SPEC, model.weights.macro, 1, switches=frozenset({"temperature"}), conductances=found)
    cells = found.calibration_parts()[0]
    expected = (cells * (1 - 0.004 * cells / tech["cell.g_max"] * 50)).sum(axis=-1)
    assert np.allclose(warm.calibration, expected, rtol=1e-9)
    assert not np.allclose(warm.calibration, found.calibration.sum(axis=-1), rtol=1e-3)


def test_targets_by_hand():
    """G_min 9 µS and G_max 88.19 µS, 15 levels, ramps at 0.9 of the window; 1.2 fF a level."""
    weights = np.zeros((SPEC.rows, SPEC.columns), int)
    weights[0, :3] = 15, -5, 1
    rram = load("rram")
    pairs = targets(rram, SPEC, weights)
    assert pairs.positive[0, :4] == pytest.approx([88.19e-6, 9e-6, 9e-6 + 79.19e-6 / 15, 9e-6])
    assert pairs.negative[0, :4] == pytest.approx([9e-6, 9e-6 + 79.19e-6 / 3, 9e-6, 9e-6])
    assert pairs.state_positive == pytest.approx(np.full(3, 9e-6 + 79.19e-6 * SPEC.state_cell / 15))
    largest = (pairs.ramp - pairs.ramp_negative).max(axis=1)
    assert largest == pytest.approx(np.full(2, 0.9 * 79.19e-6))
    single = targets(rram.replace({"pair": "single-ended"}), SPEC, weights)
    assert single.positive[0, :4] * 1e6 == pytest.approx([88.19, 48.595 - 39.595 / 3, 48.595 + 39.595 / 15, 48.595])
    assert single.negative == pytest.approx(np.full((SPEC.rows, 1), 48.595e-6))
    # A state cell is a pair of the whole window in a single-ended array too.
    assert single.state_positive == pytest.approx(pairs.state_positive)
    charge = targets(load("charge"), SPEC, weights)
    assert charge.positive[0, :4] == pytest.approx([18e-15, 0, 1.2e-15, 0])
    assert charge.negative[0, :4] == pytest.approx([0, 6e-15, 0, 0])
    assert targets(rram.replace({"ramp": "external"}), SPEC, weights).ramp is None


def test_the_ramp_table_tells_the_ramp(tmp_path):
    """Starts, the middle of the register and taps, summed up in MACs, stand on each threshold."""
    model = model_of(SPEC)
    write_ramps(tmp_path / "r.csv", model.spec, model.weights, load("rram"))
    rows = rows_of(tmp_path / "r.csv")
    assert {row["banks"] for row in rows} == {"ifo", "g"}
    for ramp in ("0", "1"):
        mine = [row for row in rows if row["ramp"] == ramp]
        level = sum(float(row["step_mac"]) for row in mine if row["cell"] == "start")
        level += sum(float(r["step_mac"]) for r in mine if (r["cell"], r["tick"]) == ("calibration", "4"))
        taps = [row for row in mine if row["cell"] == "tap"]
        assert [row["tap"] for row in taps] == [str(k) for k in range(SPEC.ticks)]
        for row in taps:
            level += float(row["step_mac"])
            assert level == pytest.approx(float(row["threshold_mac"]), abs=1e-5)
            assert row["drives"] == "up"
        assert {row["drives"] for row in mine if row["cell"] == "start"} == {"down"}
    volts = [abs(float(row["threshold_volts"])) for row in rows if row["cell"] == "tap"]
    assert max(volts) == pytest.approx(0.5)  # integrator.swing


# ---- gains -----------------------------------------------------------------------------------------------------------


def scaled(wanted: Conductances, factor: float, *names: str) -> Conductances:
    """Cells of some arrays, ``factor`` times as large."""
    return Conductances(**{name: factor * getattr(wanted, name) for name in names}, source="scaled.npz")


PARTS = {
    "weights": ("positive", "negative"),
    "state cells": ("state_positive", "state_negative"),
    "taps of ramp 1 (tanh)": ("ramp", "ramp_negative"),
    "start of ramp 1 (tanh)": ("ramp_start", "ramp_start_negative"),
    "calibration cells of ramp 1 (tanh)": ("calibration", "calibration_negative"),
}


@pytest.mark.parametrize("factor", [0.85, 0.95, 1.0, 1.05, 1.15])
@pytest.mark.parametrize("part", PARTS)
def test_a_gain_off_by_more_than_a_tenth_is_told(part, factor):
    tech, model = load("rram"), model_of(SPEC)
    found = scaled(targets(tech, SPEC, model.weights.macro), factor, *PARTS[part])
    told = gains(found, tech, SPEC, model.weights.macro)
    assert told[part] == pytest.approx(factor)
    said = warning(found, told, tech)
    assert (said is None) == (factor in (0.95, 1.0, 1.05))
    if said is not None:
        assert said.startswith("scaled.npz: least-squares gain against the targets of technology rram: ")
        assert f"{part} {factor:g}" in said
        assert "\n" not in said


def test_a_gain_is_that_of_what_is_given():
    """By hand: w = 15, -5 and 1, of which one cell of the second is given, 3 levels short."""
    tech = load("rram")
    weights = np.zeros((SPEC.rows, SPEC.columns), int)
    weights[0, :3] = 15, -5, 1
    wanted = targets(tech, SPEC, weights)
    negative = np.full_like(wanted.negative, np.nan)
    negative[0, 1] = wanted.negative[0, 1] - 3 * 79.19e-6 / 15
    assert gains(Conductances(negative=negative), tech, SPEC, weights) == {"weights": pytest.approx(2 / 5)}
    both = np.where(np.isnan(negative), wanted.negative, negative)
    found = gains(Conductances(positive=wanted.positive, negative=both), tech, SPEC, weights)
    assert found["weights"] == pytest.approx((15 * 15 + 2 * 5 + 1) / (15 * 15 + 5 * 5 + 1))
    nothing = np.where(weights == 0, wanted.positive, np.nan)
    assert gains(Conductances(positive=nothing), tech, SPEC, weights) == {}


def test_chips_as_made_are_not_warned_of():
    tech, model = load("rram"), model_of(Specification(inputs=20, units=8, classes=2))
    for seed in range(5):
        chip = sample(tech, model.spec, model.weights.macro, seed, switches=BUILT)
        found = Conductances(**{name: getattr(chip, name) for name in NAMES})
        assert warning(found, gains(found, tech, model.spec, model.weights.macro), tech) is None


def test_a_wrong_unit_is_told(tmp_path):
    """Siemens in a column of microsiemens are in range, and dead."""
    tech, model = load("rram"), model_of(SPEC)
    for path in tables(tmp_path, model, tech):
        path.write_text(path.read_text().replace("_siemens", "_microsiemens"))
        found = load_conductances(path, SPEC, tech, model.weights.macro)
        assert "1e-06" in warning(found, gains(found, tech, SPEC, model.weights.macro), tech)


# ---- what tables are for ---------------------------------------------------------------------------------------------


def refusal(path, spec, tech, weights) -> str:
    with pytest.raises(ConductanceError) as caught:
        load_conductances(path, spec, tech, weights)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tables_for_something_else_are_refused(tmp_path):
    tech, model = load("rram"), model_of(SPEC)
    cells, ramps = tables(tmp_path, model, tech)
    pcm, other = load("pcm"), SPEC.replace(units=4)
    assert (
        "its cells are for technology rram (9 to 88.19 µS), not for pcm (0 to 25 µS); run crossramp generate"
        in refusal(cells, SPEC, pcm, model.weights.macro)
    )
    assert "technology rram (9 to 88.19 µS), not for pcm" in refusal(ramps, SPEC, pcm, model.weights.macro)
    assert f"for another specification (specification {SPEC.content_hash}, here {other.content_hash})" in refusal(
        cells, other, tech, model_of(other).weights.macro
    )
    assert "for another specification" in refusal(ramps, SPEC.replace(adc_bits=4), tech, model.weights.macro)
    assert "for another model (weights " in refusal(cells, SPEC, tech, -model.weights.macro)
    assert "with other ramps, pairs or" in refusal(ramps, SPEC, tech.replace({"ramp.pairs": 0}), model.weights.macro)
    assert "with other ramps, pairs or" in refusal(
        cells, SPEC, tech.replace({"pair": "single-ended"}), model.weights.macro
    )
    # Without these lines they are taken as they are, as tables of any origin are.
    for path in (cells, ramps):
        path.write_text("".join(line for line in path.open() if not line.startswith("#")))
    assert load_conductances(cells, SPEC, tech, -model.weights.macro).positive is not None


@pytest.mark.parametrize("change", ["ramp.full_scale", "ramp.calibration_range", "cell.g_max"])
def test_constants_that_decide_targets_are_compared(tmp_path, change):
    tech, model = load("rram"), model_of(SPEC)
    cells, ramps = tables(tmp_path, model, tech)
    other = tech.replace({change: 0.8 * tech[change]})
    assert "its cells are for technology rram" in refusal(ramps, SPEC, other, model.weights.macro)
    if change == "cell.g_max":
        assert "its cells are for technology rram" in refusal(cells, SPEC, other, model.weights.macro)
    else:
        load_conductances(cells, SPEC, other, model.weights.macro)


def test_what_does_not_decide_cells_may_differ(tmp_path):
    """Lanes, clocks, the head; temperature, noise and time: the same cells."""
    tech, model = load("rram"), model_of(SPEC)
    files = tables(tmp_path, model, tech)
    spec = SPEC.replace(lanes=2, settle_clocks=3, latch="first_trip", classes=4, readout="last", state_bits=14)
    warm = tech.replace({"operation.time": 1e6, "cell.read_noise": 0.0, "operation.temperature": 350.0})
    assert load_conductances(files, spec, warm, model.weights.macro).positive is not None


def test_cells_below_the_window_are_told():
    """Single ramp cells of rram: its smallest conductance is 9 µS, and small steps need less."""
    spec = SPEC.replace(adc_bits=5)
    model = model_of(spec)
    assert below_window(load("rram"), spec, model.weights.macro) is None
    assert below_window(load("pcm"), spec, model.weights.macro) is None
    assert below_window(load("charge"), spec, model.weights.macro) is None
    tech = load("rram").replace({"ramp.pairs": 0})
    cells = targets(tech, spec, model.weights.macro)
    parts = [cells.ramp, cells.ramp_start, cells.calibration]
    low = sum(int(((values > 0) & (values < 9e-6)).sum()) for values in parts)
    every = sum(np.count_nonzero(values) for values in parts)
    assert 0 < low < every
    assert below_window(tech, spec, model.weights.macro) == (
        f"{low} of {every} ramp cells are to be smaller than 9 µS, the smallest conductance of technology rram; pairs "
        "can make such steps: --set ramp.pairs=1"
    )


def test_the_unnamed_window_is_one_that_options_make(tmp_path):
    model = model_of(SPEC)
    files = tables(tmp_path, model, unnamed())
    assert "for technology none (0 to 150 µS), not for rram (9 to 88.19 µS)" in refusal(
        files, SPEC, load("rram"), model.weights.macro
    )
    tech = load("rram").replace(UNNAMED)
    found = load_conductances(files, SPEC, tech, model.weights.macro)
    assert np.nanmax(found.positive) == pytest.approx(150e-6)
    assert found.ramp.max() == pytest.approx(150e-6)
    assert found.ramp_negative is None
