# SPDX-License-Identifier: Apache-2.0
"""The picture of a sweep: a metric against one axis, a curve for each value of a second, a panel for the others."""

import itertools
from pathlib import Path

import numpy as np
from crossramp.golden.analog.technologies.constants import CONSTANTS
from crossramp.golden.common.errors import UserError
from crossramp.sim.montecarlo.plan import Plan
from crossramp.sim.montecarlo.summary import BAND

from .figures import new_figure, own_settings, save_figure

_COLORS = ("#1f6fb4", "#c0392b", "#2a9d4a", "#e07b00", "#7a3fa0", "#16a0a0", "#8c6d31", "#555555")
_UNITS = {"accuracy": "%", "flips": "%", "code_error": "LSB, RMS", "inl": "LSB", "dnl": "LSB", "missing_codes": "codes"}
_AXES = {"switches": "effects that are on", "adc_bits": "bits of a conversion"}
_PANELS_MOST = 12


@own_settings
def plot_sweep(
    path: Path, plan: Plan, metric: str, summary: list[dict], rows: list[dict], title: str, ideal: float | None
) -> None:
    """Draw one metric.

    Parameters
    ----------
    path : Path
    plan : Plan
        Its axes, and which of them are ``x`` and ``curves``.
    metric : str
    summary : list
        See :func:`crossramp.sim.montecarlo.summary.summarize`.
    rows : list
        Of all chips, for the histogram of a plan without axes.
    title : str
    ideal : float or None
        What an ideal array has, drawn as a line.

    Raises
    ------
    UserError
        For more panels than a picture can hold.
    """
    axes = plan.axes
    x, curves, others = _roles(axes, plan.plot)
    panels = list(itertools.product(*(axes[name] for name in others)))
    if len(panels) > _PANELS_MOST:
        raise UserError(
            f"none: a picture holds {_PANELS_MOST} panels, {' and '.join(others)} make {len(panels)} panels"
        )
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    figure = new_figure(2.4 + 4.6 * columns, 1.0 + 3.7 * lines)
    figure.suptitle(title, fontsize=12)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    scale = 100.0 if _UNITS[metric] == "%" else 1.0
    for ax, values in itertools.zip_longest(grid, panels):
        if values is None:
            ax.set_visible(False)
            continue
        chosen = dict(zip(others, values, strict=True))
        if x is None:
            _draw_histogram(ax, scale * np.array([row[metric] for row in rows], float))
        else:
            _draw_curves(ax, metric, axes, x, curves, chosen, summary, scale)
        if ideal is not None:
            line = ax.axhline if x is not None else ax.axvline
            line(scale * ideal, color="#333333", lw=0.9, ls=":", label="ideal array")
        ax.set_title(", ".join(f"{name} {_text(value)}" for name, value in chosen.items()), fontsize=10)
        unit = f"{metric.replace('_', ' ')} ({_UNITS[metric]})"
        if x is None:
            ax.set(xlabel=unit, ylabel="chips")
        else:
            ax.set(xlabel=_axis_label(x), ylabel=unit)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        handles, labels = ax.get_legend_handles_labels()
        order = sorted(range(len(labels)), key=lambda k: labels[k].endswith("of the chips"))
        ax.legend([handles[k] for k in order], [labels[k] for k in order], frameon=False, fontsize=9, title=curves)
    save_figure(figure, path)


def _roles(axes: dict, plot: dict) -> tuple[str | None, str | None, list[str]]:
    """Axes for x, for curves, and for panels: as asked, else numbers before names, and in the plan's order."""
    varied = [name for name, values in axes.items() if len(values) > 1]
    varied.sort(key=lambda name: not _numbers(axes[name]))
    x = plot.get("x") or next((name for name in varied if name != plot.get("curves")), None)
    curves = plot.get("curves") or next((name for name in varied if name != x), None)
    return x, curves, [name for name in axes if name in varied and name not in (x, curves)]


def _draw_curves(ax, metric, axes, x, curves, chosen, summary, scale) -> None:
    numbers = _numbers(axes[x])
    places = axes[x] if numbers else range(len(axes[x]))
    for color, value in zip(itertools.cycle(_COLORS), axes[curves] if curves else (None,)):
        wanted = chosen | ({curves: value} if curves else {})
        found = {}
        for place, at in zip(places, axes[x], strict=True):
            for entry in summary:
                if all(entry["values"][name] == v for name, v in (wanted | {x: at}).items()):
                    found[place] = entry["metrics"][metric]
        if not found:
            continue
        at, spreads = list(found), list(found.values())
        mean = scale * np.array([spread.mean for spread in spreads])
        error = scale * np.array([spread.error for spread in spreads])
        low, high = (scale * np.array([getattr(spread, end) for spread in spreads]) for end in ("low", "high"))
        if numbers:
            ax.fill_between(at, low, high, color=color, alpha=0.15, lw=0)
            ax.errorbar(at, mean, error, fmt="o-", color=color, lw=1.5, ms=4, capsize=2, label=_label(value, curves))
        else:
            shift = 0.0 if not curves else 0.22 * (list(axes[curves]).index(value) - (len(axes[curves]) - 1) / 2)
            at = np.array(at) + shift
            ax.vlines(at, low, high, color=color, alpha=0.3, lw=5)
            ax.errorbar(at, mean, error, fmt="o", color=color, ms=4, capsize=2, label=_label(value, curves))
    if numbers:
        positive = [value for value in axes[x] if value > 0]
        if len(positive) > 2 and max(positive) / min(positive) >= 30:
            # A zero has its place too, at the left end.
            ax.set_xscale("symlog", linthresh=min(positive)) if 0 in axes[x] else ax.set_xscale("log")
        elif all(float(value).is_integer() for value in axes[x]) and len(axes[x]) <= 12:
            ax.set_xticks(axes[x])
    else:
        ax.set_xticks(list(places), [_text(value) for value in axes[x]], rotation=20, ha="right")
    ax.plot([], [], color="#888888", alpha=0.4, lw=6, label=f"{BAND[0]} to {BAND[1]} % of the chips")


def _draw_histogram(ax, values: np.ndarray) -> None:
    ax.hist(values, bins=min(40, max(5, len(values) // 5)), color=_COLORS[0], alpha=0.7)
    ax.axvline(values.mean(), color=_COLORS[1], lw=1.5, label=f"mean {values.mean():.4g}")
    low, high = np.percentile(values, BAND)
    ax.axvspan(low, high, color=_COLORS[0], alpha=0.1, label=f"{BAND[0]} to {BAND[1]} %")


def _numbers(values: tuple) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _label(value, curves: str | None) -> str:
    return "mean, ± its standard error" if curves is None else _text(value)


def _axis_label(name: str) -> str:
    if name in _AXES:
        return _AXES[name]
    unit = CONSTANTS[name].unit if name in CONSTANTS else "1"
    return name if unit == "1" else f"{name} ({unit})"


def _text(value) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
