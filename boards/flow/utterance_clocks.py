# SPDX-License-Identifier: Apache-2.0
"""The time that a board takes for an utterance: clocks of the core, and bytes on the UART."""

import gc
import warnings
from dataclasses import dataclass

from crossramp.golden.layers.network_specification import AnySpecification, NetworkSpecification, projection_name
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
        With the array always ready where it is on pins. Of several layers, that of the slowest: all work at once.
    clocks : int
        Of all steps and the answer. A layer behind another one takes the last step one step later; a layer of two
        directions, and the one behind it, begin when the utterance is complete.
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
    layers = _clocks_of_layers(build)
    step = max(layers)
    clocks = sum((steps + len(group) - 1) * max(group) for group in _at_once(spec, layers)) + spec.head_clocks
    answer = len(encode(Frame(0, 0, b"\0")))
    step_bytes = len(encode(Frame(0, Command.STEP, step_payload(0, 0, False, [0] * spec.inputs)))) + answer
    reset_bytes = len(encode(Frame(0, Command.RESET, b"\0"))) + answer
    status_bytes = len(encode(Frame(0, Command.STATUS))) + len(encode(Frame(0, 0, bytes(1 + StatusBlock.SIZE))))
    link_bytes = reset_bytes + steps * step_bytes + status_bytes
    if spec.readout == "step":
        ask = len(encode(Frame(0, Command.READ + Space.LOGITS, read_payload(0, 1))))
        logits = len(encode(Frame(0, 0, bytes(1 + build.words(Space.LOGITS) * build.word_bytes(Space.LOGITS)))))
        link_bytes += steps * (ask + logits) + (steps - 1) * status_bytes
        # The host sends a step when the one before has its answer.
        clocks = steps * (sum(layers) + spec.head_clocks)
    return UtteranceTime(steps, step, clocks, link_bytes, clocks / build.clock + link_bytes * _BITS / build.baud)


def _clocks_of_layers(build: Build) -> list[int]:
    """Clocks of a step of each layer; both macros of two directions work at once."""
    spec = build.spec
    if not isinstance(spec, NetworkSpecification):
        return [spec.clocks_per_step + _extra_clocks(build, "")]
    found = []
    for number, layer in enumerate(spec.layers):
        name = spec.names_of(number)[0]
        own = max(layer.macro.macro_clocks, -(-layer.macro.inputs // spec.x_lanes[name])) + _extra_clocks(build, name)
        if layer.macro.array_projects:
            own += _extra_clocks(build, projection_name(name))
        found.append(own)
    return found


def _at_once(spec: AnySpecification, layers: list[int]) -> list[list[int]]:
    """The layers in groups that work on different steps of an utterance at once, with a memory of it between them."""
    groups = [layers[:1]]
    for number, clocks in enumerate(layers[1:], 1):
        if spec.passes_groups(number):
            groups[-1].append(clocks)
        else:
            groups.append([clocks])
    return groups


def _extra_clocks(build: Build, macro: str) -> int:
    """Clocks of a step that the emulator of a macro makes the periphery wait."""
    if not build.columns_per_clock:
        return 0
    from amaranth.hdl import UnusedElaboratable
    from crossramp.rtl.emulation.emulator import CrossbarEmulator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)  # it is only asked, not built
        emulator = CrossbarEmulator(build.spec.macros[macro], None, build.columns(macro))
        extra = emulator.extra_clocks_per_step()
        del emulator
        gc.collect()
    return extra
