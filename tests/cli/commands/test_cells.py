# SPDX-License-Identifier: Apache-2.0
"""``generate`` and ``simulate`` of models whose cell is not the LSTM: files that run, and every value equal."""

import json
import subprocess
from pathlib import Path

import pytest
from crossramp.golden.layers.spec_file import load_spec
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.network.model_file import Model, save_model
from crossramp.sim.bulk.selfcheck import commands

from tests.support.designs import CELLS, network_of


@pytest.mark.parametrize("name", CELLS)
def test_generated_and_simulated(run, name):
    network = network_of(name, 1)
    spec = network.spec
    save_model("layer.npz", Model(spec, network.weights, tuple(f"class {k}" for k in range(spec.classes))))
    status, out, err = run("generate", "layer.npz", "-o", "out")
    assert (status, err) == (0, "")
    assert f"module layer, {spec.columns} columns, {spec.clocks_per_step} clocks a step" in out
    assert load_spec("out/specification.toml") == spec
    ports = Path("out/ports.md").read_text()
    for group in step_groups(spec):
        for port in (group.strobe, *map(group.port_of, group.fields)):
            assert f"| `{port}` | output |" in ports
    assert f"| `array_reset` | output | {spec.reset_groups} |" in ports
    assert ("`array_state_pos`" in ports) == bool(spec.state_lines)
    for command in commands("../layer.v")["Icarus Verilog"].split("\n"):
        done = subprocess.run(command, shell=True, cwd="out/testbench", capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("PASS: 3 utterances")
    status, out, _ = run("simulate", "layer.npz", "--random", 2, "--simulator", "icarus", "--json")
    content = json.loads(out)
    assert (status, content["mismatches"], content["violations"]) == (0, 0, [])
    assert content["clocks_per_step"] == spec.clocks_per_step
