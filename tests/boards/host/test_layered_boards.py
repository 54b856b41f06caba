# SPDX-License-Identifier: Apache-2.0
"""Boards with a network of several layers: golden board and driver, addresses of each macro, and what is refused."""

import numpy as np
import pytest
from crossramp.boards.definitions.board import BoardError, find_board
from crossramp.boards.host.driver import BoardDriver
from crossramp.boards.host.exchange import LinkError
from crossramp.boards.host.images import WrongModel, network_images
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.link.board_memory import Build, Region, identity_image, read_identity, thresholds_image
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import Command, Frame, Space, Status, read_payload, write_payload
from crossramp.golden.spec.gates import SpecificationError
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.layered import (
    HEAD_IN_ARRAY,
    PROJECTED,
    TWINS,
    WAITING,
    board_specifications,
    layered_network_of,
)
from tests.support.serial_line import Line
from tests.support.strategies import inputs_of, network_of, seeds
from tests.support.tiny_board import SPEC, quick

CLOCK = 12_000_000


def board_of(spec, columns: int = 2) -> Build:
    return Build("layers", spec, columns, CLOCK)


def wrong(board: BoardDriver, network, x: np.ndarray) -> set[str]:
    """What differs from the golden network; h of every step where a board has it."""
    every, found = not network.spec.bidirectional, set()
    trace = network.run(x)
    for k, codes in enumerate(x):
        have = board.run(codes, every_step=every)
        h = trace.h[k] if every else trace.h[k, -1]
        pairs = {"h": (have.h, h), "logits": (have.logits, trace.logits[k]), "answer": (have.answer, trace.answers[k])}
        found |= {name for name, (got, want) in pairs.items() if not np.array_equal(got, want)}
    return found


@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(board_specifications(), seeds, st.integers(1, 5))
def test_any_network(spec, seed, columns):
    build = board_of(spec, columns)
    assert read_identity(identity_image(build)) == build
    network = layered_network_of(spec, seed)
    with Line(LinkModel(build)) as line, quick(line) as board:
        board.load(network)
        assert wrong(board, network, inputs_of(spec, seed, batch=2, steps=3)) == set()


@pytest.mark.parametrize(
    ("spec", "first", "second"), [(TWINS, "layer0", "layer1"), (WAITING, "layer1_forward", "layer1_backward")]
)
def test_weights_in_the_other_layers_space_are_seen(spec, first, second, seed):
    """A host that mixes up two macros of one size gets answers, and every one of them is compared."""
    build, network = board_of(spec), layered_network_of(spec, seed)
    x = inputs_of(spec, seed, batch=2, steps=4)
    with Line(LinkModel(build)) as line, quick(line) as board:
        board.load(network)
        assert wrong(board, network, x) == set()
        images = network_images(build, network)
        board.write(Space.WEIGHTS, images[Space.WEIGHTS, first], macro=second)
        board.write(Space.WEIGHTS, images[Space.WEIGHTS, second], macro=first)
        assert "h" in wrong(board, network, x)
        # What is read back tells which.
        with pytest.raises(LinkError, match=f"word 0 of weights of {first} is "):
            board._compare(Region(Space.WEIGHTS, first), *(images[Space.WEIGHTS, name] for name in (second, first)))


def test_thresholds_of_one_layer(seed):
    build, network = board_of(TWINS), layered_network_of(TWINS, seed)
    floors = np.sort(np.random.default_rng(seed).integers(-9, 9, (len(TWINS.macros["layer1"].ramps), 7)))
    images = network_images(build, network, {"layer1": floors})
    assert images[Space.THRESHOLDS, "layer1"] == thresholds_image(build, floors, "layer1")
    assert images[Space.THRESHOLDS, "layer0"] == thresholds_image(build, None, "layer0")
    with pytest.raises(InvalidValue, match=r"thresholds of 'layer2'; .* which are layer0, layer1"):
        network_images(build, network, {"layer2": floors})
    with pytest.raises(InvalidValue, match="thresholds of ''"):
        network_images(build, network, floors)


def respond(build: Build, command: int, payload: bytes) -> bytes:
    return LinkModel(build).respond(Frame(0, command, payload)).payload


def test_the_highest_byte_of_an_address_is_the_macro():
    build = board_of(TWINS)
    size, words = build.word_bytes(Space.WEIGHTS, "layer1"), build.words(Space.WEIGHTS, "layer1")
    read, write = Command.READ + Space.WEIGHTS, Command.WRITE + Space.WEIGHTS
    assert build.address(5, "layer1") == 5 + (1 << 24)
    last = build.address(words - 1, "layer1")
    assert respond(build, read, read_payload(last, 1)) == bytes(1 + size)
    assert respond(build, read, read_payload(last, 2)) == bytes([Status.ADDRESS])
    assert respond(build, write, write_payload(last, bytes(size))) == bytes([Status.OK])
    for number in (2, 255):  # words of macros that there are not have one byte
        assert respond(build, read, read_payload(number << 24, 1)) == bytes([Status.ADDRESS])
        assert respond(build, write, write_payload(number << 24, bytes(size + 1))) == bytes([Status.ADDRESS])
    # What the whole network has is that of macro 0.
    assert respond(build, Command.READ + Space.HEAD, read_payload(1 << 24, 1)) == bytes([Status.ADDRESS])


def test_a_space_of_one_layer():
    build = board_of(WAITING)
    lines = [region for region in build.regions if region.space == Space.LINES]
    assert lines == [Region(Space.LINES, "layer0")]
    numbers = list(WAITING.macros)
    first = respond(build, Command.READ + Space.LINES, read_payload(build.address(0, "layer0"), 1))
    assert first == bytes(1 + build.columns("layer0"))
    for name in numbers[1:]:
        payload = read_payload(build.address(0, name), 1)
        assert respond(build, Command.READ + Space.LINES, payload) == bytes([Status.ADDRESS])
    with Line(LinkModel(build)) as line, quick(line) as board:
        with pytest.raises(InvalidValue, match="has no lines of layer1_forward"):
            board.read(Space.LINES, macro="layer1_forward")


def test_heads_in_arrays_have_no_words():
    build = board_of(HEAD_IN_ARRAY)
    assert Space.HEAD not in {region.space for region in build.regions}
    assert respond(build, Command.READ + Space.HEAD, read_payload(0, 1)) == bytes([Status.UNKNOWN])


def test_another_network_is_refused(seed):
    build = board_of(TWINS)
    others = {
        TWINS.replace(classes=5): "classes is 3 there and 5 in the model",
        WAITING: "macros is layer0, layer1 there and layer0, layer1_forward, layer1_backward in the model",
        TWINS.converting(4): "adc_bits of layer0 is 3 there and 4 in the model; adc_bits of layer1 is 3 there and 4",
    }
    with Line(LinkModel(build)) as line, quick(line) as board:
        board.check(TWINS.implemented(lanes=1))
        for spec, told in others.items():
            with pytest.raises(WrongModel, match=told):
                board.check(spec)
        with pytest.raises(WrongModel, match="macros is layer0, layer1 there and one in the model"):
            board.load(network_of(SPEC, seed))


def test_what_no_board_holds(seed):
    with pytest.raises(SpecificationError, match=r"a layer has two directions: .*; set readout to 'mean' or 'last'"):
        board_of(WAITING.replace(readout="step"))
    with pytest.raises(SpecificationError, match="layer0, layer1; a board with its array on pins has one"):
        board_of(TWINS, 0)
    with pytest.raises(SpecificationError, match="ulx3s-85f-pins, which has its array on pins, has one"):
        find_board("ulx3s-85f-pins").build(TWINS)
    with pytest.raises(SpecificationError, match="tile_columns is 8, which makes 2 arrays; a board has one"):
        board_of(TWINS.implemented(tile_columns=8))
    with pytest.raises(SpecificationError, match=r"partial_rows is 3; .* make no partial sums: set it to 0"):
        board_of(TWINS.replace(layers=(replaced(TWINS.layers[0], partial_rows=3), TWINS.layers[1])))
    started = TWINS.replace(layers=(TWINS.layers[0], replaced(TWINS.layers[1], initial="constant")))
    with pytest.raises(BoardError, match="icebreaker: layer1_initial is 'constant'"):
        find_board("icebreaker").build(started)
    with Line(LinkModel(board_of(WAITING))) as line, quick(line) as board:
        with pytest.raises(InvalidValue, match="h of all steps comes behind the last one"):
            board.run(inputs_of(WAITING, seed)[0], every_step=True)


def replaced(layer, **changes):
    return type(layer)(macro=layer.macro.replace(**changes), bidirectional=layer.bidirectional)


def test_lanes_and_columns_suit_each_layer():
    """The projections' arrays, too, have at most as many columns a clock as units."""
    build = find_board("ulx3s-85f").build(PROJECTED)
    assert {name: build.columns(name) for name in build.spec.macros} == {
        name: macro.units for name, macro in PROJECTED.macros.items()
    }
    assert [layer.macro.lanes for layer in build.spec.layers] == [5, 5]
