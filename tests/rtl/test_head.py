# SPDX-License-Identifier: Apache-2.0
"""The dense head against golden.network: exact logits and answers, under any pauses."""

import numpy as np
import pytest
from crossramp.golden.specification import Specification
from crossramp.rtl.head import Head
from hypothesis import given, settings

from tests.rtl.bench import pauses, receive, send, simulate
from tests.strategies import network_of, seeds, specifications


def h_payloads(spec, utterances):
    """Beats of the h stream for utterances of shape (steps, units)."""
    payloads = []
    for h in utterances:
        padded = np.zeros((len(h), spec.beats * spec.lanes), int)
        padded[:, : spec.units] = h
        for t, step in enumerate(padded.reshape(len(h), spec.beats, spec.lanes)):
            for b, group in enumerate(step):
                end = b == spec.beats - 1
                payloads.append({"codes": [int(code) for code in group], "end": end, "last": t == len(h) - 1})
    return payloads


def run_head(spec, network, utterances, rng, probability, weights=None):
    """(logits, answers, too_long) of a simulated head; shapes (utterances, classes) and (utterances,) twice."""
    dut = Head(spec, network.head_weights if weights is None else weights, network.head_biases)
    payloads = h_payloads(spec, utterances)
    found = {}

    async def feed(ctx):
        await send(ctx, dut.h, payloads, pauses(rng, probability))

    async def logits(ctx):
        found["logits"] = await receive(ctx, dut.logit, len(utterances) * spec.classes, pauses(rng, probability))

    async def answers(ctx):
        found["answers"] = await receive(ctx, dut.answer, len(utterances), pauses(rng, probability))

    simulate(dut, logits, answers, background=[feed], clocks=100_000)
    values = np.array([logit.value for logit in found["logits"]]).reshape(len(utterances), spec.classes)
    lasts = np.array([logit.last for logit in found["logits"]]).reshape(len(utterances), spec.classes)
    assert lasts[:, -1].all()
    assert not lasts[:, :-1].any()
    answered = found["answers"]
    return values, np.array([a.index for a in answered]), np.array([a.too_long for a in answered])


def hidden(spec, rng, steps):
    return [rng.integers(-spec.input_max, spec.input_max + 1, (n, spec.units)) for n in steps]


def check(spec, seed, steps, probability):
    rng = np.random.default_rng(seed)
    network = network_of(spec, seed)
    utterances = hidden(spec, rng, steps)
    logits, answers, too_long = run_head(spec, network, utterances, rng, probability)
    for k, h in enumerate(utterances):
        expected_answers, expected_logits, _ = network.head(h[None])
        np.testing.assert_array_equal(logits[k], expected_logits[0])
        assert answers[k] == expected_answers[0]
    assert not too_long.any()


@given(spec=specifications(), seed=seeds)
@settings(max_examples=30)
def test_every_specification(spec, seed):
    check(spec, seed, [1, 3, 1, 2], probability=0.3)


@pytest.mark.parametrize("probability", [0.0, 0.5])
@pytest.mark.parametrize("readout", ["mean", "last"])
@pytest.mark.parametrize("lanes", [1, 3, 7])
def test_short_utterances_back_to_back(lanes, readout, probability, seed):
    # The head needs longer for an utterance of one step than the step takes: h must wait, and nothing is lost.
    check(Specification(inputs=1, units=7, classes=3, lanes=lanes, readout=readout), seed, [1] * 6, probability)


@pytest.mark.parametrize("lanes", [1, 4, 7])
def test_a_sum_is_read_right_after_it_was_written(lanes, seed):
    # Without a pause: with all units in one beat, the same word again on the next clock.
    check(Specification(inputs=1, units=7, classes=3, lanes=lanes), seed, [3, 5, 2], probability=0.0)


def test_ties_go_to_the_lower_class(seed, rng):
    spec = Specification(inputs=1, units=2, classes=4)
    network = network_of(spec, seed)
    weights = np.array([[1, 1], [3, 3], [3, 3], [2, 2]])
    network = type(network)(spec, network.weights, weights, np.zeros(4, int))
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
        np.testing.assert_array_equal(logits[k], network.head(utterances[k][None])[1][0])


def test_the_comparison_can_fail(seed, rng):
    spec = Specification(inputs=1, units=3, classes=2, lanes=2)
    network = network_of(spec, seed)
    utterances = hidden(spec, rng, [2])
    wrong = network.head_weights.copy()
    wrong[1, 2] += 1 if wrong[1, 2] < spec.head_weight_max else -1
    utterances[0][:, 2] = 1
    logits, _, _ = run_head(spec, network, utterances, rng, 0, weights=wrong)
    assert (logits[0] != network.head(utterances[0][None])[1][0]).tolist() == [False, True]


def test_refuses_weights_of_another_shape():
    spec = Specification(inputs=1, units=3, classes=2)
    with pytest.raises(ValueError, match=r"must have the shape \(2, 3\)"):
        Head(spec, np.zeros((2, 4), int), np.zeros(2, int))
