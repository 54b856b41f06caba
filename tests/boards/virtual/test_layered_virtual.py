# SPDX-License-Identifier: Apache-2.0
"""The virtual board with a network of several layers, equal to the golden models through its serial port."""

import dataclasses

import numpy as np
import pytest
import serial
from crossramp.boards.flow.utterance_clocks import utterance_time
from crossramp.boards.host.driver import BoardDriver
from crossramp.boards.host.images import network_images
from crossramp.boards.virtual.simulated_board import virtual_board
from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_protocol import ANSWER, Command, Frame, Space, Status, encode, step_payload
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.layered import TWINS, WAITING, board_specifications, layered_network_of
from tests.support.link_fuzz import Conversation, Requests
from tests.support.strategies import inputs_of, seeds

SECONDS = 600.0  # what only a board that hangs takes
BOARD = Build("waiting", WAITING, 2, 12_000_000, 3_000_000)


@pytest.fixture(scope="module")
def models(pytestconfig):
    return pytestconfig.rootpath / "build" / "simulation"


@pytest.fixture(scope="module")
def port(models):
    """Of the virtual board ``BOARD``, one for all tests."""
    with virtual_board(BOARD, "verilator", models, optimize=False) as port:
        yield port


def driver(port: str, build: Build) -> BoardDriver:
    return BoardDriver(port, baud=build.baud, timeout=SECONDS, patience=SECONDS)


def wrong(board: BoardDriver, network, x: np.ndarray) -> set[str]:
    """What the board computes otherwise than the golden model."""
    every, trace, found = not network.spec.bidirectional, network.run(x), set()
    for k, codes in enumerate(x):
        have = board.run(codes, every_step=every)
        h = trace.h[k] if every else trace.h[k, -1]
        pairs = {"h": (have.h, h), "logits": (have.logits, trace.logits[k]), "answer": (have.answer, trace.answers[k])}
        found |= {name for name, (got, want) in pairs.items() if not np.array_equal(got, want)}
    return found


def test_a_layer_that_waits_behind_one_that_does_not(port, seed):
    """Peepholes, a digital projection, two directions; and a host that mixes up the weights of these."""
    network, x = layered_network_of(WAITING, seed), inputs_of(WAITING, seed, batch=3, steps=4)
    first, second = "layer1_forward", "layer1_backward"
    with driver(port, BOARD) as board:
        assert board.build == BOARD
        board.load(network)
        assert wrong(board, network, x) == set()
        images = network_images(BOARD, network)
        board.write(Space.WEIGHTS, images[Space.WEIGHTS, first], macro=second)
        board.write(Space.WEIGHTS, images[Space.WEIGHTS, second], macro=first)
        assert "h" in wrong(board, network, x)
        board.load(network)
        assert wrong(board, network, x) == set()


def test_clocks_of_an_utterance(port, seed):
    """As stated, where nothing waits for the line: of a single step, and of what begins with the last one."""
    network, x = layered_network_of(WAITING, seed), inputs_of(WAITING, seed, batch=1, steps=5)
    with driver(port, BOARD) as board:
        board.load(network)
        for steps in (1, 5):
            have, stated = board.run(x[0, :steps]).clocks, utterance_time(BOARD, steps).clocks
            assert abs(have - stated) < 0.05 * stated


def test_whatever_is_sent_is_answered_as_defined(port, rng):
    """Also addresses of macros that there are not, and of what a macro lacks."""
    with serial.Serial(port, BOARD.baud, timeout=SECONDS, exclusive=True) as line:
        talk = Conversation(line, BOARD)
        for region, memory in talk.model.memories.items():
            talk.write(region, bytes(memory))
        talk.tell(encode(Frame(0, Command.RESET, b"\1")))
        # H and LOGITS are defined from here on.
        talk.tell(encode(Frame(1, Command.STEP, step_payload(1, 0, True, [0] * WAITING.inputs))))
        requests = Requests(talk.model, rng)
        for number in range(400):
            talk.tell(requests.line())
            if number % 5 == 4:
                talk.compare_status()
        assert talk.answers[Command.STEP | ANSWER, Status.OK] > 40
        for space in (Space.WEIGHTS, Space.THRESHOLDS):
            for status in (Status.OK, Status.ADDRESS):
                counts = [talk.answers[command + space | ANSWER, status] for command in (Command.READ, Command.WRITE)]
                assert sum(counts) > 0


@given(board_specifications(), seeds)
@settings(
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    database=None,
    max_examples=1,
)
def test_drawn_network(models, spec, seed):
    build = Build("layers", spec, 2, 25_000_000, 2_080_000)
    network, x = layered_network_of(spec, seed), inputs_of(spec, seed, batch=3, steps=3)
    with virtual_board(build, "verilator", models, optimize=False) as port:
        with driver(port, build) as board:
            board.load(network)
            assert wrong(board, network, x) == set()


@pytest.mark.slow
def test_without_verilator(models, seed):
    """Amaranth's simulator, at as many bits a second as the clock allows."""
    spec = TWINS.replace(layers=tuple(dataclasses.replace(layer, macro=small(layer.macro)) for layer in TWINS.layers))
    build = Build("twins", spec, 2, 12_000_000, 3_000_000)
    network, x = layered_network_of(spec, seed), inputs_of(spec, seed, batch=1, steps=2)
    with virtual_board(build, "amaranth", models) as port:
        with driver(port, build) as board:
            board.load(network, verify=False)
            assert wrong(board, network, x) == set()


def small(macro):
    return macro.replace(inputs=2, units=2, lanes=2, adc_bits=2, input_bits=3, weight_bits=3)
