# SPDX-License-Identifier: Apache-2.0
"""Draws docs/images/architecture.png from the imports in the tree: packages, their rooms, and which imports which.

``python tools/draw_architecture.py`` writes the picture, and what it shows as docs/images/architecture.json beside it.
A test compares that file with the tree.
"""

import ast
import json
import re
import textwrap
from pathlib import Path

from crossramp.cli.plots.figures import new_figure, own_settings, save_figure

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.png"
RECORD = PICTURE.with_suffix(".json")

#: Packages from the user's end to the foundation; those of one row stand side by side.
ROWS = (("cli",), ("boards", "train"), ("sim",), ("rtl", "convert"), ("golden",))
PACKAGES = tuple(package for row in ROWS for package in row)

_WIDTH = 14.0  # of the picture, in inches; everything below is in inches too
_BOX, _GAP = 1.95, 0.32
_LINE, _PAD, _TITLE, _BETWEEN = 0.175, 0.09, 0.36, 0.42
_FRAME, _EDGE = 0.14, 0.2
_LANE = 0.5  # beside the packages that an arrow passes
_CHARACTERS = 26
_DPI = 100
_COLORS = {
    "cli": "#7a3fa0",
    "boards": "#b5542a",
    "train": "#8a6d1a",
    "sim": "#2a7d4a",
    "rtl": "#1f6fb4",
    "convert": "#3d7f86",
    "golden": "#b08900",
}
_INK, _ARROW = "#222222", "#666666"


def shown(tree: Path = ROOT) -> dict[str, dict]:
    """What the picture shows of a tree.

    Returns
    -------
    dict of str to dict
        Package or room (such as ``sim`` or ``sim.bulk``) to ``says``, the first sentence of a room's docstring, and
        ``arrows``, what it imports: of a package other packages, of a room other rooms of its package, each without
        those that a longer path of arrows implies. A package with modules of its own, such as ``cli``, has a room
        ``cli.main``.
    """
    found = {}
    for package in PACKAGES:
        for init in sorted((tree / package).rglob("__init__.py")):
            modules = [path for path in init.parent.glob("*.py") if path != init]
            if modules:
                name = ".".join(init.parent.relative_to(tree).parts)
                text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
                found[name] = (_first_sentence(text), [*modules, init])
    imports = {name: _imports(tree, name, files, found) for name, (_, files) in found.items()}
    packages = {package: set() for package in PACKAGES}
    for name, others in imports.items():
        packages[name.split(".")[0]] |= {other.split(".")[0] for other in others} - {name.split(".")[0]}
    record = {package: {"arrows": sorted(others)} for package, others in reduced(packages).items()}
    inner = {
        name: {other for other in others if other.split(".")[0] == name.split(".")[0]}
        for name, others in imports.items()
    }
    for name, others in reduced(inner).items():
        arrows = sorted(f"{other}.main" if other in packages else other for other in others)
        record[f"{name}.main" if name in packages else name] = {"says": found[name][0], "arrows": arrows}
    return record


def _first_sentence(docstring: str) -> str:
    sentence = " ".join(docstring.split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    return re.sub(r":\w+:|`", "", sentence)


def _imports(tree: Path, own: str, files: list[Path], known) -> set[str]:
    names = set()
    for path in files:
        package = path.parent.relative_to(tree).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = ("crossramp", *package)[: 2 + len(package) - node.level] if node.level else ()
                module = ".".join([*base, *([node.module] if node.module else [])])
                names |= {f"{module}.{alias.name}" for alias in node.names}
    inner = [name.removeprefix("crossramp.") for name in names if name.startswith("crossramp.")]
    holders = {
        max((room for room in known if f"{name}.".startswith(f"{room}.")), key=len, default=own) for name in inner
    }
    return holders - {own}


def content(record: dict) -> str:
    """The JSON file of what :func:`shown` returned."""
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same graph without the edges that a longer path implies."""
    reach = {}

    def reachable(name: str) -> set[str]:
        if name not in reach:
            reach[name] = set().union(*({other} | reachable(other) for other in graph[name]))
        return reach[name]

    return {
        name: {o for o in others if not any(o in reachable(p) for p in others - {o})} for name, others in graph.items()
    }


def _columns(graph: dict[str, set[str]]) -> list[list[str]]:
    """Rooms by the length of their longest chain of imports within the package."""
    depth = {}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((of(other) for other in graph[name]), default=-1)
        return depth[name]

    columns = [[] for _ in range(1 + max(map(of, graph)))]
    for name, others in graph.items():
        users = [depth[user] for user in graph if name in graph[user]]
        # What imports nothing here stands beside its first user, or an arrow would pass behind other rooms.
        columns[depth[name] if others or not users else min(users) - 1].append(name)
    return columns


class _Band:
    """One package: a frame with its rooms in columns, each to the right of everything that it imports."""

    def __init__(self, package: str, record: dict):
        self.package = package
        own = {name: room for name, room in record.items() if name.startswith(f"{package}.")}
        self.graph = {name: set(room["arrows"]) for name, room in own.items()}
        self.text = {name: textwrap.wrap(room["says"], _CHARACTERS) for name, room in own.items()}
        self.columns = _columns(self.graph)
        # Beside its imports as far as possible: arrows stay short.
        for column, before in zip(self.columns[1:], self.columns[:-1], strict=True):
            column.sort(key=lambda name: self._place(name, before))
        self.height = max(map(self._tall_column, self.columns)) + _TITLE + 2 * _FRAME
        self.width = len(self.columns) * (_BOX + _GAP) - _GAP + 2 * _FRAME

    def _place(self, name: str, before: list[str]) -> float:
        """Mean place of what a room imports in the column before; last if it imports nothing there."""
        places = [before.index(other) for other in self.graph[name] if other in before]
        return sum(places) / len(places) if places else len(before)

    def _tall(self, name: str) -> float:
        return (len(self.text[name]) + 1.25) * _LINE + 2 * _PAD

    def _tall_column(self, column: list[str]) -> float:
        return sum(map(self._tall, column)) + 0.6 * _GAP * (len(column) - 1)

    def draw(self, axes, left: float, top: float, width: float) -> None:
        """Draw it with its upper left corner at (``left``, ``top``), in inches."""
        color = _COLORS[self.package]
        self.left, self.right, self.top, self.bottom = left, left + width, top, top - self.height
        _rectangle(axes, left, top, width, self.height, linewidth=1.5, edgecolor=color, facecolor="#fafafa", zorder=0)
        axes.text(left + _FRAME, top - 0.27, f"crossramp.{self.package}", fontsize=13, weight="bold", color=color)
        spread = (width - self.width) / max(1, len(self.columns) - 1)
        boxes = {}
        for number, column in enumerate(self.columns):
            x = left + _FRAME + number * (_BOX + _GAP + spread)
            free = self.height - _TITLE - 2 * _FRAME - self._tall_column(column)
            y = top - _TITLE - _FRAME - free / 2
            for name in column:
                boxes[name] = (x, y, self._tall(name))
                y -= self._tall(name) + 0.6 * _GAP
        for name, (x, y, tall) in boxes.items():
            _rectangle(axes, x, y, _BOX, tall, linewidth=1.0, edgecolor=color, facecolor="white", zorder=3)
            short = name.removeprefix(f"{self.package}.")
            axes.text(x + _PAD, y - 0.2, short, fontsize=10.5, weight="bold", color=_INK, zorder=4)
            for number, line in enumerate(self.text[name]):
                axes.text(x + _PAD, y - 0.2 - (number + 1.15) * _LINE, line, fontsize=8.8, color=_INK, zorder=4)
        for name, others in self.graph.items():
            for other in sorted(others):
                (x, y, tall), (ox, oy, otall) = boxes[name], boxes[other]
                # One that passes a column is bent, or it would lie behind a room there.
                bend = 0.3 if x - ox > 1.5 * (_BOX + _GAP + spread) else 0
                _arrow(axes, (x, y - tall / 2), (ox + _BOX, oy - otall / 2), color, 1.1, 11, bend)


def _rectangle(axes, left: float, top: float, width: float, height: float, **style) -> None:
    axes.fill([left, left + width, left + width, left], [top, top, top - height, top - height], **style)


def _arrow(axes, start, end, color: str, linewidth: float, head: float, bend: float = 0) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": head, "linewidth": linewidth, "color": color}
    style["connectionstyle"] = f"arc3,rad={bend}"
    axes.annotate("", end, start, arrowprops=style | {"shrinkA": 0, "shrinkB": 0}, zorder=2)


@own_settings
def draw(record: dict, path: Path) -> None:
    """Write the picture of what :func:`shown` returned."""
    bands = {package: _Band(package, record) for package in PACKAGES}
    row_of = {package: number for number, row in enumerate(ROWS) for package in row}
    arrows = [(package, other) for package in PACKAGES for other in record[package]["arrows"]]
    passed = {row for package, other in arrows for row in range(row_of[package] + 1, row_of[other])}
    height = sum(max(bands[p].height for p in row) for row in ROWS) + _BETWEEN * len(ROWS) + _EDGE
    figure = new_figure(_WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(0, height)
    axes.axis("off")
    told = "An arrow leads from what imports to what is imported. Arrows that others imply are left out."
    axes.text(_EDGE, height - 0.28, told, fontsize=10, color=_ARROW)
    top = height - _BETWEEN
    for number, row in enumerate(ROWS):
        free = _WIDTH - 2 * _EDGE - _BETWEEN * (len(row) - 1) - (_LANE if number in passed else 0)
        left = _EDGE
        for package in row:
            width = free * bands[package].width / sum(bands[p].width for p in row)
            bands[package].draw(axes, left, top, width)
            left += width + _BETWEEN
        top -= max(bands[p].height for p in row) + _BETWEEN
    for package, other in arrows:
        upper, lower = bands[package], bands[other]
        x = _WIDTH - _EDGE - _LANE / 2
        if row_of[other] == row_of[package] + 1:
            x = (max(upper.left, lower.left) + min(upper.right, lower.right)) / 2
        _arrow(axes, (x, upper.bottom), (x, lower.top), _ARROW, 3, 22)
    save_figure(figure, path, dpi=_DPI)


def main() -> None:
    """Write both files."""
    record = shown()
    RECORD.write_text(content(record), encoding="utf-8")
    draw(record, PICTURE)


if __name__ == "__main__":
    main()
