# SPDX-License-Identifier: Apache-2.0
"""What commands print: text tables, JSON, and a progress line that only a terminal sees."""

import contextlib
import json
import sys
from collections.abc import Sequence

from crossramp.golden.common.wording import printable


def table(header: Sequence[str], rows: Sequence[Sequence], right: Sequence[int] = ()) -> str:
    """Columns as wide as their widest entry, two spaces apart; ``right`` are the indices of right-aligned columns.

    An entry is one line: a line feed in a file's name shows as an escape.
    """
    texts = [[printable(entry) for entry in row] for row in (header, *rows)]
    widths = [max(len(row[k]) for row in texts) for k in range(len(header))]
    lines = []
    for row in texts:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(text.rjust(w) if k in right else text.ljust(w) for k, (text, w) in enumerate(cells)))
    return "\n".join(line.rstrip() for line in lines)


def markdown(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    """The same as a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(printable(entry).replace("|", "\\|") for entry in row) + " |" for row in lines)


def as_json(content) -> str:
    """JSON that is valid in any encoding that stdout may have: pure ASCII."""
    return json.dumps(content, indent=2, ensure_ascii=True)


def wrote(content: dict) -> str:
    """A line for each file that was written, behind a table: the entries of JSON that name one; "" of none."""
    files = [content[name] for name in ("picture", "supply_picture", "csv", "folder") if name in content]
    return "\n".join(["\n"] * bool(files) + [f"wrote {printable(file)}" for file in files])


def percent(part: int, whole: int) -> str:
    """``part`` of ``whole`` as text; "unknown" of nothing."""
    return f"{100 * part / whole:.1f} % ({part} of {whole})" if whole else "unknown (no labels)"


class Progress:
    """One line on stderr that overwrites itself; where stderr is no terminal, at most a line for each stage."""

    def __init__(self):
        self._shown, self._stage = 0, ""
        self._active = sys.stderr is not None and sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._active:
            text = printable(text)
            sys.stderr.write("\r" + text.ljust(self._shown))
            sys.stderr.flush()
            self._shown = len(text)

    def stage(self, text: str) -> None:
        """A stage of something long, and after a comma how far it is; elsewhere than on a terminal, when it begins."""
        self.show(text)
        name = text.partition(", ")[0]
        if not self._active and name != self._stage and sys.stderr is not None:
            with contextlib.suppress(OSError):
                print(printable(name), file=sys.stderr, flush=True)
        self._stage = name

    def clear(self) -> None:
        """Wipe the line."""
        if self._active and self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            sys.stderr.flush()
            self._shown = 0
