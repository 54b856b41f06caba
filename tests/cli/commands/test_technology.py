# SPDX-License-Identifier: Apache-2.0
"""``crossramp technology``, and docs/devices.md: tables that are the files', code that runs."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from crossramp.golden.analog.technologies.constants import CONSTANTS, SWITCHES
from crossramp.golden.analog.technologies.technology import load, shipped

from tests.cli.conftest import is_refusal

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "devices.md").read_text(encoding="utf-8")


def test_the_list_names_what_ships(run):
    status, out, _ = run("technology")
    assert status == 0
    assert all(name in out for name in shipped())
    assert [entry["name"] for entry in json.loads(run("technology", "--json")[1])] == shipped()


@pytest.mark.parametrize("name", shipped())
def test_every_constant_is_told_with_its_source(run, name):
    status, out, _ = run("technology", name)
    assert status == 0
    squeezed = " ".join(out.split())
    tech = load(name)
    for constant in tech.names:
        assert f"{constant} = " in squeezed
        assert " ".join(tech.source(constant).split()) in squeezed


@pytest.mark.parametrize("name", shipped())
def test_toml_reads_back(run, tmp_path, name):
    path = tmp_path / "mine.toml"
    path.write_text(run("technology", name, "--toml")[1], encoding="utf-8")
    assert load(path) == load(name)
    changed = run("technology", path, "--set", "read.voltage=0.3", "--toml")[1]
    path.write_text(changed, encoding="utf-8")
    assert load(path)["read.voltage"] == 0.3


def test_what_follows_for_a_model(run):
    content = json.loads(run("technology", "rram", "--model", "kws", "--json")[1])
    derived = content["derived"]
    capacitor = load("rram")["read.voltage"] * load("rram")["read.clock"] / derived["mac"]["value"]
    unit = (load("rram")["cell.g_max"] - load("rram")["cell.g_min"]) / 15
    assert derived["column_capacitor"]["value"] == pytest.approx(capacitor * unit)
    assert content["effects"] == list(SWITCHES)
    assert "row_current" not in json.loads(run("technology", "charge", "--model", "kws", "--json")[1])["derived"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing",), "there is no technology 'nothing'"),
        (("rram", "--set", "cell.gmax=1"), "did you mean cell.g_max"),
        (("rram", "--set", "cell.g_max=-1"), "cell.g_max is -1 S; allowed: above 0 to 1"),
        (("rram", "--set", "cell.g_max=nan"), "cell.g_max is nan"),
        (("rram", "--set", "cell.g_max"), "write it as CONSTANT=VALUE"),
        (("rram", "--set", "cell.g_max=many"), "'many' is not a number in S"),
        (("rram", "--model", "nothing"), "nothing"),
    ],
)
def test_wrong_arguments_end_in_one_line(run, arguments, message):
    is_refusal(run("technology", *arguments), message)


def test_the_pages_tables_are_the_files():
    spec = importlib.util.spec_from_file_location("device_tables", DOCS.parent / "tools" / "device_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.written(TEXT) == TEXT, "type: python tools/device_tables.py --write"


def test_the_page_has_every_effect_and_constant():
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.M) == list(SWITCHES)
    assert re.findall(r"^\| `(\w+\.\w+)` \|", TEXT, re.M) == list(CONSTANTS)


def test_the_pages_code_runs():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    names = {}
    exec(code, names)
    assert names["chip"].seed == 7
