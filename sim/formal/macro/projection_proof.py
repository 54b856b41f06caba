# SPDX-License-Identifier: Apache-2.0
"""The projection: which products are made and added, what becomes of a sum, and the stream of groups."""

from amaranth import Cat, Fragment, Module, Mux, Signal
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.common.arith import balanced_sum
from crossramp.rtl.macro.projection import Projection

from ..engine.entry import Entry
from ..engine.inspection import memory_reads, memory_word, named
from ..engine.proof import Proof, signal_inside
from .projection_places import projection_clocks_left


class ProjectionProof(Proof):
    """The projection alone, step after step.

    Environment: all groups of a step's codes are written, with gaps, then ``run`` is high until ``done``, as the
    sequencer does it. Codes, and when a group is taken, are free. The memory of weights holds any values.

    Claims, for any trace; the pipeline moves on clocks of ``run`` on which no group waits:

    - A group of products is made on each clock that it moves: word code * beats + group of the weights, with the codes
      that were written as that group, for a group that stands for all of them.
    - The first group of a code replaces the sum, every other one is added to it.
    - A sum becomes a code by rounding of its magnitude to the nearest multiple of 2**projection_shift, halves away from
      zero, and ±input_max instead of anything larger. It stands in lane code % lanes; lanes beyond the last are zero.
    - A group is valid behind its last code; it waits unchanged. The last one is marked, and comes after exactly
      ``spec.projection_clocks`` clocks on which no group waits.

    Parameters
    ----------
    spec : Specification
        With a projection.
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec, lanes, beats = self.spec, self.spec.lanes, self.spec.beats
        # Induction takes any weights; these, which no two neighbors share, are those of a trace from reset.
        most = spec.head_weight_max
        weights = [
            [most if (code + unit) % 2 else -most for unit in range(spec.units)] for code in range(spec.projection)
        ]
        dut = Projection(spec, weights)
        m.submodules.dut = self.fragment = Fragment.get(dut, None)
        bits = len(dut.codes.as_value())
        codes, write, begins = self.free(m, bits, "codes"), self.free(m, 1, "write"), self.free(m, 1, "begins")
        written, self.running = Signal(range(beats + 1)), Signal(name="running")
        writes = named(m, "writes", write & (written != beats))
        m.d.comb += [dut.codes.eq(codes), dut.write.eq(writes), dut.run.eq(self.running)]
        m.d.comb += dut.ready.eq(self.free(m, 1, "ready"))
        with m.If(writes):
            m.d.sync += written.eq(written + 1)
        with m.If(dut.done):
            m.d.sync += [self.running.eq(0), written.eq(0)]
        with m.Elif((written == beats) & begins):
            m.d.sync += self.running.eq(1)
        beat = self.choice(m, beats, "beat")  # of the codes
        stored = Signal(bits)
        with m.If(writes & (written == beat)):
            m.d.sync += stored.eq(codes)

        # ---- claims: clocks, operands, products, sum
        left, stages = projection_clocks_left(self, m)
        _, operand, product, total = stages
        moves = named(m, "moves", self.running & (~dut.valid | dut.ready))
        (weights,), (kept,) = memory_reads(self.fragment, "weights"), memory_reads(self.fragment, "kept")
        row, place = Signal(range(spec.projection + 1)), Signal(range(max(beats, 2)))
        with m.If(dut.done):
            m.d.sync += row.eq(0)
        with m.Elif(moves & (row != spec.projection)):
            m.d.sync += [place.eq(Mux(place == beats - 1, 0, place + 1)), row.eq(row + (place == beats - 1))]
        with m.If(self.running & (row != spec.projection)):
            at = (stages[0][2] == place) & (self.inside("word") == row * beats + place)
            self.claim(m, at, "each group of products in turn")
        self.invariant(m, (stages[0][1] == row) & (stages[0][2] == place), "code and group")
        (memory,) = (part for part, name, *_ in self.fragment.subfragments if name == "weights")
        address = named(m, "expected_word", stages[0][1] * beats + stages[0][2])
        word = memory_word(self.fragment, "weights", address[: len(memory._read_ports[0]._addr)], "expected_weights")
        asked = Signal.like(word, name="asked_weights")
        with m.If(moves):
            m.d.sync += asked.eq(word)
        with m.If(operand[0]):
            self.claim(m, weights == asked, "the weights of each group of products in turn")
            with m.If(operand[2] == beat):
                self.claim(m, kept == stored, "the codes as they were written")
        products = [signal_inside(self.fragment, f"product_{k}") for k in range(lanes)]
        for k, register in enumerate(products):
            expected = Signal.like(register, name=f"expected_product_{k}")
            code_bits, weight_bits = spec.input_bits, spec.head_weight_bits
            code = kept[k * code_bits : (k + 1) * code_bits].as_signed()
            with m.If(moves):
                m.d.sync += expected.eq(weights[k * weight_bits : (k + 1) * weight_bits].as_signed() * code)
            with m.If(product[0]):
                self.claim(m, register == expected, "a product of a weight with its code")
        own_total = signal_inside(self.fragment, "total")
        exact = Signal.like(own_total, name="expected_total")
        with m.If(moves & product[0]):
            m.d.sync += exact.eq(Mux(product[2] == 0, 0, own_total) + balanced_sum(products))
        with m.If(total[0]):
            self.claim(m, own_total == exact, "the first group replaces the sum, the others are added")

        # ---- claims: codes and groups
        size = named(m, "size", Mux(own_total < 0, -own_total, own_total))
        nearest = named(m, "nearest", (size + (1 << spec.projection_shift) // 2) >> spec.projection_shift)
        held = named(m, "held", Mux(nearest > spec.input_max, spec.input_max, nearest))
        result = named(m, "code", Mux(own_total < 0, -held, held))
        complete = named(m, "code_complete", moves & total[0] & (total[2] == beats - 1))
        lane, group = Signal(range(lanes)), Signal(range(spec.h_beats + 1))
        expected = [Signal.like(dut.r[k], name=f"expected_{k}") for k in range(lanes)]
        last = named(m, "last_code", total[1] == spec.projection - 1)
        due, marked = Signal(), Signal()
        with m.If(dut.ready):
            m.d.sync += due.eq(0)
        with m.If(complete):
            for k in range(lanes):
                with m.If(lane == k):
                    m.d.sync += expected[k].eq(result)
                with m.Elif(lane == 0):
                    m.d.sync += expected[k].eq(0)
            m.d.sync += lane.eq(lane + 1)
            with m.If(last | (lane == lanes - 1)):
                m.d.sync += [lane.eq(0), due.eq(1), marked.eq(last), group.eq(Mux(last, 0, group + 1))]
        self.claim(m, dut.valid == due, "a group behind its last code, until it is taken")
        for k in range(lanes):
            self.claim(m, dut.r[k] == expected[k], "the code of each lane")
        with m.If(due):
            self.claim(m, dut.end == marked, "the last group is marked")
            self.claim(m, dut.end == (left == 1), "the last group after the clocks of the projection")
        self.claim(m, dut.done == (due & dut.ready & marked), "done with the last group")
        waited, before = Signal(), Signal(bits + 1)
        m.d.sync += [waited.eq(dut.valid & ~dut.ready), before.eq(Cat(dut.r, dut.end))]
        with m.If(waited):
            self.claim(m, dut.valid & (Cat(dut.r, dut.end) == before), "a group that waits does not change")
        again = Signal()
        m.d.sync += again.eq(again | dut.done)
        self.cover(m, again & dut.valid & waited, "a second step, and a group that waits")

        # ---- invariants
        content = memory_word(self.fragment, "kept", beat[: len(self.address("kept"))], "kept_word")
        with m.If(written > beat):
            self.invariant(m, content == stored, "codes are kept")
        self.invariant(m, written <= beats, "groups written")
        self.invariant(m, ~self.running | (written == beats), "runs when all are written")
        own_written = signal_inside(self.fragment, "written")
        self.invariant(m, own_written == Mux(written == beats, 0, written), "groups written, as counted inside")
        self.invariant(m, signal_inside(self.fragment, "lane") == lane, "lane")

    def address(self, memory: str):
        (found,) = (part for part, name, *_ in self.fragment.subfragments if name == memory)
        return found._read_ports[0]._addr

    def inside(self, path: str) -> Signal:
        """A signal of the projection, by its path in the macro."""
        return signal_inside(self.fragment, path.removeprefix("projection."))

    def in_phase(self, *phases) -> Signal:
        """Whether the projection runs: for the sequencer of the macro, its phase PROJECT."""
        return self.running


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the projection at the sizes of ``spec``, if it has one."""
    if not spec.digital_projection:
        return []
    claim = "every product is made and added once; codes rounded and held; groups in order, after their clocks"
    return [Entry("projection", claim, lambda: ProjectionProof(spec))]
