# SPDX-License-Identifier: Apache-2.0
"""Technologies: what ships is whole and sourced, what is wrong is refused by name."""

import json

import numpy as np
import pytest
from crossramp.golden.analog.technologies import technology
from crossramp.golden.analog.technologies.constants import CONSTANTS
from crossramp.golden.analog.technologies.technology import FOLDER, TechnologyError, load, parse, shipped

TEXT = (FOLDER / "rram.toml").read_text(encoding="utf-8")

GIVEN = [name for name in load("rram").names if CONSTANTS[name].default is None]


def without(name: str) -> str:
    """The default technology's text without one constant."""
    begin = TEXT.index(f"[{name}]\n")
    end = TEXT.find("\n[", begin)
    return TEXT[:begin] + (TEXT[end:] if end > 0 else "")


def changed(name: str, line: str, key: str = "value") -> str:
    begin = TEXT.index(f"[{name}]\n")
    start = TEXT.index(f"\n{key} = ", begin) + 1
    return TEXT[:start] + line + TEXT[TEXT.index("\n", start) :]


def test_two_or_more_ship():
    assert {"rram", "pcm", "charge"} <= set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_every_constant_has_a_unit_and_a_source(name):
    tech = load(name)
    assert tech.name == name
    for constant in tech.names:
        assert len(tech.source(constant)) >= 4
        assert tech.unit(constant) == CONSTANTS[constant].unit
    assert json.loads(json.dumps(tech.to_dict()))["technology"]["read_mode"] in ("current", "charge")


def test_a_missing_constant_is_named():
    for name in GIVEN:
        with pytest.raises(TechnologyError, match=f"{name} is missing"):
            parse(without(name), "mine.toml")


@pytest.mark.parametrize("value", ["nan", "inf", '"much"', "true", "1e30", "[1.0, 2.0, 3.0, 4.0, 5.0]"])
def test_a_wrong_value_is_refused(value):
    for name in GIVEN:
        with pytest.raises(TechnologyError, match=name):
            parse(changed(name, f"value = {value}"), "mine.toml")


def test_a_negative_value_is_refused():
    positive = [name for name in load("rram").names if CONSTANTS[name].low >= 0]
    assert len(positive) > 20
    for name in positive:
        with pytest.raises(TechnologyError, match=rf"{name} is -1[ ;].*allowed"):
            load("rram").replace({name: [-1.0] * CONSTANTS[name].length if CONSTANTS[name].length > 1 else -1.0})


def test_a_constant_without_source_is_refused():
    tech = load("rram")
    for name in tech.names:
        sources = tech.sources | {name: "  "}
        with pytest.raises(TechnologyError, match=rf"{name} has no source"):
            technology.Technology("mine", "", tech.read_mode, tech.pair, tech.ramp_kind, tech.values, sources)


@pytest.mark.parametrize("source", ["3", '["a paper"]', "true"])
def test_a_source_is_text(source):
    with pytest.raises(TechnologyError, match=r"the source of cell.g_max is .*; expected text"):
        parse(changed("cell.g_max", f"source = {source}", "source"), "mine.toml")


@pytest.mark.parametrize(
    "value", ["1" + 400 * "0", "-1" + 400 * "0", "-inf", "1" + 5000 * "0", 3000 * "[" + 3000 * "]"]
)
@pytest.mark.parametrize("name", ["cell.g_max", "ramp.scheme"])
def test_monstrous_values_are_refused(name, value):
    with pytest.raises(TechnologyError, match=f"{name} is|no TOML that can be read"):
        parse(changed(name, f"value = {value}"), "mine.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("cell.g_max", 'unit = "uS"', "unit"), "cell.g_max is in 'uS'; write its value in S"),
        (TEXT.replace("[cell.g_max]", "[cell.gmax]"), "cell.gmax is unknown; did you mean cell.g_max"),
        (
            TEXT.replace('read_mode = "current"', 'read_mode = "voltage"'),
            "read_mode is 'voltage'; allowed: current, charge",
        ),
        (TEXT.replace('read_mode = "current"', "read_mode = 3"), "technology.read_mode is 3"),
        (TEXT.replace('read_mode = "current"', 'read_mode = "charge"'), "no meaning in charge mode"),
        (TEXT.replace("[technology]", "[other]"), r"table \[technology\] is missing"),
        (TEXT + "\n[cell.g_max]\n", "no TOML"),
        (TEXT.replace('name = "rram"', 'name = "rram"\ncolor = "red"'), "technology.color is unknown"),
        (TEXT + "\n[extra]\nthing = 3\n", "extra.thing is unknown"),
        (changed("cell.g_min", "value = 1e-3"), "cell.g_min is 0.001 S, not below cell.g_max"),
        (changed("integrator.saturation", "value = 0.1"), "integrator.saturation is 0.1 V, below integrator.swing"),
        (changed("cell.levels", "value = 1"), "cell.levels is 1; give 0"),
        (changed("cell.levels", "value = 2.5"), "cell.levels is 2.5; .*whole"),
        ("", r"table \[technology\] is missing"),
    ],
)
def test_wrong_files_are_refused_in_one_line(text, message):
    with pytest.raises(TechnologyError, match=message) as caught:
        parse(text, "mine.toml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("technology ")


def test_files_and_names(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(changed("cell.g_max", "value = 1e-4"), encoding="utf-8")
    assert load(path)["cell.g_max"] == 1e-4
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TechnologyError, match="cannot be read"):
        load(path)
    with pytest.raises(TechnologyError, match=r"no technology 'rramm'; shipped: charge, pcm, rram"):
        load("rramm")


def test_changes_are_checked_and_told_apart():
    tech = load("rram")
    other = tech.replace({"cell.read_noise": 0.01, "pair": "single-ended"})
    assert other["cell.read_noise"] == 0.01
    assert other.pair == "single-ended"
    assert other.source("cell.read_noise") == "changed by the user"
    assert other.source("cell.g_max") == tech.source("cell.g_max")
    assert other.content_hash != tech.content_hash
    assert tech.replace({"cell.read_noise": tech["cell.read_noise"]}).content_hash == tech.content_hash
    with pytest.raises(TechnologyError, match=r"did you mean cell\.read_noise"):
        tech.replace({"cell.readnoise": 1})
    with pytest.raises(TechnologyError, match="charge mode has differential pairs only"):
        load("charge").replace({"pair": "single-ended"})
    assert np.isfinite([v for v in tech.values.values() if isinstance(v, float)]).all()


def test_a_constant_with_a_default_may_be_left_out():
    tech = load("charge")
    assert tech["cell.fault_aware"] == 0
    assert tech.replace({"cell.fault_aware": 0}).content_hash == tech.content_hash
    assert tech.replace({"cell.fault_aware": 1}).content_hash != tech.content_hash
    # What was measured on it before the constant was there stays comparable.
    assert tech.content_hash == "a099b85e27de01f5"
