# SPDX-License-Identifier: Apache-2.0
"""Who computes sweeps: processes and Dask clusters; workers, schedulers and the whole command killed."""

import csv
import json
import math
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.golden.network.model_file import load_model, save_model
from crossramp.sim.montecarlo import execute, tasks
from crossramp.sim.montecarlo.plan import parse_plan
from crossramp.sim.montecarlo.problem import Problem

from tests.cli.conftest import small_model
from tests.support.sweeps import MANY, STOPPING, all_rows, problem_of


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


def test_processes_and_workers_killed_midway(many, tmp_path, monkeypatch):
    """Two deaths in a row would end the sweep; those with results in between do not."""
    monkeypatch.setattr(execute, "_DEATHS", 2)
    problem, made, expected = many
    file = tmp_path / "problem.npz"
    file.write_bytes(problem.to_bytes())
    before = {child.pid for child in multiprocessing.active_children()}

    def with_murder():
        for number, result in enumerate(execute.run_local(file, made, 2)):
            if number in (3, 9):
                new = [child.pid for child in multiprocessing.active_children() if child.pid not in before]
                os.kill(new[0], signal.SIGKILL)
            yield result

    try:
        found = collected(with_murder())
    except execute.ExecutionError as error:
        pytest.fail(f"given up after single deaths: {error}")
    assert found == expected
    assert {child.pid for child in multiprocessing.active_children()} <= before


def test_workers_that_die_again_and_again(many, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "_DEATHS", 2)
    (tmp_path / "problem.npz").write_bytes(b"nonsense")
    with pytest.raises(execute.ExecutionError, match="workers died 2 times in a row"):
        list(execute.run_local(tmp_path / "problem.npz", many[1], 1))


# ---- Dask ------------------------------------------------------------------------------------------------------------


def test_no_scheduler_there(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(execute, "_KNOCKS", 2)
    monkeypatch.setattr(execute, "_KNOCK", 0.0)
    with pytest.raises(execute.ClusterError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        execute.Cluster("tcp://127.0.0.1:9")


@pytest.mark.parametrize("address", ["foo", "tcp://foo", "xyz://a:1", "tcp://a:b", ""])
def test_an_address_that_is_none(address, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(distributed, "Client", lambda *_, **__: pytest.fail("a client was made"))
    with pytest.raises(execute.ClusterError, match="no Dask scheduler at"):
        execute.Cluster(address)


def test_somebody_who_listens_and_says_nothing(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(execute, "_ASK", 0.05)
    monkeypatch.setattr(execute, "_SILENT", 2)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(execute.ClusterError, match=r"no Dask scheduler at .* has said nothing for 0\.1 s"):
            execute.Cluster(f"tcp://127.0.0.1:{mute.getsockname()[1]}")


class Scripted(execute.Cluster):
    """A cluster whose futures end as ``script`` says, task by task, and else at once with their rows.

    ``script`` maps a task's point to what happens to it, in order: "late" (an answer that does not come in time),
    "broken" (the connection breaks), "lost" (the scheduler forgets the task).  ``silent``: questions for a sign of life
    that stay without an answer.
    """

    def __init__(self, rows, script, silent=0):
        self.address, self._place = "tcp://scripted:1", None
        self.rows, self.script, self.silent = rows, {point: list(todo) for point, todo in script.items()}, silent
        self.times, self.heard, self.shares = [], 0, 0
        self._client = self
        self.scheduler, self.status = SimpleNamespace(ncores=None), "running"

    def submit(self, function, *arguments, **_):
        if function is bytes:
            self.shares += 1
            return SimpleNamespace(release=lambda: None, status="pending")
        return ScriptedFuture(self, arguments[-1])

    def sync(self, *_, callback_timeout, **__):
        if self.silent:
            self.silent -= 1
            raise TimeoutError
        self.heard += 1
        return {"tcp://worker:1": 2}

    def _ended(self, running):
        return list(running)[:1]


class ScriptedFuture:
    def __init__(self, cluster, task):
        self.cluster, self.task = cluster, task
        self.todo = cluster.script.get(task["point"], [])
        self.status = "cancelled" if self.todo[:1] == ["lost"] and self.todo.pop(0) else "finished"

    def result(self, timeout):
        self.cluster.times.append(timeout)
        what = self.todo.pop(0) if self.todo else "answered"
        if what == "late":
            raise TimeoutError
        if what == "broken":
            raise ConnectionResetError
        return [row for row in self.cluster.rows if row["point"] == self.task["point"]]

    def release(self):
        pass


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(execute, "_KNOCK", 0.0)


def test_a_late_answer_is_asked_for_again_while_the_scheduler_lives(many, at_once):
    problem, made, expected = many
    cluster = Scripted(expected, {3: ["late"] * 40, 4: ["late"]}, silent=execute._SILENT - 1)
    assert collected(cluster.run(problem.to_bytes(), made)) == expected
    assert cluster.heard > 40
    # With more and more time, or a large answer of a slow machine would never come.
    assert cluster.times[3:8] == [execute._ASK * 2**k for k in range(5)]


@pytest.mark.parametrize("how", ["broken", "lost"])
def test_tasks_that_a_living_scheduler_loses_are_given_again(many, at_once, how):
    problem, made, expected = many
    cluster = Scripted(expected, {0: [how], 7: [how] * execute._LOSSES})
    try:
        found = collected(cluster.run(problem.to_bytes(), made))
    except execute.ClusterError as error:
        pytest.fail(f"given up too soon: {error}")
    assert found == expected
    assert cluster.shares == 2 + execute._LOSSES  # the problem was lost as well
    cluster = Scripted(expected, {7: [how] * (execute._LOSSES + 1)})
    with pytest.raises(execute.ClusterError, match=r"tcp://scripted:1 lost its tasks 6 times in a row; .* run again"):
        list(cluster.run(problem.to_bytes(), made[7:8]))


def test_a_scheduler_that_stays_silent_is_given_up_in_the_end(many, at_once):
    problem, made, expected = many
    cluster = Scripted(expected, {2: ["late"]})
    results = cluster.run(problem.to_bytes(), made)
    assert [next(results)[0]["point"] for _ in range(2)] == [0, 1]
    cluster.silent = math.inf
    with pytest.raises(execute.ClusterError, match=r"has not answered 30 times in a row; what is done is kept"):
        next(results)
    assert execute._ASK * execute._SILENT >= 300  # minutes, not seconds


def test_a_worker_that_cannot_compute():
    cluster = Scripted([], {})
    future = SimpleNamespace(status="error", exception=lambda timeout: RuntimeError("no numpy"))
    with pytest.raises(execute.ClusterError, match="tcp://scripted:1 cannot compute: RuntimeError: no numpy"):
        cluster._rows(future)


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
        process.wait(600)
    except subprocess.TimeoutExpired:
        process.kill()


def test_a_cluster_with_worker_and_scheduler_stopped_and_killed(many, cluster, monkeypatch):
    problem, made, expected = many
    address, workers, process = cluster
    client = execute.Cluster(address)
    monkeypatch.setattr(execute, "_ASK", 0.1)
    monkeypatch.setattr(execute, "_KNOCK", 0.0)
    knocks = []
    knock = execute.Cluster._knock

    def knocking(self):
        knocks.append(1)
        if len(knocks) == 5:
            process.send_signal(signal.SIGCONT)
        knock(self)

    monkeypatch.setattr(execute.Cluster, "_knock", knocking)
    try:
        assert client.threads == 2

        def with_murder():
            for number, result in enumerate(client.run(problem.to_bytes(), made)):
                if number == 5:
                    os.kill(workers[0], signal.SIGKILL)
                yield result

        # Whatever may have been late so far on this machine.
        monkeypatch.setattr(execute, "_SILENT", 10**6)
        assert collected(with_murder()) == expected

        def with_a_stop():
            for number, result in enumerate(client.run(problem.to_bytes(), made)):
                if number == 2:
                    knocks.clear()
                    process.send_signal(signal.SIGSTOP)  # until it was asked in vain five times
                yield result

        assert collected(with_a_stop()) == expected
        assert len(knocks) >= 5

        done = []

        def until_killed():
            for result in client.run(problem.to_bytes(), made):
                done.append(result)
                if len(done) == 3:
                    process.kill()
                    process.wait()

        with pytest.raises(execute.ClusterError, match=r"scheduler at tcp://.* is gone; what is done is kept"):
            until_killed()
        assert 3 <= len(done) <= len(made)
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


def wait_until(condition, seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def test_a_sweep_that_was_killed_goes_on_and_has_the_same_rows(tmp_path):
    save_model(tmp_path / "tiny.npz", small_model())
    (tmp_path / "plan.toml").write_text('model = "tiny.npz"\n' + MANY)
    out = tmp_path / "out"
    arguments = ["sweep", tmp_path / "plan.toml", "--workers", "2", "--csv", "--json", "-o", out]
    stopping = [sys.executable, "-c", STOPPING.format(stop_after=4), *arguments]
    process = subprocess.Popen(stopping, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"stopped\n"
    orphans = children(process.pid)
    process.kill()
    process.communicate()
    kept = len(list(out.glob("parts/*.json")))
    assert orphans
    assert kept == 4
    wait_until(lambda: not any(map(alive, orphans)))  # workers end with the one they work for
    assert not list(out.glob("results.*"))

    again = subprocess.run([sys.executable, "-m", "crossramp", *arguments], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert report["chips"] == 90
    assert report["computed"] == 90 - 3 * kept
    model = load_model(tmp_path / "tiny.npz")
    parsed = parse_plan(MANY, "plan.toml", tmp_path)
    from crossramp.cli.inputs.network_inputs import from_seed

    whole = Problem.of(parsed, model, from_seed(model, 6, 1).codes, np.full(6, -1))
    with open(out / "results.csv", newline="") as file:
        found = list(csv.DictReader(file))
    expected = all_rows(whole, 3)
    assert [(int(row["point"]), int(row["instance"])) for row in found] == [
        (row["point"], row["instance"]) for row in expected
    ]
    for name in ("flips", "code_error", "inl"):
        assert [float(row[name]) for row in found] == [row[name] for row in expected]
