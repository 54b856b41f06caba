# SPDX-License-Identifier: Apache-2.0
"""Where the projection is: what its pipeline and its groups hold after so many clocks, for proofs of the macro."""

from amaranth import Fragment, Module, Mux, Signal, Value
from crossramp.rtl.macro.sequencer import Phase

from ..engine.proof import Proof, ProofError, implies

#: Stages of the pipeline, from the operands to the sum.
STAGES = ("operand", "product", "total")


def free_projection_weights(proof: Proof, m: Module, fragment: Fragment) -> None:
    """Replace the memory of weights inside an elaborated macro by one whose every word read has any value.

    What then holds, holds for all weights.
    """
    (projection,) = (part for part, name, *_ in fragment.subfragments if name == "projection")
    found = [part for part in projection.subfragments if part[1] == "weights"]
    if len(found) != 1 or len(found[0][0]._read_ports) != 1:
        raise ProofError("the projection's weights are not one memory with one read port")
    projection.subfragments.remove(found[0])
    word = Value.cast(found[0][0]._read_ports[0]._data)
    m.d.comb += word.eq(proof.free(m, len(word), "projection_weights"))


def projection_clocks_left(proof, m: Module):
    """Invariants of the projection, and the clocks that are left of the phase PROJECT while nothing waits.

    Beside the pipeline run counters of the proof: which code, and which of its groups of products, each stage holds.
    They are tied to the pipeline's flags, and all of them to the clocks that have passed.

    Returns
    -------
    (Signal, list of (Value, Signal, Signal))
        The clocks that are left; and of the address and each stage, whether it is occupied, its code, and which of its
        groups of products.
    """
    spec, words = proof.spec, proof.spec.projection * proof.spec.beats

    def inside(name: str) -> Signal:
        return proof.inside(f"projection.{name}")

    valid, end, go, word, group, lane, code, addressed, complete, done = (
        inside(name)
        for name in ("valid", "end", "go", "word", "group", "lane", "code", "addressed", "complete", "done")
    )
    running = proof.in_phase(Phase.PROJECT)
    passed = Signal(range(words + 4), name="projection_passed")  # clocks on which the pipeline moved
    with m.If(done):
        m.d.sync += passed.eq(0)
    with m.Elif(go):
        m.d.sync += passed.eq(passed + 1)
    proof.invariant(m, passed <= words + 3, "projection: clocks")
    proof.invariant(m, word == Mux(passed < words, passed, words), "projection: address")
    proof.invariant(m, implies(~running, (passed == 0) & ~valid), "projection: idle")
    proof.invariant(m, implies(passed == words + 3, valid & end), "projection: the last group waits")
    proof.invariant(m, implies(valid & end, (passed == words + 3) | ~running), "projection: end of the last group only")

    # Code and group of products at the address, and of each stage.
    codes = range(spec.projection + 1)
    row, place = Signal(codes, name="projection_row"), group
    with m.If(done):
        m.d.sync += row.eq(0)
    with m.Elif(addressed & (group == spec.beats - 1)):
        m.d.sync += row.eq(row + 1)
    proof.invariant(m, word == row * spec.beats + place, "projection: word of the weights")
    proof.invariant(m, place < spec.beats, "projection: group of the codes")
    places = [(addressed, row, place)]
    for k, stage in enumerate(STAGES):
        occupied, first, last = (inside(f"{stage}_{name}") for name in ("valid", "first", "last"))
        row_before, place_before = row, place
        row, place = Signal(codes, name=f"projection_row_{stage}"), Signal.like(group, name=f"projection_place_{stage}")
        with m.If(go):
            m.d.sync += [row.eq(row_before), place.eq(place_before)]
        present = Signal(name=f"projection_present_{stage}")
        m.d.comb += present.eq((passed > k) & (passed <= words + k))
        proof.invariant(m, occupied == present, f"projection: {stage}: occupied")
        at = implies(present, passed == row * spec.beats + place + (k + 1))
        proof.invariant(m, at, f"projection: {stage}: place")
        proof.invariant(m, implies(present, first == (place == 0)), f"projection: {stage}: first")
        proof.invariant(m, implies(present, last == (place == spec.beats - 1)), f"projection: {stage}: last")
        proof.invariant(
            m, implies(present, (row < spec.projection) & (place < spec.beats)), f"projection: {stage}: bounds"
        )
        places.append((present, row, place))

    # Codes that are complete, in groups of lanes.
    left = Signal(range(spec.h_beats + 1), name="projection_groups")  # groups complete
    with m.If(done):
        m.d.sync += left.eq(0)
    with m.Elif(complete & ((lane == spec.lanes - 1) | (code == spec.projection - 1))):
        m.d.sync += left.eq(left + 1)
    proof.invariant(m, implies(present, code == row), "projection: codes complete")
    proof.invariant(m, implies(passed < len(STAGES), (code == 0) & (lane == 0)), "projection: no code complete")
    proof.invariant(m, implies(passed <= words + 2, code == left * spec.lanes + lane), "projection: lane of the code")
    proof.invariant(m, implies(passed == words + 3, lane == 0), "projection: all groups complete")
    proof.invariant(m, lane < spec.lanes, "projection: lanes")
    clocks = Signal(range(spec.projection_clocks + 1), name="projection_left")
    m.d.comb += clocks.eq(spec.projection_clocks - passed)
    return clocks, places
