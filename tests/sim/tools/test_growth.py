# SPDX-License-Identifier: Apache-2.0
"""Slow simulations go on, those that hang end: in simulated time."""

import subprocess
from pathlib import Path

import pytest
from crossramp.sim.bulk import bulk_simulation, interactive
from crossramp.sim.tools import growth
from crossramp.sim.tools.run_options import BuildOptions
from crossramp.sim.tools.simulators import SimulationError

from tests.support.designs import SPECS, network_of, utterances_of


class Process:
    """Ends after ``waits`` waits in vain, and writes on every one of them that ``writes`` chooses."""

    killed = False

    def __init__(self, alive: Path, waits, writes):
        self.alive, self.waits, self.writes, self.waited, self.returncode = alive, waits, writes, 0, None

    def wait(self, timeout=None):
        if self.killed or self.waited >= self.waits:
            self.returncode = -9 if self.killed else 0
            return self.returncode
        self.waited += 1
        if self.writes(self.waited):
            with self.alive.open("a") as file:
                file.write(".")
        raise subprocess.TimeoutExpired("bench", timeout)

    def poll(self):
        return self.returncode

    def kill(self):
        self.killed = True


STILL = round(growth.STILL_SECONDS / growth.LOOK_SECONDS)


def watched(tmp_path, monkeypatch, waits, writes):
    process = Process(tmp_path / "alive", waits, writes)
    monkeypatch.setattr(growth.subprocess, "Popen", lambda *_, **__: process)
    looks = []
    arguments = (["bench"], tmp_path, tmp_path / "log", tmp_path / "alive", "the simulation")
    try:
        return process, looks, growth.run_watched(*arguments, meanwhile=lambda: looks.append(1))
    except SimulationError as error:
        return process, looks, str(error)


def test_a_simulation_may_take_hours_while_it_moves(tmp_path, monkeypatch):
    waits = 6 * STILL
    process, looks, status = watched(tmp_path, monkeypatch, waits, lambda wait: wait % (STILL - 2) == 0)
    assert (status, len(looks), process.killed) == (0, waits, False)
    assert growth.STILL_SECONDS >= 300  # what no load makes of 256 clocks


def test_a_simulation_that_hangs_is_ended(tmp_path, monkeypatch):
    """It writes for a while, and no more."""
    process, looks, said = watched(tmp_path, monkeypatch, 10**9, lambda wait: wait < 100)
    assert said == "the simulation made no clock in 600 s"
    assert process.killed
    assert abs(len(looks) - 100 - STILL) < 5


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_the_bench_writes_as_its_clocks_pass(simulator, models, monkeypatch, seed):
    sizes = []
    real = bulk_simulation.read_summary

    def looked(folder, log):
        sizes.append((folder / "alive").stat().st_size)
        return real(folder, log)

    monkeypatch.setattr(bulk_simulation, "read_summary", looked)
    build, batches = BuildOptions(workdir=models, optimize=False), utterances_of("tiny", seed, (9,) * 6)
    result = bulk_simulation.simulate_bulk(network_of("tiny", 1), batches, simulator, build=build)
    assert result.clocks > 512
    assert abs(sizes[0] - result.clocks / 256) <= 1


def test_a_step_may_take_long_and_must_not_hang(models, monkeypatch):
    """Looks that find the file as it was end a session; those that find it grown do not."""
    monkeypatch.setattr(growth, "STILL_SECONDS", 2.5 * growth.LOOK_SECONDS)
    session = interactive.Session(network_of("projected", 1), "icarus", build=BuildOptions(workdir=models))
    session.step([0] * SPECS["projected"].inputs)
    backend = session._backend
    alive = backend.folder / "alive"
    for _ in range(10):
        with alive.open("a") as file:
            file.write(".")
        backend._look("step 1")
    backend._look("step 1")
    backend._look("step 1")
    with pytest.raises(SimulationError, match=r"^icarus: step 1 made no clock in 0\.5 s$"):
        backend._look("step 1")
    assert backend._process.poll() is not None
    assert not backend.folder.exists()
