# SPDX-License-Identifier: Apache-2.0
"""Scalars in a file that TensorBoard reads, written without it.

A file of events is a TFRecord file: each record is its length as uint64, a masked CRC-32C of these 8 bytes, the data,
and a masked CRC-32C of them, all little-endian. The data is a protocol buffer ``Event``, of which this writes wall_time
(field 1, double), step (2, varint), file_version (3, in the first record alone) and summary (5): values of tag (1) and
simple_value (2, float).
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

__all__ = ["EventFile"]

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_table_entry(byte) for byte in range(256)]


class EventFile:
    """A new file of scalars in a folder, which is made where there is none; one run after another may use the folder.

    Raises
    ------
    OSError
        If folder or file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"events.out.tfevents.{time.time_ns() // 10**9}.crossramp.{os.getpid()}"
        self._write(_text(3, b"brain.Event:2"))

    def add(self, step: int, scalars: dict[str, float]) -> None:
        """Appends values, each under its tag, at ``step`` from 0; they are in the file when this returns."""
        values = b"".join(
            _text(1, _text(1, tag.encode()) + b"\x15" + struct.pack("<f", value)) for tag, value in scalars.items()
        )
        self._write(b"\x10" + _varint(step) + _text(5, values))

    def _write(self, event: bytes) -> None:
        data = b"\x09" + struct.pack("<d", time.time()) + event
        length = struct.pack("<Q", len(data))
        with open(self.path, "ab") as file:
            file.write(length + _masked_crc(length) + data + _masked_crc(data))


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(0x80 | (value & 0x7F))
        value >>= 7
    return bytes([*parts, value])


def _text(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(content)) + content


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    # Masked, as the format has it: a CRC over data that holds CRCs says little.
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
