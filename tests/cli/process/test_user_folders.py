# SPDX-License-Identifier: Apache-2.0
"""Users without a home, without an entry among the system's users, and without a cache folder that can be written."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from crossramp.cli.process import user_folders
from crossramp.golden.common import crossramp_cache
from crossramp.golden.inputs.features import FeatureSettings
from crossramp.sim.montecarlo.plan import parse_plan
from crossramp.train.data.datasets import cache_file

ROOT = Path(__file__).parents[3]

#: A process as in a container whose user is a mere number.
UNKNOWN_USER = """\
import os, pwd, sys
def unknown(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = unknown
from crossramp.cli import main as __main__
"""


@pytest.fixture
def unknown_user(monkeypatch):
    """This process as such a one."""
    for variable in ("HOME", "XDG_CACHE_HOME", crossramp_cache.VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)


def as_nobody(tmp_path, program: str) -> subprocess.CompletedProcess:
    for name in ("temporary", "work"):
        (tmp_path / name).mkdir(exist_ok=True)
    kept = ("PATH", "PYTHONPATH", "LANG")
    environment = {name: value for name, value in os.environ.items() if name in kept}
    environment["TMPDIR"] = str(tmp_path / "temporary")
    return subprocess.run(
        [sys.executable, "-c", UNKNOWN_USER + program],
        cwd=tmp_path / "work",
        env=environment,
        capture_output=True,
        text=True,
    )


def test_a_picture_without_a_home(tmp_path):
    """matplotlib looks for its settings and fonts below the home."""
    done = as_nobody(tmp_path, "sys.exit(__main__.main(['ramp', 'sigmoid', '--plot', 'a.png']))")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["a.png"]
    assert not any((tmp_path / "temporary").iterdir())


def test_libraries_find_a_home(tmp_path):
    """Those that would make a folder called ~ in the working directory: Dask's settings, PyTorch, yosys' cache."""
    program = """
from crossramp.cli.commands import info
def run(args):
    import dask.config, platformdirs
    import distributed.config
    print(os.path.isdir(os.path.expanduser("~")), dask.config.PATH, platformdirs.user_cache_dir("YoWASP"))
    return 0
info.run = run
sys.exit(__main__.main(["info", "kws"]))
"""
    done = as_nobody(tmp_path, program)
    assert (done.returncode, done.stderr) == (0, "")
    exists, *paths = done.stdout.split()
    assert exists == "True"
    assert all(path.startswith(str(tmp_path / "temporary")) for path in paths)
    assert not any((tmp_path / "work").iterdir())
    assert not any((tmp_path / "temporary").iterdir())


def test_folders_of_nobody(unknown_user, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert crossramp_cache.home() is None
    assert crossramp_cache.user_cache() is None
    assert cache_file("data", FeatureSettings()).is_relative_to(tmp_path)
    with contextlib.ExitStack() as leaving:
        user_folders.provide(leaving)
        assert crossramp_cache.home().is_dir()
        assert crossramp_cache.cache_folder("simulation").is_relative_to(crossramp_cache.home())
    assert "HOME" not in os.environ
    assert "~" not in os.listdir(tmp_path)


@pytest.mark.parametrize("home", ["", "relative", "~"])
def test_a_home_that_is_none(monkeypatch, tmp_path, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.delenv(crossramp_cache.VARIABLE, raising=False)
    assert crossramp_cache.home() is None
    with contextlib.ExitStack() as leaving:
        user_folders.provide(leaving)
        assert crossramp_cache.cache_folder("simulation").is_absolute()
    assert (os.environ["HOME"], os.environ["XDG_CACHE_HOME"]) == (home, "relative")
    assert not any(tmp_path.iterdir())


def test_a_plan_of_an_unknown_home(tmp_path):
    lines = ('model = "~nobody-of-that-name/m.npz"', 'data = "demo"', 'technology = "rram"', "chips = 2")
    plan = parse_plan("\n".join([*lines, 'metrics = ["accuracy"]']), "p.toml", tmp_path)
    with pytest.raises(ValueError, match=r"~nobody-of-that-name/m\.npz: there is no such home directory"):
        plan.path(plan.model)


def test_nothing_else_asks_for_the_home():
    """One helper knows where caches are."""
    asking = ("expanduser", "Path.home", "XDG_CACHE_HOME")
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("cli", "golden", "convert", "rtl", "sim", "boards", "train")
        for path in (ROOT / folder).rglob("*.py")
        if any(word in path.read_text() for word in asking)
    }
    assert found <= {"golden/common/crossramp_cache.py", "cli/process/user_folders.py"}
