# SPDX-License-Identifier: Apache-2.0
"""The dense head against golden.network: exact logits and answers, under any pauses."""

import numpy as np
import pytest
from crossramp.golden.array.weights import Weights
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.head import Head
from hypothesis import given, settings

from tests.support.amaranth_benches import pauses, receive, send, simulate
from tests.support.strategies import network_of, seeds, specifications


def h_payloads(spec, utterances):
    """Beats of the h stream for utterances of shape (steps, units)."""
    payloads = []
    for h in utterances:
        padded = np.zeros((len(h), spec.h_beats * spec.lanes), int)
        padded[:, : spec.hidden] = h
        for t, step in enumerate(padded.reshape(len(h), spec.h_beats, spec.lanes)):
            for b, group in enumerate(step):
                end = b == spec.h_beats - 1
                payloads.append({"codes": [int(code) for code in group], "end": end, "last": t == len(h) - 1})
    return payloads


def run_head(spec, network, utterances, rng, probability, weights=None):
    """(logits, answers, too_long) of a simulated head; shapes (answers, classes) and (answers,) twice.

    Answers: one an utterance, or one a step where that is the readout.
    """
    dut = Head(spec, network.weights.head if weights is None else weights, network.weights.head_biases)
    payloads = h_payloads(spec, utterances)
    found = {}
    count = sum(map(len, utterances)) if spec.readout == "step" else len(utterances)

    async def feed(ctx):
        await send(ctx, dut.h, payloads, pauses(rng, probability))

    async def logits(ctx):
        found["logits"] = await receive(ctx, dut.logit, count * spec.classes, pauses(rng, probability))

    async def answers(ctx):
        found["answers"] = await receive(ctx, dut.answer, count, pauses(rng, probability))

    simulate(dut, logits, answers, background=[feed], clocks=100_000)
    values = np.array([logit.value for logit in found["logits"]]).reshape(count, spec.classes)
    lasts = np.array([logit.last for logit in found["logits"]]).reshape(count, spec.classes)
    assert lasts[:, -1].all()
    assert not lasts[:, :-1].any()
    answered = found["answers"]
    return values, np.array([a.index for a in answered]), np.array([a.too_long for a in answered])


def hidden(spec, rng, steps):
    return [rng.integers(-spec.input_max, spec.input_max + 1, (n, spec.hidden)) for n in steps]


def golden_head(network, h):
    """Golden's trace of the head for h of one utterance, shape (steps, hidden)."""
    return network.with_head(Trace(h=h[None]))


def check(spec, seed, steps, probability):
    rng = np.random.default_rng(seed)
    network = network_of(spec, seed)
    utterances = hidden(spec, rng, steps)
    logits, answers, too_long = run_head(spec, network, utterances, rng, probability)
    golden = [golden_head(network, h) for h in utterances]
    np.testing.assert_array_equal(answers, np.concatenate([trace.answers.ravel() for trace in golden]))
    np.testing.assert_array_equal(logits, np.concatenate([t.logits.reshape(-1, spec.classes) for t in golden]))
    assert not too_long.any()


@given(spec=specifications(), seed=seeds)
@settings(max_examples=30)
def test_every_specification(spec, seed):
    check(spec, seed, [1, 3, 1, 2], probability=0.3)


@pytest.mark.parametrize("probability", [0.0, 0.5])
@pytest.mark.parametrize("readout", ["mean", "last", "step"])
@pytest.mark.parametrize("lanes", [1, 3, 7])
def test_short_utterances_back_to_back(lanes, readout, probability, seed):
    # The head needs longer for an utterance of one step than the step takes: h must wait, and nothing is lost.
    check(Specification(inputs=1, units=7, classes=3, lanes=lanes, readout=readout), seed, [1] * 6, probability)


@pytest.mark.parametrize("lanes", [1, 4, 7])
def test_a_sum_is_read_right_after_it_was_written(lanes, seed):
    # Without a pause: with all units in one beat, the same word again on the next clock.
    check(Specification(inputs=1, units=7, classes=3, lanes=lanes), seed, [3, 5, 2], probability=0.0)


def test_the_best_of_one_utterance_does_not_count_in_the_next(rng):
    """All logits of the second and the last utterance are below those of the one before."""
    spec = Specification(inputs=1, units=4, classes=2, bias_rows=0)
    network = Network(
        spec, Weights(np.zeros((spec.rows, spec.columns), int), np.array([[1] * 4, [2] * 4]), np.zeros(2, int))
    )
    utterances = [np.full((1, 4), value) for value in (15, -1, 1, -15)]
    logits, answers, _ = run_head(spec, network, utterances, rng, 0.0)
    assert logits.tolist() == [[60, 120], [-4, -8], [4, 8], [-60, -120]]
    assert answers.tolist() == [1, 0, 1, 0]


def test_ties_go_to_the_lower_class(seed, rng):
    spec = Specification(inputs=1, units=2, classes=4)
    network = network_of(spec, seed)
    weights = np.array([[1, 1], [3, 3], [3, 3], [2, 2]])
    network = Network(spec, Weights(network.weights.macro, weights, np.zeros(4, int)))
    _, answers, _ = run_head(spec, network, [np.full((2, 2), 5), np.full((2, 2), -5)], rng, 0)
    np.testing.assert_array_equal(answers, [1, 0])


@pytest.mark.parametrize("readout", ["mean", "last"])
def test_longest_utterance_and_one_too_long(readout, seed, rng):
    spec = Specification(inputs=1, units=2, classes=2, max_steps=3, readout=readout)
    network = network_of(spec, seed)
    utterances = [np.full((n, 2), spec.input_max) for n in (3, 4, 7, 3, 1)]
    logits, _, too_long = run_head(spec, network, utterances, rng, 0)
    np.testing.assert_array_equal(too_long, [0, 1, 1, 0, 0])
    for k in (0, 3, 4):
        np.testing.assert_array_equal(logits[k], golden_head(network, utterances[k]).logits[0])


def test_no_step_is_too_long(seed):
    """With the readout "step" max_steps bounds nothing."""
    check(Specification(inputs=1, units=3, classes=2, lanes=2, max_steps=2, readout="step"), seed, [7, 1], 0.2)


@given(spec=specifications(), seed=seeds)
@settings(max_examples=15)
def test_clocks_from_one_utterance_to_the_next(spec, seed):
    """Latency and pace of the head, nobody waiting for anything: those that the specification states."""
    network = network_of(spec, seed)
    dut = Head(spec, network.weights.head, network.weights.head_biases)
    payloads = h_payloads(spec, hidden(spec, np.random.default_rng(seed), [1] * 4))
    taken, answered = [], []

    async def feed(ctx):
        await send(ctx, dut.h, payloads)

    async def watch(ctx):
        ctx.set(dut.logit.ready, 1)
        ctx.set(dut.answer.ready, 1)
        h, clock = dut.h, 0
        async for *_, last, answer in ctx.tick().sample(h.valid & h.ready & h.payload.end, dut.answer.valid):
            clock += 1
            taken.extend([clock] * last)
            answered.extend([clock] * answer)
            if len(answered) == 4:
                return

    simulate(dut, watch, background=[feed], clocks=100_000)
    pace = max(spec.head_clocks, spec.h_beats)
    assert np.diff(taken).tolist() == [pace] * 3
    assert np.subtract(answered, taken).tolist() == [spec.head_clocks - 1] * 4


@pytest.mark.parametrize("readout", ["mean", "step"])
def test_the_comparison_can_fail(readout, seed, rng):
    spec = Specification(inputs=1, units=3, classes=2, lanes=2, readout=readout)
    network = network_of(spec, seed)
    utterances = hidden(spec, rng, [1])
    wrong = network.weights.head.copy()
    wrong[1, 2] += 1 if wrong[1, 2] < spec.head_weight_max else -1
    utterances[0][:, 2] = 1
    logits, _, _ = run_head(spec, network, utterances, rng, 0, weights=wrong)
    golden = golden_head(network, utterances[0]).logits.reshape(-1, 2)
    assert (logits != golden).tolist() == [[False, True]]


def test_refuses_weights_of_another_shape():
    spec = Specification(inputs=1, units=3, classes=2)
    with pytest.raises(ValueError, match=r"must have the shape \(2, 3\)"):
        Head(spec, np.zeros((2, 4), int), np.zeros(2, int))
