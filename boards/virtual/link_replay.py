# SPDX-License-Identifier: Apache-2.0
"""A session on a board's pins with all that its link can do, and what the golden model answers to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from crossramp.golden.link.board_memory import Build, Region
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import (
    ANSWER,
    END,
    OVERHEAD,
    Command,
    Decoder,
    Frame,
    Space,
    Status,
    StatusBlock,
    encode,
    read_payload,
    step_payload,
    write_payload,
)
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network
from crossramp.rtl.link.uart import divisor
from crossramp.sim.netlist.pin_replay import Act, Design, LinkTiming, replay
from crossramp.sim.tools.run_options import BUILD, BuildOptions

from ..definitions.board import BoardError
from ..flow.utterance_clocks import utterance_time
from ..host.images import network_images, settings_image

#: Clocks that the reset is held at the start.
PRESS_CLOCKS = 64


@dataclass(frozen=True)
class Session:
    """What happens on the pins, and what must come back.

    Attributes
    ----------
    acts : list of Act
    expected : list of Frame
        For each question, in order; ``clocks`` and ``waiting`` of a StatusBlock are 0.
    names : list of str
        Of each question, for messages.
    steps : int
        Of an utterance.
    """

    acts: list[Act]
    expected: list[Frame]
    names: list[str]
    steps: int


@dataclass(frozen=True)
class Comparison:
    """A replay against golden.

    Attributes
    ----------
    answers : int
        That were compared.
    differences : list of str
        One line each; empty if all answers are golden's.
    clocks : int or None
        Simulated; None if a question was not answered.
    counters : list of (int, int)
        ``clocks`` and ``waiting`` of each StatusBlock: golden knows no time, but two designs of one Verilog agree.
    """

    answers: int
    differences: list[str]
    clocks: int | None
    counters: list[tuple[int, int]]


class _Recorder:
    """Makes a session: each act goes to the golden model as it is added."""

    def __init__(self, build: Build, steps: int):
        self.model = LinkModel(build)
        self.session = Session([], [], [], steps)
        self.sequence = 0

    def act(self, kind: str, data: bytes = b"", clocks: int = 0):
        self.session.acts.append(Act(kind, data, clocks))

    def ask(self, name: str, command: int, payload: bytes = b"", settle: bool = False):
        question = Frame(self.sequence, command, payload)
        self.sequence = (self.sequence + 1) % 256
        self.act("settle" if settle else "ask", encode(question))
        (answer,) = Decoder().feed(self.model.feed(encode(question)))
        self.session.expected.append(answer)
        self.session.names.append(name)

    def send(self, data: bytes):
        """Bytes that get no answer."""
        if self.model.feed(data):
            raise AssertionError("the golden model answered what it must not")
        self.act("send", data)

    def write(self, region: Region, image: bytes):
        build, size = self.model.build, self.model.build.word_bytes(*region)
        part = (build.payload - 4) // size * size
        for begin in range(0, len(image), part):
            payload = write_payload(build.address(begin // size, region.macro), image[begin : begin + part])
            self.ask(f"write {region} from word {begin // size} on", Command.WRITE + region.space, payload)

    def read(self, region: Region, name: str, words: Sequence[int] | None = None):
        """All words; or those from each of ``words`` on that one answer holds."""
        build = self.model.build
        count, part = build.words(*region), min(255, (build.payload - 1) // build.word_bytes(*region))
        for begin in range(0, count, part) if words is None else words:
            payload = read_payload(build.address(begin, region.macro), min(part, count - begin))
            self.ask(f"read {name} from word {begin} on", Command.READ + region.space, payload)


def record(build: Build, network: Network | LayeredNetwork, x: np.ndarray, *, seed: int = 1) -> Session:
    """A session that loads ``network``, runs utterances, and tries what must be refused.

    Reset; an echo; the identity; all memories written, and parts of them read back; for each utterance its steps, h
    after some of them (without a layer of two directions), the status and the logits; questions that must be refused,
    and frames that must be dropped.

    Parameters
    ----------
    build : Build
        With an emulator.
    network : Network or LayeredNetwork
        Of the same specification, lanes apart.
    x : integer array, shape (utterances, steps, inputs)
        Pulse codes.
    seed : int
        Of what is echoed, and of what is read back.

    Raises
    ------
    BoardError
        For a board whose array is on pins.
    """
    if not build.columns_per_clock:
        raise BoardError(f"{build.board}: nothing would answer on the array's pins; take a board with an emulator")
    rng = np.random.default_rng(seed)
    recorder = _Recorder(build, x.shape[1])
    recorder.act("press", clocks=PRESS_CLOCKS)
    recorder.ask("echo", Command.ECHO, bytes([END, 0xDB, 0xDC, 0xDD, *rng.bytes(12)]))
    recorder.read(Region(Space.IDENTITY), "identity")
    images = network_images(build, network) | {Region(Space.SETTINGS): settings_image(build)}
    for region, image in images.items():
        recorder.write(region, image)
    for region in images:
        recorder.read(region, str(region), [int(rng.integers(build.words(*region)))])
    for tag, codes in enumerate(x):
        _utterance(recorder, tag, codes)
    _refused(recorder, len(x))
    return recorder.session


def _utterance(recorder: _Recorder, tag: int, codes: np.ndarray):
    steps = len(codes)
    shows_steps = not recorder.model.build.spec.bidirectional
    recorder.ask(f"reset to utterance {tag}", Command.RESET, bytes([tag]))
    for step, row in enumerate(codes):
        where = f"step {step} of utterance {tag}"
        recorder.ask(where, Command.STEP, step_payload(tag, step, step == steps - 1, row))
        # Not after each: a step that arrives while the one before is computed is the usual case.
        if step % 3 == 0:
            recorder.ask(f"status after {where}", Command.STATUS, settle=True)
            if shows_steps:
                recorder.read(Region(Space.H), f"h after {where}")
    recorder.ask(f"status after utterance {tag}", Command.STATUS, settle=True)
    recorder.read(Region(Space.H), f"h after utterance {tag}")
    recorder.read(Region(Space.LOGITS), f"logits of utterance {tag}")


def _refused(recorder: _Recorder, tag: int):
    """What a board refuses or drops, and that it goes on after it."""
    build = recorder.model.build
    spec = build.spec
    silence = np.zeros(spec.inputs, int)
    recorder.ask("reset", Command.RESET, bytes([tag]))
    recorder.ask("unknown command", 0x7F)
    recorder.ask("status with a payload", Command.STATUS, b"?")
    recorder.ask("write of the identity", Command.WRITE + Space.IDENTITY, write_payload(0, b"?"))
    recorder.ask("step of another utterance", Command.STEP, step_payload(tag + 1, 0, False, silence))
    recorder.ask("step before the first", Command.STEP, step_payload(tag, 1, False, silence))
    recorder.ask("code out of range", Command.STEP, step_payload(tag, 0, False, silence - spec.input_max - 1))
    recorder.ask("read beyond the end", Command.READ + Space.H, read_payload(build.words(Space.H), 1))
    good = encode(Frame(recorder.sequence, Command.ECHO, b"crossramp"))
    recorder.send(good[:-3] + bytes([good[-3] ^ 1]) + good[-2:])  # one bit of the CRC
    recorder.send(bytes([END, 0xDB, 0x00, END]))
    recorder.send(bytes([END, *bytes(build.payload + OVERHEAD + 1), END]))
    recorder.ask("status after dropped frames", Command.STATUS)
    recorder.ask("echo after dropped frames", Command.ECHO, b"crossramp")


def compare(
    design: Design, build: Build, session: Session, *, seed: int = 1, options: BuildOptions = BUILD
) -> Comparison:
    """Replay ``session`` on ``design`` in Verilator, and compare every answer with golden.

    Parameters
    ----------
    seed, options :
        As ``seed`` and ``build`` of :func:`crossramp.sim.netlist.pin_replay.replay`.

    Raises
    ------
    SimulatorMissing, SimulationError
        As :func:`crossramp.sim.netlist.pin_replay.replay` does.
    """
    bit = divisor(build.clock, build.baud)
    timing = LinkTiming(
        clocks_per_bit=bit,
        patience=20 * bit + 8 * build.payload + 4096,
        # A step, the one in the buffer, and the head; behind a layer of two directions all steps.
        limit=4 * utterance_time(build, session.steps if build.spec.bidirectional else 1).clocks + 400 * bit,
    )
    result = replay(design, session.acts, timing, seed=seed, build=options)
    differences, counters = [], []
    for name, expected, raw in zip(session.names, session.expected, result.answers, strict=False):
        found = Decoder().feed(bytes([END]) + raw + bytes([END]))
        frame = found[0] if len(found) == 1 else None
        if frame is not None and expected.command == Command.STATUS | ANSWER:
            frame, counter = _without_time(frame)
            counters += counter
        if frame != expected:
            differences.append(f"{name}: {_shown(frame, raw)}; golden: {_shown(expected, b'')}")
    if result.clocks is None:
        differences.append(f"{session.names[len(result.answers)]}: no answer")
    return Comparison(len(result.answers), differences, result.clocks, counters)


def _without_time(frame: Frame) -> tuple[Frame, list[tuple[int, int]]]:
    """A StatusBlock's frame with zeros for what golden does not know, and that; any other frame as it is."""
    payload = frame.payload
    if len(payload) != 1 + StatusBlock.SIZE or payload[0] != Status.OK:
        return frame, []
    block = StatusBlock.unpack(payload[1:])
    timeless = replace(block, clocks=0, waiting=0)
    return Frame(frame.sequence, frame.command, payload[:1] + timeless.pack()), [(block.clocks, block.waiting)]


def _shown(frame: Frame | None, raw: bytes) -> str:
    if frame is None:
        return f"no frame ({len(raw)} bytes, {raw[:16].hex(' ')} ...)"
    body, dots = frame.payload[:24].hex(" "), " ..." if len(frame.payload) > 24 else ""
    return f"number {frame.sequence}, command 0x{frame.command:02x}, {len(frame.payload)} bytes {body}{dots}"
