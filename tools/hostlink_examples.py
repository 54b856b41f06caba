# SPDX-License-Identifier: Apache-2.0
"""The worked examples of docs/hostlink.md, from the golden board; ``python tools/hostlink_examples.py`` prints them."""

import numpy as np
from crossramp.golden.array.weights import Weights
from crossramp.golden.link.board_memory import Build, head_image, thresholds_image, weights_image
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import (
    Command,
    Frame,
    Space,
    encode,
    read_payload,
    step_payload,
    write_payload,
)
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification

SPEC = Specification(inputs=3, units=2, classes=2, adc_bits=3, input_bits=4, weight_bits=4, lanes=2, max_steps=9)
BUILD = Build("example", SPEC, 2, 12_000_000)


def network() -> Network:
    """Any weights will do; these are drawn from a fixed seed."""
    rng = np.random.default_rng(1)
    weights = rng.integers(-7, 8, (SPEC.rows, SPEC.columns))
    return Network(SPEC, Weights(weights, rng.integers(-99, 99, (2, 2)), rng.integers(-99, 99, 2)))


def requests() -> list[tuple[str, int, bytes]]:
    """What is asked, in words, and its command and payload; in order, for one depends on another."""
    floors = thresholds_image(BUILD)
    size = BUILD.word_bytes(Space.THRESHOLDS)
    x = np.array([[1, -2, 7], [0, 3, -7]])
    return [
        ("ECHO of two bytes that need an escape", Command.ECHO, b"\xc0\xdb"),
        ("READ IDENTITY, word 0, 2 words: its length", Command.READ + Space.IDENTITY, read_payload(0, 2)),
        ("READ IDENTITY, word 2, 14 words: its beginning", Command.READ + Space.IDENTITY, read_payload(2, 14)),
        ("WRITE WEIGHTS from word 0: all of them", Command.WRITE + Space.WEIGHTS, _all(Space.WEIGHTS)),
        ("READ WEIGHTS, word 5, 2 words", Command.READ + Space.WEIGHTS, read_payload(5, 2)),
        ("WRITE THRESHOLDS from word 0: all of them", Command.WRITE + Space.THRESHOLDS, _all(Space.THRESHOLDS)),
        ("READ THRESHOLDS, word 3, 1 word", Command.READ + Space.THRESHOLDS, read_payload(3, 1)),
        ("WRITE HEAD from word 0: all of it", Command.WRITE + Space.HEAD, _all(Space.HEAD)),
        ("WRITE SETTINGS: hold for 20 clocks, ticks of 1", Command.WRITE + Space.SETTINGS, _settings()),
        ("RESET, tag 7", Command.RESET, b"\x07"),
        ("STEP 0 of utterance 7: x = 1, -2, 7", Command.STEP, step_payload(7, 0, False, x[0])),
        ("the same once more, since its answer was lost", Command.STEP, step_payload(7, 0, False, x[0])),
        ("STEP 1, the last one: x = 0, 3, -7", Command.STEP, step_payload(7, 1, True, x[1])),
        ("STATUS", Command.STATUS, b""),
        ("READ LOGITS, word 0, 2 words", Command.READ + Space.LOGITS, read_payload(0, 2)),
        ("READ H, word 0, 1 word", Command.READ + Space.H, read_payload(0, 1)),
        ("STEP 2, after the last one: ORDER", Command.STEP, step_payload(7, 2, True, x[1])),
        (
            "WRITE THRESHOLDS, beyond the end: ADDRESS",
            Command.WRITE + Space.THRESHOLDS,
            write_payload(16, floors[:size]),
        ),
        ("command 0x7f: UNKNOWN", 0x7F, b""),
    ]


def _all(space: Space) -> bytes:
    images = {
        Space.WEIGHTS: weights_image(BUILD, network().weights.macro),
        Space.THRESHOLDS: thresholds_image(BUILD),
        Space.HEAD: head_image(BUILD, network().weights),
    }
    return write_payload(0, images[space])


def _settings() -> bytes:
    return write_payload(0, (20).to_bytes(2, "little") + (1).to_bytes(2, "little"))


def text() -> str:
    """The conversation: what is sent after ``>``, what comes back after ``<``, bytes in hexadecimal."""
    board = LinkModel(BUILD)
    lines, sequence = [], -1
    for words, command, payload in requests():
        sequence += not words.startswith("the same")
        request = encode(Frame(sequence, command, payload))
        lines += [f"# {words}", *_hex(">", request), *_hex("<", board.feed(request)), ""]
    return "\n".join(lines[:-1])


def _hex(mark: str, data: bytes) -> list[str]:
    parts = [data[k : k + 32] for k in range(0, len(data), 32)]
    return [f"{mark if k == 0 else ' '} {part.hex(' ')}" for k, part in enumerate(parts)]


if __name__ == "__main__":
    print(text())
