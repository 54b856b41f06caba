# SPDX-License-Identifier: Apache-2.0
"""The spaces of the host link: all that a host reads and writes, behind one address and one word."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.layers.tile import prefixed
from crossramp.golden.link.board_memory import OF_MACROS, Build, Region, identity_image
from crossramp.golden.link.link_protocol import Space

from ..common.access import AccessSignature
from ..common.record_layout import h_layout, logit_layout
from ..macro.projection import projection_signature
from ..network.head_multiplier import program_signature

_READ_ONLY = (Space.IDENTITY, Space.H, Space.LOGITS)


def spaces_of(build: Build, *, writable: bool = False) -> list[Space]:
    """The spaces that a board has; only those that a host may write."""
    found = dict.fromkeys(region.space for region in build.regions)
    return [space for space in found if not (writable and space in _READ_ONLY)]


#: Members of :class:`Spaces` for what each macro has its own of.
_MEMBERS = {
    Space.WEIGHTS: "weights",
    Space.THRESHOLDS: "thresholds",
    Space.LINES: "line_weights",
    Space.PROJECTION: "project",
}


def macro_members(build: Build) -> dict[str, Region]:
    """The members of :class:`Spaces` that reach memories of macros: ``weights``, or ``layer0_weights`` of several."""
    return {
        prefixed(region.macro, _MEMBERS[region.space]): region for region in build.regions if region.space in OF_MACROS
    }


def out_of_range(number, bits: int, limit: int | None = None):
    """Whether a two's complement number, of any width, does not fit ``bits`` bits or exceeds ±``limit``.

    ``limit`` is 2**(bits - 1) - 1, so beside the width only the most negative number has to be refused; or None.
    """
    sign = number[bits - 1]
    wrong = Cat(bit != sign for bit in number[bits:]) != 0 if len(number) > bits else 0
    return wrong if limit is None else wrong | (sign & (number[: bits - 1] == 0))


def _number(build: Build, region: Region) -> int:
    """What ``macro`` is for a region."""
    return list(build.spec.macros).index(region.macro) if region.macro else 0


class WordSignature(wiring.Signature):
    """One word of all that a host reads and writes, seen from whoever asks for it.

    Members
    -------
    space, address :
        Which word.
    macro : 8 bits
        Of a board with several macros: the number of one of them, in the spaces that each has its own of; 0 in others.
    word_bytes :
        Of the space's words.
    beyond : 1 bit
        The space has no word ``address``.
    data : 8 x (bytes of the longest word) bits
        The word, from the lowest bit on, one clock after its address.
    word : as many bits
        A word to be written, up to the highest bit: as it is once its bytes have been shifted in from above.
    wrong : 1 bit
        ``word`` holds a number that is out of its range.
    write : 1 bit
        Write it.

    Parameters
    ----------
    build : Build
    """

    def __init__(self, build: Build):
        longest = max(build.word_bytes(*region) for region in build.regions)
        words = max(build.words(*region) for region in build.regions)
        super().__init__(
            {
                "space": Out(range(max(spaces_of(build)) + 1)),
                **({"macro": Out(8)} if build.several else {}),
                "address": Out(range(words + 1)),
                "word_bytes": In(range(longest + 1)),
                "beyond": In(1),
                "data": In(8 * longest),
                "word": Out(8 * longest),
                "wrong": In(1),
                "write": Out(1),
            }
        )


class Spaces(wiring.Component):
    """Reads word ``address`` of space ``space``, and writes it; contents and order are :mod:`.board_memory`'s.

    Latency: ``data`` shows a word one clock after its address.
    Cost: a memory for the identity, registers for SETTINGS, a multiplexer of all that is read.

    Parameters
    ----------
    build : Build
        With ``columns_per_clock`` 0, there are no members ``weights``, ``thresholds`` and ``line_weights``; without
        trained line cells there is no ``line_weights``. Of several macros these have the macro's name in front, as
        ``project`` has (:func:`macro_members`).

    Members
    -------
    request : WordSignature
    weights, thresholds, line_weights, project, head, hidden, logits : AccessSignature
        The memories of the others; ``project`` where there is a digital projection, ``head`` where the head is digital.
    hold_clocks, tick_clocks, calibration :
        What is in SETTINGS; 0 at power-up.
    """

    def __init__(self, build: Build):
        self.build = build
        spec = build.spec
        members = {
            "request": In(WordSignature(build)),
            **({} if spec.head_in_array else {"head": Out(program_signature(spec))}),
            "hidden": Out(AccessSignature(spec.h_beats, h_layout(spec)["codes"].shape)),
            "logits": Out(AccessSignature(spec.classes, logit_layout(spec)["value"].shape)),
            "hold_clocks": Out(16),
            "tick_clocks": Out(16),
            "calibration": Out(build.calibration_bits),
        }
        for name, region in macro_members(build).items():
            members[name] = Out(self._macro_signature(region))
        super().__init__(members)

    def _macro_signature(self, region: Region) -> wiring.Signature:
        build, own = self.build, self.build.spec.macros[region.macro]
        if region.space == Space.PROJECTION:
            return projection_signature(own)
        weight = data.ArrayLayout(signed(own.weight_bits), build.columns(region.macro))
        shape = signed(own.mac_bits) if region.space == Space.THRESHOLDS else weight
        return AccessSignature(build.words(*region), shape)

    def elaborate(self, platform):
        m = Module()
        build, request = self.build, self.request

        image = identity_image(build)
        m.submodules.identity = identity = Memory(shape=8, depth=len(image), init=list(image))
        identity_read = identity.read_port()
        m.d.comb += identity_read.addr.eq(request.address)
        read = {Region(Space.IDENTITY): identity_read.data, Region(Space.SETTINGS): self._settings(m)}
        wrong = {}
        accesses = {} if build.spec.head_in_array else {Region(Space.HEAD): self.head}
        accesses |= {Region(Space.H): self.hidden, Region(Space.LOGITS): self.logits}
        accesses |= {region: getattr(self, name) for name, region in macro_members(build).items()}
        for region, access in accesses.items():
            read[region], wrong[region] = self._connect(m, region, access)

        def show(region: Region):
            m.d.comb += [
                request.word_bytes.eq(build.word_bytes(*region)),
                request.beyond.eq(request.address >= build.words(*region)),
                request.data.eq(read[region]),
                request.wrong.eq(wrong.get(region, 0)),
            ]

        with m.Switch(request.space):
            for space in spaces_of(build):
                regions = [region for region in build.regions if region.space == space]
                with m.Case(space):
                    if not build.several:
                        show(regions[0])
                        continue
                    with m.Switch(request.macro):
                        for region in regions:
                            with m.Case(_number(build, region)):
                                show(region)
                        with m.Default():  # words that this macro has not are of 1 byte, and beyond the end
                            m.d.comb += [request.word_bytes.eq(1), request.beyond.eq(1)]
        return m

    def _connect(self, m: Module, region: Region, access):
        """Ties a memory to address and word; returns its word as bytes, and whether ``word`` does not fit it."""
        request, size, space = self.request, self.build.word_bytes(*region), region.space
        filled = request.word[-8 * size :]
        if isinstance(access.data, data.View):  # lanes of whole bytes
            lanes = access.data.shape().length
            bits = 8 * size // lanes
            shown, values = [access.data[k] for k in range(lanes)], [access.value[k] for k in range(lanes)]
            given = [filled[bits * k : bits * (k + 1)] for k in range(lanes)]
        else:
            shown, values, given = [access.data], [access.value], [filled]
        here = request.space == space
        if self.build.several:
            here = here & (request.macro == _number(self.build, region))
        m.d.comb += [access.address.eq(request.address), access.write.eq(request.write & here)]
        m.d.comb += [value.eq(number) for value, number in zip(values, given, strict=True)]
        limit = None
        if space in OF_MACROS and space != Space.THRESHOLDS:
            own = self.build.spec.macros[region.macro]
            limit = own.head_weight_max if space == Space.PROJECTION else own.weight_max
        wrong = Cat(out_of_range(number, len(value), limit) for value, number in zip(values, given, strict=True))
        padded = []
        for number, wide in zip(shown, given, strict=True):
            extended = Signal(signed(len(wide)))
            m.d.comb += extended.eq(number)
            padded.append(extended)
        return Cat(padded), wrong != 0

    def _settings(self, m: Module):
        """The registers of SETTINGS; returns the one at ``address``."""
        request = self.request
        shown = Signal(16)
        registers = [self.hold_clocks, self.tick_clocks]
        registers += [self.calibration[k : k + 16] for k in range(0, len(self.calibration), 16)]
        with m.Switch(request.address):
            for k, register in enumerate(registers):
                with m.Case(k):
                    m.d.comb += shown.eq(register)
                    with m.If(request.write & (request.space == Space.SETTINGS)):
                        m.d.sync += register.eq(request.word[-16:])
        return shown
