# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: version, help, exit statuses, what becomes of errors."""

import io
import logging
import os
import subprocess
import sys
import tomllib
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest
from amaranth.back.verilog import YosysError
from crossramp.cli import main as command
from crossramp.cli.commands import info
from crossramp.cli.output import messages
from crossramp.cli.output.messages import Progress
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.model_file import ModelFileError
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.state_scale import SpecificationWarning

import crossramp
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


@pytest.mark.parametrize("words", ["info kws", "simulate kws a.wav", "train text a.txt -o m.npz", "ramp sigmoid"])
def test_an_unknown_option_shows_the_usage_of_its_command(run, words):
    status, out, err = run(*words.split(), "--loud")
    name = " ".join(words.split()[: 2 if words.startswith("train") else 1])
    assert (status, out) == (2, "")
    assert err.startswith(f"usage: crossramp {name} ")
    assert err.endswith(f"crossramp {name}: error: unrecognized arguments: --loud\n")


def test_version_of_the_package(tmp_path):
    """That of the tree; elsewhere that of the installation, or none."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert crossramp.__version__ == project["version"]
    package = tmp_path / "site" / "crossramp"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(Path(crossramp.__file__).read_text())
    command = [sys.executable, "-S", "-c", "import crossramp; print(crossramp.__version__)"]
    for installed in (None, "4.5.6"):
        if installed is not None:
            about = tmp_path / "site" / "crossramp-4.5.6.dist-info"
            about.mkdir()
            (about / "METADATA").write_text("Metadata-Version: 2.1\nName: crossramp\nVersion: 4.5.6\n")
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == f"{installed or 'unknown'}\n"


@pytest.mark.parametrize("error", [UserError, ModelFileError, SpecificationError])
def test_errors_of_ours_are_one_line(failing, error):
    assert is_refusal(failing(error("7 is too\n   many; give 6")), "7 is too many; give 6")


def test_an_unreadable_file_is_one_line(failing):
    assert is_refusal(failing(PermissionError(13, "Permission denied", "x.npz")), "x.npz: Permission denied")


def test_yosys_that_fails_is_one_line(failing):
    text = "Traceback (most recent call last):\n  File x\nWasmtimeError: no cache\n\nCaused by:\n    no room\n"
    what = "yosys, which writes the Verilog, failed: "
    for given, told in ((text, "WasmtimeError: no cache"), ("", "no reason given")):
        assert failing(YosysError(given)) == (3, "", f"crossramp: {what}{told}; see crossramp doctor\n")


def test_without_a_home(tmp_path):
    """Nor a cache, which Amaranth's yosys insists on: a command that has one to itself, gone after the run."""
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    program = (
        "import os, sys; from crossramp.cli import main as command; from crossramp.cli.commands import generate; "
        "generate.run = lambda args: print(os.path.isdir(os.environ['XDG_CACHE_HOME']), os.environ['XDG_CACHE_HOME']); "
        "command.main(['generate', 'kws', '-o', 'out'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    environment |= {"HOME": str(tmp_path / "file" / "home"), "TMPDIR": str(tmp_path / "temporary")}
    for more in ({}, {"XDG_CACHE_HOME": str(tmp_path / "file")}, {"XDG_CACHE_HOME": "relative"}):
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment | more, capture_output=True, text=True
        )
        assert done.stdout.startswith(f"True {tmp_path / 'temporary' / 'crossramp-cache-'}"), done.stderr
        assert not any((tmp_path / "temporary").iterdir())


def test_interrupt(failing):
    assert failing(KeyboardInterrupt()) == (130, "", "crossramp: interrupted\n")


def test_closed_pipe_is_quiet(tmp_path):
    program = f"{sys.executable} -m crossramp ramp sigmoid --bits 8"
    done = subprocess.run(
        ["sh", "-c", f"({program}; echo status $? >&2) | head -n 1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.count("\n") == 1
    # 0 where all of it went into the pipe before head was done.
    assert done.stderr in ("status 0\n", "status 141\n")


#: Output is written at the end, as it is where PYTHONUNBUFFERED does not say otherwise.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize("found", [0, 1])
def test_a_broken_pipe_hides_no_difference(tmp_path, found):
    program = (
        "import sys; from crossramp.cli import main as command; from crossramp.cli.commands import info; "
        f"info.run = lambda args: print('x') or {found}; sys.exit(command.main(['info', 'kws']))"
    )
    read, write = os.pipe()
    os.close(read)
    for environment, status in ((BUFFERED, found or 141), (BUFFERED | {"PYTHONUNBUFFERED": "1"}, 141)):
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, stdout=write, stderr=subprocess.PIPE
        )
        assert (done.returncode, done.stderr) == (status, b"")
    os.close(write)


STREAMS = {
    "no stdout": ("ramp sigmoid >&-", 0, ""),
    "no stderr": ("ramp nothing 2>&-", 2, ""),
    "neither": ("ramp sigmoid >&- 2>&-", 0, ""),
    "full stdout": ("ramp sigmoid >/dev/full", 2, "crossramp: the output cannot be written: No space left on device\n"),
    "full, version": ("--version >/dev/full", 2, "crossramp: the output cannot be written: No space left on device\n"),
    "full stderr": ("ramp nothing 2>/dev/full", 2, ""),
}


@pytest.mark.parametrize(("words", "status", "err"), STREAMS.values(), ids=STREAMS)
def test_streams_that_cannot_be_written(tmp_path, words, status, err):
    line = f"{sys.executable} -m crossramp {words}"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=BUFFERED, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", err)


def test_progress_without_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    progress = Progress()
    progress.show("1 of 2")
    progress.stage("building, 1 s")
    progress.clear()


# ---- what is imported ------------------------------------------------------------------------------------------------


def imported_by(*words: str) -> set[str]:
    """The modules that a command line imports, which must end with status 0."""
    program = (
        "import sys; from crossramp.cli.main import main; status = main(sys.argv[1:]); "
        "print('\\n'.join(sys.modules), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines())


def test_the_help_and_doctor_need_neither_numpy_nor_amaranth():
    for words in (["--help"], ["--version"], ["doctor", "--json"], ["doctor", "--help"]):
        modules = imported_by(*words)
        assert "crossramp.cli.main" in modules
        assert not modules & {"numpy", "amaranth", "matplotlib", "torch"}, words
    assert "numpy" in imported_by("info", "kws")


@pytest.mark.parametrize("name", ["info", "simulate", "cache"])
def test_the_help_of_a_command_imports_that_one_alone(name):
    commands = {module.rpartition(".")[2] for module in imported_by(name, "--help") if ".cli.commands." in module}
    allowed = {"simulate": {"simulate", "generate", "info"}}.get(name, {name})
    assert name in commands
    assert commands <= allowed


# ---- messages --------------------------------------------------------------------------------------------------------


def test_how_much_is_said(failing, monkeypatch, run, model_file, tmp_path, capsys):
    """Information with -v alone; notices unless -q; warnings always."""

    def say(name):
        logging.getLogger("crossramp.sim.somewhere").info("built in\n  there")
        messages.notice("left out: a\nb.wav")
        warnings.warn("seldom\n   right", SpecificationWarning, stacklevel=1)
        warnings.warn("seldom\n   right", SpecificationWarning, stacklevel=1)
        progress = Progress()
        progress.stage("building, 1 s")
        raise UserError("no")

    monkeypatch.setattr(info, "load_model", say)
    lines = {
        "built": "crossramp: built in there\n",
        "left": "crossramp: left out: a\\nb.wav\n",
        "warning": "crossramp: warning: seldom right\n",
        "stage": "building\n",
        "error": "crossramp: no\n",
    }
    for option, wanted in ((None, "left warning stage error"), ("-v", " ".join(lines)), ("-q", "warning error")):
        status, out, err = run("info", "kws", *([option] if option else []))
        assert (status, out) == (2, "")
        assert err == "".join(lines[name] for name in wanted.split())
    assert logging.getLogger("crossramp").handlers == []


def test_a_message_wipes_the_progress_line(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with messages.shown():
        progress = Progress()
        progress.show("1 of 2")
        messages.notice("left out: x")
        progress.show("2 of 2")
        progress.clear()
    assert terminal.getvalue() == "\r1 of 2\r      \rcrossramp: left out: x\n\r2 of 2\r      \r"


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_takes_verbose_and_quiet(run, name):
    if name == "train":
        assert all("--verbose" in run(name, task, "--help")[1] for task in ("kws", "text"))
    else:
        assert "-v, --verbose" in run(name, "--help")[1]
        assert "not allowed with" in run(name, "-v", "-q")[2]


# ---- completion ------------------------------------------------------------------------------------------------------


def test_the_shell_completes_commands_options_and_files(run, tmp_path):
    status, script, err = run("--completion", "bash")
    assert (status, err) == (0, "")
    (tmp_path / "completion.bash").write_text(script)
    (tmp_path / "mine.npz").write_text("")

    def completed(*words: str) -> set[str]:
        typed = " ".join(f"'{word}'" for word in ("crossramp", *words))
        program = f"source ./completion.bash; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _shtab_crossramp; "
        done = subprocess.run(
            ["bash", "-c", program + "printf '%s\\n' ${COMPREPLY[@]}"], cwd=tmp_path, capture_output=True, text=True
        )
        return set(done.stdout.split())

    assert completed("sim") == {"simulate"}
    assert completed("lin") == {"linearity"}
    assert {"--calibration", "--conductances", "--conductances-g-max"} <= completed("simulate", "--c")
    assert completed("generate", "mi") == {"mine.npz"}
    assert completed("train", "te") == {"text"}
    for shell in ("zsh", "tcsh"):
        assert "linearity" in run("--completion", shell)[1]


def test_a_completion_that_cannot_be_is_one_line(run, monkeypatch):
    assert is_refusal(run("--completion", "cmd"), "--completion cmd", "bash, zsh, tcsh")
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert is_refusal(run("--completion", "bash"), "shtab", "pip install")
