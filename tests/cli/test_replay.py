# SPDX-License-Identifier: Apache-2.0
"""``replay``: what it prints and refuses; tests/boards/test_netlist_replay.py runs the tools."""

import json
from types import SimpleNamespace

import pytest
from crossramp.__main__ import main
from crossramp.boards import netlist, replay, synthesis, toolchain
from crossramp.boards.replay import Comparison
from crossramp.sim.replay import Design

from tests.cli.conftest import is_refusal


@pytest.fixture
def comparisons(monkeypatch, tmp_path):
    """Takes the place of tools and simulator; the list holds what each stage gives, the source first."""
    found = []
    (tmp_path / "core.v").write_text("")
    for name in ("top.json", "routed.json"):
        (tmp_path / name).write_text("{}")
    made = SimpleNamespace(core=tmp_path / "core.v", folder=tmp_path)
    monkeypatch.setattr(synthesis, "make_bitstream", lambda *_, **__: made)
    monkeypatch.setattr(toolchain, "find_tools", lambda *_: {"yosys": None})
    monkeypatch.setattr(netlist, "netlist_design", lambda *_: Design({}, "top"))
    monkeypatch.setattr(replay, "compare", lambda *_, **__: found.pop(0))
    return found


EQUAL = Comparison(40, [], 1_000_000, [(5, 3)])


def test_equal(comparisons, capsys):
    comparisons += [EQUAL, EQUAL, EQUAL]
    assert main(["replay", "kws", "--board", "icebreaker", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["equal"] is True
    assert [result["stage"] for result in content["replays"]] == ["source", "synthesis", "layout"]


def test_differences(comparisons, capsys):
    comparisons += [EQUAL, Comparison(3, [f"answer {k}" for k in range(7)], None, [])]
    assert main(["replay", "kws", "--board", "ulx3s-85f"]) == 1
    out = capsys.readouterr().out
    assert "synthesis: answer 4\nsynthesis: and 2 more; --json shows all" in out


def test_other_clocks_are_a_difference(comparisons, capsys):
    comparisons += [EQUAL, Comparison(40, [], 1_000_000, [(6, 3)])]
    assert main(["replay", "kws", "--board", "icebreaker", "--stage", "layout"]) == 1
    assert "layout: clocks computing and waiting: [(6, 3)]; source: [(5, 3)]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--board", "tang-nano-9k"], "no open cell models for netlists of its family, gowin"),
        (["--board", "ulx3s-85f-pins"], "take a board with an emulator"),
        (["--board", "nope"], "no board is called 'nope'"),
        (["--board", "ulx3s-85f", "--stage", "layout"], "leave out --stage"),
        (["--board", "icebreaker", "--random", "0"], "--random is 0; allowed: 1 to"),
        (["--board", "icebreaker", "--steps", "0"], "--steps is 0"),
        (["--board", "icebreaker", "--seed", "-1"], "--seed is -1"),
        (["--board", "icebreaker", "--baud", "7"], "7 baud"),
    ],
)
def test_refusals(arguments, message, capsys):
    status = main(["replay", "kws", *arguments])
    assert is_refusal((status, *capsys.readouterr()), message)
