# SPDX-License-Identifier: Apache-2.0
"""The virtual board as a program: pins, the simulator without C++, faults in the Verilog, and clean endings."""

import io
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial
from crossramp.boards.host.driver import BoardDriver
from crossramp.boards.host.exchange import LinkError
from crossramp.boards.host.images import network_images
from crossramp.boards.virtual import simulated_board
from crossramp.boards.virtual.pin_log import PINS, PinLog, read_pins
from crossramp.boards.virtual.simulated_board import choose_simulator, virtual_board
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_protocol import Command, Frame, Space, encode, read_payload, step_payload
from crossramp.sim.tools.simulators import SimulationError, SimulatorMissing

from tests.support.designs import SPECS
from tests.support.link_fuzz import Conversation, Requests
from tests.support.strategies import inputs_of, network_of

SMALL = Build("small", SPECS["tiny"].replace(units=2, lanes=2), 1, 12_000_000, 3_000_000)
SECONDS = 600.0  # what only a board that hangs takes


@pytest.fixture(scope="module")
def models(pytestconfig):
    return pytestconfig.rootpath / "build" / "simulation"


def opened(port: str) -> serial.Serial:
    return serial.Serial(port, SMALL.baud, timeout=SECONDS)


def utterance(talk: Conversation, seed: int, steps: int) -> None:
    """A network and an utterance, h read after every step, and all of it compared with the golden model's."""
    spec = SMALL.spec
    for region, image in network_images(SMALL, network_of(spec, seed), None).items():
        talk.write(region, image)
    talk.tell(encode(Frame(0, Command.RESET, b"\x01")))
    for step, codes in enumerate(inputs_of(spec, seed, batch=1, steps=steps)[0]):
        talk.tell(encode(Frame(step + 1, Command.STEP, step_payload(1, step, step == steps - 1, codes))))
        talk.tell(encode(Frame(step + 101, Command.READ + Space.H, read_payload(0, SMALL.words(Space.H)))))
    talk.tell(encode(Frame(0, Command.READ + Space.LOGITS, read_payload(0, spec.classes))))
    talk.compare_status()


def uart_bytes(edges: list[tuple[int, int]]) -> bytes:
    """The bytes on a line, from its edges: (clock number, level)."""
    clocks = SMALL.clock / SMALL.baud
    data, free = b"", 0.0

    def level(at: float) -> int:
        return [value for clock, value in edges if clock <= at][-1]

    for clock, value in edges[1:]:
        if value == 0 and clock >= free:
            bits = [level(clock + (bit + 0.5) * clocks) for bit in range(10)]
            assert (bits[0], bits[9]) == (0, 1)
            data += bytes([sum(bit << k for k, bit in enumerate(bits[1:9]))])
            free = clock + 9.5 * clocks
    return data


class Recorded:
    """A serial port that keeps what went through it."""

    def __init__(self, line: serial.Serial):
        self._line, self.written, self.read = line, b"", b""

    def write(self, data: bytes) -> None:
        self.written += data
        self._line.write(data)

    def read_until(self, end: bytes) -> bytes:
        data = self._line.read_until(end)
        self.read += data
        return data


# Amaranth's simulator takes seconds for what takes Verilator none.
@pytest.mark.parametrize(("simulator", "first", "requests"), [("verilator", 3, 8), ("amaranth", 1, 3)])
def test_both_simulators_and_their_pins(models, simulator, first, requests, tmp_path, seed, rng):
    path, spec = tmp_path / "pins.vcd", SMALL.spec
    board = virtual_board(SMALL, simulator, models, path, optimize=False)
    with board as port, opened(port) as line:
        line = Recorded(line)
        talk = Conversation(line, SMALL)
        utterance(talk, seed, first)
        drawn = Requests(talk.model, rng)
        for _ in range(requests):
            talk.tell(drawn.line())
        talk.compare_status()
        utterance(talk, seed, 1)
    assert board.simulator == simulator
    edges = read_pins(path, SMALL.clock)
    assert list(edges) == [*PINS, *(f"probe{k}" for k in range(8))]
    assert uart_bytes(edges["rx"]) == line.written
    assert uart_bytes(edges["tx"]) == line.read
    assert all(clock < board.clocks for found in edges.values() for clock, _ in found)

    rising = {name: [clock for clock, value in found if value] for name, found in edges.items()}
    steps = len(rising["busy"])
    assert steps >= first + 1
    assert len(rising["integrate"]) == len(rising["hold"]) == 2 * steps
    assert len(rising["tick"]) == 2 * steps * spec.ticks
    assert all(b - a == spec.input_max for a, b in _windows(edges["integrate"]))
    assert rising["probe0"]


def _windows(edges):
    levels = [edge for edge in edges if edge[0] > 0]
    return [(a, b) for (a, up), (b, _) in itertools.pairwise(levels) if up]


def test_fault_in_the_verilog_shows(models, seed):
    """What the tests of this folder compare does come from the Verilog."""

    def faulty(text: str) -> str:
        changed, count = re.subn(r"= comparators & (?=\{ ?(?:\d+\{)?enable)", "= ~comparators & ", text)
        assert count == 4  # what the banks latch
        return changed

    with virtual_board(SMALL, "verilator", models, change_verilog=faulty, optimize=False) as port, opened(port) as line:
        with pytest.raises(AssertionError, match="golden"):
            utterance(Conversation(line, SMALL), seed, 4)


def test_board_that_dies_midway_is_one_line(models):
    board = virtual_board(SMALL, "verilator", models, optimize=False)

    def lose():
        with board as port, BoardDriver(port, baud=SMALL.baud, timeout=SECONDS) as host:
            os.kill(board.process_id, signal.SIGKILL)
            host.status()

    begin = time.monotonic()
    with pytest.raises(SimulationError, match=r"^the virtual board stopped \(signal 9\): it said nothing$") as caught:
        lose()
    # And whoever asked was told at once, not after a time-out.
    assert isinstance(caught.value.__cause__, LinkError)
    assert re.match(r"the port \S+ went away", str(caught.value.__cause__))
    assert time.monotonic() - begin < SECONDS


class Slow:
    """A process that has not ended after ``waits`` seconds of waiting, unless it is told to."""

    def __init__(self, waits):
        self.waits, self.returncode, self.told, self.stdin = waits, None, [], io.BytesIO()

    def wait(self, seconds=None):
        if self.returncode is None:
            self.waits -= 1 if seconds else 0
            if self.waits >= 0:
                raise subprocess.TimeoutExpired("board", seconds)
            self.returncode = 0
        return self.returncode

    def poll(self):
        return self.returncode

    def terminate(self):
        self.told.append("terminate")
        self.returncode = -signal.SIGTERM

    def kill(self):
        self.told.append("kill")


@pytest.fixture
def slow_board(monkeypatch):
    def make(waits):
        process = Slow(waits)
        monkeypatch.setattr(simulated_board.VirtualBoard, "_command", lambda self: [])
        monkeypatch.setattr(simulated_board.VirtualBoard, "_start", lambda self, command, master: process)
        return process, virtual_board(SMALL, "amaranth")

    return make


def test_a_simulation_may_take_its_time_to_end(slow_board):
    """It may not even have started yet, or have much to write; whoever waits does not end it and then complain."""
    process, board = slow_board(300)
    with board:
        pass
    assert process.told == []
    assert process.stdin.closed


def test_a_simulation_that_does_not_end_is_stopped_and_that_is_said(slow_board):
    process, board = slow_board(10**6)
    with pytest.raises(SimulationError, match=r"^the virtual board did not end within 600 s, and was stopped$"), board:
        pass
    assert process.told == ["terminate"]


def test_our_own_signal_is_not_taken_for_a_failure(slow_board):
    """Where something else went wrong, that is what is told."""
    process, board = slow_board(10**6)
    with pytest.raises((LinkError, SimulationError)) as caught, board:
        raise LinkError("no answer")
    assert str(caught.value) == "no answer"
    assert process.told == ["terminate"]


def test_ends_with_whoever_started_it(models):
    text = f"""
import sys
from pathlib import Path
from crossramp.boards.virtual.simulated_board import virtual_board
from tests.boards.virtual.test_virtual_process import SMALL
board = virtual_board(SMALL, "verilator", Path({str(models)!r}), optimize=False)
with board as port:
    print(board.process_id, flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", text]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_refusals(models, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="simulator is 'icarus'; allowed: auto, verilator, amaranth"):
        virtual_board(SMALL, "icarus")
    with pytest.raises(ValueError, match="board 'pins' has its array on pins"):
        virtual_board(Build("pins", SMALL.spec, 0, SMALL.clock))
    with pytest.raises(ValueError, match="change_verilog needs Verilator"):
        virtual_board(SMALL, "amaranth", change_verilog=str)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        with virtual_board(SMALL, "verilator", models, tmp_path / "nowhere" / "pins.vcd"):
            pass

    def missing(name):
        raise SimulatorMissing(f"{name}: g++ is not on PATH; install it")

    monkeypatch.setattr(simulated_board, "find_simulator", missing)
    assert choose_simulator("auto") == "amaranth"
    with pytest.raises(SimulatorMissing, match=r"g\+\+ is not on PATH; install it; or take the simulator amaranth"):
        choose_simulator("verilator")


def test_pin_files(tmp_path):
    path = tmp_path / "pins.vcd"
    log = PinLog(path, 27_000_000, 4)
    words = [(0, 0x003), (1, 0x803), (1_000_003, 0x002), (10**12, 0xFFF), (10**12 + 1, 0xFFF)]
    for now, word in words:
        log.show(now, word)
    log.flush()
    edges = read_pins(path, 27_000_000)
    assert edges["rx"] == [(0, 1), (1_000_003, 0), (10**12, 1)]
    assert edges["tx"] == [(0, 1)]
    assert edges["probe3"] == [(0, 0), (1, 1), (1_000_003, 0), (10**12, 1)]
    whole = path.read_text()
    for more in ("bad\n", "1?\n"):
        path.write_text(whole + more)
        with pytest.raises(InvalidValue, match=r"pins\.vcd: holds no pins of a virtual board"):
            read_pins(path, 27_000_000)
    # The same as virtual_main.cpp writes it, which another program has to read too.
    assert "$timescale 1 ns $end" in whole
    assert re.findall(r"\$var wire 1 \S (\w+) \$end", whole) == list(edges)
