# SPDX-License-Identifier: Apache-2.0
"""Proofs of the head: its sums, multiplier and argmax for any trace, the whole bounded; covers; planted faults."""

import pytest
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.network import argmax_proof, head_multiplier_proof, head_proof, head_sums_proof
from crossramp.sim.formal.network.argmax_proof import ArgmaxProof
from crossramp.sim.formal.network.head_multiplier_proof import HeadMultiplierProof
from crossramp.sim.formal.network.head_proof import HeadProof, few_bits
from crossramp.sim.formal.network.head_sums_proof import HeadSumsProof

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated

SUMS, MULTIPLIER, ARGMAX = (f"rtl/network/{name}.py" for name in ("head_sums", "head_multiplier", "argmax"))
HEAD = "rtl/network/head.py"
READOUTS = ("mean", "last", "step")


def head(**sizes) -> Specification:
    """A specification of few bits."""
    few = {"inputs": 1, "units": 3, "lanes": 2, "classes": 2, "head_weight_bits": 2, "max_steps": 2}
    few |= {"adc_bits": 2, "input_bits": 2, "weight_bits": 2, "state_bits": 4, "state_frac_bits": 2}
    return Specification(**(few | sizes))


def test_shipped_models(shipped_spec):
    for proofs in (head_sums_proof.proofs, head_multiplier_proof.proofs, argmax_proof.proofs):
        all_hold(proofs(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize("readout", READOUTS)
def test_drawn_sizes(readout, rng):
    for proof in (HeadSumsProof, HeadMultiplierProof, ArgmaxProof):
        for _ in range(3):
            units = int(rng.integers(1, 14))
            sizes = {"units": units, "lanes": int(rng.integers(1, units + 1)), "classes": int(rng.integers(1, 9))}
            sizes |= {"max_steps": int(rng.integers(1, 1000)), "head_weight_bits": int(rng.integers(2, 17))}
            sizes |= {"input_bits": int(rng.integers(2, 9)), "projection": int(rng.integers(0, units + 1))}
            holds(proof(head(readout=readout, **sizes)), Mode.PROVE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("readout", READOUTS)
def test_two_answers_of_the_whole(readout):
    all_hold(head_proof.proofs(head(readout=readout)))


@pytest.mark.slow
def test_an_utterance_of_two_steps_and_two_units():
    """One answer with sums, up to an utterance that is too long."""
    holds(HeadProof(head(units=2)), Mode.BOUNDED, 13)


@pytest.mark.slow
@pytest.mark.parametrize("readout", READOUTS)
def test_two_answers_are_within_the_bound(readout):
    (entry,) = head_proof.proofs(head(readout=readout))
    holds(entry.proof(), Mode.COVER, entry.depth)


@pytest.mark.parametrize(
    "proof",
    [HeadSumsProof(head()), HeadMultiplierProof(head()), ArgmaxProof(head())],
    ids=lambda one: type(one).__name__,
)
def test_covers_are_reached(proof):
    holds(proof, Mode.COVER, 30)


FAULTS = [
    # proof, sizes, clocks, file, old, new, the claim that breaks
    (HeadSumsProof, {}, 14, SUMS, "self.hold & finishing", "self.hold", "only the last beat"),
    (HeadSumsProof, {}, 14, SUMS, "half ^ self.finished", "half", "what is read"),
    (HeadSumsProof, {}, 14, SUMS, "overlong | (steps == spec.max_steps)", "overlong", "too_long"),
    (HeadSumsProof, {}, 14, SUMS, "steps + 1 if spec.readout", "steps if spec.readout", "count of"),
    (HeadSumsProof, {}, 14, SUMS, "Mux(steps == 0, 0, before.data[lane])", "before.data[lane]", "what is read"),
    (HeadSumsProof, {}, 14, SUMS, "read.en.eq(sums.enable)", "read.en.eq(1)", "what is read"),
    (HeadSumsProof, {}, 14, SUMS, "write.en.eq(taken)", "write.en.eq(h.valid)", "what is read"),
    (HeadSumsProof, {"units": 5}, 14, SUMS, "Mux(h.payload.end, 0, group + 1)", "group + 1", "what is read"),
    (HeadSumsProof, {"units": 1, "lanes": 1}, 9, SUMS, "(write,) if spec.h_beats == 1 else ()", "()", "what is read"),
    (HeadMultiplierProof, {}, 20, MULTIPLIER, "~self.logit.valid | self.logit.ready)", "1)", "clocks that flow"),
    (HeadMultiplierProof, {}, 20, MULTIPLIER, "Mux(is_bias, self.count,", "Mux(is_bias, 1,", "or of the bias"),
    (HeadMultiplierProof, {}, 20, MULTIPLIER, "Mux(complete, 0, total)", "total", "the first replaces"),
    (
        HeadMultiplierProof,
        {},
        20,
        MULTIPLIER,
        "lane == spec.lanes - 1",
        "lane == spec.lanes - 2",
        "the sum of each unit",
    ),
    (HeadMultiplierProof, {}, 20, MULTIPLIER, "word == len(self.words) - 1", "word == len(self.words) - 2", "a logit"),
    (HeadMultiplierProof, {}, 20, MULTIPLIER, "read.en.eq(flows)", "read.en.eq(1)", "weights that were asked"),
    (ArgmaxProof, {"classes": 3}, 8, ARGMAX, "logit.value > best", "logit.value >= best", "first of equal"),
    (ArgmaxProof, {"classes": 3}, 8, ARGMAX, "(logit.index == 0) | ", "", "no logit is larger"),
    (ArgmaxProof, {"classes": 3}, 8, ARGMAX, "with m.If(answer.ready):", "with m.If(1):", "until it is taken"),
    (HeadProof, {}, 20, HEAD, "sums.hold.eq(self.busy)", "sums.hold.eq(0)", "only the last beat"),
    (HeadProof, {}, 20, HEAD, "logit.valid & logit.ready)", "logit.valid)", "the answer after its clocks"),
    (HeadProof, {}, 20, HEAD, "multiplier.busy | argmax.answer.valid", "multiplier.busy", "only the last beat"),
    (
        HeadProof,
        {},
        20,
        HEAD,
        "too_long.eq(sums.too_long)",
        "too_long.eq(argmax.answer.payload.too_long)",
        "too",
    ),
]
QUICK = (0, 9)


@pytest.mark.parametrize(
    ("proof", "sizes", "clocks", "file", "old", "new", "message"),
    few(FAULTS, QUICK),
)
def test_planted_faults(proof, sizes, clocks, file, old, new, message):
    spec = few_bits(head(**sizes)) if proof is HeadProof else head(**sizes)
    with planted(file, old, new):
        is_violated(proof(spec, invariants=False), clocks, message)
