# SPDX-License-Identifier: Apache-2.0
"""Calibration in a closed loop of generated Verilog and behavioral array: registers and codes are golden's."""

import pytest
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.sim.array.programming import write_device
from crossramp.sim.cocotb.cocotb_runner import CocotbError, build_cocotb

from tests.support import calibration_loop as loop


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return loop.sources(loop.plan())


def calibrate(simulator, sources, chip, models, folder, seed):
    build = build_cocotb(simulator, sources, loop.TOP, folder=models)
    array = write_device(loop.chip(chip, seed), folder / "array")
    return build.run(
        "tests.cocotb.calibration_tests",
        results=folder / f"calibration-{simulator}",
        seed=seed,
        env={"CROSSRAMP_CHIP": chip},
        plusargs=[f"+array={array}", "+array_stall=20", f"+seed={seed}"],
    )


RUNS = [
    ("icarus", "rram"),
    ("icarus", "stuck"),
    ("icarus", "out of reach"),
    ("verilator", "charge"),
    ("verilator", "stuck"),
]


@pytest.mark.parametrize(("simulator", "chip"), RUNS)
def test_registers_and_codes_are_golden(simulator, chip, sources, seed, models, tmp_path):
    assert calibrate(simulator, sources, chip, models, tmp_path, seed) == 1


class OffByOne(CalibrationPlan):
    """Ends one setting too high."""

    @property
    def shifts(self):
        return tuple(shift + 1 for shift in super().shifts)


def test_a_planted_fault_is_seen(seed, models, tmp_path):
    plan = loop.plan()
    wrong = loop.sources(OffByOne(plan.spec, plan.repeats_log2, plan.lsb))
    with pytest.raises(CocotbError, match="failed: calibrates_as_golden"):
        calibrate("icarus", wrong, "rram", models, tmp_path, seed)
