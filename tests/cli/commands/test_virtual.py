# SPDX-License-Identifier: Apache-2.0
"""``crossramp virtual``: a port that a board answers on, until it is told to end."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import pytest
import serial
from crossramp.golden.link.link_protocol import ANSWER, END, Command, Decoder, Frame, Status, StatusBlock, encode
from crossramp.golden.network.model_file import load_model

from tests.cli.conftest import is_refusal

SECONDS = 600.0  # what only a board that hangs takes


@contextlib.contextmanager
def started(*arguments):
    """The command in a process of its own, in Amaranth's simulator, which builds nothing."""
    command = [sys.executable, "-m", "crossramp", "virtual", *map(str, arguments), "--simulator", "amaranth"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(line: serial.Serial, command: int, payload: bytes = b"") -> bytes:
    """The answer's payload."""
    line.write(encode(Frame(7, command, payload)))
    decoder, frames = Decoder(), []
    while not frames:
        data = line.read(1)
        assert data, "no answer"
        frames = decoder.feed(data)
    assert (frames[0].sequence, frames[0].command) == (7, command | ANSWER)
    return frames[0].payload


def test_serves_a_port_until_it_is_told_to_end(model_file, tmp_path):
    pins = tmp_path / "pins.vcd"
    with started(model_file, "--baud", "3000000", "--json", "--pins", pins) as process:
        text = ""
        while not text.endswith("}\n"):
            text += process.stdout.readline()
        content = json.loads(text)
        spec = load_model(model_file).spec.replace(lanes=1)
        assert content | {"port": "", "process": 0} == {
            "port": "",
            "board": "icebreaker",
            "specification_hash": spec.content_hash,
            "hardware_hash": spec.hardware_hash,
            "simulator": "amaranth",
            "clock": 12_000_000,
            "baud": 3_000_000,
            "process": 0,
            "pins": str(pins),
        }
        with serial.Serial(content["port"], 3_000_000, timeout=SECONDS) as line:
            assert ask(line, Command.ECHO, bytes([1, END, 2])) == bytes([Status.OK, 1, END, 2])
            assert ask(line, Command.RESET, bytes([9])) == bytes([Status.OK])
            assert StatusBlock.unpack(ask(line, Command.STATUS)[1:]).tag == 9
            os.kill(content["process"], signal.SIGUSR1)
            # The button is pressed by another process: some byte may still arrive before.
            while StatusBlock.unpack(ask(line, Command.STATUS)[1:]).tag == 9:
                pass
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=SECONDS) == ("", "")
        assert process.returncode == 0
    assert pins.stat().st_size > 1000
    with pytest.raises(FileNotFoundError):
        os.stat(content["port"])


def test_text_says_what_to_type(model_file):
    with started(model_file) as process:
        lines = [process.stdout.readline() for _ in range(7)]
        process.terminate()
        assert process.communicate(timeout=SECONDS) == ("", "")
        assert process.returncode == 0
    facts = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in lines)
    assert facts["board"] == "virtual icebreaker, 12 MHz, 1,000,000 baud"
    assert facts["reset button"] == f"kill -USR1 {process.pid}"
    assert facts["try"] == f"crossramp run {model_file} AUDIO... --port {facts['port']}, in another terminal"


def test_refusals(run, model_file, tmp_path):
    assert is_refusal(run("virtual", "nothing"), "nothing")
    assert is_refusal(run("virtual", model_file, "--board", "nothing"), "'nothing'", "icebreaker")
    assert is_refusal(run("virtual", model_file, "--baud", "7000000"), "7000000 baud")
    assert is_refusal(run("virtual", model_file, "--pins", tmp_path / "no" / "x.vcd"), "x.vcd", "No such file")
    assert is_refusal(run("virtual", "array8x8", "--board", "ulx3s-85f-pins"), "ulx3s-85f-pins", "array on pins")
    assert is_refusal(run("virtual", tmp_path / "no.toml"), "no.toml", "cannot be read")
