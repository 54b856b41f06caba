# SPDX-License-Identifier: Apache-2.0
"""Reading of WAV files: mono 16-bit PCM at the rate that the features expect.

The chunks are read here instead of by Python's ``wave``,
which accepts WAVE_FORMAT_EXTENSIBLE only from Python 3.12 on and raises various exceptions for damaged files.
The layout is that of Microsoft's *Multiple channel audio data and WAVE files* (2007)
and of the RIFF specification (1991). docs/recordings.md states the rules.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..common.errors import InvalidValue
from ..common.wording import printable, shell_word

__all__ = ["conversion", "read_wav"]

#: Lengths from here on stand for an unknown one: 0xFFFFFFFF of ffmpeg, 0x80000000 of arecord, 0x7FFFF000 of sox.
_STREAMED = 0x7FFF0000

_MOST_CHUNKS = 1000  # in front of the samples
_PCM, _EXTENSIBLE = 0x0001, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of KSDATAFORMAT_SUBTYPE_*, behind the format's number
_KNOWN_CHUNKS = {
    *(b"fmt ", b"data", b"LIST", b"fact", b"bext", b"JUNK", b"junk", b"PAD ", b"cue ", b"smpl", b"inst", b"PEAK"),
    *(b"id3 ", b"ID3 ", b"iXML", b"axml", b"chna", b"DISP", b"plst", b"note", b"labl", b"acid", b"afsp", b"LGWV"),
}

_FORMATS = {
    0x0002: "Microsoft ADPCM",
    0x0003: "floating-point samples",
    0x0006: "A-law samples",
    0x0007: "µ-law samples",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0050: "MPEG audio",
    0x0055: "MP3",
    0x00FF: "AAC",
    0x2000: "AC-3",
}

# First bytes of what is sometimes named .wav: what it is, and sox's name of the format or the way out in words.
_FOREIGN = (
    (b"RIFX", "a big-endian WAV file, RIFX", "-t wav"),
    (b"RF64", "an RF64 file", "-t sndfile"),
    (b"BW64", "a BW64 file", "-t sndfile"),
    (b"riff\x2e\x91\xcf\x11", "a Wave64 file", "-t w64"),
    (b"FORM", "an AIFF file", "-t aiff"),
    (b"fLaC", "a FLAC file", "-t flac"),
    (b"OggS", "an Ogg file", "-t ogg"),
    (b"ID3", "an MP3 file", "-t mp3"),
    (b"\xff\xfb", "an MP3 file", "-t mp3"),
    (b"\xff\xf3", "an MP3 file", "-t mp3"),
    (b"\xff\xf2", "an MP3 file", "-t mp3"),
    (b".snd", "an AU file", "-t au"),
    (b"caff", "a CAF file", "-t caf"),
    (b"NIST_1A", "a NIST SPHERE file", "-t sph"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file", "ffmpeg"),
    (b"\x93NUMPY", "a NumPy array", "give it with --features"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file: git lfs pull"),
    (b"\x00\x05\x16\x07", "a side file of macOS", "remove it"),
    (b"<", "a text, such as a web page", "download the recording again"),
)


class _Damaged(ValueError):
    """What is wrong with the bytes of a file, without its name."""


class _Foreign(ValueError):
    """The format of the samples, which sox can convert."""


@dataclass(frozen=True)
class _Layout:
    """What the header says: channels, bits a sample, frames a second, and where the samples are, in bytes."""

    channels: int
    bits: int
    rate: int
    start: int
    length: int
    unfinished: str = ""  # how the length was found where the header does not say it


def conversion(path: str | os.PathLike[str], sample_rate: int, options: str = "") -> str:
    """What to type so that a recording becomes one that :func:`read_wav` takes; ``options`` go in front of its name."""
    word = shell_word(path)
    if options == "ffmpeg":
        return f"convert it, for example: ffmpeg -i {word} -ar {sample_rate} -ac 1 -c:a pcm_s16le out.wav"
    before = f"{options} " if options else ""
    return f"convert it, for example: sox {before}{word} -r {sample_rate} -c 1 -b 16 -e signed-integer out.wav"


def read_wav(
    path: str | os.PathLike[str], sample_rate: int, note: Callable[[str], None] | None = None
) -> NDArray[np.int16]:
    """The samples of a WAV file.

    Only the length of the data chunk counts, and the length that the file's first bytes give counts for nothing, since
    many programs leave it wrong. Where a stream or an unfinished recording has no length, the samples reach to the end
    of the file.

    Parameters
    ----------
    path : str or path
        A RIFF WAVE file of uncompressed PCM, WAVE_FORMAT_EXTENSIBLE included.
    sample_rate : int
        The rate that the file must have, in Hz; nothing is resampled.
    note : callable or None
        Told, in one line, if the header gives no length of the samples.

    Returns
    -------
    int16 array, shape (samples,), full scale 32768

    Raises
    ------
    InvalidValue
        If the file is not such a WAV file: one line that quotes the path and the value and says what to do.
    OSError
        If the file cannot be opened or read.
    """
    name = printable(os.fspath(path))
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # to open a pipe may take forever
        raise InvalidValue(f"{name}: is a pipe or a device; write the recording into a file first")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            _check_kind(file, size, path, sample_rate)
            layout = _read_layout(file, size, path)
        except _Foreign as error:
            raise InvalidValue(f"{name}: not a PCM WAV file ({error}); {conversion(path, sample_rate)}") from None
        except _Damaged as error:
            raise InvalidValue(f"{name}: not a PCM WAV file ({error}); copy or record it again") from None
        _check_layout(layout, name, conversion(path, sample_rate), sample_rate)
        file.seek(layout.start)
        samples = np.fromfile(file, "<i2", layout.length // 2).astype(np.int16)
    if layout.unfinished and note is not None:
        note(f"{name}: {layout.unfinished}; {len(samples)} samples were read, to the end of the file")
    return samples


def _check_kind(file: BinaryIO, size: int, path: str | os.PathLike[str], sample_rate: int) -> None:
    """InvalidValue if the file is not a RIFF WAVE file."""
    name, head = printable(os.fspath(path)), file.read(32)
    if size == 0:
        raise InvalidValue(f"{name}: not a PCM WAV file (the file is empty); copy or record it again")
    if head[:4] == b"RIFF":
        if len(head) < 12:
            raise _Damaged("the file ends within its header")
        if head[8:12] != b"WAVE":
            raise _Foreign(f"a RIFF file of the kind {printable(head[8:12].decode('latin-1'))!r}")
        return
    found = [(what, how) for first, what, how in _FOREIGN if head.startswith(first)]
    if head[4:8] == b"ftyp":
        found.append(("an MP4 file", "ffmpeg"))
    what, how = found[0] if found else ("it does not begin with RIFF", "")
    way_out = conversion(path, sample_rate, how) if how == "" or how[0] == "-" or how == "ffmpeg" else how
    raise InvalidValue(f"{name}: not a PCM WAV file ({what}); {way_out}")


def _read_layout(file: BinaryIO, size: int, path: str | os.PathLike[str]) -> _Layout:
    """Follows the chunks up to the samples; _Damaged if there is nothing to follow."""
    file.seek(4)
    riff_end = 8 + int.from_bytes(file.read(4), "little")
    form, position = None, 12
    for _ in range(_MOST_CHUNKS):
        kind, length = _chunk(file, position)
        start = position + 8
        if kind == b"data":
            if form is None:
                raise _Damaged("samples come before the chunk that says their format")
            return _Layout(*form, start, *_length(file, size, path, start, length, riff_end))
        if length > size - start:
            raise _Damaged(f"its chunk {kind.decode()!r} says {length} bytes, the file holds {size - start} more")
        if kind == b"fmt " and form is None:
            file.seek(start)
            form = _format(file.read(min(length, 40)))
        position = _next_chunk(file, start + length, length)
    raise _Damaged(f"more than {_MOST_CHUNKS} chunks and no samples")


def _chunk(file: BinaryIO, position: int) -> tuple[bytes, int]:
    """Name and length of the chunk at a position; raises _Damaged if there is no chunk."""
    file.seek(position)
    head = file.read(8)
    if len(head) < 8:
        raise _Damaged("the file ends within its header, before any samples")
    if not all(0x20 <= byte < 0x7F for byte in head[:4]):
        raise _Damaged(f"no chunk begins at byte {position}")
    return head[:4], int.from_bytes(head[4:], "little")


def _next_chunk(file: BinaryIO, end: int, length: int) -> int:
    """Where the chunk after one that ends at ``end`` begins: odd ones are padded, but some programs forget to."""
    if length % 2 == 0:
        return end
    file.seek(end)
    head = file.read(5)
    unpadded = head[:4] in _KNOWN_CHUNKS and head[1:5] not in _KNOWN_CHUNKS
    return end if unpadded else end + 1


def _format(chunk: bytes) -> tuple[int, int, int]:
    """Channels, bits and rate of a format chunk; _Foreign unless it says PCM, _Damaged if it contradicts itself."""
    if len(chunk) < 16:
        raise _Damaged(f"its format chunk has {len(chunk)} bytes, must have 16 or more")
    tag, channels, rate, _, align, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE:
        if len(chunk) < 40:
            raise _Damaged(f"its extensible format chunk has {len(chunk)} bytes, must have 40")
        tag = int.from_bytes(chunk[24:26], "little")
        if chunk[26:40] != _GUID_TAIL:
            raise _Foreign(f"its samples have the format {chunk[24:40].hex()}")
    if tag != _PCM:
        raise _Foreign(f"it holds {_FORMATS.get(tag, f'samples of the format 0x{tag:04x}')}")
    if 0 in (channels, rate, bits):
        raise _Damaged(f"its header says {channels} channels, {rate} Hz and {bits} bits per sample")
    if align != channels * -(-bits // 8):
        raise _Damaged(f"its header says {channels} channels of {bits} bits in {align} bytes")
    return channels, bits, rate


def _length(file: BinaryIO, size: int, path, start: int, length: int, riff_end: int) -> tuple[int, str]:
    """Bytes of samples, and how they were found if not from the data chunk alone; InvalidValue if they are missing."""
    name, left = printable(os.fspath(path)), size - start
    if length > left and length >= _STREAMED:
        return left, f"was streamed: its header says 0x{length:08x} bytes of samples"
    if length > left:
        raise InvalidValue(f"{name}: holds {left} bytes of samples, its header says {length}; copy or record it again")
    if length > 0 or left == 0 or _chunks_to_the_end(file, start, size):
        return length, ""
    if riff_end <= start or riff_end >= _STREAMED:  # as the recorder began it
        return left, "was not finished: its header says 0 bytes of samples"
    raise InvalidValue(
        f"{name}: its header says 0 bytes of samples, but {left} bytes follow; "
        f"repair it, for example: sox --ignore-length {shell_word(path)} out.wav"
    )


def _chunks_to_the_end(file: BinaryIO, position: int, size: int) -> bool:
    """Whether the bytes from a position on are chunks that end where the file does."""
    try:
        for _ in range(_MOST_CHUNKS):
            _, length = _chunk(file, position)
            position += 8 + length
            if position in (size, size - length % 2):
                return True
            position = _next_chunk(file, position, length)
    except _Damaged:
        return False
    return False


def _check_layout(layout: _Layout, name: str, convert: str, sample_rate: int) -> None:
    if layout.channels != 1:
        raise InvalidValue(f"{name}: has {layout.channels} channels, must be mono; {convert}")
    if -(-layout.bits // 8) != 2:
        raise InvalidValue(f"{name}: has {layout.bits} bits per sample, must be 16; {convert}")
    if layout.rate != sample_rate:
        raise InvalidValue(f"{name}: has a sample rate of {layout.rate} Hz, must be {sample_rate} Hz; {convert}")
