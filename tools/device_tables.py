# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/devices.md: constants, defaults and sources of the shipped technologies, from their files.

``python tools/device_tables.py`` prints them, ``--write`` writes them into the page; a test compares.
"""

import sys
from pathlib import Path

from crossramp.cli.output.tables import markdown, with_tables
from crossramp.golden.analog.technologies.constants import CONSTANTS
from crossramp.golden.analog.technologies.technology import load, shipped

PAGE = Path(__file__).parents[1] / "docs" / "devices.md"


def tables() -> dict[str, str]:
    """Name in the page to table, as Markdown."""
    technologies = [load(name) for name in sorted(shipped(), key=lambda name: (name != "rram", name))]
    return {"constants": _constants(technologies), "sources": "\n".join(map(_sources, technologies)).rstrip()}


def written(text: str) -> str:
    """``text``, the page, with its tables made anew."""
    return with_tables(text, tables())


def _constants(technologies) -> str:
    rows = []
    for name, constant in CONSTANTS.items():
        values = [_value(tech, name) for tech in technologies]
        rows.append((f"`{name}`", constant.unit, *values, constant.meaning))
    return markdown(("constant", "unit", *(tech.name for tech in technologies), "meaning"), rows)


def _value(tech, name: str) -> str:
    if name not in tech.names:
        return "–"
    value = tech[name]
    return ", ".join(f"{number:g}" for number in (value if isinstance(value, tuple) else (value,)))


def _sources(tech) -> str:
    """Every source once, with the constants that it gives."""
    by_source: dict[str, list[str]] = {}
    for name in tech.names:
        by_source.setdefault(tech.source(name), []).append(f"`{name}`")
    rows = [(source, ", ".join(names)) for source, names in by_source.items()]
    return f"**{tech.name}**: {tech.description}\n\n{markdown(('source', 'constants'), rows)}\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(tables().values()))
