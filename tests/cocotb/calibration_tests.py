# SPDX-License-Identifier: Apache-2.0
"""Runs inside the simulator: a network calibrates the chip behind it, as golden says, and then converts as golden says.

``CROSSRAMP_CHIP`` names the chip in tests/support/calibration_loop.py; ``+array`` has its numbers.
"""

import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from crossramp.golden.analog.conversion.calibration import calibrate
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.macro.step_record import step_records, step_values
from crossramp.sim import StepMonitor, StreamSink, StreamSource, Watchdog, reset, stream_signals
from crossramp.sim.cocotb.calibrating import calibrate_ramps, read_registers
from crossramp.sim.cocotb.cocotb_bench import stream_log

from tests.support.calibration_loop import SPEC, chip, plan
from tests.support.chips import macro_of

SEED = cocotb.RANDOM_SEED
DEVICE = chip(os.environ["CROSSRAMP_CHIP"], SEED)
PLAN = plan()
STALLS = 4  # more than the array's stalls make of a clock


@cocotb.test()
async def calibrates_as_golden(dut):
    """An utterance as the registers are after reset, one that waits for the calibration, one behind a second one."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.calibrate_start.value = dut.calibrate_load.value = dut.calibrate_value.value = 0
    source = StreamSource(**stream_signals(dut, "x", ("code", "last")))
    h = StreamSink(**stream_signals(dut, "h", ("codes", "end", "last")), name="h")
    answers = StreamSink(**stream_signals(dut, "answer", ("index", "too_long")), name="answer")
    StreamSink(**stream_signals(dut, "logit", ("value", "last")), name="logit")
    monitor = StepMonitor(dut, SPEC)
    watchdog = Watchdog(dut.clk, 20 * SPEC.clocks_per_step)
    await reset(dut)
    cocotb.start_soon(_alive(dut, watchdog))

    x = np.random.default_rng(SEED).integers(-SPEC.input_max, SPEC.input_max + 1, (3, 2, SPEC.inputs))
    number, golden_codes, golden_h = 0, [], []

    def golden_run(utterance, cells):
        nonlocal number
        trace = macro_of(DEVICE, cells).run(utterance[None], np.array([number]))
        number += 2 * len(utterance)
        golden_codes.append(trace.codes[0])
        golden_h.append(trace.h[0])

    def send(utterance):
        for step, codes in enumerate(utterance.tolist()):
            for code in codes:
                source.send(code=code & (1 << SPEC.input_bits) - 1, last=int(step == len(utterance) - 1))

    middle = 1 << (SPEC.calibration_cells - 1)
    assert read_registers(dut, PLAN).tolist() == [middle] * len(SPEC.ramps)
    send(x[0])
    await source.wait()
    golden_run(x[0], DEVICE.nominal)
    found = []
    for utterance in x[1:]:
        # Offered at once: x waits for the registers, not they for x.
        calibration = cocotb.start_soon(calibrate_ramps(dut, PLAN, stalls=STALLS))
        await RisingEdge(dut.calibrate_busy)
        send(utterance)
        registers, failed = await calibration
        golden = calibrate(DEVICE, PLAN, number)
        number += golden.conversions
        found.append(golden)
        dut._log.info("registers %s, failed %s; golden %s, %s", registers, failed, golden.registers, golden.failed)
        assert registers.tolist() == golden.registers.tolist()
        assert failed.tolist() == golden.failed.tolist()
        # Of the steps of zeros, the codes too: those the calibrator counted.
        golden_codes.append(_silent(golden, number - golden.conversions))
        golden_run(utterance, golden.cells)
        await source.wait()
    while len(answers.beats) < len(x):
        await RisingEdge(dut.clk)
    shown = step_values(SPEC, monitor.logs() | {"h": stream_log(h.beats, step_records(SPEC)["h"])})
    # The steps of a calibration have codes and no h.
    np.testing.assert_array_equal(shown["codes"], np.concatenate(golden_codes))
    np.testing.assert_array_equal(shown["h"], np.concatenate(golden_h))
    assert int(dut.broken.value) == 0
    assert int(dut.conversions.value) == number
    # Else it would not matter whether they reach the array.
    assert (found[0].registers != middle).any()


def _silent(golden, first: int) -> np.ndarray:
    """Codes of every step of a calibration; int64, shape (steps, columns)."""
    codes = []
    for k, registers in enumerate(golden.settings):
        cells = (registers[:, None] >> np.arange(SPEC.calibration_cells) & 1).astype(bool)
        array = DeviceArray(DEVICE, cells)
        conversion = first + 2 * (k * PLAN.repeats + np.arange(PLAN.repeats))
        pulses = np.zeros((PLAN.repeats, SPEC.rows), np.int64)
        codes.append(array.convert([Window(pulses)], conversion)[1])
    return np.concatenate(codes)


async def _alive(dut, watchdog):
    while True:
        await RisingEdge(dut.monitor_output)
        watchdog.kick()
