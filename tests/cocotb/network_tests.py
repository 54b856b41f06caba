# SPDX-License-Identifier: Apache-2.0
"""Runs inside the simulator: a generated network behind its boundary, every value against golden.

``CROSSRAMP_DESIGN`` names the specification in tests/support/designs.py.
"""

import os
from itertools import count

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles
from crossramp.sim import (
    ArrayError,
    ArrayModel,
    Chatter,
    Late,
    MacroBench,
    MismatchError,
    Scoreboard,
    Stuck,
    burst_pauses,
    expected_from_comparators,
    expected_traces,
    random_pauses,
    random_stalls,
)
from crossramp.sim.array.programming import calibration_port

from tests.support.chips import device_of
from tests.support.designs import network_of, utterances_of

DESIGN = os.environ["CROSSRAMP_DESIGN"]
NETWORK_SEED = 1  # of the weights, which the Verilog's head holds
SEED = cocotb.RANDOM_SEED
NETWORK = network_of(DESIGN, NETWORK_SEED)
SPEC = NETWORK.spec
STEPS = ("codes", "c", "state_pulses", "state_codes", "h")


async def run(dut, model, lengths, **options):
    """A bench after all utterances have passed, and their x."""
    bench = MacroBench(dut, SPEC, model, **options)
    await bench.start()
    batches = utterances_of(DESIGN, SEED, lengths)
    for x in batches:
        bench.send(x[0])
    await bench.finish()
    return bench, batches


def compare(bench, batches, *array) -> Scoreboard:
    """Every value of a run against the golden network; ``array``: a device instance, as expected_traces takes it."""
    board = Scoreboard(SPEC)
    got = bench.steps()
    start = answered = 0
    for number, (x, golden) in enumerate(zip(batches, expected_traces(NETWORK, batches, *array), strict=True)):
        stop = start + x.shape[1]
        for quantity in ("macs", *STEPS):
            board.compare(quantity, getattr(golden.steps, quantity), getattr(got, quantity)[:, start:stop], number)
        mask = (1 << SPEC.logit_bits) - 1
        count = golden.answers.size  # one, or one a step
        beats = bench.logits.beats[answered * SPEC.classes : (answered + count) * SPEC.classes]
        values = np.array([beat["value"] for beat in beats]).reshape(golden.logits.shape)
        board.compare("logits", golden.logits & mask, values, number)
        assert [beat["last"] for beat in beats] == ([0] * (SPEC.classes - 1) + [1]) * count
        answers = bench.answers.beats[answered : answered + count]
        indices = np.array([answer["index"] for answer in answers]).reshape(golden.answers.shape)
        board.compare("answers", golden.answers, indices, number)
        assert not any(answer["too_long"] for answer in answers)
        start, answered = stop, answered + count
    assert len(bench.answers.beats) == answered
    assert len(bench.logits.beats) == answered * SPEC.classes
    return board


@cocotb.test()
async def every_value(dut):
    """No pauses: all values, and a board that would notice one wrong bit."""
    bench, batches = await run(dut, ArrayModel(SPEC, NETWORK.weights), (3, 1, 2))
    board = compare(bench, batches)
    board.check("macs", *STEPS, "logits", "answers")
    wrong = bench.steps().h.copy()
    wrong[0, 0, 0] ^= 1
    board.compare("h", bench.steps().h, wrong)
    with pytest.raises(MismatchError, match="h, utterance 0, step 0, unit 0: expected"):
        board.check()
    # The framing of h is checked too: one beat of it spoiled in each way.
    spoiled = {"h_end": ("end", 1), "h_last": ("last", 1)}
    if SPEC.hidden % SPEC.lanes:
        spoiled["h_codes beyond"] = ("codes", 1 << (SPEC.lanes * SPEC.input_bits - 1))
    for message, (name, bits) in spoiled.items():
        bench.h.beats[SPEC.h_beats - 1][name] ^= bits
        with pytest.raises(AssertionError, match=message):
            bench.steps()
        bench.h.beats[SPEC.h_beats - 1][name] ^= bits
    bench.steps()


@cocotb.test()
async def pauses_everywhere(dut):
    """Idle x, back-pressure on every output, an array that stalls and shows garbage whenever it may."""
    model = ArrayModel(SPEC, NETWORK.weights, ready=random_stalls(SEED, 0.2), garbage_seed=SEED)
    bench, batches = await run(
        dut,
        model,
        (2, 3),
        x_pauses=random_pauses(SEED, 0.5),
        h_pauses=burst_pauses(SEED + 1, 3, 60),
        logit_pauses=random_pauses(SEED + 2, 0.7),
        answer_pauses=burst_pauses(SEED + 3, 2, 80),
    )
    compare(bench, batches).check("macs", *STEPS, "logits", "answers")


@cocotb.test()
async def device_instance(dut):
    """An array with every imperfection: all is golden's for the same instance, also after a reset within a ramp."""
    device = device_of(SPEC, NETWORK.weights, SEED)
    port = calibration_port(SPEC, None, device)
    model = ArrayModel(SPEC, device, ready=random_stalls(SEED, 0.1), garbage_seed=SEED)
    bench, batches = await run(dut, model, (2, 1), calibration=port)
    compare(bench, batches, device, port).check("macs", *STEPS, "logits", "answers")
    assert compare(bench, batches).mismatched["codes"] > 0
    bench.send(utterances_of(DESIGN, SEED + 1, (2,))[0][0])
    while model.converted == 2 * 3:
        await ClockCycles(dut.clk, 1)
    await ClockCycles(dut.clk, 5)
    await bench.restart()
    batches = utterances_of(DESIGN, SEED + 2, (2,))
    bench.send(batches[0][0])
    await bench.finish()
    # The conversion that was cut short counts, its noise is gone.
    compare(bench, batches, device, port, 7).check("macs", *STEPS, "logits", "answers")


@cocotb.test()
@cocotb.parametrize(kind=["stuck", "late", "chatter"])
async def faulty_comparators(dut, kind):
    """Exactly the codes that the latch rule makes of what was shown."""
    columns = range(SPEC.columns)
    faults = {
        "stuck": Stuck(columns[::3], columns[1::3]),
        "late": Late(columns[::2], 2),
        "chatter": Chatter(SEED, 0.3),
    }
    model = ArrayModel(SPEC, NETWORK.weights, fault=faults[kind], ready=random_stalls(SEED, 0.1))
    bench, batches = await run(dut, model, (2, 1))
    got = bench.steps()
    board = Scoreboard(SPEC)
    lengths = [x.shape[1] for x in batches]
    expected = expected_from_comparators(SPEC, model.finish(), lengths, NETWORK.projection_weights)
    for quantity in STEPS:
        board.compare(quantity, expected[quantity][None], getattr(got, quantity))
    board.check(*STEPS)


@cocotb.test()
async def slow_x_is_not_silence(dut):
    """Steps' worth of clocks in which nothing but x moves: the watchdog sees that it does."""
    pace = SPEC.clocks_per_step
    pauses = (clock % pace != 0 for clock in count())
    model = ArrayModel(SPEC, NETWORK.weights)
    bench, batches = await run(dut, model, (1,), x_pauses=pauses, watchdog_clocks=pace * 3 // 2)
    compare(bench, batches).check("macs", *STEPS, "logits", "answers")


@cocotb.test()
async def reset_in_the_middle(dut):
    """A reset of one clock, at any time, leaves nothing behind: the next utterance is as good as the first."""
    bench = MacroBench(dut, SPEC, ArrayModel(SPEC, NETWORK.weights))
    await bench.start()
    loaded, done = SPEC.inputs, SPEC.inputs + SPEC.macro_clocks
    ramp = loaded + 3 + SPEC.input_max + SPEC.settle_clocks + SPEC.ticks // 2
    # In the first x, in the first ramp, in the second window, in the second ramp.
    for number, clocks in enumerate((loaded // 2, ramp, done - SPEC.ticks - SPEC.settle_clocks - 4, done - 5)):
        # Two steps: more x waits, unless all is reset with it.
        bench.send(utterances_of(DESIGN, SEED + 1, (2,))[0][0])
        await ClockCycles(dut.clk, clocks)
        await bench.restart()
        batches = utterances_of(DESIGN, SEED + 2 + number, (2,))
        bench.send(batches[0][0])
        await bench.finish()
        compare(bench, batches).check("macs", *STEPS, "logits", "answers")


class OnlyClock:
    """An array of another class, which has nothing but ``clock``."""

    def __init__(self, change=lambda answer: answer):
        self._array, self._change = ArrayModel(SPEC, NETWORK.weights), change

    def clock(self, pins):
        return self._change(self._array.clock(pins))


@cocotb.test()
async def clock_is_enough(dut):
    """Any class with ``clock``: all is compared but the MACs, which only the array knows; also after a restart."""
    with pytest.raises(ArrayError, match="a ndarray without a method clock"):
        MacroBench(dut, SPEC, NETWORK.weights)
    other = SPEC.replace(adc_bits=SPEC.adc_bits + 1)
    with pytest.raises(ArrayError, match=f"the array is for specification {other.content_hash}, the bench for"):
        MacroBench(dut, SPEC, ArrayModel(other, NETWORK.weights))
    bench = MacroBench(dut, SPEC, OnlyClock())
    await bench.start()
    for number in range(2):
        x = utterances_of(DESIGN, SEED + number, (2,))[0]
        bench.send(x[0])
        await bench.finish()
        golden, got = NETWORK.run(x).steps, bench.steps()
        board = Scoreboard(SPEC)
        for quantity in STEPS:
            board.compare(quantity, getattr(golden, quantity), getattr(got, quantity))
        board.check(*STEPS)
        assert got.macs is None
        await bench.restart()


@cocotb.test(expect_error=ArrayError)
async def an_array_that_is_too_wide(dut):
    """An answer that does not fit the ports ends the test at once, and not by silently dropped bits."""
    bench = MacroBench(dut, SPEC, OnlyClock(lambda answer: (answer[0] | 1 << SPEC.columns, answer[1])))
    await bench.start()
    await bench.finish(extra_clocks=20)


@cocotb.test()
async def after_the_reset(dut):
    """What the test before left is gone."""
    bench, batches = await run(dut, ArrayModel(SPEC, NETWORK.weights), (2,))
    compare(bench, batches).check("macs", *STEPS, "logits", "answers")
