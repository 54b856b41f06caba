# SPDX-License-Identifier: Apache-2.0
"""Runs inside the simulator: a generated network behind its boundary, every value against golden.

``CROSSRAMP_DESIGN`` names the specification in tests/support/designs.py.
"""

import os
from collections.abc import Sequence
from itertools import count

import cocotb
import pytest
from cocotb.triggers import ClockCycles
from crossramp.golden.macro.initial_state import Played
from crossramp.golden.macro.step_groups import shown_quantities
from crossramp.sim import (
    ArrayError,
    ArrayModel,
    ArraySetup,
    Chatter,
    Late,
    MacroBench,
    MismatchError,
    Scoreboard,
    StreamPauses,
    Stuck,
    burst_pauses,
    compare_traces,
    expected_from_comparators,
    expected_traces,
    random_pauses,
    random_stalls,
)
from crossramp.sim.array.array_setup import IDEAL
from crossramp.sim.tools.simulators import HardwareError

from tests.support.chips import device_of
from tests.support.designs import network_of, utterances_of
from tests.support.strategies import starts_of

DESIGN = os.environ["CROSSRAMP_DESIGN"]
NETWORK_SEED = 1  # of the weights, which the Verilog's head holds
SEED = cocotb.RANDOM_SEED
NETWORK = network_of(DESIGN, NETWORK_SEED)
SPEC = NETWORK.spec
SHOWN = shown_quantities(SPEC)
CONVERSIONS = len(SPEC.conversions)  # of a step


async def run(dut, model, lengths, **options):
    """A bench after all utterances have passed, and their x."""
    bench = MacroBench(dut, SPEC, model, **options)
    await bench.start()
    batches = utterances_of(DESIGN, SEED, lengths)
    starts = starts_of(SPEC, SEED, len(batches)).checked(SPEC, len(batches))
    for k, x in enumerate(batches):
        given = None if starts.given is None else starts.given.of(slice(k, k + 1))
        bench.send(x[0], keep=bool(starts.keep[k]), start=given)
    await bench.finish()
    return bench, batches


def compare(bench, batches, array=IDEAL, first=(0, 0), quantities: Sequence[str] = ("macs", *SHOWN)) -> Scoreboard:
    """Every value of a run against the golden network with the same array."""
    played = Played(batches, starts_of(SPEC, SEED, len(batches)))
    return compare_traces(SPEC, expected_traces(NETWORK, played, array, *first), bench.traces(), quantities)


@cocotb.test()
async def every_value(dut):
    """No pauses: all values, and a board that would notice one wrong bit."""
    bench, batches = await run(dut, ArrayModel(SPEC, NETWORK.weights), (3, 1, 2))
    board = compare(bench, batches)
    board.check()
    assert board.compared["answers"] == sum(len(x[0]) if SPEC.readout == "step" else 1 for x in batches)
    right = bench.traces()[0]
    wrong = right.replace(h=right.h.copy())
    wrong.h[0, 0, 0] ^= 1
    board.compare(right, wrong)
    with pytest.raises(MismatchError, match="utterance 3, h, step 0, unit 0: expected"):
        board.check()
    # The framing is checked too: one beat of h, of the logits and of the answers spoiled in each way.
    spoiled = [("h_end", bench.h, SPEC.h_beats - 1, "end", 1), ("h_last", bench.h, SPEC.h_beats - 1, "last", 1)]
    spoiled += [("logit_last", bench.logits, 0, "last", 1), ("answer_too_long", bench.answers, 0, "too_long", 1)]
    if SPEC.hidden % SPEC.lanes:
        beyond = 1 << (SPEC.lanes * SPEC.input_bits - 1)
        spoiled.append(("h_codes is -?[0-9]+ in a lane beyond", bench.h, SPEC.h_beats - 1, "codes", beyond))
    for message, sink, beat, name, bits in spoiled:
        sink.beats[beat][name] ^= bits
        with pytest.raises(HardwareError, match=message):
            bench.traces()
        sink.beats[beat][name] ^= bits
    missing = bench.answers.beats.pop()
    with pytest.raises(HardwareError, match=r"answers: \d+ records; expected"):
        bench.traces()
    bench.answers.beats.append(missing)
    bench.traces()


@cocotb.test()
async def pauses_everywhere(dut):
    """Idle x, back-pressure on every output, an array that stalls and shows garbage whenever it may."""
    model = ArrayModel(SPEC, NETWORK.weights, ready=random_stalls(SEED, 0.2), garbage_seed=SEED)
    bench, batches = await run(
        dut,
        model,
        (2, 3),
        pauses=StreamPauses(
            x=random_pauses(SEED, 0.5),
            h=burst_pauses(SEED + 1, 3, 60),
            logit=random_pauses(SEED + 2, 0.7),
            answer=burst_pauses(SEED + 3, 2, 80),
        ),
    )
    compare(bench, batches).check()


@cocotb.test()
async def device_instance(dut):
    """An array with every imperfection: all is golden's for the same instance, also after a reset within a ramp."""
    device = device_of(SPEC, NETWORK.weights.macro, SEED, lines=NETWORK.weights.lines)
    array = ArraySetup(device)
    model = ArrayModel(SPEC, device, ready=random_stalls(SEED, 0.1), garbage_seed=SEED)
    bench, batches = await run(dut, model, (2, 1), calibration=array.port(SPEC))
    compare(bench, batches, array).check()
    assert compare(bench, batches).mismatched["codes"] > 0
    bench.send(utterances_of(DESIGN, SEED + 1, (2,))[0][0])
    while model.converted == 3 * CONVERSIONS:
        await ClockCycles(dut.clk, 1)
    await ClockCycles(dut.clk, 5)
    await bench.restart()
    batches = utterances_of(DESIGN, SEED + 2, (2,))
    bench.send(batches[0][0])
    await bench.finish()
    # The conversion that was cut short counts, its noise is gone.
    compare(bench, batches, array, (3, 1)).check()


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
    lengths = [x.shape[1] for x in batches]
    expected = expected_from_comparators(SPEC, model.finish(), lengths, NETWORK.weights)
    compare_traces(SPEC, expected, bench.traces(), shown_quantities(SPEC, head=False)).check()


@cocotb.test()
async def slow_x_is_not_silence(dut):
    """Steps' worth of clocks in which nothing but x moves: the watchdog sees that it does."""
    pace = SPEC.clocks_per_step
    pauses = (clock % pace != 0 for clock in count())
    model = ArrayModel(SPEC, NETWORK.weights)
    bench, batches = await run(dut, model, (1,), pauses=StreamPauses(x=pauses), watchdog_clocks=pace * 3 // 2)
    compare(bench, batches).check()


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
        compare(bench, batches).check()


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
        MacroBench(dut, SPEC, NETWORK.weights.macro)
    other = SPEC.replace(adc_bits=SPEC.adc_bits + 1)
    with pytest.raises(ArrayError, match=f"the array is for specification {other.hardware_hash}, the bench for"):
        MacroBench(dut, SPEC, ArrayModel(other, NETWORK.weights))
    bench = MacroBench(dut, SPEC, OnlyClock())
    await bench.start()
    for number in range(2):
        x = utterances_of(DESIGN, SEED + number, (2,))[0]
        bench.send(x[0])
        await bench.finish()
        compare(bench, [x], quantities=SHOWN).check()
        assert bench.traces()[0].macs is None
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
    compare(bench, batches).check()
