# SPDX-License-Identifier: Apache-2.0
"""Codes that one macro gives another: those of a step are kept together until they have been driven."""

from amaranth import Array, Cat, Module, Mux, Signal
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.given_codes import GivenCodes

from ..engine.entry import Entry
from ..engine.proof import Proof
from ..engine.solver import Mode


class GivenCodesProof(Proof):
    """The bank of a stream of given values, with any writer, and a macro that releases what is full.

    Claims: it is full exactly while all groups of a step have come since the last release, and takes none then; each
    code then stands at its line, as sign and magnitude; codes of h that end an utterance leave no trace.

    Parameters
    ----------
    spec : Specification
        Of a macro that other macros give something.
    source : str
    """

    def __init__(self, spec: Specification, source: str, **options):
        super().__init__(**options)
        self.spec, self.source = spec, source

    def describe(self, m: Module) -> None:
        m.submodules.dut = dut = GivenCodes(self.spec, self.source)
        groups, bits = -(-dut.lines // dut.lanes), dut.bits
        payload = self.free(m, len(dut.given.payload.as_value()), "payload")
        valid, release = self.free(m, 1, "valid"), self.free(m, 1, "release")
        line = self.choice(m, dut.lines, "line")
        m.d.comb += [dut.given.valid.eq(valid), dut.given.payload.as_value().eq(payload)]
        m.d.comb += dut.release.eq(release & dut.full)

        taken, expected = Signal(range(groups + 1), name="taken"), Signal(bits, name="expected")
        drops = dut.given.payload.last if dut.before else 0
        with m.If(dut.release):
            m.d.sync += taken.eq(0)
        with m.Elif(valid & dut.given.ready & ~drops):
            m.d.sync += taken.eq(taken + 1)
            for place in range(dut.lines):
                with m.If((line == place) & (taken == place // dut.lanes)):
                    m.d.sync += expected.eq(payload[place % dut.lanes * bits :][:bits])
        self.claim(m, dut.full == (taken == groups), "full while all groups of a step are there")
        self.claim(m, dut.given.ready == ~dut.full, "groups are taken while it is not full")
        negative = Signal(name="negative")
        magnitude = Signal(bits - 1, name="magnitude")
        m.d.comb += [
            negative.eq(Array(dut.negative[place] for place in range(dut.lines))[line]),
            magnitude.eq(Array(Cat(plane[place] for plane in dut.magnitude) for place in range(dut.lines))[line]),
        ]
        value = expected.as_signed()
        with m.If(dut.full & (value != -(1 << (bits - 1)))):
            self.claim(m, Mux(negative, -magnitude, magnitude) == value, "a code stands at its line")
        self.cover(m, dut.full & negative & (magnitude == 1), "it is full of codes of a step")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of what other macros give one of ``spec``."""
    claim = "what {} gives is kept together, each code at its line, until it has been driven"
    return [
        Entry(
            "given",
            claim.format(source),
            lambda source=source: GivenCodesProof(spec, source),
            Mode.BOUNDED,
            3 * -(-spec.given_sizes(source)[0] // spec.given_sizes(source)[1]) + 4,
        )
        for source in spec.layout.given
    ]
