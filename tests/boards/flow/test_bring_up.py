# SPDX-License-Identifier: Apache-2.0
"""docs/bring-up.md: its tables are the board files', its commands parse, its scripts run, its messages are ours."""

import argparse
import ast
import importlib.util
import re
import shlex
from pathlib import Path

import crossramp.boards
import crossramp.cli
import numpy as np
import pytest
from crossramp.boards.definitions.board import boards, find_board, probed_columns
from crossramp.cli.main import COMMANDS, parser
from crossramp.golden.array.array_protocol import IdealArray
from crossramp.golden.link.board_memory import Region
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import Space
from crossramp.golden.network.model_file import load_model

import crossramp
from tests.support.serial_line import Line

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "bring-up.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("bring_up_tables", DOCS.parent / "tools" / "bring_up_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- tables ---------------------------------------------------------------------------------------------------------


def test_the_tables_are_those_of_the_board_files(tables):
    assert tables.written(TEXT) == TEXT, "type: python tools/bring_up_tables.py --write"


def test_a_pin_that_moved_is_seen(tables):
    changed = TEXT.replace("PMOD1A pin 7", "PMOD1A pin 5")
    assert changed != TEXT
    assert tables.written(changed) == TEXT


def test_a_table_that_is_gone_is_seen(tables):
    with pytest.raises(ValueError, match="lights"):
        tables.written(TEXT.replace("begin: lights", "begin: light"))


def test_every_bit_of_a_header_has_its_own_place(tables):
    for name in tables.EMULATED:
        wires = find_board(name).wires["probes"]
        places = tables.places(wires)
        assert [place.split()[-1] for place in places] == wires.pins.split()
        assert len({place.rsplit(" ", 1)[0] for place in places}) == 1
    assert tables.places(find_board("icebreaker").wires["probes"])[4] == "PMOD1A pin 7"
    assert tables.places(find_board("tang-nano-9k").wires["probes"])[7] == "header pin 34"


def test_probes_are_the_columns_that_the_table_says(tables):
    spec = load_model("kws").spec
    rows = re.findall(r"^\| probe (\d) .* comparator of unit (\d), bank (\w) \|$", TEXT, re.MULTILINE)
    columns = [spec.column(bank, int(unit)) for _, unit, bank in rows]
    assert columns == probed_columns(spec)


def test_every_board_is_in_the_guide():
    for name in boards():
        assert f"--board {name}" in TEXT


# ---- commands -------------------------------------------------------------------------------------------------------


def commands() -> list[list[str]]:
    """The arguments of every ``crossramp`` command in a block of shell."""
    lines = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines if line.startswith("crossramp ")]
    return [line[1:] for line in words]


def test_the_commands_parse():
    seen = set()
    for arguments in commands():
        seen.add(arguments[0])
        parsed = parser().parse_args(arguments)
        if getattr(parsed, "board", None) is not None:
            find_board(parsed.board)
    assert seen >= {"doctor", "build", "flash", "run", "virtual", "generate"}


def test_a_command_with_an_option_that_is_none_is_seen(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args([*commands()[-1], "--nothing"])
    capsys.readouterr()


def test_options_within_the_text_exist():
    (subparsers,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    options = {name: set(sub._option_string_actions) for name, sub in subparsers.choices.items()}
    everywhere = set().union(*options.values())
    commands, others = 0, 0
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)):
        named = set(re.findall(r"(?<!\S)--[a-z-]+", code))
        if code.startswith("crossramp "):
            command = code.split()[1]
            assert command in COMMANDS, code
            assert named <= options[command], code
            commands += 1
        elif not code.startswith(("python", "pip", "sudo")):
            assert named <= everywhere, code
            others += bool(named)
    assert min(commands, others) > 0, "the page's style has changed: nothing was found in it"


# ---- scripts --------------------------------------------------------------------------------------------------------


class Stuck:
    """Comparators that say the same whatever the array holds: the ramp gives one code."""

    def __init__(self, code: int):
        self.code = code

    def convert(self, macs):
        return np.full_like(macs, self.code)


@pytest.fixture
def script(tmp_path, monkeypatch, capsys):
    """``script(name, port)`` runs a script of the page, on that port, in a folder of its own; what it prints."""
    scripts = {re.match(r"# (\S+)\n", block)[1]: block for language, block in BLOCKS if language == "python"}
    monkeypatch.chdir(tmp_path)

    def run(name: str, port: str = "") -> str:
        exec(compile(scripts[name].replace("/dev/ttyUSB0", port), name, "exec"), {"__name__": "__main__"})
        return capsys.readouterr().out

    return run


def test_the_scripts_for_an_array_on_pins(script, tmp_path):
    script("make_array.py")
    model = load_model(tmp_path / "array.npz")
    build = find_board("ulx3s-85f-pins").build(model.spec)
    weights = model.network.weights.macro
    for code, expected in ((0, "all low True\nall high False\n"), (15, "all low False\nall high True\n")):
        stuck = IdealArray(build.spec, weights, [Stuck(code) for _ in build.spec.ramps])
        with Line(LinkModel(build, stuck)) as line:
            assert script("no_array.py", line.port) == expected
    board = LinkModel(build, IdealArray(build.spec, weights))
    with Line(board) as line:
        text = script("run_array.py", line.port)
    assert "differs by at most 0 of 7" in text
    answer, golden = re.search(r"answer (\d) golden (\d)", text).groups()
    assert answer == golden
    assert board.memories[Region(Space.SETTINGS)] == bytes([250, 0, 25, 0, 1, 0])


# ---- messages -------------------------------------------------------------------------------------------------------


def source_strings() -> list[str]:
    """Every string of cli/ and boards/, with {} for what is put into it."""
    found = []
    for package in (crossramp.cli, crossramp.boards):
        for path in Path(package.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return found


def test_the_messages_are_ours():
    section = TEXT.split("## 9. When a step fails")[1].split("\n## ")[0]
    messages = [m for m in re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE) if "..." in m]
    assert len(messages) >= 12
    strings = source_strings()
    for message in messages:
        assert is_said(message, strings), message
    assert not is_said("no board answers to ...", strings)
    assert not is_said("...: was built for ..., not with ...", strings)


def is_said(message: str, strings: list[str]) -> bool:
    """Whether one of the strings has the message's parts, in order."""

    def has_all(string: str) -> bool:
        at = 0
        for part in message.split("..."):
            at = string.find(part, at) + len(part)
            if at < len(part):
                return False
        return True

    return any(has_all(string) for string in strings)


def test_the_picture_is_small():
    assert (DOCS / "images" / "logic-analyzer.png").stat().st_size < 250_000
