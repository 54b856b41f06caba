# SPDX-License-Identifier: Apache-2.0
"""What a user's Verilator says to the generated Verilog and to the array models: nothing, with every warning on."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from crossramp.golden.network.model_file import shipped_models
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.rtl.verilog.backend_text import LINT_OFF
from crossramp.rtl.verilog.verilog_writer import to_verilog
from crossramp.sim.array.boundary_verilog import DEVICE_ARRAY, IDEAL_ARRAY, array_source
from crossramp.sim.checking.protocol_verilog import CHECKER, checker_source
from crossramp.sim.tools.simulators import environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.strategies import network_of, seeds, specifications
from tests.support.verilog_texts import DESIGNS, model_text


def lint(folder: Path, text: str, *options: str, name: str = "network.v") -> tuple[int, str]:
    """Exit status and messages of ``verilator --lint-only -Wall`` on a file of that text."""
    (folder / name).write_text(text)
    command = ["verilator", "--lint-only", "-Wall", "--quiet", *options, name]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {name: make() for name, make in DESIGNS.items()}


def test_no_design_has_a_warning(texts, tmp_path):
    for text in texts.values():
        assert lint(tmp_path, text) == (0, "")


# Verilator names the file otherwise than its module, so DECLFILENAME is among these; a bench has a time scale.
@pytest.mark.parametrize("code", LINT_OFF)
def test_every_message_that_is_off_would_come(code, texts, tmp_path):
    text = texts["board"]
    assert text.count(f"/* verilator lint_off {code}") == 1
    scale = "`timescale 1ns / 1ps\nmodule bench;\nendmodule\n"
    changed = re.sub(rf"/\* verilator lint_off {code} *\*/.*\n", "", text) + scale
    status, messages = lint(tmp_path, changed, "--top-module", "crossramp_board")
    assert status != 0
    assert {name[: len(code)] for name in re.findall(r"^%Warning-(\w+)", messages, re.MULTILINE)} == {code}


def test_what_follows_the_file_is_not_affected(texts, tmp_path):
    mine = "module mine(input [3:0] a, output [1:0] b);\n  wire [3:0] c = a;\n  assign b = a;\nendmodule\n"
    status, messages = lint(tmp_path, texts["projected"] + mine, "--top-module", "mine")
    assert status != 0
    assert {"WIDTHTRUNC", "UNUSEDSIGNAL"} <= set(re.findall(r"^%Warning-(\w+)", messages, re.MULTILINE))


@given(specifications(max_units=4, max_inputs=4, max_bits=5), seeds, st.booleans())
@settings(max_examples=3, suppress_health_check=list(HealthCheck))
def test_no_drawn_network_has_a_warning(tmp_path_factory, spec, seed, async_reset):
    text = to_verilog(NetworkTop.of(network_of(spec, seed)), "network", async_reset=async_reset)
    assert lint(tmp_path_factory.getbasetemp(), text) == (0, "")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "kws" else pytest.mark.slow) for name in shipped_models()]
)
def test_no_shipped_model_has_a_warning(name, tmp_path):
    assert lint(tmp_path, model_text(name)) == (0, "")


@pytest.mark.parametrize("name", [IDEAL_ARRAY, DEVICE_ARRAY, CHECKER])
def test_a_user_compiles_the_array_models_and_the_checker(name, tmp_path):
    text = checker_source() if name == CHECKER else array_source(name)
    for options in ((), ("--timing",)):
        assert lint(tmp_path, text, *options, name=name) == (0, "")


# Verilator's warnings come before the compiler, which takes long: usually Make only says what it would do.
COMPILE = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0"


@pytest.mark.parametrize("make", ["n", pytest.param(COMPILE, marks=pytest.mark.slow)], ids=["dry", "compiled"])
def test_cocotb_s_own_runner_builds_it(make, texts, tmp_path, monkeypatch):
    from cocotb_tools.runner import get_runner

    monkeypatch.setenv("MAKEFLAGS", make)
    monkeypatch.setenv("PATH", environment()["PATH"])
    (tmp_path / "network.v").write_text(texts["projected"])
    get_runner("verilator").build(
        sources=[tmp_path / "network.v"], hdl_toplevel="top", build_dir=tmp_path / "build", log_file=tmp_path / "log"
    )
    log = (tmp_path / "log").read_text()
    assert "Vtop" in log
    assert "%" not in log
    assert os.access(tmp_path / "build" / "top", os.X_OK) == (make != "n")
