# SPDX-License-Identifier: Apache-2.0
"""``run``: what a board on a pty computes is compared with golden, and everything that goes wrong is one clear line."""

import _thread
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import serial
from crossramp.boards.virtual import simulated_board
from crossramp.boards.virtual.simulated_board import VirtualBoard
from crossramp.golden.common.installation import how_to_install
from crossramp.golden.link.board_memory import Build, Region
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import Command, Frame, Space
from crossramp.golden.network.model_file import load_model, save_model
from crossramp.sim.tools.simulators import SimulatorMissing

from tests.cli.conftest import is_refusal, small_model, write_wav
from tests.support.serial_line import Disturbance, Line, SimulatedLine


class TimedModel(LinkModel):
    """A golden board that counts clocks: 100 a step, 40 of them waiting."""

    def status(self):
        block = super().status()
        object.__setattr__(block, "clocks", 100 * block.accepted)
        object.__setattr__(block, "waiting", 40 * block.accepted)
        return block


@pytest.fixture
def build(model_file) -> Build:
    return Build("tiny", load_model(model_file).spec, 2, 12_000_000)


@pytest.fixture
def board(build):
    with SimulatedLine(TimedModel(build)) as line:
        yield line


def ran(run, *arguments) -> tuple[int, dict]:
    status, out, err = run("run", *arguments, "--json")
    assert err == ""
    return status, json.loads(out)


# ---- what it tells ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_step", [False, True])
def test_a_golden_board(run, model_file, board, build, every_step):
    option = ["--every-step"] if every_step else []
    status, content = ran(run, model_file, "--random", 3, "--seed", 5, "--steps", 4, "--port", board.port, *option)
    assert status == 0
    spec = build.spec
    values = spec.units * (4 if every_step else 1) + spec.classes + 1
    assert content["compared"] == 3 * values
    for name, value in {
        "port": board.port,
        "board": "tiny",
        "specification_hash": spec.content_hash,
        "hardware_hash": spec.hardware_hash,
        "clock": 12_000_000,
        "baud": 1_000_000,
        "utterances": 3,
        "steps": 4,
        "mismatches": 0,
        "labeled": 0,
        "accuracy": None,
        "clocks_per_step": 100,
        "clocks_per_step_without_waiting": 60,
        "specified_clocks_per_step": spec.clocks_per_step,
        "milliseconds_per_utterance": 0.033,
        "restarts": 0,
    }.items():
        assert content[name] == value, name
    assert content["milliseconds_per_utterance_with_link"] > 0
    model = load_model(model_file)
    for row in content["rows"]:
        assert row["answer"] == row["golden_answer"] in model.class_names
        assert (row["compared"], row["mismatches"], row["first_mismatch"]) == (values, 0, None)
        assert (row["clocks"], row["waiting"], row["milliseconds"]) == (400, 160, 0.033)


def test_settings_reach_the_board(run, model_file, build):
    model = LinkModel(build)
    cells = len(build.spec.ramps) * build.spec.calibration_cells
    with SimulatedLine(model) as line:
        options = ["--hold", 250, "--tick", 25, "--calibration", f"{1 | 1 << (cells - 1):x}"]
        status, _ = ran(run, model_file, "--random", 1, "--steps", 1, "--port", line.port, *options)
    assert status == 0
    settings = np.frombuffer(model.memories[Region(Space.SETTINGS)], "<u2").tolist()
    assert settings[:2] == [250, 25]
    assert sum(word << 16 * k for k, word in enumerate(settings[2:])) == 1 | 1 << (cells - 1)


def test_the_table(run, model_file, board, tmp_path, rng):
    for name in ("yes/a", "cat/b"):
        write_wav(tmp_path / "speech" / f"{name}.wav", rng.integers(-9000, 9000, 1000))
    status, out, _ = run("run", model_file, "--port", board.port, "speech")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].split() == ["utterance", "label", "board", "golden", "clocks", "ms", "bit", "for", "bit"]
    assert lines[1].startswith("cat/b.wav  -")
    assert lines[2].startswith("yes/a.wav  yes")
    assert all(line.endswith("equal") for line in lines[1:3])
    for words in (
        f"tiny on {board.port}, 12 MHz, 1,000,000 baud",
        "mismatches       0",
        "100.0, the head's at the end included",
        "60.0 without those that the array asked for; ",
        "0 questions asked again, 0 utterances begun again",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("spoil", "first"),
    [
        ("logits", "logits, class 1: expected "),
        ("answer", "answers: expected "),
        ("h", "h, unit 0: expected "),
    ],
)
def test_every_difference_is_seen(run, model_file, build, spoil, first):
    """Planted faults: each of the three values that are compared."""

    class Wrong(TimedModel):
        def respond(self, frame: Frame):
            answer = super().respond(frame)
            changed = bytearray(answer.payload)
            if spoil == "logits" and frame.command == Command.READ + Space.LOGITS:
                changed[1 + self.build.word_bytes(Space.LOGITS)] ^= 1
            if spoil == "h" and frame.command == Command.READ + Space.H:
                changed[1] ^= 1
            if spoil == "answer" and frame.command == Command.STATUS:
                changed[11] += 1
            return Frame(answer.sequence, answer.command, bytes(changed))

    with SimulatedLine(Wrong(build)) as line:
        status, content = ran(run, model_file, "--random", 2, "--port", line.port)
        assert (status, content["mismatches"]) == (1, 2)
        assert all(row["first_mismatch"].startswith(first) for row in content["rows"])
        status, out, _ = run("run", model_file, "--random", 2, "--port", line.port)
        assert status == 1
        assert f"1 differ: {first}" in out


def test_a_wrong_step_in_the_middle_is_seen_with_every_step(run, model_file, build):
    class Wrong(TimedModel):
        def respond(self, frame: Frame):
            answer = super().respond(frame)
            if frame.command == Command.READ + Space.H and self.accepted == 2:
                return Frame(answer.sequence, answer.command, bytes([0, 7]) + answer.payload[2:])
            return answer

    with SimulatedLine(Wrong(build)) as line:
        assert ran(run, model_file, "--random", 1, "--steps", 4, "--port", line.port)[0] == 0
        status, content = ran(run, model_file, "--random", 1, "--steps", 4, "--port", line.port, "--every-step")
        assert status == 1
        assert content["rows"][0]["first_mismatch"].startswith("h, step 1, unit 0: expected ")


def test_a_disturbed_line_changes_nothing_but_the_count(run, model_file, build, seed):
    arguments = (model_file, "--random", 3)
    with SimulatedLine(TimedModel(build)) as line:
        _, good = ran(run, *arguments, "--port", line.port)
    rates = {"drop": 0.002, "flip": 0.002}
    with SimulatedLine(TimedModel(build), Disturbance([seed, 0], **rates), Disturbance([seed, 1], **rates)) as line:
        status, content = ran(run, *arguments, "--port", line.port, "--tries", 50, "--timeout", 0.1)
    assert status == 0
    assert content["rows"] == good["rows"]
    assert content["questions_repeated"] > 0


def test_other_models_of_the_specification_need_no_other_board(run, model_file, board, tmp_path):
    model = small_model()
    save_model(tmp_path / "other.npz", replace(model, weights=model.weights.replace(macro=-model.weights.macro)))
    save_model(tmp_path / "lanes.npz", replace(model, spec=model.spec.replace(lanes=3)))
    for name in (model_file, "other.npz", "lanes.npz", model_file):
        assert ran(run, name, "--random", 1, "--port", board.port)[0] == 0


def test_the_virtual_board(run, model_file):
    """The core that is synthesized, in Verilator, through the same driver: clocks are those of the hardware."""
    arguments = (model_file, "--random", 3, "--steps", 9, "--every-step", "--port", "virtual", "--baud", 3_000_000)
    status, content = ran(run, *arguments)
    spec = load_model(model_file).spec
    assert (status, content["mismatches"], content["board"], content["port"]) == (0, 0, "icebreaker", "virtual")
    assert content["compared"] == 3 * (9 * spec.units + spec.classes + 1)
    assert content["clocks_per_step"] > content["clocks_per_step_without_waiting"]
    # Besides a step: until its first clock and after its last one, and the head once in nine steps.
    extra = content["clocks_per_step_without_waiting"] - content["specified_clocks_per_step"]
    assert 0 < extra < 4 + spec.classes * (spec.units + 5)


def test_the_simulator_of_the_virtual_board(run, model_file, monkeypatch):
    asked = []

    def virtual_board(build, simulator, **options):
        asked.append(simulator)
        raise SimulatorMissing("enough")

    monkeypatch.setattr(simulated_board, "virtual_board", virtual_board)
    for option in ((), ("--simulator", "amaranth")):
        assert is_refusal(run("run", model_file, "--random", 1, "--port", "virtual", *option), "enough")
    assert asked == ["auto", "amaranth"]


@pytest.mark.slow
def test_the_virtual_board_without_verilator(run):
    save_model("least.npz", small_model(False, inputs=1, units=1, lanes=1, adc_bits=2, calibration_cells=0))
    arguments = ("least.npz", "--random", 1, "--steps", 1, "--port", "virtual", "--baud", 3_000_000)
    status, content = ran(run, *arguments, "--simulator", "amaranth")
    assert (status, content["mismatches"], content["restarts"]) == (0, 0, 0)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def test_wrong_ports(run, model_file, tmp_path, build):
    (tmp_path / "file").write_text("")
    request = ("run", model_file, "--random", 1, "--timeout", 60, "--port")
    assert is_refusal(run(*request, "/dev/ttyMissing7"), "/dev/ttyMissing7: no such port; there ")
    assert is_refusal(run(*request, "file"), "file: no serial port")
    with Line(TimedModel(build)) as line:
        with serial.Serial(line.port, exclusive=True):
            assert is_refusal(run(*request, line.port), f"{line.port}: in use by another program; close that first")
        assert run(*request, line.port)[0] == 0


def test_a_board_of_another_specification(run, model_file, build):
    with SimulatedLine(LinkModel(Build("tiny", build.spec.replace(units=4, lanes=1), 1, 12_000_000))) as line:
        before = bytes(line.far.memories[Region(Space.WEIGHTS)])
        result = run("run", model_file, "--random", 1, "--port", line.port)
        assert is_refusal(
            result, "built for another specification: units is 4 there and 3 in the model", "--board tiny"
        )
        assert bytes(line.far.memories[Region(Space.WEIGHTS)]) == before


def test_nobody_answers(run, model_file, build):
    with SimulatedLine(LinkModel(build), to_board=Disturbance(1, cut=0)) as line:
        result = run("run", model_file, "--random", 1, "--port", line.port, "--tries", 2, "--timeout", 0.1)
        assert is_refusal(result, f"no board answers on {line.port} at 1000000 baud (2 tries of 0.1 s)", "flash")


def test_a_board_that_stops_midway(run, model_file, build):
    class Stops(LinkModel):
        def respond(self, frame):
            return None if self._tag is not None and self.accepted == 3 else super().respond(frame)

    with SimulatedLine(Stops(build)) as line:
        result = run("run", model_file, "--random", 1, "--port", line.port, "--tries", 2, "--timeout", 0.1)
        assert is_refusal(
            result, f"the board on {line.port} stopped answering after step 3 of utterance 1", "start again"
        )


def test_a_virtual_board_that_stops(run, model_file, monkeypatch):
    broken = [sys.executable, "-c", "raise SystemExit('it broke')"]
    monkeypatch.setattr(VirtualBoard, "_command", lambda self: broken)
    told = "the virtual board stopped (status 1): it broke"
    assert run("run", model_file, "--random", 1, "--port", "virtual") == (3, "", f"crossramp: {told}\n")
    status, _, err = run("virtual", model_file)
    assert (status, err) == (3, f"crossramp: {told}\n")


def test_memory_that_fails(run, model_file, build):
    class Stuck(LinkModel):
        def _content(self, region):
            content = super()._content(region)
            return bytes(len(content)) if region.space == Space.WEIGHTS else content

    with SimulatedLine(Stuck(build)) as line:
        result = run("run", model_file, "--random", 1, "--port", line.port)
        assert is_refusal(result, "does not hold what was written: word 0 of weights is 0000, not ")


def test_wrong_requests(run, model_file, deaf_file, board):
    there = ("--port", board.port)
    for arguments, words in (
        ((deaf_file, "a.wav", *there), ["no speech features"]),
        ((model_file, *there), ["what to run? nothing is given; give one of"]),
        ((model_file, "--random", 1, "--features", "x.npy", *there), ["--features and --random"]),
        ((model_file, "--random", 1, *there, "--board", "ulx3s-85f"), ["--board ulx3s-85f belongs to --port virtual"]),
        ((model_file, "--random", 1, *there, "--simulator", "auto"), ["--simulator auto belongs to --port virtual"]),
        ((model_file, "--random", 1, *there, "--tries", 0), ["--tries is 0"]),
        ((model_file, "--random", 1, *there, "--hold", -1), ["--hold is -1", "0 to 65535"]),
        ((model_file, "--random", 1, *there, "--tick", 65536), ["--tick is 65536", "0 to 65535"]),
        ((model_file, "--random", 1, *there, "--calibration", "found"), ["--calibration found", "nominal"]),
        ((model_file, "--random", 1, *there, "--calibration", "1" * 99), ["calibration is 1111", "allowed: 0 to 3ff"]),
        ((model_file, "--random", 1, *there, "--timeout", 0), ["--timeout is 0"]),
        ((model_file, "--random", 1, *there, "--timeout", "nan"), ["--timeout is nan"]),
        ((model_file, "--random", 1, *there, "--baud", 0), ["--baud is 0"]),
        ((model_file, "--random", 1, "--port", "virtual", "--board", "nothing"), ["'nothing'", "icebreaker"]),
        (("nothing.npz", "--random", 1, *there), ["'nothing.npz'", "kws"]),
    ):
        assert is_refusal(run("run", *arguments), *words)
    status, out, err = run("run", model_file, "--random", 1)
    assert (status, out) == (2, "")
    assert "--port" in err


def test_without_pyserial(run, model_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    assert is_refusal(run("run", model_file, "--random", 1, "--port", "/dev/ttyUSB0"), how_to_install("board"))


def test_interrupted(run, model_file, build):
    class Interrupts(LinkModel):
        def respond(self, frame):
            if frame.command == Command.STEP and self.accepted == 2:
                _thread.interrupt_main()
                return None
            return super().respond(frame)

    with Line(Interrupts(build)) as line:
        status, out, err = run("run", model_file, "--random", 1, "--port", line.port)
        assert (status, out) == (130, "")
        assert err == "crossramp: interrupted\n"
        serial.Serial(line.port, exclusive=True).close()  # the port is free again


def test_features_of_a_file(run, deaf_file, board, tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.integers(-7, 8, (2, 4, 5)))
    status, content = ran(run, deaf_file, "--features", "x.npy", "--port", board.port)
    assert (status, content["utterances"], content["steps"]) == (0, 2, 4)
