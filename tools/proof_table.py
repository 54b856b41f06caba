# SPDX-License-Identifier: Apache-2.0
"""The table of docs/formal.md: every claim that ``crossramp prove`` makes of the shipped models.

``python tools/proof_table.py`` prints it, ``--write`` writes it into the page; a test compares.
"""

import sys
from pathlib import Path

from crossramp.cli.output.tables import markdown, with_tables
from crossramp.golden.network.model_file import load_model, shipped_models
from crossramp.sim.formal.catalog import proofs_of

PAGE = Path(__file__).parents[1] / "docs" / "formal.md"


def table() -> str:
    """Block, claim and reach, as Markdown; the same claim of several models once."""
    rows: dict[tuple[str, str], str] = {}
    for model in shipped_models():
        for entry in proofs_of(load_model(model).spec):
            reach = f"{entry.reach} (`--long`)" if entry.long else entry.reach
            rows.setdefault((entry.block, entry.claim), reach)
    return markdown(("block", "claim", "reach"), [(*claim, reach) for claim, reach in rows.items()])


def written(text: str) -> str:
    """``text``, the page, with its table made anew."""
    return with_tables(text, {"claims": table()})


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())
