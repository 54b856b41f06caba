# SPDX-License-Identifier: Apache-2.0
"""Runs inside the simulator: a generated network behind its boundary, every value against golden.

``CROSSRAMP_DESIGN`` names the specification in tests/sim/designs.py.
"""

import os

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles
from crossramp.sim import (
    ArrayModel,
    Chatter,
    Late,
    MacroBench,
    MismatchError,
    Scoreboard,
    Stuck,
    burst_pauses,
    expected_from_comparators,
    random_pauses,
    random_stalls,
    reset,
)

from tests.sim.designs import network_of, utterances_of

DESIGN = os.environ["CROSSRAMP_DESIGN"]
NETWORK_SEED = 1  # of the weights, which the Verilog's head holds
SEED = cocotb.RANDOM_SEED
NETWORK = network_of(DESIGN, NETWORK_SEED)
SPEC = NETWORK.spec
STEPS = ("codes", "c", "state_pulses", "state_codes", "h")


async def run(dut, model, lengths, **pauses):
    """A bench after all utterances have passed, and their x."""
    bench = MacroBench(dut, SPEC, model, **pauses)
    await bench.start()
    batches = utterances_of(DESIGN, SEED, lengths)
    for x in batches:
        bench.send(x[0])
    await bench.finish()
    return bench, batches


def compare(bench, batches) -> Scoreboard:
    """Every value of a run with a well-behaved array against the golden network."""
    board = Scoreboard(SPEC)
    got = bench.steps()
    start = 0
    for number, x in enumerate(batches):
        golden = NETWORK.run(x)
        stop = start + x.shape[1]
        for quantity in ("macs", *STEPS):
            board.compare(quantity, getattr(golden.steps, quantity), getattr(got, quantity)[:, start:stop], number)
        mask = (1 << SPEC.logit_bits) - 1
        logits = [beat["value"] for beat in bench.logits.beats[number * SPEC.classes : (number + 1) * SPEC.classes]]
        board.compare("logits", golden.logits & mask, np.array([logits]), number)
        answer = bench.answers.beats[number]
        board.compare("answers", golden.answers, np.array([answer["index"]]), number)
        assert not answer["too_long"]
        start = stop
    assert len(bench.answers.beats) == len(batches)
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
    expected = expected_from_comparators(SPEC, model.finish(), [x.shape[1] for x in batches])
    for quantity in STEPS:
        board.compare(quantity, expected[quantity][None], getattr(got, quantity))
    board.check(*STEPS)


@cocotb.test()
async def reset_in_the_middle(dut):
    """A reset at any time leaves nothing behind."""
    model = ArrayModel(SPEC, NETWORK.weights)
    bench = MacroBench(dut, SPEC, model)
    await bench.start()
    bench.send(utterances_of(DESIGN, SEED + 1, (1,))[0][0])
    await ClockCycles(dut.clk, SPEC.inputs + SPEC.clocks_per_step * 2 // 3)
    await reset(dut, 1)
    await ClockCycles(dut.clk, 1)
    cocotb.log.info("reset after %d conversions", bench.checker.conversions)
    model.conversions.clear()


@cocotb.test()
async def after_the_reset(dut):
    """What the test before left is gone."""
    bench, batches = await run(dut, ArrayModel(SPEC, NETWORK.weights), (2,))
    compare(bench, batches).check("macs", *STEPS, "logits", "answers")
