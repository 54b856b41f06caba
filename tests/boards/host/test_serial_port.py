# SPDX-License-Identifier: Apache-2.0
"""Serial ports that cannot be opened: what is wrong with each, and what to do, in one line."""

import builtins
import errno
import os
import re
import sys

import pytest
import serial
from crossramp.boards.host import serial_port as ports_of
from crossramp.boards.host.serial_port import PortError, open_port
from crossramp.golden.common.installation import how_to_install

from tests.support.serial_line import Line


class Nobody:
    def feed(self, data):
        return b""


def refusal(name, *arguments) -> str:
    with pytest.raises(PortError) as caught:
        open_port(str(name), *arguments)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{name}: ")
    return text


def test_a_port_is_this_process_s_alone():
    with Line(Nobody()) as line:
        os.write(line._master, b"from before")
        with open_port(line.port, 115_200) as first:
            assert (first.baudrate, first.bytesize, first.parity, first.stopbits) == (115_200, 8, "N", 1)
            assert first.read(1) == b""
            assert refusal(line.port) == f"{line.port}: in use by another program; close that first"
        open_port(line.port).close()


def test_ports_that_are_none(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(ports_of, "ports", lambda: ["/dev/ttyUSB0 (Two UARTs)", "/dev/ttyUSB1"])
    there = "there are /dev/ttyUSB0 (Two UARTs), /dev/ttyUSB1"
    assert refusal(tmp_path / "missing") == f"{tmp_path / 'missing'}: no such port; {there}"
    assert refusal(tmp_path / "file") == f"{tmp_path / 'file'}: no serial port; {there}"
    assert refusal(tmp_path) == f"{tmp_path}: no serial port; {there}"
    monkeypatch.setattr(ports_of, "ports", lambda: [])
    assert refusal(tmp_path / "missing").endswith("no such port; there is none; is the board connected?")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (serial.SerialException(errno.EBUSY, "could not open port"), "in use by another program"),
        (serial.SerialException("could not open port 'COM3': PermissionError(13, ...)"), "in use by another program"),
        (serial.SerialException("could not open port 'COM3': FileNotFoundError(2, ...)"), "no such port"),
        (
            serial.SerialException(errno.EACCES, "could not open port"),
            "no permission to open it; it belongs to the group",
        ),
        (serial.SerialException(errno.EIO, "could not open port"), "cannot be opened"),
        (ValueError("Invalid baud rate: 3"), "3 baud cannot be set"),
    ],
)
def test_what_systems_say(error, words, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise error

    (tmp_path / "port").write_text("")
    monkeypatch.setattr(serial, "Serial", refuse)
    assert words in refusal(tmp_path / "port", 3)


def test_without_pyserial(monkeypatch):
    original = builtins.__import__

    def missing(name, *arguments, **options):
        if name == "serial":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "serial")
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(PortError, match=re.escape(how_to_install("board"))):
        open_port("/dev/ttyUSB0")


def test_ports_are_told_with_what_they_are(monkeypatch):
    from serial.tools import list_ports
    from serial.tools.list_ports_common import ListPortInfo

    found = [ListPortInfo(name) for name in ("/dev/ttyS0", "/dev/ttyUSB1", "/dev/ttyUSB0")]
    found[2].vid, found[2].description = 0x0403, "Dual RS232-HS"
    found[1].vid = 0x0403
    monkeypatch.setattr(list_ports, "comports", lambda: found)
    assert ports_of.ports() == ["/dev/ttyUSB0 (Dual RS232-HS)", "/dev/ttyUSB1", "/dev/ttyS0"]
