# SPDX-License-Identifier: Apache-2.0
"""cocotb: calibrating the ramps of hardware that was generated with a calibrator."""

import numpy as np
from cocotb.triggers import RisingEdge
from crossramp.golden.analog.conversion.calibration import CalibrationPlan


async def calibrate_ramps(dut, plan: CalibrationPlan, *, stalls: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Calibrate, between utterances, and wait until it is done.

    Parameters
    ----------
    dut : handle
        With the ports ``calibrate_*``, out of reset; ``calibrate_start`` is driven here.
    plan : CalibrationPlan
        That the hardware was generated for.
    stalls : int
        How much longer than an array that is always ready, and an idle macro, it may take.

    Returns
    -------
    registers : int64 array, shape (arrays x ramps,)
    failed : bool array, shape (arrays x ramps,)

    Raises
    ------
    AssertionError
        If it takes longer.
    """
    dut.calibrate_start.value = 1
    await RisingEdge(dut.clk)
    dut.calibrate_start.value = 0
    await RisingEdge(dut.clk)  # busy from here on
    left = stalls * plan.clocks()
    while int(dut.calibrate_busy.value):
        await RisingEdge(dut.clk)
        left -= 1
        if left < 0:
            raise AssertionError(f"calibrate_busy is high for more than {stalls * plan.clocks()} clocks")
    failed = int(dut.calibrate_failed.value)
    return read_registers(dut, plan), np.array([failed >> r & 1 for r in range(_ramps(plan))], bool)


def read_registers(dut, plan: CalibrationPlan) -> np.ndarray:
    """The registers of all ramps; int64, shape (arrays x ramps,)."""
    width, word = plan.spec.calibration_cells, int(dut.calibrate_registers.value)
    return np.array([word >> width * r & ((1 << width) - 1) for r in range(_ramps(plan))], np.int64)


def _ramps(plan: CalibrationPlan) -> int:
    return len(plan.tiles) * len(plan.spec.ramps)
