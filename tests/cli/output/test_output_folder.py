# SPDX-License-Identifier: Apache-2.0
"""Folders that commands write, when more than one does so at once, or a signal comes."""

import fcntl
import hashlib
import os
import signal
import threading

import pytest
from crossramp.cli.output import output_folder
from crossramp.cli.output.output_folder import MANIFEST, check_folder, listed, written_folder
from crossramp.cli.process import signals


def held(folder) -> bool:
    """Whether somebody moves files into a folder within this one."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def complete(folder, names) -> bool:
    """Whether the folder holds these files, and a manifest of exactly them."""
    lines = (folder / MANIFEST).read_text().splitlines()
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    return {path.name for path in folder.iterdir()} == {*names, MANIFEST} and lines == [
        f"{sums[name]}  {name}" for name in sorted(names)
    ]


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_two_at_once(tmp_path, there):
    """The one that ends later has its files there, and each knows which files are its own."""
    folder = tmp_path / "out"
    if there:
        folder.mkdir()
    with written_folder(folder) as first:
        (first / "first").write_text("1")
        with written_folder(folder) as second:
            (second / "second").write_text("2")
            assert listed(second) == [MANIFEST, "second"]
        assert complete(folder, ["second"]) or there
        assert listed(first) == [MANIFEST, "first"]
    assert complete(folder, ["first"])


def test_one_after_the_other_moves(tmp_path, monkeypatch):
    """While one command moves its files, the folder is neither looked at nor written by another."""
    folder, seen = tmp_path / "out", []
    real = output_folder._move

    def move(source, target):
        seen.append(held(tmp_path))
        real(source, target)

    monkeypatch.setattr(output_folder, "_move", move)
    for name in ("a", "b"):
        with written_folder(folder) as unfinished:
            (unfinished / name).write_text(name)
    assert seen == [True, True]
    assert complete(folder, ["b"])
    assert not held(tmp_path)
    # Between the old manifest and the new one, the folder looks like a stranger's: a look has to wait for the end.
    (folder / MANIFEST).unlink()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    looking = threading.Thread(target=check_folder, args=[folder])
    looking.start()
    (folder / MANIFEST).write_text("")
    os.close(descriptor)
    looking.join()
    with written_folder(folder):
        pass


def test_a_signal_waits_for_the_end_of_the_move(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    real = output_folder._move

    def move(source, target):
        os.kill(os.getpid(), signal.SIGTERM)
        real(source, target)

    monkeypatch.setattr(output_folder, "_move", move)
    with signals.watched(), pytest.raises(signals.Interruption), written_folder(folder) as unfinished:
        (unfinished / "a").write_text("a")
    assert complete(folder, ["a"])
