# SPDX-License-Identifier: Apache-2.0
"""The time that a board takes for an utterance: clocks of the core, and bytes on the UART."""

import gc
import warnings
from dataclasses import dataclass

from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_protocol import Command, Frame, Space, StatusBlock, encode, read_payload, step_payload

#: Bits on the line of one byte.
_BITS = 10


@dataclass(frozen=True)
class UtteranceTime:
    """Of an utterance of ``steps`` steps.

    Attributes
    ----------
    steps : int
    clocks_per_step : int
        With the array always ready where it is on pins.
    clocks : int
        Of all steps and the answer.
    link_bytes : int
        Both ways: RESET, a frame and its answer a step, and the STATUS that tells the answer. With the readout
        ``"step"``, a STATUS and the logits for each step.
    seconds : float
        Clocks and bytes one after the other: what the host adds, and USB, is not in it.
    """

    steps: int
    clocks_per_step: int
    clocks: int
    link_bytes: int
    seconds: float


def utterance_time(build: Build, steps: int) -> UtteranceTime:
    """The time of an utterance on a board of ``build``."""
    spec = build.spec
    step = spec.clocks_per_step + _extra_clocks(build)
    clocks = steps * step + spec.classes * (spec.units + 5) + 1
    answer = len(encode(Frame(0, 0, b"\0")))
    step_bytes = len(encode(Frame(0, Command.STEP, step_payload(0, 0, False, [0] * spec.inputs)))) + answer
    reset_bytes = len(encode(Frame(0, Command.RESET, b"\0"))) + answer
    status_bytes = len(encode(Frame(0, Command.STATUS))) + len(encode(Frame(0, 0, bytes(1 + StatusBlock.SIZE))))
    link_bytes = reset_bytes + steps * step_bytes + status_bytes
    if spec.readout == "step":
        ask = len(encode(Frame(0, Command.READ + Space.LOGITS, read_payload(0, 1))))
        logits = len(encode(Frame(0, 0, bytes(1 + build.words(Space.LOGITS) * build.word_bytes(Space.LOGITS)))))
        link_bytes += steps * (ask + logits) + (steps - 1) * status_bytes
        clocks = steps * (step + spec.head_clocks)  # the host sends a step when the one before has its answer
    return UtteranceTime(steps, step, clocks, link_bytes, clocks / build.clock + link_bytes * _BITS / build.baud)


def _extra_clocks(build: Build) -> int:
    """Clocks of a step that the emulator makes the periphery wait."""
    if not build.columns_per_clock:
        return 0
    from amaranth.hdl import UnusedElaboratable
    from crossramp.rtl.emulation.emulator import CrossbarEmulator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)  # it is only asked, not built
        extra = CrossbarEmulator(build.spec, None, build.columns_per_clock).extra_clocks_per_step()
        gc.collect()
    return extra
