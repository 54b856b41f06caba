# SPDX-License-Identifier: Apache-2.0
"""``crossramp cache``: what is kept for the next run, where and how large; empties or prunes it."""

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path

from crossramp.golden.common.crossramp_cache import VARIABLE, own_cache, user_cache
from crossramp.golden.common.errors import UserError
from crossramp.golden.common.wording import printable
from crossramp.sim.tools import build_cache
from crossramp.sim.tools.build_cache import Entry

from ..inputs import options
from ..output.tables import as_json, table

_EPILOG = f"""\
examples:
  crossramp cache
  crossramp cache --prune 30 --keep 2GB
  crossramp cache --empty

Simulation models, bitstreams and generated Verilog are kept under a hash of everything they were built from, and the
levels of training clips under one of their folder. All of it can be made again. Entries that another process uses or
builds stay, and are counted. {VARIABLE}=FOLDER in the environment keeps everything in another folder.
"""

#: Folders in the user's cache folder that the tools below crossramp keep, and what for.
_OTHERS = {
    "YoWASP": "yosys and nextpnr, compiled once",
    "wasmtime": "Amaranth's yosys, compiled once",
    "matplotlib": "its list of fonts",
}

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class _Pruned:
    """What was asked for: the entries that were removed, and those that are in use and stay."""

    removed: list[Entry]
    in_use: list[Entry]


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "cache",
        description="Shows what crossramp keeps between runs, and removes what is not needed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--prune", metavar="DAYS", help="remove what was not used for more than DAYS days, and unfinished builds"
    )
    parser.add_argument(
        "--keep", metavar="SIZE", help="remove what was used least recently, until SIZE is left, as in 500MB or 2GB"
    )
    parser.add_argument("--empty", action="store_true", help="remove everything that no process uses")
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or UserError."""
    if args.empty and (args.prune is not None or args.keep is not None):
        raise UserError("--empty removes everything; leave out --prune and --keep")
    days = None if args.prune is None else _days(args.prune)
    size = None if args.keep is None else _bytes(args.keep)
    place = own_cache()
    found = entries(place)
    pruned = None
    if args.empty or days is not None or size is not None:
        pruned = _prune(found if args.empty else build_cache.to_prune(found, days, size), place)
        found = entries(place)
    others = [(path, build_cache.size_of(path), what) for path, what in _others() if path.is_dir()]
    if args.json:
        print(as_json(_content(place, found, pruned, others)))
    else:
        print(_text(place, found, pruned, others))
    return 0


def entries(place: Path) -> list[Entry]:
    """All that is kept in the folder, the one used last first: builds, and one for each file of levels."""
    found = build_cache.entries(place / "simulation")
    for path in (place / "levels").glob("*.npz*"):
        try:
            status = path.stat()
        except OSError:  # replaced just now
            continue
        found.append(Entry(path, "levels", status.st_size, status.st_mtime, path.suffix == ".npz"))
    return sorted(found, key=lambda entry: -entry.used)


def _prune(chosen: list[Entry], place: Path) -> _Pruned:
    removed, in_use = [], []
    for entry in chosen:
        if entry.kind == "levels":  # written under another name and read at once: no lock is needed
            entry.path.unlink(missing_ok=True)
            removed.append(entry)
        else:
            (removed if build_cache.remove(entry) else in_use).append(entry)
    build_cache.remove_left_locks(place / "simulation")
    return _Pruned(removed, in_use)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise UserError(f"--prune is {printable(text)!r}; give a number of days, 0 or more")
    return days


def _bytes(text: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kMGT]?B?)\s*", text, re.IGNORECASE | re.ASCII)
    unit = match and match[2].upper()
    if match is None:
        raise UserError(f"--keep is {printable(text)!r}; give a size, as in 500MB or 2GB")
    return int(float(match[1]) * _UNITS[unit if unit in _UNITS else unit + "B"])


def _others() -> list[tuple[Path, str]]:
    base = user_cache()
    return [] if base is None else [(base / name, what) for name, what in _OTHERS.items()]


def _content(place: Path, found: list[Entry], pruned: _Pruned | None, others) -> dict:
    content = {
        "folder": str(place),
        "bytes": sum(entry.size for entry in found),
        "entries": [
            {
                "kind": entry.kind,
                "path": str(entry.path),
                "bytes": entry.size,
                "used": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.used)),
                "complete": entry.complete,
            }
            for entry in found
        ],
        "others": [{"path": str(path), "bytes": size, "what": what} for path, size, what in others],
    }
    if pruned is not None:
        content["removed"] = [str(entry.path) for entry in pruned.removed]
        content["in_use"] = [str(entry.path) for entry in pruned.in_use]
    return content


def _text(place: Path, found: list[Entry], pruned: _Pruned | None, others) -> str:
    lines = []
    if pruned is not None:
        freed = _shown(sum(entry.size for entry in pruned.removed))
        stay = f"; {_count(len(pruned.in_use))} in use stayed" if pruned.in_use else ""
        lines.append(f"removed {_count(len(pruned.removed))}, {freed}{stay}")
    kinds: dict[str, list[Entry]] = {}
    for entry in found:
        kinds.setdefault(entry.kind if entry.complete else f"{entry.kind} (unfinished)", []).append(entry)
    rows = [
        (kind, len(members), _shown(sum(entry.size for entry in members)), _ago(max(entry.used for entry in members)))
        for kind, members in sorted(kinds.items())
    ]
    rows.append(("all", len(found), _shown(sum(entry.size for entry in found)), ""))
    lines += [f"folder: {printable(str(place))}", "", table(("kind", "entries", "size", "used"), rows, right=(1, 2))]
    if others:
        lines += ["", "kept by other tools, and not touched:"]
        lines += [f"  {printable(str(path))}  {_shown(size)}  ({what})" for path, size, what in others]
    return "\n".join(lines)


def _count(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def _shown(size: int) -> str:
    for unit in ("GB", "MB", "KB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit}"
    return f"{size} B"


def _ago(moment: float) -> str:
    days = int(max(time.time() - moment, 0) // 86400)
    return "today" if days == 0 else "1 day ago" if days == 1 else f"{days} days ago"
