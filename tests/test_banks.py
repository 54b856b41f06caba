# SPDX-License-Identifier: Apache-2.0
"""Banks are addressed by the name of their gate: nothing but ``golden/spec/bank_columns.py`` computes where one is."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Files that may: the place of the fact, and the reference that must not share code with it.
PLACES = {
    "golden/spec/bank_columns.py",
    "tests/support/references/exact_numbers.py",
    "sim/formal/macro/step_reference.py",
}

FOLDERS = ("golden", "convert", "rtl", "sim", "boards", "train", "cli", "bench", "tools", "tests")


def ends_in(node: ast.expr, *names: str) -> bool:
    """Whether an expression is such a name, or an attribute of that name."""
    return getattr(node, "attr", getattr(node, "id", None)) in names


def constant(node: ast.expr, *values: int) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and (not values or node.value in values)


def is_offset(node: ast.expr | None) -> bool:
    """``2 * units``, ``bank * units``: where a bank begins."""
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Mult)
        and (ends_in(node.left, "units") or ends_in(node.right, "units"))
    )


def faults(tree: ast.AST) -> list[int]:
    """Lines of a module that compute the place, the number or the order of banks."""
    found = []
    sizes = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "units"]
    for node in ast.walk(tree):
        wrong = False
        if isinstance(node, ast.Slice):
            wrong = is_offset(node.lower) or is_offset(node.upper)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            wrong = (name in ("slice", "range", "arange") and any(map(is_offset, node.args))) or (
                name in ("chunk", "split", "reshape")
                and any(constant(argument, 4) for argument in node.args)
                and (name != "reshape" or any(ends_in(argument, "units") for argument in node.args))
            )
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv | ast.Mod):
            wrong = ends_in(node.right, "units")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            sides = (node.left, node.right)
            counted = any(ends_in(side, "units") or getattr(side, "attr", "") == "groups" for side in sides)
            wrong = any(constant(side, 3, 4, 5) for side in sides) and counted and node not in sizes
        elif isinstance(node, ast.Subscript):
            wrong = constant(node.slice) and ends_in(node.value, "ramp_of_gate", "GATES")
        elif isinstance(node, ast.Assign):
            names = [getattr(target, "id", "") for target in node.targets]
            wrong = constant(node.value) and bool({"_I", "_F", "_G", "_O"} & set(names))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            wrong = "4 * units" in node.value
        if wrong:
            found.append(node.lineno)
    return found


def test_only_one_module_computes_the_place_of_a_bank():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 300
    wrong = []
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if name not in PLACES and path != Path(__file__):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            wrong += [f"{name}:{line}" for line in faults(tree)]
    assert wrong == []


@pytest.mark.parametrize(
    "line",
    [
        "codes[:, 3 * spec.units :]",
        "slice(2 * spec.units, 3 * spec.units)",
        "range(2 * units, 3 * units)",
        "column // spec.units == 2",
        "column % self.spec.units",
        "np.empty((4 * units, batch))",
        "Signal(range(4 * self.groups))",
        "spec.ramp_of_gate[2]",
        "GATES[0]",
        "values.chunk(4, 1)",
        "codes.reshape(-1, 4, spec.units)",
        "_G = 2",
        "'shape (steps, 4 * units)'",
    ],
)
def test_the_forbidden_forms_are_seen(line):
    assert faults(ast.parse(line))


def test_other_arithmetic_of_units_is_allowed():
    allowed = "-(-spec.units // lanes), 2 * spec.units, f(units=4 * units), np.zeros((batch, units)), range(4)"
    assert faults(ast.parse(allowed)) == []
