# SPDX-License-Identifier: Apache-2.0
"""What the simulator tests share: the folder that models are built in, and where waves go."""

from pathlib import Path

import numpy as np
import pytest
from crossramp.sim.bulk import bulk_bench

_verilog = {}


@pytest.fixture(autouse=True)
def _verilog_is_written_once(monkeypatch):
    """Of equal networks: Amaranth and its yosys take longer than most of the simulations."""

    def network_verilog(network):
        arrays = network.weights.arrays()  # those of the macros are in the arrays, not in the hardware
        inside = [name for name in arrays if name.rpartition(".")[2] not in ("weights", "line_weights")]
        key = (network.spec.hardware_hash, *(np.asarray(arrays[name]).tobytes() for name in inside))
        if key not in _verilog:
            _verilog[key] = original(network)
        return _verilog[key]

    original = bulk_bench.network_verilog
    monkeypatch.setattr(bulk_bench, "network_verilog", network_verilog)


@pytest.fixture(scope="session")
def models(pytestconfig) -> Path:
    """The cache of built models: kept between sessions, named by content."""
    return pytestconfig.rootpath / "build" / "simulation"


@pytest.fixture
def waves(pytestconfig) -> Path | None:
    """The folder that ``--waves`` names, or None."""
    folder = pytestconfig.getoption("--waves")
    return None if folder is None else (pytestconfig.rootpath / folder)
