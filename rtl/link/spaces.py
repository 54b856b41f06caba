# SPDX-License-Identifier: Apache-2.0
"""The spaces of the host link: all that a host reads and writes, behind one address and one word."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.link.board_memory import Build, identity_image
from crossramp.golden.link.link_protocol import Space
from crossramp.golden.spec.boundary_wires import calibration_bits

from ..common.access import AccessSignature
from ..common.record_layout import h_layout, logit_layout
from ..macro.projection import projection_signature
from ..network.head_multiplier import program_signature

_READ_ONLY = (Space.IDENTITY, Space.H, Space.LOGITS)


def spaces_of(build: Build, *, writable: bool = False) -> list[Space]:
    """The spaces that a board has; only those that a host may write."""
    return [space for space in Space if build.words(space) and not (writable and space in _READ_ONLY)]


def out_of_range(number, bits: int, limit: int | None = None):
    """Whether a two's complement number, of any width, does not fit ``bits`` bits or exceeds ±``limit``.

    ``limit`` is 2**(bits - 1) - 1, so beside the width only the most negative number has to be refused; or None.
    """
    sign = number[bits - 1]
    wrong = Cat(bit != sign for bit in number[bits:]) != 0 if len(number) > bits else 0
    return wrong if limit is None else wrong | (sign & (number[: bits - 1] == 0))


class WordSignature(wiring.Signature):
    """One word of all that a host reads and writes, seen from whoever asks for it.

    Members
    -------
    space, address :
        Which word.
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
        spaces = spaces_of(build)
        longest = max(build.word_bytes(space) for space in spaces)
        words = max(build.words(space) for space in spaces)
        super().__init__(
            {
                "space": Out(range(max(spaces) + 1)),
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
        trained line cells there is no ``line_weights``.

    Members
    -------
    request : WordSignature
    weights, thresholds, line_weights, project, head, hidden, logits : AccessSignature
        The memories of the others; ``project`` where there is a projection.
    hold_clocks, tick_clocks, calibration :
        What is in SETTINGS; 0 at power-up.
    """

    def __init__(self, build: Build):
        self.build = build
        spec = build.spec
        members = {
            "request": In(WordSignature(build)),
            "head": Out(program_signature(spec)),
            "hidden": Out(AccessSignature(spec.h_beats, h_layout(spec)["codes"].shape)),
            "logits": Out(AccessSignature(spec.classes, logit_layout(spec)["value"].shape)),
            "hold_clocks": Out(16),
            "tick_clocks": Out(16),
            "calibration": Out(calibration_bits(spec)),
        }
        if build.columns_per_clock:
            weight = data.ArrayLayout(signed(spec.weight_bits), build.columns_per_clock)
            members["weights"] = Out(AccessSignature(build.words(Space.WEIGHTS), weight))
            members["thresholds"] = Out(AccessSignature(build.words(Space.THRESHOLDS), signed(spec.mac_bits)))
            if build.words(Space.LINES):
                members["line_weights"] = Out(AccessSignature(build.words(Space.LINES), weight))
        if build.words(Space.PROJECTION):
            members["project"] = Out(projection_signature(spec))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        build, request = self.build, self.request

        image = identity_image(build)
        m.submodules.identity = identity = Memory(shape=8, depth=len(image), init=list(image))
        identity_read = identity.read_port()
        m.d.comb += identity_read.addr.eq(request.address)
        read = {Space.IDENTITY: identity_read.data, Space.SETTINGS: self._settings(m)}
        wrong = {}
        accesses = {Space.HEAD: self.head, Space.H: self.hidden, Space.LOGITS: self.logits}
        if build.columns_per_clock:
            accesses |= {Space.WEIGHTS: self.weights, Space.THRESHOLDS: self.thresholds}
        if build.words(Space.LINES):
            accesses[Space.LINES] = self.line_weights
        if build.words(Space.PROJECTION):
            accesses[Space.PROJECTION] = self.project
        for space, access in accesses.items():
            read[space], wrong[space] = self._connect(m, space, access)

        with m.Switch(request.space):
            for space in spaces_of(build):
                with m.Case(space):
                    m.d.comb += [
                        request.word_bytes.eq(build.word_bytes(space)),
                        request.beyond.eq(request.address >= build.words(space)),
                        request.data.eq(read[space]),
                        request.wrong.eq(wrong.get(space, 0)),
                    ]
        return m

    def _connect(self, m: Module, space: Space, access):
        """Ties a memory to address and word; returns its word as bytes, and whether ``word`` does not fit it."""
        request, size = self.request, self.build.word_bytes(space)
        filled = request.word[-8 * size :]
        if isinstance(access.data, data.View):  # lanes of whole bytes
            lanes = access.data.shape().length
            bits = 8 * size // lanes
            shown, values = [access.data[k] for k in range(lanes)], [access.value[k] for k in range(lanes)]
            given = [filled[bits * k : bits * (k + 1)] for k in range(lanes)]
        else:
            shown, values, given = [access.data], [access.value], [filled]
        m.d.comb += [access.address.eq(request.address), access.write.eq(request.write & (request.space == space))]
        m.d.comb += [value.eq(number) for value, number in zip(values, given, strict=True)]
        spec = self.build.spec
        limits = {Space.WEIGHTS: spec.weight_max, Space.LINES: spec.weight_max, Space.PROJECTION: spec.head_weight_max}
        limit = limits.get(space)
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
