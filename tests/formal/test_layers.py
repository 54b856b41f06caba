# SPDX-License-Identifier: Apache-2.0
"""Proofs of several layers: macros that load groups or are projected, streams, the top, heads; covers; faults."""

import pytest
from crossramp.golden.layers.layer import Layer
from crossramp.golden.spec.row_tile import row_tiles_of
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.catalog import proofs_of
from crossramp.sim.formal.conversion.pulse_proof import PulseProof
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.layers.given_proof import GivenCodesProof
from crossramp.sim.formal.layers.stack_proof import StackProof
from crossramp.sim.formal.layers.streams_proof import HeadCodesProof, MemoryProof, SerializerProof, SideBySideProof
from crossramp.sim.formal.macro.boundary_proof import BoundaryProof
from crossramp.sim.formal.macro.clocks_proof import ClocksProof, PeriodProof
from crossramp.sim.formal.macro.stream_proof import StreamProof
from crossramp.sim.formal.macro.tiles_proof import TilesProof
from crossramp.sim.formal.macro.unit_proof import UnitProof
from crossramp.sim.formal.network.head_reader_proof import HeadReaderProof

from tests.support.layered import HEAD_IN_ARRAY, PROJECTED, SMALL, SUMMED, TWO_WAYS
from tests.support.planted import planted
from tests.support.proving import few, holds, is_violated

STREAMS, MEMORY = "rtl/layers/code_streams.py", "rtl/layers/utterance_memory.py"
TOP, READER, LOADER = "rtl/layers/layered_top.py", "rtl/network/head_reader.py", "rtl/macro/loader.py"
MACRO, BOUNDARY = "rtl/macro/macro.py", "rtl/common/boundary.py"

#: A macro of two bits, three inputs and three units, two of them in a clock.
PLAIN = {"inputs": 3, "units": 3, "classes": 0, "lanes": 2, "adc_bits": 2, "input_bits": 2, "weight_bits": 2}
PLAIN |= {"state_bits": 4, "state_frac_bits": 2, "state_pulse_bits": 2, "calibration_cells": 1}
TINY = Specification(**PLAIN)
NO_STATE = {"cell": "rnn_tanh", "state_bits": None, "state_frac_bits": None, "state_pulse_bits": None}
#: The same, whose h an array projects to two codes.
PROJECTING = Specification(**PLAIN, projection=2, projection_in="array")
#: In arrays of two units and one.
TILED = Specification(**PLAIN, tile_columns=8)


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


@pytest.mark.parametrize(
    ("proof", "spec", "lanes"),
    few(
        [
            (StreamProof, TINY, 2),
            (PulseProof, PROJECTING, 2),
            (PulseProof, TINY, 2),
            (ClocksProof, PROJECTING, 1),
            (StreamProof, PROJECTING, 2),
            (PeriodProof, TINY, 2),
            (UnitProof, PROJECTING, 1),
        ]
    ),
)
def test_macros_of_layers(proof, spec, lanes):
    """Groups of x, as they leave the macro before; h by way of another macro."""
    holds(proof(spec, x_lanes=lanes), Mode.PROVE, 3)


@pytest.mark.parametrize("spec", few([PROJECTED, SMALL, HEAD_IN_ARRAY, TWO_WAYS.replace(readout="step")], (0,)))
def test_top(spec):
    holds(StackProof(spec), Mode.PROVE, 2)


def test_codes_for_the_head():
    holds(HeadCodesProof(TWO_WAYS), Mode.PROVE, 2)


@pytest.mark.parametrize("lanes", few([2, 1, 3], (0,)))
def test_head_in_an_array(lanes):
    holds(HeadReaderProof(head_of(lanes)), Mode.PROVE, 2)


def head_of(lanes):
    layers = HEAD_IN_ARRAY.layers
    macro = layers[1].macro.replace(units=3, lanes=lanes)
    return HEAD_IN_ARRAY.replace(layers=(layers[0], Layer(macro=macro)), classes=3)


def test_tiles():
    holds(TilesProof(TILED), Mode.BOUNDED, 1)


@pytest.mark.parametrize("spec", [SMALL, PROJECTED, HEAD_IN_ARRAY])
def test_listed_proofs(spec):
    """Equal macros once, each row with its name; what stands between them; one head."""
    entries = proofs_of(spec)
    assert len({(entry.of, entry.block, entry.claim) for entry in entries}) == len(entries)
    named = {name for entry in entries for name in entry.of.split(", ")}
    assert set(spec.macros) | {"top", "head", "layer0_memory", "layer1_memory"} <= named
    assert all(entry.of for entry in entries)
    of_units = [entry.of for entry in entries if entry.block == "units" and "compact" not in entry.claim]
    assert len(of_units) == len(set(spec.macros.values()))


#: Streams of given values: codes of sums to a macro, h of the step before and a value of the step to its sums.
GIVEN = [("layer0", "partial1"), ("layer0_partial1", "h"), ("layer0_partial4", "k")]


@pytest.mark.parametrize(("macro", "source"), few(GIVEN, (1,)))
def test_given_codes(macro, source):
    holds(GivenCodesProof(SUMMED.macros[macro], source), Mode.BOUNDED, 10)


#: Of two units and two bits: what waits for sums, and what makes them of x and h.
WAITING = Specification(**PLAIN | NO_STATE | {"inputs": 1, "units": 2, "bias_rows": 1, "partial_rows": 2})
(SUMMING,) = row_tiles_of(WAITING).values()


@pytest.mark.parametrize(
    ("proof", "spec"),
    few(
        [
            (BoundaryProof, WAITING),
            (ClocksProof, SUMMING),
            (StreamProof, WAITING),
            (BoundaryProof, SUMMING),
            (ClocksProof, WAITING),
            (UnitProof, SUMMING),
        ]
    ),
)
def test_macros_of_partial_sums(proof, spec):
    """Whatever other macros give, on any clocks."""
    holds(proof(spec), Mode.PROVE, 2)


def test_proofs_of_partial_sums_are_listed():
    """What another macro gives is proven to be kept, in the place of the pulses of one macro alone."""
    blocks = {(name, entry.block) for entry in proofs_of(SUMMED) for name in entry.of.split(", ")}
    assert {("layer0", "given"), ("layer0_partial4", "given"), ("layer1_projection", "pulses")} <= blocks
    assert ("layer0", "pulses") not in blocks


def test_covers_are_reached():
    holds(GivenCodesProof(SUMMED.macros["layer0_partial1"], "h"), Mode.COVER, 6)
    holds(StackProof(PROJECTED, invariants=False), Mode.COVER, 4)
    holds(HeadReaderProof(head_of(2), invariants=False), Mode.COVER, 16)
    holds(HeadCodesProof(TWO_WAYS, invariants=False), Mode.COVER, 10)
    holds(TilesProof(TILED, invariants=False), Mode.COVER, 2)
    holds(StreamProof(PROJECTING, x_lanes=2, invariants=False), Mode.COVER, 44)
    holds(SerializerProof(spec(3, 2), invariants=False), Mode.COVER, 12)
    holds(SideBySideProof(2, 1, invariants=False), Mode.COVER, 8)
    holds(MemoryProof([(1, False), (1, True)], [False, True], 2), Mode.COVER, 16)


#: Claims alone, as faults break them.
QUEUE = SerializerProof(spec(3, 2), invariants=False)
PAIR = SideBySideProof(2, 1, invariants=False)
KEPT = MemoryProof([(1, False)], [False], 2, invariants=False)

CODES = HeadCodesProof(TWO_WAYS, invariants=False)
JOINED = StackProof(PROJECTED, invariants=False)
READ = HeadReaderProof(head_of(2), invariants=False)
SPLIT = TilesProof(TILED, invariants=False)
GROUPS = StreamProof(TINY, x_lanes=2, invariants=False)
HELD = GivenCodesProof(SUMMED.macros["layer0_partial1"], "h", invariants=False)
GIVEN_CODES = "rtl/macro/given_codes.py"

CLOCKED = ClocksProof(WAITING, invariants=False)

FAULTS = [
    ("rtl/macro/sequencer.py", "ready & self.fed", "ready & 1", CLOCKED, "does not go on"),
    (GIVEN_CODES, "self.given.ready.eq(~self.full)", "self.given.ready.eq(1)", HELD, "not full"),
    (GIVEN_CODES, "~(beat.last if self.before else 0)", "~(beat.last & 0)", HELD, "full while"),
    (GIVEN_CODES, "with m.If(loaded == groups - 1):", "with m.If(loaded == groups - 2):", HELD, "full while"),
    (STREAMS, "fifo.r_en.eq(codes.ready & final)", "fifo.r_en.eq(final)", QUEUE, "stays"),
    (STREAMS, "Mux(beat.end, in_last - 1, spec.lanes - 1)", "Mux(0, in_last - 1, spec.lanes - 1)", QUEUE, "only while"),
    (STREAMS, "turn.eq(1 - number)", "turn.eq(number)", PAIR, "stream in turn"),
    (STREAMS, "source.ready.eq(self.codes.ready)", "source.ready.eq(1)", PAIR, "no code is lost"),
    (MEMORY, "moves.eq(~valid | out.ready)", "moves.eq(1)", KEPT, "stays"),
    (MEMORY, "source.ready.eq(~closed)", "source.ready.eq(1)", KEPT, "while the utterance is read"),
    (STREAMS, "passed == self.spec.hidden - 1", "passed == self.spec.hidden - 2", CODES, "end with the last"),
    (
        TOP,
        "self.h.valid.eq(h.valid & head.h.ready)",
        "self.h.valid.eq(h.valid)",
        JOINED,
        "the tap gets every beat once",
    ),
    (TOP, "head.h.valid.eq(h.valid & self.h.ready)", "head.h.valid.eq(h.valid)", JOINED, "the head gets every beat"),
    (TOP, "projected.valid.eq(dense.h.valid & h.ready)", "projected.valid.eq(dense.h.valid)", JOINED, "as they leave"),
    (READER, "operand_lane.eq(lane)", "operand_lane.eq(0)", READ, "the logit is the sum of its unit"),
    (READER, "lane == spec.lanes - 1", "lane == 0", READ, "the group of each class in turn"),
    (BOUNDARY, "for tile in tiles)).all()", "for tile in tiles)).any()", SPLIT, "not ready while an array is not"),
    (LOADER, "loaded == groups - 1", "loaded == groups", GROUPS, "no more than two steps are inside"),
]


@pytest.mark.parametrize(("file", "old", "new", "proof", "message"), FAULTS)
def test_faults(file, old, new, proof, message):
    with planted(file, old, new):
        is_violated(proof, 14, message)


def test_a_step_that_is_over_before_its_projection():
    proof = ClocksProof(PROJECTING, invariants=False)
    with planted(MACRO, "beat.valid & beat.payload.end", "beat.valid"):
        is_violated(proof, proof.clocks + PROJECTING.beats + 6, "while it waits, a step does not go on")
