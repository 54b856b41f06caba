# SPDX-License-Identifier: Apache-2.0
"""Resources and Fmax of the shipped model on every board, by tool versions, and how much they may change."""

import json
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "boards" / "baselines"

#: Of the baseline: resources may grow and shrink by this part, and by a few; Fmax may fall by this part. A placement
#: is a matter of luck, so Fmax has much; what it may never do is miss the board's clock, and that the build refuses.
RESOURCES, FEW, FMAX = 0.02, 3, 0.20

#: With other tools than a baseline's, three times as much.
OTHER_TOOLS = 3


#: Boards, and recipes of networks of several macros that are built for them, beside the shipped model.
LAYERED = (("ulx3s-85f", "kws-two-layer"), ("ulx3s-85f", "kws-bidirectional"))


def name_of(board: str, recipe: str | None) -> str:
    """What the baselines of a board are called, or those of a recipe's network on it."""
    return board if recipe is None else f"{board}-{recipe}"


def load(board: str) -> list[dict]:
    """The baselines of what :func:`name_of` calls so: each with ``tools``, ``resources`` and ``fmax``."""
    return json.loads((FOLDER / f"{board}.json").read_text())


def entry(result: Mapping) -> dict:
    """What a build's result gives a baseline."""
    used = {name: counts["used"] for name, counts in sorted(result["resources"].items()) if counts["used"]}
    return {"tools": dict(result["tools"]), "resources": used, "fmax": result["fmax"]}


def nearest(baselines: list[dict], tools: Mapping[str, str]) -> tuple[dict, bool]:
    """The baseline of these tools and True; else the one that shares most of them, the latest of equals, and False."""
    shared = [sum(base["tools"].get(name) == version for name, version in tools.items()) for base in baselines]
    best = max(range(len(baselines)), key=lambda k: (shared[k], k))
    return baselines[best], shared[best] == len(tools)


def differences(base: Mapping, have: Mapping, slack: float = 1) -> list[str]:
    """What of ``have`` is further from ``base`` than allowed times ``slack``; a line each."""
    found = []
    for name in sorted({*base["resources"], *have["resources"]}):
        before, now = base["resources"].get(name, 0), have["resources"].get(name, 0)
        if abs(now - before) > slack * max(RESOURCES * before, FEW):
            found.append(f"{name}: {now}, baseline {before}")
    if have["fmax"] < (1 - min(slack * FMAX, 0.9)) * base["fmax"]:
        found.append(f"fmax: {have['fmax'] / 1e6:.2f} MHz, baseline {base['fmax'] / 1e6:.2f} MHz")
    return found


def write(board: str, result: Mapping) -> None:
    """Put a result among the baselines of its board, in the place of one of the same tools."""
    new = entry(result)
    path = FOLDER / f"{board}.json"
    kept = [base for base in (load(board) if path.exists() else []) if base["tools"] != new["tools"]]
    path.write_text(json.dumps([*kept, new], indent=2) + "\n")
