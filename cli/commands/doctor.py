# SPDX-License-Identifier: Apache-2.0
"""``crossramp doctor``: which tools were found, which command lacks one, and what to type."""

import argparse

from crossramp.golden.common.errors import ExitStatus

from ..inputs import options
from ..output.messages import LOGGER
from ..output.tables import as_json, table
from ..process.tools import TOOLS, Found, find, python_version


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "doctor",
        description="Lists the tools that were found and how to install the missing ones. "
        "Exit status 2 if a tool that every command needs is missing.",
        epilog="example:\n  crossramp doctor --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or 2 if something required is missing."""
    findings = [find(tool) for tool in TOOLS]
    lacking = [found for found in findings if found.tool.required and found.version is None]
    if args.json:
        content = {"python": python_version(), "tools": [_entry(f) for f in findings], "ok": not lacking}
        print(as_json(content))
    else:
        print(_text(findings, lacking))
    if not lacking:
        return ExitStatus.DONE
    names = ", ".join(found.tool.name for found in lacking)
    ways = "; ".join(dict.fromkeys(found.tool.install for found in lacking))
    LOGGER.error("required and missing: %s; type: %s", names, ways)
    return ExitStatus.REFUSED


def _entry(found: Found) -> dict:
    tool = found.tool
    return {
        "name": tool.name,
        "version": found.version,
        "path": found.path or None,
        "required": tool.required,
        "needed_by": tool.needed_by,
        "install": None if found.version is not None else tool.install,
    }


def _text(findings: list[Found], lacking: list[Found]) -> str:
    rows = [("python", python_version(), "everything", "")]
    for found in findings:
        missing = found.version is None
        note = f"install: {found.tool.install}" if missing else ""
        rows.append((found.tool.name, "missing" if missing else found.version, found.tool.needed_by, note))
    lines = [table(("tool", "version", "needed by", ""), rows), ""]
    if lacking:
        lines.append(f"required and missing: {', '.join(found.tool.name for found in lacking)}")
    elif any(found.version is None for found in findings):
        lines.append("all required tools are installed; a missing tool limits only the commands beside it")
    else:
        lines.append("all tools are installed")
    return "\n".join(lines)
