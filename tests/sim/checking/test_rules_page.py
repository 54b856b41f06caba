# SPDX-License-Identifier: Apache-2.0
"""docs/boundary.md lists every rule of the boundary, in its words and order, and the monitors of every cell."""

import re
from pathlib import Path

from crossramp.golden.cell.library import CELLS
from crossramp.golden.macro.step_groups import groups_of
from crossramp.sim.checking.protocol import RULES

PAGE = (Path(__file__).parents[3] / "docs" / "boundary.md").read_text(encoding="utf-8")


def test_every_rule():
    section = PAGE[PAGE.index("## The rules") : PAGE.index("## Ports")]
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)[: len(RULES)] == list(RULES.items())


def test_every_monitor():
    for name in CELLS:
        (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", PAGE, re.MULTILINE)
        groups = [group for group in groups_of(CELLS[name]) if group.monitored]
        ports = [port for group in groups for port in (group.strobe, *map(group.port_of, group.fields))]
        assert re.findall(r"`(\w+)`", row) == ports
