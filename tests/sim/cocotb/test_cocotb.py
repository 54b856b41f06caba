# SPDX-License-Identifier: Apache-2.0
"""The generated network under cocotb, in both simulators."""

from pathlib import Path

import pytest
from crossramp.golden.layers.tile import arrays_of
from crossramp.sim.bulk.bulk_bench import network_verilog
from crossramp.sim.cocotb.cocotb_runner import CocotbError, build_cocotb

from tests.support.designs import CELLS, network_of
from tests.support.layered import network_of_arrays

TESTS = 11


@pytest.mark.parametrize(
    ("design", "simulator"),
    [("odd", "icarus"), ("odd", "verilator"), *((name, "icarus") for name in ("projected", *CELLS))],
)
def test_network(design, simulator, seed, models, waves, tmp_path):
    verilog, _ = network_verilog(network_of(design, 1))
    build = build_cocotb(simulator, {"network.v": verilog}, "network", waves=waves is not None, folder=models)
    passed = build.run(
        "tests.cocotb.network_tests",
        results=tmp_path / f"network-{design}-{simulator}",
        seed=seed,
        env={"CROSSRAMP_DESIGN": design},
        waves=waves,
    )
    assert passed == TESTS


def test_states_come_through_a_stream(seed, models, tmp_path):
    """And are kept, by half of the utterances."""
    verilog, _ = network_verilog(network_of("streamed", 1))
    build = build_cocotb("icarus", {"network.v": verilog}, "network", folder=models)
    options = {"results": tmp_path / "streamed", "seed": seed, "env": {"CROSSRAMP_DESIGN": "streamed"}}
    assert build.run("tests.cocotb.network_tests", testcase="every_value", **options) == 1


@pytest.mark.parametrize(
    ("design", "simulator"),
    [
        ("two_ways", "icarus"),
        pytest.param("two_ways", "verilator", marks=pytest.mark.slow),
        pytest.param("projected", "icarus", marks=pytest.mark.slow),
        pytest.param("keeping", "icarus", marks=pytest.mark.slow),
        ("tiled", "icarus"),
    ],
)
def test_several_arrays(design, simulator, seed, models, tmp_path):
    """Of several layers, and of one macro in tiles."""
    network = network_of_arrays(design)
    assert len(arrays_of(network.spec)) > 1
    verilog, _ = network_verilog(network)
    build = build_cocotb(simulator, {"network.v": verilog}, "network", folder=models)
    options = {"results": tmp_path / design, "seed": seed, "env": {"CROSSRAMP_DESIGN": design}}
    assert build.run("tests.cocotb.layered_tests", **options) == 6


def test_planted_fault_is_seen(seed, models, tmp_path):
    """A network of other head weights than golden's: only the logits differ, and that is enough."""
    verilog, _ = network_verilog(network_of("odd", 2))
    build = build_cocotb("icarus", {"network.v": verilog}, "network", folder=models)
    with pytest.raises(CocotbError, match="failed: every_value"):
        build.run(
            "tests.cocotb.network_tests",
            results=tmp_path / "fault",
            seed=seed,
            testcase="every_value",
            env={"CROSSRAMP_DESIGN": "odd"},
        )


def test_bench_notices_misbehavior(seed, models, tmp_path):
    """Streams that break their rules and designs that do nothing; the module expects each error."""
    verilog = (Path(__file__).parents[2] / "cocotb" / "misbehavior.v").read_text()
    build = build_cocotb("icarus", {"misbehavior.v": verilog}, "misbehavior", folder=models)
    assert build.run("tests.cocotb.misbehavior_tests", results=tmp_path / "misbehavior", seed=seed) == 7
