# SPDX-License-Identifier: Apache-2.0
"""Runs inside the simulator: what the bench must notice, shown by a source that misbehaves (misbehavior.v)."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from crossramp.sim import StreamSink, stream_signals
from crossramp.sim.cocotb.cocotb_bench import Watchdog, WatchdogError, reset
from crossramp.sim.cocotb.streams import StreamError

NONE, CHANGES, FALLS, SILENT = range(4)


async def run(dut, fault, *, ready, watchdog=20) -> StreamSink:
    """Forty clocks of the source: a sink that is always or never ready, and a watchdog that its beats kick."""
    dut.fault.value = fault
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    sink = StreamSink(**stream_signals(dut, "s", ("value",)), pauses=iter(lambda: not ready, None))
    sink.on_beat.append(Watchdog(dut.clk, watchdog, lambda: f"{len(sink.beats)} beats").kick)
    await reset(dut)
    await ClockCycles(dut.clk, 40)
    return sink


@cocotb.test()
async def well_behaved(dut):
    """No false alarm, neither of the monitor nor of the watchdog; the beats are those that were sent."""
    sink = await run(dut, NONE, ready=True)
    assert len(sink.beats) > 30
    assert [beat["value"] for beat in sink.beats] == list(range(len(sink.beats)))


@cocotb.test()
async def waits(dut):
    """A beat that only waits breaks no rule."""
    assert not (await run(dut, NONE, ready=False, watchdog=1000)).beats


@cocotb.test()
@cocotb.parametrize(fault=[CHANGES, FALLS])
async def free_between_transfers(dut, fault):
    """What may not be done while a beat waits may be done after each transfer."""
    assert len((await run(dut, fault, ready=True)).beats) > 30


@cocotb.test(expect_error=StreamError)
@cocotb.parametrize(fault=[CHANGES, FALLS])
async def broken_while_waiting(dut, fault):
    """A payload that changes, a valid that falls."""
    await run(dut, fault, ready=False, watchdog=1000)


@cocotb.test(expect_error=WatchdogError)
async def silence(dut):
    """Nothing at all."""
    await run(dut, SILENT, ready=True)
