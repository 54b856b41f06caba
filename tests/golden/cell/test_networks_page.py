# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/networks.md name every cell, and its clocks are those of the specifications."""

import re
import tomllib

import pytest
from crossramp.golden.cell.library import CELLS
from crossramp.golden.layers.network_specification import specification_from

from tools.cell_tables import PAGE, written


def test_the_clocks_are_those_of_the_specifications():
    text = PAGE.read_text(encoding="utf-8")
    assert written(text) == text, "run python tools/cell_tables.py --write"


def test_a_page_without_the_tables_marks_is_refused():
    text = PAGE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="the marks of the table clocks are gone: write <!-- clocks --> and"):
        written(text.replace("<!-- end of clocks -->", ""))


def test_every_table_names_every_cell():
    tables = re.findall(r"^\| `cell` \|.*\n(?:\|.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        assert re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:])) == list(CELLS)


def test_every_cell_has_a_picture_of_its_step():
    text = PAGE.read_text(encoding="utf-8")
    pictures = re.findall(r"\(images/step-(\w+)\.svg\)", text)
    assert sorted([*pictures, "rnn_relu"]) == sorted(CELLS)
    assert all((PAGE.parent / "images" / f"step-{cell}.svg").exists() for cell in pictures)


def test_the_network_of_layers_is_one():
    """The table of the page reads as a specification whose sizes fit."""
    text, summed = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    spec = specification_from(tomllib.loads(text))
    assert list(spec.macros) == ["layer0_forward", "layer0_backward", "layer1"]
    spec = specification_from(tomllib.loads("classes = 12\n" + summed))
    assert list(spec.macros) == ["layer0", "layer0_partial0"]
