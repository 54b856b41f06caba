# SPDX-License-Identifier: Apache-2.0
"""What commands print: text tables and JSON."""

import json
from collections.abc import Mapping, Sequence

from crossramp.golden.common.errors import InvalidValue
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


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """A page of the documentation with its tables made anew, each between the marks of its name.

    The marks are ``<!-- name -->`` and ``<!-- end of name -->``.

    Raises
    ------
    InvalidValue
        For a table whose marks are gone.
    """
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, opened, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise InvalidValue(f"the marks of the table {name} are gone: write {begin} and {end}")
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


def error_text(content: dict, side: str = "") -> str:
    """The error of numbers as people read it: ``RMSE 0.12, R2 0.930 (95 % interval 0.912 to 0.951)``.

    Parameters
    ----------
    content : dict
        With ``rmse``, ``r2`` and ``r2_interval``, each None where it is not known; names may begin with ``side``.
    """
    if content[f"{side}rmse"] is None:
        return "not known, nothing is labeled"
    text = f"RMSE {content[f'{side}rmse']:.4g}"
    if content[f"{side}r2"] is not None:
        text += f", R2 {content[f'{side}r2']:.3f}"
    if content[f"{side}r2_interval"] is not None:
        low, high = content[f"{side}r2_interval"]
        text += f" (95 % interval {low:.3f} to {high:.3f})"
    return text
