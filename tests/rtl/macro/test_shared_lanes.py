# SPDX-License-Identifier: Apache-2.0
"""Updates of many lanes in generated Verilog: one module for all of them, and the same answers."""

import pytest
from crossramp.golden.macro.initial_state import Played
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro import update
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.rtl.verilog.verilog_writer import to_verilog
from crossramp.sim.bulk.bulk_simulation import simulate_bulk
from crossramp.sim.checking.scoreboard import MismatchError
from crossramp.sim.tools.run_options import BuildOptions
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.comparison import compared
from tests.support.strategies import ALL_CELLS, INITIALS, inputs_of, network_of, seeds, specifications, starts_of

SPEC = Specification(inputs=3, units=5, classes=2, lanes=3, adc_bits=3, input_bits=3)


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(update, "SHARED_FROM", 2)


def check(spec, seed, **build):
    network = network_of(spec, seed)
    played = Played([inputs_of(spec, seed, steps=min(3, spec.max_steps))], starts_of(spec, seed, 2))
    result = simulate_bulk(network, played, "icarus", build=BuildOptions(optimize=False, **build))
    compared(network, played, result).check()


@given(specifications(max_units=6, max_bits=5, cells=ALL_CELLS, initials=INITIALS, any_ramps=True), seeds)
@settings(
    max_examples=3, phases=(Phase.explicit, Phase.generate), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_drawn_networks(spec, seed):
    check(spec.replace(lanes=spec.units), seed)


@pytest.mark.parametrize("async_reset", [False, True])
def test_one_module_for_all_lanes(seed, async_reset):
    text = to_verilog(NetworkTop.of(network_of(SPEC, seed)), "network", async_reset=async_reset)
    assert text.count("module network_lane_0(") == 1
    assert text.count("  network_lane_0 lane_") == SPEC.lanes


def test_few_lanes_are_written_out(seed, monkeypatch):
    monkeypatch.undo()
    assert "lane_0 (" not in to_verilog(NetworkTop.of(network_of(SPEC, seed)), "network")


def test_a_wrong_connection_is_seen(seed):
    def crossed(text):
        assert text.count(".code_o(code_o[5:3])") == 1
        return text.replace(".code_o(code_o[5:3])", ".code_o(code_o[2:0])")

    with pytest.raises(MismatchError, match="utterance 0, h, step"):
        check(SPEC, seed, change_verilog=crossed)
