# SPDX-License-Identifier: Apache-2.0
"""Plans of sweeps, and their tasks."""

import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.golden.analog.chip import sampling
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.given_cells import Conductances
from crossramp.golden.analog.chip.placed_chip import PlacedChip
from crossramp.golden.analog.chip.ramp_linearity import Linearity
from crossramp.golden.analog.conversion.calibration import CalibrationPlan, calibrate
from crossramp.golden.analog.conversion.calibration_setting import FOUND
from crossramp.golden.analog.conversion.seen_ramps import seen_thresholds
from crossramp.golden.analog.conversion.tiled_device import device_array
from crossramp.golden.analog.technologies import technology
from crossramp.golden.array.array_protocol import step_window
from crossramp.golden.array.ramps import ramps
from crossramp.golden.array.tiled_array import tile_weights
from crossramp.golden.array.weights import Weights
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.sim.montecarlo import tasks
from crossramp.sim.montecarlo.plan import METRICS, PlanError, parse_plan
from crossramp.sim.montecarlo.problem import Problem
from crossramp.sim.montecarlo.summary import Spread, summarize

from tests.support.chips import macro_of
from tests.support.layered import layered_network_of
from tests.support.strategies import ALL_CELLS, inputs_of
from tests.support.sweeps import PLAN, all_rows, problem_of

MACS = range(-4000, 4001)  # beyond every threshold of these small ramps

# ---- plans -----------------------------------------------------------------------------------------------------------


def test_points_are_the_product_of_the_axes():
    plan = parse_plan(PLAN, "plan.toml", Path())
    assert len(plan.points) == 8
    assert [point.values["calibration"] for point in plan.points[:2]] == ["nominal", "found"]
    assert {point.technology["cell.read_noise"] for point in plan.points} == {0.0, 0.05}
    assert {point.adc_bits for point in plan.points} == {3, 4}
    assert list(plan.device_seeds) == [5, 6, 7]


def test_factors_constants_switches_and_technologies():
    text = """
    data = "demo"
    chips = 1
    technology = "pcm"
    [constants]
    operation.temperature = 330.0
    [switches]
    ours = ["programming", "offset"]
    [axes]
    "times cell.programming_error" = [0, 2]
    switches = ["ours", "none", "only drift", "without wires"]
    """
    plan = parse_plan(text, "plan.toml", Path())
    base = technology.load("pcm")
    assert plan.points[0].technology["cell.programming_error"] == tuple(0 * v for v in base["cell.programming_error"])
    assert plan.points[-1].technology["cell.programming_error"] == tuple(2 * v for v in base["cell.programming_error"])
    assert all(point.technology["operation.temperature"] == 330.0 for point in plan.points)
    sets = [point.switches for point in plan.points[:4]]
    assert sets == [{"programming", "offset"}, set(), {"drift"}, sampling.ALL - {"wires"}]
    both = parse_plan('data="demo"\nchips=1\naxes.technology=["rram","charge"]', "p", Path())
    assert [point.technology.read_mode for point in both.points] == ["current", "charge"]


BAD = {
    "no TOML": ("chips = ", "no TOML"),
    "unknown key": ('data="demo"\nchips=1\nchip=2', "'chip' is unknown; did you mean chips"),
    "no data": ("chips = 1", "data is missing"),
    "no chips": ('data = "demo"', "chips is missing"),
    "chips 0": ('data="demo"\nchips=0', "chips is 0; allowed: 1 to"),
    "chips true": ('data="demo"\nchips=true', "chips is True; expected a whole number"),
    "seed": ('data="demo"\nchips=1\nseed=-1', "seed is -1; allowed"),
    "metric": ('data="demo"\nchips=1\nmetrics=["acuracy"]', "'acuracy' is unknown; did you mean accuracy"),
    "axis": ('data="demo"\nchips=1\n[axes]\n"cell.readnoise"=[1]', "'cell.readnoise' is unknown; did you mean"),
    "axis no list": ('data="demo"\nchips=1\n[axes]\nadc_bits=5', "axes.\"adc_bits\" is 5; expected a list"),
    "axis empty": ('data="demo"\nchips=1\n[axes]\nadc_bits=[]', "expected a list"),
    "axis twice": ('data="demo"\nchips=1\n[axes]\nadc_bits=[5,5]', "has a value twice"),
    "bits": ('data="demo"\nchips=1\n[axes]\nadc_bits=[9]', "adc_bits has 9; allowed: 2 to 8"),
    "constant": ('data="demo"\nchips=1\n[axes]\n"cell.read_noise"=[-1]', "cell.read_noise is -1"),
    "constant NaN": ('data="demo"\nchips=1\n[axes]\n"cell.read_noise"=[nan]', "cell.read_noise is nan"),
    "constant of the other mode": ('data="demo"\nchips=1\n[axes]\n"cell.mismatch"=[0.1]', "cell.mismatch"),
    "factor": ('data="demo"\nchips=1\n[axes]\n"times cell.g_max"=["a"]', "has 'a'; expected factors"),
    "calibration": ('data="demo"\nchips=1\n[axes]\ncalibration=["two"]', "axes.calibration is 'two'; give nominal"),
    "switches": ('data="demo"\nchips=1\n[axes]\nswitches=["only wire"]', "'only wire' is unknown; did you mean"),
    "switch set": ('data="demo"\nchips=1\n[switches]\na=["wire"]', "'wire' is unknown; did you mean wires"),
    "technology": ('data="demo"\nchips=1\ntechnology="rramm"', "there is no technology 'rramm'"),
    "technologies": ('data="demo"\nchips=1\naxes.technology=[3]', "technology has 3"),
    "points": (
        'data="demo"\nchips=1\n[axes]\n"cell.read_noise"=[' + ",".join(f"{k}e-6" for k in range(400)) + "]\n"
        '"cell.stuck_on"=[' + ",".join(f"{k}e-6" for k in range(400)) + "]",
        "axes make 160000 points",
    ),
    "plot": ('data="demo"\nchips=1\n[plot]\nx="adc_bits"', "plot.x: 'adc_bits' is unknown"),
    "plot metric": ('data="demo"\nchips=1\n[plot]\nmetric="dnl"', "plot.metric is 'dnl', which is not among"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_plans_say_what_is_wrong(case):
    text, words = BAD[case]
    with pytest.raises(ValueError, match=r"\S") as caught:
        parse_plan(text, "plan.toml", Path())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_plan_errors_are_errors_of_ours():
    with pytest.raises(PlanError, match=r"plan\.toml: seed"):
        parse_plan('data="demo"\nchips=1\nseed="a"', "plan.toml", Path())


# ---- tasks -----------------------------------------------------------------------------------------------------------


def test_tasks_cover_each_instance_of_each_point_once(monkeypatch):
    problem = problem_of(PLAN)
    monkeypatch.setattr(tasks, "_INSTANCES_MOST", 3)
    made = tasks.make_tasks(problem, 7)
    covered = [(task["point"], task["first"] + k) for task in made for k in range(task["count"])]
    assert sorted(covered) == [(point, k) for point in range(8) for k in range(7)]
    assert made == json.loads(json.dumps(made))


@pytest.mark.parametrize("changes", [{}, {"projection": 2}])
def test_a_task_is_a_function_of_its_description(changes):
    problem = problem_of(PLAN, **changes)
    again = Problem.from_bytes(problem.to_bytes())
    assert problem.to_bytes() == again.to_bytes()
    assert problem.hashes == again.hashes
    task = {"point": 3, "first": 1, "count": 2}
    rows = tasks.run_task(problem, task)
    assert rows == tasks.run_task(again, task)
    # However it is cut.
    single = [tasks.run_task(problem, {"point": 3, "first": k, "count": 1})[0] for k in (1, 2)]
    assert rows == single
    assert [row["seed"] for row in rows] == [6, 7]


def test_hashes_tell_what_changed():
    hashes = problem_of(PLAN).hashes
    for text, changed in ((PLAN.replace("0.05", "0.04"), "plan"), (PLAN.replace("seed = 5", "seed = 6"), "plan")):
        other = problem_of(text).hashes
        assert [name for name in hashes if other[name] != hashes[name]] == [changed]
    other = problem_of(PLAN, labels=True).hashes
    assert [name for name in hashes if other[name] != hashes[name]] == ["data"]


def with_cells(problem: Problem, seed: int = 11) -> tuple[Problem, list[Conductances]]:
    """The same with cells of another chip at each point, one object for all points of a resolution."""
    cells = {}
    for point in problem.points:
        network = problem.network(point)
        chip = sampling.sample(point.technology, network.spec, network.weights.macro, seed)
        names = ("positive", "negative", "ramp", "ramp_negative")
        cells.setdefault(point.adc_bits, Conductances(**{name: getattr(chip, name) for name in names}))
    return dataclasses.replace(problem, given=tuple(cells[point.adc_bits] for point in problem.points)), [
        *cells.values()
    ]


def test_given_cells_travel_and_decide_rows():
    drawn = problem_of(PLAN)
    problem, _ = with_cells(drawn)
    again = Problem.from_bytes(problem.to_bytes())
    assert again.to_bytes() == problem.to_bytes()
    assert again.hashes == problem.hashes
    for one, other in zip(again.given, problem.given, strict=True):
        assert one.arrays().keys() == other.arrays().keys()
        assert all(np.array_equal(one.arrays()[name], values) for name, values in other.arrays().items())
    assert len({id(cells) for cells in again.given}) == 2
    task = {"point": 3, "first": 0, "count": 2}
    rows = tasks.run_task(again, task)
    assert rows == tasks.run_task(problem, task) != tasks.run_task(drawn, task)
    point, network = problem.points[3], problem.network(problem.points[3])
    chip = sampling.device(point.technology, network.spec, network.weights.macro, 5, conductances=problem.given[3])
    found = calibrate(chip, CalibrationPlan.of(network.spec, point.technology["ramp.calibration_range"])).cells
    inl = [
        abs(Linearity(ramp, row[None], network.spec.latch).inl).max()
        for ramp, row in zip(ramps(network.spec), seen_thresholds(chip, network.weights.macro, found), strict=True)
    ]
    assert rows[0]["inl"] == max(inl)
    with pytest.raises(ValueError, match="cells are given for 7 points; the plan has 8"):
        dataclasses.replace(drawn, given=problem.given[:7])


def test_each_given_cell_is_in_the_hash():
    drawn = problem_of(PLAN)
    problem, different = with_cells(drawn)
    assert "conductances" not in drawn.hashes
    assert {name: value for name, value in problem.hashes.items() if name != "conductances"} == drawn.hashes
    seen = {problem.hashes["conductances"]}
    # Equal cells are equal, whatever they came from.
    copies = [dataclasses.replace(cells, source="elsewhere") for cells in different]
    swap = {id(old): new for old, new in zip(different, copies, strict=True)}
    same = dataclasses.replace(problem, given=tuple(swap[id(cells)] for cells in problem.given))
    assert same.hashes == problem.hashes
    last = problem.given[-1]
    changes = []
    for name, values in last.arrays().items():
        for at in ((0, 0), (-1, -1)):
            moved = values.copy()
            moved[at] *= 1 + 1e-12
            changes.append({name: moved})
            gone = values.copy()
            gone[at] = np.nan
            changes.append({name: gone})
    changes.append({"ramp_negative": None})
    changes.append({"state_positive": np.full(problem.spec.units, 5e-5)})
    for change in changes:
        other = dataclasses.replace(problem, given=(*problem.given[:-1], dataclasses.replace(last, **change)))
        seen.add(other.hashes["conductances"])
    assert len(seen) == len(changes) + 1
    turned = dataclasses.replace(problem, given=problem.given[::-1])
    assert turned.hashes["conductances"] not in seen


@pytest.mark.parametrize("projection", [0, 2])
def test_the_hash_of_the_model_follows_each_of_its_numbers(projection):
    """The arrays, where they differ in one place; the specification, where anything of it differs."""
    problem = problem_of(PLAN, projection=projection)
    weights = problem.weights.arrays()
    assert len(weights) == 3 + bool(projection)
    for name in [*weights, "codes", "labels"]:
        for place in (0, -1):
            changed = np.array(weights[name] if name in weights else getattr(problem, name))
            changed.flat[place] += 1 if changed.flat[place] <= 0 else -1
            other = {"weights": Weights.from_arrays(weights | {name: changed})} if name in weights else {name: changed}
            other = dataclasses.replace(problem, **other).hashes
            expected = ["model" if name in weights else "data"]
            assert [kind for kind in other if other[kind] != problem.hashes[kind]] == expected, name
    for change in ({"head_weight_bits": 7}, {"settle_clocks": 2}, {"latch": "first_trip"}, {"max_steps": 5}):
        other = dataclasses.replace(problem, spec=problem.spec.replace(**change)).hashes
        assert [kind for kind in other if other[kind] != problem.hashes[kind]] == ["model"], change
    for change in ({"seed": 6}, {"metrics": ("flips",)}, {"points": problem.points[:-1]}):
        other = dataclasses.replace(problem, **change).hashes
        assert [kind for kind in other if other[kind] != problem.hashes[kind]] == ["plan"], change


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"readout": "last"},
        {"state_bits": 20},  # no fast path, as for every cell but the LSTM
        {"projection": 2},
        *({"cell": cell, "state_pulse_bits": None} for cell in ALL_CELLS[1:]),
    ],
)
def test_metrics_are_those_of_the_instance(changes):
    every = PLAN.replace('["flips", "code_error", "inl"]', json.dumps(list(METRICS)))
    problem = problem_of(every, labels=True, **changes)
    assert problem.cautions() == []
    for point in (2, 3):  # 4 bits, without and with calibration
        (row,) = tasks.run_task(problem, {"point": point, "first": 2, "count": 1})
        network = problem.network(problem.points[point])
        tech = problem.points[point].technology
        chip = sampling.device(tech, network.spec, network.weights, 7)
        plan = CalibrationPlan.of(network.spec, tech["ramp.calibration_range"])
        cells = calibrate(chip, plan).cells if point == 3 else None
        lstm = macro_of(chip, cells, network.weights.projection)
        answers = network.with_head(lstm.run(problem.codes)).answers
        assert row["accuracy"] == (answers == problem.labels).mean()
        assert row["flips"] == (answers != network.answers(problem.codes)).mean()
        found = linearity_of(network, chip, cells)
        assert {name: row[name] for name in found} == found
        assert row["code_error"] == pytest.approx(code_error_of(network, lstm, problem.codes), rel=1e-12)
        assert (row["point"], row["instance"], row["seed"]) == (point, 2, 7)
        assert set(row) == {"point", "instance", "seed", *METRICS}


def test_metrics_of_several_arrays_are_those_of_the_worst():
    every = PLAN.replace('["flips", "code_error", "inl"]', json.dumps(list(METRICS)))
    problem = problem_of(every, labels=True, tile_columns=8)
    (row,) = tasks.run_task(problem, {"point": 3, "first": 2, "count": 1})
    network, tech = problem.network(problem.points[3]), problem.points[3].technology
    chip = sampling.device(tech, network.spec, network.weights, 7)
    settled = FOUND.settle(chip, tech)
    answers = network.behind(device_array(chip, settled.cells)).run(problem.codes).answers
    assert row["accuracy"] == (answers == problem.labels).mean()
    parts = []
    for tile, cells in zip(chip.tiles, np.split(settled.cells, 2), strict=True):
        alone = SimpleNamespace(spec=tile.spec, weights=tile_weights(network.spec, tile.spec, network.weights))
        parts.append({name: getattr(one, "expected", one) for name, one in linearity_of(alone, tile, cells).items()})
    assert row["inl"] == pytest.approx(max(part["inl"] for part in parts))
    assert row["dnl"] == pytest.approx(max(part["dnl"] for part in parts))
    assert row["missing_codes"] == sum(part["missing_codes"] for part in parts)


def test_metrics_of_several_layers_are_over_all_macros():
    """The worst of every ramp, and the codes of every conversion, each macro being given the ideal network's pulses."""
    sizes = {"adc_bits": 4, "input_bits": 4, "weight_bits": 4}
    tables = [{"inputs": 3, "units": 4, "cell": "rnn_tanh"}, {"inputs": 4, "units": 3, "cell": "dense"}]
    spec = NetworkSpecification.from_dict({"classes": 3, "layers": [table | sizes for table in tables]})
    network, x = layered_network_of(spec, 3), inputs_of(spec, 1, batch=2, steps=4)
    points = problem_of(PLAN).points
    metrics = ("code_error", "inl", "dnl", "missing_codes")
    problem = Problem(spec, network.weights, x, np.full(2, -1), points, metrics, 5)
    (row,) = tasks.run_task(problem, {"point": 3, "first": 2, "count": 1})
    network, point = problem.network(points[3]), points[3]
    chip = PlacedChip.of(network.spec, network.weights, ChipSample(point.technology), 7, FOUND)
    trace, errors, parts = network.run(x), [], []
    for name, macro in network.spec.macros.items():
        device, cells = chip.devices[name], chip.calibrations[name].cells
        alone = SimpleNamespace(spec=macro, weights=network.weights.macros[name])
        parts.append({key: getattr(one, "expected", one) for key, one in linearity_of(alone, device, cells).items()})
        own, place, given = trace.macros[name], 0, x if name == "layer0" else trace.macros["layer0"].h
        for utterance in range(len(x)):
            h = np.zeros((1, macro.hidden), int)
            for step in range(x.shape[1]):
                window = step_window(macro, 0, {"x": given[utterance, step][None], "h": h})
                _, found = device_array(device, cells).convert([window], np.array([place]))
                errors += (found[0] - own.codes[utterance, step]).tolist()
                h, place = own.h[utterance, step][None], place + 1
    assert row["code_error"] == pytest.approx((sum(e * e for e in errors) / len(errors)) ** 0.5, rel=1e-12)
    assert row["code_error"] > 0
    assert row["inl"] == pytest.approx(max(part["inl"] for part in parts))
    assert row["dnl"] == pytest.approx(max(part["dnl"] for part in parts))
    assert row["missing_codes"] == sum(part["missing_codes"] for part in parts)


def test_linearity_is_that_of_all_ramps():
    """Cells so bad that several ramps lack codes."""
    text = PLAN.replace('["flips", "code_error", "inl"]', '["inl", "dnl", "missing_codes"]')
    text = text.replace('"cell.read_noise" = [0.0, 0.05]', '"times cell.programming_error" = [40]')
    problem = problem_of(text)
    (row,) = tasks.run_task(problem, {"point": 2, "first": 0, "count": 1})
    network, point = problem.network(problem.points[2]), problem.points[2]
    chip = sampling.device(point.technology, network.spec, network.weights.macro, 5)
    found = linearity_of(network, chip, None)
    assert {name: row[name] for name in found} == found
    assert np.count_nonzero(missing_of(network, chip, None)) > 1, "one ramp alone lacks codes: a sum would not be seen"


def missing_of(network, chip, cells) -> list[int]:
    """Codes of each ramp that no MAC gives: a code is the last tick on which the MAC exceeds the level."""
    missing = []
    for levels in seen_thresholds(chip, network.weights.macro, cells):
        reached = {max((k + 1 for k, level in enumerate(levels) if mac > level), default=0) for mac in MACS}
        missing.append(len(levels) + 1 - len(reached))
    return missing


def linearity_of(network, chip, cells) -> dict:
    """INL, DNL and missing codes of all ramps by their definitions, threshold by threshold."""
    worst_inl, worst_dnl, missing = 0.0, 0.0, sum(missing_of(network, chip, cells))
    for ramp, levels in zip(ramps(network.spec), seen_thresholds(chip, network.weights.macro, cells), strict=True):
        lsb = (ramp.activation.high - ramp.activation.low) / 2**ramp.bits
        values = [float(ramp.activation(np.array(level * ramp.scale))) for level in levels]
        inl = [(value - border) / lsb for value, border in zip(values, ramp.borders, strict=True)]
        worst_inl = max(worst_inl, *map(abs, inl))
        worst_dnl = max(worst_dnl, *(abs((b - a) / lsb - 1) for a, b in pairwise(values)))
    return {"inl": pytest.approx(worst_inl), "dnl": pytest.approx(worst_dnl), "missing_codes": missing}


def code_error_of(network, lstm, codes) -> float:
    """Root of the mean square of the differences in codes, the array being given the ideal network's pulses."""
    spec, trace, differences = network.spec, network.run(codes), []
    inner = next((name for name in (spec.layout.line_value, *spec.layout.inner_rows) if name), "none")
    place = 0
    for utterance in range(len(codes)):
        h, pulses = np.zeros((1, spec.hidden), int), np.zeros((1, spec.units), int)
        for step in range(codes.shape[1]):
            windows = []
            for k, ideal in enumerate((trace.codes, trace.state_codes)[: len(spec.conversions)]):
                if k == 1:
                    pulses = trace.state_pulses[utterance, step][None]
                windows.append(step_window(spec, k, {"x": codes[utterance, step][None], "h": h, inner: pulses}))
                _, found = lstm.array.convert(windows, np.array([len(spec.conversions) * place + k]))
                differences += (found[0] - ideal[utterance, step]).tolist()
            h, place = trace.h[utterance, step][None], place + 1
    return (sum(d * d for d in differences) / len(differences)) ** 0.5


def test_recordings_without_a_label_are_neither_right_nor_wrong():
    text = PLAN.replace('["flips", "code_error", "inl"]', '["accuracy"]').replace("[3, 4]", "[4]")
    problem = problem_of(text, labels=True)
    answers = problem.network(problem.points[0]).answers(problem.codes)
    ideal = text.replace('calibration = ["nominal", "found"]', 'switches = ["none"]')
    labels = np.array([answers[0], answers[1], (answers[2] + 1) % 3, -1, -1, -1])
    problem = dataclasses.replace(problem_of(ideal), labels=labels)
    assert [row["accuracy"] for row in all_rows(problem, 1)] == pytest.approx([2 / 3] * 2)
    nothing = dataclasses.replace(problem, labels=np.full(6, -1))
    assert [row["accuracy"] for row in all_rows(nothing, 1)] == [None, None]


def test_an_ideal_chip_errs_nowhere():
    text = PLAN.replace('calibration = ["nominal", "found"]', 'switches = ["none"]')
    for row in all_rows(problem_of(text), 2):
        assert row["flips"] == row["code_error"] == 0


def test_the_same_chip_at_every_point():
    """Constants that an instance does not use leave it the same, noise included."""
    text = PLAN.replace('calibration = ["nominal", "found"]', 'switches = ["only programming"]')
    rows = all_rows(problem_of(text), 3)
    metrics = [[row[name] for name in ("flips", "code_error", "inl")] for row in rows]
    assert metrics[:6] == metrics[6:]
    assert metrics[0] != metrics[1]


def test_spread_of_instances():
    spread = Spread.of("accuracy", [0.5, 0.7, 0.9])
    assert (spread.count, spread.worst) == (3, 0.5)
    assert spread.mean == pytest.approx(0.7)
    assert spread.deviation == pytest.approx(0.2)
    assert spread.error == pytest.approx(0.2 / 3**0.5)
    assert Spread.of("inl", [1.0, 3.0]).worst == 3.0
    hundred = Spread.of("flips", range(101)[::-1])
    assert (hundred.low, hundred.high, hundred.worst, hundred.count) == (5, 95, 100, 101)
    assert (hundred.mean, hundred.deviation) == (50, pytest.approx((101 * 102 / 12) ** 0.5))
    assert Spread.of("accuracy", [0.25]).error == 0
    assert Spread.of("inl", [1.0]).deviation == 0
    problem = problem_of(PLAN)
    rows = [{"point": 1, "instance": k, "flips": 0.1 * k, "code_error": 0.0, "inl": 0.0} for k in range(3)]
    (entry,) = summarize(problem.points, problem.metrics, rows)
    assert entry["values"] == problem.points[1].values
    assert entry["metrics"]["flips"].mean == pytest.approx(0.1)


def test_answers_after_every_step_are_refused():
    message = "the readout is 'step', and flips count one answer a recording; sweep other metrics, or"
    with pytest.raises(ValueError, match=message):
        problem_of(PLAN, readout="step")
    assert all_rows(problem_of(PLAN.replace('"flips", ', ""), readout="step"), 1)
