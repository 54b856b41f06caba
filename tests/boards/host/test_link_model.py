# SPDX-License-Identifier: Apache-2.0
"""The golden model of a board: what it computes is the network's, and every request has one defined answer."""

import numpy as np
import pytest
from crossramp.golden.array.array_protocol import IdealArray, Window, row_pulses
from crossramp.golden.array.ramps import latch
from crossramp.golden.cell.library import CELLS
from crossramp.golden.link.board_memory import (
    Build,
    head_image,
    identity_image,
    lines_image,
    projection_image,
    read_identity,
    thresholds_image,
    unpacked,
    weights_image,
)
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import (
    ANSWER,
    END,
    Command,
    Decoder,
    Fault,
    Frame,
    Space,
    Status,
    StatusBlock,
    encode,
    read_payload,
    step_payload,
    write_payload,
)
from crossramp.golden.macro.cell_update import run_update
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.strategies import inputs_of, network_of, seeds, specifications

SPEC = Specification(inputs=3, units=5, classes=4, lanes=2, adc_bits=3, input_bits=4, weight_bits=4, max_steps=6)
BUILD = Build("tiny", SPEC, 2, 12_000_000)
PINS = Build("pins", SPEC, 0, 12_000_000)


class Asker:
    """Requests to a board, each as one frame on the line."""

    def __init__(self, build: Build = BUILD, **options):
        self.build = build
        self.board = LinkModel(build, **options)
        self.decoder = Decoder()
        self.sequence = 0

    def answer(self, command: int, payload: bytes = b"") -> bytes:
        self.sequence = (self.sequence + 1) & 0xFF
        (frame,) = self.decoder.feed(self.board.feed(encode(Frame(self.sequence, command, payload))))
        assert (frame.sequence, frame.command) == (self.sequence, command | ANSWER)
        return frame.payload

    def data(self, command: int, payload: bytes = b"") -> bytes:
        answer = self.answer(command, payload)
        assert answer[0] == Status.OK
        return answer[1:]

    def status(self) -> StatusBlock:
        return StatusBlock.unpack(self.data(Command.STATUS))

    def read(self, space: Space) -> bytes:
        words = self.build.words(space)
        size = self.build.word_bytes(space)
        part = min(255, (self.build.payload - 1) // size)
        return b"".join(
            self.data(Command.READ + space, read_payload(word, min(part, words - word)))
            for word in range(0, words, part)
        )

    def write(self, space: Space, image: bytes):
        size = self.build.word_bytes(space)
        part = (self.build.payload - 4) // size * size
        for begin in range(0, len(image), part):
            assert self.data(Command.WRITE + space, write_payload(begin // size, image[begin : begin + part])) == b""
        assert self.read(space) == image

    def load(self, network, floors=None):
        if self.build.columns_per_clock:
            self.write(Space.WEIGHTS, weights_image(self.build, network.weights.macro))
            self.write(Space.THRESHOLDS, thresholds_image(self.build, floors))
            if self.build.words(Space.LINES):
                self.write(Space.LINES, lines_image(self.build, network.weights.lines))
        if self.build.words(Space.PROJECTION):
            self.write(Space.PROJECTION, projection_image(self.build, network.weights.projection))
        self.write(Space.HEAD, head_image(self.build, network.weights))

    def run(self, x, tag: int = 9) -> np.ndarray:
        """h of every step; ``shown`` gets the logits and the answer after each."""
        assert self.data(Command.RESET, bytes([tag])) == b""
        hidden, self.shown = [], []
        for step, codes in enumerate(x):
            assert self.data(Command.STEP, step_payload(tag, step, step == len(x) - 1, codes)) == b""
            hidden.append(unpacked(self.read(Space.H), 1)[: self.build.spec.hidden])
            self.shown.append((self.logits().tolist(), self.status().answer, self.status().answered))
        return np.array(hidden)

    def logits(self) -> np.ndarray:
        return unpacked(self.read(Space.LOGITS), self.build.word_bytes(Space.LOGITS))


# ---- what it computes ------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(specifications(cells=tuple(CELLS)), seeds, st.data())
def test_an_utterance_through_the_link_is_the_network_s(spec, seed, data):
    build = Build("any", spec, data.draw(st.integers(1, spec.units)), 12_000_000)
    asker, network, x = Asker(build), network_of(spec, seed), inputs_of(spec, seed, batch=2)
    asker.load(network)
    trace = network.run(x)
    for k, codes in enumerate(x):
        np.testing.assert_array_equal(asker.run(codes), trace.h[k])
        logits, answers, answered = zip(*asker.shown, strict=True)
        assert answered == (False, False, True)
        every_step = spec.readout == "step"
        np.testing.assert_array_equal(logits if every_step else logits[-1], trace.logits[k])
        np.testing.assert_array_equal(answers if every_step else answers[-1], trace.answers[k])
        status = asker.status()
        assert (status.accepted, status.done, status.computing) == (3, 3, False)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_through_the_link(cell, seed):
    spec = Specification(cell=cell, inputs=3, units=5, classes=4, lanes=2, adc_bits=3, input_bits=4, weight_bits=4)
    build = Build("any", spec, 2, 12_000_000)
    asker, network, x = Asker(build), network_of(spec, seed), inputs_of(spec, seed, batch=2)
    assert bool(build.words(Space.LINES)) == (cell == "lstm_peephole")
    asker.load(network)
    trace = network.run(x)
    for k, codes in enumerate(x):
        np.testing.assert_array_equal(asker.run(codes), trace.h[k])
        np.testing.assert_array_equal(asker.logits(), trace.logits[k])


def test_levels_of_line_cells_decide_and_have_limits(seed):
    spec = Specification(cell="lstm_peephole", inputs=3, units=5, classes=4, adc_bits=3, input_bits=4, weight_bits=4)
    build = Build("any", spec, 2, 12_000_000)
    asker, network, x = Asker(build), network_of(spec, seed), inputs_of(spec, seed, batch=1, steps=4)[0]
    asker.load(network)
    before = asker.run(x)
    write = Command.WRITE + Space.LINES
    assert asker.answer(write, write_payload(8, bytes([0, 8]))) == bytes([Status.VALUE])  # 3 cells of 3 groups
    assert asker.answer(write, write_payload(9, bytes(2))) == bytes([Status.ADDRESS])
    np.testing.assert_array_equal(asker.run(x), before)
    asker.write(Space.LINES, lines_image(build, -network.weights.lines))
    assert (asker.run(x) != before).any()


@settings(max_examples=30)
@given(specifications(max_bits=5, projection=0), seeds)
def test_written_thresholds_convert_tick_by_tick(spec, seed):
    """Against a loop over ticks: comparators first, then what the latch makes of them."""
    rng = np.random.default_rng(seed)
    reach = 1 << (spec.mac_bits - 1)
    floors = [rng.integers(-reach, reach, spec.ticks) // rng.choice([1, 8, 64]) for _ in spec.ramps]
    build = Build("any", spec, 1, 12_000_000)
    asker, network, x = Asker(build), network_of(spec, seed), inputs_of(spec, seed, batch=1)[0]
    asker.load(network, floors)

    def convert(macs, ramp):
        return latch(macs > floors[ramp].reshape((-1, *[1] * macs.ndim)), spec.latch)

    ideal = IdealArray(spec, network.weights.macro)
    c, h, hidden = np.zeros((1, spec.units), np.int64), np.zeros((1, spec.units), np.int64), []
    for codes in x:
        macs, _ = ideal.convert([Window(row_pulses(spec, codes[None], h))], np.zeros(1, int))
        gates = np.empty_like(macs)
        for gate in "ifgo":
            gates[:, spec.bank(gate)] = convert(spec.of_bank(macs, gate), spec.ramp_of(gate))
        of = {gate: spec.of_bank(gates, gate) for gate in "ifgo"}
        stored = run_update(spec, 0, of | {"c": c})
        c, state = stored["c"], convert(spec.state_cell * stored["q"], spec.ramp_of("g"))
        h = run_update(spec, 1, of | {"t": state})["h"]
        hidden.append(h[0])
    np.testing.assert_array_equal(asker.run(x), hidden)


@pytest.mark.parametrize("space", [Space.WEIGHTS, Space.THRESHOLDS, Space.HEAD])
def test_each_memory_decides(space, seed):
    """A planted fault: one wrong word in any of them shows in h or in the logits."""
    asker, network, x = Asker(), network_of(SPEC, seed), inputs_of(SPEC, seed, batch=1, steps=4)
    asker.load(network)
    before = asker.run(x[0]), asker.logits()
    size = BUILD.word_bytes(space)
    changed = b"".join(reversed([asker.read(space)[k * size : k * size + size] for k in range(BUILD.words(space))]))
    asker.write(space, changed)
    after = asker.run(x[0]), asker.logits()
    assert not all((a == b).all() for a, b in zip(before, after, strict=True))


def test_an_array_on_pins(seed):
    network, x = network_of(SPEC, seed), inputs_of(SPEC, seed, batch=1, steps=4)
    asker = Asker(PINS, array=network.lstm.array)
    asker.load(network)
    np.testing.assert_array_equal(asker.run(x[0]), network.run(x).h[0])
    for command in (Command.READ, Command.WRITE):
        for space in (Space.WEIGHTS, Space.THRESHOLDS):
            assert asker.answer(command + space, bytes(5)) == bytes([Status.UNKNOWN])
    assert Asker(PINS).run(x[0]).shape == (4, 5)  # of an array with all weights 0


def test_heads_beyond_the_network_s_wrap_as_the_accumulator_does(seed):
    """The space takes every number of a bias's width for a weight too."""
    asker, network, x = Asker(), network_of(SPEC, seed), inputs_of(SPEC, seed, batch=1, steps=6)
    asker.load(network)
    most = (1 << (SPEC.head_bias_bits - 1)) - 1
    words = np.full((SPEC.classes, SPEC.units + 1), most)
    words[1] = -most - 1
    asker.write(Space.HEAD, words.astype("<i2").tobytes())
    h = asker.run(x[0]).sum(axis=0)
    half = 1 << (SPEC.logit_bits - 1)
    expected = [
        (sum(int(w) * int(v) for w, v in zip(row, [*h, 6], strict=True)) + half) % (2 * half) - half for row in words
    ]
    assert asker.logits().tolist() == expected
    assert asker.status().answer == expected.index(max(expected))


# ---- order of steps --------------------------------------------------------------------------------------------------


def stepped(asker, step, *, tag=9, last=False, code=1) -> Status:
    (status,) = asker.answer(Command.STEP, step_payload(tag, step, last, [code] * SPEC.inputs))
    return Status(status)


def test_steps_have_an_order():
    asker = Asker()
    assert stepped(asker, 0, tag=0) == Status.ORDER  # no RESET yet, and a tag of 0 is none
    asker.data(Command.RESET, b"\x09")
    assert stepped(asker, 1) == Status.ORDER
    assert stepped(asker, 0, tag=8) == Status.ORDER
    assert stepped(asker, 0) == Status.OK
    assert stepped(asker, 2) == Status.ORDER
    assert stepped(asker, 1, last=True) == Status.OK
    assert stepped(asker, 2) == Status.ORDER  # the utterance is complete
    assert asker.status().accepted == 2


def test_a_repeated_step_is_computed_once(seed):
    network, x = network_of(SPEC, seed), inputs_of(SPEC, seed, batch=1, steps=3)[0]
    once, twice = Asker(), Asker()
    for asker in (once, twice):
        asker.load(network)
        asker.data(Command.RESET, b"\x09")
    for step, codes in enumerate(x):
        payload = step_payload(9, step, step == 2, codes)
        once.data(Command.STEP, payload)
        assert [twice.data(Command.STEP, payload) for _ in range(3)] == [b""] * 3
        # Even with other contents, which no host sends: it is known by its number.
        assert twice.data(Command.STEP, step_payload(9, step, False, [-128] * 3)) == b""
        assert twice.read(Space.H) == once.read(Space.H)
    assert twice.read(Space.LOGITS) == once.read(Space.LOGITS)
    assert twice.status() == once.status()


def test_a_reset_begins_anew(seed):
    network, x = network_of(SPEC, seed), inputs_of(SPEC, seed, batch=1, steps=3)
    asker = Asker()
    asker.load(network)
    asker.data(Command.RESET, b"\x09")
    stepped(asker, 0)
    asker.board.feed(bytes([END, 1, END]))
    assert (asker.status().faults, asker.status().dropped) == (Fault.CHECK, 1)
    np.testing.assert_array_equal(asker.run(x[0], tag=10), network.run(x).h[0])
    status = asker.status()
    assert (status.tag, status.faults, status.dropped) == (10, Fault(0), 0)
    asker.data(Command.RESET, b"\x0b")
    assert asker.status() == StatusBlock(False, False, False, False, 11, 0, 0, 0, 0, 0, Fault(0), 0)


def test_a_wrong_step_has_one_of_the_statuses_in_their_order():
    asker = Asker()
    assert asker.answer(Command.STEP, step_payload(9, 0, False, [99, 1])) == bytes([Status.LENGTH])
    assert stepped(asker, 0, code=99) == Status.ORDER
    asker.data(Command.RESET, b"\x09")
    assert stepped(asker, 0, code=8) == stepped(asker, 0, code=-8) == Status.VALUE
    assert stepped(asker, 0, last=2) == Status.VALUE
    assert asker.status().accepted == 0
    for step in range(SPEC.max_steps):
        assert stepped(asker, step) == Status.OK
    assert stepped(asker, SPEC.max_steps, code=99) == Status.ADDRESS
    assert stepped(asker, SPEC.max_steps - 1, code=99) == Status.OK


# ---- what else is refused --------------------------------------------------------------------------------------------

W, T, H, S = (Command.WRITE + space for space in (Space.WEIGHTS, Space.THRESHOLDS, Space.HEAD, Space.SETTINGS))
#: BUILD's words: 4 banks of 3 groups of 9 rows; 2 ramps of 8; 4 classes of 6; 3 with the calibration cells.
REFUSED = {
    "command": (0x00, b"", Status.UNKNOWN),
    "space": (Command.READ + 9, read_payload(0, 1), Status.UNKNOWN),
    "space of another cell": (Command.READ + Space.LINES, read_payload(0, 1), Status.UNKNOWN),
    "space of a projection": (Command.WRITE + Space.PROJECTION, write_payload(0, b"aa"), Status.UNKNOWN),
    "identity is read only": (Command.WRITE + Space.IDENTITY, write_payload(0, b"a"), Status.UNKNOWN),
    "h is read only": (Command.WRITE + Space.H, write_payload(0, b"aa"), Status.UNKNOWN),
    "logits are read only": (Command.WRITE + Space.LOGITS, write_payload(0, b"aa"), Status.UNKNOWN),
    "status takes nothing": (Command.STATUS, b"a", Status.LENGTH),
    "reset takes a tag": (Command.RESET, b"", Status.LENGTH),
    "reset takes one tag": (Command.RESET, b"ab", Status.LENGTH),
    "short read": (Command.READ + Space.H, bytes(4), Status.LENGTH),
    "long read": (Command.READ + Space.H, bytes(6), Status.LENGTH),
    "read of nothing": (Command.READ + Space.H, read_payload(0, 0), Status.LENGTH),
    "answer longer than the buffer": (Command.READ + Space.WEIGHTS, read_payload(0, 252), Status.LENGTH),
    "echo longer than the buffer": (Command.ECHO, bytes(BUILD.payload), Status.LENGTH),
    "read beyond": (Command.READ + Space.H, read_payload(2, 2), Status.ADDRESS),
    "read far beyond": (Command.READ + Space.H, read_payload(2**32 - 1, 1), Status.ADDRESS),
    "write of nothing": (W, write_payload(0, b""), Status.LENGTH),
    "write of half a word": (W, write_payload(0, b"\0\0\0"), Status.LENGTH),
    "write without address": (W, bytes(3), Status.LENGTH),
    "write beyond": (W, write_payload(107, bytes(4)), Status.ADDRESS),
    "weight": (W, write_payload(0, bytes([0, 0, 0, 8])), Status.VALUE),
    "negative weight": (W, write_payload(0, bytes([0, 0xF8])), Status.VALUE),
    "weight in a padding column": (W, write_payload(18, bytes([0, 8])), Status.VALUE),
    "threshold": (T, write_payload(0, (1 << (SPEC.mac_bits - 1)).to_bytes(2, "little")), Status.VALUE),
    "head": (H, write_payload(0, (1 << (SPEC.head_bias_bits - 1)).to_bytes(2, "little")), Status.VALUE),
    "address before value": (W, write_payload(108, bytes([99, 99])), Status.ADDRESS),
    "settings beyond": (S, write_payload(3, bytes(2)), Status.ADDRESS),
}


@pytest.mark.parametrize(("command", "payload", "status"), REFUSED.values(), ids=REFUSED)
def test_refusals_change_nothing(command, payload, status, seed):
    asker = Asker()
    asker.load(network_of(SPEC, seed))
    before = {space: asker.read(space) for space in Space if BUILD.words(space)}, asker.status()
    assert asker.answer(command, payload) == bytes([status])
    assert ({space: asker.read(space) for space in Space if BUILD.words(space)}, asker.status()) == before


def test_a_write_with_one_wrong_value_writes_none():
    asker = Asker()
    assert asker.answer(W, write_payload(0, bytes([1, 1, 1, 8]))) == bytes([Status.VALUE])
    assert asker.read(Space.WEIGHTS) == bytes(len(asker.read(Space.WEIGHTS)))


def test_settings_take_any_value_and_keep_what_there_is_a_bit_for():
    asker = Asker()
    assert asker.read(Space.SETTINGS) == bytes(6)
    asker.data(S, write_payload(0, b"\xff" * 6))
    assert asker.read(Space.SETTINGS) == b"\xff\xff\xff\xff\xff\x03"  # 2 ramps of 5 calibration cells


def test_echo_and_identity():
    asker = Asker()
    longest = bytes(range(256)) * 2
    assert asker.data(Command.ECHO, longest[: BUILD.payload - 1]) == longest[: BUILD.payload - 1]
    assert asker.read(Space.IDENTITY) == identity_image(BUILD)
    assert read_identity(asker.read(Space.IDENTITY)) == BUILD


def test_answers_are_not_answered():
    board = LinkModel(BUILD)
    for command in (Command.ECHO, Command.STATUS, 0x7F):
        assert board.feed(encode(Frame(1, command | ANSWER))) == b""
    assert (board.decoder.faults, board.decoder.dropped) == (Fault(0), 0)


@given(st.binary(max_size=200))
def test_any_bytes_leave_a_board_that_answers(data):
    asker = Asker()
    asker.board.feed(data)
    asker.board.feed(bytes([END]))
    assert asker.data(Command.ECHO, b"there?") == b"there?"


def test_a_longer_frame_than_the_buffer_is_dropped():
    asker = Asker()
    assert asker.board.feed(encode(Frame(1, Command.ECHO, bytes(BUILD.payload + 1)))) == b""
    assert (asker.status().faults, asker.status().dropped) == (Fault.SIZE, 1)
