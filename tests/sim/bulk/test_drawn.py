# SPDX-License-Identifier: Apache-2.0
"""Drawn specifications through the Verilog simulators; many more go through Amaranth's in tests/rtl."""

import subprocess
import sys

import crossramp.sim
import numpy as np
import pytest
from crossramp.golden.macro.initial_state import Played
from crossramp.sim.bulk.bulk_simulation import simulate_bulk
from crossramp.sim.tools.run_options import BuildOptions, Pauses
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.comparison import compared
from tests.support.strategies import ALL_CELLS, INITIALS, inputs_of, network_of, seeds, specifications, starts_of

# A failure is reported as drawn: shrinking would build a model for each try.
drawn = settings(
    deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck), database=None
)


ANY = {"cells": ALL_CELLS, "initials": INITIALS, "any_ramps": True}


def check(spec, seed, percent, simulator, tmp_path):
    network = network_of(spec, seed)
    x = inputs_of(spec, seed, batch=2, steps=min(3, spec.max_steps))
    played = Played([x, x[:1, :1]], starts_of(spec, seed, 3))
    result = simulate_bulk(
        network,
        played,
        simulator,
        pauses=Pauses(percent, percent, percent // 2, seed % 2**31),
        build=BuildOptions(workdir=tmp_path, optimize=False),
    )
    compared(network, played, result).check()
    assert result.violations == ()
    if percent == 0 and np.isfinite(result.clocks_per_step):
        assert result.clocks_per_step == spec.clocks_per_step


@given(
    specifications(max_units=6, max_inputs=5, max_bits=6, **ANY),
    seeds,
    st.sampled_from([0, 30]),
)
@settings(drawn, max_examples=6)
def test_icarus(tmp_path_factory, spec, seed, percent):
    check(spec, seed, percent, "icarus", tmp_path_factory.getbasetemp() / "drawn")


@given(specifications(max_units=9, max_inputs=9, **ANY), seeds, st.sampled_from([0, 30]))
@settings(drawn, max_examples=1)
def test_verilator(tmp_path_factory, spec, seed, percent):
    check(spec, seed, percent, "verilator", tmp_path_factory.getbasetemp() / "drawn")


def test_exports():
    for name in crossramp.sim.__all__:
        assert getattr(crossramp.sim, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = crossramp.sim.nothing


def test_missing_cocotb_is_named(tmp_path):
    """Without cocotb, what does not need it works, and what does says what to install."""
    text = """
import sys
sys.modules["cocotb"] = None
sys.modules["cocotb_tools"] = None
from crossramp.golden.common.installation import how_to_install
from crossramp.sim import ArrayModel, ProtocolChecker, Scoreboard, simulate_bulk
assert "crossramp.sim.cocotb.streams" not in sys.modules
for name in ("MacroBench", "StreamSource", "build_cocotb"):
    try:
        getattr(__import__("crossramp.sim", fromlist=[name]), name)
    except ImportError as error:
        assert str(error) == f"crossramp.sim.{name} needs cocotb: {how_to_install('sim')}", error
    else:
        raise SystemExit(f"{name} came without cocotb")
"""
    subprocess.run([sys.executable, "-c", text], check=True, timeout=600)
