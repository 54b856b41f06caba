# SPDX-License-Identifier: Apache-2.0
"""The picture of confusion matrices: what was said in rows, what was answered in columns."""

from pathlib import Path

import numpy as np
from crossramp.sim.montecarlo.scores import Score

from .figures import colormap, new_figure, own_settings, save_figure

_INK, _WRONG, _RIGHT = "#333333", "Reds", "Blues"
_COLUMNS_MOST = 2  # panels side by side
_NUMBERED_MOST = 40  # classes of which counts can still be read


@own_settings
def draw_confusion(path: Path, panels: list[tuple[str, Score]], names: tuple[str, ...], title: str) -> None:
    """One panel a matrix: counts, colored by their share of the row; right answers blue, wrong ones red.

    Parameters
    ----------
    path : Path
        Its suffix says which format; written whole or not at all.
    panels : list of (str, Score)
        What each is of; accuracy and interval are added.
    names : tuple of str
        Of the classes.
    title : str
        Of the picture.
    """
    columns = min(len(panels), _COLUMNS_MOST)
    lines = -(-len(panels) // columns)
    side = max(3.4, 0.52 * len(names) + 1.7)
    figure = new_figure(columns * side, lines * (side + 0.3) + 0.3)
    figure.suptitle(title, fontsize=12)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax, (what, score) in zip(grid, panels, strict=False):
        low, high = score.interval
        accuracy = f"{100 * score.accuracy:.2f} % of {score.total:,} (95 %: {100 * low:.1f} to {100 * high:.1f})"
        _draw(ax, score.confusion, names)
        ax.set_title(f"{what}\n{accuracy}", fontsize=10)
    for ax in grid[len(panels) :]:
        ax.axis("off")
    save_figure(figure, path)


def _draw(ax, confusion: np.ndarray, names: tuple[str, ...]) -> None:
    rows = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, rows, out=np.zeros(confusion.shape), where=rows > 0)
    right = np.eye(len(names), dtype=bool)
    # Wrong answers are few: the root makes 1 % visible.
    image = colormap(_WRONG)(np.where(right, 0, np.sqrt(shares)) * 0.8)
    image[right] = colormap(_RIGHT)(0.15 + 0.7 * shares[right])
    image[~right & (confusion == 0)] = 1
    ax.imshow(image, interpolation="nearest")
    ax.set_xticks(range(len(names)), names, rotation=55, ha="right", rotation_mode="anchor", fontsize=9)
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.set(xlabel="answered", ylabel="said")
    ax.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="#dddddd", lw=0.5)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    if len(names) > _NUMBERED_MOST:
        return
    for said, answered in zip(*np.nonzero(confusion), strict=True):
        share = shares[said, answered]
        dark = share > 0.5 if said == answered else np.sqrt(share) * 0.8 > 0.6
        size = 9 if confusion[said, answered] < 1000 else 7
        color = "white" if dark else _INK
        ax.text(answered, said, str(confusion[said, answered]), ha="center", va="center", color=color, fontsize=size)
