# SPDX-License-Identifier: Apache-2.0
"""The address spaces of the host link: each word is read and written where it belongs, and nowhere else."""

from amaranth import Cat, Const, Fragment, Module, Signal, Value
from amaranth.lib import data
from crossramp.golden.link.board_memory import Build, identity_image
from crossramp.golden.link.link_protocol import Space
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.link.spaces import Spaces

from ..engine.entry import Entry
from ..engine.inspection import memory_word, named
from ..engine.proof import Proof
from .link_build import link_build

#: The member that leads to the memory of a space; the others are kept by the design itself.
MEMORIES = {
    Space.WEIGHTS: "weights",
    Space.THRESHOLDS: "thresholds",
    Space.HEAD: "head",
    Space.H: "hidden",
    Space.LOGITS: "logits",
    Space.LINES: "line_weights",
    Space.PROJECTION: "project",
}


class SpacesProof(Proof):
    """The spaces with any request on every clock, and any memories.

    Environment: everything is free: space, address, word, ``write``, and what the memories give.

    Claims, for any trace:

    - ``word_bytes`` and ``beyond`` are those of the table of :mod:`.board_memory`.
    - A write reaches the memory of its space alone, at its address, with the lowest bits of the word's numbers: a byte
      for each weight or code, all bytes for other numbers, least significant first.
    - ``data`` is, for a space and an address that have been there for a clock, the memory's word with each number
      extended by its sign; a byte of the identity; or a setting.
    - ``wrong`` is high exactly if a number of the word exceeds the bits of its memory, or a weight of the macro, of its
      lines or of the projection is beyond its ±weight_max.
    - A setting is what was written last to it, and 0 before. ``hold_clocks``, ``tick_clocks`` and ``calibration`` are
      settings 0, 1, and the others.

    Parameters
    ----------
    build : Build
    """

    def __init__(self, build: Build, **options):
        super().__init__(**options)
        self.build = build

    def describe(self, m: Module) -> None:
        self.dut = dut = Spaces(self.build)
        m.submodules.dut = self.fragment = Fragment.get(dut, None)
        request = dut.request
        for name in ("space", "address", "word", "write"):
            member = getattr(request, name)
            m.d.comb += member.eq(self.free(m, len(member), name))
        was_space, was_address, began = Signal.like(request.space), Signal.like(request.address), Signal()
        m.d.sync += [was_space.eq(request.space), was_address.eq(request.address), began.eq(1)]
        stays = (was_space == request.space) & (was_address == request.address)
        self.looks = named(m, "looks", began & stays)
        for space in Space:
            if not self.build.words(space):
                continue
            with m.If(request.space == space):
                beyond = request.address >= self.build.words(space)
                self.claim(m, request.word_bytes == self.build.word_bytes(space), f"{space.name}: bytes of a word")
                self.claim(m, request.beyond == beyond, f"{space.name}: which words it has")
            if space in MEMORIES:
                self._memory(m, space, getattr(dut, MEMORIES[space]))
        self._identity(m)
        self._settings(m)

    def _memory(self, m: Module, space: Space, access) -> None:
        request, size, name = self.dut.request, self.build.word_bytes(space), space.name
        here = named(m, f"is_{name}", request.space == space)
        lanes = isinstance(access.data, data.View)
        m.d.comb += Value.cast(access.data).eq(self.free(m, len(Value.cast(access.data)), f"{name}_data"))
        self.claim(m, access.write == (request.write & here), f"{name}: written with its own words alone")
        self.claim(m, access.address == request.address[: len(access.address)], f"{name}: a word at its address")
        word = request.word[len(request.word) - 8 * size :]
        numbers = access.data.shape().length if lanes else 1
        bits = 8 * size // numbers
        spec = self.build.spec
        limits = {Space.WEIGHTS: spec.weight_max, Space.LINES: spec.weight_max, Space.PROJECTION: spec.head_weight_max}
        most = limits.get(space)
        fits = []
        for k in range(numbers):
            number = named(m, f"{name}_number_{k}", word[k * bits : (k + 1) * bits].as_signed())
            shown = request.data[k * bits : (k + 1) * bits].as_signed()
            kept, given = (access.data[k], access.value[k]) if lanes else (access.data, access.value)
            high = most if most is not None else (1 << (len(kept) - 1)) - 1
            low = -most if most is not None else -(1 << (len(kept) - 1))
            fits.append(named(m, f"{name}_fits_{k}", (number >= low) & (number <= high)))
            with m.If(fits[-1]):
                self.claim(m, given == number, f"{name}: a number that fits is written as it is")
            with m.If(here):
                self.claim(m, shown == kept, f"{name}: a number is shown with its sign")
        with m.If(here):
            self.claim(m, request.wrong == ~Cat(fits).all(), f"{name}: a number that does not fit is wrong")
        self.cover(m, here & request.write & ~request.wrong & (word != 0), f"a word of {name} is written")

    def _identity(self, m: Module) -> None:
        request, image = self.dut.request, identity_image(self.build)
        place, byte = self.choice(m, len(image), "place"), Signal(8, name="byte_of_identity")
        with m.Switch(place):
            for k, value in enumerate(image):
                with m.Case(k):
                    m.d.comb += byte.eq(value)
        here = named(m, "is_identity", request.space == Space.IDENTITY)
        with m.If(here & self.looks & (request.address == place)):
            self.claim(m, request.data[:8] == byte, "IDENTITY: its bytes in order")
        with m.If(here):
            self.claim(m, ~request.wrong, "IDENTITY: nothing is wrong")
        self.cover(m, here & self.looks & (request.address == 2) & (request.data[:8] == ord("{")), "a byte is read")
        self.invariant(m, memory_word(self.fragment, "identity", place, "stored_byte") == byte, "the identity's memory")

    def _settings(self, m: Module) -> None:
        dut, request = self.dut, self.dut.request
        count = self.build.words(Space.SETTINGS)
        number, setting = self.choice(m, count, "setting_number"), Signal(16, name="setting")
        here = named(m, "is_settings", request.space == Space.SETTINGS)
        with m.If(here & request.write & (request.address == number)):
            m.d.sync += setting.eq(request.word[len(request.word) - 16 :])
        registers = [dut.hold_clocks, dut.tick_clocks]
        registers += [dut.calibration[k : k + 16] for k in range(0, len(dut.calibration), 16)]
        assert len(registers) == count
        for k, register in enumerate(registers):
            with m.If(number == k):
                mask = Const((1 << len(register)) - 1, 16)
                self.claim(m, register == (setting & mask), "SETTINGS: what was written last")
                with m.If(here & (request.address == number)):
                    self.claim(m, request.data[:16] == (setting & mask), "SETTINGS: what is read")
        with m.If(here):
            self.claim(m, ~request.wrong, "SETTINGS: nothing is wrong")
        self.cover(m, here & self.looks & (request.address == 1) & (dut.tick_clocks == 3), "a setting is read back")


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the spaces of a board for ``spec``."""
    build = link_build(spec)
    claim = "every word is read and written at its address in its space, and nowhere else; numbers out of range"
    return [Entry("spaces", claim, lambda: SpacesProof(build))]
