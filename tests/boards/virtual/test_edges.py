# SPDX-License-Identifier: Apache-2.0
"""Each limit of the host link, one request on either side of it: the board answers as the golden model does."""

import struct
import zlib

import pytest
import serial
from crossramp.boards.virtual.simulated_board import virtual_board
from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_model import WRITABLE
from crossramp.golden.link.link_protocol import (
    ANSWER,
    END,
    ESC,
    Command,
    Frame,
    Space,
    Status,
    encode,
    read_payload,
    step_payload,
    write_payload,
)

from tests.support.designs import SPECS
from tests.support.link_fuzz import Conversation

SPEC = SPECS["odd"].replace(max_steps=3)
#: A bit takes 4 clocks, the fewest that a receiver can do with: the line is not what is tested here.
BUILD = Build("edges", SPEC, 2, 12_000_000, 3_000_000)
SPACES = [space for space in Space if BUILD.words(space)]


@pytest.fixture(scope="module")
def board(pytestconfig):
    virtual = virtual_board(BUILD, "verilator", pytestconfig.rootpath / "build" / "simulation", optimize=False)
    with virtual as port:
        yield virtual, port


@pytest.fixture
def talk(board):
    """A conversation with a board in the state after power-up, its memories included."""
    virtual, port = board
    virtual.press_reset()
    with serial.Serial(port, BUILD.baud, timeout=600, exclusive=True) as line:
        conversation = Conversation(line, BUILD)
        conversation.echo(b"awake")
        for region, memory in conversation.model.memories.items():
            conversation.write(region, bytes(memory))
        yield conversation


def ask(talk: Conversation, command: int, payload: bytes = b"") -> Status:
    """The answer's status, the answer being the golden model's."""
    before = talk.answers.copy()
    talk.tell(encode(Frame(len(before) % 256, command, payload)))
    (answered,) = talk.answers - before
    return Status(answered[1])


def test_lengths(talk):
    longest = BUILD.payload
    assert ask(talk, Command.ECHO, bytes(longest - 1)) == Status.OK
    assert ask(talk, Command.ECHO, bytes(longest)) == Status.LENGTH
    assert ask(talk, Command.ECHO) == Status.OK
    for command, length in ((Command.STATUS, 0), (Command.RESET, 1), (Command.STEP, 6 + SPEC.inputs)):
        for wrong in {max(length - 1, 0), length + 1, length + 8} - {length}:
            assert ask(talk, command, bytes(wrong)) == Status.LENGTH
    for space in (space for space in SPACES if space in WRITABLE):
        size = BUILD.word_bytes(space)
        for wrong in {0, 3, 4, 4 + size + 1, 4 + 2 * size - 1}:
            if wrong < 4 + size or (wrong - 4) % size:
                assert ask(talk, Command.WRITE + space, bytes(wrong)) == Status.LENGTH
        assert ask(talk, Command.WRITE + space, bytes(4 + size)) == Status.OK


@pytest.mark.parametrize("space", sorted(set(Space) - set(SPACES)))
def test_spaces_that_the_board_lacks_are_unknown(talk, space):
    """Those of line weights and of a projection, which this specification has no use for."""
    assert BUILD.words(space) == 0
    assert ask(talk, Command.READ + space, read_payload(0, 1)) == Status.UNKNOWN
    assert ask(talk, Command.WRITE + space, write_payload(0, bytes(4))) == Status.UNKNOWN


@pytest.mark.parametrize("space", SPACES)
def test_reads_up_to_the_end(talk, space):
    words, size = BUILD.words(space), BUILD.word_bytes(space)
    read = Command.READ + space
    longest = (BUILD.payload - 1) // size  # words of an answer
    assert ask(talk, read, read_payload(0, 0)) == Status.LENGTH
    assert ask(talk, read, read_payload(words, 1)) == Status.ADDRESS
    assert ask(talk, read, read_payload(words - 1, 2)) == Status.ADDRESS
    for bit in range(words.bit_length(), 32):
        assert ask(talk, read, read_payload(1 << bit, 1)) == Status.ADDRESS
    if longest < 255:
        assert ask(talk, read, read_payload(0, longest + 1)) == Status.LENGTH
    if space not in (Space.H, Space.LOGITS):  # not defined before a step
        assert ask(talk, read, read_payload(words - 1, 1)) == Status.OK
        assert ask(talk, read, read_payload(0, min(words, longest, 255))) == Status.OK
    for wrong in (4, 6):
        assert ask(talk, read, bytes(wrong)) == Status.LENGTH


@pytest.mark.parametrize("space", [Space.IDENTITY, Space.H, Space.LOGITS])
def test_what_is_only_read(talk, space):
    assert ask(talk, Command.WRITE + space, write_payload(0, bytes(BUILD.word_bytes(space)))) == Status.UNKNOWN


@pytest.mark.parametrize("space", [space for space in SPACES if space in WRITABLE])
def test_writes_all_or_nothing(talk, space, rng):
    """The greatest and the least number, one beyond each, first and last of several words; then what is there."""
    words, size = BUILD.words(space), BUILD.word_bytes(space)
    write = Command.WRITE + space
    limits = {
        Space.WEIGHTS: (-SPEC.weight_max, SPEC.weight_max, 1),
        Space.THRESHOLDS: (-(1 << (SPEC.mac_bits - 1)), (1 << (SPEC.mac_bits - 1)) - 1, size),
        Space.HEAD: (-(1 << (SPEC.head_bias_bits - 1)), (1 << (SPEC.head_bias_bits - 1)) - 1, size),
        Space.SETTINGS: (0, 3, size),  # longer holds are another test's
    }
    low, high, each = limits[space]

    def data(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(each, "little", signed=low < 0) for number in numbers)

    count = 3 * size // each
    whole = [low, high, *(int(number) for number in rng.integers(low, high, count - 2, endpoint=True))]
    assert ask(talk, write, write_payload(words - 3, data(*whole))) == Status.OK
    assert ask(talk, write, write_payload(words - 2, data(*whole[::-1]))) == Status.ADDRESS
    assert ask(talk, write, write_payload(1 << 31, data(*whole))) == Status.ADDRESS
    room = 1 << (8 * each - 1)
    for wrong in {low - 1, high + 1, -room, room - 1} if low < 0 else ():
        if not low <= wrong <= high and -room <= wrong < room:
            for place in (0, count - 1):
                numbers = [0] * count
                numbers[place] = wrong
                assert ask(talk, write, write_payload(0, data(*numbers))) == Status.VALUE
    assert ask(talk, write, write_payload(words - 3, data(*whole))) == Status.OK  # what was refused leaves nothing
    for first in range(0, words, 8):
        assert ask(talk, Command.READ + space, read_payload(first, min(8, words - first))) == Status.OK


def test_unknown_commands(talk):
    for command in (0x00, 0x05, 0x0F, 0x17, 0x18, 0x27, 0x28, 0x30, 0x7F):
        assert ask(talk, command, bytes(5)) == Status.UNKNOWN
    for command in (Command.ECHO, Command.STATUS, Command.RESET):  # answers are no requests: no answer, no effect
        talk.tell(encode(Frame(1, command | ANSWER, bytes(1))))
    talk.compare_status()


def test_steps_in_order(talk):
    codes = [SPEC.input_max, -SPEC.input_max] * SPEC.inputs
    codes = codes[: SPEC.inputs]

    def step(tag, number, last=0, codes=codes):
        return ask(talk, Command.STEP, step_payload(tag, number, last, codes))

    assert step(0, 0) == Status.ORDER  # before any RESET
    assert ask(talk, Command.RESET, b"\x09") == Status.OK
    assert step(8, 0) == Status.ORDER
    for number in (1, 1 << 8, 1 << 16, 1 << 24, 0xFFFFFFFF):
        assert step(9, number) == Status.ORDER
    for k in range(SPEC.inputs):
        for wrong in (SPEC.input_max + 1, -SPEC.input_max - 1, -128, 127):
            if not -SPEC.input_max <= wrong <= SPEC.input_max:
                assert step(9, 0, codes=[*codes[:k], wrong, *codes[k + 1 :]]) == Status.VALUE
    assert step(9, 0, last=2) == Status.VALUE
    assert step(9, 0, last=0x81) == Status.VALUE
    for number in range(3):
        assert step(9, number) == Status.OK
        assert step(9, number) == Status.OK  # a repeat
        assert step(9, number + 1 + 256) == Status.ORDER
        assert ask(talk, Command.READ + Space.H, read_payload(0, SPEC.beats)) == Status.OK
        talk.compare_status()
    assert step(9, 1) == Status.ORDER
    assert step(9, 3) == Status.ADDRESS  # beyond max_steps
    assert ask(talk, Command.RESET, b"\x0a") == Status.OK
    assert step(9, 0) == Status.ORDER
    assert step(10, 0) == Status.OK
    assert step(10, 1, last=1) == Status.OK
    assert step(10, 1, last=1) == Status.OK
    assert step(10, 2) == Status.ORDER  # the utterance is complete
    assert ask(talk, Command.READ + Space.LOGITS, read_payload(0, SPEC.classes)) == Status.OK
    talk.compare_status()
    # What is left of an utterance that RESET cut short is nowhere in the next one.
    for cut in (1, 2):
        assert ask(talk, Command.RESET, bytes([20 + cut])) == Status.OK
        for number in range(cut):
            assert step(20 + cut, number) == Status.OK
        assert ask(talk, Command.RESET, bytes([30 + cut])) == Status.OK
        assert step(30 + cut, 0, last=1) == Status.OK
        assert ask(talk, Command.READ + Space.H, read_payload(0, SPEC.beats)) == Status.OK
        assert ask(talk, Command.READ + Space.LOGITS, read_payload(0, SPEC.classes)) == Status.OK


def body(sequence: int, command: int, length: int, payload: bytes) -> bytes:
    """A frame with any length in its header, and the CRC of what is there."""
    content = struct.pack("<BBH", sequence, command, length) + payload
    content += struct.pack("<I", zlib.crc32(content))
    escaped = content.replace(bytes([ESC]), bytes([ESC, 0xDD])).replace(bytes([END]), bytes([ESC, 0xDC]))
    return bytes([END]) + escaped + bytes([END])


def test_frames_that_lie_about_their_length(talk):
    for length in (0, 2, 4, 3 + 256, 3 + 512, 3 + 0x8000):
        talk.tell(body(1, Command.ECHO, length, b"abc"))
    talk.compare_status()
    assert talk.model.status().dropped == 6
    for cut in range(8):  # shorter than any frame
        talk.tell(bytes([END]) + bytes(cut) + bytes([END]))
    talk.compare_status()
    talk.tell(body(1, Command.ECHO, 3, b"abc")[:-1] + bytes([ESC, END]))
    talk.tell(body(1, Command.ECHO, 3, b"abc")[:-1] + bytes([ESC, ESC, END]))
    talk.compare_status()


def test_dropped_frames_are_counted_up_to_255(talk):
    for count in (254, 1, 1, 50):
        talk.tell(bytes([1, END]) * count)
        talk.compare_status()
    assert talk.model.status().dropped == 255
    assert ask(talk, Command.RESET, b"\x01") == Status.OK
    talk.compare_status()


def test_all_bytes_come_back(talk):
    talk.echo(bytes(range(256)))
    talk.echo(bytes([END, ESC] * 100))
