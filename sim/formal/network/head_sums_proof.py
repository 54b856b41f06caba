# SPDX-License-Identifier: Apache-2.0
"""The head's sums: of any unit, over utterance after utterance, while those of the one before are read."""

from amaranth import Array, Fragment, Module, Mux, Signal, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.head_sums import HeadSums

from ..engine.entry import Entry
from ..engine.inspection import memory_reads, memory_word, named
from ..engine.proof import Proof, implies, signal_inside


class HeadSumsProof(Proof):
    """Sums of h, of a unit that stands for all of them.

    Environment: ``end`` comes with every last beat of a step, as the macro gives it. Everything else is free: codes,
    ``last``, gaps, ``hold``, and which sums are read when.

    Claims, for any trace:

    - Only the last beat of an utterance waits (with the readout ``"step"``, of a step), and it waits while ``hold`` is
      high; ``finished`` is high when it is taken.
    - ``count`` and ``too_long`` are those of the utterance that was finished last, and change at no other time.
    - The data that is read for the unit is its sum in the utterance that was finished last, or its last h; the
      utterance under way does not change it. Data that is not read anew stays. Sums have the bits of the gateware's:
      enough for max_steps, as ``spec.sum_max`` says.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec, mean, every = self.spec, self.spec.readout == "mean", self.spec.readout == "step"
        dut = HeadSums(spec)
        m.submodules.dut = fragment = Fragment.get(dut, None)
        h, sums = dut.h, dut.sums
        bits = spec.sum_max.bit_length() + 1
        group, lane = self.choice(m, spec.h_beats, "group"), self.choice(m, spec.lanes, "lane")

        # ---- environment
        beat = Signal(range(max(spec.h_beats, 2)))
        m.d.comb += [
            h.valid.eq(self.free(m, 1, "h_valid")),
            h.payload.codes.eq(self.free(m, len(h.payload.codes.as_value()), "codes")),
            h.payload.last.eq(self.free(m, 1, "last")),
            h.payload.end.eq(beat == spec.h_beats - 1),
            dut.hold.eq(self.free(m, 1, "hold")),
            sums.group.eq(self.free(m, len(sums.group), "read_group")),
            sums.enable.eq(self.free(m, 1, "enable")),
        ]
        taken, end = named(m, "beat_taken", h.valid & h.ready), h.payload.end
        final = named(m, "final_beat", end if every else end & h.payload.last)
        with m.If(taken):
            m.d.sync += beat.eq(Mux(end, 0, beat + 1))
        done = named(m, "utterance_done", taken & final)

        # ---- reference
        code = named(m, "code", Array(h.payload.codes[k] for k in range(spec.lanes))[lane])
        steps = Signal(range(spec.max_steps + 2))  # of the utterance under way, those complete
        following = named(m, "steps_after", Mux(steps > spec.max_steps, steps, steps + 1))
        total, total_after = Signal(signed(bits)), Signal(signed(bits))
        added = named(m, "added", taken & (beat == group))
        first = named(m, "first_step", steps == 0)
        m.d.comb += total_after.eq(Mux(added, Mux(first, 0, total) + code if mean else code, total))
        m.d.sync += total.eq(total_after)
        finished, finished_steps, finished_total = Signal(), Signal.like(steps), Signal(signed(bits))
        with m.If(taken & end):
            m.d.sync += steps.eq(Mux(final, 0, following))
        with m.If(done):
            m.d.sync += [finished.eq(1), finished_steps.eq(following), finished_total.eq(total_after)]
        known, expected = Signal(), Signal(signed(bits))
        with m.If(sums.enable):
            m.d.sync += [known.eq(finished & (sums.group == group)), expected.eq(finished_total)]

        # ---- claims
        self.claim(m, h.ready == ~(dut.hold & final), "only the last beat of an utterance waits, while hold is high")
        self.claim(m, dut.finished == done, "finished with the last beat")
        with m.If(finished):
            count = Mux(finished_steps > spec.max_steps, dut.count, finished_steps) if mean else 1
            self.claim(m, dut.count == count, "count of the utterance that was finished")
            long = 0 if every else finished_steps > spec.max_steps
            self.claim(m, dut.too_long == long, "too_long of the utterance that was finished")
        data = named(m, "data_of_unit", Array(sums.data[k] for k in range(spec.lanes))[lane])
        with m.If(known):
            self.claim(m, data == expected, "what is read is the sum of the utterance that was finished")
        self.cover(m, known & (data == spec.input_max) & (finished_steps == spec.max_steps), "a sum is read")
        again = Signal()
        m.d.sync += again.eq(again | (done & finished))
        self.cover(m, again & known & (expected == -spec.input_max) & (steps != 0), "a second utterance, and a third")

        # ---- invariants
        own_group, half, own_steps, overlong = (
            signal_inside(fragment, name) for name in ("group", "half", "steps", "overlong")
        )
        depth = len(sums.group)
        addresses = {
            name: named(m, f"{name}_at", (Mux(side, 1 << depth, 0) + group)[: depth + 1])
            for name, side in (("under_way", half), ("before", ~half))
        }
        words = {name: memory_word(fragment, "memory", at, f"{name}_word") for name, at in addresses.items()}
        of_unit = {
            name: named(m, f"{name}_sum", word.word_select(lane, bits).as_signed()) for name, word in words.items()
        }
        self.invariant(m, (own_group == beat) & (beat < spec.h_beats), "beat")
        self.invariant(m, steps <= spec.max_steps + 1, "steps")
        self.invariant(m, own_steps == Mux(steps > spec.max_steps, spec.max_steps, steps), "steps counted")
        self.invariant(m, overlong == (steps > spec.max_steps), "too many steps")
        with m.If((steps != 0) | (beat > group)):
            self.invariant(m, of_unit["under_way"] == total, "the sum so far is kept")
        with m.If(finished):
            self.invariant(m, of_unit["before"] == finished_total, "the sum of the utterance before is kept")
        self.invariant(m, implies(known, finished), "nothing is known before an utterance")
        if mean:
            (read, *_) = memory_reads(fragment, "memory")
            with m.If((steps != 0) & (beat == group)):
                before = read.word_select(lane, bits).as_signed()
                self.invariant(m, before == total, "the sum so far is there to be added to")


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the head's sums at the sizes of ``spec``."""
    claim = "the sum of any unit, read while the next utterance is added up; count, too_long; what waits"
    return [Entry("head", claim, lambda: HeadSumsProof(spec))]
