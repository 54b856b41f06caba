# SPDX-License-Identifier: Apache-2.0
"""A cache of slow builds: folders, each named by the hash of everything that it was built from.

An entry is a folder ``NAME-HASH`` with a file ``complete``,
which is written last and has the size and hash of every file of the build.
An entry that no longer agrees with it is built again.
The process that builds or removes an entry locks ``NAME-HASH.lock`` beside it exclusively;
those that use the entry share the lock.
"""

import collections
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from crossramp.golden.common import crossramp_cache

_LOG = logging.getLogger(__name__)

_DONE, _LOCK = "complete", ".lock"

#: Shared locks that a process keeps, of the entries it used last: each takes a file descriptor.
_KEPT_LOCKS = 64

#: The locks of this process, the latest used last, and the entries whose check has passed in it.
_using: "collections.OrderedDict[Path, IO]" = collections.OrderedDict()
_checked: set[Path] = set()


def cache_folder(folder: Path | str | None = None) -> Path:
    """Where builds are kept: ``folder``, or ``simulation`` in crossramp's own (:mod:`.crossramp_cache`)."""
    return Path(folder) if folder is not None else crossramp_cache.cache_folder("simulation")


def build_once(
    name: str,
    content: Sequence[str],
    make: Callable[[Path], None],
    folder: Path | str | None = None,
    check: Callable[[Path], None] | None = None,
) -> Path:
    """The folder of a build, made by ``make`` unless an equal one exists.

    Safe against several processes that want the same build: one makes it, the others wait. As long as this process
    lives, or uses no more than some dozens of other entries, none removes it (:func:`remove`).

    Parameters
    ----------
    name : str
        Beginning of the folder's name.
    content : sequence of str
        Everything the build depends on: sources, flags, tools (:func:`.simulators.tool_identities`).
    make : callable
        Called with the empty folder. What it leaves there if it raises is removed.
    folder : path or None
        See :func:`cache_folder`.
    check : callable or None
        Called with the folder; raises for a build that cannot be used. Asked before an entry is complete, and once in
        each process that uses one: a kept entry that fails is built anew, once.

    Raises
    ------
    OSError
        If the folder cannot be written.
    Exception
        What ``make`` and ``check`` raise.
    """
    digest = hashlib.sha256()
    for part in content:
        digest.update(f"{len(part)}\n{part}".encode())
    place = cache_folder(folder).resolve() / f"{name}-{digest.hexdigest()[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = _using.pop(place, None) or _open_lock(place, fcntl.LOCK_SH)
    try:
        kept = _usable(place, check)
        if not kept:
            lock.close()
            lock = _open_lock(place, fcntl.LOCK_EX)
            kept = _usable(place, check)
            if not kept:
                _LOG.info("building %s", place)
                _build(place, make, check)
            # No process can remove it in between: that takes an exclusive lock, and a lock is held all the time.
            fcntl.flock(lock, fcntl.LOCK_SH)
    except BaseException:
        lock.close()
        raise
    with contextlib.suppress(OSError):  # a cache that can only be read serves as well
        os.utime(place / _DONE)
    if kept:
        _LOG.info("taken from the cache: %s", place)
    _using[place] = lock
    while len(_using) > _KEPT_LOCKS:
        _using.popitem(last=False)[1].close()
    return place


def _build(place: Path, make: Callable[[Path], None], check: Callable[[Path], None] | None):
    _checked.discard(place)
    _remove_tree(place)
    place.mkdir(parents=True)
    try:
        make(place)
        if check is not None:
            check(place)
        _seal(place)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        _lock_file(place).unlink(missing_ok=True)  # it is ours, exclusively
        raise
    _checked.add(place)


def _usable(place: Path, check: Callable[[Path], None] | None) -> bool:
    """Whether the entry is complete, as it was built, and passes the check."""
    try:
        files = json.loads((place / _DONE).read_text())["files"]
        if any(_identity(place / name) != identity for name, identity in files.items()):
            return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if check is not None and place not in _checked:
        try:
            check(place)
        except Exception:  # why does not matter: it is built anew, and then the check is asked again
            return False
    _checked.add(place)
    return True


def _seal(place: Path):
    """Write the file that says the entry is complete, once everything is on the disk."""
    paths = sorted(path for path in place.rglob("*") if path.is_file())
    for path in paths:
        _to_disk(path)
    files = {path.relative_to(place).as_posix(): _identity(path) for path in paths}
    draft = place / f"{_DONE}.draft"
    draft.write_text(json.dumps({"files": files}) + "\n")
    _to_disk(draft)
    draft.replace(place / _DONE)


def _to_disk(path: Path):
    """Return when the file is written, or raise OSError: what a full disk or quota refuses may show only here."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _identity(path: Path) -> list:
    """Size and hash."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
        return [file.tell(), digest.hexdigest()]


def _lock_file(place: Path) -> Path:
    return place.with_name(place.name + _LOCK)


def _open_lock(place: Path, kind: int) -> IO:
    """The entry's lock, locked; BlockingIOError with ``LOCK_NB`` if another process has it."""
    path = _lock_file(place)
    while True:
        try:
            file = path.open("a")
        except OSError:
            if not (kind & fcntl.LOCK_SH and path.exists()):
                raise
            file = path.open()  # a cache that can only be read
        try:
            fcntl.flock(file, kind)
            # Whoever removed the entry removed the lock's name too: this may be a lock that no one else can find.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()


def _remove_tree(place: Path):
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)


# ---- what is kept ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One build that is kept.

    Attributes
    ----------
    path : Path
    kind : str
        Its name without the hash.
    size : int
        Bytes on the disk, as the sum of its files' sizes.
    used : float
        When it was used last; seconds since 1970.
    complete : bool
        False for what a process that was killed has left, or one that is building now.
    """

    path: Path
    kind: str
    size: int
    used: float
    complete: bool


def entries(folder: Path | str | None = None) -> list[Entry]:
    """All builds in a cache folder, the one used last first; none if the folder does not exist.

    Only folders with names as :func:`build_once` gives them are listed.
    """
    folder, found = cache_folder(folder), []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.iterdir():
            kind, dash, digest = path.name.rpartition("-")
            if not dash or len(digest) != 16 or set(digest) - set("0123456789abcdef"):
                continue
            with contextlib.suppress(OSError):  # one that another process is removing
                done = path / _DONE
                used = (done if done.exists() else path).stat().st_mtime
                found.append(Entry(path, kind, size_of(path), used, done.exists()))
    return sorted(found, key=lambda entry: -entry.used)


def size_of(path: Path) -> int:
    """Bytes of all files below a folder."""
    size = 0
    for file in _files(path):
        with contextlib.suppress(OSError):
            size += file.lstat().st_size
    return size


def _files(path: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / name for name in names)


def remove(entry: Entry) -> bool:
    """Remove a build; False if a process builds or uses it, and it stays.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    held = _using.pop(entry.path.resolve(), None)
    if held is not None:  # this process's own
        held.close()
    try:
        lock = _open_lock(entry.path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with lock:
        _remove_tree(entry.path)
        _lock_file(entry.path).unlink(missing_ok=True)
    return True


def to_prune(found: Sequence[Entry], days: float | None = None, size: int | None = None) -> list[Entry]:
    """Which entries to remove.

    Parameters
    ----------
    days : float or None
        Those that were not used for longer, and those that are not complete.
    size : int or None
        Those used least recently, until no more than so many bytes are left.
    """
    chosen, kept = [], 0
    now = time.time()
    for entry in sorted(found, key=lambda entry: -entry.used):
        old = days is not None and (now - entry.used > days * 86400 or not entry.complete)
        if old or (size is not None and kept + entry.size > size):
            chosen.append(entry)
        else:
            kept += entry.size
    return chosen


def remove_left_locks(folder: Path | str | None = None):
    """Remove the locks of builds that are gone, but for those that a process has."""
    for path in cache_folder(folder).glob(f"*-*{_LOCK}"):
        place = path.with_name(path.name.removesuffix(_LOCK))
        with contextlib.suppress(BlockingIOError):
            if not place.exists():
                with _open_lock(place, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    if not place.exists():
                        path.unlink(missing_ok=True)
