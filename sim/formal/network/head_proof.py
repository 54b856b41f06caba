# SPDX-License-Identifier: Apache-2.0
"""The head as a whole: logits and answers of utterance after utterance, for any weights; bounded."""

from amaranth import Cat, Fragment, Module, Mux, Signal, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.head import Head

from ..engine.entry import Entry
from ..engine.inspection import named, replaced_memory
from ..engine.proof import Proof
from ..engine.solver import Mode


class HeadProof(Proof):
    """The head, with weights and biases that are any constants: a memory of the proof stands in for the head's.

    Environment: ``end`` comes with every last beat of a step, codes are within ±input_max. Everything else is free:
    codes, gaps, lengths of utterances, and when logits and answers are taken.

    Claims:

    - Logits are the sums over units of weight times sum of h (or last h), and the bias times the number of steps
      (or the bias), unless the utterance is too long.
    - Of each utterance (with the readout ``"step"``, each step) come one logit a class, in order, the last one marked,
      then one answer, with the first of the largest logits; nothing else comes.
    - The answer comes ``spec.head_clocks`` - 1 clocks after the last beat of h, and the clocks on which a logit waits.
    - ``too_long`` says whether there were more than max_steps steps.
    - Logits and answers that wait do not change. Beats of h wait only if they are the last of an utterance and the one
      before has not been answered.

    Parameters
    ----------
    spec : Specification
        Few bits, units, classes and steps: products of unknowns are hard for solvers.
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec, classes, hidden, lanes = self.spec, self.spec.classes, self.spec.hidden, self.spec.lanes
        every, mean = spec.readout == "step", spec.readout == "mean"
        dut = Head(spec, *(([[0] * hidden] * classes, [0] * classes) if every else ()))
        m.submodules.dut = fragment = Fragment.get(dut, None)
        weights, biases = self._parameters(m, fragment)
        h, logit, answer = dut.h, dut.logit, dut.answer
        beat = Signal(range(max(spec.h_beats, 2)))
        m.d.comb += [
            h.valid.eq(self.free(m, 1, "h_valid")),
            h.payload.codes.eq(self.free(m, len(h.payload.codes.as_value()), "codes")),
            h.payload.last.eq(self.free(m, 1, "last")),
            h.payload.end.eq(beat == spec.h_beats - 1),
            logit.ready.eq(self.free(m, 1, "logit_ready")),
            answer.ready.eq(self.free(m, 1, "answer_ready")),
        ]
        for code in h.payload.codes:
            self.assume(m, (code >= -spec.input_max) & (code <= spec.input_max))

        # ---- reference: the utterance under way, and the one that is answered
        taken, end = named(m, "beat_taken", h.valid & h.ready), h.payload.end
        final = named(m, "final_beat", end if every else end & h.payload.last)
        finished = named(m, "utterance_finished", taken & final)
        steps, count, pending = Signal(range(spec.max_steps + 2)), Signal(range(spec.max_steps + 2)), Signal()
        with m.If(taken):
            m.d.sync += beat.eq(Mux(end, 0, beat + 1))
        with m.If(taken & end):
            m.d.sync += steps.eq(Mux(final, 0, Mux(steps > spec.max_steps, steps, steps + 1)))
        with m.If(finished):
            m.d.sync += [count.eq(Mux(steps > spec.max_steps, steps, steps + 1)), pending.eq(1)]
        with m.Elif(answer.valid & answer.ready):
            m.d.sync += pending.eq(0)
        sums = []
        shape = signed((spec.input_max * (spec.max_steps + 1)).bit_length() + 1)
        for unit in range(hidden):
            total, after, kept = (Signal(shape, name=f"{name}_{unit}") for name in ("sum", "sum_after", "sum_kept"))
            now = taken & (beat == unit // lanes)
            code = h.payload.codes[unit % lanes]
            m.d.comb += after.eq(Mux(now, Mux(steps == 0, 0, total) + code if mean else code, total))
            m.d.sync += total.eq(after)
            with m.If(finished):
                m.d.sync += kept.eq(after)
            sums.append(kept)
        too_long = named(m, "too_long", 0 if every else count > spec.max_steps)
        expected = []
        for k in range(classes):
            products = sum((weight * value for weight, value in zip(weights[k], sums, strict=True)), start=0)
            bias = biases[k] * count if mean else biases[k]
            expected.append(named(m, f"expected_logit_{k}", products + bias))
        best, index = expected[0], 0
        for k in range(1, classes):
            larger = named(m, f"larger_{k}", expected[k] > best)
            best, index = named(m, f"best_{k}", Mux(larger, expected[k], best)), Mux(larger, k, index)

        # ---- claims
        place, clocks = Signal(range(classes + 1)), Signal(range(spec.head_clocks + 1))
        waits = named(m, "logit_waits", logit.valid & ~logit.ready)
        with m.If(finished):
            m.d.sync += [place.eq(0), clocks.eq(1)]
        with m.Else():
            m.d.sync += place.eq(place + (logit.valid & logit.ready))
            m.d.sync += clocks.eq(clocks + (pending & ~waits & ~answer.valid))
        with m.If(logit.valid):
            self.claim(m, pending & (place < classes), "a logit a class of an utterance that was finished")
            self.claim(m, logit.payload.last == (place == classes - 1), "the last logit is marked")
            for k in range(classes):
                right = (logit.payload.value == expected[k]) | too_long
                self.claim(m, right | (place != k), "the logit of each class in turn")
        due = named(m, "answer_due", pending & (clocks == spec.head_clocks - 1))
        self.claim(m, answer.valid == due, "the answer after its clocks, and until it is taken")
        with m.If(answer.valid):
            self.claim(m, place == classes, "the answer behind all logits")
            self.claim(m, answer.payload.too_long == too_long, "too_long")
            self.claim(m, too_long | (answer.payload.index == index), "the first of the largest logits")
        self.claim(m, h.ready == ~(pending & final), "only the last beat of an utterance waits, for the answer before")
        for name, stream in (("logit", logit), ("answer", answer)):
            waited, payload = Signal(name=f"{name}_waited"), stream.payload.as_value()
            before = Signal(len(payload), name=f"{name}_before")
            m.d.sync += [waited.eq(stream.valid & ~stream.ready), before.eq(payload)]
            with m.If(waited):
                self.claim(m, stream.valid & (payload == before), f"{name} that waits does not change")

        answers = Signal(2)
        with m.If(answer.valid & answer.ready & (answers != 3)):
            m.d.sync += answers.eq(answers + 1)
        self.cover(m, answers == 2, "a second answer")
        with m.If(answer.valid & (answers == 1)):
            self.cover(m, (answer.payload.index == classes - 1) & ~too_long, "the last class in the second answer")
        if not every:
            self.cover(m, answer.valid & too_long, "an utterance that is too long")

    def _parameters(self, m: Module, fragment: Fragment):
        """Weights and biases as constants of any value within their ranges, in place of the memory of the gateware."""
        spec = self.spec
        bits, size, words = signed(spec.head_bias_bits), spec.head_lanes, []
        weights, biases = [], []
        for k in range(spec.classes):
            row = [self._parameter(m, spec.head_weight_max, f"weight_{k}_{u}") for u in range(spec.hidden)]
            weights.append(row)
            biases.append(self._parameter(m, spec.head_bias_max, f"bias_{k}"))
            padded = [*row, *[Signal(bits, name=f"none_{k}_{u}") for u in range(-len(row) % size)]]
            words += [padded[u : u + size] for u in range(0, len(padded), size)]
            words.append([biases[-1], *[Signal(bits, name=f"none_{k}_bias_{u}") for u in range(size - 1)]])
        replaced_memory(
            m, fragment, "multiplier.weights", [named(m, f"word_{k}", _joined(w)) for k, w in enumerate(words)]
        )
        return weights, biases

    def _parameter(self, m: Module, most: int, name: str) -> Signal:
        value = self.constant(m, signed(self.spec.head_bias_bits), name)
        self.assume(m, (value <= most) & (value >= -most))
        return value


def _joined(values):
    return values[0] if len(values) == 1 else Cat(*values)


def few_bits(spec: Specification) -> Specification:
    """A head that is as ``spec``'s but small: one unit, two classes, two bits, and one step."""
    return Specification(
        **{"inputs": 1, "units": 1, "classes": 2, "head_weight_bits": 2, "max_steps": 1, "readout": spec.readout},
        **{"adc_bits": 2, "input_bits": 2, "weight_bits": 2, "state_bits": 4, "state_frac_bits": 2},
    )


def proofs(spec: Specification) -> list[Entry]:
    """The proof of a head with the readout of ``spec``."""
    return [
        Entry(
            "head",
            "logits and answers of two utterances, for any weights (one unit, two classes, two bits)",
            lambda: HeadProof(few_bits(spec)),
            Mode.BOUNDED,
            20,
        )
    ]
