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

from ..array.array_protocol import Array, IdealArray
from ..array.integers import exact_matmul
from ..array.ramps import WrittenRamp
from ..macro.lstm import Lstm
from .board_memory import Build, head_arrays, identity_image, unpacked
from .link_protocol import ANSWER, Command, Decoder, Fault, Frame, Space, Status, StatusBlock, encode

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
    memories : dict of Space to bytearray
        The writable spaces that the board has.
    """

    def __init__(self, build: Build, array: Array | None = None):
        self.build = build
        self.decoder = Decoder(build.payload)
        self.memories = {
            space: bytearray(build.words(space) * build.word_bytes(space)) for space in WRITABLE if build.words(space)
        }
        self._identity = identity_image(build)
        self._array = array
        self._lstm: Lstm | None = None  # with the weights and thresholds as written; None: made when needed
        self._h = np.zeros(build.spec.hidden, np.int64)
        self._logits = np.zeros(build.spec.classes, np.int64)
        self._tag: int | None = None  # before the first RESET
        self._start()

    def _start(self):
        spec = self.build.spec
        self.accepted = 0
        self.answer: int | None = None
        self._complete = False  # the utterance's last step is there
        self._c, self._h_before = np.zeros((1, spec.units), np.int64), np.zeros((1, spec.hidden), np.int64)
        self._sums = np.zeros(spec.hidden, np.int64)

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
            if command - kind in tuple(Space) and self.build.words(Space(command - kind)):
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
            done=self.accepted,
            answer=self.answer or 0,
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

    def _read(self, space: Space, payload: bytes) -> bytes:
        _require(len(payload) == 5 and payload[4] > 0, Status.LENGTH)
        word, count = struct.unpack("<IB", payload)
        size = self.build.word_bytes(space)
        _require(1 + count * size <= self.build.payload, Status.LENGTH)
        _require(word + count <= self.build.words(space), Status.ADDRESS)
        return bytes(self._content(space)[word * size : (word + count) * size])

    def _content(self, space: Space) -> bytes | bytearray:
        build = self.build
        if space == Space.IDENTITY:
            return self._identity
        if space == Space.H:
            padded = np.zeros(build.words(Space.H) * build.spec.lanes, np.int8)
            padded[: build.spec.hidden] = self._h
            return padded.tobytes()
        if space == Space.LOGITS:
            size = build.word_bytes(space)
            return b"".join(int(logit).to_bytes(size, "little", signed=True) for logit in self._logits)
        if space == Space.SETTINGS:  # bits beyond the last calibration cell are not kept
            held = int.from_bytes(self.memories[space], "little")
            cells = 32 + len(build.spec.ramps) * build.spec.calibration_cells
            return (held & ((1 << cells) - 1)).to_bytes(len(self.memories[space]), "little")
        return self.memories[space]

    def _write(self, space: Space, payload: bytes) -> bytes:
        _require(space in WRITABLE, Status.UNKNOWN)
        size = self.build.word_bytes(space)
        count, rest = divmod(len(payload) - 4, size)
        _require(count >= 1 and rest == 0, Status.LENGTH)
        (word,) = struct.unpack_from("<I", payload)
        _require(word + count <= self.build.words(space), Status.ADDRESS)
        low, high = self._range(space)
        values = unpacked(payload[4:], size // self._numbers(space))
        _require(((low <= values) & (values <= high)).all(), Status.VALUE)
        self.memories[space][word * size : (word + count) * size] = payload[4:]
        self._lstm = None
        return b""

    def _numbers(self, space: Space) -> int:
        """Numbers in a word of ``space``."""
        build = self.build
        if space in _LEVELS:
            return build.columns_per_clock
        return {Space.HEAD: build.spec.head_lanes, Space.PROJECTION: build.spec.lanes}.get(space, 1)

    def _range(self, space: Space) -> tuple[int, int]:
        """Least and greatest number that ``space`` takes."""
        spec = self.build.spec
        if space in _LEVELS:
            return -spec.weight_max, spec.weight_max
        if space == Space.PROJECTION:
            return -spec.head_weight_max, spec.head_weight_max
        bits = {Space.THRESHOLDS: spec.mac_bits, Space.HEAD: spec.head_bias_bits, Space.SETTINGS: 16}[space]
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
        self._compute(x, bool(last))
        return b""

    def _compute(self, x: np.ndarray, last: bool):
        if self._lstm is None:
            self._lstm = self._written_lstm()
        trace = self._lstm.step(x[None], self._c, self._h_before)
        self._c, self._h_before, self._h = self._c if trace.c is None else trace.c, trace.h, trace.h[0]
        mean = self.build.spec.readout == "mean"
        self._sums = self._sums + self._h if mean else self._h
        self.accepted += 1
        self._complete = last
        if last or self.build.spec.readout == "step":
            self._logits = self._head(self.accepted if mean else 1)
            self.answer = int(self._logits.argmax())

    def _written_lstm(self) -> Lstm:
        """The macro with the weights and thresholds that the memories hold."""
        build, spec = self.build, self.build.spec
        if Space.WEIGHTS not in self.memories:
            silent = IdealArray(spec, np.zeros((spec.rows, spec.columns), np.int64))
            array = silent if self._array is None else self._array
            return Lstm(array.spec, array, self._projection())
        words = unpacked(bytes(self.memories[Space.WEIGHTS]), 1)
        words = words.reshape(len(spec.gate_names), build.groups, spec.rows, build.columns_per_clock)
        banks = words.transpose(2, 0, 1, 3).reshape(spec.rows, len(spec.gate_names), -1)
        weights = banks[..., : spec.units].reshape(spec.rows, spec.columns) * spec.placed
        floors = unpacked(bytes(self.memories[Space.THRESHOLDS]), build.word_bytes(Space.THRESHOLDS))
        ramps = [
            WrittenRamp(ramp[: walk.ticks], spec.latch, walk.codes)
            for ramp, walk in zip(floors.reshape(len(spec.ramps), -1), spec.ramp_walks, strict=True)
        ]
        lines = None
        if spec.trained_lines:
            levels = unpacked(bytes(self.memories[Space.LINES]), 1).reshape(spec.trained_lines, -1)
            lines = levels[:, : spec.units]
        return Lstm(spec, IdealArray(spec, weights, ramps, lines), self._projection())

    def _projection(self) -> np.ndarray | None:
        """The weights that the memory holds; None without a projection."""
        build, spec = self.build, self.build.spec
        if not spec.projection:
            return None
        words = unpacked(bytes(self.memories[Space.PROJECTION]), build.word_bytes(Space.PROJECTION) // spec.lanes)
        return words.reshape(spec.projection, -1)[:, : spec.units]

    def _head(self, count: int) -> np.ndarray:
        """Logits of the sums, with the head that the memory holds; they wrap, which no legal head makes them do."""
        spec = self.build.spec
        weights, biases = head_arrays(self.build, bytes(self.memories[Space.HEAD]))
        bound = (spec.hidden * spec.sum_max) << (spec.head_bias_bits - 1)
        logits = exact_matmul(self._sums, weights.T, bound) + biases * count
        half = 1 << (spec.logit_bits - 1)
        return (logits + half) % (2 * half) - half


class _Refused(Exception):
    """Nothing was done; the answer has this status."""

    def __init__(self, status: Status):
        self.status = status


def _require(condition: bool, status: Status):
    if not condition:
        raise _Refused(status)
