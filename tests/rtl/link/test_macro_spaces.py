# SPDX-License-Identifier: Apache-2.0
"""The spaces of a board with several macros: a word is written where its address says, and in no other macro."""

import pytest
from crossramp.golden.link.board_memory import OF_MACROS, Build, Region
from crossramp.golden.link.link_protocol import Space
from crossramp.rtl.link.spaces import Spaces, macro_members

from tests.support.amaranth_benches import simulate
from tests.support.layered import WAITING
from tests.support.planted import planted

BUILD = Build("waiting", WAITING, 2, 12_000_000)


def reached(space: Space, number: int) -> tuple[list[Region], bool, int]:
    """The memories that a write to word 0 goes to, whether it is beyond the end, and the bytes of a word."""
    dut, found = Spaces(BUILD), []

    async def ask(ctx):
        request = dut.request
        for name, value in (("space", space), ("macro", number), ("address", 0), ("write", 1)):
            ctx.set(getattr(request, name), value)
        written = [region for name, region in macro_members(BUILD).items() if ctx.get(getattr(dut, name).write)]
        found.append((written, bool(ctx.get(request.beyond)), ctx.get(request.word_bytes)))

    simulate(dut, ask)
    return found[0]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 255])
def test_a_word_is_that_of_one_macro(number):
    names = list(WAITING.macros)
    for space in OF_MACROS:
        region = Region(space, names[number]) if number < len(names) else None
        if region in BUILD.regions:
            assert reached(space, number) == ([region], False, BUILD.word_bytes(*region))
        else:
            assert reached(space, number) == ([], True, 1)


def test_what_belongs_to_the_network_is_at_macro_0():
    for space in (Space.HEAD, Space.H, Space.LOGITS, Space.SETTINGS):
        assert reached(space, 0) == ([], False, BUILD.word_bytes(space))
        assert reached(space, 1)[1]


def test_a_decoder_that_ignores_the_macro_is_seen():
    with planted("rtl/link/spaces.py", "here & (request.macro == _number(self.build, region))", "here"):
        written, _, _ = reached(Space.WEIGHTS, 1)
    assert [region.macro for region in written] == list(WAITING.macros)
