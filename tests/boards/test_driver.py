# SPDX-License-Identifier: Apache-2.0
"""The host driver against the golden board on a pty: right results or a clear error, whatever the line does."""

import time
from dataclasses import replace

import numpy as np
import pytest
from crossramp.boards.driver import RESTARTS, BoardDriver, Disturbed
from crossramp.boards.exchange import LinkError, Refused, Silent
from crossramp.boards.images import WrongModel
from crossramp.golden.boardmemory import Build, thresholds_image, weights_image
from crossramp.golden.hostlink import ANSWER, Command, Fault, Frame, Space, Status
from crossramp.golden.linkmodel import LinkModel
from crossramp.golden.ramp import WrittenRamp
from crossramp.golden.specification import Gate, Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.boards.line import Disturbance, Line
from tests.strategies import inputs_of, network_of, seeds, specifications

SPEC = Specification(inputs=3, units=5, classes=4, lanes=2, adc_bits=3, input_bits=4, weight_bits=4, max_steps=6)
BUILD = Build("tiny", SPEC, 2, 12_000_000)
NETWORK = network_of(SPEC, 3)
X = inputs_of(SPEC, 3, batch=3, steps=5)
GOLDEN = NETWORK.run(X)


def is_golden(result, k: int, every_step: bool = False) -> bool:
    h = GOLDEN.steps.h[k] if every_step else GOLDEN.steps.h[k, -1]
    return (
        result.answer == GOLDEN.answers[k]
        and np.array_equal(result.logits, GOLDEN.logits[k])
        and np.array_equal(result.h, h)
    )


def quick(line: Line, **options) -> BoardDriver:
    """Impatient enough for a test, and patient enough for a busy machine."""
    return BoardDriver(line.port, **({"timeout": 0.2, "tries": 5, "patience": 0.3} | options))


class Board(LinkModel):
    """A golden board that a test may spoil: ``spoil(frame, answer)`` gives the answer that is sent, or None."""

    def __init__(self, spoil=lambda frame, answer: answer, build=BUILD):
        super().__init__(build)
        self.spoil = spoil

    def respond(self, frame: Frame) -> Frame | None:
        return self.spoil(frame, super().respond(frame))

    def lose_power(self, build=BUILD):
        """What a memory holds afterwards is anything."""
        LinkModel.__init__(self, build)
        rng = np.random.default_rng(8)
        for space, memory in self.memories.items():
            if space == Space.WEIGHTS:
                memory[:] = weights_image(build, rng.integers(-7, 8, (build.spec.rows, build.spec.columns)))


class At:
    """Calls ``act`` once, before the answer to the ``count``-th frame of ``command``."""

    def __init__(self, command: int, count: int, act):
        self.command, self.left, self.act = command, count, act

    def __call__(self, frame: Frame, answer: Frame | None) -> Frame | None:
        self.left -= frame.command == self.command
        if self.left == 0 and frame.command == self.command:
            return self.act(frame, answer)
        return answer


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
        np.testing.assert_array_equal(board.h(), GOLDEN.steps.h[2, -1])
        np.testing.assert_array_equal(board.logits(), GOLDEN.logits[2])


@settings(max_examples=12)
@given(specifications(), seeds, st.data())
def test_any_specification(spec, seed, data):
    build = Build("any", spec, data.draw(st.integers(1, spec.units)), 12_000_000)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=1)
    trace = network.run(x)
    with Line(LinkModel(build)) as line, quick(line) as board:
        board.load(network)
        result = board.run(x[0], every_step=True)
    np.testing.assert_array_equal(result.h, trace.steps.h[0])
    np.testing.assert_array_equal(result.logits, trace.logits[0])
    assert result.answer == trace.answers[0]


def test_a_wrong_weight_on_the_board_is_seen():
    """The comparison can fail: what is read is the board's."""
    with Line(LinkModel(BUILD)) as line, quick(line) as board:
        board.load(NETWORK)
        line.far.memories[Space.WEIGHTS][:] = weights_image(BUILD, -NETWORK.weights)
        line.far._lstm = None
        assert not is_golden(board.run(X[0]), 0)


def test_written_thresholds_and_settings():
    floors = [ramp.floors[::-1] + k for k, ramp in enumerate(NETWORK.lstm.ramps)]
    with Line(LinkModel(BUILD)) as line, quick(line) as board:
        board.load(NETWORK, floors, hold=300, tick=2, calibration=[1, 0, 0, 0, 0, 0, 0, 0, 1])
        assert board.read(Space.THRESHOLDS) == thresholds_image(BUILD, floors)
        assert board.read(Space.SETTINGS) == bytes([0x2C, 1, 2, 0, 1, 1])
        h = board.run(X[0], every_step=True).h
    macro = type(NETWORK.lstm)(SPEC, NETWORK.weights, [WrittenRamp(ramp, SPEC.latch) for ramp in floors])
    np.testing.assert_array_equal(h, macro.run(X[:1]).h[0])


def test_what_cannot_be_loaded():
    with Line(LinkModel(BUILD)) as line, quick(line) as board:
        for wrong, word in (
            ({"thresholds": np.zeros((2, 6), int)}, r"thresholds has the shape \(2, 6\); expected \(2, 7\)"),
            ({"thresholds": np.full((2, 7), 1 << 20)}, r"thresholds\[0, 0\] is 1048576"),
            ({"hold": 65536}, "hold is 65536 clocks; allowed: 0 to 65535"),
            ({"tick": -1}, "tick is -1 clocks"),
            ({"calibration": [1] * 11}, "expected up to 10 cells of 0 or 1"),
            ({"calibration": [2]}, "cells of 0 or 1"),
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
    with Line(LinkModel(build, NETWORK.lstm)) as line, quick(line) as board:
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


# ---- a bad line ------------------------------------------------------------------------------------------------------

PERSISTENT = {"timeout": 0.05, "tries": 40}
RATES = {
    "drop": {"drop": 0.003},
    "flip": {"flip": 0.003},
    "double": {"double": 0.003},
    "insert": {"insert": 0.003},
    "lose": {"lose": 0.05},
    "repeat": {"repeat": 0.2},
    "stall": {"stall": 0.05, "stall_seconds": 0.25},
    "everything": {"drop": 5e-4, "flip": 5e-4, "double": 5e-4, "insert": 5e-4, "lose": 0.02, "repeat": 0.05}
    | {"stall": 0.02, "stall_seconds": 0.08},
}


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
@pytest.mark.parametrize("both", [False, True], ids=["one direction", "both directions"])
def test_a_disturbed_line_changes_no_result(rates, both, seed):
    to_host = Disturbance([seed, 1], **rates) if both else None
    with Line(LinkModel(BUILD), Disturbance([seed, 0], **rates), to_host) as line, quick(line, **PERSISTENT) as board:
        board.load(NETWORK)
        for k, x in enumerate(X):
            assert is_golden(board.run(x, every_step=k == 1), k, k == 1)
        assert line.to_board.changes > 0
        assert board.exchange.repeated > 0 or "repeat" in rates


def test_without_its_crc_the_host_would_be_misled(seed, monkeypatch):
    """The tests above can fail: a link that believes whatever comes gives wrong results, or none."""
    from crossramp.golden import hostlink

    monkeypatch.setattr(hostlink.zlib, "crc32", lambda data: 0)
    wrong = 0
    with Line(LinkModel(BUILD), None, Disturbance([seed, 1], flip=0.002)) as line:
        for _ in range(30):
            try:
                load_and_run_all(line, **PERSISTENT)
            except (LinkError, AssertionError):
                wrong += 1
    assert wrong


def load_and_run_all(line: Line, **options):
    with quick(line, **options) as board:
        board.load(NETWORK)
        assert all(is_golden(board.run(x), k) for k, x in enumerate(X))


@pytest.mark.parametrize("direction", ["to_board", "to_host"])
@pytest.mark.parametrize("part", [0, 0.1, 0.4, 0.7, 0.97])
def test_a_cut_line_is_an_error_soon(direction, part):
    whole = Disturbance(1)
    with Line(LinkModel(BUILD), **{direction: whole}) as line:
        load_and_run_all(line)
    started = time.monotonic()
    with Line(LinkModel(BUILD), **{direction: Disturbance(1, cut=int(part * whole.passed))}) as line:
        with pytest.raises(LinkError, match="answer") as caught:
            load_and_run_all(line, tries=3)
        assert line.port in str(caught.value)
    assert time.monotonic() - started < 5


def test_a_babbling_line_is_an_error_soon(rng):
    noise = rng.bytes(100_000)
    started = time.monotonic()
    with Line(LinkModel(BUILD), to_host=lambda data: noise + data) as line:
        with pytest.raises(LinkError, match="no board answers on"):
            quick(line, tries=2, baud=9600).close()
    assert time.monotonic() - started < 10


def test_a_line_that_echoes_does_not_answer():
    class Echo:
        def feed(self, data):
            return data

    with Line(Echo()) as line, pytest.raises(LinkError, match=r"no board answers on .* at 1000000 baud") as caught:
        quick(line, tries=2)
    assert "crossramp flash" in str(caught.value)


def test_half_a_frame_of_somebody_before_us_is_no_obstacle(rng):
    model = LinkModel(BUILD)
    for before in (b"\xc0\x01\x01\x10", b"\xc0\xdb", rng.bytes(3000)):
        model.feed(before)
        with Line(model) as line, quick(line, tries=1, timeout=5) as board:
            assert board.build == BUILD


def test_answers_that_come_late_are_not_taken_for_others():
    """The answer to a question waits on the line until the question after the next one is asked."""

    class Late(LinkModel):
        held = b""

        def feed(self, data):
            answers, self.held = self.held, super().feed(data)
            return answers + self.held  # each answer comes again, after the next question

    with Line(Late(BUILD)) as line, quick(line) as board:
        board.load(NETWORK)
        assert all(is_golden(board.run(x, every_step=True), k, True) for k, x in enumerate(X))


# ---- a board that stops, or is switched off --------------------------------------------------------------------------


def test_a_board_that_stops_answering_is_named_with_the_step():
    steps = set()

    def stop(frame, answer):
        if frame.command == Command.STEP:
            steps.add(frame.payload[:5])
        return None if len(steps) >= len(X[0]) + 3 else answer

    with Line(Board(stop)) as line, quick(line, tries=3) as board:
        board.load(NETWORK)
        assert is_golden(board.run(X[0]), 0)
        with pytest.raises(Silent) as caught:
            board.run(X[1])
        assert str(caught.value) == (
            f"the board on {line.port} stopped answering after step 2 of utterance 2 (3 tries of 0.2 s); "
            "look at its power, its cable and its lights, and start again"
        )


def test_a_port_that_goes_away():
    board_model = Board()
    with Line(board_model) as line, quick(line, timeout=5) as board:
        board.load(NETWORK)
        board_model.spoil = At(Command.STEP, 3, lambda frame, answer: line.unplug())
        with pytest.raises(LinkError, match=f"the port {line.port} went away after step 2 of utterance 1") as caught:
            board.run(X[0])
        assert "connect the board again" in str(caught.value)


STEP, READ_H, READ_LOGITS = Command.STEP, Command.READ + Space.H, Command.READ + Space.LOGITS
#: Which question, its how many-th in an utterance, and whether its answer still gets out.
FAILURES = [(command, count, out) for command in (STEP, READ_H) for count in (1, 2, 5) for out in (False, True)]
FAILURES += [(READ_LOGITS, 1, False), (READ_LOGITS, 1, True)]
# The first STATUS is the look before the RESET; after the third there is nothing left to lose.
FAILURES += [
    (Command.STATUS, 1, False),
    (Command.STATUS, 2, False),
    (Command.STATUS, 3, False),
    (Command.STATUS, 2, True),
]


@pytest.mark.parametrize(("command", "count", "answered"), FAILURES)
def test_an_utterance_that_is_lost_begins_again(command, count, answered):
    """Power fails at any moment; the memories hold anything afterwards."""
    model = Board()

    def fail(frame, answer):
        model.lose_power()
        return answer if answered else None

    with Line(model) as line, quick(line) as board:
        board.load(NETWORK)
        assert is_golden(board.run(X[0]), 0)
        model.spoil = At(command, count, fail)
        result = board.run(X[1], every_step=True)
        assert is_golden(result, 1, True)
        assert result.restarts == 1
        assert is_golden(board.run(X[2]), 2)


def test_power_lost_between_two_utterances_is_noticed(monkeypatch):
    model = Board()
    with Line(model) as line, quick(line) as board:
        board.load(NETWORK)
        assert is_golden(board.run(X[0]), 0)
        model.lose_power()
        result = board.run(X[1])
        assert is_golden(result, 1)
        assert result.restarts == 1
        model.lose_power()
        # The planted fault: without the look before a RESET, the answer is that of other weights.
        monkeypatch.setattr(BoardDriver, "_require", lambda self, status, condition: None)
        assert not is_golden(board.run(X[1]), 1)


def test_power_lost_while_the_reset_is_on_its_way_is_noticed():
    model = Board()

    def fail(frame, answer):
        model.lose_power()

    with Line(model) as line, quick(line) as board:
        board.load(NETWORK)
        assert is_golden(board.run(X[0]), 0)
        model.spoil = At(Command.RESET, 1, fail)
        result = board.run(X[1])
        assert is_golden(result, 1)
        assert result.restarts == 1


def test_a_reset_whose_answer_is_lost_is_not_taken_for_a_failure():
    with Line(Board(At(Command.RESET, 2, lambda frame, answer: None))) as line, quick(line) as board:
        board.load(NETWORK)
        result = board.run(X[0])
        assert is_golden(result, 0)
        assert result.restarts == 0
        assert board.exchange.repeated >= 1


def test_a_board_that_loses_every_utterance():
    model = Board()

    def fail(frame, answer):
        if frame.command == Command.STEP and frame.payload[1] == 2:
            model.lose_power()
        return answer

    model.spoil = fail
    with Line(model) as line, quick(line) as board:
        board.load(NETWORK)
        with pytest.raises(Disturbed, match=f"the board on {line.port} lost the utterance after step 3 of utterance 1"):
            board.run(X[0])


def test_a_board_that_takes_no_step():
    order = Frame(0, Command.STEP | ANSWER, bytes([Status.ORDER]))

    def refuse(frame, answer):
        return replace(order, sequence=frame.sequence) if frame.command == Command.STEP else answer

    with Line(Board(refuse)) as line, quick(line) as board:
        board.load(NETWORK)
        with pytest.raises(Disturbed, match="lost the utterance at the start of utterance 1"):
            board.run(X[0])


def test_an_utterance_is_not_begun_again_on_a_board_that_this_driver_did_not_load():
    model = Board()
    with Line(model) as line:
        with quick(line) as board:
            board.load(NETWORK)
        with quick(line) as board:
            assert is_golden(board.run(X[0]), 0)  # the board keeps its memories
            model.lose_power()
            with pytest.raises(Disturbed, match=r"at the start of utterance 2 \(tag 0, 0 steps\)"):
                board.run(X[1])


def test_another_board_on_the_same_port_is_noticed():
    model = Board()
    with Line(model) as line, quick(line) as board:
        board.load(NETWORK)
        model.lose_power(Build("other", SPEC, 2, 25_000_000))
        with pytest.raises(LinkError, match=r"another board answers on .* now \(other\); start again"):
            board.run(X[0])


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


WRONG_ANSWERS = {
    "unknown status": (Command.STATUS, b"\x09", "with status 9"),
    "too short": (Command.STATUS, b"\x00", "1 bytes with status 0"),
    "empty": (Command.STATUS, b"", "0 bytes with status None"),
    "no identity": (Command.READ + Space.IDENTITY, b"\x00\x05\x00", "cannot be read"),
    "refused identity": (Command.READ + Space.IDENTITY, b"\x01", "UNKNOWN"),
    "another echo": (Command.ECHO, bytes(17), "no crossramp board"),
}


@pytest.mark.parametrize(("command", "payload", "words"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_answers_that_are_none(command, payload, words):
    def spoil(frame, answer):
        if frame.command != command:
            return answer
        longer = command == Command.READ + Space.IDENTITY and len(payload) > 1 and frame.payload[4] != 2
        return Frame(answer.sequence, answer.command, b"\0" + bytes(frame.payload[4]) if longer else payload)

    with Line(Board(spoil)) as line, pytest.raises(LinkError, match=words) as caught, quick(line) as board:
        board.run(X[0])
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


def test_restarts_are_few():
    assert RESTARTS == 2
