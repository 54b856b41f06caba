# SPDX-License-Identifier: Apache-2.0
"""The command that shows and prunes what is kept between runs."""

import json
import os
import time

import pytest
from crossramp.sim.tools import build_cache as builds

from tests.cli.conftest import is_refusal

DAY = 86400


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of two builds and a file of levels, used 0, 10 and 40 days ago, and what a killed process left."""
    place = tmp_path / "kept\n here"
    monkeypatch.setenv("CROSSRAMP_CACHE", str(place))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(builds, "_using", type(builds._using)())
    for number, (kind, age) in enumerate((("verilator", 0), ("core-small", 10))):
        path = builds.build_once(kind, (kind,), lambda at, n=number: (at / "model").write_bytes(bytes(3_000_000 + n)))
        moment = time.time() - age * DAY
        os.utime(path / "complete", (moment, moment))
    for lock in builds._using.values():
        lock.close()
    builds._using.clear()
    (place / "simulation" / f"icarus-{'0' * 16}").mkdir()
    (place / "simulation" / f"gone-{'1' * 16}.lock").touch()
    levels = place / "levels"
    levels.mkdir()
    (levels / "ab.npz").write_bytes(bytes(1000))
    os.utime(levels / "ab.npz", (time.time() - 40 * DAY,) * 2)
    (tmp_path / "user" / "YoWASP").mkdir(parents=True)
    (tmp_path / "user" / "YoWASP" / "yosys").write_bytes(bytes(2000))
    return place


def kinds(run) -> set[str]:
    return {entry["kind"] for entry in json.loads(run("cache", "--json")[1])["entries"]}


ALL = {"verilator", "core-small", "icarus", "levels"}


def test_shows_what_is_kept(run, folder):
    status, out, err = run("cache")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("folder: ")
    assert lines[0].endswith(r"kept\n here")
    rows = {line.split("  ")[0]: line.split() for line in lines[2:]}
    assert rows["verilator"][-4:] == ["1", "3.0", "MB", "today"]
    assert rows["core-small"][-6:] == ["1", "3.0", "MB", "10", "days", "ago"]
    assert rows["levels"][-6:] == ["1", "1.0", "KB", "40", "days", "ago"]
    assert rows["icarus (unfinished)"][2:5] == ["1", "0", "B"]
    assert rows["all"][1:] == ["4", "6.0", "MB"]
    assert "YoWASP  2.0 KB" in out
    assert kinds(run) == ALL  # nothing was removed


def test_json(run, folder):
    told = json.loads(run("cache", "--json")[1])
    assert told["folder"] == str(folder)
    assert told["bytes"] == sum(entry["bytes"] for entry in told["entries"]) > 6_000_000
    assert [entry["kind"] for entry in told["entries"] if not entry["complete"]] == ["icarus"]
    assert "removed" not in told
    told = json.loads(run("cache", "--json", "--prune", "20")[1])
    assert sorted(path.rpartition("/")[2] for path in told["removed"]) == ["ab.npz", f"icarus-{'0' * 16}"]
    assert told["in_use"] == []


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (("--prune", "50"), {"verilator", "core-small", "levels"}),
        (("--prune", "20"), {"verilator", "core-small"}),
        (("--prune", "9.5"), {"verilator"}),
        (("--keep", "1GB"), ALL),
        (("--keep", "6.5MB"), ALL),
        (("--keep", "5 mb"), {"verilator", "icarus", "levels"}),
        (("--keep", "3100k"), {"verilator", "icarus", "levels"}),
        (("--keep", "0"), {"icarus"}),
        (("--prune", "20", "--keep", "4M"), {"verilator"}),
        (("--empty",), set()),
    ],
)
def test_removes_what_was_asked_for(run, folder, arguments, left):
    before = ALL
    status, out, err = run("cache", *arguments)
    assert (status, err) == (0, "")
    assert out.startswith(f"removed {len(before - left)} entr")
    assert kinds(run) == left
    assert not list((folder / "simulation").glob("gone-*"))
    if not left:
        assert not list((folder / "simulation").iterdir())
    assert (folder.parent / "user" / "YoWASP" / "yosys").exists()


def test_what_is_in_use_stays(run, folder):
    place = builds.build_once("verilator", ("verilator",), None)
    lock = builds._using.pop(place)  # as if another process had it
    try:
        assert "; 1 entry in use stayed" in run("cache", "--empty")[1]
        assert kinds(run) == {"verilator"}
    finally:
        lock.close()
    run("cache", "--empty")
    assert kinds(run) == set()


def test_an_empty_cache(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSRAMP_CACHE", str(tmp_path / "nothing"))
    for arguments in ((), ("--empty",), ("--prune", "1")):
        status, out, err = run("cache", *arguments)
        assert (status, err) == (0, "")
        assert "all" in out
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("days", ["x", "-1", "inf", "nan", ""])
def test_refuses_wrong_days(run, folder, days):
    assert is_refusal(run("cache", f"--prune={days}"), f"--prune is '{days}'", "number of days")
    assert kinds(run) == ALL


@pytest.mark.parametrize("size", ["x", "-1", "5XB", "MB", "", "1e9", "٣MB"])
def test_refuses_wrong_sizes(run, folder, size):
    assert is_refusal(run("cache", f"--keep={size}"), f"--keep is '{size}'", "500MB")
    assert kinds(run) == ALL


def test_refuses_both(run, folder):
    assert is_refusal(run("cache", "--empty", "--keep", "1GB"), "--empty", "--keep")
    assert kinds(run) == ALL
