# SPDX-License-Identifier: Apache-2.0
"""Reading of WAV files: what is right comes back exactly, what is wrong is named, and nothing else happens."""

import os
import wave

import numpy as np
import pytest
from crossramp.golden.inputs.audio import read_wav

from tests.support.wav_files import chunk, extensible, form, riff, wav

SAMPLES = np.array([0, 1, -1, 32767, -32768, 258], np.int16)
DATA = SAMPLES.tobytes()
FORM = chunk(b"fmt ", form())
STREAM, UNFINISHED = "was streamed: its header says 0x", "was not finished: its header says 0 bytes"


def write(path, samples, rate=16000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, f"<i{width}" if width > 1 else "u1").tobytes())
    return path


def test_samples_come_back(tmp_path):
    found = read_wav(write(tmp_path / "a.wav", SAMPLES), 16000)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, SAMPLES)
    found[0] = 7  # the caller's own, writable


def test_empty_recording(tmp_path):
    assert read_wav(write(tmp_path / "a.wav", []), 16000).shape == (0,)


# What the samples are whatever the rest of the file says: (content, what is noted).
GOOD = {
    "RIFF size 0": (wav(SAMPLES, size=0), None),
    "RIFF size too small": (wav(SAMPLES, size=36), None),
    "RIFF size too large": (wav(SAMPLES, size=1 << 30), None),
    "RIFF size streamed": (wav(SAMPLES, size=0xFFFFFFFF), None),
    "extensible": (riff(chunk(b"fmt ", extensible()), chunk(b"data", DATA)), None),
    "format of 18 bytes": (riff(chunk(b"fmt ", form() + b"\0\0"), chunk(b"data", DATA)), None),
    "chunks before": (riff(chunk(b"LIST", b"INFO"), FORM, chunk(b"fact", b"1234"), chunk(b"data", DATA)), None),
    "chunks behind": (riff(FORM, chunk(b"data", DATA), chunk(b"LIST", b"INFOICMT")), None),
    "a chunk behind that is cut": (riff(FORM, chunk(b"data", DATA), chunk(b"LIST", b"INFO", 999)), None),
    "odd and padded": (riff(chunk(b"LIST", b"odd"), FORM, chunk(b"data", DATA)), None),
    "odd and unpadded": (riff(chunk(b"LIST", b"odd", pad=False), FORM, chunk(b"data", DATA)), None),
    "odd, of an unknown name": (riff(chunk(b"xyzw", b"odd"), FORM, chunk(b"data", DATA)), None),
    "odd and unpadded, twice": (
        riff(FORM, chunk(b"bext", b"odds!", pad=False), chunk(b"JUNK", b"o", pad=False), chunk(b"data", DATA)),
        None,
    ),
    "half a sample more": (riff(FORM, chunk(b"data", DATA + b"x")), None),
    "streamed by ffmpeg": (wav(SAMPLES, 0xFFFFFFFF, 0xFFFFFFFF), STREAM + "ffffffff"),
    "streamed by sox": (wav(SAMPLES, 0x7FFFF000, 0x7FFFF024), STREAM + "7ffff000"),
    "streamed by arecord": (wav(SAMPLES, 0x80000000, 0x80000024), STREAM + "80000000"),
    "streamed, cut within a sample": (wav(SAMPLES, 0xFFFFFFFF) + b"x", STREAM),
    "unfinished": (wav(SAMPLES, 0, 36), UNFINISHED),
    "unfinished, RIFF size 0": (wav(SAMPLES, 0, 0), UNFINISHED),
    "unfinished, RIFF size streamed": (wav(SAMPLES, 0, 0xFFFFFFFF), UNFINISHED),
}


@pytest.mark.parametrize(("content", "noted"), GOOD.values(), ids=GOOD)
def test_headers_that_programs_write(tmp_path, content, noted):
    (tmp_path / "a.wav").write_bytes(content)
    notes = []
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav", 16000, notes.append), SAMPLES)
    if noted is None:
        assert notes == []
    else:
        (note,) = notes
        assert note.startswith(f"{tmp_path / 'a.wav'}: {noted}")
        assert note.endswith("6 samples were read, to the end of the file")


def test_empty_with_a_chunk_behind_it_is_empty(tmp_path):
    """Metadata is not taken for samples, whatever the file's first bytes say."""
    for size in (None, 36):
        content = riff(FORM, chunk(b"data", b""), chunk(b"LIST", b"INFOICMT"), size=size)
        (tmp_path / "a.wav").write_bytes(content)
        assert read_wav(tmp_path / "a.wav", 16000).shape == (0,)


BAD = {
    "rate": (wav(SAMPLES, rate=8000), "has a sample rate of 8000 Hz, must be 16000 Hz; convert it"),
    "channels": (wav(SAMPLES, channels=2), "has 2 channels, must be mono; convert it"),
    "8 bits": (wav(SAMPLES, bits=8), "has 8 bits per sample, must be 16; convert it"),
    "32 bits": (wav(SAMPLES, bits=32), "has 32 bits per sample, must be 16; convert it"),
    "float": (wav(SAMPLES, tag=3, bits=32), "not a PCM WAV file (it holds floating-point samples); convert it"),
    "µ-law": (wav(SAMPLES, tag=7, bits=8), "not a PCM WAV file (it holds µ-law samples); convert it"),
    "unknown": (wav(SAMPLES, tag=0x1234), "(it holds samples of the format 0x1234)"),
    "extensible float": (
        riff(chunk(b"fmt ", extensible(3, bits=32)), chunk(b"data", DATA)),
        "(it holds floating-point samples)",
    ),
    "another GUID": (riff(chunk(b"fmt ", extensible(tail=bytes(14))), chunk(b"data", DATA)), "have the format 0100"),
    "extensible, cut": (riff(chunk(b"fmt ", extensible()[:18]), chunk(b"data", DATA)), "has 18 bytes, must have 40"),
    "format cut": (riff(chunk(b"fmt ", form()[:14]), chunk(b"data", DATA)), "16 or more); copy or record it again"),
    "no channel": (wav(SAMPLES, channels=0), "its header says 0 channels"),
    "no rate": (wav(SAMPLES, rate=0), "1 channels, 0 Hz"),
    "no bits": (wav(SAMPLES, bits=0), "and 0 bits"),
    "16 bits in 4 bytes": (wav(SAMPLES, align=4), "1 channels of 16 bits in 4 bytes"),
    "cut": (wav(SAMPLES)[:-5], "holds 7 bytes of samples, its header says 12; copy or record it again"),
    "data before format": (riff(chunk(b"data", DATA), FORM), "samples come before the chunk"),
    "no data": (riff(FORM), "the file ends within its header"),
    "a chunk beyond the file": (
        riff(chunk(b"LIST", b"INFO", 99), FORM),
        "its chunk 'LIST' says 99 bytes, the file holds",
    ),
    "zeros": (riff(FORM, bytes(1000)), "no chunk begins at byte 36"),
    "no end of chunks": (riff(FORM, chunk(b"JUNK", b"") * 2000), "more than 1000 chunks and no samples"),
    "0 bytes in a finished file": (
        wav(SAMPLES, 0),
        "0 bytes of samples, but 12 bytes follow; repair it, for example: sox",
    ),
    "empty": (b"", "not a PCM WAV file (the file is empty)"),
    "text": (b"hello", "not a PCM WAV file (it does not begin with RIFF); convert it"),
    "4 bytes": (b"RIFF", "not a PCM WAV file (the file ends within its header)"),
    "header alone": (b"RIFF\x10\0\0\0WAVE", "not a PCM WAV file (the file ends within its header"),
    "AVI": (riff(FORM, kind=b"AVI "), "a RIFF file of the kind 'AVI '"),
    "RIFX": (riff(FORM, name=b"RIFX"), "sox -t wav "),
    "RF64": (riff(FORM, name=b"RF64"), "an RF64 file); convert it, for example: sox -t sndfile "),
    "Wave64": (b"riff\x2e\x91\xcf\x11" + bytes(80), "sox -t w64 "),
    "AIFF": (b"FORM\0\0\0\x20AIFFCOMM", "sox -t aiff "),
    "FLAC": (b"fLaC\0\0\0\x22", "sox -t flac "),
    "MP3": (b"ID3 not a wav file", "sox -t mp3 "),
    "MP3 without a tag": (b"\xff\xfb\x90\x64" + bytes(400), "sox -t mp3 "),
    "Ogg": (b"OggS\0\2", "sox -t ogg "),
    "AU": (b".snd\0\0\0\x18", "sox -t au "),
    "MP4": (b"\0\0\0\x20ftypM4A ", "ffmpeg -i "),
    "NumPy": (b"\x93NUMPY\1\0", "a NumPy array); give it with --features"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "web page": (b"<!DOCTYPE html>", "download the recording again"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_what_will_not_do_is_named(tmp_path, content, message):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^(?!.*\n)") as caught:
        read_wav(path, 16000)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a b.wav", "'a b.wav'"),
        ("-n.wav", "./-n.wav"),
        ("$(reboot).wav", "'$(reboot).wav'"),
        ("it's.wav", "'it'\"'\"'s.wav'"),
        ("a\nb.wav", r"$'a\x0ab.wav'"),
        (os.fsdecode(b"caf\xe9.wav"), r"$'caf\xe9.wav'"),
    ],
)
def test_suggested_commands_can_be_pasted(tmp_path, monkeypatch, name, word):
    monkeypatch.chdir(tmp_path)
    with open(name, "wb") as file:
        file.write(wav(SAMPLES, rate=8000))
    with pytest.raises(ValueError, match="8000 Hz") as caught:
        read_wav(name, 16000)
    assert f"sox {word} -r 16000 -c 1 -b 16 -e signed-integer out.wav" in str(caught.value)
    assert str(caught.value).isprintable()


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="is a pipe or a device; write the recording into a file"):
        read_wav(tmp_path / "a.wav", 16000)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav", 16000)


# Every kind of header, with chunks in front of and behind the samples.
_SEEDS = [content for content, _ in GOOD.values()] * 2 + [content for content, _ in BAD.values() if len(content) < 1000]


def damaged(rng: np.random.Generator) -> bytes:
    """One of the files above with some bytes of its header replaced, taken out or put in, or its end cut off."""
    content = bytearray(_SEEDS[rng.integers(len(_SEEDS))])
    for _ in range(rng.integers(1, 3)):
        at = int(rng.integers(0, min(len(content), 64) + 1))
        kind = rng.choice([0, 0, 0, 1, 1, 1, 2, 3, 4])
        if kind == 0 and at < len(content):
            content[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))])
        elif kind == 1 and at < len(content):
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del content[at : at + int(rng.integers(1, 9))]
        elif kind == 3:
            content[at:at] = rng.bytes(int(rng.integers(1, 9)))
        else:
            del content[at:]
    return bytes(content)


def test_damaged_headers_give_samples_or_one_line(tmp_path, seed, monkeypatch):
    """No other exception, and never more samples than the file has bytes for."""
    taken = []
    original = np.fromfile
    monkeypatch.setattr(np, "fromfile", lambda file, dtype, count: taken.append(count) or original(file, dtype, count))
    rng, path = np.random.default_rng(seed), tmp_path / "a.wav"
    read = refused = 0
    for _ in range(500):
        content = damaged(rng)
        path.write_bytes(content)
        samples, message = None, ""
        try:
            samples = read_wav(path, 16000)
        except ValueError as error:
            message = str(error)
        if samples is None:
            assert message.startswith(f"{path}: ")
            assert message.isprintable()
            refused += 1
        else:
            assert samples.dtype == np.int16
            assert samples.nbytes <= len(content)
            assert 0 <= taken.pop() <= len(content) // 2
            read += 1
        assert taken == []
    assert read > 50
    assert refused > 200
