# SPDX-License-Identifier: Apache-2.0
"""The house: one way of imports, golden on numpy alone, no two modules of one name, short lists of parameters."""

import ast
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Package to the packages that its modules may import from, itself included.
ALLOWED = {
    "golden": {"golden"},
    "convert": {"golden", "convert"},
    "rtl": {"golden", "rtl"},
    "sim": {"golden", "rtl", "sim"},
    "boards": {"golden", "rtl", "sim", "boards"},
    "train": {"golden", "convert", "rtl", "sim", "train"},
    "cli": {"golden", "convert", "rtl", "sim", "boards", "train", "cli", "__version__"},
}

#: Rooms of a package, each of which may import only those before it. cli's top is :mod:`crossramp.cli` itself.
ROOMS = {
    "golden": (
        *("common", "cell", "spec", "layers", "inputs", "array", "macro", "network", "link"),
        *("analog.technologies", "analog.conversion", "analog.chip", "analog.cells", "analog.fast"),
    ),
    "convert": (
        "float_network",
        "graph",
        "formats.onnx",
        "formats.pytorch",
        "formats.keras",
        "formats",
        "quantization",
    ),
    "rtl": ("common", "macro", "network", "layers", "link", "emulation", "verilog"),
    "sim": (
        *("tools", "array", "checking", "amaranth", "bulk", "cocotb", "netlist", "montecarlo", "spice"),
        *("formal.engine", "formal.update", "formal.macro", "formal.conversion", "formal.network", "formal.layers"),
        *("formal.link", "formal.array", "formal"),
    ),
    "boards": ("definitions", "flow", "host", "virtual"),
    "train": ("recipes", "data", "float", "quantized", "run", "tasks"),
    "cli": ("process", "output", "plots", "inputs", "", "commands"),
}

#: Parameters of a function besides self: more of them belong into a dataclass.
PARAMETERS_MOST = 7

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


def files_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", ALLOWED)
def test_folders_know_only_those_below_them(folder):
    files = files_of(folder)
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


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_know_only_those_before_them(folder):
    order = ROOMS[folder]
    there = {".".join(path.parent.relative_to(ROOT / folder).parts) for path in files_of(folder)}
    assert there - {"", "analog"} <= set(order), "a room that no order names"
    wrong, crossed = [], 0
    for path in files_of(folder):
        own = ".".join(path.parent.relative_to(ROOT / folder).parts)
        if own not in order:
            continue
        for name in imported(path):
            if not name.startswith(f"crossramp.{folder}."):
                continue
            rest = name.removeprefix(f"crossramp.{folder}.")
            room = max((room for room in order if f"{rest}.".startswith(f"{room}.") or not room), key=len)
            crossed += room != own
            if order.index(room) > order.index(own):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert crossed
    assert wrong == []


def test_golden_needs_numpy_alone():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files_of("golden")
        for name in imported(path)
        if name.split(".")[0] not in {"crossramp", *GOLDEN_NEEDS, *sys.stdlib_module_names}
    ]
    assert wrong == []


def test_every_room_says_what_lives_there_and_what_it_imports():
    for folder in ALLOWED:
        for room in {path.parent for path in files_of(folder)}:
            told = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
            assert told, room
            assert "import" in told.lower(), room


def test_no_two_modules_share_a_name():
    """A tab of an editor tells which file is open; commands are named as the user types them."""
    names = Counter(
        path.stem
        for folder in ALLOWED
        for path in files_of(folder)
        if path.name != "__init__.py" and path.parent != ROOT / "cli" / "commands"
    )
    assert sum(names.values()) > 150
    assert [name for name, count in names.items() if count > 1] == []


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names of all parameters but the method's object."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def test_public_functions_have_few_parameters():
    found = {
        f"{path.relative_to(ROOT)} {node.name}": len(parameters(node))
        for folder in ALLOWED
        for path in files_of(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.name[0] != "_" or node.name == "__init__")
    }
    assert max(found.values()) == PARAMETERS_MOST  # else the limit can be lower
    assert [name for name, count in found.items() if count > PARAMETERS_MOST] == []
