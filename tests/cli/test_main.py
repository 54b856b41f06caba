# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: version, help, exit statuses, what becomes of errors."""

import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from crossramp import __main__ as command
from crossramp import info
from crossramp.errors import UserError
from crossramp.golden.modelfile import ModelFileError
from crossramp.golden.specification import SpecificationError

from tests.cli.conftest import is_refusal


@pytest.fixture
def failing(monkeypatch, run):
    """``failing(error)``: the command ``info`` raises it."""

    def fail(error):
        def stop(args):
            raise error

        # info.run is what add_parser registers, and it looks it up by name at call time.
        monkeypatch.setattr(info, "load_model", stop)
        return run("info", "kws")

    return fail


def test_version(run):
    assert run("--version") == (0, f"crossramp {version('crossramp')}\n", "")


def test_module_runs_as_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "crossramp", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"crossramp {version('crossramp')}\n"


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_has_help_with_an_example(run, name):
    status, out, err = run(name, "--help")
    assert (status, err) == (0, "")
    assert f"crossramp {name}" in out.split("example")[1]


def test_usage_errors_exit_2(run):
    for arguments in (
        (),
        ("dance",),
        ("generate", "kws"),
        ("info", "kws", "more"),
        ("simulate", "kws", "a.wav", "--loud"),
        ("simulate", "kws", "--simulator", "x"),
    ):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert "usage: crossramp" in err


@pytest.mark.parametrize("error", [UserError, ModelFileError, SpecificationError])
def test_errors_of_ours_are_one_line(failing, error):
    assert is_refusal(failing(error("7 is too\n   many; give 6")), "7 is too many; give 6")


def test_an_unreadable_file_is_one_line(failing):
    assert is_refusal(failing(PermissionError(13, "Permission denied", "x.npz")), "x.npz: Permission denied")


def test_bugs_keep_their_trace(monkeypatch, run):
    monkeypatch.setattr(info, "load_model", lambda name: np.zeros(3).reshape(2, 2))
    with pytest.raises(ValueError, match="reshape"):
        run("info", "kws")


def test_interrupt(failing):
    assert failing(KeyboardInterrupt()) == (130, "", "crossramp: interrupted\n")


def test_closed_pipe_is_quiet(tmp_path):
    program = f"{sys.executable} -m crossramp ramp sigmoid --bits 8"
    done = subprocess.run(
        ["sh", "-c", f"({program}; echo status $? >&2) | head -n 1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == "status 0\n"
