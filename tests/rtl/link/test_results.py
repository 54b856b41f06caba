# SPDX-License-Identifier: Apache-2.0
"""What is kept of a network's results, also when it is cut short."""

from crossramp.golden.spec.specification import Specification
from crossramp.rtl.link.results import Results

from tests.support.amaranth_benches import send, simulate

SPEC = Specification(inputs=2, units=5, classes=3, lanes=2)


def beats(codes, end=True):
    """Payloads of one step's h; without ``end``, those of a step that a reset cut short."""
    padded = [*codes, *[0] * (len(codes) % 2)]
    pairs = [padded[k : k + 2] for k in range(0, len(padded), 2)]
    return [{"codes": pair, "end": end and k == len(pairs) - 1, "last": 0} for k, pair in enumerate(pairs)]


def test_cut_short_and_begun_again():
    """After a clear in the middle of h and of the logits, the next ones are kept from their first word on."""
    dut = Results(SPEC)

    async def clear(ctx):
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)

    async def kept(ctx, access, words):
        found = []
        for word in range(words):
            ctx.set(access.address, word)
            await ctx.tick()
            found.append(ctx.get(access.data))
        return found

    async def bench(ctx):
        for cut in (1, 2):
            await send(ctx, dut.h, beats([9] * 2 * cut, end=False))
            await send(ctx, dut.logit, [{"value": 77, "last": 0}] * cut)
            await clear(ctx)
            await send(ctx, dut.h, beats([1, -2, 3, -4, 5]))
            await send(ctx, dut.logit, [{"value": -k, "last": k == 3} for k in (1, 2, 3)])
            words = await kept(ctx, dut.hidden, SPEC.beats)
            assert [word[lane] for word in words for lane in range(2)][:5] == [1, -2, 3, -4, 5]
            assert await kept(ctx, dut.logits, 3) == [-1, -2, -3]

    simulate(dut, bench)


def test_computing_until_the_answer():
    dut = Results(SPEC)
    progress = dut.progress

    async def bench(ctx):
        async def accept(last):
            ctx.set(progress.accepted, 1)
            ctx.set(progress.last, last)
            await ctx.tick()
            ctx.set(progress.accepted, 0)

        for last in (0, 1):
            await accept(last)
            assert ctx.get(progress.computing)
            await send(ctx, dut.h, beats([0] * 5))
            assert ctx.get(progress.computing) == last
        clocks = ctx.get(progress.clocks)
        ctx.set(dut.stalled, 1)
        await ctx.tick().repeat(7)
        assert (ctx.get(progress.clocks), ctx.get(progress.waiting)) == (clocks + 7, 7)
        await send(ctx, dut.answer, [{"index": 2, "too_long": 0}])
        assert (ctx.get(progress.answered), ctx.get(progress.index), ctx.get(progress.computing)) == (
            1,
            2,
            0,
        )
        clocks = ctx.get(progress.clocks)
        await ctx.tick().repeat(5)
        assert ctx.get(progress.clocks) == clocks

    simulate(dut, bench)
