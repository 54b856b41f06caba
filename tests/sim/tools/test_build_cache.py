# SPDX-License-Identifier: Apache-2.0
"""Builds that are kept: made once, verified at each use, made again if damaged, and removed unless one is in use."""

import os
import subprocess
import sys

import pytest
from crossramp.sim.tools import build_cache
from crossramp.sim.tools.build_cache import build_once, entries, remove, to_prune


@pytest.fixture
def build(tmp_path, monkeypatch):
    """``build(**changes)`` builds a file of three bytes; ``build.made`` counts."""
    monkeypatch.setattr(build_cache, "_using", type(build_cache._using)())
    monkeypatch.setattr(build_cache, "_checked", set())

    def make(place):
        build.made += 1
        (place / "model").write_bytes(b"abc")
        (place / "deep").mkdir()
        (place / "deep" / "more").write_bytes(b"")

    def build(content=("a", "bc"), make=make, check=None, name="kind"):
        return build_once(name, content, make, tmp_path / "a cache", check)

    build.made = 0
    yield build
    for lock in build_cache._using.values():
        lock.close()


def new_process():
    """What this process knows is forgotten, as in the next one."""
    for lock in build_cache._using.values():
        lock.close()
    build_cache._using.clear()
    build_cache._checked.clear()


def test_equal_content_is_built_once(build):
    place = build()
    assert (place / "model").read_bytes() == b"abc"
    new_process()
    assert build() == place
    assert build.made == 1


@pytest.mark.parametrize("other", [("a", "bd"), ("ab", "c"), ("abc",), ("bc", "a"), ("a", "bc", "")])
def test_other_content_is_another_build(build, other):
    assert build() != build(content=other)
    assert build.made == 2
    assert build() != build(name="other")


@pytest.mark.parametrize(
    "damage", ["cut", "emptied", "changed", "lost", "deep lost", "seal cut", "seal empty", "unsealed"]
)
def test_a_damaged_build_is_made_again(build, damage):
    place = build()
    model, seal = place / "model", place / "complete"
    if damage == "cut":
        model.write_bytes(b"ab")
    elif damage == "emptied":
        model.write_bytes(b"")
    elif damage == "changed":
        status = model.stat()
        model.write_bytes(b"abd")
        os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif damage in ("lost", "deep lost"):
        (place / {"lost": "model", "deep lost": "deep/more"}[damage]).unlink()
    elif damage == "seal cut":
        seal.write_text(seal.read_text()[:-5])
    elif damage == "seal empty":
        seal.write_text("")
    else:
        seal.unlink()
    for _ in range(2):
        assert build() == place
        assert model.read_bytes() == b"abc"
        assert build.made == 2
        new_process()


def test_a_further_file_does_not_matter(build):
    (build() / "log").write_text("of a run")
    build()
    assert build.made == 1


def test_a_build_that_fails_leaves_nothing(build, tmp_path):
    def fails(place):
        (place / "half").write_text("")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        build(make=fails)
    assert entries(tmp_path / "a cache") == []
    build()
    assert build.made == 1


def test_what_a_full_disk_refuses_late_is_no_build(build, tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(build_cache.os, "fsync", fsync)
        with pytest.raises(OSError, match="No space"):
            build()
    assert entries(tmp_path / "a cache") == []


def test_a_build_that_fails_its_check_is_no_build(build, tmp_path):
    asked = []

    def check(place):
        asked.append(place)
        raise RuntimeError("does not load")

    with pytest.raises(RuntimeError, match="does not load"):
        build(check=check)
    assert entries(tmp_path / "a cache") == []
    assert len(asked) == build.made == 1


def test_a_kept_build_that_does_not_load_is_made_again_once(build):
    wrong, asked = [False], []

    def check(place):
        asked.append(place)
        if wrong.pop() if wrong else False:
            raise RuntimeError("does not load")

    build(check=check)
    build(check=check)
    assert (build.made, len(asked)) == (1, 1)  # once in a process
    new_process()
    wrong[:] = [False, True, True]  # as it is; again, with the lock; what was built
    build(check=check)
    assert build.made == 2
    new_process()
    wrong[:] = [True, True, True]
    with pytest.raises(RuntimeError, match="does not load"):
        build(check=check)
    assert build.made == 3


_USER = """
import sys
from pathlib import Path
from crossramp.sim.tools.build_cache import build_once
build_once("kind", ("a", "bc"), lambda place: (place / "model").write_bytes(b"abc"), sys.argv[1])
print("uses it", flush=True)
sys.stdin.read()
"""


def test_what_another_process_uses_stays(build, tmp_path):
    folder = tmp_path / "a cache"
    user = subprocess.Popen(
        [sys.executable, "-c", _USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert user.stdout.readline() == "uses it\n"
        (entry,) = entries(folder)
        assert not remove(entry)
        assert entry.path.is_dir()
    finally:
        user.communicate()
    assert remove(entry)
    assert list(folder.iterdir()) == []
    build()
    assert build.made == 1


def test_what_is_being_built_stays(build, tmp_path):
    refused = []

    def make(place):
        (place / "model").write_bytes(b"abc")
        (entry,) = entries(tmp_path / "a cache")
        assert not entry.complete
        refused.append(not remove(entry))

    place = build(make=make)
    assert refused == [True]
    assert (place / "model").exists()


def test_a_build_after_its_removal_has_its_own_lock(build, tmp_path):
    """Who waited for the lock of a build that was removed meanwhile does not build beside another one."""
    place = build()
    lock = build_cache._lock_file(place)
    (entry,) = entries(tmp_path / "a cache")
    assert remove(entry)
    assert not lock.exists()
    build()
    assert lock.exists()
    assert build_cache.os.path.samestat(os.fstat(build_cache._using[place].fileno()), lock.stat())


def test_only_some_locks_are_kept(build, monkeypatch):
    monkeypatch.setattr(build_cache, "_KEPT_LOCKS", 3)
    places = [build(content=(str(k),)) for k in range(5)]
    assert list(build_cache._using) == places[2:]
    build(content=("2",))
    assert list(build_cache._using) == [places[3], places[4], places[2]]


def entry_of(number, size, days, complete=True):
    return build_cache.Entry(
        build_cache.Path(str(number)), "kind", size, build_cache.time.time() - days * 86400, complete
    )


def test_pruning_takes_what_was_not_used_for_longest():
    found = [entry_of(0, 10, 5), entry_of(1, 20, 1), entry_of(2, 30, 3), entry_of(3, 5, 0, complete=False)]
    assert [e.path.name for e in to_prune(found, days=4)] == ["3", "0"]
    assert [e.path.name for e in to_prune(found, days=2)] == ["3", "2", "0"]
    assert [e.path.name for e in to_prune(found, size=100)] == []
    assert [e.path.name for e in to_prune(found, size=60)] == ["0"]
    assert [e.path.name for e in to_prune(found, size=25)] == ["2", "0"]
    assert [e.path.name for e in to_prune(found, size=0)] == ["3", "1", "2", "0"]
    assert to_prune(found) == []


def test_entries_are_what_is_named_as_a_build(build, tmp_path):
    folder = tmp_path / "a cache"
    assert entries(folder) == []
    place = build()
    (folder / "notes").mkdir()
    (folder / "kind-0123").mkdir()
    (folder / "kind-zzzzzzzzzzzzzzzz").mkdir()
    (entry,) = entries(folder)
    assert (entry.path.resolve(), entry.kind, entry.complete) == (place, "kind", True)
    assert entry.size == 3 + len((place / "complete").read_bytes())
    os.utime(place / "complete", (5, 5))
    assert entries(folder)[0].used == 5
    build()
    assert entries(folder)[0].used > 5
