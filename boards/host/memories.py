# SPDX-License-Identifier: Apache-2.0
"""A board's identity and memories, through its link."""

from collections.abc import Callable

from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.link.board_memory import Build, Region, read_identity
from crossramp.golden.link.link_protocol import Command, Space, read_payload, write_payload

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

    def check(self, spec: AnySpecification) -> None:
        """Refuse a model that the board was not built for.

        Lanes do not matter: they change clocks, and no answer.

        Raises
        ------
        WrongModel
            Names every parameter that differs, with both values.
        """
        check_specification(self.build, spec, self.exchange.name)

    def read(self, space: Space, word: int = 0, count: int | None = None, macro: str = "") -> bytes:
        """``count`` words of ``space`` from ``word`` on; None: all there are from there on.

        Parameters
        ----------
        macro : str
            Of a network of several: whose words, in the spaces that each has its own of.

        Raises
        ------
        InvalidValue
            For a space that the board, or the macro, has not.
        Refused
            For words beyond its end.
        """
        region = self._region(space, macro)
        count = self.build.words(*region) - word if count is None else count
        return self._read_words(space, self.build.address(word, macro), count, self.build.word_bytes(*region))

    def _read_words(self, space: Space, address: int, count: int, size: int) -> bytes:
        at_once = max(1, min(255, _BYTES // size))
        data = b""
        for begin in range(address, address + count, at_once):
            part = min(at_once, address + count - begin)
            data += self.exchange.ask(Command.READ + space, read_payload(begin, part), part * size)
        return data

    def write(
        self,
        space: Space,
        data: bytes,
        word: int = 0,
        progress: Callable[[int], None] | None = None,
        macro: str = "",
    ) -> None:
        """Write whole words from ``word`` on.

        Parameters
        ----------
        progress : callable or None
            Called with the bytes written so far.
        macro : str
            As :meth:`read` takes it.

        Raises
        ------
        ValueError
            If the board does not have the space, or the data are not a whole number of words.
        Refused
            For a space that cannot be written, a number out of its range, or words beyond the end.
        """
        size = self.build.word_bytes(*self._region(space, macro))
        if len(data) % size:
            raise ValueError(f"{len(data)} bytes for {space.name}, whose words have {size}")
        part = max(1, min(self.build.payload - 4, _BYTES) // size) * size
        for begin in range(0, len(data), part):
            piece = data[begin : begin + part]
            address = self.build.address(word + begin // size, macro)
            self.exchange.ask(Command.WRITE + space, write_payload(address, piece))
            if progress is not None:
                progress(begin + len(piece))

    def _region(self, space: Space, macro: str) -> Region:
        region = Region(space, macro)
        if region not in self.build.regions:
            raise InvalidValue(f"the board on {self.exchange.name} ({self.build.board}) has no {region}")
        return region

    def write_images(
        self, images: dict[Region, bytes], verify: bool = True, progress: Callable[[int, int], None] | None = None
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
        for (space, macro), image in images.items():
            told = progress and (lambda part, moved=moved: progress(moved + part, whole))
            self.write(space, image, progress=told, macro=macro)
            moved += len(image)
        for region, image in images.items() if verify else ():
            self._compare(region, self.read(region.space, macro=region.macro), image)
            moved += len(image)
            if progress is not None:
                progress(moved, whole)

    def _compare(self, region: Region, have: bytes, image: bytes) -> None:
        if have == image:
            return
        size = self.build.word_bytes(*region)
        word = next(k for k in range(len(image)) if have[k] != image[k]) // size
        held, written = (data[word * size : (word + 1) * size].hex() for data in (have, image))
        raise LinkError(
            f"the board on {self.exchange.name} does not hold what was written: word {word} of {region} is "
            f"{held}, not {written}; load it again, and if that does not help build it again"
        )
