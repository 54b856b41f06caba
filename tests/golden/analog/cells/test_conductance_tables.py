# SPDX-License-Identifier: Apache-2.0
"""Given cells: archives, tables, AIHWKit's export; what they replace, and what is refused."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from crossramp.golden.analog.cells.conductance_tables import load_conductances
from crossramp.golden.analog.cells.targets import gains, warning
from crossramp.golden.analog.chip.given_cells import NAMES, Conductances
from crossramp.golden.analog.chip.sampling import device, sample
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings

from tests.support.strategies import ALL_CELLS, network_of, seeds, specifications

SPEC = Specification(inputs=5, units=3, classes=2, bias_rows=2, adc_bits=3)
NONE = frozenset()
MEASURED = frozenset({"programming", "range", "stuck", "levels", "ramp_cells"})


@pytest.fixture(scope="module")
def tech():
    return load("rram")


@pytest.fixture
def weights(rng):
    return rng.integers(-15, 16, (SPEC.rows, SPEC.columns))


def cells_of(array) -> dict:
    return {name: getattr(array, name) for name in NAMES}


def save(path, array, unit="S", scale=1.0, **changes):
    np.savez(path, unit=unit, **({name: values / scale for name, values in cells_of(array).items()} | changes))
    return path


# ---- archives --------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(specifications(max_units=4, calibration_cells=3, cells=ALL_CELLS, any_ramps=True), seeds)
def test_what_was_measured_is_what_is_simulated(tmp_path_factory, spec, seed):
    """A chip's cells, written and read, make the same chip of another seed."""
    tech, weights = load("rram"), network_of(spec, seed).weights
    chip = sample(tech, spec, weights, 3, switches=MEASURED)
    path = save(tmp_path_factory.mktemp("given") / "g.npz", chip)
    given_cells = load_conductances(path, spec, tech, weights)
    again = sample(tech, spec, weights, 99, switches=MEASURED, conductances=given_cells)
    for name, values in cells_of(chip).items():
        assert np.array_equal(getattr(again, name), values), name
    same = device(tech, spec, weights, 99, switches=MEASURED, conductances=given_cells)
    assert same.replace(seed=3).same(device(tech, spec, weights, 3, switches=MEASURED))


@pytest.mark.parametrize(("unit", "scale"), [("uS", 1e-6), ("µS", 1e-6), ("nS", 1e-9), ("mS", 1e-3)])
def test_units(tmp_path, tech, weights, unit, scale):
    chip = sample(tech, SPEC, weights, 1)
    found = load_conductances(save(tmp_path / "g.npz", chip, unit, scale), SPEC, tech, weights)
    assert np.allclose(found.positive, chip.positive, rtol=1e-12)


def test_charge_mode_takes_capacitances(tmp_path, weights):
    tech = load("charge")
    chip = sample(tech, SPEC, weights, 1)
    found = load_conductances(save(tmp_path / "g.npz", chip, "fF", 1e-15), SPEC, tech, weights)
    again = sample(tech, SPEC, weights, 2, conductances=found)
    assert np.allclose(again.positive, chip.positive, rtol=1e-12)


def test_what_is_not_given_is_drawn(tmp_path, tech, weights):
    chip = sample(tech, SPEC, weights, 1, switches=MEASURED)
    np.savez(tmp_path / "g.npz", unit="S", ramp=chip.ramp, ramp_negative=chip.ramp_negative)
    found = load_conductances(tmp_path / "g.npz", SPEC, tech, weights)
    again, free = (sample(tech, SPEC, weights, 2, switches=MEASURED, conductances=c) for c in (found, None))
    assert np.array_equal(again.ramp, chip.ramp)
    assert not np.array_equal(free.ramp, chip.ramp)
    for name in set(NAMES) - {"ramp", "ramp_negative"}:
        assert np.array_equal(getattr(again, name), getattr(free, name)), name


def test_given_cells_age(tmp_path, tech, weights):
    """Drift and temperature act on them; a planted cell shows where it was put."""
    chip = sample(tech, SPEC, weights, 1, switches=NONE)
    given_cells = Conductances(**cells_of(chip))
    power = {"cell.drift_mean": (0, 0.1, 0, 1), "cell.drift_spread": (0, 0, 0, 0), "cell.relaxation": (0, 0, 0)}
    tech = tech.replace(power | {"operation.time": 100.0})
    aged = sample(tech, SPEC, weights, 1, switches=frozenset({"drift"}), conductances=given_cells)
    assert np.allclose(aged.positive, chip.positive * 100**-0.1)
    moved = chip.positive.copy()
    moved[2, 7] *= 1.5
    planted = sample(tech, SPEC, weights, 1, switches=NONE, conductances=replace(given_cells, positive=moved))
    assert np.argwhere(planted.positive != chip.positive).tolist() == [[2, 7]]


def test_a_single_ended_array_gives_its_reference_column(tmp_path, weights):
    tech = load("rram").replace({"pair": "single-ended"})
    chip = sample(tech, SPEC, weights, 1, switches=MEASURED)
    assert chip.negative.shape == (SPEC.rows, 1)
    found = load_conductances(save(tmp_path / "g.npz", chip), SPEC, tech, weights)
    assert np.array_equal(sample(tech, SPEC, weights, 2, switches=MEASURED, conductances=found).negative, chip.negative)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "A"}, "unit is 'A'; allowed: S, mS"),
        ({"unit": "fF"}, "unit is 'fF'; allowed: S, mS, uS, µS, nS"),
        ({"positive": np.zeros((3, 4))}, r"positive has the shape \(3, 4\); expected \(10, 12\)"),
        ({"ramp": np.zeros((2, 8))}, r"ramp has the shape \(2, 8\); expected \(2, 7\)"),
        ({"ramp_start": np.zeros(2)}, r"ramp_start has the shape \(2,\); expected \(2, any\)"),
        ({"positive": np.full((10, 12), np.nan)}, r"positive\[0, 0\] is NaN; give a number, or leave positive out"),
        ({"positive": np.full((10, 12), -1e-9)}, r"positive\[0, 0\] is -1e-09 S; allowed: 0 to"),
        ({"positive": np.full((10, 12), np.inf)}, r"positive\[0, 0\] is inf S"),
        ({"positive": np.full((10, 12), 12.0)}, r"12 S; allowed: 0 to 0.00035276 S, 4 times .*; is its unit right\?"),
        ({"positive": np.zeros((10, 12), complex)}, "positive holds complex128; expected numbers"),
        ({"weights": np.zeros(3)}, "'weights' is not an array of cells; known: positive, negative"),
    ],
)
def test_wrong_archives_are_refused(tmp_path, tech, weights, changes, message):
    path = save(tmp_path / "g.npz", sample(tech, SPEC, weights, 1), **changes)
    with pytest.raises(ValueError, match=message) as caught:
        load_conductances(path, SPEC, tech, weights)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path, tech, weights):
    def refused(name, message):
        with pytest.raises(ValueError, match=message):
            load_conductances(tmp_path / name, SPEC, tech, weights)

    refused("none.npz", "cannot be read")
    (tmp_path / "text.npz").write_text("hello")
    refused("text.npz", "no .npz archive of numbers")
    np.savez(tmp_path / "pickled.npz", unit="S", positive=np.array([{}], object))
    refused("pickled.npz", "no .npz archive of numbers")
    np.savez(tmp_path / "plain.npz", positive=np.zeros((10, 12)))
    refused("plain.npz", "unit is missing")
    np.savez(tmp_path / "empty.npz", unit="S")
    refused("empty.npz", "holds no cells")
    np.savez(tmp_path / "alone.npz", unit="S", ramp_negative=np.zeros((2, 7)))
    refused("alone.npz", "ramp_negative needs ramp beside it")
    (tmp_path / "g.txt").write_text("hello")
    refused("g.txt", r"read from .npz and .csv files")
    (tmp_path / "one.csv").write_text("row,column\n")
    refused("one.csv", "has 1 lines")
    (tmp_path / "what.csv").write_text("a,b\n1,2\n")
    refused("what.csv", "neither row and column, nor ramp and tick, nor the numbers of AIHWKit's layers")
    (tmp_path / "bytes.csv").write_bytes(b"row,column\n\xff\xfe\n")
    refused("bytes.csv", "no CSV file")


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_may_give_some_cells(tmp_path, tech, weights):
    (tmp_path / "c.csv").write_text(
        "column,row,conductance_neg_microsiemens,conductance_pos_microsiemens,row_use\n"
        "4,3,11,12.5,x3\n0,,20,30,state1\n"
    )
    (tmp_path / "r.csv").write_text(
        "ramp,tick,cell,conductance_siemens\n0,1,tap,1e-5\n1,0,calibration,2e-5\n1,0,start,3e-5\n1,1,start,4e-5\n"
    )
    found = load_conductances([tmp_path / "c.csv", tmp_path / "r.csv"], SPEC, tech, weights)
    chip = sample(tech, SPEC, weights, 1, switches=NONE, conductances=found)
    nominal = sample(tech, SPEC, weights, 1, switches=NONE)
    assert np.argwhere(chip.positive != nominal.positive).tolist() == [[3, 4]]
    assert chip.positive[3, 4] == pytest.approx(12.5e-6)
    assert chip.negative[3, 4] == pytest.approx(11e-6)
    assert np.argwhere(chip.state_positive != nominal.state_positive).tolist() == [[1]]
    assert chip.state_positive[1] == pytest.approx(30e-6)
    assert np.argwhere(chip.ramp != nominal.ramp).tolist() == [[0, 0]]
    assert (chip.ramp[0, 0], chip.ramp_negative[0, 0]) == (pytest.approx(1e-5), 0)
    assert np.argwhere(chip.calibration != nominal.calibration).tolist() == [[1, 0]]
    assert chip.ramp_start[1, :2].tolist() == [3e-5, 4e-5]
    assert not chip.ramp_start[1, 2:].any()
    assert np.array_equal(chip.ramp_start[0], nominal.ramp_start[0])


WEIGHTS = "row,row_use,column,conductance_pos_siemens,conductance_neg_siemens\n"
RAMP = "ramp,tick,cell,conductance_siemens\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WEIGHTS + "0,x0,0,1e-5\n", "line 2: has 4 entries; its header has 5"),
        (WEIGHTS + "10,x0,0,1e-5,1e-5\n", "line 2: row is '10'; allowed: 0 to 9"),
        (WEIGHTS + "0,x0,-1,1e-5,1e-5\n", "line 2: column is '-1'; allowed: 0 to 11"),
        (WEIGHTS + "0,x0,0,nan,1e-5\n", "line 2: conductance_pos_siemens is 'nan'; expected a number"),
        (WEIGHTS + "0,x0,0,x,1e-5\n", "line 2: conductance_pos_siemens is 'x'"),
        (WEIGHTS + "0,x0,0,12,1e-5\n", "is 12 S; allowed"),
        (WEIGHTS + "0,x0,0,1e-5,1e-5\n" * 2, "line 3: the cells of row 0, column 0 appear twice"),
        (
            WEIGHTS + ",state3,0,1e-5,1e-5\n",
            "line 2: row is empty and row_use 'state3'; state cells are state0 to state2",
        ),
        (WEIGHTS.replace("row_use", "rowuse") + "0,x0,0,1,1\n", "column 'rowuse' is unknown; known:"),
        (WEIGHTS.replace("neg_siemens", "neg_microsiemens") + "0,x0,0,1,1\n", "conductance_pos_siemens is missing, or"),
        ("row,column\n0,0\n", "column conductance_pos_siemens is missing"),
        (RAMP + "2,1,tap,1e-5\n", "line 2: ramp is '2'; allowed: 0 to 1"),
        (RAMP + "0,8,tap,1e-5\n", "line 2: tick is '8'; allowed: 1 to 7"),
        (RAMP + "0,5,calibration,1e-5\n", "line 2: tick is '5'; allowed: 0 to 4"),
        (RAMP + "0,5,tip,1e-5\n", "line 2: cell is 'tip'; allowed: tap, start, calibration"),
        (RAMP + "0,5,tap,1e-5\n" * 2, "line 3: cell tap 5 of ramp 0 appears twice"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, tech, weights, content, message):
    (tmp_path / "g.csv").write_text(content)
    with pytest.raises(ValueError, match=r"g\.csv") as caught:
        load_conductances(tmp_path / "g.csv", SPEC, tech, weights)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "changes", "content", "message"),
    [
        ("gru", {}, WEIGHTS + ",state0,0,1e-5,1e-5\n", "row_use 'state0'; the cell gru has no lines"),
        (
            "gru",
            {},
            WEIGHTS + "5,h0,6,1e-5,1e-5\n",
            "positive[5, 6] is 1e-05 S, but the cell gru has no memristor there; give 0, or leave it out",
        ),
        (
            "gru",
            {"pair": "single-ended"},
            WEIGHTS + "5,h0,reference1,,1e-5\n",
            "negative[5, 1] is 1e-05 S, but the cell gru has no memristor there",
        ),
        (
            "gru",
            {"pair": "single-ended"},
            WEIGHTS + "5,h0,reference0,,1e-5\n" * 2,
            "line 3: the cells of row 5, column reference0 appear twice",
        ),
        ("gru", {"pair": "single-ended"}, WEIGHTS + "5,h0,reference,,1e-5\n", "column is 'reference'; allowed: 0 to 8"),
        (
            "lstm_peephole",
            {},
            WEIGHTS + ",state1,7,1e-5,1e-5\n",
            "line 2: column is 7; state1 has cells on the columns 1, 4",
        ),
        (
            "lstm_peephole",
            {},
            WEIGHTS + ",state6,1,1e-5,1e-5\n",
            "row_use 'state6'; state cells are state0 to state5",
        ),
        (
            "lstm_peephole",
            {},
            WEIGHTS + ",state1,4,1e-5,1e-5\n" * 2,
            "line 3: the cells of state1 on column 4 appear twice",
        ),
        ("gru", {}, "1\nx\n", "AIHWKit's layers cross all gates with x and h; the banks of the cell gru do not"),
        ("dense", {}, "1\nx\n", "AIHWKit's layers cross all gates with x and h; the banks of the cell dense do not"),
    ],
)
def test_wrong_tables_of_cells_are_refused(tmp_path, tech, cell, changes, content, message):
    spec = Specification(inputs=5, units=3, classes=2, bias_rows=2, adc_bits=3, cell=cell)
    (tmp_path / "g.csv").write_text(content)
    with pytest.raises(ValueError, match=r"g\.csv") as caught:
        load_conductances(tmp_path / "g.csv", spec, tech.replace(changes), network_of(spec, 1).weights)
    assert message in str(caught.value)


def test_cells_of_peepholes_are_told_by_wire_and_column(tmp_path, tech):
    """Line a has cells on i and f, line q on g and o; each cell goes to its own place."""
    spec = Specification(inputs=5, units=3, classes=2, bias_rows=2, adc_bits=3, cell="lstm_peephole")
    lines = [f",state{wire},{column},{column + 1}e-6,0" for wire, column in ((0, 0), (0, 3), (2, 5), (3, 6), (5, 11))]
    (tmp_path / "g.csv").write_text(WEIGHTS + "\n".join(lines) + "\n")
    weights = network_of(spec, 1).weights
    found = load_conductances(tmp_path / "g.csv", spec, tech, weights)
    given = np.flatnonzero(~np.isnan(found.state_positive))
    assert spec.line_columns[given].tolist() == [0, 3, 5, 6, 11]
    assert found.state_positive[given] == pytest.approx((spec.line_columns[given] + 1) * 1e-6)
    chip = sample(tech, spec, weights, 1, switches=NONE, conductances=found)
    assert np.array_equal(chip.state_positive[given], found.state_positive[given])


def test_no_cell_comes_from_two_files(tmp_path, tech, weights):
    for name, column in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / f"{name}.csv").write_text(WEIGHTS + f"0,x0,{column},1e-5,1e-5\n")
    with pytest.raises(ValueError, match=r"b\.csv: gives cells of positive that .*a\.csv gives too"):
        load_conductances([tmp_path / "a.csv", tmp_path / "b.csv"], SPEC, tech, weights)
    both = load_conductances([tmp_path / "a.csv", tmp_path / "c.csv"], SPEC, tech, weights)
    assert (~np.isnan(both.positive)).sum() == 2


# ---- AIHWKit ---------------------------------------------------------------------------------------------------------


def fusion_file(path, layers: dict):
    """As aihwkit.utils.export.fusion_export writes it: layers by name, each (height, width) and its numbers in µS."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        sizes = [size for size, _ in layers.values()]
        file.write(",".join(str(2 * k + 1) for k in range(len(layers))) + "\n")
        file.write(",".join("AnalogLinear" for _ in layers) + "\n")
        for numbers in ([h * w for h, w in sizes], [h for h, _ in sizes], [w for _, w in sizes]):
            file.write(",".join(map(str, numbers)) + "\n")
        writer.writerow(layers)
        for _, numbers in layers.values():
            writer.writerow(np.asarray(numbers).ravel().tolist())
    return path


def magnitudes(weights, g_max=40.0):
    """FusionConductanceConverter on AIHWKit's (out, in) weights: each output's largest is g_max."""
    w = np.abs(weights.T).astype(float)
    return w.shape, w * g_max / np.maximum(w.max(axis=1, keepdims=True), 1e-10)


def pairs(weights, g_max=25.0):
    """SinglePairConductanceConverter: positive, then negative, the layer's largest is g_max."""
    w = weights.T * g_max / np.abs(weights).max()
    return w.shape, np.concatenate([np.maximum(w, 0).ravel(), np.maximum(-w, 0).ravel()])


def parts(weights):
    return weights[: SPEC.inputs], weights[SPEC.inputs : SPEC.inputs + SPEC.units]


@pytest.mark.parametrize("converter", [magnitudes, pairs])
@pytest.mark.parametrize("combined", [False, True])
def test_the_export_of_a_network_is_that_network(tmp_path, tech, weights, converter, combined):
    weights[:, 3] = 0
    weights[: SPEC.inputs, 4] = 0
    x, h = parts(weights)
    layers = (
        {"lstm.weight": converter(np.concatenate([x, h]))}
        if combined
        else {"l.weight_ih": converter(x), "l.weight_hh": converter(h)}
    )
    layers["decoder"] = ((2, 3), np.full(6, 7.0))  # the head is digital here
    found = load_conductances(fusion_file(tmp_path / "f.csv", layers), SPEC, tech, weights)
    assert np.isnan(found.positive[SPEC.inputs + SPEC.units :]).all()  # biases are digital there
    chip = device(tech, SPEC, weights, 1, switches=NONE, conductances=found)
    assert np.allclose(chip.weights, weights, rtol=0, atol=1e-4)


def test_measured_errors_come_along(tmp_path, tech, weights):
    """2 µS of an output's full scale of 40 are a twentieth of its largest weight, with the sign of its weight."""
    x, h = parts(weights)
    (size, numbers), layer = magnitudes(x), magnitudes(h)
    numbers[6, 2] += 2.0
    path = fusion_file(tmp_path / "f.csv", {"ih": (size, numbers), "hh": layer})
    chip = device(tech, SPEC, weights, 1, switches=NONE, conductances=load_conductances(path, SPEC, tech, weights))
    error = chip.weights - weights
    assert np.argwhere(np.abs(error) > 1e-3).tolist() == [[2, 6]]
    sign = 1 if weights[2, 6] >= 0 else -1
    assert error[2, 6] == pytest.approx(sign * np.abs(x[:, 6]).max() / 20, abs=1e-4)
    # Told another full scale, everything scales.
    chip = device(
        tech, SPEC, weights, 1, switches=NONE, conductances=load_conductances(path, SPEC, tech, weights, 80e-6)
    )
    assert np.allclose(chip.weights[:8] * 2, weights[:8] + error[:8], atol=1e-3)


def test_as_many_inputs_as_units(tmp_path, tech, rng):
    spec = Specification(inputs=3, units=3, classes=2)
    weights = rng.integers(-15, 16, (spec.rows, spec.columns))
    layers = {"cell.weight_ih": magnitudes(weights[:3]), "cell.weight_hh": magnitudes(weights[3:6])}
    found = load_conductances(fusion_file(tmp_path / "f.csv", layers), spec, tech, weights)
    assert np.allclose(device(tech, spec, weights, 1, switches=NONE, conductances=found).weights, weights, atol=1e-4)


@pytest.mark.parametrize("converter", [magnitudes, pairs])
def test_an_export_of_another_full_scale_is_told(tmp_path, tech, weights, converter):
    """AIHWKit's g_max is an argument of its converter, and not in its file: 20 µS are half of 40, four fifths of 25."""
    layers = {"ih": converter(parts(weights)[0], 20.0), "hh": converter(parts(weights)[1], 20.0)}
    path = fusion_file(tmp_path / "f.csv", layers)
    off = load_conductances(path, SPEC, tech, weights)
    told = gains(off, tech, SPEC, weights)
    assert told == {"weights": pytest.approx(0.5 if converter is magnitudes else 0.8)}
    assert f"weights {told['weights']:.3g}; expected 0.9 to 1.1" in warning(off, told, tech)
    right = load_conductances(path, SPEC, tech, weights, 20e-6)
    assert warning(right, gains(right, tech, SPEC, weights), tech) is None


def test_wrong_exports_are_refused(tmp_path, tech, weights):
    x, h = parts(weights)

    def refused(message, change=None, technology=tech, **layers):
        path = fusion_file(tmp_path / "f.csv", layers or {"ih": magnitudes(x), "hh": magnitudes(h)})
        if change is not None:
            path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
        with pytest.raises(ValueError, match=message) as caught:
            load_conductances(path, SPEC, technology, weights)
        assert "\n" not in str(caught.value)

    refused(
        "has the layers ih 12x4, hh 12x3; this model needs one 12x5 and one 12x3",
        ih=magnitudes(x[1:]),
        hh=magnitudes(h),
    )
    refused("an AIHWKit file of 2 layers has 8 lines, this one 7", lambda lines: lines[:-1])
    refused("its line of height has 1 entries", lambda lines: [*lines[:3], "12", *lines[4:]])
    refused("the width of a layer is 'x'", lambda lines: [*lines[:4], "x,3", *lines[5:]])
    refused("layer hh has 35 conductances; expected 36", lambda lines: [*lines[:-1], lines[-1].rsplit(",", 1)[0]])
    refused("layer hh has the conductance 'nan'", lambda lines: [*lines[:-1], "nan," + lines[-1].split(",", 1)[1]])
    refused("layer hh has the conductance '-1'", lambda lines: [*lines[:-1], "-1," + lines[-1].split(",", 1)[1]])
    refused("no meaning in charge mode", technology=load("charge"))
    refused("are pairs; technology rram has none", technology=tech.replace({"pair": "single-ended"}))
    refused("is .* S; allowed", lambda lines: [*lines[:-1], "4e4," + lines[-1].split(",", 1)[1]])
