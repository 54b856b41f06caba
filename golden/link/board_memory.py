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

Of a network of several macros, each has WEIGHTS, THRESHOLDS, LINES and PROJECTION of its own. The highest byte of an
address tells them apart (:meth:`Build.address`); a :class:`Region` is a space of a macro.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..array.ramps import padded_floors
from ..array.weights import Weights
from ..common.checks import integer
from ..common.errors import InvalidValue
from ..layers.network_specification import AnySpecification, specification_from
from ..layers.tile import need_one_array
from ..network.layered_weights import LayeredWeights
from ..spec.boundary_wires import calibration_bits
from ..spec.gates import SpecificationError
from ..spec.specification import Specification
from .link_protocol import BAUD, VERSION, Space

OF_MACROS = (Space.WEIGHTS, Space.THRESHOLDS, Space.LINES, Space.PROJECTION)
"""Spaces that each macro has its own of."""

WORD_BITS = 24
"""Bits of a word's number in an address; the number of the macro is above them."""


class Region(NamedTuple):
    """The words of one space, and of one macro where each has its own.

    Parameters
    ----------
    space : Space
    macro : str
        Name of the macro, as in ``spec.macros``. Empty for the only macro of a network, and for what is not in
        :data:`OF_MACROS`.
    """

    space: Space
    macro: str = ""

    def __str__(self) -> str:
        return f"{self.space.name.lower()} of {self.macro}" if self.macro else self.space.name.lower()


@dataclass(frozen=True)
class Build:
    """What a bitstream was made for, as the board states it.

    Attributes
    ----------
    board : str
        Name of the board.
    spec : Specification or NetworkSpecification
        Of every model it serves, ``lanes`` as built.
    columns_per_clock : int
        Of the emulator of each macro, at most as many as the macro has units; 0 if the array is on pins, without an
        emulator.
    clock : int
        Hz.
    baud : int
        Bits per second of the UART.
    made_by : str
        Name and version of the program that made it.

    Raises
    ------
    SpecificationError
        For what no board can hold: a macro in several arrays or with partial sums, several macros with the array on
        pins, and answers of every step behind a layer of two directions.
    """

    board: str
    spec: AnySpecification
    columns_per_clock: int
    clock: int
    baud: int = BAUD
    made_by: str = "crossramp"

    def __post_init__(self):
        spec = self.spec
        for macro in spec.macros.values():
            need_one_array(macro, "a board")
            if macro.partial_rows:
                raise SpecificationError(
                    f"partial_rows is {macro.partial_rows}; the emulated arrays of boards make no partial sums: set it "
                    "to 0"
                )
        for name, low in (("columns_per_clock", 0), ("clock", 1), ("baud", 1)):
            object.__setattr__(self, name, integer(name, getattr(self, name), low, error=SpecificationError))
        if not self.columns_per_clock:
            need_one_array(spec, "a board with its array on pins")
        if spec.readout == "step" and spec.bidirectional:
            raise SpecificationError(
                "readout is 'step', and a layer has two directions: all answers come behind the last step, and a board "
                "keeps one of them; set readout to 'mean' or 'last'"
            )
        for region in self.regions:
            if self.several and self.words(*region) >= 1 << WORD_BITS:
                raise SpecificationError(
                    f"{region.macro} has {self.words(*region)} words of {region.space.name.lower()}; addresses allow "
                    f"{(1 << WORD_BITS) - 1}: give layers of fewer units"
                )

    @property
    def several(self) -> bool:
        """Whether addresses name one of several macros."""
        return tuple(self.spec.macros) != ("",)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """All that the board has, space after space."""
        return tuple(region for region in self._possible if self.words(*region))

    @property
    def _possible(self) -> list[Region]:
        """With those that have no words here."""
        return [
            Region(space, macro) for space in Space for macro in (self.spec.macros if space in OF_MACROS else ("",))
        ]

    @property
    def payload(self) -> int:
        """Longest payload, in bytes, of a request or an answer: every step and every word fits, and the whole frame
        fills a power of two."""
        longest = max(self.spec.inputs + 6, *(self.word_bytes(*region) + 4 for region in self._possible))
        return max(512, 1 << (longest + 8 - 1).bit_length()) - 8

    def columns(self, macro: str = "") -> int:
        """Columns that the emulator of a macro multiplies in a clock; 0 without an emulator."""
        return min(self.columns_per_clock, self.spec.macros[macro].units)

    def groups(self, macro: str = "") -> int:
        """Groups of columns in a bank of a macro; 0 without an emulator."""
        return -(-self.spec.macros[macro].units // self.columns(macro)) if self.columns_per_clock else 0

    @property
    def calibration_bits(self) -> int:
        """Calibration cells that SETTINGS select: those of the only macro. Emulated arrays of several have none."""
        return 0 if self.several else calibration_bits(self.spec)

    def address(self, word: int, macro: str = "") -> int:
        """What READ and WRITE call a word: its number, and above it that of the macro in the order of ``spec.macros``.

        Parameters
        ----------
        word : int
        macro : str
            As in a :class:`Region`.
        """
        return word | (list(self.spec.macros).index(macro) << WORD_BITS if macro else 0)

    def word_bytes(self, space: Space, macro: str = "") -> int:
        """Bytes of a word of ``space``, of those in :data:`OF_MACROS` that of ``macro``."""
        spec = self.spec
        if space in OF_MACROS:
            own = spec.macros[macro]
            return {
                Space.WEIGHTS: self.columns(macro),
                Space.THRESHOLDS: -(-own.mac_bits // 8),
                Space.LINES: self.columns(macro),
                Space.PROJECTION: own.lanes * -(-own.head_weight_bits // 8) if own.digital_projection else 0,
            }[space]
        return {
            Space.IDENTITY: 1,
            Space.HEAD: spec.head_lanes * -(-spec.head_bias_bits // 8),
            Space.SETTINGS: 2,
            Space.H: spec.lanes,
            Space.LOGITS: -(-spec.logit_bits // 8),
        }[space]

    def words(self, space: Space, macro: str = "") -> int:
        """Words of ``space``, of those in :data:`OF_MACROS` that of ``macro``; 0 for what the board has not."""
        spec = self.spec
        if space in OF_MACROS:
            own = spec.macros[macro]
            return {
                Space.WEIGHTS: len(own.gate_names) * self.groups(macro) * own.rows,
                Space.THRESHOLDS: len(own.ramps) << own.tick_bits if self.columns_per_clock else 0,
                Space.LINES: own.trained_lines * self.groups(macro),
                Space.PROJECTION: own.digital_projection * own.beats,
            }[space]
        return {
            Space.IDENTITY: len(identity_image(self)) if space == Space.IDENTITY else 0,
            Space.HEAD: 0 if spec.head_in_array else spec.classes * (-(-spec.hidden // spec.head_lanes) + 1),
            Space.SETTINGS: 2 + -(-self.calibration_bits // 16),
            Space.H: spec.h_beats,
            Space.LOGITS: spec.classes,
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
        spec = specification_from(content["specification"])
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


def weights_image(build: Build, weights: np.ndarray, macro: str = "") -> bytes:
    """All words of WEIGHTS of a macro for ``weights``, integer, shape (rows, columns)."""
    return weight_words(build.spec.macros[macro], weights, build.columns(macro)).astype(np.int8).tobytes()


def lines_image(build: Build, lines: np.ndarray, macro: str = "") -> bytes:
    """All words of LINES of a macro for levels of trained line cells, integer, shape (trained line cells, units)."""
    return line_weight_words(build.spec.macros[macro], lines, build.columns(macro)).astype(np.int8).tobytes()


def thresholds_image(build: Build, floors=None, macro: str = "") -> bytes:
    """All words of THRESHOLDS of a macro; ``floors`` as in :func:`threshold_words`."""
    return _packed(threshold_words(build.spec.macros[macro], floors), build.word_bytes(Space.THRESHOLDS, macro))


def head_image(build: Build, weights: Weights | LayeredWeights) -> bytes:
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


def projection_image(build: Build, weights: np.ndarray, macro: str = "") -> bytes:
    """All words of PROJECTION of a macro for weights, integer, shape (hidden, units)."""
    spec = build.spec.macros[macro]
    return _packed(
        projection_words(spec, weights).ravel().tolist(), build.word_bytes(Space.PROJECTION, macro) // spec.lanes
    )


def unpacked(data: bytes, word_bytes: int) -> np.ndarray:
    """Signed numbers of ``word_bytes`` each; int64."""
    words = [data[k : k + word_bytes] for k in range(0, len(data), word_bytes)]
    return np.array([int.from_bytes(word, "little", signed=True) for word in words], np.int64)


def _packed(values: list[int], word_bytes: int) -> bytes:
    return b"".join(value.to_bytes(word_bytes, "little", signed=True) for value in values)
