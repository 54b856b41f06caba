# SPDX-License-Identifier: Apache-2.0
"""Runs inside the simulator: a network with several arrays, of several layers or in tiles, every value against golden.

``CROSSRAMP_DESIGN`` names the specification in :data:`tests.support.layered.SEVERAL_ARRAYS`.
"""

import os

import cocotb
import pytest
from cocotb.triggers import ClockCycles
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.placed_chip import PlacedChip
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.layers.tile import arrays_by_macro, arrays_of
from crossramp.golden.macro.initial_state import Played
from crossramp.golden.macro.step_groups import shown_quantities
from crossramp.sim import (
    ArrayError,
    ArrayModel,
    ArraySetup,
    MacroBench,
    MismatchError,
    StreamPauses,
    Stuck,
    array_models,
    burst_pauses,
    compare_traces,
    expected_traces,
    random_pauses,
    random_stalls,
)
from crossramp.sim.array.array_setup import IDEAL

from tests.support.layered import network_of_arrays
from tests.support.strategies import inputs_of, starts_of

SEED = cocotb.RANDOM_SEED
NETWORK = network_of_arrays(os.environ["CROSSRAMP_DESIGN"])
SPEC = NETWORK.spec
SHOWN = shown_quantities(SPEC)
MACS = tuple(f"{name} macs".lstrip() for name in SPEC.macros)


async def run(dut, models, lengths, **options):
    """A bench after all utterances have passed, and what was played."""
    bench = MacroBench(dut, SPEC, models, **options)
    await bench.start()
    batches = [inputs_of(SPEC, SEED + k, batch=1, steps=steps) for k, steps in enumerate(lengths)]
    starts = starts_of(SPEC, SEED, len(batches)).checked(SPEC, len(batches))
    for k, x in enumerate(batches):
        bench.send(x[0], keep=bool(starts.keep[k]), start=starts.of(slice(k, k + 1)).given)
    await bench.finish()
    return bench, Played(batches, starts)


def compare(bench, played, array=IDEAL):
    """Every value of a run, and what the comparators of each macro saw, against golden."""
    return compare_traces(SPEC, expected_traces(NETWORK, played, array), bench.traces(), (*MACS, *SHOWN))


@cocotb.test()
async def every_value(dut):
    """Ideal arrays, nothing waits; and a value of one macro that is wrong is seen."""
    bench, played = await run(dut, array_models(NETWORK), (3, 1, 2))
    board = compare(bench, played)
    board.check()
    assert set(board.compared) == {*MACS, *SHOWN}
    right = bench.traces()[0]
    name = list(SPEC.macros)[-1]
    of = right.macros[name] if name else right
    wrong = of.replace(codes=of.codes ^ 1)
    board.compare(right, right.replace(macros={**right.macros, name: wrong}) if name else wrong)
    with pytest.raises(MismatchError, match=f"utterance 3, {name} codes, step 0".replace("  ", " ")):
        board.check()


@cocotb.test()
async def pauses_everywhere(dut):
    """Idle x, back-pressure, and arrays that stall on clocks of their own and show garbage where they may."""
    models = {}
    for arrays in arrays_by_macro(SPEC).values():
        for name, spec in arrays.items():
            stalls = random_stalls(SEED + len(models), 0.2)
            # An array that is ready before the others of its macro keeps its comparators until they are.
            garbage = SEED if len(arrays) == 1 else None
            models[name] = ArrayModel(spec, IDEAL.loaded(NETWORK)[name], ready=stalls, garbage_seed=garbage)
    pauses = StreamPauses(
        x=random_pauses(SEED, 0.3), h=burst_pauses(SEED + 1, 3, 40), logit=random_pauses(SEED + 2, 0.5)
    )
    bench, played = await run(dut, models, (2, 3), pauses=pauses)
    compare(bench, played).check()


@cocotb.test()
async def a_chip(dut):
    """A chip behind every macro."""
    chip = PlacedChip.of(SPEC, NETWORK.weights, ChipSample(load("rram")), SEED)
    setup = ArraySetup.of_chip(chip)
    bench, played = await run(dut, array_models(NETWORK, setup), (2, 1), calibration=setup.ports(SPEC))
    compare(bench, played, setup).check()
    assert compare(bench, played).wrong


@cocotb.test()
async def a_stuck_comparator(dut):
    """In one array: the codes of its macro differ, and no code of a macro before."""
    name = list(arrays_of(SPEC))[-1]
    models = array_models(NETWORK)
    models[name] = ArrayModel(arrays_of(SPEC)[name], IDEAL.loaded(NETWORK)[name], fault=Stuck(high=[0]))
    bench, played = await run(dut, models, (2,))
    board = compare(bench, played)
    last = list(SPEC.macros)[-1]
    wrong = {quantity for quantity, count in board.mismatched.items() if count}
    assert f"{last} codes".lstrip() in wrong
    assert not wrong & {f"{macro} macs".lstrip() for macro in list(SPEC.macros)[:1] if macro not in (last, "")}


@cocotb.test()
async def reset_in_the_middle(dut):
    """It leaves nothing behind in any macro."""
    bench = MacroBench(dut, SPEC, array_models(NETWORK))
    await bench.start()
    starts = starts_of(SPEC, SEED, 1).checked(SPEC, 1)
    bench.send(inputs_of(SPEC, SEED, batch=1, steps=2)[0], start=starts.given)
    await ClockCycles(dut.clk, SPEC.clocks_per_step + 3 * SPEC.inputs)
    await bench.restart()
    x = inputs_of(SPEC, SEED + 1, batch=1, steps=2)
    bench.send(x[0], start=starts.given)
    await bench.finish()
    compare(bench, Played([x], starts)).check()


@cocotb.test()
async def arrays_that_are_not_those_of_the_network(dut):
    models = array_models(NETWORK)
    first, *_ = models
    with pytest.raises(ArrayError, match=f"one array is given, but the network has {first}, "):
        MacroBench(dut, SPEC, models[first])
    with pytest.raises(ArrayError, match=f"the arrays are {first}; the network has {first}, "):
        MacroBench(dut, SPEC, {first: models[first]})
