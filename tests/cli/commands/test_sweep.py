# SPDX-License-Identifier: Apache-2.0
"""crossramp sweep: what it prints and writes, and what it refuses."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from crossramp.cli.commands import sweep
from crossramp.golden.common.installation import how_to_install

from tests.cli.conftest import is_refusal, write_wav
from tests.support.sweeps import STOPPING

PLAN = """
model = "{model}"
data = "{data}"
chips = 2
seed = 3
metrics = ["{metric}", "inl"]
[axes]
"cell.read_noise" = [0.0, 0.1]
"""
PNG = b"\x89PNG"


@pytest.fixture
def plan(tmp_path, model_file):
    """Write a plan: ``plan(data=..., more=...)`` is its path."""

    def make(data="random:4", metric="flips", more="", text=PLAN):
        path = tmp_path / "plan.toml"
        path.write_text(text.format(model=model_file, data=data, metric=metric) + more)
        return path

    return make


def test_rows_pictures_and_a_table(run, plan, tmp_path, monkeypatch):
    status, out, err = run("sweep", plan(), "-o", "out", "--workers", "1")
    assert (status, err) == (0, "")
    lines = [line for line in out.splitlines() if " flips " in line]
    assert len(lines) == 2
    assert "cell.read_noise  metric" in out
    for name in ("flips", "inl"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(PNG)
    from pyarrow.parquet import read_table

    rows = read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert [(row["point"], row["instance"], row["seed"]) for row in rows] == [
        (0, 0, 3),
        (0, 1, 4),
        (1, 0, 3),
        (1, 1, 4),
    ]
    assert [row["cell.read_noise"] for row in rows] == [0.0, 0.0, 0.1, 0.1]
    # All there: told again, not computed again; and more instances go on.
    report = json.loads(run("sweep", plan(), "-o", "out", "--json")[1])
    assert (report["computed"], report["chips"]) == (0, 4)
    report = json.loads(run("sweep", plan(), "-o", "out", "--json", "--chips", "3", "--workers", "1")[1])
    assert report["chips"] == 6
    assert report["points"][1]["metrics"]["inl"]["count"] == 3
    assert report["points"][0]["values"] == {"cell.read_noise": 0.0}
    # By another version of the code: not to be mixed, but to be told.
    monkeypatch.setattr(sweep, "code_version", lambda: "0" * 16)
    assert is_refusal(run("sweep", plan(), "-o", "out"), "holds a sweep with another code", "--restart")
    report = json.loads(run("sweep", plan(), "-o", "out", "--json", "--report")[1])
    assert (report["computed"], report["chips"]) == (0, 4)
    assert is_refusal(run("sweep", plan(), "-o", "new", "--report"), "new: holds no sweep")


def test_recordings_and_archives(run, plan, tmp_path, seed):
    rng = np.random.default_rng(seed)
    for word in ("yes", "no"):
        write_wav(tmp_path / "words" / word / "a.wav", rng.integers(-9000, 9000, 1000))
    arguments = ("sweep", "--workers", "1", "--json", "--csv")
    report = json.loads(run(*arguments, plan("words", "accuracy"), "-o", "a")[1])
    assert report["recordings"] == 2
    assert report["results"].endswith("results.csv")
    codes = rng.integers(-7, 8, (5, 3, 5)).astype(np.int8)
    np.savez(tmp_path / "x.npz", codes=codes, labels=np.array([0, 1, 2, -1, 0]))
    report = json.loads(run(*arguments, plan("x.npz", "accuracy"), "-o", "b")[1])
    found = {entry["metrics"]["accuracy"]["mean"] * 8 for entry in report["points"]}
    assert all(value == int(value) for value in found)  # 4 labeled recordings, 2 instances


def test_the_line_of_the_ideal_array_is_of_labeled_recordings(plan, tmp_path, monkeypatch, seed):
    """Recordings without a label are neither right nor wrong; nor is there one line where the network differs."""
    from crossramp.golden.network.model_file import load_model
    from crossramp.sim.montecarlo.plan import load_plan
    from crossramp.sim.montecarlo.problem import Problem

    made = load_plan(plan(metric="accuracy"))
    model = load_model(made.path(made.model))
    codes = np.random.default_rng(seed).integers(-7, 8, (40, 3, 5))
    answers = model.network.run(codes).answers
    labels = np.where(np.arange(40) < 10, answers, (answers + 1) % 3)  # the first ten are right
    labels[5:30] = -1
    problem = Problem.of(made, model, codes, labels)
    assert sweep._ideal(problem, "accuracy") == pytest.approx(5 / 15)
    assert sweep._ideal(problem, "inl") is None
    both = load_plan(plan(metric="accuracy", more="adc_bits = [3, 4]\n"))
    assert sweep._ideal(Problem.of(both, model, codes, labels), "accuracy") is None


def test_dry_run_writes_nothing(run, plan, tmp_path):
    content = json.loads(run("sweep", plan(), "--dry-run", "--json", "-o", "out")[1])
    assert (content["points"], content["chips"], content["tasks"], content["tasks done"]) == (2, 4, 2, 0)
    assert content["estimated_seconds"] >= 0
    assert not (tmp_path / "out").exists()


def test_a_plan_that_takes_long_is_asked_for_twice(run, plan, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "_LIMIT", 0.0)
    assert is_refusal(run("sweep", plan(), "-o", "out"), "this takes about", "4 chips x 4 recordings", "--yes")
    assert not (tmp_path / "out").exists()
    assert run("sweep", plan(), "-o", "out", "--workers", "1", "--yes")[0] == 0


def test_the_estimate_is_processor_time_shared_by_the_workers(run, plan, monkeypatch):
    """Two seconds of processor time an instance, in however long: 2 points, 8 tasks of 3 instances."""
    from crossramp.sim.montecarlo import tasks

    clock = {"processor": 0.0, "wall": 0.0}

    def task(problem, task):
        clock["processor"] += 2.0 * task["count"]
        clock["wall"] += 1000.0

    monkeypatch.setattr(sweep, "run_task", task)
    monkeypatch.setattr(sweep.time, "process_time", lambda: clock["processor"])
    monkeypatch.setattr(sweep.time, "perf_counter", lambda: clock["wall"])
    monkeypatch.setattr(tasks, "_INSTANCES_MOST", 3)
    arguments = ("sweep", plan(), "--dry-run", "--json", "--chips", "12", "--workers")
    for workers, share in ((1, 1), (4, 4), (8, 8), (100, 8)):  # more workers than tasks do not help
        content = json.loads(run(*arguments, workers)[1])
        assert (content["tasks"], content["chips"]) == (8, 24)
        assert content["estimated_seconds"] == pytest.approx(2.0 * 24 / share)


def test_a_task_that_gives_no_rows_is_an_error(run, plan, tmp_path, monkeypatch):
    real = sweep.run_local

    def less(*arguments):
        results = real(*arguments)
        next(results)
        yield from results

    monkeypatch.setattr(sweep, "run_local", less)
    status, out, err = run("sweep", plan(), "-o", "out", "--workers", "1")
    assert status != 0
    assert out == ""
    assert "1 of 2 tasks ended without their results; run again" in err
    monkeypatch.setattr(sweep, "run_local", lambda *arguments: ((task, []) for task, _ in real(*arguments)))
    status, out, err = run("sweep", plan(), "-o", "new", "--workers", "1")
    assert (status, out) == (2, "")
    assert "came back as 0 rows" in err


def test_what_is_refused(run, plan, tmp_path, model_file):
    good = plan()
    assert is_refusal(run("sweep", good), "-o DIR")
    assert is_refusal(run("sweep", tmp_path / "none.toml", "-o", "out"), "none.toml: cannot be read")
    assert is_refusal(run("sweep", good, "-o", "out", "--workers", "0"), "--workers is 0")
    assert is_refusal(run("sweep", good, "-o", "out", "--chips", "0"), "--chips is 0")
    assert is_refusal(run("sweep", good, "-o", good), "is a file")
    assert is_refusal(run("sweep", plan(metric="accuracy"), "-o", "out"), "no recording has a label", "flips")
    assert is_refusal(run("sweep", plan("random:x"), "-o", "out"), "random:x", "random:N")
    assert is_refusal(run("sweep", plan("nowhere"), "-o", "out"), "nowhere", "no such file or folder")
    assert is_refusal(run("sweep", plan(more='"cell.stuck_on" = [2.0]'), "-o", "out"), "cell.stuck_on is 2")
    np.savez(tmp_path / "bad.npz", codes=np.zeros((2, 3, 4), int), labels=np.zeros(2, int))
    assert is_refusal(run("sweep", plan("bad.npz"), "-o", "out"), "codes have the shape (2, 3, 4)")
    np.savez(tmp_path / "bad.npz", codes=np.zeros((2, 3, 5), int), labels=np.full(2, 3))
    assert is_refusal(run("sweep", plan("bad.npz"), "-o", "out"), "labels reach from 3 to 3")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no")
    assert is_refusal(run("sweep", plan("bad.npz"), "-o", "out"), "expected a .npz file with two arrays")
    assert not (tmp_path / "out").exists()


def test_without_dask_it_says_what_to_install(run, plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused = run("sweep", plan(), "-o", "out", "--dask", "tcp://127.0.0.1:9")
    assert is_refusal(refused, how_to_install("sweep"))


def test_without_pyarrow_results_are_csv(run, plan, tmp_path, monkeypatch):
    found = sweep.importlib.util.find_spec
    monkeypatch.setattr(
        sweep.importlib.util, "find_spec", lambda name, *more: None if name == "pyarrow" else found(name, *more)
    )
    assert run("sweep", plan(), "-o", "out", "--workers", "1")[0] == 0
    assert (tmp_path / "out" / "results.csv").is_file()


def test_ctrl_c_says_what_is_done_and_keeps_it(plan, tmp_path):
    path = plan(more='"cell.stuck_on" = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]\n[plot]\nmetric = "flips"\n')
    command = [sys.executable, "-c", STOPPING.format(stop_after=1)]
    command += ["sweep", path, "-o", tmp_path / "out", "--workers", "1"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(command, **pipes, text=True)
    assert process.stdout.readline() == "stopped\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["crossramp", "crossramp"]
    assert "crossramp: 0 of 12 tasks are done; the same command goes on" in err
    assert len(list((tmp_path / "out").glob("parts/*.json"))) == 1


AXES = {
    "none": "",
    "one": "adc_bits = [3, 4]",
    "names": 'calibration = ["nominal", "found"]',
    "two": 'adc_bits = [3, 4]\ncalibration = ["nominal", "found"]',
    "four": 'adc_bits = [3]\n"cell.read_noise" = [0, 1e-4, 1e-2]\n"cell.stuck_on" = [0, 0.1]\nswitches = ["all"]',
}


@pytest.mark.parametrize("axes", AXES)
def test_pictures_of_any_number_of_axes(axes, tmp_path):
    """Drawn from made-up rows: what matters here is that each layout is drawn."""
    from crossramp.cli.plots.sweep_plot import plot_sweep
    from crossramp.sim.montecarlo.plan import parse_plan
    from crossramp.sim.montecarlo.summary import summarize

    made = parse_plan(f'data="demo"\nchips=3\nmetrics=["flips"]\n[axes]\n{AXES[axes]}', "plan", tmp_path)
    rows = [{"point": p, "instance": k, "flips": 0.1 * k} for p in range(len(made.points)) for k in range(3)]
    summary = summarize(made.points, made.metrics, rows)
    plot_sweep(tmp_path / "x.png", made, "flips", summary, rows, "title", 0.1)
    assert (tmp_path / "x.png").read_bytes().startswith(PNG)


def test_more_panels_than_a_picture_holds_are_none(run, plan):
    more = 'adc_bits = [2, 3]\n"cell.stuck_on" = [0.0, 0.1, 0.2, 0.3]\n"cell.stuck_off" = [0.0, 0.1, 0.2, 0.3]\n'
    status, out, _ = run("sweep", plan(more=more), "-o", "out", "--chips", "1", "--workers", "1", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["pictures"] == []
    assert "16 panels" in report["no_pictures"]
