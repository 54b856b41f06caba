# SPDX-License-Identifier: Apache-2.0
"""Who computes sweeps: processes and Dask clusters; workers, schedulers and the whole command killed."""

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
from crossramp.golden.modelfile import load_model, save_model
from crossramp.sim.sweep import execute, tasks
from crossramp.sim.sweep.plan import parse_plan
from crossramp.sim.sweep.problem import Problem

from tests.cli.conftest import small_model
from tests.sim.sweeps import MANY, all_rows, problem_of


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


@pytest.mark.parametrize("address", ["foo", "tcp://foo", "xyz://a:1", "tcp://a:b", ""])
def test_an_address_that_is_none(address, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(distributed, "Client", lambda *_, **__: pytest.fail("a client was made"))
    with pytest.raises(execute.ClusterError, match="no Dask scheduler at"):
        execute.Cluster(address)


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
