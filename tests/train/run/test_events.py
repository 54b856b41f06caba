# SPDX-License-Identifier: Apache-2.0
"""Logs for TensorBoard: read back by a decoder that shares nothing with the encoder."""

import struct

import pytest
from crossramp.cli.main import main
from crossramp.train.run.events import EventFile, _masked_crc

from tests.support.training import arguments


def crc32c(data: bytes) -> int:
    """By polynomial division, bit by bit, most significant bit first: none of the encoder's table."""
    bits = "".join(f"{byte:08b}"[::-1] for byte in data) + "0" * 32
    rest = int(bits, 2) ^ (0xFFFFFFFF << (len(bits) - 32))
    for place in range(len(bits) - 1, 31, -1):
        if rest >> place & 1:
            rest ^= 0x11EDC6F41 << (place - 32)
    return int(f"{rest ^ 0xFFFFFFFF:032b}"[::-1], 2)


def fields(data: bytes):
    """(number, value) of a protocol buffer's fields."""

    def varint():
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while data:
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4, 2: None}[key & 7]
        size = varint() if size is None else size
        yield key >> 3, data[:size]
        data = data[size:]


def events(path):
    content = path.read_bytes()
    while content:
        (size,) = struct.unpack_from("<Q", content)
        parts = [content[:8], content[12 : 12 + size]]
        sums = [struct.unpack_from("<I", content, 8)[0], struct.unpack_from("<I", content, 12 + size)[0]]
        for part, masked in zip(parts, sums, strict=True):
            turned = (masked - 0xA282EAD8) & 0xFFFFFFFF
            assert (turned >> 17 | turned << 15) & 0xFFFFFFFF == crc32c(part)
        yield dict(fields(parts[1]))
        content = content[16 + size :]


def scalars(path):
    found = {}
    for event in list(events(path))[1:]:
        for _, value in fields(event[5]):
            content = dict(fields(value))
            found.setdefault(content[1].decode(), {})[event[2]] = struct.unpack("<f", content[2])[0]
    return found


def test_checksum_of_the_standard():
    """RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 0x8A9136AA."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    masked = struct.unpack("<I", _masked_crc(bytes(32)))[0]
    assert masked == ((0x8A9136AA >> 15 | 0x8A9136AA << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_scalars_come_back(tmp_path):
    file = EventFile(tmp_path / "a" / "log")
    given = {"float/loss": [0.5, 1e-30, float("inf")], "x" * 300: [-1.0, 0.0, 3.25]}
    steps = [1, 127, 100_000]
    for number, step in enumerate(steps):
        file.add(step, {tag: values[number] for tag, values in given.items()})
    assert next(events(file.path))[3] == b"brain.Event:2"
    found = scalars(file.path)
    assert {tag: list(values) for tag, values in found.items()} == dict.fromkeys(given, steps)
    for tag, values in given.items():
        assert list(found[tag].values()) == pytest.approx(values, rel=1e-7)


def test_a_damaged_file_is_told(tmp_path):
    file = EventFile(tmp_path)
    content = bytearray(file.path.read_bytes())
    content[14] ^= 1
    file.path.write_bytes(content)
    with pytest.raises(AssertionError):
        list(events(file.path))


def test_training_logs_every_epoch(data, tmp_path, capsys):
    log = tmp_path / "log"
    assert main(arguments(data, tmp_path / "m.npz", "--log", str(log))) == 0
    (path,) = log.iterdir()
    found = scalars(path)
    names = ("loss", "learning_rate", "validation_loss", "validation_accuracy")
    assert list(found) == [f"{phase}/{name}" for phase in ("float", "quantized") for name in names]
    assert {tag: list(values) for tag, values in found.items()} == {
        tag: [1, 2, 3, 4] if tag.startswith("float") else [1, 2, 3] for tag in found
    }
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("float epoch")]
    assert all(f"loss {value:.4f}" in line for value, line in zip(found["float/loss"].values(), lines, strict=True))


def test_a_folder_that_cannot_be_made_is_one_line(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(arguments(data, tmp_path / "m.npz", "--log", str(tmp_path / "file" / "log"))) == 2
    assert capsys.readouterr().err.count("\n") == 1
