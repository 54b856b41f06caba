# SPDX-License-Identifier: Apache-2.0
"""Boards that users describe in a file of their own: found by every command, and refused in one line where wrong."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from crossramp.boards.definitions.board import (
    ARRAY_PORTS,
    SIGNALS,
    BoardError,
    Wires,
    boards,
    find_board,
    known_board,
)
from crossramp.boards.definitions.board_file import check_board, load_boards
from crossramp.boards.flow.board_top import make_platform, top_files
from crossramp.boards.flow.fit import TooLarge, check_size
from crossramp.boards.flow.synthesis import make_bitstream
from crossramp.cli.inputs.subjects import SPECIFICATIONS
from crossramp.golden.layers.spec_file import load_spec
from crossramp.golden.network.model_file import load_model

from tests.boards.flow.test_boards import EXAMPLE, assert_complete

ARRAY = load_spec(SPECIFICATIONS / "array8x8.toml")
DOCUMENT = (EXAMPLE.parents[1] / "boards.md").read_text()


@pytest.fixture(autouse=True)
def path_restored(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def board_file(folder: Path, change=lambda text: text) -> Path:
    """The docs' example under a name of its own, changed."""
    file = folder / "my board.py"
    file.write_text(change(EXAMPLE.read_text()))
    return file


def test_the_docs_show_the_file():
    shown = re.search(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)[1]
    assert shown.split("\n\n", 1)[1] in EXAMPLE.read_text()
    assert "BOARDS = (" in shown


def test_a_file_is_a_board_by_its_path(tmp_path, monkeypatch):
    file = board_file(tmp_path)
    board = find_board(str(file))
    assert (board.name, known_board("ice40-hx8k")) == ("ice40-hx8k", board)
    assert board.name not in boards()
    monkeypatch.chdir(tmp_path)
    for name in ("my board.py", "./my board.py", "my board.py:ice40-hx8k"):
        assert find_board(name) == board
    assert_complete(board, ARRAY)


def test_what_the_docs_say_fits(tmp_path):
    """array8x8 does; the shipped model is refused before synthesis, and the docs have the number of units that fit."""
    board = find_board(str(EXAMPLE))
    check_size(board, board.build(ARRAY))
    kws = load_model("kws").spec
    with pytest.raises(
        TooLarge, match=r"at least 42 block RAMs of 4 kbit \(172,032 bits; most of them weights 15"
    ) as no:
        check_size(board, board.build(kws))
    units = int(re.search(r"; about (\d+) units would fit", str(no.value))[1])
    check_size(board, board.build(kws.replace(units=units, lanes=1)))
    assert f"about {units} units" in DOCUMENT


def test_several_boards_in_a_file(tmp_path):
    more = "\nfrom dataclasses import replace\nBOARDS = (*BOARDS, replace(BOARDS[0], name='second', lanes=2))\n"
    file = board_file(tmp_path, lambda text: text + more)
    assert find_board(f"{file}:second").lanes == 2
    with pytest.raises(BoardError, match=r"has 2 boards; give one: .*py:ice40-hx8k, .*py:second"):
        find_board(str(file))
    with pytest.raises(BoardError, match="no board is called 'third'; it has ice40-hx8k, second"):
        find_board(f"{file}:third")


def test_a_platform_may_lie_beside_the_board(tmp_path):
    (tmp_path / "my_platform.py").write_text(
        "from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform\n"
        "class Mine(ICE40HX8KBEVNPlatform):\n    pass\n"
    )
    file = board_file(tmp_path, lambda t: re.sub(r"amaranth_boards\.\w+:\w+", "my_platform:Mine", t))
    board = find_board(str(file))
    assert type(make_platform(board, board.build(ARRAY))).__name__ == "Mine"
    sys.modules.pop("my_platform")


WRONG = {
    "syntax": ("name=", "name 3 =", r"my board.py, line \d+: not Python that can be run: "),
    "null byte": ("name=", "\0name=", "my board.py.*: .*null bytes"),
    "missing field": ("        clock=12_000_000,\n", "", r"line \d+: TypeError: .* missing 1 required .* 'clock'"),
    "unknown field": ("clock=", "clocc=1, clock=", r"TypeError: .* unexpected keyword argument 'clocc'"),
    "unknown import": (
        "board import Board",
        "board import Bored",
        r"line \d+: ImportError: cannot import name 'Bored'",
    ),
    "exits": ("from cross", "raise SystemExit(0)\nfrom cross", r"line \d+: SystemExit: 0"),
    "no BOARDS": ("BOARDS = (", "BORDS = (", r"defines no BOARDS; expected BOARDS = \(Board\(...\),\)"),
    "one Board": ("    ),\n)\n", "    )\n)\n", r"BOARDS is Board\(.*\.\.\.; expected a tuple of Board"),
    "empty": ("BOARDS = (", "BOARDS = ()\n_ = (", r"BOARDS is \(\); expected a tuple of Board"),
    "shipped name": ('name="ice40-hx8k"', 'name="icebreaker"', "'icebreaker' is the name of a board of crossramp"),
    "name": ('name="ice40-hx8k"', 'name="../x y"', "name is '../x y'; allowed: letters"),
    "family": ('family="ice40"', 'family="ice41"', "family is 'ice41'; known: ice40, ecp5, gowin"),
    "platform": ("_evn:ICE", "_evn.ICE", "platform is .*; expected 'module:class'"),
    "clock": ("12_000_000", "12e6", "clock is 12000000.0; expected an integer of 1 or more"),
    "lanes": ("lanes=1", "lanes=0", "lanes is 0; expected"),
    "part": ('part=("--hx8k", "--package", "ct256")', 'part="--hx8k"', "part is '--hx8k'; expected a tuple of str"),
    "capacity": ('"ICESTORM_LC": 7680, ', "", "capacity lacks ICESTORM_LC, logic cells"),
    "resource": ('"ICESTORM_LC": 7680', '"LC": 7680', "a resource of capacity is 'LC'; ice40 has ICESTORM_LC"),
    "count": ("7680", "'7680'", r"capacity\['ICESTORM_LC'\] is '7680'; expected an integer"),
    "reset": ('"reset": Wires', '"ready": Wires', "wires lacks reset; required: reset"),
    "signal": ('"ready": Wires', '"redy": Wires', "a signal of wires is 'redy'; .*: reset, ready, busy"),
    "pins": ('"busy": Wires("B3"', '"busy": Wires(" "', r"wires\['busy'\] is .*; expected Wires with the names"),
    "two pins": ('Wires("B3"', 'Wires("B3 B4"', r"wires\['busy'\].pins is 'B3 B4'; allowed: 1 pin"),
    "no Wires": ('Wires("B3", label="LED D3")', '"B3"', r"wires\['busy'\] is 'B3'; expected Wires"),
    "no array": ("columns_per_clock=1", "columns_per_clock=0", "wires lacks array_row_pos, .*array_ready; required"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_is_told_in_one_line(kind, tmp_path):
    old, new, message = WRONG[kind]
    assert old in EXAMPLE.read_text()
    file = board_file(tmp_path, lambda text: text.replace(old, new, 1))
    with pytest.raises(BoardError, match=message) as caught:
        find_board(str(file))
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "list.bin").write_bytes(bytes(range(256)))
    for name, message in (
        ("missing.py", "missing.py: No such file"),
        ("folder", "folder: Is a directory"),
        ("list.bin", "list.bin"),
    ):
        with pytest.raises(BoardError, match=message):
            find_board(str(tmp_path / name))
    with pytest.raises(
        BoardError, match=r"'my_board'; known: icebreaker, .*; or give a file, as in --board ./my_board.py"
    ):
        find_board("my_board")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "amaranth_boards.ice40",
            "amaranth_bords.ice40",
            "no platform amaranth_bords.*: ModuleNotFoundError: No module",
        ),
        ("ICE40HX8KBEVNPlatform", "Nothing", "no platform amaranth_boards.*: AttributeError: .*'Nothing'"),
        ("12_000_000", "16_000_000", "clock is 16000000, and the oscillator of .* has 12000000 Hz; write that"),
        ('"13", ("j", 3)', '"14", ("j", 3)', "does not take the board's pins: ResourceError"),
        ('"13", ("j", 3)', '"99", ("j", 3)', "does not take the board's pins: NameError: .*j_3:99"),
    ],
)
def test_what_the_platform_refuses(old, new, message, tmp_path):
    board = find_board(str(board_file(tmp_path, lambda text: text.replace(old, new, 1))))
    with pytest.raises(BoardError, match=f"^ice40-hx8k: .*{message}"):
        top_files(board, board.build(ARRAY), "")


@pytest.mark.parametrize("name", boards())
def test_the_boards_of_the_project_are_right(name):
    check_board(boards()[name])


def test_only_reset_is_required():
    """A board without LEDs and header is built with three pins, and every optional signal adds those it has."""
    board = boards()["icebreaker"]
    bare = replace(board, wires={"reset": board.wires["reset"]})
    check_board(bare)
    assert_complete(bare, ARRAY)
    for signal in SIGNALS:
        assert_complete(replace(bare, wires={signal: board.wires[signal], **bare.wires}), ARRAY)
    narrow = replace(board, wires={**bare.wires, "probes": Wires("1 2 3", ("pmod", 0))})
    check_board(narrow)
    assert sum(name.startswith("probes") for name in top_files(narrow, narrow.build(ARRAY), "")["top.pcf"].split()) == 3


def test_an_array_on_pins_needs_its_ports():
    board = boards()["ulx3s-85f-pins"]
    for port in ARRAY_PORTS:
        without = replace(board, wires={name: wires for name, wires in board.wires.items() if name != port})
        if port == "array_calibration":
            check_board(without)
            without.build(ARRAY.replace(calibration_cells=0))
            with pytest.raises(BoardError, match="has 4 wires calibration, and the board has pins for 0"):
                without.build(ARRAY)
        else:
            with pytest.raises(BoardError, match=f"wires lacks {port}; required"):
                check_board(without)


def test_load_boards_gives_all(tmp_path):
    assert [board.name for board in load_boards(board_file(tmp_path))] == ["ice40-hx8k"]


@pytest.mark.every_board
def test_the_docs_board_is_built(pytestconfig):
    board = find_board(str(EXAMPLE))
    made = make_bitstream(board, board.build(ARRAY), folder=pytestconfig.rootpath / "build" / "simulation")
    assert made.path.stat().st_size > 20_000
    assert made.result["fmax"] >= board.clock
