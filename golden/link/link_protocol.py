# SPDX-License-Identifier: Apache-2.0
"""The host link's protocol: frames, commands, statuses; docs/hostlink.md describes it in prose.

A frame on the wire is SLIP (RFC 1055): an END byte, the body with END and ESC escaped, an END byte.
The body is::

    sequence (1), command (1), length of the payload (2), payload, CRC-32 of all before (4)

Numbers are least significant byte first, and the CRC is that of IEEE 802.3 (``zlib.crc32``).
An answer repeats the sequence number, sets bit 7 of the command, and its payload begins with a :class:`Status`.
A board ignores frames that have bit 7 set: its own answers, sent back by a line that echoes.
"""

import enum
import struct
import zlib
from dataclasses import dataclass

VERSION = 1
"""Of the protocol; a board states its own in its identity."""

BAUD = 1_000_000
"""Bits per second on the line unless a board was built with another number: 8 data bits, no parity, 1 stop bit."""

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD

OVERHEAD = 8
"""Bytes of a body beside its payload."""

ANSWER = 0x80
"""Set in the command of an answer."""


class Command(enum.IntEnum):
    """What a host asks for. READ and WRITE have a :class:`Space` added to them."""

    ECHO = 0x01  # payload: anything. Answer: the same
    STATUS = 0x02  # payload: none. Answer: a StatusBlock
    RESET = 0x03  # payload: tag. A running step is dropped; steps 0, 1, ... of utterance `tag` may follow
    STEP = 0x04  # payload: tag (1), step (4), last (1), pulse codes (1 each, signed)
    READ = 0x10  # payload: word (4), count of words (1). Answer: the words
    WRITE = 0x20  # payload: word (4), words (at least one)


class Space(enum.IntEnum):
    """What a host reads and writes, in words; sizes and contents: :mod:`.board_memory`."""

    IDENTITY = 0  # read only
    WEIGHTS = 1
    THRESHOLDS = 2
    HEAD = 3
    SETTINGS = 4
    H = 5  # read only: of the last step
    LOGITS = 6  # read only: of the last utterance; with the readout "step", of the last step
    LINES = 7  # of cells with trained line cells
    PROJECTION = 8  # of networks with a projection


class Status(enum.IntEnum):
    """First byte of every answer; unless it is OK, it is the only one and nothing was done."""

    OK = 0
    UNKNOWN = 1  # no such command on this board
    LENGTH = 2  # the command takes payloads of another length, or the answer's would be longer than the board's longest
    ADDRESS = 3  # beyond the end of the space, or a step beyond max_steps
    VALUE = 4  # a number out of its range
    BUSY = 5  # a step, or the answer, is being computed; ask again
    ORDER = 6  # another utterance's tag, or another step, is expected


class Fault(enum.IntFlag):
    """Why a frame was dropped without an answer, since the last RESET."""

    LINE = 1  # a byte without its stop bit
    ESCAPE = 2  # ESC followed by neither ESC_END nor ESC_ESC
    CHECK = 4  # a CRC, or a length, that is not the frame's
    SIZE = 8  # a frame longer than the board's buffer
    OVERRUN = 16  # bytes that came while an answer was under way


@dataclass(frozen=True)
class StatusBlock:
    """The answer to STATUS.

    Attributes
    ----------
    computing : bool
        A step or an answer is under way.
    answered : bool
        The utterance is complete, and ``answer`` is its class; with the readout ``"step"``, its last step's.
    too_long : bool
        The answer means nothing. Never set: the link takes no steps beyond ``max_steps``.
    full : bool
        Another STEP now would be answered with BUSY.
    tag : int
        Of the utterance, as RESET gave it.
    accepted, done : int
        Steps taken from the link, and steps whose h is there.
    answer : int
        Class index; with the readout ``"step"``, of the last step that has one.
    clocks : int
        Clocks spent computing, since RESET.
    waiting : int
        Those of them on which the array made the periphery wait.
    faults : Fault
    dropped : int
        Frames dropped since RESET; stays at 255.
    """

    computing: bool
    answered: bool
    too_long: bool
    full: bool
    tag: int
    accepted: int
    done: int
    answer: int
    clocks: int
    waiting: int
    faults: Fault
    dropped: int

    FORMAT = "<BBIIHIIBB"
    SIZE = struct.calcsize(FORMAT)

    def pack(self) -> bytes:
        """22 bytes."""
        flags = self.computing | self.answered << 1 | self.too_long << 2 | self.full << 3
        counts = (self.accepted, self.done, self.answer, self.clocks, self.waiting)
        return struct.pack(self.FORMAT, flags, self.tag, *counts, self.faults, self.dropped)

    @classmethod
    def unpack(cls, data: bytes) -> "StatusBlock":
        """From ``SIZE`` bytes; ValueError for another number."""
        if len(data) != cls.SIZE:
            raise ValueError(f"a status block of {len(data)} bytes; expected {cls.SIZE}")
        flags, tag, accepted, done, answer, clocks, waiting, faults, dropped = struct.unpack(cls.FORMAT, data)
        bits = [bool(flags >> bit & 1) for bit in range(4)]
        return cls(*bits, tag, accepted, done, answer, clocks, waiting, Fault(faults), dropped)


@dataclass(frozen=True)
class Frame:
    """One frame's body, without its length and CRC."""

    sequence: int
    command: int
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """The bytes of a frame on the wire, with an END at either side."""
    body = struct.pack("<BBH", frame.sequence, frame.command, len(frame.payload)) + frame.payload
    body += struct.pack("<I", zlib.crc32(body))
    escaped = body.replace(bytes([ESC]), bytes([ESC, ESC_ESC])).replace(bytes([END]), bytes([ESC, ESC_END]))
    return bytes([END]) + escaped + bytes([END])


def step_payload(tag: int, step: int, last: bool, codes) -> bytes:
    """Payload of STEP: ``codes`` are the pulse codes of one step's x, in order."""
    return struct.pack("<BIB", tag, step, last) + bytes(int(code) & 0xFF for code in codes)


def read_payload(word: int, count: int) -> bytes:
    """Payload of READ: ``count`` words, 1 to 255, from ``word`` on."""
    return struct.pack("<IB", word, count)


def write_payload(word: int, words: bytes) -> bytes:
    """Payload of WRITE: ``words`` to ``word`` and those after it."""
    return struct.pack("<I", word) + words


class Decoder:
    """Finds frames in a stream of bytes, with anything between them.

    Parameters
    ----------
    payload : int
        The longest payload that is a frame's; anything longer is dropped.

    Attributes
    ----------
    faults : Fault
        What was dropped so far.
    dropped : int
        Frames dropped so far.
    """

    def __init__(self, payload: int = 0xFFFF):
        self.payload = payload
        self.faults = Fault(0)
        self.dropped = 0
        self._body = bytearray()
        self._escaped = False
        self._broken = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes, in order."""
        frames = []
        for byte in data:
            if byte == END:
                frame = self._finish()
                if frame is not None:
                    frames.append(frame)
            elif self._broken:
                continue
            elif self._escaped:
                self._escaped = False
                if byte not in (ESC_END, ESC_ESC):
                    self._break(Fault.ESCAPE)
                else:
                    self._append(END if byte == ESC_END else ESC)
            elif byte == ESC:
                self._escaped = True
            else:
                self._append(byte)
        return frames

    def _append(self, byte: int):
        if len(self._body) == self.payload + OVERHEAD:
            self._break(Fault.SIZE)
        else:
            self._body.append(byte)

    def _break(self, fault: Fault):
        """The frame under way is lost; the next END begins another."""
        self.faults |= fault
        self._broken = True

    def _finish(self) -> Frame | None:
        body, escaped, broken = bytes(self._body), self._escaped, self._broken
        self._body.clear()
        self._escaped = self._broken = False
        if not body and not escaped and not broken:  # two ENDs in a row: nothing between frames
            return None
        if not broken and not escaped and len(body) >= OVERHEAD:
            sequence, command, length = struct.unpack_from("<BBH", body)
            (check,) = struct.unpack_from("<I", body, len(body) - 4)
            if check == zlib.crc32(body[:-4]) and length == len(body) - OVERHEAD:
                return Frame(sequence, command, body[4:-4])
        if escaped:
            self.faults |= Fault.ESCAPE
        elif not broken:
            self.faults |= Fault.CHECK
        self.dropped = min(self.dropped + 1, 255)
        return None
