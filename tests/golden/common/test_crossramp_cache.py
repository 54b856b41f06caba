# SPDX-License-Identifier: Apache-2.0
"""Where things are kept: by the environment, and in a temporary folder for a user who has none that can be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from crossramp.golden.common import crossramp_cache


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """A user with a home, and nothing else."""
    for name in (crossramp_cache.VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(crossramp_cache, "_temporary", lambda: tmp_path / "temporary")
    return monkeypatch


def test_the_first_that_is_set_counts(environment, tmp_path):
    assert crossramp_cache.cache_folder("levels") == tmp_path / "home" / ".cache" / "crossramp" / "levels"
    environment.setenv("XDG_CACHE_HOME", "relative")
    assert crossramp_cache.cache_folder("levels") == tmp_path / "home" / ".cache" / "crossramp" / "levels"
    environment.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert crossramp_cache.cache_folder("levels") == tmp_path / "xdg" / "crossramp" / "levels"
    environment.setenv(crossramp_cache.VARIABLE, str(tmp_path / "own"))
    assert crossramp_cache.cache_folder("levels") == tmp_path / "own" / "levels"
    environment.chdir(tmp_path)
    environment.setenv(crossramp_cache.VARIABLE, "here")
    assert crossramp_cache.cache_folder("simulation") == tmp_path / "here" / "simulation"
    environment.setenv(crossramp_cache.VARIABLE, "")
    assert crossramp_cache.own_cache() == tmp_path / "xdg" / "crossramp"
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_no_obstacle(environment, tmp_path):
    (tmp_path / "file").write_text("")
    environment.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert crossramp_cache.cache_folder("levels") == tmp_path / "temporary" / "levels"
    environment.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "crossramp").mkdir()
    assert crossramp_cache.cache_folder("levels") == tmp_path / "crossramp" / "levels"
    environment.setattr(crossramp_cache.os, "access", lambda path, mode: path != tmp_path / "crossramp")  # root's, say
    assert crossramp_cache.cache_folder("levels") == tmp_path / "temporary" / "levels"
    environment.setenv(crossramp_cache.VARIABLE, str(tmp_path / "crossramp"))
    assert crossramp_cache.cache_folder("levels") == tmp_path / "crossramp" / "levels"


def test_without_a_home_a_temporary_one_that_goes(environment, tmp_path):
    environment.setattr(crossramp_cache, "home", lambda: None)
    assert crossramp_cache.cache_folder("levels") == tmp_path / "temporary" / "levels"
    program = "from crossramp.golden.common.crossramp_cache import cache_folder; "
    program += "f = cache_folder('a'); f.mkdir(); print(f)"
    (tmp_path / "t").mkdir()
    without = {key: value for key, value in os.environ.items() if key not in ("HOME", crossramp_cache.VARIABLE)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=without | {"HOME": "", "TMPDIR": str(tmp_path / "t")}, capture_output=True
    )
    folder = Path(done.stdout.decode().strip())
    assert folder.parent.parent == tmp_path / "t", done.stderr
    assert list((tmp_path / "t").iterdir()) == []
