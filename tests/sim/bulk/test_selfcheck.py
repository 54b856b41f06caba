# SPDX-License-Identifier: Apache-2.0
"""The self-checking testbench, run by the commands that its own text names, without Python."""

import os
import re
import subprocess

import pytest
from crossramp.golden.macro.initial_state import State
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.verilog.verilog_writer import to_verilog
from crossramp.sim.bulk.bench_verilog import generated_ports
from crossramp.sim.bulk.bulk_bench import network_verilog
from crossramp.sim.bulk.selfcheck import commands, write_selfcheck
from crossramp.sim.tools.simulators import environment

from tests.sim.bulk.test_bulk_simulation import RULE_FAULTS
from tests.support.designs import network_of, utterances_of

LOGS = ("gates", "state", "output", "h", "logits", "answers")


def write(folder, seed, *, design="odd", head=True, lengths=(3, 1, 2), change_verilog=str):
    """A generated design and its testbench; the folder of the latter."""
    network = network_of(design, 1)
    initial = State(network.weights.initial_register, network.weights.initial_h)
    verilog = network_verilog(network, "kws")[0] if head else to_verilog(Macro(network.spec, initial=initial), "kws")
    (folder / "kws.v").write_text(change_verilog(verilog))
    place = folder / "testbench"
    x = utterances_of(design, seed, lengths)
    ports = generated_ports(network.spec, head=head)
    write_selfcheck(place, network, x, module="kws", ports=ports, verilog="../kws.v")
    return place


def shell(command: str, cwd):
    """Run with nothing of Python in the environment."""
    # Not optimized: Verilator's makefiles take most of the time.
    flags = "OPT_FAST=-O0 OPT_GLOBAL=-O0"
    env = {"PATH": environment()["PATH"], "HOME": os.environ.get("HOME", "/"), "MAKEFLAGS": flags}
    done = subprocess.run(command, shell=True, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def testbench(tmp_path_factory, request):
    place = write(tmp_path_factory.mktemp("selfcheck"), request.config.getoption("--seed"))
    build, _, run = commands("../kws.v")["Icarus Verilog"].partition("\n")
    assert f"{build}\n{run}" in (place / "RUN.md").read_text()
    status, output = shell(build, place)
    assert (status, output) == (0, "")
    return place, run


def test_passes_in_icarus(testbench):
    place, run = testbench
    status, output = shell(run, place)
    assert status == 0
    # 6 steps of 3 beats in four logs, 3 utterances of 3 logits and an answer
    assert output.startswith("PASS: 3 utterances, 84 records compared, 12 conversions"), output


def test_answers_after_every_step(tmp_path, seed):
    place = write(tmp_path, seed, design="text", lengths=(3, 1))
    status, output = shell(commands("../kws.v")["Icarus Verilog"].replace("\n", " && "), place)
    assert status == 0, output
    # 4 steps of 2 beats in four logs, of 9 logits and an answer
    assert output.startswith("PASS: 2 utterances, 72 records compared, 8 conversions"), output


def test_passes_with_pauses(testbench, seed):
    place, run = testbench
    status, output = shell(f"{run} +idle=40 +stall=40 +array_stall=20 +seed={seed}", place)
    assert status == 0
    assert output.startswith("PASS: 3 utterances, 84 records compared"), output


@pytest.mark.parametrize("log", LOGS)
def test_a_wrong_vector_fails(testbench, log):
    place, run = testbench
    path = place / "vectors" / f"{log}.hex"
    good = path.read_text()
    lines = good.splitlines()
    middle = len(lines) // 2
    lines[middle] = f"{int(lines[middle], 16) ^ 1:x}"
    try:
        path.write_text("\n".join(lines) + "\n")
        status, output = shell(run, place)
        assert status != 0
        assert re.search(rf"^bench: {log} record {middle} is \w+, expected \w+$", output, re.MULTILINE), output
        assert "FAIL: 1 records wrong of 84 compared" in output
        # One record more than the hardware makes, and one fewer.
        for text in (good + good.splitlines()[0] + "\n", good[: good.rstrip().rindex("\n") + 1]):
            path.write_text(text)
            status, output = shell(run, place)
            assert status != 0
            assert "FAIL" in output
    finally:
        path.write_text(good)


def test_a_wrong_weight_fails(testbench):
    place, run = testbench
    path = place / "vectors" / "array" / "weights.hex"
    good = path.read_text()
    lines = good.splitlines()
    lines[-1] = "fffffff0"
    try:
        path.write_text("\n".join(lines) + "\n")
        status, output = shell(run, place)
    finally:
        path.write_text(good)
    assert status != 0
    assert "FAIL" in output


def test_nothing_compared_fails(testbench):
    place, run = testbench
    status, output = shell(f"{run} +utterances=0", place)
    assert status != 0
    assert "FAIL" in output


def test_fewer_utterances_than_recorded_fail(testbench):
    place, run = testbench
    status, output = shell(f"{run} +utterances=2", place)
    assert status != 0
    assert re.search(r"^FAIL: 0 records wrong of \d+ compared$", output, re.MULTILINE), output


def test_more_utterances_than_announced_fail(tmp_path, seed):
    """The second one ends soon after the first: every record was compared, and only the count is wrong."""
    place = write(tmp_path, seed, design="tiny", lengths=(1, 1))
    build, _, run = commands("../kws.v")["Icarus Verilog"].partition("\n")
    assert shell(build, place) == (0, "")
    status, output = shell(run, place)
    assert status == 0
    compared = re.match(r"PASS: 2 utterances, (\d+) records", output)[1]
    status, output = shell(f"{run} +utterances=1", place)
    assert status != 0
    assert f"FAIL: 0 records wrong of {compared} compared" in output
    assert "records are missing" not in output


@pytest.mark.parametrize("rule", ["ramp_reset_missing", "state_changes"])
def test_a_broken_rule_fails_where_every_record_is_right(rule, tmp_path, seed):
    place = write(tmp_path, seed, lengths=(2, 1), change_verilog=RULE_FAULTS[rule])
    status, output = shell(commands("../kws.v")["Icarus Verilog"], place)
    assert status != 0
    assert "FAIL: 0 records wrong of 44 compared" in output
    assert re.findall(r"^protocol: (\w+) ", output, re.MULTILINE) == [rule]


def test_dead_hardware_fails(testbench):
    place, run = testbench
    status, output = shell(f"{run} +x=/dev/null +watchdog=500", place)
    assert status != 0
    assert "nothing moved for 501 clocks, 0 of 3 utterances" in output


def test_missing_files_are_named(testbench):
    place, run = testbench
    status, output = shell(f"{run} +array=elsewhere", place)
    assert status != 0
    assert "crossbar: cannot read elsewhere/weights.hex" in output


def test_macro_alone(tmp_path, seed):
    place = write(tmp_path, seed, head=False, lengths=(2, 1))
    status, output = shell(commands("../kws.v")["Icarus Verilog"], place)
    assert status == 0
    assert output.startswith("PASS: 2 utterances, 36 records compared"), output


# tests/cli/commands/test_generated_testbench.py has the quick one.
@pytest.mark.slow
def test_passes_in_verilator(tmp_path, seed):
    place = write(tmp_path, seed, lengths=(2, 1))
    status, output = shell(commands("../kws.v")["Verilator (5.036 or newer)"], place)
    assert status == 0, output[-2000:]
    assert "PASS: 2 utterances, 44 records compared" in output
    path = place / "vectors" / "h.hex"
    path.write_text("0\n" + path.read_text().partition("\n")[2])
    status, output = shell("obj_dir/testbench", place)
    assert status != 0
    assert "FAIL" in output
