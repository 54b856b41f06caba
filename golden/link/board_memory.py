# SPDX-License-Identifier: Apache-2.0
"""What a board's memories hold: the spaces of the host link, word by word, and the board's identity.

========== ============================== ====================================================================
space      words                          a word
========== ============================== ====================================================================
IDENTITY   as many as it takes            1 byte: of the text that :func:`identity_image` makes
WEIGHTS    banks x groups x rows          ``columns_per_clock`` weights of 1 byte; word (group * rows + row)
THRESHOLDS ramps x 2**tick_bits           floor of a threshold; word (ramp * 2**tick_bits + tick), ticks from 0; words
                                          behind a ramp's last tick are not used
HEAD       classes x (hidden + 1)         a weight of the head, or a bias; word (class * (hidden + 1) + unit). With the
                                          readout "step": classes x (h beats + 1) words of ``lanes`` weights, the last
                                          one of a class the bias and zeros
SETTINGS   2 + calibration                2 bytes: hold clocks, tick clocks, then 16 calibration cells per word
H          h beats                        ``lanes`` codes of 1 byte
LOGITS     classes                        an exact logit
LINES      trained line cells x groups    ``columns_per_clock`` levels of 1 byte; word (cell * groups + group)
PROJECTION projection x beats             ``lanes`` weights of the projection; word (code * beats + beat)
========== ============================== ====================================================================

Numbers are signed (settings are not), least significant byte first, in the fewest bytes that hold their range. A group
is ``columns_per_clock`` columns of one bank, the last one of a bank filled up with zeros. Weights where the cell has no
memristors have to be zero: what a board computes of others is undefined.
"""

import json
from dataclasses import dataclass

import numpy as np

from ..array.ramps import padded_floors
from ..array.weights import Weights
from ..common.checks import integer
from ..common.errors import InvalidValue
from ..layers.tile import need_one_array
from ..spec.boundary_wires import calibration_bits
from ..spec.gates import SpecificationError
from ..spec.specification import Specification
from .link_protocol import BAUD, VERSION, Space


@dataclass(frozen=True)
class Build:
    """What a bitstream was made for, as the board states it.

    Attributes
    ----------
    board : str
        Name of the board.
    spec : Specification
        Of every model it serves, ``lanes`` as built.
    columns_per_clock : int
        Of the emulator; 0 if the array is on pins, without an emulator.
    clock : int
        Hz.
    baud : int
        Bits per second of the UART.
    made_by : str
        Name and version of the program that made it.

    """

    board: str
    spec: Specification
    columns_per_clock: int
    clock: int
    baud: int = BAUD
    made_by: str = "crossramp"

    def __post_init__(self):
        need_one_array(self.spec, "a board")
        for name, low in (("columns_per_clock", 0), ("clock", 1), ("baud", 1)):
            object.__setattr__(self, name, integer(name, getattr(self, name), low, error=SpecificationError))

    @property
    def payload(self) -> int:
        """Longest payload, in bytes, of a request or an answer: every step and every word fits, and the whole frame
        fills a power of two."""
        longest = max(self.spec.inputs + 6, *(self.word_bytes(space) + 4 for space in Space))
        return max(512, 1 << (longest + 8 - 1).bit_length()) - 8

    @property
    def groups(self) -> int:
        """Groups of columns in a bank; 0 without an emulator."""
        return -(-self.spec.units // self.columns_per_clock) if self.columns_per_clock else 0

    def word_bytes(self, space: Space) -> int:
        """Bytes of a word of ``space``."""
        spec = self.spec
        return {
            Space.IDENTITY: 1,
            Space.WEIGHTS: self.columns_per_clock,
            Space.THRESHOLDS: -(-spec.mac_bits // 8),
            Space.HEAD: spec.head_lanes * -(-spec.head_bias_bits // 8),
            Space.SETTINGS: 2,
            Space.H: spec.lanes,
            Space.LOGITS: -(-spec.logit_bits // 8),
            Space.LINES: self.columns_per_clock,
            Space.PROJECTION: spec.lanes * -(-spec.head_weight_bits // 8) if spec.projection else 0,
        }[space]

    def words(self, space: Space) -> int:
        """Words of ``space``; 0 for what the board has not."""
        spec = self.spec
        return {
            Space.IDENTITY: len(identity_image(self)) if space == Space.IDENTITY else 0,
            Space.WEIGHTS: len(spec.gate_names) * self.groups * spec.rows,
            Space.THRESHOLDS: len(spec.ramps) << spec.tick_bits if self.columns_per_clock else 0,
            Space.HEAD: spec.classes * (-(-spec.hidden // spec.head_lanes) + 1),
            Space.SETTINGS: 2 + -(-calibration_bits(spec) // 16),
            Space.H: spec.h_beats,
            Space.LOGITS: spec.classes,
            Space.LINES: spec.trained_lines * self.groups,
            Space.PROJECTION: spec.projection * spec.beats,
        }[space]


def identity_image(build: Build) -> bytes:
    """The identity: its length in 2 bytes, itself included, then JSON."""
    content = {
        "protocol": VERSION,
        "board": build.board,
        "hash": build.spec.hardware_hash,
        "specification": build.spec.to_dict(),
        "columns_per_clock": build.columns_per_clock,
        "payload": build.payload,
        "clock": build.clock,
        "baud": build.baud,
        "made_by": build.made_by,
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    return (len(text) + 2).to_bytes(2, "little") + text


def read_identity(image: bytes) -> Build:
    """What :func:`identity_image` described.

    Raises
    ------
    InvalidValue
        If it is not an identity of this version; the message quotes what is wrong.
    """
    try:
        content = json.loads(image[2:].decode())
        if content["protocol"] != VERSION:
            raise InvalidValue(f"the board speaks version {content['protocol']!r} of the protocol; this is {VERSION}")
        spec = Specification.from_dict(content["specification"])
        build = Build(
            content["board"],
            spec,
            content["columns_per_clock"],
            content["clock"],
            content["baud"],
            content["made_by"],
        )
        if content["hash"] != spec.hardware_hash or content["payload"] != build.payload:
            raise InvalidValue(f"the board's identity contradicts itself: hash {content['hash']!r}")
    except SpecificationError as error:
        raise InvalidValue(f"the board's specification is not valid: {error}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidValue(f"the board's identity cannot be read ({type(error).__name__}: {error})") from None
    return build


def weight_words(spec: Specification, weights: np.ndarray, columns_per_clock: int) -> np.ndarray:
    """``weights``, integer, shape (rows, columns), in the order of the emulator's memory: int64, shape (words, lanes).

    A word has the weights of one row and one group of ``columns_per_clock`` columns; word (group * rows + row).
    """
    groups = -(-spec.units // columns_per_clock)
    padded = np.zeros((spec.rows, len(spec.gate_names), groups * columns_per_clock), np.int64)
    padded[..., : spec.units] = spec.by_bank(np.asarray(weights))
    return padded.reshape(spec.rows, -1, columns_per_clock).transpose(1, 0, 2).reshape(-1, columns_per_clock)


def line_weight_words(spec: Specification, lines: np.ndarray, columns_per_clock: int) -> np.ndarray:
    """Levels of trained line cells, integer, shape (trained line cells, units), in the order of the emulator's memory.

    Returns int64, shape (words, lanes): word (cell * groups + group) has those of ``columns_per_clock`` units.
    """
    groups = -(-spec.units // columns_per_clock)
    padded = np.zeros((spec.trained_lines, groups * columns_per_clock), np.int64)
    padded[:, : spec.units] = lines
    return padded.reshape(-1, columns_per_clock)


def threshold_words(spec: Specification, floors=None) -> list[int]:
    """Thresholds in the order of the emulator's memory: tick k (from 0) of ramp r at r * 2**tick_bits + k.

    Parameters
    ----------
    spec : Specification
    floors : sequence of integer arrays, shape (ticks,), or None
        For each ramp of ``spec.ramps``: a column's comparator is high while its MAC exceeds the tick's. Those behind
        a ramp's last tick are of no use. None: those of the ideal ramps.
    """
    if floors is None:
        floors = padded_floors(spec)
    unused = [0] * ((1 << spec.tick_bits) - spec.ticks)
    return [int(threshold) for ramp in floors for threshold in [*ramp, *unused]]


def weights_image(build: Build, weights: np.ndarray) -> bytes:
    """All words of WEIGHTS for ``weights``, integer, shape (rows, columns)."""
    return weight_words(build.spec, weights, build.columns_per_clock).astype(np.int8).tobytes()


def lines_image(build: Build, lines: np.ndarray) -> bytes:
    """All words of LINES for the levels of trained line cells, integer, shape (trained line cells, units)."""
    return line_weight_words(build.spec, lines, build.columns_per_clock).astype(np.int8).tobytes()


def thresholds_image(build: Build, floors=None) -> bytes:
    """All words of THRESHOLDS; ``floors`` as in :func:`threshold_words`."""
    return _packed(threshold_words(build.spec, floors), build.word_bytes(Space.THRESHOLDS))


def head_image(build: Build, weights: Weights) -> bytes:
    """All words of HEAD."""
    spec, lanes = build.spec, build.spec.head_lanes
    parts = -(-spec.hidden // lanes)
    words = np.zeros((spec.classes, (parts + 1) * lanes), np.int64)
    words[:, : spec.hidden] = weights.head
    words[:, parts * lanes] = weights.head_biases
    return _packed(words.ravel().tolist(), build.word_bytes(Space.HEAD) // lanes)


def head_arrays(build: Build, image: bytes) -> tuple[np.ndarray, np.ndarray]:
    """(weights, biases) of all words of HEAD: int64, shapes (classes, hidden) and (classes,)."""
    spec, lanes = build.spec, build.spec.head_lanes
    words = unpacked(image, build.word_bytes(Space.HEAD) // lanes).reshape(spec.classes, -1, lanes)
    return words[:, :-1].reshape(spec.classes, -1)[:, : spec.hidden], words[:, -1, 0]


def projection_words(spec: Specification, weights: np.ndarray) -> np.ndarray:
    """Weights of a projection, integer, shape (hidden, units), in the order of its memory: int64, (words, lanes)."""
    padded = np.zeros((spec.projection, spec.beats * spec.lanes), np.int64)
    padded[:, : spec.units] = weights
    return padded.reshape(-1, spec.lanes)


def projection_image(build: Build, weights: np.ndarray) -> bytes:
    """All words of PROJECTION for weights, integer, shape (hidden, units)."""
    words = projection_words(build.spec, weights)
    return _packed(words.ravel().tolist(), build.word_bytes(Space.PROJECTION) // build.spec.lanes)


def unpacked(data: bytes, word_bytes: int) -> np.ndarray:
    """Signed numbers of ``word_bytes`` each; int64."""
    words = [data[k : k + word_bytes] for k in range(0, len(data), word_bytes)]
    return np.array([int.from_bytes(word, "little", signed=True) for word in words], np.int64)


def _packed(values: list[int], word_bytes: int) -> bytes:
    return b"".join(value.to_bytes(word_bytes, "little", signed=True) for value in values)
