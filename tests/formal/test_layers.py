# SPDX-License-Identifier: Apache-2.0
"""Proofs of the streams between the macros of several layers; covers; planted faults."""

import pytest
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.layers.streams_proof import MemoryProof, SerializerProof, SideBySideProof

from tests.support.planted import planted
from tests.support.proving import few, holds, is_violated

STREAMS, MEMORY = "rtl/layers/code_streams.py", "rtl/layers/utterance_memory.py"


def spec(units, lanes):
    return Specification(inputs=1, units=units, classes=0, lanes=lanes, input_bits=2)


@pytest.mark.parametrize(("units", "lanes"), few([(3, 2), (1, 1), (4, 4), (5, 2)], (0,)))
def test_serializer(units, lanes):
    holds(SerializerProof(spec(units, lanes)), Mode.BOUNDED, 16)


@pytest.mark.parametrize(("first", "second"), few([(2, 3), (1, 1), (4, 4)], (0, 1)))
def test_side_by_side(first, second):
    holds(SideBySideProof(first, second), Mode.PROVE, 2)


@pytest.mark.parametrize(
    ("parts", "readers"),
    few([([(2, False), (1, True)], [False, True]), ([(1, False)], [False, True]), ([(2, False)], [True])], (0,)),
)
def test_memory(parts, readers):
    holds(MemoryProof(parts, readers, 3), Mode.PROVE, 2)


def test_covers_are_reached():
    holds(SerializerProof(spec(3, 2), invariants=False), Mode.COVER, 12)
    holds(SideBySideProof(2, 1, invariants=False), Mode.COVER, 8)
    holds(MemoryProof([(1, False), (1, True)], [False, True], 2), Mode.COVER, 16)


#: Claims alone, as faults break them.
QUEUE = SerializerProof(spec(3, 2), invariants=False)
PAIR = SideBySideProof(2, 1, invariants=False)
KEPT = MemoryProof([(1, False)], [False], 2, invariants=False)

FAULTS = [
    (STREAMS, "fifo.r_en.eq(codes.ready & final)", "fifo.r_en.eq(final)", QUEUE, "stays"),
    (STREAMS, "Mux(beat.end, in_last - 1, spec.lanes - 1)", "Mux(0, in_last - 1, spec.lanes - 1)", QUEUE, "only while"),
    (STREAMS, "turn.eq(1 - number)", "turn.eq(number)", PAIR, "stream in turn"),
    (STREAMS, "source.ready.eq(self.codes.ready)", "source.ready.eq(1)", PAIR, "no code is lost"),
    (MEMORY, "moves.eq(~valid | out.ready)", "moves.eq(1)", KEPT, "stays"),
    (MEMORY, "source.ready.eq(~closed)", "source.ready.eq(1)", KEPT, "while the utterance is read"),
]


@pytest.mark.parametrize(("file", "old", "new", "proof", "message"), FAULTS)
def test_faults(file, old, new, proof, message):
    with planted(file, old, new):
        is_violated(proof, 14, message)
