# SPDX-License-Identifier: Apache-2.0
"""Proofs of the commands of the host link: any request, for each size of words; covers; planted faults."""

import pytest
from crossramp.golden.link.board_memory import Build
from crossramp.golden.link.link_protocol import Command, Space
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.link.command_proof import CommandProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

COMMANDS = "rtl/link/link_commands.py"
SPEC = Specification(inputs=3, units=5, classes=4, lanes=2, adc_bits=3, input_bits=4, weight_bits=4, max_steps=6)
#: The smallest one, whose requests are short.
LEAST = Build("least", SPEC.replace(inputs=1, units=1, classes=2, lanes=1), 1, 12_000_000)
RESETS = ((Command.RESET, 1), (Command.RESET, 2))
WRITES = ((Command.WRITE + Space.SETTINGS, 6),)


@pytest.mark.slow
def test_every_size_of_words():
    all_hold(proofs(SPEC))


@pytest.mark.slow
def test_covers_are_reached():
    holds(CommandProof(LEAST, 1, RESETS, invariants=False), Mode.COVER, 14)


FAULTS = [
    # requests, old, new, clocks, the claim that breaks
    (RESETS, "self.started.eq(1), self.reset.eq(1)]", "self.started.eq(1)]", 9, "resets"),
    (RESETS, "wrong.eq(request.length != self.arguments)", "wrong.eq(request.length < self.arguments)", 9, ""),
    (RESETS, "(request.sequence, request.command | ANSWER,", "(request.command | ANSWER, request.sequence,", 9, ""),
    (RESETS, "(index == _HEADER - 1) & final]", "(index == _HEADER - 2) & final]", 11, ""),
    (WRITES, "memory.write.eq(self.commit)", "memory.write.eq(1)", 12, "nothing is done before"),
    (((Command.STATUS | 0x80, 0),), "request.ignore.eq(1)", "request.ignore.eq(0)", 12, "in time"),
    (
        ((Command.STATUS, 0),),
        "Mux(self.kind == Kind.ECHO, request.byte, self.word[:8])",
        "Mux(self.kind == Kind.STATUS, self._chosen(m, self._status_bytes()), self.word[:8])",
        13,
        "offered byte stays",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "old", "new", "clocks", "message"), FAULTS)
def test_planted_faults(asked, old, new, clocks, message):
    with planted(COMMANDS, old, new):
        is_violated(CommandProof(LEAST, 2, asked, invariants=False), clocks, message)
