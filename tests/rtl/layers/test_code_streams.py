# SPDX-License-Identifier: Apache-2.0
"""What stands between macros, with pauses on every stream: order, nothing lost, last where it belongs, clocks."""

import numpy as np
import pytest
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.layers.code_streams import Serializer, SideBySide
from crossramp.rtl.layers.utterance_memory import UtteranceMemory
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import pauses, receive, send, simulate
from tests.support.strategies import seeds

BITS = 4


def utterances(rng, lengths, codes):
    return [rng.integers(-7, 8, (steps, codes)) for steps in lengths]


def payloads(x, *, every: bool = False):
    """Codes of utterances; ``last`` with the last code of a step, or with ``every`` code of the last one."""
    return [
        {"code": int(code), "last": int(t == len(one) - 1 and (every or k == len(step) - 1))}
        for one in x
        for t, step in enumerate(one)
        for k, code in enumerate(step)
    ]


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from([0, 0.4]), seeds)
@settings(max_examples=15)
def test_serializer(units, lanes, probability, seed):
    rng = np.random.default_rng(seed)
    spec = Specification(inputs=1, units=units, classes=0, input_bits=BITS, lanes=min(lanes, units))
    x = utterances(rng, (3, 1, 2), units)
    beats = []
    for one in x:
        for t, step in enumerate(one):
            padded = np.zeros(spec.h_beats * spec.lanes, int)
            padded[:units] = step
            for beat, codes in enumerate(padded.reshape(-1, spec.lanes).tolist()):
                beats.append({"codes": codes, "end": int(beat == spec.h_beats - 1), "last": int(t == len(one) - 1)})
    dut, expected, found = Serializer(spec), payloads(x, every=True), []

    async def feed(ctx):
        await send(ctx, dut.h, beats, pauses(rng, probability))

    async def take(ctx):
        found.extend(await receive(ctx, dut.codes, len(expected), pauses(rng, probability)))

    simulate(dut, take, background=(feed,))
    assert [{"code": one.code, "last": one.last} for one in found] == expected


def run_memory(parts, readers, x, rng, probability, max_steps=5):
    """What each reader gives of utterances ``x``: arrays (steps, codes of all parts), in time order."""
    dut = UtteranceMemory(parts, readers, BITS, max_steps)
    bounds = np.cumsum([0, *(codes for codes, _ in parts)])
    found = [[] for _ in readers]
    backgrounds, takers = [], []
    for k, (_, reverse) in enumerate(parts):
        mine = [one[:, bounds[k] : bounds[k + 1]] for one in x]
        offered = payloads([one[::-1] for one in mine] if reverse else mine)

        async def feed(ctx, k=k, offered=offered):
            await send(ctx, getattr(dut, f"write_{k}"), offered, pauses(rng, probability))

        backgrounds.append(feed)
    for k in range(len(readers)):
        count = sum(min(len(one), max_steps + 1) for one in x) * int(bounds[-1])

        async def take(ctx, k=k, count=count):
            found[k].extend(await receive(ctx, getattr(dut, f"read_{k}"), count, pauses(rng, probability)))

        takers.append(take)
    simulate(dut, *takers, background=backgrounds)
    return [[{"code": one.code, "last": one.last} for one in each] for each in found]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=2),
    st.lists(st.booleans(), min_size=1, max_size=2),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.sampled_from([0, 0.4]),
    seeds,
)
@settings(max_examples=25)
def test_memory(parts, readers, lengths, probability, seed):
    rng = np.random.default_rng(seed)
    x = utterances(rng, lengths, sum(codes for codes, _ in parts))
    for backward, found in zip(readers, run_memory(parts, readers, x, rng, probability), strict=True):
        assert found == payloads([one[::-1] if backward else one for one in x], every=True)


def test_memory_of_an_utterance_too_long(rng):
    """It is read with a step too many, and the next one is whole."""
    x = utterances(rng, (5, 6, 8, 2), 3)
    (found,) = run_memory([(3, False)], [False], x, rng, 0)
    kept = [one if len(one) <= 5 else np.concatenate([one[:5], one[4:5]]) for one in x]
    assert found == payloads(kept, every=True)


def test_memory_without_ports():
    with pytest.raises(InvalidValue, match="a memory has at least one writer and one reader"):
        UtteranceMemory([], [False], BITS, 3)


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 0.4]), seeds)
@settings(max_examples=15)
def test_side_by_side(first, second, probability, seed):
    rng = np.random.default_rng(seed)
    x = utterances(rng, (2, 3), first + second)
    dut, found = SideBySide(first, second, BITS), []
    expected = payloads(x, every=True)

    async def feed_first(ctx):
        await send(ctx, dut.first, payloads([one[:, :first] for one in x], every=True), pauses(rng, probability))

    async def feed_second(ctx):
        await send(ctx, dut.second, payloads([one[:, first:] for one in x], every=True), pauses(rng, probability))

    async def take(ctx):
        found.extend(await receive(ctx, dut.codes, len(expected), pauses(rng, probability)))

    simulate(dut, take, background=(feed_first, feed_second))
    assert [{"code": one.code, "last": one.last} for one in found] == expected
