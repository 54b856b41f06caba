# SPDX-License-Identifier: Apache-2.0
"""The host driver against the golden board on a pty: golden results, and a clear error for a board that is none."""

from dataclasses import replace

import numpy as np
import pytest
from crossramp.boards.host.exchange import LinkError, Refused
from crossramp.boards.host.images import WrongModel
from crossramp.golden.array.array_protocol import IdealArray
from crossramp.golden.array.ramps import WrittenRamp
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.link.board_memory import Build, Region, thresholds_image, weights_image
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import ANSWER, Command, Fault, Frame, Space, Status, StatusBlock
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.serial_line import SimulatedLine as Line
from tests.support.strategies import inputs_of, network_of, seeds, specifications
from tests.support.tiny_board import BUILD, GOLDEN, NETWORK, SPEC, Board, X, is_golden, quick

# ---- a good line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_step", [False, True])
def test_utterances_are_golden(every_step):
    with Line(LinkModel(BUILD)) as line, quick(line) as board:
        assert board.build == BUILD
        moved = []
        board.load(NETWORK, progress=lambda done, whole: moved.append((done, whole)))
        assert moved[-1][0] == moved[-1][1] == 2 * sum(map(len, line.far.memories.values()))
        assert [done for done, _ in moved] == sorted({done for done, _ in moved})
        for k, x in enumerate(X):
            result = board.run(x, every_step=every_step)
            assert is_golden(result, k, every_step)
            assert result.restarts == 0
        status = board.status()
        assert (status.answer, status.accepted, status.faults) == (GOLDEN.answers[2], 5, Fault(0))
        np.testing.assert_array_equal(board.h(), GOLDEN.h[2, -1])
        np.testing.assert_array_equal(board.logits(), GOLDEN.logits[2])


@settings(max_examples=12)
@given(specifications(cells=tuple(CELLS)), seeds, st.data())
def test_any_specification(spec, seed, data):
    build = Build("any", spec, data.draw(st.integers(1, spec.units)), 12_000_000)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=1)
    trace = network.run(x)
    with Line(LinkModel(build)) as line, quick(line) as board:
        board.load(network)
        result = board.run(x[0], every_step=True)
    np.testing.assert_array_equal(result.h, trace.h[0])
    np.testing.assert_array_equal(result.logits, trace.logits[0])
    np.testing.assert_array_equal(result.answer, trace.answers[0])


def test_a_wrong_weight_on_the_board_is_seen():
    """The comparison can fail: what is read is the board's."""
    with Line(LinkModel(BUILD)) as line, quick(line) as board:
        board.load(NETWORK)
        line.far.memories[Region(Space.WEIGHTS)][:] = weights_image(BUILD, -NETWORK.weights.macro)
        line.far._lstm = None
        assert not is_golden(board.run(X[0]), 0)


def test_written_thresholds_and_settings():
    floors = [ramp.floors[::-1] + k for k, ramp in enumerate(NETWORK.lstm.array.ramps)]
    with Line(LinkModel(BUILD)) as line, quick(line) as board:
        board.load(NETWORK, floors, hold=300, tick=2, calibration=0x101)
        assert board.read(Space.THRESHOLDS) == thresholds_image(BUILD, floors)
        assert board.read(Space.SETTINGS) == bytes([0x2C, 1, 2, 0, 1, 1])
        h = board.run(X[0], every_step=True).h
    written = IdealArray(SPEC, NETWORK.weights.macro, [WrittenRamp(ramp, SPEC.latch) for ramp in floors])
    np.testing.assert_array_equal(h, NETWORK.behind(written).run(X[:1]).h[0])


def test_what_cannot_be_loaded():
    with Line(LinkModel(BUILD)) as line, quick(line) as board:
        for wrong, word in (
            ({"thresholds": np.zeros((2, 6), int)}, r"thresholds has the shape \(2, 6\); expected \(2, 7\)"),
            ({"thresholds": np.full((2, 7), 1 << 20)}, r"thresholds\[0, 0\] is 1048576"),
            ({"hold": 65536}, "hold is 65536 clocks; allowed: 0 to 65535"),
            ({"tick": -1}, "tick is -1 clocks"),
            ({"calibration": 1 << 10}, "calibration is 400; allowed: 0 to 3ff, for 10 cells"),
            ({"calibration": -1}, "calibration is -1; allowed: 0 to 3ff"),
        ):
            with pytest.raises(ValueError, match=word):
                board.load(NETWORK, **wrong)
        with pytest.raises(ValueError, match="3 bytes for WEIGHTS, whose words have 2"):
            board.write(Space.WEIGHTS, bytes(3))
        for x, word in ((X[0, :0], "x has 0 steps"), (np.zeros((7, 3), int), "7 steps; the board takes 1 to 6")):
            with pytest.raises(ValueError, match=word):
                board.run(x)
        with pytest.raises(ValueError, match=r"x\[1, 2\] is 8; allowed: -7 to 7"):
            board.run(np.array([[0, 0, 0], [0, 0, 8]]))


def test_a_board_with_its_array_on_pins():
    build = Build("pins", SPEC, 0, 12_000_000)
    with Line(LinkModel(build, NETWORK.lstm.array)) as line, quick(line) as board:
        board.load(NETWORK)
        assert is_golden(board.run(X[1]), 1)
        with pytest.raises(ValueError, match="pins: its array has ramps of its own; leave out the thresholds"):
            board.load(NETWORK, np.zeros((2, 7), int))
        with pytest.raises(Refused, match="answered UNKNOWN to command 0x11"):
            board.exchange.ask(Command.READ + Space.WEIGHTS, bytes(4) + b"\1")
        for call in (board.read, lambda space: board.write(space, b"")):
            with pytest.raises(ValueError, match=r"\(pins\) has no weights"):
                call(Space.WEIGHTS)


# ---- models of another specification ---------------------------------------------------------------------------------


def test_a_wrong_model_is_refused_by_name():
    gates = (*SPEC.gates[:2], Gate("tanh", 1.5), SPEC.gates[3])
    other = SPEC.replace(units=6, lanes=6, gates=gates, state_cell=None)
    with Line(LinkModel(BUILD)) as line, quick(line) as board:
        with pytest.raises(WrongModel) as caught:
            board.load(network_of(other, 1))
        assert "\n" not in str(caught.value)
        for words in (
            f"the board on {line.port} (tiny) was built for another specification: ",
            "units is 5 there and 6 in the model",
            "weight_range of gate g is 2.0089285714285716 there and 1.5 in the model",
            "crossramp build MODEL --board tiny",
        ):
            assert words in str(caught.value)
        assert "lanes" not in str(caught.value)
        board.load(network_of(SPEC.replace(lanes=5), 1))


# ---- a board that is busy, or that is none ---------------------------------------------------------------------------


def busy(frame: Frame) -> Frame:
    return Frame(frame.sequence, frame.command | ANSWER, bytes([Status.BUSY]))


def test_busy_is_asked_again():
    class Slow(LinkModel):
        """Busy for three questions after each one that begins something."""

        left = 0

        def respond(self, frame):
            waits = frame.command == Command.STEP or frame.command & 0x30
            if waits and frame.command != Command.READ + Space.IDENTITY and self.left:
                self.left -= 1
                return busy(frame)
            self.left = 3 if frame.command in (Command.STEP, Command.RESET) else 0
            return super().respond(frame)

    with Line(Slow(BUILD)) as line, quick(line, patience=5) as board:
        board.load(NETWORK)
        assert is_golden(board.run(X[0], every_step=True), 0, True)


def test_busy_for_ever_is_an_error():
    with Line(Board(lambda frame, answer: busy(frame) if frame.command == Command.STEP else answer)) as line:
        with quick(line) as board:
            board.load(NETWORK)
            with pytest.raises(Refused, match=r"answered BUSY for 0\.3 s to command 0x04 at the start of utterance 1"):
                board.run(X[0])


def test_computing_for_ever_is_an_error():
    def computing(frame, answer):
        if frame.command == Command.STATUS and answer.payload[7] == len(X[0]):
            return Frame(answer.sequence, answer.command, answer.payload[:1] + b"\1" + answer.payload[2:])
        return answer

    # `accepted` begins at byte 3 of the answer, `done` at byte 7.
    with Line(Board(computing)) as line, quick(line) as board:
        board.load(NETWORK)
        with pytest.raises(
            LinkError, match=r"has been computing for 0.3 s after step 5 .* does its array hold `ready`"
        ):
            board.run(X[0])


class Counting(Board):
    """Busy until it was asked ``questions`` times, each taking ``clocks``, ``waiting`` of them for the array."""

    def __init__(self, command, questions, clocks, waiting):
        super().__init__()
        self.command, self.left, self.clocks, self.waiting = command, questions, clocks, waiting
        self.questions = questions

    def respond(self, frame):
        asked = self.left
        if frame.command == self.command == Command.STEP and asked:
            self.left -= 1
            return busy(frame)
        answer = super().respond(frame)
        if frame.command == Command.STATUS and self.accepted in (0, len(X[0])):
            status = StatusBlock.unpack(answer.payload[1:])
            computing = self.command == Command.STATUS and self.accepted > 0 and asked > 0
            self.left -= computing
            done = self.questions - asked
            counts = {"clocks": int(done * self.clocks), "waiting": int(done * self.waiting)}
            status = replace(status, computing=computing, **counts)
            return Frame(frame.sequence, frame.command | ANSWER, b"\0" + status.pack())
        return answer


@pytest.mark.parametrize("command", [Command.STEP, Command.STATUS])
def test_a_board_that_gets_on_may_take_as_long_as_it_likes(command):
    """Twenty times its patience."""
    with Line(Counting(command, 4000, 0.03, 0)) as line, quick(line, patience=0.05) as board:
        board.load(NETWORK)
        try:
            result = board.run(X[0])
        except LinkError as error:
            pytest.fail(f"given up: {error}")
        assert is_golden(result, 0)
        assert line.now > 20 * board.exchange.patience


@pytest.mark.parametrize(("clocks", "waiting"), [(0, 0), (0.01, 0.01), (1000, 0)], ids=["still", "held", "endless"])
@pytest.mark.parametrize("command", [Command.STEP, Command.STATUS])
def test_a_board_that_does_not_get_on_is_given_up_soon(command, clocks, waiting):
    """No clock passes, the array makes it wait on every one, or it computes beyond all reason."""
    with Line(Counting(command, 10**6, clocks, waiting)) as line, quick(line) as board:
        board.load(NETWORK)
        loaded = line.now
        with pytest.raises(LinkError, match=r"BUSY for 0\.3 s|has been computing for 0\.3 s"):
            board.run(X[0])
        assert board.exchange.patience < line.now - loaded < 3 * board.exchange.patience


WRONG_ANSWERS = {
    "unknown status": (Command.STATUS, b"\x09", "with status 9"),
    "too short": (Command.STATUS, b"\x00", "1 bytes with status 0"),
    "empty": (Command.STATUS, b"", "0 bytes with status None"),
    "no identity": (Command.READ + Space.IDENTITY, b"\x00\x05\x00", "cannot be read"),
    "refused identity": (Command.READ + Space.IDENTITY, b"\x01", "UNKNOWN"),
    "another echo": (Command.ECHO, bytes(17), "not a crossramp board"),
}


@pytest.mark.parametrize(("command", "payload", "words"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_answers_that_are_none(command, payload, words):
    def spoil(frame, answer):
        if frame.command != command:
            return answer
        longer = command == Command.READ + Space.IDENTITY and len(payload) > 1 and frame.payload[4] != 2
        return Frame(answer.sequence, answer.command, b"\0" + bytes(frame.payload[4]) if longer else payload)

    # Any error, so that one that is not ours is a failed comparison and no accident.
    with Line(Board(spoil)) as line, pytest.raises((LinkError, ValueError)) as caught, quick(line) as board:
        board.run(X[0])
    assert isinstance(caught.value, LinkError)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_memory_that_does_not_hold_what_was_written():
    def stuck(frame, answer):
        if frame.command == Command.READ + Space.WEIGHTS and frame.payload[0] == 0:
            changed = bytearray(answer.payload)
            changed[1 + 2 * 7] ^= 4
            return Frame(answer.sequence, answer.command, bytes(changed))
        return answer

    with Line(Board(stuck)) as line, quick(line) as board:
        with pytest.raises(LinkError, match="does not hold what was written: word 7 of weights is "):
            board.load(NETWORK)
        board.load(NETWORK, verify=False)


def test_patience_and_tries_are_checked():
    with Line(LinkModel(BUILD)) as line:
        with pytest.raises(ValueError, match="tries is 0"):
            quick(line, tries=0)
        with pytest.raises(ValueError, match="timeout is 0 s"):
            quick(line, timeout=0)
