# SPDX-License-Identifier: Apache-2.0
"""Boards as data: the list, what each is built for, its pins, and whether a specification can fit."""

import importlib
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import crossramp.boards.definitions
import pytest
from crossramp.boards.definitions.board import SIGNALS, Board, BoardError, array_widths, boards, find_board
from crossramp.boards.definitions.families import FAMILIES
from crossramp.boards.flow.board_core import core_verilog
from crossramp.boards.flow.board_top import make_platform, top_files
from crossramp.boards.flow.divider import ClockDivider
from crossramp.boards.flow.fit import (
    TooLarge,
    check_size,
    excess,
    least_resources,
    memory_blocks,
    memory_words,
    refusal,
)
from crossramp.boards.flow.utterance_clocks import utterance_time
from crossramp.cli.inputs.subjects import SPECIFICATIONS
from crossramp.golden.cell.library import CELLS
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.layers.spec_file import load_spec
from crossramp.golden.link.board_memory import identity_image, read_identity
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import FORMAT, Specification
from hypothesis import given

from tests.support import board_baseline as baseline
from tests.support.amaranth_benches import simulate
from tests.support.layered import HEAD_IN_ARRAY, PROJECTED, TWINS, WAITING
from tests.support.strategies import specifications

KWS = load_model("kws").spec
ARRAY = load_spec(SPECIFICATIONS / "array8x8.toml")
_LAYER = KWS.replace(format=FORMAT, classes=0, readout="mean", max_steps=1024)
TWO_KWS = NetworkSpecification(
    layers=(Layer(macro=_LAYER), Layer(macro=_LAYER.replace(inputs=32))), classes=12, max_steps=KWS.max_steps
)
SPEC_OF = {name: ARRAY if not board.columns_per_clock else KWS for name, board in boards().items()}

#: The board that docs/boards.md shows, which is not in the package.
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "ice40_hx8k.py"

every_board = pytest.mark.parametrize("name", boards())


def constraints(board: Board, spec: Specification) -> dict[str, str]:
    """Port bit to pin, from the constraints that nextpnr reads."""
    files = top_files(board, board.build(spec), "")
    (text,) = (text for file, text in files.items() if file.endswith((".pcf", ".lpf", ".cst")))
    pattern = r'^(?:set_io|LOCATE COMP|IO_LOC) "?([\w\[\]]+)"? (?:SITE )?"?(\w+)"?;?$'
    found = re.findall(pattern, text, flags=re.MULTILINE)
    assert len(found) == len(dict(found))
    return dict(found)


def test_the_boards_of_the_project_are_there():
    assert {"icebreaker", "ulx3s-85f", "ulx3s-85f-pins", "tang-nano-9k"} <= set(boards())
    assert list(boards()) == sorted(boards())


def test_unknown_board():
    with pytest.raises(BoardError, match=r"'icebraker'; known: icebreaker, .*ulx3s-85f"):
        find_board("icebraker")


@pytest.fixture
def more_boards(tmp_path, monkeypatch):
    """``more_boards(file, text)`` puts a file beside those of the package."""
    monkeypatch.setattr(
        crossramp.boards.definitions, "__path__", [*crossramp.boards.definitions.__path__, str(tmp_path)]
    )
    added = []

    def add(name: str, text: str):
        (tmp_path / f"{name}.py").write_text(text)
        added.append(f"crossramp.boards.definitions.{name}")
        boards.cache_clear()

    yield add
    monkeypatch.undo()
    boards.cache_clear()
    for module in added:
        sys.modules.pop(module, None)


def test_adding_a_board_is_one_file(more_boards):
    """The file that docs/boards.md shows, put into the package."""
    more_boards("ice40_hx8k", EXAMPLE.read_text())
    assert find_board("ice40-hx8k").build(ARRAY).clock == 12_000_000
    assert_complete(boards()["ice40-hx8k"], ARRAY)


def test_two_boards_of_one_name(more_boards):
    text = "from crossramp.boards.definitions.icebreaker import BOARDS as ICE\nBOARDS = (ICE[0],)\n"
    more_boards("again", text)
    assert find_board("icebreaker")  # the same object twice is no contradiction
    more_boards("another", f"from dataclasses import replace\n{text}BOARDS = (replace(ICE[0], clock=1),)\n")
    with pytest.raises(BoardError, match="two boards are called 'icebreaker'"):
        boards()


def test_listing_boards_imports_nothing_large():
    code = (
        "import sys; from crossramp.boards.definitions.board import boards; boards(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('amaranth', 'amaranth_boards', 'serial')])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@every_board
def test_each_board_has_its_signals(name):
    board = boards()[name]
    assert board.family in FAMILIES
    assert set(board.capacity) <= set(FAMILIES[board.family].primitives)
    if board.columns_per_clock:
        assert set(board.wires) == set(SIGNALS)
        assert len(board.wires["probes"].pins.split()) == 8
        assert all(wires.label for wires in board.wires.values())
    else:
        assert {"reset", "ready", "busy", "error", *array_widths(ARRAY)} == set(board.wires)


@every_board
def test_pins_are_unique_and_complete(name):
    assert_complete(boards()[name], SPEC_OF[name])


def assert_complete(board: Board, spec: Specification):
    """Every bit of every signal has a pin of its own."""
    pins = constraints(board, spec)
    assert len(set(pins.values())) == len(pins)
    widths = {signal: 8 if signal == "probes" else 1 for signal in board.wires}
    widths |= {port: width for port, width in array_widths(spec).items() if not board.columns_per_clock}
    bits = len(board.tied_high.split()) + sum(widths[signal] for signal in board.wires)
    assert len(pins) == bits + 3  # the clock and the UART's two lines


@every_board
def test_the_clock_is_the_oscillator(name):
    board = boards()[name]
    assert make_platform(board, board.build(SPEC_OF[name])).default_clk_frequency == board.clock


def test_a_pin_used_twice_is_seen():
    board = boards()["icebreaker"]
    wires = {**board.wires, "hold": replace(board.wires["hold"], pins="2")}
    with pytest.raises(BoardError, match=r"icebreaker: .* does not take the board's pins: ResourceError: .*hold"):
        constraints(replace(board, wires=wires), KWS)


def test_nothing_is_connected_to_the_low_voltage_bank_of_the_tang_nano():
    """Bank 3 has 1.8 V: LEDs and buttons only. Banks as Apicula's database has them."""
    chipdb = pytest.importorskip("apycula.chipdb")
    apycula = importlib.import_module("apycula")
    device = chipdb.load_chipdb(str(Path(apycula.__file__).parent / "GW1N-9C.msgpack.xz"))
    banks = {pin: device.pin_bank[place] for pin, (place, _) in device.pinout["GW1NR-9C"]["QFN88P"].items()}
    pins = constraints(boards()["tang-nano-9k"], KWS)
    low = {port.split("_0__")[0] for port, pin in pins.items() if banks[pin] == 3}
    assert low == {"reset", "ready", "busy", "error"}
    board = boards()["tang-nano-9k"]
    for signal, wires in board.wires.items():
        assert (wires.attributes.get("IO_TYPE") == "LVCMOS18") == (signal in low)


@given(spec=specifications(cells=tuple(CELLS)))
def test_build_keeps_all_but_the_lanes(spec):
    for board in boards().values():
        if board.columns_per_clock:
            build = board.build(spec)
            assert build.spec == spec.replace(lanes=min(board.lanes, spec.units))
            assert build.columns_per_clock == min(board.columns_per_clock, spec.units)
            assert read_identity(identity_image(build)) == build


def test_what_the_pins_cannot_take():
    board = boards()["ulx3s-85f-pins"]
    assert board.build(ARRAY).columns_per_clock == 0
    for changes, words in (
        ({"inputs": 6}, ("9 wires row_pos", "pins for 8")),
        ({"units": 3, "inputs": 4}, ("3 wires state_pos", "pins for 2")),
        ({"adc_bits": 5}, ("31 wires tap", "pins for 15")),
        ({"calibration_cells": 3}, ("6 wires calibration", "pins for 4")),
    ):
        with pytest.raises(BoardError) as caught:
            board.build(ARRAY.replace(**changes))
        for word in (*words, "ulx3s-85f-pins", "adc_bits 4"):
            assert word in str(caught.value)


def test_the_array_of_the_pins_is_wired_as_its_table_says():
    table = importlib.import_module("crossramp.boards.definitions.ulx3s").__doc__
    rows = re.findall(r"^(\w+) {2,}((?:\d+[+-] ?)+)", table, flags=re.MULTILINE)
    rows = [(port, pins.split()) for port, pins in rows]
    rows = [
        (port, pins + re.findall(r"^ {10,}((?:\d+[+-] ?)+)", table, re.M)[0].split() if port == "tap" else pins)
        for port, pins in rows
    ]
    wires = boards()["ulx3s-85f-pins"].wires
    assert {f"array_{port}": " ".join(pins) for port, pins in rows} == {
        name: wire.pins for name, wire in wires.items() if name.startswith("array_")
    }


@pytest.mark.parametrize(
    ("baud", "good"),
    [
        (9600, True),
        (115200, True),
        (3_000_000, True),
        (200, False),  # slower than any port
        (2_700_000, False),  # between two divisors
        (4_000_000, False),  # too few clocks a bit
    ],
)
def test_baud(baud, good):
    board = boards()["icebreaker"]
    if good:
        assert board.build(KWS, baud).baud == baud
    else:
        with pytest.raises(BoardError, match=f"{baud} baud"):
            board.build(KWS, baud)


# ---- whether it fits ------------------------------------------------------------------------------------------------


def test_what_surely_cannot_fit_is_refused_at_once():
    board = boards()["icebreaker"]
    with pytest.raises(TooLarge) as caught:
        check_size(board, board.build(KWS.replace(units=4000, lanes=1)))
    message = str(caught.value)
    assert "4000 units and 40 inputs take at least" in message
    # The shipped network fits, and one of twice its size does not.
    assert 32 <= int(re.search(r"; about (\d+) units would fit", message)[1]) < 64


def test_a_larger_board_is_named():
    board = boards()["icebreaker"]
    with pytest.raises(TooLarge, match=r"--board .*ulx3s-85f"):
        check_size(board, board.build(KWS.replace(units=200, lanes=1)))


def test_no_units_at_all_would_fit():
    board = boards()["icebreaker"]
    with pytest.raises(TooLarge, match="no number of units would fit"):
        check_size(board, board.build(KWS.replace(inputs=30000, units=2, lanes=1)))


@pytest.mark.parametrize("name", [name for name, board in boards().items() if board.columns_per_clock])
def test_the_shipped_model_is_not_refused(name):
    check_size(boards()[name], boards()[name].build(KWS))


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("icebreaker", ARRAY),
        ("ulx3s-85f", ARRAY.replace(units=35, inputs=3, classes=5, adc_bits=3)),
        ("ulx3s-85f", Specification(cell="lstm_peephole", inputs=3, units=5, classes=3, adc_bits=3, input_bits=4)),
        ("ulx3s-85f", TWINS),
        ("ulx3s-85f", WAITING),
        ("ulx3s-85f", PROJECTED),
        ("ulx3s-85f", HEAD_IN_ARRAY),
        ("ulx3s-85f-pins", ARRAY),
    ],
)
def test_the_memories_are_those_of_the_verilog(name, spec):
    build = boards()[name].build(spec)
    declared = re.findall(r"^ +reg \[(\d+):0\] \w+ \[(\d+):0\];", core_verilog(build), flags=re.MULTILINE)
    assert len(declared) >= 6
    found = sorted((int(depth) + 1, int(width) + 1) for width, depth in declared)
    assert found == sorted(memory_words(build).values())


def test_layers_that_are_too_many_are_refused_before_synthesis():
    board = find_board("icebreaker")
    with pytest.raises(TooLarge) as caught:
        check_size(board, board.build(TWO_KWS))
    assert "icebreaker: macros of 32, 32 units and 40 inputs take at least " in str(caught.value)
    assert "; give fewer or smaller layers, or try --board ulx3s-85f" in str(caught.value)
    largest = find_board("ulx3s-85f")
    check_size(largest, largest.build(TWO_KWS))


def test_clocks_of_layers():
    """Layers work at once; one of two directions, and what is behind it, begin when the utterance is complete."""
    board = find_board("ulx3s-85f")
    one, two = utterance_time(board.build(KWS), 49), utterance_time(board.build(TWO_KWS), 49)
    assert two.clocks_per_step == one.clocks_per_step
    assert two.clocks == one.clocks + two.clocks_per_step
    heard = TWO_KWS.replace(layers=(replace(TWO_KWS.layers[0], bidirectional=True), wider(TWO_KWS.layers[1])))
    both = utterance_time(board.build(heard), 49)
    assert both.clocks - heard.head_clocks == 49 * (one.clocks_per_step + both.clocks_per_step)
    assert two.link_bytes == both.link_bytes == one.link_bytes


def wider(layer: Layer) -> Layer:
    return Layer(macro=layer.macro.replace(inputs=64))


@pytest.mark.parametrize("name", boards())
def test_the_bound_is_near_what_was_placed(name):
    """Never above it, and one block below at most: the shipped models as the baselines have them."""
    board = boards()[name]
    memory = FAMILIES[board.family].memory
    bound = sum(memory_blocks(board, board.build(SPEC_OF[name])).values())
    placed = {entry["resources"][memory] for entry in baseline.load(name)}
    assert max(placed) - 1 <= bound <= min(placed)


#: By board: a specification that only its block RAM cannot hold, and blocks that it takes, counted by hand.
BLOCK_RAM_DECIDES = {
    # The head's 33,792 words of 12 bits: 33 x 3 blocks of 1,024 by 4; logits of 23 bits: 6 of the same.
    "icebreaker": (KWS.replace(classes=1024), 99 + 6, 30, 4096),
    # 4 x 48 x 149 weights of 8 bits: 14 blocks of 2,048 by 9; the head's 12,250 words of 12: 3 x 3 of 4,096 by 4.
    "tang-nano-9k": (KWS.replace(units=48, inputs=99, weight_bits=8, state_cell=None, classes=250), 14 + 9, 26, 18432),
    # The head's 206,848 words of 20 bits: 51 x 5 blocks of 4,096 by 4.
    "ulx3s-85f": (KWS.replace(units=100, classes=2048, head_weight_bits=16), 255, 208, 18432),
}


def test_block_ram_never_decides_on_the_pins():
    """Pins allow 2 units, with which the largest head takes an eighth of the part."""
    board = boards()["ulx3s-85f-pins"]
    build = board.build(ARRAY.replace(classes=4096, head_weight_bits=16))
    check_size(board, build)
    small = replace(board, capacity={**board.capacity, "DP16KD": 20})
    with pytest.raises(TooLarge, match=r"ulx3s-85f-pins: .* most of them head 15, .*; about 1 unit would fit"):
        check_size(small, build)


@pytest.mark.parametrize("name", BLOCK_RAM_DECIDES)
def test_block_ram_alone_decides_before_synthesis(name):
    board = boards()[name]
    spec, counted, have, bits = BLOCK_RAM_DECIDES[name]
    build = board.build(spec)
    needed = least_resources(board, build)
    memory = FAMILIES[board.family].memory
    assert excess(board, {**needed, memory: 0}) is None  # nothing else is short
    with pytest.raises(TooLarge) as caught:
        check_size(board, build)
    found = re.search(r"at least ([\d,]+) block RAMs .*?\(([\d,]+) bits; most of them (.*?)\)", str(caught.value))
    blocks = int(found[1].replace(",", ""))
    assert blocks > have
    assert blocks >= counted
    assert int(found[2].replace(",", "")) == blocks * bits
    assert f"and the board has {have} ({have * bits:,} bits); " in str(caught.value)
    assert re.search(r"(about \d+|no number of) units would fit", str(caught.value))


@pytest.mark.parametrize(
    ("resource", "needed", "word"), [("ICESTORM_LC", 6000, "logic cells"), ("ICESTORM_RAM", 36, "RAMs")]
)
def test_what_would_fit_keeps_what_the_estimate_does_not_see(resource, needed, word):
    board = boards()["icebreaker"]
    build = board.build(KWS)
    message = refusal(board, build, resource, needed)
    units = int(re.search(r"; about (\d+) units would fit", message)[1])
    assert f"{needed:,} " in message
    assert word in message

    def expected(units: int) -> float:
        smaller = board.build(KWS.replace(units=units, lanes=1))
        return needed + least_resources(board, smaller)[resource] - least_resources(board, build)[resource]

    assert 0 < units < 32
    assert expected(units) <= 0.97 * board.capacity[resource] < expected(units + 1)


@pytest.mark.parametrize("name", [name for name, board in boards().items() if board.columns_per_clock])
def test_an_utterance_of_a_second_takes_less(name):
    time = utterance_time(boards()[name].build(KWS), 49)
    assert time.clocks > 49 * KWS.clocks_per_step
    assert time.link_bytes > 49 * 40
    assert time.seconds < 0.25


@pytest.mark.parametrize("divide", [2, 3, 25])
def test_divided_clock(divide):
    """Its period is ``divide`` clocks, half of them low; it begins low, and rises once a period."""
    dut, shown = ClockDivider(divide), []

    async def watch(ctx):
        for _ in range(6 * divide):
            shown.append(ctx.get(dut.clock))
            await ctx.tick()

    simulate(dut, watch)
    rises = [k for k in range(1, len(shown)) if shown[k] > shown[k - 1]]
    falls = [k for k in range(1, len(shown)) if shown[k] < shown[k - 1]]
    assert shown[0] == 0
    assert {after - before for before, after in pairwise(rises)} == {divide}
    assert {fall - rise for rise, fall in zip(rises, falls, strict=False)} == {divide // 2}


@every_board
def test_a_board_with_a_divided_clock(name):
    """The core runs on the divided clock, and its reset comes and goes with that."""
    board = boards()[name]
    build = board.build(SPEC_OF[name], board.clock // 100, 10)
    assert build.clock == board.clock // 10
    rtlil = top_files(board, build, "")["top.il"]
    assert "divider" in rtlil
    assert "divider" not in top_files(board, board.build(SPEC_OF[name]), "")["top.il"]


@pytest.mark.parametrize("divide", [0, -1, 7, 1001])
def test_clocks_that_cannot_be_divided(divide):
    with pytest.raises(BoardError, match=f"divided by {divide}; allowed: 1 to 1000, and divisors of 12000000"):
        find_board("icebreaker").build(KWS, 100, divide)


def test_divide_of_one_half():
    with pytest.raises(ValueError, match="divide is 1"):
        ClockDivider(1)
