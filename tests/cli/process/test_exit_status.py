# SPDX-License-Identifier: Apache-2.0
"""Exit statuses: 1 says that hardware and golden model differ, and nothing else does."""

import ast
import importlib
import os
import re
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from amaranth.back.verilog import YosysError
from crossramp.boards.flow.toolchain import ToolError, ToolMissing
from crossramp.boards.host.exchange import LinkError
from crossramp.cli.commands import demo, info
from crossramp.cli.main import COMMANDS
from crossramp.cli.process import exit_status
from crossramp.cli.process.exit_status import on_one_line
from crossramp.cli.verification import Outcome
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import CrossrampError, ExitStatus, InvalidValue, UserError
from crossramp.golden.network.model_file import ModelFileError
from crossramp.sim.checking.scoreboard import Scoreboard
from crossramp.sim.checking.simulation_result import SimulationResult
from crossramp.sim.montecarlo.execute import ClusterError, ExecutionError
from crossramp.sim.spice.ngspice import SpiceError, SpiceMissing
from crossramp.sim.tools.simulators import HardwareError, SimulationError, SimulatorMissing

import crossramp

EXPECTED = {
    HardwareError: 1,
    UserError: 2,
    InvalidValue: 2,
    ModelFileError: 2,
    SimulatorMissing: 2,
    SpiceMissing: 2,
    ToolMissing: 2,
    LinkError: 2,
    ClusterError: 2,
    SimulationError: 3,
    SpiceError: 3,
    ToolError: 3,
    ExecutionError: 3,
    YosysError: 3,
    BrokenProcessPool: 3,
    MemoryError: 3,
    # Of others, or of Python: nobody foresaw them.
    ValueError: 70,
    RuntimeError: 70,
    AssertionError: 70,
    KeyError: 70,
    RecursionError: 70,
    ImportError: 70,
    OSError: 70,
}

ROOT = Path(__file__).parents[3]


PACKAGES = ("golden", "convert", "rtl", "sim", "boards", "train", "cli")

#: What the hardware does otherwise than the golden model, or against the rules of its interfaces.
DIFFERENCES = {"HardwareError", "MismatchError", "ProtocolError", "StreamError", "WatchdogError"}

#: Where a plain ValueError is raised on purpose: the code checks itself there, and no value of a user's comes so far.
CHECKS_OF_ITSELF = {
    "boards/host/memories.py write",
    "boards/virtual/simulated_board.py __init__",
    "golden/analog/chip/ramp_linearity.py __post_init__",
    "golden/analog/chip/redundancy.py activation_error",
    "golden/analog/chip/redundancy.py choose",
    "golden/analog/conversion/calibration.py counter",
    "golden/analog/conversion/noise.py normals",
    "golden/link/link_protocol.py unpack",
    "rtl/verilog/verilog_writer.py port_table",
    "sim/bulk/interactive.py step",
    "sim/montecarlo/scores.py __post_init__",
    "sim/montecarlo/scores.py of",
    "sim/montecarlo/scores.py wilson",
    "sim/spice/agreement.py report",
    "sim/spice/deck.py __init__",
    "sim/spice/pin_voltages.py conversions",
}

#: What each command needs at least.
LEAST = {
    "generate": "kws -o out",
    "build": "kws --board icebreaker",
    "flash": "build --board icebreaker",
    "run": "kws a.wav --port virtual",
    "replay": "kws --board icebreaker",
    "ramp": "sigmoid",
    "train": "kws data -o model.npz",
    "import": "net.pt2 --calibrate data.npz -o model.npz",
    "evaluate": "kws data",
    "sweep": "plan.toml -o out",
    "linearity": "sigmoid",
    "spice": "kws",
    "technology": "rram",
    "simulate": "kws a.wav",
    "virtual": "kws",
    "info": "kws",
    "prove": "kws",
}


@pytest.fixture
def failing(monkeypatch, run):
    """``failing(error)``: what becomes of a command that raises it."""

    def fail(error):
        def stop(args):
            # As from a library: the frame that raises is none of ours.
            exec(compile("raise error", "library", "exec"), {"__name__": "library", "error": error})

        monkeypatch.setattr(info, "load_model", stop)
        return run("info", "kws")

    return fail


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_statuses(failing, kind, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    status, out, err = failing(kind("it went wrong"))
    assert (status, out) == (EXPECTED[kind], "")
    assert err.startswith("crossramp: ")
    assert "it went wrong" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_with_the_status_of_its_error(name, run, tmp_path, monkeypatch):
    """Also one that comes from a frame of this package: a ValueError is a bug wherever it is raised."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    module = importlib.import_module(f"crossramp.cli.commands.{name}")
    for kind in (HardwareError, InvalidValue, UserError, SimulationError, ValueError, np.linalg.LinAlgError):

        def stop(args, kind=kind):
            exec(compile("raise kind('it went wrong')", "ours", "exec"), {"__name__": module.__name__, "kind": kind})

        monkeypatch.setattr(module, "run", stop)
        status, out, err = run(name, *LEAST.get(name, "").split())
        assert (status, out) == (EXPECTED.get(kind, 70), "")
        assert "it went wrong" in err
        assert err.count("\n") == 1
        assert ("please report it" in err) == (status == 70)


def test_every_error_has_a_status_and_1_is_for_differences_alone():
    for folder in PACKAGES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.stem not in ("__init__", "virtual_amaranth"):  # that one is a program of its own
                importlib.import_module(".".join(["crossramp", *path.relative_to(ROOT).with_suffix("").parts]))
    kinds, open_ones = set(), [Exception]
    while open_ones:
        below = open_ones.pop().__subclasses__()
        open_ones += below
        ours = {kind for kind in below if kind.__module__.startswith("crossramp.")}
        # A private one stays within its module.
        kinds |= {kind for kind in ours if not issubclass(kind, Warning) and not kind.__name__.startswith("_")}
    assert len(kinds) > 30
    assert [kind.__name__ for kind in kinds if not issubclass(kind, CrossrampError)] == []
    named = {
        status: {kind.__name__ for kind in kinds if exit_status.of_error(kind.__new__(kind)) is status}
        for status in ExitStatus
    }
    assert named[ExitStatus.DIFFERENT] == DIFFERENCES
    assert named[ExitStatus.INTERNAL] == {"CrossrampError", "ProofError", "UnexpectedText"}
    assert all(named[status] == set() for status in (ExitStatus.DONE, ExitStatus.BROKEN_PIPE))


def test_plain_value_errors_are_raised_for_bugs_alone():
    """A check of what a user gives raises InvalidValue, or a class below it."""
    found = set()
    for path in (path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            raised = (node.exc for node in ast.walk(function) if isinstance(node, ast.Raise))
            if any(
                "ValueError" in (getattr(one, "id", ""), getattr(getattr(one, "func", None), "id", ""))
                for one in raised
            ):
                found.add(f"{path.relative_to(ROOT).as_posix()} {function.name}")
    assert found == CHECKS_OF_ITSELF


def test_checked_numbers_are_refused():
    with pytest.raises(InvalidValue, match="lanes is 0; allowed: 1 to 8"):
        integer("lanes", 0, 1, 8)


def test_a_bug_is_reported_with_its_traceback(failing, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        np.zeros(3).reshape(2, 2)
    except ValueError as caught:
        error = caught
    status, out, err = failing(error)
    assert (status, out) == (70, "")
    assert "ValueError: cannot reshape array" in err
    assert "please report it" in err
    report = Path(re.search(r"\S+crossramp-error-\S+\.txt", err)[0]).read_text()
    assert "Traceback (most recent call last)" in report
    assert f"crossramp {crossramp.__version__}" in report
    assert "['info', 'kws']" in report
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert "CROSSRAMP_DEBUG=1" in failing(error)[2]
    monkeypatch.setenv("CROSSRAMP_DEBUG", "1")
    assert "Traceback (most recent call last)" in failing(error)[2]


def test_a_refusal_shows_its_traceback_on_request(failing, monkeypatch):
    assert "Traceback" not in failing(UserError("no"))[2]
    monkeypatch.setenv("CROSSRAMP_DEBUG", "1")
    assert "Traceback" in failing(UserError("no"))[2]


def test_statuses_are_documented(run):
    page = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()
    expected = {int(status) for status in ExitStatus} | {129, 130, 143}
    assert {int(status) for status in re.findall(r"^\| (\d+) \|", page, re.M)} == expected
    for text in (run("--help")[1], exit_status.__doc__):
        assert not [status for status in expected if not re.search(rf"\b{status}\b", text)]


def test_doctor_needs_nothing_but_python(tmp_path):
    """It is asked for where something is missing; other commands say so in one line."""
    hidden = tmp_path / "hidden" / "numpy"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError('No module named numpy', name='numpy')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hidden")}
    command = [sys.executable, "-m", "crossramp"]
    done = subprocess.run([*command, "doctor"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([*command, "info", "kws"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "crossramp: the Python package numpy is missing, which this command needs; see crossramp doctor\n"
    )


def test_demo_tells_broken_rules(run, monkeypatch):
    """The hardware differs where it breaks a rule, though every value is equal."""
    for name in ("generate", "draw"):
        monkeypatch.setattr(demo, name, lambda *given, **more: {})

    def simulate(model, utterances, simulator):
        golden, board = model.network.run(utterances.codes), Scoreboard(model.spec)
        board.compare(golden, golden)
        shown = golden.replace(end_clocks=np.zeros(golden.h.shape[:2], int))
        result = SimulationResult([shown], model.spec, simulator, clocks=0, violations=broken)
        return Outcome(result, golden, board, seconds=0.0)

    monkeypatch.setattr(demo, "simulate", simulate)
    broken = ()
    assert run("demo", "--simulator", "amaranth")[0] == 0
    broken = ("hold_too_short",)
    assert run("demo", "--simulator", "amaranth")[0] == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a wrapped\n   sentence \n of three", "a wrapped sentence of three"),
        ("no such file: a\nb.wav", "no such file: a\\nb.wav"),
        ("\x1b[31mred\x1b[0m\tand\r\x9b\u2028end", "\\x1b[31mred\\x1b[0m\\tand\\r\\x9b\\u2028end"),
        ("größer als 3 µS", "größer als 3 µS"),
    ],
)
def test_one_line(text, line):
    assert on_one_line(text) == line
