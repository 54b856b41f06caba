# SPDX-License-Identifier: Apache-2.0
"""The folder of a sweep's results: one file for each finished task, so that a kill loses only what was running.

``sweep.json`` says what the results belong to, and ``plan.toml`` is a copy of the plan.
``parts/`` has a file for each finished task, complete or absent, with a hash of its content.
``results.parquet`` or ``results.csv`` has all rows in order once the sweep is done.
A lock keeps a second sweep out; the system releases it with its holder, however that ends.
"""

import csv
import hashlib
import json
from functools import cache
from pathlib import Path

from crossramp.golden.common.content_hash import json_hash
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.whole_file import UNFINISHED, whole_file

from .plan import Plan
from .problem import Problem

FORMAT = "crossramp-sweep"
_ABOUT = "sweep.json"
_PARTS = "parts"


class StoreError(InvalidValue):
    """The folder cannot be used; the message says why and what to do."""


class Store:
    """A folder of results, held by this process while the ``with`` block runs.

    Parameters
    ----------
    folder : Path
    plan : Plan
    problem : Problem
    code : str or None
        The version of the code, :func:`code_version`; None accepts results of any version, to report them.
    restart : bool
        Throw away what the folder holds of another sweep.

    Raises
    ------
    StoreError
        If the folder holds other things, another sweep (unless ``restart``), or is in use.
    """

    def __init__(self, folder: Path, plan: Plan, problem: Problem, code: str | None, restart: bool = False):
        self.folder, self.plan, self.restart = Path(folder), plan, restart
        self.identity = {**problem.hashes, "code": code}
        #: Files of parts that were not usable, and why.
        self.damaged: list[tuple[str, str]] = []
        self._rows: dict[tuple[int, int], dict] = {}
        self._lock = None

    @property
    def begun(self) -> bool:
        """Whether the folder holds a sweep."""
        return (self.folder / _ABOUT).exists()

    def check(self) -> None:
        """Raise what can be said before anything is written or locked."""
        if self.identity["code"] is None and not self.begun:
            raise StoreError(f"{self.folder}: holds no sweep; leave --report out to run it")
        if self.folder.exists() and not self.folder.is_dir():
            raise StoreError(f"{self.folder}: is a file; give a folder")
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self.begun:
            left = [entry.name for entry in self.folder.iterdir() if entry.name not in (".lock", _PARTS)]
            if left:
                raise StoreError(
                    f"{self.folder}: holds files that do not belong to a sweep ({left[0]}); give another folder"
                )

    @property
    def sweep(self) -> str:
        """The hash of all that results belong to."""
        return json_hash(self.identity)

    def __enter__(self) -> "Store":
        self.check()
        about = self.folder / _ABOUT
        try:
            (self.folder / _PARTS).mkdir(parents=True, exist_ok=True)
            self._lock = open(self.folder / ".lock", "a+b")
        except OSError as error:
            raise StoreError(
                f"{self.folder}: cannot be written ({error.strerror or error}); give another folder"
            ) from None
        try:
            _hold(self._lock)
        except OSError:
            self._lock.close()
            raise StoreError(
                f"{self.folder}: another sweep is writing here; wait for it, or give another folder"
            ) from None
        try:
            self._check(about)
            self._read_parts()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def parts(self) -> Path:
        """The folder of finished tasks."""
        return self.folder / _PARTS

    @property
    def problem_file(self) -> Path:
        """Where workers on this machine find the problem."""
        return self.folder / "problem.npz"

    def done(self, task: dict) -> bool:
        """Whether all rows of a task are there."""
        instances = range(task["first"], task["first"] + task["count"])
        return all((task["point"], k) in self._rows for k in instances)

    def add(self, task: dict, rows: list[dict]) -> None:
        """Keep the rows of a finished task; StoreError if they are not one for each of its instances, in order."""
        if not _complete(task, rows):
            raise StoreError(
                f"{self.folder}: point {task['point']}, instances {task['first']} to "
                f"{task['first'] + task['count'] - 1}, came back as {len(rows)} rows that are not those of the task; "
                "what is done is kept: run again to go on"
            )
        content = {"sweep": self.sweep, "task": task, "rows": rows}
        content["hash"] = json_hash(content, 32)
        name = f"{task['point']:06d}-{task['first']:08d}-{task['count']}.json"
        write(self.parts / name, json.dumps(content).encode())
        self._keep(rows)

    def rows(self, instances: int) -> list[dict]:
        """All rows of the first ``instances`` of each point, in order, each once."""
        return [row for (_, k), row in sorted(self._rows.items()) if k < instances]

    def write_results(self, rows: list[dict], columns: list[str], parquet: bool) -> Path:
        """Write ``results.parquet`` or ``results.csv``; the path."""
        name = self.folder / ("results.parquet" if parquet else "results.csv")
        other = self.folder / ("results.csv" if parquet else "results.parquet")
        with whole_file(name) as draft:
            if parquet:
                import pyarrow
                import pyarrow.parquet

                table = pyarrow.table({column: [row[column] for row in rows] for column in columns})
                pyarrow.parquet.write_table(table, draft)
            else:
                with open(draft, "w", newline="", encoding="utf-8") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow(columns)
                    writer.writerows([["" if row[c] is None else row[c] for c in columns] for row in rows])
        other.unlink(missing_ok=True)
        return name

    # ---- inside --------------------------------------------------------------------------------------------------

    def _check(self, about: Path) -> None:
        if about.exists() and not self.restart:
            try:
                held = json.loads(about.read_text())
                same = held["format"] == FORMAT
                identity = dict(held["identity"])
            except (ValueError, KeyError, TypeError):
                raise StoreError(f"{about}: is damaged; give --restart to compute all anew") from None
            if not same:
                raise StoreError(f"{self.folder}: holds something else than a sweep; give another folder")
            if self.identity["code"] is None:
                self.identity["code"] = identity.get("code")
            both = dict.fromkeys((*self.identity, *identity))  # what only one of them has was changed too
            changed = [name for name in both if identity.get(name) != self.identity.get(name)]
            if changed:
                raise StoreError(
                    f"{self.folder}: holds a sweep with another {' and '.join(changed)}; give another folder, or "
                    "--restart to throw it away"
                )
        elif self.restart:
            for file in self.parts.iterdir():
                file.unlink()
        for file in [*self.parts.glob(f".*.{UNFINISHED}"), *self.folder.glob(f".*.{UNFINISHED}")]:
            file.unlink(missing_ok=True)
        write(self.folder / "plan.toml", self.plan.text.encode())
        write(about, json.dumps({"format": FORMAT, "identity": self.identity}, indent=2).encode())

    def _read_parts(self) -> None:
        for file in sorted(self.parts.glob("*.json")):
            try:
                content = json.loads(file.read_bytes())
                kept = content.pop("hash") == json_hash(content, 32)
                kept = kept and _complete(content["task"], content["rows"])
            except (ValueError, KeyError, TypeError, AttributeError):
                self._refuse(file, "is cut short or damaged")
                continue
            if not kept:
                self._refuse(file, "was changed")
            elif content["sweep"] != self.sweep:
                self._refuse(file, "belongs to another sweep")
            else:
                self._keep(content["rows"])

    def _refuse(self, file: Path, why: str) -> None:
        """Put a part aside, so that it is computed again and read no more."""
        self.damaged.append((file.name, why))
        file.replace(file.with_suffix(".refused"))

    def _keep(self, rows: list[dict]) -> None:
        for row in rows:
            self._rows[row["point"], row["instance"]] = row


@cache
def code_version() -> str:
    """16 hexadecimal digits of the sources that decide results: the golden model, and the tasks."""
    import crossramp.golden

    return _version(Path(crossramp.golden.__file__).parent, Path(__file__).parent)


def _version(golden: Path, here: Path) -> str:
    files = [*sorted(golden.rglob("*.py")), *(here / name for name in ("problem.py", "tasks.py"))]
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def write(path: Path, data: bytes) -> None:
    """A file that is written completely or left as it was, even if the process ends meanwhile."""
    with whole_file(path, durable=True) as draft:
        draft.write_bytes(data)


def _complete(task: dict, rows: list[dict]) -> bool:
    """Whether ``rows`` are those of the task's instances, each once."""
    instances = range(task["first"], task["first"] + task["count"])
    return [(row["point"], row["instance"]) for row in rows] == [(task["point"], k) for k in instances]


def _hold(file) -> None:
    """Lock an open file for this process alone, or OSError; the lock goes when the process does."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
