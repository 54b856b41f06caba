# SPDX-License-Identifier: Apache-2.0
"""Sweeps: plans, tasks, results that survive a kill, and the machines that compute them."""

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from crossramp.golden.analog import sampling, technology
from crossramp.golden.analog.calibration import calibrate
from crossramp.golden.analog.convert import DeviceLstm
from crossramp.golden.analog.linearity import calibration_plan
from crossramp.golden.modelfile import load_model, save_model
from crossramp.sim.sweep import execute, store, tasks
from crossramp.sim.sweep.plan import METRICS, PlanError, parse_plan
from crossramp.sim.sweep.problem import Problem
from crossramp.sim.sweep.summary import Spread, summarize

from tests.cli.conftest import small_model
from tests.strategies import inputs_of

PLAN = """
data = "random:6"
instances = 3
seed = 5
metrics = ["flips", "code_error", "inl"]

[axes]
"cell.read_noise" = [0.0, 0.05]
adc_bits = [3, 4]
calibration = ["none", "one-point"]
"""

#: 30 tasks of some hundredths of a second.
_VALUES = [0.001 * k for k in range(30)]
MANY = PLAN.replace("[0.0, 0.05]", str(_VALUES)).replace("[3, 4]", "[4]").replace('["none", "one-point"]', '["none"]')
MANY += '[plot]\nmetric = "flips"\n'


def problem_of(text: str, labels: bool = False) -> Problem:
    model = small_model()
    x = inputs_of(model.spec, 1, batch=6, steps=4)
    known = np.arange(6) % 3 if labels else np.full(6, -1)
    return Problem.of(parse_plan(text, "plan.toml", Path()), model, x, known)


def all_rows(problem: Problem, instances: int) -> list[dict]:
    found = [row for task in tasks.make_tasks(problem, instances) for row in tasks.run_task(problem, task)]
    return sorted(found, key=lambda row: (row["point"], row["instance"]))


# ---- plans -----------------------------------------------------------------------------------------------------------


def test_points_are_the_product_of_the_axes():
    plan = parse_plan(PLAN, "plan.toml", Path())
    assert len(plan.points) == 8
    assert [point.values["calibration"] for point in plan.points[:2]] == ["none", "one-point"]
    assert {point.technology["cell.read_noise"] for point in plan.points} == {0.0, 0.05}
    assert {point.adc_bits for point in plan.points} == {3, 4}
    assert list(plan.device_seeds) == [5, 6, 7]


def test_factors_constants_switches_and_technologies():
    text = """
    data = "demo"
    instances = 1
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
    both = parse_plan('data="demo"\ninstances=1\naxes.technology=["rram","charge"]', "p", Path())
    assert [point.technology.read_mode for point in both.points] == ["current", "charge"]


BAD = {
    "no TOML": ("instances = ", "no TOML"),
    "unknown key": ('data="demo"\ninstances=1\ninstance=2', "'instance' is unknown; did you mean instances"),
    "no data": ("instances = 1", "data is missing"),
    "no instances": ('data = "demo"', "instances is missing"),
    "instances 0": ('data="demo"\ninstances=0', "instances is 0; allowed: 1 to"),
    "instances true": ('data="demo"\ninstances=true', "instances is True; expected a whole number"),
    "seed": ('data="demo"\ninstances=1\nseed=-1', "seed is -1; allowed"),
    "metric": ('data="demo"\ninstances=1\nmetrics=["acuracy"]', "'acuracy' is unknown; did you mean accuracy"),
    "axis": ('data="demo"\ninstances=1\n[axes]\n"cell.readnoise"=[1]', "'cell.readnoise' is unknown; did you mean"),
    "axis no list": ('data="demo"\ninstances=1\n[axes]\nadc_bits=5', "axes.\"adc_bits\" is 5; expected a list"),
    "axis empty": ('data="demo"\ninstances=1\n[axes]\nadc_bits=[]', "expected a list"),
    "axis twice": ('data="demo"\ninstances=1\n[axes]\nadc_bits=[5,5]', "has a value twice"),
    "bits": ('data="demo"\ninstances=1\n[axes]\nadc_bits=[9]', "adc_bits has 9; allowed: 2 to 8"),
    "constant": ('data="demo"\ninstances=1\n[axes]\n"cell.read_noise"=[-1]', "cell.read_noise is -1"),
    "constant NaN": ('data="demo"\ninstances=1\n[axes]\n"cell.read_noise"=[nan]', "cell.read_noise is nan"),
    "constant of the other mode": ('data="demo"\ninstances=1\n[axes]\n"cell.mismatch"=[0.1]', "cell.mismatch"),
    "factor": ('data="demo"\ninstances=1\n[axes]\n"times cell.g_max"=["a"]', "has 'a'; expected factors"),
    "calibration": ('data="demo"\ninstances=1\n[axes]\ncalibration=["two"]', "calibration has 'two'; allowed: none"),
    "switches": ('data="demo"\ninstances=1\n[axes]\nswitches=["only wire"]', "'only wire' is unknown; did you mean"),
    "switch set": ('data="demo"\ninstances=1\n[switches]\na=["wire"]', "'wire' is unknown; did you mean wires"),
    "technology": ('data="demo"\ninstances=1\ntechnology="rramm"', "there is no technology 'rramm'"),
    "technologies": ('data="demo"\ninstances=1\naxes.technology=[3]', "technology has 3"),
    "points": (
        'data="demo"\ninstances=1\n[axes]\n"cell.read_noise"=[' + ",".join(f"{k}e-6" for k in range(400)) + "]\n"
        '"cell.stuck_on"=[' + ",".join(f"{k}e-6" for k in range(400)) + "]",
        "axes make 160000 points",
    ),
    "plot": ('data="demo"\ninstances=1\n[plot]\nx="adc_bits"', "plot.x: 'adc_bits' is unknown"),
    "plot metric": ('data="demo"\ninstances=1\n[plot]\nmetric="dnl"', "plot.metric is 'dnl', which is not among"),
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
        parse_plan('data="demo"\ninstances=1\nseed="a"', "plan.toml", Path())


# ---- tasks -----------------------------------------------------------------------------------------------------------


def test_tasks_cover_each_instance_of_each_point_once(monkeypatch):
    problem = problem_of(PLAN)
    monkeypatch.setattr(tasks, "_INSTANCES_MOST", 3)
    made = tasks.make_tasks(problem, 7)
    covered = [(task["point"], task["first"] + k) for task in made for k in range(task["count"])]
    assert sorted(covered) == [(point, k) for point in range(8) for k in range(7)]
    assert made == json.loads(json.dumps(made))


def test_a_task_is_a_function_of_its_description():
    problem = problem_of(PLAN)
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


def test_metrics_are_those_of_the_instance():
    every = PLAN.replace('["flips", "code_error", "inl"]', json.dumps(list(METRICS)))
    problem = problem_of(every, labels=True)
    for point in (2, 3):  # 4 bits, without and with calibration
        (row,) = tasks.run_task(problem, {"point": point, "first": 2, "count": 1})
        network = problem.network(problem.points[point])
        tech = problem.points[point].technology
        chip = sampling.device(tech, network.spec, network.weights, 7)
        plan = calibration_plan(tech, network.spec, network.weights)
        lstm = DeviceLstm(chip, calibrate(chip, plan).cells if point == 3 else None)
        answers = network.head(lstm.run(problem.codes).h)[0]
        assert row["accuracy"] == (answers == problem.labels).mean()
        assert row["flips"] == (answers != network.answers(problem.codes)).mean()
        assert row["inl"] > 0
        assert set(row) == {"point", "instance", "seed", *METRICS}


def test_an_ideal_chip_errs_nowhere():
    text = PLAN.replace('calibration = ["none", "one-point"]', 'switches = ["none"]')
    for row in all_rows(problem_of(text), 2):
        assert row["flips"] == row["code_error"] == 0


def test_the_same_chip_at_every_point():
    """Constants that an instance does not use leave it the same, noise included."""
    text = PLAN.replace('calibration = ["none", "one-point"]', 'switches = ["only programming"]')
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
    assert Spread.of("inl", [1.0]).deviation == 0
    problem = problem_of(PLAN)
    rows = [{"point": 1, "instance": k, "flips": 0.1 * k, "code_error": 0.0, "inl": 0.0} for k in range(3)]
    (entry,) = summarize(problem.points, problem.metrics, rows)
    assert entry["values"] == problem.points[1].values
    assert entry["metrics"]["flips"].mean == pytest.approx(0.1)


# ---- results ---------------------------------------------------------------------------------------------------------


def opened(folder: Path, text: str = PLAN, **options) -> store.Store:
    plan = parse_plan(text, "plan.toml", Path())
    return store.Store(folder, plan, problem_of(text), "code", **options)


TASK = {"point": 0, "first": 0, "count": 2}
ROWS = [{"point": 0, "instance": k, "seed": 5 + k, "flips": 0.25} for k in range(2)]


def test_results_stay_and_are_counted_once(tmp_path):
    with opened(tmp_path / "a") as held:
        assert not held.done(TASK)
        held.add(TASK, ROWS)
        assert held.done(TASK)
    with opened(tmp_path / "a") as held:
        assert held.done(TASK)
        # Computed again, and cut otherwise: still one row an instance.
        held.add(TASK, ROWS)
        held.add({"point": 0, "first": 1, "count": 1}, ROWS[1:])
        assert held.rows(10) == ROWS
        assert held.rows(1) == ROWS[:1]
    with opened(tmp_path / "a") as held:
        assert held.rows(10) == ROWS
        assert held.damaged == []


def damage(file: Path, how: str) -> None:
    data = file.read_bytes()
    if how == "cut short":
        file.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "changed":
        file.write_bytes(data.replace(b"0.25", b"0.75"))
    elif how == "no object":
        file.write_bytes(b"[1, 2]")
    else:  # whole, but of another sweep
        content = json.loads(data)
        del content["hash"]
        content["sweep"] = "0" * 16
        content["hash"] = store._hash(content)
        file.write_text(json.dumps(content))


@pytest.mark.parametrize("how", ["cut short", "empty", "changed", "no object", "another sweep"])
def test_a_damaged_or_foreign_part_is_told_and_computed_again(how, tmp_path):
    with opened(tmp_path) as held:
        held.add(TASK, ROWS)
        (file,) = held.parts.glob("*.json")
    damage(file, how)
    with opened(tmp_path) as held:
        assert not held.done(TASK)
        ((name, why),) = held.damaged
        assert name == file.name
        assert why in ("is cut short or damaged", "was changed", "belongs to another sweep")
        held.add(TASK, ROWS)
    with opened(tmp_path) as held:
        assert held.damaged == []
        assert held.rows(5) == ROWS


def test_what_was_half_written_is_swept_away(tmp_path):
    with opened(tmp_path) as held:
        (held.parts / ".000000-00000000-2.json.99.tmp").write_bytes(b"{")
    with opened(tmp_path) as held:
        assert list(held.parts.iterdir()) == []


def test_folders_that_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(store.StoreError, match=r"no sweep's \(thesis.tex\)"), opened(tmp_path / "mine"):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(store.StoreError, match="is a file"), opened(tmp_path / "file"):
        pass
    with opened(tmp_path / "a") as held:
        held.add(TASK, ROWS)
        with pytest.raises(store.StoreError, match="another sweep is writing here"), opened(tmp_path / "a"):
            pass
    other = PLAN.replace("0.05", "0.06")
    with pytest.raises(store.StoreError, match=r"with another plan; .*--restart"), opened(tmp_path / "a", other):
        pass
    with opened(tmp_path / "a", other, restart=True) as held:
        assert held.rows(5) == []
    (tmp_path / "a" / "sweep.json").write_text("{")
    with pytest.raises(store.StoreError, match="is damaged"), opened(tmp_path / "a", other):
        pass


@pytest.mark.parametrize("parquet", [True, False])
def test_results_as_a_table(parquet, tmp_path):
    columns = ["point", "instance", "flips"]
    with opened(tmp_path) as held:
        held.write_results(ROWS, columns, not parquet)
        path = held.write_results(ROWS, columns, parquet)
        assert [file.name for file in tmp_path.glob("results.*")] == [path.name]
    if parquet:
        from pyarrow.parquet import read_table

        found = read_table(path).to_pylist()
    else:
        with open(path, newline="") as file:
            found = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert found == [{name: row[name] for name in columns} for row in ROWS]


# ---- who computes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many():
    """A problem of 30 tasks of some hundredths of a second, and its rows."""
    problem = problem_of(MANY)
    return problem, tasks.make_tasks(problem, 2), all_rows(problem, 2)


def collected(results) -> list[dict]:
    """Rows of all tasks in order, each task once."""
    found = list(results)
    named = [json.dumps(task) for task, _ in found]
    assert len(set(named)) == len(named)
    return sorted((row for _, rows in found for row in rows), key=lambda row: (row["point"], row["instance"]))


def test_processes_and_a_worker_killed_midway(many, tmp_path):
    problem, made, expected = many
    file = tmp_path / "problem.npz"
    file.write_bytes(problem.to_bytes())
    before = {child.pid for child in multiprocessing.active_children()}

    def with_murder():
        for number, result in enumerate(execute.run_local(file, made, 2)):
            if number == 5:
                new = [child.pid for child in multiprocessing.active_children() if child.pid not in before]
                os.kill(new[0], signal.SIGKILL)
            yield result

    assert collected(with_murder()) == expected
    assert {child.pid for child in multiprocessing.active_children()} <= before


def test_workers_that_die_again_and_again(many, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "_DEATHS", 2)
    (tmp_path / "problem.npz").write_bytes(b"nonsense")
    with pytest.raises(execute.ExecutionError, match="workers died 2 times in a row"):
        list(execute.run_local(tmp_path / "problem.npz", many[1], 1))


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr(execute, "_CONNECT", 1)
    with pytest.raises(execute.ClusterError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        execute.Cluster("tcp://127.0.0.1:9")


CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        print(cluster.scheduler_address, *(w.pid for w in cluster.workers.values()), flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def cluster(tmp_path):
    """(address, pids of its workers, process) of a Dask cluster in a process of its own."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    process = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    address, *pids = process.stdout.readline().split()
    yield address, [int(pid) for pid in pids], process
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def test_a_cluster_with_a_worker_killed_midway_then_its_scheduler(many, cluster, monkeypatch):
    problem, made, expected = many
    address, workers, process = cluster
    monkeypatch.setattr(execute, "_PATIENCE", 1)
    monkeypatch.setattr(execute, "_CONNECT", 4)
    client = execute.Cluster(address)
    try:
        assert client.threads == 2

        def with_murder():
            for number, result in enumerate(client.run(problem.to_bytes(), made)):
                if number == 5:
                    os.kill(workers[0], signal.SIGKILL)
                yield result

        assert collected(with_murder()) == expected
        done = []

        def until_killed():
            for result in client.run(problem.to_bytes(), made):
                done.append(result)
                if len(done) == 3:
                    process.kill()

        with pytest.raises(execute.ClusterError, match=r"scheduler at tcp://.* is gone; what is done is kept"):
            until_killed()
        assert 3 <= len(done) < len(made)
    finally:
        client.close()


def test_a_worker_of_another_version(many):
    with pytest.raises(RuntimeError, match="another version of crossramp"):
        execute._run_there(many[0].to_bytes(), "0" * 16, many[1][0])


# ---- the whole command, killed ---------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in out.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def test_a_sweep_that_was_killed_goes_on_and_has_the_same_rows(tmp_path):
    save_model(tmp_path / "tiny.npz", small_model())
    (tmp_path / "plan.toml").write_text('model = "tiny.npz"\n' + MANY)
    command = [sys.executable, "-m", "crossramp", "sweep", tmp_path / "plan.toml", "--workers", "2", "--csv", "--json"]
    out = tmp_path / "out"
    process = subprocess.Popen([*command, "-o", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: len(list(out.glob("parts/*.json"))) >= 4)
    orphans = children(process.pid)
    process.kill()
    process.communicate()
    kept = len(list(out.glob("parts/*.json")))
    assert orphans
    assert 4 <= kept < 30
    wait_until(lambda: not any(map(alive, orphans)))  # workers end with the one they work for
    assert not list(out.glob("results.*"))

    again = subprocess.run([*command, "-o", out], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert report["instances"] == 90
    assert report["computed"] == 90 - 3 * kept
    model = load_model(tmp_path / "tiny.npz")
    parsed = parse_plan(MANY, "plan.toml", tmp_path)
    from crossramp.inputs import from_seed

    whole = Problem.of(parsed, model, from_seed(model, 6, 1).codes, np.full(6, -1))
    with open(out / "results.csv", newline="") as file:
        found = list(csv.DictReader(file))
    expected = all_rows(whole, 3)
    assert [(int(row["point"]), int(row["instance"])) for row in found] == [
        (row["point"], row["instance"]) for row in expected
    ]
    for name in ("flips", "code_error", "inl"):
        assert [float(row[name]) for row in found] == [row[name] for row in expected]
