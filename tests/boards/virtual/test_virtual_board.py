# SPDX-License-Identifier: Apache-2.0
"""The virtual board: equal to the golden models through its serial port, whatever is sent there."""

import os
import time

import numpy as np
import pytest
import serial
from crossramp.boards.host.driver import BoardDriver
from crossramp.boards.host.images import network_images
from crossramp.boards.virtual.simulated_board import virtual_board
from crossramp.golden.cell.library import CELLS
from crossramp.golden.link.board_memory import Build, Region
from crossramp.golden.link.link_protocol import (
    ANSWER,
    END,
    Command,
    Fault,
    Frame,
    Space,
    Status,
    StatusBlock,
    encode,
    step_payload,
)
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.designs import SPECS
from tests.support.link_fuzz import Conversation, Requests, flood, untimed
from tests.support.serial_line import Disturbance, Line
from tests.support.strategies import inputs_of, network_of, seeds, specifications

# Lanes and columns that do not divide the units, and a rate that does not divide the clock: 5.04 clocks a bit.
ODD = Build("odd", SPECS["odd"], 2, 12_000_000, 2_380_000)
SECONDS = 600.0  # what only a board that hangs takes


@pytest.fixture(scope="module")
def models(pytestconfig):
    return pytestconfig.rootpath / "build" / "simulation"


@pytest.fixture(scope="module")
def odd(models):
    """(the virtual board ``ODD``, its port), one for all tests, with its power on throughout."""
    board = virtual_board(ODD, "verilator", models, optimize=False)
    with board as port:
        yield board, port


def opened(port: str, build: Build) -> serial.Serial:
    return serial.Serial(port, build.baud, timeout=SECONDS, exclusive=True)


def driver(port: str, build: Build) -> BoardDriver:
    return BoardDriver(port, baud=build.baud, timeout=SECONDS, patience=SECONDS)


def wrong(board: BoardDriver, network: Network, x: np.ndarray) -> set[str]:
    """What the board computes otherwise than the golden model, of h of every step, logits and answers."""
    trace = network.run(x)
    found = set()
    for k, codes in enumerate(x):
        have = board.run(codes, every_step=True)
        pairs = {
            "h": (have.h, trace.h[k]),
            "logits": (have.logits, trace.logits[k]),
            "answer": (have.answer, trace.answers[k]),
        }
        found |= {name for name, (got, want) in pairs.items() if not np.array_equal(got, want)}
    return found


# A failure is reported as drawn: shrinking would build a model for each try. What is drawn first is the least of
# everything, which the filter keeps out.
@given(
    specifications(max_units=5, max_inputs=6, max_bits=5, cells=tuple(CELLS)).filter(lambda spec: spec.units > 2),
    seeds,
    st.integers(2, 5),
)
@settings(
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    database=None,
    max_examples=1,
)
def test_drawn_specification(models, spec, seed, columns):
    build = Build("drawn", spec, min(columns, spec.units), 25_000_000, 2_080_000)
    with virtual_board(build, "verilator", models, optimize=False) as port:
        with driver(port, build) as board:
            assert board.build == build
            for shift in range(2):
                network = network_of(spec, seed + shift)
                board.load(network)
                assert not wrong(board, network, inputs_of(spec, seed + shift, batch=3, steps=min(4, spec.max_steps)))


@pytest.mark.parametrize("cell", ["gru", "lstm_peephole", "rnn_tanh"])
def test_other_cells(models, cell, seed):
    """Rows in two windows and held banks, trained line cells, and a single conversion."""
    spec = Specification(cell=cell, inputs=3, units=5, classes=4, lanes=2, adc_bits=3, input_bits=4, weight_bits=4)
    build = Build("cell", spec, 2, 25_000_000, 2_080_000)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3)
    weights = network.weights.macro.copy()
    weights[spec.rows_of(spec.layout.row_groups[-2])] *= -1
    with virtual_board(build, "verilator", models, optimize=False) as port:
        with driver(port, build) as board:
            board.load(network)
            assert wrong(board, network, x) == set()
            assert "h" in wrong(board, Network(spec, network.weights.replace(macro=weights)), x)


def test_answers_of_every_step_and_a_projection(models, seed):
    """Also a wrong weight of the projection."""
    spec = Specification(
        inputs=3, units=5, classes=4, lanes=2, adc_bits=3, input_bits=4, weight_bits=4, readout="step", projection=3
    )
    build = Build("steps", spec, 2, 25_000_000, 2_080_000)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3)
    other = network.weights.replace(projection=-network.weights.projection)
    with virtual_board(build, "verilator", models, optimize=False) as port:
        with driver(port, build) as board:
            board.load(network)
            assert wrong(board, network, x) == set()
            assert "h" in wrong(board, Network(spec, other), x)


def test_wrong_memories_show(odd, seed):
    """Whatever is loaded wrongly is seen where it acts, and nowhere before."""
    network, x = network_of(ODD.spec, seed), inputs_of(ODD.spec, seed, batch=4, steps=3)
    head = Network(ODD.spec, network.weights.replace(head_biases=network.weights.head_biases ^ 1))
    weights = network.weights.macro.copy()
    weights[:, 3] = np.where(weights[:, 3] > 0, -1, 1) * ODD.spec.weight_max
    with driver(odd[1], ODD) as board:
        board.load(network)
        assert wrong(board, network, x) == set()
        assert "logits" in wrong(board, head, x)
        assert "h" not in wrong(board, head, x)
        assert "h" in wrong(board, Network(ODD.spec, network.weights.replace(macro=weights)), x)


def test_whatever_is_sent_is_answered_as_defined(odd, rng):
    with opened(odd[1], ODD) as line:
        talk = Conversation(line, ODD)
        # As after power-up, whatever the tests before left there.
        for region, memory in talk.model.memories.items():
            talk.write(region, bytes(memory))
        talk.tell(encode(Frame(0, Command.RESET, b"\0")))
        requests = Requests(talk.model, rng)
        for number in range(500):
            talk.tell(requests.line())
            if number % 5 == 4:
                talk.compare_status()
        # Not much is proven unless most of it happened.
        assert talk.answers[Command.STEP | ANSWER, Status.OK] > 50
        assert {status for _, status in talk.answers} >= set(Status) - {Status.BUSY}
        assert talk.seen >= Fault.ESCAPE | Fault.CHECK | Fault.SIZE


def test_planted_difference_shows(odd, rng):
    """The comparison of the test above, with a golden model of another number of steps."""
    with opened(odd[1], ODD) as line:
        talk = Conversation(line, Build(ODD.board, ODD.spec.replace(max_steps=2), 2, ODD.clock, ODD.baud))
        talk.ask(Command.RESET, bytes([0]))
        requests = Requests(talk.model, rng)
        data = [requests.line() for _ in range(300)]
        with pytest.raises(AssertionError, match="golden"):
            talk.tell(b"".join(data))


def test_flood(odd, rng):
    """Requests that do not wait for their answers: some are lost, none is answered wrongly, and the link goes on."""
    data = flood(rng, 200)
    with opened(odd[1], ODD) as line:
        talk = Conversation(line, ODD)
        talk.ask(Command.RESET, bytes([1]))
        expected = untimed(talk.model.feed(data))
        line.write(data)
        for number in range(240, 250):  # with time in between: the last one is surely taken, and everything before it
            line.write(bytes([END] * 64) + encode(Frame(number, Command.STATUS)))
        frames = untimed(talk.receive())
        while frames[-1].sequence != 249:
            frames += untimed(talk.receive())
        got = [frame for frame in frames if frame.command == Command.ECHO | ANSWER]
        assert 20 < len(got) < 200
        left = iter(expected)
        assert all(frame in left for frame in got)  # in order
        status = StatusBlock.unpack(talk.ask(Command.STATUS).payload[1:])
        assert Fault.OVERRUN in status.faults
        assert status.dropped >= min(200 - len(got), 255) / 2  # what is lost of two frames may look like one


def test_disturbed_line_changes_no_result(odd, seed):
    network, x = network_of(ODD.spec, seed), inputs_of(ODD.spec, seed, batch=2, steps=6)
    rates = {"drop": 0.002, "flip": 0.002, "double": 0.001, "insert": 0.001, "lose": 0.01, "repeat": 0.01}
    to_board, to_host = Disturbance([seed, 1], **rates), Disturbance([seed, 2], **rates)
    with Line(odd[1], to_board, to_host) as line:
        with BoardDriver(line.port, baud=ODD.baud, timeout=0.2, tries=600) as board:
            board.load(network)
            assert wrong(board, network, x) == set()
            assert board.exchange.repeated > 5
    assert min(to_board.changes, to_host.changes) > 5


def test_reset_button(odd, seed):
    """Midway through an utterance it stops the board at once; memories stay."""
    board, port = odd
    network, x = network_of(ODD.spec, seed), inputs_of(ODD.spec, seed, batch=1, steps=4)
    with driver(port, ODD) as host:
        host.load(network)
    with opened(port, ODD) as line:
        talk = Conversation(line, ODD)
        talk.ask(Command.RESET, bytes([77]))
        talk.ask(Command.STEP, step_payload(77, 0, False, x[0, 0]))
        board.press_reset()
        status = StatusBlock.unpack(talk.ask(Command.STATUS).payload[1:])
        assert (status.tag, status.accepted, status.done, status.computing) == (0, 0, 0, False)
        frame = talk.ask(Command.STEP, step_payload(77, 1, False, x[0, 1]))
        assert frame.payload == bytes([Status.ORDER])
    with driver(port, ODD) as host:
        for space in (Space.WEIGHTS, Space.THRESHOLDS, Space.HEAD):
            assert host.read(space) == network_images(ODD, network, None)[Region(space)]


def test_port_closes_and_opens_again(odd):
    _, port = odd
    for _ in range(3):
        with opened(port, ODD) as line:
            Conversation(line, ODD).echo(b"hello")
        with opened(port, ODD) as line:
            line.write(b"\xc0half a frame")


def test_clock_stands_still_while_there_is_nothing_to_do(odd):
    board, port = odd
    with opened(port, ODD) as line:
        Conversation(line, ODD).echo(b"hello")
    deadline = time.monotonic() + SECONDS
    while _seconds(board.process_id) != (before := _wait_and_look(board.process_id)):
        assert time.monotonic() < deadline, before


def _wait_and_look(process: int) -> float:
    time.sleep(0.3)
    return _seconds(process)


def _seconds(process: int) -> float:
    with open(f"/proc/{process}/stat") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
