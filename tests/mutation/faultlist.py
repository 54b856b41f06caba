# SPDX-License-Identifier: Apache-2.0
"""The planted faults that the tests have to notice: ``faults/*.toml``, one file for each folder of the sources.

An entry names the text that is changed, what it becomes, and the tests that must fail then::

    [[fault]]
    file = "golden/array/ramps.py"
    old = "code + 1"
    new = "code"
    tests = ["tests/golden/array/test_ramps.py::test_last_code"]
    why = "The last code is one tick early."
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["FOLDER", "ROOT", "Fault", "FaultListError", "load_faults"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "faults"
_KEYS = {"file": str, "old": str, "new": str, "tests": list, "why": str}


class FaultListError(ValueError):
    """An entry of a fault list is malformed."""


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    Attributes
    ----------
    name : str
        List and position in it, from 1: ``"train-3"``.
    file : str
        Source file below the root of the tree.
    old, new : str
        The text that is changed, which occurs exactly once in the file, and its replacement.
    tests : tuple of str
        pytest's node identifiers; at least one of them must fail by an assertion.
    why : str
        What goes wrong for users.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str

    def problems(self, root: Path = ROOT) -> list[str]:
        """Reasons why the entry does not fit the tree in ``root``, one line each."""
        path, found = root / self.file, []
        if not path.is_file():
            found.append(f"{self.file} does not exist")
        elif (count := path.read_text(encoding="utf-8").count(self.old)) != 1:
            found.append(f"{self.old!r} occurs {count} times in {self.file}; an entry's text must occur exactly once")
        elif path.suffix == ".py":
            try:
                ast.parse(self.planted(path.read_text(encoding="utf-8")))
            except SyntaxError as error:
                found.append(f"with the fault, {self.file} is not valid Python: {error.msg}")
        if self.old == self.new:
            found.append("old and new are equal")
        for test in self.tests:
            file, _, function = test.partition("::")
            if not (root / file).is_file():
                found.append(f"{file} does not exist")
            elif function.partition("[")[0] not in _tests_of(root / file):
                found.append(f"{file} has no test {function!r}")
        return found

    def planted(self, text: str) -> str:
        """The file's text with the fault in it."""
        return text.replace(self.old, self.new)


def load_faults(folder: Path = FOLDER) -> list[Fault]:
    """All entries of all lists in ``folder``, in order.

    Raises
    ------
    FaultListError
        For a list that is not TOML or an entry with a missing, unknown or malformed key.
    """
    faults = []
    for path in sorted(folder.glob("*.toml")):
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
        except (tomllib.TOMLDecodeError, KeyError) as error:
            raise FaultListError(f"{path}: expected a list of [[fault]] tables ({error})") from None
        for number, entry in enumerate(entries, 1):
            name = f"{path.stem}-{number}"
            if set(entry) != set(_KEYS) or not all(isinstance(entry[key], kind) for key, kind in _KEYS.items()):
                raise FaultListError(f"{path}: entry {number} has keys {sorted(entry)}; expected {sorted(_KEYS)}")
            if not entry["tests"] or not all(isinstance(test, str) and "::" in test for test in entry["tests"]):
                raise FaultListError(f"{path}: entry {number} names {entry['tests']}; expected 'file.py::test' each")
            faults.append(Fault(name, **(entry | {"tests": tuple(entry["tests"])})))
    return faults


@cache
def _tests_of(path: Path) -> set[str]:
    """Names of the test functions of a file; those in classes as ``Class::test``."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inner = (item for item in node.body if isinstance(item, ast.FunctionDef))
            names |= {f"{node.name}::{item.name}" for item in inner}
    return names
