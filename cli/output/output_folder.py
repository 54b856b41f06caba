# SPDX-License-Identifier: Apache-2.0
"""Folders that commands write: complete or not at all, and never over a stranger's files."""

import contextlib
import fcntl
import fnmatch
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from crossramp.golden.common.errors import UserError

from ..process import signals

#: Lists a folder's generated files with their SHA-256, in the form ``sha256sum -c`` reads; marks the folder as ours.
MANIFEST = "MANIFEST.sha256"

_UNFINISHED = "unfinished"  # how the folders end that files are written into before they are moved


@contextlib.contextmanager
def written_folder(path: str | Path, force: bool = False) -> Iterator[Path]:
    """A temporary folder to write into, which becomes ``path`` at the end of the block unless it raises.

    A folder that this function made before is brought up to date: files written then and not now go, files of others
    stay. Each file is moved into place whole; of two commands that write into one folder at once, the folder holds in
    the end what the later one wrote, and nothing else of the earlier one's.

    Raises
    ------
    UserError
        If ``path`` is a file, cannot be written, or is a folder with files in it that was not made here (unless
        ``force``).
    """
    path = Path(path)
    check_folder(path, force)
    target = path.resolve()
    name = f".{target.name}.{secrets.token_hex(4)}.{_UNFINISHED}"
    # Inside a folder that exists: it may be a mount whose parent folder is not writable.
    unfinished = target / name if path.is_dir() else target.with_name(name)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        _write_manifest(unfinished)
        with signals.uninterrupted(), _locked(target):
            _check(path, force)
            _move(unfinished, target)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); give another folder") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Alone among commands that move files into ``target``, by a lock on the folder it lies in."""
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_folder(path: str | Path, force: bool = False) -> None:
    """Raise what :func:`written_folder` would for what lies there now: before long work."""
    path = Path(path)
    # Another command may be moving its files there, and a folder is complete before and after that.
    with _locked(path.resolve()) if path.resolve().parent.is_dir() else contextlib.nullcontext():
        _check(path, force)


def _check(path: Path, force: bool) -> None:
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path}: is a link to what does not exist ({os.readlink(path)}); give another folder")
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; give a folder")
    if path.is_dir() and _foreign(path) and not (path / MANIFEST).is_file() and not force:
        raise UserError(
            f"{path}: holds files that were not generated; give another folder, or --force to write among them"
        )


def _foreign(path: Path) -> bool:
    """Whether a folder holds anything but what commands are about to write into it."""
    return any(not fnmatch.fnmatch(entry.name, f".*.{_UNFINISHED}") for entry in path.iterdir())


def listed(unfinished: Path) -> list[str]:
    """The files that :func:`written_folder` will move into its folder, the manifest included; sorted."""
    return sorted([MANIFEST, *_files(unfinished)])


def _of_manifest(path: Path) -> list[str]:
    return [MANIFEST, *(line[66:] for line in path.read_text().splitlines())]


def _files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def _write_manifest(folder: Path) -> None:
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in _files(folder)]
    (folder / MANIFEST).write_text("".join(lines))


def _move(source: Path, target: Path) -> None:
    if not os.path.lexists(target):
        source.replace(target)
        return
    manifest = target / MANIFEST
    before = _of_manifest(manifest) if manifest.is_file() else []
    now = _files(source)
    # The old manifest goes first and the new one comes last: a folder with one is complete.
    manifest.unlink(missing_ok=True)
    for name in set(before) - set(now):
        stale = target / name
        if stale.resolve().is_relative_to(target.resolve()):
            stale.unlink(missing_ok=True)
    for name in sorted(now, key=lambda name: name == MANIFEST):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).replace(target / name)
