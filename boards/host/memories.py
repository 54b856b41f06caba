# SPDX-License-Identifier: Apache-2.0
"""A board's identity and memories, through its link."""

from collections.abc import Callable

from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.link.board_memory import Build, read_identity
from crossramp.golden.link.link_protocol import Command, Space, read_payload, write_payload
from crossramp.golden.spec.specification import Specification

from .exchange import Exchange, LinkError
from .images import check_specification

_BYTES = 256
"""Of words in one frame, about: the longer it is, the more has to come again when a byte is lost."""


class BoardMemories:
    """The spaces of a board that answers.

    Parameters
    ----------
    exchange : Exchange
        Synchronized.

    Attributes
    ----------
    exchange : Exchange
    build : Build
        What the board said it is.

    Raises
    ------
    LinkError
        Here and in every method: for a board that stops answering, or answers what this protocol has not.
    """

    def __init__(self, exchange: Exchange):
        self.exchange = exchange
        self.build = self.identify()

    def identify(self) -> Build:
        """What the board says it is, now.

        Raises
        ------
        LinkError
            For an identity that cannot be read.
        """
        self.exchange.doing = "while telling what it is"
        length = int.from_bytes(self._read_words(Space.IDENTITY, 0, 2, 1), "little")
        try:
            return read_identity(self._read_words(Space.IDENTITY, 0, length, 1))
        except InvalidValue as error:
            raise LinkError(f"{self.exchange.name}: {error}; build its bitstream again with this crossramp") from None

    def check(self, spec: Specification) -> None:
        """Refuse a model that the board was not built for.

        Lanes do not matter: they change clocks, and no answer.

        Raises
        ------
        WrongModel
            Names every parameter that differs, with both values.
        """
        check_specification(self.build, spec, self.exchange.name)

    def read(self, space: Space, word: int = 0, count: int | None = None) -> bytes:
        """``count`` words of ``space`` from ``word`` on; None: all there are from there on.

        Raises
        ------
        InvalidValue
            For a space that the board has not.
        Refused
            For words beyond its end.
        """
        count = self.build.words(space) - word if count is None else count
        return self._read_words(space, word, count, self._word_bytes(space))

    def _read_words(self, space: Space, word: int, count: int, size: int) -> bytes:
        at_once = max(1, min(255, _BYTES // size))
        data = b""
        for begin in range(word, word + count, at_once):
            part = min(at_once, word + count - begin)
            data += self.exchange.ask(Command.READ + space, read_payload(begin, part), part * size)
        return data

    def write(self, space: Space, data: bytes, word: int = 0, progress: Callable[[int], None] | None = None) -> None:
        """Write whole words from ``word`` on.

        Parameters
        ----------
        progress : callable or None
            Called with the bytes written so far.

        Raises
        ------
        ValueError
            If the board does not have the space, or the data are not a whole number of words.
        Refused
            For a space that cannot be written, a number out of its range, or words beyond the end.
        """
        size = self._word_bytes(space)
        if len(data) % size:
            raise ValueError(f"{len(data)} bytes for {space.name}, whose words have {size}")
        part = max(1, min(self.build.payload - 4, _BYTES) // size) * size
        for begin in range(0, len(data), part):
            piece = data[begin : begin + part]
            self.exchange.ask(Command.WRITE + space, write_payload(word + begin // size, piece))
            if progress is not None:
                progress(begin + len(piece))

    def _word_bytes(self, space: Space) -> int:
        if not self.build.words(space):
            raise InvalidValue(f"the board on {self.exchange.name} ({self.build.board}) has no {space.name.lower()}")
        return self.build.word_bytes(space)

    def write_images(
        self, images: dict[Space, bytes], verify: bool = True, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Write whole spaces, and read them back and compare if ``verify``.

        Parameters
        ----------
        progress : callable or None
            Called with the bytes moved so far and the bytes there are to move.

        Raises
        ------
        LinkError
            Also if what is read back is not what was written.
        """
        whole, moved = sum(map(len, images.values())) * (1 + verify), 0
        for space, image in images.items():
            self.write(space, image, progress=progress and (lambda part, moved=moved: progress(moved + part, whole)))
            moved += len(image)
        for space, image in images.items() if verify else ():
            self._compare(space, self.read(space), image)
            moved += len(image)
            if progress is not None:
                progress(moved, whole)

    def _compare(self, space: Space, have: bytes, image: bytes) -> None:
        if have == image:
            return
        size = self.build.word_bytes(space)
        word = next(k for k in range(len(image)) if have[k] != image[k]) // size
        held, written = (data[word * size : (word + 1) * size].hex() for data in (have, image))
        raise LinkError(
            f"the board on {self.exchange.name} does not hold what was written: word {word} of {space.name.lower()} is "
            f"{held}, not {written}; load it again, and if that does not help build it again"
        )
