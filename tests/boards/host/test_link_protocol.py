# SPDX-License-Identifier: Apache-2.0
"""Frames: whatever is sent is found again, in whatever surrounds it, and nothing else is."""

import struct
import zlib

import pytest
from crossramp.golden.link.link_protocol import (
    END,
    ESC,
    ESC_END,
    ESC_ESC,
    OVERHEAD,
    Decoder,
    Fault,
    Frame,
    StatusBlock,
    encode,
    step_payload,
)
from hypothesis import given
from hypothesis import strategies as st

#: Payloads with more END and ESC in them than chance would bring.
payloads = st.lists(st.sampled_from([END, ESC, ESC_END, ESC_ESC]) | st.integers(0, 255), max_size=40).map(bytes)
frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), payloads)
noise = st.lists(st.sampled_from([END, ESC, ESC_END]) | st.integers(0, 255), max_size=30).map(bytes)


def body_of(frame: Frame) -> bytes:
    """Written out once more, apart from the code under test."""
    body = bytes([frame.sequence, frame.command, len(frame.payload) & 0xFF, len(frame.payload) >> 8]) + frame.payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def on_the_line(body: bytes) -> bytes:
    escapes = {END: bytes([ESC, ESC_END]), ESC: bytes([ESC, ESC_ESC])}
    return bytes([END]) + b"".join(escapes.get(byte, bytes([byte])) for byte in body) + bytes([END])


@given(st.lists(frames, max_size=4))
def test_frames_come_back_in_order(sent):
    decoder = Decoder()
    assert decoder.feed(b"".join(map(encode, sent))) == sent
    assert (decoder.faults, decoder.dropped) == (Fault(0), 0)


@given(frames)
def test_encoding_is_slip_of_header_payload_and_crc(frame):
    assert encode(frame) == on_the_line(body_of(frame))
    assert END not in encode(frame)[1:-1]


@given(frames, st.data())
def test_pieces_make_no_difference(frame, data):
    line = encode(frame)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(line)), max_size=6)))
    decoder, found = Decoder(), []
    for begin, end in zip([0, *cuts], [*cuts, len(line)], strict=True):
        found += decoder.feed(line[begin:end])
    assert found == [frame]


@given(st.lists(st.tuples(noise, frames), max_size=4), noise)
def test_noise_between_frames_hides_none(pairs, after):
    decoder = Decoder()
    found = decoder.feed(b"".join(before + encode(frame) for before, frame in pairs) + after)
    # Each frame's first END ends whatever noise came before it. That noise is a frame itself has a chance of 2**-32.
    assert found == [frame for _, frame in pairs]


@given(noise)
def test_noise_alone_is_no_frame_and_is_counted(line):
    decoder = Decoder()
    assert decoder.feed(line + bytes([END])) == []
    pieces = [piece for piece in (line + bytes([END])).split(bytes([END])) if piece]
    assert decoder.dropped == len(pieces)
    assert bool(decoder.faults) == bool(pieces)


@given(frames, st.data())
def test_one_changed_byte_loses_the_frame_and_no_other(frame, data):
    line = bytearray(encode(frame))
    at = data.draw(st.integers(1, len(line) - 2))
    line[at] ^= data.draw(st.integers(1, 255))
    decoder = Decoder()
    following = Frame(7, 1, b"following")
    found = decoder.feed(bytes(line) + encode(following))
    # Had the change made an END of a byte, two pieces are lost.
    assert found == [following]
    assert decoder.dropped in (1, 2)
    assert decoder.faults & (Fault.CHECK | Fault.ESCAPE)


@given(frames, st.data())
def test_a_cut_frame_is_lost_and_no_other(frame, data):
    # Of the END behind it nothing depends: the next frame brings one.
    left = data.draw(st.integers(1, len(encode(frame)) - 1))
    following, decoder = Frame(7, 1, b"following"), Decoder()
    whole = left == len(encode(frame)) - 1
    assert decoder.feed(encode(frame)[:left] + encode(following)) == ([frame] if whole else []) + [following]
    assert decoder.dropped == (left > 1 and not whole)


@given(frames, st.integers(0, 40))
def test_longer_payloads_than_the_buffer_are_dropped(frame, longest):
    decoder = Decoder(longest)
    fits = len(frame.payload) <= longest
    assert decoder.feed(encode(frame)) == ([frame] if fits else [])
    assert decoder.faults == (Fault(0) if fits else Fault.SIZE)
    assert decoder.dropped == (not fits)


@given(frames, st.integers(-9, 9).filter(bool))
def test_a_length_that_is_not_the_frame_s(frame, error):
    body = bytearray(body_of(frame)[:-4])
    struct.pack_into("<H", body, 2, (len(frame.payload) + error) & 0xFFFF)
    decoder = Decoder()
    assert decoder.feed(on_the_line(bytes(body) + zlib.crc32(body).to_bytes(4, "little"))) == []
    assert decoder.faults == Fault.CHECK


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (bytes([ESC, 1]), Fault.ESCAPE),
        (bytes([ESC]), Fault.ESCAPE),
        (bytes(OVERHEAD - 1), Fault.CHECK),
        (bytes(OVERHEAD), Fault.CHECK),
    ],
)
def test_what_is_no_frame(body, fault):
    decoder = Decoder()
    assert decoder.feed(bytes([END]) + body + bytes([END])) == []
    assert (decoder.faults, decoder.dropped) == (fault, 1)


def test_dropped_frames_are_counted_up_to_255():
    decoder = Decoder()
    decoder.feed(bytes([END, 1]) * 300)
    assert decoder.dropped == 255


def test_ends_alone_are_nothing():
    decoder = Decoder()
    assert decoder.feed(bytes([END]) * 9) == []
    assert (decoder.faults, decoder.dropped) == (Fault(0), 0)


@given(
    st.tuples(*[st.booleans()] * 4),
    st.integers(0, 255),
    *[st.integers(0, 2**32 - 1)] * 2,
    st.integers(0, 2**16 - 1),
    *[st.integers(0, 2**32 - 1)] * 2,
    st.integers(0, 31),
    st.integers(0, 255),
)
def test_status_blocks_come_back(flags, tag, accepted, done, answer, clocks, waiting, faults, dropped):
    block = StatusBlock(*flags, tag, accepted, done, answer, clocks, waiting, Fault(faults), dropped)
    data = block.pack()
    assert len(data) == StatusBlock.SIZE == 22
    assert StatusBlock.unpack(data) == block
    assert data[0] == sum(flag << bit for bit, flag in enumerate(flags))
    assert data[2:6] == accepted.to_bytes(4, "little")
    with pytest.raises(ValueError, match="a status block of 23 bytes; expected 22"):
        StatusBlock.unpack(data + b"\0")


def test_a_step_s_payload():
    assert step_payload(9, 258, True, [-1, 15, -15]) == bytes([9, 2, 1, 0, 0, 1, 0xFF, 15, 0xF1])
