# SPDX-License-Identifier: Apache-2.0
"""Faults planted into functions of an imported module: for proofs, which elaborate the design in this process."""

import contextlib
import importlib
import types
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def planted(file: str, old: str, new: str) -> Iterator[None]:
    """While it lasts, the functions of a module do what they would with ``old``, which occurs once, changed to ``new``.

    Code is exchanged in place, so that whoever imported a function or a class has it too. Constants of the module and
    default values stay.

    Parameters
    ----------
    file : str
        Source below the root of the tree, such as ``"rtl/macro/capture.py"``.
    """
    text = (ROOT / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {file}"
    module = importlib.import_module("crossramp." + file.removesuffix(".py").replace("/", "."))
    changed = types.ModuleType(module.__name__)
    changed.__file__, changed.__package__ = module.__file__, module.__package__
    exec(compile(text.replace(old, new), str(ROOT / file), "exec"), changed.__dict__)
    exchanged = []
    for path, function in _functions(module, module.__name__).items():
        other = _functions(changed, module.__name__).get(path)
        if other is not None and other.__code__ != function.__code__:
            exchanged.append((function, function.__code__, other.__code__))
    assert exchanged, f"no function of {file} differs with {new!r}"
    try:
        for function, _, code in exchanged:
            function.__code__ = code
        yield
    finally:
        for function, code, _ in exchanged:
            function.__code__ = code


def _functions(owner, module: str, path: str = "") -> dict[str, types.FunctionType]:
    """Functions and methods that ``module`` defines, by their place in it."""
    found = {}
    for name, value in vars(owner).items():
        inner = f"{path}.{name}"
        for one in (
            value,
            getattr(value, "fget", None),
            getattr(value, "func", None),
            getattr(value, "__func__", None),
        ):
            if isinstance(one, types.FunctionType) and one.__module__ == module:
                found[inner] = one
        if isinstance(value, type) and value.__module__ == module:
            found |= _functions(value, module, inner)
    return found
