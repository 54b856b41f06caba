# SPDX-License-Identifier: Apache-2.0
"""``replay``: what it prints and refuses; tests/boards/virtual/test_netlist_replay.py runs the tools."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.boards.flow import synthesis, toolchain
from crossramp.boards.virtual import board_netlist, link_replay
from crossramp.boards.virtual.link_replay import Comparison
from crossramp.cli.main import main
from crossramp.sim.netlist.pin_replay import Design

from tests.cli.conftest import is_refusal, write_wav


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
    monkeypatch.setattr(board_netlist, "netlist_design", lambda *_: Design({}, "top"))
    monkeypatch.setattr(link_replay, "compare", lambda *_, **__: found.pop(0))
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
        (["--board", "icebreaker", "--random", "201"], "201 utterances are given; a netlist is slow: give up to 200"),
        (["--board", "icebreaker", "--random", "1", "--features", "x.npy"], "--features and --random"),
        (["--board", "icebreaker", "--features", "x.npy", "--steps", "2"], "--steps 2 belongs to --random"),
        (["--board", "icebreaker", "--steps", "0"], "--steps is 0"),
        (["--board", "icebreaker", "--seed", "-1"], "--seed is -1"),
        (["--board", "icebreaker", "--baud", "7"], "7 baud"),
    ],
)
def test_refusals(arguments, message, capsys):
    status = main(["replay", "kws", *arguments])
    assert is_refusal((status, *capsys.readouterr()), message)


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        ([], (2, 4, 40)),
        (["--random", "3"], (3, 4, 40)),
        (["--random", "1", "--steps", "2", "--seed", "5"], (1, 2, 40)),
        (["--features", "x.npy", "--seed", "5"], (2, 3, 40)),
        (["yes/a.wav"], (1, 49, 40)),
    ],
)
def test_what_is_replayed(comparisons, capsys, tmp_path, monkeypatch, words, shape):
    """As in run; the seed is also that of the session's other questions."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(1).integers(-15, 16, (2, 3, 40))
    np.save("x.npy", x)
    write_wav(tmp_path / "yes" / "a.wav", np.arange(16000))
    recorded = []
    monkeypatch.setattr(link_replay, "record", lambda build, network, codes, seed: recorded.append((codes, seed)))
    comparisons += [EQUAL, EQUAL]
    assert main(["replay", "kws", *words, "--board", "icebreaker", "--stage", "layout", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    ((codes, seed),) = recorded
    assert codes.shape == shape
    assert (told["utterances"], told["steps"]) == shape[:2]
    assert told["seed"] == seed == (5 if "--seed" in words else 1)
    assert told["left_out"] == 0
    if "--features" in words:
        np.testing.assert_array_equal(codes, x)
