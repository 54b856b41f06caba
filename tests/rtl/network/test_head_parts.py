# SPDX-License-Identifier: Apache-2.0
"""The parts of the dense head, each alone against its golden function, under any pauses."""

import numpy as np
import pytest
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.argmax import Argmax
from crossramp.rtl.network.head_multiplier import HeadMultiplier
from crossramp.rtl.network.head_sums import HeadSums
from hypothesis import given, settings

from tests.rtl.network.test_head import golden_head, h_payloads, hidden
from tests.support.amaranth_benches import pauses, receive, send, simulate
from tests.support.strategies import network_of, seeds, specifications


async def read_sums(ctx, sums, spec) -> list[int]:
    """The sums of all units, from the member of a :class:`HeadSums`."""
    values = []
    ctx.set(sums.enable, 1)
    for group in range(spec.h_beats):
        ctx.set(sums.group, group)
        await ctx.tick()
        values += [ctx.get(sums.data[lane]) for lane in range(spec.lanes)]
    # While it is low, the data stays the same for every group that is asked for.
    ctx.set(sums.enable, 0)
    ctx.set(sums.group, 0)
    await ctx.tick()
    assert values[-spec.lanes :] == [ctx.get(sums.data[lane]) for lane in range(spec.lanes)]
    return values[: spec.hidden]


@given(spec=specifications(), seed=seeds)
@settings(max_examples=20)
def test_sums_and_counts_are_golden_s(spec, seed):
    rng = np.random.default_rng(seed)
    network, dut = network_of(spec, seed), HeadSums(spec)
    utterances = hidden(spec, rng, [1, 3, 2])
    expected = [golden_head(network, h).sums.reshape(-1, spec.hidden) for h in utterances]
    counts = [
        len(h) if spec.readout == "mean" else 1 for h, sums in zip(utterances, expected, strict=True) for _ in sums
    ]
    found = []

    async def feed(ctx):
        await send(ctx, dut.h, h_payloads(spec, utterances), pauses(rng, 0.3))

    async def read(ctx):
        for _ in counts:
            await ctx.tick().until(dut.finished)
            ctx.set(dut.hold, 1)  # no other one is finished meanwhile
            found.append((await read_sums(ctx, dut.sums, spec), ctx.get(dut.count), ctx.get(dut.too_long)))
            await ctx.tick().repeat(int(rng.integers(1, 3 * spec.h_beats + 1)))
            ctx.set(dut.hold, 0)

    simulate(dut, read, background=[feed])
    assert [sums for sums, _, _ in found] == np.concatenate(expected).tolist()
    assert [count for _, count, _ in found] == counts
    assert not any(too_long for _, _, too_long in found)


@pytest.mark.parametrize("readout", ["mean", "last", "step"])
def test_only_the_last_beat_waits(readout):
    """While the sums before are held, all other beats of the next utterance are taken."""
    spec = Specification(inputs=1, units=5, classes=2, lanes=2, readout=readout)
    dut = HeadSums(spec)
    payloads = h_payloads(spec, [np.ones((2, 5), int)])
    taken = []

    async def bench(ctx):
        ctx.set(dut.hold, 1)
        ctx.set(dut.h.valid, 1)
        for payload in payloads:
            ctx.set(dut.h.payload, payload)
            taken.append(ctx.get(dut.h.ready))
            ctx.set(dut.hold, taken[-1])
            await ctx.tick()
            ctx.set(dut.hold, 1)

    simulate(dut, bench)
    assert taken == [not payload["end"] or (readout != "step" and not payload["last"]) for payload in payloads]


class SumsOf:
    """What a multiplier reads: the sums of one utterance, a clock later."""

    def __init__(self, dut: HeadMultiplier, spec: Specification):
        self.dut, self.spec, self.sums = dut, spec, np.zeros(spec.hidden, int)

    async def run(self, ctx):
        sums = self.dut.sums
        async for _, _, group, enable in ctx.tick().sample(sums.group, sums.enable):
            if enable:
                padded = np.zeros(self.spec.h_beats * self.spec.lanes, int)
                padded[: self.spec.hidden] = self.sums
                for lane, value in enumerate(padded[group * self.spec.lanes :][: self.spec.lanes].tolist()):
                    ctx.set(sums.data[lane], value)


@given(spec=specifications(), seed=seeds)
@settings(max_examples=20)
def test_logits_are_golden_s(spec, seed):
    rng = np.random.default_rng(seed)
    network = network_of(spec, seed)
    dut = HeadMultiplier(spec, network.weights.head, network.weights.head_biases)
    memory = SumsOf(dut, spec)
    mean = spec.readout == "mean"
    counts = rng.integers(1, spec.max_steps + 1, 3) if mean else [1, 1, 1]
    found, expected = [], []

    async def bench(ctx):
        for count in counts:
            limit = int(count) * spec.input_max
            memory.sums = rng.integers(-limit, limit + 1, spec.hidden)
            expected.append(network.logits(memory.sums, int(count)).tolist())
            assert not ctx.get(dut.busy)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.count, int(count))
            assert ctx.get(dut.busy)
            logits = await receive(ctx, dut.logit, spec.classes, pauses(rng, 0.3))
            assert [logit.index for logit in logits] == list(range(spec.classes))
            assert [logit.last for logit in logits] == [0] * (spec.classes - 1) + [1]
            found.append([logit.value for logit in logits])

    simulate(dut, bench, background=[memory.run])
    assert found == expected


@pytest.mark.parametrize(("readout", "lanes"), [("mean", 2), ("last", 3), ("step", 2)])
def test_pace_of_the_logits(readout, lanes, seed):
    """Latency and throughput as the docstring states them."""
    spec = Specification(inputs=1, units=5, classes=3, lanes=lanes, readout=readout)
    network = network_of(spec, seed)
    dut = HeadMultiplier(spec, network.weights.head, network.weights.head_biases)
    words = -(-spec.hidden // spec.head_lanes) + 1
    clocks = []

    async def bench(ctx):
        ctx.set(dut.logit.ready, 1)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        clock = 1
        while ctx.get(dut.busy):
            await ctx.tick()
            clock += 1
            clocks.extend([clock] * ctx.get(dut.logit.valid))

    simulate(dut, bench)
    assert clocks == [3 + words, 3 + 2 * words, 3 + 3 * words]


@pytest.mark.parametrize("values", [[3, 3, 1], [-5, -4, -4], [-9, -9, -9], [1, 2, 3], [7, -8, 7]])
def test_the_largest_logit_wins_and_of_equal_ones_the_first(values, rng):
    spec = Specification(inputs=1, units=2, classes=3)
    dut = Argmax(spec)
    before = [20, 20, 21]  # of an utterance whose logits are all larger
    found = []

    async def bench(ctx):
        for logits in (before, values):
            for index, value in enumerate(logits):
                ctx.set(dut.logit.payload, {"index": index, "value": value, "last": index == 2})
                ctx.set(dut.logit.valid, 1)
                assert not ctx.get(dut.answer.valid)
                await ctx.tick()
                ctx.set(dut.logit.valid, 0)
                await ctx.tick().repeat(int(rng.integers(1, 3)))
            (answer,) = await receive(ctx, dut.answer, 1, lambda: 3)
            assert answer.too_long == 0
            found.append(answer.index)
            assert not ctx.get(dut.answer.valid)

    simulate(dut, bench)
    assert found == [int(np.argmax(before)), int(np.argmax(values))]
