# SPDX-License-Identifier: Apache-2.0
"""Imports point one way: each folder knows those below it, and the golden model knows numpy alone."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Folder to the folders that its modules may import from, itself included.
ALLOWED = {
    "golden": {"golden"},
    "rtl": {"golden", "rtl"},
    "sim": {"golden", "rtl", "sim"},
    "boards": {"golden", "rtl", "sim", "boards"},
    "train": {"golden", "rtl", "sim", "train"},
}

#: Packages of others that golden may import; numba is looked for, and done without.
GOLDEN_NEEDS = {"numpy", "numba"}


def imported(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, wherever in it."""
    package = ("crossramp", *path.relative_to(ROOT).parts[:-1])
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("folder", ALLOWED)
def test_folders_know_only_those_below_them(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    wrong, seen = [], set()
    for path in files:
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "crossramp":
                seen.add(parts[1])
                if parts[1] not in ALLOWED[folder]:
                    wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert folder in seen  # the modules of a folder import each other: else nothing was looked at
    assert wrong == []


def test_golden_needs_numpy_alone():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "golden").rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] not in {"crossramp", *GOLDEN_NEEDS, *sys.stdlib_module_names}
    ]
    assert wrong == []
