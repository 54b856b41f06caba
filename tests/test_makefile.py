# SPDX-License-Identifier: Apache-2.0
"""The Makefile with an environment, and below a path, whose names Make and a shell would take apart."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

#: Stands for Python: makes what `python -m venv` would, and says what it was called with.
_PYTHON = """#!/bin/sh
echo "python $*"
if [ "$2" = venv ]; then
  mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
  printf '#!/bin/sh\\necho "crossramp $*"\\n' > "$3/bin/crossramp" && chmod +x "$3/bin/crossramp"
fi
"""


@pytest.fixture
def tree(tmp_path, pytestconfig) -> Path:
    place = tmp_path / "my clone #1 $x 'q' é%d"
    place.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(pytestconfig.rootpath / name, place)
    (tmp_path / "python").write_text(_PYTHON)
    (tmp_path / "python").chmod(0o755)
    return place


def make(tree: Path, *arguments: str) -> list[str]:
    """The lines of what ran."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-s", *arguments, f"PYTHON={tree.parent / 'python'}"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("environment", [".venv", "my env"])
def test_demo(tree, environment):
    lines = make(tree, "demo", f"VENV={environment}")
    assert lines[1] == f"python -m venv {environment}"
    assert lines[2].startswith("python -m pip install")
    assert lines[-1] == "crossramp demo -o demo"
    assert sorted(path.name for path in (tree / environment).iterdir()) == [".demo-ready", "bin"]
    # Nothing is installed twice, and nothing was made elsewhere.
    assert make(tree, "demo", f"VENV={environment}") == ["crossramp demo -o demo"]
    assert sorted(path.name for path in tree.iterdir()) == sorted(["Makefile", "pyproject.toml", environment])
    make(tree, "clean", f"VENV={environment}")
    assert sorted(path.name for path in tree.iterdir()) == ["Makefile", "pyproject.toml"]


def test_the_environment_comes_first_on_the_path(tree):
    """Of what runs in `make test`: its folder is one entry, whatever its name."""
    make(tree, "demo", "VENV=my env")
    printed = make(tree, "--eval", "tell: ; @$(WITH_TOOLS) sh -c 'echo \"$$PATH\"'", "tell", "VENV=my env")
    assert printed[0].split(":")[0] == str(tree / "my env" / "bin")
