# SPDX-License-Identifier: Apache-2.0
"""The package as a user gets it: a wheel and an editable install, each in a fresh environment, used from elsewhere."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
# What is no source: environments, version control, caches, and what was built or generated here.
_LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "demo")


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A copy of the tree, so that building leaves nothing in it."""
    folder = tmp_path_factory.mktemp("sources") / "tree"
    # `demo` alone at the top: cli/demo_data and cli/commands/demo.py are sources.
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    return folder


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, sources, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


def run(*command, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["wheel", "editable"])
def installed(request, tmp_path, sources) -> Path:
    """The ``bin`` folder of a fresh environment with crossramp in it.

    Its dependencies are those of this environment, by path: an editable crossramp among them stays out of sight, for
    its hook runs in its own environment only.
    """
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    what = ["-e", sources] if request.param == "editable" else [request.getfixturevalue("wheel")]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "-q"]
    run(*pip, "--no-deps", "--no-build-isolation", "--no-index", "--force-reinstall", *what, cwd=tmp_path)
    return place / "bin"


def test_commands_work_from_another_folder(installed, tmp_path, sources, request):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    crossramp = installed / "crossramp"
    assert run(crossramp, "--version", cwd=elsewhere) == f"crossramp {version}\n"
    assert run(installed / "python", "-m", "crossramp", "--version", cwd=elsewhere) == f"crossramp {version}\n"

    where = Path(run(installed / "python", "-c", "import crossramp; print(crossramp.__file__)", cwd=elsewhere).strip())
    expected = sources if "editable" in request.node.name else installed.parent
    assert where.is_relative_to(expected), f"another crossramp was tested: {where}"

    # A message about a missing extra names the clone or the wheel that this came from.
    told = "from crossramp.golden.common.installation import how_to_install; print(how_to_install('board'))"
    source = f"-e '{sources}[board]'" if expected == sources else f"'{request.getfixturevalue('wheel')}[board]'"
    assert run(installed / "python", "-c", told, cwd=elsewhere) == f"pip install {source}\n"

    assert len(json.loads(run(crossramp, "info", "kws", "--json", cwd=elsewhere))["classes"]) == 12
    run(crossramp, "generate", "kws", "-o", "out", cwd=elsewhere)
    assert (elsewhere / "out" / "kws.v").stat().st_size > 100_000
    assert (elsewhere / "out" / "testbench" / "crossbar.sv").is_file()
    run(crossramp, "ramp", "tanh", "--plot", "ramp.png", cwd=elsewhere)
    for module in ("golden", "rtl.emulation.emulator", "sim.bulk.bulk_simulation", "boards", "train"):
        run(installed / "python", "-c", f"import crossramp.{module}", cwd=elsewhere)


def test_wheel_holds_what_the_commands_read(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("cli", "golden", "convert", "rtl", "sim", "boards", "train"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".sv", ".cpp", ".npz", ".wav", ".toml"):
                assert f"crossramp/{path.relative_to(ROOT).as_posix()}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "crossramp/cli/demo_data/recordings/LICENSE" in names
    assert "crossramp/cli/demo_data/recordings/NOTICE" in names
    assert not any(name.startswith(("tests", "bench", "docs")) for name in names)


def test_every_package_says_that_it_is_typed(wheel):
    """PEP 561; of packages that type checkers see one by one, as in an editable installation, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in project["package-dir"]:
        assert f"{package.replace('.', '/')}/py.typed" in names
        assert (ROOT / project["package-dir"][package] / "py.typed").read_bytes() == b""


def test_citation():
    """Version, title, license and papers are those that the project states elsewhere."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for key, value in {"version": project["version"], "title": project["name"], "license": project["license"]}.items():
        assert cited[key] == value
    assert cited["authors"] == project["authors"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    ramps, adcs = cited["references"]
    assert set(project["urls"].values()) == {f"https://doi.org/{ramps['doi']}", adcs["url"]}
    readme = " ".join((ROOT / "README.md").read_text().replace("\n  ", " ").split())
    assert all(f"*{paper['title']}*" in readme for paper in (ramps, adcs))
    assert f"Nature Communications {ramps['volume']}:{ramps['start']} ({ramps['year']})" in readme


def test_every_source_names_its_license():
    for pattern in ("*.py", "*.sv", "*.cpp", "*.v"):
        for path in ROOT.rglob(pattern):
            parts = path.relative_to(ROOT).parts
            if any(part.startswith(".") or part in ("build", "dist", "demo", "__pycache__") for part in parts[:-1]):
                continue
            first = path.read_text().splitlines()[:2]
            assert any("SPDX-License-Identifier: Apache-2.0" in line for line in first), path
