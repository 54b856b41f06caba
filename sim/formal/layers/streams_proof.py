# SPDX-License-Identifier: Apache-2.0
"""Streams through a network of several layers: what waits between two macros, stays; none is lost or made up."""

from dataclasses import replace
from functools import partial

from amaranth import Cat, Fragment, Module, Mux, Signal
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.layers.code_streams import HeadCodes, Serializer, SideBySide
from crossramp.rtl.layers.layered_top import LayeredTop
from crossramp.rtl.layers.utterance_memory import UtteranceMemory

from ..engine.entry import Entry
from ..engine.proof import Proof
from ..engine.register_memory import RegisterMemories
from ..engine.solver import Mode

#: How far the count of codes in a queue is looked at, from reset.
_QUEUE_CLOCKS = 16


class BetweenLayersProof(Proof):
    """A block between macros, with any writers that keep the rule of streams, and readers that are ready at any time.

    Claim: a code that is shown and not taken stays, with its payload.
    """

    def source(self, m: Module, stream, name: str) -> None:
        """Any payloads, of which one that waits stays."""
        payload = self.free(m, len(stream.payload.as_value()), f"{name}_payload")
        valid = self.free(m, 1, f"{name}_valid")
        waits, before = Signal(name=f"{name}_waits"), Signal(len(payload), name=f"{name}_before")
        m.d.comb += [stream.valid.eq(valid), stream.payload.as_value().eq(payload)]
        m.d.sync += [waits.eq(valid & ~stream.ready), before.eq(payload)]
        with m.If(waits):
            self.assume(m, valid & (payload == before))

    def sink(self, m: Module, stream, name: str) -> None:
        """Ready on any clocks; and the claim."""
        payload = stream.payload.as_value()
        waits, before = Signal(name=f"{name}_waits"), Signal(len(payload), name=f"{name}_before")
        m.d.comb += stream.ready.eq(self.free(m, 1, f"{name}_ready"))
        m.d.sync += [waits.eq(stream.valid & ~stream.ready), before.eq(payload)]
        with m.If(waits):
            self.claim(m, stream.valid, f"{name}: a code that waits stays")
            self.claim(m, payload == before, f"{name}: the payload of a code that waits stays")
            self.cover(m, stream.ready, f"{name}: a code that waited is taken")


class SerializerProof(BetweenLayersProof):
    """The queue between a macro and the next one.

    Claims: as many codes leave as belong to the groups that were taken, and no more than ``h_beats`` + 1 groups are
    inside; a code that waits stays.

    Parameters
    ----------
    spec : Specification
        Of the macro.
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec, dut = self.spec, Serializer(self.spec)
        m.submodules.dut = Fragment.get(dut, RegisterMemories())
        self.source(m, dut.h, "h")
        self.sink(m, dut.codes, "codes")
        beat = Signal(range(spec.h_beats), name="beat_in")
        h, codes = dut.h, dut.codes
        taken, left = h.valid & h.ready, codes.valid & codes.ready
        # Groups come in steps, as the macro sends them.
        self.assume(m, h.payload.end == (beat == spec.h_beats - 1))
        with m.If(taken):
            m.d.sync += beat.eq(Mux(h.payload.end, 0, beat + 1))
        in_last = spec.hidden - (spec.h_beats - 1) * spec.lanes
        most = (spec.h_beats + 1) * spec.lanes
        inside = Signal(range(2 * most + spec.lanes), name="codes_inside")
        m.d.sync += inside.eq(inside + Mux(taken, Mux(h.payload.end, in_last, spec.lanes), 0) - left)
        with m.If(codes.valid):
            self.claim(m, inside != 0, "codes: one is shown only while some are inside")
        self.claim(m, inside <= most, "codes: no more are inside than the queue holds")
        self.cover(m, taken & left, "a group is taken while a code leaves")


class SideBySideProof(BetweenLayersProof):
    """Two streams side by side.

    Claims: a code moves if and only if one of one stream does, never of both; it is that one; the turns are those of
    the counts; a code that waits stays.

    Parameters
    ----------
    first, second : int
        Codes of each in a step.
    """

    def __init__(self, first: int, second: int, **options):
        super().__init__(**options)
        self.counts = (first, second)

    def describe(self, m: Module) -> None:
        dut = SideBySide(*self.counts, 3)
        m.submodules.dut = Fragment.get(dut, None)
        parts = (dut.first, dut.second)
        for name, part in zip(("first", "second"), parts, strict=True):
            self.source(m, part, name)
        self.sink(m, dut.codes, "codes")
        moves = Cat(part.valid & part.ready for part in parts)
        place, whole = Signal(range(sum(self.counts)), name="place"), sum(self.counts)
        with m.If(dut.codes.valid & dut.codes.ready):
            m.d.sync += place.eq(Mux(place == whole - 1, 0, place + 1))
            self.claim(m, moves == Mux(place < self.counts[0], 0b01, 0b10), "one code moves, of the stream in turn")
            for k, part in enumerate(parts):
                with m.If(moves[k]):
                    self.claim(m, dut.codes.payload.as_value() == part.payload.as_value(), "the code is that one")
        with m.Else():
            self.claim(m, moves == 0, "no code is lost")
        self.cover(m, place == whole - 1, "the last code of a step is next")
        turn, left = dut.turn, dut.left
        self.invariant(m, place == Mux(turn, self.counts[0], 0) + left, "the place in the step")
        self.invariant(m, left < Mux(turn, self.counts[1], self.counts[0]), "the place in the part")


class HeadCodesProof(BetweenLayersProof):
    """What makes a stream of codes the h stream of a head of one lane.

    Claims: every code passes on its clock; ``end`` is high with the last code of a step, and with no other; ``last`` is
    that of the code; a code that waits stays.

    Parameters
    ----------
    spec : NetworkSpecification
        Whose last layer has two directions.
    """

    def __init__(self, spec: NetworkSpecification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        dut, count = HeadCodes(self.spec), self.spec.hidden
        m.submodules.dut = Fragment.get(dut, None)
        codes, h = dut.codes, dut.h
        self.source(m, codes, "codes")
        self.sink(m, h, "h")
        place = Signal(range(count), name="place")
        self.claim(m, (h.valid == codes.valid) & (h.ready == codes.ready), "every code passes on its clock")
        with m.If(h.valid):
            self.claim(m, h.payload.codes[0] == codes.payload.code, "the code is that one")
            self.claim(m, h.payload.last == codes.payload.last, "last of the code")
            self.claim(m, h.payload.end == (place == count - 1), "end with the last code of a step")
        with m.If(h.valid & h.ready):
            m.d.sync += place.eq(Mux(place == count - 1, 0, place + 1))
        self.cover(m, h.valid & h.payload.end, "the last code of a step is next")
        self.invariant(m, dut.passed == place, "the place in the step")


class MemoryProof(BetweenLayersProof):
    """The memory of an utterance.

    Claims: while any reader is under way, no code of another utterance is taken; a code that waits stays.

    Parameters
    ----------
    parts, readers, max_steps
        As :class:`~crossramp.rtl.layers.utterance_memory.UtteranceMemory` takes them.
    """

    def __init__(self, parts, readers, max_steps: int, **options):
        super().__init__(**options)
        self.parts, self.readers, self.max_steps = parts, readers, max_steps

    def describe(self, m: Module) -> None:
        dut = UtteranceMemory(self.parts, self.readers, 2, self.max_steps)
        m.submodules.dut = Fragment.get(dut, None)
        writes = [getattr(dut, f"write_{k}") for k in range(len(self.parts))]
        reads = [getattr(dut, f"read_{k}") for k in range(len(self.readers))]
        for k, stream in enumerate(writes):
            self.source(m, stream, f"write_{k}")
        for k, stream in enumerate(reads):
            self.sink(m, stream, f"read_{k}")
        for stream in writes:
            with m.If(dut.reading):
                self.claim(m, ~stream.ready, "no code is taken while the utterance is read")
        self.cover(m, reads[-1].valid & reads[-1].ready & reads[-1].payload.last, "the last step is read")


def between_proofs(top: LayeredTop) -> list[Entry]:
    """The proofs of what stands between the macros of a top that has been elaborated; of blocks that are alike once."""
    found: dict[tuple, tuple[Entry, list[str]]] = {}
    for name, block in top.blocks.items():
        match block:
            case Serializer():
                key, entry = (
                    (block.spec.h_beats, block.spec.lanes, block.spec.streamed, block.spec.input_bits),
                    Entry(
                        "queue",
                        "no more codes leave than came, and h_beats + 1 groups are the most inside; what waits, stays",
                        partial(SerializerProof, block.spec),
                        Mode.BOUNDED,
                        _QUEUE_CLOCKS,
                    ),
                )
            case SideBySide():
                key, entry = (
                    block.counts,
                    Entry(
                        "queue",
                        "of two streams a step of each in turn: a code moves on one side at a time, and none is lost",
                        partial(SideBySideProof, *block.counts),
                    ),
                )
            case HeadCodes():
                key, entry = (
                    (),
                    Entry(
                        "queue",
                        "every code goes to the head, and end is high with the last one of a step",
                        partial(HeadCodesProof, block.spec),
                    ),
                )
            case UtteranceMemory():
                sizes = block.parts, block.readers, block.max_steps
                key, entry = (
                    sizes,
                    Entry(
                        "memory",
                        "while an utterance is read, no code of another one is taken; a code that waits, stays",
                        partial(MemoryProof, *sizes),
                    ),
                )
            case _:
                continue
        found.setdefault((type(block), *key), (entry, []))[1].append(name)
    return [replace(entry, of=", ".join(names)) for entry, names in found.values()]
