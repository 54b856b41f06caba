# SPDX-License-Identifier: Apache-2.0
"""Folders that commands write: complete or not at all, and never over a stranger's files."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from crossramp.errors import UserError

#: Lists a folder's generated files with their SHA-256, in the form ``sha256sum -c`` reads; marks the folder as ours.
MANIFEST = "MANIFEST.sha256"


@contextlib.contextmanager
def written_folder(path: str | Path, force: bool = False) -> Iterator[Path]:
    """A temporary folder to write into, which becomes ``path`` at the end of the block unless it raises.

    A folder that this function made before is brought up to date: files written then and not now go, files of others
    stay. Each file is moved into place whole.

    Raises
    ------
    UserError
        If ``path`` is a file, cannot be written, or is a folder with files in it that was not made here (unless
        ``force``).
    """
    path = Path(path)
    check_folder(path, force)
    target = path.resolve()
    name = f".{target.name}.{os.getpid()}.unfinished"
    # Inside a folder that is there: it may be a mount, and what it lies in may not be ours to write.
    unfinished = target / name if path.is_dir() else target.with_name(name)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        _write_manifest(unfinished)
        _move(unfinished, target)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); give another folder") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_folder(path: str | Path, force: bool = False) -> None:
    """Raise what :func:`written_folder` would for what lies there now: before long work."""
    path = Path(path)
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path}: is a link to what does not exist ({os.readlink(path)}); give another folder")
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; give a folder")
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file() and not force:
        raise UserError(
            f"{path}: holds files that were not generated; give another folder, or --force to write among them"
        )


def listed(folder: str | Path) -> list[str]:
    """The files that :func:`written_folder` wrote into ``folder``, its manifest included; sorted."""
    text = (Path(folder) / MANIFEST).read_text()
    return sorted([MANIFEST, *(line[66:] for line in text.splitlines())])


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
    before = listed(target) if manifest.is_file() else []
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
