# SPDX-License-Identifier: Apache-2.0
"""Golden model of a board behind its host link: what it answers to which frame, and what its memories hold.

It knows no time.
A board's computation is complete as soon as it is requested, so nothing is ever BUSY,
and clocks and waiting are 0 in its status.
SETTINGS hold zeros after power-up.
The link does not define what any other memory holds before it is written,
or H and LOGITS before a step and an answer; here it is zeros too.
"""

import struct

import numpy as np

from ..array.array_protocol import Array
from .board_memory import OF_MACROS, WORD_BITS, Build, Region, identity_image, unpacked
from .link_protocol import ANSWER, Command, Decoder, Fault, Frame, Space, Status, StatusBlock, encode
from .written_network import WrittenNetwork

WRITABLE = (Space.WEIGHTS, Space.THRESHOLDS, Space.HEAD, Space.SETTINGS, Space.LINES, Space.PROJECTION)

#: Spaces of levels, within ±weight_max.
_LEVELS = (Space.WEIGHTS, Space.LINES)


class LinkModel:
    """One board.

    Parameters
    ----------
    build : Build
        What it was built for.
    array : Array or None
        What stands on the pins of a board without an emulator (``columns_per_clock`` 0). None: one with all weights 0.

    Attributes
    ----------
    decoder : Decoder
        Of what the board receives; its ``faults`` and ``dropped`` are the board's.
    memories : dict of Region to bytearray
        The writable ones that the board has.
    """

    def __init__(self, build: Build, array: Array | None = None):
        self.build = build
        self.decoder = Decoder(build.payload)
        self.memories = {
            region: bytearray(build.words(*region) * build.word_bytes(*region))
            for region in build.regions
            if region.space in WRITABLE
        }
        self._identity = identity_image(build)
        self._network = WrittenNetwork(build, self.memories, array)
        self._tag: int | None = None  # before the first RESET
        self._start()

    def _start(self):
        self.accepted = 0
        self._complete = False  # the utterance's last step is there
        self._network.begin()

    def feed(self, data: bytes) -> bytes:
        """What the board sends when it receives ``data``, which may be any bytes."""
        answers = b""
        for byte in data:  # one at a time: a RESET clears the faults before it, not those after it
            for frame in self.decoder.feed(bytes([byte])):
                answer = self.respond(frame)
                answers += b"" if answer is None else encode(answer)
        return answers

    def respond(self, frame: Frame) -> Frame | None:
        """The answer to one frame that fits the board's buffer; None: the frame is itself an answer and is ignored."""
        if frame.command & ANSWER:
            return None
        try:
            payload = bytes([Status.OK]) + self._execute(frame.command, frame.payload)
        except _Refused as refused:
            payload = bytes([refused.status])
        return Frame(frame.sequence, frame.command | ANSWER, payload)

    def _execute(self, command: int, payload: bytes) -> bytes:
        """What follows the status OK in the answer; _Refused where it is another one."""
        if command == Command.ECHO:
            _require(1 + len(payload) <= self.build.payload, Status.LENGTH)
            return payload
        if command == Command.STATUS:
            _require(len(payload) == 0, Status.LENGTH)
            return self.status().pack()
        if command == Command.RESET:
            return self._reset(payload)
        if command == Command.STEP:
            return self._step(payload)
        for kind, execute in ((Command.READ, self._read), (Command.WRITE, self._write)):
            if command - kind in {region.space for region in self.build.regions}:
                return execute(Space(command - kind), payload)
        raise _Refused(Status.UNKNOWN)

    def status(self) -> StatusBlock:
        """As the answer to STATUS holds it; ``clocks`` and ``waiting`` are 0."""
        return StatusBlock(
            computing=False,
            answered=self._complete,
            too_long=False,
            full=False,
            tag=self._tag or 0,
            accepted=self.accepted,
            done=self._network.done,
            answer=self._network.answer or 0,
            clocks=0,
            waiting=0,
            faults=self.decoder.faults,
            dropped=self.decoder.dropped,
        )

    def _reset(self, payload: bytes) -> bytes:
        _require(len(payload) == 1, Status.LENGTH)
        self._tag = payload[0]
        self.decoder.faults, self.decoder.dropped = Fault(0), 0
        self._start()
        return b""

    # ---- memories -------------------------------------------------------------------------------------------------

    def _place(self, space: Space, address: int) -> tuple[Region | None, int]:
        """The region, None for one that the board has not, and the word of an address."""
        number, word = 0, address
        if self.build.several:
            number, word = address >> WORD_BITS, address & ((1 << WORD_BITS) - 1)
        names = list(self.build.spec.macros) if space in OF_MACROS else [""]
        region = Region(space, names[number]) if number < len(names) else None
        return (region if region in self.build.regions else None), word

    def _checked_words(self, region: Region | None, word: int, count: int) -> None:
        _require(region is not None and word + count <= self.build.words(*region), Status.ADDRESS)

    def _size(self, region: Region | None) -> int:
        """Bytes of a word; of a region that the board has not, 1."""
        return 1 if region is None else self.build.word_bytes(*region)

    def _read(self, space: Space, payload: bytes) -> bytes:
        _require(len(payload) == 5 and payload[4] > 0, Status.LENGTH)
        address, count = struct.unpack("<IB", payload)
        region, word = self._place(space, address)
        size = self._size(region)
        _require(1 + count * size <= self.build.payload, Status.LENGTH)
        self._checked_words(region, word, count)
        return bytes(self._content(region)[word * size : (word + count) * size])

    def _content(self, region: Region) -> bytes | bytearray:
        build, space = self.build, region.space
        if space == Space.IDENTITY:
            return self._identity
        if space == Space.H:
            padded = np.zeros(build.words(Space.H) * build.spec.lanes, np.int8)
            padded[: build.spec.hidden] = self._network.h
            return padded.tobytes()
        if space == Space.LOGITS:
            size = build.word_bytes(space)
            return b"".join(int(logit).to_bytes(size, "little", signed=True) for logit in self._network.logits)
        if space == Space.SETTINGS:  # bits beyond the last calibration cell are not kept
            held = int.from_bytes(self.memories[region], "little")
            cells = 32 + build.calibration_bits
            return (held & ((1 << cells) - 1)).to_bytes(len(self.memories[region]), "little")
        return self.memories[region]

    def _write(self, space: Space, payload: bytes) -> bytes:
        _require(space in WRITABLE, Status.UNKNOWN)
        _require(len(payload) > 4, Status.LENGTH)
        region, word = self._place(space, struct.unpack_from("<I", payload)[0])
        size = self._size(region)
        count, rest = divmod(len(payload) - 4, size)
        _require(rest == 0, Status.LENGTH)
        self._checked_words(region, word, count)
        low, high = self._range(region)
        values = unpacked(payload[4:], size // self._numbers(region))
        _require(((low <= values) & (values <= high)).all(), Status.VALUE)
        self.memories[region][word * size : (word + count) * size] = payload[4:]
        self._network.written()
        return b""

    def _numbers(self, region: Region) -> int:
        """Numbers in a word."""
        build, space = self.build, region.space
        if space in _LEVELS:
            return build.columns(region.macro)
        if space == Space.PROJECTION:
            return build.spec.macros[region.macro].lanes
        return build.spec.head_lanes if space == Space.HEAD else 1

    def _range(self, region: Region) -> tuple[int, int]:
        """Least and greatest number that a word takes."""
        spec, space = self.build.spec, region.space
        if space in OF_MACROS:
            own = spec.macros[region.macro]
            limits = {Space.THRESHOLDS: None, Space.PROJECTION: own.head_weight_max}
            limit = limits.get(space, own.weight_max)
            if limit is not None:
                return -limit, limit
            bits = own.mac_bits
        else:
            bits = {Space.HEAD: spec.head_bias_bits, Space.SETTINGS: 16}[space]
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    # ---- computing ------------------------------------------------------------------------------------------------

    def _step(self, payload: bytes) -> bytes:
        spec = self.build.spec
        _require(len(payload) == 6 + spec.inputs, Status.LENGTH)
        tag, step, last = struct.unpack_from("<BIB", payload)
        _require(tag == self._tag, Status.ORDER)
        if self.accepted and step == self.accepted - 1:  # asked again: the answer was lost on its way
            return b""
        _require(not self._complete and step == self.accepted, Status.ORDER)
        _require(step < spec.max_steps, Status.ADDRESS)
        x = unpacked(payload[6:], 1)
        _require(last <= 1 and (np.abs(x) <= spec.input_max).all(), Status.VALUE)
        self._network.step(x, bool(last))
        self.accepted += 1
        self._complete = bool(last)
        return b""


class _Refused(Exception):
    """Nothing was done; the answer has this status."""

    def __init__(self, status: Status):
        self.status = status


def _require(condition: bool, status: Status):
    if not condition:
        raise _Refused(status)
