# SPDX-License-Identifier: Apache-2.0
"""Known faults are made up for: by partners, by the other cells of a start, by the next tick; else nothing changes."""

import numpy as np
import pytest
from crossramp.golden.analog.chip.cell_sampling import Cells
from crossramp.golden.analog.chip.given_cells import Conductances
from crossramp.golden.analog.chip.sampling import ALL, device, sample
from crossramp.golden.analog.chip.stuck_cells import carried, healthy, lacking, pair_targets, shared, stuck_at
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.cell.description import Gate
from crossramp.golden.spec.specification import Specification
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import seeds, specifications

SPEC = Specification(inputs=20, units=12, classes=4, bias_rows=2)
STUCK, RAMPS = frozenset({"stuck"}), frozenset({"stuck", "ramp_cells"})
WINDOW = (1.0, 11.0)


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(4).integers(-10, 11, (SPEC.rows, SPEC.columns))


@given(seeds)
def test_a_pair_reaches_what_its_stuck_cell_allows(seed):
    rng = np.random.default_rng(seed)
    differences = rng.uniform(-10, 10, 500)
    stuck = tuple(stuck_at(rng.random(500), 0.2, 0.2, WINDOW) for _ in range(2))
    cells = [
        np.where(np.isnan(at), target, at)
        for at, target in zip(stuck, pair_targets(differences, WINDOW, stuck), strict=True)
    ]
    assert min(cell.min() for cell in cells) >= 1.0
    assert max(cell.max() for cell in cells) <= 11.0
    reached = cells[0] - cells[1]
    # Nothing within reach of the partner is nearer.
    low, high = WINDOW
    least = np.where(np.isnan(stuck[0]), low, stuck[0]) - np.where(np.isnan(stuck[1]), high, stuck[1])
    most = np.where(np.isnan(stuck[0]), high, stuck[0]) - np.where(np.isnan(stuck[1]), low, stuck[1])
    assert np.allclose(reached, np.clip(differences, least, most))
    assert np.allclose(lacking(differences, WINDOW, stuck), differences - reached)
    assert np.array_equal(healthy(stuck), np.isnan(stuck[0]) & np.isnan(stuck[1]))
    assert lacking(differences, WINDOW, stuck).any()


def test_cells_of_a_start_share_what_one_lacks():
    targets = np.array([[4.0, 4.0, 4.0, 0.0], [6.0, 6.0, 0.0, 0.0]])
    able = np.array([[True, False, True, True], [True, True, True, True]])
    made = shared(targets, np.array([4.0, 9.0]), able, 9.0)
    assert np.array_equal(made, [[6, 4, 6, 0], [9, 9, 0, 0]])  # the second ramp's cells end at the limit
    assert np.array_equal(shared(targets, np.array([-4.0, -20.0]), able, 9.0), [[2, 4, 2, 0], [0, 0, 0, 0]])


def test_the_next_tick_takes_on_what_one_lacks():
    targets, able = np.full((1, 6), 3.0), np.array([[True, True, False, True, True, True]])
    lack = np.array([[0.0, 0.0, 3.0, 0.0, 0.0, 0.0]])
    assert np.array_equal(carried(targets, lack, able, 5.0), [[3, 3, 3, 5, 4, 3]])
    assert np.array_equal(carried(targets, -lack, able, 5.0), [[3, 3, 3, 0, 3, 3]])
    assert np.array_equal(carried(targets, 0 * lack, able, 2.0), targets)  # nothing lacks: not even clipped


@given(seeds)
def test_after_a_fault_the_ramp_comes_back(seed):
    rng = np.random.default_rng(seed)
    targets = rng.uniform(1, 2, (3, 40))
    stuck = (stuck_at(rng.random(targets.shape), 0.0, 0.1, (0.0, 10.0)),)
    able, lack = healthy(stuck), lacking(targets, (0.0, 10.0), stuck)
    made = np.where(able, carried(targets, lack, able, 10.0), stuck[0])
    error = np.cumsum(made - targets, axis=1)
    assert np.allclose(error[able], 0)  # right again at the next tick whose cell works
    assert (error[~able] < 0).all()


@pytest.mark.parametrize("name", ["rram", "charge"])
def test_a_pair_of_the_array_makes_up_for_the_cell_that_is_stuck(weights, name):
    # Weights of at most 10, so that a cell at the window's end is stuck there.
    tech = load(name).replace({"cell.stuck_on": 0.2, "cell.stuck_off": 0.0, "cell.fault_aware": 0})
    resting = sample(tech, SPEC, weights, 3, switches=STUCK)
    high = max(resting.positive.max(), resting.negative.max())
    positive, negative = (cells > 0.99 * high for cells in (resting.positive, resting.negative))
    assert min((positive & ~negative).sum(), (negative & ~positive).sum(), (positive & negative).sum()) > 20
    reached = np.where(positive, np.maximum(weights, 0), weights)
    reached = np.where(negative, np.minimum(reached, 0), reached)
    made = device(tech.replace({"cell.fault_aware": 1}), SPEC, weights, 3, switches=STUCK)
    assert np.allclose(made.weights, reached, atol=1e-3)


@given(specifications(max_units=3, projection=0), seeds, st.sampled_from(["rram", "pcm", "charge"]))
def test_nothing_changes_where_nothing_is_stuck(spec, seed, name):
    weights = np.random.default_rng(seed).integers(-spec.weight_max, spec.weight_max + 1, (spec.rows, spec.columns))
    tech = load(name)
    made = [
        sample(tech.replace({"cell.fault_aware": aware}), spec, weights, seed, switches=ALL - {"stuck"})
        for aware in (0, 1)
    ]
    for field in ("positive", "negative", "state_positive", "ramp", "ramp_negative", "ramp_start", "calibration"):
        assert np.array_equal(*(getattr(chip, field) for chip in made)), field


def errors(weights, changes, seeds, scheme=0):
    """By how much the thresholds of the ramps of some chips err, nominally started, in steps of the mean size."""
    tech = load("rram").replace({"cell.stuck_on": 0.004, "cell.stuck_off": 0.004, "ramp.scheme": scheme, **changes})
    found = []
    for seed in seeds:
        levels = []
        for switches in (RAMPS, frozenset()):
            chip = sample(tech, SPEC, weights, seed, switches=switches)
            start = chip.start_sign * (chip.ramp_start - chip.ramp_start_negative).sum(axis=1)
            nominal = (chip.calibration - chip.calibration_negative)[:, -1]
            steps = chip.ramp - chip.ramp_negative
            levels.append(((start + nominal)[:, None] + np.cumsum(steps, axis=1)) / chip.ramp_unit[:, None])
        found.append((levels[0] - levels[1]) / np.diff(levels[1], axis=1).mean())
    return np.abs(np.array(found))


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("pairs", [0, 1])
def test_ramps_survive_stuck_cells(weights, scheme, pairs):
    before, after = (
        errors(weights, {"cell.fault_aware": aware, "ramp.pairs": pairs}, range(60), scheme) for aware in (0, 1)
    )
    hurt = before.max(axis=2) > 0.5
    assert hurt.sum() > 15
    assert np.median(after.max(axis=2)[hurt]) < (0.5 if pairs else 1.1) * np.median(before.max(axis=2)[hurt])
    if pairs:
        # A fault costs one level, not all that follow: but where start and first steps are beyond their window.
        assert np.quantile((after > 0.3).mean(axis=2)[hurt], 0.8) < 0.2


def test_an_exact_ramp_knows_no_faults(weights):
    tech = load("rram").replace({"cell.stuck_on": 0.1})
    made, ideal = (sample(tech, SPEC, weights, 3, switches=switches) for switches in (STUCK, frozenset()))
    assert np.array_equal(made.ramp_start, ideal.ramp_start)
    assert np.array_equal(made.ramp, ideal.ramp)
    assert (made.positive != ideal.positive).any()


def test_no_fault_is_made_up_for_beside_a_cell_that_is_given(weights):
    """Where one is measured, whatever would have been drawn for it is no fault of the chip."""
    tech = load("rram").replace({"cell.stuck_on": 0.2, "cell.stuck_off": 0.0})
    measured = sample(tech, SPEC, weights, 0, switches=frozenset()).positive.copy()
    measured[SPEC.rows // 2 :] = np.nan
    cells = Conductances(positive=measured)
    aware, unaware = (
        sample(tech.replace({"cell.fault_aware": k}), SPEC, weights, 3, switches=STUCK, conductances=cells)
        for k in (1, 0)
    )
    known = np.isnan(measured)
    assert np.array_equal(aware.negative[~known], unaware.negative[~known])
    assert (aware.negative[known] != unaware.negative[known]).any()


@pytest.mark.parametrize("part", ["ramp", "ramp_start", "calibration"])
def test_one_part_of_a_ramp_may_be_given(weights, part):
    tech = load("rram").replace({"cell.stuck_on": 0.1, "cell.stuck_off": 0.1})
    ideal = sample(tech, SPEC, weights, 0, switches=frozenset())
    cells = Conductances(**{name: getattr(ideal, name) for name in (part, f"{part}_negative")})
    chip = sample(tech, SPEC, weights, 3, switches=RAMPS, conductances=cells)
    others = {"ramp", "ramp_start", "calibration"} - {part}
    assert np.array_equal(getattr(chip, part), getattr(ideal, part))
    assert all((getattr(chip, name) != getattr(ideal, name)).any() for name in others)


def test_nothing_lacks_where_there_is_no_cell():
    """Starts have different numbers of cells: what would be stuck beyond the shorter one's end is no cell at all."""
    stuck = (np.array([11.0, 11.0, np.nan]), np.array([np.nan, np.nan, 11.0]))
    differences = np.array([0.0, 12.0, 0.0])
    assert np.array_equal(lacking(differences, WINDOW, stuck), [0, 2, 0])
    assert np.array_equal(lacking(differences, WINDOW, stuck[:1]), [0, 1, 0])


THREE_RAMPS = SPEC.replace(
    gates=(Gate("sigmoid", 2.0), Gate("hard_sigmoid", 4.0), Gate("tanh", 225 / 112), Gate("sigmoid", 2.0))
)


def faults_in(part, monkeypatch):
    """Chips whose other parts have no stuck cell; gives the draws as they were."""
    real = Cells.draws

    def only(self, drawn, shape, number):
        deviation, chance = real(self, drawn, shape, number)
        return deviation, chance if drawn == part else np.full(shape, 0.5)

    monkeypatch.setattr(Cells, "draws", only)
    return real


def started(array):
    """(level of the start with the middle register, what the register's cells bring), in MAC units."""
    middle = (array.calibration - array.calibration_negative)[:, -1]
    start = array.start_sign * (array.ramp_start - array.ramp_start_negative).sum(axis=1)
    return (start + middle) / array.ramp_unit, middle / array.ramp_unit


@pytest.mark.parametrize("pairs", [0, 1])
@pytest.mark.parametrize("spec", [SPEC, THREE_RAMPS], ids=["two", "three"])
def test_a_start_makes_up_for_the_middle_register(spec, pairs, monkeypatch):
    """Where the register's cells alone are stuck, start and register together are what they would be without faults."""
    tech = load("rram").replace({"cell.stuck_on": 0.1, "cell.stuck_off": 0.1, "ramp.pairs": pairs})
    faults_in("calibration", monkeypatch)
    weights = np.zeros((spec.rows, spec.columns), int)
    ideal = started(sample(tech, spec, weights, 0, switches=frozenset()))
    found = [started(sample(tech, spec, weights, seed, switches=RAMPS)) for seed in range(40)]
    lost = np.array([middle - ideal[1] for _, middle in found])
    assert (np.abs(lost) > 1).sum() > 10
    assert np.abs([level - ideal[0] for level, _ in found]).max() < 1e-6


@pytest.mark.parametrize("pairs", [0, 1])
@pytest.mark.parametrize("spec", [SPEC, THREE_RAMPS], ids=["two", "three"])
def test_a_start_reaches_what_its_healthy_cells_allow(spec, pairs, monkeypatch):
    """Cell by cell: what stuck ones reach, and the healthy ones alike as far as their window goes."""
    tech = load("rram").replace({"cell.stuck_on": 0.04, "cell.stuck_off": 0.04, "ramp.pairs": pairs})
    real = faults_in("start", monkeypatch)
    weights = np.zeros((spec.rows, spec.columns), int)
    ideal = sample(tech, spec, weights, 0, switches=frozenset())
    targets = ideal.ramp_start - ideal.ramp_start_negative
    low, high = tech["cell.g_min"], tech["cell.g_max"]
    limit, hurt, mended = high - (low if pairs else 0), 0, 0
    for seed in range(60):
        chip = sample(tech, spec, weights, seed, switches=RAMPS)
        cells = chip.ramp_start - chip.ramp_start_negative
        numbers = [real(Cells(tech, spec, seed, RAMPS, None), "start", targets.shape, k)[1] for k in range(1 + pairs)]
        for r, row in enumerate(targets):
            count = np.count_nonzero(row)
            reached = healthy_cells = 0
            for c in range(count):
                ends = [(high, high) if u[r, c] < 0.04 else (low, low) if u[r, c] >= 0.96 else None for u in numbers]
                if ends == [None] * len(ends):
                    healthy_cells += 1
                    continue
                (bottom, top), *partner = [end or (low, high) for end in ends]
                if partner:
                    bottom, top = bottom - partner[0][1], top - partner[0][0]
                reached += min(max(row[0], bottom), top)
            wanted = row.sum() - reached
            reached += healthy_cells * min(max(wanted / max(healthy_cells, 1), 0), limit)
            hurt += healthy_cells < count
            mended += healthy_cells < count and abs(reached - row.sum()) < 1e-9
            assert cells[r].sum() == pytest.approx(reached, abs=1e-12), (seed, r)
    assert hurt > 20
    assert 5 < mended < hurt
