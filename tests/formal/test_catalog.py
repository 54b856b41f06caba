# SPDX-License-Identifier: Apache-2.0
"""The list of all proofs: complete, told apart, and as docs/formal.md shows it; and whole drawn specifications."""

import importlib.util
from pathlib import Path

import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.sim.formal.catalog import proofs_of
from crossramp.sim.formal.engine.solver import Mode
from hypothesis import Phase, given, settings

from tests.support.proving import all_hold
from tests.support.strategies import specifications

ROOT = Path(__file__).parents[2]


def test_every_module_of_properties_is_in_the_list():
    named = (ROOT / "sim" / "formal" / "catalog.py").read_text()
    modules = [path.stem for path in (ROOT / "sim" / "formal").rglob("*_proof.py") if "def proofs(" in path.read_text()]
    assert len(modules) > 3
    assert [module for module in modules if f"{module}.proofs" not in named] == []


def test_claims_are_told_apart(shipped_spec):
    entries = proofs_of(shipped_spec)
    assert len({(entry.block, entry.claim) for entry in entries}) == len(entries)
    assert all(entry.block.isidentifier() for entry in entries)


def test_the_page_shows_every_claim():
    tool = importlib.util.spec_from_file_location("proof_table", ROOT / "tools" / "proof_table.py")
    table = importlib.util.module_from_spec(tool)
    tool.loader.exec_module(table)
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.written(text) == text, "type: python tools/proof_table.py --write"
    assert table.written(text.replace(proofs_of(load_model("kws").spec)[0].claim, "other")) == text


@pytest.mark.slow
@given(spec=specifications(max_units=4, max_inputs=4, max_bits=3))
@settings(max_examples=5, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_drawn_specifications(spec):
    """Each induction goes through for specifications that nobody chose; one takes about a minute.

    What fails is not shrunk, which would take hours. Bounded checks are of sizes of their own.
    """
    entries = [entry for entry in proofs_of(spec) if not entry.long]
    all_hold([entry for entry in entries if entry.mode is Mode.PROVE or entry.complete])
