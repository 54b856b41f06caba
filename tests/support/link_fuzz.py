# SPDX-License-Identifier: Apache-2.0
"""Seeded requests for a board, right and wrong ones, and what a line may make of them."""

import dataclasses
from collections import Counter

import numpy as np
from crossramp.golden.link.board_memory import OF_MACROS, WORD_BITS, Build, Region
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import (
    ANSWER,
    END,
    ESC,
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


class Requests:
    """Draws requests that bring a board into as many situations as there are.

    Parameters
    ----------
    model : LinkModel
        Of the board they go to: it knows which step is due.
    rng : numpy Generator
    """

    def __init__(self, model: LinkModel, rng: np.random.Generator):
        self.model, self.build, self.rng = model, model.build, rng
        self.sequence = 0

    def frame(self) -> Frame:
        """The next request; most are in order."""
        self.sequence = (self.sequence + 1) % 256
        kinds = (self._step, self._read, self._write, self._reset, self._echo, self._status, self._any)
        command, payload = self.rng.choice(kinds, p=(0.4, 0.2, 0.15, 0.08, 0.05, 0.02, 0.1))()
        if self.rng.random() < 0.08:  # of another length
            change = int(self.rng.integers(-4, 5))
            payload = payload[:change] if change < 0 else payload + self._bytes(change)
        return Frame(self.sequence, command, payload)

    def line(self) -> bytes:
        """What arrives of the next request; most arrive as they were sent."""
        data = encode(self.frame())
        kinds = (self._whole, self._flipped, self._cut, self._doubled, self._filled, self._noise, self._long)
        return self.rng.choice(kinds, p=(0.6, 0.1, 0.08, 0.06, 0.06, 0.06, 0.04))(data)

    def _below(self, limit: int) -> int:
        return int(self.rng.integers(limit))

    def _bytes(self, count: int) -> bytes:
        return self.rng.integers(0, 256, count, np.uint8).tobytes()

    # ---- requests ---------------------------------------------------------------------------------------------------

    def _step(self):
        spec = self.build.spec
        limit = spec.input_max + (self.rng.random() < 0.05)
        codes = self.rng.integers(-limit, limit, spec.inputs, endpoint=True)
        tag = self.model.status().tag if self.rng.random() < 0.95 else self._below(256)
        step = self.model.accepted + (self._below(5) - 2 if self.rng.random() < 0.1 else 0)
        last = self.rng.random() < 0.15 or 2 * (self.rng.random() < 0.02)
        return Command.STEP, step_payload(tag, max(step, 0), last, codes)

    def _place(self) -> tuple[Region, int, int]:
        """What a read or a write is about, also what the board has not: its words, and an address in it."""
        space, macros = Space(self._below(len(Space))), list(self.build.spec.macros)
        number = self._below(len(macros)) if space in OF_MACROS else 0
        region = Region(space, macros[number] if space in OF_MACROS else "")
        words = self.build.words(*region)
        if self.build.several and self.rng.random() < 0.1:
            number = self._below(256)
        address = self._below(words + 3) + (number << WORD_BITS)
        return region, words, address + (self._below(1 << 32) & ~0xFFFF if self.rng.random() < 0.05 else 0)

    def _read(self):
        region, words, address = self._place()
        count = 1 + self._below(min(max(words, 1), 255))
        return Command.READ + region.space, read_payload(address % (1 << 32), count)

    def _write(self):
        region, _, address = self._place()
        space, size = region.space, max(self.build.word_bytes(*region), 1)
        count = min(1 + self._below(12), (self.build.payload - 4) // size)
        own = self.build.spec.macros[region.macro] if space in OF_MACROS else None
        if space == Space.SETTINGS:  # short ones: long holds and ticks are another test's
            data = b"".join(bytes([self._below(8), 0]) for _ in range(count))
        elif space in (Space.WEIGHTS, Space.LINES):
            limit = own.weight_max + (self.rng.random() < 0.1)
            data = self.rng.integers(-limit, limit, count * size, endpoint=True).astype(np.int8).tobytes()
        else:
            bits = {Space.THRESHOLDS: own and own.mac_bits, Space.HEAD: self.build.spec.head_bias_bits}
            half = 1 << (bits.get(space, 8 * size) - 1) + (self.rng.random() < 0.1 and 8 * size > bits.get(space, 99))
            words = [int(self.rng.integers(-half, half)) for _ in range(count)]
            data = b"".join(word.to_bytes(size, "little", signed=True) for word in words)
        return Command.WRITE + space, write_payload(address % (1 << 32), data)

    def _reset(self):
        return Command.RESET, bytes([self._below(256)])

    def _echo(self):
        # END and ESC often, since they are escaped; sometimes as long as a frame can be, or longer than an answer.
        count = self._below(30) if self.rng.random() < 0.8 else self.build.payload - self._below(3)
        data = np.frombuffer(self._bytes(count), np.uint8)
        special = self.rng.choice(np.array([END, ESC], np.uint8), count)
        return Command.ECHO, np.where(self.rng.random(count) < 0.2, special, data).tobytes()

    def _status(self):
        return Command.STATUS, b""

    def _any(self):
        return self._below(256), self._bytes(self._below(20))

    # ---- what the line does -----------------------------------------------------------------------------------------

    def _whole(self, data: bytes) -> bytes:
        return data

    def _flipped(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(1 + self._below(3)):
            changed[self._below(len(data))] ^= 1 << self._below(8)
        return bytes(changed)

    def _cut(self, data: bytes) -> bytes:
        first, last = sorted((self._below(len(data) + 1), self._below(len(data) + 1)))
        return data[:first] + data[last:] if self.rng.random() < 0.5 else data[first:last]

    def _doubled(self, data: bytes) -> bytes:
        return data + data

    def _filled(self, data: bytes) -> bytes:
        at = self._below(len(data) + 1)
        return data[:at] + self._bytes(1 + self._below(5)) + data[at:]

    def _noise(self, data: bytes) -> bytes:
        noise = np.frombuffer(self._bytes(self._below(200)), np.uint8)
        return np.where(self.rng.random(len(noise)) < 0.1, np.uint8(END), noise).tobytes() + data

    def _long(self, data: bytes) -> bytes:
        body = self._bytes(self.build.payload + 4 + self._below(12))
        return encode(Frame(self.sequence, Command.ECHO, body))


def untimed(data: bytes) -> list[Frame]:
    """The frames in what a board sent, their status blocks without what the golden model does not know."""
    decoder = Decoder()
    frames = []
    for frame in decoder.feed(data):
        payload = frame.payload
        if frame.command == Command.STATUS | ANSWER and len(payload) == 1 + StatusBlock.SIZE:
            status = StatusBlock.unpack(payload[1:])
            # Clocks; and while there is no answer, its index means nothing.
            status = dataclasses.replace(status, clocks=0, waiting=0, answer=status.answered * status.answer)
            payload = payload[:1] + status.pack()
        frames.append(Frame(frame.sequence, frame.command, payload))
    if decoder.dropped:
        raise AssertionError(f"the board sent a broken frame ({decoder.faults}): {data.hex()}")
    return frames


class Conversation:
    """A board and its golden model, told the same and compared answer by answer.

    Parameters
    ----------
    line : serial.Serial
        With a timeout after which a board counts as silent.
    build : Build
    """

    def __init__(self, line, build: Build):
        self.line, self.model = line, LinkModel(build)
        self.sequence = 0
        self.answers = Counter()  # of (command, status)
        self.seen = Fault(0)

    def tell(self, data: bytes) -> None:
        """``data`` to both, the bytes after a whole frame once it is answered; AssertionError where they differ."""
        begin = 0
        for end in range(1, len(data) + 1):
            expected = self.model.feed(data[end - 1 : end])
            if not expected:
                continue
            self.line.write(data[begin:end])
            got = self.receive()
            if untimed(got) != untimed(expected):
                raise AssertionError(f"{data[begin:end].hex()}: board {untimed(got)}, golden {untimed(expected)}")
            for frame in untimed(got):
                self.answers[frame.command, frame.payload[0]] += 1
                if frame.command == Command.STEP | ANSWER:
                    self.finish()
            begin = end
        self.line.write(data[begin:])

    def receive(self) -> bytes:
        """One frame, to its last END; what came until the board fell silent, if it did."""
        data = self.line.read_until(bytes([END]))
        return data + self.line.read_until(bytes([END])) if data == bytes([END]) else data

    def ask(self, command: int, payload: bytes = b"") -> Frame:
        """The board's answer alone, by itself."""
        self.sequence = (self.sequence + 1) % 256
        self.line.write(encode(Frame(self.sequence, command, payload)))
        (frame,) = untimed(self.receive())
        if (frame.sequence, frame.command) != (self.sequence, command | ANSWER):
            raise AssertionError(f"asked 0x{command:02x} with number {self.sequence}, answered {frame}")
        return frame

    def finish(self) -> None:
        """Wait until nothing is being computed."""
        while StatusBlock.unpack(self.ask(Command.STATUS).payload[1:]).computing:
            pass

    def compare_status(self) -> None:
        """Whatever went before: both are in the same state, and have dropped the same."""
        self.line.write(bytes([END]))  # ends what may be unfinished
        self.model.feed(bytes([END]))
        status = StatusBlock.unpack(self.ask(Command.STATUS).payload[1:])
        self.seen |= status.faults
        if status != self.model.status():
            raise AssertionError(f"board {status}, golden {self.model.status()}")

    def echo(self, data: bytes) -> None:
        """AssertionError unless the board sends back what it was sent."""
        self.line.write(bytes([END]))
        if self.ask(Command.ECHO, data).payload != bytes([Status.OK]) + data:
            raise AssertionError("the echo is not what was sent")

    def write(self, region: Region, data: bytes) -> None:
        """``data`` from the first word of ``region`` on, on the board and in the model."""
        build = self.model.build
        size = build.word_bytes(*region)
        part = (build.payload - 4) // size * size
        for begin in range(0, len(data), part):
            payload = write_payload(build.address(begin // size, region.macro), data[begin : begin + part])
            self.tell(encode(Frame(0, Command.WRITE + region.space, payload)))


def flood(rng: np.random.Generator, count: int) -> bytes:
    """``count`` echoes of 8 bytes, numbered, without a pause between them."""
    return b"".join(encode(Frame(k % 256, Command.ECHO, rng.bytes(8))) for k in range(count))
