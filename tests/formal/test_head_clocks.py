# SPDX-License-Identifier: Apache-2.0
"""Proofs of the head's clocks, alone and behind the macro: drawn and shipped sizes; covers; planted faults."""

import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.network import head_clocks_proof, network_clocks_proof
from crossramp.sim.formal.network.head_clocks_proof import HeadClocksProof
from crossramp.sim.formal.network.network_clocks_proof import NetworkClocksProof

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated

from .test_boundary import TINY, sized

HEAD, SUMS, MULTIPLIER = "rtl/network/head.py", "rtl/network/head_sums.py", "rtl/network/head_multiplier.py"
ARGMAX, LOADER = "rtl/network/argmax.py", "rtl/macro/loader.py"
READOUTS = ("mean", "last", "step")


def head(**sizes) -> Specification:
    """A specification with few classes, units and bits."""
    return sized(**({"inputs": 1, "units": 3, "lanes": 2, "classes": 2} | sizes))


def test_shipped_models(shipped_spec):
    all_hold(head_clocks_proof.proofs(shipped_spec))


@pytest.mark.slow
@pytest.mark.parametrize("readout", READOUTS)
def test_drawn_sizes(readout, rng):
    for _ in range(4):
        units = int(rng.integers(1, 14))
        sizes = {"units": units, "lanes": int(rng.integers(1, units + 1)), "classes": int(rng.integers(1, 9))}
        holds(
            HeadClocksProof(head(readout=readout, **sizes, projection=int(rng.integers(0, units + 1)))), Mode.PROVE, 2
        )


def test_only_the_readout_step_adds_to_the_clocks_of_a_step():
    assert network_clocks_proof.proofs(load_model("kws").spec) == []


@pytest.mark.slow
def test_an_answer_in_every_step_at_the_size_of_a_shipped_model():
    all_hold(network_clocks_proof.proofs(load_model("text").spec))


@pytest.mark.parametrize(
    "sizes",
    [
        {"classes": 20},  # the head takes longest
        *(
            pytest.param(sizes, marks=pytest.mark.slow)
            for sizes in (
                {},  # the macro
                {"inputs": 40},  # loading x
                {"inputs": 40, "classes": 13},  # the head, then loading, then the macro
                {"inputs": 60, "classes": 18},  # loading, then the head
                {"projection": 2, "classes": 30, "comparator_registers": 1},
                {"units": 1, "lanes": 1, "projection": 1},
            )
        ),
    ],
)
def test_an_answer_in_every_step(sizes):
    spec = sized(readout="step", **sizes)
    all_hold(network_clocks_proof.proofs(spec))


@pytest.mark.slow
def test_an_answer_in_every_step_of_drawn_sizes(rng):
    for _ in range(6):
        units = int(rng.integers(1, 7))
        spec = sized(
            readout="step",
            units=units,
            inputs=int(rng.integers(1, 60)),
            classes=int(rng.integers(1, 40)),
            lanes=int(rng.integers(1, units + 1)),
            projection=int(rng.integers(0, units + 1)),
            settle_clocks=int(rng.integers(1, 5)),
            comparator_registers=int(rng.integers(0, 2)),
        )
        holds(NetworkClocksProof(spec), Mode.PROVE, 2)


@pytest.mark.parametrize("readout", [pytest.param("mean", marks=pytest.mark.slow), "step"])
def test_covers_are_reached(readout):
    holds(HeadClocksProof(head(readout=readout)), Mode.COVER, 40)


#: Macro and head of few clocks; of a step, the head's are more.
SHORT = TINY.replace(readout="step", classes=8)


@pytest.mark.slow
def test_covers_of_macro_and_head_are_reached():
    holds(NetworkClocksProof(SHORT), Mode.COVER, SHORT.macro_clocks + 2 * SHORT.head_clocks + 6)


LAST, LOGIT, ANSWER = "the last beat of an utterance", "a logit on its clock", "the answer on its clock"
FAULTS = [
    # file, old, new, the claim that breaks
    (HEAD, "multiplier.busy | argmax.answer.valid", "multiplier.busy", "busy until"),
    (HEAD, "sums.hold.eq(self.busy)", "sums.hold.eq(0)", LAST),
    (HEAD, "logit.valid & logit.ready)", "logit.valid)", ANSWER),
    (HEAD, "argmax.answer.ready.eq(self.answer.ready)", "argmax.answer.ready.eq(1)", ANSWER),
    (HEAD, "logit.ready.eq(self.logit.ready)", "logit.ready.eq(1)", "a logit"),
    (SUMS, "self.hold & finishing", "self.hold", LAST),
    (SUMS, "self.hold & finishing", "self.hold & ~finishing", LAST),
    (SUMS, "h.payload.end if every_step else h.payload.end & h.payload.last", "h.payload.end", "busy until"),
    (MULTIPLIER, "word == len(self.words) - 1", "word == len(self.words) - 2", "a logit"),
    (MULTIPLIER, "with m.If(part == parts):", "with m.If(part == parts - 1):", "a logit"),
    (MULTIPLIER, "operand_is_bias.eq(part == parts)", "operand_is_bias.eq(part == parts - 1)", "a logit"),
    (MULTIPLIER, "product_valid.eq(valid)", "product_valid.eq(valid & ~product_valid)", "a logit"),
    (MULTIPLIER, "~self.logit.valid | self.logit.ready)", "~self.logit.valid)", "a logit"),
    (MULTIPLIER, "index == spec.classes - 1", "index == spec.classes - 2", "the last logit"),
    (MULTIPLIER, "m.d.comb += self.busy.eq(0)", "pass", "busy until"),
    (ARGMAX, "answer.valid.eq(logit.last)", "answer.valid.eq(1)", ANSWER),
    (ARGMAX, "with m.If(answer.ready):", "with m.If(1):", ANSWER),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), few(FAULTS, (0,)))
def test_planted_faults(file, old, new, message):
    with planted(file, old, new):
        is_violated(HeadClocksProof(head(), invariants=False), 24, message)


#: Of a step, loading takes the most clocks.
LOADED = SHORT.replace(inputs=30)
NETWORK_FAULTS = [
    (HEAD, "sums.hold.eq(self.busy)", "sums.hold.eq(0)", SHORT, LAST),
    (MULTIPLIER, "~self.logit.valid | self.logit.ready)", "~self.logit.valid)", SHORT, LOGIT),
    (LOADER, "~self.full | self.take", "~self.full", LOADED, "the last beats of two steps"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "spec", "message"), NETWORK_FAULTS)
def test_planted_faults_of_macro_and_head(file, old, new, spec, message):
    with planted(file, old, new):
        is_violated(NetworkClocksProof(spec, invariants=False), spec.inputs + 2 * spec.clocks_per_step, message)
