# SPDX-License-Identifier: Apache-2.0
"""Numbers that gateware is made with: numpy's integers make the same, and anything else is refused by its name."""

import numpy as np
import pytest
from amaranth.back import rtlil
from crossramp.boards.flow.divider import ClockDivider
from crossramp.rtl.emulation.emulator import CrossbarEmulator
from crossramp.rtl.emulation.recorder import PulseRecorder
from crossramp.rtl.link.framing import FramePort
from crossramp.rtl.link.uart import UartReceiver, UartTransmitter
from crossramp.rtl.macro.capture import CaptureBank
from crossramp.rtl.macro.loader import Loader
from crossramp.rtl.macro.pulses import PulseBank, PulseDriver
from crossramp.rtl.macro.ramp_counter import RampCounter
from crossramp.rtl.macro.update import StateMemory, StateRing

from tests.cli.conftest import small_model

SPEC = small_model().spec
MADE = {
    ClockDivider: {"divide": 4},
    CaptureBank: {"columns": 4, "bits": 5, "lanes": 2},
    CrossbarEmulator: {"columns_per_clock": 2},
    FramePort: {"clocks": 8, "depth": 16},
    Loader: {"inputs": 5, "bits": 5},
    PulseBank: {"lines": 4, "bits": 5, "lanes": 2},
    PulseDriver: {"lines": 4, "bits": 5},
    PulseRecorder: {"lines": 4, "bits": 5},
    RampCounter: {"bits": 5},
    UartReceiver: {"clocks": 8},
    UartTransmitter: {"clocks": 8},
    StateRing: {"units": 5, "bits": 5, "lanes": 2},
    StateMemory: {"units": 5, "bits": 5, "lanes": 2},
}


def made(kind, numbers):
    return kind(SPEC, **numbers) if kind is CrossbarEmulator else kind(**numbers)


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
def test_numbers_of_any_kind(kind):
    numbers = MADE[kind]
    expected, got = (
        rtlil.convert(made(kind, {name: of(value) for name, value in numbers.items()})) for of in (int, np.int64)
    )
    assert got == expected
    for name, value in numbers.items():
        for wrong in (float(value), str(value), None, True):
            with pytest.raises(ValueError, match=rf"^{name} is "):
                made(kind, numbers | {name: wrong})
