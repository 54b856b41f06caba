# SPDX-License-Identifier: Apache-2.0
"""WAV files byte by byte, right ones and malformed ones."""

import struct

import numpy as np

GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, content: bytes, length: int | None = None, pad: bool = True) -> bytes:
    """A chunk that says ``length`` (None: what it holds), padded to an even number of bytes."""
    padding = b"\0" if pad and len(content) % 2 else b""
    return name + struct.pack("<I", len(content) if length is None else length) + content + padding


def form(tag: int = 1, channels: int = 1, rate: int = 16000, bits: int = 16, align: int | None = None) -> bytes:
    """The 16 bytes of a format chunk."""
    align = channels * ((bits + 7) // 8) if align is None else align
    return struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits)


def extensible(tag: int = 1, tail: bytes = GUID_TAIL, **fields) -> bytes:
    """The 40 bytes of a WAVE_FORMAT_EXTENSIBLE one."""
    return form(0xFFFE, **fields) + struct.pack("<HHI", 22, 16, 4) + struct.pack("<H", tag) + tail


def riff(*chunks: bytes, size: int | None = None, kind: bytes = b"WAVE", name: bytes = b"RIFF") -> bytes:
    """A file of chunks that says ``size`` (None: what it holds)."""
    content = kind + b"".join(chunks)
    return name + struct.pack("<I", (len(content) if size is None else size) & 0xFFFFFFFF) + content


def wav(samples, length: int | None = None, size: int | None = None, **fields) -> bytes:
    """A plain file of 16-bit samples."""
    data = np.asarray(samples, "<i2").tobytes()
    return riff(chunk(b"fmt ", form(**fields)), chunk(b"data", data, length), size=size)
