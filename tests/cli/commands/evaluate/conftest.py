# SPDX-License-Identifier: Apache-2.0
"""What the tests of ``crossramp evaluate`` share: a model that answers all kinds of things, and recordings."""

import json

import numpy as np
import pytest
from crossramp.golden.network.model_file import save_model
from crossramp.sim.amaranth import amaranth_backend
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.simulation_result import SimulationResult

from tests.cli.conftest import telling_model, write_wav

CHIPS = ("--technology", "rram", "--set", "cell.read_noise=0.2", "--chips", 2, "--jobs", 1)
HARDWARE = ("--rtl", "--simulator", "amaranth")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A model that answers all kinds of things."""
    path = tmp_path_factory.mktemp("model") / "telling.npz"
    save_model(path, telling_model())
    return path


@pytest.fixture
def pretended(monkeypatch):
    """In the simulator's place, the golden model: for what is made of its results."""

    def simulate(network, played, *, array, **_):
        traces = expected_traces(network, played, array)
        (x,) = played.batches
        ends = 50 * np.tile(np.arange(x.shape[1]), (len(x), 1))
        traces = [traces[0].replace(end_clocks=ends)]
        return SimulationResult(traces=traces, spec=network.spec, simulator="amaranth", clocks=0)

    monkeypatch.setattr(amaranth_backend, "simulate_amaranth", simulate)


@pytest.fixture
def recordings(tmp_path, seed):
    """Two of each word, and one of a word that is no class."""
    rng = np.random.default_rng(seed)
    for word in ("yes", "no", "bed"):
        for k in range(1 if word == "bed" else 2):
            write_wav(tmp_path / "audio" / word / f"a{k}_nohash_0.wav", rng.normal(0, 3000, 900 + 100 * k))
    return tmp_path / "audio"


def evaluated(run, *arguments) -> dict:
    status, out, err = run("evaluate", *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)
