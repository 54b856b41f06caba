# SPDX-License-Identifier: Apache-2.0
"""Every picture is made here, with settings of this project: nothing else imports matplotlib.

A user's matplotlibrc (``text.usetex``, fonts, colors) and ``MPLBACKEND`` are for the user's own pictures; with them,
ours would look different on each machine, or fail where LaTeX or a display is missing.
"""

import contextlib
import functools
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from crossramp.golden.common.errors import UserError
from crossramp.golden.common.installation import how_to_install
from crossramp.golden.common.whole_file import whole_file

#: Formats by the suffix of a file's name, and what keeps the time of day out of it: equal pictures make equal bytes.
_METADATA = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
_SALT = "crossramp"  # of the names within an SVG, which are drawn at random otherwise
_DPI = 120


def check_format(path: Path | str) -> None:
    """UserError for a picture's name with a suffix that matplotlib does not know."""
    path = Path(path)
    with _drawing():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        if path.suffix[1:] not in FigureCanvasAgg.filetypes:
            raise UserError(f"{path}: no picture ends in {path.suffix!r}; use .png, .svg or .pdf")


def own_settings(draw: Callable) -> Callable:
    """A drawing function under this project's settings of matplotlib; the caller's settings return after it."""

    @functools.wraps(draw)
    def drawn(*given, **options):
        with _drawing():
            return draw(*given, **options)

    return drawn


def new_figure(width: float, height: float):
    """An empty :class:`matplotlib.figure.Figure`, ``width`` by ``height`` inches; for :func:`own_settings` only."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure, path: Path | str, dpi: int = _DPI) -> None:
    """Write a figure whole or not at all; the suffix of ``path`` says in which format.

    Raises
    ------
    UserError
        For a suffix that matplotlib does not know.
    OSError
        If it cannot be written; names ``path``.
    """
    path = Path(path)
    check_format(path)
    with whole_file(path) as draft:
        figure.savefig(draft, dpi=dpi, format=path.suffix[1:], metadata=_METADATA.get(path.suffix))


def colormap(name: str):
    """A colormap of matplotlib, by its name."""
    from matplotlib import colormaps

    return colormaps[name]


def listed_colors(colors: list[str]):
    """A colormap of these colors, one after the other."""
    from matplotlib.colors import ListedColormap

    return ListedColormap(colors)


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
    matplotlib = _matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.hashsalt"] = _SALT
        yield


@functools.cache
def _matplotlib():
    """The package, imported without a look at the user's settings, which may be invalid."""
    found = importlib.util.find_spec("matplotlib")
    if found is None:
        raise UserError(f"a picture needs matplotlib, which is missing; type: {how_to_install()}")
    shipped = Path(found.origin).parent / "mpl-data" / "matplotlibrc"
    given = {name: os.environ.pop(name, None) for name in ("MPLBACKEND", "MATPLOTLIBRC")}
    os.environ["MATPLOTLIBRC"] = str(shipped)
    log = logging.getLogger("matplotlib")
    level = log.level
    # A matplotlibrc in the working directory is read before any other, and what is wrong in it is warned of.
    log.setLevel(logging.ERROR)
    try:
        import matplotlib
    except UnicodeDecodeError as error:
        raise UserError(f"matplotlibrc in the working directory is not UTF-8 text ({error}); remove it") from None
    finally:
        log.setLevel(level)
        os.environ.pop("MATPLOTLIBRC")
        os.environ.update({name: value for name, value in given.items() if value is not None})
    return matplotlib
