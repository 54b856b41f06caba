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


def writes(payload: int) -> tuple:
    """WRITE of SETTINGS, whose words have two bytes, with so many bytes of payload."""
    return ((Command.WRITE + Space.SETTINGS, payload),)


WRITES = writes(6)
RESETS = ((Command.RESET, 1), (Command.RESET, 2))
READS = ((Command.READ + Space.SETTINGS, 5),)
STEPS = ((Command.RESET, 1), (Command.STEP, 7))


@pytest.mark.slow
def test_every_size_of_words():
    all_hold(proofs(SPEC))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "clocks"),
    [
        (RESETS, 14),
        (WRITES, 32),
        (READS, 30),
        (STEPS, 48),
        (((Command.ECHO, 2), (Command.ECHO, LEAST.payload)), 20),
        (((Command.STATUS, 0), (Command.STATUS, 1)), 20),
    ],
)
def test_covers_are_reached(asked, clocks):
    holds(CommandProof(LEAST, 2, asked, invariants=False), Mode.COVER, clocks)


JUDGED = "only what is right is gone through again"
STORE = "self.bad_address.eq(self.bad_address | memory.beyond),\n                self.bad_value"
FAULTS = [
    # requests, old, new, clocks, the claim that breaks
    (RESETS, "self.started.eq(1), self.reset.eq(1)]", "self.started.eq(1)]", 9, "resets"),
    (
        RESETS,
        "wrong.eq(request.length != self.arguments)",
        "wrong.eq(request.length < self.arguments)",
        9,
        "nothing is done",
    ),
    (
        RESETS,
        "(request.sequence, request.command | ANSWER,",
        "(request.command | ANSWER, request.sequence,",
        9,
        "sequence number",
    ),
    (RESETS, "(index == _HEADER - 1) & final)", "(index == _HEADER - 2) & final)", 11, "last with"),
    (WRITES, "memory.write.eq(self.commit)", "memory.write.eq(1)", 12, "nothing is done before"),
    (((Command.STATUS | 0x80, 0),), "request.ignore.eq(1)", "request.ignore.eq(0)", 12, "in time"),
    (
        ((Command.STATUS, 0),),
        "Mux(self.kind == Kind.ECHO, request.byte, self.word[:8])",
        "Mux(self.kind == Kind.STATUS, self._chosen(m, self._status_bytes()), self.word[:8])",
        13,
        "offered byte stays",
    ),
    (RESETS, "with m.If(~request.frame):", "with m.If(1):", 14, "one answer to a request"),
    (RESETS, "self.length[:8], self.length[8:]", "self.length[8:], self.length[:8]", 10, "the answer's length"),
    (((Command.ECHO, 2),), "[index.eq(0), self.length.eq(self.length - 1)]", "index.eq(0)", 14, "last with"),
    (
        ((Command.ECHO, LEAST.payload),),
        "request.length >= build.payload",
        "request.length > build.payload",
        8,
        "the answer's length",
    ),
    (((Command.STATUS, 0),), "~self.x.ready)\n", "self.x.ready)\n", 12, "byte 0 of the status"),
    (((Command.STEP, 7),), "self.ours.eq(self.started & ~other_tag)", "self.ours.eq(~other_tag)", 14, JUDGED),
    (STEPS, "(~x.ready, Status.BUSY)", "(0, Status.BUSY)", 26, JUDGED),
    (STEPS, "self.bad_value.eq(byte[1:] != 0)", "self.bad_value.eq(0)", 26, JUDGED),
    (READS, "self.too_long | (self.length == 1)", "self.too_long", 12, JUDGED),
    (READS, "self.count.eq(byte)", "self.count.eq(byte[:1])", 12, JUDGED),
    (
        WRITES,
        "(self.within != 0, Status.LENGTH),\n                    (self._busy(), Status.BUSY),",
        "(self.within != 0, Status.LENGTH),",
        14,
        JUDGED,
    ),
    (WRITES, "self.bad_value | memory.wrong", "self.bad_value", 14, JUDGED),
    (WRITES, STORE, "self.bad_value", 14, JUDGED),
    (WRITES, "Cat(self.word[8:], self.request.byte)", "Cat(self.request.byte, self.word[:-8])", 20, "a word has the"),
    (WRITES, "m.d.comb += memory.write.eq(self.commit)", "pass", 22, "every word is written"),
    (writes(4), "request.length <= _ARGUMENTS", "request.length < _ARGUMENTS", 12, JUDGED),
    (writes(7), "(self.within != 0, Status.LENGTH)", "(0, Status.LENGTH)", 16, JUDGED),
    (writes(8), "self.address.eq(self.address + 1),\n                " + STORE, STORE, 30, "a word at its address"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "old", "new", "clocks", "message"), FAULTS)
def test_planted_faults(asked, old, new, clocks, message):
    with planted(COMMANDS, old, new):
        is_violated(CommandProof(LEAST, 2, asked, invariants=False), clocks, message)
