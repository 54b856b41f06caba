# SPDX-License-Identifier: Apache-2.0
"""Pictures have the project's settings: a user's own neither break them nor show in them."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from crossramp.cli.plots.figures import check_format, new_figure, own_settings, save_figure
from crossramp.golden.common.errors import UserError

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path
    for folder in ("cli", "golden", "convert", "rtl", "sim", "boards", "train", "tools", "bench")
    for path in (ROOT / folder).rglob("*.py")
)

#: What a user may have set: none of it can be had here.
SETTINGS = "text.usetex: True\nbackend: nonsense\nfont.family: no such font\nlines.linewidth: 20\nbroken line\n"


def test_matplotlib_is_imported_in_one_place():
    assert len(SOURCES) > 100
    importing = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.partition(".")[0] in ("matplotlib", "pylab", "mpl_toolkits") for name in names):
                importing.add(path.relative_to(ROOT).as_posix())
    assert importing == {"cli/plots/figures.py"}


def test_whatever_draws_has_own_settings():
    drawing = 0
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name != "new_figure":
                calls = {
                    call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and hasattr(call.func, "id")
                }
                if calls & {"new_figure", "save_figure"}:
                    assert [ast.unparse(one) for one in node.decorator_list] == ["own_settings"], (path, node.name)
                    drawing += 1
    assert drawing >= 10


def test_settings_of_the_user_change_nothing(run, tmp_path):
    assert run("ramp", "sigmoid", "--plot", "here.png")[0] == 0
    home = tmp_path / "home"
    for folder in (home / ".config" / "matplotlib", home / "work"):
        folder.mkdir(parents=True)
        (folder / "matplotlibrc").write_text(SETTINGS)
    variables = {"HOME": str(home), "MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(home / "work" / "matplotlibrc")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    done = subprocess.run(
        [sys.executable, "-m", "crossramp", "ramp", "sigmoid", "--plot", "there.png"],
        cwd=home / "work",
        env=environment | variables,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (home / "work" / "there.png").read_bytes() == (tmp_path / "here.png").read_bytes()


def test_settings_of_a_caller_are_given_back(run, tmp_path, monkeypatch):
    import matplotlib

    assert run("ramp", "sigmoid", "--plot", "before.svg")[0] == 0
    with matplotlib.rc_context({"text.usetex": True, "lines.linewidth": 20}):
        assert run("ramp", "sigmoid", "--plot", "after.svg")[0] == 0
        assert (matplotlib.rcParams["text.usetex"], matplotlib.rcParams["lines.linewidth"]) == (True, 20)
    assert (tmp_path / "after.svg").read_bytes() == (tmp_path / "before.svg").read_bytes()


@own_settings
def save(path):
    save_figure(new_figure(1, 1), path)


def test_whole_or_not_at_all(tmp_path):
    for suffix in ("png", "svg", "pdf"):
        save(tmp_path / f"a.{suffix}")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OSError, match=r"folder\.png"):
        save(tmp_path / "folder.png")
    with pytest.raises(UserError, match=r"no picture ends in '\.txt'"):
        save(tmp_path / "a.txt")
    with pytest.raises(UserError, match="no picture ends in ''"):
        check_format("picture")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg", "folder.png"]
